/* The conformance suite on driver qemu, with real guests, and what only QEMU can do wrong. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/tests/conformance/conformance.h"

static uint64_t console_counter(struct hv *hv, const struct hv_key *key)
{
    struct hv_info info;
    char text[4096];
    if (!hv_lookup(hv, key, &info)) {
        return 0;
    }
    int fd = open(info.log, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)sizeof text - 1 ? end - (off_t)sizeof text + 1 : 0;
    ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof text - 1, from);
    if (fd >= 0) {
        (void)close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    uint64_t counter = 0;
    for (const char *p = text; (p = strstr(p, "HB ")) != NULL && strchr(p, '\n') != NULL; p += 3) {
        counter = strtoull(p + 3, NULL, 10);
    }
    return counter;
}

static void console_says(struct hv *hv, const struct hv_key *key, char what)
{
    struct hv_info info;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    assert_true(hv_lookup(hv, key, &info));
    (void)str_copy(addr.sun_path, sizeof addr.sun_path, info.console);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(write(fd, &what, 1), 1);
    /* QEMU drops what it has not read when the other side hangs up: stay until the guest has said
     * something more, or has stopped. */
    struct pollfd p = {.fd = fd, .events = POLLIN};
    (void)poll(&p, 1, 150);
    (void)close(fd);
}

static void process_is_killed(struct hv *hv, const struct hv_key *key)
{
    struct hv_info info;
    assert_true(hv_lookup(hv, key, &info));
    assert_true(info.pid > 1);
    assert_int_equal(kill((pid_t)info.pid, SIGKILL), 0);
}

static void slow(struct hv *hv)
{
    (void)hv; /* slow_rate does it. */
}

static const struct conf_kind qemu_kind = {.driver = "qemu",
                                           .kernel = QEMU_TEST_GUEST,
                                           .model = "ne2k_isa",
                                           .processes = true,
                                           .counter = console_counter,
                                           .guest_does = console_says,
                                           .kill = process_is_killed,
                                           .slow = slow,
                                           .slow_rate = 1u << 16};
const struct conf_kind *conf_kind = &qemu_kind;

/* ---- what only QEMU can do wrong ---- */

static void make_image(const struct world *w, const char *name, off_t size, char *ret_path)
{
    (void)snprintf(ret_path, LIMIT_PATH, "%s/%s", w->dir, name);
    int fd = open(ret_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    (void)close(fd);
}

static bool args_contain(int64_t pid, const char *text)
{
    char path[64];
    char args[16384];
    (void)snprintf(path, sizeof path, "/proc/%lld/cmdline", (long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, args, sizeof args);
    (void)close(fd);
    assert_true(n > 100);
    return memmem(args, (size_t)n, text, strlen(text)) != NULL;
}

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
    assert_non_null(strstr(req.err.msg, "Failed to get \"write\" lock"));
    assert_int_equal(req.state, HV_GONE);
    struct hv_key key = key_of(&one);
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &key), 0);
    start(w, &w->a, &two); /* Free again at once. */
}

static void the_source_cannot_run_while_the_target_has_the_disk(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    host_open(w, &w->b, "b");
    struct hv_spec spec = a_guest(1, 1);
    spec.n_disks = 1;
    spec.disks[0] = (struct hv_disk){.device = "vda"};
    make_image(w, "disk", 1 << 20, spec.disks[0].path);
    struct hv_spec target = spec;
    target.epoch = 2;
    struct hv_key from = key_of(&spec);
    start(w, &w->a, &spec);
    wait_counter(w, &w->a, &from, 1);
    struct hv_req in = {.op = HV_INCOMING_START, .spec = &target, .address = "127.0.0.1"};
    assert_int_equal(run_op(w, &w->b, &in), 0);
    struct hv_info info;
    assert_true(hv_lookup(w->b.hv, &in.key, &info));
    assert_false(args_contain(info.pid, in.ret_secret));
    struct hv_req out = {.op = HV_MIGRATE, .key = from, .live = true};
    (void)str_copy(out.address, sizeof out.address, in.ret_address);
    (void)str_copy(out.secret, sizeof out.secret, in.ret_secret);
    assert_int_equal(run_op(w, &w->a, &out), 0);
    wait_state(w, &w->b, &in.key, HV_ARRIVED);
    char keys[200];
    (void)snprintf(keys, sizeof keys, "%s/run/01010101-0101-0101-0101-010101010101.2/keys",
                   w->b.dir);
    assert_int_equal(access(keys, F_OK), -1);
    assert_int_equal(do_op(w, &w->b, HV_UNPAUSE, &in.key), 0);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &from), ERR_LOCKED);
    assert_int_equal(state_of(&w->a, &from), HV_DEPARTED);
    /* And the other way round: the right is back at the source, the target was told too late. */
    assert_int_equal(do_op(w, &w->b, HV_DESTROY, &in.key), 0);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &from), 0);
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

