/* Lives of pools under faults. Without arguments: a fixed set of seeds, and planted mistakes that
 * must be found. `test_sim SEED COUNT [FAULTS [MUTANTS]]`: many seeds, for long runs. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raftlog/tests/check.h"
#include "raftlog/tests/sim.h"

static int many(int argc, char **argv)
{
    uint64_t first = strtoull(argv[1], NULL, 0);
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    unsigned faults = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 0) : SIM_ALL;
    unsigned mutants = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : 0;
    uint64_t bad = 0;
    uint64_t acked = 0, reads = 0, crashes = 0, elections = 0, installs = 0, taken = 0, changes = 0;

    for (uint64_t seed = first; seed < first + count; seed++) {
        struct sim *sim = sim_new(&(struct sim_options){
            .seed = seed, .faults = faults, .mutants = mutants, .chaos_us = 12000000});
        if (!sim_run(sim)) {
            (void)printf("%s\n", sim->failure);
            if (getenv("SIM_DUMP") != NULL) {
                sim_dump(sim);
            }
            (void)fflush(stdout);
            bad++;
        }
        acked += sim->acked;
        reads += sim->reads_done;
        crashes += sim->crashes;
        elections += sim->elections;
        installs += sim->installs;
        taken += sim->taken;
        changes += sim->changes;
        sim_free(sim);
    }
    (void)printf("%llu seeds, %llu bad; acked %llu reads %llu crashes %llu elections %llu installs "
                 "%llu snapshots %llu changes %llu\n",
                 (unsigned long long)count, (unsigned long long)bad, (unsigned long long)acked,
                 (unsigned long long)reads, (unsigned long long)crashes,
                 (unsigned long long)elections, (unsigned long long)installs,
                 (unsigned long long)taken, (unsigned long long)changes);
    return bad == 0 ? 0 : 1;
}

static void holds(const struct sim_options *options)
{
    struct sim *sim = sim_new(options);
    bool ok = sim_run(sim);

    if (!ok) {
        print_error("%s\n", sim->failure);
    }
    sim_free(sim);
    assert_true(ok);
}

static void pools_come_through_everything(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        holds(&(struct sim_options){.seed = seed, .faults = SIM_ALL, .chaos_us = 12000000});
    }
}

static void pools_come_through_each_fault_alone(void **state)
{
    (void)state;
    for (unsigned fault = 1; fault < SIM_ALL; fault <<= 1) {
        for (uint64_t seed = 1; seed <= 3; seed++) {
            holds(&(struct sim_options){.seed = seed, .faults = fault, .chaos_us = 4000000});
        }
    }
}

/* These were bugs. */
static void lives_that_went_wrong_once_go_well(void **state)
{
    static const uint64_t seeds[] = {
        915,  /* Two changes pending: the leader, started anew, did not know that one is committed.
               */
        1347, /* A leader that handed over tried to submit until its books overflowed. */
    };

    (void)state;
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        holds(&(struct sim_options){.seed = seeds[i], .faults = SIM_ALL, .chaos_us = 12000000});
    }
}

static void a_seed_always_gives_the_same_life(void **state)
{
    uint64_t seen[2][4];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct sim *sim =
            sim_new(&(struct sim_options){.seed = 77, .faults = SIM_ALL, .chaos_us = 6000000});
        assert_true(sim_run(sim));
        seen[i][0] = sim->events;
        seen[i][1] = sim->sent;
        seen[i][2] = sim_leader(sim)->machine.digest;
        seen[i][3] = rng_u64(&sim->rng);
        sim_free(sim);
    }
    assert_memory_equal(seen[0], seen[1], sizeof seen[0]);
}

/* Every checker must fire: each plant breaks one thing, and some seed shows it, for that reason. */
static void
found_with(unsigned faults, enum sim_plant plant, unsigned mutants, const char *why, uint64_t seeds)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct sim *sim = sim_new(&(struct sim_options){.seed = seed,
                                                        .faults = faults,
                                                        .mutants = mutants,
                                                        .plant = plant,
                                                        .chaos_us = 6000000});
        bool bad = !sim_run(sim);
        bool right = bad && strstr(sim->failure, why) != NULL;
        sim_free(sim);
        if (right) {
            return;
        }
    }
    fail_msg("nothing says \"%s\"", why);
}

static void found(enum sim_plant plant, unsigned mutants, const char *why, uint64_t seeds)
{
    found_with(SIM_ALL, plant, mutants, why, seeds);
}

static void every_checker_finds_what_is_planted(void **state)
{
    (void)state;
    found(SIM_PLANT_LOSE_SYNCED, 0, "applies another entry", 60);
    /* Rare: with these faults alone it shows soonest. */
    found_with(SIM_CRASH | SIM_CUT | SIM_SNAPSHOT, SIM_PLANT_FORGET_VOTE, 0, "two leaders", 1000);
    found(SIM_PLANT_APPLY_OTHER, 0, "different states", 20);
    found(SIM_PLANT_APPLY_TWICE, 0, "took effect at", 20);
    found(SIM_PLANT_DONE_TWICE, 0, "is answered twice", 5);
    found(SIM_PLANT_STALE_READ, 0, "before it asked", 5);
    found(SIM_PLANT_NO_LIVENESS, 0, "not equal after healing", 5);
}

static void every_shortcut_is_found(void **state)
{
    (void)state;
    found(SIM_PLANT_NONE, NODE_MUTANT_ACK_ON_APPEND, "acknowledged but not applied", 5);
    found(SIM_PLANT_NONE, NODE_MUTANT_READ_NO_PROBE, "before it asked", 400);
    found(SIM_PLANT_NONE, NODE_MUTANT_NO_SPLIT, "configurations", 20);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_come_through_everything),
        cmocka_unit_test(pools_come_through_each_fault_alone),
        cmocka_unit_test(lives_that_went_wrong_once_go_well),
        cmocka_unit_test(a_seed_always_gives_the_same_life),
        cmocka_unit_test(every_checker_finds_what_is_planted),
        cmocka_unit_test(every_shortcut_is_found),
    };

    if (argc > 1) {
        return many(argc, argv);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
