/* Driver xen, on a real Xen: run by the story that has one (chaos-tests/e2e/xen.sh). Elsewhere it
 * says that it is skipped. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hvdriver/tests/conformance/conformance.h"

/* quorate-xen, the only child of this process; 0: there is none. */
static pid_t find_program(void)
{
    pid_t found = 0;
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        char path[300];
        char text[256] = "";
        (void)snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *f = entry->d_name[0] > '9' ? NULL : fopen(path, "re");
        const char *parent =
            f == NULL || fgets(text, sizeof text, f) == NULL ? NULL : strrchr(text, ')');
        if (f != NULL) {
            (void)fclose(f);
        }
        if (parent != NULL && strtol(parent + 4, NULL, 10) == getpid()) {
            found = (pid_t)strtol(text, NULL, 10);
        }
    }
    (void)closedir(proc);
    return found;
}

/* Its guests go on; what is asked meanwhile is done when it is there again. */
static void the_program_is_killed_and_comes_back(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    pid_t pid = find_program();
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    for (int i = 0; i < 3000 && find_program() == pid; i++) {
        run_once(w);
    }
    assert_int_equal(state_of(&w->a, &key), HV_RUNNING);
    assert_int_equal(do_op(w, &w->a, HV_PAUSE, &key), 0);
    assert_true(find_program() != pid);
    assert_int_equal(state_of(&w->a, &key), HV_PAUSED);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &key), 0);
    wait_counter(w, &w->a, &key, counter(&w->a, &key));
    assert_int_equal(w->a.n_events > 0 && w->a.events[0].kind == HV_EVENT_EXIT, 0);
}

int main(int argc, char **argv)
{
    if (access("/proc/xen/privcmd", R_OK | W_OK) != 0) {
        (void)printf("skipped: this is no control domain of a Xen (/proc/xen/privcmd)\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_program_is_killed_and_comes_back, world_setup,
                                        world_teardown),
    };
    int failed = run_conformance(argc, argv, CONF_LIFE | CONF_MOVES | CONF_SAVES | CONF_DEVICES);
    return failed + cmocka_run_group_tests_name("xen", tests, NULL, NULL);
}
