/* The texts in disk, vif and vfb. */

#include <assert.h>
#include <string.h>

#include "core/util.h"

#include "cli/vmcfg_read.h"

static const struct field *field_of(const struct schema *s, const char *name)
{
    const struct field *f = schema_find(s, name);
    assert(f != NULL);
    return f;
}

/* --- disk */

/* What the library said since `from`, without what the message says anyway. */
static int disk_refused(struct vmcfg_reading *r, const struct vmcfg_text *t, long from)
{
    (void)fflush(r->report_file);
    const char *report = *r->report == NULL ? "" : *r->report + from;
    const char *said = strstr(report, "disk specification: ");
    said = said == NULL ? report : said + strlen("disk specification: ");
    const char *end = strstr(said, " in `");
    size_t len = end == NULL ? strcspn(said, "\n") : (size_t)(end - said);
    return vmcfg_wrong(r, t, 0, "%.*s", (int)min_u64(len, 120), len == 0 ? "not a disk" : said);
}

static const char *format_name(libxl_disk_format format)
{
    switch (format) {
    case LIBXL_DISK_FORMAT_RAW: return "raw";
    case LIBXL_DISK_FORMAT_QCOW2: return "qcow2";
    case LIBXL_DISK_FORMAT_UNKNOWN: return "";
    case LIBXL_DISK_FORMAT_QCOW:
    case LIBXL_DISK_FORMAT_VHD:
    case LIBXL_DISK_FORMAT_EMPTY:
    case LIBXL_DISK_FORMAT_QED: break;
    }
    return NULL;
}

static int
store_disk(struct vmcfg_reading *r, const struct vmcfg_text *t, const libxl_device_disk *d)
{
    const char *format = format_name(d->format);
    if (d->pdev_path == NULL || *d->pdev_path == '\0') {
        return vmcfg_wrong(r, t, 0, "has no path");
    }
    if (format == NULL) {
        return vmcfg_wrong(r, t, 0, "its format is not supported; there are raw and qcow2");
    }
    if (d->script != NULL) {
        return vmcfg_wrong(r, t, 0, "script= is not supported: nothing is carried out");
    }
    struct guest_config *c = &r->cmd->config;
    struct disk *to = &c->disks[c->disks_n];
    schema_init(&schema_disk, to);
    int rc = vmcfg_set(r, t, 0, field_of(&schema_disk, "path"), d->pdev_path, to);
    if (rc == 0) {
        rc = vmcfg_set(r, t, 0, field_of(&schema_disk, "device"), d->vdev, to);
    }
    if (rc == 0) {
        rc = vmcfg_set(r, t, 0, field_of(&schema_disk, "format"), format, to);
    }
    to->readonly = d->readwrite == 0;
    to->cdrom = d->is_cdrom != 0;
    c->disks_n += rc == 0 ? 1 : 0;
    return rc;
}

int vmcfg_add_disk(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    if (r->cmd->config.disks_n == LIMIT_DISKS) {
        return vmcfg_wrong(r, t, 0, "more than %d disks", LIMIT_DISKS);
    }
    libxl_device_disk d;
    r->lib->disk_init(&d);
    (void)fflush(r->report_file);
    long from = ftell(r->report_file);
    int rc = r->lib->disk_parse(r->cfg, 1, &t->s, &d) != 0 || d.vdev == NULL
                 ? disk_refused(r, t, from < 0 ? 0 : from)
                 : store_disk(r, t, &d);
    r->lib->disk_dispose(&d);
    return rc;
}

/* --- key=value,key=value */

struct part {
    char key[32];
    char value[256];
    size_t offset; /* Of the value in the text. */
};

/* The next part of "mac=..., bridge=..." at *at; 0 at the end, 1, or ERR_INVALID. */
static int
next_part(struct vmcfg_reading *r, const struct vmcfg_text *t, size_t *at, struct part *ret)
{
    size_t i = *at + strspn(t->s + *at, " \t,");
    if (t->s[i] == '\0') {
        return 0;
    }
    size_t end = i + strcspn(t->s + i, ",");
    size_t equals = i + strcspn(t->s + i, "=,");
    if (t->s[equals] != '=') {
        return vmcfg_wrong(r, t, i, "\"%.*s\" is not KEY=VALUE", (int)min_u64(end - i, 60),
                           t->s + i);
    }
    size_t key_len = equals - i;
    size_t value = equals + 1 + strspn(t->s + equals + 1, " \t");
    size_t value_len = end - value;
    while (key_len > 0 && strchr(" \t", t->s[i + key_len - 1]) != NULL) {
        key_len--;
    }
    while (value_len > 0 && strchr(" \t", t->s[value + value_len - 1]) != NULL) {
        value_len--;
    }
    if (key_len >= sizeof ret->key || value_len >= sizeof ret->value) {
        return vmcfg_wrong(r, t, i, "a part is too long");
    }
    (void)snprintf(ret->key, sizeof ret->key, "%.*s", (int)key_len, t->s + i);
    (void)snprintf(ret->value, sizeof ret->value, "%.*s", (int)value_len, t->s + value);
    ret->offset = value;
    *at = end;
    return 1;
}

/* --- vif */

static bool is_mac(const char *s)
{
    for (size_t i = 0; i < 17; i++) {
        bool good = i % 3 == 2 ? s[i] == ':'
                               : s[i] != '\0' && strchr("0123456789abcdefABCDEF", s[i]) != NULL;
        if (!good) {
            return false;
        }
    }
    return s[17] == '\0';
}

