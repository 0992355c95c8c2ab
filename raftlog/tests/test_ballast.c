/* The room kept for a bad day. */

#include <stdlib.h>

#include "core/util.h"

#include "raftlog/ballast.h"
#include "raftlog/tests/check.h"
#include "raftlog/tests/simdisk.h"

static struct err e;

struct told {
    int times;
    bool low;
};

static void on_changed(void *ctx, bool low)
{
    struct told *t = ctx;
    t->times++;
    t->low = low;
}

static void ballast_is_given_back_when_room_is_short_and_taken_again(void **state)
{
    (void)state;
    enum {
        MIB = 1024 * 1024
    };
    struct disk *d = NULL;
    struct simdisk *sd = simdisk_new(
        &(struct simdisk_options){.seed = 1, .task_us = 10, .capacity_bytes = 100 * MIB});
    assert_int_equal(simdisk_take(sd, &d, &e), 0);
    struct told told = {0};
    struct ballast b = {.disk = d, .bytes = 16 * MIB, .changed = on_changed, .ctx = &told};
    uint64_t len = 0;
    assert_int_equal(ballast_open(&b, &e), 0);
    assert_false(b.low);
    assert_non_null(simdisk_peek(sd, "ballast", &len));
    ballast_poll(&b);
    simdisk_drain(sd);
    assert_int_equal(told.times, 0);
    simdisk_set_capacity(sd, 31 * MIB); /* Less than 16 MiB besides the ballast. */
    ballast_poll(&b);
    ballast_poll(&b);
    simdisk_drain(sd);
    assert_int_equal(told.times, 1);
    assert_true(told.low);
    assert_null(simdisk_peek(sd, "ballast", &len));
    simdisk_set_capacity(sd, 47 * MIB); /* More, but not plenty: no flapping. */
    ballast_poll(&b);
    simdisk_drain(sd);
    assert_int_equal(told.times, 1);
    simdisk_set_capacity(sd, 48 * MIB);
    ballast_poll(&b);
    simdisk_drain(sd);
    assert_int_equal(told.times, 2);
    assert_false(told.low);
    simdisk_free(sd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ballast_is_given_back_when_room_is_short_and_taken_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
