/* The folder as a whole: three members in three processes, over loopback, on the real disk. */

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/err.h"

#include "raftlog/raftlog.h"
#include "raftlog/tests/check.h"
#include "raftlog/tests/proc.h"

#define N           3
#define PATIENCE_MS 15000u

static struct proc members[N];
static char parent[64];
static char small[96]; /* A small file system with the directory of the third; "": not possible. */

/* Until a condition holds, or patience ends and the test with it. */
static uint64_t until_ms;

static void patience(void)
{
    until_ms = os_clock()->mono_ms(os_clock()) + PATIENCE_MS;
}

static void again(const char *what)
{
    if (os_clock()->mono_ms(os_clock()) > until_ms) {
        for (int i = 0; i < N; i++) {
            struct proc_status s;
            if (proc_look(&members[i], &s)) {
                print_error("%s: id %" PRIu64 " leader %" PRIu64 " term %" PRIu64 " commit %" PRIu64
                            " applied %" PRIu64 " last %" PRIu64 " snapshot %" PRIu64
                            " blank %d failed %d full %d\n",
                            members[i].name, s.raft_id, s.leader, s.term, s.commit, s.applied,
                            s.last, s.snapshot, s.blank, s.failed, s.disk_full);
            } else {
                print_error("%s: dead\n", members[i].name);
            }
        }
        fail_msg("waited too long until %s", what);
    }
    struct timespec t = {.tv_nsec = 5000000}; /* Between two looks. */
    (void)nanosleep(&t, NULL);
}

/* Whoever asks for it in a loop of its own has the patience of that loop. */
static struct proc *leader_now(void)
{
    struct proc_status s;
    for (;;) {
        for (int i = 0; i < N; i++) {
            if (proc_look(&members[i], &s) && s.leading && !s.failed) {
                return &members[i];
            }
        }
        again("there is a leader");
    }
}

static struct proc *leader(void)
{
    patience();
    return leader_now();
}

/* Ask whoever leads for a change of the members until it is made. One that was told of a failure
 * may have been made nevertheless. */
static void ask_until_role(const char *line, uint64_t raft_id, int role)
{
    patience();
    while (proc_role(leader_now(), raft_id) != role) {
        (void)proc_ask(leader_now(), "%s", line);
        again(line);
    }
}

static void add(struct proc *m, uint64_t raft_id)
{
    char line[128];
    (void)snprintf(line, sizeof line, "add %" PRIu64 " %s", raft_id, m->address);
    patience();
    while (proc_role(leader_now(), raft_id) < 0) {
        (void)proc_ask(leader_now(), "%s", line);
        again("a member is added");
    }
    (void)snprintf(line, sizeof line, "role %" PRIu64 " %d", raft_id, RAFTLOG_VOTER);
    while (proc_role(leader_now(), raft_id) != RAFTLOG_VOTER) {
        (void)proc_ask(leader_now(), "%s", line);
        again("a member is promoted");
    }
}

/* All that run have applied the same, and are the same. */
static void wait_equal(uint64_t least_count)
{
    patience();
    for (;;) {
        struct proc_status s[N];
        bool equal = true;
        for (int i = 0; i < N; i++) {
            equal = equal && proc_look(&members[i], &s[i]) && !s[i].failed &&
                    s[i].applied == s[0].applied && s[i].commit == s[0].commit;
        }
        if (equal && s[0].count >= least_count) {
            for (int i = 1; i < N; i++) {
                assert_int_equal(s[i].count, s[0].count);
                assert_int_equal(s[i].hash, s[0].hash);
            }
            return;
        }
        again("all members are equal");
    }
}

static uint64_t load(struct proc *m, uint64_t n, uint64_t depth)
{
    uint64_t done = 0;
    uint64_t number = proc_begin(m, "load %" PRIu64 " %" PRIu64 " 10000", n, depth);
    assert_int_equal(proc_reply(m, number, &done), 0);
    assert_int_equal(done, n);
    return done;
}

/* A file system that can be filled, seen by this test alone and gone with it. */
static void make_small(void)
{
    (void)snprintf(small, sizeof small, "%s/small", parent);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mkdir(small, 0700) != 0 || mount("small", small, "tmpfs", 0, "size=48m") != 0) {
        small[0] = '\0';
    }
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(parent, sizeof parent, "/tmp/quorate-raftlog-XXXXXX");
    assert_non_null(mkdtemp(parent));
    static const char *const names[N] = {"h1", "h2", "h3"};
    make_small();
    for (int i = 0; i < N; i++) {
        proc_init(&members[i], names[i], i == 2 && small[0] != '\0' ? small : parent);
        proc_start(&members[i]);
    }
    assert_int_equal(proc_ask(&members[0], "bootstrap"), 0);
    add(&members[1], 2);
    add(&members[2], 3);
    return 0;
}

