/* What this host must do next for one guest.
 *
 * WHAT IS PERMITTED. A copy may exist here under one epoch at most:
 *
 *   owner    guest.host is this host: guest.run_epoch
 *   target   an open migration to this host, PREPARE or TRANSFER: op.dst_epoch, never to run
 *   else     none
 *
 * The state gives every epoch out once, so a copy under any other epoch is of a run that has ended
 * for the pool; it is destroyed before anything else is done for its guest, and so is a copy of a
 * guest that the state does not know. A request under way for such an epoch is destroyed as well.
 *
 * WHEN. Only when `current`. A daemon that comes back has an old state: it may name this host as
 * the owner of a run that was over long ago, under an epoch that was permitted then. One
 * linearizable read after the start excludes that: whatever had been committed before the daemon
 * came back is applied. After that the state can only lag behind for as long as the host is cut
 * off, and a lagging state is harmless: it starts nothing new, because a start needs a new epoch
 * and so a commit that this host has seen; the permission behind that commit can be overtaken only
 * by another commit whose effect needs this host's own word (the source's switch, the report of an
 * exit) or the operator's (a host that is removed by force, with the promise that it is off). What
 * it destroys is not permitted in any later state either, since epochs never come back.
 *
 * A start under epoch E that died without a word is started again under E only while the state says
 * STARTING and no end of E was heard; an end that was heard is reported, and the state gives a new
 * epoch. Two copies under one epoch are never made: requests of one guest are carried out one after
 * the other, and a start with a copy at hand is not decided. */

/* clang-format off */
/* OWNER, by the state of the guest and of the permitted copy:
 *
 *            | no copy       | starting | running       | paused, arrived | outgoing | incoming | panicked
 *            |               |          |               | departed        |          |          |
 *  ----------|---------------|----------|---------------|-----------------|----------|----------|---------
 *  STARTING  | start (1)     | wait     | started (2)   | started (3)     | cancel   | destroy  | crashed
 *  RUNNING   | exited        | wait     | nothing (2)   | paused (3)      | cancel   | destroy  | crashed
 *  PAUSED    | exited        | wait     | unpaused (2)  | nothing (3)     | cancel   | destroy  | crashed
 *  STOPPING, | exited        | wait     | shutdown (4)  | unpause         | cancel   | destroy  | crashed
 *   shutdown |               |          |               |                 |          |          |
 *  STOPPING, | exited        | destroy  | destroy       | destroy         | destroy  | destroy  | destroy
 *   destroy  |               |          |               |                 |          |          |
 *  FAILED    | exited        | nothing: it is preserved, to be looked at
 *  MIGRATING | migration_source(); after the switch migration_owner()
 *  SAVING    | migration_source() in phase TRANSFER: the stream goes to a file
 *  STARTING, | start (1)     | wait     | restored      | restored        | cancel   | destroy  | destroy
 *   saved    |               |          |               |                 |          |          |
 *
 *  "started", "exited", "crashed", "paused", "unpaused" are reports.
 *  (1) Unless it failed, or ended, under this epoch: that is reported then.
 *  (2) If it shall be paused: pause.     (3) If it shall run: unpause.
 *  (4) Asked again after a while.
 */
/* clang-format on */

/* GUARDED RUNS (guest.guarded): under_guard() stands between these answers and what is done.
 * Nothing is made without a lease; a copy is made paused, and let go on only when the guard has it
 * (a target also says so only then that it is prepared); when the lease is over the owner's copy is
 * destroyed, if the guard has not done so already. What becomes protected while it runs is guarded
 * first and reported then; what is protected no more is reported first and let go of then. While
 * the host lets go (it stops, and says so when nothing guarded is left) copies of guarded runs end
 * and their ends are not reported: the host's word speaks for all of them.
 *
 * TARGET: migration_target(). A source's copy that DEPARTED is never let go on while its migration
 * is in TRANSFER: UNPAUSE follows only from a state in which the abort is applied.
 *
 * A pause, unpause or shutdown that failed AGENT_TRIES times is reported as failed if an operation
 * waits for it, and is tried again otherwise. While a request is under way for a guest, nothing but
 * a destroy is decided for it; what the request changed is seen when it ends. */

#include "cli/quorated/agent_core.h"

#include <string.h>

#include "core/mark.h"
#include "core/mutant.h"

#include "migration/migration.h"

static const struct agent_answer nothing = {.act = AGENT_NONE, .text = ""};

