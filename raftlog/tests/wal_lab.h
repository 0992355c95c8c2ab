/* A log on a simulated disk, with a model beside it that knows what was asked and acknowledged. */

#ifndef RAFTLOG_TESTS_WAL_LAB_H
#define RAFTLOG_TESTS_WAL_LAB_H

#include "raftlog/tests/simdisk.h"
#include "raftlog/wal.h"

#define LAB_ENTRIES 4096
#define LAB_OPS     2048

/* A log as terms by index; 0: no entry. Entries above `base`. */
struct lab_log {
    uint32_t base;
    uint32_t last;
    uint16_t terms[LAB_ENTRIES];
};

struct lab_op {
    struct wal_append append;
    struct lab *lab;
    bool restart;
    uint32_t index; /* Of the first entry, or of the restart. */
    uint32_t n;
    uint16_t term;
    bool told;
    int code;
};

struct lab {
    struct simdisk *sd;
    struct disk *disk;
    struct wal *wal;
    struct id pool;
    uint64_t segment_bytes;
    uint64_t acked_floor; /* Given to recovery as `acked`. */
    size_t least, most;   /* Bytes of payloads. */
    bool lenient;         /* Recovered entries may be anything. */

    struct lab_log before; /* The log when it was opened. */
    struct lab_log now;    /* With everything asked for since. */
    struct lab_log told;   /* What recovery told last. */
    struct lab_op *ops[LAB_OPS];
    uint32_t ops_n;
    uint32_t acked; /* Operations acknowledged, from the first. */
    uint32_t failed;
    uint32_t rolled;
};

void lab_init(struct lab *lab, uint64_t seed);
void lab_done(struct lab *lab);

/* Open the log; on success the model begins from what recovery told. */
int lab_open(struct lab *lab, bool create, struct err *e);

/* Ask; completes in simdisk_run(). */
int lab_append(struct lab *lab, uint32_t index, uint32_t n, uint16_t term);
int lab_restart(struct lab *lab, uint32_t index, uint16_t term);

/* Forget what was asked for: the model begins anew with the next operation. */
void lab_forget(struct lab *lab);

/* What the entry of this index and term holds; returns its length. */
size_t lab_payload(const struct lab *lab, uint64_t index, uint64_t term, uint8_t *out);

/* Append and let it complete. */
void lab_fill(struct lab *lab, uint32_t n, uint16_t term);

/* Let everything complete and close. */
void lab_close(struct lab *lab);

/* The process (or with `power` the machine) dies now. */
void lab_crash(struct lab *lab, bool power);

/* Whether what recovery told is the log after all acknowledged operations, and perhaps some, or
 * part of one, of those that were asked for and not acknowledged. */
bool lab_nothing_lost(const struct lab *lab);

/* Name of the segment with this number, in a static buffer. */
const char *lab_segment(uint64_t number);

#endif
