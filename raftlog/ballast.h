/* Room kept for a bad day: a file whose blocks are really reserved. When the disk runs low it is
 * given back, so that the log can still say so and close itself properly; the host stops accepting
 * until there is plenty again, and the room is taken anew. */

#ifndef RAFTLOG_BALLAST_H
#define RAFTLOG_BALLAST_H

#include "raftlog/disk.h"

struct ballast {
    /* in */
    struct disk *disk;
    uint64_t bytes; /* Of the file. Low: less than this is free; plenty: three times this. */
    void (*changed)(void *ctx, bool low); /* From the loop. */
    void *ctx;
    /* out */
    bool low;
    uint64_t free_bytes; /* As last seen. */
    /* private */
    bool held;
    bool busy;
    struct disk_task task;
    struct err err;
};

/* Look at the disk once, blocking, and take the room if there is plenty. */
int ballast_open(struct ballast *b, struct err *e);

/* Look again, in the background. Call about once a second. */
void ballast_poll(struct ballast *b);

#endif
