/* Handles: timers, prepare, check, idle, signals, and what is common to all. */

#include <assert.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/vloop_impl.h"

/* --- time */

void vloop_update_time(struct vloop *l)
{
    l->uv->time = vclock_mono_ns(&l->proc->machine->clock) / NS_PER_MS;
}

void uv_update_time(uv_loop_t *loop)
{
    vloop_update_time(vloop_of(loop));
}

uint64_t uv_now(const uv_loop_t *loop)
{
    return loop->time;
}

uint64_t uv_hrtime(void)
{
    return proc_now == NULL ? world.now_ns : vclock_mono_ns(&proc_now->machine->clock);
}

/* --- all handles */

void vhandle_init(uv_loop_t *loop, uv_handle_t *h, uv_handle_type type)
{
    h->loop = loop;
    h->type = type;
    h->close_cb = NULL;
    h->next_closing = NULL;
    h->flags = VH_REF;
    memset(&h->u, 0, sizeof h->u);
}

void vhandle_start(uv_handle_t *h)
{
    if ((h->flags & VH_ACTIVE) == 0) {
        h->flags |= VH_ACTIVE;
        vloop_of(h->loop)->active += (h->flags & VH_REF) != 0;
    }
}

void vhandle_stop(uv_handle_t *h)
{
    if ((h->flags & VH_ACTIVE) != 0) {
        h->flags &= ~VH_ACTIVE;
        vloop_of(h->loop)->active -= (h->flags & VH_REF) != 0;
    }
}

void uv_ref(uv_handle_t *h)
{
    if ((h->flags & VH_REF) == 0) {
        h->flags |= VH_REF;
        vloop_of(h->loop)->active += (h->flags & VH_ACTIVE) != 0;
    }
}

void uv_unref(uv_handle_t *h)
{
    if ((h->flags & VH_REF) != 0) {
        h->flags &= ~VH_REF;
        vloop_of(h->loop)->active -= (h->flags & VH_ACTIVE) != 0;
    }
}

int uv_is_active(const uv_handle_t *h)
{
    return (h->flags & VH_ACTIVE) != 0;
}

int uv_is_closing(const uv_handle_t *h)
{
    return (h->flags & (VH_CLOSING | VH_CLOSED)) != 0;
}

/* --- prepare, check, idle */

#define LIST_HANDLE(name, TYPE)                                \
    int uv_##name##_init(uv_loop_t *loop, uv_##name##_t *h)    \
    {                                                          \
        vhandle_init(loop, (uv_handle_t *)h, TYPE);            \
        h->name##_cb = NULL;                                   \
        return 0;                                              \
    }                                                          \
    int uv_##name##_start(uv_##name##_t *h, uv_##name##_cb cb) \
    {                                                          \
        if (uv_is_active((uv_handle_t *)h)) {                  \
            return 0;                                          \
        }                                                      \
        if (cb == NULL) {                                      \
            return UV_EINVAL;                                  \
        }                                                      \
        q_insert_head(vloop_of(h->loop)->name, h->queue);      \
        h->name##_cb = cb;                                     \
        vhandle_start((uv_handle_t *)h);                       \
        return 0;                                              \
    }                                                          \
    int uv_##name##_stop(uv_##name##_t *h)                     \
    {                                                          \
        if (uv_is_active((uv_handle_t *)h)) {                  \
            q_remove(h->queue);                                \
            vhandle_stop((uv_handle_t *)h);                    \
        }                                                      \
        return 0;                                              \
    }

LIST_HANDLE(prepare, UV_PREPARE)
LIST_HANDLE(check, UV_CHECK)
LIST_HANDLE(idle, UV_IDLE)

/* --- signals: nobody sends any; a graceful stop is asked for by calling the handler's function */

int uv_signal_init(uv_loop_t *loop, uv_signal_t *h)
{
    vhandle_init(loop, (uv_handle_t *)h, UV_SIGNAL);
    return 0;
}

int uv_signal_start(uv_signal_t *h, uv_signal_cb cb, int signum)
{
    h->signal_cb = cb;
    h->signum = signum;
    vhandle_start((uv_handle_t *)h);
    return 0;
}

/* --- timers: a heap by (timeout, number); the place is in heap_node[0] */

