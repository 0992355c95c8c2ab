#include "cli/quorated/control_restart.h"

#include <string.h>

#include "core/log.h"
#include "core/mark.h"
#include "core/util.h"

static void proposed(void *ctx, int code, const struct outcome *o)
{
    struct control_restart *c = ctx;
    c->proposing = false;
    if (code == 0 && o != NULL && o->code != 0) {
        log_line(LOG_DEBUG, "restart_rejected", "err", err_text(-(int)o->code), "name", o->name,
                 NULL);
    }
}

static void propose(struct control_restart *c, uint32_t number, const void *record)
{
    c->proposing = true;
    propose_record(c->d, number, record, NULL, proposed, c);
}

static void step(struct control_restart *c, const struct op *op, const char *host, bool begin)
{
    struct cmd_restart_step r;
    schema_init(command_by_number(COMMAND_restart_step)->schema, &r);
    r.id = op->id;
    r.begin = begin;
    (void)str_copy(r.host, sizeof r.host, host);
    propose(c, COMMAND_restart_step, &r);
}

static void end(struct control_restart *c, const struct op *op, int code, const char *why)
{
    struct cmd_evacuation_end r;
    schema_init(command_by_number(COMMAND_evacuation_end)->schema, &r);
    r.id = op->id;
    r.code = (uint32_t)-code;
    (void)str_copy(r.detail, sizeof r.detail, why);
    propose(c, COMMAND_evacuation_end, &r);
}

static void maintenance(struct control_restart *c, const struct op *op, bool on)
{
    struct cmd_host_maintenance r;
    schema_init(command_by_number(COMMAND_host_maintenance)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, op->dst);
    (void)str_copy(r.mode, sizeof r.mode, on ? "on" : "off");
    r.parallel = op->parallel;
    r.move_back = !on;
    propose(c, COMMAND_host_maintenance, &r);
}

/* The next host, or none; *ret_wait: one of the pool is not up. */
static bool
next_host(struct fsm_view *v, const struct op *op, const char *self, char *ret, bool *ret_wait)
{
    struct host h = {0};
    bool found = false;
    bool own = false;
    *ret_wait = false;
    for (int rc = fsm_next_host(v, "", &h); rc == 0; rc = fsm_next_host(v, h.name, &h)) {
        bool due = h.restarted != op->id && h.state != HOST_LEAVING && h.state != HOST_JOINING;
        *ret_wait = *ret_wait || h.state == HOST_DOWN || (due && h.state != HOST_UP);
        if (due && strcmp(h.name, self) == 0) {
            own = true;
        } else if (due && !found) {
            found = true;
            (void)str_copy(ret, LIMIT_NAME + 1, h.name);
        }
    }
    if (!found && own) {
        found = true;
        (void)str_copy(ret, LIMIT_NAME + 1, self);
    }
    return found;
}

static bool comes_back(struct fsm_view *v, const char *host)
{
    struct op op = {0};
    for (int rc = fsm_next_open_op(v, 0, &op); rc == 0; rc = fsm_next_open_op(v, op.id, &op)) {
        if (op.kind == OP_RETURN && strcmp(op.subject, host) == 0) {
            return true;
        }
    }
    return false;
}

/* Its guests leave, unless they stay. True: there is nothing to be done for that now. */
static bool
prepare(struct control_restart *c, struct fsm_view *v, const struct op *op, const struct host *h)
{
    if (op->live || op->dst_epoch != 0 || h->evacuation != 0) {
        return true;
    }
    if (!h->maintenance) {
        maintenance(c, op, /*on=*/true);
    } else if (fsm_guests_on(v, h->name) > 0) {
        MARK(restart_no_room);
        end(c, op, ERR_NO_ROOM, h->name);
    }
    return true;
}

static void
go_on(struct control_restart *c, struct fsm_view *v, const struct op *op, const struct host *h)
{
    if (h->incarnation == op->src_epoch) {
        (void)prepare(c, v, op, h);
        return;
    }
    if (h->state != HOST_UP) {
        return;
    }
    if (!op->live && op->dst_epoch == 0 && h->maintenance) {
        maintenance(c, op, /*on=*/false);
    } else if (op->live || !comes_back(v, h->name)) {
        step(c, op, h->name, /*begin=*/false);
    }
}

void control_restart(struct control_restart *c, struct fsm_view *v)
{
    struct pool pool;
    struct op op;
    struct host h;
    char next[LIMIT_NAME + 1];
    bool wait;
    if (c->proposing || fsm_get_pool(v, &pool) != 0 || pool.restart == 0 ||
        fsm_get_op(v, pool.restart, &op) != 0) {
        return;
    }
    if (op.dst[0] != '\0') {
        if (fsm_get_host(v, op.dst, &h) == 0) {
            go_on(c, v, &op, &h);
        } else {
            end(c, &op, ERR_NOT_FOUND, op.dst);
        }
    } else if (!next_host(v, &op, c->d->opt.name, next, &wait)) {
        end(c, &op, 0, "");
    } else if (!wait) {
        step(c, &op, next, /*begin=*/true);
    }
}

/* --- on every host */

static bool is_our_turn(struct daemon *d, struct fsm_view *v, uint64_t incarnation)
{
    struct pool pool;
    struct op op;
    struct host h;
    if (fsm_get_pool(v, &pool) != 0 || pool.restart == 0 || fsm_get_op(v, pool.restart, &op) != 0 ||
        strcmp(op.dst, d->opt.name) != 0 || op.src_epoch != incarnation ||
        fsm_get_host(v, op.dst, &h) != 0) {
        return false;
    }
    bool empty = h.evacuation == 0 && h.maintenance && fsm_guests_on(v, h.name) == 0;
    return op.live || op.dst_epoch != 0 || empty;
}

void restart_tick(struct daemon *d)
{
    struct raftlog_status st;
    raftlog_status(d->rl, &st);
    if (d->stopping || d->announced_raft_id == 0 || d->announced_raft_id != st.raft_id) {
        return;
    }
    struct fsm_view *v = fsm_look(d->fsm);
    bool turn = v != NULL && is_our_turn(d, v, st.incarnation);
    (void)fsm_view_close(v);
    if (turn) {
        MARK(restarted_self);
        log_line(LOG_INFO, "restarting", "why", "pool restart", NULL);
        d->restart = true;
        daemon_stop(d);
    }
}
