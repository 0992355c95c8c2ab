#include "cli/tests/fake.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "core/rpc.h"
#include "core/util.h"

#include "cli/tests/fake_rows.h"

#define REQUESTS_MAX 64

struct script {
    unsigned guests, page, drop, lose, fail, mute, cut;
    int fail_code;
    uint64_t first, last;
    bool blank;
};

struct done {
    struct id request;
    struct outcome outcome;
};

struct fake {
    uv_loop_t loop;
    uv_async_t stop;
    struct rpc_server *server;
    pthread_t thread;
    pthread_mutex_t lock; /* Over what follows. */
    struct script script;
    struct done done[REQUESTS_MAX];
    size_t n_done;
    size_t calls;
    const struct schema *last_schema;
    void *last;                              /* The last command's record. */
    struct rpc_request *muted[REQUESTS_MAX]; /* To be answered when all is over. */
    size_t n_muted;
};

/* --- params */

struct params {
    char name[LIMIT_NAME + 1], subject[LIMIT_NAME + 1], after[LIMIT_NAME + 1];
    uint64_t op, from, limit;
    bool follow;
    bool local;
    struct id request;
    const uint8_t *body;
    size_t body_len;
};

static void read_params(struct rpc_request *rq, struct params *p)
{
    struct mp_reader r = rq->params;
    uint32_t n = 0;
    memset(p, 0, sizeof *p);
    assert(mp_get_map(&r, &n) == 0);
    for (uint32_t i = 0; i < n; i++) {
        if (mp_match_str(&r, "name")) {
            assert(mp_copy_str(&r, p->name, sizeof p->name) == 0);
        } else if (mp_match_str(&r, "subject")) {
            assert(mp_copy_str(&r, p->subject, sizeof p->subject) == 0);
        } else if (mp_match_str(&r, "after")) {
            bool number = mp_peek(&r) == MP_UINT;
            assert(number ? mp_get_uint(&r, &p->from) == 0
                          : mp_copy_str(&r, p->after, sizeof p->after) == 0);
        } else if (mp_match_str(&r, "op")) {
            assert(mp_get_uint(&r, &p->op) == 0);
        } else if (mp_match_str(&r, "limit")) {
            assert(mp_get_uint(&r, &p->limit) == 0);
        } else if (mp_match_str(&r, "local")) {
            assert(mp_get_bool(&r, &p->local) == 0);
        } else if (mp_match_str(&r, "follow")) {
            assert(mp_get_bool(&r, &p->follow) == 0);
        } else if (mp_match_str(&r, "request")) {
            assert(mp_copy_bin(&r, p->request.b, sizeof p->request.b) == 0);
        } else if (mp_match_str(&r, "body")) {
            assert(mp_get_bin(&r, &p->body, &p->body_len) == 0);
        } else {
            assert(mp_skip(&r, NULL, NULL) == 0 && mp_skip(&r, NULL, NULL) == 0);
        }
    }
    assert(mp_at_end(&r));
}

static void put_guests(struct fake *f, const char *after, struct buf *rows, uint32_t *n, char *next)
{
    unsigned i = 0;
    struct api_guest g;
    if (*after != '\0') {
        for (;; i++) {
            make_guest(i, &g);
            if (strcmp(g.name, after) == 0) {
                i++;
                break;
            }
        }
    }
    for (; i < f->script.guests && *n < f->script.page; i++, ++*n) {
        make_guest(i, &g);
        schema_encode(&schema_api_guest, &g, rows);
    }
    if (i < f->script.guests) {
        (void)str_copy(next, LIMIT_NAME + 1, g.name);
    }
}

/* --- methods */

static void reply_record(struct rpc_request *rq, const struct schema *s, const void *record)
{
    CLEANUP(buf_done) struct buf out = {0};
    schema_encode(s, record, &out);
    rpc_reply(rq, &out);
}

static bool
put_rows(struct fake *f, const struct params *p, struct buf *rows, uint32_t *n, char *next)
{
    union {
        struct api_pool pool;
        struct api_host host;
        struct api_op op;
        struct guest guest;
    } *u = mem_new(1, sizeof *u);
    bool found = true;
    if (strcmp(p->name, "guest.list") == 0) {
        put_guests(f, p->after, rows, n, next);
    } else if (strcmp(p->name, "host.list") == 0) {
        for (*n = 0; *n < 3; ++*n) {
            fake_host_row(*n, &u->host);
            schema_encode(&schema_api_host, &u->host, rows);
        }
    } else if (strcmp(p->name, "host.show") == 0) {
        fake_host_row(1, &u->host);
        schema_encode(&schema_api_host, &u->host, rows);
        *n = 1;
    } else if (strcmp(p->name, "op.list") == 0) {
        for (*n = 0; *n < 4; ++*n) {
            make_op(57 + *n, &u->op);
            schema_encode(&schema_api_op, &u->op, rows);
        }
    } else if (strcmp(p->name, "pool.status") == 0) {
        make_pool(&u->pool);
        schema_encode(&schema_api_pool, &u->pool, rows);
        *n = 1;
    } else if (strcmp(p->name, "guest.show") == 0 && strcmp(p->subject, "web1") == 0) {
        make_whole_guest(p->subject, &u->guest);
        schema_encode(&schema_guest, &u->guest, rows);
        *n = 1;
    } else {
        found = strcmp(p->name, "repo.list") == 0;
    }
    free(u);
    return found;
}

