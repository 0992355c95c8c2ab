/* What is asked of a guest that is there, and what it does by itself. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/qemu_copy.h"

static void set(struct qemu_copy *c, enum hv_state state, const char *detail)
{
    hv_set_state(c->q->hv, &c->base, state, detail);
}

/* True if the op ended here: the monitor refused, or broke. */
static bool refused(struct qemu_op *op, const struct err *e, const char *what)
{
    struct err told;
    if (e->code == 0) {
        return false;
    }
    qemu_error(&told, e, what);
    qemu_op_end(op, &told);
    return true;
}

static void asked_off(void *ctx, json_t *value, const struct err *e)
{
    (void)value;
    if (!refused(ctx, e, "press the power button")) {
        qemu_op_end(ctx, NULL);
    }
}

static void stopped(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    (void)value;
    if (!refused(op, e, "pause")) {
        set(op->copy, HV_PAUSED, NULL);
        qemu_op_end(op, NULL);
    }
}

static void continued(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    struct qemu_copy *c = op->copy;
    struct err ignored;
    (void)value;
    if (e->code != 0 && c->incoming && c->base.info.state == HV_ARRIVED) {
        c->ran = false;
        (void)qemu_set_ran(c->dir, false, &ignored);
    }
    if (!refused(op, e, "let the guest run")) {
        set(c, HV_RUNNING, NULL);
        qemu_op_end(op, NULL);
    }
}

static void unpause(struct qemu_copy *c, struct qemu_op *op)
{
    struct err e;
    if (c->base.info.state == HV_RUNNING) {
        qemu_op_end(op, NULL);
        return;
    }
    /* Kept first: a daemon that dies now must not take a guest that ran for one that never did. */
    if (c->incoming && !c->ran && qemu_set_ran(c->dir, true, &e) != 0) {
        qemu_op_end(op, &e);
        return;
    }
    c->ran = true;
    qmp_call(c->qmp, "cont", NULL, continued, op);
}

/* ---- reset ----
 *
 * QEMU would make an exit of it, as of a reboot, so it is told otherwise for a while: the firmware
 * answers our reset by one or two of its own, close together, as the first thing that it does. On a
 * busy host it gets to that late; some never do. */

#define FIRMWARE_MS 2000u
#define QUIET_MS    250u

static json_t *reboot_action(const char *what)
{
    return json_pack("{s:s}", "reboot", what);
}

static void reset_settled(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    (void)value;
    if (!refused(op, e, "reset")) {
        qemu_op_end(op, NULL);
    }
}

static void reset_refused(void *ctx, json_t *value, const struct err *e)
{
    (void)value;
    (void)refused(ctx, e, "reset");
}

static void reset_over(uv_timer_t *timer)
{
    struct qemu_copy *c = timer->data;
    for (struct qemu_op *op = c->ops; op != NULL; op = op->next) {
        if (op->kind == HV_RESET) {
            qmp_call(c->qmp, "set-action", reboot_action("shutdown"), reset_settled, op);
            return;
        }
    }
}

static void reset_seen(struct qemu_copy *c, bool by_guest)
{
    for (struct qemu_op *op = c->ops; op != NULL; op = op->next) {
        if (op->kind == HV_RESET) {
            if (op->was_panicked) {
                op->was_panicked = false;
                qmp_call(c->qmp, "cont", NULL, NULL, NULL);
            }
            uv_timer_start(&c->quiet, reset_over, by_guest ? QUIET_MS : FIRMWARE_MS, 0);
            return;
        }
    }
}

static void reset(struct qemu_copy *c, struct qemu_op *op)
{
    op->was_panicked = c->base.info.state == HV_PANICKED;
    qmp_call(c->qmp, "set-action", reboot_action("reset"), NULL, NULL);
    qmp_call(c->qmp, "system_reset", NULL, reset_refused, op);
}

/* ---- restamp ---- */

