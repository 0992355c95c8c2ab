/* The log when calls fail: at every call of a busy life the machine dies, the disk is full, or the
 * disk is broken. */

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "raftlog/tests/check.h"
#include "raftlog/tests/wal_lab.h"
#include "raftlog/wal_format.h"

static struct err e;

/* Appends of several sizes, conflicts, trims, new beginnings, with time passing in between. */
static void busy_life(struct lab *lab, uint64_t seed, uint32_t steps)
{
    struct rng rng;
    rng_seed(&rng, seed);
    uint64_t now = 0;
    uint32_t floor = 0; /* What is trimmed is committed, and never replaced. */
    struct wal_status s;
    wal_get_status(lab->wal, &s);
    uint16_t term = (uint16_t)(s.last_term + 1);
    for (uint32_t i = 0; i < steps && !simdisk_dead(lab->sd); i++) {
        wal_get_status(lab->wal, &s);
        uint32_t last = (uint32_t)s.last;
        uint64_t what = rng_below(&rng, 40);
        if (what == 0 && last > floor + 1) {
            (void)lab_append(lab, floor + 1 + (uint32_t)rng_below(&rng, last - floor), 3, ++term);
        } else if (what < 6) {
            floor = (uint32_t)s.durable;
            wal_trim(lab->wal, floor);
        } else if (what == 6 && i > steps / 2) {
            floor = last + 10;
            (void)lab_restart(lab, floor, term);
        } else if (what < 34) {
            (void)lab_append(lab, last + 1, 1 + (uint32_t)rng_below(&rng, 6), term);
        } else if (what == 39) {
            (void)lab_append(lab, last + 1, 40, term);
        }
        now += rng_below(&rng, 600);
        simdisk_run(lab->sd, now);
    }
}

static void lives_through(uint64_t seed, uint32_t steps, bool power)
{
    struct lab lab;
    lab_init(&lab, seed);
    assert_int_equal(lab_open(&lab, /*create=*/true, &e), 0);
    busy_life(&lab, seed, steps);
    simdisk_drain(lab.sd);
    assert_int_equal(lab.failed, 0);
    uint64_t calls = simdisk_calls(lab.sd);
    lab_done(&lab);
    assert_true(calls > steps);
    uint32_t cuts = 0;
    for (uint64_t n = 1; n <= calls; n++) {
        lab_init(&lab, seed);
        assert_int_equal(lab_open(&lab, /*create=*/true, &e), 0);
        simdisk_fault_at(lab.sd, n, SIMDISK_DIE);
        busy_life(&lab, seed, steps);
        simdisk_drain(lab.sd);
        lab_crash(&lab, power);
        if (lab_open(&lab, /*create=*/false, &e) != 0) {
            fail_msg("seed %u, call %u: %s", (unsigned)seed, (unsigned)n, e.msg);
        }
        struct wal_status s;
        wal_get_status(lab.wal, &s);
        cuts += s.cut;
        if (!lab_nothing_lost(&lab)) {
            fail_msg("seed %u, call %u: entries are lost", (unsigned)seed, (unsigned)n);
        }
        lab_done(&lab);
    }
    assert_true(!power || cuts > 0);
}

static void dying_at_any_call_loses_nothing_acknowledged(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        lives_through(seed, 60, /*power=*/true);
    }
    lives_through(4, 60, /*power=*/false);
}

static void dying_again_and_again_loses_nothing_acknowledged(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 120; seed++) {
        struct lab lab;
        struct rng rng;
        rng_seed(&rng, seed);
        lab_init(&lab, seed);
        assert_int_equal(lab_open(&lab, /*create=*/true, &e), 0);
        for (int life = 0; life < 12; life++) {
            simdisk_fault_at(lab.sd, 1 + rng_below(&rng, 120), SIMDISK_DIE);
            busy_life(&lab, rng_u64(&rng), 40);
            bool power = rng_below(&rng, 4) > 0;
            lab_crash(&lab, power);
            /* Recovery may die too. */
            simdisk_fault_at(lab.sd, 1 + rng_below(&rng, 6), SIMDISK_DIE);
            if (lab_open(&lab, /*create=*/false, &e) == 0) {
                assert_true(lab_nothing_lost(&lab));
                lab_crash(&lab, power);
            } else {
                if (!simdisk_dead(lab.sd)) {
                    fail_msg("seed %u, life %d: %s", (unsigned)seed, life, e.msg);
                }
                simdisk_crash(lab.sd, power);
            }
            if (lab_open(&lab, /*create=*/false, &e) != 0) {
                fail_msg("seed %u, life %d: %s", (unsigned)seed, life, e.msg);
            }
            assert_true(lab_nothing_lost(&lab));
            lab_forget(&lab);
        }
        lab_done(&lab);
    }
}

