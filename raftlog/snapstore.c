/* Which snapshots there are. */

#include "raftlog/snapstore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mark.h"
#include "core/util.h"

#include "raftlog/snap_impl.h"

struct entry {
    uint64_t term;
    uint64_t index;
};

struct names {
    struct entry *snaps;
    uint32_t n;
    char (*junk)[DISK_NAME_SIZE]; /* Half-written ones. */
    uint32_t junk_n;
    char (*in)[DISK_NAME_SIZE];
    uint32_t in_n;
};

void snap_name(char out[DISK_NAME_SIZE], uint64_t term, uint64_t index)
{
    (void)snprintf(out, DISK_NAME_SIZE, "snap-%020llu-%020llu", (unsigned long long)term,
                   (unsigned long long)index);
}

static void names_done(struct names *n)
{
    free(n->snaps);
    free(n->junk);
    free(n->in);
}

static void found(void *ctx, const char *name)
{
    struct names *n = ctx;
    char again[DISK_NAME_SIZE];
    if (strncmp(name, SNAP_OWN_PREFIX, strlen(SNAP_OWN_PREFIX)) == 0) {
        n->junk = mem_grow(n->junk, n->junk_n + 1, sizeof *n->junk);
        (void)str_copy(n->junk[n->junk_n++], DISK_NAME_SIZE, name);
    } else if (strncmp(name, SNAP_IN_PREFIX, strlen(SNAP_IN_PREFIX)) == 0) {
        n->in = mem_grow(n->in, n->in_n + 1, sizeof *n->in);
        (void)str_copy(n->in[n->in_n++], DISK_NAME_SIZE, name);
    } else if (strncmp(name, "snap-", 5) == 0) {
        char *end;
        unsigned long long term = strtoull(name + 5, &end, 10);
        unsigned long long index = *end == '-' ? strtoull(end + 1, NULL, 10) : 0;
        /* Anything that is not exactly such a name does not come out the same again. */
        snap_name(again, term, index);
        if (strcmp(name, again) == 0) {
            n->snaps = mem_grow(n->snaps, n->n + 1, sizeof *n->snaps);
            n->snaps[n->n++] = (struct entry){.term = term, .index = index};
        }
    }
}

/* Newest first: by index, for a later snapshot covers more. */
static int newest_first(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    if (x->index != y->index) {
        return x->index > y->index ? -1 : 1;
    }
    return x->term > y->term ? -1 : x->term < y->term;
}

static int list(struct disk *disk, struct names *n, struct err *e)
{
    int rc = disk_list(disk, found, n, e);
    if (rc == 0 && n->n > 0) {
        qsort(n->snaps, n->n, sizeof *n->snaps, newest_first);
    }
    return rc;
}

int snap_newest(struct disk *disk,
                const struct id *pool,
                struct snap_found *ret,
                struct snap_meta *ret_meta,
                struct err *e)
{
    struct names n CLEANUP(names_done) = {0};
    *ret = (struct snap_found){0};
    int rc = list(disk, &n, e);
    for (uint32_t i = 0; rc == 0 && i < n.junk_n; i++) {
        MARK(half_snapshot);
        rc = disk_remove(disk, n.junk[i], e);
    }
    for (uint32_t i = 0; rc == 0 && i < n.n && !ret->any; i++) {
        struct err why = {0};
        snap_name(ret->name, n.snaps[i].term, n.snaps[i].index);
        int bad = snap_verify(disk, pool, ret->name, ret_meta, &why);
        if (bad == 0 &&
            (ret_meta->index != n.snaps[i].index || ret_meta->term != n.snaps[i].term)) {
            bad = err_set(&why, ERR_CORRUPT, "snapshot %s is another under this name", ret->name);
        }
        ret->any = bad == 0;
        if (bad == ERR_CORRUPT) {
            ret->damaged++;
            if (ret->damaged == 1) {
                memcpy(ret->damaged_name, ret->name, sizeof ret->name);
                ret->why = why;
            }
        } else if (bad != 0) {
            *e = why;
            rc = bad;
        }
    }
    return rc;
}

