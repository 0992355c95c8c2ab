#include "cli/quorated/consoles.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/util.h"
#include "core/uv_stream.h"

#include "cli/console.h"

#define SESSIONS_MAX 64u
#define HELLO_MS     5000u
#define CONNECT_MS   3000u
#define GOODBYE_MS   2000u
/* Unsent bytes at which the other end is read no more, and at which it is again. */
#define OUTPUT_MAX ((size_t)256 * 1024)
#define TYPED_MAX  ((size_t)16 * 1024)
/* A guest never waits longer than this for who watches it: then what it says is dropped. */
#define PATIENCE_MS 2000u

/* What is far: the console's socket, or the daemon of the host that has it. */
struct session {
    struct session *next;
    struct consoles *c;
    struct stream *user;
    struct stream *far;
    struct console_hello hello;
    struct id uuid;
    struct buf in;     /* Before the far end is there: the hello; then what was typed too early. */
    bool relay;        /* Far is a daemon. */
    bool blocked;      /* Far is not read: the user takes nothing. */
    bool lossy;        /* Far is read and dropped. */
    uint64_t lost;     /* Bytes dropped. */
    uint64_t since_ms; /* It came; or it is blocked since. */
};

struct consoles {
    struct daemon *d;
    struct stream_group *group; /* Made with the first session. */
    struct session *sessions;
    uint32_t n;
};

static uint64_t now_ms(const struct consoles *c)
{
    return c->d->clock->mono_ms(c->d->clock);
}

/* --- ends */

static void session_free(struct session *s)
{
    struct session **p = &s->c->sessions;
    while (*p != s) {
        p = &(*p)->next;
    }
    *p = s->next;
    s->c->n--;
    if (s->far != NULL) {
        stream_close(s->far);
    }
    buf_done(&s->in);
    free(s);
}

/* What is unsent still goes out, then the reason (NULL: none, or the other daemon has told it). */
static void session_end(struct session *s, const struct err *why)
{
    if (why != NULL) {
        console_put_end(stream_out(s->user), why);
    }
    stream_finish(s->user, GOODBYE_MS);
    session_free(s);
}

static void session_fail(struct session *s, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void session_fail(struct session *s, int code, const char *fmt, ...)
{
    char text[ERR_MSG_SIZE];
    struct err e;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)err_set(&e, code, "%s", text);
    session_end(s, &e);
}

/* --- bytes */

static void far_opened(void *ctx, int code)
{
    struct session *s = ctx;
    if (code != 0 && s->relay) {
        session_fail(s, ERR_CLOSED, "the host of guest %s does not answer", s->hello.guest);
        return;
    }
    if (code != 0) {
        session_fail(s, ERR_NOT_READY, "the console of guest %s is not there", s->hello.guest);
        return;
    }
    if (s->relay) {
        struct console_hello h = s->hello;
        h.flags |= CONSOLE_RELAYED;
        console_put_hello(stream_out(s->far), &h);
    } else {
        const char *me = s->c->d->opt.name;
        console_put_frame(stream_out(s->user), CONSOLE_OPEN, me, strlen(me));
        log_line(LOG_INFO, "console_opened", "guest", s->hello.guest, NULL);
    }
    stream_write(s->far, s->in.data, s->in.len);
    buf_clear(&s->in);
    stream_read_start(s->user);
}

static void far_read(void *ctx, const uint8_t *data, size_t len)
{
    struct session *s = ctx;
    if (s->lossy) {
        s->lost += len;
        return;
    }
    if (s->relay) {
        stream_write(s->user, data, len);
    } else {
        console_put_frame(stream_out(s->user), CONSOLE_DATA, data, len);
    }
    if (stream_unsent(s->user) > OUTPUT_MAX) {
        stream_read_stop(s->far);
        s->blocked = true;
        s->since_ms = now_ms(s->c);
    }
}

static void far_end(void *ctx, int code)
{
    struct session *s = ctx;
    if (s->relay) { /* Why was in its last frame; or the host was lost in the middle. */
        (void)code;
        session_end(s, NULL);
    } else {
        session_fail(s, ERR_EOF, "the console of guest %s has ended", s->hello.guest);
    }
}

