/* How long things take, in virtual time: 0.1 to 0.5 ms a hop, 0.2 to 1 ms a synchronous write.
 * `test_failover RUNS` prints the distributions. */

#include <stdio.h>
#include <stdlib.h>

#include "raftlog/node_impl.h"
#include "raftlog/tests/check.h"
#include "raftlog/tests/sim_script.h"

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool any_done_well(const struct sim *sim, uint32_t first)
{
    for (uint32_t i = first; i < sim->requests_n; i++) {
        if (sim->requests[i].done && sim->requests[i].code == 0) {
            return true;
        }
    }
    return false;
}

/* From the leader's death to the first acknowledged proposal that was made after it. */
static uint64_t failover_us(uint64_t seed, bool no_reset)
{
    struct sim *sim = script_new(seed, 3, 0);

    sim->options.no_reset = no_reset;
    (void)script_propose(&sim->hosts[0], 500);
    sim_pass(sim, 100 * MS + sim_below(sim, 60 * MS));
    struct sim_host *dead = sim_leader(sim);
    sim_host_crash(dead);
    uint64_t from = sim->now_us;
    uint32_t first = sim->requests_n;
    (void)sim_client_propose(script_other(sim, dead, 0), 5000);
    (void)sim_client_propose(script_other(sim, dead, 1), 5000);
    while (!any_done_well(sim, first) && sim->now_us - from < 5000 * MS && !sim->failed) {
        sim_pass(sim, 100);
    }
    uint64_t us = sim->now_us - from;
    assert_false(sim->failed);
    sim_free(sim);
    return us;
}

struct spread {
    uint64_t median, p99, worst;
};

static struct spread failovers(uint32_t runs, bool no_reset)
{
    uint64_t *us = calloc(runs, sizeof *us);

    for (uint32_t i = 0; i < runs; i++) {
        us[i] = failover_us(1000 + i, no_reset);
    }
    qsort(us, runs, sizeof *us, compare);
    struct spread s = {us[runs / 2], us[(uint64_t)runs * 99 / 100], us[runs - 1]};
    free(us);
    return s;
}

static void another_serves_soon_after_the_leaders_process_died(void **state)
{
    struct spread s = failovers(100, /*no_reset=*/false);

    (void)state;
    assert_true(s.median < 60 * MS);
    assert_true(s.p99 < 150 * MS);
}

static void another_serves_when_the_leader_just_fell_silent(void **state)
{
    struct spread s = failovers(100, /*no_reset=*/true);

    (void)state;
    assert_true(s.median < 350 * MS);
    assert_true(s.worst < 1000 * MS);
}

/* A proposal on a follower: to the leader and back, and to the disks in between. Not a heartbeat.
 */
static uint64_t forward_us(struct sim *sim)
{
    struct sim_host *follower = script_other(sim, sim_leader(sim), 0);
    const struct sim_request *rq = sim_client_propose(follower, 1000);

    while (!rq->done) {
        sim_pass(sim, 20);
    }
    assert_int_equal(rq->code, 0);
    return rq->done_us - rq->asked_us;
}

static uint64_t median_forward_us(void)
{
    struct sim *sim = script_new(21, 3, 0);
    uint64_t us[101];

    for (int i = 0; i < 101; i++) {
        sim_pass(sim, sim_below(sim, 70 * MS));
        us[i] = forward_us(sim);
    }
    qsort(us, 101, sizeof us[0], compare);
    assert_true(us[100] < 5 * MS);
    sim_free(sim);
    return us[50];
}

static void a_proposal_on_a_follower_takes_two_round_trips_and_a_write(void **state)
{
    (void)state;
    /* 4 hops of 0.3 ms and a write of 0.6 ms in the mean. */
    assert_true(median_forward_us() < 2500);
}

static bool reads_closed(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_READS; i++) {
        if (sim->reads[i].open) {
            return false;
        }
    }
    return true;
}

static void a_read_on_a_follower_waits_for_no_heartbeat(void **state)
{
    struct sim *sim = script_new(22, 3, 0);

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct sim_host *leader = sim_leader(sim);
        sim_pass(sim, sim_below(sim, 70 * MS));
        assert_int_equal(script_propose(leader, 1000), 0);
        sim_client_read(script_other(sim, leader, (uint32_t)i % 2), 1000);
        assert_true(sim_until(sim, reads_closed, 4 * MS));
    }
    assert_int_equal(sim->reads_done, 50);
    assert_false(sim->failed);
    sim_free(sim);
}

/* --- no leader in reach */

static int wait_code(struct sim *sim, const struct sim_request *rq, uint64_t at_most_us)
{
    uint64_t from = sim->now_us;

    while (!rq->done && sim->now_us - from < at_most_us) {
        sim_pass(sim, 1 * MS);
    }
    return rq->done ? rq->code : ERR_PENDING;
}