const char *agent_act_name(enum agent_act act)
{
    static const char *const names[] = {
        [AGENT_NONE] = "none",         [AGENT_DESTROY] = "destroy",   [AGENT_START] = "start",
        [AGENT_SHUTDOWN] = "shutdown", [AGENT_PAUSE] = "pause",       [AGENT_UNPAUSE] = "unpause",
        [AGENT_INCOMING] = "incoming", [AGENT_MIGRATE] = "migrate",   [AGENT_CANCEL] = "cancel",
        [AGENT_REPORT] = "report",     [AGENT_PREPARED] = "prepared", [AGENT_SWITCH] = "switch",
        [AGENT_ABORT] = "abort",       [AGENT_GUARD] = "guard",       [AGENT_UNGUARD] = "unguard",
        [AGENT_SAVE] = "save",         [AGENT_SAVED] = "saved",       [AGENT_DEVICE] = "device",
    };
    return names[act];
}

/* --- permission */

static bool is_owner(const struct agent_input *in)
{
    return in->guest != NULL && strcmp(in->guest->host, in->host) == 0;
}

static bool migrates(const struct agent_input *in)
{
    return in->op != NULL && in->op->kind == OP_MIGRATE && in->op->state == OP_RUNNING;
}

static bool is_target(const struct agent_input *in)
{
    return in->guest != NULL && migrates(in) && strcmp(in->op->dst, in->host) == 0 &&
           (in->op->phase == OP_PHASE_PREPARE || in->op->phase == OP_PHASE_TRANSFER);
}

bool agent_permits(const struct agent_input *in, uint64_t epoch)
{
    return (is_owner(in) && epoch == in->guest->run_epoch) ||
           (is_target(in) && epoch == in->op->dst_epoch);
}

/* --- answers */

static struct agent_answer act_on(enum agent_act act, uint64_t epoch)
{
    return (struct agent_answer){.act = act, .epoch = epoch, .text = ""};
}

static struct agent_answer report(uint64_t epoch, enum guest_report_what what)
{
    return (struct agent_answer){.act = AGENT_REPORT, .epoch = epoch, .what = what, .text = ""};
}

static struct agent_answer report_failed(uint64_t epoch, int code, const char *text)
{
    struct agent_answer a = report(epoch, REPORT_FAILED);
    a.code = code;
    a.text = text;
    return a;
}

static struct agent_answer report_exit(uint64_t epoch, enum exit_reason exit, const char *text)
{
    struct agent_answer a = report(epoch, REPORT_EXITED);
    a.exit = exit;
    a.code = exit == EXIT_CRASH ? ERR_CRASHED : exit == EXIT_LOST ? ERR_LOST : 0;
    a.text = text;
    return a;
}

/* The copy that should be here is not: with the word it left, if it left one. */
static struct agent_answer report_gone(const struct agent_input *in)
{
    const struct agent_memory *m = in->memory;
    const struct guest *g = in->guest;
    if (m->exit_epoch == g->run_epoch && m->exit != EXIT_NONE) {
        return report_exit(g->run_epoch, m->exit, m->exit_detail);
    }
    bool ours = g->state == GUEST_STOPPING && g->stop == STOP_DESTROY;
    return report_exit(g->run_epoch, ours ? EXIT_DESTROYED : EXIT_LOST, "");
}

static struct agent_answer report_panic(const struct agent_input *in)
{
    return report_exit(in->guest->run_epoch, EXIT_CRASH, "the guest's kernel gave up");
}

/* A request on the running copy; when it failed too often, its operation is told. */
static struct agent_answer try_act(const struct agent_input *in, enum agent_act act)
{
    const struct agent_memory *m = in->memory;
    uint64_t epoch = in->guest->run_epoch;
    if (m->tried == act && m->tries >= AGENT_TRIES && in->op != NULL && !migrates(in)) {
        return report_failed(epoch, m->tried_code, m->tried_text);
    }
    return act_on(act, epoch);
}

/* --- the owner */

static struct agent_answer owner_without_copy(const struct agent_input *in)
{
    const struct agent_memory *m = in->memory;
    uint64_t epoch = in->guest->run_epoch;
    if (in->guest->state != GUEST_STARTING) {
        return report_gone(in);
    }
    if (m->failed_epoch == epoch) {
        return report_failed(epoch, m->failed.code, m->failed.msg);
    }
    return m->exit_epoch == epoch ? report_gone(in) : act_on(AGENT_START, epoch);
}

