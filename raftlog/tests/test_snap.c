/* Snapshot files, and bringing them to another member. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/util.h"

#include "raftlog/snapsend.h"
#include "raftlog/snapstore.h"
#include "raftlog/tests/check.h"
#include "raftlog/tests/simdisk.h"

static struct err e;
static const struct id pool = {{1, 2, 3}};

static struct simdisk *new_disk(uint64_t seed, struct disk **ret)
{
    struct simdisk *sd = simdisk_new(&(struct simdisk_options){.seed = seed});
    assert_int_equal(simdisk_take(sd, ret, &e), 0);
    return sd;
}

static struct snap_meta meta_of(uint64_t term, uint64_t index)
{
    struct snap_meta m = {.index = index, .term = term, .conf_index = 3, .conf_len = 13};
    memcpy(m.conf, "configuration", 13);
    return m;
}

static uint8_t stream_byte(uint64_t index, size_t at)
{
    return (uint8_t)(at * 31 + at / 251 + index);
}

/* Write a snapshot of `len` bytes, in pieces of odd sizes. */
static int
write_snap(struct disk *d, uint64_t term, uint64_t index, size_t len, struct snap_meta *ret)
{
    struct snap_writer *w = NULL;
    struct snap_meta m = meta_of(term, index);
    uint8_t *data CLEANUP(cleanup_free) = mem_new(len, 1);
    for (size_t i = 0; i < len; i++) {
        data[i] = stream_byte(index, i);
    }
    int rc = snap_create(&w, d, &pool, &m, &e);
    if (rc != 0) {
        return rc;
    }
    for (size_t at = 0; at < len;) {
        size_t n = min_u64(len - at, 1 + at % 70001);
        rc = snap_write(w, data + at, n, &e);
        if (rc != 0) {
            snap_abort(w);
            return rc;
        }
        at += n;
    }
    return snap_finish(w, ret, &e);
}

static int64_t read_snap(struct disk *d, const char *name, uint64_t index, struct snap_meta *m)
{
    struct snap_reader *r = NULL;
    int rc = snap_open(&r, d, &pool, name, m, &e);
    if (rc != 0) {
        return rc;
    }
    size_t at = 0;
    uint8_t piece[5000];
    int64_t n = 0;
    while ((n = snap_read(r, piece, sizeof piece, &e)) > 0) {
        for (int64_t i = 0; i < n; i++, at++) {
            assert_int_equal(piece[i], stream_byte(index, at));
        }
    }
    snap_close(r);
    return n < 0 ? n : (int64_t)at;
}

static void a_snapshot_comes_back(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, SNAP_CHUNK_MAX, SNAP_CHUNK_MAX + 1, 1000003};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct disk *d = NULL;
        struct simdisk *sd = new_disk(i, &d);
        struct snap_meta made;
        struct snap_meta got;
        char name[DISK_NAME_SIZE];
        assert_int_equal(write_snap(d, 4, 500, lengths[i], &made), 0);
        simdisk_crash(sd, /*power=*/true);
        snap_name(name, 4, 500);
        assert_int_equal(read_snap(d, name, 500, &got), lengths[i]);
        assert_int_equal(got.index, 500);
        assert_int_equal(got.term, 4);
        assert_int_equal(got.conf_index, 3);
        assert_int_equal(got.conf_len, 13);
        assert_memory_equal(got.conf, "configuration", 13);
        assert_int_equal(got.file_bytes, made.file_bytes);
        assert_int_equal(snap_verify(d, &pool, name, &got, &e), 0);
        assert_true(hash_equal(got.sum, made.sum));
        simdisk_free(sd);
    }
}

static void one_flipped_bit_anywhere_is_found(void **state)
{
    (void)state;
    struct disk *d = NULL;
    struct simdisk *sd = new_disk(1, &d);
    struct snap_meta m;
    char name[DISK_NAME_SIZE];
    assert_int_equal(write_snap(d, 4, 500, 3000, &m), 0);
    snap_name(name, 4, 500);
    for (uint64_t bit = 0; bit < m.file_bytes * 8; bit += bit < 2000 ? 1 : 37) {
        struct snap_meta got;
        simdisk_flip(sd, name, bit / 8, bit % 8);
        int64_t rc = read_snap(d, name, 500, &got);
        assert_true(rc == ERR_CORRUPT || rc == ERR_VERSION || rc == ERR_REFUSED);
        assert_int_not_equal(snap_verify(d, &pool, name, &got, &e), 0);
        simdisk_flip(sd, name, bit / 8, bit % 8);
    }
    simdisk_free(sd);
}

