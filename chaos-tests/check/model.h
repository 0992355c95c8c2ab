/* The sequential model: each subject is a register that holds a number, 0 while it does not exist.
 * It begins with 0. */

#ifndef CHECK_MODEL_H
#define CHECK_MODEL_H

#include "chaos-tests/check/history.h"

/* Whether a call with a definite answer may be answered so when the register holds `now`; then
 * *ret_next is what it holds after it. Of the refusals NOT_FOUND says that there is no such
 * subject, EXISTS that there is one, STALE that the expected value was not the one. Any other
 * refusal says nothing of the value, and changes nothing. */
bool model_step(const struct call *c, uint64_t now, uint64_t *ret_next);

/* What the register holds if the answer is believed all the same. */
uint64_t model_forced(const struct call *c, uint64_t now);

const char *call_op_name(enum call_op op);

/* "ok", "17", "absent", "refused (STALE)". Returns out. */
const char *call_answer_text(const struct call *c, char out[48]);

#endif