static struct sim_request *propose_adrift(struct sim_host *host)
{
    struct sim_request *rq = sim_client_propose(host, 20000);

    rq->p.adrift_ms = 1000;
    return rq;
}

/* Between two hosts that do not see each other a third sees both: nobody stands for election, and
 * the one that does not see the leader says so before it is asked for long. */
static void a_member_that_does_not_reach_the_leader_says_so_early(void **state)
{
    struct sim *sim = script_new(45, 3, 0);
    struct sim_host *leader = sim_leader(sim);
    struct sim_host *blind = script_other(sim, leader, 0);
    uint64_t term = leader->node->term;
    struct raftlog_status st = {0};

    (void)state;
    const struct sim_request *on_its_way = propose_adrift(blind); /* It may get there. */
    script_cut(sim, blind->slot, 1u << leader->slot, /*cut=*/true);
    const struct sim_request *early = propose_adrift(blind);
    assert_int_equal(wait_code(sim, on_its_way, 1700 * MS), ERR_TIMEOUT);
    assert_int_equal(wait_code(sim, early, 10 * MS), ERR_TIMEOUT);
    const struct sim_request *late = propose_adrift(blind);
    assert_int_equal(wait_code(sim, late, 40 * MS), ERR_NO_QUORUM);
    node_status(blind->node, &st);
    assert_true(st.adrift_ms >= 1000 && st.adrift_ms < 2000);
    /* Whoever did not ask for it waits, and all is well once the leader is back in reach. */
    struct sim_request *patient = sim_client_propose(blind, 20000);
    patient->p.adrift_ms = 0;
    assert_int_equal(wait_code(sim, patient, 2000 * MS), ERR_PENDING);
    assert_int_equal(script_propose(script_other(sim, leader, 1), 1000), 0);
    script_cut(sim, blind->slot, 1u << leader->slot, /*cut=*/false);
    assert_int_equal(wait_code(sim, patient, 1000 * MS), 0);
    assert_int_equal(script_propose(blind, 1000), 0);
    sim_pass(sim, 100 * MS); /* It looks at every heartbeat. */
    node_status(blind->node, &st);
    assert_int_equal(st.adrift_ms, 0);
    assert_int_equal(leader->node->term, term);
    assert_false(sim->failed);
    sim_free(sim);
}

static void a_change_of_leader_is_no_reason_to_give_up(void **state)
{
    (void)state;
    for (uint64_t seed = 46; seed < 66; seed++) {
        struct sim *sim = script_new(seed, 3, 0);
        struct sim_host *dead = sim_leader(sim);
        sim->options.no_reset = true;
        sim_host_crash(dead);
        const struct sim_request *rq = propose_adrift(script_other(sim, dead, 0));
        assert_int_equal(wait_code(sim, rq, 3000 * MS), 0);
        sim_free(sim);
    }
}

/* --- no needless elections */

static void a_stopped_follower_does_not_blame_its_leader(void **state)
{
    struct sim *sim = script_new(31, 3, 0);
    struct sim_host *leader = sim_leader(sim);
    uint64_t term = leader->node->term;

    (void)state;
    for (uint32_t i = 0; i < 40; i++) {
        sim_host_pause(script_other(sim, leader, i % 2), 150 * MS + sim_below(sim, 3000 * MS));
        sim_pass(sim, 4000 * MS);
    }
    assert_int_equal(leader->node->term, term);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(sim->hosts[i].node->elections, sim->hosts[i].node == leader->node);
    }
    sim_free(sim);
}

static void ten_minutes_of_peace_have_one_leader(void **state)
{
    struct sim *sim = script_new(32, 3, 0);
    uint64_t term = sim_leader(sim)->node->term;

    (void)state;
    sim_pass(sim, 600ull * 1000 * MS);
    assert_int_equal(sim_leader(sim)->node->term, term);
    sim_free(sim);
}

/* A reset of the connection alone, of a leader that lives, changes nothing. */
static void a_lost_connection_to_a_living_leader_is_no_election(void **state)
{
    struct sim *sim = script_new(33, 3, 0);
    struct sim_host *leader = sim_leader(sim);
    struct sim_host *other = script_other(sim, leader, 0);
    uint64_t term = leader->node->term;
    struct err e;

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(
            node_disconnected(other->node, leader->id, /*reset=*/true, sim_ms(sim), &e), 0);
        sim_host_touched(other);
        sim_pass(sim, 20 * MS);
        assert_int_equal(node_connected(other->node, leader->id, sim_ms(sim), &e), 0);
        sim_pass(sim, 300 * MS);
    }
    assert_int_equal(leader->node->term, term);
    assert_int_equal(leader->node->state, CORE_LEADER);
    sim_free(sim);
}

/* --- handing over */

