/* The small records in two copies: term and vote, and the guard. */

#include <stdio.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/util.h"

#include "raftlog/guard.h"
#include "raftlog/tests/check.h"
#include "raftlog/tests/simdisk.h"
#include "raftlog/vote.h"

struct bench {
    struct simdisk *sd;
    struct disk *disk;
};

static struct bench bench_new(uint64_t seed)
{
    struct bench b = {0};
    struct err e = {0};
    b.sd = simdisk_new(&(struct simdisk_options){.seed = seed, .min_us = 1, .max_us = 2});
    assert_int_equal(simdisk_take(b.sd, &b.disk, &e), 0);
    return b;
}

static void bench_free(struct bench *b)
{
    simdisk_release(b->sd);
    simdisk_free(b->sd);
}

/* The machine stops and starts again. */
static void bench_cut(struct bench *b)
{
    struct err e = {0};
    simdisk_crash(b->sd, true);
    assert_int_equal(simdisk_take(b->sd, &b->disk, &e), 0);
}

static void a_vote_is_there_after_a_power_cut(void **state)
{
    (void)state;
    struct bench b = bench_new(1);
    struct vote v;
    struct err e = {0};
    assert_int_equal(vote_open(&v, b.disk, &e), ERR_NOT_FOUND);
    assert_int_equal(vote_save(&v, 7, 3, &e), 0);
    vote_done(&v);
    bench_cut(&b);
    assert_int_equal(vote_open(&v, b.disk, &e), 0);
    assert_int_equal(v.term, 7);
    assert_int_equal(v.vote, 3);
    vote_done(&v);
    bench_free(&b);
}

/* The sync of a vote fails, its process ends; the next one reads it from the page cache, may say
 * it, and then the power goes. */
static void a_vote_that_was_read_is_there_after_a_power_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 60; seed++) {
        struct bench b = bench_new(seed);
        struct vote v;
        struct err e = {0};
        (void)vote_open(&v, b.disk, &e);
        assert_int_equal(vote_save(&v, 7, 3, &e), 0);
        simdisk_fault_at(b.sd, 1 + seed % 4, SIMDISK_EIO);
        assert_int_equal(vote_save(&v, 8, 2, &e), ERR_IO);
        vote_done(&v);
        simdisk_crash(b.sd, false);
        assert_int_equal(simdisk_take(b.sd, &b.disk, &e), 0);
        assert_int_equal(vote_open(&v, b.disk, &e), 0);
        uint64_t term = v.term;
        vote_done(&v);
        bench_cut(&b);
        assert_int_equal(vote_open(&v, b.disk, &e), 0);
        assert_true(v.term >= term);
        vote_done(&v);
        bench_free(&b);
    }
}

static void a_vote_is_never_changed_within_a_term(void **state)
{
    (void)state;
    struct bench b = bench_new(2);
    struct vote v;
    struct err e = {0};
    assert_int_equal(vote_open(&v, b.disk, &e), ERR_NOT_FOUND);
    assert_int_equal(vote_save(&v, 7, 3, &e), 0);
    assert_int_equal(vote_save(&v, 7, 2, &e), ERR_INTERNAL);
    assert_int_equal(vote_save(&v, 6, 0, &e), ERR_INTERNAL);
    assert_int_equal(vote_save(&v, 8, 0, &e), 0);
    assert_int_equal(vote_save(&v, 8, 2, &e), 0);
    vote_done(&v);
    bench_free(&b);
}

/* Every bit of either copy: the record is read all the same, and both copies are good again. */
static void one_flipped_bit_in_either_copy_is_healed(void **state)
{
    (void)state;
    static const char *const names[] = {"vote-a", "vote-b"};
    for (size_t file = 0; file < 2; file++) {
        uint64_t size = 1;
        for (uint64_t bit = 0; bit < size * 8; bit++) {
            struct bench b = bench_new(3);
            struct vote v;
            struct err e = {0};
            (void)vote_open(&v, b.disk, &e);
            assert_int_equal(vote_save(&v, 41, 1, &e), 0);
            assert_int_equal(vote_save(&v, 42, 2, &e), 0);
            vote_done(&v);
            (void)simdisk_peek(b.sd, names[file], &size);
            simdisk_flip(b.sd, names[file], bit / 8, bit % 8);
            assert_int_equal(vote_open(&v, b.disk, &e), 0);
            assert_int_equal(v.term, 42);
            assert_int_equal(v.vote, 2);
            vote_done(&v);
            simdisk_lose(b.sd, names[1 - file]); /* The damaged one was written anew. */
            assert_int_equal(vote_open(&v, b.disk, &e), 0);
            assert_int_equal(v.term, 42);
            vote_done(&v);
            bench_free(&b);
        }
    }
}

