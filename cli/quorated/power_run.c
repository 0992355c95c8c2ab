#include "cli/quorated/power_run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "core/err.h"
#include "core/util.h"

struct power_run {
    void (*done)(void *ctx, int code, const char *text);
    void *ctx;
    uv_process_t process;
    uv_timer_t timer;
    uv_pipe_t out;
    int handles;  /* Not closed yet. */
    bool spawned; /* The process is a handle. */
    bool ended;
    bool late;
    int code;
    char text[POWER_TEXT + 1];
    size_t len;
    char room[256];
};

/* --- its end: all handles are closed, then it is told */

static void handle_closed(uv_handle_t *handle)
{
    struct power_run *r = handle->data;
    if (--r->handles > 0) {
        return;
    }
    if (r->done != NULL) {
        r->done(r->ctx, r->code, r->text);
    }
    free(r);
}

static void end(struct power_run *r)
{
    uv_handle_t *all[] = {(uv_handle_t *)&r->process, (uv_handle_t *)&r->timer,
                          (uv_handle_t *)&r->out};
    for (size_t i = r->spawned ? 0 : 1; i < ARRAY_LEN(all) && !r->ended; i++) {
        uv_close(all[i], handle_closed);
    }
    r->ended = true;
}

/* --- what it prints */

static void give_room(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
    struct power_run *r = handle->data;
    (void)size;
    *ret = uv_buf_init(r->room, sizeof r->room);
}

/* Printable and on one line; what is more than its room is passed over. */
static void take(struct power_run *r, const char *data, size_t n)
{
    for (size_t i = 0; i < n && r->len < POWER_TEXT; i++) {
        bool plain = data[i] > ' ' && data[i] < 0x7f;
        if (plain || (r->len > 0 && r->text[r->len - 1] != ' ')) {
            r->text[r->len++] = (char)(plain ? data[i] : ' ');
        }
    }
}

static void printed(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct power_run *r = stream->data;
    if (n > 0) {
        take(r, buf->base, (size_t)n);
    } else if (n < 0) {
        (void)uv_read_stop(stream);
    }
}

/* --- its process */

static void say(struct power_run *r, const char *text)
{
    if (r->len == 0) {
        (void)str_copy(r->text, sizeof r->text, text);
    }
}

static void exited(uv_process_t *process, int64_t status, int signal)
{
    struct power_run *r = process->data;
    char why[64];
    ssize_t n;
    uv_os_fd_t fd;
    /* What it printed last may not have been read yet. */
    while (uv_fileno((uv_handle_t *)&r->out, &fd) == 0 &&
           (n = read(fd, r->room, sizeof r->room)) > 0) {
        take(r, r->room, (size_t)n);
    }
    while (r->len > 0 && r->text[r->len - 1] == ' ') {
        r->text[--r->len] = '\0';
    }
    r->code = r->late ? ERR_TIMEOUT : signal != 0 ? ERR_CRASHED : status != 0 ? ERR_IO : 0;
    (void)snprintf(why, sizeof why, signal != 0 ? "signal %d" : "exit status %d",
                   signal != 0 ? signal : (int)status);
    say(r, r->late ? "it took too long" : why);
    end(r);
}

static void kill_all(const struct power_run *r)
{
    (void)kill(-r->process.pid, SIGKILL); /* It leads a session of its own. */
}

static void too_late(uv_timer_t *timer)
{
    struct power_run *r = timer->data;
    r->late = true;
    kill_all(r);
}

static int spawn(struct power_run *r, const struct power_run_options *o, int out)
{
    uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
                                    {.flags = UV_INHERIT_FD, .data = {.fd = out}},
                                    {.flags = UV_INHERIT_FD, .data = {.fd = out}}};
    char *args[] = {(char *)o->program, "off", (char *)o->host, (char *)o->target,
                    (char *)o->address, NULL};
    uv_process_options_t options = {.exit_cb = exited,
                                    .file = o->program,
                                    .args = args,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio_count = ARRAY_LEN(stdio),
                                    .stdio = stdio};
    return uv_spawn(o->loop, &r->process, &options);
}

static void not_started(uv_timer_t *timer)
{
    end(timer->data);
}

struct power_run *power_run_start(const struct power_run_options *o)
{
    struct power_run *r = mem_new(1, sizeof *r);
    int ends[2];
    *r = (struct power_run){.done = o->done, .ctx = o->ctx, .handles = 2};
    (void)uv_timer_init(o->loop, &r->timer); /* These fail only on bad arguments. */
    (void)uv_pipe_init(o->loop, &r->out, 0);
    r->timer.data = r->out.data = r;
    int rc = pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0 ? -1 : 0;
    if (rc == 0) {
        (void)uv_pipe_open(&r->out, ends[0]);
        rc = spawn(r, o, ends[1]); /* It is a handle also when that failed. */
        (void)close(ends[1]);
        r->spawned = true;
        r->handles++;
        r->process.data = r;
    }
    if (rc != 0) {
        r->code = ERR_IO;
        say(r, rc == -1 ? "no pipe" : uv_strerror(rc));
        (void)uv_timer_start(&r->timer, not_started, 0, 0);
        return r;
    }
    (void)uv_read_start((uv_stream_t *)&r->out, give_room, printed);
    (void)uv_timer_start(&r->timer, too_late, o->timeout_ms, 0);
    return r;
}

struct power_run *power_run_cancel(struct power_run *r)
{
    if (r != NULL) {
        r->done = NULL;
        if (r->process.pid > 0 && uv_is_active((uv_handle_t *)&r->process)) {
            kill_all(r);
        }
        end(r);
    }
    return NULL;
}
