/* The log in bad days: rot, lost files, torn tails. What was acknowledged is there, or the log is
 * refused; nothing in between. */

#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/util.h"

#include "raftlog/tests/check.h"
#include "raftlog/tests/wal_lab.h"
#include "raftlog/wal_format.h"

static struct err e;

static void open_ok(struct lab *lab, bool create)
{
    int rc = lab_open(lab, create, &e);
    if (rc != 0) {
        fail_msg("%s", e.msg);
    }
}

/* A closed log of a few segments. */
static void make_log(struct lab *lab, uint64_t seed, uint32_t entries)
{
    lab_init(lab, seed);
    open_ok(lab, /*create=*/true);
    lab_fill(lab, entries, 1);
    lab_close(lab);
}

static uint32_t used_bytes(struct lab *lab, const char *name)
{
    uint64_t len = 0;
    const uint8_t *data = simdisk_peek(lab->sd, name, &len);
    while (len > 0 && data[len - 1] == 0) {
        len--;
    }
    return (uint32_t)((len + 7) / 8 * 8);
}

/* Flip one bit: refused, with the file's name in the message; and flip it back. */
static void expect_refused(struct lab *lab, const char *name, uint32_t offset, unsigned bit)
{
    simdisk_flip(lab->sd, name, offset, bit);
    int rc = lab_open(lab, /*create=*/false, &e);
    if (rc == 0) {
        fail_msg("opened with byte %u bit %u of %s flipped", offset, bit, name);
    }
    assert_true(rc == ERR_CORRUPT || rc == ERR_VERSION || rc == ERR_REFUSED);
    assert_non_null(strstr(e.msg, "wal-"));
    simdisk_flip(lab->sd, name, offset, bit);
}

static void one_flipped_bit_in_a_closed_segment_refuses_the_log(void **state)
{
    (void)state;
    struct lab lab;
    make_log(&lab, 1, 100);
    for (uint64_t number = 1; number <= 2; number++) {
        const char *name = lab_segment(number);
        uint32_t used = used_bytes(&lab, name);
        for (uint32_t at = 0; at < used; at += 29) {
            expect_refused(&lab, name, at, at % 8);
        }
    }
    open_ok(&lab, /*create=*/false);
    assert_int_equal(lab.told.last, 100);
    lab_done(&lab);
}

static void one_flipped_bit_in_the_open_segment_refuses_the_log(void **state)
{
    (void)state;
    struct lab lab;
    make_log(&lab, 2, 12);
    const char *name = lab_segment(1);
    uint32_t used = used_bytes(&lab, name);
    for (uint32_t at = WAL_BLOCK; at < used; at += 13) {
        expect_refused(&lab, name, at, at % 8);
    }
    lab_done(&lab);
}

/* Every bit of it, for payloads of every kind: dense, sparse, all zero. */
static void one_flipped_bit_in_the_last_acknowledged_batch_refuses_the_log(void **state)
{
    (void)state;
    static uint8_t payload[1400];
    for (int kind = 0; kind < 4; kind++) {
        memset(payload, kind == 0 ? 0x5a : 0, sizeof payload);
        if (kind == 2) {
            payload[700] = 0x10; /* One bit alone in its sector. */
        }
        struct lab lab;
        lab_init(&lab, 3);
        open_ok(&lab, /*create=*/true);
        lab_close(&lab);
        const char *name = lab_segment(1);
        struct buf b CLEANUP(buf_done) = {0};
        uint8_t flags[8] = {0};
        wal_batch_begin(&b);
        wal_record_put(&b, &(struct wal_record){.type = WAL_OPEN, .data = flags, .len = 8});
        wal_record_put(&b, &(struct wal_record){.index = 1,
                                                .term = 1,
                                                .type = 1,
                                                .data = payload,
                                                .len = kind == 3 ? 0 : sizeof payload});
        wal_batch_finish(&b, &(struct wal_place){.segment = 1, .at = WAL_BLOCK});
        simdisk_poke(lab.sd, name, WAL_BLOCK, b.data, b.len);
        for (uint32_t bit = 0; bit < b.len * 8; bit += kind < 2 ? 3 : 1) {
            expect_refused(&lab, name, WAL_BLOCK + bit / 8, bit % 8);
        }
        lab_done(&lab);
    }
}

