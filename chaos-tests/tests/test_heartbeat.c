/* The guests' heartbeat and the checker of it, against each other: the engine of the real guests
 * runs here on a disk in memory, one copy or two, and every planted violation must be found while
 * every tricky good history must pass. */

#include <limits.h>

#include "core/buf.h"

#include "chaos-tests/images/beat.h"
#include "chaos-tests/tests/cm.h"
#include "chaos-tests/tools/history.h"

/* One disk, and the copies of a guest that use it; `now` is the one that acts. */
static uint8_t disk_bytes[BEAT_SECTORS * BEAT_SECTOR];
static uint64_t chances;

struct copy {
    struct beat beat;
    char place[64];
    uint32_t ticks;
    struct buf *console;
};

static struct copy *now;

/* The host loses its power after so many more writes. */
static long writes_left;

static bool fake_disk(uint32_t sector, void *data, bool write)
{
    uint8_t *at = disk_bytes + (size_t)sector * BEAT_SECTOR;

    assert_true(sector < BEAT_SECTORS);
    if (write && writes_left-- <= 0) {
        return true; /* Nobody is there any more to hear how it went. */
    }
    memcpy(write ? at : data, write ? data : at, BEAT_SECTOR);
    return true;
}

static void fake_say(const char *text)
{
    if (writes_left > 0) {
        buf_put(now->console, text, strlen(text));
    }
}

static bool fake_place(char *text, size_t size)
{
    (void)snprintf(text, size, "%s", now->place);
    return true;
}

static uint32_t fake_ticks(void)
{
    return now->ticks;
}

static uint64_t fake_rtc(void)
{
    return 1700000000 + now->ticks / 100;
}

static uint64_t fake_chance(void)
{
    return ++chances;
}

static const struct beat_machine machine = {.disk = fake_disk,
                                            .say = fake_say,
                                            .place = fake_place,
                                            .ticks = fake_ticks,
                                            .rtc_s = fake_rtc,
                                            .chance = fake_chance};

static struct buf consoles[3]; /* Of h1, h2, h3. */
static struct history history;
static char disk_path[64];

