/* What happened in one run, as the world saw it: the material that the checkers judge.
 *
 * A history is a list of records in the order of their times, all in virtual microseconds since the
 * start of the run. It holds what clients asked and were told, what the hypervisors really did,
 * what each replica applied, what watchers saw, what was broken and mended, and what was left at
 * the end. Nothing in it is a daemon's opinion of itself, but for REC_MASTER and REC_PERMIT, which
 * are opinions on purpose: the promises speak of them.
 *
 * A guest is a name here, and one guest has one name for the whole run: where a workload deletes a
 * guest and makes another under the same name, the second is another subject ("web1#2"). Hosts are
 * numbers 0, 1, ... with names. Requests are 64-bit numbers, 0 for none.
 *
 * The text form is one line a record, with a column for each host (history_text.c), and can be
 * written by hand. */

#ifndef CHECK_HISTORY_H
#define CHECK_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

/* Version of the text form; another one is refused. */
#define HIST_VERSION 1

#define HIST_HOSTS 64 /* Most hosts: sets of hosts are one word. */
#define HIST_NAME  63 /* Most bytes of a name. */
#define HIST_NAMES (1u << 20)
#define HIST_LINE  1024        /* Most bytes of a line of the text form. */
#define HIST_NONE  UINT16_MAX  /* No host. */
#define HIST_NEVER UINT64_MAX  /* Later than everything. */
#define HIST_MAX   (16u << 20) /* Records, unless hist_init() is told less. */

/* What a client asks, as far as the model of a register knows it. The register of a subject holds a
 * value; 0 says that the subject does not exist. */
enum call_op {
    CALL_READ,   /* The value. Linearizable. */
    CALL_LOCAL,  /* A read that may be stale, and says at which index it was true. */
    CALL_CREATE, /* 0 -> value. */
    CALL_DELETE, /* Anything but 0 -> 0. */
    CALL_SET,    /* Anything but 0 -> value. */
    CALL_CAS,    /* expect -> value; refused as STALE if it is not `expect`. */
    CALL_OTHER   /* A command that does not touch the value: start, migrate, ... */
};

enum call_result {
    RESULT_OK,      /* Done, at `index`. */
    RESULT_REFUSED, /* Rejected with `code`: by the state machine at `index`, or, with index 0, by
                       the host itself, which then has not proposed it. */
    RESULT_UNKNOWN, /* The host says that it does not know. */
    RESULT_TIMEOUT  /* No answer; the client gave up waiting. */
};

enum copy_state {
    COPY_GONE,     /* There is none (any more). */
    COPY_INCOMING, /* Exists, receives memory, does not execute. */
    COPY_RUNNING,  /* Executes. Streaming its memory elsewhere counts as this. */
    COPY_PAUSED    /* Exists, does not execute. */
};

enum host_power {
    HOST_IS_UP,
    HOST_IS_DOWN,   /* The daemon does not run; the guests go on. */
    HOST_IS_PAUSED, /* The daemon stands still; the guests go on. */
    HOST_IS_FROZEN, /* The whole machine stands still, its guests too; it may go on later. */
    HOST_IS_OFF     /* No power: every copy on it is gone. */
};

enum link_state {
    LINK_OK,
    LINK_CUT, /* Nothing passes from `host` to `peer`. */
    LINK_BAD  /* Slow, lossy, out of order: for the picture only. */
};

enum run_phase {
    PHASE_SAFETY, /* Everything may break. */
    PHASE_HEAL,   /* From here on the hosts of `core` are whole. */
    PHASE_END     /* The run is over; what follows are the final states. */
};

enum move_phase {
    MOVE_PREPARE,
    MOVE_TRANSFER,
    MOVE_SWITCHED,
    MOVE_ABORTED,
    MOVE_ENDED
};

enum must_what {
    MUST_WRITE, /* Some write that was asked for after this record is answered as done. */
    MUST_RUN,   /* A copy of the guest executes at the deadline, and goes on to the end. */
    MUST_LEAD   /* A host of the core calls itself master at the deadline. */
};

