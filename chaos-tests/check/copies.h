/* Copies of guests over time: which exist, and which of them execute, as a history is walked.
 *
 * A copy executes when its hypervisor has it running and its host is neither frozen nor without
 * power. Losing power ends every copy on the host, whether or not the history says so for each. */

#ifndef CHECK_COPIES_H
#define CHECK_COPIES_H

#include "chaos-tests/check/history.h"
#include "chaos-tests/check/map.h"

struct copy {
    uint16_t host;
    hist_t_name guest;
    uint64_t epoch;
    enum copy_state state;
    bool executes;
    uint64_t since_us; /* Of the last change of `executes`. */
    uint32_t rec;      /* The last record that touched it. */
    bool listed;       /* On its host's list; a copy that is gone may be off it. */
    uint32_t next;     /* Number of the next copy on the same host plus one; 0 ends. */
};

struct copies {
    struct copy *copy; /* All that ever were, by number. */
    size_t n, cap;
    struct map by_key;              /* (guest, host and epoch) -> number. */
    uint32_t first[HIST_HOSTS];     /* Of a host's copies, plus one. */
    uint32_t executing[HIST_HOSTS]; /* Copies that execute there. */
    enum host_power power[HIST_HOSTS];
    /* Called for each change of `executes`, after it. NULL: nobody. */
    void (*changed)(void *arg, const struct copies *c, uint32_t number, uint64_t at_us);
    void *arg;
};

/* Take a record into account; those of other kinds change nothing. `number` is the record's. */
void copies_take(struct copies *c, const struct rec *r, uint32_t number);

void copies_done(struct copies *c);

#endif
