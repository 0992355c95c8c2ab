#include "raftlog/tests/wal_lab.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

void lab_init(struct lab *lab, uint64_t seed)
{
    memset(lab, 0, sizeof *lab);
    lab->sd = simdisk_new(
        &(struct simdisk_options){.seed = seed, .min_us = 50, .max_us = 500, .task_us = 2000});
    struct rng rng;
    rng_seed(&rng, 77);
    lab->pool = id_new(&rng);
    lab->segment_bytes = WAL_SEGMENT_MIN;
    lab->least = 40;
    lab->most = 700;
}

void lab_forget(struct lab *lab)
{
    for (uint32_t i = 0; i < lab->ops_n; i++) {
        free(lab->ops[i]);
    }
    lab->ops_n = lab->acked = lab->failed = 0;
}

void lab_done(struct lab *lab)
{
    if (lab->wal != NULL) {
        lab_crash(lab, /*power=*/false);
    }
    lab_forget(lab);
    simdisk_free(lab->sd);
}

/* The payload is a function of index and term. */
size_t lab_payload(const struct lab *lab, uint64_t index, uint64_t term, uint8_t *out)
{
    struct rng rng;
    rng_seed(&rng, index * 1000003 + term);
    size_t len = lab->least + (size_t)rng_below(&rng, lab->most - lab->least + 1);
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)rng_u64(&rng);
    }
    return len;
}

static void log_put(struct lab_log *log, uint32_t index, uint16_t term)
{
    assert(index > 0 && index < LAB_ENTRIES);
    for (uint32_t i = index + 1; i <= log->last; i++) {
        log->terms[i] = 0;
    }
    log->terms[index] = term;
    log->last = index;
    if (index <= log->base) {
        log->base = index - 1;
    }
}

static void log_restart(struct lab_log *log, uint32_t index)
{
    memset(log, 0, sizeof *log);
    log->base = log->last = index;
}

static void on_entry(void *ctx, const struct wal_entry *entry)
{
    struct lab *lab = ctx;
    uint8_t want[8192];
    if (lab->lenient) {
        return;
    }
    size_t len = lab_payload(lab, entry->index, entry->term, want);
    assert(entry->len == len);
    assert(memcmp(entry->data, want, len) == 0);
    assert(entry->type == 1 + entry->index % 3);
    log_put(&lab->told, (uint32_t)entry->index, (uint16_t)entry->term);
}

static void on_restart(void *ctx, uint64_t index, uint64_t term)
{
    (void)term;
    log_restart(&((struct lab *)ctx)->told, (uint32_t)index);
}

static void on_rolled(void *ctx)
{
    ((struct lab *)ctx)->rolled++;
}

int lab_open(struct lab *lab, bool create, struct err *e)
{
    int rc = lab->disk == NULL ? simdisk_take(lab->sd, &lab->disk, e) : 0;
    if (rc != 0) {
        return rc;
    }
    struct wal_options o = {.disk = lab->disk,
                            .pool = lab->pool,
                            .segment_bytes = lab->segment_bytes,
                            .create = create,
                            .acked = lab->acked_floor,
                            .entry = on_entry,
                            .restart = on_restart,
                            .rolled = on_rolled,
                            .ctx = lab};
    memset(&lab->told, 0, sizeof lab->told);
    rc = wal_open(&lab->wal, &o, e);
    if (rc != 0) {
        lab->wal = NULL;
        lab->disk = NULL;
        simdisk_release(lab->sd);
    }
    return rc;
}

/* From here on the model begins with what recovery told. */
static void begin_model(struct lab *lab)
{
    lab_forget(lab);
    lab->before = lab->told;
    lab->now = lab->told;
}

static void on_done(struct wal_append *a, int code)
{
    struct lab_op *op = CONTAINER_OF(a, struct lab_op, append);
    struct lab *lab = op->lab;
    assert(!op->told);
    op->told = true;
    op->code = code;
    for (uint32_t i = 0; lab->ops[i] != op; i++) {
        assert(lab->ops[i]->told); /* In the order of the calls. */
    }
    if (code == 0) {
        lab->acked++;
    } else {
        lab->failed++;
    }
    if (code == ERR_NO_SPACE) {
        wal_forget(a);
    }
}

