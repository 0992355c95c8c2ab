/* The log decides between switch and abort: whichever is applied first (migration/README.md). */

#include <string.h>

#include "core/mark.h"
#include "core/util.h"

#include "fsm/apply.h"

void reject_phase(struct apply *a, const struct op *o)
{
    struct outcome *out = reject_state(a, "operation", o->subject,
                                       o->state == OP_RUNNING ? "phase" : "ended", o->phase);
    out->b = o->id;
}

bool guest_of(struct apply *a, const struct op *o, struct guest *ret)
{
    const struct key k = key_name('G', o->subject);
    if (rows_get(a->t, &k, &schema_guest, ret) != 0 || ret->op != o->id) {
        kv_fail(a->t, ERR_CORRUPT, "store: an operation's guest is not there");
        return false;
    }
    return true;
}

void cmd_migrate_prepared(struct apply *a, const void *record)
{
    const struct cmd_migrate_prepared *c = record;
    struct op o;
    struct guest g;
    if (!need_op(a, c->op, &o)) {
        return;
    }
    if (!migration_is_open(&o) || o.phase != OP_PHASE_PREPARE) {
        reject_phase(a, &o);
        return;
    }
    if (strcmp(c->host, o.dst) != 0) {
        reject_field(a, "host");
        return;
    }
    if (guest_of(a, &o, &g)) {
        o.phase = OP_PHASE_TRANSFER;
        (void)str_copy(o.address, sizeof o.address, c->address);
        (void)str_copy(o.key, sizeof o.key, c->key);
        op_save(a, &o);
        emit_guest(a, "guest.migrating", &g, enum_op_phase.names[o.phase]);
    }
}

void cmd_migrate_switch(struct apply *a, const void *record)
{
    const struct cmd_migrate_switch *c = record;
    struct op o;
    struct guest old;
    if (!need_op(a, c->op, &o)) {
        return;
    }
    if (!migration_is_open(&o) || o.phase != OP_PHASE_TRANSFER) {
        MARK(switch_too_late);
        reject_phase(a, &o);
        return;
    }
    if (strcmp(c->host, o.src) != 0) {
        reject_field(a, "host");
        return;
    }
    if (!guest_of(a, &o, &old)) {
        return;
    }
    struct guest g = old;
    o.phase = OP_PHASE_SWITCHED;
    op_save(a, &o);
    unreserve(a, o.dst, &g);
    (void)str_copy(g.host, sizeof g.host, o.dst);
    g.run_epoch = o.dst_epoch;
    note_moved(a, &o, &g);
    save_guest(a, &old, &g);
    emit_guest(a, "guest.switched", &g, o.src);
}

void cmd_migrate_abort(struct apply *a, const void *record)
{
    const struct cmd_migrate_abort *c = record;
    struct op o;
    struct guest old;
    if (!need_op(a, c->op, &o)) {
        return;
    }
    if (!migration_is_open(&o)) {
        reject_phase(a, &o);
        return;
    }
    if (c->host[0] != '\0' && strcmp(c->host, o.src) != 0 && strcmp(c->host, o.dst) != 0) {
        reject_field(a, "host");
        return;
    }
    if (!guest_of(a, &o, &old)) {
        return;
    }
    struct guest g = old;
    MARK_IF(aborted_prepare, o.phase == OP_PHASE_PREPARE);
    MARK_IF(aborted_transfer, o.phase == OP_PHASE_TRANSFER);
    bool cancelled = c->code == 0 || c->code == -ERR_CANCELLED;
    abort_migration(a, &o, &g, cancelled ? OP_CANCELLED : OP_FAILED,
                    cancelled ? -ERR_CANCELLED : c->code, c->detail);
    save_guest(a, &old, &g);
    emit_guest(a, "guest.changed", &g, "aborted");
}