/* A segment is sealed, but only in the page cache, when the process dies; the next process writes
 * on in the next segment, and then the power goes. */
static void a_full_segment_is_durable_before_the_next_is_written(void **state)
{
    (void)state;
    uint32_t rolled = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct lab lab;
        lab_init(&lab, seed);
        assert_int_equal(lab_open(&lab, /*create=*/true, &e), 0);
        lab_fill(&lab, 16 + (uint32_t)seed % 10, 1);
        uint32_t last = lab.now.last;
        assert_int_equal(lab_append(&lab, last + 1, 12, 1), 0); /* In the cache, not synced. */
        lab_crash(&lab, /*power=*/false);
        assert_int_equal(lab_open(&lab, /*create=*/false, &e), 0);
        assert_true(lab_nothing_lost(&lab));
        lab_forget(&lab);
        last = lab.told.last;
        lab_fill(&lab, 1, 1);
        lab_crash(&lab, /*power=*/true);
        if (lab_open(&lab, /*create=*/false, &e) != 0) {
            fail_msg("seed %u: %s", (unsigned)seed, e.msg);
        }
        assert_int_equal(lab.told.last, last + 1);
        uint64_t len = 0;
        const uint8_t *second = simdisk_peek(lab.sd, lab_segment(2), &len);
        rolled += !wal_is_zero(second + WAL_BLOCK, 64);
        lab_done(&lab);
    }
    assert_true(rolled > 10);
}

/* Half of a long batch reached the disk when the room ran out; a short one takes its place. */
static void what_a_failed_append_left_behind_is_not_taken_for_damage(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct lab lab;
        lab_init(&lab, seed);
        assert_int_equal(lab_open(&lab, /*create=*/true, &e), 0);
        lab_fill(&lab, 1 + (uint32_t)seed % 5, 1);
        uint32_t last = lab.now.last;
        simdisk_fault_at(lab.sd, 1, SIMDISK_ENOSPC);
        assert_int_equal(lab_append(&lab, last + 1, 15, 1), 0);
        simdisk_drain(lab.sd);
        assert_int_equal(lab.failed, 1);
        assert_int_equal(lab_append(&lab, last + 1, 1, 1), 0);
        simdisk_drain(lab.sd);
        assert_int_equal(lab.failed, 1);
        lab_crash(&lab, /*power=*/seed % 2 == 0);
        if (lab_open(&lab, /*create=*/false, &e) != 0) {
            fail_msg("seed %u: %s", (unsigned)seed, e.msg);
        }
        struct wal_status s;
        wal_get_status(lab.wal, &s);
        assert_int_equal(s.last, last + 1);
        assert_false(s.cut);
        lab_done(&lab);
    }
}

