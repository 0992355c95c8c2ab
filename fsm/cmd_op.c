/* The end of an operation from outside: cancelled by somebody, or expired by the master. */

#include "fsm/apply.h"

/* `code` not 0: it is FAILED once it is gone. */
static void destroy_start(struct guest *g, uint32_t code)
{
    g->state = GUEST_STOPPING;
    g->stop = STOP_DESTROY;
    g->want = WANT_OFF;
    g->code = code;
}

/* End the operation before its work is done, as cancelled or timed out. False when its kind has no
 * way back; nothing is written then. */
static bool end_early(struct apply *a, struct op *o, struct guest *g, bool cancel)
{
    enum op_state state = cancel ? OP_CANCELLED : OP_FAILED;
    uint32_t code = cancel ? -ERR_CANCELLED : -ERR_TIMEOUT;
    if (migration_is_open(o)) {
        abort_migration(a, o, g, state, code, "");
        return true;
    }
    if (o->kind == OP_MIGRATE ||
        (cancel && o->kind != OP_START && o->kind != OP_RESUME && o->kind != OP_SAVE)) {
        return false;
    }
    op_end(a, o, state, code, "");
    g->op = 0;
    switch ((enum op_kind)o->kind) {
    case OP_RESUME: /* It is SAVED again once it is gone. */
    case OP_START: destroy_start(g, cancel ? 0 : code); break;
    case OP_REBOOT:
        if (g->state == GUEST_STARTING) { /* It is gone, and its next run does not come up. */
            destroy_start(g, code);
            break;
        }
        __attribute__((fallthrough));
    case OP_SHUTDOWN:
        g->state = GUEST_RUNNING;
        g->stop = STOP_NONE;
        g->want = WANT_RUNNING;
        break;
    case OP_SAVE: g->state = g->want == WANT_PAUSED ? GUEST_PAUSED : GUEST_RUNNING; break;
    case OP_PAUSE: g->want = WANT_RUNNING; break;
    case OP_UNPAUSE: g->want = WANT_PAUSED; break;
    case OP_ATTACH:
    case OP_DETACH:
    case OP_DESTROY:
    case OP_EVACUATE:
    case OP_RETURN:
    case OP_RESTART:
    case OP_MIGRATE: break;
    }
    return true;
}

/* What is being migrated at this moment goes on. It has no deadline that could pass. */
static void end_evacuation(struct apply *a, const struct op *o, bool cancel)
{
    struct host h;
    if (!cancel) {
        reject_phase(a, o);
    } else if (o->kind != OP_EVACUATE) {
        struct op ended = *o;
        end_op_of_hosts(a, &ended, OP_CANCELLED, -ERR_CANCELLED, "");
    } else if (need_host(a, o->subject, &h)) {
        evacuation_stop(a, &h, OP_CANCELLED, -ERR_CANCELLED, "");
        save_host(a, &h);
        emit_host(a, "host.changed", &h, "cancelled");
    }
}

static void end_by_number(struct apply *a, uint64_t id, bool cancel)
{
    struct op o;
    struct guest old;
    if (!need_op(a, id, &o)) {
        return;
    }
    if (o.state != OP_RUNNING) {
        reject_phase(a, &o);
        return;
    }
    if (op_is_of_hosts(&o)) {
        end_evacuation(a, &o, cancel);
        return;
    }
    if (!guest_of(a, &o, &old)) {
        return;
    }
    struct guest g = old;
    if (!end_early(a, &o, &g, cancel)) {
        struct outcome *out = reject_state(a, "operation", o.subject,
                                           o.kind == OP_MIGRATE ? "phase" : "cancel", o.phase);
        out->b = o.id;
        return;
    }
    save_guest(a, &old, &g);
    emit_guest(a, g.state == GUEST_STOPPING ? "guest.stopping" : "guest.changed", &g,
               cancel ? "cancelled" : "timeout");
}

void cmd_op_cancel(struct apply *a, const void *record)
{
    const struct cmd_op_cancel *c = record;
    end_by_number(a, c->id, /*cancel=*/true);
}

/* Whether the deadline has passed is for the master to say: log time stands still while nothing is
 * proposed, and its clock does not. */
void cmd_op_expire(struct apply *a, const void *record)
{
    const struct cmd_op_expire *c = record;
    end_by_number(a, c->id, /*cancel=*/false);
}