/* The kinds of records: R(KIND, name, FIELDS). Fields are F(S, type, name), S is handed on, types
 * are host: index of a host or HIST_NONE; name: hist_name(); u32, u64: numbers; time: microseconds;
 * hosts: a set of hosts, bit i for host i; and the enumerations above. */
/* clang-format off */
/* A client asks `host`. Each attempt is one call; a retry has a new `call` and the same request. */
#define REC_CALL_FIELDS(F, S) \
    F(S, host, host) F(S, u32, client) F(S, u64, call) F(S, u64, request) F(S, call_op, op) F(S, u32, number) \
    F(S, name, subject) F(S, u64, value) F(S, u64, expect)
/* What it was told; at most one per call. A call without one never returned. */
#define REC_ANSWER_FIELDS(F, S) \
    F(S, host, host) F(S, u32, client) F(S, u64, call) F(S, call_result, result) F(S, u32, code) F(S, u64, index) \
    F(S, u64, value)
/* The hypervisor's truth: from now on the copy of `guest` under `epoch` on `host` is in `state`. */
#define REC_COPY_FIELDS(F, S) \
    F(S, host, host) F(S, name, guest) F(S, u64, epoch) F(S, copy_state, state)
/* The disk's truth: a copy wrote, and the write was let through. */
#define REC_DISK_FIELDS(F, S) \
    F(S, host, host) F(S, name, guest) F(S, u64, epoch)
/* Belief: from now on until `until` (HIST_NEVER: until further notice) `host` would let the copy
 * execute without asking anybody. `until` <= now takes it back. True time, not the host's clock. */
#define REC_PERMIT_FIELDS(F, S) \
    F(S, host, host) F(S, name, guest) F(S, u64, epoch) F(S, time, until)
/* Belief: a lease in force; for the picture. */
#define REC_LEASE_FIELDS(F, S) \
    F(S, host, host) F(S, time, until)
/* A replica applied an entry. entry: hash of its bytes. state: hash of the whole state after it, 0
 * when it was not taken. request: 0 when it is no client's. first: 0 for a retry that changed
 * nothing. code: of the outcome, 0 for done. */
#define REC_APPLY_FIELDS(F, S) \
    F(S, host, host) F(S, u64, index) F(S, u64, term) F(S, u64, entry) F(S, u64, state) F(S, u64, request) \
    F(S, u32, code) F(S, u32, first)
/* A replica's state jumped to `index` by a snapshot (or fell back to it on a restart). */
#define REC_JUMP_FIELDS(F, S) \
    F(S, host, host) F(S, u64, index) F(S, u64, state)
/* A watcher (again) asks for the events after `after`. The host's answer that older ones are no
 * longer kept shows here too, as a higher `after` than the last one seen. */
#define REC_WATCH_FIELDS(F, S) \
    F(S, host, host) F(S, u32, client) F(S, u64, after)
/* It was given one. digest: hash of all that the event says. */
#define REC_EVENT_FIELDS(F, S) \
    F(S, host, host) F(S, u32, client) F(S, u64, seq) F(S, name, what) F(S, name, subject) F(S, u64, digest)
#define REC_HOST_FIELDS(F, S) \
    F(S, host, host) F(S, host_power, power)
#define REC_LINK_FIELDS(F, S) \
    F(S, host, host) F(S, host, peer) F(S, link_state, state)
/* Opinion: `host` believes that `master` leads in `term`; it may be itself, or none. */
#define REC_MASTER_FIELDS(F, S) \
    F(S, host, host) F(S, host, master) F(S, u64, term)
/* The disk's truth: a power cut now would leave `host` all entries up to `index`. */
#define REC_DURABLE_FIELDS(F, S) \
    F(S, host, host) F(S, u64, index)
/* Who votes, from the moment at which that was committed. */
#define REC_VOTERS_FIELDS(F, S) \
    F(S, hosts, voters)
/* `host` told somebody (its own state machine, a client) that all up to `index` is committed. */
#define REC_PROMISE_FIELDS(F, S) \
    F(S, host, host) F(S, u64, index) F(S, u64, term)