static void a_file_cut_short_or_too_long_is_found(void **state)
{
    (void)state;
    struct disk *d = NULL;
    struct simdisk *sd = new_disk(1, &d);
    struct snap_meta m;
    struct snap_meta got;
    char name[DISK_NAME_SIZE];
    struct disk_file *f = NULL;
    assert_int_equal(write_snap(d, 4, 500, 700, &m), 0);
    snap_name(name, 4, 500);
    assert_int_equal(disk_open(d, name, DISK_WRITE, &f, &e), 0);
    assert_int_equal(disk_truncate(f, m.file_bytes + 1, &e), 0);
    assert_int_equal(snap_verify(d, &pool, name, &got, &e), ERR_CORRUPT);
    for (uint64_t size = m.file_bytes; size-- > 0;) {
        assert_int_equal(disk_truncate(f, size, &e), 0);
        assert_int_equal(snap_verify(d, &pool, name, &got, &e), ERR_CORRUPT);
    }
    disk_close(f);
    simdisk_free(sd);
}

static void another_pool_and_a_newer_format_are_refused(void **state)
{
    (void)state;
    struct disk *d = NULL;
    struct simdisk *sd = new_disk(1, &d);
    struct snap_found found;
    struct snap_meta m;
    struct snap_meta got;
    char name[DISK_NAME_SIZE];
    assert_int_equal(write_snap(d, 4, 500, 700, &m), 0);
    assert_int_equal(snap_newest(d, &(struct id){{9}}, &found, &got, &e), ERR_REFUSED);
    assert_non_null(strstr(e.msg, "another pool"));
    snap_name(name, 4, 500);
    uint64_t len = 0;
    uint8_t head[88];
    memcpy(head, simdisk_peek(sd, name, &len), sizeof head);
    head[8] = 2;
    store_u32(head + 12, crc32c(crc32c(0, head, 12), head + 16, sizeof head - 16));
    simdisk_poke(sd, name, 0, head, sizeof head);
    assert_int_equal(snap_newest(d, &pool, &found, &got, &e), ERR_VERSION);
    simdisk_free(sd);
}

static void the_newest_whole_snapshot_counts(void **state)
{
    (void)state;
    struct disk *d = NULL;
    struct simdisk *sd = new_disk(1, &d);
    struct snap_found found;
    struct snap_meta m;
    char name[DISK_NAME_SIZE];
    assert_int_equal(snap_newest(d, &pool, &found, &m, &e), 0);
    assert_false(found.any);
    assert_int_equal(write_snap(d, 1, 90, 10, NULL), 0);
    assert_int_equal(write_snap(d, 1, 100, 10, NULL), 0);
    assert_int_equal(write_snap(d, 2, 200, 10, NULL), 0);
    assert_int_equal(write_snap(d, 1, 1000, 10, NULL), 0);
    assert_int_equal(snap_newest(d, &pool, &found, &m, &e), 0);
    assert_true(found.any);
    assert_int_equal(m.index, 1000);
    snap_name(name, 1, 1000);
    simdisk_flip(sd, name, 90, 0);
    assert_int_equal(snap_newest(d, &pool, &found, &m, &e), 0);
    assert_int_equal(m.index, 200);
    assert_int_equal(found.damaged, 1);
    assert_string_equal(found.damaged_name, name);
    simdisk_flip(sd, name, 90, 0);
    assert_int_equal(snap_prune(d, 1, 1000, &e), 0);
    simdisk_lose(sd, name);
    assert_int_equal(snap_newest(d, &pool, &found, &m, &e), 0);
    assert_int_equal(m.index, 200); /* One older one is kept. */
    simdisk_lose(sd, found.name);
    assert_int_equal(snap_newest(d, &pool, &found, &m, &e), 0);
    assert_false(found.any);
    simdisk_free(sd);
}

