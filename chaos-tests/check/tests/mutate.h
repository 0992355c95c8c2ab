/* Shared by the files of mutations. */

#ifndef CHECK_TESTS_MUTATE_H
#define CHECK_TESTS_MUTATE_H

#include "chaos-tests/check/tests/gen.h"

#define NOWHERE SIZE_MAX

/* A random record that `fits`, or NOWHERE. */
size_t
mutate_pick(const struct hist *h, struct rng *rng, bool (*fits)(const struct hist *h, size_t at));

void mutate_take_out(struct hist *h, size_t at);

/* Put a record behind number `at`, at its time. */
void mutate_put_behind(struct hist *h, size_t at, struct rec r);

bool mutate_lost_event(struct hist *h, struct rng *rng);
bool mutate_repeated_event(struct hist *h, struct rng *rng);
bool mutate_other_event(struct hist *h, struct rng *rng);
bool mutate_two_masters(struct hist *h, struct rng *rng);
bool mutate_second_copy(struct hist *h, struct rng *rng);
bool mutate_late_pause(struct hist *h, struct rng *rng);
bool mutate_stale_copy(struct hist *h, struct rng *rng);
bool mutate_stale_write(struct hist *h, struct rng *rng);
bool mutate_second_permit(struct hist *h, struct rng *rng);
bool mutate_kept_permit(struct hist *h, struct rng *rng);
bool mutate_not_recovered(struct hist *h, struct rng *rng);
bool mutate_lock_left(struct hist *h, struct rng *rng);
bool mutate_copy_left(struct hist *h, struct rng *rng);
bool mutate_other_row(struct hist *h, struct rng *rng);

#endif
