/* Hosts of the conformance suite. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"

#include "hvdriver/tests/conformance/conformance.h"

#define PATIENCE_MS 10000u

static uint64_t now_ms(void)
{
    return os_clock()->mono_ms(os_clock());
}

/* ---- the loop ---- */

static void ignore_timer(uv_timer_t *timer)
{
    (void)timer;
}

/* One turn of the loop, of at most a few milliseconds. */
void run_once(struct world *w)
{
    uv_timer_t timer;
    uv_timer_init(&w->loop, &timer);
    uv_timer_start(&timer, ignore_timer, 2, 2);
    uv_run(&w->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&w->loop, UV_RUN_NOWAIT);
}

void run_for(struct world *w, uint32_t ms)
{
    uint64_t end = now_ms() + ms;
    while (now_ms() < end) {
        run_once(w);
    }
}

static void patience(uint64_t since, const char *what)
{
    if (now_ms() - since > (conf_kind->patience_ms == 0 ? PATIENCE_MS : conf_kind->patience_ms)) {
        fail_msg("waited in vain: %s", what);
    }
}

/* ---- hosts ---- */

static void on_event(void *ctx, const struct hv_event *event)
{
    struct host *h = ctx;
    if (h->n_events < ARRAY_LEN(h->events)) {
        h->events[h->n_events++] = *event;
    }
}

int host_try_open(struct world *w, struct host *h, const char *name, struct err *e)
{
    char run_dir[80];
    char log_dir[80];
    (void)snprintf(h->dir, sizeof h->dir, "%s/%s", w->dir, name);
    (void)snprintf(run_dir, sizeof run_dir, "%s/run", h->dir);
    (void)snprintf(log_dir, sizeof log_dir, "%s/log", h->dir);
    (void)mkdir(h->dir, 0700);
    h->n_events = 0;
    struct hv_options options = {.driver = conf_kind->driver,
                                 .run_dir = run_dir,
                                 .log_dir = log_dir,
                                 .host = name,
                                 .image_locking = true,
                                 .emulator = conf_kind->emulator,
                                 .event = on_event,
                                 .ctx = h};
    return hv_open(&h->hv, &w->loop, &options, e);
}

void host_open(struct world *w, struct host *h, const char *name)
{
    struct err e;
    if (host_try_open(w, h, name, &e) != 0) {
        fail_msg("open: %s", e.msg);
    }
}

void hosts_open(struct world *w)
{
    host_open(w, &w->a, "a");
    host_open(w, &w->b, "b");
}

static void set_flag(void *ctx)
{
    *(bool *)ctx = true;
}

void host_close(struct world *w, struct host *h)
{
    bool closed = false;
    hv_close(h->hv, set_flag, &closed);
    h->hv = NULL;
    uint64_t since = now_ms();
    while (!closed) {
        run_once(w);
        patience(since, "close");
    }
}

struct hv_spec a_guest(int number, uint64_t epoch)
{
    struct hv_spec spec = {
        .epoch = epoch, .memory_mib = 16, .maxmem_mib = 16, .vcpus = 1, .cmdline = "conformance"};
    (void)snprintf(spec.name, sizeof spec.name, "guest%d", number);
    (void)str_copy(spec.kernel, sizeof spec.kernel, conf_kind->kernel);
    (void)str_copy(spec.host, sizeof spec.host, "a");
    (void)str_copy(spec.type, sizeof spec.type, conf_kind->type == NULL ? "" : conf_kind->type);
    memset(spec.uuid.b, number, sizeof spec.uuid.b);
    return spec;
}

struct hv_key key_of(const struct hv_spec *spec)
{
    return (struct hv_key){.uuid = spec->uuid, .epoch = spec->epoch};
}

/* ---- requests ---- */

static void request_done(struct hv_req *req)
{
    req->data = req;
}

void submit(struct host *h, struct hv_req *req)
{
    req->done = request_done;
    req->data = NULL;
    hv_submit(h->hv, req);
    assert_false(is_done(req));
}

bool is_done(const struct hv_req *req)
{
    return req->data == req;
}

void wait_done(struct world *w, struct hv_req *req)
{
    uint64_t since = now_ms();
    while (!is_done(req)) {
        run_once(w);
        patience(since, "the end of a request");
    }
}

int run_op(struct world *w, struct host *h, struct hv_req *req)
{
    submit(h, req);
    wait_done(w, req);
    return req->err.code;
}

int do_op(struct world *w, struct host *h, enum hv_op op, const struct hv_key *key)
{
    struct hv_req req = {.op = op, .key = *key};
    int rc = run_op(w, h, &req);
    if (rc != 0) {
        print_message("  (op %d: %s: %s)\n", (int)op, err_name(rc), req.err.msg);
    }
    return rc;
}

void start(struct world *w, struct host *h, const struct hv_spec *spec)
{
    struct hv_req req = {.op = HV_START, .spec = spec};
    if (run_op(w, h, &req) != 0) {
        fail_msg("start: %s", req.err.msg);
    }
}