static void remove_tree(const char *dir)
{
    char line[320];
    (void)snprintf(line, sizeof line, "rm -rf '%s' '%s'.refused-*", dir, dir);
    assert_int_equal(system(line), 0); /* NOLINT(cert-env33-c): a name made here. */
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) {
        proc_done(&members[i]);
    }
    if (small[0] != '\0') {
        assert_int_equal(umount(small), 0);
    }
    remove_tree(parent);
    return 0;
}

static void every_member_proposes_and_all_are_equal(void **state)
{
    (void)state;
    uint64_t done = 0;
    for (int i = 0; i < N; i++) {
        done += load(&members[i], 50, 1);
        done += load(&members[i], 200, 32);
    }
    wait_equal(done);
}

static void a_read_sees_every_write_before_it_through_any_member(void **state)
{
    (void)state;
    uint64_t value = 0;
    for (int round = 0; round < 12; round++) {
        struct proc_status s;
        (void)load(&members[round % N], 5, 5);
        assert_true(proc_look(&members[round % N], &s));
        uint64_t number = proc_begin(&members[(round + 1) % N], "read 10000");
        assert_int_equal(proc_reply(&members[(round + 1) % N], number, &value), 0);
        assert_int_equal(value, s.count);
    }
}

static void a_killed_follower_comes_back_to_its_log(void **state)
{
    (void)state;
    struct proc *l = leader();
    struct proc *f = l == &members[2] ? &members[1] : &members[2];
    struct proc_status before;
    struct proc_status after;
    assert_true(proc_look(f, &before));
    proc_kill(f);
    (void)load(l, 60, 8);
    proc_start(f);
    wait_equal(0);
    assert_true(proc_look(f, &after));
    assert_false(after.refused);
    assert_int_equal(after.incarnation, before.incarnation + 1);
    assert_int_equal(after.raft_id, before.raft_id);
}

static void a_killed_leader_is_replaced_and_loses_nothing(void **state)
{
    (void)state;
    uint64_t sum_ms = 0;
    for (int round = 0; round < 3; round++) {
        struct proc *l = leader();
        struct proc *f = l == &members[0] ? &members[1] : &members[0];
        struct proc_status s;
        assert_true(proc_look(f, &s));
        uint64_t number = proc_begin(f, "load 300 8 10000");
        proc_kill(l);
        uint64_t from = os_clock()->mono_ms(os_clock());
        assert_int_equal(proc_ask(f, "read 10000"), 0);
        sum_ms += os_clock()->mono_ms(os_clock()) - from;
        uint64_t done = 0;
        (void)number;
        (void)done;
        proc_start(l);
        wait_equal(s.count + 300); /* The load rode the change of leader out. */
    }
    print_message("leader killed: a read through another member after %" PRIu64 " ms (mean)\n",
                  sum_ms / 3);
}

#define QUICK_KILLS 7
#define ELECTION_MS 200u /* The default: nobody stands earlier of his own. */

static int compare_ms(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Its system ends its connections, in whatever order: that is news enough. */
static void a_killed_leader_is_replaced_before_anybodys_patience_ends(void **state)
{
    (void)state;
    uint64_t ms[QUICK_KILLS];
    for (int i = 0; i < QUICK_KILLS; i++) {
        struct proc *l = leader();
        struct proc *f = l == &members[0] ? &members[1] : &members[0];
        wait_equal(0);
        uint64_t from = os_clock()->mono_ms(os_clock());
        proc_kill(l);
        (void)load(f, 1, 1);
        ms[i] = os_clock()->mono_ms(os_clock()) - from;
        proc_start(l);
        wait_equal(0);
    }
    qsort(ms, QUICK_KILLS, sizeof ms[0], compare_ms);
    print_message("leader killed: a proposal through another member after %" PRIu64
                  " ms (median), %" PRIu64 " ms (worst)\n",
                  ms[QUICK_KILLS / 2], ms[QUICK_KILLS - 1]);
    assert_true(ms[QUICK_KILLS / 2] < ELECTION_MS);
}

static void leadership_is_handed_over_without_an_election(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 3; id++) {
        char line[32];
        struct proc_status s;
        (void)snprintf(line, sizeof line, "transfer %" PRIu64, id);
        patience();
        for (;;) {
            assert_true(proc_look(leader_now(), &s));
            if (s.raft_id == id) {
                break;
            }
            (void)proc_ask(leader_now(), "%s", line);
            again("leadership is handed over");
        }
        (void)load(leader(), 5, 1);
    }
}

