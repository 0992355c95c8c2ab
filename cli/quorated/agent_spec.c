/* A guest's row as what the driver needs to run it. */

#include "cli/quorated/agent_spec.h"

#include <stdio.h>
#include <string.h>

#include "core/util.h"

/* Whether a component of the path is "..". */
static bool climbs(const char *path)
{
    for (const char *p = path; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            return true;
        }
        p += n + (p[n] == '/' ? 1 : 0);
    }
    return false;
}

static int put_path(char ret[LIMIT_PATH + 1], struct err *e, const char *path)
{
    if (str_copy(ret, LIMIT_PATH + 1, path) > LIMIT_PATH) {
        return err_set(e, ERR_TOO_BIG, "path %.60s... is longer than %d bytes", path, LIMIT_PATH);
    }
    return 0;
}

int agent_path(struct fsm_view *v,
               const char *prefix,
               const char *path,
               char ret[LIMIT_PATH + 1],
               struct err *e)
{
    const char *colon = strchr(path, ':');
    if (climbs(path[0] == '/' || colon == NULL ? path : colon + 1)) {
        return err_set(e, ERR_INVALID, "path %s leads upwards", path);
    }
    if (path[0] == '/') {
        return put_path(ret, e, path);
    }
    char name[LIMIT_NAME + 1] = "";
    if (colon == NULL || colon == path || colon - path > LIMIT_NAME || colon[1] == '\0') {
        return err_set(e, ERR_INVALID, "path \"%s\" is neither absolute nor repository:path", path);
    }
    memcpy(name, path, (size_t)(colon - path));
    static struct repo repo; /* Several KiB; the loop has one thread. */
    if (fsm_get_repo(v, name, &repo) != 0) {
        return err_set(e, ERR_NOT_FOUND, "path %s: there is no repository %s", path, name);
    }
    if (repo.state != REPO_READY) {
        return err_set(e, ERR_NOT_READY, "path %s: repository %s is not initialised", path, name);
    }
    char whole[4 * LIMIT_PATH];
    char id[ID_TEXT_SIZE];
    const char *rest = colon + 1 + strspn(colon + 1, "/");
    (void)snprintf(whole, sizeof whole, "%s/mount/%s/%s", prefix, id_text(&repo.id, id), rest);
    return put_path(ret, e, whole);
}

/* As agent_path(), but empty stays empty. */
static int opt_path(struct fsm_view *v,
                    const char *prefix,
                    const char *path,
                    char ret[LIMIT_PATH + 1],
                    struct err *e)
{
    return path[0] == '\0' ? 0 : agent_path(v, prefix, path, ret, e);
}

int agent_disk(struct fsm_view *v,
               const char *prefix,
               const struct disk *from,
               struct hv_disk *ret,
               struct err *e)
{
    if (agent_path(v, prefix, from->path, ret->path, e) != 0) {
        return e->code;
    }
    (void)str_copy(ret->device, sizeof ret->device, from->device);
    (void)str_copy(ret->format, sizeof ret->format, from->format);
    ret->readonly = from->readonly;
    ret->cdrom = from->cdrom;
    return 0;
}

void agent_vif(const struct vif *from, struct hv_vif *ret)
{
    (void)str_copy(ret->mac, sizeof ret->mac, from->mac);
    (void)str_copy(ret->bridge, sizeof ret->bridge, from->bridge);
    (void)str_copy(ret->model, sizeof ret->model, from->model);
    ret->slot = from->slot;
}

static int put_disks(struct fsm_view *v,
                     const char *prefix,
                     const struct guest_config *c,
                     struct hv_spec *s,
                     struct err *e)
{
    for (uint32_t i = 0; i < c->disks_n; i++) {
        if (agent_disk(v, prefix, &c->disks[i], &s->disks[i], e) != 0) {
            return e->code;
        }
    }
    s->n_disks = c->disks_n;
    return 0;
}

static void put_vifs(const struct guest_config *c, struct hv_spec *s)
{
    for (uint32_t i = 0; i < c->vifs_n; i++) {
        agent_vif(&c->vifs[i], &s->vifs[i]);
    }
    s->n_vifs = c->vifs_n;
}

int agent_spec(struct fsm_view *v,
               const char *prefix,
               const char *host,
               const struct guest *g,
               struct hv_spec *ret,
               struct err *e)
{
    const struct guest_config *c = &g->config;
    memset(ret, 0, sizeof *ret);
    (void)str_copy(ret->name, sizeof ret->name, g->name);
    (void)str_copy(ret->host, sizeof ret->host, host);
    ret->uuid = g->uuid;
    ret->memory_mib = c->memory_mib;
    ret->maxmem_mib = c->maxmem_mib;
    ret->vcpus = c->vcpus;
    ret->vnc = c->vnc;
    ret->paused = g->want == WANT_PAUSED;
    (void)str_copy(ret->cmdline, sizeof ret->cmdline, c->cmdline);
    (void)str_copy(ret->type, sizeof ret->type, c->type);
    (void)str_copy(ret->boot, sizeof ret->boot, c->boot);
    (void)str_copy(ret->vnc_password, sizeof ret->vnc_password, c->vnc_password);
    put_vifs(c, ret);
    if (opt_path(v, prefix, g->saved, ret->restore, e) != 0 ||
        opt_path(v, prefix, c->kernel, ret->kernel, e) != 0 ||
        opt_path(v, prefix, c->ramdisk, ret->ramdisk, e) != 0 ||
        put_disks(v, prefix, c, ret, e) != 0) {
        return e->code;
    }
    return 0;
}
