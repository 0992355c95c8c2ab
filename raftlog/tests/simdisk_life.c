#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "raftlog/tests/simdisk_impl.h"

/* --- life and death */

static void clear_names(struct name *names)
{
    for (uint32_t i = 0; i < FILES; i++) {
        sd_inode_unref(names[i].inode);
        names[i] = (struct name){0};
    }
}

void simdisk_free(struct simdisk *sd)
{
    sd_settle_changes(sd, 0);
    clear_names(sd->now);
    clear_names(sd->disk);
    free(sd->changes);
    free(sd);
}

int simdisk_take(struct simdisk *sd, struct disk **ret, struct err *e)
{
    if (sd->taken) {
        return err_set(e, ERR_LOCKED, "the disk is in use by another daemon");
    }
    sd->taken = true;
    *ret = &sd->base;
    return 0;
}

void simdisk_release(struct simdisk *sd)
{
    sd->taken = sd->full = sd->broken = false;
}

/* What a power cut leaves of a file. Beyond `end`, and before what is dirty, both copies agree:
 * most of a big file is not touched. */
static void cut_inode(struct simdisk *sd, struct inode *i)
{
    uint64_t end = max_u64(max_u64(i->now_size, i->disk_size), i->dirty_to);
    sd_write_back_some(sd, i, 2);
    if (i->disk_size != i->now_size && rng_below(&sd->rng, 2) == 0) {
        i->disk_size = i->now_size;
    }
    uint64_t from = i->lost ? 0 : i->dirty_to > i->dirty_from ? i->dirty_from : end;
    from = min_u64(from, i->disk_size);
    if (i->disk_size < end) {
        memset(i->disk + i->disk_size, 0, end - i->disk_size);
    }
    if (from < end) {
        memcpy(i->now + from, i->disk + from, end - from);
    }
    i->now_size = i->disk_size;
    i->dirty_from = i->dirty_to = 0;
    i->lost = false;
}

/* The page cache drops what it takes to be clean of a file whose sync failed, or keeps it. */
static void drop_clean(struct simdisk *sd, struct inode *i)
{
    if (!i->lost || rng_below(&sd->rng, 2) == 0) {
        return;
    }
    uint64_t from = i->dirty_to > i->dirty_from ? i->dirty_from : i->disk_size;
    memcpy(i->now, i->disk, min_u64(from, i->disk_size));
    if (i->dirty_to < i->disk_size && i->dirty_to > i->dirty_from) {
        memcpy(i->now + i->dirty_to, i->disk + i->dirty_to, i->disk_size - i->dirty_to);
    }
    i->lost = false;
}

static void cut_power(struct simdisk *sd)
{
    uint32_t n = (uint32_t)rng_below(&sd->rng, sd->changes_n + 1u);
    while (n > 0 && n < sd->changes_n && sd->changes[n - 1].more) {
        n--;
    }
    sd_settle_changes(sd, n);
    clear_names(sd->now);
    for (uint32_t i = 0; i < FILES; i++) {
        if (sd->disk[i].inode != NULL) {
            cut_inode(sd, sd->disk[i].inode);
            sd_set_name(sd->now, sd->disk[i].name, sd->disk[i].inode);
        }
    }
}

void simdisk_crash(struct simdisk *sd, bool power)
{
    sd->write_first = sd->write_last = sd->group = NULL;
    sd->task_first = sd->task_last = NULL;
    sd->taken = sd->dead = sd->full = sd->broken = false;
    sd->fault_at = 0;
    if (power) {
        cut_power(sd);
    }
    for (uint32_t i = 0; i < FILES && !power; i++) {
        if (sd->now[i].inode != NULL) {
            drop_clean(sd, sd->now[i].inode);
        }
    }
}

uint64_t simdisk_next_us(const struct simdisk *sd)
{
    uint64_t next = UINT64_MAX;
    if (sd->dead) {
        return next;
    }
    if (sd->group != NULL) {
        next = sd->group_done_us;
    }
    if (sd->task_first != NULL) {
        next = min_u64(next, sd->task_done_us);
    }
    return next;
}

void simdisk_drain(struct simdisk *sd)
{
    for (uint64_t next = simdisk_next_us(sd); next != UINT64_MAX; next = simdisk_next_us(sd)) {
        simdisk_run(sd, next);
    }
}

