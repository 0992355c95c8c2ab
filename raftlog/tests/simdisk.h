/* A disk in memory, behind the seam of disk.h, on virtual time.
 *
 * Each file has what the page cache holds and what is durable. A power cut keeps, of every sector
 * that differs, one of the two (or an older unsynced version), and of the changes to the directory
 * since its last sync the first few. Killing the process alone keeps the page cache. Nothing
 * completes but in simdisk_run(). */

#ifndef RAFTLOG_TESTS_SIMDISK_H
#define RAFTLOG_TESTS_SIMDISK_H

#include "core/rng.h"

#include "raftlog/disk.h"

struct simdisk;
struct simdisk_image;

struct simdisk_options {
    uint64_t seed;
    uint64_t min_us; /* A group of writes and its sync take between these. */
    uint64_t max_us;
    uint64_t task_us;        /* A task takes this. */
    uint64_t capacity_bytes; /* 0: without end. */
    void (*call)(void);      /* Told before each call that changes something; NULL: nobody is. */
};

struct simdisk *simdisk_new(const struct simdisk_options *options);
void simdisk_free(struct simdisk *sd);

/* Take the disk as a process does. ERR_LOCKED. Given back by simdisk_release() or a crash. */
int simdisk_take(struct simdisk *sd, struct disk **ret, struct err *e);
void simdisk_release(struct simdisk *sd);

/* As a process does that ends in good order: what is queued is written and worked off, but nothing
 * is told any more. */
void simdisk_finish(struct simdisk *sd);

/* As the kernel does for a process that is dead: close what it left open. */
void simdisk_close_files(struct simdisk *sd);

/* Time of the next completion; UINT64_MAX: nothing is under way. */
uint64_t simdisk_next_us(const struct simdisk *sd);

/* Time passes; what is due completes, in order. */
void simdisk_run(struct simdisk *sd, uint64_t now_us);

/* Run until nothing is under way. */
void simdisk_drain(struct simdisk *sd);

/* The process dies (and with `power` the machine): nothing under way completes any more. Files that
 * were open must still be closed by their owners, or by simdisk_close_files(). The disk can be
 * taken again. */
void simdisk_crash(struct simdisk *sd, bool power);

enum simdisk_fault {
    SIMDISK_DIE,   /* The call has no effect or, if a write, about half of it (whole sectors); then
                      the machine is dead: no   call has any effect until simdisk_crash(). */
    SIMDISK_EIO,   /* The call fails with an input/output error. */
    SIMDISK_ENOSPC /* The call finds no room: a write does half of it. */
};

/* The n-th call that changes something, from now (1: the next), meets with this. */
void simdisk_fault_at(struct simdisk *sd, uint64_t n, enum simdisk_fault fault);
bool simdisk_dead(const struct simdisk *sd);

/* How often calls fail with an input/output error, in a million. A write may do half of it; what a
 * failed sync had to write is written in part, and the rest never will be, though it can be read
 * until the process dies or the power goes. */
struct simdisk_errors {
    uint32_t read_ppm, write_ppm, sync_ppm;
};
void simdisk_set_errors(struct simdisk *sd, const struct simdisk_errors *errors);

/* Calls so far that change something (write, sync, truncate, allocate, rename, remove, sync of the
 * directory; each write and each sync of the log). */
uint64_t simdisk_calls(const struct simdisk *sd);

void simdisk_set_capacity(struct simdisk *sd, uint64_t bytes);
/* Bytes that its files take up, in whole blocks. */
uint64_t simdisk_used(const struct simdisk *sd);
void simdisk_set_latency(struct simdisk *sd, uint64_t min_us, uint64_t max_us);

/* Rot: flip one bit, in the cache and on the disk. */
void simdisk_flip(struct simdisk *sd, const char *name, uint64_t offset, unsigned bit);

/* What is durable of a file, to look at or to change both copies by simdisk_poke(); NULL: no file.
 */
const uint8_t *simdisk_peek(struct simdisk *sd, const char *name, uint64_t *ret_len);
void simdisk_poke(struct simdisk *sd,
                  const char *name,
                  uint64_t offset,
                  const void *data,
                  size_t len);

/* The file is gone, at once and durably. */
void simdisk_lose(struct simdisk *sd, const char *name);

/* Call `name` for each file. */
void simdisk_each(struct simdisk *sd, void (*name)(void *ctx, const char *name), void *ctx);

/* What is durable now; and put it back as it was. */
struct simdisk_image *simdisk_save(struct simdisk *sd);
void simdisk_restore(struct simdisk *sd, const struct simdisk_image *image);
void simdisk_image_free(struct simdisk_image *image);

#endif