static int setup(void **state)
{
    (void)state;
    writes_left = LONG_MAX;
    memset(disk_bytes, 0, sizeof disk_bytes);
    memset(&history, 0, sizeof history);
    for (int i = 0; i < 3; i++) {
        buf_done(&consoles[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    history_done(&history);
    for (int i = 0; i < 3; i++) {
        buf_done(&consoles[i]);
    }
    return 0;
}

/* The copy runs on this host under this epoch from now on. */
static void put_on(struct copy *c, int host, unsigned epoch)
{
    (void)snprintf(c->place, sizeof c->place, "h%d %u", host, epoch);
    c->console = &consoles[host - 1];
}

static void boot(struct copy *c, int host, unsigned epoch)
{
    put_on(c, host, epoch);
    c->ticks = 0;
    now = c;
    beat_start(&c->beat, &machine, "");
}

static void beat(struct copy *c, int times)
{
    now = c;
    while (times-- > 0) {
        c->ticks += 10;
        beat_tick(&c->beat);
    }
}

static void read_consoles(void)
{
    static const char *const names[] = {"h1", "h2", "h3"};

    for (int i = 0; i < 3; i++) {
        struct console c = {.host = names[i]};

        (void)history_console(&history, &c, (const char *)consoles[i].data, consoles[i].len);
    }
}

static void read_disk(void)
{
    struct err e = {0};
    FILE *f;
    int fd;

    (void)snprintf(disk_path, sizeof disk_path, "/tmp/test_heartbeat.XXXXXX");
    fd = mkstemp(disk_path);
    assert_true(fd >= 0);
    f = fdopen(fd, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(disk_bytes, sizeof disk_bytes, 1, f), 1);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(history_disk(&history, disk_path, &e), 0);
    assert_int_equal(unlink(disk_path), 0);
}

static size_t judge(void)
{
    read_consoles();
    read_disk();
    return history_judge(&history, 1);
}

static bool found(enum finding_kind kind, const char *words)
{
    for (size_t i = 0; i < history.n_findings; i++) {
        if (history.findings[i].kind == kind && strstr(history.findings[i].text, words) != NULL) {
            return true;
        }
    }
    return false;
}

static void put_line(int host, const char *text)
{
    buf_put(&consoles[host - 1], text, strlen(text));
}

/* --- good histories */

static void a_quiet_life_has_no_finding(void **state)
{
    static struct copy c;

    (void)state;
    boot(&c, 1, 5);
    beat(&c, 2000); /* Four times round the lane. */
    beat_bye(&c.beat);
    assert_int_equal(judge(), 0);
    assert_int_equal(history.n_beats, 2000);
    assert_int_equal(history.missing, 0);
    assert_int_equal(history.largest_gap_ms, 100);
    assert_int_equal(history.byes, 1);
    assert_int_equal(history.disk_last, 2000);
}

static void a_counter_goes_on_after_a_crash(void **state)
{
    static struct copy c;

    (void)state;
    boot(&c, 1, 5);
    beat(&c, 33);
    boot(&c, 2, 6);
    beat(&c, 33);
    assert_int_equal(judge(), 0);
    assert_int_equal(history.boots, 2);
    assert_int_equal(history.beats[65].counter, 66);
    assert_int_equal(history.epochs, 2);
}

/* A power cut after any write of a beat: of the first one after a move, or of a later one. */
static void cut_a_beat(bool moves, long writes)
{
    static struct copy c;

    (void)setup(NULL);
    boot(&c, 1, 1);
    beat(&c, 10);
    put_on(&c, 2, 2);
    beat(&c, moves ? 0 : 5);
    writes_left = writes;
    beat(&c, 1);
    writes_left = LONG_MAX;
    boot(&c, 3, 3);
    beat(&c, 5);
    assert_int_equal(judge(), 0);
    assert_int_equal(history.boots, 2);
    history_done(&history);
}

static void a_beat_cut_in_two_is_no_finding(void **state)
{
    (void)state;
    for (long writes = 0; writes < 4; writes++) {
        cut_a_beat(/*moves=*/false, writes);
        cut_a_beat(/*moves=*/true, writes);
    }
}

static void forty_runs_reuse_the_lanes(void **state)
{
    static struct copy c;

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        boot(&c, 1 + (int)(i % 3), 10 + i);
        beat(&c, 7);
    }
    assert_int_equal(judge(), 0);
    assert_int_equal(history.n_beats, 280);
    assert_int_equal(history.n_runs, BEAT_LANES);
}

static void a_migration_is_one_life(void **state)
{
    static struct copy c;

    (void)state;
    boot(&c, 1, 5);
    beat(&c, 20);
    put_on(&c, 2, 6);
    beat(&c, 20);
    put_on(&c, 3, 9);
    beat(&c, 20);
    assert_int_equal(judge(), 0);
    assert_int_equal(history.moves, 2);
    assert_int_equal(history.host_beats[0], 20);
    assert_int_equal(history.n_beats, 60);
}

static void a_line_cut_by_a_migration_is_no_finding(void **state)
{
    (void)state;
    put_line(1, "HB 1 epoch=5 host=h1 t=10 rtc=1\nHB 2 epo");
    put_line(2, "ch=5 host=h1 t=20 rtc=1\nHB 3 epoch=6 host=h2 t=30 rtc=1\n");
    put_line(1, "HB 4 epoch=7 host=h1 t=40 rtc=1\n"); /* Back again: after the half line. */
    read_consoles();
    assert_int_equal(history_judge(&history, 1), 0);
    assert_int_equal(history.n_beats, 3);
    assert_int_equal(history.missing, 1);
    assert_true(history.fragments >= 2);
}

static void the_first_beat_after_a_move_may_carry_the_old_name(void **state)
{
    (void)state;
    put_line(1, "HB 1 epoch=5 host=h1 t=10 rtc=1\n");
    put_line(2, "HB 2 epoch=5 host=h1 t=20 rtc=1\nHB 3 epoch=6 host=h2 t=30 rtc=1\n");
    read_consoles();
    assert_int_equal(history_judge(&history, 1), 0);
}

static void a_console_read_in_pieces_is_the_same(void **state)
{
    static const char text[] =
        "HB 1 epoch=5 host=h1 t=10 rtc=1\r\nnoise\nHB 2 epoch=5 host=h1 t=20 "
        "rtc=1\r\nHB 3 epoch=5 host=h1 t=30 rtc=1\r\n";
    struct console c = {.host = "h1"};
    size_t beats = 0;

    (void)state;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        beats += history_console(&history, &c, text + i, 1);
    }
    assert_int_equal(beats, 3);
    assert_int_equal(history_judge(&history, 3), 0);
}

/* --- planted violations */

/* The source of a migration goes on as if nothing had happened. */
static void plant_source_goes_on(void)
{
    static struct copy src;
    static struct copy dst;

    boot(&src, 1, 5);
    beat(&src, 20);
    dst = src;
    put_on(&dst, 2, 6);
    for (int i = 0; i < 10; i++) {
        beat(&dst, 1);
        beat(&src, 1);
    }
}

static void a_source_that_goes_on_is_found_by_the_guests(void **state)
{
    (void)state;
    plant_source_goes_on();
    assert_true(judge() > 0);
    assert_true(found(FINDING_OVERLAP, "the guest itself says"));
    assert_true(found(FINDING_OVERLAP, "the guest found beat"));
}

static void a_source_that_goes_on_is_found_by_the_consoles_alone(void **state)
{
    (void)state;
    plant_source_goes_on();
    for (int i = 0; i < 3; i++) { /* Without what the guests say of it themselves. */
        for (size_t k = 0; k + 7 < consoles[i].len; k++) {
            if (memcmp(consoles[i].data + k, "OVERLAP", 7) == 0) {
                memcpy(consoles[i].data + k, "overlap", 7);
            }
        }
    }
    read_consoles();
    assert_true(history_judge(&history, 1) > 0);
    assert_true(
        found(FINDING_OVERLAP, "beat 21 is on the consoles of h1 (epoch 5) and h2 (epoch 6)"));
}

static void a_source_that_goes_on_is_found_by_the_lanes_alone(void **state)
{
    (void)state;
    plant_source_goes_on();
    memset(disk_bytes + BEAT_SECTOR, 0, 2 * (size_t)BEAT_SECTOR);
    read_disk();
    assert_true(history_judge(&history, 0) > 0);
    assert_true(found(FINDING_OVERLAP, "run 1 (epoch 5 on h1) wrote beat 30 although run 2"));
}

static void one_beat_too_many_is_found(void **state)
{
    static struct copy src;
    static struct copy dst;

    (void)state;
    boot(&src, 1, 5);
    beat(&src, 20);
    dst = src;
    put_on(&dst, 2, 6);
    beat(&src, 1); /* After its memory was taken. */
    beat(&dst, 5);
    memset(disk_bytes + BEAT_SECTOR, 0, 2 * (size_t)BEAT_SECTOR);
    read_disk();
    assert_true(history_judge(&history, 0) > 0);
    assert_true(found(FINDING_OVERLAP, "wrote beat 21"));
}

static void a_second_start_elsewhere_is_found(void **state)
{
    static struct copy a;
    static struct copy b;

    (void)state;
    boot(&a, 1, 5);
    beat(&a, 20);
    boot(&b, 2, 6);
    for (int i = 0; i < 5; i++) {
        beat(&b, 1);
        beat(&a, 1);
    }
    assert_true(judge() > 0);
    assert_true(found(FINDING_OVERLAP, "the guest found beat"));
    assert_true(found(FINDING_OVERLAP, "consoles of"));
    assert_true(found(FINDING_OVERLAP, "although run 2"));
}

static void a_second_start_under_the_same_epoch_is_found(void **state)
{
    static struct copy a;
    static struct copy b;

    (void)state;
    boot(&a, 1, 5);
    beat(&a, 20);
    boot(&b, 2, 5);
    beat(&b, 3);
    beat(&a, 3);
    assert_true(judge() > 0);
    assert_true(found(FINDING_MISPLACED, "epoch 5 ran on h1"));
    assert_true(found(FINDING_OVERLAP, "consoles of"));
}

static void copies_that_share_even_their_run_are_found(void **state)
{
    static struct copy a;
    static struct copy b;

    (void)state;
    boot(&a, 1, 5);
    beat(&a, 20);
    b = a; /* The same memory resumed twice, told the same place. */
    b.console = &consoles[1];
    beat(&a, 2);
    beat(&b, 1);
    beat(&a, 1);
    assert_true(judge() > 0);
    assert_true(found(FINDING_OVERLAP, "consoles of h1 (epoch 5) and h2 (epoch 5)"));
    assert_true(found(FINDING_OVERLAP, "the guest found beat"));
}

static void two_starts_at_the_same_moment_are_found(void **state)
{
    static struct copy a;
    static struct copy b;
    static uint8_t before[sizeof disk_bytes];

    (void)state;
    memcpy(before, disk_bytes, sizeof before);
    boot(&a, 1, 5);
    memcpy(disk_bytes, before, sizeof before); /* b reads the disk before a has written. */
    boot(&b, 2, 6);
    beat(&a, 1);
    beat(&b, 1);
    beat(&a, 4);
    beat(&b, 2);
    memset(disk_bytes + BEAT_SECTOR, 0, 2 * (size_t)BEAT_SECTOR);
    read_disk();
    assert_true(history_judge(&history, 0) > 0);
    assert_true(found(FINDING_OVERLAP, "was written by another copy"));
}

static void interleaved_epochs_are_found_without_an_equal_beat(void **state)
{
    (void)state;
    put_line(1, "HB 1 epoch=5 host=h1 t=10 rtc=1\nHB 3 epoch=5 host=h1 t=30 rtc=1\n");
    put_line(2, "HB 2 epoch=6 host=h2 t=20 rtc=1\nHB 4 epoch=6 host=h2 t=40 rtc=1\n");
    read_consoles();
    assert_true(history_judge(&history, 1) > 0);
    assert_true(
        found(FINDING_OVERLAP, "beat 3 of epoch 5 on h1 comes after beat 2 of epoch 6 on h2"));
}

static void a_counter_that_goes_back_is_found(void **state)
{
    (void)state;
    put_line(1, "HB 8 epoch=5 host=h1 t=10 rtc=1\nHB 7 epoch=5 host=h1 t=20 rtc=1\n");
    read_consoles();
    assert_true(history_judge(&history, 1) > 0);
    assert_true(found(FINDING_BACK, "beat 8 was said before beat 7"));
}

static void a_beat_said_twice_is_found(void **state)
{
    (void)state;
    put_line(1, "HB 8 epoch=5 host=h1 t=10 rtc=1\nHB 8 epoch=5 host=h1 t=20 rtc=1\n");
    read_consoles();
    assert_true(history_judge(&history, 1) > 0);
    assert_true(found(FINDING_BACK, "beat 8 is twice on the console of h1"));
}

static void a_disk_that_lost_beats_is_found(void **state)
{
    static struct copy c;
    static uint8_t before[sizeof disk_bytes];

    (void)state;
    boot(&c, 1, 5);
    beat(&c, 10);
    memcpy(before, disk_bytes, sizeof before);
    beat(&c, 10);
    memcpy(disk_bytes, before, sizeof before);
    assert_true(judge() > 0);
    assert_true(found(FINDING_DISK, "beat 20 was said, but the newest on the disk is 10"));
}

static void a_torn_head_is_told_and_the_counter_goes_on(void **state)
{
    static struct copy c;

    (void)state;
    boot(&c, 1, 5);
    beat(&c, 10);
    disk_bytes[3] ^= 1;
    boot(&c, 1, 6);
    beat(&c, 10);
    assert_true(judge() > 0);
    assert_true(found(FINDING_DISK, "DISK damaged"));
    assert_int_equal(history.disk_last, 20);
    assert_false(found(FINDING_BACK, ""));
}

static void stale_memory_is_found(void **state)
{
    static struct copy c;

    (void)state;
    boot(&c, 1, 5);
    beat(&c, 10);
    beat_stale(&c.beat, 3, 1024);
    assert_int_equal(judge(), 1);
    assert_true(found(FINDING_STALE, "STALE 3 of 1024 at counter=10"));
}

static void a_guest_that_is_not_told_where_it_is_is_found(void **state)
{
    static struct copy c;

    (void)state;
    boot(&c, 1, 5);
    beat(&c, 10);
    c.console = &consoles[1]; /* Moved, but its machine still says h1. */
    beat(&c, 3);
    assert_true(judge() > 0);
    assert_true(found(FINDING_MISPLACED, "is on the console of h2 and says h1"));
}

static void silence_is_found(void **state)
{
    (void)state;
    put_line(1, "BOOT counter=0 run=1 clean=0 epoch=5 host=h1\n");
    read_consoles();
    assert_int_equal(history_judge(&history, 1), 1);
    assert_true(found(FINDING_SILENT, "0 beats"));
}

/* --- the engine's own */

static void numbers_of_any_size_are_said_right(void **state)
{
    static struct copy c;

    (void)state;
    boot(&c, 1, 5);
    c.beat.last.counter = UINT64_MAX - 1;
    beat(&c, 1);
    assert_non_null(
        memmem(consoles[0].data, consoles[0].len, "HB 18446744073709551615 epoch=5", 31));
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_quiet_life_has_no_finding),
        T(a_counter_goes_on_after_a_crash),
        T(a_beat_cut_in_two_is_no_finding),
        T(forty_runs_reuse_the_lanes),
        T(a_migration_is_one_life),
        T(a_line_cut_by_a_migration_is_no_finding),
        T(the_first_beat_after_a_move_may_carry_the_old_name),
        T(a_console_read_in_pieces_is_the_same),
        T(a_source_that_goes_on_is_found_by_the_guests),
        T(a_source_that_goes_on_is_found_by_the_consoles_alone),
        T(a_source_that_goes_on_is_found_by_the_lanes_alone),
        T(one_beat_too_many_is_found),
        T(a_second_start_elsewhere_is_found),
        T(a_second_start_under_the_same_epoch_is_found),
        T(copies_that_share_even_their_run_are_found),
        T(two_starts_at_the_same_moment_are_found),
        T(interleaved_epochs_are_found_without_an_equal_beat),
        T(a_counter_that_goes_back_is_found),
        T(a_beat_said_twice_is_found),
        T(a_disk_that_lost_beats_is_found),
        T(a_torn_head_is_told_and_the_counter_goes_on),
        T(stale_memory_is_found),
        T(a_guest_that_is_not_told_where_it_is_is_found),
        T(silence_is_found),
        T(numbers_of_any_size_are_said_right),
    };

    return cmocka_run_group_tests_name("heartbeat", tests, NULL, NULL);
}
