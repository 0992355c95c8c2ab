/* What the world breaks, one thing at a time: each is seen, and the pool comes to rest after it. */

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mp.h"
#include "core/util.h"

#include "chaos-tests/sim/data.h"
#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/tests/cm.h"
#include "chaos-tests/sim/truth.h"
#include "chaos-tests/sim/vdisk.h"
#include "chaos-tests/sim/vguard.h"
#include "chaos-tests/sim/vloop.h"
#include "chaos-tests/sim/vnet.h"
#include "chaos-tests/sim/workload_impl.h"
#include "cli/quorated/daemon.h"
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

static void boot(void)
{
    const struct lab_options o = {.seed = 5, .hosts = 3, .clients = 3, .safety_s = 8};
    if (!lab_boot(&o)) {
        fail_msg("%s", lab.failure);
    }
}

static void run_s(uint64_t seconds)
{
    world_run(world.now_ns + seconds * NS_PER_S);
}

static void ask(uint32_t number, const void *record)
{
    workload_ask(&wl.workers[0], number, record);
    for (int i = 0; i < 600 && !workload_idle(); i++) {
        world_run(world.now_ns + 100 * NS_PER_MS);
    }
    assert_true(workload_idle());
}

static void create(const char *name, const char *host, bool ha)
{
    struct cmd_guest_create r;
    schema_init(command_by_number(COMMAND_guest_create)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, name);
    (void)str_copy(r.host, sizeof r.host, host);
    r.ha = ha;
    ask(COMMAND_guest_create, &r);
}

/* All hosts see the same state, which has so many open operations: none. */
static void is_whole(void)
{
    struct vhost_state s;
    struct vhost_state first = {0};
    for (int tries = 0; tries < 60; tries++) {
        bool whole = true;
        run_s(1);
        for (uint32_t i = 0; i < lab.o.hosts; i++) {
            whole = whole && vhost_look(&lab.hosts[i], &s) && s.hosts_up == lab.o.hosts &&
                    s.ops_open == 0 && (i == 0 || s.state_hash == first.state_hash);
            first = i == 0 ? s : first;
        }
        if (whole) {
            return;
        }
    }
    fail_msg("the pool is not whole");
}

static void a_disk_that_fails_ends_the_daemon_until_it_works(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        assert_int_equal(enter(NULL), 0);
        boot();
        lab.disk_faults = true;
        struct vhost *h = &lab.hosts[1];
        h->m.write_error_ppm = kind == 0 ? 1000000 : 0;
        h->m.sync_error_ppm = kind == 1 ? 1000000 : 0;
        h->m.store_error_ppm = kind == 2 ? 1000000 : 0;
        vdisk_tune(&h->m);
        create("web", "h1", false);
        run_s(20);
        assert_true(h->starts > 3);
        h->m.write_error_ppm = h->m.sync_error_ppm = h->m.store_error_ppm = 0;
        vdisk_tune(&h->m);
        is_whole();
        assert_string_equal(lab.failure, "");
        assert_int_equal(leave(NULL), 0);
    }
}

/* Nobody may call an error of the disk that was not put in a reason to stop. */
static void a_replica_that_stops_without_a_broken_disk_is_found(void **state)
{
    (void)state;
    boot();
    struct vhost *h = &lab.hosts[1];
    h->m.write_error_ppm = 1000000;
    vdisk_tune(&h->m);
    run_s(20);
    assert_non_null(strstr(lab.failure, "replica_stopped"));
}

/* The master's store fails while it stops: it used to wait for itself for ever. */
static void a_store_that_fails_in_a_stop_does_not_hold_it_up(void **state)
{
    (void)state;
    boot();
    lab.disk_faults = true;
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct vhost *h = &lab.hosts[i];
        uint64_t exits = h->exits;
        h->m.store_error_ppm = 1000000;
        vhost_stop(h);
        create(i == 0 ? "a" : i == 1 ? "b" : "c", "h1", false);
        run_s(10);
        assert_true(h->exits > exits);
        h->m.store_error_ppm = 0;
        vhost_start(h);
        is_whole();
    }
}

/* --- connections */

/* Seed 164 of these faults: the reset of a process that was killed went to a machine that stood
 * still, and the other end, which had filled the buffers, waited for ever. */
static void a_sender_without_room_learns_that_nobody_is_there(void **state)
{
    static uint8_t bytes[4096];
    (void)state;
    boot();
    struct sock *l = sock_new(70, NULL);
    struct sock *from = sock_new(71, NULL);
    assert_int_equal(sock_bind(l, 7), 0);
    assert_int_equal(sock_listen(l), 0);
    sock_connect(from, 70, 7);
    run_s(1);
    struct sock *to = sock_accept(l, NULL);
    assert_non_null(to);
    while (sock_send(from, bytes, sizeof bytes) > 0) {
    }
    run_s(1);
    vnet_host_on(71, false);
    sock_unref(to); /* Unread bytes: a reset, which is lost. */
    run_s(1);
    vnet_host_on(71, true);
    run_s(60);
    assert_int_equal(sock_send(from, bytes, 1), -ECONNRESET);
    sock_unref(from);
    sock_unref(l);
}

