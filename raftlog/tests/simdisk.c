#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "raftlog/tests/simdisk_impl.h"

#define BLOCK 4096u

static struct simdisk *of(struct disk *d)
{
    return CONTAINER_OF(d, struct simdisk, base);
}

static struct sim_file *file_of(struct disk_file *f)
{
    return CONTAINER_OF(f, struct sim_file, base);
}

/* --- inodes and names */

static struct inode *inode_ref(struct inode *i)
{
    if (i != NULL) {
        i->refs++;
    }
    return i;
}

void sd_inode_unref(struct inode *i)
{
    if (i != NULL && --i->refs == 0) {
        free(i->now);
        free(i->disk);
        free(i);
    }
}

void sd_inode_room(struct inode *i, uint64_t size)
{
    if (size > i->cap && i->cap == 0) { /* Fresh memory costs nothing until it is written to. */
        i->now = mem_new(size, 1);
        i->disk = mem_new(size, 1);
        i->cap = size;
    } else if (size > i->cap) {
        uint64_t cap = max_u64(size, i->cap * 2);
        i->now = mem_grow(i->now, cap, 1);
        i->disk = mem_grow(i->disk, cap, 1);
        memset(i->now + i->cap, 0, cap - i->cap);
        memset(i->disk + i->cap, 0, cap - i->cap);
        i->cap = cap;
    }
}

static void mark_dirty(struct inode *i, uint64_t from, uint64_t to)
{
    if (i->dirty_from == i->dirty_to) {
        i->dirty_from = from;
        i->dirty_to = to;
    } else {
        i->dirty_from = min_u64(i->dirty_from, from);
        i->dirty_to = max_u64(i->dirty_to, to);
    }
}

struct name *sd_find(struct name *names, const char *name)
{
    for (uint32_t i = 0; i < FILES; i++) {
        if (names[i].inode != NULL && strcmp(names[i].name, name) == 0) {
            return &names[i];
        }
    }
    return NULL;
}

void sd_set_name(struct name *names, const char *name, struct inode *inode)
{
    struct name *n = sd_find(names, name);
    (void)inode_ref(inode);
    if (n != NULL) {
        sd_inode_unref(n->inode);
        n->inode = inode;
        return;
    }
    for (uint32_t i = 0; inode != NULL; i++) {
        assert(i < FILES);
        if (names[i].inode == NULL) {
            (void)str_copy(names[i].name, sizeof names[i].name, name);
            names[i].inode = inode;
            return;
        }
    }
}

static void change_name(struct simdisk *sd, const char *name, struct inode *inode, bool more)
{
    sd_set_name(sd->now, name, inode);
    sd->changes = mem_grow(sd->changes, sd->changes_n + 1, sizeof *sd->changes);
    struct change *c = &sd->changes[sd->changes_n++];
    (void)str_copy(c->name, sizeof c->name, name);
    c->inode = inode_ref(inode);
    c->more = more;
}

/* The first n changes reach the disk; the rest never will. */
void sd_settle_changes(struct simdisk *sd, uint32_t n)
{
    for (uint32_t i = 0; i < sd->changes_n; i++) {
        if (i < n) {
            sd_set_name(sd->disk, sd->changes[i].name, sd->changes[i].inode);
        }
        sd_inode_unref(sd->changes[i].inode);
    }
    sd->changes_n = 0;
}

/* Sectors that differ are kept or lost, each with the chance 1 in `chance` of being written back.
 */
void sd_write_back_some(struct simdisk *sd, struct inode *i, uint64_t chance)
{
    uint64_t from = i->dirty_from / DISK_SECTOR * DISK_SECTOR;
    for (uint64_t at = from; at < i->dirty_to; at += DISK_SECTOR) {
        uint64_t len = min_u64(DISK_SECTOR, i->cap - at);
        if (rng_below(&sd->rng, chance) == 0) {
            memcpy(i->disk + at, i->now + at, len);
        }
    }
}

static void inode_sync(struct inode *i)
{
    if (i->dirty_to > i->dirty_from) {
        memcpy(i->disk + i->dirty_from, i->now + i->dirty_from, i->dirty_to - i->dirty_from);
    }
    i->dirty_from = i->dirty_to = 0;
    i->disk_size = i->now_size;
}

/* A sync failed: the kernel wrote some of it and forgets that the rest was never written. Reads
 * still find it in the page cache, until it is dropped from there. */
static void inode_lose(struct simdisk *sd, struct inode *i)
{
    sd_write_back_some(sd, i, 2);
    i->lost = i->lost || i->dirty_to > i->dirty_from;
    i->dirty_from = i->dirty_to = 0;
    i->disk_size = i->now_size;
}

/* --- faults */

static bool by_chance(struct simdisk *sd, uint32_t ppm)
{
    return ppm > 0 && rng_below(&sd->rng, 1000000) < ppm;
}

