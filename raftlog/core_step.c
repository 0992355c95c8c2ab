/* libraft 0.22.1, driven through raft_step().
 *
 * Its rules of ownership, which differ from version to version: a received batch of entries is
 * freed by the core unless it set UPDATE_ENTRIES; the configuration of CONFIGURATION, SNAPSHOT and
 * PERSISTED_SNAPSHOT is taken. As the core never looks into commands, the batch it is given is a
 * token of eight bytes and the content stays with the caller. */

#include "raftlog/core_step.h"

#include <assert.h>
#include <raft.h>
#include <string.h>

#include "core/buf.h"
#include "core/mark.h"
#include "core/util.h"

/* The version whose behaviour was verified; CMake pins the package. */
#define CORE_VERSION 2201

/* Entries under way to one member, and to the own disk. The library's default of 32 costs a factor
 * of four. */
#define CORE_INFLIGHT 1024

struct core {
    struct raft raft;
    struct raft_tracer tracer;
    struct raft_update update;
    struct raft_entry *entries; /* Scratch, for the event's entries. */
    uint32_t entries_cap;
    struct node_entry barrier; /* An entry that the core made by itself. */
    bool votes_always;
    bool refuses_old_term; /* The step just made was for a message of an old term. */
    int true_role;
};

static void trace(struct raft_tracer *tracer, int type, const void *info)
{
    (void)tracer;
    (void)type;
    (void)info;
}

/* --- entries in and out */

/* The core's view of these entries, all of one batch. Returns the token of the batch. */
static void *entries_in(struct core *core, const struct node_entry *entries, uint32_t n)
{
    assert(n > 0);
    if (n > core->entries_cap || core->entries == NULL) {
        core->entries = mem_grow(core->entries, n, sizeof *core->entries);
        core->entries_cap = n;
    }
    void *token = raft_malloc(8);
    assert(token != NULL);
    memset(token, 0, 8);
    for (uint32_t i = 0; i < n; i++) {
        core->entries[i] = (struct raft_entry){
            .term = entries[i].term,
            .type = (enum raft_entry_type)entries[i].type,
            .batch = token,
        };
        if (entries[i].type == NODE_CHANGE) {
            core->entries[i].buf.base = (void *)entries[i].data;
            core->entries[i].buf.len = entries[i].len;
        } else {
            core->entries[i].buf.base = token;
            core->entries[i].buf.len = 8;
        }
    }
    return token;
}

static void entries_out(struct core *core, const struct core_event *event, struct core_update *ret)
{
    const struct raft_update *update = &core->update;
    struct raft_entry *first = update->entries.batch;

    ret->n = update->entries.n;
    if (first == &core->raft.barrier) {
        core->barrier = (struct node_entry){
            .index = update->entries.index, .term = first->term, .type = NODE_BARRIER};
        ret->entries = &core->barrier;
    } else {
        const struct node_entry *given =
            event->type == CORE_RECEIVE ? event->message->append.entries : event->entries;
        assert(given != NULL);
        ret->entries = given + (first - core->entries);
        assert(ret->entries[0].index == update->entries.index);
    }
    raft_free(first->batch);
}

/* --- configurations */

static int conf_in(const struct node_snapshot *s, struct raft_configuration *ret, struct err *e)
{
    struct conf conf;
    struct raft_buffer buf = {.base = (void *)s->conf, .len = s->conf_len};

    raft_configuration_init(ret);
    if (conf_decode(s->conf, s->conf_len, &conf) != 0 ||
        raft_configuration_decode(&buf, ret) != 0) {
        return err_set(e, ERR_CORRUPT, "malformed configuration");
    }
    return 0;
}

static int
metadata_in(const struct node_snapshot *s, struct raft_snapshot_metadata *ret, struct err *e)
{
    *ret = (struct raft_snapshot_metadata){
        .index = s->index, .term = s->term, .configuration_index = s->conf_index};
    return conf_in(s, &ret->configuration, e);
}

/* --- messages */