static uint32_t place_of(const uv_timer_t *t)
{
    return (uint32_t)(uintptr_t)t->heap_node[0];
}

static void put(struct vloop *l, uint32_t place, uv_timer_t *t)
{
    l->timers[place] = t;
    t->heap_node[0] = (void *)(uintptr_t)place;
}

static bool before(const uv_timer_t *a, const uv_timer_t *b)
{
    return a->timeout != b->timeout ? a->timeout < b->timeout : a->start_id < b->start_id;
}

static void sift(struct vloop *l, uv_timer_t *t)
{
    uint32_t i = place_of(t);
    while (i > 1 && before(t, l->timers[i / 2])) {
        put(l, i, l->timers[i / 2]);
        i /= 2;
    }
    for (uint32_t child = 2 * i; child <= l->n_timers; child = 2 * i) {
        child += child < l->n_timers && before(l->timers[child + 1], l->timers[child]);
        if (!before(l->timers[child], t)) {
            break;
        }
        put(l, i, l->timers[child]);
        i = child;
    }
    put(l, i, t);
}

int uv_timer_init(uv_loop_t *loop, uv_timer_t *t)
{
    vhandle_init(loop, (uv_handle_t *)t, UV_TIMER);
    t->timer_cb = NULL;
    t->timeout = 0;
    t->repeat = 0;
    return 0;
}

int uv_timer_start(uv_timer_t *t, uv_timer_cb cb, uint64_t timeout, uint64_t repeat)
{
    struct vloop *l = vloop_of(t->loop);
    if (uv_is_closing((uv_handle_t *)t) || cb == NULL) {
        return UV_EINVAL;
    }
    (void)uv_timer_stop(t);
    uint64_t at = t->loop->time + timeout;
    t->timer_cb = cb;
    t->timeout = at < timeout ? UINT64_MAX : at;
    t->repeat = repeat;
    t->start_id = l->timer_numbers++;
    if (l->n_timers + 1 >= l->cap_timers) {
        l->cap_timers = l->cap_timers == 0 ? 64 : l->cap_timers * 2;
        l->timers = world_grow(l->timers, l->cap_timers, sizeof(uv_timer_t *));
    }
    put(l, ++l->n_timers, t);
    sift(l, t);
    vhandle_start((uv_handle_t *)t);
    return 0;
}

int uv_timer_stop(uv_timer_t *t)
{
    struct vloop *l = vloop_of(t->loop);
    if (!uv_is_active((uv_handle_t *)t)) {
        return 0;
    }
    uint32_t place = place_of(t);
    uv_timer_t *last = l->timers[l->n_timers--];
    if (last != t) {
        put(l, place, last);
        sift(l, last);
    }
    vhandle_stop((uv_handle_t *)t);
    return 0;
}

uint64_t uv_timer_get_due_in(const uv_timer_t *t)
{
    return t->loop->time >= t->timeout ? 0 : t->timeout - t->loop->time;
}

void vtimers_run(struct vloop *l)
{
    while (l->n_timers > 0 && l->timers[1]->timeout <= l->uv->time) {
        uv_timer_t *t = l->timers[1];
        (void)uv_timer_stop(t);
        if (t->repeat != 0) {
            (void)uv_timer_start(t, t->timer_cb, t->repeat, t->repeat);
        }
        t->timer_cb(t);
    }
}

/* --- closing */

void uv_close(uv_handle_t *h, uv_close_cb cb)
{
    struct vloop *l = vloop_of(h->loop);
    assert(!uv_is_closing(h));
    h->flags |= VH_CLOSING;
    h->close_cb = cb;
    switch ((int)h->type) {
    case UV_TIMER: (void)uv_timer_stop((uv_timer_t *)h); break;
    case UV_PREPARE: (void)uv_prepare_stop((uv_prepare_t *)h); break;
    case UV_CHECK: (void)uv_check_stop((uv_check_t *)h); break;
    case UV_IDLE: (void)uv_idle_stop((uv_idle_t *)h); break;
    case UV_TCP:
    case UV_NAMED_PIPE: vstream_stop(h); break;
    default: vhandle_stop(h); break;
    }
    l->requests++;
    h->next_closing = l->closing;
    l->closing = h;
    if (!l->in_turn) {
        vloop_plan(l);
    }
}
