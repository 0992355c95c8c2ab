/* The agent's shell: which guests concern this host, when to look at which, what was heard.
 *
 * Everything that happens only marks slots; the timer `wake` then looks at the marked ones, all in
 * one view of the state. So nothing is carried out from inside somebody else's callback. A slot
 * comes with a guest that concerns this host (its state, or a copy) and goes when it no longer
 * does. Once in a while everything is looked at, for what nothing tells of. */

#include "cli/quorated/agent.h"

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorated/agent_in.h"

uint64_t agent_now(const struct agent *a)
{
    return a->opt.clock->mono_ms(a->opt.clock);
}

void agent_say(struct agent *a,
               const char *event,
               const char *guest,
               uint64_t epoch,
               const struct err *err)
{
    if (a->opt.say != NULL) {
        a->opt.say(a->opt.ctx, event, guest, epoch, err);
    }
}

/* --- waking */

static void woken(uv_timer_t *timer);

static void wake_at(struct agent *a, uint64_t at_ms)
{
    if (a->stopping) {
        return;
    }
    uint64_t now = agent_now(a);
    uint64_t wait = at_ms > now ? at_ms - now : 0;
    if (!uv_is_active((uv_handle_t *)&a->wake) || uv_timer_get_due_in(&a->wake) > wait) {
        uv_update_time(a->opt.loop);
        (void)uv_timer_start(&a->wake, woken, wait, 0);
    }
}

void slot_touch(struct slot *s)
{
    s->dirty = true;
    wake_at(s->agent, 0);
}

void slot_touch_at(struct slot *s, uint64_t at_ms)
{
    s->again_ms = s->again_ms == 0 ? at_ms : min_u64(s->again_ms, at_ms);
    wake_at(s->agent, at_ms);
}

void agent_touch_all(struct agent *a)
{
    a->all = true;
    wake_at(a, 0);
}

/* --- slots */

struct slot *agent_slot(const struct agent *a, const struct id *uuid)
{
    for (uint32_t i = 0; i < a->n_slots; i++) {
        if (id_equal(&a->slots[i]->uuid, uuid)) {
            return a->slots[i];
        }
    }
    return NULL;
}

static enum exit_reason exit_of(const struct slot *s, const struct hv_event *event)
{
    switch (event->exit) {
    case HV_EXIT_UNKNOWN:
        if (agent_guard_ended(s->agent, &event->key)) {
            return EXIT_LOST;
        }
        return s->seen_epoch == event->key.epoch ? EXIT_CRASH : EXIT_LOST;
    case HV_EXIT_POWEROFF: return EXIT_POWEROFF;
    case HV_EXIT_REBOOT: return EXIT_REBOOT;
    case HV_EXIT_CRASH: return EXIT_CRASH;
    case HV_EXIT_DESTROYED: return EXIT_DESTROYED;
    case HV_EXIT_INCOMING: return EXIT_LOST;
    }
    return EXIT_LOST;
}

/* The end of a copy becomes what is remembered of its guest. */
static void remember_exit(struct slot *s, const struct hv_event *event)
{
    struct agent_memory *m = &s->memory;
    uint64_t epoch = event->key.epoch;
    if (epoch >= m->exit_epoch) {
        m->exit_epoch = epoch;
        m->exit = exit_of(s, event);
        (void)str_copy(m->exit_detail, sizeof m->exit_detail, event->detail);
    }
    /* An incoming copy that this run made, and that broke off. */
    if (m->incoming_epoch == epoch) {
        m->incoming_epoch = 0;
        if (event->exit != HV_EXIT_DESTROYED) {
            m->failed_epoch = epoch;
            (void)err_set(&m->failed, ERR_HYPERVISOR, "%s",
                          event->detail[0] != '\0' ? event->detail : hv_exit_name(event->exit));
        }
    }
}

static void adopt_orphans(struct slot *s)
{
    struct agent *a = s->agent;
    for (uint32_t i = 0; i < a->n_orphans;) {
        struct orphan *o = &a->orphans[i];
        if (!id_equal(&o->key.uuid, &s->uuid)) {
            i++;
            continue;
        }
        struct hv_event event = {.kind = HV_EVENT_EXIT, .key = o->key, .exit = o->exit};
        memcpy(event.detail, o->detail, sizeof event.detail);
        remember_exit(s, &event);
        *o = a->orphans[--a->n_orphans];
    }
}

