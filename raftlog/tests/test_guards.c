/* The guards of membership changes: what happens without each, and does not with it. */

#include "raftlog/node_impl.h"
#include "raftlog/tests/check.h"
#include "raftlog/tests/sim_script.h"

static bool someone_new_leads(struct sim *sim)
{
    for (uint32_t i = 1; i < SIM_HOSTS; i++) {
        if (sim->hosts[i].up && sim->hosts[i].node->state == CORE_LEADER) {
            return true;
        }
    }
    return false;
}

/* Make the host of slot 0 lead. */
static void slot_0_leads(struct sim *sim)
{
    struct err e;

    while (sim_leader(sim) != &sim->hosts[0]) {
        struct sim_host *leader = sim_leader(sim);
        if (leader != NULL) {
            (void)node_transfer(leader->node, sim->hosts[0].id, sim_ms(sim), &e);
            sim_host_touched(leader);
        }
        sim_pass(sim, 50 * MS);
    }
    sim_pass(sim, 100 * MS);
}

/* Ongaro 2015. Four voters and a standby 4. Leader 0, alone with 4, makes 4 a voter; nobody else
 * hears of it. The others elect one of them, which reaches only one more, and takes 0 out: two of
 * three. Then 0 with 4 and the one who knows nothing are three of five. */
static bool two_majorities(unsigned mutants)
{
    struct sim *sim = script_new(7, 4, mutants);
    struct err e;

    slot_0_leads(sim);
    struct sim_host *standby = script_add_standby(sim);
    assert_int_equal(standby->slot, 4);
    struct sim_host *old = &sim->hosts[0];
    script_cut(sim, 0, 0x0e, /*cut=*/true);
    script_cut(sim, 4, 0x0e, /*cut=*/true);
    assert_int_equal(node_member_role(old->node, standby->id, RAFTLOG_VOTER, sim_ms(sim), &e), 0);
    sim_host_touched(old);
    assert_true(sim_until(sim, someone_new_leads, 3000 * MS));
    struct sim_host *leader = NULL;
    for (uint32_t i = 1; i < 4; i++) {
        if (sim->hosts[i].node->state == CORE_LEADER) {
            leader = &sim->hosts[i];
        }
    }
    uint32_t ignorant = leader->slot == 3 ? 2 : 3;
    uint32_t third = 6 - leader->slot - ignorant;
    /* It was elected this moment: what it sent is still under way. */
    struct sim_link *link = sim_net_link(sim, leader->slot, ignorant);
    link->up = false;
    link->epoch++;
    script_cut(sim, ignorant, 1u << leader->slot | 1u << third, /*cut=*/true);
    assert_int_equal(node_member_remove(leader->node, old->id, sim_ms(sim), &e), 0);
    sim_host_touched(leader);
    sim_pass(sim, 20 * MS);
    int acked = script_propose(leader, 100);
    sim_net_heal(sim);
    script_cut(sim, leader->slot, 1u << 0 | 1u << 4 | 1u << ignorant, /*cut=*/true);
    script_cut(sim, third, 1u << 0 | 1u << 4 | 1u << ignorant, /*cut=*/true);
    sim_pass(sim, 3000 * MS);
    (void)script_propose(old, 1000);
    bool broken = sim->failed;
    assert_int_equal(broken, acked == 0);
    sim_free(sim);
    return broken;
}

static void a_change_waits_for_an_entry_of_the_own_term(void **state)
{
    (void)state;
    assert_false(two_majorities(0));
    /* Guard 3 stands in for guard 2 here: it must be off to see that guard 2 alone is enough. */
    assert_false(two_majorities(NODE_MUTANT_NO_CONF_MATCH));
    assert_true(two_majorities(NODE_MUTANT_NO_OWN_TERM | NODE_MUTANT_NO_CONF_MATCH));
}

/* Standby 3 becomes a voter and does not hear of it. Then voter 2 is made a standby, if that is
 * allowed. Then host 1 is lost, and host 0 starts anew. */
static bool recovers(unsigned mutants, bool *ret_second_change)
{
    struct sim *sim = script_new(11, 3, mutants);
    struct err e;

    slot_0_leads(sim);
    struct sim_host *deaf = script_add_standby(sim);
    struct sim_host *leader = &sim->hosts[0];
    script_cut(sim, deaf->slot, 0x07, /*cut=*/true);
    assert_int_equal(node_member_role(leader->node, deaf->id, RAFTLOG_VOTER, sim_ms(sim), &e), 0);
    sim_host_touched(leader);
    sim_pass(sim, 50 * MS);
    assert_int_equal(conf_voters(&leader->node->membership.committed), 4);
    assert_int_equal(
        node_member_role(leader->node, sim->hosts[2].id, RAFTLOG_STANDBY, sim_ms(sim), &e), 0);
    sim_host_touched(leader);
    sim_pass(sim, 100 * MS);
    *ret_second_change = conf_voters(&leader->node->membership.committed) == 3;
    sim_host_crash(&sim->hosts[1]);
    sim_host_crash(leader);
    sim_net_heal(sim);
    sim_host_start(leader);
    bool ok = sim_until(sim, script_has_leader, 4000 * MS);
    assert_false(sim->failed);
    sim_free(sim);
    return ok;
}

