/* The log as the driver of the core needs it: the term of every entry, the content of the newest.
 *
 * The log is [first, last]; entries behind `first` are in a snapshot. Content is kept in memory
 * until it is durable, applied and over the budget; the rest is read back from the disk when a
 * member far behind, or recovery, asks for it. */

#ifndef RAFTLOG_CACHE_H
#define RAFTLOG_CACHE_H

#include "raftlog/node.h"

struct cache_slot {
    uint8_t *data;
    uint64_t term;
    uint32_t len;
    enum node_entry_type type;
};

/* Entries from `first` on have this term, up to the next run. */
struct cache_run {
    uint64_t first;
    uint64_t term;
};

struct cache {
    uint64_t first;     /* Oldest entry of the log; last + 1 if there is none. */
    uint64_t last;      /* Newest. */
    uint64_t in_memory; /* Oldest entry whose content is here; last + 1 if none. */
    uint64_t bytes;     /* Of the content here. */
    uint64_t budget;
    struct cache_slot *slots; /* A ring: entry i is at i % slots_cap. */
    uint64_t slots_cap;       /* A power of two. */
    struct cache_run *runs;
    uint32_t runs_n;
    uint32_t runs_cap;
    uint64_t snapshot_index; /* The newest snapshot's last entry, which may be before the log. */
    uint64_t snapshot_term;
};

void cache_init(struct cache *c, uint64_t first, uint64_t budget);
void cache_done(struct cache *c);

/* Entry last + 1; its content is copied. */
void cache_append(struct cache *c, const struct node_entry *entry);
/* Drop entry `index` and all after it. */
void cache_truncate(struct cache *c, uint64_t index);
/* The log begins with `first` now. */
void cache_trim(struct cache *c, uint64_t first);
/* Drop everything: the snapshot at (index, term) stands for it. */
void cache_reset(struct cache *c, uint64_t index, uint64_t term);
/* Give up content of entries up to `upto` as far as the budget asks for it. */
void cache_evict(struct cache *c, uint64_t upto);

/* Term of an entry of the log or of the newest snapshot's last one; 0 unknown, also for 0. */
uint64_t cache_term(const struct cache *c, uint64_t index);
/* The entry, if its content is here; borrowed until the next change. */
bool cache_get(const struct cache *c, uint64_t index, struct node_entry *ret);

#endif
