/* The scorer, as tables: what the pool is like, what is asked, which host it is, and why each other
 * one is not. */

#include <stdio.h>
#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/quorated/evacuation.h"
#include "cli/quorated/explain.h"
#include "cli/quorated/placement.h"
#include "cli/tests/state.h"

/* Four hosts of 1000 MiB and 4 processors. */
static const char *const pool[] = {
    "pool_init name=p host=h1 address=h1:1",
    "host_add name=h2 address=h2:1",
    "host_add name=h3 address=h3:1",
    "host_add name=h4 address=h4:1",
    "host_report name=h1 raft_id=1 incarnation=1 memory_mib=1000 cpus=4",
    "host_report name=h2 raft_id=2 incarnation=1 memory_mib=1000 cpus=4",
    "host_report name=h3 raft_id=3 incarnation=1 memory_mib=1000 cpus=4",
    "host_report name=h4 raft_id=4 incarnation=1 memory_mib=1000 cpus=4",
};

struct row {
    const char *name;
    const char *before[12]; /* Commands. */
    const char *guest;      /* A guest_create of guest "g", without start; NULL: it is there. */
    const char *leaves;
    const char *refused; /* Hosts that may_host refuses, as letters of their last digit. */
    uint32_t max_starts;
    const char *best;   /* "" for nowhere. */
    const char *why[4]; /* The reason of h1 to h4. */
};

#define CREATE "guest_create name=g start=off memory_mib=100 "

static const struct row table[] = {
    {.name = "of equals the first by name",
     .guest = CREATE,
     .best = "h1",
     .why = {"fits", "fits", "fits", "fits"}},
    {.name = "the roomiest",
     .before = {"guest_create name=a host=h1 memory_mib=20",
                "guest_create name=b host=h2 memory_mib=19",
                "guest_create name=c host=h4 memory_mib=18",
                "guest_create name=d host=h3 memory_mib=17"},
     .guest = CREATE,
     .best = "h3",
     .why = {"fits", "fits", "fits", "fits"}},
    {.name = "to the last MiB, and not one more",
     .before = {"guest_create name=a host=h1 memory_mib=900",
                "guest_create name=b host=h2 memory_mib=901",
                "guest_create name=c host=h3 memory_mib=901",
                "guest_create name=d host=h4 memory_mib=901"},
     .guest = CREATE,
     .best = "h1",
     .why = {"fits", "memory", "memory", "memory"}},
    {.name = "memory on its way counts where it goes and where it is",
     .before = {"guest_create name=a host=h1 memory_mib=950",
                "guest_report name=a host=h1 epoch=1 what=started", "guest_migrate name=a host=h2",
                "host_set name=h3 can_run=off"},
     .guest = CREATE,
     .best = "h4",
     .why = {"memory", "memory", "can_run", "fits"}},
    {.name = "states of hosts",
     .before = {"host_seen name=h1 raft_id=1 up=off", "host_fence name=h2 reason=x",
                "host_set name=h3 can_run=off"},
     .guest = CREATE,
     .best = "h4",
     .why = {"state", "fenced", "can_run", "fits"}},
    {.name = "hosts in maintenance, and one that is being emptied",
     .before = {"host_maintenance mode=on name=h1", "host_evacuate name=h2",
                "guest_create name=a host=h3 memory_mib=50"},
     .guest = CREATE,
     .best = "h4",
     .why = {"maintenance", "evacuating", "fits", "fits"}},
    {.name = "one preferred host: there or nowhere",
     .before = {"guest_create name=a host=h3 memory_mib=950"},
     .guest = CREATE "preferred=h3",
     .best = "",
     .why = {"preferred", "preferred", "memory", "preferred"}},
    {.name = "several preferred hosts: the roomiest of them",
     .before = {"guest_create name=a host=h2 memory_mib=500"},
     .guest = CREATE "preferred=h2,h4",
     .best = "h4",
     .why = {"preferred", "fits", "preferred", "fits"}},
    {.name = "apart, also from one that is on its way",
     .before = {"guest_create name=a host=h1 apart=db memory_mib=8",
                "guest_create name=b host=h2 apart=db memory_mib=8",
                "guest_report name=b host=h2 epoch=2 what=started", "guest_migrate name=b host=h3",
                "guest_create name=c host=h4 apart=web memory_mib=500"},
     .guest = CREATE "apart=db",
     .best = "h4",
     .why = {"apart", "apart", "apart", "fits"}},
    {.name = "together comes before room, but not before what must be",
     .before = {"guest_create name=a host=h2 together=shop memory_mib=800",
                "guest_create name=b host=h3 together=shop memory_mib=950",
                "guest_create name=c host=h4 together=other memory_mib=8"},
     .guest = CREATE "together=shop",
     .best = "h2",
     .why = {"fits", "fits", "memory", "fits"}},
    {.name = "processors, where the pool has a limit",
     .before = {"pool_set vcpu_percent=150", "guest_create name=a host=h1 vcpus=4 memory_mib=8",
                "guest_create name=b host=h2 vcpus=5 memory_mib=8",
                "guest_create name=c host=h3 vcpus=6 memory_mib=8",
                "guest_create name=d host=h4 vcpus=5 memory_mib=9"},
     .guest = CREATE "vcpus=2",
     .best = "h1",
     .why = {"fits", "vcpus", "vcpus", "vcpus"}},
    {.name = "a repository that is not everywhere",
     .before = {"repo_new name=r source=/r", "repo_init name=r",
                "repo_report name=r host=h3 ready=on"},
     .guest = CREATE "disk=r:d.img",
     .best = "h3",
     .why = {"repo", "repo", "fits", "repo"}},
    {.name = "the caller's predicate, the host that is left, and starts under way",
     .before = {"guest_create name=a host=h3 memory_mib=8",
                "guest_create name=b host=h3 memory_mib=8",
                "guest_create name=c host=h4 memory_mib=900"},
     .guest = CREATE,
     .leaves = "h1",
     .refused = "2",
     .max_starts = 2,
     .best = "h4",
     .why = {"leaves", "refused", "busy", "fits"}},
    {.name = "who waits for a restart unprotected goes back where it was",
     .before = {"guest_create name=g host=h3 memory_mib=100",
                "guest_report name=g host=h3 epoch=1 what=started",
                "guest_set name=g restart_backoff_ms=1000",
                "guest_report name=g host=h3 epoch=1 what=exited exit=crash",
                "guest_report name=g host=h3 epoch=2 what=started",
                "guest_report name=g host=h3 epoch=2 what=exited exit=crash"},
     .guest = NULL,
     .best = "h3",
     .why = {"home", "home", "fits", "home"}},
    {.name = "protected, it goes where there is room",
     .before = {"guest_create name=g host=h3 memory_mib=100 ha=on",
                "guest_report name=g host=h3 epoch=1 what=started",
                "guest_set name=g restart_backoff_ms=1000",
                "guest_report name=g host=h3 epoch=1 what=exited exit=crash",
                "guest_report name=g host=h3 epoch=2 what=started",
                "guest_report name=g host=h3 epoch=2 what=exited exit=crash"},
     .guest = NULL,
     .best = "h1",
     .why = {"fits", "fits", "fits", "fits"}},
    {.name = "what may not be is not weighed",
     .before = {"guest_create name=a host=h1 memory_mib=950"},
     .guest = CREATE,
     .refused = "234",
     .best = "",
     .why = {"memory", "refused", "refused", "refused"}},
};