/* A call that changes something: does it meet with a fault? 0, ERR_IO or ERR_NO_SPACE. */
static int meet(struct simdisk *sd, uint32_t error_ppm)
{
    if (sd->dead) {
        return ERR_IO;
    }
    sd->calls++;
    if (sd->o.call != NULL) {
        sd->o.call();
    }
    if (sd->fault_at == 0 || --sd->fault_at > 0) {
        return by_chance(sd, error_ppm) ? ERR_IO : 0;
    }
    if (sd->fault == SIMDISK_DIE) {
        sd->dead = true;
        return ERR_IO;
    }
    return sd->fault == SIMDISK_EIO ? ERR_IO : ERR_NO_SPACE;
}

static int say(struct err *e, int code, const char *what, const char *name)
{
    return err_sys(e, ERR_IO, code == ERR_NO_SPACE ? ENOSPC : EIO, "%s %s", what, name);
}

/* Room is given out in blocks: a file may grow within its last one on a full disk. */
static uint64_t blocks(uint64_t size)
{
    return (size + BLOCK - 1) / BLOCK * BLOCK;
}

uint64_t simdisk_used(const struct simdisk *sd)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < FILES; i++) {
        if (sd->now[i].inode != NULL) {
            sum += blocks(sd->now[i].inode->now_size);
        }
    }
    return sum;
}

static bool no_room(const struct simdisk *sd, const struct inode *i, uint64_t size)
{
    uint64_t have = blocks(i->now_size);
    return blocks(size) > have && sd->o.capacity_bytes > 0 &&
           simdisk_used(sd) + blocks(size) - have > sd->o.capacity_bytes;
}

/* --- the seam's calls */

static const struct disk_ops sim_ops;

static int sim_open(struct disk *d,
                    const char *name,
                    enum disk_mode mode,
                    struct disk_file **ret,
                    struct err *e)
{
    struct simdisk *sd = of(d);
    struct name *n = sd_find(sd->now, name);
    if (n == NULL && mode != DISK_CREATE) {
        return err_sys(e, ERR_NOT_FOUND, ENOENT, "open %s", name);
    }
    if (mode == DISK_CREATE) {
        int rc = meet(sd, sd->errors.write_ppm);
        if (rc != 0) {
            return say(e, rc, "create", name);
        }
        change_name(sd, name, mem_new(1, sizeof(struct inode)), /*more=*/false);
        n = sd_find(sd->now, name);
    }
    struct sim_file *f = mem_new(1, sizeof *f);
    f->base.ops = &sim_ops;
    f->sd = sd;
    f->inode = inode_ref(n->inode);
    (void)str_copy(f->name, sizeof f->name, name);
    f->next = sd->open;
    f->prev = &sd->open;
    if (f->next != NULL) {
        f->next->prev = &f->next;
    }
    sd->open = f;
    *ret = &f->base;
    return 0;
}

static void sim_close(struct disk_file *base)
{
    struct sim_file *f = file_of(base);
    *f->prev = f->next;
    if (f->next != NULL) {
        f->next->prev = f->prev;
    }
    sd_inode_unref(f->inode);
    free(f);
}

void simdisk_close_files(struct simdisk *sd)
{
    while (sd->open != NULL) {
        sim_close(&sd->open->base);
    }
}

static int sim_size(struct disk_file *f, uint64_t *ret, struct err *e)
{
    (void)e;
    *ret = file_of(f)->inode->now_size;
    return 0;
}

static int
sim_read(struct disk_file *f, uint64_t offset, void *data, size_t len, size_t *ret_n, struct err *e)
{
    struct sim_file *file = file_of(f);
    struct inode *i = file->inode;
    if (by_chance(file->sd, file->sd->errors.read_ppm)) {
        return say(e, ERR_IO, "read", file->name);
    }
    *ret_n = offset >= i->now_size ? 0 : (size_t)min_u64(len, i->now_size - offset);
    if (*ret_n > 0) {
        memcpy(data, i->now + offset, *ret_n);
    }
    return 0;
}

static int
sim_put(struct simdisk *sd, struct inode *i, uint64_t offset, const void *data, size_t len)
{
    int rc = meet(sd, sd->errors.write_ppm);
    uint64_t end = offset + len;
    if (rc == 0 && no_room(sd, i, end)) {
        rc = ERR_NO_SPACE;
    }
    if (rc != 0 && (sd->fault_at > 0 || (sd->dead && rng_below(&sd->rng, 2) == 0))) {
        return rc;
    }
    if (rc != 0) { /* The kernel copies page by page. */
        end = (offset + len / 2) / DISK_SECTOR * DISK_SECTOR;
        if (end <= offset) {
            return rc;
        }
        len = (size_t)(end - offset);
    }
    if (len == 0) {
        return rc;
    }
    sd_inode_room(i, (end + DISK_SECTOR - 1) / DISK_SECTOR * DISK_SECTOR);
    if (rng_below(&sd->rng, 8) == 0) {
        sd_write_back_some(sd, i, 2);
    }
    memcpy(i->now + offset, data, len);
    mark_dirty(i, offset, end);
    i->now_size = max_u64(i->now_size, end);
    return rc;
}

