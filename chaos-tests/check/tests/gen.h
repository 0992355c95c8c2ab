/* Random good histories from a tiny sequential pool with concurrent clients, and what breaks them.
 *
 * The pool is one list of entries and one number a subject; chance decides when calls are made,
 * committed, applied and answered, what is lost, which host loses power, where guests go. What
 * comes out keeps every promise by construction. A mutation changes a few records such that one
 * promise is broken for certain, and says which checker must see it. */

#ifndef CHECK_TESTS_GEN_H
#define CHECK_TESTS_GEN_H

#include "core/rng.h"

#include "chaos-tests/check/check.h"

struct gen_options {
    uint64_t seed;
    uint32_t hosts, clients, subjects;
    uint32_t steps;
};

/* Fill an initialised, empty history. */
void gen_history(struct hist *h, const struct gen_options *options);

struct mutation {
    const char *name;
    const char *checker; /* Which must find it. */
    /* Change records of `h` (already a copy); false if there is no place for it. */
    bool (*apply)(struct hist *h, struct rng *rng);
};

/* The end has name NULL. */
extern const struct mutation mutations[];

/* A copy with the same hosts and names. */
void hist_copy(const struct hist *h, struct hist *ret);

#endif