int snap_prune(struct disk *disk, uint64_t term, uint64_t index, struct err *e)
{
    struct names n CLEANUP(names_done) = {0};
    const struct entry keep = {.term = term, .index = index};
    uint32_t older = 0;
    int rc = list(disk, &n, e);
    for (uint32_t i = 0; rc == 0 && i < n.n; i++) {
        if (newest_first(&n.snaps[i], &keep) > 0 && older++ > 0) {
            char name[DISK_NAME_SIZE];
            snap_name(name, n.snaps[i].term, n.snaps[i].index);
            rc = disk_remove(disk, name, e);
        }
    }
    return rc;
}

/* --- coming in */

static void in_name(char out[DISK_NAME_SIZE], const struct snap_offer *o)
{
    char sum[HASH_TEXT_SIZE];
    (void)snprintf(out, DISK_NAME_SIZE, SNAP_IN_PREFIX "%llu-%llu-%s", (unsigned long long)o->term,
                   (unsigned long long)o->index, hash_text(o->sum, sum));
}

int snap_in_open(struct disk *disk,
                 const struct snap_offer *offer,
                 struct disk_file **ret,
                 uint64_t *ret_have,
                 struct err *e)
{
    struct names n CLEANUP(names_done) = {0};
    char name[DISK_NAME_SIZE];
    bool there = false;
    in_name(name, offer);
    int rc = list(disk, &n, e);
    for (uint32_t i = 0; rc == 0 && i < n.in_n; i++) {
        if (strcmp(n.in[i], name) == 0) {
            there = true;
        } else {
            rc = disk_remove(disk, n.in[i], e);
        }
    }
    if (rc == 0) {
        rc = disk_open(disk, name, there ? DISK_WRITE : DISK_CREATE, ret, e);
    }
    if (rc == 0) {
        rc = disk_size(*ret, ret_have, e);
        if (rc == 0 && *ret_have > offer->file_bytes) {
            *ret_have = 0;
            rc = disk_truncate(*ret, 0, e);
        }
        if (rc != 0) {
            disk_close(*ret);
            *ret = NULL;
        }
    }
    return rc;
}

int snap_in_check(struct disk *disk,
                  const struct id *pool,
                  const struct snap_offer *offer,
                  struct snap_meta *ret,
                  struct err *e)
{
    char name[DISK_NAME_SIZE];
    in_name(name, offer);
    int rc = snap_verify(disk, pool, name, ret, e);
    if (rc == 0 && (ret->index != offer->index || ret->term != offer->term ||
                    ret->file_bytes != offer->file_bytes || !hash_equal(ret->sum, offer->sum))) {
        rc = err_set(e, ERR_CORRUPT, "the snapshot that came in is not the one that was offered");
    }
    struct disk_file *whole = NULL;
    if (rc == 0) {
        rc = disk_open(disk, name, DISK_WRITE, &whole, e);
    }
    if (rc == 0) {
        rc = disk_sync(whole, e);
    }
    disk_close(whole);
    if (rc != 0 && rc != ERR_IO) { /* Emptied, not removed: its receiver has it open. */
        struct err why = *e;
        struct disk_file *f = NULL;
        if (disk_open(disk, name, DISK_WRITE, &f, e) == 0) {
            (void)disk_truncate(f, 0, e); /* If that fails, the next check fails again. */
        }
        disk_close(f);
        *e = why;
    }
    return rc;
}

int snap_in_keep(struct disk *disk, const struct snap_offer *offer, struct err *e)
{
    char from[DISK_NAME_SIZE];
    char to[DISK_NAME_SIZE];
    struct disk_file *f = NULL;
    in_name(from, offer);
    snap_name(to, offer->term, offer->index);
    int rc = disk_open(disk, from, DISK_WRITE, &f, e);
    if (rc == 0) {
        rc = disk_sync(f, e);
    }
    disk_close(f);
    if (rc == 0) {
        rc = disk_rename(disk, from, to, e);
    }
    return rc == 0 ? disk_sync_dir(disk, e) : rc;
}