static int
sim_write(struct disk_file *f, uint64_t offset, const void *data, size_t len, struct err *e)
{
    struct sim_file *file = file_of(f);
    if (file->sd->dead) {
        return say(e, ERR_IO, "write", file->name);
    }
    int rc = sim_put(file->sd, file->inode, offset, data, len);
    return rc == 0 ? 0 : say(e, rc, "write", file->name);
}

static int sim_truncate(struct disk_file *f, uint64_t size, struct err *e)
{
    struct inode *i = file_of(f)->inode;
    int rc = meet(file_of(f)->sd, file_of(f)->sd->errors.write_ppm);
    if (rc != 0) {
        return say(e, rc, "truncate", file_of(f)->name);
    }
    if (size < i->now_size) {
        memset(i->now + size, 0, i->now_size - size);
        mark_dirty(i, size, i->now_size);
    }
    sd_inode_room(i, (size + DISK_SECTOR - 1) / DISK_SECTOR * DISK_SECTOR);
    i->now_size = size;
    return 0;
}

static int sim_allocate(struct disk_file *f, uint64_t size, struct err *e)
{
    struct sim_file *file = file_of(f);
    struct simdisk *sd = file->sd;
    int rc = meet(sd, sd->errors.write_ppm);
    if (rc == 0 && no_room(sd, file->inode, size)) {
        rc = ERR_NO_SPACE;
    }
    if (rc != 0) {
        return say(e, rc, "allocate", file->name);
    }
    sd_inode_room(file->inode, (size + DISK_SECTOR - 1) / DISK_SECTOR * DISK_SECTOR);
    file->inode->now_size = max_u64(file->inode->now_size, size);
    return 0;
}

static int sim_sync(struct disk_file *f, struct err *e)
{
    struct simdisk *sd = file_of(f)->sd;
    int rc = meet(sd, sd->errors.sync_ppm);
    if (rc != 0) {
        if (!sd->dead) {
            inode_lose(sd, file_of(f)->inode);
        }
        return say(e, rc, "sync", file_of(f)->name);
    }
    inode_sync(file_of(f)->inode);
    return 0;
}

static int sim_rename(struct disk *d, const char *from, const char *to, struct err *e)
{
    struct simdisk *sd = of(d);
    struct name *n = sd_find(sd->now, from);
    if (n == NULL) {
        return err_sys(e, ERR_NOT_FOUND, ENOENT, "rename %s to %s", from, to);
    }
    int rc = meet(sd, sd->errors.write_ppm);
    if (rc != 0) {
        return say(e, rc, "rename", from);
    }
    change_name(sd, to, n->inode, /*more=*/true);
    change_name(sd, from, NULL, /*more=*/false);
    return 0;
}

static int sim_remove(struct disk *d, const char *name, struct err *e)
{
    struct simdisk *sd = of(d);
    if (sd_find(sd->now, name) == NULL) {
        return 0;
    }
    int rc = meet(sd, sd->errors.write_ppm);
    if (rc != 0) {
        return say(e, rc, "remove", name);
    }
    change_name(sd, name, NULL, /*more=*/false);
    return 0;
}

static int sim_sync_dir(struct disk *d, struct err *e)
{
    int rc = meet(of(d), of(d)->errors.sync_ppm);
    if (rc != 0) {
        return say(e, rc, "sync", "the directory");
    }
    sd_settle_changes(of(d), of(d)->changes_n);
    return 0;
}

static int
sim_list(struct disk *d, void (*name)(void *ctx, const char *name), void *ctx, struct err *e)
{
    (void)e;
    simdisk_each(of(d), name, ctx);
    return 0;
}

static int sim_space(struct disk *d, uint64_t *ret_free, uint64_t *ret_total, struct err *e)
{
    (void)e;
    struct simdisk *sd = of(d);
    uint64_t total = sd->o.capacity_bytes == 0 ? 1ull << 40 : sd->o.capacity_bytes;
    uint64_t have = simdisk_used(sd);
    *ret_total = total;
    *ret_free = have >= total ? 0 : total - have;
    return 0;
}

/* --- the log's writes and tasks */

