/* The log in good days: appending, rolling, trimming, beginning anew. */

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "raftlog/tests/check.h"
#include "raftlog/tests/wal_lab.h"
#include "raftlog/wal_format.h"

static struct err e;

static struct wal_status status(struct lab *lab)
{
    struct wal_status s;
    wal_get_status(lab->wal, &s);
    return s;
}

static void open_ok(struct lab *lab, bool create)
{
    int rc = lab_open(lab, create, &e);
    if (rc != 0) {
        fail_msg("%s", e.msg);
    }
}

static void what_was_appended_comes_back(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 1);
    open_ok(&lab, /*create=*/true);
    lab_fill(&lab, 10, 1);
    assert_int_equal(lab_append(&lab, 11, 7, 2), 0);
    lab_close(&lab);
    open_ok(&lab, /*create=*/false);
    assert_true(lab_nothing_lost(&lab));
    struct wal_status s = status(&lab);
    assert_int_equal(s.first, 1);
    assert_int_equal(s.last, 17);
    assert_int_equal(s.last_term, 2);
    assert_int_equal(s.durable, 17);
    assert_false(s.cut);
    lab_done(&lab);
}

static void completions_are_in_order_and_share_syncs(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 2);
    open_ok(&lab, /*create=*/true);
    simdisk_drain(lab.sd);
    uint64_t before = simdisk_calls(lab.sd);
    for (uint32_t i = 1; i <= 15; i++) {
        assert_int_equal(lab_append(&lab, i, 1, 1), 0);
        assert_int_equal(lab.acked, 0); /* Never from inside the call. */
    }
    simdisk_drain(lab.sd);
    assert_int_equal(lab.acked, 15);
    /* 15 writes, one sync for the first, one for the other 14. */
    assert_int_equal(simdisk_calls(lab.sd) - before, 17);
    lab_done(&lab);
}

static void a_lower_index_replaces_what_was_there(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 3);
    open_ok(&lab, /*create=*/true);
    lab_fill(&lab, 20, 1);
    assert_int_equal(lab_append(&lab, 8, 3, 5), 0);
    lab_close(&lab);
    open_ok(&lab, /*create=*/false);
    assert_int_equal(lab.told.last, 10);
    assert_int_equal(lab.told.terms[7], 1);
    assert_int_equal(lab.told.terms[8], 5);
    assert_true(lab_nothing_lost(&lab));
    lab_done(&lab);
}

static void the_log_goes_on_over_many_segments(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 4);
    open_ok(&lab, /*create=*/true);
    lab_fill(&lab, 300, 1);
    assert_true(lab.rolled > 5);
    assert_int_equal(status(&lab).rolls, lab.rolled);
    lab_close(&lab);
    open_ok(&lab, /*create=*/false);
    assert_int_equal(lab.told.last, 300);
    assert_true(lab_nothing_lost(&lab));
    lab_fill(&lab, 100, 2); /* And is written to where it ended. */
    lab_close(&lab);
    open_ok(&lab, /*create=*/false);
    assert_int_equal(lab.told.last, 400);
    assert_true(lab_nothing_lost(&lab));
    lab_done(&lab);
}

static void an_append_larger_than_a_segment_is_split(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 5);
    open_ok(&lab, /*create=*/true);
    assert_int_equal(lab_append(&lab, 1, 200, 1), 0);
    assert_int_equal(lab_append(&lab, 201, 1, 1), 0);
    simdisk_drain(lab.sd);
    assert_int_equal(lab.acked, 2);
    lab_close(&lab);
    open_ok(&lab, /*create=*/false);
    assert_int_equal(lab.told.last, 201);
    lab_done(&lab);
}

static void an_entry_that_fits_in_no_segment_is_refused(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 6);
    open_ok(&lab, /*create=*/true);
    uint8_t *big CLEANUP(cleanup_free) = mem_new(WAL_SEGMENT_MIN, 1);
    struct wal_entry entry = {
        .index = 1, .term = 1, .type = 1, .data = big, .len = WAL_SEGMENT_MIN - WAL_BLOCK};
    struct wal_append a = {.entries = &entry, .n = 1};
    assert_int_equal(wal_append(lab.wal, &a), ERR_TOO_BIG);
    lab_done(&lab);
}

