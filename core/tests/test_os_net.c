/* Where the daemon may listen. Namespaces are made by children of the test. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/os_net.h"

/* clang-format off: cmocka.h needs what stands above. */
#include <cmocka.h>
/* clang-format on */

static int may_listen(const char *where, bool lab, struct err *e)
{
    struct addr a;
    assert_int_equal(addr_parse(where, &a, e), 0);
    return os_net_may_listen(&a, lab, e);
}

static void local_addresses_are_always_allowed(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(may_listen("127.0.0.1:1", false, &e), 0);
    assert_int_equal(may_listen("[::1]:1", false, &e), 0);
    assert_int_equal(may_listen("unix:/run/x", false, &e), 0);
}

static void others_are_refused_outside_a_lab(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(may_listen("0.0.0.0:7480", false, &e), ERR_DENIED);
    assert_non_null(strstr(e.msg, "lab_network = on"));
    /* The test runs where process 1 does, or on a network with a route out. */
    assert_int_equal(may_listen("10.0.0.1:7480", true, &e), ERR_DENIED);
    assert_non_null(strstr(e.msg, "10.0.0.1:7480"));
}

/* In a child with a new network namespace, after `command`: 0 allowed, 1 refused, 77 cannot be
 * made. */
static int in_namespace(const char *command)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct err e;
        struct addr a;
        if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
            _exit(77);
        }
        if (command != NULL && system(command) != 0) { // NOLINT(cert-env33-c): a constant.
            _exit(77);
        }
        int rc = addr_parse("10.9.8.7:7480", &a, &e);
        rc = rc != 0 ? rc : os_net_may_listen(&a, /*lab_network=*/true, &e);
        _exit(rc == 0 ? 0 : rc == ERR_DENIED && strstr(e.msg, "default route") != NULL ? 1 : 2);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_namespace_without_a_way_out_is_a_lab(void **state)
{
    (void)state;
    int r = in_namespace(NULL);
    if (r == 77) {
        skip(); /* No namespaces here. */
    }
    assert_int_equal(r, 0);
    r = in_namespace("ip link set lo up && ip addr add 10.9.8.7/24 dev lo");
    assert_true(r == 0 || r == 77);
}

static void a_namespace_with_a_default_route_is_none(void **state)
{
    (void)state;
    int r = in_namespace("ip link add v0 type veth peer name v1 && ip link set v0 up && "
                         "ip link set v1 up && ip addr add 10.9.8.7/24 dev v0 && "
                         "ip route add default via 10.9.8.1");
    if (r == 77) {
        skip();
    }
    assert_int_equal(r, 1);
    r = in_namespace("ip link add v0 type veth peer name v1 && ip link set v0 up && "
                     "ip link set v1 up && ip -6 addr add fd00::2/64 dev v0 nodad && "
                     "ip -6 route add default via fd00::1 dev v0");
    assert_true(r == 1 || r == 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_addresses_are_always_allowed),
        cmocka_unit_test(others_are_refused_outside_a_lab),
        cmocka_unit_test(a_namespace_without_a_way_out_is_a_lab),
        cmocka_unit_test(a_namespace_with_a_default_route_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
