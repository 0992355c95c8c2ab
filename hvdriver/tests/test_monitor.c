/* A QEMU that misbehaves at a chosen command of its monitor: it dies, hangs, drops the connection,
 * answers with noise, an error, or one byte at a time. The driver must end every request, and leave
 * no copy in a state out of which nothing leads. The emulator is this program itself. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/qemu_args.h"
#include "hvdriver/tests/conformance/conformance.h"

/* What goes wrong when the command with the number `at` arrives; the handshake is number 1. */
static const char *const troubles[] = {
    "die",   /* Killed before it does what is asked. */
    "drop",  /* The connection breaks; nothing is done. */
    "lose",  /* It is done, the connection breaks before the answer. */
    "noise", /* It is done, the answer is not readable. */
    "error", /* It is refused. */
    "hang",  /* Never answered. */
};

/* ---- the emulator ---- */

struct fake {
    const char *trouble; /* "" for none. */
    long at;
    long n; /* Commands so far. */
    bool by_bytes;
    int fd;
    const char *status;
    const char *migration;
};

static void put(const struct fake *f, const char *text)
{
    size_t len = strlen(text);
    size_t step = f->by_bytes ? 1 : len;
    for (size_t i = 0; i < len; i += step) {
        (void)send(f->fd, text + i, step, MSG_NOSIGNAL);
    }
}

static void put_return(const struct fake *f, const char *id, const char *value)
{
    char text[600];
    (void)snprintf(text, sizeof text, "{\"return\": %s%s%s}\r\n", value, id[0] == '\0' ? "" : ", ",
                   id);
    put(f, text);
}

static void put_event(const struct fake *f, const char *name, const char *data)
{
    char text[300];
    (void)snprintf(text, sizeof text, "{\"event\": \"%s\", \"data\": {%s}}\r\n", name, data);
    put(f, text);
}

static bool is(const char *line, const char *command)
{
    char text[64];
    (void)snprintf(text, sizeof text, "\"execute\":\"%s\"", command);
    return strstr(line, text) != NULL;
}

/* Do what the command asks. Events of what it did come before its answer. */
static void carry_out(struct fake *f, const char *line)
{
    if (is(line, "quit")) {
        _exit(0);
    } else if (is(line, "cont")) {
        f->status = "running";
        put_event(f, "RESUME", "");
    } else if (is(line, "stop")) {
        f->status = "paused";
        put_event(f, "STOP", "");
    } else if (is(line, "migrate-incoming")) {
        f->migration = "setup";
    } else if (is(line, "migrate")) {
        put_event(f, "MIGRATION", "\"status\": \"active\"");
        put_event(f, "STOP", "");
        f->status = "postmigrate";
        f->migration = "completed";
        put_event(f, "MIGRATION", "\"status\": \"completed\"");
    } else if (is(line, "migrate_cancel") && strcmp(f->migration, "completed") != 0) {
        f->migration = "cancelled";
    }
}

static void answer(const struct fake *f, const char *line, const char *id)
{
    char text[400] = "{}";
    if (is(line, "query-status")) {
        (void)snprintf(text, sizeof text, "{\"status\": \"%s\"}", f->status);
    } else if (is(line, "query-migrate")) {
        (void)snprintf(text, sizeof text,
                       "{\"status\": \"%s\", \"socket-address\": [{\"port\": \"7\"}], "
                       "\"ram\": {\"total\": 4096, \"remaining\": 0}}",
                       f->migration);
    }
    put_return(f, id, text);
}