/* What the log says of a migration, when its first replica applied it. */
#define REC_MIGRATION_FIELDS(F, S) \
    F(S, host, host) F(S, host, peer) F(S, u64, op) F(S, name, guest) F(S, move_phase, phase)
/* What was done to the pool: for the picture and for people. */
#define REC_FAULT_FIELDS(F, S) \
    F(S, host, host) F(S, name, fault) F(S, u64, value)
#define REC_PHASE_FIELDS(F, S) \
    F(S, run_phase, phase) F(S, hosts, core)
/* What the pool owes by a deadline, given what is whole. */
#define REC_MUST_FIELDS(F, S) \
    F(S, must_what, what) F(S, name, subject) F(S, time, by)
/* At the end. Only hosts of the core are final. */
#define REC_FINAL_FIELDS(F, S) \
    F(S, host, host) F(S, u64, index) F(S, u64, state)
/* At the end, the pool's row of a guest as `host` has it: who may run it, and under which epoch. */
#define REC_ROW_FIELDS(F, S) \
    F(S, host, host) F(S, name, guest) F(S, host, owner) F(S, u64, epoch)
/* At the end, something on `host` that should not be there (an open operation, a lock, a tap, a
 * timer, a file), and how many of it. */
#define REC_LEFT_FIELDS(F, S) \
    F(S, host, host) F(S, name, what) F(S, name, subject) F(S, u64, count)

#define HIST_RECORDS(R) \
    R(CALL, call, REC_CALL_FIELDS) \
    R(ANSWER, answer, REC_ANSWER_FIELDS) \
    R(COPY, copy, REC_COPY_FIELDS) \
    R(DISK, disk, REC_DISK_FIELDS) \
    R(PERMIT, permit, REC_PERMIT_FIELDS) \
    R(LEASE, lease, REC_LEASE_FIELDS) \
    R(APPLY, apply, REC_APPLY_FIELDS) \
    R(JUMP, jump, REC_JUMP_FIELDS) \
    R(WATCH, watch, REC_WATCH_FIELDS) \
    R(EVENT, event, REC_EVENT_FIELDS) \
    R(HOST, host, REC_HOST_FIELDS) \
    R(LINK, link, REC_LINK_FIELDS) \
    R(MASTER, master, REC_MASTER_FIELDS) \
    R(DURABLE, durable, REC_DURABLE_FIELDS) \
    R(VOTERS, voters, REC_VOTERS_FIELDS) \
    R(PROMISE, promise, REC_PROMISE_FIELDS) \
    R(MIGRATION, migration, REC_MIGRATION_FIELDS) \
    R(FAULT, fault, REC_FAULT_FIELDS) \
    R(PHASE, phase, REC_PHASE_FIELDS) \
    R(MUST, must, REC_MUST_FIELDS) \
    R(FINAL, final, REC_FINAL_FIELDS) \
    R(ROW, row, REC_ROW_FIELDS) \
    R(LEFT, left, REC_LEFT_FIELDS)
/* clang-format on */

enum rec_kind {
#define R(KIND, NAME, FIELDS) REC_##KIND,
    HIST_RECORDS(R)
#undef R
    REC_KINDS
};

/* How each type of field is kept. */
typedef uint16_t hist_t_host;
typedef uint32_t hist_t_name;
typedef uint32_t hist_t_u32;
typedef uint64_t hist_t_u64;
typedef uint64_t hist_t_time;
typedef uint64_t hist_t_hosts;
typedef enum call_op hist_t_call_op;
typedef enum call_result hist_t_call_result;
typedef enum copy_state hist_t_copy_state;
typedef enum host_power hist_t_host_power;
typedef enum link_state hist_t_link_state;
typedef enum run_phase hist_t_run_phase;
typedef enum move_phase hist_t_move_phase;
typedef enum must_what hist_t_must_what;

/* struct rec_call, struct rec_answer, ... */
#define HIST_MEMBER(S, TYPE, NAME) hist_t_##TYPE NAME;
#define R(KIND, NAME, FIELDS)     \
    struct rec_##NAME {           \
        FIELDS(HIST_MEMBER, NAME) \
    };
