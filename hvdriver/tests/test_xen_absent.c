/* Driver xen where there is no Xen: it says so, and nothing is left of the try. */
/* cmocka.h needs the first three before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <uv.h>
/* clang-format on */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hvdriver/hvdriver.h"

static int try_open(const char *program, struct err *e)
{
    char dir[] = "/tmp/qhv.XXXXXX";
    char command[64];
    uv_loop_t loop;
    struct hv *hv = NULL;
    assert_non_null(mkdtemp(dir));
    uv_loop_init(&loop);
    const struct hv_options options = {
        .driver = "xen", .run_dir = dir, .log_dir = dir, .host = "h1", .emulator = program};
    int rc = hv_open(&hv, &loop, &options, e);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);        /* No handle is left, */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* and no child. */
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own directory */
    return rc;
}

static void without_its_program_it_says_what_is_missing(void **state)
{
    struct err e = {0};
    (void)state;
    assert_int_equal(try_open("/nonexistent/quorate-xen", &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "/nonexistent/quorate-xen"));
}

static void without_a_xen_it_says_so(void **state)
{
    struct err e = {0};
    (void)state;
    if (access("/dev/xen/privcmd", F_OK) == 0) {
        skip();
    }
    assert_int_equal(try_open(XEN_PROGRAM, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "this host runs no Xen"));
}

static void a_program_that_ends_at_once_is_no_hypervisor(void **state)
{
    struct err e = {0};
    (void)state;
    assert_int_equal(try_open("/bin/true", &e), ERR_CLOSED);
    assert_non_null(strstr(e.msg, "xen.log"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_its_program_it_says_what_is_missing),
        cmocka_unit_test(without_a_xen_it_says_so),
        cmocka_unit_test(a_program_that_ends_at_once_is_no_hypervisor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