static void a_leader_that_closes_hands_over_first(void **state)
{
    (void)state;
    struct proc *l = leader();
    struct proc *f = l == &members[0] ? &members[1] : &members[0];
    proc_close(l);
    (void)load(f, 5, 1);
    proc_start(l);
    wait_equal(0);
}

static void set_role(uint64_t raft_id, enum raftlog_role role)
{
    char line[64];
    (void)snprintf(line, sizeof line, "role %" PRIu64 " %d", raft_id, (int)role);
    ask_until_role(line, raft_id, (int)role);
}

/* It leads as soon as it starts, before there is anybody whom it could tell. */
static void an_only_voter_with_standbys_comes_back(void **state)
{
    (void)state;
    struct proc *l = leader();
    struct proc_status s[N];
    for (int i = 0; i < N; i++) {
        assert_true(proc_look(&members[i], &s[i]));
        if (&members[i] != l) {
            set_role(s[i].raft_id, RAFTLOG_STANDBY);
        }
    }
    proc_kill(l);
    proc_start(l);
    (void)load(l, 5, 1);
    wait_equal(0);
    for (int i = 0; i < N; i++) {
        if (&members[i] != l) {
            set_role(s[i].raft_id, RAFTLOG_VOTER);
        }
    }
    wait_equal(0);
}

/* Its directory is lost; it comes back blank and gets a new number and a snapshot. */
static void a_wiped_member_is_filled_by_a_snapshot(void **state)
{
    (void)state;
    struct proc_status s;
    (void)load(leader(), 3 * PROC_SNAPSHOT_ENTRIES, 64);
    struct proc *m = leader() == &members[0] ? &members[1] : &members[0];
    assert_true(proc_look(m, &s));
    uint64_t old = s.raft_id;
    proc_kill(m);
    remove_tree(m->dir);
    proc_start(m);
    assert_true(proc_look(m, &s));
    assert_true(s.blank);
    char line[32];
    (void)snprintf(line, sizeof line, "remove %" PRIu64, old);
    patience();
    while (proc_role(leader(), old) >= 0) {
        (void)proc_ask(leader(), "%s", line);
        again("the old number is taken out");
    }
    add(m, 9);
    wait_equal(3 * PROC_SNAPSHOT_ENTRIES);
    assert_true(proc_look(m, &s));
    assert_int_equal(s.raft_id, 9);
    assert_true(s.first > 1 && s.snapshot > 0);
    proc_kill(m); /* And what it got, it keeps. */
    proc_start(m);
    wait_equal(3 * PROC_SNAPSHOT_ENTRIES);
    assert_true(proc_look(m, &s));
    assert_false(s.refused);
}

/* One bit of its log flips while it is down: the directory is set aside, the member is blank, and
 * the others bring it back. */
static void a_damaged_directory_is_set_aside(void **state)
{
    (void)state;
    struct proc *m = leader() == &members[2] ? &members[1] : &members[2];
    struct proc_status s;
    assert_true(proc_look(m, &s));
    uint64_t old = s.raft_id;
    proc_kill(m);
    char line[256];
    (void)snprintf(line, sizeof line,
                   "f=$(ls %s/wal-0* | tail -3 | head -1); "
                   "printf '\\377\\377' | dd of=$f bs=1 seek=4200 conv=notrunc 2>/dev/null",
                   m->dir);
    assert_int_equal(system(line), 0); /* NOLINT(cert-env33-c): a name made here. */
    proc_start(m);
    assert_true(proc_look(m, &s));
    assert_true(s.refused && s.blank);
    struct stat st;
    (void)snprintf(line, sizeof line, "%s.refused-1", m->dir);
    assert_int_equal(stat(line, &st), 0);
    (void)snprintf(line, sizeof line, "remove %" PRIu64, old);
    ask_until_role(line, old, -1);
    add(m, 10);
    wait_equal(0);
}

