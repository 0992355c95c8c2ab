/* Rows of the queries, read from this host's own state, made current by a read first unless the
 * client asked for a local answer. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "core/uv_loop.h"

#include "cli/quorated/admission.h"
#include "cli/quorated/balance.h"
#include "cli/quorated/daemon.h"
#include "cli/quorated/evacuation.h"
#include "cli/quorated/explain.h"

#define QUERY_DEADLINE_MS 10000u
#define QUERY_ROWS        5000u
#define QUERY_BYTES       (LIMIT_RPC_REPLY / 2u)

struct query {
    struct daemon *d;
    struct rpc_request *rq;
    const struct api_query *kind;
    struct params p;
    struct raftlog_read read;
};

/* The answer being built: rows are encoded one behind the other and counted. */
struct rows {
    struct daemon *d;
    struct fsm_view *v;
    const struct api_query *kind;
    const struct params *p;
    struct raftlog_status st;
    char master[LIMIT_NAME + 1];
    struct buf bytes;
    uint32_t n;
    char next[LIMIT_NAME + 1];
    struct err error;
};

/* Put one row; false when the page is full (the row is in it). */
static bool rows_put(struct rows *r, const void *row, const char *key)
{
    schema_encode(r->kind->row, row, &r->bytes);
    r->n++;
    if (r->n >= r->p->limit || r->bytes.len > QUERY_BYTES) {
        (void)str_copy(r->next, sizeof r->next, key);
        return false;
    }
    return true;
}

static void reason_text(int code, const char *what, const char *detail, char *to, size_t size)
{
    if (code == 0 && detail[0] == '\0') {
        to[0] = '\0';
    } else if (code == 0) {
        (void)snprintf(to, size, "%s", detail);
    } else {
        (void)snprintf(to, size, "%s%s%s%s", what, err_text(-code), detail[0] == '\0' ? "" : ": ",
                       detail);
    }
}

/* --- pool */

static void find_master(struct rows *r)
{
    struct host h = {0};
    for (int rc = fsm_next_host(r->v, "", &h); rc == 0; rc = fsm_next_host(r->v, h.name, &h)) {
        if (r->st.leader != 0 && h.raft_id == r->st.leader) {
            (void)str_copy(r->master, sizeof r->master, h.name);
        }
    }
}

static const char *role_name(struct daemon *d, uint64_t raft_id)
{
    struct raftlog_member m;
    for (uint32_t i = 0; raftlog_member(d->rl, i, &m); i++) {
        if (m.raft_id != raft_id) {
            continue;
        }
        switch (m.role) {
        case RAFTLOG_STANDBY: return "standby";
        case RAFTLOG_VOTER: return "voter";
        case RAFTLOG_SPARE: return "spare";
        case RAFTLOG_NONE: break;
        }
    }
    return "none";
}

static void put_admission(struct rows *r, struct api_pool *row)
{
    struct admission m;
    struct admission_answer a;
    admission_take(r->v, &m);
    admission_ask(&m, ADMISSION_MOST, ADMISSION_STEPS_STATUS, &a);
    admission_done(&m);
    row->tolerates = a.tolerates;
    row->costliest_mib = a.needed_mib;
    row->costliest_without_place = a.without_place;
    (void)str_copy(row->costliest, sizeof row->costliest, a.host);
}

static void rows_pool_status(struct rows *r)
{
    struct pool pool;
    struct api_pool row;
    schema_init(&schema_api_pool, &row);
    if (fsm_get_pool(r->v, &pool) == 0) {
        row.id = pool.id;
        row.ha = pool.ha;
        row.failures_to_tolerate = pool.failures_to_tolerate;
        (void)str_copy(row.name, sizeof row.name, pool.name);
        (void)str_copy(row.root, sizeof row.root, pool.root);
        (void)str_copy(row.preferred_master, sizeof row.preferred_master, pool.master);
    }
    (void)str_copy(row.master, sizeof row.master, r->master);
    (void)str_copy(row.answered_by, sizeof row.answered_by, r->d->opt.name);
    row.index = fsm_view_index(r->v);
    row.term = r->st.term;
    struct fsm_counts counts;
    fsm_count(r->v, &counts);
    row.hosts = (uint32_t)counts.hosts;
    row.guests = (uint32_t)counts.guests;
    row.running = (uint32_t)counts.running;
    row.ops_open = (uint32_t)counts.ops_open;
    put_admission(r, &row);
    struct fence_budget budget;
    fsm_fence_budget(r->v, &budget);
    row.fence_limit = budget.limit;
    row.fences = budget.used;
    row.hosts_held = budget.held;
    struct host h = {0};
    for (int rc = fsm_next_host(r->v, "", &h); rc == 0; rc = fsm_next_host(r->v, h.name, &h)) {
        row.hosts_up += h.state == HOST_UP ? 1 : 0;
        row.voters += strcmp(role_name(r->d, h.raft_id), "voter") == 0 ? 1 : 0;
    }
    char hash[HASH_TEXT_SIZE];
    (void)str_copy(row.state_hash, sizeof row.state_hash, hash_text(fsm_view_hash(r->v), hash));
    (void)rows_put(r, &row, "");
}

