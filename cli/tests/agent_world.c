/* See agent_world.h. */

#include "cli/tests/agent_world.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/tests/cm.h"
#include "core/util.h"

struct world w;

uint64_t world_now_ms(void)
{
    return os_clock()->mono_ms(os_clock());
}

bool world_chance(uint32_t percent)
{
    return rng_below(&w.rng, 100) < percent;
}

/* --- the log */

static void log_append(const struct buf *entry)
{
    w.log = mem_grow(w.log, w.n_log + 1, sizeof *w.log);
    w.log[w.n_log] = (struct buf){0};
    buf_put(&w.log[w.n_log], entry->data, entry->len);
    w.n_log++;
}

static void encode(struct buf *to, uint32_t number, const void *record, const struct id *request)
{
    CLEANUP(buf_done) struct buf body = {0};
    struct entry en = {.number = number, .request = *request};
    schema_encode(command_by_number(number)->schema, record, &body);
    en.body = body.data;
    en.body_len = body.len;
    en.wall_ms = os_clock()->wall_ms(os_clock());
    (void)str_copy(en.user, sizeof en.user, "test");
    entry_encode(&en, to);
}

/* A command of the operator: straight into the log. */
void world_command(uint32_t number, const void *record)
{
    CLEANUP(buf_done) struct buf en = {0};
    struct id request = id_new(&w.rng);
    encode(&en, number, record, &request);
    log_append(&en);
}

struct parcel {
    uv_timer_t timer;
    struct buf entry;
    bool twice;
};

static void parcel_closed(uv_handle_t *handle)
{
    struct parcel *p = handle->data;
    buf_done(&p->entry);
    free(p);
}

static void parcel_due(uv_timer_t *timer)
{
    struct parcel *p = timer->data;
    log_append(&p->entry);
    if (p->twice) {
        p->twice = false;
        (void)uv_timer_start(timer, parcel_due, 1 + rng_below(&w.rng, 20), 0);
        return;
    }
    uv_close((uv_handle_t *)timer, parcel_closed);
}

struct doubt {
    uv_timer_t timer;
    agent_proposed_fn done;
    void *ctx;
};

static void doubt_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void doubt_due(uv_timer_t *timer)
{
    struct doubt *d = timer->data;
    d->done(d->ctx, ERR_UNSURE, NULL);
    uv_close((uv_handle_t *)timer, doubt_closed);
}

/* Nobody knows what became of it. */
static void leave_in_doubt(agent_proposed_fn done, void *ctx)
{
    struct doubt *d = mem_new(1, sizeof *d);
    d->done = done;
    d->ctx = ctx;
    d->timer.data = d;
    (void)uv_timer_init(&w.loop, &d->timer);
    (void)uv_timer_start(&d->timer, doubt_due, 1 + rng_below(&w.rng, 15), 0);
}

static void world_propose(void *ctx,
                          uint32_t number,
                          const void *record,
                          const struct id *request,
                          agent_proposed_fn done,
                          void *done_ctx)
{
    struct host_sim *h = ctx;
    bool lost = w.faults && world_chance(5);
    bool unsure = lost || (w.faults && world_chance(5));
    if (!lost) {
        struct parcel *p = mem_new(1, sizeof *p);
        encode(&p->entry, number, record, request);
        p->twice = w.faults && world_chance(10);
        p->timer.data = p;
        (void)uv_timer_init(&w.loop, &p->timer);
        (void)uv_timer_start(&p->timer, parcel_due, rng_below(&w.rng, 8), 0);
    }
    if (unsure) {
        leave_in_doubt(done, done_ctx);
        return;
    }
    struct pending *q = mem_new(1, sizeof *q);
    *q = (struct pending){.next = h->pending, .request = *request, .done = done, .ctx = done_ctx};
    h->pending = q;
}

static void answer(struct host_sim *h, const struct fsm_applied_entry *applied)
{
    for (struct pending **at = &h->pending; *at != NULL;) {
        struct pending *q = *at;
        if (!id_equal(&q->request, &applied->request)) {
            at = &q->next;
            continue;
        }
        *at = q->next;
        q->done(q->ctx, 0, &applied->outcome);
        free(q);
    }
}

