#include <stdio.h>
#include <string.h>

#include "core/config.h"
#include "core/tests/cm.h"
#include "core/util.h"

static const struct config_row rows[] = {
    {"name", CONFIG_TEXT, NULL, 1, 8, "", "Name of this host"},
    {"listen", CONFIG_TEXT, "127.0.0.1:7077", 1, 60, "", "Where to listen"},
    {"memory_mib", CONFIG_NUMBER, "0", 0, 4096, "MiB", "Memory for guests"},
    {"lab_network", CONFIG_BOOL, "no", 0, 1, "", "Whether this is a lab"},
};

static int parse(struct config *c, const char *text, struct err *e)
{
    return config_parse(c, "q.conf", text, strlen(text), e);
}

static void a_file_sets_and_flags_win(void **state)
{
    (void)state;
    struct err e = {0};
    struct config *c = config_new(rows, ARRAY_LEN(rows));
    static const char *const args[] = {"--memory-mib=64", "--lab-network", "on"};
    assert_int_equal(config_arguments(c, 3, args, &e), 0);
    assert_int_equal(
        parse(c, "# all of it\nname = \"h 1\"  # quoted\n\n memory_mib= 32\nlisten =x # y\n", &e),
        0);
    assert_string_equal(config_text(c, "name"), "h 1");
    assert_string_equal(config_text(c, "listen"), "x");
    assert_int_equal(config_number(c, "memory_mib"), 64);
    assert_true(config_bool(c, "lab_network"));
    assert_int_equal(config_complete(c, &e), 0);
    (void)config_free(c);
}

static void defaults_hold_and_what_must_be_given_is_asked_for(void **state)
{
    (void)state;
    struct err e = {0};
    struct config *c = config_new(rows, ARRAY_LEN(rows));
    assert_string_equal(config_text(c, "listen"), "127.0.0.1:7077");
    assert_false(config_given(c, "listen"));
    assert_int_equal(config_complete(c, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "name must be given"));
    (void)config_free(c);
}

static void errors_name_file_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *says;
    } cases[] = {
        {"\n  colour = red\n", ERR_UNKNOWN, "q.conf:2:3: unknown option"},
        {"name h1\n", ERR_INVALID, "q.conf:1:6: '='"},
        {"name = \"h1\n", ERR_INVALID, "q.conf:1:8: quote"},
        {"name = \"h1\" x\n", ERR_INVALID, "q.conf:1:13: text behind"},
        {"memory_mib = 5000", ERR_INVALID, "q.conf:1:14: memory_mib"},
        {"memory_mib = -1", ERR_INVALID, "whole number"},
        {"memory_mib = 99999999999999999999", ERR_INVALID, "whole number"},
        {"memory_mib =", ERR_INVALID, "whole number"},
        {"lab_network = maybe", ERR_INVALID, "neither yes nor no"},
        {"name = much_too_long", ERR_INVALID, "1 to 8 bytes"},
        {"name = a\nname = b", ERR_INVALID, "given twice"},
        {"name = \xff\xfe", ERR_INVALID, "not text"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = {0};
        struct config *c = config_new(rows, ARRAY_LEN(rows));
        assert_int_equal(parse(c, cases[i].text, &e), cases[i].code);
        if (strstr(e.msg, cases[i].says) == NULL) {
            fail_msg("case %zu says: %s", i, e.msg);
        }
        (void)config_free(c);
    }
}

static void bad_flags_are_named(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"--colour=red", "--colour: unknown"},
        {"name", "name: not an option"},
        {"--name", "--name: a value is missing"},
        {"--memory_mib=x", "memory_mib: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = {0};
        struct config *c = config_new(rows, ARRAY_LEN(rows));
        assert_int_not_equal(config_arguments(c, 1, cases[i], &e), 0);
        if (strncmp(e.msg, cases[i][1], strlen(cases[i][1])) != 0) {
            fail_msg("case %zu says: %s", i, e.msg);
        }
        (void)config_free(c);
    }
}

static void the_example_is_a_file_that_sets_nothing(void **state)
{
    (void)state;
    char text[4096] = "";
    FILE *f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    config_example(rows, ARRAY_LEN(rows), f);
    config_help(rows, ARRAY_LEN(rows), f);
    assert_int_equal(fclose(f), 0);
    *strstr(text, "  --") = '\0';
    struct err e = {0};
    struct config *c = config_new(rows, ARRAY_LEN(rows));
    assert_int_equal(parse(c, text, &e), 0);
    assert_false(config_given(c, "listen"));
    (void)config_free(c);
}

static void the_manual_says_what_the_help_says(void **state)
{
    (void)state;
    static const struct config_row some[] = {
        {"wait_ms", CONFIG_NUMBER, "200", 50, 60000, "ms", ".5 s - or a\\b"},
        {"name", CONFIG_TEXT, NULL, 1, 64, "", "Name"},
        {"loud", CONFIG_BOOL, "no", 0, 1, "", "Loud"},
    };
    char text[1024] = "";
    FILE *f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    config_man(some, ARRAY_LEN(some), f);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(text, ".TP\n\\fB\\-\\-wait\\-ms\\fR=\\fINUMBER\\fR\n"
                              "\\&.5 s \\- or a\\eb (default: 200 ms; 50 to 60000)\n"
                              ".TP\n\\fB\\-\\-name\\fR=\\fITEXT\\fR\nName (must be given)\n"
                              ".TP\n\\fB\\-\\-loud\\fR=\\fIyes|no\\fR\nLoud (default: no)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_sets_and_flags_win),
        cmocka_unit_test(defaults_hold_and_what_must_be_given_is_asked_for),
        cmocka_unit_test(errors_name_file_line_and_column),
        cmocka_unit_test(bad_flags_are_named),
        cmocka_unit_test(the_example_is_a_file_that_sets_nothing),
        cmocka_unit_test(the_manual_says_what_the_help_says),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