static void rows_pool_settings(struct rows *r)
{
    struct pool pool;
    if (fsm_get_pool(r->v, &pool) == 0) {
        (void)rows_put(r, &pool, "");
    }
}

/* --- hosts */

static void host_figures(struct rows *r, const struct host *h, struct api_host *row)
{
    char hash[HASH_TEXT_SIZE];
    if (h->raft_id == r->st.raft_id) {
        row->applied_index = fsm_view_index(r->v);
        (void)str_copy(row->state_hash, sizeof row->state_hash,
                       hash_text(fsm_view_hash(r->v), hash));
        return;
    }
    const struct host_note *note = notes_host(r->d, h->raft_id);
    if (note != NULL) {
        row->applied_index = note->applied_index;
        (void)str_copy(row->state_hash, sizeof row->state_hash, hash_text(note->hash, hash));
    }
}

static bool rows_host(struct rows *r, const struct host *h)
{
    struct api_host row;
    schema_init(&schema_api_host, &row);
    (void)str_copy(row.name, sizeof row.name, h->name);
    (void)str_copy(row.address, sizeof row.address, h->address);
    (void)str_copy(row.driver, sizeof row.driver, h->driver);
    (void)str_copy(row.version, sizeof row.version, h->version);
    (void)str_copy(row.role, sizeof row.role, role_name(r->d, h->raft_id));
    row.state = h->state;
    row.master = strcmp(h->name, r->master) == 0;
    row.cpus = h->cpus;
    row.memory_mib = h->memory_mib;
    row.reserved_mib = (uint32_t)fsm_reserved_mib(r->v, h->name);
    row.guests = fsm_guests_on(r->v, h->name);
    row.maintenance = h->maintenance;
    row.can_master = h->can_master;
    row.can_utility = h->can_utility;
    row.can_run = h->can_run;
    row.raft_id = h->raft_id;
    row.incarnation = h->incarnation;
    row.evacuation = h->evacuation;
    row.fenced = h->fenced;
    row.held = h->held;
    row.guarantee = h->guarantee;
    host_figures(r, h, &row);
    return rows_put(r, &row, h->name);
}

static void rows_host_list(struct rows *r)
{
    struct host h = {0};
    int rc = fsm_next_host(r->v, r->p->after, &h);
    while (rc == 0 && rows_host(r, &h)) {
        rc = fsm_next_host(r->v, h.name, &h);
    }
}

/* A row that is asked for by name and is not there. */
static void rows_missing(struct rows *r, int rc, const char *what)
{
    if (rc == ERR_NOT_FOUND) {
        (void)err_set(&r->error, rc, "%s %s not found", what, r->p->subject);
    } else if (rc != 0) {
        (void)err_set(&r->error, rc, "%s %s: %s", what, r->p->subject, err_text(rc));
    }
}

static void rows_host_show(struct rows *r)
{
    struct host h;
    int rc = fsm_get_host(r->v, r->p->subject, &h);
    rows_missing(r, rc, "host");
    if (rc == 0) {
        (void)rows_host(r, &h);
    }
}

/* --- guests */

