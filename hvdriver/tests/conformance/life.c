/* The life of one guest on one host. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/tests/conformance/conformance.h"

static void a_started_guest_runs(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 7);
    struct hv_req req = {.op = HV_START, .spec = &spec};
    assert_int_equal(run_op(w, &w->a, &req), 0);
    assert_int_equal(req.state, HV_RUNNING);
    assert_int_equal(req.key.epoch, 7);
    assert_true(heard_state(&w->a, &req.key, HV_RUNNING));
    wait_counter(w, &w->a, &req.key, 2);
    struct hv_info info;
    assert_true(hv_lookup(w->a.hv, &req.key, &info));
    assert_string_equal(info.name, "guest1");
    assert_int_equal(info.memory_mib, 16);
    assert_int_equal(info.vcpus, 1);
    assert_true(info.started_ms > 1000000000000u);
    assert_int_equal(info.pid != 0, conf_kind->processes);
    assert_int_equal(info.vnc_display, -1);
}

static void a_guest_started_paused_stands_still(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    spec.paused = true;
    struct hv_req req = {.op = HV_START, .spec = &spec};
    assert_int_equal(run_op(w, &w->a, &req), 0);
    assert_int_equal(req.state, HV_PAUSED);
    run_a_while(w);
    assert_int_equal(counter(&w->a, &key), 0);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &key), 0);
    wait_counter(w, &w->a, &key, 1);
}

static void a_shutdown_ends_in_power_off(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    assert_int_equal(do_op(w, &w->a, HV_SHUTDOWN, &key), 0);
    assert_int_equal(wait_exit(w, &w->a, &key), HV_EXIT_POWEROFF);
}

static void destroy_works_twice_and_on_what_never_was(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &key), 0);
    start(w, &w->a, &spec);
    struct hv_req first = {.op = HV_DESTROY, .key = key};
    struct hv_req second = {.op = HV_DESTROY, .key = key};
    submit(&w->a, &first);
    submit(&w->a, &second);
    wait_done(w, &first);
    wait_done(w, &second);
    assert_int_equal(first.err.code, 0);
    assert_int_equal(first.state, HV_GONE);
    assert_int_equal(second.err.code, 0);
    assert_int_equal(second.state, HV_GONE);
    assert_int_equal(wait_exit(w, &w->a, &key), HV_EXIT_DESTROYED);
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &key), 0);
}

static void a_paused_guest_stands_still_until_unpaused(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    assert_int_equal(do_op(w, &w->a, HV_PAUSE, &key), 0);
    assert_int_equal(state_of(&w->a, &key), HV_PAUSED);
    assert_int_equal(do_op(w, &w->a, HV_PAUSE, &key), 0);
    uint64_t before = counter(&w->a, &key);
    run_a_while(w);
    assert_int_equal(counter(&w->a, &key), before);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &key), 0);
    assert_int_equal(state_of(&w->a, &key), HV_RUNNING);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &key), 0);
    wait_counter(w, &w->a, &key, before);
}

static void a_reset_is_no_exit(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    assert_int_equal(do_op(w, &w->a, HV_RESET, &key), 0);
    assert_int_equal(state_of(&w->a, &key), HV_RUNNING);
    wait_counter_changes(w, &w->a, &key);
}

static void a_guest_may_power_itself_off(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    conf_kind->guest_does(w->a.hv, &key, 'Q');
    assert_int_equal(wait_exit(w, &w->a, &key), HV_EXIT_POWEROFF);
}

static void a_reboot_of_the_guest_is_an_exit_also_after_a_reset(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    assert_int_equal(do_op(w, &w->a, HV_RESET, &key), 0);
    wait_counter_changes(w, &w->a, &key); /* Booted, and listens. */
    conf_kind->guest_does(w->a.hv, &key, 'R');
    assert_int_equal(wait_exit(w, &w->a, &key), HV_EXIT_REBOOT);
}

static void a_guest_that_panics_is_kept(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    conf_kind->guest_does(w->a.hv, &key, 'P');
    wait_state(w, &w->a, &key, HV_PANICKED);
    assert_int_equal(do_op(w, &w->a, HV_PAUSE, &key), ERR_STATE);
    assert_int_equal(do_op(w, &w->a, HV_RESET, &key), 0);
    wait_state(w, &w->a, &key, HV_RUNNING);
}