static void serve_query(struct fake *f, struct rpc_request *rq, const struct params *p)
{
    CLEANUP(buf_done) struct buf rows = {0};
    CLEANUP(buf_done) struct buf out = {0};
    uint32_t n = 0;
    char next[LIMIT_NAME + 1] = "";
    if (!put_rows(f, p, &rows, &n, next)) {
        rpc_fail(rq, ERR_NOT_FOUND, "there is none of that name");
        return;
    }
    mp_put_map(&out, 3);
    mp_put_str(&out, "index");
    mp_put_uint(&out, 1234);
    mp_put_str(&out, "rows");
    mp_put_array(&out, n);
    buf_put(&out, rows.data, rows.len);
    mp_put_str(&out, "next");
    mp_put_str(&out, next);
    rpc_reply(rq, &out);
}

/* The outcome follows from the name: "missing" is not found, "busy" is in a wrong state, others
 * begin operation 57 (58 for a migration, 59 that fails for "sick", 60 cancelled for "late"). */
static void decide(struct fake *f, const struct params *p, struct outcome *o)
{
    const struct command *c = command_by_name(p->name);
    assert(c != NULL && c->who == COMMAND_USER);
    void *record = mem_new(1, c->schema->size);
    struct err e;
    int rc = schema_decode_all(c->schema, p->body, p->body_len, record, &e);
    assert(rc == 0);
    char name[LIMIT_NAME + 1] = "";
    if (c->schema->fields[0].kind == FIELD_STR) {
        (void)str_copy(name, sizeof name, record);
    }
    free(f->last);
    f->last = record;
    f->last_schema = c->schema;
    schema_init(&schema_outcome, o);
    o->index = 1235;
    (void)str_copy(o->what, sizeof o->what, "guest");
    (void)str_copy(o->name, sizeof o->name, name);
    if (strcmp(name, "missing") == 0) {
        o->code = -ERR_NOT_FOUND;
    } else if (strcmp(name, "busy") == 0) {
        o->code = -ERR_STATE;
        o->a = GUEST_STOPPED;
        (void)str_copy(o->detail, sizeof o->detail, "pause");
    } else if (strncmp(p->name, "guest_", 6) == 0 && c->number != COMMAND_guest_set &&
               c->number != COMMAND_guest_delete) {
        o->op = c->number == COMMAND_guest_migrate ? 58
                : strcmp(name, "sick") == 0        ? 59
                : strcmp(name, "late") == 0        ? 60
                                                   : 57;
    }
}

static void serve_command(struct fake *f, struct rpc_request *rq, const struct params *p)
{
    struct done *d = NULL;
    for (size_t i = 0; i < f->n_done; i++) {
        if (id_equal(&f->done[i].request, &p->request)) {
            d = &f->done[i];
        }
    }
    if (d == NULL) {
        assert(f->n_done < REQUESTS_MAX && !id_is_none(&p->request));
        d = &f->done[f->n_done++];
        d->request = p->request;
        decide(f, p, &d->outcome);
    }
    if (f->script.lose > 0) {
        f->script.lose--;
        rpc_fail(rq, ERR_CLOSED, "the answer is lost");
        return;
    }
    reply_record(rq, &schema_outcome, &d->outcome);
}

static void notify_op(struct rpc_request *rq, uint32_t phase, uint32_t percent)
{
    struct api_op o;
    CLEANUP(buf_done) struct buf out = {0};
    make_op(58, &o);
    o.state = OP_RUNNING;
    o.phase = phase;
    o.progress = percent;
    o.sent_bytes = o.total_bytes / 100 * percent;
    o.rate_bytes_per_s = 245366784;
    o.dirty_bytes_per_s = 12582912;
    schema_encode(&schema_api_op, &o, &out);
    assert(rpc_notify(rq->client, "progress", &out));
}

static void serve_wait(struct rpc_request *rq, const struct params *p)
{
    if (p->op < 57 || p->op > 60) {
        rpc_fail(rq, ERR_NOT_FOUND, "operation not found");
        return;
    }
    if (p->op == 58) {
        notify_op(rq, OP_PHASE_PREPARE, 0);
        notify_op(rq, OP_PHASE_TRANSFER, 12);
        notify_op(rq, OP_PHASE_TRANSFER, 14);
        notify_op(rq, OP_PHASE_TRANSFER, 56);
        notify_op(rq, OP_PHASE_SWITCHED, 99);
    }
    struct api_op o;
    make_op(p->op, &o);
    reply_record(rq, &schema_api_op, &o);
}

