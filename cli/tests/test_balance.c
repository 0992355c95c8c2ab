/* Plans of the balancer, as tables: what the pool is like, and which guests go where. */

#include <stdio.h>
#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/quorated/balance.h"
#include "cli/tests/state.h"

/* Three hosts of 1000 MiB. */
static const char *const pool[] = {
    "pool_init name=p host=h1 address=h1:1",
    "host_add name=h2 address=h2:1",
    "host_add name=h3 address=h3:1",
    "host_report name=h1 raft_id=1 incarnation=1 memory_mib=1000 cpus=4",
    "host_report name=h2 raft_id=2 incarnation=1 memory_mib=1000 cpus=4",
    "host_report name=h3 raft_id=3 incarnation=1 memory_mib=1000 cpus=4",
};

static const struct row {
    const char *name;
    const char *before[10];
    uint32_t threshold;
    const char *plan; /* "guest>host ..." */
    uint32_t difference, after;
} table[] = {
    {"an empty pool is even", {NULL}, 10, "", 0, 0},
    {"the fewest moves: the one guest that evens most",
     {"guest_create name=a host=h1 memory_mib=100", "guest_create name=b host=h1 memory_mib=300",
      "guest_create name=c host=h1 memory_mib=300", "guest_create name=d host=h2 memory_mib=300"},
     10,
     "b>h3",
     70,
     10},
    {"within the threshold nobody moves",
     {"guest_create name=a host=h1 memory_mib=100", "guest_create name=b host=h1 memory_mib=100"},
     20,
     "",
     20,
     20},
    {"one guest that is all of it is left alone",
     {"guest_create name=a host=h1 memory_mib=800"},
     10,
     "",
     80,
     80},
    {"several, each from the then fullest to the then emptiest",
     {"guest_create name=a host=h1 memory_mib=200", "guest_create name=b host=h1 memory_mib=200",
      "guest_create name=c host=h1 memory_mib=200", "guest_create name=d host=h1 memory_mib=200"},
     20,
     "a>h2 b>h3",
     80,
     20},
    {"not to a host that takes none, nor against what a guest prefers",
     {"guest_create name=a host=h1 memory_mib=300 preferred=h1,h3",
      "guest_create name=b host=h1 memory_mib=300", "host_maintenance mode=on name=h3"},
     10,
     "b>h2",
     60,
     0},
    {"not one that is to be together with others",
     {"guest_create name=a host=h1 memory_mib=300 together=x",
      "guest_create name=b host=h1 memory_mib=300 together=x"},
     10,
     "",
     60,
     60},
};

static void run_row(const struct row *r)
{
    static struct balance_plan p;
    struct fsm *f = state_open();
    char plan[256] = "";
    state_must(f, pool, ARRAY_LEN(pool));
    uint64_t epoch = 1;
    for (size_t i = 0; i < ARRAY_LEN(r->before) && r->before[i] != NULL; i++) {
        char name[8];
        char host[8];
        state_must(f, &r->before[i], 1);
        if (sscanf(r->before[i], "guest_create name=%7s host=%7s", name, host) == 2) {
            char started[128];
            (void)snprintf(started, sizeof started,
                           "guest_report name=%s host=%s epoch=%llu what=started", name, host,
                           (unsigned long long)epoch++);
            const char *const line = started;
            state_must(f, &line, 1);
        }
    }
    struct fsm_view *v = fsm_view_open(f);
    balance_plan(v, r->threshold, &p);
    for (uint32_t i = 0; i < p.n; i++) {
        size_t n = strlen(plan);
        (void)snprintf(plan + n, sizeof plan - n, "%s%s>%s", i == 0 ? "" : " ", p.moves[i].guest,
                       p.moves[i].to);
    }
    if (strcmp(plan, r->plan) != 0 || p.before != r->difference || p.after != r->after) {
        fail_msg("%s: '%s' %u to %u, not '%s' %u to %u", r->name, plan, p.before, p.after, r->plan,
                 r->difference, r->after);
    }
    (void)fsm_view_close(v);
    (void)state_close(f);
}

static void hosts_are_evened_out_by_few_moves(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        run_row(&table[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hosts_are_evened_out_by_few_moves)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