static struct agent_answer owner_shutdown(const struct agent_input *in)
{
    const struct agent_memory *m = in->memory;
    if (m->asked_op != 0 && m->asked_op == in->guest->op &&
        in->now_ms < m->asked_ms + AGENT_ASK_AGAIN_MS) {
        struct agent_answer a = nothing;
        a.again_ms = m->asked_ms + AGENT_ASK_AGAIN_MS;
        return a;
    }
    return try_act(in, AGENT_SHUTDOWN);
}

static struct agent_answer owner_running(const struct agent_input *in)
{
    const struct guest *g = in->guest;
    if (g->state == GUEST_STOPPING) {
        return owner_shutdown(in);
    }
    if (g->want == WANT_PAUSED) {
        return try_act(in, AGENT_PAUSE);
    }
    if (g->state == GUEST_STARTING) {
        return report(g->run_epoch, REPORT_STARTED);
    }
    return g->state == GUEST_PAUSED ? report(g->run_epoch, REPORT_UNPAUSED) : nothing;
}

static struct agent_answer owner_paused(const struct agent_input *in)
{
    const struct guest *g = in->guest;
    if (g->state == GUEST_STOPPING || g->want != WANT_PAUSED) {
        return try_act(in, AGENT_UNPAUSE); /* A guest that stands still hears no power button. */
    }
    if (g->state == GUEST_STARTING) {
        return report(g->run_epoch, REPORT_STARTED);
    }
    return g->state == GUEST_RUNNING ? report(g->run_epoch, REPORT_PAUSED) : nothing;
}

/* A copy from a saved memory: that it is there must be known before it runs
 * (docs/protocols/saving.md). */
static struct agent_answer owner_restoring(const struct agent_input *in, enum hv_state copy)
{
    uint64_t epoch = in->guest->run_epoch;
    switch (copy) {
    case HV_GONE:
    case HV_STARTING: return nothing;
    case HV_RUNNING:
    case HV_PAUSED:
    case HV_ARRIVED:
    case HV_DEPARTED: return report(epoch, REPORT_RESTORED);
    case HV_OUTGOING: return act_on(AGENT_CANCEL, epoch);
    case HV_INCOMING:
    case HV_PANICKED: return act_on(AGENT_DESTROY, epoch);
    }
    return nothing;
}

/* A device is to come or to go: once; what came of it is reported. */
static bool changes_device(const struct agent_input *in, enum hv_state copy)
{
    const struct op *op = in->op;
    return op != NULL && (op->kind == OP_ATTACH || op->kind == OP_DETACH) &&
           (copy == HV_RUNNING || copy == HV_PAUSED);
}

static struct agent_answer owner_device(const struct agent_input *in)
{
    const struct agent_memory *m = in->memory;
    uint64_t epoch = in->guest->run_epoch;
    if (m->device_op != in->op->id) {
        return act_on(AGENT_DEVICE, epoch);
    }
    return m->device.code == 0 ? report(epoch, REPORT_DEVICE)
                               : report_failed(epoch, m->device.code, m->device.msg);
}

static struct agent_answer owner_with_copy(const struct agent_input *in, enum hv_state copy)
{
    const struct guest *g = in->guest;
    if (g->state == GUEST_STARTING && g->saved[0] != '\0') {
        return owner_restoring(in, copy);
    }
    if (g->state == GUEST_STOPPING && g->stop == STOP_DESTROY) {
        return act_on(AGENT_DESTROY, g->run_epoch);
    }
    if (g->state == GUEST_FAILED) {
        return nothing;
    }
    if (changes_device(in, copy)) {
        return owner_device(in);
    }
    switch (copy) {
    case HV_GONE:
    case HV_STARTING: return nothing;
    case HV_RUNNING: return owner_running(in);
    case HV_PAUSED:
    case HV_ARRIVED:
    case HV_DEPARTED: return owner_paused(in);
    case HV_OUTGOING: return act_on(AGENT_CANCEL, g->run_epoch);
    case HV_INCOMING: return act_on(AGENT_DESTROY, g->run_epoch);
    case HV_PANICKED: return report_panic(in);
    }
    return nothing;
}

/* --- migrations */

