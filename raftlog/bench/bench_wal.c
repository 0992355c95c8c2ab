/* How fast the log is on a real disk: appends of one entry, `depth` of them under way at once.
 *
 *     bench_wal DIR [ENTRY_BYTES] [SECONDS] [SEGMENT_BYTES]
 *
 * Appends that were under way while a segment rolled are also counted apart. The log is trimmed as
 * it goes, so that segments are used again, as in life. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/util.h"

#include "raftlog/disk.h"
#include "raftlog/wal.h"

#define DEPTH_MAX   1024
#define SAMPLES_MAX (1u << 22)

struct bench;

struct one {
    struct wal_append append;
    struct bench *b;
    uint64_t from_ns;
    uint64_t rolled;
};

struct bench {
    uv_loop_t loop;
    struct disk *disk;
    struct wal *wal;
    uint64_t next;
    uint64_t rolled;
    size_t bytes;
    uint8_t payload[65536];
    struct one all[DEPTH_MAX];
    uint32_t *us;      /* Of every append. */
    uint32_t *us_roll; /* Of those beside a roll. */
    uint32_t n, n_roll;
    uint32_t under_way;
    uint64_t end_ns;
};

static uint64_t now_ns(void)
{
    return os_clock()->mono_ns(os_clock());
}

static void on_entry(void *ctx, const struct wal_entry *entry)
{
    (void)ctx;
    (void)entry;
}

static void on_rolled(void *ctx)
{
    struct bench *b = ctx;
    b->rolled++;
    wal_trim(b->wal, b->next > 50000 ? b->next - 50000 : 0);
}

static void begin_one(struct one *o);

static void on_done(struct wal_append *a, int code)
{
    struct one *o = CONTAINER_OF(a, struct one, append);
    struct bench *b = o->b;
    uint64_t now = now_ns();
    uint32_t us = (uint32_t)((now - o->from_ns) / 1000);
    if (code != 0) {
        (void)fprintf(stderr, "append: %s\n", err_text(code));
        exit(1);
    }
    if (b->n < SAMPLES_MAX) {
        b->us[b->n++] = us;
        if (o->rolled != b->rolled) {
            b->us_roll[b->n_roll++] = us;
        }
    }
    b->under_way--;
    if (now < b->end_ns) {
        begin_one(o);
    } else if (b->under_way == 0) {
        uv_stop(&b->loop);
    }
}

static void begin_one(struct one *o)
{
    struct bench *b = o->b;
    struct wal_entry entry = {
        .index = ++b->next, .term = 1, .type = 1, .data = b->payload, .len = b->bytes};
    o->from_ns = now_ns();
    o->rolled = b->rolled;
    o->append = (struct wal_append){.entries = &entry, .n = 1, .done = on_done};
    b->under_way++;
    if (wal_append(b->wal, &o->append) != 0) {
        exit(1);
    }
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static double ms_at(const uint32_t *us, uint32_t n, double share)
{
    return n == 0 ? 0 : us[(uint32_t)(share * (n - 1))] / 1000.0;
}

static void run_depth(struct bench *b, uint32_t depth, double seconds)
{
    struct wal_status before;
    struct wal_status after;
    uint64_t syncs[2];
    uint64_t writes[2];
    b->n = b->n_roll = 0;
    wal_get_status(b->wal, &before);
    disk_os_counts(b->disk, &syncs[0], &writes[0]);
    uint64_t from = now_ns();
    b->end_ns = from + (uint64_t)(seconds * 1e9);
    for (uint32_t i = 0; i < depth; i++) {
        begin_one(&b->all[i]);
    }
    (void)uv_run(&b->loop, UV_RUN_DEFAULT);
    double took = (double)(now_ns() - from) / 1e9;
    disk_os_counts(b->disk, &syncs[1], &writes[1]);
    wal_get_status(b->wal, &after);
    qsort(b->us, b->n, sizeof *b->us, by_value);
    qsort(b->us_roll, b->n_roll, sizeof *b->us_roll, by_value);
    printf("%5u %10.0f %8.3f %8.3f %8.3f %6" PRIu64 " %6" PRIu64 " %10.3f %10.3f %9" PRIu64 "\n",
           depth, b->n / took, ms_at(b->us, b->n, 0.5), ms_at(b->us, b->n, 0.99),
           ms_at(b->us, b->n, 1), after.rolls - before.rolls, after.waits - before.waits,
           ms_at(b->us_roll, b->n_roll, 0.5), ms_at(b->us_roll, b->n_roll, 1), syncs[1] - syncs[0]);
}

int main(int argc, char **argv)
{
    static struct bench b;
    struct err e = {0};
    if (argc < 2) {
        (void)fprintf(stderr, "usage: %s DIR [ENTRY_BYTES] [SECONDS] [SEGMENT_BYTES]\n", argv[0]);
        return 2;
    }
    b.bytes = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 300;
    double seconds = argc > 3 ? strtod(argv[3], NULL) : 3;
    b.us = mem_new(SAMPLES_MAX, sizeof *b.us);
    b.us_roll = mem_new(SAMPLES_MAX, sizeof *b.us_roll);
    memset(b.payload, 0x5a, sizeof b.payload);
    (void)uv_loop_init(&b.loop);
    struct wal_options o = {.pool = {{1}},
                            .segment_bytes =
                                argc > 4 ? strtoul(argv[4], NULL, 10) : WAL_SEGMENT_DEFAULT,
                            .create = true,
                            .entry = on_entry,
                            .rolled = on_rolled,
                            .ctx = &b};
    if (b.bytes > sizeof b.payload || disk_os_open(&b.disk, &b.loop, argv[1], &e) != 0) {
        (void)fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    o.disk = b.disk;
    if (wal_open(&b.wal, &o, &e) != 0) {
        (void)fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    for (uint32_t i = 0; i < DEPTH_MAX; i++) {
        b.all[i].b = &b;
    }
    printf("%zu bytes an entry, segments of %" PRIu64 " bytes; ms\n", b.bytes, o.segment_bytes);
    printf("depth  appends/s      p50      p99      max  rolls  waits  roll p50   roll max     "
           "syncs\n");
    static const uint32_t depths[] = {1, 16, 256};
    for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
        run_depth(&b, depths[i], seconds);
    }
    return 0;
}