static void notify_event(struct rpc_request *rq, uint64_t seq)
{
    struct event ev;
    CLEANUP(buf_done) struct buf out = {0};
    schema_init(&schema_event, &ev);
    ev.seq = seq;
    ev.index = 100 + seq;
    ev.time_ms = NOW_MS + seq;
    (void)str_copy(ev.kind, sizeof ev.kind, "guest.started");
    (void)snprintf(ev.subject, sizeof ev.subject, "web%u", (unsigned)(seq % 3) + 1);
    (void)str_copy(ev.host, sizeof ev.host, "h1");
    ev.epoch = seq;
    schema_encode(&schema_event, &ev, &out);
    assert(rpc_notify(rq->client, "event", &out));
}

static void serve_events(struct fake *f, struct rpc_request *rq, const struct params *p)
{
    uint64_t seq =
        p->from >= f->script.last ? f->script.last + 1 : max_u64(p->from + 1, f->script.first);
    unsigned sent = 0;
    for (; seq <= f->script.last && (p->limit == 0 || sent < p->limit); seq++, sent++) {
        if (f->script.cut > 0 && sent == f->script.cut) {
            f->script.cut = 0;
            rpc_fail(rq, ERR_CLOSED, "going down");
            return;
        }
        notify_event(rq, seq);
    }
    if (p->follow) {
        f->muted[f->n_muted++] = rq;
        assert(f->n_muted < REQUESTS_MAX);
        return;
    }
    CLEANUP(buf_done) struct buf out = {0};
    mp_put_map(&out, 1);
    mp_put_str(&out, "last");
    mp_put_uint(&out, f->script.last);
    rpc_reply(rq, &out);
}

static void serve_hello(struct fake *f, struct rpc_request *rq)
{
    struct api_hello h;
    schema_init(&schema_api_hello, &h);
    (void)str_copy(h.host, sizeof h.host, "h2");
    (void)str_copy(h.pool, sizeof h.pool, f->script.blank ? "" : "lab");
    (void)str_copy(h.version, sizeof h.version, "0.1.0");
    h.blank = f->script.blank;
    reply_record(rq, &schema_api_hello, &h);
}

static void serve_found(struct rpc_request *rq, const struct params *p)
{
    struct outcome o;
    schema_init(&schema_outcome, &o);
    o.index = 1;
    assert(*p->name != '\0' && !id_is_none(&p->request));
    reply_record(rq, &schema_outcome, &o);
}

static bool serve_trouble(struct fake *f, struct rpc_request *rq)
{
    struct script *s = &f->script;
    if (s->drop > 0) {
        s->drop--;
        rpc_fail(rq, ERR_CLOSED, "going down");
    } else if (s->fail > 0) {
        s->fail--;
        rpc_fail(rq, s->fail_code, err_text(s->fail_code));
    } else if (s->mute > 0) {
        s->mute--;
        assert(f->n_muted < REQUESTS_MAX);
        f->muted[f->n_muted++] = rq;
    } else {
        return false;
    }
    return true;
}

static void serve(void *ctx, struct rpc_request *rq)
{
    struct fake *f = ctx;
    struct params p;
    (void)pthread_mutex_lock(&f->lock);
    /* A hello goes before what is really asked, and is not what the script is about. */
    bool hello = strcmp(rq->method, "hello") == 0;
    f->calls += hello ? 0 : 1;
    read_params(rq, &p);
    bool nobody = f->script.fail_code == ERR_NO_QUORUM && p.local; /* It asks nobody. */
    if (!hello && !nobody && serve_trouble(f, rq)) {
        /* Done. */
    } else if (strcmp(rq->method, "query") == 0) {
        serve_query(f, rq, &p);
    } else if (strcmp(rq->method, "command") == 0) {
        serve_command(f, rq, &p);
    } else if (strcmp(rq->method, "wait") == 0) {
        serve_wait(rq, &p);
    } else if (strcmp(rq->method, "events") == 0) {
        serve_events(f, rq, &p);
    } else if (hello) {
        serve_hello(f, rq);
    } else if (strcmp(rq->method, "found") == 0) {
        serve_found(rq, &p);
    } else {
        assert(strcmp(rq->method, "transfer") == 0 || strcmp(rq->method, "stop") == 0);
        rpc_reply(rq, NULL);
    }
    (void)pthread_mutex_unlock(&f->lock);
}

/* --- life */

