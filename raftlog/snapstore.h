/* Snapshot files: snap-<term>-<index>, both in 20 digits.
 *
 *   header    magic, format, checksum, pool, index, term, the configuration in force and its index
 *   chunks    length, checksum, bytes; as the machine streamed them
 *   end       a length of 0, then the trailer: length of the stream, checksum over everything
 *
 * A file is written under another name, synced, renamed, and the directory synced: one that has its
 * name is complete. One that comes in from another member is the same bytes, under a name made of
 * what was offered, so that a transfer that broke off goes on where it was, also after a restart.
 *
 * Everything here blocks and is meant for a task or a worker thread, except where it says so. */

#ifndef RAFTLOG_SNAPSTORE_H
#define RAFTLOG_SNAPSTORE_H

#include "core/buf.h"
#include "core/hash.h"
#include "core/id.h"

#include "raftlog/disk.h"

/* Bytes of an encoded configuration, and of one chunk of the stream. */
#define SNAP_CONF_MAX  16384u
#define SNAP_CHUNK_MAX (256ul * 1024u)

struct snap_meta {
    uint64_t index; /* Last entry that is in it. */
    uint64_t term;
    uint64_t conf_index;
    uint32_t conf_len;
    uint8_t conf[SNAP_CONF_MAX];
    /* Of a finished file: */
    uint64_t file_bytes;
    struct hash128 sum; /* Over everything; equal files, equal sums. */
};

/* --- writing */

struct snap_writer;

int snap_create(struct snap_writer **ret,
                struct disk *disk,
                const struct id *pool,
                const struct snap_meta *meta,
                struct err *e);
int snap_write(struct snap_writer *w, const void *data, size_t len, struct err *e);
/* Make it durable under its name. Frees the writer, whatever comes of it; *ret_meta may be NULL. */
int snap_finish(struct snap_writer *w, struct snap_meta *ret_meta, struct err *e);
/* Forget it; removes the file. Accepts NULL. */
void snap_abort(struct snap_writer *w);

/* --- reading */

struct snap_reader;

/* Check the header. ERR_NOT_FOUND, ERR_CORRUPT, ERR_VERSION, ERR_REFUSED (another pool's).
 * *ret_meta has everything but the sum. */
int snap_open(struct snap_reader **ret,
              struct disk *disk,
              const struct id *pool,
              const char *name,
              struct snap_meta *ret_meta,
              struct err *e);
/* Next bytes of the stream: how many, 0 at the end (only after everything was found whole), or an
 * error: ERR_CORRUPT, ERR_IO. */
int64_t snap_read(struct snap_reader *r, void *data, size_t len, struct err *e);
/* Accepts NULL. */
void snap_close(struct snap_reader *r);

/* Read all of it and check it. */
int snap_verify(struct disk *disk,
                const struct id *pool,
                const char *name,
                struct snap_meta *ret,
                struct err *e);

/* --- the store */

struct snap_found {
    bool any;
    char name[DISK_NAME_SIZE];
    uint32_t damaged; /* Newer ones that are damaged; the newest of them: */
    char damaged_name[DISK_NAME_SIZE];
    struct err why;
};

/* The newest snapshot that is whole; what was left half-written is removed. ERR_VERSION and
 * ERR_REFUSED if the newest is such a one. */
int snap_newest(struct disk *disk,
                const struct id *pool,
                struct snap_found *ret,
                struct snap_meta *ret_meta,
                struct err *e);

/* Remove those older than this one, but for the newest of them; damaged ones with them. */
int snap_prune(struct disk *disk, uint64_t term, uint64_t index, struct err *e);

void snap_name(char out[DISK_NAME_SIZE], uint64_t term, uint64_t index);

/* --- coming in */

struct snap_offer {
    uint64_t index;
    uint64_t term;
    uint64_t file_bytes;
    struct hash128 sum;
};

/* Open, or go on with, the file of this offer; others that were coming in are removed. *ret_have
 * says how much of it is there. */
int snap_in_open(struct disk *disk,
                 const struct snap_offer *offer,
                 struct disk_file **ret,
                 uint64_t *ret_have,
                 struct err *e);
/* All bytes are there: check them, and make them durable; *ret is its meta. ERR_CORRUPT: not what
 * was offered; the file is emptied, and stays open. */
int snap_in_check(struct disk *disk,
                  const struct id *pool,
                  const struct snap_offer *offer,
                  struct snap_meta *ret,
                  struct err *e);
/* It was checked: give it its name, durably. Quick. */
int snap_in_keep(struct disk *disk, const struct snap_offer *offer, struct err *e);

#endif
