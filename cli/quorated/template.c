/* An image of the root repository as the hardware of a guest to be created. */

#include "cli/quorated/template.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"

#include "cli/vmcfg.h"

#define PATH_SIZE (2 * LIMIT_PATH + 64)

/* Names of the images there are, for the message. */
static void images_text(const char *seed_pool, char *to, size_t size)
{
    size_t len = 0;
    struct dirent **found = NULL;
    int n = scandir(seed_pool, &found, NULL, alphasort);
    to[0] = '\0';
    for (int i = 0; i < n; i++) {
        const char *name = found[i]->d_name;
        if (name[0] != '.' && len + strlen(name) + 3 < size) {
            len += (size_t)snprintf(to + len, size - len, "%s%s", len == 0 ? "" : ", ", name);
        }
        free(found[i]);
    }
    free(found);
    if (len == 0) {
        (void)snprintf(to, size, "none");
    }
}

static bool name_is_plain(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

/* "system.img" of the image becomes "<root>:<pool>/<owner>/system.img"; a path with a directory, or
 * of a repository, stays. */
static int
place_path(char *path, size_t size, const char *root, const char *pool, const char *owner)
{
    char placed[LIMIT_PATH + 1];
    if (path[0] == '\0' || strchr(path, '/') != NULL || strchr(path, ':') != NULL) {
        return 0;
    }
    int n = snprintf(placed, sizeof placed, "%s:%s/%s/%s", root, pool, owner, path);
    if (n < 0 || (size_t)n >= sizeof placed) {
        return ERR_TOO_BIG;
    }
    (void)str_copy(path, size, placed);
    return 0;
}

static int
place_paths(struct guest_config *c, const char *root, const char *image, const char *name)
{
    int rc = place_path(c->kernel, sizeof c->kernel, root, "seed_pool", image);
    rc = rc == 0 ? place_path(c->ramdisk, sizeof c->ramdisk, root, "seed_pool", image) : rc;
    for (uint32_t i = 0; rc == 0 && i < c->disks_n; i++) {
        rc = place_path(c->disks[i].path, sizeof c->disks[i].path, root, "running_pool", name);
    }
    return rc;
}

/* What the client set wins; the rest is the image's. */
static void merge(struct guest_config *c, const struct guest_config *image)
{
    struct guest_config m = *image;
    m.memory_mib = c->memory_mib != 0 ? c->memory_mib : m.memory_mib;
    m.maxmem_mib = c->maxmem_mib != 0 ? c->maxmem_mib : m.maxmem_mib;
    m.vcpus = c->vcpus != 0 ? c->vcpus : m.vcpus;
    m.vnc = c->vnc || m.vnc;
    if (c->kernel[0] != '\0') { /* The image's ramdisk goes with its kernel. */
        (void)str_copy(m.kernel, sizeof m.kernel, c->kernel);
        (void)str_copy(m.ramdisk, sizeof m.ramdisk, c->ramdisk);
    } else if (c->ramdisk[0] != '\0') {
        (void)str_copy(m.ramdisk, sizeof m.ramdisk, c->ramdisk);
    }
    if (c->cmdline[0] != '\0') {
        (void)str_copy(m.cmdline, sizeof m.cmdline, c->cmdline);
    }
    if (c->type[0] != '\0') {
        (void)str_copy(m.type, sizeof m.type, c->type);
    }
    if (c->boot[0] != '\0') {
        (void)str_copy(m.boot, sizeof m.boot, c->boot);
    }
    if (c->vnc_password[0] != '\0') {
        (void)str_copy(m.vnc_password, sizeof m.vnc_password, c->vnc_password);
    }
    if (c->vifs_n > 0) {
        memcpy(m.vifs, c->vifs, sizeof m.vifs);
        m.vifs_n = c->vifs_n;
    }
    for (uint32_t i = 0; i < c->disks_n && m.disks_n < LIMIT_DISKS; i++) {
        m.disks[m.disks_n++] = c->disks[i];
    }
    *c = m;
}

/* A guest_create record is 20 KiB and more: not for the stack. */
static int read_image(const char *file, struct guest_config *ret, struct err *e)
{
    struct cmd_guest_create *image = mem_new(1, sizeof *image);
    struct vmcfg_warnings *warnings = mem_new(1, sizeof *warnings);
    schema_init(command_by_number(COMMAND_guest_create)->schema, image);
    int rc = vmcfg_read_file(file, NULL, 0, image, warnings, e);
    *ret = image->config;
    free(warnings);
    free(image);
    return rc;
}

int template_fill(struct fsm_view *v, const char *prefix, struct cmd_guest_create *c, struct err *e)
{
    struct pool pool;
    static struct repo root; /* Several KiB; the loop has one thread. */
    if (fsm_get_pool(v, &pool) != 0 || pool.root[0] == '\0' ||
        fsm_get_repo(v, pool.root, &root) != 0) {
        return err_set(e, ERR_STATE,
                       "image %s: the pool has no root repository ('repo new', 'repo init', 'repo "
                       "root')",
                       c->image);
    }
    char id[ID_TEXT_SIZE];
    char seed_pool[PATH_SIZE];
    char file[PATH_SIZE + LIMIT_NAME + 16];
    (void)snprintf(seed_pool, sizeof seed_pool, "%s/mount/%s/seed_pool", prefix,
                   id_text(&root.id, id));
    (void)snprintf(file, sizeof file, "%s/%s/vm.cfg", seed_pool, c->image);
    if (!name_is_plain(c->image) || access(file, R_OK) != 0) {
        char names[160];
        images_text(seed_pool, names, sizeof names);
        return err_set(e, ERR_NOT_FOUND, "image %s not found in repository %s; there are: %s",
                       c->image, pool.root, names);
    }
    struct guest_config image;
    int rc = read_image(file, &image, e);
    if (rc != 0) {
        return err_wrap(e, "image %s", c->image);
    }
    rc = place_paths(&image, pool.root, c->image, c->name);
    if (rc != 0) {
        return err_set(e, rc, "image %s: a path in its vm.cfg is too long", c->image);
    }
    merge(&c->config, &image);
    return 0;
}