static struct slot *slot_get(struct agent *a, const struct id *uuid, const char *name)
{
    struct slot *s = agent_slot(a, uuid);
    if (s == NULL) {
        s = mem_new(1, sizeof *s);
        s->agent = a;
        s->uuid = *uuid;
        if (a->n_slots == a->cap_slots) {
            a->cap_slots = a->cap_slots == 0 ? 16 : 2 * a->cap_slots;
            a->slots = mem_grow(a->slots, a->cap_slots, sizeof(struct slot *));
        }
        a->slots[a->n_slots++] = s;
        adopt_orphans(s);
    }
    (void)str_copy(s->name, sizeof s->name, name);
    s->dirty = true;
    return s;
}

bool slot_busy(const struct slot *s)
{
    return s->working || s->destroying || s->sending || s->disks != NULL;
}

static void slot_free(struct slot *s)
{
    if (s->flight != NULL) {
        s->flight->slot = NULL;
    }
    free(s->spec);
    free(s);
}

/* --- one look */

/* hv_list() is in order of uuid and epoch: the first copy of this guest, or where it would be. */
static uint32_t first_copy(struct hv *hv, const struct id *uuid)
{
    struct hv_info info;
    uint32_t n = 0;
    for (uint32_t step = 1u << 20; step > 0; step /= 2) {
        if (hv_list(hv, n + step - 1, &info) && memcmp(&info.key.uuid, uuid, sizeof *uuid) < 0) {
            n += step;
        }
    }
    return n;
}

static uint32_t copies_of(struct hv *hv, const struct id *uuid, struct hv_info *to)
{
    uint32_t n = 0;
    uint32_t at = first_copy(hv, uuid);
    while (n < AGENT_COPIES && hv_list(hv, at + n, &to[n]) && id_equal(&to[n].key.uuid, uuid)) {
        n++;
    }
    return n;
}

static bool read_rows(struct slot *s, struct fsm_view *v, struct agent_input *in)
{
    struct agent *a = s->agent;
    int rc = fsm_get_guest(v, s->name, &a->guest);
    if (rc != 0 && rc != ERR_NOT_FOUND) {
        return false; /* A state that cannot be read is not acted on. */
    }
    in->guest = rc == 0 && id_equal(&a->guest.uuid, &s->uuid) ? &a->guest : NULL;
    if (in->guest != NULL && in->guest->op != 0) {
        rc = fsm_get_op(v, in->guest->op, &a->op);
        in->op = rc == 0 && a->op.state == OP_RUNNING ? &a->op : NULL;
        return rc == 0;
    }
    return true;
}

/* Failures are counted per operation and run. */
static void note_change(struct slot *s, const struct agent_input *in)
{
    uint64_t op = in->op == NULL ? 0 : in->op->id;
    uint64_t epoch = in->guest == NULL ? 0 : in->guest->run_epoch;
    if (op != s->last_op || epoch != s->last_epoch) {
        s->last_op = op;
        s->last_epoch = epoch;
        s->memory.tries = 0;
        s->held = AGENT_NONE;
    }
    if (s->agent->first && in->op != NULL &&
        (in->op->kind == OP_MIGRATE || in->op->kind == OP_SAVE) &&
        in->op->phase == OP_PHASE_TRANSFER) {
        s->memory.inherited_op = in->op->id;
    }
    if (in->op != NULL && in->op->phase == OP_PHASE_SWITCHED && in->op->id != s->switched_op &&
        strcmp(in->op->dst, in->host) == 0) {
        s->switched_op = in->op->id;
        s->switched_ms = in->now_ms;
    }
}

static bool concerns(const struct slot *s, const struct agent_input *in)
{
    const char *me = s->agent->opt.host;
    bool owner = in->guest != NULL && strcmp(in->guest->host, me) == 0;
    bool dst = in->op != NULL && in->op->kind == OP_MIGRATE && strcmp(in->op->dst, me) == 0;
    return owner || dst || in->n_copies > 0 || slot_busy(s);
}

/* False: it no longer concerns this host. */
static bool look(struct slot *s, struct fsm_view *v)
{
    struct agent *a = s->agent;
    static struct hv_info copies[AGENT_COPIES]; /* Several KiB; the loop has one thread. */
    bool held[AGENT_COPIES];
    struct agent_input in = {.current = a->current && !a->stopping,
                             .host = a->opt.host,
                             .copies = copies,
                             .memory = &s->memory,
                             .now_ms = agent_now(a),
                             .working = s->working,
                             .work_epoch = s->work_epoch,
                             .destroying = s->destroying,
                             .sending = s->sending};
    s->dirty = false;
    s->queued = false;
    s->again_ms = 0;
    if (!read_rows(s, v, &in)) {
        slot_touch_at(s, in.now_ms + AGENT_BACKOFF_MAX_MS);
        return true;
    }
    in.n_copies = copies_of(a->opt.hv, &s->uuid, copies);
    for (uint32_t i = 0; i < in.n_copies; i++) {
        s->seen_epoch = max_u64(s->seen_epoch, copies[i].key.epoch);
    }
    note_change(s, &in);
    slot_remove_used(s, in.guest);
    agent_guard_read(s, v, &in, held);
    struct agent_answer answer = agent_decide(&in);
    if (answer.again_ms != 0) {
        slot_touch_at(s, answer.again_ms);
    }
    slot_act(s, v, &answer);
    return concerns(s, &in);
}

