/* Driver xen and the program quorate-xen: see xen_wire.h. */
#include "hvdriver/xen_wire.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

static const char *const op_names[] = {
    [HV_START] = "start",
    [HV_SHUTDOWN] = "shutdown",
    [HV_DESTROY] = "destroy",
    [HV_PAUSE] = "pause",
    [HV_UNPAUSE] = "unpause",
    [HV_RESET] = "reset",
    [HV_INCOMING_START] = "incoming",
    [HV_MIGRATE] = "migrate",
    [HV_MIGRATE_CANCEL] = "cancel",
    [HV_SAVE] = "save",
    [HV_ATTACH] = "attach",
    [HV_DETACH] = "detach",
    [HV_RESTAMP] = "restamp",
};

const char *xen_op_name(enum hv_op op)
{
    return op_names[op];
}

int xen_op_parse(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(op_names); i++) {
        if (strcmp(op_names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

int xen_state_parse(const char *name)
{
    for (int i = HV_STARTING; i <= HV_PANICKED; i++) {
        if (strcmp(hv_state_name((enum hv_state)i), name) == 0) {
            return i;
        }
    }
    return -1;
}

int xen_exit_parse(const char *name)
{
    for (int i = HV_EXIT_UNKNOWN; i <= HV_EXIT_INCOMING; i++) {
        if (strcmp(hv_exit_name((enum hv_exit)i), name) == 0) {
            return i;
        }
    }
    return -1;
}

/* ---- texts and numbers ---- */

const char *xen_text(const json_t *from, const char *name)
{
    const char *text = json_string_value(json_object_get(from, name));
    return text == NULL ? "" : text;
}

uint64_t xen_number(const json_t *from, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(from, name));
    return n < 0 ? 0 : (uint64_t)n;
}

static void put_text(json_t *to, const char *name, const char *text)
{
    /* What is not UTF-8 (a path may be anything) would be lost without a word. */
    json_t *value = json_string(text);
    (void)json_object_set_new(to, name, value == NULL ? json_null() : value);
}

static void put_number(json_t *to, const char *name, uint64_t n)
{
    (void)json_object_set_new(to, name, json_integer((json_int_t)n));
}

static void put_flag(json_t *to, const char *name, bool on)
{
    (void)json_object_set_new(to, name, json_boolean(on));
}

static bool get_flag(const json_t *from, const char *name)
{
    return json_is_true(json_object_get(from, name));
}

static int get_text(const json_t *from, const char *name, char *to, size_t size, struct err *e)
{
    const json_t *value = json_object_get(from, name);
    if (!json_is_string(value) || json_string_length(value) >= size) {
        return err_set(e, ERR_MALFORMED, "\"%s\" is missing, no text or too long", name);
    }
    (void)str_copy(to, size, json_string_value(value));
    return 0;
}

static int get_u32(const json_t *from, const char *name, uint32_t *ret, struct err *e)
{
    const json_t *value = json_object_get(from, name);
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 0 || n > UINT32_MAX) {
        return err_set(e, ERR_MALFORMED, "\"%s\" is missing or no number of 32 bits", name);
    }
    *ret = (uint32_t)n;
    return 0;
}

void xen_key_pack(json_t *to, const struct hv_key *key)
{
    char text[ID_TEXT_SIZE];
    put_text(to, "uuid", id_text(&key->uuid, text));
    put_number(to, "epoch", key->epoch);
}

int xen_key_unpack(const json_t *from, struct hv_key *ret, struct err *e)
{
    *ret = (struct hv_key){.epoch = xen_number(from, "epoch")};
    if (id_parse(xen_text(from, "uuid"), &ret->uuid) != 0 || ret->epoch == 0) {
        return err_set(e, ERR_MALFORMED, "no uuid or no run epoch");
    }
    return 0;
}

/* ---- a spec ---- */

json_t *xen_disk_pack(const struct hv_disk *d)
{
    json_t *disk = json_object();
    put_text(disk, "path", d->path);
    put_text(disk, "device", d->device);
    put_text(disk, "format", d->format);
    put_flag(disk, "readonly", d->readonly);
    put_flag(disk, "cdrom", d->cdrom);
    return disk;
}

json_t *xen_vif_pack(const struct hv_vif *v)
{
    json_t *vif = json_object();
    put_text(vif, "mac", v->mac);
    put_text(vif, "bridge", v->bridge);
    put_text(vif, "model", v->model);
    put_number(vif, "slot", v->slot);
    return vif;
}

static json_t *pack_disks(const struct hv_spec *spec)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < spec->n_disks; i++) {
        (void)json_array_append_new(list, xen_disk_pack(&spec->disks[i]));
    }
    return list;
}