/* The disk is full at the n-th call; later there is room again. */
static void no_room_at_any_call_fails_cleanly_and_can_be_tried_again(void **state)
{
    (void)state;
    uint32_t failures = 0;
    for (uint64_t n = 1; n < 260; n++) {
        struct lab lab;
        lab_init(&lab, n);
        assert_int_equal(lab_open(&lab, /*create=*/true, &e), 0);
        simdisk_fault_at(lab.sd, n, SIMDISK_ENOSPC);
        uint32_t next = 1;
        uint64_t now = 0;
        struct wal_status s;
        for (int i = 0; i < 60; i++) {
            wal_get_status(lab.wal, &s);
            next = (uint32_t)s.last + 1; /* A failed append leaves the log as it was. */
            int rc = lab_append(&lab, next, 1 + (uint32_t)i % 4, 1);
            assert_true(rc == 0 || (rc == ERR_IO && s.failed));
            now += 130;
            simdisk_run(lab.sd, now);
        }
        simdisk_drain(lab.sd);
        wal_get_status(lab.wal, &s);
        if (s.failed) { /* It was a sync that said so: nobody knows what the disk holds. */
            lab_crash(&lab, /*power=*/true);
        } else {
            assert_int_equal(s.last, s.durable);
            failures += lab.failed;
            lab_crash(&lab, /*power=*/n % 2 == 0);
        }
        assert_int_equal(lab_open(&lab, /*create=*/false, &e), 0);
        assert_true(lab.told.last >= s.durable);
        lab_done(&lab);
    }
    assert_true(failures > 50);
}

static void a_full_disk_stops_the_log_until_there_is_room(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 5);
    assert_int_equal(lab_open(&lab, /*create=*/true, &e), 0);
    lab_fill(&lab, 10, 1);
    simdisk_set_capacity(lab.sd, 4u * WAL_SEGMENT_MIN);
    struct wal_status s;
    for (int i = 0; i < 200; i++) {
        wal_get_status(lab.wal, &s);
        assert_int_equal(lab_append(&lab, (uint32_t)s.last + 1, 1, 1), 0);
        simdisk_drain(lab.sd);
    }
    wal_get_status(lab.wal, &s);
    assert_true(s.full);
    assert_true(lab.failed > 50);
    uint64_t last = s.last;
    simdisk_set_capacity(lab.sd, 0);
    assert_int_equal(lab_append(&lab, (uint32_t)last + 1, 3, 1), 0);
    uint32_t failed = lab.failed;
    simdisk_drain(lab.sd);
    assert_int_equal(lab.failed, failed);
    wal_get_status(lab.wal, &s);
    assert_false(s.full);
    assert_int_equal(s.durable, last + 3);
    lab_close(&lab);
    assert_int_equal(lab_open(&lab, /*create=*/false, &e), 0);
    assert_int_equal(lab.told.last, last + 3);
    lab_done(&lab);
}

static void an_io_error_is_for_good(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 160; n++) {
        struct lab lab;
        lab_init(&lab, n);
        assert_int_equal(lab_open(&lab, /*create=*/true, &e), 0);
        simdisk_fault_at(lab.sd, n, SIMDISK_EIO);
        uint32_t next = 1;
        uint64_t now = 0;
        bool failed = false;
        for (int i = 0; i < 200; i++, next++) {
            int rc = lab_append(&lab, next, 1, 1);
            assert_true(rc == 0 || rc == ERR_IO);
            now += 130;
            simdisk_run(lab.sd, now);
            uint32_t acked = lab.acked;
            failed = failed || lab.failed > 0;
            simdisk_run(lab.sd, now + 1);
            assert_true(!failed || lab.acked == acked); /* No success after a failure. */
        }
        simdisk_drain(lab.sd);
        struct wal_status s;
        wal_get_status(lab.wal, &s);
        assert_true(s.failed && failed);
        assert_int_equal(lab.acked + lab.failed, lab.ops_n);
        lab_crash(&lab, /*power=*/true);
        assert_int_equal(lab_open(&lab, /*create=*/false, &e), 0);
        assert_true(lab_nothing_lost(&lab));
        lab_done(&lab);
    }
}

/* Appends alone, small ones and long ones. */
static void growing_life(struct lab *lab, uint64_t seed)
{
    struct rng rng;
    struct wal_status s;
    rng_seed(&rng, seed);
    for (uint32_t i = 0; i < 60 && !simdisk_dead(lab->sd); i++) {
        wal_get_status(lab->wal, &s);
        uint32_t n = rng_below(&rng, 12) == 0 ? 40 : 1 + (uint32_t)rng_below(&rng, 6);
        (void)lab_append(lab, (uint32_t)s.last + 1, n, 1);
        simdisk_run(lab->sd, (i + 1) * 300u);
    }
    simdisk_drain(lab->sd);
}