static void trimming_drops_whole_segments_and_uses_them_again(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 7);
    open_ok(&lab, /*create=*/true);
    lab_fill(&lab, 200, 1);
    uint64_t had = status(&lab).segments;
    wal_trim(lab.wal, 150);
    simdisk_drain(lab.sd);
    struct wal_status s = status(&lab);
    assert_true(s.segments < had);
    assert_true(s.first > 1 && s.first <= 151);
    uint64_t len = 0;
    assert_non_null(simdisk_peek(lab.sd, "wal-spare-1", &len));
    lab_fill(&lab, 200, 1); /* Spares that were full of old entries are used again. */
    assert_int_equal(lab.failed, 0);
    lab_close(&lab);
    open_ok(&lab, /*create=*/false);
    assert_int_equal(status(&lab).first, s.first);
    assert_int_equal(lab.told.last, 400);
    assert_true(lab_nothing_lost(&lab));
    lab_done(&lab);
}

static void trimming_keeps_a_segment_with_a_later_entry(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 8);
    open_ok(&lab, /*create=*/true);
    lab_fill(&lab, 100, 1);
    /* Written late, though its index is low: the records from here on are all that is left. */
    assert_int_equal(lab_append(&lab, 20, 60, 2), 0);
    simdisk_drain(lab.sd);
    wal_trim(lab.wal, 79);
    simdisk_drain(lab.sd);
    lab_close(&lab);
    open_ok(&lab, /*create=*/false);
    assert_true(lab_nothing_lost(&lab));
    assert_int_equal(lab.told.last, 79);
    lab_done(&lab);
}

static void after_a_snapshot_the_log_begins_anew(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 9);
    open_ok(&lab, /*create=*/true);
    lab_fill(&lab, 120, 1);
    assert_int_equal(lab_restart(&lab, 1000, 4), 0);
    assert_int_equal(lab_append(&lab, 1001, 5, 4), 0);
    simdisk_drain(lab.sd);
    struct wal_status s = status(&lab);
    assert_int_equal(s.first, 1001);
    assert_int_equal(s.last, 1005);
    assert_int_equal(s.prev_term, 4);
    lab_close(&lab);
    open_ok(&lab, /*create=*/false);
    s = status(&lab);
    assert_int_equal(s.first, 1001);
    assert_int_equal(s.last, 1005);
    assert_int_equal(s.prev_term, 4);
    assert_true(s.segments <= 4);
    assert_true(lab_nothing_lost(&lab));
    lab_done(&lab);
}

static void an_empty_log_can_begin_anew(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 10);
    open_ok(&lab, /*create=*/true);
    assert_int_equal(lab_restart(&lab, 50, 3), 0);
    lab_close(&lab);
    open_ok(&lab, /*create=*/false);
    struct wal_status s = status(&lab);
    assert_int_equal(s.first, 51);
    assert_int_equal(s.last, 50);
    assert_int_equal(s.last_term, 3);
    lab_fill(&lab, 3, 3);
    lab_done(&lab);
}

static void check_reads(struct lab *lab, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i <= to; i++) {
        struct buf data CLEANUP(buf_done) = {0};
        struct wal_entry got;
        uint8_t want[8192];
        if (wal_read(lab->wal, i, &got, &data, &e) != 0) {
            fail_msg("entry %u: %s", i, e.msg);
        }
        assert_int_equal(got.index, i);
        assert_int_equal(got.type, 1 + i % 3);
        assert_int_equal(data.len, lab_payload(lab, i, got.term, want));
        assert_memory_equal(data.data, want, data.len);
    }
}

static void every_entry_can_be_read_back(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 13);
    open_ok(&lab, /*create=*/true);
    lab_fill(&lab, 150, 1);
    assert_int_equal(lab_append(&lab, 90, 40, 2), 0);
    struct wal_entry got;
    struct buf data CLEANUP(buf_done) = {0};
    /* Durable entries are there while others are on their way; those are not. */
    check_reads(&lab, 1, 89);
    simdisk_drain(lab.sd);
    check_reads(&lab, 1, 129);
    assert_int_equal(wal_read(lab.wal, 130, &got, &data, &e), ERR_NOT_FOUND);
    wal_trim(lab.wal, 80);
    simdisk_drain(lab.sd);
    uint32_t first = (uint32_t)status(&lab).first;
    assert_int_equal(wal_read(lab.wal, first - 1, &got, &data, &e), ERR_NOT_FOUND);
    check_reads(&lab, first, 129);
    lab_close(&lab);
    open_ok(&lab, /*create=*/false);
    check_reads(&lab, first, 129);
    assert_int_equal(lab_restart(&lab, 500, 3), 0);
    assert_int_equal(lab_append(&lab, 501, 3, 3), 0);
    simdisk_drain(lab.sd);
    assert_int_equal(wal_read(lab.wal, 129, &got, &data, &e), ERR_NOT_FOUND);
    check_reads(&lab, 501, 503);
    lab_done(&lab);
}

