/* Random commands, half of them sensible: replicas agree whatever their batches and snapshots, the
 * indexes and counts match the rows, and nothing makes apply fail. */

#include <stdio.h>
#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "fsm/tests/world.h"

#define ENTRIES 14000
#define GUESTS  12
#define HOSTS   4

static struct rng rng;
static uint64_t wall_ms = 1000000;

static bool often(void)
{
    return rng_below(&rng, 8) != 0;
}

static void random_name(char *to, size_t size, char letter, uint64_t n)
{
    (void)snprintf(to, size, "%c%u", letter, (unsigned)rng_below(&rng, n));
}

/* Names of what may be there. */
static void aim_names(const struct command *c, uint8_t *record)
{
    for (size_t i = 0; i < c->schema->n; i++) {
        const struct field *f = &c->schema->fields[i];
        char *at = (char *)record + f->offset;
        bool name = strcmp(f->name, "name") == 0 || strcmp(f->name, "to") == 0;
        if (f->kind != FIELD_STR) {
            continue;
        }
        if (name && strncmp(c->name, "guest", 5) == 0) {
            random_name(at, f->max + 1, 'g', GUESTS);
        } else if ((name && strncmp(c->name, "host", 4) == 0) || strcmp(f->name, "host") == 0) {
            random_name(at, f->max + 1, 'h', HOSTS);
        } else if (name && strncmp(c->name, "repo", 4) == 0) {
            random_name(at, f->max + 1, 'r', 3);
        } else if (f->max == 3 && *at != '\0') {
            (void)str_copy(at, 4, often() ? "on" : "off");
        }
    }
    /* A precondition that fails is rare. */
    const struct field *gen = schema_find(c->schema, "generation");
    if (gen != NULL) {
        uint64_t n = rng_below(&rng, 8) == 0 ? 3 : 0;
        memcpy(record + gen->offset, &n, sizeof n);
    }
}

static void aim_guest_report(struct fsm_view *v, struct cmd_guest_report *x)
{
    struct guest g;
    struct op o;
    if (fsm_get_guest(v, x->name, &g) != 0) {
        return;
    }
    if (often()) {
        x->epoch = g.run_epoch == 0 ? 1 : g.run_epoch;
        (void)str_copy(x->host, sizeof x->host, g.host[0] == '\0' ? "h0" : g.host);
    }
    if (often()) { /* What the agent would do next. */
        bool ends = g.state == GUEST_STOPPING || (g.state == GUEST_RUNNING && !often());
        bool moves = g.state == GUEST_STARTING || g.state == GUEST_MIGRATING;
        x->what = ends                      ? REPORT_EXITED
                  : g.saved[0] != '\0'      ? REPORT_RESTORED
                  : moves                   ? REPORT_STARTED
                  : g.want == WANT_PAUSED   ? REPORT_PAUSED
                  : g.state == GUEST_PAUSED ? REPORT_UNPAUSED
                                            : x->what;
        x->exit = 1 + (uint32_t)rng_below(&rng, 5);
    }
    if (rng_below(&rng, 8) == 0 && fsm_get_op(v, g.op, &o) == 0) { /* As the target would. */
        x->epoch = o.dst_epoch == 0 ? 1 : o.dst_epoch;
        (void)str_copy(x->host, sizeof x->host, o.dst[0] == '\0' ? "h0" : o.dst);
    }
}

static void random_group(char group[LIMIT_NAME + 1])
{
    memset(group, 0, LIMIT_NAME + 1);
    if (rng_below(&rng, 12) == 0) {
        random_name(group, LIMIT_NAME + 1, 'g', 8);
    }
}

static void aim_guest_create(struct cmd_guest_create *x)
{
    schema_init(&schema_guest_config, &x->config);
    x->config.memory_mib = 64 + (uint32_t)rng_below(&rng, 2500);
    x->config.on_crash = (uint32_t)rng_below(&rng, 3);
    x->config.on_poweroff = (uint32_t)rng_below(&rng, 3);
    x->start = often();
    random_group(x->apart);
    random_group(x->together);
    x->preferred_n = 0;
    memset(x->preferred, 0, sizeof x->preferred);
    if (rng_below(&rng, 3) == 0) {
        x->config.disks_n = 1;
        (void)snprintf(x->config.disks[0].path, 16, "r%u:x", (unsigned)rng_below(&rng, 3));
    }
}

