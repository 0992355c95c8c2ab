/* quorate-sim: runs of the simulator from the command line. `./lab chaos` calls it. */

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/marks.h"
#include "chaos-tests/sim/options.h"
#include "chaos-tests/sim/reduce.h"
#include "chaos-tests/sim/runner.h"
#include "chaos-tests/sim/sweep.h"

/* Over all runs. */
struct sum {
    uint64_t runs, failed;
    double seconds;
    uint64_t judged[CHECKERS];
    uint64_t marks[MARKS];
};

/* --- what a run was */

static void print_line(const struct options *s, const struct run *r)
{
    (void)printf("%s seed %" PRIu64 ": %.0f s, %" PRIu64 " asked, %" PRIu64 " done, %" PRIu64
                 " refused, %" PRIu64 " unsure, %" PRIu64 " migrations, %" PRIu64
                 " entries, at rest after %.1f s, hash %016" PRIx64 ", faults %s\n",
                 r->ok ? "ok" : "FAILED", r->o.seed, (double)r->now_ns / 1e9, r->asked, r->acked,
                 r->refused, r->unsure, r->migrations, r->entries, (double)r->rest_ns / 1e9,
                 r->hash, r->faults[0] == '\0' ? "none" : r->faults);
    if (!r->ok) {
        (void)printf("    %s: at %.6f s %s\n", r->checker, (double)r->failed_ns / 1e9, r->failure);
    }
    if (s->find < MARKS && r->marks[s->find] > 0) {
        (void)printf("    it comes by %s: %s\n", mark_name(s->find), r->again);
    }
    if (!r->ok && !s->replays) {
        (void)printf("    again: %s\n", r->again);
    }
}

static void print_object(json_t *o)
{
    char *text = o == NULL ? NULL : json_dumps(o, JSON_COMPACT);
    (void)printf("%s\n", text == NULL ? "{}" : text);
    free(text);
    json_decref(o);
}

static void print_json(const struct options *s, const struct run *r)
{
    char hash[24];
    (void)snprintf(hash, sizeof hash, "%016" PRIx64, r->hash);
    print_object(json_pack(
        "{s:b, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:s, s:s, s:s, s:f, s:s, s:s}",
        "ok", r->ok, "seed", (json_int_t)r->o.seed, "simulated_s", (double)r->now_ns / 1e9, "asked",
        (json_int_t)r->asked, "done", (json_int_t)r->acked, "refused", (json_int_t)r->refused,
        "unsure", (json_int_t)r->unsure, "migrations", (json_int_t)r->migrations, "entries",
        (json_int_t)r->entries, "faults_struck", (json_int_t)r->struck, "rest_s",
        (double)r->rest_ns / 1e9, "hash", hash, "faults", r->faults, "checker", r->checker,
        "failed_s", (double)r->failed_ns / 1e9, "failure", r->failure, "again",
        s->replays ? "" : r->again));
}

/* --- what all were */

static bool judged_all(const struct sum *sum)
{
    for (size_t i = 0; checkers[i].name != NULL; i++) {
        if (sum->judged[i] == 0) {
            return false;
        }
    }
    return true;
}

static void print_sum(const struct options *s, const struct sum *sum)
{
    if (s->judged) {
        (void)printf("judged:");
        for (size_t i = 0; checkers[i].name != NULL; i++) {
            (void)printf(" %s %" PRIu64, checkers[i].name, sum->judged[i]);
        }
        (void)printf("\n%s",
                     judged_all(sum) ? "" : "FAILED: a checker had nothing to judge in any run\n");
    }
    if (s->marks) {
        marks_print(sum->marks);
    }
    (void)printf("%" PRIu64 " seeds, %.2f simulated hours, %" PRIu64 " failed\n", sum->runs,
                 sum->seconds / 3600, sum->failed);
}

static void print_sum_json(const struct sum *sum)
{
    json_t *judged = json_object();
    for (size_t i = 0; checkers[i].name != NULL; i++) {
        (void)json_object_set_new(judged, checkers[i].name,
                                  json_integer((json_int_t)sum->judged[i]));
    }
    json_t *hit = json_object();
    for (size_t i = 0; i < MARKS; i++) {
        (void)json_object_set_new(hit, mark_name((enum mark)i),
                                  json_integer((json_int_t)sum->marks[i]));
    }
    print_object(json_pack("{s:I, s:f, s:I, s:o, s:o}", "seeds", (json_int_t)sum->runs,
                           "simulated_h", sum->seconds / 3600, "failed", (json_int_t)sum->failed,
                           "judged", judged, "marks", hit));
}

