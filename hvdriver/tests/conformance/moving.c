/* Guests that move from host a to host b. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/tests/conformance/conformance.h"

/* Move guest 1 from a to b under epoch 2. Both requests must succeed. */
static struct hv_key migrate(struct world *w, bool live)
{
    struct hv_req in = incoming(w, &w->b, 2);
    struct hv_req out = move_to(&in, 1);
    out.live = live;
    if (run_op(w, &w->a, &out) != 0) {
        fail_msg("migrate: %s", out.err.msg);
    }
    assert_int_equal(out.state, HV_DEPARTED);
    return in.key;
}

static void check_move(struct world *w, bool live)
{
    hosts_open(w);
    struct hv_key from = counting_guest(w);
    wait_counter(w, &w->a, &from, 3);
    struct hv_key to = migrate(w, live);
    wait_state(w, &w->b, &to, HV_ARRIVED);
    uint64_t at_source = counter(&w->a, &from);
    run_a_while(w);
    assert_int_equal(counter(&w->a, &from), at_source); /* Neither runs by itself. */
    assert_int_equal(state_of(&w->a, &from), HV_DEPARTED);
    assert_int_equal(state_of(&w->b, &to), HV_ARRIVED);
    assert_int_equal(do_op(w, &w->b, HV_UNPAUSE, &to), 0);
    assert_int_equal(state_of(&w->b, &to), HV_RUNNING);
    wait_counter(w, &w->b, &to, at_source); /* It goes on from there. */
    assert_true(counter(&w->b, &to) <= at_source + 300 / conf_kind->beat_ms);
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &from), 0);
    assert_int_equal(wait_exit(w, &w->a, &from), HV_EXIT_DESTROYED);
    uint64_t now = counter(&w->b, &to);
    wait_counter(w, &w->b, &to, now + 1);
}

static void a_guest_moves_live(void **state)
{
    check_move(*state, /*live=*/true);
}

static void a_guest_moves_stopped(void **state)
{
    check_move(*state, /*live=*/false);
}

static void a_departed_guest_comes_back_when_the_target_is_gone(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    struct hv_key from = counting_guest(w);
    struct hv_key to = migrate(w, /*live=*/true);
    uint64_t before = counter(&w->a, &from);
    assert_int_equal(do_op(w, &w->b, HV_DESTROY, &to), 0);
    run_a_while(w);
    assert_int_equal(state_of(&w->a, &from), HV_DEPARTED);
    assert_int_equal(counter(&w->a, &from), before);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &from), 0);
    assert_int_equal(state_of(&w->a, &from), HV_RUNNING);
    wait_counter(w, &w->a, &from, before);
}

static void a_departed_guest_moves_again_after_it_came_back(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    struct hv_key from = counting_guest(w);
    struct hv_key to = migrate(w, /*live=*/true);
    assert_int_equal(do_op(w, &w->b, HV_DESTROY, &to), 0);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &from), 0);
    wait_counter(w, &w->a, &from, counter(&w->a, &from));
    w->b.n_events = 0;
    to = migrate(w, /*live=*/true);
    assert_int_equal(do_op(w, &w->b, HV_UNPAUSE, &to), 0);
    wait_counter(w, &w->b, &to, 1);
}

/* From one host to the other under this epoch; it runs there, and its copy here is gone. */
static struct hv_key move_on(struct world *w, struct host *from, struct host *to, uint64_t epoch)
{
    struct hv_req in = incoming(w, to, epoch);
    struct hv_req out = move_to(&in, epoch - 1);
    struct hv_key left = out.key;
    if (run_op(w, from, &out) != 0) {
        fail_msg("migrate to epoch %u: %s", (unsigned)epoch, out.err.msg);
    }
    wait_state(w, to, &in.key, HV_ARRIVED);
    assert_int_equal(do_op(w, to, HV_UNPAUSE, &in.key), 0);
    assert_int_equal(do_op(w, from, HV_DESTROY, &left), 0);
    assert_int_equal(state_of(to, &in.key), HV_RUNNING);
    return in.key;
}