static struct migration_facts facts_of(const struct agent_input *in, enum hv_state copy)
{
    static const struct err none = {0};
    const struct agent_memory *m = in->memory;
    return (struct migration_facts){
        .op = in->op,
        .want = (enum guest_want)in->guest->want,
        .copy = copy,
        .inherited = m->inherited_op == in->op->id,
        .sending = in->sending,
        .sent = m->sent_op == in->op->id,
        .send = &m->send,
        .preparing = in->working,
        .address_known = m->incoming_epoch == in->op->dst_epoch,
        .lost = m->failed_epoch == in->op->dst_epoch ? &m->failed : &none,
        .tries = m->tried == AGENT_UNPAUSE ? m->tries : 0,
    };
}

static struct agent_answer
carry_out(const struct agent_input *in, uint64_t epoch, const struct migration_answer *step)
{
    struct agent_answer a = nothing;
    switch (step->step) {
    case MIGRATION_WAIT: return nothing;
    case MIGRATION_DESTROY: return act_on(AGENT_DESTROY, epoch);
    case MIGRATION_PAUSE: return act_on(AGENT_PAUSE, epoch);
    case MIGRATION_UNPAUSE: return act_on(AGENT_UNPAUSE, epoch);
    case MIGRATION_PREPARE: return act_on(AGENT_INCOMING, epoch);
    case MIGRATION_SEND: return act_on(AGENT_MIGRATE, epoch);
    case MIGRATION_CANCEL: return act_on(AGENT_CANCEL, epoch);
    case MIGRATION_PREPARED: return act_on(AGENT_PREPARED, epoch);
    case MIGRATION_SWITCH: return act_on(AGENT_SWITCH, epoch);
    case MIGRATION_ABORT:
        a = act_on(AGENT_ABORT, epoch);
        a.code = step->code;
        a.text = step->text;
        return a;
    case MIGRATION_STARTED: return report(epoch, REPORT_STARTED);
    case MIGRATION_FAILED: return report_failed(epoch, step->code, step->text);
    case MIGRATION_CRASHED: return report_panic(in);
    case MIGRATION_EXITED: return report_gone(in);
    }
    return a;
}

static struct agent_answer owner_migrating(const struct agent_input *in, enum hv_state copy)
{
    struct migration_facts f = facts_of(in, copy);
    struct migration_answer step =
        in->op->phase == OP_PHASE_SWITCHED ? migration_owner(&f) : migration_source(&f);
    return carry_out(in, in->guest->run_epoch, &step);
}

/* The same source, but its stream goes to a file, and what it gave up is a report. */
static struct agent_answer owner_saving(const struct agent_input *in, enum hv_state copy)
{
    struct migration_facts f = facts_of(in, copy);
    struct migration_answer step = migration_source(&f);
    uint64_t epoch = in->guest->run_epoch;
    if (step.step == MIGRATION_SEND) {
        return act_on(AGENT_SAVE, epoch);
    }
    if (step.step == MIGRATION_SWITCH) {
        return act_on(AGENT_SAVED, epoch);
    }
    if (step.step == MIGRATION_ABORT) {
        return report_failed(epoch, step.code, step.text);
    }
    return carry_out(in, epoch, &step);
}

static struct agent_answer target(const struct agent_input *in, enum hv_state copy)
{
    struct migration_facts f = facts_of(in, copy);
    struct migration_answer step = migration_target(&f);
    return carry_out(in, in->op->dst_epoch, &step);
}

/* --- all of it */

/* The first copy, or request under way, that must not be; 0 when there is none. */
static uint64_t stray(const struct agent_input *in)
{
    for (uint32_t i = 0; i < in->n_copies; i++) {
        if (!MUTANT(stale_epoch_kept) && !agent_permits(in, in->copies[i].key.epoch)) {
            MARK(stale_copy);
            MARK_IF(arrived_and_aborted, in->copies[i].state == HV_ARRIVED);
            return in->copies[i].key.epoch;
        }
    }
    MARK_IF(stale_work, in->working && !agent_permits(in, in->work_epoch));
    return in->working && !agent_permits(in, in->work_epoch) ? in->work_epoch : 0;
}

static enum hv_state copy_state(const struct agent_input *in, uint64_t epoch)
{
    for (uint32_t i = 0; i < in->n_copies; i++) {
        if (in->copies[i].key.epoch == epoch) {
            return in->copies[i].state;
        }
    }
    return HV_GONE;
}