static void apply_some(struct host_sim *h)
{
    struct err e;
    uint64_t from = fsm_applied(h->fsm);
    uint64_t n = min_u64(w.n_log - from, 1 + rng_below(&w.rng, 8));
    struct fsm_applied_entry done[8];
    if (n == 0 || world_now_ms() < h->cut_until_ms) {
        return;
    }
    assert_int_equal(fsm_begin(h->fsm, &e), 0);
    for (uint64_t i = 0; i < n; i++) {
        const struct buf *b = &w.log[from + i];
        assert_int_equal(fsm_apply(h->fsm,
                                   &(struct fsm_input){from + i + 1, /*term=*/1, b->data, b->len},
                                   &done[i], &e),
                         0);
    }
    assert_int_equal(fsm_commit(h->fsm, &e), 0);
    size_t n_events;
    const struct event *events = fsm_new_events(h->fsm, &n_events);
    for (size_t i = 0; i < n_events && h == &w.hosts[0]; i++) {
        w.switches += strcmp(events[i].kind, "guest.switched") == 0 ? 1 : 0;
        w.ran += strcmp(events[i].kind, "guest.started") == 0 ? 1 : 0;
        w.saves += strcmp(events[i].kind, "guest.saved") == 0 ? 1 : 0;
        w.resumes += strcmp(events[i].detail, "restored") == 0 ? 1 : 0;
    }
    if (h->agent != NULL) {
        agent_state_changed(h->agent, events, n_events);
    }
    for (uint64_t i = 0; i < n; i++) {
        answer(h, &done[i]);
    }
}

/* --- hosts */

static void host_event(void *ctx, const struct hv_event *event)
{
    struct host_sim *h = ctx;
    if (h->agent != NULL) {
        agent_event(h->agent, event);
    }
}

static void host_start(struct host_sim *h)
{
    struct err e = {0};
    char run[260];
    char logs[260];
    (void)snprintf(run, sizeof run, "%s/run", h->dir);
    (void)snprintf(logs, sizeof logs, "%s/log", h->dir);
    struct hv_options ho = {.driver = "sim",
                            .run_dir = run,
                            .log_dir = logs,
                            .host = h->name,
                            .memory_mib = 65536,
                            .event = host_event,
                            .ctx = h};
    if (hv_open(&h->hv, &w.loop, &ho, &e) != 0) {
        fail_msg("hv_open: %s", e.msg);
    }
    *sim_times(h->hv) = (struct sim_times){
        .start_ms = 5, .destroy_ms = 3, .pause_ms = 2, .shutdown_ms = 10, .migrate_ms = 30};
    struct agent_options ao = {.fsm = h->fsm,
                               .hv = h->hv,
                               .loop = &w.loop,
                               .clock = os_clock(),
                               .rng = &w.rng,
                               .host = h->name,
                               .prefix = h->prefix,
                               .propose = world_propose,
                               .ctx = h};
    h->agent = agent_new(&ao);
    h->up = true;
    if (w.faults && world_chance(30)) { /* Its store is a view of the log, and was lost. */
        assert_int_equal(fsm_reset(h->fsm, &e), 0);
    }
    h->current_at = w.n_log; /* What a linearizable read would wait for. */
    if (fsm_applied(h->fsm) >= h->current_at) {
        agent_set_current(h->agent, true);
        h->current_at = UINT64_MAX;
    }
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void part_closed(void *ctx)
{
    struct host_sim *h = ctx;
    char run[260];
    if (--h->closing > 0) {
        return;
    }
    h->agent = agent_free(h->agent);
    h->hv = NULL;
    if (h->power_cut) {
        (void)snprintf(run, sizeof run, "%s/run", h->dir);
        remove_tree(run);
        h->n_frozen = 0;
    }
    h->back_ms = world_now_ms() + rng_below(&w.rng, 200);
}

/* Forget who waited: the daemon that did is gone. */
static void drop_pending(struct host_sim *h)
{
    while (h->pending != NULL) {
        struct pending *q = h->pending;
        h->pending = q->next;
        leave_in_doubt(q->done, q->ctx);
        free(q);
    }
}

void world_crash(struct host_sim *h, bool power_cut)
{
    if (!h->up) {
        return;
    }
    h->up = false;
    h->power_cut = power_cut;
    h->n_frozen = 0;
    while (h->n_frozen < COPIES && hv_list(h->hv, h->n_frozen, &h->frozen[h->n_frozen])) {
        h->n_frozen++;
    }
    h->closing = 2;
    w.crashes++;
    agent_stop(h->agent, part_closed, h);
    hv_close(h->hv, part_closed, h);
    drop_pending(h);
}

/* --- the truth */

uint32_t world_copies(struct host_sim *h, struct hv_info *to)
{
    uint32_t n = 0;
    if (!h->up) {
        memcpy(to, h->frozen, h->n_frozen * sizeof *to);
        return h->n_frozen;
    }
    while (n < COPIES && hv_list(h->hv, n, &to[n])) {
        n++;
    }
    return n;
}

static bool runs(const struct hv_info *i)
{
    return i->state == HV_RUNNING || i->state == HV_OUTGOING;
}

/* A migration's target runs only when its own host has applied the switch, and a copy of a saved
 * memory only when it has applied that the memory is used up. */
static void check_permitted(struct host_sim *h, const struct hv_info *all, uint32_t n)
{
    static struct guest g;
    static struct op op;
    struct fsm_view *v = fsm_view_open(h->fsm);
    for (uint32_t i = 0; i < n && h->up && h->current_at == UINT64_MAX; i++) {
        bool open = runs(&all[i]) && fsm_get_guest(v, all[i].name, &g) == 0 && g.op != 0 &&
                    fsm_get_op(v, g.op, &op) == 0 && op.kind == OP_MIGRATE &&
                    op.phase != OP_PHASE_SWITCHED;
        if (open && op.dst_epoch == all[i].key.epoch) {
            fail_msg("guest %s runs on %s before the switch", all[i].name, h->name);
        }
        if (runs(&all[i]) && fsm_get_guest(v, all[i].name, &g) == 0 && g.saved[0] != '\0' &&
            g.run_epoch == all[i].key.epoch && strcmp(g.host, h->name) == 0) {
            fail_msg("guest %s runs on %s and its saved memory is still good", all[i].name,
                     h->name);
        }
    }
    (void)fsm_view_close(v);
}

static void check_single_run(void)
{
    static struct hv_info all[HOSTS * COPIES];
    uint32_t n = 0;
    for (uint32_t i = 0; i < HOSTS; i++) {
        uint32_t here = world_copies(&w.hosts[i], &all[n]);
        check_permitted(&w.hosts[i], &all[n], here);
        n += here;
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (id_equal(&all[i].key.uuid, &all[j].key.uuid) && runs(&all[i]) && runs(&all[j])) {
                fail_msg("guest %s runs twice, epochs %llu and %llu", all[i].name,
                         (unsigned long long)all[i].key.epoch,
                         (unsigned long long)all[j].key.epoch);
            }
        }
    }
}

