/* When open operations must end, on the master's own clock: an operation has the time that its row
 * gives it from the moment this master saw it first. Neither log time, which may stand still, nor
 * anybody's wall clock comes into it. Pure. */

#ifndef CLI_QUORATED_DEADLINES_H
#define CLI_QUORATED_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>

#include "fsm/entity.h"

/* An end that was proposed is proposed again after this time, if the operation is still open. */
#define DEADLINES_AGAIN_MS 5000u

struct deadline {
    uint64_t op;
    uint64_t due_ms;
};

struct deadlines {
    struct deadline *list; /* In order of op. */
    uint32_t n;
    uint32_t room;
    uint32_t at; /* In a round: before this one all were looked at. */
};

/* A round looks at every open operation, in order of its number: begin, look for each, end. What
 * was not looked at in a round has ended and is forgotten. */
void deadlines_begin(struct deadlines *d);

/* True: its time is over, propose its end. One without a deadline, or whose outcome is decided (a
 * switched migration), never is. */
bool deadlines_look(struct deadlines *d, const struct op *o, uint64_t now_ms);

void deadlines_end(struct deadlines *d);

/* Forget all: another master counts now. */
void deadlines_clear(struct deadlines *d);

#endif