/* --- everything */

static void find_all(struct agent *a, struct fsm_view *v)
{
    struct hv_info info;
    for (uint32_t i = 0; i < a->n_slots; i++) {
        a->slots[i]->dirty = true;
    }
    for (uint32_t i = 0; hv_list(a->opt.hv, i, &info); i++) {
        (void)slot_get(a, &info.key.uuid, info.name);
    }
    struct guest *g = &a->guest;
    for (int rc = fsm_next_guest_on(v, a->opt.host, "", g); rc == 0;) {
        (void)slot_get(a, &g->uuid, g->name);
        char after[LIMIT_NAME + 1];
        (void)str_copy(after, sizeof after, g->name);
        rc = fsm_next_guest_on(v, a->opt.host, after, g);
    }
    struct op *o = &a->op;
    for (int rc = fsm_next_open_op(v, 0, o); rc == 0; rc = fsm_next_open_op(v, o->id, o)) {
        if (o->kind == OP_MIGRATE && strcmp(o->dst, a->opt.host) == 0 &&
            fsm_get_guest(v, o->subject, g) == 0) {
            (void)slot_get(a, &g->uuid, g->name);
        }
    }
}

static void look_at_dirty(struct agent *a, struct fsm_view *v)
{
    uint64_t now = agent_now(a);
    for (uint32_t i = 0; i < a->n_slots;) {
        struct slot *s = a->slots[i];
        bool due = s->dirty || (s->again_ms != 0 && s->again_ms <= now);
        if (due && !look(s, v)) {
            slot_free(s);
            a->slots[i] = a->slots[--a->n_slots];
            continue;
        }
        i++;
    }
}

static void swept(void *ctx, uint32_t removed)
{
    struct agent *a = ctx;
    (void)removed;
    a->sweep = NULL;
    agent_check_stopped(a);
}

static void look_at_storage(struct agent *a, struct fsm_view *v)
{
    mounts_look(a->mounts, v);
    if (a->sweep_due && a->sweep == NULL) {
        a->sweep_due = false;
        a->sweep = images_sweep(a->opt.loop, a->opt.fsm, a->opt.prefix, swept, a);
    }
}

static void woken(uv_timer_t *timer)
{
    struct agent *a = timer->data;
    if (a->stopping || !a->current) {
        return;
    }
    uint64_t now = agent_now(a);
    struct fsm_view *v = fsm_view_open(a->opt.fsm);
    if (v == NULL) {
        wake_at(a, now + AGENT_BACKOFF_MS);
        return;
    }
    if (a->all || now >= a->all_ms) {
        a->all = false;
        a->all_ms = now + AGENT_PERIOD_MS;
        find_all(a, v);
        look_at_storage(a, v);
    }
    look_at_dirty(a, v);
    a->first = false;
    (void)fsm_view_close(v);
    uint64_t next = a->all_ms;
    for (uint32_t i = 0; i < a->n_slots; i++) {
        const struct slot *s = a->slots[i];
        next = s->dirty ? now : s->again_ms != 0 ? min_u64(next, s->again_ms) : next;
    }
    wake_at(a, next);
}

/* --- what is told from outside */

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Slots of this name, and the guest that has it now, if it concerns this host. */
static void touch_guest(struct agent *a, struct fsm_view *v, const char *name)
{
    for (uint32_t i = 0; i < a->n_slots; i++) {
        if (strcmp(a->slots[i]->name, name) == 0) {
            slot_touch(a->slots[i]);
        }
    }
    struct guest *g = &a->guest;
    if (fsm_guest_concerns(v, name, a->opt.host) && fsm_get_guest(v, name, g) == 0) {
        slot_touch(slot_get(a, &g->uuid, g->name));
    }
}

void agent_state_changed(struct agent *a, const struct event *events, size_t n)
{
    const char *last = "";
    if (!a->current || a->stopping || n == 0) {
        return; /* The first look sees everything. */
    }
    /* What is to be looked at is marked only: acts follow from what is in the store (woken()). */
    struct fsm_view *v = fsm_look(a->opt.fsm);
    if (v == NULL) {
        agent_touch_all(a);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct event *e = &events[i];
        if (starts_with(e->kind, "guest.") || starts_with(e->kind, "op.")) {
            a->sweep_due = a->sweep_due || strcmp(e->kind, "guest.deleted") == 0;
            if (strcmp(e->subject, last) != 0) {
                touch_guest(a, v, e->subject);
                last = e->subject;
            }
        } else {
            agent_touch_all(
                a); /* Hosts, repositories: few, and a host that goes changes many guests. */
        }
    }
    (void)fsm_view_close(v);
    if (a->sweep_due && (v = fsm_view_open(a->opt.fsm)) != NULL) {
        look_at_storage(a, v);
        (void)fsm_view_close(v);
    }
}