static void a_guest_that_came_in_migrates_on(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    struct hv_key at = counting_guest(w);
    uint64_t seen = counter(&w->a, &at);
    for (uint64_t epoch = 2; epoch <= 5; epoch++) {
        struct host *from = epoch % 2 == 0 ? &w->a : &w->b;
        struct host *to = epoch % 2 == 0 ? &w->b : &w->a;
        at = move_on(w, from, to, epoch);
        wait_counter(w, to, &at, seen);
        seen = counter(to, &at);
        from->n_events = 0;
        if (epoch == 3) {
            host_close(w, to); /* Also after its daemon was replaced in between. */
            host_open(w, to, "a");
            assert_int_equal(state_of(to, &at), HV_RUNNING);
        }
    }
}

/* What is tried in vain leaves nothing that stands in the way of the next attempt. */
static void a_guest_that_came_in_fails_to_move_and_then_moves(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    (void)running_guest(w);
    struct hv_key at = move_on(w, &w->a, &w->b, 2);
    struct hv_req out = {.op = HV_MIGRATE, .key = at, .live = true, .address = "127.0.0.1:1"};
    hv_make_key(out.secret);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(run_op(w, &w->b, &out), ERR_HYPERVISOR);
        assert_int_equal(out.state, HV_RUNNING);
    }
    w->a.n_events = 0;
    at = move_on(w, &w->b, &w->a, 3);
    wait_counter(w, &w->a, &at, counter(&w->a, &at));
}

static uint32_t check_progress(const struct host *h)
{
    uint32_t told = 0;
    for (uint32_t i = 0; i < h->n_events; i++) {
        const struct hv_event *event = &h->events[i];
        if (event->kind == HV_EVENT_PROGRESS) {
            told++;
            assert_true(event->progress.total_bytes >= 16u << 20);
            assert_true(event->progress.percent <= 100);
            assert_true(event->progress.remaining_bytes <= event->progress.total_bytes);
        }
    }
    return told;
}

static void progress_is_told_twice_a_second(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    (void)counting_guest(w);
    struct hv_req req;
    begin_slow_migration(w, &req);
    for (int i = 0; i < 13 && check_progress(&w->a) < 2; i++) {
        run_for(w, 100);
    }
    assert_in_range(check_progress(&w->a), 2, 5);
    struct hv_key key = req.key;
    assert_int_equal(do_op(w, &w->a, HV_MIGRATE_CANCEL, &key), 0);
    wait_done(w, &req);
}

static void a_cancelled_migration_leaves_the_guest_running_here(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    struct hv_key from = counting_guest(w);
    struct hv_req req;
    begin_slow_migration(w, &req);
    struct hv_req cancel = {.op = HV_MIGRATE_CANCEL, .key = from};
    assert_int_equal(run_op(w, &w->a, &cancel), 0);
    assert_int_equal(cancel.state, HV_RUNNING);
    wait_done(w, &req);
    assert_int_equal(req.err.code, ERR_CANCELLED);
    assert_int_equal(req.state, HV_RUNNING);
    wait_counter(w, &w->a, &from, counter(&w->a, &from));
    /* The target ends, or still waits if nothing had reached it; it is never complete. */
    struct hv_key to = {.uuid = from.uuid, .epoch = 2};
    run_a_while(w);
    assert_true(state_of(&w->b, &to) == HV_GONE || state_of(&w->b, &to) == HV_INCOMING);
    assert_int_equal(do_op(w, &w->a, HV_MIGRATE_CANCEL, &from), 0); /* Nothing to cancel: fine. */
}