/* Put the next group in the page cache; its sync ends later. */
static void start_group(struct simdisk *sd)
{
    if (sd->group != NULL || sd->write_first == NULL || sd->dead) {
        return;
    }
    struct disk_write *last = sd->write_first;
    sd->full = sd->full && !last->resume;
    while (!last->alone && last->next != NULL && last->next->file == last->file &&
           !last->next->resume) {
        last = last->next;
    }
    sd->group = sd->write_first;
    sd->write_first = last->next;
    if (sd->write_first == NULL) {
        sd->write_last = NULL;
    }
    last->next = NULL;
    sd->group_code = sd->broken ? ERR_IO : sd->full ? ERR_NO_SPACE : 0;
    for (struct disk_write *w = sd->group; w != NULL && sd->group_code == 0; w = w->next) {
        sd->group_code = sim_put(sd, file_of(w->file)->inode, w->offset, w->data, w->len);
    }
    uint64_t spread = sd->o.max_us > sd->o.min_us ? sd->o.max_us - sd->o.min_us : 0;
    sd->group_done_us = sd->now_us + sd->o.min_us + rng_below(&sd->rng, spread + 1);
}

static void sim_queue(struct disk *d, struct disk_write *w)
{
    struct simdisk *sd = of(d);
    w->next = NULL;
    if (sd->write_last == NULL) {
        sd->write_first = w;
    } else {
        sd->write_last->next = w;
    }
    sd->write_last = w;
    start_group(sd);
}

/* What was written of the group is synced, or the writes behind it fail, too. */
static void sync_group(struct simdisk *sd)
{
    struct inode *inode = file_of(sd->group->file)->inode;
    bool written = sd->group_code == 0;
    if (written) {
        sd->group_code = meet(sd, sd->errors.sync_ppm) == 0 ? 0 : ERR_IO;
    }
    if (sd->dead) {
        return;
    }
    if (sd->group_code == 0) {
        inode_sync(inode);
    } else if (written) {
        inode_lose(sd, inode);
    }
    sd->full = sd->group_code == ERR_NO_SPACE;
    sd->broken = sd->broken || sd->group_code == ERR_IO;
}

static void end_group(struct simdisk *sd)
{
    struct disk_write *w = sd->group;
    sync_group(sd);
    if (sd->dead) {
        return;
    }
    int code = sd->group_code;
    sd->group = NULL;
    start_group(sd);
    while (w != NULL) {
        struct disk_write *next = w->next;
        w->done(w, code);
        w = next;
    }
}

static void sim_run_task(struct disk *d, struct disk_task *t)
{
    struct simdisk *sd = of(d);
    t->next = NULL;
    if (sd->task_last == NULL) {
        sd->task_first = t;
        sd->task_done_us = sd->now_us + sd->o.task_us;
    } else {
        sd->task_last->next = t;
    }
    sd->task_last = t;
}

static void end_task(struct simdisk *sd)
{
    struct disk_task *t = sd->task_first;
    t->work(t);
    if (sd->dead) {
        return;
    }
    sd->task_first = t->next;
    if (sd->task_first == NULL) {
        sd->task_last = NULL;
    }
    sd->task_done_us = sd->now_us + sd->o.task_us;
    t->done(t);
}

void simdisk_finish(struct simdisk *sd)
{
    while (!sd->dead && (sd->group != NULL || sd->task_first != NULL)) {
        struct disk_task *t = sd->task_first;
        if (sd->group != NULL) {
            sync_group(sd);
            sd->group = NULL;
            start_group(sd);
        } else {
            t->work(t);
            sd->task_first = t->next;
        }
    }
    sd->group = sd->write_first = sd->write_last = NULL;
    sd->task_first = sd->task_last = NULL;
}

void simdisk_run(struct simdisk *sd, uint64_t now_us)
{
    for (;;) {
        uint64_t next = simdisk_next_us(sd);
        if (next > now_us) {
            break;
        }
        sd->now_us = max_u64(sd->now_us, next);
        if (sd->group != NULL && sd->group_done_us == next) {
            end_group(sd);
        } else {
            end_task(sd);
        }
    }
    sd->now_us = max_u64(sd->now_us, now_us);
}

static const struct disk_ops sim_ops = {.open = sim_open,
                                        .close = sim_close,
                                        .size = sim_size,
                                        .read = sim_read,
                                        .write = sim_write,
                                        .truncate = sim_truncate,
                                        .allocate = sim_allocate,
                                        .sync = sim_sync,
                                        .rename = sim_rename,
                                        .remove = sim_remove,
                                        .sync_dir = sim_sync_dir,
                                        .list = sim_list,
                                        .space = sim_space,
                                        .queue = sim_queue,
                                        .run = sim_run_task};

struct simdisk *simdisk_new(const struct simdisk_options *options)
{
    struct simdisk *sd = mem_new(1, sizeof *sd);
    sd->base.ops = &sim_ops;
    sd->o = *options;
    rng_seed(&sd->rng, options->seed);
    return sd;
}