static void leadership_is_handed_to_whom_is_named(void **state)
{
    struct sim *sim = script_new(41, 5, 0);
    struct err e;

    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        struct sim_host *leader = sim_leader(sim);
        struct sim_host *heir = script_other(sim, leader, i % 4);
        uint64_t from = sim->now_us;
        assert_int_equal(node_transfer(leader->node, heir->id, sim_ms(sim), &e), 0);
        sim_host_touched(leader);
        while (sim_leader(sim) != heir && sim->now_us - from < 500 * MS) {
            sim_pass(sim, 100);
        }
        assert_ptr_equal(sim_leader(sim), heir);
        assert_true(sim->now_us - from < 60 * MS);
        assert_int_equal(script_propose(leader, 1000), 0);
    }
    sim_free(sim);
}

static void a_leader_that_stops_leaves_no_gap(void **state)
{
    struct sim *sim = script_new(42, 3, 0);
    struct sim_host *leader = sim_leader(sim);
    uint64_t from = sim->now_us;

    (void)state;
    node_stop(leader->node, sim_ms(sim));
    sim_host_touched(leader);
    assert_int_equal(script_propose(script_other(sim, leader, 0), 1000), 0);
    assert_true(sim->now_us - from < 60 * MS);
    sim_pass(sim, 400 * MS);
    assert_true(leader->stopped);
    assert_int_equal(script_propose(leader, 100), ERR_CLOSED);
    sim_free(sim);
}

static void a_leader_whose_disk_is_full_gives_way_and_refuses(void **state)
{
    struct sim *sim = script_new(43, 3, 0);
    struct sim_host *leader = sim_leader(sim);
    struct err e;

    (void)state;
    assert_int_equal(node_set_disk_full(leader->node, true, sim_ms(sim), &e), 0);
    assert_int_equal(script_propose(leader, 100), ERR_NO_SPACE);
    sim_pass(sim, 200 * MS);
    assert_ptr_not_equal(sim_leader(sim), leader);
    assert_int_equal(script_propose(script_other(sim, leader, 0), 1000), 0);
    assert_int_equal(node_set_disk_full(leader->node, false, sim_ms(sim), &e), 0);
    assert_int_equal(script_propose(leader, 1000), 0);
    /* All are full: one goes on leading, and says no. */
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(node_set_disk_full(sim->hosts[i].node, true, sim_ms(sim), &e), 0);
    }
    sim_pass(sim, 1000 * MS);
    uint64_t term = sim_leader(sim)->node->term;
    sim_pass(sim, 5000 * MS);
    assert_int_equal(sim_leader(sim)->node->term, term);
    sim_free(sim);
}

static void a_leader_without_a_majority_stops_leading(void **state)
{
    struct sim *sim = script_new(44, 3, 0);
    struct sim_host *leader = sim_leader(sim);

    (void)state;
    script_cut(sim, leader->slot, 0x07, /*cut=*/true);
    sim_pass(sim, 450 * MS);
    assert_int_not_equal(leader->node->state, CORE_LEADER);
    assert_int_equal(script_propose(leader, 300), ERR_TIMEOUT);
    sim_free(sim);
}

static int print(uint32_t runs)
{
    struct spread with = failovers(runs, /*no_reset=*/false);
    struct spread without = failovers(runs, /*no_reset=*/true);

    (void)printf("failover of %u: with reset notice median %.1f p99 %.1f worst %.1f ms; without "
                 "median %.1f p99 %.1f worst %.1f ms\n",
                 runs, (double)with.median / 1e3, (double)with.p99 / 1e3, (double)with.worst / 1e3,
                 (double)without.median / 1e3, (double)without.p99 / 1e3,
                 (double)without.worst / 1e3);
    (void)printf("proposal on a follower: median %.2f ms\n", (double)median_forward_us() / 1e3);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_serves_soon_after_the_leaders_process_died),
        cmocka_unit_test(another_serves_when_the_leader_just_fell_silent),
        cmocka_unit_test(a_proposal_on_a_follower_takes_two_round_trips_and_a_write),
        cmocka_unit_test(a_read_on_a_follower_waits_for_no_heartbeat),
        cmocka_unit_test(a_member_that_does_not_reach_the_leader_says_so_early),
        cmocka_unit_test(a_change_of_leader_is_no_reason_to_give_up),
        cmocka_unit_test(a_stopped_follower_does_not_blame_its_leader),
        cmocka_unit_test(ten_minutes_of_peace_have_one_leader),
        cmocka_unit_test(a_lost_connection_to_a_living_leader_is_no_election),
        cmocka_unit_test(leadership_is_handed_to_whom_is_named),
        cmocka_unit_test(a_leader_that_stops_leaves_no_gap),
        cmocka_unit_test(a_leader_whose_disk_is_full_gives_way_and_refuses),
        cmocka_unit_test(a_leader_without_a_majority_stops_leading),
    };

    if (argc > 1) {
        return print((uint32_t)strtoul(argv[1], NULL, 10));
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
