/* A QEMU that misbehaves at a chosen command of its monitor: it dies, hangs, drops the connection,
 * answers with noise, an error, one byte at a time, or late. The driver must end every request, and
 * leave no copy in a state out of which nothing leads. The emulator is this program itself. */

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
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

/* The script of a copy is a word of its guest's command line: FAKE_WORD TROUBLE "-" NUMBER. */
#define FAKE_WORD "fake="
/* In trouble "firmware" its own reset comes this long after one that was asked for. */
#define FIRMWARE_MS 600

/* ---- the emulator ---- */

struct fake {
    const char *trouble; /* "" for none. */
    long at;
    long n; /* Commands so far. */
    bool by_bytes;
    int fd;
    const char *status;
    const char *migration;
    bool reboot_resets; /* A reboot by the guest does not end QEMU. */
    uint64_t due_ms;    /* The firmware's reset; 0: none. */
};

static uint64_t now_ms(void)
{
    return os_clock()->mono_ms(os_clock());
}

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
    } else if (is(line, "set-action")) {
        f->reboot_resets = strstr(line, "\"reset\"") != NULL;
    } else if (is(line, "system_reset")) {
        put_event(f, "RESET", "\"guest\": false, \"reason\": \"host-qmp-system-reset\"");
        f->due_ms = now_ms() + FIRMWARE_MS;
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

static void firmware_resets(struct fake *f)
{
    f->due_ms = 0;
    if (f->reboot_resets) {
        put_event(f, "RESET", "\"guest\": true, \"reason\": \"guest-reset\"");
    } else {
        put_event(f, "SHUTDOWN", "\"guest\": true, \"reason\": \"guest-reset\"");
        _exit(0);
    }
}

static ssize_t hear(struct fake *f, char *text, size_t size)
{
    struct pollfd p = {.fd = f->fd, .events = POLLIN};
    uint64_t now = now_ms();
    int wait = f->due_ms == 0 ? -1 : f->due_ms < now ? 0 : (int)(f->due_ms - now);
    if (poll(&p, 1, wait) == 0) {
        firmware_resets(f);
    }
    return read(f->fd, text, size);
}

static void converse(struct fake *f)
{
    char text[8192];
    size_t len = 0;
    ssize_t n;
    put(f, "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n");
    while ((n = hear(f, text + len, sizeof text - 1 - len)) > 0) {
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

static void read_script(struct fake *f, char *arg)
{
    char *word = strstr(arg, FAKE_WORD);
    char *at = word == NULL ? NULL : strchr(word, '-');
    if (at != NULL) {
        *at = '\0';
        f->trouble = word + strlen(FAKE_WORD);
        f->at = strtol(at + 1, NULL, 10);
        f->by_bytes = strcmp(f->trouble, "bytes") == 0;
    }
}

static int be_qemu(int argc, char **argv)
{
    struct fake f = {.trouble = "", .status = "prelaunch", .migration = "none"};
    for (int i = 1; i < argc; i++) {
        f.status = strcmp(argv[i], "-incoming") == 0 ? "inmigrate" : f.status;
        read_script(&f, argv[i]);
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

/* One copy in one kind of trouble. Those of one kind are tried side by side. */
struct trial {
    const char *trouble;
    struct hv_spec spec;
    struct hv_key key;
    struct hv_req req;
};

static void trial_init(struct trial *t, int number, const char *trouble, long at)
{
    *t = (struct trial){.trouble = trouble, .spec = a_guest(number, 1)};
    t->key = key_of(&t->spec);
    (void)snprintf(t->spec.cmdline, sizeof t->spec.cmdline, FAKE_WORD "%s-%ld", trouble, at);
}

static bool in(const struct trial *t, const char *trouble)
{
    return strcmp(t->trouble, trouble) == 0;
}

/* A request that ends in time, or is given up. Only what hangs may take as long as one is ready to
 * wait. */
static void begin(struct world *w, struct trial *t, const struct hv_req *req)
{
    t->req = *req;
    t->req.deadline_ms = in(t, "hang") ? 400 : 8000;
    submit(&w->a, &t->req);
}

static int end(struct world *w, struct trial *t)
{
    wait_done(w, &t->req);
    int rc = t->req.err.code;
    if (rc == ERR_TIMEOUT && !in(t, "hang")) {
        fail_msg("no end: op %d, %s", (int)t->req.op, t->spec.cmdline);
    }
    return rc;
}

static void start_all(struct world *w, struct trial *trials, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct hv_req req = {.op = HV_START, .spec = &trials[i].spec};
        trials[i].req = req;
        submit(&w->a, &trials[i].req);
    }
    for (size_t i = 0; i < n; i++) {
        wait_done(w, &trials[i].req);
        assert_int_equal(trials[i].req.err.code, 0);
    }
}

static void destroy_all(struct world *w, struct trial *trials, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        trials[i].req = (struct hv_req){.op = HV_DESTROY, .key = trials[i].key};
        submit(&w->a, &trials[i].req);
    }
    for (size_t i = 0; i < n; i++) {
        wait_done(w, &trials[i].req);
        assert_int_equal(trials[i].req.err.code, 0);
        assert_int_equal(state_of(&w->a, &trials[i].key), HV_GONE);
    }
}

/* It is one of these, or gone, or gets there without anybody's help. */
static void wait_one_of(struct world *w, const struct trial *t, enum hv_state a, enum hv_state b)
{
    for (int i = 0; i < 4000; i++) {
        enum hv_state now = state_of(&w->a, &t->key);
        if (now == HV_GONE || now == a || now == b) {
            return;
        }
        run_once(w);
    }
    fail_msg("%s: it stays %s", t->spec.cmdline, hv_state_name(state_of(&w->a, &t->key)));
}

#define AT_MAX 9 /* The last command at which there is trouble. */

static void
start_in_trouble(struct world *w, const char *trouble, enum hv_op op, enum hv_state good, long last)
{
    struct trial trials[AT_MAX];
    for (long i = 0; i < last; i++) {
        struct trial *t = &trials[i];
        trial_init(t, (int)i + 1, trouble, i + 1);
        begin(w, t, &(struct hv_req){.op = op, .spec = &t->spec, .address = "127.0.0.1"});
    }
    for (long i = 0; i < last; i++) {
        struct trial *t = &trials[i];
        if (end(w, t) == 0) {
            assert_int_equal(t->req.state, good);
        } else if (!in(t, "hang")) {
            wait_one_of(w, t, HV_GONE, HV_GONE);
        }
    }
    destroy_all(w, trials, (size_t)last);
}

static void a_start_ends_whatever_qemu_does(void **state)
{
    host_open(*state, &((struct world *)*state)->a, "a");
    for (size_t t = 0; t < ARRAY_LEN(troubles); t++) {
        start_in_trouble(*state, troubles[t], HV_START, HV_RUNNING, 3);
    }
}

static void an_incoming_start_ends_whatever_qemu_does(void **state)
{
    host_open(*state, &((struct world *)*state)->a, "a");
    for (size_t t = 0; t < ARRAY_LEN(troubles); t++) {
        start_in_trouble(*state, troubles[t], HV_INCOMING_START, HV_INCOMING, 7);
    }
}

static void pausing_ends_whatever_qemu_does(void **state)
{
    struct world *w = *state;
    struct trial trials[ARRAY_LEN(troubles)];
    host_open(w, &w->a, "a");
    for (size_t i = 0; i < ARRAY_LEN(troubles); i++) {
        trial_init(&trials[i], (int)i + 1, troubles[i], 3);
    }
    start_all(w, trials, ARRAY_LEN(troubles));
    for (size_t i = 0; i < ARRAY_LEN(troubles); i++) {
        begin(w, &trials[i], &(struct hv_req){.op = HV_PAUSE, .key = trials[i].key});
    }
    for (size_t i = 0; i < ARRAY_LEN(troubles); i++) {
        struct trial *t = &trials[i];
        assert_int_not_equal(end(w, t), 0);
        if (in(t, "lose") || in(t, "noise")) {
            wait_one_of(w, t, HV_PAUSED, HV_PAUSED); /* Found out by the next connection. */
        }
        wait_one_of(w, t, HV_RUNNING, HV_PAUSED);
    }
    destroy_all(w, trials, ARRAY_LEN(troubles));
}

static void migrate_in_trouble(struct world *w, const char *trouble)
{
    enum {
        FIRST = 3,
        N = AT_MAX - FIRST + 1
    };
    struct trial trials[2 * N]; /* The second half with the guest stopped before. */
    for (int i = 0; i < 2 * N; i++) {
        trial_init(&trials[i], i + 1, trouble, FIRST + i % N);
    }
    start_all(w, trials, ARRAY_LEN(trials));
    for (int i = 0; i < 2 * N; i++) {
        struct hv_req req = {.op = HV_MIGRATE,
                             .key = trials[i].key,
                             .live = i < N,
                             .address = "127.0.0.1:7",
                             .secret = "s"};
        begin(w, &trials[i], &req);
    }
    for (int i = 0; i < 2 * N; i++) {
        struct trial *t = &trials[i];
        int rc = end(w, t);
        assert_true(rc != 0 || t->req.state == HV_DEPARTED);
        if (!in(t, "hang")) {
            wait_one_of(w, t, HV_DEPARTED, rc == 0 ? HV_DEPARTED : HV_RUNNING);
        }
    }
    destroy_all(w, trials, ARRAY_LEN(trials));
}

static void a_migration_ends_whatever_qemu_does(void **state)
{
    host_open(*state, &((struct world *)*state)->a, "a");
    for (size_t t = 0; t < ARRAY_LEN(troubles); t++) {
        migrate_in_trouble(*state, troubles[t]);
    }
}

/* The firmware answers a reset by one of its own, on a busy host long afterwards. */
static void the_firmware_may_take_its_time_over_a_reset(void **state)
{
    struct world *w = *state;
    struct trial t;
    host_open(w, &w->a, "a");
    trial_init(&t, 1, "firmware", 0);
    start_all(w, &t, 1);
    uint64_t since = now_ms();
    assert_int_equal(do_op(w, &w->a, HV_RESET, &t.key), 0);
    assert_true(now_ms() - since >= FIRMWARE_MS); /* Else that one would be an exit. */
    assert_int_equal(state_of(&w->a, &t.key), HV_RUNNING);
    destroy_all(w, &t, 1);
}

static void answers_may_come_in_pieces(void **state)
{
    struct world *w = *state;
    struct trial t;
    host_open(w, &w->a, "a");
    trial_init(&t, 1, "bytes", 0);
    start_all(w, &t, 1);
    assert_int_equal(do_op(w, &w->a, HV_PAUSE, &t.key), 0);
    assert_int_equal(do_op(w, &w->a, HV_UNPAUSE, &t.key), 0);
    host_close(w, &w->a);
    host_open(w, &w->a, "a");
    assert_int_equal(state_of(&w->a, &t.key), HV_RUNNING);
    destroy_all(w, &t, 1);
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(a_start_ends_whatever_qemu_does), T(an_incoming_start_ends_whatever_qemu_does),
        T(pausing_ends_whatever_qemu_does), T(a_migration_ends_whatever_qemu_does),
        T(answers_may_come_in_pieces),      T(the_firmware_may_take_its_time_over_a_reset),
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