static json_t *pack_vifs(const struct hv_spec *spec)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < spec->n_vifs; i++) {
        (void)json_array_append_new(list, xen_vif_pack(&spec->vifs[i]));
    }
    return list;
}

json_t *xen_spec_pack(const struct hv_spec *spec)
{
    json_t *to = json_object();
    struct hv_key key = {spec->uuid, spec->epoch};
    xen_key_pack(to, &key);
    put_text(to, "name", spec->name);
    put_text(to, "host", spec->host);
    put_text(to, "type", spec->type);
    put_number(to, "memory", spec->memory_mib);
    put_number(to, "maxmem", spec->maxmem_mib);
    put_number(to, "vcpus", spec->vcpus);
    put_text(to, "kernel", spec->kernel);
    put_text(to, "ramdisk", spec->ramdisk);
    put_text(to, "cmdline", spec->cmdline);
    put_text(to, "boot", spec->boot);
    (void)json_object_set_new(to, "disks", pack_disks(spec));
    (void)json_object_set_new(to, "vifs", pack_vifs(spec));
    put_flag(to, "vnc", spec->vnc);
    put_text(to, "vnc_password", spec->vnc_password);
    put_flag(to, "paused", spec->paused);
    put_text(to, "restore", spec->restore);
    return to;
}

int xen_disk_unpack(const json_t *from, struct hv_disk *ret, struct err *e)
{
    *ret =
        (struct hv_disk){.readonly = get_flag(from, "readonly"), .cdrom = get_flag(from, "cdrom")};
    if (get_text(from, "path", ret->path, sizeof ret->path, e) != 0 ||
        get_text(from, "device", ret->device, sizeof ret->device, e) != 0 ||
        get_text(from, "format", ret->format, sizeof ret->format, e) != 0) {
        return e->code;
    }
    return 0;
}

int xen_vif_unpack(const json_t *from, struct hv_vif *ret, struct err *e)
{
    *ret = (struct hv_vif){0};
    if (get_text(from, "mac", ret->mac, sizeof ret->mac, e) != 0 ||
        get_text(from, "bridge", ret->bridge, sizeof ret->bridge, e) != 0 ||
        get_text(from, "model", ret->model, sizeof ret->model, e) != 0 ||
        get_u32(from, "slot", &ret->slot, e) != 0) {
        return e->code;
    }
    if (ret->slot > LIMIT_VIFS) {
        return err_set(e, ERR_MALFORMED, "a card in slot %u of %u", ret->slot, LIMIT_VIFS);
    }
    return 0;
}

static int unpack_disks(const json_t *list, struct hv_spec *ret, struct err *e)
{
    int rc = 0;
    if (!json_is_array(list) || json_array_size(list) > LIMIT_DISKS) {
        return err_set(e, ERR_MALFORMED, "\"disks\" is no list, or too long");
    }
    ret->n_disks = (uint32_t)json_array_size(list);
    for (uint32_t i = 0; i < ret->n_disks && rc == 0; i++) {
        rc = xen_disk_unpack(json_array_get(list, i), &ret->disks[i], e);
    }
    return rc;
}