static void append_in(struct core *core, const struct core_message *m, struct raft_message *ret)
{
    ret->type = RAFT_APPEND_ENTRIES;
    ret->append_entries = (struct raft_append_entries){
        .term = m->term,
        .prev_log_index = m->append.prev_index,
        .prev_log_term = m->append.prev_term,
        .leader_commit = m->append.commit,
        .n_entries = m->append.n,
    };
    if (m->append.n > 0) {
        (void)entries_in(core, m->append.entries, m->append.n);
        ret->append_entries.entries = core->entries;
    }
}

/* What members answer. */
static void result_in(const struct core_message *m, struct raft_message *ret)
{
    if (m->type == CORE_APPEND_RESULT) {
        ret->type = RAFT_APPEND_ENTRIES_RESULT;
        ret->append_entries_result = (struct raft_append_entries_result){
            .version = 1,
            .term = m->term,
            .rejected = m->append_result.rejected,
            .last_log_index = m->append_result.last_index,
            .features = 1,
            .capacity = m->append_result.disk_full ? 0 : 1,
        };
    } else {
        ret->type = RAFT_REQUEST_VOTE_RESULT;
        ret->request_vote_result = (struct raft_request_vote_result){
            .version = 3,
            .term = m->term,
            .vote_granted = m->vote_result.granted,
            .pre_vote = m->vote_result.pre,
            .features = 1,
            .capacity = m->vote_result.disk_full ? 0 : 1,
        };
    }
}

static int
message_in(struct core *core, const struct core_message *m, struct raft_message *ret, struct err *e)
{
    memset(ret, 0, sizeof *ret);
    ret->server_id = m->peer;
    /* The core wants an address with every message, but only repeats it. */
    ret->server_address = "";
    switch (m->type) {
    case CORE_APPEND: append_in(core, m, ret); break;
    case CORE_APPEND_RESULT:
    case CORE_VOTE_RESULT: result_in(m, ret); break;
    case CORE_VOTE:
        ret->type = RAFT_REQUEST_VOTE;
        ret->request_vote = (struct raft_request_vote){
            .version = 2,
            .term = m->term,
            .candidate_id = m->peer,
            .last_log_index = m->vote.last_index,
            .last_log_term = m->vote.last_term,
            .disrupt_leader = m->vote.disrupt,
            .pre_vote = m->vote.pre,
        };
        break;
    case CORE_INSTALL:
        ret->type = RAFT_INSTALL_SNAPSHOT;
        ret->install_snapshot = (struct raft_install_snapshot){
            .term = m->term,
            .last_index = m->install.index,
            .last_term = m->install.term,
            .conf_index = m->install.conf_index,
        };
        return conf_in(&m->install, &ret->install_snapshot.conf, e);
    case CORE_TIMEOUT_NOW:
        ret->type = RAFT_TIMEOUT_NOW;
        ret->timeout_now = (struct raft_timeout_now){
            .term = m->term,
            .last_log_index = m->timeout_now.last_index,
            .last_log_term = m->timeout_now.last_term,
        };
        break;
    }
    return 0;
}

