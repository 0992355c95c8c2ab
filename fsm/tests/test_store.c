/* The store on its bad days, and snapshots. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "fsm/tests/world.h"

/* Requests made so far: each entry of a test is a new one. */
static uint64_t requests;

static struct fsm_applied_entry run(struct fsm *f, uint32_t number, const void *record)
{
    CLEANUP(buf_done) struct buf b = {0};
    const struct entry head = {
        .number = number, .request = world_id(++requests), .host = "h1", .wall_ms = 1000};
    world_entry(&b, &head, record);
    return world_apply(f, &b);
}

static void make_pool(struct fsm *f)
{
    struct cmd_pool_init init;
    schema_init(&schema_cmd_pool_init, &init);
    init.id = world_id(1);
    (void)str_copy(init.name, sizeof init.name, "p");
    (void)str_copy(init.host, sizeof init.host, "h1");
    (void)str_copy(init.address, sizeof init.address, "h1:1");
    assert_int_equal(run(f, COMMAND_pool_init, &init).outcome.code, 0);
}

static uint32_t make_guest(struct fsm *f, unsigned n)
{
    struct cmd_guest_create c;
    schema_init(&schema_cmd_guest_create, &c);
    (void)snprintf(c.name, sizeof c.name, "g%u", n);
    c.uuid = world_id(100000 + n);
    c.start = false;
    c.config.disks_n = 1;
    (void)str_copy(c.config.disks[0].path, sizeof c.config.disks[0].path, "/srv/images/disk.img");
    return run(f, COMMAND_guest_create, &c).outcome.code;
}

static struct fsm *pool_of(const char *dir, unsigned guests)
{
    struct fsm *f = world_open(dir);
    make_pool(f);
    for (unsigned i = 0; i < guests; i++) {
        assert_int_equal(make_guest(f, i), 0);
    }
    return f;
}

static int open_as(const char *dir, const char *boot_id, bool *ret_rebuilt, uint64_t *ret_applied)
{
    const struct fsm_options o = {.dir = dir, .boot_id = boot_id, .map_bytes = (size_t)1 << 28};
    struct fsm *f = NULL;
    struct err e = {0};
    int rc = fsm_open(&f, &o, ret_rebuilt, &e);
    if (rc == 0) {
        *ret_applied = fsm_applied(f);
        (void)fsm_close(f);
    }
    return rc;
}

static void a_closed_store_opens_with_the_same_state(void **state)
{
    (void)state;
    char dir[128];
    (void)str_copy(dir, sizeof dir, world_dir());
    struct fsm *f = pool_of(dir, 50);
    struct hash128 hash = fsm_hash(f);
    uint64_t applied = fsm_applied(f);
    f = fsm_close(f);
    f = world_open(dir);
    assert_int_equal(fsm_applied(f), applied);
    assert_true(hash_equal(fsm_hash(f), hash));
    assert_int_equal(make_guest(f, 7), (uint32_t)-ERR_EXISTS);
    (void)fsm_close(f);
    bool rebuilt = true;
    assert_int_equal(open_as(dir, "another boot", &rebuilt, &applied), 0);
    assert_false(rebuilt); /* Closed cleanly: good after a reboot. */
}

/* Run in a child that dies without closing, as a kill -9 would leave things. */
static void leave_open(const char *dir)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)pool_of(dir, 20);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void a_killed_process_loses_nothing_but_a_killed_machine_starts_empty(void **state)
{
    (void)state;
    char dir[128];
    bool rebuilt = true;
    uint64_t applied = 0;
    (void)str_copy(dir, sizeof dir, world_dir());
    leave_open(dir);
    assert_int_equal(open_as(dir, "boot-1", &rebuilt, &applied), 0);
    assert_false(rebuilt);
    assert_int_equal(applied, 21);
    (void)str_copy(dir, sizeof dir, world_dir());
    leave_open(dir);
    assert_int_equal(open_as(dir, "boot-2", &rebuilt, &applied), 0);
    assert_true(rebuilt);
    assert_int_equal(applied, 0);
}