/* One command; false: the connection is over. */
static bool handle(struct fake *f, const char *line)
{
    char id[48] = "";
    const char *at = strstr(line, "\"id\":");
    if (at != NULL) {
        (void)snprintf(id, sizeof id, "\"id\": %ld", strtol(at + 5, NULL, 10));
    }
    bool now = ++f->n == f->at;
    if (now && strcmp(f->trouble, "die") == 0) {
        (void)raise(SIGKILL);
    }
    if (now && strcmp(f->trouble, "drop") == 0) {
        return false;
    }
    if (now && strcmp(f->trouble, "error") == 0) {
        char text[128];
        (void)snprintf(text, sizeof text,
                       "{\"error\": {\"class\": \"X\", \"desc\": \"no\"}, %s}\r\n", id);
        put(f, text);
        return true;
    }
    carry_out(f, line);
    if (now && strcmp(f->trouble, "lose") == 0) {
        return false;
    }
    if (now && strcmp(f->trouble, "noise") == 0) {
        put(f, "\x01{{{ this is no answer\r\n");
        return true;
    }
    if (now && strcmp(f->trouble, "hang") == 0) {
        for (;;) {
            (void)pause();
        }
    }
    answer(f, line, id);
    return true;
}

static void converse(struct fake *f)
{
    char text[8192];
    size_t len = 0;
    ssize_t n;
    put(f, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n");
    while ((n = read(f->fd, text + len, sizeof text - 1 - len)) > 0) {
        char *end;
        len += (size_t)n;
        text[len] = '\0';
        while ((end = strchr(text, '\n')) != NULL) {
            *end = '\0';
            if (!handle(f, text)) {
                return;
            }
            len -= (size_t)(end + 1 - text);
            memmove(text, end + 1, len + 1);
        }
    }
}

static int be_qemu(int argc, char **argv)
{
    struct fake f = {.trouble = "", .status = "prelaunch", .migration = "none"};
    char *script = getenv("FAKE_QEMU"); /* NOLINT(concurrency-mt-unsafe) */
    char *space = script == NULL ? NULL : strchr(script, ' ');
    if (space != NULL) {
        *space = '\0';
        f.trouble = script;
        f.at = strtol(space + 1, NULL, 10);
        f.by_bytes = strcmp(script, "bytes") == 0;
    }
    for (int i = 1; i < argc; i++) {
        f.status = strcmp(argv[i], "-incoming") == 0 ? "inmigrate" : f.status;
    }
    for (;;) {
        f.fd = accept(QEMU_FD_QMP, NULL, NULL);
        if (f.fd < 0) {
            return 1;
        }
        converse(&f);
        (void)close(f.fd);
    }
}

/* ---- the tests ---- */

static uint64_t no_counter(struct hv *hv, const struct hv_key *key)
{
    (void)hv;
    (void)key;
    return 0;
}

static struct conf_kind fake_kind = {.driver = "qemu",
                                     .kernel = "/proc/self/exe",
                                     .processes = true,
                                     .counter = no_counter};
const struct conf_kind *conf_kind = &fake_kind;

static uint64_t epochs;

static void script(const char *trouble, long at)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%s %ld", trouble, at);
    assert_int_equal(setenv("FAKE_QEMU", text, 1), 0); /* NOLINT(concurrency-mt-unsafe) */
}

/* It is one of these, or gets there without anybody's help. */
static void wait_one_of(struct world *w, const struct hv_key *key, enum hv_state a, enum hv_state b)
{
    for (int i = 0; i < 2000; i++) {
        enum hv_state now = state_of(&w->a, key);
        if (now == HV_GONE || now == a || now == b) {
            return;
        }
        run_once(w);
    }
    fail_msg("it stays %s", hv_state_name(state_of(&w->a, key)));
}

static void destroy(struct world *w, const struct hv_key *key)
{
    assert_int_equal(do_op(w, &w->a, HV_DESTROY, key), 0);
    assert_int_equal(state_of(&w->a, key), HV_GONE);
    w->a.n_events = 0;
}

/* A request that ends in time, or is given up, of a copy in trouble. Nothing is expected of how. */
static int try_op(struct world *w, const char *trouble, struct hv_req *req)
{
    req->deadline_ms = strcmp(trouble, "hang") == 0 ? 300 : 5000;
    return run_op(w, &w->a, req);
}

