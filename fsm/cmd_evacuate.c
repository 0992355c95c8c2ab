/* Emptying a host. The operation is a promise and a count; which guest goes where is decided by the
 * master (cli/quorated/control_evacuate.c) one migration after another, each of which names this
 * operation as its parent. What is left to do is what the host still owns, so that another master
 * goes on from where the last one was. While it is under way the host takes no guests. */

#include <string.h>

#include "core/mark.h"
#include "core/util.h"

#include "fsm/apply.h"

void evacuation_stop(struct apply *a,
                     struct host *h,
                     enum op_state state,
                     uint32_t code,
                     const char *detail)
{
    const struct key k = key_number('O', h->evacuation);
    struct op o;
    if (h->evacuation == 0) {
        return;
    }
    if (rows_get(a->t, &k, &schema_op, &o) != 0) {
        kv_fail(a->t, ERR_CORRUPT, "store: a host's evacuation is not there");
        return;
    }
    MARK_IF(evacuation_lost, code == -ERR_LOST);
    op_end(a, &o, state, code, detail);
    h->evacuation = 0;
}

bool op_is_of_hosts(const struct op *o)
{
    return o->kind == OP_EVACUATE || o->kind == OP_RETURN || o->kind == OP_RESTART;
}

/* Of the host that a rolling restart has under way, if it was the restart that began it. */
static void end_maintenance(struct apply *a, const struct op *o)
{
    struct host h;
    const struct key k = key_name('H', o->dst);
    bool ours = o->dst[0] != '\0' && !o->live && o->dst_epoch == 0;
    if (ours && rows_get(a->t, &k, &schema_host, &h) == 0 && h.maintenance) {
        evacuation_stop(a, &h, OP_CANCELLED, -ERR_CANCELLED, "maintenance off");
        h.maintenance = false;
        save_host(a, &h);
        emit_host(a, "host.changed", &h, "no maintenance");
    }
}

void end_op_of_hosts(struct apply *a,
                     struct op *o,
                     enum op_state state,
                     uint32_t code,
                     const char *detail)
{
    struct host h;
    const struct key k = key_name('H', o->subject);
    if (o->kind == OP_EVACUATE && rows_get(a->t, &k, &schema_host, &h) == 0 &&
        h.evacuation == o->id) {
        evacuation_stop(a, &h, state, code, detail);
        save_host(a, &h);
    } else {
        op_end(a, o, state, code, detail);
    }
    if (o->kind == OP_RESTART && a->f->pool.restart == o->id) {
        a->f->pool.restart = 0;
        save_pool(a);
        end_maintenance(a, o);
    }
}

static uint64_t begin(struct apply *a, const struct host *h, enum op_kind kind, uint32_t parallel)
{
    struct guest nobody = {.run_epoch = 0};
    struct op o = op_make(a, kind, &nobody);
    o.deadline_ms = 0; /* It ends when its guests have moved, or cannot. */
    o.parallel = parallel;
    (void)str_copy(o.subject, sizeof o.subject, h->name);
    (void)str_copy(kind == OP_EVACUATE ? o.src : o.dst, sizeof o.src, h->name);
    op_begin(a, &o);
    return o.id;
}

/* Whether it can begin, or reject with the reason. */
static bool can_begin(struct apply *a, const struct host *h)
{
    if (h->evacuation != 0) {
        MARK(evacuating_already);
        struct outcome *o = reject_state(a, "host", h->name, "evacuating", h->state);
        o->b = h->evacuation;
        return false;
    }
    if (h->state != HOST_UP) {
        (void)reject_state(a, "host", h->name, "source", h->state);
        return false;
    }
    return true;
}

void cmd_host_evacuate(struct apply *a, const void *record)
{
    const struct cmd_host_evacuate *c = record;
    struct host h;
    if (need_host(a, c->name, &h) && can_begin(a, &h)) {
        h.evacuation = begin(a, &h, OP_EVACUATE, c->parallel);
        save_host(a, &h);
        emit_host(a, "host.changed", &h, "evacuate");
    }
}