static void a_missing_copy_is_written_anew(void **state)
{
    (void)state;
    struct bench b = bench_new(4);
    struct vote v;
    struct err e = {0};
    (void)vote_open(&v, b.disk, &e);
    assert_int_equal(vote_save(&v, 5, 1, &e), 0);
    vote_done(&v);
    simdisk_lose(b.sd, "vote-a");
    assert_int_equal(vote_open(&v, b.disk, &e), 0);
    assert_int_equal(v.term, 5);
    vote_done(&v);
    simdisk_lose(b.sd, "vote-b");
    assert_int_equal(vote_open(&v, b.disk, &e), 0);
    assert_int_equal(v.term, 5);
    vote_done(&v);
    bench_free(&b);
}

static void two_damaged_copies_are_an_error(void **state)
{
    (void)state;
    struct bench b = bench_new(5);
    struct vote v;
    struct err e = {0};
    (void)vote_open(&v, b.disk, &e);
    assert_int_equal(vote_save(&v, 5, 1, &e), 0);
    vote_done(&v);
    simdisk_flip(b.sd, "vote-a", 30, 1);
    simdisk_flip(b.sd, "vote-b", 20, 1);
    assert_int_equal(vote_open(&v, b.disk, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.msg, "vote-a"));
    vote_done(&v);
    simdisk_lose(b.sd, "vote-a");
    assert_int_equal(vote_open(&v, b.disk, &e), ERR_CORRUPT);
    vote_done(&v);
    bench_free(&b);
}

/* This copy becomes what a newer program would have written. */
static void make_newer(struct bench *b, const char *name)
{
    uint8_t bytes[512];
    size_t n = 0;
    struct disk_file *f = NULL;
    struct err e = {0};
    assert_int_equal(disk_open(b->disk, name, DISK_WRITE, &f, &e), 0);
    assert_int_equal(disk_read(f, 0, bytes, sizeof bytes, &n, &e), 0);
    store_u32(bytes + 12, 2);
    store_u32(bytes + 8, crc32c(0, bytes + 12, 16 + load_u32(bytes + 24)));
    assert_int_equal(disk_write(f, 0, bytes, n, &e), 0);
    assert_int_equal(disk_sync(f, &e), 0);
    disk_close(f);
}

/* It is no damage that the other copy could heal: that would bring an older vote back. */
static void a_newer_format_of_either_copy_is_refused_and_left_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"vote-a", "vote-b"};
    for (size_t file = 0; file < 2; file++) {
        struct bench b = bench_new(6);
        struct vote v;
        struct err e = {0};
        (void)vote_open(&v, b.disk, &e);
        assert_int_equal(vote_save(&v, 5, 1, &e), 0);
        vote_done(&v);
        make_newer(&b, names[file]);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(vote_open(&v, b.disk, &e), ERR_VERSION);
            assert_non_null(strstr(e.msg, names[file]));
            assert_non_null(strstr(e.msg, "newer program"));
            vote_done(&v);
        }
        bench_free(&b);
    }
}

/* The machine dies at the n-th call that changes the disk, for every n: what vote_save() said is
 * durable is there, and what it did not say is there or not, but never half. */
static void a_power_cut_at_any_call_leaves_the_old_or_the_new_vote(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 40; n++) {
        struct bench b = bench_new(n);
        struct vote v;
        struct err e = {0};
        uint64_t said = 0;
        (void)vote_open(&v, b.disk, &e);
        simdisk_fault_at(b.sd, n, SIMDISK_DIE);
        for (uint64_t term = 1; term <= 6 && !simdisk_dead(b.sd); term++) {
            if (vote_save(&v, term, term + 10, &e) == 0 && !simdisk_dead(b.sd)) {
                said = term;
            }
        }
        vote_done(&v);
        bench_cut(&b);
        int rc = vote_open(&v, b.disk, &e);
        if (said == 0 && rc != 0) {
            /* Nothing was ever promised: a first record that was never complete. */
            assert_true(rc == ERR_NOT_FOUND || rc == ERR_CORRUPT);
        } else {
            assert_int_equal(rc, 0);
            assert_true(v.term == said || v.term == said + 1);
            assert_int_equal(v.vote, v.term + 10);
        }
        vote_done(&v);
        bench_free(&b);
    }
}

static struct id pool_id(uint8_t fill)
{
    struct id id;
    memset(id.b, fill, sizeof id.b);
    return id;
}

static struct guard guard_founded(struct bench *b)
{
    struct guard g;
    struct err e = {0};
    struct id pool = pool_id(9);
    assert_int_equal(guard_open(&g, b->disk, &e), 0);
    assert_int_equal(g.record.raft_id, 0);
    assert_int_equal(guard_found(&g, &pool, "h2", 2, 11, &e), 0);
    return g;
}