void core_message(const struct core *core, uint32_t i, struct core_message *ret)
{
    const struct raft_message *m = &core->update.messages.batch[i];

    memset(ret, 0, sizeof *ret);
    ret->peer = m->server_id;
    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        ret->type = CORE_APPEND;
        ret->term = m->append_entries.term;
        ret->append.prev_index = m->append_entries.prev_log_index;
        ret->append.prev_term = m->append_entries.prev_log_term;
        ret->append.commit = m->append_entries.leader_commit;
        ret->append.n = m->append_entries.n_entries;
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        ret->type = CORE_APPEND_RESULT;
        ret->term = m->append_entries_result.term;
        MARK_IF(append_refused, m->append_entries_result.rejected != 0 && !core->refuses_old_term);
        ret->append_result.rejected = m->append_entries_result.rejected;
        /* The core leaves it unset when it refuses a message of an old term: nothing of the stack
         * may go out to others. */
        ret->append_result.last_index =
            core->refuses_old_term ? 0 : m->append_entries_result.last_log_index;
        MARK_IF(old_term_refused, core->refuses_old_term);
        ret->append_result.disk_full = m->append_entries_result.capacity == 0;
        break;
    case RAFT_REQUEST_VOTE:
        ret->type = CORE_VOTE;
        ret->term = m->request_vote.term;
        ret->vote.last_index = m->request_vote.last_log_index;
        ret->vote.last_term = m->request_vote.last_log_term;
        ret->vote.disrupt = m->request_vote.disrupt_leader;
        ret->vote.pre = m->request_vote.pre_vote;
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        ret->type = CORE_VOTE_RESULT;
        ret->term = m->request_vote_result.term;
        /* The core names the term that was asked about even where it refuses because its own is
         * newer. A member with the longer log and the older term would never learn: neither could
         * be elected. */
        MARK_IF(prevote_newer_term,
                m->request_vote_result.pre_vote && !m->request_vote_result.vote_granted &&
                    m->request_vote_result.term < raft_current_term(&core->raft));
        if (m->request_vote_result.pre_vote && !m->request_vote_result.vote_granted) {
            ret->term = max_u64(ret->term, raft_current_term(&core->raft));
        }
        MARK_IF(vote_refused,
                !m->request_vote_result.pre_vote && !m->request_vote_result.vote_granted);
        ret->vote_result.granted = m->request_vote_result.vote_granted;
        ret->vote_result.pre = m->request_vote_result.pre_vote;
        ret->vote_result.disk_full = m->request_vote_result.capacity == 0;
        break;
    case RAFT_INSTALL_SNAPSHOT:
        ret->type = CORE_INSTALL;
        ret->term = m->install_snapshot.term;
        ret->install.index = m->install_snapshot.last_index;
        ret->install.term = m->install_snapshot.last_term;
        break;
    case RAFT_TIMEOUT_NOW:
        ret->type = CORE_TIMEOUT_NOW;
        ret->term = m->timeout_now.term;
        ret->timeout_now.last_index = m->timeout_now.last_log_index;
        ret->timeout_now.last_term = m->timeout_now.last_log_term;
        break;
    }
}

/* --- stepping */

static void update_out(struct core *core, const struct core_event *event, struct core_update *ret)
{
    struct raft_update *update = &core->update;

    memset(ret, 0, sizeof *ret);
    ret->vote = (update->flags & (RAFT_UPDATE_CURRENT_TERM | RAFT_UPDATE_VOTED_FOR)) != 0;
    ret->state = (update->flags & RAFT_UPDATE_STATE) != 0;
    ret->commit = (update->flags & RAFT_UPDATE_COMMIT_INDEX) != 0;
    if ((update->flags & RAFT_UPDATE_ENTRIES) != 0) {
        entries_out(core, event, ret);
    }
    if ((update->flags & RAFT_UPDATE_SNAPSHOT) != 0) {
        ret->restore = true;
        raft_configuration_close(&update->snapshot.metadata.configuration);
        raft_free(update->snapshot.chunk.base);
    }
    if ((update->flags & RAFT_UPDATE_MESSAGES) != 0) {
        ret->messages = update->messages.n;
    }
}