void cmd_host_maintenance(struct apply *a, const void *record)
{
    const struct cmd_host_maintenance *c = record;
    struct host old;
    if (!need_host(a, c->name, &old)) {
        return;
    }
    struct host h = old;
    if (!on_off(c->mode, &h.maintenance)) {
        reject_field(a, "mode");
        return;
    }
    /* A host that is down has nothing that could be moved, and may be taken out all the same. */
    bool moves = h.maintenance && c->evacuate && h.state == HOST_UP && h.evacuation == 0 &&
                 rows_guests_on(a->t, h.name) > 0;
    if (c->move_back && (h.maintenance || h.state != HOST_UP)) {
        (void)reject_state(a, "host", h.name, h.maintenance ? "maintenance" : "down", h.state);
        return;
    }
    if (moves) {
        h.evacuation = begin(a, &h, OP_EVACUATE, c->parallel);
    } else if (!h.maintenance) {
        evacuation_stop(a, &h, OP_CANCELLED, -ERR_CANCELLED, "maintenance off");
    }
    if (!schema_same(&schema_host, &h, &old)) {
        save_host(a, &h);
        emit_host(a, "host.changed", &h, h.maintenance ? "maintenance" : "no maintenance");
    }
    if (c->move_back) {
        (void)begin(a, &h, OP_RETURN, c->parallel);
    }
}

/* A migration that was part of an evacuation ended. */
void evacuation_count(struct apply *a, const struct op *child)
{
    const struct key k = key_number('O', child->parent);
    struct op o;
    if (child->parent == 0 || rows_get(a->t, &k, &schema_op, &o) != 0 || o.state != OP_RUNNING) {
        return; /* Ended before, and perhaps not kept any more. */
    }
    o.moved += child->state == OP_DONE ? 1 : 0;
    o.failed = child->state == OP_DONE ? 0 : o.failed + 1;
    op_save(a, &o);
    if (o.failed >= EVACUATION_FAILURES) {
        MARK(evacuation_failures);
        end_op_of_hosts(a, &o, OP_FAILED, child->code, child->subject);
    }
}

void note_moved(struct apply *a, const struct op *migration, struct guest *g)
{
    const struct key k = key_number('O', migration->parent);
    struct op parent;
    bool away = migration->parent != 0 && rows_get(a->t, &k, &schema_op, &parent) == 0 &&
                parent.kind == OP_EVACUATE;
    if (!away) {
        memset(g->moved_from, 0, sizeof g->moved_from); /* Somebody chose its place. */
    } else if (g->moved_from[0] == '\0') {
        (void)str_copy(g->moved_from, sizeof g->moved_from, migration->src);
    }
}

bool check_parent(struct apply *a, uint64_t parent, const char *src, const char *dst)
{
    struct op o;
    if (parent == 0) {
        return true;
    }
    if (!need_op(a, parent, &o)) {
        return false;
    }
    const char *host = o.kind == OP_EVACUATE ? src : o.kind == OP_RETURN ? dst : "";
    if (o.state != OP_RUNNING || strcmp(o.subject, host) != 0) {
        reject_phase(a, &o);
        return false;
    }
    return true;
}

void cmd_evacuation_end(struct apply *a, const void *record)
{
    const struct cmd_evacuation_end *c = record;
    struct op o;
    struct host h;
    if (!need_op(a, c->id, &o)) {
        return;
    }
    if (!op_is_of_hosts(&o) || o.state != OP_RUNNING) {
        reject_phase(a, &o);
        return;
    }
    if (o.kind != OP_EVACUATE) {
        end_op_of_hosts(a, &o, c->code == 0 ? OP_DONE : OP_FAILED, c->code, c->detail);
        return;
    }
    if (!need_host(a, o.subject, &h)) {
        return;
    }
    uint32_t left = rows_guests_on(a->t, h.name);
    if (c->code == 0 && left > 0) {
        struct outcome *out = reject(a, ERR_IN_USE, "host", h.name);
        out->a = left;
        return;
    }
    evacuation_stop(a, &h, c->code == 0 ? OP_DONE : OP_FAILED, c->code, c->detail);
    save_host(a, &h);
    emit_host(a, "host.changed", &h, c->code == 0 ? "evacuated" : "not evacuated");
}
