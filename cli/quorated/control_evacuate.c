#include "cli/quorated/control_evacuate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mark.h"
#include "core/util.h"

#include "cli/quorated/evacuation.h"

static void proposed(void *ctx, int code, const struct outcome *o)
{
    struct evacuate *c = ctx;
    c->proposals--;
    if (code == 0 && o != NULL && o->code != 0) {
        log_line(LOG_DEBUG, "evacuate_rejected", "err", err_text(-(int)o->code), "name", o->name,
                 NULL);
    }
}

static void propose_move(struct evacuate *c, const struct op *op, const struct move *m)
{
    struct cmd_guest_migrate cmd;
    schema_init(command_by_number(COMMAND_guest_migrate)->schema, &cmd);
    (void)str_copy(cmd.name, sizeof cmd.name, m->guest);
    (void)str_copy(cmd.host, sizeof cmd.host, m->host);
    cmd.generation = m->generation;
    cmd.parent = op->id;
    c->proposals++;
    propose_record(c->d, COMMAND_guest_migrate, &cmd, NULL, proposed, c);
}

static void propose_end(struct evacuate *c, const struct op *op, int code, const char *why)
{
    struct cmd_evacuation_end cmd;
    schema_init(command_by_number(COMMAND_evacuation_end)->schema, &cmd);
    cmd.id = op->id;
    cmd.code = (uint32_t)-code;
    (void)str_copy(cmd.detail, sizeof cmd.detail, why);
    c->proposals++;
    c->stuck_since_ms = 0;
    propose_record(c->d, COMMAND_evacuation_end, &cmd, NULL, proposed, c);
}

/* The first evacuation or return under way, and how many of its migrations are. */
static bool find(struct fsm_view *v, struct op *ret, uint32_t *ret_moving)
{
    struct op op = {0};
    bool found = false;
    *ret_moving = 0;
    for (int rc = fsm_next_open_op(v, 0, &op); rc == 0; rc = fsm_next_open_op(v, op.id, &op)) {
        if ((op.kind == OP_EVACUATE || op.kind == OP_RETURN) && !found) {
            *ret = op;
            found = true;
        }
        *ret_moving += found && op.kind == OP_MIGRATE &&
                               (op.parent == ret->id || strcmp(op.src, ret->src) == 0)
                           ? 1
                           : 0;
    }
    return found;
}

/* Where the guests of a return go must be there. */
static bool host_is_up(struct fsm_view *v, const char *name)
{
    struct host h;
    return fsm_get_host(v, name, &h) == 0 && h.state == HOST_UP;
}

/* Nothing is on its way and nothing can go: wait a while, for room may appear. */
static void
stuck(struct evacuate *c, const struct op *op, const struct evacuation_plan *p, uint64_t now_ms)
{
    struct err e = {0};
    if (c->stuck_since_ms == 0 || c->op != op->id) {
        c->op = op->id;
        c->stuck_since_ms = now_ms;
    } else if (now_ms - c->stuck_since_ms >= EVACUATE_STUCK_MS) {
        MARK(evacuation_stuck);
        int code = evacuation_check(p, op->subject, &e);
        char why[LIMIT_DETAIL + 1] = "";
        (void)snprintf(why, sizeof why, "%.*s", LIMIT_DETAIL, e.msg);
        propose_end(c, op, code, why);
    }
}

/* Who cannot go back stays where it is: the operation ends when nobody is left who can. */
static void go_back(struct evacuate *c,
                    struct fsm_view *v,
                    const struct op *op,
                    uint32_t moving,
                    uint64_t now_ms)
{
    struct evacuation_plan p;
    if (now_ms < c->back_at_ms) {
        return;
    }
    c->back_at_ms = now_ms + EVACUATE_BACK_MS;
    if (!host_is_up(v, op->subject)) {
        MARK(return_lost);
        propose_end(c, op, ERR_LOST, op->subject);
        return;
    }
    evacuation_plan_back(v, op->subject, &p);
    for (uint32_t i = 0; i < p.n && moving < op->parallel; i++) {
        if (p.moves[i].no == MOVE_CAN) {
            propose_move(c, op, &p.moves[i]);
            moving++;
        }
    }
    if (p.n_can == 0 && p.n_under_way == 0) {
        char why[LIMIT_DETAIL + 1] = "";
        if (p.n > 0) {
            (void)snprintf(why, sizeof why, "%s: %.100s", p.moves[0].guest, p.moves[0].reason);
        }
        propose_end(c, op, p.n_no_place > 0 ? ERR_NO_ROOM : 0, why);
    }
    evacuation_plan_done(&p);
}

void control_evacuate(struct evacuate *c, struct fsm_view *v, uint64_t now_ms)
{
    struct op op;
    uint32_t moving;
    if (c->proposals > 0 || !find(v, &op, &moving) || moving >= op.parallel) {
        return;
    }
    if (op.kind == OP_RETURN) {
        go_back(c, v, &op, moving, now_ms);
        return;
    }
    struct evacuation_plan p;
    evacuation_plan(v, op.subject, &p);
    if (p.n == 0) {
        propose_end(c, &op, 0, "");
    } else if (p.n_can > 0) {
        c->stuck_since_ms = 0;
        for (uint32_t i = 0; i < p.n && moving < op.parallel; i++) {
            if (p.moves[i].no == MOVE_CAN) {
                propose_move(c, &op, &p.moves[i]);
                moving++;
            }
        }
    } else if (p.n_under_way == 0) {
        stuck(c, &op, &p, now_ms);
    }
    evacuation_plan_done(&p);
}
