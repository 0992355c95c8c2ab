/* Random good histories are accepted by every checker, and each mutation of one is found by the
 * checker whose promise it breaks. */

#include "core/util.h"

#include "chaos-tests/check/tests/gen.h"
#include "chaos-tests/tests/cm.h"

#define SEEDS 60

static struct verdicts verdicts;

static void make(struct hist *h, uint64_t seed)
{
    struct rng rng;

    rng_seed(&rng, seed);
    hist_init(h, 0);
    gen_history(h, &(struct gen_options){.seed = seed,
                                         .hosts = (uint32_t)(3 + rng_below(&rng, 3)),
                                         .clients = (uint32_t)(2 + rng_below(&rng, 6)),
                                         .subjects = (uint32_t)(1 + rng_below(&rng, 5)),
                                         .steps = (uint32_t)(200 + rng_below(&rng, 1500))});
}

static void must_be_good(const struct hist *h, uint64_t seed)
{
    struct buf text = {0};

    check_all(h, &verdicts);
    if (!verdicts_good(&verdicts)) {
        verdicts_text(h, &verdicts, &text);
        buf_put_u8(&text, 0);
        print_message("%s\n", (const char *)text.data);
        fail_msg("seed %llu is not accepted", (unsigned long long)seed);
    }
}

static void good_histories_are_accepted(void **state)
{
    uint64_t judged[CHECKERS] = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct hist h;
        make(&h, seed);
        must_be_good(&h, seed);
        for (size_t i = 0; i < verdicts.n; i++) {
            judged[i] += verdicts.checked[i].judged;
        }
        hist_done(&h);
    }
    for (size_t i = 0; i < verdicts.n; i++) {
        print_message("    %-13s judged %llu\n", verdicts.checked[i].checker->name,
                      (unsigned long long)judged[i]);
        assert_true(judged[i] > 0);
    }
}

static void good_histories_read_back_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct hist a;
        struct hist b;
        struct buf once = {0};
        struct buf twice = {0};
        struct err e = {0};
        make(&a, seed);
        hist_write(&a, &once);
        hist_init(&b, 0);
        assert_int_equal(hist_read(&b, (const char *)once.data, once.len, &e), 0);
        must_be_good(&b, seed);
        hist_write(&b, &twice);
        assert_int_equal(once.len, twice.len);
        assert_memory_equal(once.data, twice.data, once.len);
        buf_done(&once);
        buf_done(&twice);
        hist_done(&a);
        hist_done(&b);
    }
}

/* One mutation of the history of one seed: 0 when there was no place for it, else 1. */
static size_t is_caught(const struct mutation *m, uint64_t seed, size_t *caught)
{
    struct hist h;
    struct rng rng;
    struct checked c;
    size_t tried = 0;

    make(&h, seed);
    rng_seed(&rng, seed);
    if (m->apply(&h, &rng)) {
        tried = 1;
        check_one(checker_by_name(m->checker), &h, &c);
        *caught += c.verdict == VERDICT_BROKEN;
        if (c.verdict != VERDICT_BROKEN) {
            print_message("    not caught: seed %llu\n", (unsigned long long)seed);
        }
    }
    hist_done(&h);
    return tried;
}

static void mutations_are_caught(void **state)
{
    size_t all = 0;
    size_t all_caught = 0;

    (void)state;
    for (const struct mutation *m = mutations; m->name != NULL; m++) {
        size_t tried = 0;
        size_t caught = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            tried += is_caught(m, seed, &caught);
        }
        print_message("    %-46s %-13s %3zu of %3zu\n", m->name, m->checker, caught, tried);
        assert_true(tried >= SEEDS / 4);
        all += tried;
        all_caught += caught;
    }
    print_message("    %zu of %zu mutations caught\n", all_caught, all);
    assert_int_equal(all_caught, all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_histories_are_accepted),
        cmocka_unit_test(good_histories_read_back_the_same),
        cmocka_unit_test(mutations_are_caught),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
