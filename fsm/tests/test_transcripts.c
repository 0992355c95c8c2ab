/* Every story in this folder holds, and gives the same state whatever the batches, also when a
 * snapshot carries it to another store in the middle. */

#include <glob.h>
#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "fsm/tests/story.h"
#include "fsm/tests/world.h"

/* Apply entries in transactions of `batch`. */
static void replay(struct fsm *f, const struct buf *entries, size_t n, size_t batch)
{
    struct fsm_applied_entry done;
    struct err e = {0};
    for (size_t i = 0; i < n; i++) {
        if (i % batch == 0) {
            assert_int_equal(fsm_begin(f, &e), 0);
        }
        uint64_t index = (i % batch == 0 ? fsm_applied(f) : done.index) + 1;
        assert_int_equal(
            fsm_apply(f, &(struct fsm_input){index, /*term=*/1, entries[i].data, entries[i].len},
                      &done, &e),
            0);
        if (i % batch == batch - 1 || i == n - 1) {
            assert_int_equal(fsm_commit(f, &e), 0);
        }
    }
}

static void run(void **state)
{
    const char *path = *state;
    struct story_log log = {0};
    struct err e = {0};
    struct fsm *a = world_open_new();
    struct fsm *b = world_open_new();
    struct fsm *c = world_open_new();
    if (story_run(path, a, &log, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    assert_true(log.n > 0);
    size_t half = log.n / 2;
    replay(b, log.entries, half, 3);
    world_copy(b, c);
    assert_true(world_same(b, c));
    replay(c, log.entries + half, log.n - half, 5);
    assert_true(world_same(a, c));
    story_log_done(&log);
    (void)fsm_close(a);
    (void)fsm_close(b);
    (void)fsm_close(c);
}

int main(void)
{
    glob_t found;
    if (glob(FSM_TESTS_DIR "/*.t", 0, NULL, &found) != 0) {
        return 1;
    }
    struct CMUnitTest *tests = mem_new(found.gl_pathc, sizeof *tests);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *name = strrchr(found.gl_pathv[i], '/') + 1;
        tests[i] =
            (struct CMUnitTest){.name = name, .test_func = run, .initial_state = found.gl_pathv[i]};
    }
    int failed = _cmocka_run_group_tests("transcripts", tests, found.gl_pathc, NULL, NULL);
    free(tests);
    globfree(&found);
    return failed;
}