enum hv_state state_of(struct host *h, const struct hv_key *key)
{
    struct hv_info info;
    return hv_lookup(h->hv, key, &info) ? info.state : HV_GONE;
}

void wait_state(struct world *w, struct host *h, const struct hv_key *key, enum hv_state state)
{
    uint64_t since = now_ms();
    while (state_of(h, key) != state) {
        run_once(w);
        patience(since, hv_state_name(state));
    }
}

static const struct hv_event *find_exit(const struct host *h, const struct hv_key *key)
{
    for (uint32_t i = 0; i < h->n_events; i++) {
        const struct hv_event *event = &h->events[i];
        if (event->kind == HV_EVENT_EXIT && hv_key_compare(&event->key, key) == 0) {
            return event;
        }
    }
    return NULL;
}

enum hv_exit wait_exit(struct world *w, struct host *h, const struct hv_key *key)
{
    uint64_t since = now_ms();
    const struct hv_event *event;
    while ((event = find_exit(h, key)) == NULL) {
        run_once(w);
        patience(since, "an exit");
    }
    assert_int_equal(state_of(h, key), HV_GONE);
    return event->exit;
}

bool heard_state(struct host *h, const struct hv_key *key, enum hv_state state)
{
    for (uint32_t i = 0; i < h->n_events; i++) {
        const struct hv_event *event = &h->events[i];
        if (event->kind == HV_EVENT_STATE && event->state == state &&
            hv_key_compare(&event->key, key) == 0) {
            return true;
        }
    }
    return false;
}

uint64_t counter(struct host *h, const struct hv_key *key)
{
    return conf_kind->counter(h->hv, key);
}

void wait_counter(struct world *w, struct host *h, const struct hv_key *key, uint64_t above)
{
    uint64_t since = now_ms();
    while (counter(h, key) <= above) {
        run_once(w);
        patience(since, "the guest to count");
    }
}

void wait_counter_changes(struct world *w, struct host *h, const struct hv_key *key)
{
    uint64_t since = now_ms();
    uint64_t before = counter(h, key);
    while (counter(h, key) == before) {
        run_once(w);
        patience(since, "the guest to count");
    }
}

void run_a_while(struct world *w)
{
    run_for(w, 100 + 2 * conf_kind->beat_ms);
}

struct hv_key running_guest(struct world *w)
{
    struct hv_spec spec = a_guest(1, 1);
    start(w, &w->a, &spec);
    return key_of(&spec);
}

struct hv_key counting_guest(struct world *w)
{
    struct hv_key key = running_guest(w);
    wait_counter(w, &w->a, &key, 1);
    return key;
}

struct hv_req incoming(struct world *w, struct host *h, uint64_t epoch)
{
    struct hv_spec spec = a_guest(1, epoch);
    (void)str_copy(spec.host, sizeof spec.host, h == &w->a ? "a" : "b");
    struct hv_req in = {.op = HV_INCOMING_START, .spec = &spec, .address = "127.0.0.1"};
    if (run_op(w, h, &in) != 0) {
        fail_msg("incoming under epoch %u: %s", (unsigned)epoch, in.err.msg);
    }
    assert_int_equal(in.state, HV_INCOMING);
    in.spec = NULL;
    return in;
}

struct hv_req move_to(const struct hv_req *in, uint64_t epoch)
{
    struct hv_req out = {
        .op = HV_MIGRATE, .key = {.uuid = in->key.uuid, .epoch = epoch}, .live = true};
    (void)str_copy(out.address, sizeof out.address, in->ret_address);
    (void)str_copy(out.secret, sizeof out.secret, in->ret_secret);
    return out;
}

void begin_slow_migration(struct world *w, struct hv_req *req)
{
    conf_kind->slow(w->a.hv);
    struct hv_req in = incoming(w, &w->b, 2);
    *req = move_to(&in, 1);
    req->rate_bytes_per_s = conf_kind->slow_rate;
    submit(&w->a, req);
    wait_state(w, &w->a, &req->key, HV_OUTGOING);
}

/* ---- setup and teardown ---- */

int world_setup(void **state)
{
    struct world *w = mem_new(1, sizeof *w);
    (void)str_copy(w->dir, sizeof w->dir, "/tmp/qhv.XXXXXX");
    if (mkdtemp(w->dir) == NULL) {
        return -1;
    }
    uv_loop_init(&w->loop);
    *state = w;
    return 0;
}

static void finish_host(struct world *w, struct host *h)
{
    struct hv_info info;
    while (h->hv != NULL && hv_list(h->hv, 0, &info)) {
        assert_int_equal(do_op(w, h, HV_DESTROY, &info.key), 0);
    }
    if (h->hv != NULL) {
        host_close(w, h);
    }
}

