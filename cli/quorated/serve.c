/* Methods of the interface, and reading their params. */

#include <string.h>

#include "core/log.h"
#include "core/util.h"

#include "cli/quorated/daemon.h"

void serve_fail(struct rpc_request *rq, const struct err *e)
{
    rpc_fail(rq, e->code, e->msg);
}

enum param_kind {
    PARAM_STR,
    PARAM_UINT,
    PARAM_BOOL,
    PARAM_ID,
    PARAM_BYTES,
    PARAM_AFTER /* A name for queries, a number for events. */
};

struct param_row {
    const char *key;
    enum param_kind kind;
    size_t offset;
    uint64_t max; /* Of a number. */
};

static const struct param_row param_rows[] = {
    {"name", PARAM_STR, offsetof(struct params, name), 0},
    {"subject", PARAM_STR, offsetof(struct params, subject), 0},
    {"after", PARAM_AFTER, offsetof(struct params, after), 0},
    {"host", PARAM_STR, offsetof(struct params, host), 0},
    {"request", PARAM_ID, offsetof(struct params, request), 0},
    {"body", PARAM_BYTES, 0, 0},
    {"limit", PARAM_UINT, offsetof(struct params, limit), UINT32_MAX},
    {"deadline_ms", PARAM_UINT, offsetof(struct params, deadline_ms), LIMIT_DEADLINE_MS},
    {"op", PARAM_UINT, offsetof(struct params, op), UINT64_MAX},
    {"local", PARAM_BOOL, offsetof(struct params, local), 0},
    {"follow", PARAM_BOOL, offsetof(struct params, follow), 0},
};

static int param_value(const struct param_row *row, struct mp_reader *r, struct params *p)
{
    char *to = (char *)p + row->offset;
    uint64_t number = 0;
    int rc = 0;
    switch (row->kind) {
    case PARAM_STR: return mp_copy_str(r, to, LIMIT_NAME + 1);
    case PARAM_ID: return mp_copy_bin(r, to, sizeof(struct id));
    case PARAM_BOOL: return mp_get_bool(r, (bool *)to);
    case PARAM_BYTES: return mp_get_bin(r, &p->body, &p->body_len);
    case PARAM_AFTER:
        return mp_peek(r) == MP_UINT ? mp_get_uint(r, &p->after_seq)
                                     : mp_copy_str(r, to, LIMIT_NAME + 1);
    case PARAM_UINT: break;
    }
    rc = mp_get_uint(r, &number);
    if (rc == 0 && number > row->max) {
        return ERR_TOO_BIG;
    }
    memcpy(to, &number, sizeof number);
    return rc;
}

int params_read(struct rpc_request *rq, struct params *ret, struct err *e)
{
    *ret = (struct params){0};
    struct mp_reader *r = &rq->params;
    uint32_t n;
    uint32_t seen = 0;
    if (mp_get_map(r, &n) != 0) {
        return err_set(e, ERR_MALFORMED, "%s: params are not a map", rq->method);
    }
    for (uint32_t i = 0; i < n; i++) {
        char key[LIMIT_NAME + 1];
        if (mp_copy_str(r, key, sizeof key) != 0) {
            return err_set(e, ERR_MALFORMED, "%s: a key of the params is not a name", rq->method);
        }
        size_t row = 0;
        while (row < ARRAY_LEN(param_rows) && strcmp(param_rows[row].key, key) != 0) {
            row++;
        }
        if (row == ARRAY_LEN(param_rows)) {
            return err_set(e, ERR_UNKNOWN, "%s: unknown parameter %s", rq->method, key);
        }
        if ((seen & 1u << row) != 0) {
            return err_set(e, ERR_MALFORMED, "%s: parameter %s stands twice", rq->method, key);
        }
        seen |= 1u << row;
        int rc = param_value(&param_rows[row], r, ret);
        if (rc != 0) {
            return err_set(e, rc, "%s: parameter %s: %s", rq->method, key, err_text(rc));
        }
    }
    return 0;
}