static void a_copy_that_is_killed_left_no_word(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = running_guest(w);
    conf_kind->kill(w->a.hv, &key);
    assert_int_equal(wait_exit(w, &w->a, &key), HV_EXIT_UNKNOWN);
}

static void a_copy_that_dies_ends_what_was_asked_of_it(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_req req = {.op = HV_PAUSE, .key = running_guest(w)};
    submit(&w->a, &req);
    conf_kind->kill(w->a.hv, &req.key);
    assert_int_equal(wait_exit(w, &w->a, &req.key), HV_EXIT_UNKNOWN);
    wait_done(w, &req);
    if (req.err.code == 0) {
        assert_int_equal(req.state, HV_PAUSED); /* It answered before it died. */
    }
}

/* ---- adoption ---- */

static void a_killed_daemon_finds_its_guests_again(void **state)
{
    struct world *w = *state;
    char line[256];
    pid_t pid = child_start(w, "a", "start", "", line);
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    struct err e;
    assert_int_equal(host_try_open(w, &w->a, "a", &e), ERR_LOCKED);
    child_kill(pid);
    host_open(w, &w->a, "a");
    struct hv_info info;
    assert_true(hv_list(w->a.hv, 0, &info)); /* At once. */
    assert_int_equal(hv_key_compare(&info.key, &key), 0);
    assert_int_equal(info.state, HV_RUNNING);
    assert_string_equal(info.name, "guest1");
    assert_int_equal(info.memory_mib, 16);
    uint64_t before = counter(&w->a, &key);
    wait_counter(w, &w->a, &key, before + 1);
    assert_int_equal(do_op(w, &w->a, HV_PAUSE, &key), 0);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &key), 0);
    assert_int_equal(do_op(w, &w->a, HV_SHUTDOWN, &key), 0);
    assert_int_equal(wait_exit(w, &w->a, &key), HV_EXIT_POWEROFF);
}

static void a_closed_driver_leaves_its_guests_in_their_states(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec runs = a_guest(1, 1);
    struct hv_spec still = a_guest(2, 1);
    struct hv_spec sick = a_guest(3, 1);
    struct hv_key keys[] = {key_of(&runs), key_of(&still), key_of(&sick)};
    start(w, &w->a, &runs);
    start(w, &w->a, &still);
    start(w, &w->a, &sick);
    wait_counter(w, &w->a, &keys[2], 1);
    assert_int_equal(do_op(w, &w->a, HV_PAUSE, &keys[1]), 0);
    conf_kind->guest_does(w->a.hv, &keys[2], 'P');
    wait_state(w, &w->a, &keys[2], HV_PANICKED);
    host_close(w, &w->a);
    host_open(w, &w->a, "a");
    assert_int_equal(state_of(&w->a, &keys[0]), HV_RUNNING);
    assert_int_equal(state_of(&w->a, &keys[1]), HV_PAUSED);
    assert_int_equal(state_of(&w->a, &keys[2]), HV_PANICKED);
    run_for(w, 50);
    assert_int_equal(w->a.n_events, 0);
}

static void wait_end_of_process(int64_t pid)
{
    struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0), .events = POLLIN};
    assert_true(p.fd >= 0);
    assert_int_equal(poll(&p, 1, 10000), 1);
    (void)close(p.fd);
}

static void what_died_without_a_daemon_is_told_after_open(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    start(w, &w->a, &spec);
    wait_counter(w, &w->a, &key, 1);
    struct hv_info info;
    assert_true(hv_lookup(w->a.hv, &key, &info));
    assert_int_equal(do_op(w, &w->a, HV_SHUTDOWN, &key), 0);
    host_close(w, &w->a);
    if (conf_kind->processes) {
        wait_end_of_process(info.pid);
    } else {
        /* Its power off comes 20 ms after it was asked; a real one hears it a little later. */
        run_for(w, conf_kind->remembers ? 1000 : 60);
    }
    host_open(w, &w->a, "a");
    assert_int_equal(state_of(&w->a, &key), HV_GONE);
    assert_int_equal(wait_exit(w, &w->a, &key),
                     conf_kind->remembers ? HV_EXIT_POWEROFF : HV_EXIT_UNKNOWN);
    start(w, &w->a, &spec); /* Nothing of it is in the way. */
}

/* ---- order, deadlines, bad input ---- */

