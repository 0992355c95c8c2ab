/* A small record that must survive anything: kept in two copies, in two files.
 *
 * Saving writes and syncs the first copy, then the second, and only then returns; so whatever was
 * told to anybody after a save stands in both. Hence one copy that is torn, rotten or missing is
 * harmless, whichever it is:
 *   - it was damaged later: the other holds the same record;
 *   - the machine stopped while the first was written: the second holds the record before, and
 *     nobody was told of the new one;
 *   - while the second was written: the first holds the new record, which is as good.
 * Both gone is an error: the caller must not guess. */

#ifndef RAFTLOG_SLOTS_H
#define RAFTLOG_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

struct disk;

/* Bytes of a record at most. */
#define SLOTS_MAX 8000u

struct slots {
    struct disk *disk;
    const char *name;  /* Static text; the files are <name>-a and <name>-b. */
    uint64_t sequence; /* Of the last save. */
    struct buf scratch;
};

/* Read the record into `ret` (empty when there is none). A damaged copy is written anew from the
 * good one. 0; ERR_NOT_FOUND: neither file is there; ERR_CORRUPT: no copy is good; ERR_VERSION: a
 * newer program wrote it; ERR_IO. Blocking. */
int slots_open(struct slots *s,
               struct disk *disk,
               const char *name,
               struct buf *ret,
               struct err *e);

/* Durable in both copies when it returns 0. Any error is for good: nobody knows what the disk
 * holds. Blocking, two synced writes. */
int slots_save(struct slots *s, const void *data, size_t len, struct err *e);

void slots_done(struct slots *s);

#endif
