/* The agent's decisions: what this host must do next for one guest.
 *
 * Pure and level-triggered: the answer follows from the state, the copies on this host, and what is
 * under way; asking again gives the same answer. What it remembers (struct agent_memory) may be
 * forgotten at any moment, by a crash, without harm: the decisions then take a longer way to the
 * same end. The table is at the top of agent_core.c. */

#ifndef CLI_QUORATED_AGENT_CORE_H
#define CLI_QUORATED_AGENT_CORE_H

#include "fsm/fsm.h"
#include "hvdriver/hvdriver.h"

/* After this time a guest that was asked to shut down is asked again. */
#define AGENT_ASK_AGAIN_MS 10000u

/* Failures in a row after which a request that belongs to an operation is reported as failed. */
#define AGENT_TRIES 3u

enum agent_act {
    AGENT_NONE,
    AGENT_DESTROY, /* The copy `epoch`. */
    AGENT_START,   /* A copy `epoch`, paused if the guest shall be; its disks first. */
    AGENT_SHUTDOWN,
    AGENT_PAUSE,
    AGENT_UNPAUSE,
    AGENT_INCOMING, /* A copy `epoch` that receives. */
    AGENT_MIGRATE,  /* Stream the copy `epoch` to op->address. */
    AGENT_CANCEL,   /* Stop streaming it. */
    AGENT_GUARD,    /* Have the guard take the copy `epoch`. */
    AGENT_UNGUARD,  /* Have it let go of the copy. */
    AGENT_REPORT,   /* Propose guest_report: `epoch`, `what`, `exit`, `code`, `text`. */
    AGENT_PREPARED, /* Propose migrate_prepared. */
    AGENT_SWITCH,   /* Propose migrate_switch. */
    AGENT_ABORT,    /* Propose migrate_abort: `code`, `text`. */
    AGENT_SAVE,     /* Write the memory of the copy `epoch` to op->path. */
    AGENT_SAVED,    /* Propose guest_saved. */
    AGENT_DEVICE    /* Attach or detach the device of the operation. */
};

/* What this run of the agent knows of a guest beyond what state and hypervisor tell. */
struct agent_memory {
    uint64_t exit_epoch; /* The copy whose end was heard last; 0: none. */
    enum exit_reason exit;
    char exit_detail[LIMIT_DETAIL + 1];
    uint64_t failed_epoch; /* The copy that could not be made, or that broke off as incoming. */
    struct err failed;
    uint64_t incoming_epoch; /* The copy that listens at the address below. */
    char address[LIMIT_ADDRESS + 1];
    char secret[128];
    uint64_t sent_op;      /* The migration for which a stream was begun. */
    struct err send;       /* How that ended. */
    uint64_t inherited_op; /* The migration that was in phase TRANSFER when the agent started. */
    uint64_t asked_op;     /* The shutdown for which the guest was asked. */
    uint64_t asked_ms;
    uint64_t device_op;   /* The operation whose device was attached or detached, */
    struct err device;    /* and how that ended. */
    enum agent_act tried; /* The last act that failed, and how often in a row. */
    uint32_t tries;
    int tried_code;
    char tried_text[LIMIT_DETAIL + 1];
};

struct agent_input {
    const char *host;             /* This host. */
    const struct guest *guest;    /* NULL: the state has no guest of this uuid. */
    const struct op *op;          /* Its operation, if it has one that has not ended; else NULL. */
    const struct hv_info *copies; /* Of this guest on this host. */
    uint32_t n_copies;
    const struct agent_memory *memory;
    uint64_t now_ms;
    bool current; /* This host's state was proved current since the agent started. */

    /* Leases and the guard (docs/protocols/leases.md). */
    bool guarding;     /* This host has them; else runs are as if they were not guarded. */
    bool protect;      /* HA is on for the pool and for the guest. */
    bool lease_allows; /* Guarded work may begin. */
    bool lease_over;   /* No guarded copy may run here. */
    bool lets_go;      /* Copies of protected guests end here, and nothing is said of that. */
    const bool *held;  /* Of each of `copies`: it is in the guard's table. */

    /* Under way: a request but MIGRATE and DESTROY, or the making of disks; a DESTROY; a MIGRATE.
     */
    bool working;
    bool destroying;
    bool sending;
    uint64_t work_epoch; /* The copy that `working` is for. */
};

struct agent_answer {
    enum agent_act act;
    uint64_t epoch;
    enum guest_report_what what;
    enum exit_reason exit;
    int code;          /* ERR_*. */
    const char *text;  /* Never NULL; borrowed from the input, or constant. */
    uint64_t again_ms; /* Ask again at this time although nothing changed; 0: no need. */
};

struct agent_answer agent_decide(const struct agent_input *in);

/* Whether a copy of this epoch may exist here: the guest's current run, or the target's end of a
 * migration that has not switched. */
bool agent_permits(const struct agent_input *in, uint64_t epoch);

const char *agent_act_name(enum agent_act act);

#endif
