/* What became of a guest on its host.
 *
 * Only the host that owns the guest, speaking of the current run epoch, is believed; and the target
 * of a migration, speaking of its incoming copy. Everything else is STALE: the reporter will see
 * from the state what to do with what it has.
 *
 *   STARTING ──started──▶ RUNNING or PAUSED, as wanted     ──failed──▶ FAILED
 *   RUNNING  ──paused──▶  PAUSED ──unpaused──▶ RUNNING
 *   STOPPING ──exited──▶  STOPPED (FAILED, when it is stopped because its start timed out)
 *   others   ──exited──▶  by on_poweroff, on_reboot, on_crash: STOPPED, STARTING again, or FAILED
 *                         with the host kept, so that the copy can be looked at (preserve) */

#include <stdlib.h>
#include <string.h>

#include "core/mark.h"
#include "core/mutant.h"
#include "core/util.h"

#include "fsm/apply.h"

struct report {
    struct apply *a;
    const struct cmd_guest_report *c;
    struct guest old; /* As stored. */
    struct guest g;   /* As it will be. */
    struct op op;     /* Of the guest; op.state is OP_DONE when there is none. */
};

static bool op_is(const struct report *r, enum op_kind kind)
{
    return r->op.state == OP_RUNNING && r->op.kind == kind;
}

static void end_op(struct report *r, enum op_state state, uint32_t code)
{
    if (r->op.state == OP_RUNNING) {
        op_end(r->a, &r->op, state, code, r->c->detail);
        r->g.op = 0;
    }
}

static void save(struct report *r, const char *event, const char *detail)
{
    save_guest(r->a, &r->old, &r->g);
    emit_guest(r->a, event, &r->g, detail);
}

/* The code that the reporter gave, or what it must have meant. */
static uint32_t code_or(const struct report *r, int code)
{
    return r->c->code != 0 ? r->c->code : (uint32_t)-code;
}

static void fail_guest(struct report *r, uint32_t code)
{
    enum exit_reason exit = r->g.exit;
    stop_guest(&r->g, exit);
    r->g.state = r->g.state == GUEST_SAVED ? GUEST_SAVED : GUEST_FAILED;
    r->g.code = code;
    (void)str_copy(r->g.detail, sizeof r->g.detail, r->c->detail);
}

static void unexpected(struct report *r)
{
    (void)reject_state(r->a, "guest", r->old.name, "report", r->old.state);
}

/* --- exited */

/* A new run on the same host. The memory is promised there already. */
static void run_again(struct report *r)
{
    struct guest *g = &r->g;
    g->run_epoch = MUTANT(epoch_kept) ? g->run_epoch : give_epoch(r->a);
    g->state = GUEST_STARTING;
    MARK(run_again);
    g->restarts += op_is(r, OP_REBOOT) ? 0 : 1;
    g->changed = false;
    g->guarded = is_protected(r->a, g);
    g->stop = STOP_NONE;
    if (op_is(r, OP_START) || op_is(r, OP_REBOOT)) { /* It ends when a run has started. */
        r->op.dst_epoch = g->run_epoch;
        op_save(r->a, &r->op);
    }
    save(r, "guest.starting", enum_exit_reason.names[g->exit]);
}

/* The first restart in a row comes at once; each later one waits twice as long as the one before.
 */
static uint64_t backoff_ms(const struct guest *g)
{
    uint64_t wait = g->restarts == 0 ? 0 : g->restart_backoff_ms;
    for (uint32_t i = 1; i < g->restarts && wait < BACKOFF_MAX_MS; i++) {
        wait *= 2;
    }
    return min_u64(wait, BACKOFF_MAX_MS);
}

/* A guest that keeps dying waits without a host, and is started by the pool. */
static void run_later(struct report *r, uint64_t wait_ms)
{
    struct guest *g = &r->g;
    end_op(r, OP_FAILED, code_or(r, ERR_CRASHED));
    g->restarts++;
    MARK(run_later);
    pend_guest(r->a, g, g->exit, wait_ms);
    (void)str_copy(g->detail, sizeof g->detail, r->c->detail);
    save(r, "guest.pending", enum_exit_reason.names[g->exit]);
}

static bool ran_well(const struct report *r)
{
    bool ran = r->old.state == GUEST_RUNNING || r->old.state == GUEST_PAUSED;
    return ran && r->a->now_ms - r->old.since_ms >= r->old.restart_window_ms;
}

static enum on_exit policy(const struct report *r)
{
    switch ((enum exit_reason)r->c->exit) {
    case EXIT_POWEROFF: return (enum on_exit)r->g.config.on_poweroff;
    case EXIT_REBOOT: return (enum on_exit)r->g.config.on_reboot;
    case EXIT_CRASH: return (enum on_exit)r->g.config.on_crash;
    case EXIT_NONE:
    case EXIT_DESTROYED: /* By nobody who asked us: as if it had been lost. */
    case EXIT_LOST: break;
    }
    return ON_EXIT_RESTART;
}