static void two_runs_of_one_guest_are_kept_apart(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec old = a_guest(1, 1);
    struct hv_spec new = a_guest(1, 2);
    struct hv_key old_key = key_of(&old);
    struct hv_key new_key = key_of(&new);
    start(w, &w->a, &old);
    start(w, &w->a, &new);
    struct hv_info info;
    assert_true(hv_list(w->a.hv, 0, &info));
    assert_int_equal(info.key.epoch, 1);
    assert_true(hv_list(w->a.hv, 1, &info));
    assert_int_equal(info.key.epoch, 2);
    assert_false(hv_list(w->a.hv, 2, &info));
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &old_key), 0);
    assert_int_equal(state_of(&w->a, &old_key), HV_GONE);
    assert_int_equal(state_of(&w->a, &new_key), HV_RUNNING);
    assert_int_equal(do_op(w, &w->a, HV_PAUSE, &old_key), ERR_NOT_FOUND);
    struct hv_req again = {.op = HV_START, .spec = &new};
    assert_int_equal(run_op(w, &w->a, &again), ERR_EXISTS);
}

static int done_order[4];
static int n_done;

static void note_order(struct hv_req *req)
{
    done_order[n_done++] = (int)(intptr_t)req->data;
}

static void requests_of_one_guest_are_done_in_order(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    struct hv_req reqs[4] = {{.op = HV_START, .spec = &spec},
                             {.op = HV_PAUSE, .key = key},
                             {.op = HV_UNPAUSE, .key = key},
                             {.op = HV_PAUSE, .key = key}};
    n_done = 0;
    for (int i = 0; i < 4; i++) {
        reqs[i].done = note_order;
        reqs[i].data = (void *)(intptr_t)i;
        hv_submit(w->a.hv, &reqs[i]);
    }
    assert_int_equal(n_done, 0);
    for (int turns = 0; n_done < 4 && turns < 5000; turns++) {
        run_once(w);
    }
    assert_int_equal(n_done, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(done_order[i], i);
        assert_int_equal(reqs[i].err.code, 0);
    }
    assert_int_equal(state_of(&w->a, &key), HV_PAUSED);
}

static void a_destroy_overtakes_a_start(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_req begun = {.op = HV_START, .spec = &spec};
    struct hv_req waits = {.op = HV_PAUSE, .key = key_of(&spec)};
    struct hv_req destroy = {.op = HV_DESTROY, .key = key_of(&spec)};
    conf_kind->slow(w->a.hv);
    submit(&w->a, &begun);
    submit(&w->a, &waits);
    while (state_of(&w->a, &destroy.key) != HV_STARTING) {
        run_once(w);
    }
    submit(&w->a, &destroy);
    wait_done(w, &destroy);
    assert_int_equal(destroy.err.code, 0);
    assert_int_equal(destroy.state, HV_GONE);
    assert_true(is_done(&begun));
    assert_int_equal(begun.err.code, ERR_CANCELLED);
    assert_true(is_done(&waits));
    assert_int_equal(waits.err.code, ERR_CANCELLED);
}

static void a_bad_path_is_told_clearly(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    struct hv_req req = {.op = HV_START, .spec = &spec};
    (void)str_copy(spec.kernel, sizeof spec.kernel, "/nonexistent/kernel");
    assert_int_equal(run_op(w, &w->a, &req), ERR_NOT_FOUND);
    assert_non_null(strstr(req.err.msg, "kernel /nonexistent/kernel: No such file"));
    spec = a_guest(1, 1);
    spec.n_disks = 1;
    spec.disks[0] = (struct hv_disk){.path = "/nonexistent/disk", .device = "hda"};
    assert_int_equal(run_op(w, &w->a, &req), ERR_NOT_FOUND);
    assert_non_null(strstr(req.err.msg, "disk /nonexistent/disk: No such file"));
    spec.disks[0] = (struct hv_disk){.path = "/tmp", .device = "vda", .readonly = true};
    assert_int_equal(run_op(w, &w->a, &req), ERR_INVALID);
    assert_non_null(strstr(req.err.msg, "neither a file nor a block device"));
    assert_int_equal(state_of(&w->a, &key), HV_GONE);
    assert_false(heard_state(&w->a, &key, HV_RUNNING));
}

