/* Applies per second in batches, and snapshots; by hand: fsm_bench_apply [--steady] */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/rng.h"
#include "core/util.h"

#include "fsm/tests/world.h"

static uint64_t requests;

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void entry_of(struct buf *out, uint32_t number, const void *record)
{
    const struct entry head = {
        .number = number, .request = world_id(++requests), .host = "h1", .wall_ms = 1000};
    world_entry(out, &head, record);
}

static void run(struct fsm *f, uint32_t number, const void *record)
{
    CLEANUP(buf_done) struct buf b = {0};
    entry_of(&b, number, record);
    if (world_apply(f, &b).outcome.code != 0) {
        abort();
    }
}

static struct fsm *new_pool(void)
{
    struct fsm *f = world_open_new();
    struct cmd_pool_init init;
    struct cmd_host_report up;
    schema_init(&schema_cmd_pool_init, &init);
    init.id = world_id(1);
    (void)str_copy(init.name, sizeof init.name, "p");
    (void)str_copy(init.host, sizeof init.host, "h1");
    (void)str_copy(init.address, sizeof init.address, "h1:1");
    run(f, COMMAND_pool_init, &init);
    schema_init(&schema_cmd_host_report, &up);
    (void)str_copy(up.name, sizeof up.name, "h1");
    up.raft_id = 1;
    up.incarnation = 1;
    up.memory_mib = UINT32_MAX;
    run(f, COMMAND_host_report, &up);
    return f;
}

static void create(struct buf *b, unsigned n, bool start)
{
    struct cmd_guest_create c;
    schema_init(&schema_cmd_guest_create, &c);
    (void)snprintf(c.name, sizeof c.name, "guest-%06u", n);
    c.uuid = world_id(1000000 + n);
    c.start = start;
    (void)str_copy(c.host, sizeof c.host, "h1");
    c.config.disks_n = 1;
    (void)snprintf(c.config.disks[0].path, 64, "/srv/images/guest-%06u.qcow2", n);
    (void)str_copy(c.config.kernel, sizeof c.config.kernel, "/boot/vmlinuz");
    entry_of(b, COMMAND_guest_create, &c);
}

/* Apply n creates in batches; returns the store. */
static struct fsm *creates(unsigned n, unsigned batch, bool start)
{
    struct fsm *f = new_pool();
    struct buf *entries = mem_new(n, sizeof *entries);
    struct err e = {0};
    for (unsigned i = 0; i < n; i++) {
        create(&entries[i], i, start);
    }
    uint64_t index = fsm_applied(f);
    double before = seconds();
    for (unsigned i = 0; i < n; i++) {
        struct fsm_applied_entry done;
        if ((i % batch == 0 && fsm_begin(f, &e) != 0) ||
            fsm_apply(f, &(struct fsm_input){++index, /*term=*/1, entries[i].data, entries[i].len},
                      &done, &e) != 0 ||
            done.outcome.code != 0 ||
            ((i % batch == batch - 1 || i == n - 1) && fsm_commit(f, &e) != 0)) {
            abort();
        }
    }
    double took = seconds() - before;
    (void)printf("guest_create %-8s batches of %3u: %8.0f applies/s\n", start ? "+start" : "",
                 batch, n / took);
    for (unsigned i = 0; i < n; i++) {
        buf_done(&entries[i]);
    }
    free(entries);
    return f;
}

/* What `./lab bench log` does: 256 guests in turn, the tables of requests and events full, so that
 * each entry also drops what it adds. Groups of `batch` share a transaction up to 1,024 entries.
 * The function is one of its own so that callgrind can count just this. */
static __attribute__((noinline)) void steady(struct fsm *f, struct buf *entries, unsigned n)
{
    struct err e = {0};
    const unsigned batch = 64;
    uint64_t index = fsm_applied(f);
    for (unsigned i = 0; i < n; i++) {
        struct fsm_applied_entry done;
        if ((i % batch == 0 && fsm_begin(f, &e) != 0) ||
            fsm_apply(f, &(struct fsm_input){++index, /*term=*/1, entries[i].data, entries[i].len},
                      &done, &e) != 0 ||
            done.outcome.code != 0 ||
            ((i % batch == batch - 1 || i == n - 1) && fsm_commit_later(f, &e) != 0) ||
            (fsm_unsettled(f) >= 1024 && fsm_settle(f, &e) != 0)) {
            abort();
        }
    }
}

