#include "hvdriver/qmp.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "core/util.h"

#include "hvdriver/qmp_msg.h"

#define RETRY_MS 50u

struct command {
    struct command *next;
    char *text;
    json_int_t id;
    qmp_reply_fn reply;
    void *ctx;
};

struct qmp {
    struct qmp_owner owner;
    uv_loop_t *loop;
    char *path;
    uv_pipe_t pipe;
    uv_timer_t timer; /* After a loss: fails what was asked, connects again. */
    uv_connect_t connect;
    uint32_t handles;
    bool open;    /* pipe is a handle, perhaps not connected yet. */
    bool closing; /* Its close callback has not run yet. */
    bool ready;   /* The greeting is over. */
    bool sent;    /* The first of `commands` is with QEMU. */
    bool freed;
    json_int_t last_id;
    struct command *commands;
    char *line;
    size_t len;
};

struct message {
    uv_write_t write;
    char *text;
};

static void handle_closed(uv_handle_t *handle)
{
    struct qmp *q = handle->data;
    if (--q->handles == 0) {
        free(q->line);
        free(q->path);
        free(q);
    }
}

static void command_free(struct command *c)
{
    free(c->text);
    free(c);
}

static void pipe_closed(uv_handle_t *handle)
{
    struct qmp *q = handle->data;
    q->closing = false;
    handle_closed(handle);
}

static void close_pipe(struct qmp *q)
{
    if (q->open) {
        q->open = false;
        q->closing = true;
        uv_close((uv_handle_t *)&q->pipe, pipe_closed);
    }
}

void qmp_free(struct qmp *q)
{
    if (q == NULL || q->freed) {
        return;
    }
    q->freed = true;
    while (q->commands != NULL) {
        struct command *c = q->commands;
        q->commands = c->next;
        command_free(c);
    }
    close_pipe(q);
    uv_close((uv_handle_t *)&q->timer, handle_closed);
}

bool qmp_is_ready(const struct qmp *q)
{
    return q->ready;
}

/* Take the first command off and tell its sender. */
static void answer(struct qmp *q, json_t *value, const struct err *e)
{
    struct command *c = q->commands;
    q->commands = c->next;
    q->sent = false;
    qmp_reply_fn reply = c->reply;
    void *ctx = c->ctx;
    command_free(c);
    if (reply != NULL) {
        reply(ctx, value, e);
    }
}

static void timer_due(uv_timer_t *timer);

/* The connection is no more. Those who wait are told from the timer, never from inside a call. */
static void lost(struct qmp *q)
{
    q->ready = false;
    q->len = 0;
    close_pipe(q);
    if (!q->freed) {
        uv_timer_start(&q->timer, timer_due, RETRY_MS, 0);
    }
}

static void written(uv_write_t *write, int status)
{
    struct message *m = CONTAINER_OF(write, struct message, write);
    (void)status; /* The reader hears of a broken connection. */
    free(m->text);
    free(m);
}

static void send_text(struct qmp *q, char *text)
{
    struct message *m = mem_new(1, sizeof *m);
    m->text = text;
    uv_buf_t buf = uv_buf_init(text, (unsigned)strlen(text));
    if (uv_write(&m->write, (uv_stream_t *)&q->pipe, &buf, 1, written) < 0) {
        written(&m->write, UV_EPIPE);
        lost(q);
    }
}

static void send_next(struct qmp *q)
{
    if (!q->ready || q->sent || q->commands == NULL) {
        return;
    }
    q->sent = true;
    char *text = q->commands->text;
    q->commands->text = NULL;
    send_text(q, text);
}

void qmp_call(struct qmp *q, const char *command, json_t *args, qmp_reply_fn reply, void *ctx)
{
    assert(!q->freed);
    struct command *c = mem_new(1, sizeof *c);
    c->id = ++q->last_id;
    c->reply = reply;
    c->ctx = ctx;
    json_t *root = json_pack("{s:s, s:I}", "execute", command, "id", c->id);
    if (args != NULL) {
        (void)json_object_set_new(root, "arguments", args);
    }
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    size_t len = strlen(text);
    c->text = mem_new(len + 2, 1);
    memcpy(c->text, text, len);
    c->text[len] = '\n';
    free(text);
    struct command **end = &q->commands;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = c;
    send_next(q); /* Or when the connection, which is being made, is there. */
}

