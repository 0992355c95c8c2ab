/* The table, the choice, the moments, the words. */

#include "chaos-tests/sim/fault.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/check/scenario.h"
#include "chaos-tests/check/words.h"
#include "chaos-tests/sim/plan.h"
#include "chaos-tests/sim/record.h"

const struct fault *const faults[] = {
#define F(name, help) &fault_##name,
#include "chaos-tests/sim/faults.def"
#undef F
};

const char *const fault_helps[] = {
#define F(name, help) help,
#include "chaos-tests/sim/faults.def"
#undef F
};

const uint32_t n_faults = ARRAY_LEN(faults);

/* Intensities: thousandths of the usual rate. */
#define INTENSITY_MIN 100
#define INTENSITY_MAX 4000

static struct row {
    struct vevent next;
    struct rng rng;
    uint32_t intensity; /* 0: off. */
} rows[FAULTS_MAX];
static bool active;

bool faults_active(void)
{
    return active;
}

const struct fault *fault_by_name(const char *name)
{
    for (uint32_t i = 0; i < n_faults; i++) {
        if (strcmp(faults[i]->name, name) == 0) {
            return faults[i];
        }
    }
    return NULL;
}

/* --- moments */

static void plan_next(struct row *r, const struct fault *f)
{
    uint64_t mean_ms = (uint64_t)f->every_ms * 1000 / r->intensity * 3 / max_u64(lab.o.hosts, 1);
    plan_set(&r->next, world.now_ns + rng_between(&r->rng, 1, 2 * mean_ms) * NS_PER_MS);
}

static void strike(struct vevent *ev)
{
    struct row *r = CONTAINER_OF(ev, struct row, next);
    const struct fault *f = faults[r - rows];
    uint64_t arg[FAULT_ARGS] = {0};
    if (f->choose(&r->rng, arg)) {
        fault_strike(f, arg);
    }
    plan_next(r, f);
}

void faults_begin(void)
{
    struct rng rng;
    world_rng(&rng, "swarm", 0);
    active = true;
    for (uint32_t i = 0; i < n_faults; i++) {
        rows[i] = (struct row){.next = {.fire = strike}};
        if (faults[i]->heal != NULL) {
            faults[i]->heal(); /* It may remember a run that ended in the middle. */
        }
        world_rng(&rows[i].rng, faults[i]->name, 0);
        bool on = rng_below(&rng, 2) == 0 || lab.o.all_faults;
        uint32_t intensity = (uint32_t)rng_between(&rng, INTENSITY_MIN, INTENSITY_MAX);
        if (on && (lab.o.faults >> i & 1) != 0 && plan_draws()) {
            rows[i].intensity = intensity;
            plan_next(&rows[i], faults[i]);
        }
    }
}

void faults_heal(void)
{
    active = false;
    for (uint32_t i = 0; i < n_faults; i++) {
        vevent_clear(&rows[i].next);
        if (faults[i]->heal != NULL) {
            faults[i]->heal();
        }
    }
    lab_forget_later();
}

void faults_text(char *to, size_t size)
{
    size_t at = 0;
    to[0] = '\0';
    for (uint32_t i = 0; i < n_faults; i++) {
        if (rows[i].intensity > 0 && at < size) {
            int n = snprintf(to + at, size - at, "%s%s:%u.%u", at == 0 ? "" : ",", faults[i]->name,
                             rows[i].intensity / 1000, rows[i].intensity % 1000 / 100);
            at += (size_t)n;
        }
    }
}

/* --- words */

/* Sets that are too long as a list are written as a number. */
static void put_set(uint64_t set, char *to, size_t size)
{
    size_t at = 0;
    (void)str_copy(to, size, "-");
    if (__builtin_popcountll(set) > SCENARIO_WORD / 4) {
        (void)snprintf(to, size, "0x%" PRIx64, set);
        return;
    }
    for (unsigned i = 0; i < LAB_HOSTS_MAX; i++) {
        if ((set >> i & 1) != 0 && at < size) {
            at += (size_t)snprintf(to + at, size - at, "%sh%u", at == 0 ? "" : ",", i + 1);
        }
    }
}

static void put_arg(const struct fault *f, char letter, uint64_t v, char *to, size_t size)
{
    switch (letter) {
    case 'h': (void)snprintf(to, size, "h%" PRIu64, v + 1); break;
    case 's': put_set(v, to, size); break;
    case 'm':
        (void)snprintf(to, size, v % 1000 == 0 ? "%" PRIu64 "s" : "%" PRIu64 "ms",
                       v % 1000 == 0 ? v / 1000 : v);
        break;
    case 'i': (void)snprintf(to, size, "%" PRId64, (int64_t)v); break;
    case 'w': (void)str_copy(to, size, f->words[v]); break;
    default: (void)snprintf(to, size, "%" PRIu64, v); break;
    }
}

void fault_words(const struct fault *f, const uint64_t arg[FAULT_ARGS], char *to, size_t size)
{
    size_t at = str_copy(to, size, f->name);
    for (uint32_t i = 0; f->args[i] != '\0'; i++) {
        char word[SCENARIO_WORD + 1];
        put_arg(f, f->args[i], arg[i], word, sizeof word);
        at += at < size ? (size_t)snprintf(to + at, size - at, " %s", word) : 0;
    }
}

