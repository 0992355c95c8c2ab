/* A guest's memory in a file, and back. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/tests/conformance/conformance.h"

static void path_in(const struct world *w, char to[LIMIT_PATH + 1], const char *name)
{
    (void)snprintf(to, LIMIT_PATH + 1, "%s/%s", w->dir, name);
}

static struct hv_req save_of(const struct hv_key *key, const char *path)
{
    struct hv_req req = {.op = HV_SAVE, .key = *key};
    (void)str_copy(req.path, sizeof req.path, path);
    return req;
}

/* Of a path: for one question at a time. */
static const char *dirname_of(const char *path)
{
    static char dir[LIMIT_PATH + 1];
    (void)str_copy(dir, sizeof dir, path);
    *strrchr(dir, '/') = '\0';
    return dir;
}

static uint32_t files_in(const char *dir)
{
    char command[LIMIT_PATH + 64];
    unsigned n = 0;
    (void)snprintf(command, sizeof command, "ls -A '%s' | wc -l", dir);
    FILE *f = popen(command, "re"); // NOLINT(cert-env33-c): a test's own directory
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%u", &n), 1); // NOLINT(cert-err34-c)
    (void)pclose(f);
    return n;
}

static void a_guest_goes_on_from_its_file_on_another_host(void **state)
{
    struct world *w = *state;
    char path[LIMIT_PATH + 1];
    hosts_open(w);
    struct hv_key key = counting_guest(w);
    path_in(w, path, "pool/it's saved, \"here\"");
    struct hv_req save = save_of(&key, path);
    assert_int_equal(run_op(w, &w->a, &save), 0);
    assert_int_equal(save.state, HV_DEPARTED);
    uint64_t saved = counter(&w->a, &key);
    run_a_while(w);
    assert_int_equal(counter(&w->a, &key), saved);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0077, 0); /* A guest's memory is nobody else's to read. */
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &key), 0);

    struct hv_spec spec = a_guest(1, 9);
    struct hv_key there = key_of(&spec);
    (void)str_copy(spec.restore, sizeof spec.restore, path);
    struct hv_req req = {.op = HV_START, .spec = &spec};
    assert_int_equal(run_op(w, &w->b, &req), 0);
    assert_int_equal(req.state, HV_ARRIVED);
    run_a_while(w);
    assert_int_equal(state_of(&w->b, &there), HV_ARRIVED); /* Never by itself. */
    assert_false(heard_state(&w->b, &there, HV_RUNNING));
    assert_int_equal(do_op(w, &w->b, HV_UNPAUSE, &there), 0);
    wait_counter(w, &w->b, &there, saved);
    assert_int_equal(files_in(dirname_of(path)), 1); /* The file is the caller's to remove. */
}

static void a_save_that_fails_leaves_no_file_and_the_guest_running(void **state)
{
    struct world *w = *state;
    char path[LIMIT_PATH + 1];
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    path_in(w, path, "no/such/directory");
    struct hv_req nowhere = save_of(&key, path);
    assert_int_equal(run_op(w, &w->a, &nowhere), ERR_NOT_FOUND);
    assert_int_equal(nowhere.state, HV_RUNNING);
    struct hv_req relative = save_of(&key, "relative");
    assert_int_equal(run_op(w, &w->a, &relative), ERR_INVALID);
    wait_counter(w, &w->a, &key, counter(&w->a, &key));
    path_in(w, path, "pool/there");
    struct hv_req save = save_of(&key, path);
    assert_int_equal(run_op(w, &w->a, &save), 0);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &key), 0);
    wait_counter(w, &w->a, &key, counter(&w->a, &key));
    struct hv_req again = save_of(&key, path);
    assert_int_equal(run_op(w, &w->a, &again), ERR_EXISTS);
    assert_int_equal(again.state, HV_RUNNING);
    wait_counter(w, &w->a, &key, counter(&w->a, &key));
    assert_int_equal(files_in(dirname_of(path)), 1);
}

static void a_paused_guest_is_saved_as_it_stands(void **state)
{
    struct world *w = *state;
    char path[LIMIT_PATH + 1];
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    assert_int_equal(do_op(w, &w->a, HV_PAUSE, &key), 0);
    path_in(w, path, "no/such/directory");
    struct hv_req fails = save_of(&key, path);
    assert_int_equal(run_op(w, &w->a, &fails),
                     conf_kind->takes_part ? ERR_UNSUPPORTED : ERR_NOT_FOUND);
    assert_int_equal(fails.state, HV_PAUSED);
    path_in(w, path, "paused");
    struct hv_req save = save_of(&key, path);
    if (conf_kind->takes_part) {
        assert_int_equal(run_op(w, &w->a, &save), ERR_UNSUPPORTED);
        assert_int_equal(save.state, HV_PAUSED);
        return;
    }
    assert_int_equal(run_op(w, &w->a, &save), 0);
    assert_int_equal(save.state, HV_DEPARTED);
    uint64_t saved = counter(&w->a, &key);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &key), 0);
    wait_counter(w, &w->a, &key, saved);
}