static void a_target_killed_after_completion_leaves_the_source_departed(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    host_open(w, &w->b, "b");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_spec target = a_guest(1, 2);
    struct hv_key from = key_of(&spec);
    start(w, &w->a, &spec);
    wait_counter(w, &w->a, &from, 1);
    struct hv_req in = {.op = HV_INCOMING_START, .spec = &target, .address = "127.0.0.1"};
    assert_int_equal(run_op(w, &w->b, &in), 0);
    struct hv_req out = {.op = HV_MIGRATE, .key = from, .live = true};
    (void)str_copy(out.address, sizeof out.address, in.ret_address);
    (void)str_copy(out.secret, sizeof out.secret, in.ret_secret);
    assert_int_equal(run_op(w, &w->a, &out), 0);
    process_is_killed(w->b.hv, &in.key);
    assert_int_equal(wait_exit(w, &w->b, &in.key), HV_EXIT_UNKNOWN);
    uint64_t before = counter(&w->a, &from);
    run_for(w, 400);
    assert_int_equal(state_of(&w->a, &from), HV_DEPARTED);
    assert_int_equal(counter(&w->a, &from), before);
}

/* What an operator could do: tell QEMU something by the spare monitor. */
static void tell_spare(struct hv *hv, const struct hv_key *key, const char *command)
{
    char path[200];
    char text[4096];
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char stamp[HV_STAMP_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s/spare", hv->run_dir, hv_stamp(key, stamp));
    (void)str_copy(addr.sun_path, sizeof addr.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_true(read(fd, text, sizeof text) > 0); /* The greeting. */
    static const char hello[] = "{\"execute\":\"qmp_capabilities\"}";
    assert_true(write(fd, hello, strlen(hello)) > 0);
    assert_true(read(fd, text, sizeof text) > 0);
    assert_true(write(fd, command, strlen(command)) > 0);
    assert_true(read(fd, text, sizeof text) > 0);
    (void)close(fd);
}

static uint32_t passes_of(const struct host *h)
{
    uint32_t passes = 0;
    for (uint32_t i = 0; i < h->n_events; i++) {
        const struct hv_event *event = &h->events[i];
        passes = event->kind == HV_EVENT_PROGRESS ? event->progress.passes : passes;
    }
    return passes;
}

/* Many passes over a guest that writes the same pages all the time: with the wrong size of memory
 * QEMU loses writes here (README.md, "Memory"), and the guest goes back in time or says STALE. */
static void a_busy_guest_arrives_with_all_that_it_wrote(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    host_open(w, &w->b, "b");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key from = key_of(&spec);
    (void)str_copy(spec.cmdline, sizeof spec.cmdline, "dirty=1 rate=64");
    struct hv_spec target = spec;
    target.epoch = 2;
    start(w, &w->a, &spec);
    wait_counter(w, &w->a, &from, 3);
    struct hv_req in = {.op = HV_INCOMING_START, .spec = &target, .address = "127.0.0.1"};
    assert_int_equal(run_op(w, &w->b, &in), 0);
    struct hv_req out = {.op = HV_MIGRATE, .key = from, .live = true, .rate_bytes_per_s = 5u << 20};
    (void)str_copy(out.address, sizeof out.address, in.ret_address);
    (void)str_copy(out.secret, sizeof out.secret, in.ret_secret);
    submit(&w->a, &out);
    for (int turn = 0; passes_of(&w->a) < 6 && !is_done(&out) && turn < 5000; turn++) {
        run_once(w);
    }
    if (!is_done(&out)) {
        tell_spare(w->a.hv, &from,
                   "{\"execute\":\"migrate-set-parameters\",\"arguments\":"
                   "{\"max-bandwidth\":1000000000}}");
    }
    wait_done(w, &out);
    assert_int_equal(out.err.code, 0);
    wait_state(w, &w->b, &in.key, HV_ARRIVED);
    uint64_t before = counter(&w->a, &from);
    assert_int_equal(do_op(w, &w->b, HV_UNPAUSE, &in.key), 0);
    run_for(w, 700);
    struct hv_info info;
    char text[16384];
    assert_true(hv_lookup(w->b.hv, &in.key, &info));
    int fd = open(info.log, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    assert_true(n > 0);
    text[n] = '\0';
    assert_null(strstr(text, "STALE"));
    const char *first = strstr(text, "HB ");
    assert_non_null(first);
    assert_int_equal(strtoull(first + 3, NULL, 10), before + 1);
    assert_in_range(passes_of(&w->a), 5, 100);
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(a_locked_image_is_told_as_locked),
        T(the_source_cannot_run_while_the_target_has_the_disk),
        T(every_device_of_the_spec_is_accepted),
        T(a_qemu_that_dies_at_start_says_why),
        T(a_missing_bridge_is_told),
        T(a_missing_emulator_names_the_package),
        T(a_hanging_qemu_is_asked_in_vain_but_can_be_destroyed),
        T(a_copy_whose_directory_is_lost_can_be_destroyed),
        T(a_target_killed_after_completion_leaves_the_source_departed),
        T(a_busy_guest_arrives_with_all_that_it_wrote),
    };
    int failed = run_conformance(argc, argv);
    return failed + cmocka_run_group_tests_name("qemu", tests, NULL, NULL);
}
