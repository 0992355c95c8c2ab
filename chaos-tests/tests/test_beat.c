/* What the guests' heartbeat is made of. Whole lives are in test_heartbeat.c. */

#include "chaos-tests/images/beat.h"
#include "chaos-tests/tests/cm.h"

static void options_are_read_from_the_command_line(void **state)
{
    (void)state;
    assert_int_equal(beat_option("console=ttyS0 dirty=24 rate=600", "dirty="), 24);
    assert_int_equal(beat_option("console=ttyS0 dirty=24 rate=600", "rate="), 600);
    assert_int_equal(beat_option("console=ttyS0", "rate="), 0);
    assert_int_equal(beat_option("quorate.epoch=18446744073709551615", "quorate.epoch="),
                     UINT64_MAX);
}

static void a_record_with_any_flipped_bit_is_refused(void **state)
{
    struct beat_record r = {.counter = 7, .epoch = 3, .kind = BEAT_RECORD, .host = "h1"};

    (void)state;
    beat_seal(&r);
    assert_true(beat_sealed(&r, BEAT_RECORD));
    assert_false(beat_sealed(&r, BEAT_HEAD));
    for (size_t bit = 0; bit < sizeof r * 8; bit++) {
        ((uint8_t *)&r)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(beat_sealed(&r, BEAT_RECORD));
        ((uint8_t *)&r)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read_from_the_command_line),
        cmocka_unit_test(a_record_with_any_flipped_bit_is_refused),
    };

    return cmocka_run_group_tests_name("beat", tests, NULL, NULL);
}
