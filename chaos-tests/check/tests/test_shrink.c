/* The shrinker, on scenarios whose cause is known: what is needed is named in the predicate, and
 * nothing else may be left. */

#include "core/rng.h"
#include "core/util.h"

#include "chaos-tests/check/shrink.h"
#include "chaos-tests/tests/cm.h"

/* "cause 3", "cause 7", ...: the decisions without which it does not fail. */
struct cause {
    uint32_t needed[16];
    uint32_t n;
    bool in_order;     /* And they must come in that order. */
    uint32_t hosts;    /* And there are at least so many hosts. */
    const char *knob;  /* And this setting is above 10. */
    uint64_t apart_us; /* And the first two are at least so far apart. */
    uint32_t asked;
    uint32_t stop_at; /* 0: never. */
};

static const struct decision *find(const struct scenario *s, uint32_t cause, size_t *at)
{
    char word[16];

    (void)snprintf(word, sizeof word, "%u", cause);
    for (size_t i = 0; i < s->n_decisions; i++) {
        if (strcmp(s->decisions[i].action, "cause") == 0 &&
            strcmp(s->decisions[i].args[0], word) == 0) {
            *at = i;
            return &s->decisions[i];
        }
    }
    return NULL;
}

static bool fails(void *arg, const struct scenario *s)
{
    struct cause *c = arg;
    size_t last = 0;
    uint64_t first_us = 0;

    c->asked++;
    for (uint32_t i = 0; i < c->n; i++) {
        size_t at = 0;
        const struct decision *d = find(s, c->needed[i], &at);
        if (d == NULL || (c->in_order && i > 0 && at < last)) {
            return false;
        }
        last = at;
        first_us = i == 0 ? d->at_us : first_us;
        if (i == 1 && d->at_us < first_us + c->apart_us) {
            return false;
        }
    }
    return s->hosts >= c->hosts && (c->knob == NULL || scenario_get(s, c->knob, 0) > 10);
}

static bool stop(void *arg)
{
    const struct cause *c = arg;

    return c->stop_at != 0 && c->asked >= c->stop_at;
}

/* `n` decisions at odd moments, cause 0 .. n - 1. */
static void make(struct scenario *s, uint32_t n, uint64_t seed)
{
    struct rng rng;
    char words[64];
    uint64_t now = 0;

    rng_seed(&rng, seed);
    s->seed = seed;
    s->hosts = 5;
    for (uint32_t i = 0; i < n; i++) {
        now += 1 + rng_below(&rng, 3000000);
        (void)snprintf(words, sizeof words, "cause %u h%u %ums", i,
                       1 + (unsigned)rng_below(&rng, 5), (unsigned)rng_below(&rng, 9999));
        assert_int_equal(scenario_add(s, now, words), 0);
    }
    assert_int_equal(scenario_set(s, "loss_permille", 13), 0);
    assert_int_equal(scenario_set(s, "delay_ms", 17), 0);
}

static void choose(struct cause *c, uint32_t n, uint32_t of, uint64_t seed)
{
    struct rng rng;
    uint32_t step = of / n;

    rng_seed(&rng, seed);
    c->n = n;
    for (uint32_t i = 0; i < n; i++) {
        c->needed[i] = i * step + (uint32_t)rng_below(&rng, step);
    }
}

static void only_what_is_needed_is_left(void **state)
{
    uint64_t runs = 0;
    uint32_t worst = 0;
    struct err e = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct scenario s = {0};
        struct cause c = {.in_order = seed % 2 == 0};
        struct shrink k = {.fails = fails, .arg = &c};
        make(&s, 200, seed);
        choose(&c, 12, 200, seed);
        assert_int_equal(shrink_run(&k, &s, &e), 0);
        assert_true(k.minimal);
        assert_int_equal(s.n_decisions, 12);
        assert_int_equal(s.n_settings, 0);
        assert_int_equal(k.runs, c.asked);
        runs += k.runs;
        worst = k.runs > worst ? k.runs : worst;
        for (size_t i = 0; i < s.n_decisions; i++) {
            assert_int_equal(s.decisions[i].at_us % 1000000, 0);
        }
        c.asked = 0;
        assert_true(fails(&c, &s));
        scenario_done(&s);
    }
    print_message("    12 of 200 decisions: %llu runs on average, %u at worst\n",
                  (unsigned long long)(runs / 40), worst);
    assert_in_range(worst, 1, 500); /* 10 s, if a run takes 20 ms. */
}