static void a_flipped_bit_behind_the_end_loses_nothing(void **state)
{
    (void)state;
    struct lab lab;
    make_log(&lab, 4, 12);
    const char *name = lab_segment(1);
    for (uint32_t at = used_bytes(&lab, name); at < WAL_SEGMENT_MIN; at += 111) {
        simdisk_flip(lab.sd, name, at, 3);
        int rc = lab_open(&lab, /*create=*/false, &e);
        if (rc == 0) {
            assert_true(lab_nothing_lost(&lab));
            lab_close(&lab);
        } else {
            assert_int_equal(rc, ERR_CORRUPT);
            simdisk_flip(lab.sd, name, at, 3);
        }
    }
    lab_done(&lab);
}

static void a_missing_segment_refuses_the_log(void **state)
{
    (void)state;
    struct lab lab;
    make_log(&lab, 5, 100);
    struct simdisk_image *image = simdisk_save(lab.sd);
    uint64_t len = 0;
    uint64_t last = 1;
    while (simdisk_peek(lab.sd, lab_segment(last + 1), &len) != NULL) {
        last++;
    }
    assert_true(last >= 5);
    /* The last one is a spare ahead of its time; all others must be there. The first one alone
     * would look trimmed: the guard and the snapshot know better. */
    for (uint64_t number = 2; number < last; number++) {
        simdisk_lose(lab.sd, lab_segment(number));
        assert_int_equal(lab_open(&lab, /*create=*/false, &e), ERR_CORRUPT);
        assert_non_null(strstr(e.msg, lab_segment(number)));
        assert_non_null(strstr(e.msg, "missing"));
        simdisk_restore(lab.sd, image);
    }
    for (uint64_t number = last - 1; number <= last; number++) {
        simdisk_lose(lab.sd, lab_segment(number));
    }
    assert_int_equal(lab_open(&lab, /*create=*/false, &e), ERR_CORRUPT); /* Both at the end. */
    simdisk_restore(lab.sd, image);
    for (uint64_t number = 1; number <= last; number++) {
        simdisk_lose(lab.sd, lab_segment(number));
    }
    assert_int_equal(lab_open(&lab, /*create=*/false, &e), ERR_CORRUPT);
    simdisk_image_free(image);
    lab_done(&lab);
}

static void an_entry_that_the_guard_saw_must_be_there(void **state)
{
    (void)state;
    struct lab lab;
    make_log(&lab, 6, 20);
    lab.acked_floor = 20;
    open_ok(&lab, /*create=*/false);
    lab_close(&lab);
    lab.acked_floor = 21;
    assert_int_equal(lab_open(&lab, /*create=*/false, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.msg, "entry 21 was acknowledged"));
    lab_done(&lab);
}

/* Change the header of a segment and give it a right checksum. */
static void forge_header(struct lab *lab, const char *name, uint32_t offset, uint8_t value)
{
    uint64_t len = 0;
    uint8_t header[WAL_BLOCK];
    memcpy(header, simdisk_peek(lab->sd, name, &len), sizeof header);
    header[offset] = value;
    store_u32(header + 12, crc32c(crc32c(0, header, 12), header + 16, WAL_BLOCK - 16));
    simdisk_poke(lab->sd, name, 0, header, sizeof header);
}

static void a_newer_format_is_refused(void **state)
{
    (void)state;
    struct lab lab;
    make_log(&lab, 7, 20);
    forge_header(&lab, lab_segment(1), 8, 2);
    assert_int_equal(lab_open(&lab, /*create=*/false, &e), ERR_VERSION);
    assert_non_null(strstr(e.msg, lab_segment(1)));
    assert_non_null(strstr(e.msg, "format 2"));
    lab_done(&lab);
}