static void far_wrote(void *ctx)
{
    struct session *s = ctx;
    if (stream_unsent(s->far) <= TYPED_MAX / 4) {
        stream_read_start(s->user);
    }
}

static const struct stream_handler far_handler = {.opened = far_opened,
                                                  .read = far_read,
                                                  .end = far_end,
                                                  .wrote = far_wrote};

/* The user has taken most of what there was. */
static void user_wrote(void *ctx)
{
    struct session *s = ctx;
    if (!s->blocked || stream_unsent(s->user) > OUTPUT_MAX / 4) {
        return;
    }
    if (s->lost > 0) {
        char text[80];
        int n = snprintf(text, sizeof text, "\r\n[%llu bytes were not shown]\r\n",
                         (unsigned long long)s->lost);
        console_put_frame(stream_out(s->user), CONSOLE_DATA, text, (size_t)n);
    }
    s->blocked = false;
    s->lossy = false;
    s->lost = 0;
    stream_read_start(s->far);
}

static void user_end(void *ctx, int code)
{
    struct session *s = ctx;
    (void)code;
    stream_close(s->user);
    session_free(s);
}

/* --- where the guest is */

/* QEMU and Xen listen there for viewers of this host alone. */
static void open_screen(struct session *s, const struct guest *g, const struct hv_info *info)
{
    struct addr at = {.kind = ADDR_V4, .host = "127.0.0.1"};
    if (info->vnc_display < 0) {
        session_fail(s, ERR_UNSUPPORTED, "guest %s has no VNC screen", g->name);
        return;
    }
    at.port = (uint16_t)(5900 + info->vnc_display);
    s->far = stream_connect(s->c->group, &at, CONNECT_MS, &far_handler, s);
}

/* The guest runs here, by the state: its console, or why there is none. */
static void open_here(struct session *s, const struct guest *g)
{
    struct consoles *c = s->c;
    const struct hv_key key = {.uuid = g->uuid, .epoch = g->run_epoch};
    struct hv_info info;
    struct addr at = {.kind = ADDR_UNIX};
    if (!hv_lookup(c->d->hv, &key, &info)) {
        session_fail(s, ERR_NOT_READY, "guest %s is not there yet", g->name);
        return;
    }
    if ((s->hello.flags & CONSOLE_SCREEN) != 0) {
        open_screen(s, g, &info);
        return;
    }
    if (info.console[0] == '\0' ||
        str_copy(at.path, sizeof at.path, info.console) >= sizeof at.path) {
        session_fail(s, ERR_UNSUPPORTED, "guest %s has no console under driver %s", g->name,
                     c->d->opt.driver);
        return;
    }
    s->uuid = g->uuid;
    for (struct session *other = c->sessions; other != NULL; other = other->next) {
        if (other == s || other->relay || (other->hello.flags & CONSOLE_SCREEN) != 0 ||
            !id_equal(&other->uuid, &s->uuid)) {
            continue;
        }
        if ((s->hello.flags & CONSOLE_FORCE) == 0) {
            session_fail(s, ERR_IN_USE, "somebody is at the console of guest %s: --force takes it",
                         g->name);
            return;
        }
        session_fail(other, ERR_CANCELLED, "somebody else took the console of guest %s", g->name);
        break;
    }
    s->far = stream_connect(c->group, &at, CONNECT_MS, &far_handler, s);
}

static void open_there(struct session *s, struct fsm_view *v, const struct guest *g)
{
    struct host h;
    struct addr at;
    struct err e;
    if ((s->hello.flags & CONSOLE_RELAYED) != 0) {
        session_fail(s, ERR_STALE, "guest %s is on host %s", g->name, g->host);
        return;
    }
    if (fsm_get_host(v, g->host, &h) != 0 || addr_parse(h.address, &at, &e) != 0) {
        session_fail(s, ERR_NOT_FOUND, "host %s, which has guest %s, is not known", g->host,
                     g->name);
        return;
    }
    s->relay = true;
    s->far = stream_connect(s->c->group, &at, CONNECT_MS, &far_handler, s);
}