static void on_stop(uv_async_t *async)
{
    struct fake *f = async->data;
    for (size_t i = 0; i < f->n_muted; i++) {
        rpc_fail(f->muted[i], ERR_CLOSED, "over");
    }
    rpc_server_close(f->server, NULL, NULL);
    uv_close((uv_handle_t *)async, NULL);
}

static void *run(void *arg)
{
    struct fake *f = arg;
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    return NULL;
}

struct fake *fake_start(const char *where)
{
    struct fake *f = mem_new(1, sizeof *f);
    struct err e;
    f->script = (struct script){.guests = 3, .page = 2, .first = 1, .last = 5};
    assert(uv_loop_init(&f->loop) == 0 && uv_async_init(&f->loop, &f->stop, on_stop) == 0);
    f->stop.data = f;
    struct rpc_server_options options = {.serve = serve, .ctx = f};
    f->server = rpc_server_new(&f->loop, &options);
    if (rpc_server_listen(f->server, where, &e) != 0) {
        (void)fprintf(stderr, "%s\n", e.msg);
        abort();
    }
    assert(pthread_mutex_init(&f->lock, NULL) == 0);
    assert(pthread_create(&f->thread, NULL, run, f) == 0);
    return f;
}

void fake_stop(struct fake *f)
{
    assert(uv_async_send(&f->stop) == 0);
    assert(pthread_join(f->thread, NULL) == 0);
    assert(uv_loop_close(&f->loop) == 0);
    (void)pthread_mutex_destroy(&f->lock);
    free(f->last);
    free(f);
}

static bool set_number(struct script *s, const char *word, unsigned n)
{
    const struct {
        const char *word;
        unsigned *to;
    } numbers[] = {{"guests", &s->guests}, {"page", &s->page}, {"drop", &s->drop},
                   {"lose", &s->lose},     {"mute", &s->mute}, {"cut", &s->cut}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (strcmp(numbers[i].word, word) == 0) {
            *numbers[i].to = n;
            return true;
        }
    }
    if (strcmp(word, "first") == 0) {
        s->first = n;
    } else if (strcmp(word, "last") == 0) {
        s->last = n;
    } else {
        return false;
    }
    return true;
}

static int code_of(const char *name)
{
    for (int code = -1; code > -100; code--) {
        if (strcmp(err_name(code), name) == 0) {
            return code;
        }
    }
    return 0;
}

bool fake_script(struct fake *f, const char *line)
{
    char word[32];
    char name[32];
    unsigned n = 0;
    bool ok = true;
    (void)pthread_mutex_lock(&f->lock);
    if (sscanf(line, "fail %31s %u", name, &n) == 2) {
        f->script.fail = n;
        f->script.fail_code = code_of(name);
        ok = f->script.fail_code != 0;
    } else if (strcmp(line, "blank") == 0) {
        f->script.blank = true;
    } else {
        ok = sscanf(line, "%31s %u", word, &n) == 2 && set_number(&f->script, word, n);
    }
    (void)pthread_mutex_unlock(&f->lock);
    return ok;
}

size_t fake_commands(struct fake *f)
{
    (void)pthread_mutex_lock(&f->lock);
    size_t n = f->n_done;
    (void)pthread_mutex_unlock(&f->lock);
    return n;
}

size_t fake_calls(struct fake *f)
{
    (void)pthread_mutex_lock(&f->lock);
    size_t n = f->calls;
    (void)pthread_mutex_unlock(&f->lock);
    return n;
}

static void put_changed(const struct schema *s, const void *record, struct buf *out)
{
    void *fresh = mem_new(1, s->size);
    schema_init(s, fresh);
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        const char *at = (const char *)record + f->offset;
        CLEANUP(buf_done) struct buf now = {0};
        CLEANUP(buf_done) struct buf before = {0};
        if (f->kind == FIELD_REC) {
            put_changed(f->nested, at, out);
            continue;
        }
        schema_get_text(f, record, &now);
        schema_get_text(f, fresh, &before);
        if (now.len == before.len &&
            (now.len == 0 || memcmp(now.data, before.data, now.len) == 0)) {
            continue;
        }
        if (f->kind == FIELD_LIST) {
            uint32_t n = *(const uint32_t *)(const void *)((const char *)record + f->count_offset);
            for (uint32_t k = 0; k < n; k++) {
                buf_printf(out, "%s %u:\n", f->name, k + 1);
                put_changed(f->nested, at + k * f->nested->size, out);
            }
        } else if (f->flags == FIELD_SECRET) {
            buf_printf(out, "%s = %s\n", f->name, at);
        } else {
            buf_printf(out, "%s = %.*s\n", f->name, (int)now.len, (const char *)now.data);
        }
    }
    free(fresh);
}

void fake_last_body(struct fake *f, struct buf *out)
{
    (void)pthread_mutex_lock(&f->lock);
    assert(f->last != NULL);
    put_changed(f->last_schema, f->last, out);
    (void)pthread_mutex_unlock(&f->lock);
}
