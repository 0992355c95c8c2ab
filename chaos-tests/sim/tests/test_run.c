/* Whole runs: one seed is one history, and what is planted is found. */

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/observe.h"
#include "chaos-tests/sim/tests/cm.h"
#include "chaos-tests/sim/workload_impl.h"
#include "fsm/commands.h"

static char dir[64];

static int enter(void **state)
{
    (void)state;
    (void)str_copy(dir, sizeof dir, "/dev/shm/quorate-test-XXXXXX");
    return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static int leave(void **state)
{
    (void)state;
    lab_end();
    return chdir("/") == 0 ? nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) : -1;
}

static struct lab_options options(uint64_t seed)
{
    return (struct lab_options){
        .seed = seed, .hosts = 3, .clients = 3, .safety_s = 8, .faults = UINT64_MAX};
}

static uint64_t hash_of(uint64_t seed)
{
    struct lab_options o = options(seed);
    assert_int_equal(enter(NULL), 0);
    if (!lab_run(&o)) {
        fail_msg("seed %llu: %s", (unsigned long long)seed, lab.failure);
    }
    uint64_t hash = world_hash();
    assert_true(lab.acked > 0);
    assert_true(lab.migrations + lab.refused > 0);
    assert_int_equal(leave(NULL), 0);
    return hash;
}

static void one_seed_is_one_history(void **state)
{
    (void)state;
    for (uint64_t seed = 21; seed < 24; seed++) {
        assert_true(hash_of(seed) == hash_of(seed));
    }
    assert_true(hash_of(21) != hash_of(22));
}

static void boot(void)
{
    struct lab_options o = options(5);
    if (!lab_boot(&o)) {
        fail_msg("%s", lab.failure);
    }
}

static void a_file_of_a_guest(const struct vhost *h, unsigned epoch, bool runs)
{
    char temp[128];
    char path[128];
    (void)snprintf(temp, sizeof temp, "%s/planted.new", h->run_dir);
    (void)snprintf(path, sizeof path, "%s/planted.%u.sim", h->run_dir, epoch);
    FILE *f = fopen(temp, "we");
    assert_non_null(f);
    (void)fprintf(
        f,
        "{\"name\":\"planted\",\"uuid\":\"00000000-0000-4000-8000-000000000001\",\"epoch\":%u,"
        "\"state\":\"x\",\"since_ms\":%d,\"shutdown_ms\":0}",
        epoch, runs);
    (void)fclose(f);
    struct proc *before = proc_enter(h->proc);
    assert_int_equal(rename(temp, path), 0);
    proc_leave(before);
}

static void two_copies_that_run_at_once_are_found(void **state)
{
    (void)state;
    boot();
    a_file_of_a_guest(&lab.hosts[0], 1, true);
    a_file_of_a_guest(&lab.hosts[1], 2, false);
    assert_string_equal(lab.failure, "");
    a_file_of_a_guest(&lab.hosts[1], 2, true);
    assert_non_null(strstr(lab.failure, "at once"));
}

static void a_copy_after_the_other_is_none(void **state)
{
    (void)state;
    boot();
    a_file_of_a_guest(&lab.hosts[0], 1, true);
    a_file_of_a_guest(&lab.hosts[0], 1, false);
    a_file_of_a_guest(&lab.hosts[1], 2, true);
    assert_string_equal(lab.failure, "");
}

static void another_entry_at_the_same_index_is_found(void **state)
{
    (void)state;
    boot();
    struct proc *before = proc_enter(lab.hosts[0].proc);
    observe_entry(100000, "one", 3);
    (void)proc_enter(lab.hosts[1].proc);
    observe_entry(100000, "one", 3);
    assert_string_equal(lab.failure, "");
    observe_entry(100000, "two", 3);
    proc_leave(before);
    assert_non_null(strstr(lab.failure, "entry 100000"));
}

static void another_state_at_the_same_index_is_found(void **state)
{
    (void)state;
    boot();
    struct proc *before = proc_enter(lab.hosts[0].proc);
    observe_state(100000, (struct hash128){.lo = 2, .hi = 4});
    observe_state(100000, (struct hash128){.lo = 2, .hi = 4});
    assert_string_equal(lab.failure, "");
    observe_state(100000, (struct hash128){.lo = 2, .hi = 8});
    proc_leave(before);
    assert_non_null(strstr(lab.failure, "state at 100000"));
}

static void a_lost_promise_is_found(void **state)
{
    (void)state;
    boot();
    workload_check(&lab.hosts[1]);
    assert_string_equal(lab.failure, "");
    wl.guests = world_new(1, sizeof *wl.guests);
    wl.n_guests = wl.cap_guests = 1;
    wl.guests[0] = (struct wanted){.name = "never-made", .made = PROMISED};
    workload_check(&lab.hosts[1]);
    assert_non_null(strstr(lab.failure, "never-made"));
}

static void a_guest_that_nobody_wants_is_unrest(void **state)
{
    (void)state;
    char text[128];
    boot();
    assert_null(workload_unrest(&lab.hosts[0], text, sizeof text));
    a_file_of_a_guest(&lab.hosts[2], 9, true);
    assert_non_null(workload_unrest(&lab.hosts[0], text, sizeof text));
}

static void ask(uint32_t number, const void *record)
{
    workload_ask(&wl.workers[0], number, record);
    for (int i = 0; i < 300 && !workload_idle(); i++) {
        world_run(world.now_ns + 100 * NS_PER_MS);
    }
    assert_true(workload_idle());
}

/* Seed 2029: the master compared deadlines, which are log time, with its own wall clock. */
static void operations_expire_although_the_clocks_were_set_back(void **state)
{
    (void)state;
    struct cmd_guest_create create;
    struct cmd_guest_migrate migrate;
    struct vhost_state s;
    boot();
    schema_init(command_by_number(COMMAND_guest_create)->schema, &create);
    (void)str_copy(create.name, sizeof create.name, "web");
    (void)str_copy(create.host, sizeof create.host, "h2");
    ask(COMMAND_guest_create, &create);
    world_run(world.now_ns + NS_PER_S);
    for (int i = 0; i < 3; i++) {
        vclock_jump_wall(&lab.hosts[i].m.clock, -3600 * 1000);
    }
    vhost_fail_next(&lab.hosts[1], HV_MIGRATE, ERR_TIMEOUT);
    schema_init(command_by_number(COMMAND_guest_migrate)->schema, &migrate);
    (void)str_copy(migrate.name, sizeof migrate.name, "web");
    ask(COMMAND_guest_migrate, &migrate);
    assert_true(vhost_look(&lab.hosts[0], &s));
    assert_int_equal(s.ops_open, 1);
    world_run(world.now_ns + 130 * NS_PER_S); /* The longest that a run's settings allow. */
    assert_true(vhost_look(&lab.hosts[0], &s));
    assert_string_equal(s.op, "");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_seed_is_one_history),
        TEST(two_copies_that_run_at_once_are_found),
        TEST(a_copy_after_the_other_is_none),
        TEST(another_entry_at_the_same_index_is_found),
        TEST(another_state_at_the_same_index_is_found),
        TEST(a_lost_promise_is_found),
        TEST(a_guest_that_nobody_wants_is_unrest),
        TEST(operations_expire_although_the_clocks_were_set_back),
    };
    return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