static void two_cannot_open_one_store(void **state)
{
    (void)state;
    char dir[128];
    bool rebuilt;
    uint64_t applied;
    (void)str_copy(dir, sizeof dir, world_dir());
    struct fsm *f = world_open(dir);
    assert_int_equal(open_as(dir, "boot-1", &rebuilt, &applied), ERR_LOCKED);
    (void)fsm_close(f);
    assert_int_equal(open_as(dir, "boot-1", &rebuilt, &applied), 0);
}

static void a_directory_that_cannot_be_made_is_an_error(void **state)
{
    (void)state;
    bool rebuilt;
    uint64_t applied;
    assert_int_equal(open_as("/nonexistent/a/b", "b", &rebuilt, &applied), ERR_IO);
    assert_int_equal(open_as("/proc/x", "b", &rebuilt, &applied), ERR_IO);
}

static void flip(const char *path, off_t at, uint8_t bit)
{
    int fd = open(path, O_RDWR);
    uint8_t c;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= bit;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    (void)close(fd);
}

static void copy_file(const char *from, const char *to)
{
    char command[400];
    (void)snprintf(command, sizeof command, "cp -p %s %s", from, to);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a path of our own. */
}

/* Any one byte of the store's file may rot: what is opened is the state or nothing, never another
 * state, and never a crash. */
static void a_rotten_byte_is_found_or_harmless(void **state)
{
    (void)state;
    char dir[128];
    char file[160];
    char good[160];
    (void)str_copy(dir, sizeof dir, world_dir());
    struct fsm *f = pool_of(dir, 300);
    for (unsigned i = 0; i < 100; i++) { /* Leave free pages behind. */
        (void)make_guest(f, i);
    }
    uint64_t want = fsm_applied(f);
    (void)fsm_close(f);
    (void)snprintf(file, sizeof file, "%s/state.mdb", dir);
    (void)snprintf(good, sizeof good, "%s/good", dir);
    copy_file(file, good);
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    struct rng rng;
    rng_seed(&rng, 3);
    unsigned found = 0;
    for (int i = 0; i < 400; i++) {
        bool rebuilt = false;
        uint64_t applied = 0;
        /* Heads of pages and nodes matter most: every other flip is at the begin of a page. */
        off_t at = (off_t)rng_below(&rng, (uint64_t)st.st_size);
        if (i % 2 == 0) {
            at = at / 4096 * 4096 + (off_t)rng_below(&rng, 64);
        }
        flip(file, at, (uint8_t)(1u << rng_below(&rng, 8)));
        assert_int_equal(open_as(dir, "boot-1", &rebuilt, &applied), 0);
        assert_int_equal(applied, rebuilt ? 0 : want);
        found += rebuilt ? 1 : 0;
        copy_file(good, file);
    }
    assert_in_range(found, 50, 399);
}

/* The names in the table of what the store is. (Simulator, 5 hosts, seed 440443.) */
static void a_store_without_its_head_is_emptied(void **state)
{
    (void)state;
    static const char *const names[] = {"head", "format", "meta", "rows0"};
    char dir[128];
    char file[160];
    uint8_t page[4096];
    (void)str_copy(dir, sizeof dir, world_dir());
    (void)snprintf(file, sizeof file, "%s/state.mdb", dir);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct fsm *f = pool_of(dir, 50);
        (void)fsm_close(f);
        int fd = open(file, O_RDWR);
        assert_true(fd >= 0);
        for (off_t at = 0; pread(fd, page, sizeof page, at) == (ssize_t)sizeof page;
             at += (off_t)sizeof page) {
            uint8_t *found = memmem(page, sizeof page, names[i], strlen(names[i]));
            if (found != NULL) {
                *found ^= 1;
                assert_int_equal(pwrite(fd, page, sizeof page, at), sizeof page);
            }
        }
        (void)close(fd);
        bool rebuilt = false;
        uint64_t applied = 1;
        assert_int_equal(open_as(dir, "boot-1", &rebuilt, &applied), 0);
        assert_true(rebuilt);
        assert_int_equal(applied, 0);
    }
}