static void a_segment_of_another_pool_is_refused(void **state)
{
    (void)state;
    struct lab lab;
    make_log(&lab, 8, 60);
    forge_header(&lab, lab_segment(2), 16, (uint8_t)(lab.pool.b[0] + 1));
    assert_int_equal(lab_open(&lab, /*create=*/false, &e), ERR_REFUSED);
    assert_non_null(strstr(e.msg, lab_segment(2)));
    assert_non_null(strstr(e.msg, "another pool"));
    lab_done(&lab);
}

static void a_segment_under_anothers_name_is_refused(void **state)
{
    (void)state;
    struct lab lab;
    make_log(&lab, 9, 60);
    uint64_t len = 0;
    uint8_t bytes[WAL_SEGMENT_MIN];
    memcpy(bytes, simdisk_peek(lab.sd, lab_segment(1), &len), sizeof bytes);
    simdisk_poke(lab.sd, lab_segment(2), 0, bytes, sizeof bytes);
    assert_int_equal(lab_open(&lab, /*create=*/false, &e), ERR_CORRUPT);
    lab_done(&lab);
}

static void a_segment_cut_short_is_refused(void **state)
{
    (void)state;
    struct lab lab;
    make_log(&lab, 10, 20);
    for (uint64_t size = 0; size < WAL_SEGMENT_MIN; size += 4096) {
        struct disk *d = NULL;
        struct disk_file *f = NULL;
        struct simdisk_image *image = simdisk_save(lab.sd);
        assert_int_equal(simdisk_take(lab.sd, &d, &e), 0);
        assert_int_equal(disk_open(d, lab_segment(1), DISK_WRITE, &f, &e), 0);
        assert_int_equal(disk_truncate(f, size, &e), 0);
        assert_int_equal(disk_sync(f, &e), 0);
        disk_close(f);
        simdisk_release(lab.sd);
        assert_int_equal(lab_open(&lab, /*create=*/false, &e), ERR_CORRUPT);
        simdisk_restore(lab.sd, image);
        simdisk_image_free(image);
    }
    lab_done(&lab);
}

/* --- torn tails */

struct tear {
    struct lab lab;
    const char *name;
    uint8_t before[WAL_SEGMENT_MIN];
    uint8_t after[WAL_SEGMENT_MIN];
    uint32_t from, to; /* The last batch. */
    uint32_t last;     /* Index before it. */
};

/* A segment before and after its last batch, which may begin anywhere in a sector. */
static void make_tear(struct tear *t, uint64_t seed, uint32_t entries, uint32_t batch)
{
    uint64_t len = 0;
    lab_init(&t->lab, seed);
    t->lab.most = 300;
    t->name = "wal-0000000000000001";
    open_ok(&t->lab, /*create=*/true);
    lab_fill(&t->lab, entries, 1);
    t->last = entries;
    t->from = used_bytes(&t->lab, t->name);
    memcpy(t->before, simdisk_peek(t->lab.sd, t->name, &len), sizeof t->before);
    assert_int_equal(lab_append(&t->lab, entries + 1, batch, 1), 0);
    lab_close(&t->lab);
    t->to = used_bytes(&t->lab, t->name);
    memcpy(t->after, simdisk_peek(t->lab.sd, t->name, &len), sizeof t->after);
}