static int unpack_vifs(const json_t *list, struct hv_spec *ret, struct err *e)
{
    int rc = 0;
    if (!json_is_array(list) || json_array_size(list) > LIMIT_VIFS) {
        return err_set(e, ERR_MALFORMED, "\"vifs\" is no list, or too long");
    }
    ret->n_vifs = (uint32_t)json_array_size(list);
    for (uint32_t i = 0; i < ret->n_vifs && rc == 0; i++) {
        rc = xen_vif_unpack(json_array_get(list, i), &ret->vifs[i], e);
    }
    return rc;
}

int xen_spec_unpack(const json_t *from, struct hv_spec *ret, struct err *e)
{
    struct hv_key key;
    memset(ret, 0, sizeof *ret);
    if (xen_key_unpack(from, &key, e) != 0 ||
        get_text(from, "name", ret->name, sizeof ret->name, e) != 0 ||
        get_text(from, "host", ret->host, sizeof ret->host, e) != 0 ||
        get_text(from, "type", ret->type, sizeof ret->type, e) != 0 ||
        get_u32(from, "memory", &ret->memory_mib, e) != 0 ||
        get_u32(from, "maxmem", &ret->maxmem_mib, e) != 0 ||
        get_u32(from, "vcpus", &ret->vcpus, e) != 0 ||
        get_text(from, "kernel", ret->kernel, sizeof ret->kernel, e) != 0 ||
        get_text(from, "ramdisk", ret->ramdisk, sizeof ret->ramdisk, e) != 0 ||
        get_text(from, "cmdline", ret->cmdline, sizeof ret->cmdline, e) != 0 ||
        get_text(from, "boot", ret->boot, sizeof ret->boot, e) != 0 ||
        get_text(from, "vnc_password", ret->vnc_password, sizeof ret->vnc_password, e) != 0 ||
        get_text(from, "restore", ret->restore, sizeof ret->restore, e) != 0 ||
        unpack_disks(json_object_get(from, "disks"), ret, e) != 0 ||
        unpack_vifs(json_object_get(from, "vifs"), ret, e) != 0) {
        return e->code;
    }
    ret->uuid = key.uuid;
    ret->epoch = key.epoch;
    ret->vnc = get_flag(from, "vnc");
    ret->paused = get_flag(from, "paused");
    return 0;
}

/* ---- a copy ---- */

json_t *xen_copy_pack(const struct hv_info *info, const char *detail)
{
    json_t *to = json_object();
    xen_key_pack(to, &info->key);
    put_text(to, "name", info->name);
    put_text(to, "state", hv_state_name(info->state));
    put_text(to, "detail", detail);
    put_number(to, "memory", info->memory_mib);
    put_number(to, "vcpus", info->vcpus);
    put_number(to, "started", info->started_ms);
    put_number(to, "domain", info->domain);
    put_number(to, "vnc", (uint64_t)((int64_t)info->vnc_display + 1)); /* 0: none. */
    put_text(to, "console", info->console);
    put_text(to, "log", info->log);
    return to;
}

int xen_copy_unpack(const json_t *from, struct hv_info *ret, const char **ret_detail, struct err *e)
{
    uint32_t vnc = 0;
    int state = xen_state_parse(xen_text(from, "state"));
    memset(ret, 0, sizeof *ret);
    if (xen_key_unpack(from, &ret->key, e) != 0 ||
        get_text(from, "name", ret->name, sizeof ret->name, e) != 0 ||
        get_u32(from, "memory", &ret->memory_mib, e) != 0 ||
        get_u32(from, "vcpus", &ret->vcpus, e) != 0 ||
        get_u32(from, "domain", &ret->domain, e) != 0 || get_u32(from, "vnc", &vnc, e) != 0 ||
        get_text(from, "console", ret->console, sizeof ret->console, e) != 0 ||
        get_text(from, "log", ret->log, sizeof ret->log, e) != 0) {
        return e->code;
    }
    if (state < 0 || vnc > UINT16_MAX) {
        return err_set(e, ERR_MALFORMED, "a copy in no state, or on no display");
    }
    ret->state = (enum hv_state)state;
    ret->started_ms = xen_number(from, "started");
    ret->vnc_display = (int32_t)vnc - 1;
    *ret_detail = xen_text(from, "detail");
    return 0;
}