static void hosts_settings_and_distances_that_matter_stay(void **state)
{
    struct scenario s = {0};
    struct err e = {0};
    struct cause c = {.hosts = 3, .knob = "delay_ms", .apart_us = 12345678};
    struct shrink k = {.fails = fails, .arg = &c};

    (void)state;
    make(&s, 100, 9);
    choose(&c, 2, 100, 9);
    assert_int_equal(shrink_run(&k, &s, &e), 0);
    assert_int_equal(s.hosts, 3);
    assert_int_equal(s.n_settings, 1);
    assert_int_equal(scenario_get(&s, "delay_ms", 0), 17);
    assert_int_equal(s.n_decisions, 2);
    assert_true(s.decisions[1].at_us >= s.decisions[0].at_us + 12345678);
    assert_int_equal(s.decisions[0].at_us % 1000000, 0);
    assert_int_equal(s.decisions[1].at_us % 1000000, 0);
    scenario_done(&s);
}

/* Hosts are numbered anew when one goes, and decisions about it go with it. */
static bool talks_of_two_hosts(void *arg, const struct scenario *s)
{
    int seen = 0;

    (void)arg;
    for (size_t i = 0; i < s->n_decisions; i++) {
        int a = scenario_host(s->decisions[i].args[0]);
        int b = scenario_host(s->decisions[i].args[1]);
        assert_true(a < (int)s->hosts && b < (int)s->hosts);
        seen += a >= 0 && b >= 0 && a != b;
    }
    return seen > 0;
}

static void hosts_are_numbered_anew(void **state)
{
    struct scenario s = {.hosts = 9};
    struct err e = {0};
    struct shrink k = {.fails = talks_of_two_hosts};

    (void)state;
    assert_int_equal(scenario_add(&s, 1000, "cut h3 h3"), 0);
    assert_int_equal(scenario_add(&s, 2000, "cut h4 h8"), 0);
    assert_int_equal(scenario_add(&s, 3000, "power_off h8"), 0);
    assert_int_equal(shrink_run(&k, &s, &e), 0);
    assert_int_equal(s.hosts, 2);
    assert_int_equal(s.n_decisions, 1);
    assert_string_equal(s.decisions[0].args[0], "h1");
    assert_string_equal(s.decisions[0].args[1], "h2");
    scenario_done(&s);
}

/* A failure that nothing but an odd number of decisions explains: there is no smaller one than 1.
 */
static bool odd(void *arg, const struct scenario *s)
{
    (void)arg;
    return s->n_decisions % 2 == 1;
}

static void a_fickle_failure_still_ends_minimal(void **state)
{
    struct scenario s = {0};
    struct err e = {0};
    struct shrink k = {.fails = odd};

    (void)state;
    make(&s, 101, 3);
    assert_int_equal(shrink_run(&k, &s, &e), 0);
    assert_true(k.minimal);
    assert_int_equal(s.n_decisions, 1);
    scenario_done(&s);
}

static void one_that_does_not_fail_is_left_alone(void **state)
{
    struct scenario s = {0};
    struct err e = {0};
    struct cause c = {.hosts = 6};
    struct shrink k = {.fails = fails, .arg = &c};

    (void)state;
    make(&s, 10, 3);
    assert_int_equal(shrink_run(&k, &s, &e), ERR_INVALID);
    assert_int_equal(s.n_decisions, 10);
    assert_int_equal(k.runs, 1);
    scenario_done(&s);
}

static void it_stops_when_told_with_something_that_fails(void **state)
{
    struct err e = {0};

    (void)state;
    for (uint32_t at = 1; at < 120; at += 7) {
        struct scenario s = {0};
        struct cause c = {.stop_at = at % 2 == 0 ? at : 0};
        struct shrink k = {
            .fails = fails, .arg = &c, .stop = stop, .most_runs = at % 2 == 0 ? 0 : at};
        make(&s, 200, 5);
        choose(&c, 12, 200, 5);
        assert_int_equal(shrink_run(&k, &s, &e), 0);
        assert_false(k.minimal);
        assert_int_equal(k.runs, at);
        assert_true(fails(&c, &s));
        scenario_done(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_needed_is_left),
        cmocka_unit_test(hosts_settings_and_distances_that_matter_stay),
        cmocka_unit_test(hosts_are_numbered_anew),
        cmocka_unit_test(a_fickle_failure_still_ends_minimal),
        cmocka_unit_test(one_that_does_not_fail_is_left_alone),
        cmocka_unit_test(it_stops_when_told_with_something_that_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
