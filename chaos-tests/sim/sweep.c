#include "chaos-tests/sim/sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/marks.h"
#include "chaos-tests/sim/runner.h"

#define JOBS_MAX 64

static struct sweep {
    const struct options *s;
    struct run *runs[JOBS_MAX];
    uint32_t n;
    /* In a run in which nobody dies: the calls of each host across each seam. */
    uint64_t calls[RUN_HOSTS][SEAMS];
    struct seam_crash next;
    uint64_t done, failed;
    double seconds;
    uint64_t marks[MARKS];
} sw;

static bool begin(struct run *r, const struct seam_crash *crash)
{
    struct options o = *sw.s;
    o.o.crash = *crash;
    run_clear(r);
    r->o = o.o;
    options_again(&o, o.o.seed, r->again, sizeof r->again);
    if (run_start(r) != 0) {
        (void)fprintf(stderr, "quorate-sim: begin a run: %s\n", strerrordesc_np(errno));
        return false;
    }
    return true;
}

static void end(const struct run *r)
{
    sw.done++;
    sw.failed += !r->ok;
    sw.seconds += (double)r->now_ns / 1e9;
    for (size_t i = 0; i < MARKS; i++) {
        sw.marks[i] += r->marks[i];
    }
    if (!r->ok) {
        (void)printf("FAILED %s: at %.6f s %s\n    again: %s\n", r->checker,
                     (double)r->failed_ns / 1e9, r->failure, r->again);
        (void)fflush(stdout);
    }
}

/* Nobody dies: how many calls there are. */
static int count(void)
{
    struct run *r = run_new();
    const struct seam_crash nobody = {0};
    uint64_t all = 0;
    if (r == NULL || !begin(r, &nobody)) {
        return EXIT_START;
    }
    (void)run_wait(&r, 1);
    end(r);
    memcpy(sw.calls, r->calls, sizeof sw.calls);
    for (uint32_t i = 0; i < sw.s->o.hosts; i++) {
        (void)printf("h%u:", i + 1);
        for (int k = 0; k < SEAMS; k++) {
            (void)printf(" %s %" PRIu64, seam_names[k], sw.calls[i][k]);
            all += sw.calls[i][k];
        }
        (void)printf("\n");
    }
    (void)printf("%" PRIu64 " calls, each twice: killed, and by a power cut\n", all);
    (void)fflush(stdout);
    run_free(r);
    return sw.failed == 0 ? 0 : EXIT_FOUND;
}

/* The next death, in order; false: that was the last one. */
static bool step(void)
{
    struct seam_crash *c = &sw.next;
    c->n += sw.s->every;
    while (c->n > sw.calls[c->host][c->seam]) {
        c->n = 1;
        if (!c->power) {
            c->power = true;
            continue;
        }
        c->power = false;
        if (c->seam + 1 < SEAMS) {
            c->seam++;
        } else {
            c->seam = SEAM_DISK;
            c->host++;
        }
        if (c->host == sw.s->o.hosts) {
            return false;
        }
    }
    return true;
}

static int all(void)
{
    uint32_t jobs = (uint32_t)min_u64(sw.s->jobs, JOBS_MAX);
    sw.next = (struct seam_crash){.n = 1};
    bool more = sw.calls[0][0] > 0;
    while (more || sw.n > 0) {
        if (more && sw.n < jobs && !(sw.s->stop && sw.failed > 0)) {
            struct run **r = &sw.runs[sw.n];
            *r = *r == NULL ? run_new() : *r;
            if (*r == NULL || !begin(*r, &sw.next)) {
                return EXIT_START;
            }
            sw.n++;
            more = step();
            continue;
        }
        if (sw.n == 0) {
            break;
        }
        uint32_t i = run_wait(sw.runs, sw.n);
        struct run *ended = sw.runs[i];
        end(ended);
        sw.runs[i] = sw.runs[--sw.n];
        sw.runs[sw.n] = ended;
    }
    return 0;
}

int sweep(const struct options *s)
{
    sw.s = s;
    if (s->o.hosts > RUN_HOSTS) {
        (void)fprintf(stderr, "quorate-sim: --sweep takes at most %d hosts\n", RUN_HOSTS);
        return EXIT_OPTION;
    }
    int rc = count();
    rc = rc == 0 ? all() : rc;
    if (s->marks) {
        marks_print(sw.marks);
    }
    (void)printf("%" PRIu64 " runs, %.2f simulated hours, %" PRIu64 " failed\n", sw.done,
                 sw.seconds / 3600, sw.failed);
    return rc != 0 ? rc : sw.failed > 0 ? EXIT_FOUND : 0;
}