static void a_forgotten_connection_is_given_up(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    boot();
    for (uint32_t a = 0; a < 3; a++) {
        for (uint32_t b = 0; b < 3; b++) {
            while (a != b && vnet_forget_some(a, b, &rng)) {
            }
        }
    }
    is_whole();
    create("web", "h2", false);
    is_whole();
}

/* --- guards */

static void cut_off(uint32_t host, bool cut)
{
    for (uint32_t i = 0; i < VNET_HOSTS; i++) {
        vnet_link(host, i)->cut = vnet_link(i, host)->cut = cut && i != host;
    }
}

/* A protected guest runs on h2, and leases are in force. */
static void protected_guest_on_h2(void)
{
    uint32_t copies;
    uint32_t running;
    boot();
    create("web", "h2", true);
    run_s(5);
    truth_count(&copies, &running);
    assert_int_equal(running, 1);
}

static void runs_once_and_not_on_h2(void)
{
    uint32_t copies;
    uint32_t running;
    struct rng rng;
    struct id uuid;
    uint64_t epoch;
    rng_seed(&rng, 1);
    assert_string_equal(lab.failure, "");
    assert_false(truth_pick(1, &rng, &uuid, &epoch));
    truth_count(&copies, &running);
    assert_int_equal(running, 1);
}

static void a_daemon_ends_its_copies_when_its_guard_stands_still(void **state)
{
    (void)state;
    protected_guest_on_h2();
    vguard_pause(&lab.hosts[1], true);
    cut_off(1, true);
    run_s(12);
    assert_int_equal(lab.watchdogs, 0);
    runs_once_and_not_on_h2();
    vguard_pause(&lab.hosts[1], false);
    cut_off(1, false);
    is_whole();
}

static void a_guard_that_is_killed_is_replaced(void **state)
{
    (void)state;
    uint32_t copies;
    uint32_t running;
    protected_guest_on_h2();
    vguard_kill(&lab.hosts[1]);
    run_s(10); /* Leases go on: the copy is held by the new one. */
    truth_count(&copies, &running);
    assert_int_equal(running, 1);
    assert_int_equal(lab.watchdogs, 0);
    cut_off(1, true);
    vhost_kill(&lab.hosts[1], 60000); /* So it is the guard's. */
    run_s(12);
    assert_int_equal(lab.watchdogs, 0);
    runs_once_and_not_on_h2();
}

static void without_guard_and_daemon_the_watchdog_resets(void **state)
{
    (void)state;
    protected_guest_on_h2();
    vguard_kill(&lab.hosts[1]);
    vhost_kill(&lab.hosts[1], 60000);
    run_s(12);
    assert_int_equal(lab.watchdogs, 1);
    runs_once_and_not_on_h2();
}

static void without_all_three_a_guest_runs_twice_which_is_found(void **state)
{
    (void)state;
    protected_guest_on_h2();
    vguard_watchdogs = false;
    vguard_kill(&lab.hosts[1]);
    vhost_kill(&lab.hosts[1], 60000);
    run_s(12);
    vguard_watchdogs = true;
    assert_non_null(strstr(lab.failure, "at once"));
}

/* --- data */

static uint64_t raft_id_of(const struct vhost *h)
{
    struct raftlog_status st;
    raftlog_status(h->daemon->rl, &st);
    return st.raft_id;
}

static void an_old_copy_of_its_data_makes_a_host_begin_anew(void **state)
{
    (void)state;
    for (int power = 0; power < 2; power++) {
        assert_int_equal(enter(NULL), 0);
        boot();
        struct vhost *h = &lab.hosts[1];
        vhost_kill(h, 0);
        run_s(3); /* A start that the others have seen, and the copy has not. */
        struct data_copy *copy = data_save(h);
        assert_non_null(copy);
        vhost_kill(h, 0);
        run_s(3);
        create("web", "h1", false);
        uint64_t before = raft_id_of(h);
        assert_true(data_start_is_known(h));
        data_forgets(h);
        if (power == 0) {
            vhost_kill(h, 1000);
        } else {
            vhost_power_cut(h);
        }
        data_put(h, copy);
        assert_false(data_may_forget(&lab.hosts[0]));
        (void)data_free(copy);
        vhost_power_on(h);
        run_s(10);
        is_whole();
        assert_true(raft_id_of(h) > before);
        for (int i = 0; i < 60 && !data_may_forget(&lab.hosts[0]); i++) {
            run_s(1);
        }
        assert_true(data_may_forget(&lab.hosts[0]));
        assert_string_equal(lab.failure, "");
        assert_int_equal(leave(NULL), 0);
    }
}

