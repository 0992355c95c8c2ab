#include "cli/vmcfg_print.h"

#include <assert.h>
#include <string.h>

#include "core/util.h"

/* The fields that are one value, in the order in which people write them. */
static const struct {
    const char *key;
    const char *field;
    bool of_config; /* Else of the command. */
    bool number;    /* Stands without quotes. */
} values[] = {
    {"name", "name", false, false},
    {"uuid", "uuid", false, false},
    {"type", "type", true, false},
    {"memory", "memory_mib", true, true},
    {"maxmem", "maxmem_mib", true, true},
    {"vcpus", "vcpus", true, true},
    {"kernel", "kernel", true, false},
    {"ramdisk", "ramdisk", true, false},
    {"cmdline", "cmdline", true, false},
    {"boot", "boot", true, false},
    {"vncpasswd", "vnc_password", true, false},
    {"on_poweroff", "on_poweroff", true, false},
    {"on_reboot", "on_reboot", true, false},
    {"on_crash", "on_crash", true, false},
    {"priority", "priority", false, true},
    {"preferred", "preferred", false, false},
    {"apart", "apart", false, false},
    {"together", "together", false, false},
};

/* No text of a guest has control characters that a line could not hold; \ and ' are marked. */
static void put_text(struct buf *out, const char *text)
{
    buf_put_u8(out, '\'');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'' || *p == '\\') {
            buf_put_u8(out, '\\');
        }
        buf_put_u8(out, (uint8_t)*p);
    }
    buf_put_u8(out, '\'');
}

/* A line break in a text would make what follows it a setting. */
static bool is_line(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return false;
        }
    }
    return true;
}

static void put_value(const char *key, const char *text, bool number, struct buf *out)
{
    if (!is_line(text)) {
        buf_printf(out, "# %s has a text that vm.cfg cannot hold\n", key);
        return;
    }
    buf_printf(out, "%s = ", key);
    if (number) {
        buf_printf(out, "%s", text);
    } else {
        put_text(out, text);
    }
    buf_put_u8(out, '\n');
}

/* The field as typed; empty when it is what a fresh record holds. */
static void value_of(const struct schema *s, const void *record, const char *name, struct buf *out)
{
    const struct field *f = schema_find(s, name);
    assert(f != NULL);
    CLEANUP(cleanup_free) void *fresh = mem_new(1, s->size);
    CLEANUP(buf_done) struct buf plain = {0};
    schema_init(s, fresh);
    schema_get_text(f, fresh, &plain);
    schema_get_text(f, record, out);
    if (plain.len == out->len && (out->len == 0 || memcmp(plain.data, out->data, out->len) == 0)) {
        out->len = 0;
    }
}

/* Whether the text can stand in "key=value,key=value" and comes out of it as it is. */
static bool is_part(const char *text)
{
    size_t len = strlen(text);
    return is_line(text) && strchr(text, ',') == NULL && *text != ' ' &&
           (len == 0 || text[len - 1] != ' ');
}

/* target stands last: the path is all that follows, commas too. */
static void put_disk(const struct disk *d, struct buf *out)
{
    CLEANUP(buf_done) struct buf text = {0};
    if (!is_line(d->path) || !is_part(d->device) || !is_part(d->format)) {
        buf_printf(out, "    # a disk that vm.cfg cannot hold\n");
        return;
    }
    if (*d->format != '\0') {
        buf_printf(&text, "format=%s,", d->format);
    }
    buf_printf(&text, "vdev=%s,access=%s,%starget=%s", d->device, d->readonly ? "ro" : "rw",
               d->cdrom ? "devtype=cdrom," : "", d->path);
    buf_put_u8(&text, 0);
    buf_printf(out, "    ");
    put_text(out, (const char *)text.data);
    buf_printf(out, ",\n");
}

static void put_vif(const struct vif *v, struct buf *out)
{
    const char *const parts[][2] = {{"mac", v->mac}, {"bridge", v->bridge}, {"model", v->model}};
    CLEANUP(buf_done) struct buf text = {0};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!is_part(parts[i][1])) {
            buf_printf(out, "    # %s of this card is left out: vm.cfg cannot hold it\n",
                       parts[i][0]);
        } else if (*parts[i][1] != '\0') {
            buf_printf(&text, "%s%s=%s", text.len == 0 ? "" : ",", parts[i][0], parts[i][1]);
        }
    }
    buf_put_u8(&text, 0);
    buf_printf(out, "    ");
    put_text(out, (const char *)text.data);
    buf_printf(out, ",\n");
}

static void put_devices(const struct guest_config *c, struct buf *out)
{
    if (c->disks_n > 0) {
        buf_printf(out, "disk = [\n");
        for (uint32_t i = 0; i < c->disks_n; i++) {
            put_disk(&c->disks[i], out);
        }
        buf_printf(out, "]\n");
    }
    if (c->vifs_n > 0) {
        buf_printf(out, "vif = [\n");
        for (uint32_t i = 0; i < c->vifs_n; i++) {
            put_vif(&c->vifs[i], out);
        }
        buf_printf(out, "]\n");
    }
}

void vmcfg_print(const struct cmd_guest_create *guest, bool secrets, struct buf *out)
{
    const struct schema *command = command_by_number(COMMAND_guest_create)->schema;
    const struct guest_config *c = &guest->config;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        bool secret = strcmp(values[i].key, "vncpasswd") == 0;
        if (secret && !secrets) {
            buf_printf(out, "%s", *c->vnc_password == '\0' ? "" : "# vncpasswd is not shown\n");
            continue;
        }
        CLEANUP(buf_done) struct buf text = {0};
        if (secret) {
            buf_printf(&text, "%s", c->vnc_password);
        } else if (values[i].of_config) {
            value_of(&schema_guest_config, c, values[i].field, &text);
        } else {
            value_of(command, guest, values[i].field, &text);
        }
        if (text.len > 0) {
            buf_put_u8(&text, 0);
            put_value(values[i].key, (const char *)text.data, values[i].number, out);
        }
    }
    if (c->vnc) {
        buf_printf(out, "vnc = 1\n");
    }
    if (guest->ha) {
        buf_printf(out, "ha = 1\n");
    }
    put_devices(c, out);
}