static void dying_while_writing_leaves_the_old_or_the_new(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 14; n++) {
        for (uint64_t seed = 1; seed <= 10; seed++) {
            struct disk *d = NULL;
            struct simdisk *sd = new_disk(seed, &d);
            struct snap_found found;
            struct snap_meta m;
            assert_int_equal(write_snap(d, 1, 10, 500, NULL), 0);
            simdisk_fault_at(sd, n, n % 2 == 0 ? SIMDISK_DIE : SIMDISK_ENOSPC);
            int rc = write_snap(d, 2, 20, SNAP_CHUNK_MAX * 2 + 5, NULL);
            simdisk_crash(sd, /*power=*/true);
            assert_int_equal(simdisk_take(sd, &d, &e), 0);
            assert_int_equal(snap_newest(d, &pool, &found, &m, &e), 0);
            assert_true(found.any && found.damaged == 0);
            assert_true(m.index == 20 || (rc != 0 && m.index == 10));
            simdisk_free(sd);
        }
    }
}

/* --- transfer */

/* Two members and a channel each way, as queues of frames. */
struct transfer {
    struct simdisk *sd[2];
    struct disk *d[2];
    struct snap_meta meta;
    char name[DISK_NAME_SIZE];
    struct snapsend send;
    struct snaprecv recv;
    struct disk_file *from, *to;
    struct buf frames[2][64]; /* To the receiver, to the sender. */
    uint32_t n[2];
    size_t most_on_the_way;
    uint64_t chunks;
    bool kept;
    int refuse; /* The receiver does not want it. */
};

static void transfer_init(struct transfer *t, size_t bytes)
{
    memset(t, 0, sizeof *t);
    for (int i = 0; i < 2; i++) {
        t->sd[i] = new_disk(7 + (uint64_t)i, &t->d[i]);
    }
    assert_int_equal(write_snap(t->d[0], 6, 777, bytes, &t->meta), 0);
    snap_name(t->name, 6, 777);
    assert_int_equal(disk_open(t->d[0], t->name, DISK_READ, &t->from, &e), 0);
    snapsend_init(&t->send, &(struct snap_offer){.index = 777,
                                                 .term = 6,
                                                 .file_bytes = t->meta.file_bytes,
                                                 .sum = t->meta.sum});
}

static void transfer_break(struct transfer *t)
{
    for (int to = 0; to < 2; to++) {
        for (uint32_t i = 0; i < t->n[to]; i++) {
            buf_done(&t->frames[to][i]);
        }
        t->n[to] = 0;
    }
    snapsend_broken(&t->send);
}

static void transfer_done(struct transfer *t)
{
    transfer_break(t);
    disk_close(t->from);
    disk_close(t->to);
    simdisk_free(t->sd[0]);
    simdisk_free(t->sd[1]);
}

static void post(struct transfer *t, int to, struct buf *frame)
{
    if (frame->len > 0) {
        assert_true(t->n[to] < 64);
        t->frames[to][t->n[to]++] = *frame;
    }
}

/* The sender sends what it may. */
static void turn_send(struct transfer *t)
{
    for (;;) {
        struct buf frame = {0};
        uint64_t offset = 0;
        size_t len = 0;
        size_t got = 0;
        static uint8_t data[SNAPSEND_CHUNK];
        enum snapsend_step step = snapsend_next(&t->send, &frame, &offset, &len);
        if (step == SNAPSEND_WAIT) {
            break;
        }
        if (step == SNAPSEND_READ) {
            assert_int_equal(disk_read(t->from, offset, data, len, &got, &e), 0);
            snapsend_chunk(&t->send, data, got, &frame);
            t->chunks++;
        }
        post(t, 0, &frame);
    }
    t->most_on_the_way = max_u64(t->most_on_the_way, t->send.sent - t->send.there);
}

static void on_offer(struct transfer *t, const struct snap_msg *m)
{
    struct buf answer = {0};
    uint64_t have = 0;
    if (t->refuse != 0) {
        snaprecv_refuse(&m->offer, t->refuse, &answer);
    } else {
        disk_close(t->to);
        assert_int_equal(snap_in_open(t->d[1], &m->offer, &t->to, &have, &e), 0);
        snaprecv_open(&t->recv, &m->offer, have, &answer);
    }
    post(t, 1, &answer);
}