static void a_senseless_spec_is_refused(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec good = a_guest(1, 1);
    struct hv_spec spec;
    struct hv_req req = {.op = HV_START, .spec = &spec};
    spec = good;
    spec.memory_mib = 0;
    assert_int_equal(run_op(w, &w->a, &req), ERR_INVALID);
    spec = good;
    spec.vcpus = 1000;
    assert_int_equal(run_op(w, &w->a, &req), ERR_INVALID);
    spec = good;
    spec.epoch = 0;
    assert_int_equal(run_op(w, &w->a, &req), ERR_INVALID);
    spec = good;
    (void)str_copy(spec.name, sizeof spec.name, "../web1");
    assert_int_equal(run_op(w, &w->a, &req), ERR_INVALID);
    spec = good;
    spec.n_disks = 1;
    spec.disks[0] = (struct hv_disk){.path = "/tmp/x", .device = "hdz"};
    assert_int_equal(run_op(w, &w->a, &req), ERR_INVALID);
    spec = good;
    spec.n_vifs = 1;
    spec.vifs[0] = (struct hv_vif){.mac = "52:54:00:00:00"};
    assert_int_equal(run_op(w, &w->a, &req), ERR_INVALID);
    spec = good;
    (void)str_copy(spec.boot, sizeof spec.boot, "c,splash=x");
    assert_int_equal(run_op(w, &w->a, &req), ERR_INVALID);
}

static void closing_ends_what_is_under_way(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_req start_req = {.op = HV_START, .spec = &spec};
    struct hv_req waits = {.op = HV_PAUSE, .key = key_of(&spec)};
    conf_kind->slow(w->a.hv);
    submit(&w->a, &start_req);
    submit(&w->a, &waits);
    while (state_of(&w->a, &waits.key) == HV_GONE) {
        run_once(w);
    }
    host_close(w, &w->a);
    assert_true(is_done(&start_req));
    assert_int_equal(start_req.err.code, ERR_CANCELLED);
    assert_true(is_done(&waits));
    assert_int_equal(waits.err.code, ERR_CANCELLED);
    host_open(w, &w->a,
              "a"); /* Adopts it or says that it is no more: teardown finds what is left. */
}

static void many_guests_are_listed_in_order(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec specs[5];
    struct hv_req reqs[5];
    memset(reqs, 0, sizeof reqs);
    for (int i = 0; i < 5; i++) {
        specs[i] = a_guest(5 - i, 3);
        reqs[i].op = HV_START;
        reqs[i].spec = &specs[i];
        submit(&w->a, &reqs[i]);
    }
    for (int i = 0; i < 5; i++) {
        wait_done(w, &reqs[i]);
        assert_int_equal(reqs[i].err.code, 0);
    }
    struct hv_info info;
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(hv_list(w->a.hv, i, &info));
        assert_int_equal(info.key.uuid.b[0], i + 1);
    }
    assert_false(hv_list(w->a.hv, 5, &info));
    struct hv_host_info host;
    hv_host_info(w->a.hv, &host);
    assert_string_equal(host.driver, conf_kind->driver);
    assert_true(host.cpus > 0 && host.memory_mib > 0 && host.version[0] != '\0');
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)

const struct CMUnitTest conf_life_tests[] = {
    T(a_started_guest_runs),
    T(a_guest_started_paused_stands_still),
    T(a_shutdown_ends_in_power_off),
    T(destroy_works_twice_and_on_what_never_was),
    T(a_paused_guest_stands_still_until_unpaused),
    T(a_reset_is_no_exit),
    T(a_guest_may_power_itself_off),
    T(a_reboot_of_the_guest_is_an_exit_also_after_a_reset),
    T(a_guest_that_panics_is_kept),
    T(a_copy_that_is_killed_left_no_word),
    T(a_copy_that_dies_ends_what_was_asked_of_it),
    T(a_killed_daemon_finds_its_guests_again),
    T(a_closed_driver_leaves_its_guests_in_their_states),
    T(what_died_without_a_daemon_is_told_after_open),
    T(two_runs_of_one_guest_are_kept_apart),
    T(requests_of_one_guest_are_done_in_order),
    T(a_destroy_overtakes_a_start),
    T(a_bad_path_is_told_clearly),
    T(a_senseless_spec_is_refused),
    T(closing_ends_what_is_under_way),
    T(many_guests_are_listed_in_order),
};
const size_t n_conf_life_tests = ARRAY_LEN(conf_life_tests);
