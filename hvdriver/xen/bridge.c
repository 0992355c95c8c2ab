/* libxl on the loop: descriptors, timeouts, children; the ends of its calls and its news, told from
 * the loop and never from inside one of its calls (it may tell of an end before the call that began
 * it has returned). */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/xen/worker.h"

struct call {
    struct call *next;
    struct dom *d;
    uint64_t id;
    call_fn done;
    int rc;
};

struct event {
    struct event *next;
    bool death;
    uint32_t domid;
    libxl_shutdown_reason reason;
};

/* ---- descriptors ---- */

/* libxl may watch one descriptor twice, which a loop's poll cannot: each watch has its own. */
struct watch {
    uv_poll_t poll;
    struct worker *w;
    int fd;
    int own;
    short events;
    void *for_libxl;
};

static int to_uv(short events)
{
    return ((events & POLLIN) != 0 ? UV_READABLE : 0) |
           ((events & POLLOUT) != 0 ? UV_WRITABLE : 0) |
           ((events & POLLPRI) != 0 ? UV_PRIORITIZED : 0);
}

static void fd_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *f = CONTAINER_OF(poll, struct watch, poll);
    int seen = (status < 0 ? POLLERR : 0) | ((events & UV_READABLE) != 0 ? POLLIN : 0) |
               ((events & UV_WRITABLE) != 0 ? POLLOUT : 0) |
               ((events & UV_PRIORITIZED) != 0 ? POLLPRI : 0);
    libxl_osevent_occurred_fd(f->w->ctx, f->for_libxl, f->fd, f->events, (short)seen);
}

static void fd_wait(struct watch *f, short events)
{
    f->events = events;
    if (to_uv(events) != 0) {
        (void)uv_poll_start(&f->poll, to_uv(events), fd_ready);
    } else {
        (void)uv_poll_stop(&f->poll);
    }
}

static int fd_register(void *user, int fd, void **ret, short events, void *for_libxl)
{
    struct worker *w = user;
    struct watch *f = mem_new(1, sizeof *f);
    *f = (struct watch){.w = w, .fd = fd, .for_libxl = for_libxl};
    f->own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    int flags = fcntl(fd, F_GETFL);
    if (f->own < 0 || uv_poll_init(&w->loop, &f->poll, f->own) != 0) {
        (void)close(f->own);
        free(f);
        return ERROR_FAIL;
    }
    /* The loop made it non-blocking, for libxl and its helpers too: they have their own mind. */
    (void)fcntl(fd, F_SETFL, flags);
    fd_wait(f, events);
    *ret = f;
    return 0;
}

static int fd_modify(void *user, int fd, void **registration, short events)
{
    (void)user;
    (void)fd;
    fd_wait(*registration, events);
    return 0;
}

static void fd_closed(uv_handle_t *handle)
{
    struct watch *f = CONTAINER_OF((uv_poll_t *)handle, struct watch, poll);
    (void)close(f->own);
    free(f);
}

static void fd_deregister(void *user, int fd, void *registration)
{
    struct watch *f = registration;
    (void)user;
    (void)fd;
    uv_close((uv_handle_t *)&f->poll, fd_closed);
}

/* ---- timeouts ---- */

struct timeout {
    uv_timer_t timer;
    struct worker *w;
    void *for_libxl;
};

static void timeout_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_timer_t *)handle, struct timeout, timer));
}

static void timeout_due(uv_timer_t *timer)
{
    struct timeout *t = CONTAINER_OF(timer, struct timeout, timer);
    libxl_osevent_occurred_timeout(t->w->ctx, t->for_libxl);
    uv_close((uv_handle_t *)timer, timeout_closed);
}

/* libxl counts in wall time; what is asked for is how long from now. */
static uint64_t ms_until(struct timeval at)
{
    struct timeval now;
    (void)gettimeofday(&now, NULL);
    int64_t ms = (int64_t)(at.tv_sec - now.tv_sec) * 1000 + (at.tv_usec - now.tv_usec) / 1000;
    return ms < 0 ? 0 : (uint64_t)ms;
}