static void a_voter_that_missed_its_promotion_does_not_stop_the_pool(void **state)
{
    bool second = false;

    (void)state;
    assert_true(recovers(0, &second));
    assert_false(second);
    assert_false(recovers(NODE_MUTANT_NO_CONF_MATCH, &second));
    assert_true(second);
}

/* Leader 0 makes the other one of two voters a standby, and dies before that is on its own disk. If
 * the other one has it, it does not stand, and does not vote for 0, whose log is shorter. */
static void the_last_other_voter_goes_when_the_leader_has_it_on_disk(void **state)
{
    struct sim *sim = script_new(12, 2, 0);
    struct err e;

    (void)state;
    slot_0_leads(sim);
    struct sim_host *leader = &sim->hosts[0];
    leader->disk.fsync_us = 400 * MS;
    assert_int_equal(
        node_member_role(leader->node, sim->hosts[1].id, RAFTLOG_STANDBY, sim_ms(sim), &e), 0);
    sim_host_touched(leader);
    sim_pass(sim, 60 * MS);
    assert_int_equal(conf_voters(&leader->node->membership.now), 1);
    assert_int_equal(conf_voters(&leader->node->membership.committed), 2);
    sim_host_crash(leader);
    leader->disk.fsync_us = 800;
    sim_host_start(leader);
    assert_true(sim_until(sim, script_has_leader, 4000 * MS));
    slot_0_leads(sim);
    assert_int_equal(
        node_member_role(leader->node, sim->hosts[1].id, RAFTLOG_STANDBY, sim_ms(sim), &e), 0);
    sim_host_touched(leader);
    sim_pass(sim, 500 * MS);
    assert_int_equal(conf_voters(&leader->node->membership.committed), 1);
    assert_int_equal(conf_voters(&sim->hosts[1].node->membership.committed), 1);
    assert_false(sim->failed);
    sim_free(sim);
}

/* Guard 1 is about the core's books, which random lives get wrong within a few seeds. */
static void without_the_split_the_core_notes_wrong_configurations(void **state)
{
    bool found = false;

    (void)state;
    for (uint64_t seed = 1; seed <= 20 && !found; seed++) {
        struct sim *sim = sim_new(&(struct sim_options){.seed = seed,
                                                        .faults = SIM_ALL,
                                                        .mutants = NODE_MUTANT_NO_SPLIT,
                                                        .chaos_us = 12000 * MS});
        found = !sim_run(sim);
        sim_free(sim);
    }
    assert_true(found);
}

/* Two lost voters of five do not hold each other in the pool. */
static void lost_voters_can_be_taken_out_one_after_the_other(void **state)
{
    struct sim *sim = script_new(5, 5, 0);
    struct err e;

    (void)state;
    slot_0_leads(sim);
    sim_host_crash(&sim->hosts[3]);
    sim_host_crash(&sim->hosts[4]);
    struct sim_host *leader = sim_leader(sim);
    for (uint32_t slot = 3; slot <= 4; slot++) {
        assert_int_equal(node_member_remove(leader->node, sim->hosts[slot].id, sim_ms(sim), &e), 0);
        sim_host_touched(leader);
        sim_pass(sim, 12000 * MS);
        assert_int_equal(conf_voters(&leader->node->membership.committed), 7 - slot);
    }
    assert_false(sim->failed);
    sim_free(sim);
}

/* Whoever has the longer log has the older term, and is needed: it must learn the newer one. (The
 * library's answer to a question before an election names the term asked about.) */
static void a_refusal_tells_of_a_newer_term(void **state)
{
    struct sim *sim = script_new(21, 3, 0);

    (void)state;
    slot_0_leads(sim);
    sim_host_crash(&sim->hosts[2]);
    assert_int_equal(script_propose(&sim->hosts[0], 1000), 0);
    sim_host_crash(&sim->hosts[1]);
    sim_host_crash(&sim->hosts[0]);
    sim->hosts[2].disk.term += 12; /* It stood for election again and again. */
    sim->hosts[2].disk.vote = sim->hosts[2].id;
    sim_host_start(&sim->hosts[0]);
    sim_host_start(&sim->hosts[2]);
    assert_true(sim_until(sim, script_has_leader, 4000 * MS));
    assert_ptr_equal(sim_leader(sim), &sim->hosts[0]);
    assert_false(sim->failed);
    sim_free(sim);
}