/* --- runs */

static bool as_expected(const struct options *s, const struct run *r)
{
    const char *expect = s->scenario.expect;
    if (!s->replays || expect[0] == '\0' || strcmp(expect, "good") == 0) {
        return r->ok;
    }
    return !r->ok && strcmp(expect, r->checker) == 0;
}

static void prepare(const struct options *s, struct run *r, uint64_t seed, bool always)
{
    run_clear(r);
    r->o = s->o;
    r->o.seed = seed;
    r->history = s->history;
    r->report = s->report;
    options_again(s, seed, r->again, sizeof r->again);
    r->always = always;
}

/* The first run that fails, else the last one, is kept. */
static int keep(const struct options *s, const struct run *r)
{
    struct scenario decided = {0};
    int rc = 0;
    if (s->save[0] != '\0') {
        rc = reduce_scenario(&r->o, r, &decided) && reduce_save(&decided, s->save) ? 0 : EXIT_START;
    }
    scenario_done(&decided);
    if (rc == 0 && !r->ok && s->shrink[0] != '\0') {
        rc = reduce(s, r, s->shrink);
    }
    return rc;
}

struct pool {
    struct run *runs[256];
    uint32_t n;
};

static int finish(const struct options *s, struct run *r, struct sum *sum, bool last)
{
    bool first = sum->failed == 0;
    bool good = as_expected(s, r);
    sum->runs++;
    sum->seconds += (double)r->now_ns / 1e9;
    sum->failed += !good;
    for (size_t i = 0; i < CHECKERS; i++) {
        sum->judged[i] += r->judged[i];
    }
    for (size_t i = 0; i < MARKS; i++) {
        sum->marks[i] += r->marks[i];
    }
    (s->json ? print_json : print_line)(s, r);
    if (s->replays && !good) {
        (void)printf("    expected: %s\n",
                     s->scenario.expect[0] == '\0' ? "good" : s->scenario.expect);
    }
    (void)fflush(stdout);
    return first && (!r->ok || last) ? keep(s, r) : 0;
}

static int run_all(const struct options *s, struct sum *sum)
{
    static struct pool p;
    uint64_t begun = 0;
    uint64_t over = 0;
    int rc = 0;
    while (rc == 0 && (over < begun || begun < s->seeds)) {
        bool found = s->find < MARKS && sum->marks[s->find] > 0;
        bool more = begun < s->seeds && !(s->stop && sum->failed > 0) && !found;
        if (more && p.n < s->jobs) {
            struct run **r = &p.runs[p.n];
            *r = *r == NULL ? run_new() : *r;
            if (*r == NULL) {
                return EXIT_START;
            }
            uint64_t seed = s->o.seed + begun;
            prepare(s, *r, seed, begun + 1 == s->seeds && sum->failed == 0);
            if (run_start(*r) != 0) {
                (void)fprintf(stderr, "quorate-sim: begin a run: %s\n", strerrordesc_np(errno));
                return EXIT_START;
            }
            begun++;
            p.n++;
            continue;
        }
        if (p.n == 0) {
            break;
        }
        uint32_t i = run_wait(p.runs, p.n);
        struct run *ended = p.runs[i];
        over++;
        rc = finish(s, ended, sum, over == s->seeds);
        p.runs[i] = p.runs[--p.n];
        p.runs[p.n] = ended;
    }
    return rc;
}

int main(int argc, char **argv)
{
    static struct options s;
    struct sum sum = {0};
    int rc = options_read(&s, argc, argv);
    if (rc < 0 && s.o.story != NULL && s.o.crash.n == 0) {
        rc = sweep(&s);
    } else if (rc < 0) {
        rc = run_all(&s, &sum);
        if (s.json) {
            print_sum_json(&sum);
        } else {
            print_sum(&s, &sum);
        }
        bool bad = sum.failed > 0 || (s.judged && !judged_all(&sum));
        rc = rc != 0 ? rc : bad ? EXIT_FOUND : 0;
    }
    options_done(&s);
    return rc;
}