/* A process that dies leaves things in the page cache, and a sync that failed leaves them there
 * marked as written. What the next process finds it tells others that it has, so it must be there
 * when the power goes after that. */
static void what_a_dead_process_left_is_durable_before_it_is_told(enum simdisk_fault fault)
{
    uint32_t found = 0;
    for (uint64_t n = 1; n < 240; n++) {
        struct lab lab;
        lab_init(&lab, n);
        assert_int_equal(lab_open(&lab, /*create=*/true, &e), 0);
        simdisk_fault_at(lab.sd, n, fault);
        growing_life(&lab, n);
        lab_crash(&lab, /*power=*/false);
        if (lab_open(&lab, /*create=*/false, &e) != 0) {
            fail_msg("call %u: %s", (unsigned)n, e.msg);
        }
        if (!lab_nothing_lost(&lab)) {
            fail_msg("call %u: acknowledged entries are lost", (unsigned)n);
        }
        uint32_t last = lab.told.last;
        found += last > lab.acked;
        if (n % 2 == 0) { /* Enough for the next segments. */
            lab_forget(&lab);
            lab_fill(&lab, 40, 60);
            last += 40;
        } else if (n % 4 == 1) { /* Into the next one, before anything else is done. */
            lab_forget(&lab);
            assert_int_equal(lab_append(&lab, last + 1, 30, 60), 0);
            for (uint64_t next; lab.acked == 0 && (next = simdisk_next_us(lab.sd)) != UINT64_MAX;) {
                simdisk_run(lab.sd, next);
            }
            assert_int_equal(lab.acked, 1);
            last += 30;
        }
        lab_crash(&lab, /*power=*/true);
        if (lab_open(&lab, /*create=*/false, &e) != 0) {
            fail_msg("call %u: %s", (unsigned)n, e.msg);
        }
        if (lab.told.last < last) {
            fail_msg("call %u: %u entries were found, %u are left", (unsigned)n, last,
                     lab.told.last);
        }
        lab_done(&lab);
    }
    assert_true(found > 0);
}

static void what_a_killed_process_left_is_durable_before_it_is_told(void **state)
{
    (void)state;
    what_a_dead_process_left_is_durable_before_it_is_told(SIMDISK_DIE);
}

static void what_a_failed_sync_left_is_durable_before_it_is_told(void **state)
{
    (void)state;
    what_a_dead_process_left_is_durable_before_it_is_told(SIMDISK_EIO);
}

/* Seed 5115 of disk errors: it went on with segments that were not there. */
static void a_log_that_cannot_be_begun_says_so(void **state)
{
    bool begun = false;
    (void)state;
    for (uint64_t n = 1; !begun; n++) {
        struct lab lab;
        lab_init(&lab, n);
        simdisk_fault_at(lab.sd, n, n % 2 == 0 ? SIMDISK_EIO : SIMDISK_ENOSPC);
        int rc = lab_open(&lab, /*create=*/true, &e);
        begun = rc == 0; /* It made fewer calls than that. */
        assert_true(begun ? n > 12 : rc == ERR_IO || rc == ERR_NO_SPACE);
        if (!begun) {
            assert_int_equal(lab_open(&lab, /*create=*/true, &e), 0);
            lab_fill(&lab, 3, 1);
        }
        lab_done(&lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dying_at_any_call_loses_nothing_acknowledged),
        cmocka_unit_test(dying_again_and_again_loses_nothing_acknowledged),
        cmocka_unit_test(a_full_segment_is_durable_before_the_next_is_written),
        cmocka_unit_test(what_a_failed_append_left_behind_is_not_taken_for_damage),
        cmocka_unit_test(no_room_at_any_call_fails_cleanly_and_can_be_tried_again),
        cmocka_unit_test(a_full_disk_stops_the_log_until_there_is_room),
        cmocka_unit_test(an_io_error_is_for_good),
        cmocka_unit_test(a_log_that_cannot_be_begun_says_so),
        cmocka_unit_test(what_a_killed_process_left_is_durable_before_it_is_told),
        cmocka_unit_test(what_a_failed_sync_left_is_durable_before_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