static void restamp(struct qemu_copy *c, struct qemu_op *op)
{
    struct hv *hv = c->q->hv;
    struct err e;
    struct hv_key key = {.uuid = op->req->key.uuid, .epoch = op->req->epoch};
    struct qemu_stamp stamp = {.info = c->base.info, .incoming = c->incoming};
    if (hv_copy_find(hv, &key) != NULL) {
        (void)err_set(&e, ERR_EXISTS, "run epoch %llu is here already",
                      (unsigned long long)key.epoch);
        qemu_op_end(op, &e);
        return;
    }
    stamp.info.key = key;
    if (qemu_stamp_write(c->dir, &stamp, &e) != 0) {
        qemu_op_end(op, &e);
        return;
    }
    hv_copy_remove(hv, &c->base);
    c->base.info.key = key;
    hv_copy_add(hv, &c->base);
    qemu_op_end(op, NULL);
}

void qemu_op_begin(struct qemu_copy *c, struct hv_req *req)
{
    struct qemu_op *op = qemu_op_new(c, req);
    switch (req->op) {
    case HV_SHUTDOWN: qmp_call(c->qmp, "system_powerdown", NULL, asked_off, op); return;
    case HV_PAUSE: qmp_call(c->qmp, "stop", NULL, stopped, op); return;
    case HV_UNPAUSE: unpause(c, op); return;
    case HV_RESET: reset(c, op); return;
    case HV_RESTAMP: restamp(c, op); return;
    case HV_ATTACH: qemu_device_attach(op); return;
    case HV_DETACH: qemu_device_detach(op); return;
    case HV_START:
    case HV_INCOMING_START:
    case HV_DESTROY:
    case HV_MIGRATE:
    case HV_SAVE:
    case HV_MIGRATE_CANCEL: break;
    }
    assert(false);
}

/* ---- events ---- */

static void ended(struct qemu_copy *c, json_t *data)
{
    static const struct {
        const char *reason;
        enum hv_exit exit;
    } reasons[] = {{"guest-shutdown", HV_EXIT_POWEROFF},
                   {"guest-reset", HV_EXIT_REBOOT},
                   {"guest-panic", HV_EXIT_CRASH}};
    const char *reason = json_string_value(json_object_get(data, "reason"));
    for (size_t i = 0; reason != NULL && i < ARRAY_LEN(reasons); i++) {
        if (strcmp(reason, reasons[i].reason) == 0) {
            c->exit_known = true;
            c->exit = reasons[i].exit;
        }
    }
}

static void io_error(struct qemu_copy *c, json_t *data)
{
    const char *device = json_string_value(json_object_get(data, "node-name"));
    const char *reason = json_string_value(json_object_get(data, "reason"));
    (void)snprintf(c->trouble, sizeof c->trouble, "error on its disk %.40s: %.99s",
                   device == NULL ? "" : device, reason == NULL ? "unknown" : reason);
}

static void stopped_by_itself(struct qemu_copy *c)
{
    if (c->base.info.state == HV_OUTGOING) {
        qemu_migrate_stands_still(c, /*still=*/true);
    } else if (c->base.info.state == HV_RUNNING) {
        set(c, HV_PAUSED, c->trouble);
        c->trouble[0] = '\0';
    }
}

void qemu_ops_event(struct qemu_copy *c, const char *name, json_t *data)
{
    enum hv_state state = c->base.info.state;
    if (strcmp(name, "SHUTDOWN") == 0) {
        ended(c, data);
    } else if (strcmp(name, "GUEST_PANICKED") == 0) {
        set(c, HV_PANICKED, NULL);
    } else if (strcmp(name, "RESET") == 0) {
        reset_seen(c, json_is_true(json_object_get(data, "guest")));
    } else if (strcmp(name, "BLOCK_IO_ERROR") == 0) {
        io_error(c, data);
    } else if (strcmp(name, "DEVICE_DELETED") == 0 ||
               strcmp(name, "DEVICE_UNPLUG_GUEST_ERROR") == 0) {
        const char *device = json_string_value(json_object_get(data, "device"));
        if (device != NULL) {
            qemu_device_event(c, strcmp(name, "DEVICE_DELETED") == 0, device);
        }
    } else if (strcmp(name, "STOP") == 0) {
        stopped_by_itself(c);
    } else if (strcmp(name, "RESUME") == 0) {
        if (state == HV_OUTGOING) {
            qemu_migrate_stands_still(c, /*still=*/false);
        } else if (c->settled) {
            set(c, HV_RUNNING, NULL);
        }
    }
}
