/* Judging a history: see history.h. The consoles are sorted by counter, so that one pass sees every
 * pair of neighbours; disks are sorted by run for the same reason. */

#include "chaos-tests/tools/history.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Findings beyond these add nothing for a reader. */
#define MOST_FINDINGS 100

static const char *const finding_names[] = {"overlap", "back", "misplaced",
                                            "stale",   "disk", "silent"};

const char *finding_name(enum finding_kind kind)
{
    return finding_names[kind];
}

void history_done(struct history *h)
{
    free(h->beats);
    free(h->runs);
    free(h->findings);
    memset(h, 0, sizeof *h);
}

void history_find(struct history *h, enum finding_kind kind, const char *format, ...)
{
    va_list args;
    struct finding *f;

    if (h->n_findings >= MOST_FINDINGS) {
        return;
    }
    if (h->findings == NULL) {
        h->findings = calloc(MOST_FINDINGS, sizeof *h->findings);
        assert(h->findings != NULL);
    }
    f = &h->findings[h->n_findings++];
    f->kind = kind;
    va_start(args, format);
    (void)vsnprintf(f->text, sizeof f->text, format, args); // NOLINT(clang-analyzer-valist.*)
    va_end(args);
}

/* By counter, then by where it was read. */
static int compare_beats(const void *a, const void *b)
{
    const struct beat_line *x = a;
    const struct beat_line *y = b;

    if (x->counter != y->counter) {
        return x->counter < y->counter ? -1 : 1;
    }
    if (x->source != y->source) {
        return x->source < y->source ? -1 : 1;
    }
    return x->order < y->order ? -1 : x->order > y->order;
}

static int compare_runs(const void *a, const void *b)
{
    const struct beat_run *x = a;
    const struct beat_run *y = b;

    if (x->run != y->run) {
        return x->run < y->run ? -1 : 1;
    }
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Two neighbours in the order of counters: y follows x or equals it. */
static void judge_pair(struct history *h, const struct beat_line *x, const struct beat_line *y)
{
    const char *on_x = h->hosts[x->where];
    const char *on_y = h->hosts[y->where];

    if (x->counter == y->counter && x->source != y->source) {
        history_find(h, FINDING_OVERLAP,
                     "beat %llu is on the consoles of %s (epoch %llu) and %s (epoch %llu)",
                     (unsigned long long)x->counter, on_x, (unsigned long long)x->epoch, on_y,
                     (unsigned long long)y->epoch);
    } else if (x->counter == y->counter) {
        history_find(h, FINDING_BACK, "beat %llu is twice on the console of %s",
                     (unsigned long long)x->counter, on_x);
    } else if (y->epoch < x->epoch) {
        history_find(h, FINDING_OVERLAP,
                     "beat %llu of epoch %llu on %s comes after beat %llu of epoch %llu on %s",
                     (unsigned long long)y->counter, (unsigned long long)y->epoch, on_y,
                     (unsigned long long)x->counter, (unsigned long long)x->epoch, on_x);
    } else if (x->source == y->source && y->order < x->order) {
        history_find(h, FINDING_BACK, "on %s beat %llu was said before beat %llu", on_x,
                     (unsigned long long)y->counter, (unsigned long long)x->counter);
    }
    if (y->counter > x->counter + 1) {
        h->missing += y->counter - x->counter - 1;
    }
    if (y->ticks >= x->ticks && 10ULL * (y->ticks - x->ticks) > h->largest_gap_ms &&
        y->counter > x->counter) {
        h->largest_gap_ms = 10ULL * (y->ticks - x->ticks);
        h->largest_gap_at = y->counter;
    }
    h->epochs += y->epoch != x->epoch;
}

/* The first beat after a migration may still carry the name it had looked up before: one a run. Any
 * more, and the guest was not told where it is. */
static void judge_places(struct history *h)
{
    uint64_t late_epoch = UINT64_MAX;

    for (size_t i = 0; i < h->n_beats; i++) {
        const struct beat_line *b = &h->beats[i];

        if (b->said == b->where) {
            continue;
        }
        if (b->epoch == late_epoch) {
            history_find(h, FINDING_MISPLACED,
                         "beat %llu of epoch %llu is on the console of %s and says %s",
                         (unsigned long long)b->counter, (unsigned long long)b->epoch,
                         h->hosts[b->where], h->hosts[b->said]);
        }
        late_epoch = b->epoch;
    }
    for (size_t i = 1; i < h->n_beats; i++) {
        const struct beat_line *x = &h->beats[i - 1];
        const struct beat_line *y = &h->beats[i];

        if (x->epoch == y->epoch && x->said != y->said) {
            history_find(
                h, FINDING_MISPLACED, "epoch %llu ran on %s (beat %llu) and on %s (beat %llu)",
                (unsigned long long)x->epoch, h->hosts[x->said], (unsigned long long)x->counter,
                h->hosts[y->said], (unsigned long long)y->counter);
        }
    }
}

static void judge_runs(struct history *h)
{
    for (size_t i = 1; i < h->n_runs; i++) {
        const struct beat_run *x = &h->runs[i - 1];
        const struct beat_run *y = &h->runs[i];

        if (strcmp(x->disk, y->disk) != 0) {
            continue;
        }
        if (x->last >= y->first) {
            history_find(h, FINDING_OVERLAP,
                         "%s: run %llu (epoch %llu on %s) wrote beat %llu although run %llu (epoch "
                         "%llu on %s) began with %llu",
                         x->disk, (unsigned long long)x->run, (unsigned long long)x->epoch, x->host,
                         (unsigned long long)x->last, (unsigned long long)y->run,
                         (unsigned long long)y->epoch, y->host, (unsigned long long)y->first);
        } else if (x->epoch > y->epoch) {
            history_find(h, FINDING_OVERLAP, "%s: run %llu has epoch %llu, run %llu after it %llu",
                         x->disk, (unsigned long long)x->run, (unsigned long long)x->epoch,
                         (unsigned long long)y->run, (unsigned long long)y->epoch);
        } else if (x->epoch == y->epoch && strcmp(x->host, y->host) != 0) {
            history_find(h, FINDING_MISPLACED, "%s: epoch %llu ran on %s and on %s", x->disk,
                         (unsigned long long)x->epoch, x->host, y->host);
        }
    }
}

size_t history_judge(struct history *h, uint64_t least_beats)
{
    uint64_t newest = 0;

    if (h->n_beats > 0) {
        qsort(h->beats, h->n_beats, sizeof *h->beats, compare_beats);
        newest = h->beats[h->n_beats - 1].counter;
        h->epochs = 1;
    }
    for (size_t i = 1; i < h->n_beats; i++) {
        judge_pair(h, &h->beats[i - 1], &h->beats[i]);
    }
    judge_places(h);
    if (h->n_runs > 0) {
        qsort(h->runs, h->n_runs, sizeof *h->runs, compare_runs);
        judge_runs(h);
    }
    if (h->disk_last != 0 && newest > h->disk_last) {
        history_find(h, FINDING_DISK, "beat %llu was said, but the newest on the disk is %llu",
                     (unsigned long long)newest, (unsigned long long)h->disk_last);
    }
    if (h->n_beats < least_beats) {
        history_find(h, FINDING_SILENT, "%zu beats; at least %llu were expected", h->n_beats,
                     (unsigned long long)least_beats);
    }
    return h->n_findings;
}