static void exited_by_itself(struct report *r)
{
    struct guest *g = &r->g;
    bool died = g->exit == EXIT_CRASH || g->exit == EXIT_LOST || g->exit == EXIT_DESTROYED;
    enum on_exit what = policy(r);
    if (ran_well(r)) {
        g->restarts = 0;
    }
    if (migration_is_open(&r->op)) {
        MARK(exit_migration);
        abort_migration(r->a, &r->op, g, OP_FAILED, code_or(r, ERR_CRASHED), r->c->detail);
    } else if (op_is(r, OP_START) && !died) {
        end_op(r, OP_DONE, 0);
    } else if (!op_is(r, OP_START)) {
        end_op(r, OP_FAILED, code_or(r, ERR_CRASHED));
    }
    if (what == ON_EXIT_RESTART && died && g->restarts < g->restart_limit && backoff_ms(g) > 0) {
        run_later(r, backoff_ms(g));
        return;
    }
    if (what == ON_EXIT_RESTART && !(died && g->restarts >= g->restart_limit)) {
        run_again(r);
        return;
    }
    end_op(r, OP_FAILED, code_or(r, ERR_CRASHED));
    if (what == ON_EXIT_RESTART) {
        MARK(restarts_spent);
        fail_guest(r, code_or(r, ERR_CRASHED));
        save(r, "guest.failed", enum_exit_reason.names[g->exit]);
    } else if (what == ON_EXIT_PRESERVE) {
        g->state = GUEST_FAILED;
        g->want = WANT_OFF;
        g->code = died ? code_or(r, ERR_CRASHED) : 0;
        (void)str_copy(g->detail, sizeof g->detail, r->c->detail);
        save(r, "guest.failed", "preserved");
    } else {
        stop_guest(g, g->exit);
        save(r, "guest.stopped", enum_exit_reason.names[g->exit]);
    }
}

static void exited(struct report *r)
{
    struct guest *g = &r->g;
    if (r->c->exit == EXIT_NONE) {
        reject_field(r->a, "exit");
        return;
    }
    g->exit = r->c->exit;
    if (g->state == GUEST_FAILED) { /* The copy that was preserved is gone. */
        memset(g->host, 0, sizeof g->host);
        g->guarded = false;
        save(r, "guest.changed", "gone");
    } else if (g->stop == STOP_DESTROY && g->code != 0) {
        fail_guest(r, g->code); /* Its start had timed out. */
        save(r, "guest.failed", enum_exit_reason.names[g->exit]);
    } else if (g->stop == STOP_REBOOT) {
        run_again(r);
    } else if (g->stop != STOP_NONE) {
        end_op(r, OP_DONE, 0);
        stop_guest(g, g->exit);
        save(r, "guest.stopped", enum_exit_reason.names[g->exit]);
    } else if (g->saved[0] != '\0') { /* While it was restored: it has not run. */
        end_op(r, OP_FAILED, code_or(r, ERR_CRASHED));
        fail_guest(r, code_or(r, ERR_CRASHED));
        save(r, "guest.stopped", enum_exit_reason.names[g->exit]);
    } else {
        exited_by_itself(r);
    }
}

/* --- the others */

/* The copy has the saved memory. From now on it may run, and what is in the file is nobody's. */
static void restored(struct report *r)
{
    struct guest *g = &r->g;
    if (g->state != GUEST_STARTING || g->saved[0] == '\0') {
        return; /* Told twice. */
    }
    memset(g->saved, 0, sizeof g->saved);
    g->state = g->want == WANT_PAUSED ? GUEST_PAUSED : GUEST_RUNNING;
    end_op(r, OP_DONE, 0);
    save(r, "guest.started", "restored");
}

static void started(struct report *r)
{
    struct guest *g = &r->g;
    if (g->saved[0] != '\0') { /* Not without its memory. */
        unexpected(r);
        return;
    }
    bool switched = op_is(r, OP_MIGRATE) && r->op.phase == OP_PHASE_SWITCHED;
    if (g->state != GUEST_STARTING && !switched) {
        return; /* A daemon that came back says what is known. */
    }
    g->state = g->want == WANT_PAUSED ? GUEST_PAUSED : GUEST_RUNNING;
    end_op(r, OP_DONE, 0);
    save(r, "guest.started", switched ? "migrated" : "");
}