/* --- time */

static void expire_ops(struct host_sim *h)
{
    struct op op = {0};
    struct fsm_view *v = fsm_view_open(h->fsm);
    uint64_t wall = os_clock()->wall_ms(os_clock());
    for (int rc = fsm_next_open_op(v, 0, &op); rc == 0; rc = fsm_next_open_op(v, op.id, &op)) {
        struct cmd_op_expire c;
        if (wall > op.created_ms + EXPIRE_MS && op.phase != OP_PHASE_SWITCHED &&
            op.kind != OP_DESTROY) {
            schema_init(command_by_number(COMMAND_op_expire)->schema, &c);
            c.id = op.id;
            world_command(COMMAND_op_expire, &c);
        }
    }
    (void)fsm_view_close(v);
}

static void tick(uv_timer_t *timer)
{
    static uint32_t ticks;
    (void)timer;
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct host_sim *h = &w.hosts[i];
        if (!h->up && h->closing == 0 && world_now_ms() >= h->back_ms) {
            host_start(h);
        }
        if (h->up) {
            apply_some(h);
            if (fsm_applied(h->fsm) >= h->current_at) {
                agent_set_current(h->agent, true);
                h->current_at = UINT64_MAX;
            }
        }
    }
    if (++ticks % 200 == 0) {
        expire_ops(&w.hosts[0]);
    }
}

void world_run_for(uint64_t ms)
{
    uint64_t until = world_now_ms() + ms;
    while (world_now_ms() < until) {
        (void)uv_run(&w.loop, UV_RUN_ONCE);
        check_single_run();
    }
}

static bool settled(void)
{
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct host_sim *h = &w.hosts[i];
        struct agent_status st = {0};
        if (!h->up || h->pending != NULL || fsm_applied(h->fsm) != w.n_log) {
            return false;
        }
        agent_status(h->agent, &st);
        if (!st.current || st.busy > 0) {
            return false;
        }
    }
    struct fsm_view *v = fsm_view_open(w.hosts[0].fsm);
    struct op op = {0};
    bool open = fsm_next_open_op(v, 0, &op) == 0;
    (void)fsm_view_close(v);
    return !open;
}

/* Until nothing happens any more: true for 100 ms on end. */
void world_settle(void)
{
    uint64_t limit = world_now_ms() + 60000; /* A slow machine takes its time. */
    uint64_t since = world_now_ms();
    while (world_now_ms() < since + 100) {
        world_run_for(5);
        if (!settled()) {
            since = world_now_ms();
        }
        if (world_now_ms() > limit) {
            fail_msg("the world does not come to rest");
        }
    }
}

/* --- making the world */