static void each_start_ends(struct world *w, enum hv_op op, enum hv_state good, long last)
{
    host_open(w, &w->a, "a");
    for (size_t t = 0; t < ARRAY_LEN(troubles); t++) {
        bool hangs = strcmp(troubles[t], "hang") == 0;
        for (long at = 1; at <= last; at++) {
            struct hv_spec spec = a_guest(1, ++epochs);
            struct hv_key key = key_of(&spec);
            struct hv_req req = {.op = op, .spec = &spec, .address = "127.0.0.1"};
            script(troubles[t], at);
            int rc = try_op(w, troubles[t], &req);
            if (rc == 0) {
                assert_int_equal(state_of(&w->a, &key), good);
            } else if (!hangs && strcmp(troubles[t], "error") != 0) {
                /* Only what hangs may take as long as one is ready to wait. */
                assert_int_not_equal(rc, ERR_TIMEOUT);
                wait_one_of(w, &key, HV_GONE, HV_GONE);
            }
            destroy(w, &key);
        }
    }
}

static void a_start_ends_whatever_qemu_does(void **state)
{
    each_start_ends(*state, HV_START, HV_RUNNING, 3);
}

static void an_incoming_start_ends_whatever_qemu_does(void **state)
{
    each_start_ends(*state, HV_INCOMING_START, HV_INCOMING, 7);
}

static void pausing_ends_whatever_qemu_does(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    for (size_t t = 0; t < ARRAY_LEN(troubles); t++) {
        struct hv_spec spec = a_guest(1, ++epochs);
        struct hv_key key = key_of(&spec);
        script(troubles[t], 3);
        start(w, &w->a, &spec);
        struct hv_req req = {.op = HV_PAUSE, .key = key};
        assert_int_not_equal(try_op(w, troubles[t], &req), 0);
        if (strcmp(troubles[t], "lose") == 0 || strcmp(troubles[t], "noise") == 0) {
            wait_one_of(w, &key, HV_PAUSED, HV_PAUSED); /* Found out by the next connection. */
        }
        wait_one_of(w, &key, HV_RUNNING, HV_PAUSED);
        destroy(w, &key);
    }
}

static void migrate_in_trouble(struct world *w, const char *trouble, long at, bool live)
{
    struct hv_spec spec = a_guest(1, ++epochs);
    struct hv_key key = key_of(&spec);
    script(trouble, at);
    start(w, &w->a, &spec);
    struct hv_req req = {
        .op = HV_MIGRATE, .key = key, .live = live, .address = "127.0.0.1:7", .secret = "s"};
    int rc = try_op(w, trouble, &req);
    assert_true(rc != 0 || state_of(&w->a, &key) == HV_DEPARTED);
    if (strcmp(trouble, "hang") != 0) {
        if (rc == ERR_TIMEOUT) {
            fail_msg("%s at %ld, live %d: no end", trouble, at, (int)live);
        }
        wait_one_of(w, &key, HV_DEPARTED, rc == 0 ? HV_DEPARTED : HV_RUNNING);
    }
    destroy(w, &key);
}

static void a_migration_ends_whatever_qemu_does(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    for (size_t t = 0; t < ARRAY_LEN(troubles); t++) {
        for (long at = 3; at <= 9; at++) {
            migrate_in_trouble(w, troubles[t], at, /*live=*/true);
            migrate_in_trouble(w, troubles[t], at, /*live=*/false);
        }
    }
}

static void answers_may_come_in_pieces(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    script("bytes", 0);
    start(w, &w->a, &spec);
    assert_int_equal(do_op(w, &w->a, HV_PAUSE, &key), 0);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &key), 0);
    host_close(w, &w->a);
    host_open(w, &w->a, "a");
    assert_int_equal(state_of(&w->a, &key), HV_RUNNING);
    destroy(w, &key);
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(a_start_ends_whatever_qemu_does), T(an_incoming_start_ends_whatever_qemu_does),
        T(pausing_ends_whatever_qemu_does), T(a_migration_ends_whatever_qemu_does),
        T(answers_may_come_in_pieces),
    };
    static char self[128];
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)puts("QEMU emulator version 7.2.0 (of a test)");
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-pidfile") == 0) {
            return be_qemu(argc, argv);
        }
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    fake_kind.emulator = self;
    fake_kind.kernel = self;
    if (argc == 2) {
        cmocka_set_test_filter(argv[1]);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("monitor", tests, NULL, NULL);
}