static void open_in(struct session *s, struct fsm_view *v)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    int rc = fsm_get_guest(v, s->hello.guest, &g);
    if (rc != 0) {
        session_fail(s, rc, "guest %s %s", s->hello.guest,
                     rc == ERR_NOT_FOUND ? "not found" : err_text(rc));
    } else if (g.state == GUEST_PENDING) {
        session_fail(s, ERR_NOT_READY, "guest %s waits for a host", g.name);
    } else if (g.host[0] == '\0') {
        session_fail(s, ERR_STATE, "guest %s is %s: it has no console", g.name,
                     enum_guest_state.names[g.state]);
    } else if (strcmp(g.host, s->c->d->opt.name) == 0) {
        open_here(s, &g);
    } else {
        open_there(s, v, &g);
    }
}

/* The hello is complete. What this host knows may be old: then the other one knows better. */
static void session_open(struct session *s)
{
    struct daemon *d = s->c->d;
    struct raftlog_status st;
    raftlog_status(d->rl, &st);
    stream_read_stop(s->user);
    if (st.blank || d->diverged) {
        session_fail(s, st.blank ? ERR_NO_POOL : d->broken.code, "host %s %s", d->opt.name,
                     st.blank ? "belongs to no pool yet" : "has stopped applying the log");
        return;
    }
    struct fsm_view *v = fsm_look(d->fsm);
    if (v == NULL) {
        session_fail(s, ERR_NOT_READY, "host %s is busy", d->opt.name);
        return;
    }
    open_in(s, v);
    (void)fsm_view_close(v);
}

static void user_read(void *ctx, const uint8_t *data, size_t len)
{
    struct session *s = ctx;
    if (s->far != NULL) {
        stream_write(s->far, data, len);
        if (stream_unsent(s->far) > TYPED_MAX) {
            stream_read_stop(s->user); /* far_wrote() goes on. */
        }
        return;
    }
    buf_put(&s->in, data, len);
    int n = console_get_hello(s->in.data, s->in.len, &s->hello);
    if (n < 0) {
        session_fail(s, n, "this is no console's hello");
    } else if (n > 0) {
        memmove(s->in.data, s->in.data + n, s->in.len - (size_t)n);
        s->in.len -= (size_t)n;
        session_open(s);
    }
}

static const struct stream_handler user_handler = {.read = user_read,
                                                   .end = user_end,
                                                   .wrote = user_wrote};

/* --- all of them */

struct consoles *consoles_new(struct daemon *d)
{
    struct consoles *c = mem_new(1, sizeof *c);
    c->d = d;
    return c;
}

void consoles_accept(struct consoles *c, int fd, const void *read_ahead, size_t len)
{
    c->group = c->group == NULL ? stream_group_new(&c->d->loop) : c->group;
    struct session *s = mem_new(1, sizeof *s);
    s->user = stream_adopt(c->group, fd, &user_handler, s);
    if (s->user == NULL) {
        free(s);
        return;
    }
    s->c = c;
    s->since_ms = now_ms(c);
    s->next = c->sessions;
    c->sessions = s;
    c->n++;
    if (c->n > SESSIONS_MAX) {
        session_fail(s, ERR_BUSY, "host %s has %u consoles open, the most it can", c->d->opt.name,
                     SESSIONS_MAX);
        return;
    }
    user_read(s, read_ahead, len);
}

void consoles_tick(struct consoles *c, uint64_t now)
{
    struct session *next;
    for (struct session *s = c->sessions; s != NULL; s = next) {
        next = s->next;
        if (s->far == NULL && now - s->since_ms >= HELLO_MS) {
            session_fail(s, ERR_TIMEOUT, "no hello in time");
        } else if (s->blocked && !s->relay && !s->lossy && (s->hello.flags & CONSOLE_SCREEN) == 0 &&
                   now - s->since_ms >= PATIENCE_MS) {
            s->lossy = true;
            stream_read_start(s->far);
        }
    }
}

void consoles_close(struct consoles *c, void (*closed)(void *ctx), void *ctx)
{
    while (c->sessions != NULL) {
        session_fail(c->sessions, ERR_CLOSED, "host %s is stopping", c->d->opt.name);
    }
    if (c->group == NULL) {
        closed(ctx);
        return;
    }
    stream_group_close(c->group, closed, ctx);
    c->group = NULL;
}

struct consoles *consoles_free(struct consoles *c)
{
    free(c);
    return NULL;
}