void simdisk_fault_at(struct simdisk *sd, uint64_t n, enum simdisk_fault fault)
{
    sd->fault_at = n;
    sd->fault = fault;
}

void simdisk_set_errors(struct simdisk *sd, const struct simdisk_errors *errors)
{
    sd->errors = *errors;
}

bool simdisk_dead(const struct simdisk *sd)
{
    return sd->dead;
}

uint64_t simdisk_calls(const struct simdisk *sd)
{
    return sd->calls;
}

void simdisk_set_capacity(struct simdisk *sd, uint64_t bytes)
{
    sd->o.capacity_bytes = bytes;
}

void simdisk_set_latency(struct simdisk *sd, uint64_t min_us, uint64_t max_us)
{
    sd->o.min_us = min_us;
    sd->o.max_us = max_us;
}

/* --- looking and damaging */

void simdisk_flip(struct simdisk *sd, const char *name, uint64_t offset, unsigned bit)
{
    struct name *n = sd_find(sd->now, name);
    assert(n != NULL && offset < n->inode->now_size);
    n->inode->now[offset] ^= (uint8_t)(1u << bit);
    n->inode->disk[offset] ^= (uint8_t)(1u << bit);
}

const uint8_t *simdisk_peek(struct simdisk *sd, const char *name, uint64_t *ret_len)
{
    struct name *n = sd_find(sd->now, name);
    if (n == NULL) {
        return NULL;
    }
    *ret_len = n->inode->disk_size;
    return n->inode->disk;
}

void simdisk_poke(struct simdisk *sd,
                  const char *name,
                  uint64_t offset,
                  const void *data,
                  size_t len)
{
    struct name *n = sd_find(sd->now, name);
    assert(n != NULL && offset + len <= n->inode->now_size);
    memcpy(n->inode->now + offset, data, len);
    memcpy(n->inode->disk + offset, data, len);
}

void simdisk_lose(struct simdisk *sd, const char *name)
{
    sd_settle_changes(sd, sd->changes_n);
    sd_set_name(sd->now, name, NULL);
    sd_set_name(sd->disk, name, NULL);
}

void simdisk_each(struct simdisk *sd, void (*name)(void *ctx, const char *name), void *ctx)
{
    for (uint32_t i = 0; i < FILES; i++) {
        if (sd->now[i].inode != NULL) {
            name(ctx, sd->now[i].name);
        }
    }
}

struct simdisk_image *simdisk_save(struct simdisk *sd)
{
    struct simdisk_image *image = mem_new(1, sizeof *image);
    for (uint32_t i = 0; i < FILES; i++) {
        const struct inode *inode = sd->disk[i].inode;
        if (inode != NULL) {
            (void)str_copy(image->files[i].name, DISK_NAME_SIZE, sd->disk[i].name);
            image->files[i].size = inode->disk_size;
            image->files[i].data = mem_new(inode->disk_size, 1);
            if (inode->disk_size > 0) {
                memcpy(image->files[i].data, inode->disk, inode->disk_size);
            }
        }
    }
    return image;
}

void simdisk_restore(struct simdisk *sd, const struct simdisk_image *image)
{
    sd_settle_changes(sd, 0);
    clear_names(sd->now);
    clear_names(sd->disk);
    for (uint32_t i = 0; i < FILES; i++) {
        if (image->files[i].name[0] == '\0') {
            continue;
        }
        struct inode *inode = mem_new(1, sizeof *inode);
        uint64_t size = image->files[i].size;
        sd_inode_room(inode, (size / DISK_SECTOR + 1) * DISK_SECTOR);
        if (size > 0) {
            memcpy(inode->now, image->files[i].data, size);
            memcpy(inode->disk, image->files[i].data, size);
        }
        inode->now_size = inode->disk_size = size;
        sd_set_name(sd->now, image->files[i].name, inode);
        sd_set_name(sd->disk, image->files[i].name, inode);
    }
}

void simdisk_image_free(struct simdisk_image *image)
{
    for (uint32_t i = 0; image != NULL && i < FILES; i++) {
        free(image->files[i].data);
    }
    free(image);
}