static struct buf *sets(unsigned n)
{
    struct buf *entries = mem_new(n, sizeof *entries);
    struct rng rng;
    rng_seed(&rng, 1);
    for (unsigned i = 0; i < n; i++) {
        struct cmd_guest_set c;
        CLEANUP(buf_done) struct buf body = {0};
        schema_init(&schema_cmd_guest_set, &c);
        (void)snprintf(c.name, sizeof c.name, "guest-%06u", i % 256);
        c.priority = i / 256 % 1000;
        schema_encode(&schema_cmd_guest_set, &c, &body);
        const struct entry en = {.number = COMMAND_guest_set,
                                 .request = id_new(&rng),
                                 .host = "h1",
                                 .wall_ms = 1000 + i,
                                 .body = body.data,
                                 .body_len = body.len};
        entry_encode(&en, &entries[i]);
    }
    return entries;
}

static void set_steadily(void)
{
    const unsigned fill = 21000;
    const unsigned n = 20000;
    struct fsm *f = creates(256, 256, false);
    struct buf *entries = sets(fill + n);
    steady(f, entries, fill);
    double before = seconds();
    steady(f, entries + fill, n);
    (void)printf("guest_set in a full store: %8.0f applies/s\n", n / (seconds() - before));
    for (unsigned i = 0; i < fill + n; i++) {
        buf_done(&entries[i]);
    }
    free(entries);
    (void)fsm_close(f);
}

static void snapshot(struct fsm *f)
{
    double t0 = seconds();
    CLEANUP(buf_done) struct buf b = world_snapshot(f);
    double t1 = seconds();
    struct fsm *g = world_open_new();
    struct err e = {0};
    if (world_load(g, b.data, b.len, &e) != 0) {
        abort();
    }
    (void)printf("snapshot: %zu KiB, written in %.1f ms, loaded in %.1f ms\n", b.len / 1024,
                 1e3 * (t1 - t0), 1e3 * (seconds() - t1));
    (void)fsm_close(g);
}

static void codec(void)
{
    CLEANUP(buf_done) struct buf b = {0};
    struct entry en;
    struct cmd_guest_create c;
    struct err e = {0};
    create(&b, 1, true);
    if (entry_decode(b.data, b.len, &en) != 0) {
        abort();
    }
    double t0 = seconds();
    for (int i = 0; i < 1000000; i++) {
        if (schema_decode_all(&schema_cmd_guest_create, en.body, en.body_len, &c, &e) != 0) {
            abort();
        }
    }
    double t1 = seconds();
    CLEANUP(buf_done) struct buf out = {0};
    for (int i = 0; i < 1000000; i++) {
        buf_clear(&out);
        schema_encode(&schema_cmd_guest_create, &c, &out);
    }
    (void)printf("guest_create of %zu bytes: decode %.2f us, encode %.2f us\n", en.body_len,
                 t1 - t0, seconds() - t1);
}

int main(int argc, char **argv)
{
    const unsigned batches[] = {1, 16, 256};
    set_steadily();
    if (argc > 1 && strcmp(argv[1], "--steady") == 0) {
        return 0;
    }
    codec();
    for (size_t i = 0; i < ARRAY_LEN(batches); i++) {
        (void)fsm_close(creates(20000, batches[i], false));
    }
    (void)fsm_close(creates(1000, 16, true));
    struct fsm *f = creates(10000, 256, false);
    snapshot(f);
    double t0 = seconds();
    unsigned n = 0;
    struct guest g = {.name = ""};
    char after[LIMIT_NAME + 1] = "";
    struct fsm_view *v = fsm_view_open(f);
    while (fsm_next_guest(v, after, &g) == 0) {
        (void)str_copy(after, sizeof after, g.name);
        n++;
    }
    (void)fsm_view_close(v);
    (void)printf("list of %u guests: %.1f ms\n", n, 1e3 * (seconds() - t0));
    (void)fsm_close(f);
    return 0;
}
