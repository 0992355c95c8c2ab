/* The daemon: the one place where the log, the state machine, the driver, the agent and the clients
 * meet. Each file beside this one is one concern of it; they share this struct and nothing global.
 *
 *   daemon.c   start, stop, and what happens after entries were applied
 *   machine.c  the state machine as the log sees it
 *   serve.c    methods of the interface (cli/api.h), and reading their params
 *   command.c  from a client's command to its outcome
 *   complete.c what is chosen before a command is proposed: ids, hosts, the hardware of an image
 *   placement.c where a guest may run, and where best
 *   evacuation.c which guests leave a host, and where to; control_evacuate.c does it
 *   reach.c    whether a guest could run on another host at all
 *   admission.c how many hosts may be lost
 *   explain.c  every host as a place for one guest
 *   query.c    rows of the queries
 *   watch.c    waiting for operations, following events
 *   balance.c  which guests move so that the hosts are evenly full
 *   control.c  the master's controllers: members, silent hosts, deadlines, hash checks
 *   control_ha.c  the master's controller of fences and restarts
 *   leasing.c  leases of hosts, asked for and granted; warden.c: what the guard is told
 *   guarantee.c what ends the guests when the lease does, told to the pool
 *   release.c  an orderly end that gives the lease back
 *   consoles.c consoles of guests, from any host
 *   notes.c    figures and progress from host to host, outside the log
 */

#ifndef CLI_QUORATED_DAEMON_H
#define CLI_QUORATED_DAEMON_H

#include <uv.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/rng.h"
#include "core/rpc.h"

#include "cli/api.h"
#include "fsm/fsm.h"
#include "hvdriver/hvdriver.h"
#include "raftlog/raftlog.h"

/* What the command line and the configuration file say; texts are owned by main(). */
struct daemon_options {
    const char *name;            /* This host's name. */
    const char *data_dir;        /* Log, snapshots, guard record, state. */
    const char *run_dir;         /* Sockets and stamps of running guests; gone after a reboot. */
    const char *log_dir;         /* Console logs of guests. */
    const char *listen;          /* host:port for hosts and clients. */
    const char *socket;          /* Path of the local clients' unix socket; "" for none. */
    const char *driver;          /* Hypervisor driver. */
    const char *prefix;          /* Where repositories are linked. */
    const char *migrate_address; /* Address for migration streams; "": the one of `listen`. */
    const char *emulator;        /* qemu: its program; "" for the default. */
    const char *guard;           /* quorate-guard. */
    const char *watchdog;        /* Device of the watchdog behind the guard; "" for none. */
    const char *lab_gates;       /* For tests: see agent_gate.c; "" for none. */
    uint32_t memory_mib;         /* Memory for guests; 0: what the machine has. */
    uint32_t election_ms;
    uint32_t heartbeat_ms;
    uint64_t snapshot_entries;
    uint64_t snapshot_trailing;
    uint64_t cache_bytes;   /* Of the log's entries in memory; 0: the default. */
    uint64_t segment_bytes; /* Of the log's files; 0: the default. */
    bool image_locking;
};

/* What a host last said of itself in a note. */
struct host_note {
    uint64_t raft_id;
    uint64_t applied_index;
    struct hash128 hash;
    uint64_t heard_ms; /* Monotonic; 0 never. */
};

/* Progress of an outgoing migration anywhere in the pool, as last heard. */
struct op_note {
    uint64_t op;
    struct hv_progress progress;
    uint32_t commit_ms; /* What the two hosts added to the stand-still; 0: not heard. */
    uint32_t resume_ms;
    uint64_t heard_ms;
};

#define OP_NOTES 64

/* A host that has not been in touch with a master for so long tells its clients, who ask another
 * one: an election is over by then as a rule, and a repeated request is harmless. */
#define CLIENT_ADRIFT_MS 1000u

struct agent;
struct waiter;
struct follower;
struct control;
struct leasing;
struct consoles;
struct loop_meter;

struct daemon {
    struct daemon_options opt;
    uv_loop_t loop;
    struct clock *clock;
    struct rng rng;
    struct fsm *fsm;
    struct raftlog *rl;
    struct hv *hv;
    struct agent *agent;
    struct rpc_server *rpc;
    struct loop_meter *meter;
    struct control *control;
    struct leasing *leasing;
    struct consoles *consoles;
    char guard_path[LIMIT_PATH + 16];

    char migrate_address[LIMIT_ADDRESS + 1]; /* Where migration streams come in, without a port. */
    struct host_note host_notes[LIMIT_HOSTS];
    struct op_note op_notes[OP_NOTES];
    uint64_t note_sent_index; /* Applied index in the last note that was sent. */
    uint64_t note_sent_ms;

    struct waiter *waiters;     /* Clients that wait for an operation. */
    struct follower *followers; /* Clients that follow events. */
    uint64_t announced_raft_id; /* Member number under which host_report was applied; 0 not yet. */
    uint64_t announced_next;    /* The one under way. */
    uint64_t announce_at_ms;    /* Not before. */
    bool announcing;
    struct raftlog_read current_read;
    uint64_t logged_term; /* Of the last log line about the mastership. */
    uint64_t logged_leader;
    bool reading_current; /* A read that proves our state is current is under way. */
    bool current;         /* The state was proved current since the start. */
    bool diverged;        /* This replica stopped; serve nothing from it. */
    struct err broken;    /* Why. */