static bool may(void *ctx, const char *host)
{
    const char *refused = ctx;
    return strchr(refused, host[1]) == NULL;
}

static void run_row(const struct row *r)
{
    struct fsm *f = state_open();
    static struct guest g;
    static struct place_census census;
    static struct placement found;
    state_must(f, pool, ARRAY_LEN(pool));
    size_t n = 0;
    while (n < ARRAY_LEN(r->before) && r->before[n] != NULL) {
        n++;
    }
    state_must(f, r->before, n);
    state_must(f, &r->guest, r->guest == NULL ? 0 : 1);
    struct fsm_view *v = fsm_view_open(f);
    assert_int_equal(fsm_get_guest(v, "g", &g), 0);
    char refused[8] = "";
    (void)str_copy(refused, sizeof refused, r->refused == NULL ? "" : r->refused);
    const struct place_ask ask = {.guest = &g,
                                  .not_here = r->leaves,
                                  .max_starts = r->max_starts,
                                  .may_host = may,
                                  .ctx = refused};
    place_census_take(v, &census);
    place_find(v, &census, &ask, &found);
    assert_int_equal(found.n, 4);
    for (uint32_t i = 0; i < found.n; i++) {
        const char *no = enum_place_no.names[found.verdicts[i].no];
        if (strcmp(no, r->why[i]) != 0) {
            fail_msg("%s: %s: %s, not %s", r->name, found.verdicts[i].host->name, no, r->why[i]);
        }
        assert_true((found.verdicts[i].score != 0) == (found.verdicts[i].no == PLACE_FITS));
    }
    const char *best = found.best == NULL ? "" : found.best->host->name;
    if (strcmp(best, r->best) != 0) {
        fail_msg("%s: %s, not %s", r->name, best, r->best);
    }
    if (r->refused == NULL && found.best != NULL) { /* The state machine is of the same opinion. */
        char start[128];
        (void)fsm_view_close(v);
        (void)snprintf(start, sizeof start, "guest_start name=g host=%s", best);
        const char *const line = start;
        state_must(f, &line, 1);
    } else {
        (void)fsm_view_close(v);
    }
    (void)state_close(f);
}

static void hosts_are_chosen_by_the_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        run_row(&table[i]);
    }
}