static void a_file_cut_short_or_of_rubbish_is_emptied(void **state)
{
    (void)state;
    char dir[128];
    char file[160];
    bool rebuilt = false;
    uint64_t applied;
    for (int i = 0; i < 4; i++) {
        (void)str_copy(dir, sizeof dir, world_dir());
        (void)fsm_close(pool_of(dir, 200));
        (void)snprintf(file, sizeof file, "%s/state.mdb", dir);
        const off_t sizes[] = {0, 100, 8192, 40960};
        assert_int_equal(truncate(file, sizes[i]), 0);
        assert_int_equal(open_as(dir, "boot-1", &rebuilt, &applied), 0);
        assert_int_equal(applied, 0);
        assert_true(rebuilt);
    }
}

static void a_full_map_ends_the_replica_and_keeps_its_state(void **state)
{
    (void)state;
    char dir[128];
    (void)str_copy(dir, sizeof dir, world_dir());
    const struct fsm_options o = {.dir = dir, .boot_id = "b", .map_bytes = 1u << 20};
    struct fsm *f = NULL;
    struct err e = {0};
    bool rebuilt;
    assert_int_equal(fsm_open(&f, &o, &rebuilt, &e), 0);
    make_pool(f);
    int rc = 0;
    uint64_t applied = 0;
    struct hash128 hash = fsm_hash(f);
    for (unsigned i = 0; rc == 0; i++) {
        CLEANUP(buf_done) struct buf b = {0};
        struct fsm_applied_entry done;
        struct cmd_repo_new c;
        schema_init(&schema_cmd_repo_new, &c); /* Rejected: only the request tables grow. */
        (void)str_copy(c.name, sizeof c.name, "r");
        (void)str_copy(c.source, sizeof c.source, "x");
        applied = fsm_applied(f);
        hash = fsm_hash(f);
        const struct entry head = {
            .number = COMMAND_repo_new, .request = world_id(++requests), .wall_ms = 1000};
        world_entry(&b, &head, &c);
        rc = fsm_begin(f, &e);
        rc = rc == 0 ? fsm_apply(f, &(struct fsm_input){applied + 1, /*term=*/1, b.data, b.len},
                                 &done, &e)
                     : rc;
        rc = rc == 0 ? fsm_commit(f, &e) : rc;
        assert_true(i < 100000);
    }
    assert_int_equal(rc, ERR_NO_SPACE);
    assert_int_equal(fsm_applied(f), applied);
    assert_true(hash_equal(fsm_hash(f), hash));
    assert_int_equal(fsm_begin(f, &e), ERR_NO_SPACE); /* For good. */
    (void)fsm_close(f);
}

static void a_view_does_not_move(void **state)
{
    (void)state;
    struct fsm *f = pool_of(world_dir(), 3);
    struct fsm_view *v = fsm_view_open(f);
    uint64_t index = fsm_view_index(v);
    struct hash128 hash = fsm_view_hash(v);
    assert_int_equal(make_guest(f, 3), 0);
    struct guest g;
    assert_int_equal(fsm_get_guest(v, "g3", &g), ERR_NOT_FOUND);
    assert_int_equal(fsm_view_index(v), index);
    assert_true(hash_equal(fsm_view_hash(v), hash));
    /* Also not by a snapshot that replaces everything. */
    struct fsm *other = pool_of(world_dir(), 1);
    world_copy(other, f);
    assert_int_equal(fsm_get_guest(v, "g2", &g), 0);
    assert_true(world_same(other, f));
    (void)fsm_view_close(v);
    v = fsm_view_open(f);
    assert_int_equal(fsm_get_guest(v, "g2", &g), ERR_NOT_FOUND);
    (void)fsm_view_close(v);
    (void)fsm_close(f);
    (void)fsm_close(other);
}