static void the_guard_keeps_who_it_is_and_counts_starts(void **state)
{
    (void)state;
    struct bench b = bench_new(6);
    struct guard g = guard_founded(&b);
    struct err e = {0};
    struct id pool = pool_id(9);
    assert_int_equal(guard_found(&g, &pool, "h2", 3, 11, &e), ERR_STATE);
    guard_acked(&g, 4, 77);
    guard_save_soon(&g);
    simdisk_drain(b.sd);
    guard_done(&g);
    bench_cut(&b);
    assert_int_equal(guard_open(&g, b.disk, &e), 0);
    assert_int_equal(guard_start(&g, 12, &e), 0);
    assert_int_equal(g.record.incarnation, 1); /* Nobody heard of the first one. */
    assert_int_equal(g.record.nonce, 11);
    assert_int_equal(guard_told(&g, &e), 0);
    guard_done(&g);
    bench_cut(&b);
    assert_int_equal(guard_open(&g, b.disk, &e), 0);
    assert_int_equal(guard_start(&g, 12, &e), 0);
    assert_int_equal(g.record.nonce, 12);
    assert_true(id_equal(&g.record.pool, &pool));
    assert_string_equal(g.record.name, "h2");
    assert_int_equal(g.record.raft_id, 2);
    assert_int_equal(g.record.incarnation, 2);
    assert_int_equal(g.record.acked, 77);
    assert_int_equal(g.record.term, 4);
    guard_done(&g);
    bench_free(&b);
}

static void a_cut_tail_lowers_the_acknowledged_index_first(void **state)
{
    (void)state;
    struct bench b = bench_new(7);
    struct guard g = guard_founded(&b);
    struct err e = {0};
    guard_acked(&g, 4, 77);
    guard_save_soon(&g);
    simdisk_drain(b.sd);
    assert_int_equal(guard_lower_acked(&g, 80, &e), 0);
    assert_int_equal(g.record.acked, 77);
    assert_int_equal(guard_lower_acked(&g, 60, &e), 0);
    guard_done(&g);
    bench_cut(&b);
    assert_int_equal(guard_open(&g, b.disk, &e), 0);
    assert_int_equal(g.record.acked, 60);
    guard_done(&g);
    bench_free(&b);
}

static void count_save(void *ctx, int code, const struct err *e)
{
    (void)e;
    assert_int_equal(code, 0);
    ++*(int *)ctx;
}

/* What a power cut at this moment leaves of the acknowledged index. */
static uint64_t acked_on_disk(struct bench *b)
{
    struct guard g;
    struct err e = {0};
    bench_cut(b);
    assert_int_equal(guard_open(&g, b->disk, &e), 0);
    uint64_t acked = g.record.acked;
    guard_done(&g);
    return acked;
}

static void a_cut_waits_for_the_lower_index_in_the_background(void **state)
{
    (void)state;
    struct bench b = bench_new(11);
    struct guard g = guard_founded(&b);
    int saves = 0;
    guard_on_saved(&g, count_save, &saves);
    guard_acked(&g, 4, 77);
    assert_true(guard_lower(&g, 70)); /* Nothing of it was ever on its way to the disk. */
    guard_acked(&g, 4, 77);
    guard_save_soon(&g);
    assert_false(guard_lower(&g, 60)); /* 77 is on its way. */
    guard_save_soon(&g);               /* One at a time. */
    assert_false(guard_is_lowered(&g));
    simdisk_drain(b.sd);
    assert_int_equal(saves, 1);
    assert_false(guard_is_lowered(&g)); /* It got there. */
    guard_save_soon(&g);
    assert_false(guard_is_lowered(&g));
    simdisk_drain(b.sd);
    assert_int_equal(saves, 2);
    assert_true(guard_is_lowered(&g));
    guard_save_soon(&g);
    simdisk_drain(b.sd);
    assert_int_equal(saves, 2); /* It is as on disk. */
    guard_done(&g);
    assert_int_equal(acked_on_disk(&b), 60);
    bench_free(&b);
}

/* A save that blocks overtakes one that waits for its thread: that must not write any more. */
static void a_newer_save_is_never_overwritten_by_an_older(void **state)
{
    (void)state;
    struct bench b = bench_new(12);
    struct guard g = guard_founded(&b);
    struct err e = {0};
    int saves = 0;
    guard_on_saved(&g, count_save, &saves);
    guard_acked(&g, 4, 77);
    guard_save_soon(&g);
    assert_int_equal(guard_lower_acked(&g, 50, &e), 0);
    assert_true(guard_is_lowered(&g));
    assert_int_equal(guard_check_peer(&g, 3, 1, 99, &e), 0);
    simdisk_drain(b.sd);
    assert_int_equal(saves, 1);
    guard_done(&g);
    assert_int_equal(acked_on_disk(&b), 50);
    assert_int_equal(guard_open(&g, b.disk, &e), 0);
    guard_acked(&g, 4, 77);
    guard_save_soon(&g);
    assert_int_equal(guard_check_peer(&g, 3, 2, 99, &e), 0);
    guard_acked(&g, 4, 88); /* The next one in the background works again. */
    simdisk_drain(b.sd);
    guard_save_soon(&g);
    simdisk_drain(b.sd);
    guard_done(&g);
    assert_int_equal(acked_on_disk(&b), 88);
    bench_free(&b);
}