static void aim_host(struct fsm_view *v, const struct command *c, void *record)
{
    struct cmd_host_report *report = record;
    struct cmd_host_seen *seen = record;
    struct cmd_host_renew *renew = record;
    struct host h;
    if (!often() || fsm_get_host(v, seen->name, &h) != 0) {
        return;
    }
    if (c->number == COMMAND_host_report) {
        report->raft_id = h.raft_id;
        report->incarnation = h.incarnation + 1;
        report->memory_mib = 4096;
        report->feature_level = 1;
    } else if (c->number == COMMAND_host_seen) {
        seen->raft_id = h.raft_id;
    } else if (c->number == COMMAND_host_lease_over) {
        ((struct cmd_host_lease_over *)record)->term = often() ? 1 : 2;
    } else if (c->number == COMMAND_host_renew) {
        renew->old_raft_id = h.raft_id;
    }
}

/* The commands about an operation begin with its number. */
static void aim_op(struct fsm_view *v, const struct command *c, void *record)
{
    struct op o = {.id = 0};
    for (uint64_t i = rng_below(&rng, 6); i > 0; i--) {
        struct op next;
        if (fsm_next_open_op(v, o.id, &next) == 0) {
            o = next;
        }
    }
    uint64_t id = o.id == 0 ? 1 : o.id;
    memcpy(record, &id, sizeof id);
    const struct field *host = schema_find(c->schema, "host");
    if (host != NULL && o.id != 0 && often()) {
        const char *name = c->number == COMMAND_migrate_prepared ? o.dst : o.src;
        (void)str_copy((char *)record + host->offset, host->max + 1, name[0] == '\0' ? "h0" : name);
    }
}

/* By hand, or as part of an evacuation of the guest's host. */
static void aim_guest_migrate(struct fsm_view *v, struct cmd_guest_migrate *x)
{
    struct guest g;
    struct host h;
    x->parent = 0;
    if (fsm_get_guest(v, x->name, &g) == 0 && fsm_get_host(v, g.host, &h) == 0 && often()) {
        x->parent = h.evacuation;
    }
}

static void aim_evacuation_end(struct fsm_view *v, struct cmd_evacuation_end *x)
{
    struct host h = {0};
    x->code = often() ? 0 : x->code;
    for (int rc = fsm_next_host(v, "", &h); rc == 0; rc = fsm_next_host(v, h.name, &h)) {
        x->id = h.evacuation == 0 ? x->id : h.evacuation;
    }
}

/* Make the record point at what is there, mostly. */
static void aim(struct fsm_view *v, const struct command *c, void *record)
{
    aim_names(c, record);
    if (c->number == COMMAND_guest_report) {
        aim_guest_report(v, record);
    } else if (c->number == COMMAND_guest_create) {
        aim_guest_create(record);
    } else if (c->number == COMMAND_guest_clone) {
        struct cmd_guest_clone *clone = record;
        schema_init(c->schema, clone); /* Of what has no cards; its disks may be in the way. */
        aim_names(c, record);
        clone->uuid = world_id(1u << 20 | rng_below(&rng, 1u << 20));
        clone->fresh = often();
    } else if (c->number == COMMAND_guest_start) {
        struct guest g;
        struct cmd_guest_start *start = record;
        start->again = fsm_get_guest(v, start->name, &g) == 0 && g.state == GUEST_PENDING;
    } else if (c->number == COMMAND_guest_set) {
        random_group(((struct cmd_guest_set *)record)->apart);
        random_group(((struct cmd_guest_set *)record)->together);
    } else if (c->number == COMMAND_pool_set) {
        ((struct cmd_pool_set *)record)->vcpu_percent = often() ? 0 : 10000;
    } else if (c->number == COMMAND_guest_migrate) {
        aim_guest_migrate(v, record);
    } else if (c->number == COMMAND_evacuation_end) {
        aim_evacuation_end(v, record);
    } else if (c->number == COMMAND_host_maintenance) {
        /* A pool that is in maintenance for good would do little. */
        (void)str_copy(((struct cmd_host_maintenance *)record)->mode, 4, often() ? "off" : "on");
    } else if (strncmp(c->name, "host_", 5) == 0) {
        aim_host(v, c, record);
    } else if (c->number == COMMAND_repo_new && often()) {
        ((struct cmd_repo_new *)record)->source[0] = '/';
    } else if (c->number == COMMAND_guest_save) {
        (void)str_copy(((struct cmd_guest_save *)record)->file, 4, "/f");
    } else if (c->number == COMMAND_guest_saved || c->number >= COMMAND_migrate_prepared) {
        aim_op(v, c, record);
    }
}

