/* What the log's parts share: wal.c (append), wal_scan.c (recovery), wal_files.c (making, reusing
 * and dropping segment files). */

#ifndef RAFTLOG_WAL_IMPL_H
#define RAFTLOG_WAL_IMPL_H

#include "raftlog/disk.h"
#include "raftlog/wal.h"
#include "raftlog/wal_format.h"

/* Segments that must be there beyond the one in use before it may be written to, and that are kept.
 */
#define WAL_AHEAD_MIN 1u
#define WAL_AHEAD     2u

struct wal_segment {
    uint64_t number;
    uint64_t bytes;
    uint64_t min_index;     /* Where the log begins if this were the first segment. */
    uint64_t max_index;     /* Highest index that ever stood in it. */
    struct disk_file *file; /* NULL: not open. */
};

/* Where the entries stand: one place an index, from `base` on. */
struct wal_places {
    struct {
        uint64_t segment;
        uint32_t at;
        uint32_t len; /* Of the payload. */
    } * at;
    uint64_t base;
    size_t n;
    size_t cap;
};

/* One batch on its way to the disk. */
struct wal_flight {
    struct disk_write write;
    struct wal *w;
    struct wal_flight *next;
    struct buf bytes;
    struct wal_append *append; /* NULL for a seal or a scrub. */
    uint64_t segment;
    uint32_t end;
    uint64_t last, last_term; /* When this is durable. */
    struct {                  /* Before it, to go back to when there is no room. */
        uint64_t segment;
        uint32_t at;
        bool begun;
        uint64_t last, last_term, first;
    } before;
    bool seal;
    bool scrub;
    bool restart;
};

/* A segment being made in the background. */
struct wal_making {
    struct disk_task task;
    struct wal *w;
    bool busy;
    struct wal_header header;
    char reuse[DISK_NAME_SIZE]; /* A file to use again; "" none. */
    struct disk_file *file;
    struct err err;
};

/* Files being dropped in the background. */
struct wal_dropping {
    struct disk_task task;
    struct wal *w;
    bool busy;
    uint64_t numbers[64];
    uint32_t n;
    uint32_t keep; /* How many of them may stay for reuse. */
    uint32_t kept; /* out */
    struct err err;
};

struct wal {
    struct wal_options o;
    struct wal_segment *segments; /* Oldest first, without a gap; the ready ones last. */
    uint32_t n;
    uint32_t cap;
    uint32_t active;     /* Index in `segments` of the one that is written to. */
    uint32_t at;         /* Where the next batch goes in it. */
    bool begun;          /* It has its open record. */
    uint32_t durable_at; /* Everything in it before this is durable; 0: nothing. */

    uint64_t first, last, last_term, durable, prev_term;
    uint64_t trim; /* Entries up to here may be dropped. */
    uint64_t rolls, waits;
    uint64_t cut_segment;
    uint32_t cut_at;
    bool cut;
    bool full;
    unsigned held; /* enum wal_hold. */
    bool starved;  /* No room for the next segment; known when all under way has come back. */
    int failed;    /* 0, or what everything fails with until all that is under way has come back. */
    uint32_t dirty_end; /* Bytes of the active segment up to here may have been written by a batch
                           that failed; 0: none. */

    struct wal_flight *flight_first, *flight_last;
    struct wal_append *waiting_first, *waiting_last;

    struct wal_places places;
    struct disk_file *read_file; /* Kept open between reads. */
    uint64_t read_segment;

    struct wal_making making;
    struct wal_dropping dropping;
    uint32_t spares; /* Files kept for reuse, named wal-spare-1 and so on. */
};

/* --- wal_files.c */

/* Make a segment with blocking calls: zeros, header, sync, then its name. */
int wal_make(struct disk *d,
             const struct wal_header *h,
             const char *reuse,
             struct disk_file **ret_file,
             struct err *e);

/* See that WAL_AHEAD segments are ready or being made. `wal_made` is called when one is. */
void wal_prepare(struct wal *w);

/* Append a segment to the list. */
struct wal_segment *wal_add(struct wal *w, uint64_t number, uint64_t bytes);

/* Drop the oldest segments that hold nothing above w->trim, if that is not being done already. */
void wal_drop(struct wal *w);

void wal_segment_name(char out[DISK_NAME_SIZE], uint64_t number);

/* --- wal_read.c */

/* The entry of this index stands here; later ones are forgotten. */
void wal_places_put(struct wal *w, uint64_t index, uint64_t segment, uint32_t at, uint32_t len);
/* The log begins anew after this index. */
void wal_places_restart(struct wal *w, uint64_t index);
/* What stood before w->first is forgotten. */
void wal_places_trim(struct wal *w);
void wal_places_done(struct wal *w);

/* --- wal.c */

/* A segment was made, or could not be. */
void wal_made(struct wal *w, const struct err *e);

/* --- wal_scan.c */

/* Read everything, cut the tail, set the positions. */
int wal_scan(struct wal *w, struct err *e);

#endif