/* The work of the open operation could not be done. */
static void op_failed(struct report *r)
{
    struct guest *g = &r->g;
    switch ((enum op_kind)r->op.kind) {
    case OP_SHUTDOWN:
    case OP_REBOOT:
        g->state = GUEST_RUNNING;
        g->stop = STOP_NONE;
        g->want = WANT_RUNNING;
        break;
    case OP_SAVE: g->state = g->want == WANT_PAUSED ? GUEST_PAUSED : GUEST_RUNNING; break;
    case OP_PAUSE: g->want = WANT_RUNNING; break;
    case OP_UNPAUSE: g->want = WANT_PAUSED; break;
    case OP_ATTACH:
    case OP_DETACH:
    case OP_START:
    case OP_RESUME:
    case OP_DESTROY: /* Still to be destroyed; its agent goes on trying. */
    case OP_EVACUATE:
    case OP_RETURN:
    case OP_RESTART:
    case OP_MIGRATE: break;
    }
    end_op(r, OP_FAILED, code_or(r, ERR_HYPERVISOR));
    save(r, "guest.changed", "failed");
}

static void failed(struct report *r)
{
    struct guest *g = &r->g;
    if (g->state == GUEST_STARTING) {
        end_op(r, OP_FAILED, code_or(r, ERR_HYPERVISOR));
        fail_guest(r, code_or(r, ERR_HYPERVISOR));
        save(r, "guest.failed", "");
    } else if (migration_is_open(&r->op)) {
        abort_migration(r->a, &r->op, g, OP_FAILED, code_or(r, ERR_HYPERVISOR), r->c->detail);
        save(r, "guest.changed", "aborted");
    } else if (op_is(r, OP_MIGRATE)) { /* The copy at the target did not go on: it is lost. */
        g->exit = EXIT_CRASH;
        exited_by_itself(r);
    } else if (r->op.state == OP_RUNNING) {
        op_failed(r);
    } else {
        unexpected(r);
    }
}

static void paused(struct report *r, enum guest_state from, enum guest_state to, enum op_kind kind)
{
    if (r->g.state != from) {
        return;
    }
    r->g.state = to;
    if (op_is(r, kind)) {
        end_op(r, OP_DONE, 0);
    }
    save(r, to == GUEST_PAUSED ? "guest.paused" : "guest.unpaused", "");
}

static void device(struct report *r)
{
    if (op_is(r, OP_ATTACH) || op_is(r, OP_DETACH)) { /* Else it is told twice. */
        device_changed(r->a, &r->op, &r->old, &r->g);
        const char *what = enum_op_kind.names[r->op.kind];
        end_op(r, OP_DONE, 0);
        save(r, "guest.changed", what);
    }
}

/* Whether the run is under its host's guard. A protected one stays there. */
static void guarded(struct report *r, bool is)
{
    /* The copy at the target of a migration may be prepared without the guard by now. */
    if ((!is && is_protected(r->a, &r->g)) || (is && migration_is_open(&r->op))) {
        unexpected(r);
        return;
    }
    if (r->g.guarded != is) {
        r->g.guarded = is;
        save(r, "guest.changed", is ? "guarded" : "unguarded");
    }
}

/* The target speaks of its incoming copy, which must not run yet. */
static void from_target(struct report *r)
{
    if (r->c->what != REPORT_FAILED && r->c->what != REPORT_EXITED) {
        unexpected(r);
        return;
    }
    abort_migration(r->a, &r->op, &r->g, OP_FAILED, code_or(r, ERR_HYPERVISOR), r->c->detail);
    save(r, "guest.changed", "aborted");
}

void cmd_guest_report(struct apply *a, const void *record)
{
    struct report *r = &(struct report){.a = a, .c = record};
    if (!need_guest(a, r->c->name, 0, &r->old)) {
        return;
    }
    r->g = r->old;
    const struct key k = key_number('O', r->old.op);
    schema_init(&schema_op, &r->op);
    r->op.state = OP_DONE;
    if (r->old.op != 0 && rows_get(a->t, &k, &schema_op, &r->op) != 0) {
        kv_fail(a->t, ERR_CORRUPT, "store: a guest's operation is not there");
        return;
    }
    if (migration_is_open(&r->op) && strcmp(r->c->host, r->op.dst) == 0 &&
        r->c->epoch == r->op.dst_epoch) {
        from_target(r);
        return;
    }
    if (strcmp(r->c->host, r->old.host) != 0 || r->c->epoch != r->old.run_epoch) {
        struct outcome *o = reject(a, ERR_STALE, "guest", r->old.name);
        (void)str_copy(o->detail, sizeof o->detail, "epoch");
        o->a = r->c->epoch;
        o->b = r->old.run_epoch;
        return;
    }
    switch ((enum guest_report_what)r->c->what) {
    case REPORT_STARTED: started(r); break;
    case REPORT_FAILED: failed(r); break;
    case REPORT_EXITED: exited(r); break;
    case REPORT_PAUSED: paused(r, GUEST_RUNNING, GUEST_PAUSED, OP_PAUSE); break;
    case REPORT_UNPAUSED: paused(r, GUEST_PAUSED, GUEST_RUNNING, OP_UNPAUSE); break;
    case REPORT_GUARDED: guarded(r, true); break;
    case REPORT_UNGUARDED: guarded(r, false); break;
    case REPORT_RESTORED: restored(r); break;
    case REPORT_DEVICE: device(r); break;
    }
}