static const struct command *random_command(void)
{
    static const uint32_t favourites[] = {
        COMMAND_guest_create,     COMMAND_guest_start,    COMMAND_guest_report,
        COMMAND_guest_report,     COMMAND_guest_report,   COMMAND_guest_migrate,
        COMMAND_guest_migrate,    COMMAND_migrate_switch, COMMAND_migrate_prepared,
        COMMAND_migrate_prepared, COMMAND_migrate_switch, COMMAND_host_report,
        COMMAND_guest_report,     COMMAND_guest_report,   COMMAND_repo_new,
        COMMAND_evacuation_end,   COMMAND_guest_create,   COMMAND_guest_report,
        COMMAND_migrate_prepared, COMMAND_migrate_switch, COMMAND_guest_pause,
        COMMAND_guest_unpause,    COMMAND_guest_destroy,  COMMAND_guest_rename,
        COMMAND_guest_reboot,     COMMAND_guest_clone,    COMMAND_guest_save,
        COMMAND_guest_saved,      COMMAND_guest_saved,    COMMAND_guest_resume,
        COMMAND_guest_create,     COMMAND_guest_create,   COMMAND_guest_create,
        COMMAND_guest_report,     COMMAND_guest_report,   COMMAND_host_add,
        COMMAND_host_report,      COMMAND_host_report};
    if (rng_below(&rng, 6) != 0) {
        return command_by_number(favourites[rng_below(&rng, ARRAY_LEN(favourites))]);
    }
    const struct command *c = &commands[rng_below(&rng, n_commands)];
    /* Taking everything away again and again would leave little to test; and a check entry with a
     * wrong hash stops a replica, as it must. */
    bool rare = c->number == COMMAND_pool_set_level || c->number == COMMAND_host_renew ||
                c->number == COMMAND_guest_set || c->number == COMMAND_host_fence ||
                c->number == COMMAND_host_maintenance || c->number == COMMAND_host_evacuate ||
                c->number == COMMAND_host_release || c->number == COMMAND_host_power;
    return c->number == COMMAND_pool_check || (rare && often()) ? random_command() : c;
}

static void random_entry(struct fsm *f, uint64_t n, struct buf *out)
{
    const struct command *c = n == 0 ? command_by_number(COMMAND_pool_init) : random_command();
    struct entry head = {.number = c->number, .request = world_id(n + 1)};
    void *record = mem_new(1, c->schema->size);
    schema_random(c->schema, &rng, record);
    struct fsm_view *v = fsm_view_open(f);
    aim(v, c, record);
    (void)fsm_view_close(v);
    if (c->number == COMMAND_pool_init || c->number == COMMAND_host_add) {
        const struct field *address = schema_find(c->schema, "address");
        const struct field *name = schema_find(c->schema, n == 0 ? "host" : "name");
        char text[LIMIT_NAME + 3];
        (void)snprintf(text, sizeof text, "%.63s:1", (char *)record + name->offset);
        (void)str_copy((char *)record + address->offset, address->max + 1, text);
    }
    if (n == 0) {
        (void)str_copy(((struct cmd_pool_init *)record)->name, LIMIT_NAME + 1, "p");
        ((struct cmd_pool_init *)record)->id = world_id(1);
    }
    if (rng_below(&rng, 20) == 0 && n > 0) {
        head.request = world_id(1 + rng_below(&rng, n)); /* A retry of something. */
    }
    wall_ms += rng_below(&rng, 2000);
    head.wall_ms = rng_below(&rng, 50) == 0 ? rng_below(&rng, UINT64_C(1) << 45) : wall_ms;
    random_name(head.host, sizeof head.host, 'h', HOSTS);
    world_entry(out, &head, record);
    free(record);
    if (rng_below(&rng, 30) == 0) { /* Damage. */
        out->data[rng_below(&rng, out->len)] ^= (uint8_t)(1u << rng_below(&rng, 8));
    }
}

