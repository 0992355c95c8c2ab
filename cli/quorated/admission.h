/* How many hosts may be lost so that every protected guest still has a place.
 *
 * A model is taken from a view once and then asked: each set of F hosts is lost in thought, and the
 * protected guests of them that are wanted are put, the largest first, on the roomiest of the
 * others that may have them (up, takes guests, preferred, apart, memory). Guests that wait already
 * (PENDING) are put first. What this greedy order cannot place counts as without a place: the
 * answer may be too low, never too high. */

#ifndef CLI_QUORATED_ADMISSION_H
#define CLI_QUORATED_ADMISSION_H

#include "fsm/fsm.h"

/* More is not looked for. */
#define ADMISSION_MOST 3u

/* What an answer may cost, in guests tried on a host; a million take about 3 ms. One that is asked
 * for all the time, and one that decides: enough for two of 64 hosts with 10,000 guests. */
#define ADMISSION_STEPS_STATUS UINT64_C(2000000)
#define ADMISSION_STEPS_DECIDE UINT64_C(60000000)

struct admission_guest {
    char name[LIMIT_NAME + 1];
    char apart[LIMIT_NAME + 1];
    uint64_t may;  /* A bit for each host that it may be on. */
    uint32_t host; /* In hosts[]; LIMIT_HOSTS: it waits. */
    uint32_t memory_mib;
};
struct admission_host {
    char name[LIMIT_NAME + 1];
    uint64_t free_mib;
    bool takes; /* Takes guests now. */
};
struct admission {
    struct admission_host hosts[LIMIT_HOSTS];
    uint32_t n_hosts;
    struct admission_guest *guests; /* The protected ones, the largest first. */
    uint32_t n_guests;
};

void admission_take(struct fsm_view *v, struct admission *ret);
void admission_done(struct admission *m);

/* As if this guest ran on that host: one that the model does not have there yet. */
void admission_add(struct admission *m, const struct guest *g, const char *host, bool is_protected);

struct admission_answer {
    uint32_t tolerates;         /* Any so many hosts may be lost. */
    bool cut;                   /* It may be more: looking further would have cost too much. */
    char host[LIMIT_NAME + 1];  /* The one whose loss would hurt most. */
    uint64_t needed_mib;        /* Memory of the protected guests that would have to move. */
    uint64_t free_mib;          /* What the others have. */
    uint32_t without_place;     /* Guests that would have none. */
    char guest[LIMIT_NAME + 1]; /* The first of them. */
};

/* `most`: how many are enough to know. One host is always tried; for more, `steps_most` ends it. */
void admission_ask(const struct admission *m,
                   uint32_t most,
                   uint64_t steps_most,
                   struct admission_answer *ret);

#endif