static void make_pool(void)
{
    struct cmd_pool_init init;
    schema_init(command_by_number(COMMAND_pool_init)->schema, &init);
    init.id = id_new(&w.rng);
    (void)str_copy(init.name, sizeof init.name, "pool");
    (void)str_copy(init.host, sizeof init.host, "h1");
    (void)str_copy(init.address, sizeof init.address, "127.0.0.1:7001");
    world_command(COMMAND_pool_init, &init);
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct cmd_host_add add;
        struct cmd_host_report report;
        schema_init(command_by_number(COMMAND_host_add)->schema, &add);
        schema_init(command_by_number(COMMAND_host_report)->schema, &report);
        (void)snprintf(add.name, sizeof add.name, "h%u", i + 1);
        (void)snprintf(add.address, sizeof add.address, "127.0.0.1:%u", 7001 + i);
        if (i > 0) {
            world_command(COMMAND_host_add, &add);
        }
        (void)str_copy(report.name, sizeof report.name, add.name);
        (void)str_copy(report.driver, sizeof report.driver, "sim");
        (void)str_copy(report.migrate_address, sizeof report.migrate_address, "127.0.0.1");
        report.raft_id = i + 1;
        report.incarnation = 1;
        report.memory_mib = 65536;
        report.cpus = 8;
        world_command(COMMAND_host_report, &report);
    }
}

static void make_repo(void)
{
    struct cmd_repo_new new;
    struct cmd_repo_init init;
    struct cmd_repo_root root;
    schema_init(command_by_number(COMMAND_repo_new)->schema, &new);
    schema_init(command_by_number(COMMAND_repo_init)->schema, &init);
    schema_init(command_by_number(COMMAND_repo_root)->schema, &root);
    new.id = id_new(&w.rng);
    (void)str_copy(new.name, sizeof new.name, "store");
    (void)snprintf(new.source, sizeof new.source, "%s/store", w.dir);
    (void)str_copy(init.name, sizeof init.name, "store");
    (void)str_copy(root.name, sizeof root.name, "store");
    assert_int_equal(mkdir(new.source, 0755), 0);
    world_command(COMMAND_repo_new, &new);
    world_command(COMMAND_repo_init, &init);
    world_command(COMMAND_repo_root, &root);
    world_settle();
    struct fsm_view *v = fsm_view_open(w.hosts[0].fsm);
    static struct repo repo;
    assert_int_equal(fsm_get_repo(v, "store", &repo), 0);
    assert_int_equal(repo.ready_on_n, HOSTS);
    (void)fsm_view_close(v);

    char path[300];
    (void)snprintf(path, sizeof path, "%s/store/seed_pool/" IMAGE, w.dir);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/store/seed_pool/" IMAGE "/system.img", w.dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fputs("image", f) < 0, 0);
    assert_int_equal(fclose(f), 0);
}

void world_make(uint64_t seed)
{
    struct err e = {0};
    memset(&w, 0, sizeof w);
    rng_seed(&w.rng, seed);
    char parent[] = "/tmp/quorate-agent-XXXXXX";
    assert_non_null(mkdtemp(parent));
    (void)str_copy(w.dir, sizeof w.dir, parent);
    assert_int_equal(uv_loop_init(&w.loop), 0);
    for (uint32_t i = 0; i < HOSTS; i++) {
        struct host_sim *h = &w.hosts[i];
        char store[260];
        bool rebuilt;
        h->w = &w;
        h->current_at = UINT64_MAX;
        (void)snprintf(h->name, sizeof h->name, "h%u", i + 1);
        (void)snprintf(h->dir, sizeof h->dir, "%s/h%u", parent, i + 1);
        (void)snprintf(h->prefix, sizeof h->prefix, "%s/h%u/prefix", parent, i + 1);
        (void)snprintf(store, sizeof store, "%s/h%u/store", parent, i + 1);
        assert_int_equal(mkdir(h->dir, 0700), 0);
        struct fsm_options fo = {.dir = store, .boot_id = "test", .map_bytes = 64u << 20};
        if (fsm_open(&h->fsm, &fo, &rebuilt, &e) != 0) {
            fail_msg("fsm_open: %s", e.msg);
        }
        host_start(h);
    }
    (void)uv_timer_init(&w.loop, &w.tick);
    (void)uv_timer_start(&w.tick, tick, 1, 1);
    make_pool();
    world_settle();
    make_repo();
}

void world_end(void)
{
    w.faults = false;
    for (uint32_t i = 0; i < HOSTS; i++) {
        world_crash(&w.hosts[i], false);
        w.hosts[i].back_ms = UINT64_MAX;
    }
    uv_close((uv_handle_t *)&w.tick, NULL);
    while (uv_run(&w.loop, UV_RUN_DEFAULT) != 0) {
    }
    assert_int_equal(uv_loop_close(&w.loop), 0);
    for (uint32_t i = 0; i < HOSTS; i++) {
        w.hosts[i].fsm = fsm_close(w.hosts[i].fsm);
    }
    for (uint64_t i = 0; i < w.n_log; i++) {
        buf_done(&w.log[i]);
    }
    free(w.log);
    remove_tree(w.dir);
}
