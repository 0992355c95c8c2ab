/* Disks and network cards that come and go while the guest runs.
 *
 * A device has an id that follows from what it is, so that a request that is repeated finds what an
 * earlier one began. Only what sits on PCI can come: virtio disks, and cards but ISA ones. A device
 * goes when the guest lets go of it (DEVICE_DELETED); a guest that does not, keeps it. */
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/qemu_args.h"
#include "hvdriver/qemu_copy.h"
#include "hvdriver/spec.h"

static bool ended_by(struct qemu_op *op, const struct err *e, const char *what)
{
    struct err told;
    if (e->code == 0) {
        return false;
    }
    qemu_error(&told, e, what);
    qemu_op_end(op, &told);
    return true;
}

static bool says(const struct err *e, const char *text)
{
    return e->code == ERR_HYPERVISOR && strstr(e->msg, text) != NULL;
}

static json_t *one(const char *key, const char *value)
{
    return json_pack("{s:s}", key, value);
}

/* The back end goes; that of a device which is there stays, QEMU refuses. */
static void drop_back_end(const struct qemu_op *op)
{
    qmp_call(op->copy->qmp, op->is_disk ? "blockdev-del" : "netdev_del",
             one(op->is_disk ? "node-name" : "id", op->back), NULL, NULL);
}

/* ---- attach ---- */

static void device_added(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    (void)value;
    if (e->code != 0 && e->code != ERR_CLOSED && !says(e, "Duplicate")) {
        drop_back_end(op);
        (void)ended_by(op, e, "attach the device");
        return;
    }
    if (e->code == ERR_CLOSED) {
        (void)ended_by(op, e, "attach the device");
        return;
    }
    qemu_op_end(op, NULL); /* It is there, or it was. */
}

static void add_device(struct qemu_op *op)
{
    json_t *args =
        json_pack("{s:s, s:s, s:s, s:s}", "driver", op->is_disk ? "virtio-blk-pci" : op->model,
                  "id", op->device, "bus", "pci.0", "addr", op->addr);
    if (op->is_disk) {
        (void)json_object_set_new(args, "drive", json_string(op->back));
    } else {
        (void)json_object_set_new(args, "netdev", json_string(op->back));
        (void)json_object_set_new(args, "mac", json_string(op->mac));
        (void)json_object_set_new(args, "romfile", json_string(""));
    }
    qmp_call(op->copy->qmp, "device_add", args, device_added, op);
}

static void back_end_added(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    (void)value;
    if (e->code == 0 || says(e, "Duplicate")) {
        add_device(op);
        return;
    }
    if (op->is_disk && op->direct && e->code != ERR_CLOSED) { /* tmpfs cannot do without cache. */
        op->direct = false;
        json_t *node = qemu_block_node(&op->disk, op->copy->q->hv->image_locking, op->direct);
        qmp_call(op->copy->qmp, "blockdev-add", node, back_end_added, op);
        return;
    }
    (void)ended_by(op, e, "open it");
}

static bool describe_disk(struct qemu_op *op, const struct hv_disk *d, struct err *e)
{
    enum spec_bus bus;
    uint32_t unit;
    op->is_disk = true;
    op->disk = *d;
    if (spec_device(d->device, &bus, &unit) != 0 || bus != SPEC_VIRTIO || d->cdrom) {
        (void)err_set(e, ERR_UNSUPPORTED,
                      "disk %s: only xvda to xvdt and vda to vdt, no CD drives, come and go while "
                      "the guest runs",
                      d->device);
        return false;
    }
    (void)snprintf(op->device, sizeof op->device, "%s", d->device);
    (void)snprintf(op->back, sizeof op->back, "disk-%s", d->device);
    (void)snprintf(op->addr, sizeof op->addr, "0x%x", qemu_disk_addr(unit));
    return true;
}

static bool describe_vif(struct qemu_op *op, const struct hv_vif *v, struct err *e)
{
    const char *model = v->model[0] == '\0' ? "virtio-net-pci" : v->model;
    if (strcmp(model, "ne2k_isa") == 0 || v->slot == 0) {
        (void)err_set(e, ERR_UNSUPPORTED, "card %s: an ISA card stays while the guest runs",
                      v->mac);
        return false;
    }
    (void)str_copy(op->model, sizeof op->model, model);
    (void)str_copy(op->mac, sizeof op->mac, v->mac);
    (void)snprintf(op->device, sizeof op->device, "card%u", v->slot - 1);
    (void)snprintf(op->back, sizeof op->back, "net%u", v->slot - 1);
    (void)snprintf(op->addr, sizeof op->addr, "0x%x", qemu_vif_addr(v->slot - 1));
    return true;
}

static bool describe(struct qemu_op *op)
{
    const struct hv_req *req = op->req;
    struct err e;
    bool ok = req->disk != NULL ? describe_disk(op, req->disk, &e) : describe_vif(op, req->vif, &e);
    if (!ok) {
        qemu_op_end(op, &e);
    }
    return ok;
}

void qemu_device_attach(struct qemu_op *op)
{
    struct hv *hv = op->copy->q->hv;
    struct err e;
    if (!describe(op)) {
        return;
    }
    if (op->is_disk) {
        op->direct = true;
        qmp_call(op->copy->qmp, "blockdev-add",
                 qemu_block_node(&op->disk, hv->image_locking, op->direct), back_end_added, op);
    } else if (op->req->vif->bridge[0] != '\0') {
        (void)err_set(&e, ERR_UNSUPPORTED,
                      "a card on a bridge comes with the start of the guest, not while it runs");
        qemu_op_end(op, &e);
    } else {
        qmp_call(op->copy->qmp, "netdev_add",
                 json_pack("{s:s, s:s, s:i}", "type", "hubport", "id", op->back, "hubid",
                           (int)op->req->vif->slot - 1),
                 back_end_added, op);
    }
}

/* ---- detach ---- */

static void back_end_gone(void *ctx, json_t *value, const struct err *e)
{
    (void)value;
    (void)e; /* It was gone before; or the next attach finds it. */
    qemu_op_end(ctx, NULL);
}

static void remove_back_end(struct qemu_op *op)
{
    qmp_call(op->copy->qmp, op->is_disk ? "blockdev-del" : "netdev_del",
             one(op->is_disk ? "node-name" : "id", op->back), back_end_gone, op);
}

static void device_asked(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    (void)value;
    if (says(e, "not found")) {
        remove_back_end(op);
    } else if (!says(e, "already in the process of unplug")) {
        (void)ended_by(op, e, "detach the device"); /* Else the guest is asked: an event ends it. */
    }
}

void qemu_device_detach(struct qemu_op *op)
{
    struct err e;
    if (!describe(op)) {
        return;
    }
    if (op->req->force) {
        (void)err_set(&e, ERR_UNSUPPORTED,
                      "driver qemu cannot take a device that the guest does not let go of: shut it "
                      "down, or try again without force");
        qemu_op_end(op, &e);
        return;
    }
    qmp_call(op->copy->qmp, "device_del", one("id", op->device), device_asked, op);
}

void qemu_device_event(struct qemu_copy *c, bool deleted, const char *device)
{
    for (struct qemu_op *op = c->ops; op != NULL; op = op->next) {
        if (op->kind == HV_DETACH && strcmp(op->device, device) == 0) {
            struct err e;
            (void)err_set(&e, ERR_HYPERVISOR, "the guest refuses to let go of it");
            if (deleted) {
                remove_back_end(op);
            } else {
                qemu_op_end(op, &e);
            }
            return;
        }
    }
}