static void a_member_on_an_old_copy_of_its_directory_is_refused(void **state)
{
    (void)state;
    struct bench b = bench_new(8);
    struct guard g = guard_founded(&b);
    struct err e = {0};
    assert_int_equal(guard_check_peer(&g, 1, 5, 100, &e), 0);
    assert_int_equal(guard_check_peer(&g, 1, 5, 100, &e), 0); /* It connects again. */
    assert_int_equal(guard_check_peer(&g, 1, 6, 200, &e), 0); /* It was started again. */
    guard_done(&g);
    bench_cut(&b); /* We forget nothing of it. */
    assert_int_equal(guard_open(&g, b.disk, &e), 0);
    assert_int_equal(guard_check_peer(&g, 1, 5, 300, &e), ERR_REFUSED);
    assert_int_equal(guard_check_peer(&g, 1, 6, 300, &e), ERR_REFUSED);
    assert_non_null(strstr(e.msg, "old copy"));
    assert_int_equal(guard_check_peer(&g, 1, 6, 200, &e), 0);
    assert_int_equal(guard_check_peer(&g, 1, 7, 300, &e), 0);
    assert_int_equal(guard_check_peer(&g, 4, 1, 1, &e), 0);
    guard_done(&g);
    bench_free(&b);
}

/* 3 hosts, seed 300658: it was refused once, taken the next time, and forgotten in a power cut. */
static void a_start_that_could_not_be_saved_is_saved_the_next_time(void **state)
{
    (void)state;
    struct bench b = bench_new(8);
    struct guard g = guard_founded(&b);
    struct err e = {0};
    simdisk_fault_at(b.sd, 1, SIMDISK_EIO);
    assert_int_equal(guard_check_peer(&g, 1, 5, 100, &e), ERR_IO);
    assert_int_equal(guard_check_peer(&g, 1, 5, 100, &e), 0);
    guard_done(&g);
    bench_cut(&b);
    assert_int_equal(guard_open(&g, b.disk, &e), 0);
    assert_int_equal(guard_check_peer(&g, 1, 5, 300, &e), ERR_REFUSED);
    guard_done(&g);
    bench_free(&b);
}

static void more_members_than_fit_forget_the_one_not_seen_for_longest(void **state)
{
    (void)state;
    struct bench b = bench_new(9);
    struct guard g = guard_founded(&b);
    struct err e = {0};
    for (uint64_t i = 0; i < GUARD_PEERS + 5; i++) {
        assert_int_equal(guard_check_peer(&g, 10 + i, UINT64_MAX - 1, UINT64_MAX - i, &e), 0);
    }
    assert_int_equal(g.record.n_peers, GUARD_PEERS);
    assert_int_equal(g.record.peers[0].raft_id, 15);
    guard_done(&g);
    assert_int_equal(guard_open(&g, b.disk, &e), 0);
    assert_int_equal(g.record.n_peers, GUARD_PEERS);
    guard_done(&g);
    bench_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vote_is_there_after_a_power_cut),
        cmocka_unit_test(a_vote_is_never_changed_within_a_term),
        cmocka_unit_test(a_vote_that_was_read_is_there_after_a_power_cut),
        cmocka_unit_test(one_flipped_bit_in_either_copy_is_healed),
        cmocka_unit_test(a_missing_copy_is_written_anew),
        cmocka_unit_test(two_damaged_copies_are_an_error),
        cmocka_unit_test(a_newer_format_of_either_copy_is_refused_and_left_alone),
        cmocka_unit_test(a_power_cut_at_any_call_leaves_the_old_or_the_new_vote),
        cmocka_unit_test(the_guard_keeps_who_it_is_and_counts_starts),
        cmocka_unit_test(a_cut_tail_lowers_the_acknowledged_index_first),
        cmocka_unit_test(a_cut_waits_for_the_lower_index_in_the_background),
        cmocka_unit_test(a_newer_save_is_never_overwritten_by_an_older),
        cmocka_unit_test(a_member_on_an_old_copy_of_its_directory_is_refused),
        cmocka_unit_test(a_start_that_could_not_be_saved_is_saved_the_next_time),
        cmocka_unit_test(more_members_than_fit_forget_the_one_not_seen_for_longest),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
