/* Scenario files: what is written reads back, and what is wrong is said with line and column. */

#include "core/rng.h"
#include "core/util.h"

#include "chaos-tests/check/scenario.h"
#include "chaos-tests/tests/cm.h"

static const char example[] = "quorate-scenario 1\n"
                              "# The old master comes back too late.\n"
                              "seed 4711\n"
                              "hosts 3\n"
                              "expect execution\n"
                              "set loss_permille 20 # two in a hundred\n"
                              "\n"
                              "at 12500ms power_off h2\n"
                              "at 13s   cut h1 h3   2s   # for two seconds\n"
                              "at 13000001 freeze h1\n";

static void a_file_says_what_it_says(void **state)
{
    struct scenario s = {0};
    struct err e = {0};

    (void)state;
    assert_int_equal(scenario_read(&s, example, strlen(example), &e), 0);
    assert_int_equal(s.seed, 4711);
    assert_int_equal(s.hosts, 3);
    assert_string_equal(s.expect, "execution");
    assert_int_equal(scenario_get(&s, "loss_permille", 0), 20);
    assert_int_equal(scenario_get(&s, "delay_ms", 7), 7);
    assert_int_equal(s.n_decisions, 3);
    assert_int_equal(s.decisions[0].at_us, 12500000);
    assert_int_equal(s.decisions[0].line, 8);
    assert_string_equal(s.decisions[1].action, "cut");
    assert_int_equal(s.decisions[1].n_args, 3);
    assert_string_equal(s.decisions[1].args[2], "2s");
    assert_int_equal(s.decisions[2].at_us, 13000001);
    scenario_done(&s);
}

static void what_is_wrong_is_said_with_line_and_column(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "line 0, column 1: expected \"quorate-scenario 1\""},
        {"seed 1\n", "line 1, column 1: expected \"quorate-scenario 1\""},
        {"quorate-scenario\n", "line 1, column 17: expected the version of this quorate-scenario"},
        {"quorate-scenario 2\n",
         "this is version 2 of quorate-scenario; this program reads version 1"},
        {"quorate-scenario 1\nseed x\n", "line 2, column 6: \"x\" is not a seed"},
        {"quorate-scenario 1\nseed\n", "line 2, column 5: expected a seed"},
        {"quorate-scenario 1\nseed 18446744073709551616\n",
         "line 2, column 6: \"18446744073709551616\" is not a seed"},
        {"quorate-scenario 1\nhosts 65\n",
         "line 2, column 7: \"65\" is not a number of hosts, at most 64"},
        {"quorate-scenario 1\nseed 1 2\n", "line 2, column 8: \"2\" is too much"},
        {"quorate-scenario 1\nset a 1\nset a 2\n", "line 3, column 5: a is set twice"},
        {"quorate-scenario 1\nset a b\n", "line 2, column 7: \"b\" is not a number"},
        {"quorate-scenario 1\n\n  when 3s\n",
         "line 3, column 3: expected seed, hosts, expect, set or at, not \"when\""},
        {"quorate-scenario 1\nat 3 hours x\nat 3x y\n",
         "line 3, column 4: expected a time such as 1500ms"},
        {"quorate-scenario 1\nat never x\n", "line 2, column 4: expected a time such as 1500ms"},
        {"quorate-scenario 1\nat 3s\n", "line 2, column 6: expected an action"},
        {"quorate-scenario 1\nat 3s # nothing\n", "line 2, column 7: expected an action"},
        {"quorate-scenario 1\nat 3s a\nat 2999ms b\n", "line 3, column 4: time goes back"},
        {"quorate-scenario 1\nat 3s a 1 2 3 4 5 6 7 8 9\n",
         "line 2, column 25: more than 8 arguments"},
        {"quorate-scenario 1\nat 3s a\x01\n", "line 2, column 8: a byte that is no text"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scenario s = {0};
        struct err e = {0};
        assert_true(scenario_read(&s, cases[i].text, strlen(cases[i].text), &e) != 0);
        assert_string_equal(e.msg, cases[i].message);
        scenario_done(&s);
    }
}

static void what_is_written_reads_back(void **state)
{
    struct rng rng;

    (void)state;
    rng_seed(&rng, 1);
    for (int round = 0; round < 200; round++) {
        struct scenario a = {.seed = rng_u64(&rng), .hosts = (uint32_t)rng_below(&rng, 65)};
        struct scenario b = {0};
        struct buf once = {0};
        struct buf twice = {0};
        struct err e = {0};
        for (uint64_t i = rng_below(&rng, 30); i > 0; i--) {
            char words[64];
            (void)snprintf(words, sizeof words, "act%u h%u %u", (unsigned)rng_below(&rng, 5),
                           (unsigned)rng_below(&rng, 64), (unsigned)rng_below(&rng, 1000));
            assert_int_equal(scenario_add(&a, rng_below(&rng, 100) * 500500, words), 0);
            (void)snprintf(words, sizeof words, "knob%u", (unsigned)rng_below(&rng, 5));
            assert_int_equal(scenario_set(&a, words, rng_u64(&rng)), 0);
        }
        scenario_sort(&a);
        scenario_write(&a, &once);
        assert_int_equal(scenario_read(&b, (const char *)once.data, once.len, &e), 0);
        scenario_write(&b, &twice);
        assert_int_equal(once.len, twice.len);
        assert_memory_equal(once.data, twice.data, once.len);
        scenario_done(&a);
        scenario_done(&b);
        buf_done(&once);
        buf_done(&twice);
    }
}

static void words_that_would_not_read_back_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "   ",
        "#a",
        "a #b",
        "a b\nat 1s c",
        "a 1 2 3 4 5 6 7 8 9",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct scenario s = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(scenario_add(&s, 1, bad[i]), ERR_INVALID);
    }
    assert_int_equal(scenario_add(&s, UINT64_MAX, "a"), ERR_INVALID);
    assert_int_equal(scenario_set(&s, "a b", 1), ERR_INVALID);
    assert_int_equal(s.n_decisions, 0);
    scenario_done(&s);
}

static void hosts_are_known_by_their_names(void **state)
{
    (void)state;
    assert_int_equal(scenario_host("h1"), 0);
    assert_int_equal(scenario_host("h64"), 63);
    assert_int_equal(scenario_host("h65"), -1);
    assert_int_equal(scenario_host("h0"), -1);
    assert_int_equal(scenario_host("h01"), -1);
    assert_int_equal(scenario_host("h"), -1);
    assert_int_equal(scenario_host("h1x"), -1);
    assert_int_equal(scenario_host("web1"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_says_what_it_says),
        cmocka_unit_test(what_is_wrong_is_said_with_line_and_column),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(words_that_would_not_read_back_are_refused),
        cmocka_unit_test(hosts_are_known_by_their_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