static void a_migration_that_times_out_is_cancelled(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    struct hv_key from = counting_guest(w);
    conf_kind->slow(w->a.hv);
    struct hv_req in = incoming(w, &w->b, 2);
    struct hv_req req = move_to(&in, 1);
    req.deadline_ms = 300;
    req.rate_bytes_per_s = conf_kind->slow_rate;
    assert_int_equal(run_op(w, &w->a, &req), ERR_TIMEOUT);
    wait_state(w, &w->a, &from, HV_RUNNING);
    wait_counter(w, &w->a, &from, counter(&w->a, &from));
    assert_int_equal(wait_exit(w, &w->b, &in.key), HV_EXIT_INCOMING);
}

static void a_target_killed_midway_leaves_the_guest_running_here(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    struct hv_key from = counting_guest(w);
    struct hv_key to = {.uuid = from.uuid, .epoch = 2};
    struct hv_req req;
    begin_slow_migration(w, &req);
    run_for(w, 100);
    conf_kind->kill(w->b.hv, &to);
    wait_done(w, &req);
    assert_int_equal(req.err.code, ERR_HYPERVISOR);
    assert_int_equal(req.state, HV_RUNNING);
    (void)wait_exit(w, &w->b, &to);
    wait_counter(w, &w->a, &from, counter(&w->a, &from));
}

static void a_source_killed_midway_ends_the_target(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    struct hv_key from = counting_guest(w);
    struct hv_key to = {.uuid = from.uuid, .epoch = 2};
    struct hv_req req;
    begin_slow_migration(w, &req);
    run_for(w, 100);
    conf_kind->kill(w->a.hv, &from);
    wait_done(w, &req);
    assert_int_equal(req.err.code, ERR_HYPERVISOR);
    assert_int_equal(req.state, HV_GONE);
    assert_int_equal(wait_exit(w, &w->a, &from), HV_EXIT_UNKNOWN);
    assert_int_equal(wait_exit(w, &w->b, &to), HV_EXIT_INCOMING);
}

static void a_wrong_key_gets_nothing(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    (void)running_guest(w);
    struct hv_req in = incoming(w, &w->b, 2);
    struct hv_req out = move_to(&in, 1);
    hv_make_key(out.secret);
    assert_int_equal(run_op(w, &w->a, &out), ERR_HYPERVISOR);
    assert_int_equal(out.state, HV_RUNNING);
    assert_int_equal(state_of(&w->b, &in.key), HV_INCOMING);
    (void)str_copy(out.secret, sizeof out.secret, in.ret_secret);
    assert_int_equal(run_op(w, &w->a, &out), 0);
    wait_state(w, &w->b, &in.key, HV_ARRIVED);
}

static void nobody_listens_is_an_error_that_gives_nothing_away(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_req out = {
        .op = HV_MIGRATE, .key = running_guest(w), .live = true, .address = "127.0.0.1:1"};
    hv_make_key(out.secret);
    assert_int_equal(run_op(w, &w->a, &out), ERR_HYPERVISOR);
    assert_int_equal(out.state, HV_RUNNING);
    out.live = false;
    assert_int_equal(run_op(w, &w->a, &out), ERR_HYPERVISOR);
    assert_int_equal(out.state, HV_RUNNING);
}

static void an_incomplete_target_never_runs(void **state)
{
    struct world *w = *state;
    host_open(w, &w->b, "b");
    struct hv_req in = incoming(w, &w->b, 2);
    assert_int_equal(do_op(w, &w->b, HV_UNPAUSE, &in.key), ERR_STATE);
    assert_int_equal(do_op(w, &w->b, HV_RESET, &in.key), ERR_STATE);
    assert_int_equal(state_of(&w->b, &in.key), HV_INCOMING);
}