static bool read_set(const char *text, uint64_t *ret)
{
    char list[SCENARIO_WORD + 1];
    char *rest = list;
    *ret = 0;
    (void)str_copy(list, sizeof list, text);
    if (strcmp(list, "-") == 0) {
        return true;
    }
    if (strncmp(list, "0x", 2) == 0) {
        char *end;
        *ret = strtoull(list, &end, 16);
        return list[2] != '\0' && *end == '\0';
    }
    for (const char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        int host = scenario_host(name);
        if (host < 0) {
            return false;
        }
        *ret |= UINT64_C(1) << host;
    }
    return true;
}

static bool read_word(const struct fault *f, const char *text, uint64_t *ret)
{
    for (uint64_t i = 0; f->words != NULL && f->words[i] != NULL; i++) {
        if (strcmp(f->words[i], text) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool read_signed(const char *text, uint64_t *ret)
{
    bool negative = text[0] == '-';
    if (word_number(negative ? text + 1 : text, INT64_MAX, ret) != 0) {
        return false;
    }
    *ret = negative ? -*ret : *ret;
    return true;
}

/* Durations are read as times are, which have a unit; this long is for ever. */
#define LONGEST_MS UINT64_C(1000000000)

static bool read_duration(const char *text, uint64_t *ret)
{
    if (word_time(text, ret) != 0 || *ret / 1000 > LONGEST_MS) {
        return false;
    }
    *ret /= 1000;
    return true;
}

static const char *read_arg(const struct fault *f, char letter, const char *text, uint64_t *ret)
{
    int host;
    switch (letter) {
    case 'h':
        host = scenario_host(text);
        *ret = (uint64_t)host;
        return host >= 0 ? NULL : "a host (h1)";
    case 's': return read_set(text, ret) ? NULL : "hosts (h1,h3)";
    case 'm': return read_duration(text, ret) ? NULL : "a duration (250ms)";
    case 'i': return read_signed(text, ret) ? NULL : "a whole number";
    case 'w': return read_word(f, text, ret) ? NULL : "a word that it knows";
    default: return word_number(text, UINT64_MAX, ret) == 0 ? NULL : "a number";
    }
}

int fault_read(const struct fault *f,
               const struct decision *d,
               uint64_t arg[FAULT_ARGS],
               struct err *e)
{
    if (d->n_args != strlen(f->args)) {
        return err_set(e, ERR_INVALID, "line %u: %s takes %zu arguments, not %u", d->line, f->name,
                       strlen(f->args), d->n_args);
    }
    for (uint32_t i = 0; i < d->n_args; i++) {
        const char *what = read_arg(f, f->args[i], d->args[i], &arg[i]);
        if (what != NULL) {
            return err_set(e, ERR_INVALID, "line %u: argument %u of %s, %s, is not %s", d->line,
                           i + 1, f->name, d->args[i], what);
        }
    }
    return 0;
}

/* --- striking */

/* Of a scenario that was made for more hosts. */
static bool hosts_exist(const struct fault *f, const uint64_t arg[FAULT_ARGS])
{
    for (uint32_t i = 0; f->args[i] != '\0'; i++) {
        if (f->args[i] == 'h' && arg[i] >= lab.o.hosts) {
            return false;
        }
    }
    return true;
}

static void record_strike(const struct fault *f, const uint64_t arg[FAULT_ARGS])
{
    bool host = f->args[0] == 'h';
    record(&(struct rec){.kind = REC_FAULT,
                         .fault = {.host = host ? (uint16_t)arg[0] : (uint16_t)HIST_NONE,
                                   .fault = record_name(f->name),
                                   .value = arg[host ? 1 : 0]}});
}

void fault_strike(const struct fault *f, const uint64_t arg[FAULT_ARGS])
{
    char words[FAULT_ARGS * (SCENARIO_WORD + 1) + 64];
    fault_words(f, arg, words, sizeof words);
    plan_note(words, NULL);
    if (!active || !hosts_exist(f, arg)) {
        return;
    }
    lab.faults_struck++;
    world_note_bytes(words, strlen(words));
    record_strike(f, arg);
    if (lab.o.print) {
        (void)printf("%12.6f  -      ** %s\n", (double)world.now_ns / 1e9, words);
    }
    f->strike(arg);
}

/* --- for the faults */

uint64_t fault_some_host(struct rng *rng)
{
    return rng_below(rng, lab.o.hosts);
}

struct vhost *fault_host(uint64_t arg)
{
    return &lab.hosts[arg];
}

struct vhost *fault_master(void)
{
    struct vhost *master = NULL;
    uint64_t term = 0;
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct vhost_state s;
        if (vhost_look(&lab.hosts[i], &s) && s.leads && s.term > term) {
            master = &lab.hosts[i];
            term = s.term;
        }
    }
    return master;
}

uint64_t fault_while_ms(struct rng *rng, uint64_t min_ms, uint64_t max_ms)
{
    uint64_t max = rng_below(rng, 5) == 0 ? max_ms : max_u64(min_ms, max_ms / 10);
    return rng_between(rng, min_ms, max);
}
