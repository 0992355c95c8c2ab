/* The guard's table: when it kills, and what it takes. */

#include <string.h>

#include "core/err.h"
#include "core/tests/cm.h"

#include "cli/guard/table.h"

static struct guard_table t; /* Large; tests take turns. */

static int fresh(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    return 0;
}

static struct guard_copy copy(uint8_t guest, uint64_t epoch)
{
    return (struct guard_copy){.guest.b = {guest}, .epoch = epoch, .pid = 99};
}

static int add(uint8_t guest, uint64_t epoch, uint64_t now_ms)
{
    struct guard_entry *e;
    const struct guard_copy c = copy(guest, epoch);
    return guard_add(&t, &c, now_ms, &e);
}

static void without_a_lease_nothing_is_taken(void **state)
{
    (void)state;
    assert_int_equal(add(1, 7, 0), ERR_STATE);
    assert_int_equal(guard_kill_at(&t), 0);
    guard_renew(&t, 5000, 500);
    assert_int_equal(add(1, 7, 4500), ERR_STATE); /* Within the margin. */
    assert_int_equal(add(1, 7, 4499), 0);
    assert_int_equal(t.n, 1);
}

static void the_time_to_kill_is_the_margin_before_the_end(void **state)
{
    (void)state;
    guard_renew(&t, 5000, 500);
    assert_int_equal(guard_kill_at(&t), 0); /* Nothing to kill. */
    assert_int_equal(add(1, 7, 1000), 0);
    assert_int_equal(guard_kill_at(&t), 4500);
    assert_false(guard_is_due(&t, 4499));
    assert_true(guard_is_due(&t, 4500));
    assert_true(guard_is_due(&t, UINT64_MAX));
    t.entries[0].killed = true;
    assert_false(guard_is_due(&t, 4500));
    assert_int_equal(guard_stuck(&t, 4999), 0);
    assert_int_equal(guard_stuck(&t, 5000), 1);
}

static void a_lease_only_grows(void **state)
{
    (void)state;
    guard_renew(&t, 5000, 500);
    guard_renew(&t, 4000, 100);
    assert_int_equal(t.end_ms, 5000);
    assert_int_equal(t.margin_ms, 500);
    assert_int_equal(add(1, 7, 1000), 0);
    guard_renew(&t, 6000, 700);
    assert_int_equal(guard_kill_at(&t), 5300);
}

static void a_copy_that_was_killed_is_not_taken_back(void **state)
{
    (void)state;
    guard_renew(&t, 5000, 500);
    assert_int_equal(add(1, 7, 1000), 0);
    assert_int_equal(add(1, 7, 1000), ERR_EXISTS);
    assert_int_equal(add(1, 8, 1000), 0); /* Another run of the same guest. */
    t.entries[0].killed = true;
    guard_renew(&t, 9000, 500);
    assert_int_equal(add(1, 7, 6000), ERR_STATE);
    assert_int_equal(guard_kill_at(&t), 8500); /* For the other. */
}

static void it_is_full_at_its_limit(void **state)
{
    (void)state;
    guard_renew(&t, 5000, 500);
    for (uint64_t i = 0; i < GUARD_COPIES; i++) {
        assert_int_equal(add(1, i, 1000), 0);
    }
    assert_int_equal(add(1, GUARD_COPIES, 1000), ERR_TOO_BIG);
    assert_int_equal(add(1, 3, 1000), ERR_EXISTS);
    const struct id guest = {.b = {1}};
    guard_remove(&t, guard_find(&t, &guest, 0));
    assert_null(guard_find(&t, &guest, 0));
    assert_non_null(guard_find(&t, &guest, GUARD_COPIES - 1));
    assert_int_equal(add(1, GUARD_COPIES, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_a_lease_nothing_is_taken, fresh),
        cmocka_unit_test_setup(the_time_to_kill_is_the_margin_before_the_end, fresh),
        cmocka_unit_test_setup(a_lease_only_grows, fresh),
        cmocka_unit_test_setup(a_copy_that_was_killed_is_not_taken_back, fresh),
        cmocka_unit_test_setup(it_is_full_at_its_limit, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