static void on_chunk(struct transfer *t, const struct snap_msg *m)
{
    struct buf answer = {0};
    bool all = false;
    int rc = snaprecv_chunk(&t->recv, m, &answer, &all);
    if (rc == ERR_STALE) {
        return;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(disk_write(t->to, m->offset, m->data, m->len, &e), 0);
    if (all) {
        struct snap_meta got;
        rc = snap_in_check(t->d[1], &pool, &t->recv.offer, &got, &e);
        if (rc == 0) {
            assert_int_equal(snap_in_keep(t->d[1], &t->recv.offer, &e), 0);
            t->kept = true;
        } else {
            uint64_t have = 1; /* It begins again in the same file. */
            assert_int_equal(disk_size(t->to, &have, &e), 0);
            assert_int_equal(have, 0);
        }
        (void)snaprecv_checked(&t->recv, rc, &answer);
    }
    post(t, 1, &answer);
}

static struct buf next_frame(struct transfer *t, int to)
{
    struct buf f = t->frames[to][0];
    t->n[to]--;
    memmove(&t->frames[to][0], &t->frames[to][1], t->n[to] * sizeof f);
    return f;
}

/* Deliver one frame each way. */
static bool turn(struct transfer *t)
{
    struct snap_msg m;
    turn_send(t);
    bool any = t->n[0] > 0 || t->n[1] > 0;
    if (t->n[0] > 0) {
        struct buf f CLEANUP(buf_done) = next_frame(t, 0);
        assert_int_equal(f.data[0], SNAPSEND_FIRST_BYTE);
        assert_int_equal(snap_msg_decode(f.data, f.len, &m), 0);
        if (m.kind == SNAP_OFFER) {
            on_offer(t, &m);
        } else {
            on_chunk(t, &m);
        }
    }
    if (t->n[1] > 0) {
        struct buf f CLEANUP(buf_done) = next_frame(t, 1);
        assert_int_equal(snap_msg_decode(f.data, f.len, &m), 0);
        assert_int_equal(snapsend_on(&t->send, &m), 0);
    }
    return any;
}

static void check_arrived(struct transfer *t, size_t bytes)
{
    struct snap_meta got;
    assert_true(t->kept && t->send.ended && t->send.code == 0);
    assert_int_equal(read_snap(t->d[1], t->name, 777, &got), bytes);
}

static void a_snapshot_is_brought_over_in_a_window(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 100, 11 * 1024 * 1024};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct transfer t;
        transfer_init(&t, sizes[i]);
        while (turn(&t)) {
        }
        check_arrived(&t, sizes[i]);
        assert_true(t.most_on_the_way <= SNAPSEND_WINDOW);
        transfer_done(&t);
    }
}

static void a_transfer_that_breaks_goes_on_where_it_was(void **state)
{
    (void)state;
    struct transfer t;
    size_t bytes = 9 * 1024 * 1024 + 17;
    transfer_init(&t, bytes);
    uint32_t breaks = 0;
    for (uint32_t i = 1; turn(&t) || !t.send.ended; i++) {
        if (i % 5 == 0) {
            transfer_break(&t);
            breaks++;
        }
        if (i % 15 == 0) { /* The receiver dies too; what it had not synced may be lost or torn. */
            simdisk_crash(t.sd[1], /*power=*/false);
            t.recv = (struct snaprecv){0};
        }
        assert_true(i < 2000);
    }
    check_arrived(&t, bytes);
    assert_true(breaks > 5);
    transfer_done(&t);
}

static void what_arrives_damaged_is_asked_for_again(void **state)
{
    (void)state;
    struct transfer t;
    transfer_init(&t, 600000);
    bool damaged = false;
    while (turn(&t)) {
        if (!damaged && t.recv.have > 300000) {
            uint8_t junk = 0xee;
            assert_int_equal(disk_write(t.to, 1000, &junk, 1, &e), 0);
            damaged = true;
        }
    }
    assert_true(damaged);
    check_arrived(&t, 600000);
    assert_true(t.chunks > 3);
    transfer_done(&t);
}

