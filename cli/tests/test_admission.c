/* How many hosts may be lost: tables of pools, and what is said of the costliest host. */

#include <stdio.h>
#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/quorated/admission.h"
#include "cli/tests/state.h"

/* Four hosts of 1000 MiB. */
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

static const struct row {
    const char *name;
    const char *before[10];
    uint32_t tolerates;
    const char *host; /* The costliest. */
    uint64_t needed_mib, free_mib;
    uint32_t without_place;
    const char *guest;
} table[] = {
    {"nobody is protected",
     {"guest_create name=a host=h1 memory_mib=900", "guest_create name=b host=h2 memory_mib=900",
      "guest_create name=c host=h3 memory_mib=900", "guest_create name=d host=h4 memory_mib=900"},
     3,
     "h1",
     0,
     300,
     0,
     ""},
    {"one guest goes wherever a host is left",
     {"guest_create name=a host=h3 memory_mib=900 ha=on"},
     3,
     "h3",
     900,
     3000,
     0,
     ""},
    {"three of four can be lost by memory, two by what must be apart",
     {"guest_create name=a host=h1 memory_mib=100 ha=on apart=x",
      "guest_create name=b host=h2 memory_mib=100 ha=on apart=x"},
     2,
     "h1",
     100,
     2900,
     0,
     ""},
    {"one can be lost, two cannot",
     {"guest_create name=a host=h1 memory_mib=600 ha=on",
      "guest_create name=b host=h2 memory_mib=601 ha=on",
      "guest_create name=c host=h3 memory_mib=600 ha=on"},
     1,
     "h2",
     601,
     1800,
     0,
     ""},
    {"none can be: memory is there, but in pieces",
     {"guest_create name=a host=h1 memory_mib=600 ha=on",
      "guest_create name=b host=h2 memory_mib=600", "guest_create name=c host=h3 memory_mib=600",
      "guest_create name=d host=h4 memory_mib=600"},
     0,
     "h1",
     600,
     1200,
     1,
     "a"},
    {"what is not protected takes room and is not moved",
     {"guest_create name=a host=h1 memory_mib=500 ha=on",
      "guest_create name=b host=h1 memory_mib=500", "guest_create name=c host=h2 memory_mib=600",
      "guest_create name=d host=h3 memory_mib=600", "guest_create name=e host=h4 memory_mib=400"},
     1,
     "h1",
     500,
     1400,
     0,
     ""},
    {"preferred hosts",
     {"guest_create name=a host=h1 memory_mib=100 ha=on preferred=h1"},
     0,
     "h1",
     100,
     3000,
     1,
     "a"},
    {"two preferred hosts",
     {"guest_create name=a host=h1 memory_mib=100 ha=on preferred=h1,h4"},
     1,
     "h1",
     100,
     3000,
     0,
     ""},
    {"hosts that take no guests are no place",
     {"guest_create name=a host=h1 memory_mib=100 ha=on", "host_maintenance mode=on name=h2",
      "host_seen name=h3 raft_id=3 up=off", "host_set name=h4 can_run=off"},
     0,
     "h1",
     100,
     0,
     1,
     "a"},
    {"who waits already has no place either",
     {"guest_create name=w host=h4 memory_mib=900 ha=on",
      "guest_create name=a host=h1 memory_mib=200", "guest_create name=b host=h2 memory_mib=200",
      "guest_create name=c host=h3 memory_mib=200", "host_fence name=h4 reason=off"},
     0,
     "h1",
     900,
     1600,
     1,
     "w"},
    {"high availability is off for the pool",
     {"guest_create name=a host=h1 memory_mib=100 ha=on preferred=h1", "pool_set ha=off"},
     3,
     "h1",
     0,
     2900 + 100,
     0,
     ""},
};

static void so_many_hosts_may_be_lost(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct row *r = &table[i];
        struct fsm *f = state_open();
        struct admission m;
        struct admission_answer a;
        size_t n = 0;
        while (n < ARRAY_LEN(r->before) && r->before[n] != NULL) {
            n++;
        }
        state_must(f, pool, ARRAY_LEN(pool));
        state_must(f, r->before, n);
        struct fsm_view *v = fsm_view_open(f);
        admission_take(v, &m);
        admission_ask(&m, ADMISSION_MOST, ADMISSION_STEPS_DECIDE, &a);
        (void)fsm_view_close(v);
        if (a.tolerates != r->tolerates || strcmp(a.host, r->host) != 0 ||
            a.needed_mib != r->needed_mib || a.free_mib != r->free_mib ||
            a.without_place != r->without_place || strcmp(a.guest, r->guest) != 0) {
            fail_msg("%s: tolerates %u; without %s: %u MiB needed, %u free, %u without a place: %s",
                     r->name, a.tolerates, a.host, (unsigned)a.needed_mib, (unsigned)a.free_mib,
                     a.without_place, a.guest);
        }
        admission_ask(&m, 1, 0, &a); /* No more is looked for than is asked. */
        assert_int_equal(a.tolerates, r->tolerates > 1 ? 1 : r->tolerates);
        admission_done(&m);
        (void)state_close(f);
    }
}

static void a_guest_that_would_be_there_counts(void **state)
{
    (void)state;
    struct fsm *f = state_open();
    struct admission m;
    struct admission_answer a;
    struct guest g;
    schema_init(&schema_guest, &g);
    (void)str_copy(g.name, sizeof g.name, "g");
    state_must(f, pool, ARRAY_LEN(pool));
    struct fsm_view *v = fsm_view_open(f);
    for (uint32_t mib = 200; mib <= 1000; mib += 200) {
        /* One of the same size on each host: half of each may be taken. */
        admission_take(v, &m);
        g.config.memory_mib = mib;
        for (uint32_t i = 0; i < 4; i++) {
            (void)snprintf(g.name, sizeof g.name, "g%u", i);
            admission_add(&m, &g, m.hosts[i].name, /*is_protected=*/true);
        }
        admission_ask(&m, ADMISSION_MOST, ADMISSION_STEPS_DECIDE, &a);
        assert_int_equal(a.tolerates, mib == 200 ? 3 : mib == 400 ? 2 : 0);
        assert_false(a.cut);
        admission_ask(&m, ADMISSION_MOST, 0, &a);
        assert_int_equal(a.tolerates, mib <= 400 ? 1 : 0);
        assert_true(a.cut == (mib <= 400));
        admission_done(&m);
    }
    (void)fsm_view_close(v);
    (void)state_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_hosts_may_be_lost),
        cmocka_unit_test(a_guest_that_would_be_there_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
