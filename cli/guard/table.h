/* What a guard knows: until when this host may run its guarded copies, and which they are. Pure;
 * allocates nothing. Times are milliseconds of CLOCK_BOOTTIME. */

#ifndef CLI_GUARD_TABLE_H
#define CLI_GUARD_TABLE_H

#include <stdbool.h>

#include "cli/guard/wire.h"

struct guard_entry {
    struct guard_copy copy;
    int handle;  /* The caller's: how the copy is killed; -1 for a domain. */
    bool killed; /* It was; it is not known to be dead. */
};

struct guard_table {
    uint64_t end_ms; /* 0: there never was a lease. */
    uint32_t margin_ms;
    uint32_t n;
    struct guard_entry entries[GUARD_COPIES];
};

/* The lease was renewed. One that ends earlier than before changes nothing. */
void guard_renew(struct guard_table *t, uint64_t end_ms, uint32_t margin_ms);

/* When the copies must be killed; 0 when there is nothing to kill. */
uint64_t guard_kill_at(const struct guard_table *t);

/* Whether that is now, or was. */
bool guard_is_due(const struct guard_table *t, uint64_t now_ms);

/* Entries whose lease is over and that still are not dead. */
uint32_t guard_stuck(const struct guard_table *t, uint64_t now_ms);

/* Take one more: *ret is its entry, whose handle the caller sets. 0; ERR_EXISTS (its entry is
 * *ret); ERR_STATE: there is no lease, or it is too short to begin anything, or this copy was
 * killed and is not dead yet; ERR_TOO_BIG: full. */
int guard_add(struct guard_table *t,
              const struct guard_copy *copy,
              uint64_t now_ms,
              struct guard_entry **ret);

struct guard_entry *guard_find(struct guard_table *t, const struct id *guest, uint64_t epoch);

/* Entries move: pointers to others are not valid any more. */
void guard_remove(struct guard_table *t, struct guard_entry *entry);

#endif