static void what_is_always_damaged_is_refused_in_the_end(void **state)
{
    (void)state;
    struct transfer t;
    transfer_init(&t, 600000);
    t.send.offer.sum.lo++;
    uint32_t turns = 0;
    while (turn(&t)) {
        assert_true(++turns < 1000);
    }
    assert_true(t.send.ended && !t.kept);
    assert_int_equal(t.send.code, ERR_CORRUPT);
    transfer_done(&t);
}

static void an_unwanted_offer_is_refused(void **state)
{
    (void)state;
    struct transfer t;
    transfer_init(&t, 1000);
    t.refuse = ERR_STALE;
    while (turn(&t)) {
    }
    assert_true(t.send.ended);
    assert_int_equal(t.send.code, ERR_STALE);
    transfer_done(&t);
}

static void frames_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct snaprecv r = {0};
    struct snap_offer o = {.index = 5, .term = 2, .file_bytes = 1000};
    struct buf b CLEANUP(buf_done) = {0};
    uint8_t bytes[1001] = {0};
    bool all = false;
    snaprecv_open(&r, &o, 0, &b);
    struct snap_msg m = {.kind = SNAP_CHUNK, .index = 5, .term = 2, .data = bytes, .len = 1001};
    assert_int_equal(snaprecv_chunk(&r, &m, &b, &all), ERR_MALFORMED); /* Past the end. */
    m.len = 10;
    m.offset = 11;
    assert_int_equal(snaprecv_chunk(&r, &m, &b, &all), ERR_MALFORMED); /* A gap. */
    m.index = 6;
    assert_int_equal(snaprecv_chunk(&r, &m, &b, &all), ERR_STALE);
    struct snapsend s;
    snapsend_init(&s, &o);
    uint64_t offset = 0;
    size_t len = 0;
    buf_clear(&b);
    assert_int_equal(snapsend_next(&s, &b, &offset, &len), SNAPSEND_OFFER);
    m = (struct snap_msg){.kind = SNAP_WANT, .index = 5, .term = 2, .offset = 1001, .rewind = true};
    assert_int_equal(snapsend_on(&s, &m), ERR_MALFORMED);
    m.offset = 0;
    assert_int_equal(snapsend_on(&s, &m), 0);
    m.rewind = false;
    m.offset = 1; /* More than was sent. */
    assert_int_equal(snapsend_on(&s, &m), ERR_MALFORMED);
    /* Every cut of every frame, and one byte more. */
    static const enum snap_msg_kind kinds[] = {SNAP_OFFER, SNAP_WANT, SNAP_CHUNK, SNAP_DONE,
                                               SNAP_REFUSED};
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct buf f CLEANUP(buf_done) = {0};
        m = (struct snap_msg){.kind = kinds[k],
                              .index = 5,
                              .term = 2,
                              .offer = o,
                              .code = ERR_STALE,
                              .data = kinds[k] == SNAP_CHUNK ? bytes : NULL,
                              .len = kinds[k] == SNAP_CHUNK ? 9 : 0};
        snap_msg_encode(&m, &f);
        assert_int_equal(snap_msg_decode(f.data, f.len, &m), 0);
        assert_int_equal(m.kind, kinds[k]);
        for (size_t cut = 0; cut < f.len; cut++) {
            assert_int_equal(snap_msg_decode(f.data, cut, &m), ERR_MALFORMED);
        }
        buf_put_u8(&f, 0);
        assert_int_equal(snap_msg_decode(f.data, f.len, &m), ERR_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_comes_back),
        cmocka_unit_test(one_flipped_bit_anywhere_is_found),
        cmocka_unit_test(a_file_cut_short_or_too_long_is_found),
        cmocka_unit_test(another_pool_and_a_newer_format_are_refused),
        cmocka_unit_test(the_newest_whole_snapshot_counts),
        cmocka_unit_test(dying_while_writing_leaves_the_old_or_the_new),
        cmocka_unit_test(a_snapshot_is_brought_over_in_a_window),
        cmocka_unit_test(a_transfer_that_breaks_goes_on_where_it_was),
        cmocka_unit_test(what_arrives_damaged_is_asked_for_again),
        cmocka_unit_test(what_is_always_damaged_is_refused_in_the_end),
        cmocka_unit_test(an_unwanted_offer_is_refused),
        cmocka_unit_test(frames_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