static bool rows_guest(struct rows *r, const struct guest *g)
{
    struct api_guest row;
    schema_init(&schema_api_guest, &row);
    (void)str_copy(row.name, sizeof row.name, g->name);
    (void)str_copy(row.host, sizeof row.host, g->host);
    (void)str_copy(row.image, sizeof row.image, g->image);
    row.uuid = g->uuid;
    row.state = g->state;
    row.vcpus = g->config.vcpus;
    row.memory_mib = g->config.memory_mib;
    row.ha = g->ha;
    row.run_epoch = g->run_epoch;
    row.op = g->op;
    row.priority = g->priority;
    row.since_ms = g->since_ms;
    reason_text((int)g->code, "", g->detail, row.reason, sizeof row.reason);
    (void)str_copy(row.saved, sizeof row.saved, g->saved);
    return rows_put(r, &row, g->name);
}

static void rows_guest_list(struct rows *r)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    int rc = fsm_next_guest(r->v, r->p->after, &g);
    while (rc == 0 && rows_guest(r, &g)) {
        rc = fsm_next_guest(r->v, g.name, &g);
    }
}

static void rows_guest_show(struct rows *r)
{
    static struct guest g;
    int rc = fsm_get_guest(r->v, r->p->subject, &g);
    rows_missing(r, rc, "guest");
    if (rc == 0) {
        g.config.vnc_password[0] = '\0'; /* Never leaves the state. */
        (void)rows_put(r, &g, "");
    }
}

/* disk.list and vif.list. */
static void rows_devices(struct rows *r)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    const struct guest_config *c = &g.config;
    bool disks = r->kind->row == &schema_disk;
    int rc = fsm_get_guest(r->v, r->p->subject, &g);
    rows_missing(r, rc, "guest");
    for (uint32_t i = 0; rc == 0 && i < (disks ? c->disks_n : c->vifs_n); i++) {
        (void)rows_put(r, disks ? (const void *)&c->disks[i] : (const void *)&c->vifs[i], "");
    }
}

static void rows_place_list(struct rows *r)
{
    static struct guest g;
    static struct api_place places[LIMIT_HOSTS];
    int rc = fsm_get_guest(r->v, r->p->subject, &g);
    rows_missing(r, rc, "guest");
    uint32_t n = rc == 0 ? explain_places(r->v, &g, places) : 0;
    for (uint32_t i = 0; i < n && rows_put(r, &places[i], ""); i++) {
    }
}

static void rows_moves(struct rows *r, bool back)
{
    struct host h;
    struct evacuation_plan plan = {0};
    int rc = fsm_get_host(r->v, r->p->subject, &h);
    rows_missing(r, rc, "host");
    if (rc == 0) {
        (back ? evacuation_plan_back : evacuation_plan)(r->v, h.name, &plan);
    }
    bool room = true;
    for (uint32_t i = 0; i < plan.n && room; i++) {
        const struct move *m = &plan.moves[i];
        struct api_move row;
        schema_init(&schema_api_move, &row);
        (void)str_copy(row.guest, sizeof row.guest, m->guest);
        (void)str_copy(row.host, sizeof row.host, m->host);
        (void)str_copy(row.reason, sizeof row.reason, m->reason);
        row.memory_mib = m->memory_mib;
        room = rows_put(r, &row, "");
    }
    evacuation_plan_done(&plan);
}

static void rows_move_list(struct rows *r)
{
    rows_moves(r, /*back=*/false);
}

static void rows_back_list(struct rows *r)
{
    rows_moves(r, /*back=*/true);
}

static void rows_balance_list(struct rows *r)
{
    static struct balance_plan plan; /* Large; the loop has one thread. */
    char *end = NULL;
    unsigned long percent = strtoul(r->p->subject, &end, 10);
    if (end == r->p->subject || *end != '\0' || percent == 0 || percent > 100) {
        (void)err_set(&r->error, ERR_INVALID, "balance: a threshold of 1 to 100 percent");
        return;
    }
    balance_plan(r->v, (uint32_t)percent, &plan);
    bool room = true;
    for (uint32_t i = 0; i < plan.n && room; i++) {
        struct api_move row;
        schema_init(&schema_api_move, &row);
        (void)str_copy(row.guest, sizeof row.guest, plan.moves[i].guest);
        (void)str_copy(row.host, sizeof row.host, plan.moves[i].to);
        (void)str_copy(row.from, sizeof row.from, plan.moves[i].from);
        row.memory_mib = plan.moves[i].memory_mib;
        room = rows_put(r, &row, "");
    }
}