static void what_the_caller_placed_is_taken(void **state)
{
    (void)state;
    struct fsm *f = state_open();
    static struct place_census census;
    static struct placement found;
    struct guest g;
    schema_init(&schema_guest, &g);
    (void)str_copy(g.name, sizeof g.name, "g");
    g.config.memory_mib = 300;
    state_must(f, pool, ARRAY_LEN(pool));
    struct fsm_view *v = fsm_view_open(f);
    place_census_take(v, &census);
    const struct place_ask ask = {.guest = &g, .max_starts = 3};
    char order[64] = "";
    for (int i = 0; i < 13; i++) {
        place_find(v, &census, &ask, &found);
        size_t n = strlen(order);
        if (found.best == NULL) {
            (void)snprintf(order + n, sizeof order - n, "-");
            break;
        }
        (void)snprintf(order + n, sizeof order - n, "%c", found.best->host->name[1]);
        place_census_add(&census, found.best->host->name, &g);
    }
    assert_string_equal(order, "123412341234-");
    struct err e = {0};
    assert_int_equal(place_none(&found, &g, &e), ERR_NO_ROOM);
    assert_string_equal(e.msg, "no host has 300 MiB free: the roomiest of 4, h1, has 100 MiB");
    (void)fsm_view_close(v);
    (void)state_close(f);
}

static void the_guest_is_not_in_its_own_way_and_the_entry_is_named(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "guest_create name=g host=h2 memory_mib=900",
        "guest_report name=g host=h2 epoch=1 what=started",
        "guest_create name=a host=h1 memory_mib=200",
        "host_set name=h3 can_run=off",
        "guest_migrate name=g host=h4", /* Entry 13. */
        "migrate_prepared op=13 host=h4 address=h4:99",
        "migrate_switch op=13 host=h2",
    };
    struct fsm *f = state_open();
    static struct api_place rows[LIMIT_HOSTS];
    static struct guest g;
    state_must(f, pool, ARRAY_LEN(pool));
    state_must(f, lines, ARRAY_LEN(lines));
    struct fsm_view *v = fsm_view_open(f);
    assert_int_equal(fsm_get_guest(v, "g", &g), 0);
    assert_int_equal(explain_places(v, &g, rows), 4);
    assert_string_equal(rows[0].reason, "h1 has 800 MiB free, 900 MiB needed");
    assert_int_equal(rows[0].verdict, PLACE_MEMORY);
    assert_true(rows[1].best && !rows[1].here);
    assert_int_equal(rows[1].score, 101);
    assert_string_equal(rows[2].reason, "h3 is set not to run guests");
    assert_true(rows[3].here && !rows[3].best && rows[3].verdict == PLACE_FITS);
    assert_int_equal(rows[3].entry, 13);
    assert_string_equal(rows[3].reason, "h4 has 1000 MiB free, 900 MiB needed; it is here by a "
                                        "migrate of anna in entry 13");
    (void)fsm_view_close(v);
    (void)state_close(f);
}

static void an_evacuation_is_planned_largest_first(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "guest_create name=small host=h1 memory_mib=100",
        "guest_create name=large host=h1 memory_mib=600",
        "guest_create name=pinned host=h1 memory_mib=50 preferred=h1",
        "guest_create name=starting host=h1 memory_mib=50",
        "guest_report name=small host=h1 epoch=1 what=started",
        "guest_report name=large host=h1 epoch=2 what=started",
        "guest_report name=pinned host=h1 epoch=3 what=started",
        "guest_create name=x host=h2 memory_mib=350",
        "guest_create name=y host=h3 memory_mib=950",
        "host_maintenance mode=on name=h4",
        "host_evacuate name=h1",
    };
    static const struct {
        const char *guest, *host, *reason;
    } expect[] = {
        {"large", "h2", ""},
        {"small", "", "no host has 100 MiB free: the roomiest of 2, h2, has 50 MiB"},
        {"pinned", "",
         "no host can take it: of 4, the nearest, h2 is not among its preferred hosts"},
        {"starting", "", "operation 12 is under way"},
    };
    struct fsm *f = state_open();
    struct evacuation_plan p;
    state_must(f, pool, ARRAY_LEN(pool));
    state_must(f, lines, ARRAY_LEN(lines));
    struct fsm_view *v = fsm_view_open(f);
    evacuation_plan(v, "h1", &p);
    assert_int_equal(p.n, ARRAY_LEN(expect));
    for (uint32_t i = 0; i < p.n; i++) {
        assert_string_equal(p.moves[i].guest, expect[i].guest);
        assert_string_equal(p.moves[i].host, expect[i].host);
        assert_string_equal(p.moves[i].reason, expect[i].reason);
    }
    assert_int_equal(p.n_can, 1);
    assert_int_equal(p.n_under_way, 1);
    assert_int_equal(p.n_no_place, 2);
    struct err e = {0};
    assert_int_equal(evacuation_check(&p, "h1", &e), ERR_NO_ROOM);
    assert_string_equal(e.msg,
                        "2 of 4 guests cannot leave h1: small (100 MiB): no host has 100 MiB "
                        "free: the roomiest of 2, h2, has 50 MiB");
    evacuation_plan_done(&p);
    evacuation_plan(v, "h4", &p);
    assert_int_equal(p.n, 0);
    assert_int_equal(evacuation_check(&p, "h4", &e), 0);
    (void)fsm_view_close(v);
    (void)state_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_chosen_by_the_rules),
        cmocka_unit_test(what_the_caller_placed_is_taken),
        cmocka_unit_test(an_evacuation_is_planned_largest_first),
        cmocka_unit_test(the_guest_is_not_in_its_own_way_and_the_entry_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
