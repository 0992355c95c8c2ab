/* Where a guest may run, and where best: one scorer for people's commands, for controllers and for
 * `explain`. It reads a view of the state and nothing else, so the same view gives the same answer
 * on every host. It only proposes: the state machine checks the place again (fsm/check.c), for what
 * was true of the view may not be true of the log's end.
 *
 * A host is a candidate unless one of these holds, the first of which is its reason: it is the host
 * that the guest is to leave; not up; fenced; in maintenance; being emptied; set not to run guests;
 * not where a pending guest was that is not protected; not among the guest's preferred hosts; lacks
 * a repository of its disks, kernel or RAM disk; has, or is to get, a guest from which it is to be
 * apart; too little memory; too few processors
 * (`vcpu_percent`); the caller's `may_host` says no; as many starts are under way there as the
 * caller allows.
 *
 * Memory counts as taken by every guest that the host owns, running or not, and by every migration
 * on its way to it; the census adds what the caller has placed since it looked.
 *
 * Score of a candidate: first how many guests are there that this one is to be together with, then
 * the memory that would be left; of equals the first by name. */

#ifndef CLI_QUORATED_PLACEMENT_H
#define CLI_QUORATED_PLACEMENT_H

#include "cli/api.h"
#include "fsm/fsm.h"

/* The hosts of a view, with what they have and what is taken. */
struct place_host {
    char name[LIMIT_NAME + 1];
    uint32_t state;
    bool fenced, maintenance, can_run, evacuating;
    uint64_t memory_mib, taken_mib;
    uint64_t vcpus_max, vcpus_taken; /* Most virtual CPUs; UINT64_MAX: no limit. */
    uint32_t starts;                 /* Starts and incoming migrations under way. */
};
struct place_census {
    struct place_host hosts[LIMIT_HOSTS]; /* By name. */
    uint32_t n;
    bool ha; /* Of the pool. */
};

void place_census_take(struct fsm_view *v, struct place_census *ret);

/* The caller proposes to put this guest there: its memory and CPUs are taken, a start is under way.
 */
void place_census_add(struct place_census *c, const char *host, const struct guest *g);

struct place_ask {
    const struct guest *guest; /* Name, preferred, apart, together, memory, CPUs, paths are read. */
    const char *not_here;      /* Host to leave; NULL or "" for none. */
    const char *only;          /* The one host that is asked about; NULL: all. */
    uint32_t max_starts;       /* Most starts under way on one host; 0 for no limit. */
    bool (*may_host)(void *ctx, const char *host); /* NULL: all may. */
    void *ctx;
};

/* What there is to say of one host. */
struct place_verdict {
    const struct place_host *host; /* In the census. */
    enum place_no no;
    char what[LIMIT_NAME + 1]; /* PLACE_REPO: which one; PLACE_APART: the guest that is there. */
    uint64_t free_mib;         /* Before this guest. */
    uint32_t together;         /* Guests there that it is to be together with. */
    uint64_t score;            /* 0 unless it fits. */
};

struct placement {
    struct place_verdict verdicts[LIMIT_HOSTS]; /* As in the census. */
    uint32_t n;
    const struct place_verdict *best; /* NULL: nowhere. */
};

/* The census must be of this view, and outlive the answer. */
void place_find(struct fsm_view *v,
                const struct place_census *c,
                const struct place_ask *ask,
                struct placement *ret);

/* "h2 is in maintenance": why this host cannot take it; with the numbers. For one that fits: what
 * is left. */
void place_reason(const struct place_verdict *p,
                  const struct guest *g,
                  char *ret_text,
                  size_t size);

/* Why none can: one sentence, with the host that comes nearest. ERR_NO_ROOM. */
int place_none(const struct placement *p, const struct guest *g, struct err *e);

#endif
