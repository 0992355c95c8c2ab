/* The consensus core behind step(event) -> update: a pure state machine that decides who leads and
 * what is committed. This header is all that the rest of raftlog knows of it; core_step.c is the
 * one file that includes <raft.h>, so another core can take its place.
 *
 * The core never looks into commands: it is given terms and types, and the content of configuration
 * entries. The caller keeps the log (cache.h) and fills outgoing messages from it.
 *
 * After every step, in this order: save term and vote durably; cut and append `entries`; begin the
 * restore; send the messages; act on the commit index. An error of core_step() other than from
 * CORE_SUBMIT and CORE_TRANSFER leaves the core unusable. */

#ifndef RAFTLOG_CORE_STEP_H
#define RAFTLOG_CORE_STEP_H

#include "raftlog/node.h"

struct core;

enum core_state {
    CORE_FOLLOWER,
    CORE_CANDIDATE,
    CORE_LEADER
};

/* The numbers travel on the wire. */
enum core_message_type {
    CORE_APPEND = 1,
    CORE_APPEND_RESULT = 2,
    CORE_VOTE = 3,
    CORE_VOTE_RESULT = 4,
    CORE_INSTALL = 5, /* "Your log is behind what I keep: take this snapshot." */
    CORE_TIMEOUT_NOW = 6
};

struct core_append {
    uint64_t prev_index;
    uint64_t prev_term;
    uint64_t commit;
    uint32_t n; /* Entries from prev_index + 1 on. */
    /* Outgoing: NULL, filled by the caller. Incoming: their content is borrowed for the step. */
    const struct node_entry *entries;
};

struct core_append_result {
    uint64_t rejected; /* The index that did not match, or 0. */
    uint64_t last_index;
    bool disk_full;
};

struct core_vote {
    uint64_t last_index;
    uint64_t last_term;
    bool disrupt; /* Vote although a leader was heard of: it told the candidate to stand. */
    bool pre;
};

struct core_vote_result {
    bool granted;
    bool pre;
    bool disk_full;
};

struct core_timeout_now {
    uint64_t last_index;
    uint64_t last_term;
};

struct core_message {
    enum core_message_type type;
    uint64_t peer; /* Whom to, or whom from. */
    uint64_t term;
    union {
        struct core_append append;
        struct core_append_result append_result;
        struct core_vote vote;
        struct core_vote_result vote_result;
        struct node_snapshot install; /* Outgoing: index and term only. */
        struct core_timeout_now timeout_now;
    };
};

enum core_event_type {
    CORE_TIMEOUT,   /* core_deadline() has come. */
    CORE_RECEIVE,   /* A message. */
    CORE_PERSISTED, /* Entries up to `index` are durable; greater than ever said, and still there.
                     */
    CORE_CONF,      /* The configuration entry at snapshot.conf_index is committed. */
    CORE_TAKEN,     /* A snapshot of ours is durable; entries below `index` are gone. */
    CORE_RESTORED,  /* The snapshot of update.restore is durable. */
    CORE_SUBMIT,    /* New entries from the leader; a change stands alone. */
    CORE_TRANSFER   /* Tell member `index`, which has everything, to take over. */
};

struct core_event {
    enum core_event_type type;
    uint64_t now_ms;
    bool disk_full;
    uint64_t index;
    const struct core_message *message;
    struct node_snapshot snapshot; /* CONF: conf alone. */
    const struct node_entry *entries;
    uint32_t n;
};

struct core_update {
    bool vote;   /* Term or vote changed. */
    bool state;  /* Follower, candidate, leader. */
    bool commit; /* The commit index moved. */
    /* Cut the log at entries[0].index and append these (index is set). Borrowed from the event, or
     * the core's own until the next step. */
    const struct node_entry *entries;
    uint32_t n;
    /* Drop the log: the snapshot of the CORE_INSTALL given replaces it. Nothing is committed from
     * the log until CORE_RESTORED. */
    bool restore;
    uint32_t messages; /* core_message() gives them until the next step. */
};

struct core_options {
    uint64_t id;
    const char *address;
    uint32_t election_ms;
    uint32_t heartbeat_ms;
    uint32_t install_ms;
    uint64_t seed;
    bool mutant_votes_by_role; /* Test only: refuse to vote if the own log says "no voter". */
};

/* Refuses (ERR_VERSION) to run with another core library than the one that was verified. */
int core_new(struct core **ret,
             const struct core_options *options,
             const struct node_recovered *recovered,
             uint64_t now_ms,
             struct core_update *update,
             struct err *e);
struct core *core_free(struct core *core);

int core_step(struct core *core,
              const struct core_event *event,
              struct core_update *update,
              struct err *e);
void core_message(const struct core *core, uint32_t i, struct core_message *ret);

enum core_state core_state(const struct core *core);
uint64_t core_term(const struct core *core);
uint64_t core_vote(const struct core *core);
uint64_t core_commit(const struct core *core);
uint64_t core_deadline(const struct core *core);
/* What a message of this term named as leader; the caller checks that the term is still this one.
 */
uint64_t core_leader(const struct core *core);
/* Leader only: what the member has on disk; 0 if unknown. */
uint64_t core_match(const struct core *core, uint64_t id);
/* Leader only: the member leadership is being handed to, or 0. */
uint64_t core_transferee(const struct core *core);
/* Index of a configuration entry that is not known to be committed, or 0; and of the last that is.
 */
uint64_t core_conf_uncommitted(const struct core *core);
uint64_t core_conf_committed(const struct core *core);

/* --- configurations */

struct conf_member {
    uint64_t id;
    enum raftlog_role role;
    char address[LIMIT_ADDRESS + 1];
};

struct conf {
    uint32_t n;
    struct conf_member members[LIMIT_HOSTS];
};

/* ERR_MALFORMED: not the one encoding of a valid configuration. */
int conf_decode(const void *data, size_t len, struct conf *ret);
void conf_encode(const struct conf *conf, struct buf *ret);
const struct conf_member *conf_find(const struct conf *conf, uint64_t id);
uint32_t conf_voters(const struct conf *conf);

#endif