/* Apply one guest's creation, to be settled later. */
static void make_guest_later(struct fsm *f, unsigned n)
{
    CLEANUP(buf_done) struct buf b = {0};
    struct fsm_applied_entry done;
    struct cmd_guest_create c;
    struct err e = {0};
    schema_init(&schema_cmd_guest_create, &c);
    (void)snprintf(c.name, sizeof c.name, "g%u", n);
    c.uuid = world_id(100000 + n);
    c.start = false;
    const struct entry head = {
        .number = COMMAND_guest_create, .request = world_id(++requests), .wall_ms = 1000};
    world_entry(&b, &head, &c);
    assert_int_equal(fsm_begin(f, &e), 0);
    assert_int_equal(
        fsm_apply(f, &(struct fsm_input){fsm_applied(f) + 1, /*term=*/1, b.data, b.len}, &done, &e),
        0);
    assert_int_equal(done.outcome.code, 0);
    assert_int_equal(fsm_commit_later(f, &e), 0);
}

/* The store as a process finds it that opens it beside: what a killed one would leave. */
static uint64_t stored(struct fsm *f)
{
    return fsm_applied(f) - fsm_unsettled(f);
}

static void what_is_committed_later_is_seen_at_once(void **state)
{
    (void)state;
    struct fsm *f = pool_of(world_dir(), 2);
    struct outcome o;
    struct guest g;
    struct err e = {0};
    size_t n_events;
    struct fsm_view *old = fsm_view_open(f);
    make_guest_later(f, 2);
    (void)fsm_new_events(f, &n_events);
    assert_true(n_events > 0);
    make_guest_later(f, 3);
    assert_int_equal(fsm_applied(f), 5);
    assert_int_equal(fsm_unsettled(f), 2);
    const struct id last = world_id(requests);
    assert_int_equal(fsm_request_outcome(f, &last, &o), 0);
    struct fsm_view *v = fsm_look(f);
    struct fsm_view *w = fsm_look(f);
    assert_int_equal(fsm_view_index(v), 5);
    assert_true(hash_equal(fsm_view_hash(v), fsm_hash(f)));
    assert_int_equal(fsm_get_guest(v, "g3", &g), 0);
    assert_int_equal(fsm_next_guest(w, "g2", &g), 0);
    assert_string_equal(g.name, "g3");
    (void)fsm_view_close(v);
    (void)fsm_view_close(w);
    assert_int_equal(fsm_unsettled(f), 2);
    v = fsm_view_open(f); /* One that is to stay needs it in the store. */
    assert_int_equal(fsm_unsettled(f), 0);
    make_guest_later(f, 4);
    assert_int_equal(fsm_view_index(v), 5);
    assert_int_equal(fsm_get_guest(v, "g3", &g), 0);
    assert_int_equal(fsm_get_guest(v, "g4", &g), ERR_NOT_FOUND);
    assert_int_equal(fsm_get_guest(old, "g2", &g), ERR_NOT_FOUND);
    assert_int_equal(fsm_settle(f, &e), 0);
    assert_int_equal(fsm_settle(f, &e), 0); /* Nothing to do. */
    (void)fsm_view_close(old);
    (void)fsm_view_close(v);
    (void)fsm_close(f);
}

/* The child dies with entries unsettled; what it had settled is there, whole. */
static void a_killed_process_is_back_at_what_it_had_settled(void **state)
{
    (void)state;
    char dir[128];
    (void)str_copy(dir, sizeof dir, world_dir());
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err e = {0};
        struct fsm *f = pool_of(dir, 3);
        make_guest_later(f, 3);
        (void)fsm_settle(f, &e);
        make_guest_later(f, 4);
        make_guest_later(f, 5);
        _exit(stored(f) == 5 && fsm_applied(f) == 7 ? 0 : 1);
    }
    int status;
    bool rebuilt = true;
    uint64_t applied = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(open_as(dir, "boot-1", &rebuilt, &applied), 0);
    assert_false(rebuilt);
    assert_int_equal(applied, 5);
}

