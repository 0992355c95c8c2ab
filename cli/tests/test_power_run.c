/* The power-off program, as real processes: its end, its words, its time. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "core/err.h"
#include "core/tests/cm.h"

#include "cli/quorated/power_run.h"

static uv_loop_t loop;
static char dir[64];
static char path[96];

static struct heard {
    int n, code;
    char text[256];
} heard;

static void done(void *ctx, int code, const char *text)
{
    struct heard *h = ctx;
    h->n++;
    h->code = code;
    (void)snprintf(h->text, sizeof h->text, "%s", text);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/quorate-power.XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/off", dir);
    heard = (struct heard){0};
    return uv_loop_init(&loop);
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0); /* Nothing is left of it. */
    (void)unlink(path);
    return rmdir(dir);
}

static struct power_run *start(const char *script, uint32_t timeout_ms)
{
    if (script != NULL) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        (void)fprintf(f, "#!/bin/sh\n%s\n", script);
        (void)fclose(f);
        assert_int_equal(chmod(path, 0700), 0);
    }
    const struct power_run_options o = {.loop = &loop,
                                        .program = path,
                                        .host = "h2",
                                        .target = "rack 1; rm",
                                        .address = "10.0.0.2:7077",
                                        .timeout_ms = timeout_ms,
                                        .done = done,
                                        .ctx = &heard};
    struct power_run *r = power_run_start(&o);
    assert_int_equal(heard.n, 0); /* Never from inside the call. */
    return r;
}

static void expect(int code, const char *text)
{
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(heard.n, 1);
    assert_string_equal(heard.text, text);
    assert_int_equal(heard.code, code);
}

static void its_arguments_are_the_hosts_and_no_shell_reads_them(void **state)
{
    (void)state;
    (void)start("printf '<%s>' \"$@\"", 10000);
    expect(0, "<off><h2><rack 1; rm><10.0.0.2:7077>");
}

static void what_it_says_on_both_streams_is_kept_in_part(void **state)
{
    (void)state;
    (void)start("echo one; printf 'two\\033[1m\\n\\n' >&2; exit 3", 10000);
    expect(ERR_IO, "one two [1m");
    heard = (struct heard){0};
    (void)start("yes 0123456789 | head -c 300000", 10000);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(heard.code, 0);
    assert_true(strlen(heard.text) <= POWER_TEXT && strlen(heard.text) >= POWER_TEXT - 1);
}

static void without_words_its_end_is_told(void **state)
{
    (void)state;
    (void)start("exit 3", 10000);
    expect(ERR_IO, "exit status 3");
    heard = (struct heard){0};
    (void)start("kill -TERM $$", 10000);
    expect(ERR_CRASHED, "signal 15");
}

static void one_that_is_not_there_is_told(void **state)
{
    (void)state;
    (void)start(NULL, 10000);
    expect(ERR_IO, "no such file or directory");
}

/* The pid that the script wrote is of a process that the script started. */
static void it_is_given_up_with_all_that_it_started(void **state)
{
    (void)state;
    (void)start("sleep 1000 & echo $!; wait", 300);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(heard.code, ERR_TIMEOUT);
    pid_t child = (pid_t)strtol(heard.text, NULL, 10);
    assert_true(child > 1);
    for (int i = 0; i < 10000 && kill(child, 0) == 0; i++) {
        (void)usleep(1000); /* Until init has buried it. */
        char stat[64];
        char word[256] = "";
        (void)snprintf(stat, sizeof stat, "/proc/%d/stat", child);
        FILE *f = fopen(stat, "re");
        if (f != NULL) {
            (void)!fgets(word, sizeof word, f);
            (void)fclose(f);
        }
        if (strstr(word, ") Z ") != NULL) {
            return;
        }
    }
    assert_int_not_equal(kill(child, 0), 0);
}

static void one_that_is_cancelled_says_nothing(void **state)
{
    (void)state;
    struct power_run *r = start("sleep 1000", 100000);
    assert_null(power_run_cancel(r));
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(heard.n, 0);
    assert_null(power_run_cancel(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_arguments_are_the_hosts_and_no_shell_reads_them, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_it_says_on_both_streams_is_kept_in_part, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_words_its_end_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_not_there_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_given_up_with_all_that_it_started, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_cancelled_says_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