    uv_timer_t settle; /* The state's open transaction ends. */
    uv_timer_t tick;
    uv_signal_t sigterm;
    uv_signal_t sigint;
    int closing; /* Parts that still have to say they are closed. */
    bool stopping;
    enum guarantee guarantee; /* What this host has now (guarantee.c). */
    uint64_t guaranteed_ms;   /* It had one then. */
    uint64_t guarantee_at_ms; /* No report of it before. */
    bool guarantee_proposing;
    bool restart;              /* When it has stopped, the program begins anew. */
    bool stop_due;             /* A client asked for the end; it is answered first. */
    bool released;             /* This host's word that it let go is proposed. */
    uint64_t release_until_ms; /* It lets go of its guarded guests until then, and stops; or 0. */
    int exit_status;
};

/* Start everything; 0, or an error that says what to do. Then run the loop. */
int daemon_start(struct daemon *d, const struct daemon_options *options, struct err *e);

/* Begin to stop: hands the mastership over, lets the guests run. The loop ends by itself. */
void daemon_stop(struct daemon *d);

/* The same, but first let go of the guarded guests, so that they are started elsewhere at once. */
void daemon_release(struct daemon *d);
void release_tick(struct daemon *d, uint64_t now_ms);

/* --- guarantee.c */
void guarantee_tick(struct daemon *d, uint64_t now_ms);

/* After entries were applied and committed, from machine.c. */
void daemon_applied(struct daemon *d);
/* The state cannot be kept: stop serving, say why, end. */
void daemon_fatal(struct daemon *d, const struct err *e);
/* No view of the state could be had: what to answer. ERR_BUSY, ERR_CLOSED. */
int daemon_no_view(struct daemon *d, struct err *e);

/* --- machine.c */
struct raftlog_machine machine_of(struct daemon *d);

/* --- serve.c */
void serve_request(void *ctx, struct rpc_request *rq);

/* The params of a request, read once into plain values. A key that is unknown, twice there, or of a
 * wrong type is an error. */
struct params {
    char name[LIMIT_NAME + 1];
    char subject[LIMIT_NAME + 1];
    char after[LIMIT_NAME + 1];
    char host[LIMIT_NAME + 1];
    struct id request;
    const uint8_t *body; /* Borrowed from the request. */
    size_t body_len;
    uint64_t limit;
    uint64_t deadline_ms;
    uint64_t op;
    uint64_t after_seq;
    bool local;
    bool follow;
};
int params_read(struct rpc_request *rq, struct params *ret, struct err *e);

/* Fail the request with this error. */
void serve_fail(struct rpc_request *rq, const struct err *e);

/* --- command.c */
void command_serve(struct daemon *d, struct rpc_request *rq, const struct params *p);
void command_found(struct daemon *d, struct rpc_request *rq, const struct params *p);

/* Propose a record of this daemon's own (agent, controllers). `done` (may be NULL) fires once with
 * the outcome, or with a code < 0 and no outcome. `request` may be NULL for a fresh id. */
typedef void (*propose_fn)(void *ctx, int code, const struct outcome *outcome);
void propose_record(struct daemon *d,
                    uint32_t number,
                    const void *record,
                    const struct id *request,
                    propose_fn done,
                    void *ctx);

/* --- complete.c */
/* Fill in what a client may leave empty. Needs a state that is current. Nothing is written. */
int complete_command(struct daemon *d,
                     struct fsm_view *v,
                     const struct command *c,
                     void *record,
                     struct err *e);
/* Whether complete_command() looks at the state (so that a read must come first). */
bool complete_needs_state(const struct command *c, const void *record);

/* --- query.c */
void query_serve(struct daemon *d, struct rpc_request *rq, const struct params *p);
/* One operation as clients see it, progress included. */
void query_op_row(struct daemon *d, const struct op *op, struct api_op *ret);

/* --- watch.c */
void watch_wait(struct daemon *d, struct rpc_request *rq, const struct params *p);
void watch_events(struct daemon *d, struct rpc_request *rq, const struct params *p);
/* Events were committed: feed the followers, answer the waiters. */
void watch_applied(struct daemon *d);
/* Progress of this operation was heard. */
void watch_progress(struct daemon *d, uint64_t op);
/* Deadlines of waiters. */
void watch_tick(struct daemon *d, uint64_t now_ms);
void watch_close(struct daemon *d);

/* --- control.c */
struct control *control_new(struct daemon *d);
struct control *control_free(struct control *c);
/* How many hosts should vote, of `eligible` ones of which `gone` voters are silent for too long,
 * and `most` by the pool's setting: an odd number. */
uint32_t control_voters(uint32_t most, uint32_t eligible, uint32_t gone);
/* Nothing of it is under way on the loop any more. */
void control_stop(struct control *c);
void control_tick(struct control *c, uint64_t now_ms);

/* --- notes.c */
void notes_receive(void *ctx, uint64_t from, const void *data, size_t len);
void notes_tick(struct daemon *d, uint64_t now_ms);
void notes_progress(struct daemon *d, uint64_t op, const struct hv_progress *progress);
/* A share of the stand-still; 0 is not known here. */
void notes_stood_still(struct daemon *d, uint64_t op, uint32_t commit_ms, uint32_t resume_ms);
/* Ask the master to hand over to this member. */
void notes_transfer(struct daemon *d, uint64_t to_raft_id);
/* Leases: this host asks the master; the master grants. See leasing.h. */
void notes_lease_ask(struct daemon *d, uint64_t master, uint64_t number);
void notes_lease_grant(struct daemon *d,
                       uint64_t to,
                       uint64_t number,
                       uint64_t lease_ms,
                       uint64_t index);
/* NULL when nothing was heard lately. */
const struct host_note *notes_host(struct daemon *d, uint64_t raft_id);
const struct op_note *notes_op(struct daemon *d, uint64_t op);

#endif
