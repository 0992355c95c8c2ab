/* Disks and network cards of a guest that come and go. Of a guest that is off it is a change of its
 * configuration; one that is on a host has an operation, and its configuration changes when its
 * host has reported that the device is there, or gone: until then nothing needs to be undone. */

#include <string.h>

#include "core/util.h"

#include "fsm/apply.h"

/* Whether the devices of the guest can change now: idle, and off or running. */
static bool can_change(struct apply *a, const struct guest *g)
{
    bool off = g->host[0] == '\0' && (g->state == GUEST_STOPPED || g->state == GUEST_FAILED);
    if (!need_idle(a, g)) {
        return false;
    }
    if (!off && g->state != GUEST_RUNNING && g->state != GUEST_PAUSED) {
        (void)reject_state(a, "guest", g->name, "device", g->state);
        return false;
    }
    return true;
}

static void begin(struct apply *a, const struct guest *old, struct op *o)
{
    struct guest g = *old;
    g.op = o->id;
    op_begin(a, o);
    save_guest(a, old, &g);
    emit_guest(a, "guest.changed", &g, enum_op_kind.names[o->kind]);
}

/* --- the configuration */

static int find_disk(const struct guest_config *c, const char *device)
{
    for (uint32_t i = 0; i < c->disks_n; i++) {
        if (strcmp(c->disks[i].device, device) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int find_vif(const struct guest_config *c, const char *mac)
{
    for (uint32_t i = 0; i < c->vifs_n; i++) {
        if (strcmp(c->vifs[i].mac, mac) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* A card's place must not move when another one goes: what was counted is written down. */
static void fix_slots(struct guest_config *c)
{
    for (uint32_t i = 0; i < c->vifs_n; i++) {
        c->vifs[i].slot = c->vifs[i].slot == 0 ? i + 1 : c->vifs[i].slot;
    }
}

static uint32_t free_slot(const struct guest_config *c)
{
    uint32_t slot = 1;
    for (uint32_t i = 0; i < c->vifs_n; i++) {
        if (c->vifs[i].slot == slot) {
            slot++;
            i = UINT32_MAX; /* From the beginning: it wraps to 0. */
        }
    }
    return slot;
}

static void add_disk(struct guest_config *c, const struct disk *d)
{
    if (c->disks_n < LIMIT_DISKS) {
        c->disks[c->disks_n++] = *d;
    }
}

static void drop_disk(struct guest_config *c, const char *device)
{
    int at = find_disk(c, device);
    if (at >= 0) {
        uint32_t after = c->disks_n - (uint32_t)at - 1;
        memmove(&c->disks[at], &c->disks[at + 1], after * sizeof c->disks[0]);
        memset(&c->disks[--c->disks_n], 0, sizeof c->disks[0]);
    }
}

static void add_vif(struct guest_config *c, const struct vif *v)
{
    if (c->vifs_n < LIMIT_VIFS) {
        fix_slots(c);
        c->vifs[c->vifs_n++] = *v;
    }
}

static void drop_vif(struct guest_config *c, const char *mac)
{
    int at = find_vif(c, mac);
    if (at >= 0) {
        uint32_t after = c->vifs_n - (uint32_t)at - 1;
        fix_slots(c);
        memmove(&c->vifs[at], &c->vifs[at + 1], after * sizeof c->vifs[0]);
        memset(&c->vifs[--c->vifs_n], 0, sizeof c->vifs[0]);
    }
}

static void change(struct guest_config *c, const struct op *o)
{
    bool attach = o->kind == OP_ATTACH;
    if (o->disks_n > 0 && attach) {
        add_disk(c, &o->disks[0]);
    } else if (o->disks_n > 0) {
        drop_disk(c, o->disks[0].device);
    } else if (attach) {
        add_vif(c, &o->vifs[0]);
    } else {
        drop_vif(c, o->vifs[0].mac);
    }
}

void device_changed(struct apply *a, const struct op *o, const struct guest *old, struct guest *g)
{
    change(&g->config, o);
    index_repos(a, old, g);
}

/* At once, or when the host has done it. */
static void carry_out(struct apply *a, const struct guest *old, struct op *o)
{
    struct guest g = *old;
    if (old->host[0] != '\0') {
        begin(a, old, o);
        return;
    }
    a->out->op = 0;
    device_changed(a, o, old, &g);
    save_guest(a, old, &g);
    emit_guest(a, "guest.changed", &g, enum_op_kind.names[o->kind]);
}

/* An operation that is not the guest's yet. */
static struct op make(struct apply *a, enum op_kind kind, const struct guest *g)
{
    struct guest of = *g;
    return op_make(a, kind, &of);
}

/* --- commands */

void cmd_guest_block_attach(struct apply *a, const void *record)
{
    const struct cmd_guest_block_attach *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !can_change(a, &old)) {
        return;
    }
    if (old.config.disks_n == LIMIT_DISKS) {
        struct outcome *o = reject(a, ERR_TOO_BIG, "disks", "");
        o->a = LIMIT_DISKS;
        return;
    }
    struct guest g = old;
    struct disk d;
    schema_init(&schema_disk, &d);
    (void)str_copy(d.path, sizeof d.path, c->path);
    (void)str_copy(d.device, sizeof d.device, c->device);
    (void)str_copy(d.format, sizeof d.format, c->format);
    d.readonly = c->readonly;
    d.cdrom = c->cdrom;
    add_disk(&g.config, &d);
    if (!check_config(a, &g.config)) {
        return;
    }
    struct op o = make(a, OP_ATTACH, &old);
    o.disks[o.disks_n++] = d;
    carry_out(a, &old, &o);
}

void cmd_guest_block_detach(struct apply *a, const void *record)
{
    const struct cmd_guest_block_detach *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !can_change(a, &old)) {
        return;
    }
    int at = find_disk(&old.config, c->device);
    if (at < 0) {
        (void)reject(a, ERR_NOT_FOUND, "disk", c->device);
        return;
    }
    struct op o = make(a, OP_DETACH, &old);
    o.disks[o.disks_n++] = old.config.disks[at];
    o.force = c->force;
    carry_out(a, &old, &o);
}

void cmd_guest_network_attach(struct apply *a, const void *record)
{
    const struct cmd_guest_network_attach *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !can_change(a, &old)) {
        return;
    }
    if (old.config.vifs_n == LIMIT_VIFS) {
        struct outcome *o = reject(a, ERR_TOO_BIG, "network cards", "");
        o->a = LIMIT_VIFS;
        return;
    }
    struct guest g = old;
    struct vif v;
    schema_init(&schema_vif, &v);
    (void)str_copy(v.mac, sizeof v.mac, c->mac);
    (void)str_copy(v.bridge, sizeof v.bridge, c->bridge);
    (void)str_copy(v.model, sizeof v.model, c->model);
    if (v.mac[0] == '\0' || find_vif(&old.config, v.mac) >= 0) {
        reject_field(a, "mac");
        return;
    }
    fix_slots(&g.config);
    v.slot = free_slot(&g.config);
    add_vif(&g.config, &v);
    if (!check_config(a, &g.config)) {
        return;
    }
    struct op o = make(a, OP_ATTACH, &old);
    o.vifs[o.vifs_n++] = v;
    carry_out(a, &old, &o);
}

void cmd_guest_network_detach(struct apply *a, const void *record)
{
    const struct cmd_guest_network_detach *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !can_change(a, &old)) {
        return;
    }
    int at = find_vif(&old.config, c->mac);
    if (at < 0) {
        (void)reject(a, ERR_NOT_FOUND, "network card", c->mac);
        return;
    }
    struct guest fixed = old;
    fix_slots(&fixed.config);
    struct op o = make(a, OP_DETACH, &old);
    o.vifs[o.vifs_n++] = fixed.config.vifs[at];
    o.force = c->force;
    carry_out(a, &old, &o);
}