/* --- what must hold of every state */

static void check_guest(struct fsm_view *v, const struct guest *g, const struct pool *pool)
{
    struct op o;
    struct guest same;
    bool at_home = g->host[0] != '\0';
    assert_int_equal(fsm_get_guest_of(v, &g->uuid, &same), 0);
    assert_string_equal(same.name, g->name);
    bool resting = g->state == GUEST_STOPPED || g->state == GUEST_FAILED ||
                   g->state == GUEST_PENDING || g->state == GUEST_SAVED;
    struct host h;
    assert_true(g->state == GUEST_FAILED || at_home == !resting);
    assert_true(!at_home || fsm_get_host(v, g->host, &h) == 0);
    assert_true(g->run_epoch < pool->next_epoch);
    assert_true(!resting || g->op == 0);
    assert_true(!g->guarded || at_home);
    assert_true(g->state != GUEST_PENDING || g->want != WANT_OFF);
    /* Whatever has a saved memory has not run since: docs/protocols/saving.md. */
    assert_true(g->state != GUEST_SAVED || g->saved[0] != '\0');
    assert_true(g->saved[0] == '\0' || g->state == GUEST_SAVED || g->state == GUEST_STARTING ||
                g->state == GUEST_PENDING ||
                (g->state == GUEST_STOPPING && g->stop == STOP_DESTROY));
    if (g->op != 0) {
        assert_int_equal(fsm_get_op(v, g->op, &o), 0);
        assert_int_equal(o.state, OP_RUNNING);
        assert_string_equal(o.subject, g->name);
    }
    assert_true((g->state == GUEST_MIGRATING) == (g->op != 0 && o.kind == OP_MIGRATE));
    assert_true((g->state == GUEST_SAVING) == (g->op != 0 && o.kind == OP_SAVE));
    assert_true((g->state == GUEST_STOPPING) == (g->stop != STOP_NONE));
    if (g->state == GUEST_MIGRATING) {
        bool switched = o.phase == OP_PHASE_SWITCHED;
        assert_string_equal(g->host, switched ? o.dst : o.src);
        assert_true(g->run_epoch == (switched ? o.dst_epoch : o.src_epoch));
    }
}

static void check_host(struct fsm_view *v, const struct host *h)
{
    uint64_t memory = 0;
    uint64_t n = 0;
    uint64_t by_index = 0;
    struct guest g = {.name = ""};
    struct op o;
    char before[LIMIT_NAME + 1] = "";
    while (fsm_next_guest(v, before, &g) == 0) {
        (void)str_copy(before, sizeof before, g.name);
        bool coming = g.op != 0 && fsm_get_op(v, g.op, &o) == 0 && o.kind == OP_MIGRATE &&
                      o.phase <= OP_PHASE_TRANSFER && strcmp(o.dst, h->name) == 0;
        bool here = strcmp(g.host, h->name) == 0;
        memory += here || coming ? g.config.memory_mib : 0;
        n += here ? 1 : 0;
    }
    before[0] = '\0';
    while (fsm_next_guest_on(v, h->name, before, &g) == 0) {
        (void)str_copy(before, sizeof before, g.name);
        assert_string_equal(g.host, h->name);
        by_index++;
    }
    assert_int_equal(n, by_index);
    assert_int_equal(memory, fsm_reserved_mib(v, h->name));
}

/* Whom a guest concerns, by the index and by what the guest and its operation say. */
static void check_concerns(struct fsm_view *v, const struct guest *g)
{
    struct host h = {.name = ""};
    struct op o = {.dst = ""};
    char before[LIMIT_NAME + 1] = "";
    if (g->state == GUEST_MIGRATING) {
        assert_int_equal(fsm_get_op(v, g->op, &o), 0);
    }
    while (fsm_next_host(v, before, &h) == 0) {
        (void)str_copy(before, sizeof before, h.name);
        bool want = strcmp(h.name, g->host) == 0 || strcmp(h.name, o.dst) == 0;
        assert_int_equal(fsm_guest_concerns(v, g->name, h.name), want);
    }
}

