/* The agent: the part of the daemon that makes the local hypervisor match the state.
 *
 * Level-triggered: whatever happens (entries applied, a copy changed, a request ended, time
 * passed), it looks at the guests concerned, decides by agent_core.h, carries out one act and waits
 * for its end. What it did and cannot find out again may be lost in a crash at any point.
 *
 * Loop thread only. Nothing is called back from inside these calls but `propose`. */

#ifndef CLI_QUORATED_AGENT_H
#define CLI_QUORATED_AGENT_H

#include "core/clock.h"
#include "core/rng.h"

#include "fsm/fsm.h"
#include "hvdriver/hvdriver.h"

struct agent;

/* Fires exactly once, later than the call it belongs to: code 0 and the outcome of the applied
 * command, or an ERR_* and NULL when that is not known. */
typedef void (*agent_proposed_fn)(void *ctx, int code, const struct outcome *outcome);

/* The agent's view of leases and the guard (docs/protocols/leases.md); called in a look, with
 * agent_options.ctx. */
struct agent_guard {
    bool (*allows)(void *ctx);  /* Guarded work may begin. */
    bool (*is_over)(void *ctx); /* No guarded copy may run here. */
    /* This host lets go of its guarded runs: their copies end, and nothing is said of that. */
    bool (*lets_go)(void *ctx);
    bool (*holds)(void *ctx, const struct id *guest, uint64_t epoch);  /* It is in the table. */
    bool (*killed)(void *ctx, const struct id *guest, uint64_t epoch); /* ... and was killed. */
    /* Begin to guard the copy, of this process; agent_guard_changed() when that is known. */
    void (*add)(void *ctx, const struct hv_info *copy);
    void (*drop)(void *ctx, const struct id *guest, uint64_t epoch);
};

struct agent_options {
    struct fsm *fsm;
    struct hv *hv;
    struct uv_loop_s *loop;
    struct clock *clock;
    struct rng *rng;
    const char *host;    /* This host's name. */
    const char *prefix;  /* Directory: <prefix>/mount/<repository id>, <prefix>/OVS. */
    const char *address; /* Where incoming migrations listen, without a port; NULL: as the state
                            says of this host (migrate_address, else the host of its address). */
    uint32_t starts;     /* Guests that are brought up at once; 0 is 4. */
    const char *gates;   /* For tests, see agent_gate.c: a directory; NULL: none. */

    /* Propose a command (COMMAND_*, its struct cmd_*) under this request id. The same id comes
     * again in a retry. The record is the agent's and may be gone after the call. */
    void (*propose)(void *ctx,
                    uint32_t number,
                    const void *record,
                    const struct id *request,
                    agent_proposed_fn done,
                    void *done_ctx);
    /* An outgoing migration of this host got on. */
    void (*progress)(void *ctx, uint64_t op, const struct hv_progress *progress);
    /* How long this host held up a guest that moves, beyond what the driver measures: the source
     * from the complete copy until the switch was applied, the target from there until its copy
     * ran. 0 is the share of the other host. May be NULL. */
    void (*stood_still)(void *ctx, uint64_t op, uint32_t commit_ms, uint32_t resume_ms);
    /* Leases and the guard; NULL: this host's runs are not guarded (tests of the agent alone). */
    const struct agent_guard *guard;
    /* What happened, for the daemon's log; may be NULL. `err` is 0 or what went wrong. */
    void (*say)(void *ctx,
                const char *event,
                const char *guest,
                uint64_t epoch,
                const struct err *err);
    void *ctx;
};

/* Does nothing until agent_set_current(). Texts are borrowed. */
struct agent *agent_new(const struct agent_options *options);

/* Entries were applied and committed: these events (fsm_new_events()). */
void agent_state_changed(struct agent *a, const struct event *events, size_t n);

/* The whole state was replaced (a snapshot was loaded). */
void agent_state_replaced(struct agent *a);

/* True: this host's state was proved current (a linearizable read after the start). False: it must
 * not be acted on any more (the replica diverged); what is under way ends. */
void agent_set_current(struct agent *a, bool current);

/* Events of the driver, from its `event` callback. */
void agent_event(struct agent *a, const struct hv_event *event);

/* What the guard holds of this guest, or of all (NULL), or what the lease allows, has changed. */
void agent_guard_changed(struct agent *a, const struct id *guest);

/* While this host lets go: no copy of a guarded run that it owns is here any more, or being made.
 */
bool agent_has_let_go(struct agent *a);

/* Begin nothing any more. `stopped` fires when nothing of the agent is under way on the loop; the
 * driver must be closed meanwhile (its requests end by that), and proposals must be answered. */
void agent_stop(struct agent *a, void (*stopped)(void *ctx), void *ctx);

/* After `stopped`. NULL is accepted; returns NULL. */
struct agent *agent_free(struct agent *a);

/* For status and tests: guests on which an act is under way or due, and acts carried out so far. */
struct agent_status {
    bool current;
    uint32_t guests; /* That concern this host. */
    uint32_t busy;   /* Of these, with something under way or to be tried again. */
    uint64_t acts;
};
void agent_status(const struct agent *a, struct agent_status *ret);

#endif