static void a_removed_member_learns_it(void **state)
{
    struct sim *sim = script_new(3, 3, 0);
    struct err e;

    (void)state;
    slot_0_leads(sim);
    struct sim_host *leader = &sim->hosts[0];
    assert_false(node_removed(sim->hosts[2].node));
    assert_int_equal(node_member_remove(leader->node, sim->hosts[2].id, sim_ms(sim), &e), 0);
    sim_host_touched(leader);
    sim_pass(sim, 100 * MS);
    assert_true(node_removed(sim->hosts[2].node));
    assert_false(node_removed(sim->hosts[1].node));
    assert_int_equal(leader->node->membership.committed.n, 2);
    sim_free(sim);
}

/* Member 2 is told to stand, is not heard, and is taken out meanwhile by the leader of the term
 * before.
 */
static void a_removed_member_with_a_newer_term_learns_it(void **state)
{
    struct sim *sim = script_new(4, 3, 0);
    struct err e;

    (void)state;
    slot_0_leads(sim);
    struct sim_host *leader = &sim->hosts[0];
    struct sim_host *away = &sim->hosts[2];
    uint64_t term = leader->node->term;
    sim_net_set_cut(sim, 2, 0, /*cut=*/true);
    sim_net_set_cut(sim, 2, 1, /*cut=*/true);
    assert_int_equal(node_transfer(leader->node, away->id, sim_ms(sim), &e), 0);
    sim_host_touched(leader);
    for (int i = 0; i < 100 && away->node->term == term; i++) {
        sim_pass(sim, MS);
    }
    assert_int_equal(away->node->term, term + 1);
    script_cut(sim, 2, 0x03, /*cut=*/true);
    for (int i = 0; i < 100 && leader->node->membership.committed.n == 3; i++) {
        (void)node_member_remove(leader->node, away->id, sim_ms(sim), &e);
        sim_host_touched(leader);
        sim_pass(sim, 100 * MS);
    }
    assert_int_equal(leader->node->membership.committed.n, 2);
    assert_int_equal(leader->node->term, term);
    sim_host_crash(away); /* From now on it asks before it stands. */
    sim_host_start(away);
    sim_pass(sim, 1000 * MS);
    assert_false(node_removed(away->node));
    sim_net_heal(sim);
    sim_pass(sim, 1000 * MS);
    assert_true(node_removed(away->node));
    assert_int_equal(leader->node->term, term);
    assert_false(sim->failed);
    sim_free(sim);
}

/* The leader is not in its reach, which another member is. */
static void a_removed_member_learns_it_from_a_follower(void **state)
{
    struct sim *sim = script_new(5, 3, 0);
    struct err e;

    (void)state;
    slot_0_leads(sim);
    struct sim_host *leader = &sim->hosts[0];
    script_cut(sim, 2, 0x01, /*cut=*/true);
    assert_int_equal(node_member_remove(leader->node, sim->hosts[2].id, sim_ms(sim), &e), 0);
    sim_host_touched(leader);
    sim_pass(sim, 2000 * MS);
    assert_int_equal(leader->node->membership.committed.n, 2);
    assert_true(node_removed(sim->hosts[2].node));
    assert_false(node_removed(sim->hosts[1].node));
    assert_false(sim->failed);
    sim_free(sim);
}

static void changes_are_refused_for_the_right_reason(void **state)
{
    struct sim *sim = script_new(4, 3, 0);
    struct err e;

    (void)state;
    slot_0_leads(sim);
    struct node *leader = sim->hosts[0].node;
    struct node *other = sim->hosts[1].node;
    uint64_t now = sim_ms(sim);
    assert_int_equal(node_member_add(other, 9, "m9", now, &e), ERR_NOT_LEADER);
    assert_int_equal(node_member_add(leader, 2, "m9", now, &e), ERR_EXISTS);
    assert_int_equal(node_member_add(leader, 9, "m2", now, &e), ERR_EXISTS);
    assert_int_equal(node_member_add(leader, 9, "", now, &e), ERR_INVALID);
    assert_int_equal(node_member_role(leader, 9, RAFTLOG_VOTER, now, &e), ERR_NOT_FOUND);
    assert_int_equal(node_member_role(leader, 1, RAFTLOG_STANDBY, now, &e), ERR_STATE);
    assert_int_equal(node_member_role(leader, 2, RAFTLOG_VOTER, now, &e), ERR_STATE);
    assert_int_equal(node_member_remove(leader, 1, now, &e), ERR_STATE);
    assert_int_equal(node_transfer(leader, 9, now, &e), ERR_NOT_FOUND);
    assert_int_equal(node_member_remove(leader, 2, now, &e), 0);
    assert_int_equal(node_member_remove(leader, 3, now, &e), ERR_BUSY);
    sim_host_touched(&sim->hosts[0]);
    sim_pass(sim, 100 * MS);
    (void)script_add_standby(sim);
    assert_int_equal(node_transfer(leader, sim->hosts[3].id, sim_ms(sim), &e), ERR_STATE);
    sim_free(sim);
}