static int timeout_register(void *user, void **ret, struct timeval at, void *for_libxl)
{
    struct worker *w = user;
    struct timeout *t = mem_new(1, sizeof *t);
    *t = (struct timeout){.w = w, .for_libxl = for_libxl};
    uv_timer_init(&w->loop, &t->timer);
    uv_update_time(&w->loop);
    (void)uv_timer_start(&t->timer, timeout_due, ms_until(at), 0);
    *ret = t;
    return 0;
}

/* Only ever asked to be due at once. */
static int timeout_modify(void *user, void **registration, struct timeval at)
{
    struct timeout *t = *registration;
    (void)user;
    (void)at;
    (void)uv_timer_start(&t->timer, timeout_due, 0, 0);
    return 0;
}

static void timeout_deregister(void *user, void *registration)
{
    (void)user;
    (void)registration; /* Never called: libxl asks for it to be due. */
}

static const libxl_osevent_hooks os_hooks = {.fd_register = fd_register,
                                             .fd_modify = fd_modify,
                                             .fd_deregister = fd_deregister,
                                             .timeout_register = timeout_register,
                                             .timeout_modify = timeout_modify,
                                             .timeout_deregister = timeout_deregister};

/* ---- children ---- */

static uv_signal_t child_signal;

static void child_ended(uv_signal_t *signal, int number)
{
    struct worker *w = signal->data;
    (void)number;
    (void)libxl_childproc_sigchld_occurred(w->ctx);
}

static const libxl_childproc_hooks child_hooks = {.chldowner = libxl_sigchld_owner_mainloop};

/* ---- ends and news, from the loop ---- */

static void tell(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    while (w->ended != NULL) {
        struct call *c = w->ended;
        struct dom *d = c->d;
        w->ended = c->next;
        c->done(d, c->id, c->rc);
        d->calls--; /* Only now may it go. */
        dom_settle(d);
        free(c);
    }
    while (w->events != NULL) {
        struct event *event = w->events;
        w->events = event->next;
        if (event->death) {
            dom_dead(w, event->domid);
        } else {
            dom_shut_down(w, event->domid, event->reason);
        }
        free(event);
    }
}

static void has_ended(struct call *c, int rc)
{
    struct worker *w = c->d->w;
    struct call **end = &w->ended;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    c->rc = rc;
    *end = c;
    (void)uv_timer_start(&w->soon, tell, 0, 0);
}

static void ao_ended(libxl_ctx *ctx, int rc, void *for_callback)
{
    (void)ctx;
    has_ended(for_callback, rc);
}

libxl_asyncop_how call_begin(struct dom *d, uint64_t id, call_fn done, struct call **ret)
{
    struct call *c = mem_new(1, sizeof *c);
    *c = (struct call){.d = d, .id = id, .done = done};
    d->calls++;
    d->w->complaint[0] = '\0';
    *ret = c;
    return (libxl_asyncop_how){.callback = ao_ended, .u.for_callback = c};
}

void call_begun(struct call *c, int rc)
{
    if (rc != 0) {
        has_ended(c, rc);
    }
}

static void event_occurs(void *user, libxl_event *from)
{
    struct worker *w = user;
    struct event *event = mem_new(1, sizeof *event);
    event->domid = from->domid;
    event->death = from->type == LIBXL_EVENT_TYPE_DOMAIN_DEATH;
    if (from->type == LIBXL_EVENT_TYPE_DOMAIN_SHUTDOWN) {
        event->reason = from->u.domain_shutdown.shutdown_reason;
    }
    libxl_event_free(w->ctx, from);
    struct event **end = &w->events;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = event;
    (void)uv_timer_start(&w->soon, tell, 0, 0);
}

/* It could not hear something that may have happened: the next one looks at everything again. */
static void disaster(void *user, libxl_event_type type, const char *msg, int errnoval)
{
    (void)user;
    (void)type;
    (void)fprintf(stderr, "libxl cannot hear events: %s: errno %d\n", msg, errnoval);
    _exit(1);
}