/* Yesterday's directory is put back: its member has said more since, and the others know. */
static void a_directory_put_back_from_a_backup_is_refused(void **state)
{
    (void)state;
    struct proc *m = leader() == &members[2] ? &members[1] : &members[2];
    struct proc_status s;
    assert_true(proc_look(m, &s));
    uint64_t old = s.raft_id;
    char line[512];
    proc_close(m);
    (void)snprintf(line, sizeof line, "cp -a %s %s.backup", m->dir, m->dir);
    assert_int_equal(system(line), 0); /* NOLINT(cert-env33-c): a name made here. */
    proc_start(m);
    (void)load(leader(), 30, 4);
    wait_equal(0);
    proc_kill(m);
    (void)snprintf(line, sizeof line, "rm -rf %s && mv %s.backup %s", m->dir, m->dir, m->dir);
    assert_int_equal(system(line), 0); /* NOLINT(cert-env33-c): a name made here. */
    proc_start(m);
    patience();
    do {
        again("the old directory is noticed");
        assert_true(proc_look(m, &s));
    } while (!s.failed);
    proc_kill(m);
    proc_start(m); /* The program ends and is started again: the directory is set aside. */
    assert_true(proc_look(m, &s));
    assert_true(s.refused && s.blank);
    (void)snprintf(line, sizeof line, "remove %" PRIu64, old);
    ask_until_role(line, old, -1);
    add(m, 11);
    wait_equal(0);
}

/* Write until nothing fits any more. */
static void fill_disk(const char *path)
{
    static const uint8_t zeros[65536];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    size_t step = sizeof zeros;
    while (step > 0) {
        ssize_t n = write(fd, zeros, step);
        step = n > 0 ? step : step / 2;
    }
    (void)close(fd);
}

/* It leads when its disk fills up: it gives leadership away, the others go on, and when there is
 * room again so does it, with everything it had. */
static void a_leader_whose_disk_is_full_gives_way(void **state)
{
    (void)state;
    if (small[0] == '\0') {
        skip(); /* Not allowed to mount. */
    }
    struct proc *m = &members[2];
    struct proc_status s;
    char filler[128];
    char line[32];
    (void)snprintf(filler, sizeof filler, "%s/filler", small);
    assert_true(proc_look(m, &s));
    (void)snprintf(line, sizeof line, "transfer %" PRIu64, s.raft_id);
    patience();
    while (leader_now() != m) {
        (void)proc_ask(leader_now(), "%s", line);
        again("leadership is where the test wants it");
    }
    fill_disk(filler);
    patience();
    do { /* Some may be told that there is no room: certainly not appended. */
        (void)proc_ask(&members[0], "load 100 32 10000");
        assert_true(proc_look(m, &s));
        assert_false(s.failed);
        again("it says that its disk is full");
    } while (!s.disk_full);
    while (leader() == m) {
        again("another leads");
    }
    (void)load(&members[0], 4000, 64); /* More than its segments hold. */
    assert_true(leader() != m);
    assert_true(proc_look(m, &s));
    assert_false(s.failed);
    uint64_t applied = s.applied;
    assert_int_equal(unlink(filler), 0);
    patience();
    do {
        again("it says that there is room");
        assert_true(proc_look(m, &s));
    } while (s.disk_full);
    assert_false(s.failed);
    proc_kill(m);
    proc_start(m);
    patience();
    do {
        again("it has what it had");
        assert_true(proc_look(m, &s));
    } while (s.applied < applied && s.last < applied);
    assert_false(s.refused || s.failed);
}

static void two_daemons_on_one_directory_are_refused(void **state)
{
    (void)state;
    struct proc twin = members[0];
    struct proc_status s;
    twin.pid = 0;
    proc_start(&twin);
    assert_false(proc_look(&twin, &s)); /* It says why, and is gone. */
    proc_kill(&twin);
    wait_equal(0);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* As the daemon does. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_proposes_and_all_are_equal),
        cmocka_unit_test(a_read_sees_every_write_before_it_through_any_member),
        cmocka_unit_test(a_killed_follower_comes_back_to_its_log),
        cmocka_unit_test(a_killed_leader_is_replaced_and_loses_nothing),
        cmocka_unit_test(a_killed_leader_is_replaced_before_anybodys_patience_ends),
        cmocka_unit_test(leadership_is_handed_over_without_an_election),
        cmocka_unit_test(a_leader_that_closes_hands_over_first),
        cmocka_unit_test(an_only_voter_with_standbys_comes_back),
        cmocka_unit_test(a_wiped_member_is_filled_by_a_snapshot),
        cmocka_unit_test(a_damaged_directory_is_set_aside),
        cmocka_unit_test(a_directory_put_back_from_a_backup_is_refused),
        cmocka_unit_test(two_daemons_on_one_directory_are_refused),
        cmocka_unit_test(a_leader_whose_disk_is_full_gives_way),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
