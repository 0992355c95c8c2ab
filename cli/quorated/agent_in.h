/* Inside of the agent: a slot for every guest that concerns this host.
 *
 *   agent.c       slots, when to look at which, what was heard
 *   agent_guard.c what lease and guard say of a guest
 *   agent_repo.c  reports of repositories
 *   agent_gate.c  for tests: stands still before an act
 *   agent_more.c  saving, and devices that come and go
 *   agent_do.c    carrying out an act: requests to the driver, the making of disks, proposals
 */

#ifndef CLI_QUORATED_AGENT_IN_H
#define CLI_QUORATED_AGENT_IN_H

#include <uv.h>

#include "cli/quorated/agent.h"
#include "cli/quorated/agent_core.h"
#include "cli/quorated/images.h"
#include "cli/quorated/mounts.h"

/* Copies of one guest on one host that are looked at in one go; more come after these are gone. */
#define AGENT_COPIES 8u

/* The same act waits so long after it succeeded, and between so long and so long after failures. */
#define AGENT_SPACING_MS     50u
#define AGENT_BACKOFF_MS     100u
#define AGENT_BACKOFF_MAX_MS 2000u

/* A closed gate is looked at again so often. */
#define AGENT_GATE_MS 10u

/* Everything is looked at again so often: for what nothing tells of, like a mount that is back. */
#define AGENT_PERIOD_MS 10000u

union agent_record {
    struct cmd_guest_report report;
    struct cmd_migrate_prepared prepared;
    struct cmd_migrate_switch pass;
    struct cmd_migrate_abort abort;
    struct cmd_guest_saved saved;
};

/* What was proposed last for a guest. Proposing the same again is the same logical report: with the
 * same request id as long as its outcome is not known. */
struct agent_proposal {
    bool valid;
    bool unsure; /* The outcome is not known: the id must be used again. */
    struct id request;
    uint32_t number;
    union agent_record record;
    uint32_t tries;
    uint64_t not_before_ms;
};

struct slot;

/* A proposal under way; outlives its slot if it must. */
struct agent_flight {
    struct slot *slot; /* NULL: nobody waits any more. */
};

struct slot {
    struct agent *agent;
    char name[LIMIT_NAME + 1];
    struct id uuid;
    struct agent_memory memory;
    uint64_t again_ms;   /* Look at it then; 0: no need. */
    uint64_t seen_epoch; /* A copy of this epoch was here while this agent ran. */
    uint64_t last_op;    /* As of the last look: failures are counted per operation and run. */
    uint64_t last_epoch;

    bool dirty;
    bool queued;        /* Waits for its turn to start. */
    bool working;       /* `work` is under way, or its disks are made. */
    bool starting;      /* Counts among agent.starting. */
    bool destroying;    /* `kill` is. */
    bool sending;       /* `stream` is. */
    struct hv_req work; /* Anything but these two. */
    struct hv_req kill;
    struct hv_req stream;
    enum agent_act work_act;
    enum agent_act held; /* Not before held_ms. */
    uint64_t held_ms;
    uint64_t work_epoch;
    uint64_t work_op;
    struct hv_spec *spec;
    struct images_job *disks;
    uint64_t disks_epoch; /* The disks are there for this start. */

    /* How long a move held the guest up. */
    uint64_t copied_ms;   /* Source: the copy was complete; 0: no. */
    uint64_t switched_op; /* Target: the migration whose switch was seen applied, */
    uint64_t switched_ms; /* then. */

    struct agent_proposal proposal;
    struct agent_flight *flight;
    /* The file that a copy here was restored from, to be removed when the state knows. */
    uint64_t used_epoch;
    struct hv_vif vif; /* Of the ATTACH or DETACH under way. */
    struct hv_disk disk;
    char used[LIMIT_PATH + 1];
};

/* The end of a copy that was heard before its guest was looked at. */
struct orphan {
    struct hv_key key;
    enum hv_exit exit;
    char detail[LIMIT_DETAIL + 1];
};
#define AGENT_ORPHANS 64u

struct repo_flight;

struct agent {
    struct agent_options opt;
    uv_timer_t wake;
    struct mounts *mounts;
    struct images_sweep *sweep;
    struct repo_flight *repo_flights; /* Reports of repositories under way. */
    struct slot **slots;
    uint32_t n_slots;
    uint32_t cap_slots;
    uint32_t starting;
    struct orphan orphans[AGENT_ORPHANS];
    uint32_t n_orphans;
    bool current;
    bool all;   /* Look at everything. */
    bool first; /* ... for the first time. */
    bool sweep_due;
    bool stopping;
    bool timer_closed;
    uint64_t all_ms; /* Look at everything then. */
    uint64_t acts;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    struct guest guest; /* Large; for one look at a time. */
    struct op op;
};

uint64_t agent_now(const struct agent *a);

/* Look at the slot, soon. */
void slot_touch(struct slot *s);
/* Look at it at this time. */
void slot_touch_at(struct slot *s, uint64_t at_ms);

/* Carry out an answer about a->guest and a->op; `v` is the view they came from. */
void slot_act(struct slot *s, struct fsm_view *v, const struct agent_answer *answer);

/* agent_do.c: one request at a time is `work`; a stream that ended. */
void slot_begin_work(struct slot *s, const struct agent_answer *answer);
void slot_end_work(struct slot *s);
void slot_sent(struct hv_req *req);

/* agent_more.c */
void agent_save(struct slot *s, struct fsm_view *v, const struct agent_answer *answer);
void agent_device(struct slot *s, struct fsm_view *v, const struct agent_answer *answer);
/* Remove the file that its copy was restored from, when no state names it any more. */
void slot_remove_used(struct slot *s, const struct guest *g);

/* agent_guard.c: fill in what lease and guard say; `held` has room for AGENT_COPIES. */
void agent_guard_read(const struct slot *s, struct fsm_view *v, struct agent_input *in, bool *held);
/* Whether this copy, which ended without a word, was ended because the lease was over. */
bool agent_guard_ended(const struct agent *a, const struct hv_key *key);
/* The copy that `in` last looked at is to be guarded. */
void agent_guard_add(struct slot *s, uint64_t epoch);
void agent_guard_drop(struct slot *s, uint64_t epoch);
/* The slot of this guest; NULL: it does not concern this host. */
struct slot *agent_slot(const struct agent *a, const struct id *uuid);
void agent_touch_all(struct agent *a);

/* agent_gate.c: whether this host's gate before the act is closed. */
bool agent_gate_is_closed(const struct agent *a, enum agent_act act, const char *guest);

/* Whether anything of it is under way on the loop, but for a proposal. */
bool slot_busy(const struct slot *s);

/* Something ended: is the agent stopped now? */
void agent_check_stopped(struct agent *a);

/* agent_repo.c: callbacks of the mounts; and nobody waits for reports under way any more. */
bool agent_repo_report(void *ctx, const struct mounts_report *r);
void agent_repos_changed(void *ctx);
void agent_repo_forget(struct agent *a);

void agent_say(struct agent *a,
               const char *event,
               const char *guest,
               uint64_t epoch,
               const struct err *err);

#endif