static const libxl_event_hooks event_hooks = {.event_occurs_mask = LIBXL_EVENTMASK_ALL,
                                              .event_occurs = event_occurs,
                                              .disaster = disaster};

void bridge_watch(struct dom *d)
{
    if (d->death == NULL && d->domid != 0) {
        (void)libxl_evenable_domain_death(d->w->ctx, d->domid, 0, &d->death);
    }
}

void bridge_unwatch(struct dom *d)
{
    if (d->death != NULL) {
        libxl_evdisable_domain_death(d->w->ctx, d->death);
        d->death = NULL;
    }
}

/* ---- what libxl has to say ---- */

struct log {
    xentoollog_logger base;
    struct worker *w;
};

static void vmessage(xentoollog_logger *logger,
                     xentoollog_level level,
                     int errnoval,
                     const char *context,
                     const char *format,
                     va_list args)
{
    struct worker *w = CONTAINER_OF(logger, struct log, base)->w;
    char text[ERR_MSG_SIZE];
    if (level < XTL_WARN) {
        return;
    }
    (void)vsnprintf(text, sizeof text, format, args);
    (void)fprintf(stderr, "%s: %s: %s", xtl_level_to_string(level),
                  context == NULL ? "libxl" : context, text);
    (void)fprintf(stderr, errnoval < 0 ? "\n" : " (errno %d)\n", errnoval);
    if (level >= XTL_ERROR && w->complaint[0] == '\0') {
        const char *from = strstr(text, ":Domain ") == NULL ? text : strstr(text, ":Domain ") + 1;
        (void)str_copy(w->complaint, sizeof w->complaint, from);
    }
}

static void no_progress(xentoollog_logger *logger,
                        const char *context,
                        const char *doing_what,
                        int percent,
                        unsigned long done,
                        unsigned long total)
{
    (void)logger;
    (void)context;
    (void)doing_what;
    (void)percent;
    (void)done;
    (void)total;
}

static void no_destroy(xentoollog_logger *logger)
{
    (void)logger;
}

int complain(struct worker *w, int rc, const char *what, struct err *e)
{
    int code = rc == ERROR_NOMEM             ? ERR_NO_MEMORY
               : rc == ERROR_DOMAIN_NOTFOUND ? ERR_NOT_FOUND
                                             : ERR_HYPERVISOR;
    (void)err_set(e, code, "%s: libxl error %d%s%s", what, rc, w->complaint[0] == '\0' ? "" : ": ",
                  w->complaint);
    w->complaint[0] = '\0';
    return code;
}

int bridge_open(struct worker *w, struct err *e)
{
    static struct log log = {
        .base = {.vmessage = vmessage, .progress = no_progress, .destroy = no_destroy}};
    log.w = w;
    uv_timer_init(&w->loop, &w->soon);
    w->soon.data = w;
    int rc = libxl_ctx_alloc(&w->ctx, LIBXL_VERSION, 0, &log.base);
    if (rc != 0) {
        return err_set(e, ERR_UNSUPPORTED,
                       "driver xen: this host runs no Xen, or its tools do not fit: %s",
                       w->complaint[0] == '\0' ? "libxl cannot be opened" : w->complaint);
    }
    w->xs = xs_open(0);
    if (w->xs == NULL) {
        return err_sys(e, ERR_UNSUPPORTED, errno, "driver xen: xenstored does not answer");
    }
    libxl_osevent_register_hooks(w->ctx, &os_hooks, w);
    libxl_childproc_setmode(w->ctx, &child_hooks, NULL);
    libxl_event_register_callbacks(w->ctx, &event_hooks, w);
    uv_signal_init(&w->loop, &child_signal);
    child_signal.data = w;
    (void)uv_signal_start(&child_signal, child_ended, SIGCHLD);
    libxl_physinfo_init(&w->phys);
    if (libxl_get_physinfo(w->ctx, &w->phys) != 0) {
        return err_set(e, ERR_HYPERVISOR, "driver xen: Xen does not say what this host has");
    }
    return 0;
}
