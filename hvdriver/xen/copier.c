/* Bytes between a file and a socket: see copier.h. */
#include "hvdriver/xen/copier.h"

#include <errno.h>
#include <unistd.h>

#include "core/util.h"

#define CHUNK (1u << 20)

struct copier {
    uv_work_t work;
    int from;
    int to;
    void (*done)(void *ctx, const struct err *e);
    void *ctx;
    _Atomic uint64_t *bytes;
    struct err e;
};

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, bytes, n);
        if (put < 0 && errno != EINTR) {
            return -1;
        }
        bytes += put > 0 ? put : 0;
        n -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

static void copy(uv_work_t *work)
{
    struct copier *c = work->data;
    CLEANUP(cleanup_free) char *buf = mem_new(CHUNK, 1);
    for (;;) {
        ssize_t n = read(c->from, buf, CHUNK);
        if (n == 0) {
            break;
        }
        if (n > 0 && c->bytes != NULL) {
            *c->bytes += (uint64_t)n;
        }
        if ((n < 0 && errno != EINTR) || (n > 0 && write_all(c->to, buf, (size_t)n) != 0)) {
            (void)err_sys(&c->e, errno == ENOSPC ? ERR_NO_SPACE : ERR_IO, errno, "%s",
                          n < 0 ? "read the guest's memory" : "write the guest's memory");
            break;
        }
    }
    if (close(c->to) != 0 && c->e.code == 0) {
        (void)err_sys(&c->e, ERR_IO, errno, "write the guest's memory");
    }
    (void)close(c->from);
}

static void copied(uv_work_t *work, int status)
{
    struct copier *c = work->data;
    (void)status; /* Never cancelled. */
    c->done(c->ctx, &c->e);
    free(c);
}

void copier_start(uv_loop_t *loop,
                  int from,
                  int to,
                  void (*done)(void *ctx, const struct err *e),
                  void *ctx,
                  _Atomic uint64_t *bytes)
{
    struct copier *c = mem_new(1, sizeof *c);
    *c = (struct copier){.from = from, .to = to, .done = done, .ctx = ctx, .bytes = bytes};
    c->work.data = c;
    (void)uv_queue_work(loop, &c->work, copy, copied);
}