/* --- repositories */

static void rows_repo_list(struct rows *r)
{
    static struct repo repo;
    int rc = fsm_next_repo(r->v, r->p->after, &repo);
    while (rc == 0 && rows_put(r, &repo, repo.name)) {
        rc = fsm_next_repo(r->v, repo.name, &repo);
    }
}

static void rows_repo_show(struct rows *r)
{
    static struct repo repo;
    int rc = fsm_get_repo(r->v, r->p->subject, &repo);
    rows_missing(r, rc, "repository");
    if (rc == 0) {
        (void)rows_put(r, &repo, "");
    }
}

/* --- operations */

static uint32_t phase_percent(const struct op *op)
{
    if (op->state == OP_DONE) {
        return 100;
    }
    return op->phase == OP_PHASE_SWITCHED ? 99 : 0;
}

void query_op_row(struct daemon *d, const struct op *op, struct api_op *ret)
{
    schema_init(&schema_api_op, ret);
    ret->id = op->id;
    ret->kind = op->kind;
    ret->phase = op->phase;
    ret->state = op->state;
    ret->created_ms = op->created_ms;
    ret->ended_ms = op->ended_ms;
    ret->code = op->code;
    ret->progress = phase_percent(op);
    ret->parent = op->parent;
    ret->moved = op->moved;
    (void)str_copy(ret->subject, sizeof ret->subject, op->subject);
    (void)str_copy(ret->src, sizeof ret->src, op->src);
    (void)str_copy(ret->dst, sizeof ret->dst, op->dst);
    (void)str_copy(ret->user, sizeof ret->user, op->user);
    reason_text((int)op->code, "", op->detail, ret->reason, sizeof ret->reason);
    const struct op_note *note = notes_op(d, op->id);
    if (note == NULL) {
        return;
    }
    const struct hv_progress *pg = &note->progress;
    ret->commit_ms = note->commit_ms;
    ret->resume_ms = note->resume_ms;
    if (op->state == OP_RUNNING && op->phase == OP_PHASE_TRANSFER) {
        ret->progress = pg->percent > 98 ? 98 : pg->percent;
    }
    ret->total_bytes = pg->total_bytes;
    ret->sent_bytes = pg->sent_bytes;
    ret->remaining_bytes = pg->remaining_bytes;
    ret->rate_bytes_per_s = pg->rate_bytes_per_s;
    ret->dirty_bytes_per_s = pg->dirty_bytes_per_s;
    ret->downtime_ms = pg->downtime_ms;
}

static bool rows_op(struct rows *r, const struct op *op)
{
    struct api_op row;
    query_op_row(r->d, op, &row);
    char key[24];
    (void)snprintf(key, sizeof key, "%" PRIu64, op->id);
    return rows_put(r, &row, key);
}

static bool number_of(const char *text, uint64_t *ret)
{
    char *end;
    *ret = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static void rows_op_list(struct rows *r)
{
    struct op op = {0};
    uint64_t after = 0;
    if (r->p->after[0] != '\0' && !number_of(r->p->after, &after)) {
        (void)err_set(&r->error, ERR_INVALID, "after %s: not the number of an operation",
                      r->p->after);
        return;
    }
    int rc = fsm_next_op(r->v, after, &op);
    while (rc == 0 && rows_op(r, &op)) {
        rc = fsm_next_op(r->v, op.id, &op);
    }
}

static void rows_op_show(struct rows *r)
{
    struct op op;
    uint64_t id = 0;
    if (!number_of(r->p->subject, &id)) {
        (void)err_set(&r->error, ERR_INVALID, "%s: not the number of an operation", r->p->subject);
        return;
    }
    int rc = fsm_get_op(r->v, id, &op);
    rows_missing(r, rc, "operation");
    if (rc == 0) {
        (void)rows_op(r, &op);
    }
}

/* --- the log */

static void rows_log_stats(struct rows *r)
{
    struct api_log row;
    schema_init(&schema_api_log, &row);
    row.term = r->st.term;
    row.first_index = r->st.first_index;
    row.last_index = r->st.last_index;
    row.commit_index = r->st.commit_index;
    row.applied_index = r->st.applied_index;
    row.snapshot_index = r->st.snapshot_index;
    row.log_bytes = r->st.log_bytes;
    row.elections = r->st.elections;
    row.disk_full = r->st.disk_full;
    row.longest_turn_us = loop_meter_take_us(r->d->meter);
    (void)rows_put(r, &row, "");
}

/* --- dispatch */

struct maker {
    const char *name;
    void (*make)(struct rows *r);
};

static const struct maker makers[] = {
    {"pool.status", rows_pool_status}, {"pool.settings", rows_pool_settings},
    {"host.list", rows_host_list},     {"host.show", rows_host_show},
    {"guest.list", rows_guest_list},   {"guest.show", rows_guest_show},
    {"repo.list", rows_repo_list},     {"repo.show", rows_repo_show},
    {"op.list", rows_op_list},         {"op.show", rows_op_show},
    {"place.list", rows_place_list},   {"move.list", rows_move_list},
    {"back.list", rows_back_list},     {"balance.list", rows_balance_list},
    {"log.stats", rows_log_stats},     {"disk.list", rows_devices},
    {"vif.list", rows_devices},
};

static void rows_make(struct rows *r)
{
    for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
        if (strcmp(makers[i].name, r->kind->name) == 0) {
            makers[i].make(r);
            return;
        }
    }
    (void)err_set(&r->error, ERR_INTERNAL, "no maker for %s", r->kind->name);
}