static void states_of_a_move_survive_the_daemons(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    struct hv_key from = counting_guest(w);
    struct hv_key to = migrate(w, /*live=*/true);
    wait_state(w, &w->b, &to, HV_ARRIVED);
    uint64_t before = counter(&w->a, &from);
    host_close(w, &w->a);
    host_close(w, &w->b);
    hosts_open(w);
    assert_int_equal(state_of(&w->a, &from), HV_DEPARTED);
    assert_int_equal(state_of(&w->b, &to), HV_ARRIVED);
    assert_int_equal(do_op(w, &w->b, HV_UNPAUSE, &to), 0);
    wait_counter(w, &w->b, &to, before);
    host_close(w, &w->b);
    host_open(w, &w->b, "b");
    assert_int_equal(state_of(&w->b, &to), HV_RUNNING);
    assert_int_equal(do_op(w, &w->b, HV_PAUSE, &to), 0);
    host_close(w, &w->b);
    host_open(w, &w->b, "b");
    assert_int_equal(state_of(&w->b, &to), HV_PAUSED); /* It has run: not ARRIVED. */
}

static void an_arrived_copy_can_be_given_another_epoch(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    (void)running_guest(w);
    struct hv_key to = migrate(w, /*live=*/true);
    wait_state(w, &w->b, &to, HV_ARRIVED);
    struct hv_req req = {.op = HV_RESTAMP, .key = to, .epoch = 9};
    assert_int_equal(run_op(w, &w->b, &req), 0);
    struct hv_key now = {.uuid = to.uuid, .epoch = 9};
    assert_int_equal(state_of(&w->b, &to), HV_GONE);
    assert_int_equal(state_of(&w->b, &now), HV_ARRIVED);
    host_close(w, &w->b);
    host_open(w, &w->b, "b");
    assert_int_equal(state_of(&w->b, &now), HV_ARRIVED);
    assert_int_equal(do_op(w, &w->b, HV_UNPAUSE, &now), 0);
    assert_int_equal(do_op(w, &w->b, HV_RESTAMP, &now), ERR_INVALID);
}

/* A daemon killed in the middle: the guest runs on at the source, or has left for good; and the two
 * ends agree. */
static void a_source_daemon_killed_midway(void **state)
{
    struct world *w = *state;
    host_open(w, &w->b, "b");
    struct hv_req in = incoming(w, &w->b, 2);
    struct hv_key from = {.uuid = in.key.uuid, .epoch = 1};
    char arg[300];
    char line[256];
    (void)snprintf(arg, sizeof arg, "%s %s", in.ret_address, in.ret_secret);
    pid_t pid = child_start(w, "a", "migrate", arg, line);
    run_for(w, 100);
    child_kill(pid);
    host_open(w, &w->a, "a");
    enum hv_state found = state_of(&w->a, &from);
    if (conf_kind->processes) {
        assert_int_equal(found, HV_OUTGOING); /* The hypervisor goes on without a daemon. */
        assert_int_equal(do_op(w, &w->a, HV_MIGRATE_CANCEL, &from), 0);
    }
    assert_int_equal(state_of(&w->a, &from), HV_RUNNING);
    assert_int_equal(wait_exit(w, &w->b, &in.key), HV_EXIT_INCOMING);
    wait_counter(w, &w->a, &from, counter(&w->a, &from));
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)

const struct CMUnitTest conf_migration_tests[] = {
    T(a_guest_moves_live),
    T(a_guest_moves_stopped),
    T(a_departed_guest_comes_back_when_the_target_is_gone),
    T(a_departed_guest_moves_again_after_it_came_back),
    T(a_guest_that_came_in_migrates_on),
    T(a_guest_that_came_in_fails_to_move_and_then_moves),
    T(progress_is_told_twice_a_second),
    T(a_cancelled_migration_leaves_the_guest_running_here),
    T(a_migration_that_times_out_is_cancelled),
    T(a_target_killed_midway_leaves_the_guest_running_here),
    T(a_source_killed_midway_ends_the_target),
    T(a_wrong_key_gets_nothing),
    T(nobody_listens_is_an_error_that_gives_nothing_away),
    T(an_incomplete_target_never_runs),
    T(states_of_a_move_survive_the_daemons),
    T(an_arrived_copy_can_be_given_another_epoch),
    T(a_source_daemon_killed_midway),
};
const size_t n_conf_migration_tests = ARRAY_LEN(conf_migration_tests);