void agent_state_replaced(struct agent *a)
{
    agent_touch_all(a);
}

void agent_set_current(struct agent *a, bool current)
{
    if (current && !a->current) {
        a->first = true;
        a->sweep_due = true;
    }
    a->current = current;
    agent_touch_all(a);
}

static void heard_exit(struct agent *a, const struct hv_event *event)
{
    struct slot *s = agent_slot(a, &event->key.uuid);
    if (s != NULL) {
        remember_exit(s, event);
        slot_touch(s);
        return;
    }
    struct orphan *o = &a->orphans[a->n_orphans % AGENT_ORPHANS];
    a->n_orphans += a->n_orphans < AGENT_ORPHANS ? 1 : 0;
    o->key = event->key;
    o->exit = event->exit;
    memcpy(o->detail, event->detail, sizeof o->detail);
}

static void heard_state(struct agent *a, const struct hv_event *event)
{
    struct slot *s = agent_slot(a, &event->key.uuid);
    struct hv_info info;
    if (s == NULL && hv_lookup(a->opt.hv, &event->key, &info)) {
        s = slot_get(a, &event->key.uuid, info.name);
    }
    if (s != NULL) {
        s->seen_epoch = max_u64(s->seen_epoch, event->key.epoch);
        slot_touch(s);
    }
}

void agent_event(struct agent *a, const struct hv_event *event)
{
    const struct slot *s;
    switch (event->kind) {
    case HV_EVENT_STATE: heard_state(a, event); return;
    case HV_EVENT_EXIT: heard_exit(a, event); return;
    case HV_EVENT_PROGRESS:
        s = agent_slot(a, &event->key.uuid);
        if (s != NULL && s->sending && a->opt.progress != NULL) {
            a->opt.progress(a->opt.ctx, s->memory.sent_op, &event->progress);
        }
        return;
    }
}

/* --- life */

struct agent *agent_new(const struct agent_options *options)
{
    struct agent *a = mem_new(1, sizeof *a);
    a->opt = *options;
    a->opt.starts = options->starts == 0 ? 4 : options->starts;
    (void)uv_timer_init(a->opt.loop, &a->wake);
    a->wake.data = a;
    a->mounts = mounts_new(a->opt.loop, a->opt.prefix, a->opt.host, agent_repo_report,
                           agent_repos_changed, a);
    return a;
}

static void timer_closed(uv_handle_t *handle)
{
    struct agent *a = handle->data;
    a->timer_closed = true;
    agent_check_stopped(a);
}

void agent_check_stopped(struct agent *a)
{
    if (!a->stopping || !a->timer_closed || a->stopped == NULL || mounts_busy(a->mounts) ||
        a->sweep != NULL) {
        return;
    }
    for (uint32_t i = 0; i < a->n_slots; i++) {
        if (slot_busy(a->slots[i])) {
            return;
        }
    }
    void (*stopped)(void *) = a->stopped;
    a->stopped = NULL;
    stopped(a->stopped_ctx);
}

void agent_stop(struct agent *a, void (*stopped)(void *ctx), void *ctx)
{
    if (a->stopping) {
        return;
    }
    a->stopping = true;
    a->stopped = stopped;
    a->stopped_ctx = ctx;
    for (uint32_t i = 0; i < a->n_slots; i++) {
        if (a->slots[i]->disks != NULL) {
            images_cancel(a->slots[i]->disks);
        }
    }
    uv_close((uv_handle_t *)&a->wake, timer_closed);
}

struct agent *agent_free(struct agent *a)
{
    if (a == NULL) {
        return NULL;
    }
    agent_repo_forget(a);
    for (uint32_t i = 0; i < a->n_slots; i++) {
        slot_free(a->slots[i]);
    }
    free(a->slots);
    a->mounts = mounts_free(a->mounts);
    free(a);
    return NULL;
}

void agent_status(const struct agent *a, struct agent_status *ret)
{
    *ret = (struct agent_status){.current = a->current, .guests = a->n_slots, .acts = a->acts};
    for (uint32_t i = 0; i < a->n_slots; i++) {
        const struct slot *s = a->slots[i];
        bool busy = slot_busy(s) || s->dirty || s->queued || s->flight != NULL || s->again_ms != 0;
        ret->busy += busy ? 1 : 0;
    }
}
