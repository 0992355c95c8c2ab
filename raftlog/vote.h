/* Term and vote: what a member must have on disk before it tells anybody (Raft, figure 2,
 * "persistent state"). */

#ifndef RAFTLOG_VOTE_H
#define RAFTLOG_VOTE_H

#include <stdint.h>

#include "core/err.h"

#include "raftlog/slots.h"

struct vote {
    struct slots slots;
    uint64_t term;
    uint64_t vote; /* Raft id, 0: none in this term. */
};

/* As slots_open(); with ERR_NOT_FOUND term and vote are 0 and vote_save() makes the files. */
int vote_open(struct vote *v, struct disk *disk, struct err *e);

/* Durable when it returns 0. Terms never go back, a vote is never changed within a term:
 * ERR_INTERNAL otherwise, and nothing is written. Blocking. */
int vote_save(struct vote *v, uint64_t term, uint64_t vote, struct err *e);

void vote_done(struct vote *v);

#endif