static void check_ops(struct fsm_view *v, uint64_t open)
{
    struct op o;
    struct guest g;
    struct host h = {0};
    uint64_t n = 0;
    uint64_t evacuations = 0;
    for (uint64_t id = 0; fsm_next_open_op(v, id, &o) == 0; id = o.id) {
        assert_int_equal(o.state, OP_RUNNING);
        n++;
        if (o.kind == OP_EVACUATE) {
            assert_int_equal(fsm_get_host(v, o.subject, &h), 0);
            assert_int_equal(h.evacuation, o.id);
            assert_int_equal(h.state, HOST_UP);
            evacuations++;
            continue;
        }
        if (o.kind == OP_RETURN || o.kind == OP_RESTART) {
            continue; /* It binds nobody. */
        }
        assert_int_equal(fsm_get_guest(v, o.subject, &g), 0);
        assert_int_equal(g.op, o.id);
    }
    assert_int_equal(n, open);
    for (int rc = fsm_next_host(v, "", &h); rc == 0; rc = fsm_next_host(v, h.name, &h)) {
        evacuations -= h.evacuation != 0 ? 1 : 0;
    }
    assert_int_equal(evacuations, 0);
    for (uint64_t id = 0; fsm_next_op(v, id, &o) == 0; id = o.id) {
        n -= o.state == OP_RUNNING ? 1 : 0;
        assert_true(o.state == OP_RUNNING || o.key[0] == '\0');
    }
    assert_int_equal(n, 0);
}

static void check_state(struct fsm *f)
{
    struct fsm_view *v = fsm_view_open(f);
    struct fsm_counts c;
    struct pool pool;
    struct guest g = {.name = ""};
    struct host h = {.name = ""};
    char before[LIMIT_NAME + 1] = "";
    uint64_t guests = 0;
    uint64_t running = 0;
    uint64_t hosts = 0;
    fsm_count(v, &c);
    assert_int_equal(fsm_get_pool(v, &pool), 0);
    while (fsm_next_guest(v, before, &g) == 0) {
        (void)str_copy(before, sizeof before, g.name);
        check_guest(v, &g, &pool);
        check_concerns(v, &g);
        guests++;
        running += g.state == GUEST_RUNNING || g.state == GUEST_MIGRATING ? 1 : 0;
    }
    before[0] = '\0';
    while (fsm_next_host(v, before, &h) == 0) {
        (void)str_copy(before, sizeof before, h.name);
        check_host(v, &h);
        hosts++;
    }
    assert_int_equal(guests, c.guests);
    assert_int_equal(running, c.running);
    assert_int_equal(hosts, c.hosts);
    check_ops(v, c.ops_open);
    (void)fsm_view_close(v);
}

/* Situations that must have come up. */
static struct {
    const char *kind;
    unsigned n;
} events[] = {
    {"guest.started", 0},  {"guest.failed", 0},    {"guest.stopped", 0},  {"guest.paused", 0},
    {"guest.unpaused", 0}, {"guest.migrating", 0}, {"guest.switched", 0}, {"guest.stopping", 0},
    {"guest.deleted", 0},  {"guest.renamed", 0},   {"guest.saving", 0},   {"guest.saved", 0},
    {"host.down", 0},      {"host.removed", 0},    {"repo.added", 0},     {"op.ended", 0}};

static void count_events(struct fsm *f)
{
    size_t n;
    const struct event *new = fsm_new_events(f, &n);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < ARRAY_LEN(events); k++) {
            events[k].n += strcmp(events[k].kind, new[i].kind) == 0 ? 1 : 0;
        }
    }
}

/* --- the test */

struct applied {
    struct buf entry;
    struct outcome outcome;
};