static struct agent_answer wish(const struct agent_input *in)
{
    if (is_owner(in)) {
        enum hv_state copy = copy_state(in, in->guest->run_epoch);
        if (in->guest->state == GUEST_MIGRATING && migrates(in)) {
            return owner_migrating(in, copy);
        }
        if (in->guest->state == GUEST_SAVING && in->op != NULL && in->op->kind == OP_SAVE) {
            return owner_saving(in, copy);
        }
        return copy == HV_GONE ? owner_without_copy(in) : owner_with_copy(in, copy);
    }
    return is_target(in) ? target(in, copy_state(in, in->op->dst_epoch)) : nothing;
}

/* --- guarded runs */

static bool is_held(const struct agent_input *in, uint64_t epoch)
{
    for (uint32_t i = 0; i < in->n_copies; i++) {
        if (in->copies[i].key.epoch == epoch) {
            return in->held[i];
        }
    }
    return false;
}

static bool executes(enum hv_state copy)
{
    return copy == HV_RUNNING || copy == HV_OUTGOING;
}

/* The copy is to go on, or could from now on: not before the guard has it. */
static struct agent_answer
guard_first(const struct agent_input *in, uint64_t epoch, struct agent_answer a)
{
    if (is_held(in, epoch)) {
        return a;
    }
    return in->lease_allows ? act_on(AGENT_GUARD, epoch) : nothing;
}

/* The owner's copy is there, and nothing else is to be done about it. */
static struct agent_answer owner_at_rest(const struct agent_input *in, struct agent_answer a)
{
    const struct guest *g = in->guest;
    uint64_t epoch = g->run_epoch;
    bool held = is_held(in, epoch);
    if ((g->guarded || in->protect) && !held && executes(copy_state(in, epoch))) {
        MARK(guarded_late);
        /* It runs already: a guard that was lost, or HA that was just put on. */
        return in->lease_over ? a : act_on(AGENT_GUARD, epoch);
    }
    if (a.act != AGENT_NONE || migrates(in)) {
        return a;
    }
    if (in->protect && !g->guarded && held) {
        return report(epoch, REPORT_GUARDED);
    }
    if (!in->protect && g->guarded) {
        MARK(unguarded);
        return report(epoch, REPORT_UNGUARDED);
    }
    return !in->protect && held ? act_on(AGENT_UNGUARD, epoch) : a;
}

static struct agent_answer under_guard(const struct agent_input *in, struct agent_answer a)
{
    const struct guest *g = in->guest;
    if (!in->guarding || g == NULL || a.act == AGENT_DESTROY) {
        return a;
    }
    if (in->lets_go && is_owner(in) && (g->guarded || in->protect || is_held(in, g->run_epoch))) {
        MARK_IF(let_go, copy_state(in, g->run_epoch) != HV_GONE);
        return copy_state(in, g->run_epoch) == HV_GONE ? nothing
                                                       : act_on(AGENT_DESTROY, g->run_epoch);
    }
    if (g->guarded && (a.act == AGENT_START || a.act == AGENT_INCOMING)) {
        MARK_IF(start_without_lease, !in->lease_allows);
        return in->lease_allows ? a : nothing;
    }
    if (g->guarded && (a.act == AGENT_UNPAUSE || a.act == AGENT_PREPARED)) {
        a = guard_first(in, a.epoch, a);
    }
    if (!is_owner(in) || copy_state(in, g->run_epoch) == HV_GONE) {
        return a;
    }
    if (g->guarded && in->lease_over && g->state != GUEST_FAILED) {
        MARK(lease_over_destroy);
        return act_on(AGENT_DESTROY, g->run_epoch);
    }
    return owner_at_rest(in, a);
}

/* A request under way for a guest that is to be destroyed is cut short. */
static struct agent_answer while_working(const struct agent_input *in, struct agent_answer a)
{
    const struct guest *g = in->guest;
    if (a.act == AGENT_DESTROY) {
        return a;
    }
    if (is_owner(in) && g->state == GUEST_STOPPING && g->stop == STOP_DESTROY) {
        MARK(destroy_in_work);
        return act_on(AGENT_DESTROY, in->work_epoch);
    }
    return nothing;
}

struct agent_answer agent_decide(const struct agent_input *in)
{
    if (!in->current || in->destroying) {
        return nothing;
    }
    uint64_t epoch = stray(in);
    if (epoch != 0) {
        return act_on(AGENT_DESTROY, epoch);
    }
    struct agent_answer a = under_guard(in, wish(in));
    return in->working ? while_working(in, a) : a;
}
