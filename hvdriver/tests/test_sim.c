/* The conformance suite on driver sim, and what only driver sim can be made to do. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/sim.h"
#include "hvdriver/tests/conformance/conformance.h"

static void sim_does(struct hv *hv, const struct hv_key *key, char what)
{
    assert_true(what == 'Q'   ? sim_guest_poweroff(hv, key)
                : what == 'R' ? sim_guest_reboot(hv, key)
                              : sim_guest_panic(hv, key));
}

static void sim_is_killed(struct hv *hv, const struct hv_key *key)
{
    assert_true(sim_kill(hv, key));
}

static void sim_slow(struct hv *hv)
{
    sim_times(hv)->start_ms = 500;
    sim_times(hv)->migrate_ms = 30000;
}

static const struct conf_kind sim_kind = {.driver = "sim",
                                          .lets_go = true,
                                          .kernel = "/proc/self/exe",
                                          .model = "",
                                          .beat_ms = 10,
                                          .counter = sim_counter,
                                          .guest_does = sim_does,
                                          .kill = sim_is_killed,
                                          .slow = sim_slow,
                                          .slow_rate = 1u << 20};
const struct conf_kind *conf_kind = &sim_kind;

static void a_request_that_hangs_times_out_and_is_not_in_the_way(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    start(w, &w->a, &spec);
    sim_fail_next(w->a.hv, HV_PAUSE, ERR_TIMEOUT);
    struct hv_req hangs = {.op = HV_PAUSE, .key = key_of(&spec), .deadline_ms = 80};
    struct hv_req waits = {.op = HV_PAUSE, .key = key_of(&spec)};
    submit(&w->a, &hangs);
    submit(&w->a, &waits);
    wait_done(w, &waits);
    assert_true(is_done(&hangs));
    assert_int_equal(hangs.err.code, ERR_TIMEOUT);
    assert_int_equal(waits.err.code, 0);
}

static void a_request_whose_turn_never_came_times_out(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = running_guest(w);
    sim_fail_next(w->a.hv, HV_RESET, ERR_TIMEOUT);
    struct hv_req hangs = {.op = HV_RESET, .key = key, .deadline_ms = 200};
    struct hv_req waits = {.op = HV_PAUSE, .key = key, .deadline_ms = 50};
    submit(&w->a, &hangs);
    submit(&w->a, &waits);
    wait_done(w, &waits);
    assert_int_equal(waits.err.code, ERR_TIMEOUT);
    assert_false(is_done(&hangs));
    wait_done(w, &hangs);
    run_for(w, 20);
    assert_int_equal(state_of(&w->a, &key), HV_RUNNING); /* It was never begun. */
}

static void a_failing_hypervisor_is_told(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    struct hv_req req = {.op = HV_START, .spec = &spec};
    sim_fail_next(w->a.hv, HV_START, ERR_HYPERVISOR);
    assert_int_equal(run_op(w, &w->a, &req), ERR_HYPERVISOR);
    assert_int_equal(state_of(&w->a, &key), HV_GONE);
    assert_int_equal(run_op(w, &w->a, &req), 0); /* Only the next one. */
}

static void a_power_cut_takes_the_guests(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = running_guest(w);
    host_close(w, &w->a);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s/run", w->a.dir);
    assert_int_equal(system(command), 0); /* NOLINT */
    host_open(w, &w->a, "a");
    assert_int_equal(state_of(&w->a, &key), HV_GONE);
}

static void a_damaged_stamp_is_a_guest_that_is_gone(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = running_guest(w);
    host_close(w, &w->a);
    char command[256];
    (void)snprintf(command, sizeof command,
                   "for f in %s/run/*.sim; do echo '{\"name\":1' > $f; done", w->a.dir);
    assert_int_equal(system(command), 0); /* NOLINT */
    host_open(w, &w->a, "a");
    assert_int_equal(wait_exit(w, &w->a, &key), HV_EXIT_UNKNOWN);
}

static void a_thousand_guests_start_and_are_adopted(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    enum {
        N = 1000
    };
    struct hv_spec *specs = mem_new(N, sizeof *specs);
    struct hv_req *reqs = mem_new(N, sizeof *reqs);
    for (int i = 0; i < N; i++) {
        specs[i] = a_guest(1, 1);
        specs[i].uuid.b[14] = (uint8_t)(i >> 8);
        specs[i].uuid.b[15] = (uint8_t)i;
        reqs[i] = (struct hv_req){.op = HV_START, .spec = &specs[i]};
        submit(&w->a, &reqs[i]);
    }
    for (int i = 0; i < N; i++) {
        wait_done(w, &reqs[i]);
        assert_int_equal(reqs[i].err.code, 0);
    }
    host_close(w, &w->a);
    host_open(w, &w->a, "a");
    struct hv_info info;
    assert_true(hv_list(w->a.hv, N - 1, &info));
    assert_int_equal(info.state, HV_RUNNING);
    assert_false(hv_list(w->a.hv, N, &info));
    for (int i = 0; i < N; i++) {
        reqs[i] = (struct hv_req){.op = HV_DESTROY, .key = key_of(&specs[i])};
        submit(&w->a, &reqs[i]);
    }
    for (int i = 0; i < N; i++) {
        wait_done(w, &reqs[i]);
    }
    free(specs);
    free(reqs);
}

/* Plays a source that has sent everything and does not close: the connection. */
static int lazy_source(const struct hv_req *in, const struct hv_spec *spec)
{
    char uuid[ID_TEXT_SIZE];
    char text[256];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)atoi(strrchr(in->ret_address, ':') + 1))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    int n = snprintf(text, sizeof text, "quorate-sim 1 %s %s\nend 5\n", in->ret_secret,
                     id_text(&spec->uuid, uuid));
    assert_int_equal(write(fd, text, (size_t)n), n);
    return fd;
}

/* Found by the failure lab, seed 3096: the end of the old stream stopped the new one, and the
 * migration hung. */
static void a_guest_migrates_on_before_its_source_has_hung_up(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    struct hv_spec spec = a_guest(1, 2);
    struct hv_key key = key_of(&spec);
    struct hv_req in = {.op = HV_INCOMING_START, .spec = &spec, .address = "127.0.0.1"};
    assert_int_equal(run_op(w, &w->a, &in), 0);
    int fd = lazy_source(&in, &spec);
    wait_state(w, &w->a, &key, HV_ARRIVED);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &key), 0);
    struct hv_req on = incoming(w, &w->b, 3);
    struct hv_req move = move_to(&on, 2);
    sim_times(w->a.hv)->migrate_ms = 300;
    submit(&w->a, &move);
    wait_state(w, &w->a, &key, HV_OUTGOING);
    (void)close(fd);
    wait_done(w, &move);
    assert_int_equal(move.err.code, 0);
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(a_request_that_hangs_times_out_and_is_not_in_the_way),
        T(a_request_whose_turn_never_came_times_out),
        T(a_failing_hypervisor_is_told),
        T(a_power_cut_takes_the_guests),
        T(a_damaged_stamp_is_a_guest_that_is_gone),
        T(a_thousand_guests_start_and_are_adopted),
        T(a_guest_migrates_on_before_its_source_has_hung_up),
    };
    int failed = run_conformance(argc, argv, CONF_LIFE | CONF_MOVES | CONF_SAVES | CONF_DEVICES);
    return failed + cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
