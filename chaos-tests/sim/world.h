/* The simulated world's time: one virtual clock in nanoseconds, one queue of events, one seed.
 *
 * An event is embedded in whatever waits for it and can be moved or taken back. Events at the same
 * nanosecond happen in the order in which they were set. Nothing here runs in threads, and nothing
 * that decides anything looks at a pointer, so that one seed is one history: world_hash() is a
 * digest of everything that was noted on the way. */

#ifndef CHAOS_SIM_WORLD_H
#define CHAOS_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/rng.h"

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

struct vevent {
    void (*fire)(struct vevent *ev);
    uint64_t at_ns;
    uint64_t number; /* Breaks ties. */
    uint32_t place;  /* In the heap, from 1; 0: not set. */
};

struct world {
    uint64_t now_ns;
    uint64_t seed;
    uint64_t end_ns; /* Of the run, UINT64_MAX until somebody says so. */
    uint64_t fired;  /* Events so far. */
    bool stop;       /* Ends world_run(). */

    /* private */
    struct vevent **heap; /* From 1. */
    uint32_t n, cap;
    uint64_t numbers, decisions;
    uint64_t hash;
};

/* The world of this process: one run at a time. */
extern struct world world;

/* Begin a run: time 0, no events. */
void world_begin(uint64_t seed);
/* What is still set is forgotten. */
void world_end(void);

/* Set, or move, an event; not earlier than now. */
void vevent_set(struct vevent *ev, uint64_t at_ns);
/* The same for a decision about the run: it comes before all else of its nanosecond, so that it is
 * found at the same place when the run is repeated from a list of decisions. */
void vevent_set_first(struct vevent *ev, uint64_t at_ns);
void vevent_clear(struct vevent *ev);
static inline bool vevent_is_set(const struct vevent *ev)
{
    return ev->place != 0;
}

/* Let events happen until this time, which is now then (or until `stop`, or nothing is left). */
void world_run(uint64_t until_ns);

/* Something happened that another run of this seed must repeat. */
void world_note(uint64_t what, uint64_t a, uint64_t b);
void world_note_bytes(const void *data, size_t len);
uint64_t world_hash(void);

/* Chance for one purpose: the same seed and name give the same numbers, whatever others draw. */
void world_rng(struct rng *rng, const char *purpose, uint64_t number);

/* Whether something with this chance in a million happens. */
bool rng_chance(struct rng *rng, uint32_t ppm);
/* Uniform in [from, to]. */
uint64_t rng_between(struct rng *rng, uint64_t from, uint64_t to);

/* Memory of the world, zeroed: it never belongs to a simulated process (heap.h). */
void *world_new(size_t count, size_t size);
void *world_grow(void *p, size_t count, size_t size);
void world_free(void *p);

#endif
