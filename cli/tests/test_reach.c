/* Whether HA can be promised: tables of where the disks of a guest are. */

#include <stdio.h>
#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/quorated/reach.h"
#include "cli/tests/state.h"

static const char *const pool[] = {
    "pool_init name=p host=h1 address=h1:1",
    "repo_new name=r source=/r",
    "repo_init name=r",
    "repo_report name=r host=h1 ready=on",
};

static const struct row {
    const char *name;
    const char *before[8]; /* Commands. */
    const char *why;       /* NULL: it can be promised. */
} table[] = {
    {"without a disk it can run anywhere",
     {"host_add name=h2 address=h2:1", "guest_create name=g start=off ha=on"},
     NULL},
    {"a path is on one host, whatever other hosts have",
     {"host_add name=h2 address=h2:1", "guest_create name=g start=off ha=on disk=/d.img"},
     "disk 1 of guest g, /d.img, is a path of one host: put it into a repository, or the guest "
     "could run nowhere else when its host is lost (--force turns HA on all the same)"},
    {"with no second host there is nothing to promise",
     {"guest_create name=g start=off ha=on disk=/d.img"},
     NULL},
    {"a repository that two hosts have",
     {"host_add name=h2 address=h2:1", "repo_report name=r host=h2 ready=on",
      "guest_create name=g start=off ha=on disk=r:d.img"},
     NULL},
    {"a repository that one of them has",
     {"host_add name=h2 address=h2:1", "guest_create name=g start=off ha=on disk=r:d.img"},
     "disk 1 of guest g is in repository r, which only h1 has at hand: it could run nowhere else "
     "when its host is lost (--force turns HA on all the same)"},
    {"a repository that nobody has",
     {"host_add name=h2 address=h2:1", "repo_report name=r host=h1 ready=off",
      "guest_create name=g start=off ha=on disk=r:d.img"},
     "disk 1 of guest g is in repository r, which no host has at hand: it could run nowhere else "
     "when its host is lost (--force turns HA on all the same)"},
    {"the second disk counts as the first",
     {"host_add name=h2 address=h2:1", "repo_report name=r host=h2 ready=on",
      "guest_create name=g start=off ha=on disk=r:d.img disk=/e.img"},
     "disk 2 of guest g, /e.img, is a path of one host: put it into a repository, or the guest "
     "could run nowhere else when its host is lost (--force turns HA on all the same)"},
};

static void check(const struct row *r, const char *msg, int rc, int of_all)
{
    if (rc != (r->why == NULL ? 0 : ERR_STATE) || rc != of_all ||
        (r->why != NULL && strcmp(msg, r->why) != 0)) {
        fail_msg("%s: %d, %d of all: %s", r->name, rc, of_all, msg);
    }
}

static void ha_is_promised_where_it_can_be_kept(void **state)
{
    (void)state;
    static struct guest g;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct fsm *f = state_open();
        struct err e = {0};
        struct err all = {0};
        size_t n = 0;
        while (n < ARRAY_LEN(table[i].before) && table[i].before[n] != NULL) {
            n++;
        }
        state_must(f, pool, ARRAY_LEN(pool));
        state_must(f, table[i].before, n);
        struct fsm_view *v = fsm_view_open(f);
        assert_int_equal(fsm_get_guest(v, "g", &g), 0);
        int rc = reach_check(v, &g, &e);
        check(&table[i], e.msg, rc, reach_check_all(v, &all));
        (void)fsm_view_close(v);
        (void)state_close(f);
    }
}

static void guests_without_ha_are_not_asked(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "host_add name=h2 address=h2:1",
        "guest_create name=a start=off disk=/d.img",
        "guest_create name=b start=off ha=on",
    };
    struct fsm *f = state_open();
    struct err e = {0};
    state_must(f, pool, ARRAY_LEN(pool));
    state_must(f, lines, ARRAY_LEN(lines));
    struct fsm_view *v = fsm_view_open(f);
    assert_int_equal(reach_check_all(v, &e), 0);
    (void)fsm_view_close(v);
    static const char *const forced = "guest_set name=a ha=on force=on";
    state_must(f, &forced, 1);
    v = fsm_view_open(f);
    assert_int_equal(reach_check_all(v, &e), ERR_STATE);
    (void)fsm_view_close(v);
    (void)state_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ha_is_promised_where_it_can_be_kept),
        cmocka_unit_test(guests_without_ha_are_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