HIST_RECORDS(R)
#undef R

struct rec {
    uint64_t at_us;
    enum rec_kind kind;
    union {
#define R(KIND, NAME, FIELDS) struct rec_##NAME NAME;
        HIST_RECORDS(R)
#undef R
    };
};

struct hist_names; /* Private. */

struct hist {
    struct rec *recs; /* In order; read only. */
    size_t n_recs, cap_recs, max_recs;
    uint64_t dropped; /* Records beyond max_recs. A history that lacks any is never called good. */
    uint32_t n_hosts;
    hist_t_name hosts[HIST_HOSTS]; /* Their names. */
    struct hist_names *names;
};

/* max_recs 0 is HIST_MAX. */
void hist_init(struct hist *h, size_t max_recs);

/* Idempotent. */
void hist_done(struct hist *h);

/* The next host's number. At most HIST_HOSTS (asserted). Copies the name. */
uint16_t hist_host_add(struct hist *h, const char *name);

/* The number of a name; the same text gives the same number. "" is 0. At most HIST_NAME bytes of
 * letters, digits and any of _.:/#@+- (anything else becomes '_'; what is longer is cut). */
hist_t_name hist_name(struct hist *h, const char *text);

uint32_t hist_n_names(const struct hist *h); /* Names are 0 .. n - 1. */

/* Its text, valid until hist_done(). */
const char *hist_name_text(const struct hist *h, hist_t_name name);
const char *hist_host_text(const struct hist *h, uint16_t host); /* "-" for HIST_NONE. */

/* Whether kind, hosts, names and enumerations of a record are ones that exist here. */
bool hist_rec_sound(const struct hist *h, const struct rec *r);

/* Append. Times never go back and records are sound (both asserted). One line in the simulator:
 *     hist_add(h, &(struct rec){.at_us = now, .kind = REC_DISK,
 *                               .disk = {.host = 1, .guest = g, .epoch = 7}});
 */
void hist_add(struct hist *h, const struct rec *r);

/* --- the text form (history_text.c) */

const char *rec_kind_name(enum rec_kind kind);

/* The host that a record happens at, HIST_NONE for one of the whole pool. */
uint16_t hist_rec_host(const struct rec *r);

/* One line without its end, at most HIST_LINE bytes with the NUL; the picture of the hosts is left
 * empty. For messages. Returns out. */
const char *hist_rec_text(const struct hist *h, const struct rec *r, char out[HIST_LINE]);

/* The same as a sentence (history_say.c). Returns out. */
const char *hist_rec_say(const struct hist *h, const struct rec *r, char out[HIST_LINE]);

/* The whole history, with the picture: what each host was at that moment. */
void hist_write(const struct hist *h, struct buf *out);

/* Read a text into an empty history. ERR_MALFORMED with line and column, ERR_VERSION, ERR_TOO_BIG
 * (more records than max_recs). */
int hist_read(struct hist *h, const char *text, size_t len, struct err *e);

/* --- what most checkers need first (history_calls.c) */

/* All attempts under one request id, as one operation of a client; a call without a request id is
 * an operation of its own. */
struct call {
    uint64_t request;
    uint64_t invoked_us;  /* Of the first attempt. */
    uint64_t returned_us; /* Of the first definite answer; HIST_NEVER without one. */
    uint64_t index;       /* Of that answer. */
    uint64_t value;       /* What it said. */
    uint64_t arg, expect;
    enum call_op op;
    enum call_result result; /* OK and REFUSED are definite, the rest is RESULT_UNKNOWN. */
    uint32_t code;
    hist_t_name subject;
    uint32_t client;
    uint32_t rec;        /* Number of its first call's record. */
    uint32_t answer_rec; /* Number of the record of the definite answer; 0 without one. */
    uint32_t open; /* Attempts that may have been proposed; with 0 it has had no effect for sure. */
};

struct calls {
    struct call *call;
    size_t n;
};

/* In the order of their first attempts. */
void hist_calls(const struct hist *h, struct calls *ret);
void calls_done(struct calls *c);

#endif