/* ---- hearing ---- */

static void handle_message(struct qmp *q, const struct qmp_msg *m)
{
    static const struct err none;
    struct err e;
    if (m->kind == QMP_EVENT) {
        if (q->ready) {
            q->owner.event(q->owner.ctx, m->name, m->value);
        }
    } else if (m->kind == QMP_GREETING) {
        send_text(q, mem_strdup("{\"execute\":\"qmp_capabilities\",\"id\":0}\n"));
    } else if (m->id == 0 && m->kind == QMP_RETURN) {
        q->ready = true;
        q->owner.ready(q->owner.ctx);
    } else if (m->id == 0 && m->kind == QMP_ERROR) {
        lost(q); /* The handshake is refused: the next connection tries again. */
    } else if (q->sent && q->commands->id == m->id) {
        if (m->kind == QMP_ERROR) {
            (void)err_set(&e, ERR_HYPERVISOR, "%s", m->text);
        }
        answer(q, m->kind == QMP_ERROR ? NULL : m->value, m->kind == QMP_ERROR ? &e : &none);
    }
    if (!q->freed) {
        send_next(q); /* Does nothing on a connection that is lost. */
    }
}

static bool handle_line(struct qmp *q, size_t len)
{
    struct qmp_msg m;
    struct err e;
    if (qmp_msg_parse(q->line, len, &m, &e) != 0) {
        return false;
    }
    handle_message(q, &m);
    qmp_msg_done(&m);
    return true;
}

static void alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct qmp *q = handle->data;
    (void)hint;
    *buf = uv_buf_init(q->line + q->len, (unsigned)(QMP_LINE_MAX - q->len));
}

static void heard(uv_stream_t *pipe, ssize_t n, const uv_buf_t *buf)
{
    struct qmp *q = pipe->data;
    (void)buf;
    if (n == 0 || !q->open) {
        return;
    }
    if (n < 0) { /* Also UV_ENOBUFS: a line that does not end. */
        lost(q);
        return;
    }
    q->len += (size_t)n;
    const char *end;
    while (q->open && (end = memchr(q->line, '\n', q->len)) != NULL) {
        size_t used = (size_t)(end - q->line) + 1;
        bool fine = handle_line(q, used - 1);
        if (!q->open) {
            return;
        }
        q->len -= used;
        memmove(q->line, q->line + used, q->len);
        if (!fine) {
            lost(q);
            return;
        }
    }
}

static void connected(uv_connect_t *connect, int status)
{
    struct qmp *q = CONTAINER_OF(connect, struct qmp, connect);
    if (!q->open) {
        return;
    }
    if (status < 0 || uv_read_start((uv_stream_t *)&q->pipe, alloc, heard) < 0) {
        lost(q);
    }
}

static void connect_now(struct qmp *q)
{
    q->handles++;
    q->open = true;
    uv_pipe_init(q->loop, &q->pipe, 0);
    q->pipe.data = q;
    uv_pipe_connect(&q->connect, &q->pipe, q->path, connected);
}

static void timer_due(uv_timer_t *timer)
{
    struct qmp *q = timer->data;
    struct err e;
    (void)err_set(&e, ERR_CLOSED, "QEMU's monitor does not answer");
    while (!q->freed && !q->ready && q->commands != NULL) {
        answer(q, NULL, &e);
    }
    if (q->freed || q->open) {
        return;
    }
    if (q->closing) { /* Not uv_is_closing(), which stays true for ever. */
        uv_timer_start(&q->timer, timer_due, RETRY_MS, 0);
        return;
    }
    connect_now(q);
}

struct qmp *qmp_new(struct uv_loop_s *loop, const char *path, const struct qmp_owner *owner)
{
    struct qmp *q = mem_new(1, sizeof *q);
    q->owner = *owner;
    q->loop = loop;
    q->path = mem_strdup(path);
    q->line = mem_new(QMP_LINE_MAX, 1);
    q->handles = 1;
    uv_timer_init(loop, &q->timer);
    q->timer.data = q;
    connect_now(q);
    return q;
}
