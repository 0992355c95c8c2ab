/* quorate-xen RUN_DIR LOG_DIR: see worker.h. The daemon's socket is descriptor 3. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/xen/worker.h"

#define SOCKET_FD 3

static struct worker worker;

/* ---- saying ---- */

struct sent {
    uv_write_t write;
    char *line;
};

static void was_sent(uv_write_t *write, int status)
{
    struct sent *s = CONTAINER_OF(write, struct sent, write);
    (void)status; /* The daemon's end is heard by reading. */
    free(s->line);
    free(s);
}

void say(struct worker *w, json_t *msg)
{
    struct sent *s = mem_new(1, sizeof *s);
    size_t len = 0;
    s->line = xen_line(msg, &len);
    uv_buf_t buf = uv_buf_init(s->line, (unsigned)len);
    if (uv_write(&s->write, (uv_stream_t *)&w->pipe, &buf, 1, was_sent) != 0) {
        was_sent(&s->write, UV_ECANCELED);
    }
}

void answer(struct worker *w, uint64_t id, const struct err *e, const char *address)
{
    if (id == 0) {
        return;
    }
    json_t *msg = json_object();
    json_t *text = json_string(e->code == 0 ? "" : e->msg);
    (void)json_object_set_new(msg, "id", json_integer((json_int_t)id));
    (void)json_object_set_new(msg, "code", json_integer(e->code));
    (void)json_object_set_new(msg, "msg", text == NULL ? json_string("?") : text);
    (void)json_object_set_new(msg, "address", json_string(address == NULL ? "" : address));
    say(w, msg);
}

void answer_ok(struct worker *w, uint64_t id)
{
    const struct err fine = {0};
    answer(w, id, &fine, NULL);
}

void say_copy(struct dom *d, const char *detail)
{
    json_t *msg = json_object();
    (void)json_object_set_new(msg, "copy", xen_copy_pack(&d->info, detail == NULL ? "" : detail));
    say(d->w, msg);
}

void say_exit(struct worker *w, const struct hv_key *key, const char *exit, const char *detail)
{
    json_t *msg = json_object();
    xen_key_pack(msg, key);
    json_t *text = json_string(detail);
    (void)json_object_set_new(msg, "exit", json_string(exit));
    (void)json_object_set_new(msg, "detail", text == NULL ? json_string("?") : text);
    say(w, msg);
}

/* ---- hearing ---- */

static int on_msg(void *ctx, const json_t *msg, struct err *e)
{
    struct worker *w = ctx;
    int op = xen_op_parse(xen_text(msg, "do"));
    if (op < 0) {
        return err_set(e, ERR_MALFORMED, "no such request: \"%.32s\"", xen_text(msg, "do"));
    }
    dom_request(w, (enum hv_op)op, msg);
    return 0;
}

static void alloc(uv_handle_t *handle, size_t wish, uv_buf_t *ret)
{
    static char buf[65536];
    (void)handle;
    (void)wish;
    *ret = uv_buf_init(buf, sizeof buf);
}

/* The daemon is no more, or says what makes no sense: the next program looks at everything again.
 */
static void has_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct worker *w = stream->data;
    struct err e = {0};
    if (n < 0) {
        _exit(0);
    }
    if (n > 0 && xen_reader_feed(&w->reader, buf->base, (size_t)n, on_msg, w, &e) != 0) {
        (void)fprintf(stderr, "the daemon said: %s\n", e.msg);
        _exit(1);
    }
}

/* ---- hello ---- */

/* The program of a daemon that was killed may be in the middle of a call. */
static int wait_for_the_last(const struct worker *w, struct err *e)
{
    char path[LIMIT_PATH + 8];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    (void)snprintf(path, sizeof path, "%s/lock", w->run_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fcntl(fd, F_SETLKW, &lock) != 0) { /* Held until this process ends. */
        return err_sys(e, ERR_IO, errno, "lock %s", path);
    }
    return 0;
}

/* What guests have and may have. */
static uint32_t memory_for_guests(struct worker *w)
{
    int n = 0;
    libxl_dominfo *list = libxl_list_domain(w->ctx, &n);
    uint64_t kib = (w->phys.free_pages + w->phys.scrub_pages) * 4;
    for (int i = 0; i < n; i++) {
        kib += list[i].domid == 0 ? 0 : list[i].current_memkb;
    }
    if (list != NULL) {
        libxl_dominfo_list_free(list, n);
    }
    return (uint32_t)(kib / 1024);
}

static json_t *hello_of(struct worker *w, json_t *lost)
{
    char version[64];
    json_t *msg = json_object();
    json_t *copies = json_array();
    const libxl_version_info *xen = libxl_get_version_info(w->ctx);
    (void)snprintf(version, sizeof version, "%d.%d%s", xen->xen_version_major,
                   xen->xen_version_minor, xen->xen_version_extra);
    for (struct dom *d = w->doms; d != NULL; d = d->next) {
        (void)json_array_append_new(copies, xen_copy_pack(&d->info, ""));
    }
    (void)json_object_set_new(msg, "hello", json_true());
    (void)json_object_set_new(msg, "version", json_string(version));
    (void)json_object_set_new(msg, "cpus", json_integer(w->phys.nr_cpus));
    (void)json_object_set_new(msg, "memory", json_integer(memory_for_guests(w)));
    (void)json_object_set_new(msg, "copies", copies);
    (void)json_object_set_new(msg, "lost", lost);
    return msg;
}

static json_t *regret(const struct err *e)
{
    json_t *msg = json_object();
    (void)json_object_set_new(msg, "hello", json_false());
    (void)json_object_set_new(msg, "code", json_integer(e->code));
    (void)json_object_set_new(msg, "msg", json_string(e->msg));
    return msg;
}

int main(int argc, char **argv)
{
    struct worker *w = &worker;
    struct err e = {0};
    if (argc != 3 || fcntl(SOCKET_FD, F_GETFD) < 0) {
        (void)fprintf(stderr, "quorate-xen is started by quorated: quorate-xen RUN_DIR LOG_DIR\n");
        return 2;
    }
    w->run_dir = argv[1];
    w->log_dir = argv[2];
    (void)signal(SIGPIPE, SIG_IGN);
    (void)fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC);
    uv_loop_init(&w->loop);
    uv_pipe_init(&w->loop, &w->pipe, 0);
    w->pipe.data = w;
    (void)uv_pipe_open(&w->pipe, SOCKET_FD);
    json_t *lost = json_array();
    int rc = wait_for_the_last(w, &e);
    rc = rc == 0 ? bridge_open(w, &e) : rc;
    rc = rc == 0 ? adopt(w, lost, &e) : rc;
    say(w, rc == 0 ? hello_of(w, lost) : regret(&e));
    (void)uv_read_start((uv_stream_t *)&w->pipe, alloc, has_read);
    return uv_run(&w->loop, UV_RUN_DEFAULT); /* Ends with the daemon. */
}