/* A fault takes back what was not settled, in memory too: nobody may act on what a restart undoes.
 */
static void a_fault_takes_back_what_was_not_settled(void **state)
{
    (void)state;
    struct fsm *f = pool_of(world_dir(), 2);
    struct err e = {0};
    struct guest g;
    struct hash128 hash = fsm_hash(f);
    make_guest_later(f, 2);
    assert_int_equal(fsm_begin(f, &e), 0);
    assert_int_equal(fsm_skip(f, 2, &e), ERR_INTERNAL);
    assert_int_equal(fsm_applied(f), 3);
    assert_true(hash_equal(fsm_hash(f), hash));
    struct fsm_view *v = fsm_look(f);
    assert_int_equal(fsm_get_guest(v, "g2", &g), ERR_NOT_FOUND);
    (void)fsm_view_close(v);
    assert_int_equal(fsm_begin(f, &e), ERR_INTERNAL);
    (void)fsm_close(f);
}

static void a_close_a_reset_and_a_snapshot_settle(void **state)
{
    (void)state;
    char dir[128];
    (void)str_copy(dir, sizeof dir, world_dir());
    struct fsm *f = pool_of(dir, 2);
    make_guest_later(f, 2);
    struct fsm *g = pool_of(world_dir(), 1);
    make_guest_later(g, 7);
    world_copy(f, g);
    assert_true(world_same(f, g));
    make_guest_later(f, 3);
    struct hash128 hash = fsm_hash(f);
    (void)fsm_close(f);
    f = world_open(dir);
    assert_int_equal(fsm_applied(f), 5);
    assert_true(hash_equal(fsm_hash(f), hash));
    struct err e = {0};
    make_guest_later(f, 4);
    assert_int_equal(fsm_reset(f, &e), 0);
    assert_int_equal(fsm_applied(f), 0);
    assert_int_equal(fsm_unsettled(f), 0);
    (void)fsm_close(f);
    (void)fsm_close(g);
}

static void reset_leaves_nothing(void **state)
{
    (void)state;
    char dir[128];
    (void)str_copy(dir, sizeof dir, world_dir());
    struct fsm *f = pool_of(dir, 10);
    struct err e = {0};
    assert_int_equal(fsm_reset(f, &e), 0);
    assert_int_equal(fsm_applied(f), 0);
    const struct hash128 none = {0};
    assert_true(hash_equal(fsm_hash(f), none));
    make_pool(f);
    assert_int_equal(make_guest(f, 1), 0);
    struct hash128 hash = fsm_hash(f);
    (void)fsm_close(f);
    f = world_open(dir); /* The second set of rows is current now: also after a reopen. */
    assert_true(hash_equal(fsm_hash(f), hash));
    (void)fsm_close(f);
}

static void a_snapshot_with_any_byte_changed_is_refused(void **state)
{
    (void)state;
    struct fsm *f = pool_of(world_dir(), 30);
    struct fsm *g = pool_of(world_dir(), 2);
    CLEANUP(buf_done) struct buf b = world_snapshot(f);
    struct hash128 before = fsm_hash(g);
    for (size_t i = 0; i < b.len; i += 1 + b.len / 1500) {
        struct err e = {0};
        b.data[i] ^= 0x10;
        int rc = world_load(g, b.data, b.len, &e);
        if (rc != ERR_CORRUPT && rc != ERR_VERSION) {
            fail_msg("byte %zu: %d %s", i, rc, e.msg);
        }
        assert_true(hash_equal(fsm_hash(g), before));
        b.data[i] ^= 0x10;
    }
    struct err e = {0};
    assert_int_equal(make_guest(g, 77), 0); /* The old state is still at work. */
    assert_int_equal(world_load(g, b.data, b.len, &e), 0);
    assert_true(world_same(f, g));
    assert_int_equal(make_guest(g, 77), 0);
    (void)fsm_close(f);
    (void)fsm_close(g);
}