/* "10Mb/s", "250KB/s", "1MB/s@20ms". */
static bool is_rate(const char *s)
{
    size_t digits = strspn(s, "0123456789");
    s += digits;
    s += *s != '\0' && strchr("GMK", *s) != NULL;
    if (digits == 0 || (*s != 'b' && *s != 'B') || strncmp(s + 1, "/s", 2) != 0) {
        return false;
    }
    s += 3;
    if (*s == '\0') {
        return true;
    }
    size_t window = *s == '@' ? strspn(s + 1, "0123456789") : 0;
    if (window == 0) {
        return false;
    }
    s += 1 + window;
    s += *s != '\0' && strchr("um", *s) != NULL;
    return strcmp(s, "s") == 0;
}

/* What xm and xl know of a card or a screen and has no effect here. */
static const char *part_why(const struct vmcfg_setting *s, const char *key)
{
    static const char *const parts[][3] = {
        {"vif", "rate", "limits of network cards are not kept in a guest"},
        {"vif", "script", "the driver joins the card to its bridge, and no script is run"},
        {"vif", "ip", "addresses are the guest's own matter"},
        {"vif", "gatewaydev", "addresses are the guest's own matter"},
        {"vif", "backend", "the host that runs the guest serves its devices"},
        {"vif", "vifname", "the driver names the host's end of a card"},
        {"vif", "devid", "cards are numbered as they stand"},
        {"vif", "mtu", "the card has that of its bridge"},
        {"vfb", "vncunused", "the driver chooses the address and the port of VNC"},
        {"vfb", "vncdisplay", "the driver chooses the address and the port of VNC"},
        {"vfb", "vnclisten", "the driver chooses the address and the port of VNC"},
        {"vfb", "keymap", "keys are sent as the viewer sends them"},
        {"vfb", "sdl", "the only screen of a guest is VNC"},
        {"vfb", "opengl", "the only screen of a guest is VNC"},
        {"vfb", "display", "the only screen of a guest is VNC"},
        {"vfb", "xauthority", "the only screen of a guest is VNC"},
        {"vfb", "videoram", "the driver gives its usual machine"},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (strcmp(parts[i][0], s->key) == 0 && strcmp(parts[i][1], key) == 0) {
            return parts[i][2];
        }
    }
    return NULL;
}

static void left_out(const struct vmcfg_reading *r, const struct vmcfg_text *t, const char *key)
{
    const char *why = part_why(t->setting, key);
    if (why == NULL) {
        vmcfg_warn(r, t->setting, "%s: unknown key %s is left out", t->setting->key, key);
    } else {
        vmcfg_warn(r, t->setting, "%s: %s has no meaning here: %s", t->setting->key, key, why);
    }
}

static int set_vif_part(struct vmcfg_reading *r,
                        const struct vmcfg_text *t,
                        const struct part *p,
                        struct vif *to)
{
    if (strcmp(p->key, "mac") == 0) {
        if (!is_mac(p->value)) {
            return vmcfg_wrong(r, t, p->offset, "mac: \"%.40s\" is not aa:bb:cc:dd:ee:ff",
                               p->value);
        }
        return vmcfg_set(r, t, p->offset, field_of(&schema_vif, "mac"), p->value, to);
    }
    if (strcmp(p->key, "bridge") == 0 || strcmp(p->key, "model") == 0) {
        return vmcfg_set(r, t, p->offset, field_of(&schema_vif, p->key), p->value, to);
    }
    if (strcmp(p->key, "type") == 0) {
        bool known = strcmp(p->value, "ioemu") == 0 || strcmp(p->value, "netfront") == 0 ||
                     strcmp(p->value, "vif") == 0;
        return known ? 0
                     : vmcfg_wrong(r, t, p->offset, "type: \"%.40s\" is neither ioemu nor netfront",
                                   p->value);
    }
    if (strcmp(p->key, "rate") == 0 && !is_rate(p->value)) {
        return vmcfg_wrong(r, t, p->offset,
                           "rate: \"%.40s\" is not as 10Mb/s, 250KB/s or 1MB/s@20ms", p->value);
    }
    left_out(r, t, p->key);
    return 0;
}

int vmcfg_add_vif(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    struct guest_config *c = &r->cmd->config;
    if (c->vifs_n == LIMIT_VIFS) {
        return vmcfg_wrong(r, t, 0, "more than %d network cards", LIMIT_VIFS);
    }
    struct vif *to = &c->vifs[c->vifs_n];
    schema_init(&schema_vif, to);
    size_t at = 0;
    struct part p = {.offset = 0};
    int rc;
    while ((rc = next_part(r, t, &at, &p)) > 0) {
        rc = set_vif_part(r, t, &p, to);
        if (rc != 0) {
            return rc;
        }
    }
    c->vifs_n += rc == 0 ? 1 : 0;
    return rc;
}

/* --- vfb: what a paravirtual guest has for vnc=1 */

int vmcfg_add_vfb(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    struct guest_config *c = &r->cmd->config;
    size_t at = 0;
    struct part p = {.offset = 0};
    int rc;
    while ((rc = next_part(r, t, &at, &p)) > 0) {
        rc = 0;
        if (strcmp(p.key, "type") == 0) {
            c->vnc = c->vnc || strcmp(p.value, "vnc") == 0;
        } else if (strcmp(p.key, "vnc") == 0) {
            rc = vmcfg_set(r, t, p.offset, field_of(&schema_guest_config, "vnc"), p.value, c);
        } else if (strcmp(p.key, "vncpasswd") == 0) {
            rc = vmcfg_set(r, t, p.offset, field_of(&schema_guest_config, "vnc_password"), p.value,
                           c);
        } else {
            left_out(r, t, p.key);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return rc;
}