static void replay(struct fsm *f, const struct applied *list, size_t from, size_t to)
{
    struct err e = {0};
    while (from < to) {
        size_t n = min_u64(to - from, 1 + rng_below(&rng, 64));
        assert_int_equal(fsm_begin(f, &e), 0);
        for (; n > 0; n--, from++) {
            struct fsm_applied_entry done;
            const struct applied *x = &list[from];
            assert_int_equal(
                fsm_apply(f, &(struct fsm_input){from + 1, /*term=*/1, x->entry.data, x->entry.len},
                          &done, &e),
                0);
            assert_memory_equal(&done.outcome, &x->outcome, sizeof done.outcome);
        }
        bool later = rng_below(&rng, 4) != 0;
        assert_int_equal(later ? fsm_commit_later(f, &e) : fsm_commit(f, &e), 0);
    }
}

static void replicas_agree_whatever_batches_and_snapshots(void **state)
{
    (void)state;
    char dir[128];
    unsigned codes[64] = {0};
    rng_seed(&rng, 42);
    (void)str_copy(dir, sizeof dir, world_dir());
    struct fsm *a = world_open(dir);
    struct applied *list = mem_new(ENTRIES, sizeof *list);
    for (size_t i = 0; i < ENTRIES; i++) {
        random_entry(a, i, &list[i].entry);
        list[i].outcome = world_apply(a, &list[i].entry).outcome;
        codes[list[i].outcome.code % 64]++;
        count_events(a);
        if (i % 10 == 0) {
            check_state(a);
        }
    }
    /* Enough was accepted, and every common refusal was met. */
    assert_true(codes[0] > ENTRIES / 10);
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        if (events[i].n < 5) {
            fail_msg("%u times %s: too few", events[i].n, events[i].kind);
        }
    }
    const int want[] = {ERR_INVALID, ERR_NOT_FOUND, ERR_EXISTS, ERR_STATE,
                        ERR_NO_ROOM, ERR_STALE,     ERR_IN_USE, ERR_MALFORMED};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        if (codes[-want[i]] == 0) {
            fail_msg("no entry was refused as %s", err_name(want[i]));
        }
    }
    struct fsm *b = world_open_new();
    size_t at = 0;
    for (int i = 0; i < 5; i++) { /* Each part on another store, filled by a snapshot. */
        size_t to = at + rng_below(&rng, ENTRIES / 4);
        replay(b, list, at, min_u64(to, ENTRIES));
        at = min_u64(to, ENTRIES);
        struct fsm *c = world_open_new();
        world_copy(b, c);
        assert_true(world_same(b, c));
        (void)fsm_close(b);
        b = c;
    }
    replay(b, list, at, ENTRIES);
    assert_true(world_same(a, b));
    /* The file is sound by our own check after all this. */
    struct hash128 hash = fsm_hash(a);
    (void)fsm_close(a);
    const struct fsm_options o = {.dir = dir, .boot_id = "boot-1", .map_bytes = (size_t)1 << 30};
    bool rebuilt = true;
    struct err e = {0};
    assert_int_equal(fsm_open(&a, &o, &rebuilt, &e), 0);
    assert_false(rebuilt);
    assert_true(hash_equal(hash, fsm_hash(a)));
    (void)fsm_close(a);
    (void)fsm_close(b);
    for (size_t i = 0; i < ENTRIES; i++) {
        buf_done(&list[i].entry);
    }
    free(list);
}

/* The same bytes in every build, by whatever compiler and with whatever optimisation: a change of
 * this number is a change of the replicated state, which needs a feature level. */
static void the_state_hash_of_a_fixed_log_is_fixed(void **state)
{
    (void)state;
    char text[HASH_TEXT_SIZE];
    rng_seed(&rng, 7);
    wall_ms = 1000000;
    struct fsm *f = world_open_new();
    for (size_t i = 0; i < 500; i++) {
        CLEANUP(buf_done) struct buf entry = {0};
        random_entry(f, i, &entry);
        (void)world_apply(f, &entry);
    }
    assert_string_equal(hash_text(fsm_hash(f), text), "38e9bd93461078c83bdb6df9d8ca629f");
    (void)fsm_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_agree_whatever_batches_and_snapshots),
        cmocka_unit_test(the_state_hash_of_a_fixed_log_is_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