static void a_snapshot_cut_or_continued_is_refused(void **state)
{
    (void)state;
    struct fsm *f = pool_of(world_dir(), 30);
    struct fsm *g = world_open_new();
    CLEANUP(buf_done) struct buf b = world_snapshot(f);
    struct err e = {0};
    for (size_t n = 0; n < b.len; n += 1 + b.len / 300) {
        assert_int_equal(world_load(g, b.data, n, &e), ERR_CORRUPT);
    }
    buf_put_u8(&b, 0);
    assert_int_equal(world_load(g, b.data, b.len, &e), ERR_CORRUPT);
    assert_int_equal(fsm_applied(g), 0);
    (void)fsm_close(f);
    (void)fsm_close(g);
}

/* More than one frame and more than one transaction of the stage. */
static void a_large_state_goes_through_a_snapshot(void **state)
{
    (void)state;
    struct fsm *f = world_open_new();
    struct err e = {0};
    make_pool(f);
    uint64_t index = fsm_applied(f);
    assert_int_equal(fsm_begin(f, &e), 0);
    for (unsigned i = 0; i < 12000; i++) {
        CLEANUP(buf_done) struct buf b = {0};
        struct fsm_applied_entry done;
        struct cmd_guest_create c;
        schema_init(&schema_cmd_guest_create, &c);
        (void)snprintf(c.name, sizeof c.name, "guest-%u", i);
        c.uuid = world_id(200000 + i);
        c.start = false;
        memset(c.config.cmdline, 'x', 700);
        const struct entry head = {
            .number = COMMAND_guest_create, .request = world_id(++requests), .wall_ms = 1000};
        world_entry(&b, &head, &c);
        assert_int_equal(
            fsm_apply(f, &(struct fsm_input){++index, /*term=*/1, b.data, b.len}, &done, &e), 0);
        assert_int_equal(done.outcome.code, 0);
    }
    assert_int_equal(fsm_commit(f, &e), 0);
    struct fsm *g = world_open_new();
    world_copy(f, g);
    assert_true(world_same(f, g));
    struct fsm_view *v = fsm_view_open(g);
    struct fsm_counts c;
    fsm_count(v, &c);
    assert_int_equal(c.guests, 12000);
    (void)fsm_view_close(v);
    (void)fsm_close(f);
    (void)fsm_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_store_opens_with_the_same_state),
        cmocka_unit_test(a_killed_process_loses_nothing_but_a_killed_machine_starts_empty),
        cmocka_unit_test(two_cannot_open_one_store),
        cmocka_unit_test(a_directory_that_cannot_be_made_is_an_error),
        cmocka_unit_test(a_rotten_byte_is_found_or_harmless),
        cmocka_unit_test(a_store_without_its_head_is_emptied),
        cmocka_unit_test(a_file_cut_short_or_of_rubbish_is_emptied),
        cmocka_unit_test(a_full_map_ends_the_replica_and_keeps_its_state),
        cmocka_unit_test(a_view_does_not_move),
        cmocka_unit_test(what_is_committed_later_is_seen_at_once),
        cmocka_unit_test(a_killed_process_is_back_at_what_it_had_settled),
        cmocka_unit_test(a_fault_takes_back_what_was_not_settled),
        cmocka_unit_test(a_close_a_reset_and_a_snapshot_settle),
        cmocka_unit_test(reset_leaves_nothing),
        cmocka_unit_test(a_snapshot_with_any_byte_changed_is_refused),
        cmocka_unit_test(a_snapshot_cut_or_continued_is_refused),
        cmocka_unit_test(a_large_state_goes_through_a_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
