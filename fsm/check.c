/* Checks of what a command brings, beyond the limits of its fields. */

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "fsm/apply.h"

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool name_ok(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        bool mark = *p == '.' || *p == '_' || *p == '-';
        if (!is_alnum(*p) && !(mark && p != name)) {
            return false;
        }
    }
    return *name != '\0';
}

bool address_ok(const char *address)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address) {
        return false;
    }
    bool v6 = address[0] == '[';
    if (v6 ? (colon[-1] != ']' || colon - address < 4)
           : memchr(address, ':', (size_t)(colon - address)) != NULL) {
        return false;
    }
    for (const char *p = address; p < colon; p++) {
        if (!is_alnum(*p) && strchr(v6 ? "[]:.%" : "._-", *p) == NULL) {
            return false;
        }
    }
    unsigned port = 0;
    size_t digits = strlen(colon + 1);
    for (const char *p = colon + 1; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || digits > 5) {
            return false;
        }
        port = 10 * port + (unsigned)(*p - '0');
    }
    return port >= 1 && port <= 65535;
}

bool on_off(const char *text, bool *v)
{
    if (strcmp(text, "on") == 0) {
        *v = true;
    } else if (strcmp(text, "off") == 0) {
        *v = false;
    } else {
        return *text == '\0';
    }
    return true;
}

bool repo_of_path(const char *path, char out[LIMIT_NAME + 1])
{
    const char *colon = strchr(path, ':');
    if (path[0] == '/' || colon == NULL || colon == path || colon - path > LIMIT_NAME) {
        return false;
    }
    memset(out, 0, LIMIT_NAME + 1);
    memcpy(out, path, (size_t)(colon - path));
    return true;
}

/* Whether a component of the path leads upwards. */
static bool climbs(const char *path)
{
    for (const char *p = path; *p != '\0'; p += *p == '/' ? 1 : 0) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            return true;
        }
        p += n;
    }
    return false;
}

static bool check_path(struct apply *a, const char *path, const char *field)
{
    char name[LIMIT_NAME + 1];
    struct repo r;
    if (*path == '/') {
        return true;
    }
    if (!repo_of_path(path, name) || climbs(strchr(path, ':') + 1)) {
        reject_field(a, field);
        return false;
    }
    return need_repo(a, name, &r);
}

static bool check_disk(struct apply *a, const struct guest_config *c, uint32_t i)
{
    static const char *const formats[] = {"", "raw", "qcow2", "vmdk"};
    const struct disk *d = &c->disks[i];
    bool known = false;
    for (size_t n = 0; n < ARRAY_LEN(formats); n++) {
        known = known || strcmp(d->format, formats[n]) == 0;
    }
    if (!known) {
        reject_field(a, "format");
        return false;
    }
    for (uint32_t n = 0; n < i; n++) {
        if (d->device[0] != '\0' && strcmp(d->device, c->disks[n].device) == 0) {
            reject_field(a, "device");
            return false;
        }
    }
    return check_path(a, d->path, "path");
}

static bool mac_ok(const char *mac)
{
    static const char form[] = "xx:xx:xx:xx:xx:xx";
    static const char hex[] = "0123456789abcdefABCDEF";
    if (*mac == '\0') {
        return true;
    }
    for (size_t i = 0; i < sizeof form; i++) {
        bool digit = mac[i] != '\0' && strchr(hex, mac[i]) != NULL;
        if (form[i] == 'x' ? !digit : mac[i] != form[i]) {
            return false;
        }
    }
    return true;
}

bool check_config(struct apply *a, const struct guest_config *c)
{
    if (c->maxmem_mib != 0 && c->maxmem_mib < c->memory_mib) {
        reject_field(a, "maxmem_mib");
        return false;
    }
    if (c->type[0] != '\0' && strcmp(c->type, "pv") != 0 && strcmp(c->type, "pvh") != 0 &&
        strcmp(c->type, "hvm") != 0) {
        reject_field(a, "type");
        return false;
    }
    if ((c->kernel[0] != '\0' && !check_path(a, c->kernel, "kernel")) ||
        (c->ramdisk[0] != '\0' && !check_path(a, c->ramdisk, "ramdisk"))) {
        return false;
    }
    if (c->boot[strspn(c->boot, "cdn")] != '\0') {
        reject_field(a, "boot");
        return false;
    }
    for (uint32_t i = 0; i < c->vifs_n; i++) {
        if (!mac_ok(c->vifs[i].mac)) {
            reject_field(a, "mac");
            return false;
        }
    }
    for (uint32_t i = 0; i < c->disks_n; i++) {
        if (!check_disk(a, c, i)) {
            return false;
        }
    }
    return true;
}

static bool prefers(const struct guest *g, const char *host)
{
    for (uint32_t i = 0; i < g->preferred_n; i++) {
        if (strcmp(g->preferred[i], host) == 0) {
            return true;
        }
    }
    return g->preferred_n == 0;
}

bool check_alone(struct apply *a, const struct guest *g, const char *host)
{
    const struct key all = key_pair('a', g->apart, "");
    struct key k = all;
    struct kv_row row;
    while (g->apart[0] != '\0' && rows_seek_after(a->t, &k, all.n, &row) == 0 &&
           row.key_len - all.n <= LIMIT_NAME) {
        char name[LIMIT_NAME + 1] = "";
        memcpy(name, row.key + all.n, row.key_len - all.n);
        k = key_pair('a', g->apart, name);
        if (strcmp(name, g->name) != 0 && rows_concerns(a->t, name, host)) {
            struct outcome *o = reject(a, ERR_IN_USE, "host", host);
            (void)str_copy(o->detail, sizeof o->detail, name);
            (void)str_copy(o->what, sizeof o->what, "apart");
            return false;
        }
    }
    return true;
}

static bool check_room(struct apply *a, const struct guest *g, const struct host *h)
{
    struct promised p = rows_promised(a->t, h->name);
    uint64_t room = p.memory_mib < h->memory_mib ? h->memory_mib - p.memory_mib : 0;
    uint64_t cpus = (uint64_t)h->cpus * a->f->pool.vcpu_percent / 100;
    uint64_t idle = p.vcpus < cpus ? cpus - p.vcpus : 0;
    if (g->config.memory_mib > room) {
        struct outcome *o = reject(a, ERR_NO_ROOM, "host", h->name);
        o->a = g->config.memory_mib;
        o->b = room;
        return false;
    }
    if (a->f->pool.vcpu_percent != 0 && g->config.vcpus > idle) {
        struct outcome *o = reject(a, ERR_NO_ROOM, "vcpus", h->name);
        o->a = g->config.vcpus;
        o->b = idle;
        return false;
    }
    return true;
}

bool check_place(struct apply *a, const struct guest *g, const char *host)
{
    struct host h;
    const char *reason = NULL;
    if (*host == '\0') {
        reject_field(a, "host");
        return false;
    }
    if (!need_host(a, host, &h)) {
        return false;
    }
    if (h.state != HOST_UP) {
        reason = "down";
    } else if (h.maintenance) {
        reason = "maintenance";
    } else if (h.evacuation != 0) {
        reason = "evacuating";
    } else if (!h.can_run) {
        reason = "can_run";
    } else if (!prefers(g, host)) {
        reason = "preferred";
    }
    if (reason != NULL) {
        (void)reject_state(a, "host", host, reason, h.state);
        return false;
    }
    return check_alone(a, g, host) && check_room(a, g, &h);
}
