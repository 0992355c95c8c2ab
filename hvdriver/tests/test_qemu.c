/* The conformance suite on driver qemu: the life of real guests, and what only QEMU can do wrong.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/tests/qemu/kind.h"

/* ---- what only QEMU can do wrong ---- */

static void a_locked_image_is_told_as_locked(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec one = a_guest(1, 1);
    struct hv_spec two = a_guest(2, 1);
    one.n_disks = 1;
    one.disks[0] = (struct hv_disk){.device = "hda"};
    make_image(w, "disk", 1 << 20, one.disks[0].path);
    two.n_disks = 1;
    two.disks[0] = one.disks[0];
    start(w, &w->a, &one);
    struct hv_req req = {.op = HV_START, .spec = &two};
    assert_int_equal(run_op(w, &w->a, &req), ERR_LOCKED);
    assert_non_null(strstr(req.err.msg, one.disks[0].path));
    assert_non_null(strstr(req.err.msg, "is in use: end the process"));
    assert_int_equal(req.state, HV_GONE);
    struct hv_key key = key_of(&one);
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &key), 0);
    start(w, &w->a, &two); /* Free again at once. */
}

static void every_device_of_the_spec_is_accepted(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    static const char *const devices[] = {"hda", "hdc", "vda", "xvdb", "sda", "xvdc"};
    spec.n_disks = ARRAY_LEN(devices);
    for (uint32_t i = 0; i < spec.n_disks; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "disk, \"%u\"", i);
        (void)str_copy(spec.disks[i].device, sizeof spec.disks[i].device, devices[i]);
        make_image(w, name, 1 << 20, spec.disks[i].path);
    }
    spec.disks[1].cdrom = true;
    spec.disks[3].readonly = true;
    spec.disks[5].cdrom = true;
    spec.n_vifs = 3;
    spec.vifs[0] = (struct hv_vif){.mac = "52:54:00:00:00:01"};
    spec.vifs[1] = (struct hv_vif){.mac = "52:54:00:00:00:02", .model = "ne2k_isa"};
    spec.vifs[2] = (struct hv_vif){.mac = "52:54:00:00:00:03", .model = "e1000"};
    spec.vnc = true;
    (void)str_copy(spec.vnc_password, sizeof spec.vnc_password, "s3cret");
    (void)str_copy(spec.boot, sizeof spec.boot, "cd");
    start(w, &w->a, &spec);
    wait_counter(w, &w->a, &key, 1);
    struct hv_info info;
    assert_true(hv_lookup(w->a.hv, &key, &info));
    assert_in_range(info.vnc_display, 0, 999);
    assert_false(args_contain(info.pid, "s3cret"));
    char path[200];
    (void)snprintf(path, sizeof path, "%s/run/01010101-0101-0101-0101-010101010101.1/vnc.secret",
                   w->a.dir);
    assert_int_equal(access(path, F_OK), -1);
    host_close(w, &w->a);
    host_open(w, &w->a, "a");
    struct hv_info again;
    assert_true(hv_lookup(w->a.hv, &key, &again));
    assert_int_equal(again.vnc_display, info.vnc_display);
}

static void a_qemu_that_dies_at_start_says_why(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    spec.n_disks = 1;
    spec.disks[0] = (struct hv_disk){.device = "vda", .format = "qcow2"};
    make_image(w, "raw", 1 << 20, spec.disks[0].path);
    struct hv_req req = {.op = HV_START, .spec = &spec};
    assert_int_equal(run_op(w, &w->a, &req), ERR_HYPERVISOR);
    assert_non_null(strstr(req.err.msg, "Image is not in qcow2 format"));
    assert_int_equal(w->a.n_events, 0); /* The request told it. */
}

static void a_missing_bridge_is_told(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    spec.n_vifs = 1;
    spec.vifs[0] = (struct hv_vif){.mac = "52:54:00:00:00:01", .bridge = "nobridge0"};
    struct hv_req req = {.op = HV_START, .spec = &spec};
    int rc = run_op(w, &w->a, &req);
    assert_true(rc == ERR_NOT_FOUND || rc == ERR_DENIED || rc == ERR_UNSUPPORTED);
    assert_true(rc == ERR_UNSUPPORTED || strstr(req.err.msg, "bridge nobridge0") != NULL ||
                rc == ERR_DENIED);
}

static void a_missing_emulator_names_the_package(void **state)
{
    struct world *w = *state;
    struct hv *hv;
    struct err e;
    char dir[64];
    (void)snprintf(dir, sizeof dir, "%s/x", w->dir);
    struct hv_options options = {.driver = "qemu",
                                 .run_dir = dir,
                                 .log_dir = dir,
                                 .host = "a",
                                 .emulator = "/nonexistent/qemu"};
    assert_int_equal(hv_open(&hv, &w->loop, &options, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.msg, "qemu-system-x86"));
    options.emulator = "/bin/true";
    assert_int_equal(hv_open(&hv, &w->loop, &options, &e), ERR_UNSUPPORTED);
    char deep[128];
    (void)snprintf(deep, sizeof deep, "%s/%060d", w->dir, 0);
    options.run_dir = deep;
    options.emulator = NULL;
    assert_int_equal(hv_open(&hv, &w->loop, &options, &e), ERR_TOO_BIG);
    assert_non_null(strstr(e.msg, "too long for the sockets"));
}

static void a_hanging_qemu_is_asked_in_vain_but_can_be_destroyed(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    struct hv_info info;
    start(w, &w->a, &spec);
    assert_true(hv_lookup(w->a.hv, &key, &info));
    assert_int_equal(kill((pid_t)info.pid, SIGSTOP), 0);
    struct hv_req req = {.op = HV_PAUSE, .key = key, .deadline_ms = 100};
    assert_int_equal(run_op(w, &w->a, &req), ERR_TIMEOUT);
    host_close(w, &w->a);
    host_open(w, &w->a, "a");
    assert_int_equal(state_of(&w->a, &key), HV_RUNNING); /* As far as anybody can know. */
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &key), 0);
}

static void a_copy_whose_directory_is_lost_can_be_destroyed(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    start(w, &w->a, &spec);
    host_close(w, &w->a);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s/run", w->a.dir);
    assert_int_equal(system(command), 0); /* NOLINT */
    host_open(w, &w->a, "a");
    assert_int_equal(state_of(&w->a, &key), HV_RUNNING);
    struct hv_req req = {.op = HV_PAUSE, .key = key, .deadline_ms = 300};
    assert_int_not_equal(run_op(w, &w->a, &req), 0);
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &key), 0);
    assert_int_equal(wait_exit(w, &w->a, &key), HV_EXIT_DESTROYED);
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(a_locked_image_is_told_as_locked),
        T(every_device_of_the_spec_is_accepted),
        T(a_qemu_that_dies_at_start_says_why),
        T(a_missing_bridge_is_told),
        T(a_missing_emulator_names_the_package),
        T(a_hanging_qemu_is_asked_in_vain_but_can_be_destroyed),
        T(a_copy_whose_directory_is_lost_can_be_destroyed),
    };
    int failed = run_conformance(argc, argv, CONF_LIFE | CONF_DEVICES);
    return failed + cmocka_run_group_tests_name("qemu", tests, NULL, NULL);
}
