/* Work in the background: it runs as a whole at one moment, a while after it was queued, and its
 * end is told a while later. And the rest of libuv that is called. */

#include <arpa/inet.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/vloop_impl.h"

/* Microseconds from queueing to the work, and from the work to its end. Now and then it takes as
 * long as a disk that is busy. */
#define WORK_MIN_US  50
#define WORK_MAX_US  3000
#define WORK_SLOW_US 400000

struct vwork {
    struct vevent begin;
    struct vevent end;
    struct vready ready;
    struct vloop *loop;
    uv_work_t *req;
    bool cancelled;
    struct vwork *next, **prev;
};

static uint64_t while_ns(struct vloop *l)
{
    struct rng *r = &l->proc->chance;
    uint64_t max = rng_chance(r, 10000) ? WORK_SLOW_US : WORK_MAX_US;
    return rng_between(r, WORK_MIN_US, max) * NS_PER_US;
}

static void begin(struct vevent *ev)
{
    struct vwork *w = CONTAINER_OF(ev, struct vwork, begin);
    struct proc *p = w->loop->proc;
    if (p->paused || p->machine->frozen) {
        vevent_set(ev, world.now_ns + 10 * NS_PER_MS);
        return;
    }
    if (!w->cancelled) {
        struct proc *before = proc_enter(p);
        w->req->work_cb(w->req);
        proc_leave(before);
    }
    vevent_set(&w->end, world.now_ns + while_ns(w->loop));
}

static void end(struct vevent *ev)
{
    struct vwork *w = CONTAINER_OF(ev, struct vwork, end);
    vready_add(w->loop, &w->loop->input, &w->ready);
}

static void unlink_work(struct vwork *w)
{
    vevent_clear(&w->begin);
    vevent_clear(&w->end);
    *w->prev = w->next;
    if (w->next != NULL) {
        w->next->prev = w->prev;
    }
    world_free(w);
}

static void tell(struct vready *r)
{
    struct vwork *w = CONTAINER_OF(r, struct vwork, ready);
    uv_work_t *req = w->req;
    int status = w->cancelled ? UV_ECANCELED : 0;
    w->loop->requests--;
    unlink_work(w);
    if (req->after_work_cb != NULL) {
        req->after_work_cb(req, status);
    }
}

int uv_queue_work(uv_loop_t *loop, uv_work_t *req, uv_work_cb work, uv_after_work_cb after)
{
    struct vloop *l = vloop_of(loop);
    struct vwork *w = world_new(1, sizeof *w);
    req->type = UV_WORK;
    req->loop = loop;
    req->work_cb = work;
    req->after_work_cb = after;
    req->reserved[0] = w;
    w->begin.fire = begin;
    w->end.fire = end;
    w->ready.run = tell;
    w->loop = l;
    w->req = req;
    w->next = l->works;
    w->prev = &l->works;
    if (w->next != NULL) {
        w->next->prev = &w->next;
    }
    l->works = w;
    l->requests++;
    vevent_set(&w->begin, world.now_ns + while_ns(l));
    return 0;
}

int uv_cancel(uv_req_t *req)
{
    struct vwork *w = req->type == UV_WORK ? req->reserved[0] : NULL;
    if (w == NULL || w->cancelled || !vevent_is_set(&w->begin)) {
        return UV_EBUSY;
    }
    w->cancelled = true;
    return 0;
}

void vwork_drop_all(struct vloop *l)
{
    while (l->works != NULL) {
        unlink_work(l->works);
    }
}

/* --- the rest */

uv_buf_t uv_buf_init(char *base, unsigned len)
{
    return (uv_buf_t){.base = base, .len = len};
}

const char *uv_strerror(int error)
{
    return error == UV_EOF ? "end of file" : error == UV_ECANCELED ? "cancelled" : strerror(-error);
}

int uv_ip4_addr(const char *ip, int port, struct sockaddr_in *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->sin_family = AF_INET;
    ret->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, ip, &ret->sin_addr) == 1 ? 0 : UV_EINVAL;
}

int uv_ip6_addr(const char *ip, int port, struct sockaddr_in6 *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->sin6_family = AF_INET6;
    ret->sin6_port = htons((uint16_t)port);
    return inet_pton(AF_INET6, ip, &ret->sin6_addr) == 1 ? 0 : UV_EINVAL;
}

/* Every simulated machine has this many processors and this much memory. */
int uv_cpu_info(uv_cpu_info_t **ret, int *ret_n)
{
    *ret = NULL;
    *ret_n = 8;
    return 0;
}

void uv_free_cpu_info(uv_cpu_info_t *infos, int n)
{
    (void)infos;
    (void)n;
}

uint64_t uv_get_total_memory(void)
{
    return UINT64_C(64) << 30;
}

int uv_random(uv_loop_t *loop,
              uv_random_t *req,
              void *to,
              size_t len,
              unsigned flags,
              uv_random_cb cb)
{
    (void)loop;
    (void)req;
    (void)flags;
    (void)cb;
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)to)[i] = (uint8_t)rng_below(&proc_now->random, 256);
    }
    return 0;
}

/* Names are not simulated: every address is a number. */
int uv_getaddrinfo(uv_loop_t *loop,
                   uv_getaddrinfo_t *req,
                   uv_getaddrinfo_cb cb,
                   const char *node,
                   const char *service,
                   const struct addrinfo *hints)
{
    (void)loop;
    (void)req;
    (void)cb;
    (void)node;
    (void)service;
    (void)hints;
    return UV_EAI_NONAME;
}

void uv_freeaddrinfo(struct addrinfo *info)
{
    (void)info;
}

/* Only driver qemu watches descriptors, and it is not simulated. */
int uv_poll_init(uv_loop_t *loop, uv_poll_t *h, int fd)
{
    (void)loop;
    (void)h;
    (void)fd;
    return UV_ENOTSUP;
}

int uv_poll_start(uv_poll_t *h, int events, uv_poll_cb cb)
{
    (void)h;
    (void)events;
    (void)cb;
    return UV_ENOTSUP;
}

int uv_poll_stop(uv_poll_t *h)
{
    (void)h;
    return UV_ENOTSUP;
}