static void serve_hello(struct daemon *d, struct rpc_request *rq, const struct params *p)
{
    (void)p;
    struct api_hello hello;
    schema_init(&schema_api_hello, &hello);
    struct raftlog_status st;
    raftlog_status(d->rl, &st);
    hello.blank = st.blank;
    (void)str_copy(hello.host, sizeof hello.host, d->opt.name);
    (void)str_copy(hello.driver, sizeof hello.driver, d->opt.driver);
    (void)str_copy(hello.version, sizeof hello.version, QUORATE_VERSION);
    struct fsm_view *v = fsm_view_open(d->fsm);
    struct pool pool;
    if (fsm_get_pool(v, &pool) == 0) {
        (void)str_copy(hello.pool, sizeof hello.pool, pool.name);
    }
    (void)fsm_view_close(v);
    CLEANUP(buf_done) struct buf out = {0};
    schema_encode(&schema_api_hello, &hello, &out);
    rpc_reply(rq, &out);
}

static void serve_transfer(struct daemon *d, struct rpc_request *rq, const struct params *p)
{
    uint64_t to = 0;
    if (p->host[0] != '\0') {
        struct fsm_view *v = fsm_view_open(d->fsm);
        struct host host = {0};
        struct err e;
        int rc = v == NULL ? daemon_no_view(d, &e) : fsm_get_host(v, p->host, &host);
        if (v != NULL && rc != 0) {
            (void)err_set(&e, rc, "host %s: %s", p->host, err_text(rc));
        }
        (void)fsm_view_close(v);
        if (rc == 0 && (host.state != HOST_UP || !host.can_master)) {
            rc = err_set(&e, ERR_STATE, "host %s is %s: it cannot be master", p->host,
                         host.state != HOST_UP ? enum_host_state.names[host.state]
                                               : "set not to become master");
        }
        if (rc != 0) {
            serve_fail(rq, &e);
            return;
        }
        to = host.raft_id;
    }
    notes_transfer(d, to);
    CLEANUP(buf_done) struct buf out = {0};
    mp_put_map(&out, 0);
    rpc_reply(rq, &out);
}

/* Lets this daemon end. Asked of the host itself: nobody can be stopped by mistake for another. */
static void serve_stop(struct daemon *d, struct rpc_request *rq, const struct params *p)
{
    struct err e = {0};
    bool release = strcmp(p->name, "release") == 0;
    if (strcmp(p->host, d->opt.name) != 0 || (p->name[0] != '\0' && !release)) {
        (void)err_set(&e, ERR_INVALID, "stop: this is host %s, and its guests are left or released",
                      d->opt.name);
        serve_fail(rq, &e);
        return;
    }
    CLEANUP(buf_done) struct buf out = {0};
    mp_put_map(&out, 0);
    rpc_reply(rq, &out);
    log_line(LOG_INFO, "asked_to_stop", "user", rq->user, NULL);
    if (release) {
        daemon_release(d);
    } else {
        d->stop_due = true;
    }
}

struct method {
    const char *name;
    void (*serve)(struct daemon *d, struct rpc_request *rq, const struct params *p);
    bool needs_pool;
};

static const struct method methods[] = {
    {"hello", serve_hello, false},      {"found", command_found, false},
    {"command", command_serve, true},   {"query", query_serve, true},
    {"wait", watch_wait, true},         {"events", watch_events, true},
    {"transfer", serve_transfer, true}, {"stop", serve_stop, false},
};

static const struct method *method_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (strcmp(methods[i].name, name) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}

void serve_request(void *ctx, struct rpc_request *rq)
{
    struct daemon *d = ctx;
    struct err e = {0};
    struct params p;
    struct raftlog_status st;
    const struct method *m = method_find(rq->method);
    if (m == NULL) {
        (void)err_set(&e, ERR_UNKNOWN, "unknown method %s", rq->method);
    } else if (params_read(rq, &p, &e) == 0) {
        raftlog_status(d->rl, &st);
        if (d->stopping) {
            (void)err_set(&e, ERR_CLOSED, "host %s is stopping", d->opt.name);
        } else if (m->needs_pool && st.blank) {
            (void)err_set(&e, ERR_NO_POOL,
                          "host %s belongs to no pool yet: run 'pool init' here, or 'host add %s "
                          "%s' on a pool",
                          d->opt.name, d->opt.name, d->opt.listen);
        } else if (m->needs_pool && d->diverged) {
            (void)err_set(&e, d->broken.code, "host %s has stopped applying the log: %s",
                          d->opt.name, d->broken.msg);
        }
    }
    if (m == NULL || e.code != 0) {
        serve_fail(rq, &e);
        return;
    }
    m->serve(d, rq, &p);
}
