/* The rolling restart of the pool's daemons: one operation, whose cursor is in the state, so that
 * another master goes on from where the last one was. Which host comes next, and when, is decided
 * by the master (cli/quorated/control_restart.c); a host sees in the state that it is its turn.
 *
 *   op.dst         the host under way; empty: none
 *   op.src_epoch   the incarnation of its daemon when it began: with another it has restarted
 *   op.dst_epoch   1: the host was in maintenance before, and stays so
 *   op.live        its guests stay while its daemon restarts; else they are moved away and come
 * back host.restarted the last such operation that is done with the host */

#include <string.h>

#include "core/mark.h"
#include "core/util.h"

#include "fsm/apply.h"

void cmd_pool_restart(struct apply *a, const void *record)
{
    const struct cmd_pool_restart *c = record;
    struct pool *pool = &a->f->pool;
    struct guest nobody = {.run_epoch = 0};
    bool leave = c->guests[0] == '\0' || strcmp(c->guests, "leave") == 0;
    if (pool->restart != 0) {
        MARK(restart_twice);
        struct outcome *o = reject_state(a, "pool", pool->name, "restarting", 0);
        o->b = pool->restart;
        return;
    }
    if (!leave && strcmp(c->guests, "migrate") != 0) {
        reject_field(a, "guests");
        return;
    }
    struct op o = op_make(a, OP_RESTART, &nobody);
    o.deadline_ms = 0;
    o.live = leave;
    o.parallel = c->parallel;
    (void)str_copy(o.subject, sizeof o.subject, pool->name);
    op_begin(a, &o);
    pool->restart = o.id;
    save_pool(a);
}

/* It is under way, or reject. */
static bool need_restart(struct apply *a, uint64_t id, struct op *ret)
{
    if (!need_op(a, id, ret)) {
        return false;
    }
    if (ret->kind != OP_RESTART || ret->state != OP_RUNNING) {
        reject_phase(a, ret);
        return false;
    }
    return true;
}

static void begin_host(struct apply *a, struct op *o, const struct host *h)
{
    if (o->dst[0] != '\0' || h->restarted == o->id || h->state != HOST_UP) {
        (void)reject_state(a, "host", h->name, h->state == HOST_UP ? "turn" : "source", h->state);
        return;
    }
    (void)str_copy(o->dst, sizeof o->dst, h->name);
    o->src_epoch = h->incarnation;
    o->dst_epoch = h->maintenance ? 1 : 0;
    op_save(a, o);
    emit_host(a, "host.restarting", h, "");
}

static void end_host(struct apply *a, struct op *o, struct host *h)
{
    if (strcmp(o->dst, h->name) != 0 || h->incarnation == o->src_epoch || h->state != HOST_UP) {
        MARK(restart_turn);
        (void)reject_state(a, "host", h->name, "turn", h->state);
        return;
    }
    MARK(restart_step);
    memset(o->dst, 0, sizeof o->dst);
    o->moved++;
    op_save(a, o);
    h->restarted = o->id;
    save_host(a, h);
    emit_host(a, "host.restarted", h, "");
}

void cmd_restart_step(struct apply *a, const void *record)
{
    const struct cmd_restart_step *c = record;
    struct op o;
    struct host h;
    if (!need_restart(a, c->id, &o) || !need_host(a, c->host, &h)) {
        return;
    }
    if (c->begin) {
        begin_host(a, &o, &h);
    } else {
        end_host(a, &o, &h);
    }
}