/* Build the library's event. The message and the metadata live in *message. */
static int event_in(struct core *core,
                    const struct core_event *event,
                    struct raft_event *ret,
                    struct raft_message *message,
                    struct err *e)
{
    memset(ret, 0, sizeof *ret);
    ret->time = event->now_ms;
    ret->capacity = event->disk_full ? 0 : 1;
    switch (event->type) {
    case CORE_TIMEOUT: ret->type = RAFT_TIMEOUT; break;
    case CORE_RECEIVE:
        ret->type = RAFT_RECEIVE;
        ret->receive.message = message;
        return message_in(core, event->message, message, e);
    case CORE_PERSISTED:
        ret->type = RAFT_PERSISTED_ENTRIES;
        ret->persisted_entries.index = event->index;
        break;
    case CORE_CONF:
        ret->type = RAFT_CONFIGURATION;
        ret->configuration.index = event->snapshot.conf_index;
        return conf_in(&event->snapshot, &ret->configuration.conf, e);
    case CORE_TAKEN:
        ret->type = RAFT_SNAPSHOT;
        assert(event->index <= event->snapshot.index);
        ret->snapshot.trailing = (unsigned)(event->snapshot.index + 1 - event->index);
        return metadata_in(&event->snapshot, &ret->snapshot.metadata, e);
    case CORE_RESTORED:
        ret->type = RAFT_PERSISTED_SNAPSHOT;
        ret->persisted_snapshot.last = true;
        return metadata_in(&event->snapshot, &ret->persisted_snapshot.metadata, e);
    case CORE_SUBMIT:
        ret->type = RAFT_SUBMIT;
        (void)entries_in(core, event->entries, event->n);
        ret->submit.entries = core->entries;
        ret->submit.n = event->n;
        break;
    case CORE_TRANSFER:
        ret->type = RAFT_TRANSFER;
        ret->transfer.server_id = event->index;
        break;
    }
    return 0;
}

/* A member votes for whoever is worth it, whether or not it knows yet that it is a voter: it may
 * have missed the change that made it one, and be needed for the majority. The candidate alone
 * knows whose votes count. The library refuses by its own role, so it sees itself as a voter for
 * this one step. Returns the role to restore; NULL: nothing was changed. */
static struct raft_server *pose_as_voter(struct core *core, const struct core_event *event)
{
    struct raft_configuration *conf = &core->raft.configuration;

    if (!core->votes_always || event->type != CORE_RECEIVE || event->message->type != CORE_VOTE) {
        return NULL;
    }
    for (unsigned i = 0; i < conf->n; i++) {
        struct raft_server *server = &conf->servers[i];
        if (server->id == core->raft.id && server->role != RAFT_VOTER) {
            core->true_role = server->role;
            server->role = RAFT_VOTER;
            return server;
        }
    }
    return NULL;
}

int core_step(struct core *core,
              const struct core_event *event,
              struct core_update *update,
              struct err *e)
{
    struct raft_event ev;
    struct raft_message message;
    int rc = event_in(core, event, &ev, &message, e);

    memset(update, 0, sizeof *update);
    if (rc != 0) {
        return rc;
    }
    memset(&core->update, 0, sizeof core->update);
    struct raft_server *posing = pose_as_voter(core, event);
    core->refuses_old_term =
        event->type == CORE_RECEIVE && event->message->term < raft_current_term(&core->raft);
    int r = raft_step(&core->raft, &ev, &core->update);
    if (posing != NULL) {
        posing->role = core->true_role;
    }
    if (r == 0) {
        update_out(core, event, update);
        return 0;
    }
    if (event->type == CORE_SUBMIT) {
        raft_free(core->entries[0].batch);
    }
    switch (r) {
    case RAFT_NOTLEADER: rc = ERR_NOT_LEADER; break;
    case RAFT_CANTCHANGE: rc = ERR_BUSY; break;
    case RAFT_NOTFOUND:
    case RAFT_BADID: rc = ERR_NOT_FOUND; break;
    default: rc = ERR_INTERNAL; break;
    }
    return err_set(e, rc, "consensus core: %s (event %d)", raft_strerror(r), (int)event->type);
}

/* --- life */

static int start(struct core *core,
                 const struct node_recovered *recovered,
                 uint64_t now_ms,
                 struct core_update *update,
                 struct err *e)
{
    struct raft_event ev = {.type = RAFT_START, .time = now_ms, .capacity = 1};
    struct raft_snapshot_metadata metadata;