/* A member that is filled by a snapshot, and nothing of it gets through at first. */
static uint64_t filled_after_ms(const struct sim_options *options)
{
    struct sim *sim = sim_new(options);

    assert_true(sim_until(sim, script_has_leader, 3000 * MS));
    sim_pass(sim, 200 * MS);
    slot_0_leads(sim);
    sim_host_crash(&sim->hosts[2]);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(script_propose(&sim->hosts[0], 1000), 0);
    }
    sim_pass(sim, 200 * MS);
    uint64_t begin = sim_ms(sim);
    sim_host_start(&sim->hosts[2]);
    assert_true(sim_until(sim, sim_check_equal, 60000 * MS));
    assert_true(sim->installs > 0);
    assert_true(sim->sends > options->broken_sends + options->lost_sends);
    assert_false(sim->failed);
    uint64_t took = sim_ms(sim) - begin;
    sim_free(sim);
    return took;
}

static void a_snapshot_that_did_not_arrive_is_sent_again_soon(void **state)
{
    struct sim_options o = {
        .seed = 1, .hosts = 3, .quiet_clients = true, .small_snapshots = true, .install_ms = 30000};

    (void)state;
    assert_in_range(filled_after_ms(&o), 0, 600);
    o.broken_sends = 3;
    assert_in_range(filled_after_ms(&o), 0, 2000);
    o.broken_sends = 0;
    o.lost_sends = 1;
    assert_in_range(filled_after_ms(&o), 0, 3000);
}

static bool a_snapshot_was_sent(struct sim *sim)
{
    return sim->sends > 0;
}

/* It dies in the middle, and the leader has a newer snapshot when it comes back: the core waits for
 * an answer to the older one. */
static void a_member_that_dies_while_it_is_filled_is_filled_soon_after(void **state)
{
    struct sim_options o = {
        .seed = 1, .hosts = 3, .quiet_clients = true, .small_snapshots = true, .install_ms = 30000};

    (void)state;
    o.broken_sends = 1;
    struct sim *sim = sim_new(&o);
    assert_true(sim_until(sim, script_has_leader, 3000 * MS));
    sim_pass(sim, 200 * MS);
    slot_0_leads(sim);
    for (int round = 0; round < 2; round++) {
        sim_host_crash(&sim->hosts[2]);
        for (int i = 0; i < 100; i++) {
            assert_int_equal(script_propose(&sim->hosts[0], 1000), 0);
        }
        sim_pass(sim, 200 * MS);
        if (round == 0) {
            sim_host_start(&sim->hosts[2]);
            assert_true(sim_until(sim, a_snapshot_was_sent, 3000 * MS));
        }
    }
    uint64_t begin = sim_ms(sim);
    sim_host_start(&sim->hosts[2]);
    assert_true(sim_until(sim, sim_check_equal, 60000 * MS));
    assert_in_range(sim_ms(sim) - begin, 0, 2000);
    assert_false(sim->failed);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_waits_for_an_entry_of_the_own_term),
        cmocka_unit_test(a_voter_that_missed_its_promotion_does_not_stop_the_pool),
        cmocka_unit_test(the_last_other_voter_goes_when_the_leader_has_it_on_disk),
        cmocka_unit_test(without_the_split_the_core_notes_wrong_configurations),
        cmocka_unit_test(lost_voters_can_be_taken_out_one_after_the_other),
        cmocka_unit_test(a_refusal_tells_of_a_newer_term),
        cmocka_unit_test(a_removed_member_learns_it),
        cmocka_unit_test(a_removed_member_with_a_newer_term_learns_it),
        cmocka_unit_test(a_removed_member_learns_it_from_a_follower),
        cmocka_unit_test(changes_are_refused_for_the_right_reason),
        cmocka_unit_test(a_snapshot_that_did_not_arrive_is_sent_again_soon),
        cmocka_unit_test(a_member_that_dies_while_it_is_filled_is_filled_soon_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
