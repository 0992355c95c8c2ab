#include "chaos-tests/sim/reduce.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/buf.h"
#include "core/util.h"

#include "chaos-tests/check/shrink.h"

/* It stops with what it has. */
#define LIMIT_MS 120000u

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- scenarios */

static void put_head(const struct lab_options *o, const char *expect, struct buf *b)
{
    buf_printf(b,
               "quorate-scenario %d\nseed %" PRIu64 "\nhosts %u\nexpect %s\nset clients %u\n"
               "set seconds %" PRIu64 "\n",
               SCENARIO_VERSION, o->seed, o->hosts, expect, o->clients, o->safety_s);
}

bool reduce_scenario(const struct lab_options *o, const struct run *r, struct scenario *ret)
{
    CLEANUP(buf_done) struct buf b = {0};
    struct err e = {0};
    put_head(o, r->ok ? "good" : r->checker, &b);
    buf_put(&b, r->log.text, atomic_load(&r->log.len));
    int rc = scenario_read(ret, (const char *)b.data, b.len, &e);
    if (rc != 0) {
        (void)fprintf(stderr, "quorate-sim: the decisions of the run: %s\n", e.msg);
    }
    return rc == 0 && !r->log.full;
}

static bool write_text(const struct buf *b, const char *path)
{
    FILE *f = fopen(path, "we");
    bool ok = f != NULL && fwrite(b->data, 1, b->len, f) == b->len;
    ok = f != NULL && fclose(f) == 0 && ok;
    if (!ok) {
        (void)fprintf(stderr, "quorate-sim: write %s: %s\n", path, strerrordesc_np(errno));
    }
    return ok;
}

bool reduce_save(const struct scenario *s, const char *path)
{
    CLEANUP(buf_done) struct buf b = {0};
    scenario_write(s, &b);
    return write_text(&b, path);
}

/* --- shrinking */

struct work {
    const struct options *s;
    struct run *r;
    const char *checker;
    uint64_t until_ms;
};

static int run_scenario(struct work *w, const struct scenario *s)
{
    struct run *r = w->r;
    run_clear(r);
    r->o = w->s->o;
    r->o.print = false;
    lab_scenario(&r->o, s);
    return run_whole(r);
}

static bool fails(void *arg, const struct scenario *s)
{
    struct work *w = arg;
    return run_scenario(w, s) == 0 && !w->r->ok && strcmp(w->r->checker, w->checker) == 0;
}

static bool stop(void *arg)
{
    return now_ms() >= ((struct work *)arg)->until_ms;
}

/* The small one with what was asked behind each ask. */
static bool save_with_comments(struct work *w, const struct scenario *s, const char *path)
{
    CLEANUP(buf_done) struct buf b = {0};
    if (!fails(w, s)) {
        return reduce_save(s, path);
    }
    struct scenario bare = *s;
    bare.n_decisions = 0;
    scenario_write(&bare, &b);
    buf_put(&b, w->r->log.text, atomic_load(&w->r->log.len));
    return write_text(&b, path);
}

int reduce(const struct options *s, const struct run *r, const char *path)
{
    struct scenario small = {0};
    struct err e = {0};
    struct work w = {.s = s, .r = run_new(), .until_ms = now_ms() + LIMIT_MS};
    char checker[SCENARIO_NAME];
    (void)str_copy(checker, sizeof checker, r->checker);
    w.checker = checker;
    if (w.r == NULL || !reduce_scenario(&r->o, r, &small)) {
        return EXIT_START;
    }
    uint64_t from_ms = now_ms();
    size_t before = small.n_decisions;
    struct shrink k = {.fails = fails, .arg = &w, .stop = stop, .least_hosts = 1};
    int rc = shrink_run(&k, &small, &e);
    if (rc != 0) {
        (void)fprintf(stderr, "quorate-sim: the decisions alone do not fail again: %s\n", e.msg);
    } else {
        (void)printf("shrunk from %zu decisions to %zu on %u hosts by %u runs in %.1f s%s: %s\n",
                     before, small.n_decisions, small.hosts, k.runs,
                     (double)(now_ms() - from_ms) / 1e3, k.minimal ? "" : " (time is up)", path);
    }
    bool saved = save_with_comments(&w, &small, path);
    scenario_done(&small);
    run_free(w.r);
    return rc == 0 && saved ? 0 : EXIT_START;
}