static struct lab_op *new_op(struct lab *lab)
{
    if (lab->ops_n == 0) {
        begin_model(lab);
    }
    assert(lab->ops_n < LAB_OPS);
    struct lab_op *op = mem_new(1, sizeof *op);
    op->lab = lab;
    op->append.done = on_done;
    lab->ops[lab->ops_n++] = op;
    return op;
}

static void apply(struct lab_log *log, const struct lab_op *op, uint32_t n)
{
    if (op->restart) {
        log_restart(log, op->index);
    }
    for (uint32_t i = 0; !op->restart && i < n; i++) {
        log_put(log, op->index + i, op->term);
    }
}

int lab_append(struct lab *lab, uint32_t index, uint32_t n, uint16_t term)
{
    struct lab_op *op = new_op(lab);
    op->index = index;
    op->n = n;
    op->term = term;
    struct wal_entry *entries CLEANUP(cleanup_free) = mem_new(n, sizeof *entries);
    uint8_t *bytes CLEANUP(cleanup_free) = mem_new(n, 8192);
    for (uint32_t i = 0; i < n; i++) {
        entries[i] = (struct wal_entry){.index = index + i,
                                        .term = term,
                                        .type = 1 + (index + i) % 3,
                                        .data = bytes + 8192 * (size_t)i};
        entries[i].len = lab_payload(lab, index + i, term, bytes + 8192 * (size_t)i);
    }
    op->append.entries = entries;
    op->append.n = n;
    apply(&lab->now, op, n);
    int rc = wal_append(lab->wal, &op->append);
    if (rc != 0) {
        op->told = true;
        op->code = rc;
        lab->failed++;
    }
    return rc;
}

int lab_restart(struct lab *lab, uint32_t index, uint16_t term)
{
    struct lab_op *op = new_op(lab);
    op->restart = true;
    op->index = index;
    op->term = term;
    apply(&lab->now, op, 0);
    int rc = wal_restart(lab->wal, &op->append, index, term);
    if (rc != 0) {
        op->told = true;
        op->code = rc;
        lab->failed++;
    }
    return rc;
}

void lab_fill(struct lab *lab, uint32_t n, uint16_t term)
{
    struct wal_status s;
    for (uint32_t i = 0; i < n; i++) {
        wal_get_status(lab->wal, &s);
        int rc = lab_append(lab, (uint32_t)s.last + 1, 1, term);
        assert(rc == 0);
        simdisk_drain(lab->sd);
    }
    assert(lab->failed == 0);
    assert(lab->acked == lab->ops_n);
}

void lab_close(struct lab *lab)
{
    simdisk_drain(lab->sd);
    assert(wal_idle(lab->wal));
    wal_free(lab->wal);
    lab->wal = NULL;
    lab->disk = NULL;
    simdisk_release(lab->sd);
}

void lab_crash(struct lab *lab, bool power)
{
    simdisk_crash(lab->sd, power);
    wal_free(lab->wal);
    lab->wal = NULL;
    lab->disk = NULL;
}

static bool same(const struct lab_log *a, const struct lab_log *b)
{
    if (a->last != b->last) {
        return false;
    }
    /* Trimming takes entries away at the beginning. */
    for (uint32_t i = (uint32_t)max_u64(a->base, b->base) + 1; i <= a->last; i++) {
        if (a->terms[i] != b->terms[i]) {
            return false;
        }
    }
    return true;
}

bool lab_nothing_lost(const struct lab *lab)
{
    struct lab_log log = lab->before;
    for (uint32_t k = 0;; k++) {
        if (k >= lab->acked && same(&log, &lab->told)) {
            return true;
        }
        if (k == lab->ops_n) {
            return false;
        }
        const struct lab_op *op = lab->ops[k];
        if (k >= lab->acked) {
            for (uint32_t n = 1; n < op->n; n++) {
                struct lab_log part = log;
                apply(&part, op, n);
                if (same(&part, &lab->told)) {
                    return true;
                }
            }
        }
        apply(&log, op, op->n);
    }
}

const char *lab_segment(uint64_t number)
{
    static char name[DISK_NAME_SIZE];
    (void)snprintf(name, sizeof name, "wal-%016llu", (unsigned long long)number);
    return name;
}