static void a_tail_torn_in_any_way_is_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct tear t;
        make_tear(&t, seed, 3 + (uint32_t)seed, 6);
        uint32_t first = t.from / DISK_SECTOR;
        uint32_t n = (t.to - 1) / DISK_SECTOR - first + 1;
        assert_true(n >= 2 && n <= 8);
        for (uint32_t set = 0; set < 1u << n; set++) {
            uint8_t mix[WAL_SEGMENT_MIN];
            memcpy(mix, t.before, sizeof mix);
            for (uint32_t i = 0; i < n; i++) {
                size_t at = (size_t)(first + i) * DISK_SECTOR;
                if ((set >> i & 1) != 0) {
                    memcpy(mix + at, t.after + at, DISK_SECTOR);
                }
            }
            simdisk_poke(t.lab.sd, t.name, 0, mix, sizeof mix);
            open_ok(&t.lab, /*create=*/false);
            bool all = set == (1u << n) - 1;
            assert_int_equal(t.lab.told.last, all ? t.last + 6 : t.last);
            struct wal_status s;
            wal_get_status(t.lab.wal, &s);
            assert_int_equal(s.cut, !all && set != 0);
            lab_close(&t.lab);
            /* What was cut stays away. */
            if (!all) {
                open_ok(&t.lab, /*create=*/false);
                wal_get_status(t.lab.wal, &s);
                assert_false(s.cut);
                lab_close(&t.lab);
            }
        }
        lab_done(&t.lab);
    }
}

static void a_torn_batch_that_was_durable_later_on_refuses_the_log(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct tear t;
        make_tear(&t, seed, 3 + (uint32_t)seed, 6);
        open_ok(&t.lab, /*create=*/false);
        lab_fill(&t.lab, 1, 1); /* It says that the six before it were durable. */
        lab_close(&t.lab);
        uint32_t first = t.from / DISK_SECTOR;
        uint32_t last = t.to / DISK_SECTOR; /* The next batch begins in this one. */
        for (uint32_t i = first; i < last; i++) {
            size_t at = (size_t)i * DISK_SECTOR;
            uint8_t was[DISK_SECTOR];
            uint64_t len = 0;
            memcpy(was, simdisk_peek(t.lab.sd, t.name, &len) + at, sizeof was);
            simdisk_poke(t.lab.sd, t.name, at, t.before + at, DISK_SECTOR);
            assert_int_equal(lab_open(&t.lab, /*create=*/false, &e), ERR_CORRUPT);
            simdisk_poke(t.lab.sd, t.name, at, was, sizeof was);
        }
        lab_done(&t.lab);
    }
}

static void a_torn_batch_in_a_segment_that_is_not_the_last_refuses_the_log(void **state)
{
    (void)state;
    struct lab lab;
    make_log(&lab, 20, 60);
    const char *name = lab_segment(1);
    uint32_t used = used_bytes(&lab, name);
    static const uint8_t zeros[WAL_SEGMENT_MIN];
    for (uint32_t from = WAL_BLOCK; from < used; from += DISK_SECTOR) {
        uint8_t was[WAL_SEGMENT_MIN];
        uint64_t len = 0;
        memcpy(was, simdisk_peek(lab.sd, name, &len), sizeof was);
        simdisk_poke(lab.sd, name, from, zeros, WAL_SEGMENT_MIN - from);
        assert_int_equal(lab_open(&lab, /*create=*/false, &e), ERR_CORRUPT);
        simdisk_poke(lab.sd, name, 0, was, sizeof was);
    }
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_flipped_bit_in_a_closed_segment_refuses_the_log),
        cmocka_unit_test(one_flipped_bit_in_the_open_segment_refuses_the_log),
        cmocka_unit_test(one_flipped_bit_in_the_last_acknowledged_batch_refuses_the_log),
        cmocka_unit_test(a_flipped_bit_behind_the_end_loses_nothing),
        cmocka_unit_test(a_missing_segment_refuses_the_log),
        cmocka_unit_test(an_entry_that_the_guard_saw_must_be_there),
        cmocka_unit_test(a_newer_format_is_refused),
        cmocka_unit_test(a_segment_of_another_pool_is_refused),
        cmocka_unit_test(a_segment_under_anothers_name_is_refused),
        cmocka_unit_test(a_segment_cut_short_is_refused),
        cmocka_unit_test(a_tail_torn_in_any_way_is_cut),
        cmocka_unit_test(a_torn_batch_that_was_durable_later_on_refuses_the_log),
        cmocka_unit_test(a_torn_batch_in_a_segment_that_is_not_the_last_refuses_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
