/* The conformance suite on driver qemu: moves of real guests, and what only QEMU does in them. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/tests/qemu/kind.h"

static void the_source_cannot_run_while_the_target_has_the_disk(void **state)
{
    struct world *w = *state;
    hosts_open(w);
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
    struct hv_req out = move_to(&in, 1);
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

static void a_target_killed_after_completion_leaves_the_source_departed(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    struct hv_key from = counting_guest(w);
    struct hv_req in = incoming(w, &w->b, 2);
    struct hv_req out = move_to(&in, 1);
    assert_int_equal(run_op(w, &w->a, &out), 0);
    process_is_killed(w->b.hv, &in.key);
    assert_int_equal(wait_exit(w, &w->b, &in.key), HV_EXIT_UNKNOWN);
    uint64_t before = counter(&w->a, &from);
    run_a_while(w);
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
    hosts_open(w);
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key from = key_of(&spec);
    (void)str_copy(spec.cmdline, sizeof spec.cmdline, "dirty=1 rate=64");
    struct hv_spec target = spec;
    target.epoch = 2;
    start(w, &w->a, &spec);
    wait_counter(w, &w->a, &from, 3);
    struct hv_req in = {.op = HV_INCOMING_START, .spec = &target, .address = "127.0.0.1"};
    assert_int_equal(run_op(w, &w->b, &in), 0);
    struct hv_req out = move_to(&in, 1);
    out.rate_bytes_per_s = 5u << 20;
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
    wait_counter(w, &w->b, &in.key, before + 10);
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

/* QEMUs that are started find this `cat` first. */
static void put_cat(const struct world *w, const char *script)
{
    char dir[100];
    char path[120];
    char search[300];
    (void)snprintf(dir, sizeof dir, "%s/bin", w->dir);
    (void)snprintf(path, sizeof path, "%s/cat", dir);
    (void)snprintf(search, sizeof search, "%s:/usr/sbin:/usr/bin:/sbin:/bin", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    assert_true(write(fd, script, strlen(script)) > 0);
    (void)close(fd);
    assert_int_equal(setenv("PATH", search, 1), 0); // NOLINT(concurrency-mt-unsafe)
}

static void save_with(struct world *w, const char *script, struct hv_req *save)
{
    const char *path = getenv("PATH"); // NOLINT(concurrency-mt-unsafe)
    char *before = mem_strdup(path == NULL ? "" : path);
    hosts_open(w);
    put_cat(w, script);
    struct hv_key key = counting_guest(w);
    *save = (struct hv_req){.op = HV_SAVE, .key = key};
    (void)snprintf(save->path, sizeof save->path, "%s/memory", w->dir);
    (void)run_op(w, &w->a, save);
    assert_int_equal(setenv("PATH", before, 1), 0); // NOLINT(concurrency-mt-unsafe)
    free(before);
}

/* QEMU says completed when the last byte is in the pipe. */
static void a_save_is_done_when_all_is_written(void **state)
{
    struct world *w = *state;
    struct hv_req save;
    save_with(w, "#!/bin/sh\nt=$(mktemp)\n/bin/cat >$t\nsleep 0.5\n/bin/cat $t\nrm $t\n", &save);
    assert_int_equal(save.err.code, 0);
    uint64_t saved = counter(&w->a, &save.key);
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &save.key), 0);
    struct hv_spec spec = a_guest(1, 2);
    struct hv_key next = key_of(&spec);
    (void)str_copy(spec.restore, sizeof spec.restore, save.path);
    struct hv_req req = {.op = HV_START, .spec = &spec};
    assert_int_equal(run_op(w, &w->b, &req), 0);
    assert_int_equal(do_op(w, &w->b, HV_UNPAUSE, &next), 0);
    wait_counter(w, &w->b, &next, saved);
}

static void a_save_that_was_not_written_is_none(void **state)
{
    struct world *w = *state;
    struct hv_req save;
    struct stat st;
    save_with(w, "#!/bin/sh\n/bin/cat >/dev/null\nexit 1\n", &save);
    assert_int_equal(save.err.code, ERR_IO);
    assert_int_equal(save.state, HV_RUNNING);
    assert_int_not_equal(stat(save.path, &st), 0);
    wait_counter(w, &w->a, &save.key, counter(&w->a, &save.key));
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(the_source_cannot_run_while_the_target_has_the_disk),
        T(a_target_killed_after_completion_leaves_the_source_departed),
        T(a_busy_guest_arrives_with_all_that_it_wrote),
        T(a_save_is_done_when_all_is_written),
        T(a_save_that_was_not_written_is_none),
    };
    int failed = run_conformance(argc, argv, CONF_MOVES | CONF_SAVES);
    return failed + cmocka_run_group_tests_name("qemu", tests, NULL, NULL);
}
