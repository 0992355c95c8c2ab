/* Deadlines of operations, counted by the master. */

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/quorated/deadlines.h"

static struct deadlines d;

static int fresh(void **state)
{
    (void)state;
    deadlines_clear(&d);
    return 0;
}

static struct op op(uint64_t id, uint64_t created_ms, uint64_t deadline_ms)
{
    struct op o;
    schema_init(&schema_op, &o);
    o.id = id;
    o.kind = OP_START;
    o.created_ms = created_ms;
    o.deadline_ms = deadline_ms;
    return o;
}

/* A round over these; the number of the first whose end is to be proposed, or 0. */
static uint64_t round_of(const struct op *ops, size_t n, uint64_t now_ms)
{
    uint64_t due = 0;
    deadlines_begin(&d);
    for (size_t i = 0; i < n; i++) {
        if (deadlines_look(&d, &ops[i], now_ms) && due == 0) {
            due = ops[i].id;
        }
    }
    deadlines_end(&d);
    return due;
}

static void an_operation_has_its_time_from_when_it_was_seen(void **state)
{
    (void)state;
    /* Log time is years away from any clock of this master. */
    const struct op ops[] = {op(5, UINT64_C(1) << 40, (UINT64_C(1) << 40) + 1000)};
    assert_int_equal(round_of(ops, 1, 70), 0);
    assert_int_equal(round_of(ops, 1, 1069), 0);
    assert_int_equal(round_of(ops, 1, 1070), 5);
}

static void an_end_is_proposed_once_and_again_after_a_while(void **state)
{
    (void)state;
    const struct op ops[] = {op(5, 0, 100)};
    assert_int_equal(round_of(ops, 1, 0), 0);
    assert_int_equal(round_of(ops, 1, 100), 5);
    assert_int_equal(round_of(ops, 1, 101), 0);
    assert_int_equal(round_of(ops, 1, 100 + DEADLINES_AGAIN_MS), 5);
}

static void what_is_decided_or_has_no_deadline_does_not_end(void **state)
{
    (void)state;
    struct op ops[] = {op(5, 0, 0), op(6, 0, 100)};
    ops[1].kind = OP_MIGRATE;
    ops[1].phase = OP_PHASE_SWITCHED;
    assert_int_equal(round_of(ops, 2, 0), 0);
    assert_int_equal(round_of(ops, 2, UINT32_MAX), 0);
    assert_int_equal(d.n, 0);
}

static void operations_come_and_go(void **state)
{
    (void)state;
    const struct op ops[] = {op(1, 0, 100), op(2, 0, 200), op(3, 0, 300), op(9, 0, 50)};
    assert_int_equal(round_of(ops, 3, 0), 0);
    assert_int_equal(d.n, 3);
    assert_int_equal(round_of(ops + 1, 2, 100), 0); /* 1 has ended. */
    assert_int_equal(d.n, 2);
    assert_int_equal(round_of(ops + 2, 2, 150), 0); /* 2 as well; 9 is new. */
    assert_int_equal(d.n, 2);
    assert_int_equal(round_of(ops + 2, 2, 200), 9);
    assert_int_equal(round_of(ops + 2, 2, 300), 3);
    assert_int_equal(round_of(ops, 0, 400), 0);
    assert_int_equal(d.n, 0);
}

static void there_may_be_many(void **state)
{
    (void)state;
    static struct op ops[1000];
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        ops[i] = op(i + 1, 0, 100 + i);
    }
    assert_int_equal(round_of(ops, ARRAY_LEN(ops), 0), 0);
    assert_int_equal(d.n, ARRAY_LEN(ops));
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        assert_int_equal(round_of(ops + i, ARRAY_LEN(ops) - i, 100 + i), i + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_operation_has_its_time_from_when_it_was_seen, fresh),
        cmocka_unit_test_setup(an_end_is_proposed_once_and_again_after_a_while, fresh),
        cmocka_unit_test_setup(what_is_decided_or_has_no_deadline_does_not_end, fresh),
        cmocka_unit_test_setup(operations_come_and_go, fresh),
        cmocka_unit_test_setup(there_may_be_many, fresh),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    deadlines_clear(&d);
    return failed;
}