static void query_answer(struct query *q)
{
    struct rows r = {.d = q->d, .kind = q->kind, .p = &q->p};
    r.v = fsm_view_open(q->d->fsm);
    raftlog_status(q->d->rl, &r.st);
    if (r.v != NULL) {
        find_master(&r);
        rows_make(&r);
    } else {
        daemon_no_view(q->d, &r.error);
    }
    if (r.error.code != 0) {
        serve_fail(q->rq, &r.error);
    } else {
        CLEANUP(buf_done) struct buf out = {0};
        mp_put_map(&out, 3);
        mp_put_str(&out, "index");
        mp_put_uint(&out, fsm_view_index(r.v));
        mp_put_str(&out, "rows");
        mp_put_array(&out, r.n);
        buf_put(&out, r.bytes.data, r.bytes.len);
        mp_put_str(&out, "next");
        mp_put_str(&out, r.next);
        rpc_reply(q->rq, &out);
    }
    buf_done(&r.bytes);
    (void)fsm_view_close(r.v);
    free(q);
}

static void read_done(struct raftlog_read *read, int code)
{
    struct query *q = read->user;
    if (code == 0) {
        query_answer(q);
        return;
    }
    struct err e;
    (void)err_set(&e, code == ERR_TIMEOUT ? ERR_NO_QUORUM : code,
                  "%s: the state could not be confirmed by a majority (--local reads this host's "
                  "own copy)",
                  err_text(code == ERR_TIMEOUT ? ERR_NO_QUORUM : code));
    serve_fail(q->rq, &e);
    free(q);
}

void query_serve(struct daemon *d, struct rpc_request *rq, const struct params *p)
{
    struct err e = {0};
    const struct api_query *kind = api_query_by_name(p->name);
    if (kind == NULL) {
        (void)err_set(&e, ERR_UNKNOWN, "unknown query %s", p->name);
    } else if (kind->takes_subject && p->subject[0] == '\0') {
        (void)err_set(&e, ERR_INVALID, "%s needs a name", p->name);
    }
    if (kind == NULL || e.code != 0) {
        serve_fail(rq, &e);
        return;
    }
    struct query *q = mem_new(1, sizeof *q);
    q->d = d;
    q->rq = rq;
    q->kind = kind;
    q->p = *p;
    q->p.body = NULL;
    if (q->p.limit == 0 || q->p.limit > QUERY_ROWS) {
        q->p.limit = QUERY_ROWS;
    }
    if (p->local || strcmp(kind->name, "log.stats") == 0) {
        query_answer(q);
        return;
    }
    q->read = (struct raftlog_read){
        .deadline_ms = p->deadline_ms == 0 ? QUERY_DEADLINE_MS : (uint32_t)p->deadline_ms,
        .adrift_ms = CLIENT_ADRIFT_MS,
        .done = read_done,
        .user = q,
    };
    raftlog_read(d->rl, &q->read);
}
