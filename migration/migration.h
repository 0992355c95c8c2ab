/* Live migration, as one host sees it: what to do next, from the operation in the state and the
 * copy on this host. The protocol and its invariants are in README.md.
 *
 * Pure: no calls, no memory. The caller (the agent) carries the step out and asks again whenever
 * the operation, the copy or one of the facts changed. Asking twice gives the same answer. */

#ifndef MIGRATION_MIGRATION_H
#define MIGRATION_MIGRATION_H

#include "fsm/fsm.h"
#include "hvdriver/hvdriver.h"

enum migration_step {
    MIGRATION_WAIT,
    MIGRATION_DESTROY, /* This host's copy: it is not what it should be. */
    MIGRATION_PAUSE,
    MIGRATION_UNPAUSE,
    MIGRATION_PREPARE,  /* Target: make an incoming copy under op.dst_epoch. */
    MIGRATION_PREPARED, /* Target: propose migrate_prepared. */
    MIGRATION_SEND,     /* Source: stream to op.address. */
    MIGRATION_CANCEL,   /* Source: stop a stream that nobody wants any more. */
    MIGRATION_SWITCH,   /* Source: propose migrate_switch. */
    MIGRATION_ABORT,    /* Propose migrate_abort, with the code and text of the answer. */
    MIGRATION_STARTED,  /* Report that the guest is here: started, under this epoch. */
    MIGRATION_FAILED,   /* Report that it could not go on here. */
    MIGRATION_CRASHED,  /* Report an exit: its kernel gave up. */
    MIGRATION_EXITED    /* Report an exit: its copy is gone. */
};

/* The caller asks this often for an incoming copy to become complete after the switch, and for a
 * complete one to run, before it gives the copy up. */
#define MIGRATION_TRIES_INCOMING 10u
#define MIGRATION_TRIES_UNPAUSE  60u

struct migration_facts {
    const struct op *op;  /* A migration that has not ended. */
    enum guest_want want; /* Of the guest. */
    enum hv_state copy;   /* The permitted copy on this host; HV_GONE if there is none. */

    /* What this run of the agent did for this operation. A new run knows nothing of it. */
    bool inherited;         /* The agent found the operation in phase TRANSFER when it started. */
    bool sending;           /* Source: a stream is under way. */
    bool sent;              /* Source: a stream was begun; with `sending` false it has ended. */
    const struct err *send; /* How it ended. */
    bool preparing;         /* Target: the incoming copy is being made. */
    bool address_known;     /* Target: where the copy listens. */
    const struct err *lost; /* Target: why there is no copy; code 0: none was made yet. */
    uint32_t tries;         /* Failures in a row of the step that is asked for. */
};

struct migration_answer {
    enum migration_step step;
    int code;         /* ABORT, FAILED: an ERR_*. */
    const char *text; /* ABORT, FAILED; borrowed from the facts, or constant. */
};

/* The source, which owns the guest: phases PREPARE and TRANSFER. */
struct migration_answer migration_source(const struct migration_facts *f);

/* The target before it owns the guest: phases PREPARE and TRANSFER. No answer lets the copy run. */
struct migration_answer migration_target(const struct migration_facts *f);

/* The target after the switch, as the guest's owner: phase SWITCHED. */
struct migration_answer migration_owner(const struct migration_facts *f);

#endif