static void a_save_is_cancelled_or_came_in_time(void **state)
{
    struct world *w = *state;
    char path[LIMIT_PATH + 1];
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    path_in(w, path, "pool/f");
    struct hv_req save = save_of(&key, path);
    submit(&w->a, &save);
    assert_int_equal(do_op(w, &w->a, HV_MIGRATE_CANCEL, &key), 0);
    wait_done(w, &save);
    bool saved = save.err.code == 0;
    assert_int_equal(save.state, saved ? HV_DEPARTED : HV_RUNNING);
    if (!saved) {
        assert_int_equal(save.err.code, ERR_CANCELLED);
        wait_counter(w, &w->a, &key, counter(&w->a, &key));
    }
    for (int i = 0; i < 100 && files_in(dirname_of(path)) != (saved ? 1 : 0); i++) {
        run_for(w, 20); /* It is removed at leisure. */
    }
    assert_int_equal(files_in(dirname_of(path)), saved ? 1 : 0);
}

static void a_copy_that_is_destroyed_midway_leaves_no_file(void **state)
{
    struct world *w = *state;
    char path[LIMIT_PATH + 1];
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    path_in(w, path, "pool/f");
    struct hv_req save = save_of(&key, path);
    submit(&w->a, &save);
    run_once(w);
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &key), 0);
    assert_true(is_done(&save));
    struct stat st;
    run_a_while(w);
    assert_true(save.err.code == 0 || stat(path, &st) != 0);
}

static void a_file_that_is_no_memory_does_not_start(void **state)
{
    struct world *w = *state;
    char path[LIMIT_PATH + 1];
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 3);
    struct hv_key key = key_of(&spec);
    path_in(w, path, "nothing");
    (void)str_copy(spec.restore, sizeof spec.restore, path);
    struct hv_req missing = {.op = HV_START, .spec = &spec};
    assert_int_equal(run_op(w, &w->a, &missing), ERR_NOT_FOUND);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    (void)fputs("this is no guest's memory", f);
    (void)fclose(f);
    spec.epoch = 4;
    struct hv_req rubbish = {.op = HV_START, .spec = &spec};
    assert_int_not_equal(run_op(w, &w->a, &rubbish), 0);
    assert_int_equal(rubbish.state, HV_GONE);
    key.epoch = 4;
    assert_int_equal(state_of(&w->a, &key), HV_GONE);
}

/* The file was cut: by a full disk that lied, or by a hand. */
static void a_file_that_was_cut_does_not_start(void **state)
{
    struct world *w = *state;
    char path[LIMIT_PATH + 1];
    struct stat st;
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    path_in(w, path, "cut");
    struct hv_req save = save_of(&key, path);
    assert_int_equal(run_op(w, &w->a, &save), 0);
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &key), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size / 2), 0);
    struct hv_spec spec = a_guest(1, 5);
    (void)str_copy(spec.restore, sizeof spec.restore, path);
    struct hv_req req = {.op = HV_START, .spec = &spec};
    assert_int_not_equal(run_op(w, &w->a, &req), 0);
    assert_int_equal(req.state, HV_GONE);
}

static void a_restored_copy_is_found_again_as_arrived(void **state)
{
    struct world *w = *state;
    char path[LIMIT_PATH + 1];
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    path_in(w, path, "kept");
    struct hv_req save = save_of(&key, path);
    assert_int_equal(run_op(w, &w->a, &save), 0);
    uint64_t saved = counter(&w->a, &key);
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, &key), 0);
    struct hv_spec spec = a_guest(1, 5);
    struct hv_key next = key_of(&spec);
    (void)str_copy(spec.restore, sizeof spec.restore, path);
    struct hv_req req = {.op = HV_START, .spec = &spec};
    assert_int_equal(run_op(w, &w->a, &req), 0);
    host_close(w, &w->a);
    host_open(w, &w->a, "a");
    wait_state(w, &w->a, &next, HV_ARRIVED);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &next), 0);
    wait_counter(w, &w->a, &next, saved);
    host_close(w, &w->a);
    host_open(w, &w->a, "a");
    wait_state(w, &w->a, &next, HV_RUNNING); /* It ran: no longer what is kept in the file. */
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)

const struct CMUnitTest conf_saving_tests[] = {
    T(a_guest_goes_on_from_its_file_on_another_host),
    T(a_save_that_fails_leaves_no_file_and_the_guest_running),
    T(a_paused_guest_is_saved_as_it_stands),
    T(a_save_is_cancelled_or_came_in_time),
    T(a_copy_that_is_destroyed_midway_leaves_no_file),
    T(a_file_that_is_no_memory_does_not_start),
    T(a_file_that_was_cut_does_not_start),
    T(a_restored_copy_is_found_again_as_arrived),
};
const size_t n_conf_saving_tests = ARRAY_LEN(conf_saving_tests);
