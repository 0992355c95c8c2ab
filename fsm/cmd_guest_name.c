/* Who a guest is: names and identities, and new guests after the pattern of old ones. */

#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "fsm/apply.h"

bool uuid_is_new(struct apply *a, const struct id *uuid)
{
    const struct key k = key_id('u', uuid);
    struct kv_row row;
    if (id_is_none(uuid)) {
        reject_field(a, "uuid");
        return false;
    }
    if (kv_get(a->t, k.b, k.n, &row) == 0) {
        char text[ID_TEXT_SIZE];
        char owner[LIMIT_NAME + 1] = "";
        memcpy(owner, row.value, min_u64(row.value_len, LIMIT_NAME));
        struct outcome *o = reject(a, ERR_EXISTS, "uuid", owner);
        (void)str_copy(o->detail, sizeof o->detail, id_text(uuid, text));
        return false;
    }
    return true;
}

bool pool_has_room(struct apply *a)
{
    if (a->f->sys.guests >= LIMIT_GUESTS) {
        struct outcome *o = reject(a, ERR_TOO_BIG, "guests", "");
        o->a = LIMIT_GUESTS;
        return false;
    }
    return true;
}

bool need_new_guest(struct apply *a, const char *name)
{
    char owner[LIMIT_NAME + 1];
    if (!need_new_name(a, 'G', "guest", name)) {
        return false;
    }
    if (dir_is_taken(a, name, owner)) {
        struct outcome *o = reject(a, ERR_EXISTS, "directory", owner);
        (void)str_copy(o->detail, sizeof o->detail, name);
        return false;
    }
    return true;
}

/* --- rename */

/* The guest may have the name: a new one, or the former one under which its disks still lie. */
static bool may_be_called(struct apply *a, const struct guest *g, const char *name)
{
    return strcmp(g->dir, name) == 0 ? need_new_name(a, 'G', "guest", name)
                                     : need_new_guest(a, name);
}

/* Disks that were made from an image lie in a directory of the guest's first name. They stay there:
 * a name is a matter of the log, and a file of a shared disk cannot be renamed in the same
 * instant. */
void cmd_guest_rename(struct apply *a, const void *record)
{
    const struct cmd_guest_rename *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !need_idle(a, &old)) {
        return;
    }
    if (old.state != GUEST_STOPPED && old.state != GUEST_FAILED && old.state != GUEST_SAVED) {
        (void)reject_state(a, "guest", old.name, "rename", old.state);
        return;
    }
    if (old.host[0] != '\0') {
        (void)reject_state(a, "guest", old.name, "preserved", old.state);
        return;
    }
    if (!name_ok(c->to)) {
        reject_field(a, "to");
        return;
    }
    if (!may_be_called(a, &old, c->to)) {
        return;
    }
    struct guest g = old;
    memset(g.name, 0, sizeof g.name);
    (void)str_copy(g.name, sizeof g.name, c->to);
    if (g.image[0] != '\0') {
        const char *dir = old.dir[0] != '\0' ? old.dir : old.name;
        memset(g.dir, 0, sizeof g.dir);
        (void)str_copy(g.dir, sizeof g.dir, strcmp(dir, g.name) == 0 ? "" : dir);
    }
    move_guest(a, &old, &g);
    emit_guest(a, "guest.renamed", &old, g.name);
    emit_guest(a, "guest.changed", &g, "renamed");
}

/* --- clone */

/* "<repository>:running_pool/<directory of the guest>/<file>": the file's name, else NULL. */
static const char *own_file(const struct guest *g, const char *path)
{
    static const char pool[] = ":running_pool/";
    const char *dir = g->dir[0] != '\0' ? g->dir : g->name;
    const char *at = strchr(path, ':');
    if (g->image[0] == '\0' || path[0] == '/' || at == NULL ||
        strncmp(at, pool, sizeof pool - 1) != 0) {
        return NULL;
    }
    at += sizeof pool - 1;
    size_t n = strlen(dir);
    return strncmp(at, dir, n) == 0 && at[n] == '/' && strchr(at + n + 1, '/') == NULL ? at + n + 1
                                                                                       : NULL;
}

/* One disk of the clone: shared when nobody writes it, made anew from the image when that is
 * wished; what holds data of the guest is refused. */
static bool
clone_disk(struct apply *a, const struct guest *from, struct disk *d, const char *to, bool fresh)
{
    const char *file = own_file(from, d->path);
    if (d->readonly || d->cdrom) {
        return true;
    }
    if (file == NULL || !fresh) {
        struct outcome *o = reject(a, ERR_IN_USE, "disk", d->device);
        (void)str_copy(o->detail, sizeof o->detail, from->name);
        o->a = file == NULL ? 0 : 1;
        return false;
    }
    char path[LIMIT_PATH + 1] = "";
    size_t repo = (size_t)(strchr(d->path, ':') - d->path);
    int n = snprintf(path, sizeof path, "%.*s:running_pool/%s/%s", (int)repo, d->path, to, file);
    if (n < 0 || (size_t)n >= sizeof path) {
        reject_field(a, "to");
        return false;
    }
    memset(d->path, 0, sizeof d->path);
    memcpy(d->path, path, (size_t)n);
    return true;
}

static bool clone_config(struct apply *a, const struct guest *from, struct guest *g, bool fresh)
{
    for (uint32_t i = 0; i < g->config.disks_n; i++) {
        if (!clone_disk(a, from, &g->config.disks[i], g->name, fresh)) {
            return false;
        }
    }
    return true;
}

/* What a guest is made of, without what became of it. */
static void
clone_row(const struct guest *from, const char *name, const struct id *uuid, struct guest *g)
{
    *g = *from;
    memset(g->name, 0, sizeof g->name);
    (void)str_copy(g->name, sizeof g->name, name);
    g->uuid = *uuid;
    memset(g->saved, 0, sizeof g->saved);
    stop_guest(g, EXIT_NONE);
    g->run_epoch = 0;
    g->generation = 0;
    g->code = 0;
    g->restarts = 0;
    memset(g->detail, 0, sizeof g->detail);
    memset(g->moved_from, 0, sizeof g->moved_from);
    memset(g->dir, 0, sizeof g->dir);
}

void cmd_guest_clone(struct apply *a, const void *record)
{
    const struct cmd_guest_clone *c = record;
    struct guest from;
    struct guest g;
    if (!need_guest(a, c->name, c->generation, &from)) {
        return;
    }
    if (!name_ok(c->to)) {
        reject_field(a, "to");
        return;
    }
    if (!need_new_guest(a, c->to) || !uuid_is_new(a, &c->uuid) || !pool_has_room(a)) {
        return;
    }
    clone_row(&from, c->to, &c->uuid, &g);
    g.created_ms = a->now_ms;
    if (c->macs_n < g.config.vifs_n) { /* It got more cards since they were chosen. */
        reject_field(a, "macs");
        return;
    }
    for (uint32_t i = 0; i < g.config.vifs_n; i++) {
        memset(g.config.vifs[i].mac, 0, sizeof g.config.vifs[i].mac);
        (void)str_copy(g.config.vifs[i].mac, sizeof g.config.vifs[i].mac, c->macs[i]);
    }
    if (!clone_config(a, &from, &g, c->fresh) || !check_config(a, &g.config)) {
        return;
    }
    save_guest(a, NULL, &g);
    emit_guest(a, "guest.created", &g, from.name);
}