static void a_rotten_entry_is_not_read_back(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 14);
    open_ok(&lab, /*create=*/true);
    lab_fill(&lab, 3, 1);
    simdisk_flip(lab.sd, lab_segment(1), WAL_BLOCK + 120, 1);
    struct wal_entry got;
    struct buf data CLEANUP(buf_done) = {0};
    assert_int_equal(wal_read(lab.wal, 1, &got, &data, &e), ERR_CORRUPT);
    lab_done(&lab);
}

static void a_new_segment_size_counts_from_the_next_segment_on(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 11);
    open_ok(&lab, /*create=*/true);
    lab_fill(&lab, 60, 1);
    lab_close(&lab);
    lab.segment_bytes = 2 * WAL_SEGMENT_MIN;
    open_ok(&lab, /*create=*/false);
    lab_fill(&lab, 200, 1);
    lab_close(&lab);
    lab.segment_bytes = WAL_SEGMENT_MIN;
    open_ok(&lab, /*create=*/false);
    assert_int_equal(lab.told.last, 260);
    assert_true(lab_nothing_lost(&lab));
    lab_done(&lab);
}

static void what_is_held_waits_and_keeps_its_place(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 17);
    open_ok(&lab, true);
    lab_fill(&lab, 10, 1);
    assert_int_equal(lab_append(&lab, 11, 2, 1), 0);
    wal_hold(lab.wal, WAL_HOLD_TURN, true);
    assert_int_equal(lab_append(&lab, 8, 3, 2), 0);
    assert_int_equal(lab_append(&lab, 11, 1, 2), 0);
    uint32_t acked = lab.acked;
    simdisk_drain(lab.sd);
    assert_int_equal(lab.acked, acked + 1); /* What was under way came to its end. */
    lab_crash(&lab, true);
    open_ok(&lab, false);
    assert_true(lab_nothing_lost(&lab));
    assert_int_equal(lab.told.last, 12);
    assert_int_equal(lab.told.terms[8], 1); /* Nothing of what was held is on the disk. */
    lab_forget(&lab);
    wal_hold(lab.wal, WAL_HOLD_TURN, true);
    assert_int_equal(lab_append(&lab, 8, 3, 2), 0);
    wal_hold(lab.wal, WAL_HOLD_GUARD, true);
    assert_int_equal(lab_append(&lab, 11, 1, 2), 0);
    wal_hold(lab.wal, WAL_HOLD_TURN, false);
    simdisk_drain(lab.sd);
    assert_int_equal(lab.acked, 0); /* There is another reason. */
    wal_hold(lab.wal, WAL_HOLD_GUARD, false);
    simdisk_drain(lab.sd);
    lab_close(&lab);
    open_ok(&lab, false);
    assert_true(lab_nothing_lost(&lab));
    assert_int_equal(lab.told.last, 11);
    assert_int_equal(lab.told.terms[8], 2);
    lab_close(&lab);
    lab_done(&lab);
}

static void two_owners_of_one_disk_are_refused(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab, 12);
    open_ok(&lab, /*create=*/true);
    struct disk *other = NULL;
    assert_int_equal(simdisk_take(lab.sd, &other, &e), ERR_LOCKED);
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_appended_comes_back),
        cmocka_unit_test(completions_are_in_order_and_share_syncs),
        cmocka_unit_test(a_lower_index_replaces_what_was_there),
        cmocka_unit_test(the_log_goes_on_over_many_segments),
        cmocka_unit_test(an_append_larger_than_a_segment_is_split),
        cmocka_unit_test(an_entry_that_fits_in_no_segment_is_refused),
        cmocka_unit_test(trimming_drops_whole_segments_and_uses_them_again),
        cmocka_unit_test(trimming_keeps_a_segment_with_a_later_entry),
        cmocka_unit_test(after_a_snapshot_the_log_begins_anew),
        cmocka_unit_test(an_empty_log_can_begin_anew),
        cmocka_unit_test(every_entry_can_be_read_back),
        cmocka_unit_test(a_rotten_entry_is_not_read_back),
        cmocka_unit_test(a_new_segment_size_counts_from_the_next_segment_on),
        cmocka_unit_test(what_is_held_waits_and_keeps_its_place),
        cmocka_unit_test(two_owners_of_one_disk_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