static void nothing_to_say(void *ctx, int code, const struct rpc_msg *m)
{
    (void)ctx;
    (void)code;
    (void)m;
}

static void part_all(bool cut)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        for (uint32_t k = 0; k < lab.o.hosts; k++) {
            vnet_link(i, k)->cut = cut && i != k;
        }
    }
}

static void call(struct vclient *c, uint32_t host, const char *method, const char *key)
{
    struct buf params = {0};
    mp_put_map(&params, 2);
    mp_put_str(&params, key);
    mp_put_uint(&params, 1);
    mp_put_str(&params, "follow");
    mp_put_bool(&params, true);
    vclient_call(c, host, method, &params, 5000, nothing_to_say, NULL);
    buf_done(&params);
}

/* 3 hosts, seed 49: a daemon told an event to a client that had gone while it waited for its read.
 */
static void a_client_may_hang_up_while_a_host_reads_for_it(void **state)
{
    (void)state;
    boot();
    create("web", "h1", false);
    struct vclient *c = &wl.workers[1].c;
    for (int i = 0; i < 5; i++) {
        part_all(true);
        struct proc *before = proc_enter(c->proc);
        for (uint32_t host = 0; host < lab.o.hosts; host++) {
            call(c, host, "events", "after");
            call(c, host, "wait", "op");
        }
        proc_leave(before);
        vloop_replan(c->proc);
        world_run(world.now_ns + 20 * NS_PER_MS);
        before = proc_enter(c->proc);
        for (uint32_t host = 0; host < lab.o.hosts; host++) {
            vclient_hang_up(c, host);
        }
        proc_leave(before);
        vloop_replan(c->proc);
        world_run(world.now_ns + 20 * NS_PER_MS);
        part_all(false);
        run_s(2);
    }
    is_whole();
}

/* 5 hosts, seed 400241: half a vote's file was left, which no later try would take. */
static void a_join_that_fails_is_tried_again(void **state)
{
    (void)state;
    for (uint32_t ppm = 100000; ppm <= 1000000; ppm += 300000) {
        assert_int_equal(enter(NULL), 0);
        boot();
        lab.disk_faults = true;
        struct vhost *h = &lab.hosts[1];
        uint64_t before = raft_id_of(h);
        vhost_kill(h, 500);
        data_forgets(h);
        data_wipe(h);
        struct vhost_state st = {0};
        for (int i = 0; i < 1000 && !(vhost_look(h, &st) && st.blank); i++) {
            world_run(world.now_ns + 10 * NS_PER_MS);
        }
        assert_true(st.blank); /* It has begun anew, and waits. */
        h->m.write_error_ppm = h->m.sync_error_ppm = ppm;
        vdisk_tune(&h->m);
        run_s(10);
        h->m.write_error_ppm = h->m.sync_error_ppm = 0;
        vdisk_tune(&h->m);
        is_whole();
        assert_true(raft_id_of(h) > before);
        assert_string_equal(lab.failure, "");
        assert_int_equal(leave(NULL), 0);
    }
}

/* Any bit of any file: it is mended, or the host begins anew. */
static void rotten_bits_are_never_used(void **state)
{
    (void)state;
    uint64_t renewed = 0;
    for (uint64_t seed = 0; seed < 24; seed++) {
        struct rng rng;
        rng_seed(&rng, seed);
        assert_int_equal(enter(NULL), 0);
        boot();
        create("web", "h1", false);
        struct vhost *h = &lab.hosts[1];
        uint64_t before = raft_id_of(h);
        vhost_kill(h, 2000);
        data_forgets(h);
        for (int i = 0; i < 6; i++) {
            data_rot(h, seed % 2 == 0, &rng);
        }
        run_s(4);
        is_whole();
        renewed += raft_id_of(h) > before;
        assert_string_equal(lab.failure, "");
        assert_int_equal(leave(NULL), 0);
    }
    assert_true(renewed > 3);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_that_fails_ends_the_daemon_until_it_works),
        TEST(a_replica_that_stops_without_a_broken_disk_is_found),
        TEST(a_store_that_fails_in_a_stop_does_not_hold_it_up),
        TEST(a_sender_without_room_learns_that_nobody_is_there),
        cmocka_unit_test(an_old_copy_of_its_data_makes_a_host_begin_anew),
        TEST(a_client_may_hang_up_while_a_host_reads_for_it),
        cmocka_unit_test(a_join_that_fails_is_tried_again),
        cmocka_unit_test(rotten_bits_are_never_used),
        TEST(a_forgotten_connection_is_given_up),
        TEST(a_daemon_ends_its_copies_when_its_guard_stands_still),
        TEST(a_guard_that_is_killed_is_replaced),
        TEST(without_guard_and_daemon_the_watchdog_resets),
        TEST(without_all_three_a_guest_runs_twice_which_is_found),
    };
    return cmocka_run_group_tests_name("broken", tests, NULL, NULL);
}