    ev.start.term = recovered->term;
    ev.start.voted_for = recovered->vote;
    ev.start.start_index = recovered->first_index;
    if (recovered->snapshot != NULL) {
        int rc = metadata_in(recovered->snapshot, &metadata, e);
        if (rc != 0) {
            return rc;
        }
        ev.start.metadata = &metadata;
    }
    void *token = NULL;
    if (recovered->n > 0) {
        token = entries_in(core, recovered->entries, recovered->n);
        ev.start.entries = core->entries;
        ev.start.n_entries = recovered->n;
    }
    struct core_event none = {.type = CORE_TIMEOUT};
    memset(&core->update, 0, sizeof core->update);
    int r = raft_step(&core->raft, &ev, &core->update);
    if (r != 0) {
        return err_set(e, ERR_INTERNAL, "consensus core does not start: %s", raft_strerror(r));
    }
    raft_free(token);
    update_out(core, &none, update);
    return 0;
}

int core_new(struct core **ret,
             const struct core_options *options,
             const struct node_recovered *recovered,
             uint64_t now_ms,
             struct core_update *update,
             struct err *e)
{
    if (raft_version_number() != CORE_VERSION) {
        return err_set(e, ERR_VERSION, "libraft is version %d, but only %d was verified",
                       raft_version_number(), CORE_VERSION);
    }
    struct core *core = mem_new(1, sizeof *core);
    int r = raft_init(&core->raft, NULL, NULL, options->id, options->address);
    if (r != 0) {
        free(core);
        return err_set(e, ERR_INTERNAL, "consensus core: %s", raft_strerror(r));
    }
    core->tracer = (struct raft_tracer){.version = 2, .emit = trace};
    core->raft.tracer = &core->tracer;
    core->votes_always = !options->mutant_votes_by_role;
    raft_seed(&core->raft, (unsigned)(options->seed ^ (options->seed >> 32)));
    raft_set_heartbeat_timeout(&core->raft, options->heartbeat_ms);
    raft_set_election_timeout(&core->raft, options->election_ms);
    raft_set_install_snapshot_timeout(&core->raft, options->install_ms);
    raft_set_pre_vote(&core->raft, true);
    raft_set_max_inflight_entries(&core->raft, CORE_INFLIGHT);
    int rc = start(core, recovered, now_ms, update, e);
    if (rc != 0) {
        core_free(core);
        return rc;
    }
    *ret = core;
    return 0;
}

struct core *core_free(struct core *core)
{
    if (core != NULL) {
        raft_close(&core->raft, NULL);
        free(core->entries);
        free(core);
    }
    return NULL;
}

/* --- looking */

enum core_state core_state(const struct core *core)
{
    switch (raft_state((struct raft *)&core->raft)) {
    case RAFT_LEADER: return CORE_LEADER;
    case RAFT_CANDIDATE: return CORE_CANDIDATE;
    case RAFT_FOLLOWER:
    case RAFT_UNAVAILABLE: break;
    }
    return CORE_FOLLOWER;
}

uint64_t core_term(const struct core *core)
{
    return raft_current_term(&core->raft);
}

uint64_t core_vote(const struct core *core)
{
    return raft_voted_for(&core->raft);
}

uint64_t core_commit(const struct core *core)
{
    return raft_commit_index(&core->raft);
}

uint64_t core_deadline(const struct core *core)
{
    return raft_timeout(&core->raft);
}

uint64_t core_leader(const struct core *core)
{
    switch (core_state(core)) {
    case CORE_LEADER: return core->raft.id;
    case CORE_FOLLOWER: return core->raft.follower_state.current_leader.id;
    case CORE_CANDIDATE: break;
    }
    return 0;
}

uint64_t core_match(const struct core *core, uint64_t id)
{
    raft_index match = 0;

    if (core_state(core) != CORE_LEADER || raft_match_index(&core->raft, id, &match) != 0) {
        return 0;
    }
    return match;
}

uint64_t core_transferee(const struct core *core)
{
    return core_state(core) == CORE_LEADER ? raft_transferee(&core->raft) : 0;
}

uint64_t core_conf_uncommitted(const struct core *core)
{
    return core->raft.configuration_uncommitted_index;
}

uint64_t core_conf_committed(const struct core *core)
{
    return core->raft.configuration_committed_index;
}
