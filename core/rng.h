/* Chance, behind a seam: seeded by the operating system in production, by the run in a test. */

#ifndef CORE_RNG_H
#define CORE_RNG_H

#include <stdint.h>

/* xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators"). Not for
 * keys: those come from the operating system directly. */
struct rng {
    uint64_t s[4];
};

/* Any seed is good; the state is spread by splitmix64. */
void rng_seed(struct rng *rng, uint64_t seed);

uint64_t rng_u64(struct rng *rng);

/* Uniform in [0, n); n > 0. */
uint64_t rng_below(struct rng *rng, uint64_t n);

#endif