json_t *xen_progress_pack(const struct hv_progress *p)
{
    json_t *to = json_object();
    put_number(to, "total", p->total_bytes);
    put_number(to, "sent", p->sent_bytes);
    put_number(to, "remaining", p->remaining_bytes);
    put_number(to, "rate", p->rate_bytes_per_s);
    put_number(to, "percent", p->percent);
    put_number(to, "downtime", p->downtime_ms);
    return to;
}

int xen_progress_unpack(const json_t *from, struct hv_progress *ret, struct err *e)
{
    memset(ret, 0, sizeof *ret);
    ret->total_bytes = xen_number(from, "total");
    ret->sent_bytes = xen_number(from, "sent");
    ret->remaining_bytes = xen_number(from, "remaining");
    ret->rate_bytes_per_s = xen_number(from, "rate");
    if (get_u32(from, "percent", &ret->percent, e) != 0 ||
        get_u32(from, "downtime", &ret->downtime_ms, e) != 0) {
        return e->code;
    }
    if (ret->percent > 100 || ret->remaining_bytes > ret->total_bytes) {
        return err_set(e, ERR_MALFORMED, "progress beyond the end");
    }
    return 0;
}

/* ---- lines ---- */

void xen_reader_done(struct xen_reader *r)
{
    free(r->bytes);
    *r = (struct xen_reader){0};
}

static int decode(const struct xen_reader *r,
                  size_t from,
                  size_t len,
                  int (*fn)(void *ctx, const json_t *msg, struct err *e),
                  void *ctx,
                  struct err *e)
{
    json_error_t why;
    json_t *msg = json_loadb(r->bytes + from, len, 0, &why);
    if (!json_is_object(msg)) {
        json_decref(msg);
        return err_set(e, ERR_MALFORMED, "a line that is no JSON object");
    }
    int rc = fn(ctx, msg, e);
    json_decref(msg);
    return rc;
}

int xen_reader_feed(struct xen_reader *r,
                    const char *bytes,
                    size_t n,
                    int (*fn)(void *ctx, const json_t *msg, struct err *e),
                    void *ctx,
                    struct err *e)
{
    if (n == 0) {
        return 0;
    }
    if (r->len + n > r->cap) {
        r->cap = (r->len + n) * 2;
        r->bytes = mem_grow(r->bytes, r->cap, 1);
    }
    memcpy(r->bytes + r->len, bytes, n);
    r->len += n;
    size_t done = 0;
    int rc = 0;
    while (rc == 0) {
        const char *end = memchr(r->bytes + done, '\n', r->len - done);
        size_t len = end == NULL ? r->len - done : (size_t)(end - (r->bytes + done));
        if (len > XEN_LINE_MAX) {
            rc = err_set(e, ERR_TOO_BIG, "a line of more than %u bytes", XEN_LINE_MAX);
        } else if (end == NULL) {
            break;
        } else {
            rc = decode(r, done, len, fn, ctx, e);
            done += len + 1;
        }
    }
    memmove(r->bytes, r->bytes + done, r->len - done);
    r->len -= done;
    return rc;
}

char *xen_line(json_t *msg, size_t *ret_len)
{
    char *text = json_dumps(msg, JSON_COMPACT);
    assert(text != NULL); /* Of our own making: objects of valid texts. */
    json_decref(msg);
    size_t len = strlen(text);
    text = mem_grow(text, len + 2, 1);
    text[len] = '\n';
    text[len + 1] = '\0';
    *ret_len = len + 1;
    return text;
}