/* Processes whose command line names this world's directory; -1: cannot be told. */
static int count_processes(const struct world *w)
{
    int n = 0;
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc != NULL && (entry = readdir(proc)) != NULL) {
        char path[300];
        char text[8192];
        (void)snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        int fd = entry->d_name[0] > '9' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text);
        if (fd >= 0) {
            (void)close(fd);
        }
        n += len > 0 && memmem(text, (size_t)len, w->dir, strlen(w->dir)) != NULL ? 1 : 0;
    }
    if (proc != NULL) {
        (void)closedir(proc);
    }
    return n;
}

static int count_leftovers(const struct host *h)
{
    char run_dir[80];
    int n = 0;
    (void)snprintf(run_dir, sizeof run_dir, "%s/run", h->dir);
    DIR *dir = h->dir[0] == '\0' ? NULL : opendir(run_dir);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lock") != 0) {
            print_error("left over: %s/%s\n", run_dir, entry->d_name);
            n++;
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return n;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

int world_teardown(void **state)
{
    struct world *w = *state;
    finish_host(w, &w->a);
    finish_host(w, &w->b);
    uint64_t since = now_ms();
    while (uv_loop_close(&w->loop) == UV_EBUSY) {
        uv_run(&w->loop, UV_RUN_NOWAIT);
        patience(since, "the loop to be empty");
    }
    int left = count_leftovers(&w->a) + count_leftovers(&w->b);
    int processes = count_processes(w);
    (void)nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
    assert_int_equal(left, 0);
    assert_int_equal(processes, 0);
    return 0;
}

/* ---- the other process ---- */

pid_t child_start(struct world *w,
                  const char *name,
                  const char *job,
                  const char *arg,
                  char *ret_line)
{
    int fds[2];
    char self[128];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(fds[1], STDOUT_FILENO);
        (void)execl(self, self, "child", w->dir, name, job, arg, (char *)NULL);
        _exit(127);
    }
    (void)close(fds[1]);
    size_t len = 0;
    ssize_t got;
    while (len < 255 && (got = read(fds[0], ret_line + len, 255 - len)) > 0) {
        len += (size_t)got;
        if (ret_line[len - 1] == '\n') {
            break;
        }
    }
    ret_line[len] = '\0';
    (void)close(fds[0]);
    if (strncmp(ret_line, "ok", 2) != 0) {
        fail_msg("the other process said: %s", ret_line);
    }
    return pid;
}

void child_kill(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void child_work(struct world *w, struct host *h, const char *job, const char *arg)
{
    struct hv_spec spec = a_guest(1, strcmp(job, "incoming") == 0 ? 2 : 1);
    struct hv_req req = {.op = HV_START, .spec = &spec};
    if (strcmp(job, "incoming") == 0) {
        req.op = HV_INCOMING_START;
        (void)str_copy(req.address, sizeof req.address, "127.0.0.1");
    }
    (void)run_op(w, h, &req);
    if (req.err.code == 0 && strcmp(job, "migrate") == 0) {
        wait_counter(w, h, &req.key, 1);
        conf_kind->slow(h->hv);
        req = (struct hv_req){.op = HV_MIGRATE,
                              .key = key_of(&spec),
                              .live = true,
                              .rate_bytes_per_s = conf_kind->slow_rate};
        const char *space = strchr(arg, ' ');
        (void)snprintf(req.address, sizeof req.address, "%.*s", (int)(space - arg), arg);
        (void)str_copy(req.secret, sizeof req.secret, space + 1);
        submit(h, &req);
        wait_state(w, h, &req.key, HV_OUTGOING);
    }
    if (req.err.code != 0) {
        (void)printf("%s\n", req.err.msg);
    } else {
        (void)printf("ok %s %s\n", req.ret_address, req.ret_secret);
    }
    (void)fflush(stdout);
    for (;;) {
        run_once(w);
    }
}

void child_main(int argc, char **argv)
{
    if (argc != 6 || strcmp(argv[1], "child") != 0) {
        return;
    }
    struct world w = {0};
    (void)str_copy(w.dir, sizeof w.dir, argv[2]);
    uv_loop_init(&w.loop);
    host_open(&w, &w.a, argv[3]);
    child_work(&w, &w.a, argv[4], argv[5]);
}

int run_conformance(int argc, char **argv, unsigned suites)
{
    int failed = 0;
    child_main(argc, argv);
    if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if ((suites & CONF_LIFE) != 0) {
        failed += _cmocka_run_group_tests("life", conf_life_tests, n_conf_life_tests, NULL, NULL);
    }
    if ((suites & CONF_MOVES) != 0) {
        failed += _cmocka_run_group_tests("migration", conf_migration_tests, n_conf_migration_tests,
                                          NULL, NULL);
    }
    if ((suites & CONF_SAVES) != 0) {
        failed +=
            _cmocka_run_group_tests("saving", conf_saving_tests, n_conf_saving_tests, NULL, NULL);
    }
    if ((suites & CONF_DEVICES) != 0) {
        failed +=
            _cmocka_run_group_tests("devices", conf_device_tests, n_conf_device_tests, NULL, NULL);
    }
    return failed;
}
