/* See shrink.h. Decisions are left out in chunks, from the end (what comes after the failure goes
 * first), with the chunk halved whenever a whole pass finds nothing; this is ddmin without its
 * tests of single subsets, which hardly ever fail on their own when a dozen scattered decisions are
 * needed. Every other step is "change something, keep the change if it still fails". */

#include "chaos-tests/check/shrink.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "core/util.h"

#include "chaos-tests/check/map.h"
#include "chaos-tests/check/words.h"

struct state {
    struct shrink *k;
    struct scenario *best;
    struct scenario trial;
    struct map tried; /* Hash of the text -> whether it fails. */
    struct buf text;
    bool stopped;
};

static bool fails(struct state *s)
{
    struct hash128 hash;
    uint64_t *known;

    buf_clear(&s->text);
    scenario_write(&s->trial, &s->text);
    hash = hash_bytes(s->text.data, s->text.len);
    known = map_at(&s->tried, hash.lo, hash.hi, 2);
    if (*known != 2) {
        s->k->known++;
        return *known == 1;
    }
    s->stopped = s->stopped || s->k->runs >= s->k->most_runs ||
                 (s->k->stop != NULL && s->k->stop(s->k->arg));
    if (s->stopped) {
        return false;
    }
    s->k->runs++;
    *known = s->k->fails(s->k->arg, &s->trial) ? 1 : 0;
    return *known == 1;
}

/* Keep the trial if it fails. */
static bool keep(struct state *s)
{
    if (!fails(s)) {
        return false;
    }
    scenario_copy(s->best, &s->trial);
    return true;
}

static void leave_out(struct scenario *s, size_t from, size_t n)
{
    memmove(&s->decisions[from], &s->decisions[from + n],
            (s->n_decisions - from - n) * sizeof *s->decisions);
    s->n_decisions -= n;
}

/* Try to leave out every chunk once, from the end. */
static bool pass(struct state *s, size_t chunk)
{
    size_t end = s->best->n_decisions;
    bool any = false;

    while (end > 0 && !s->stopped) {
        size_t n = chunk < end ? chunk : end;
        scenario_copy(&s->trial, s->best);
        leave_out(&s->trial, end - n, n);
        any = keep(s) || any;
        end -= n;
    }
    return any;
}

static bool fewer_decisions(struct state *s)
{
    size_t before = s->best->n_decisions;
    size_t chunk = before;

    while (chunk > 0 && !s->stopped) {
        if (chunk > s->best->n_decisions) {
            chunk = s->best->n_decisions;
        } else if (!pass(s, chunk) || chunk > 1) {
            chunk /= 2; /* What was found at a size is hardly ever found there again. */
        }
    }
    return s->best->n_decisions < before;
}

/* Take host `gone` out of a decision: false if it speaks of that host. Higher hosts move down. */
static bool without_host(struct decision *d, int gone)
{
    for (uint32_t i = 0; i < d->n_args; i++) {
        int host = scenario_host(d->args[i]);
        if (host == gone) {
            return false;
        }
        if (host > gone) {
            (void)snprintf(d->args[i], sizeof d->args[i], "h%d", host);
        }
    }
    return true;
}

static bool fewer_hosts(struct state *s)
{
    bool any = false;

    for (int gone = (int)s->best->hosts - 1; gone >= 0 && !s->stopped; gone--) {
        if (s->best->hosts <= s->k->least_hosts) {
            break;
        }
        scenario_copy(&s->trial, s->best);
        s->trial.hosts--;
        for (size_t i = s->trial.n_decisions; i-- > 0;) {
            if (!without_host(&s->trial.decisions[i], gone)) {
                leave_out(&s->trial, i, 1);
            }
        }
        any = keep(s) || any;
    }
    return any;
}

static bool default_settings(struct state *s)
{
    bool any = false;

    for (size_t i = s->best->n_settings; i-- > 0 && !s->stopped;) {
        scenario_copy(&s->trial, s->best);
        memmove(&s->trial.settings[i], &s->trial.settings[i + 1],
                (s->trial.n_settings - i - 1) * sizeof s->trial.settings[0]);
        s->trial.n_settings--;
        any = keep(s) || any;
    }
    return any;
}

static const uint64_t units[] = {10000000, 1000000, 100000, 10000, 1000};

/* The roundest time that still fails; what is round already is left. */
static bool rounder_time(struct state *s, size_t at)
{
    uint64_t now = s->best->decisions[at].at_us;

    for (size_t i = 0; i < ARRAY_LEN(units) && now % units[i] != 0; i++) {
        for (uint64_t up = 0; up < 2; up++) {
            scenario_copy(&s->trial, s->best);
            s->trial.decisions[at].at_us = (now / units[i] + up) * units[i];
            scenario_sort(&s->trial);
            if (keep(s)) {
                return true;
            }
        }
    }
    return false;
}

/* The same for an argument that is a time with its unit ("1734ms"). */
static bool rounder_argument(struct state *s, size_t at, uint32_t arg)
{
    char *word = s->best->decisions[at].args[arg];
    size_t digits = strspn(word, "0123456789");
    uint64_t now = 0;

    if (digits == 0 || word[digits] == '\0' || word_time(word, &now) != 0) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(units) && now % units[i] != 0; i++) {
        uint64_t ms = (now / units[i] + 1) * units[i] / 1000;
        scenario_copy(&s->trial, s->best);
        (void)snprintf(s->trial.decisions[at].args[arg], SCENARIO_WORD + 1, "%" PRIu64 "%s",
                       ms % 1000 == 0 ? ms / 1000 : ms, ms % 1000 == 0 ? "s" : "ms");
        if (keep(s)) {
            return true;
        }
    }
    return false;
}

static bool rounder(struct state *s)
{
    bool any = false;

    for (size_t i = 0; i < s->best->n_decisions && !s->stopped; i++) {
        any = rounder_time(s, i) || any;
        for (uint32_t k = 0; k < s->best->decisions[i].n_args; k++) {
            any = rounder_argument(s, i, k) || any;
        }
    }
    return any;
}

int shrink_run(struct shrink *k, struct scenario *s, struct err *e)
{
    struct state state = {.k = k, .best = s};
    bool again = true;

    k->runs = k->known = 0;
    k->most_runs = k->most_runs == 0 ? 10000 : k->most_runs;
    k->least_hosts = k->least_hosts == 0 ? 1 : k->least_hosts;
    scenario_copy(&state.trial, s);
    again = fails(&state);
    if (!again) {
        scenario_done(&state.trial);
        map_done(&state.tried);
        buf_done(&state.text);
        return err_set(e, ERR_INVALID, "the scenario does not fail as it is");
    }
    while (again && !state.stopped) {
        again = fewer_decisions(&state);
        again = fewer_hosts(&state) || again;
        again = default_settings(&state) || again;
        again = rounder(&state) || again;
    }
    k->minimal = !state.stopped;
    scenario_done(&state.trial);
    map_done(&state.tried);
    buf_done(&state.text);
    return 0;
}
