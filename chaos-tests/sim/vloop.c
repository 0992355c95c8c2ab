/* The turn, and when the next one is. */

#include "chaos-tests/sim/vloop.h"

#include <assert.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/seam.h"
#include "chaos-tests/sim/vdisk.h"
#include "chaos-tests/sim/vloop_impl.h"

struct vloop *vloop_of(const uv_loop_t *loop)
{
    return loop->internal_fields;
}

/* --- lists of things to do */

void vready_add(struct vloop *l, struct vready_list *list, struct vready *r)
{
    if (r->prev != NULL) {
        return;
    }
    r->next = NULL;
    r->prev = list->last;
    *list->last = r;
    list->last = &r->next;
    if (!l->in_turn) {
        vloop_plan(l);
    }
}

void vready_remove(struct vready_list *list, struct vready *r)
{
    if (r->prev == NULL) {
        return;
    }
    *r->prev = r->next;
    if (r->next != NULL) {
        r->next->prev = r->prev;
    } else if (list->last == &r->next) {
        list->last = r->prev;
    }
    r->prev = NULL;
    r->next = NULL;
}

static void list_init(struct vready_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

/* Everything that is in it now; what is added meanwhile waits for the next turn. */
static void run_list(struct vready_list *list)
{
    struct vready_list now;
    list_init(&now);
    if (list->first == NULL) {
        return;
    }
    now = *list;
    now.first->prev = &now.first;
    list_init(list);
    while (now.first != NULL) {
        struct vready *r = now.first;
        if (r->next == NULL) {
            now.last = &now.first;
        }
        vready_remove(&now, r);
        r->run(r);
    }
}

/* --- prepare, check, idle: as in libuv, what is started first runs last */

static void q_init(void *q[2])
{
    q[0] = q[1] = q;
}

void q_insert_head(void *head[2], void *q[2])
{
    void **first = head[0];
    q[0] = first;
    q[1] = head;
    first[1] = q;
    head[0] = q;
}

void q_remove(void *q[2])
{
    void **next = q[0];
    void **prev = q[1];
    next[1] = prev;
    prev[0] = next;
}

static void q_insert_tail(void *head[2], void *q[2])
{
    void **last = head[1];
    q[0] = head;
    q[1] = last;
    last[0] = q;
    head[1] = q;
}

#define RUN_QUEUE(name)                                               \
    static void run_##name(struct vloop *l)                           \
    {                                                                 \
        void *now[2];                                                 \
        if (l->name[0] == l->name) {                                  \
            return;                                                   \
        }                                                             \
        now[0] = l->name[0];                                          \
        now[1] = l->name[1];                                          \
        ((void **)now[0])[1] = now;                                   \
        ((void **)now[1])[0] = now;                                   \
        q_init(l->name);                                              \
        while (now[0] != now) {                                       \
            void **q = now[0];                                        \
            uv_##name##_t *h = CONTAINER_OF(q, uv_##name##_t, queue); \
            q_remove(q);                                              \
            q_insert_tail(l->name, q);                                \
            h->name##_cb(h);                                          \
        }                                                             \
    }

RUN_QUEUE(prepare)
RUN_QUEUE(check)
RUN_QUEUE(idle)

/* --- closing */

static void finish_close(struct vloop *l, uv_handle_t *h)
{
    if (h->type == UV_TCP || h->type == UV_NAMED_PIPE) {
        vstream_finish(h);
    }
    h->flags |= VH_CLOSED;
    l->requests--;
    if (h->close_cb != NULL) {
        h->close_cb(h);
    }
}

static void run_closing(struct vloop *l)
{
    uv_handle_t *h = l->closing;
    l->closing = NULL;
    while (h != NULL) {
        uv_handle_t *next = h->next_closing;
        finish_close(l, h);
        h = next;
    }
}

/* --- the turn */

static bool alive(const struct vloop *l)
{
    return l->active > 0 || l->requests > 0 || l->closing != NULL;
}

/* When must the loop turn next, if nothing else happens? */
static uint64_t next_ns(const struct vloop *l)
{
    if (!l->begun || l->idle[0] != l->idle || l->pending.first != NULL || l->closing != NULL ||
        l->input.first != NULL || l->disk_due || !alive(l)) {
        return l->busy_until_ns;
    }
    if (l->n_timers == 0) {
        return UINT64_MAX;
    }
    uint64_t at = vclock_when(&l->proc->machine->clock, l->timers[1]->timeout * NS_PER_MS);
    return max_u64(at, l->busy_until_ns);
}

void vloop_plan(struct vloop *l)
{
    if (l->ended || l->proc->paused || l->proc->dead || !l->proc->machine->on ||
        l->proc->machine->frozen) {
        vevent_clear(&l->wake);
        return;
    }
    uint64_t at = next_ns(l);
    if (at == UINT64_MAX) {
        vevent_clear(&l->wake);
    } else if (!vevent_is_set(&l->wake) || l->wake.at_ns != max_u64(at, world.now_ns)) {
        vevent_set(&l->wake, at);
    }
}

static void input_phase(struct vloop *l)
{
    vloop_update_time(l);
    if (l->disk_due) {
        l->disk_due = false;
        vdisk_run(l->proc);
    }
    run_list(&l->input);
    run_check(l);
    run_closing(l);
}

static void turn(struct vloop *l)
{
    if (l->begun) {
        l->idle_ns += world.now_ns - l->slept_ns;
        input_phase(l);
    }
    l->begun = true;
    l->ended = !alive(l);
    if (l->ended) {
        return;
    }
    vloop_update_time(l);
    vtimers_run(l);
    run_list(&l->pending);
    run_idle(l);
    run_prepare(l);
}

static void turn_of(void *ctx)
{
    turn(ctx);
}

static void wake(struct vevent *ev)
{
    struct vloop *l = CONTAINER_OF(ev, struct vloop, wake);
    struct proc *p = l->proc;
    const struct machine *m = p->machine;
    l->turns++;
    world_note('t', p->number, l->turns);
    struct proc *before = proc_enter(p);
    l->in_turn = true;
    bool lives = seam_run(p, turn_of, l);
    l->in_turn = false;
    proc_leave(before);
    if (!lives) {
        return;
    }
    l->slept_ns = world.now_ns;
    l->busy_until_ns =
        world.now_ns + rng_between(&p->chance, m->turn_min_us, m->turn_max_us) * NS_PER_US;
    vdisk_arm(p);
    vloop_plan(l);
    if (l->ended && p->ended != NULL) {
        p->ended(p);
    }
}

/* --- begin and end */

int uv_loop_init(uv_loop_t *loop)
{
    struct proc *p = proc_now;
    assert(p != NULL && p->loop == NULL);
    void *data = loop->data;
    memset(loop, 0, sizeof *loop);
    loop->data = data;
    struct vloop *l = world_new(1, sizeof *l);
    l->proc = p;
    l->uv = loop;
    l->wake.fire = wake;
    q_init(l->prepare);
    q_init(l->check);
    q_init(l->idle);
    list_init(&l->input);
    list_init(&l->pending);
    loop->internal_fields = l;
    p->loop = l;
    vloop_update_time(l);
    return 0;
}

int uv_loop_close(uv_loop_t *loop)
{
    return alive(vloop_of(loop)) ? UV_EBUSY : 0;
}

int uv_loop_configure(uv_loop_t *loop, uv_loop_option option, ...)
{
    (void)loop;
    (void)option;
    return 0;
}

uint64_t uv_metrics_idle_time(uv_loop_t *loop)
{
    return vloop_of(loop)->idle_ns;
}

void vloop_begin(struct proc *p)
{
    struct vloop *l = p->loop;
    l->slept_ns = world.now_ns;
    l->busy_until_ns = world.now_ns + NS_PER_US;
    vdisk_arm(p);
    vloop_plan(l);
}

void vloop_replan(struct proc *p)
{
    if (p->loop != NULL) {
        vloop_plan(p->loop);
    }
}

void vloop_wake_disk(struct proc *p)
{
    p->loop->disk_due = true;
    vloop_plan(p->loop);
}

void vloop_hold(struct proc *p, bool hold)
{
    p->loop->requests += hold ? 1u : UINT32_MAX;
}

struct later {
    struct vready ready;
    struct vloop *loop;
    void (*fn)(void *ctx);
    void *ctx;
};

static void run_later(struct vready *r)
{
    struct later *later = CONTAINER_OF(r, struct later, ready);
    struct later copy = *later;
    world_free(later);
    copy.loop->requests--;
    copy.fn(copy.ctx);
}

void vloop_later(struct proc *p, void (*fn)(void *ctx), void *ctx)
{
    struct later *later = world_new(1, sizeof *later);
    *later = (struct later){.ready = {.run = run_later}, .loop = p->loop, .fn = fn, .ctx = ctx};
    p->loop->requests++;
    vready_add(p->loop, &p->loop->pending, &later->ready);
}

static void drop_later(struct vready_list *list)
{
    for (struct vready *r = list->first, *next; r != NULL; r = next) {
        next = r->next;
        if (r->run == run_later) {
            world_free(CONTAINER_OF(r, struct later, ready));
        }
    }
}

void vloop_drop(struct proc *p)
{
    struct vloop *l = p->loop;
    if (l == NULL) {
        return;
    }
    vevent_clear(&l->wake);
    drop_later(&l->pending); /* The list leads through the streams. */
    vstream_drop_all(l);
    vwork_drop_all(l);
    world_free(l->timers);
    world_free(l);
    p->loop = NULL;
}
