#include "chaos-tests/sim/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/util.h"

#include "chaos-tests/check/report.h"
#include "chaos-tests/sim/fault.h"

/* A run that turns for so long without an end hangs. */
#define CPU_SECONDS 3600u

struct run *run_new(void)
{
    struct run *r =
        mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return r == MAP_FAILED ? NULL : r;
}

void run_clear(struct run *r)
{
    memset(r, 0, offsetof(struct run, log));
    atomic_store(&r->log.len, 0);
    r->log.full = false;
    r->history = r->report = "";
}

void run_free(struct run *r)
{
    if (r != NULL) {
        (void)munmap(r, sizeof *r);
    }
}

/* --- a directory for the real files */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_dir(const char *dir)
{
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- in the process of the run */

static struct run *self;

/* An assertion or a fault of memory in the code under test: when and where is left for the parent.
 */
static void note_crash(void)
{
    const char *name = proc_now == NULL ? "the simulator" : proc_now->name;
    size_t i = 0;
    self->now_ns = world.now_ns;
    for (; name[i] != '\0' && i < sizeof self->failure - 1; i++) { /* In a signal's handler. */
        self->failure[i] = name[i];
    }
    self->failure[i] = '\0';
}

static void crashed(int sig)
{
    note_crash();
    self->signal = sig;
    _exit(EXIT_FAILURE);
}

#ifdef __SANITIZE_ADDRESS__
void __sanitizer_set_death_callback(void (*callback)(void)); // NOLINT: the sanitizer's name
#endif

static void catch_crashes(void)
{
    static const int signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGXCPU};
    struct rlimit cpu = {.rlim_cur = CPU_SECONDS, .rlim_max = RLIM_INFINITY};
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_set_death_callback(note_crash);
#endif
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        (void)signal(signals[i], crashed);
    }
    (void)setrlimit(RLIMIT_CPU, &cpu);
}

static bool write_file(const char *path, const struct buf *b)
{
    FILE *f = fopen(path, "we");
    bool ok = f != NULL && fwrite(b->data, 1, b->len, f) == b->len;
    ok = f != NULL && fclose(f) == 0 && ok;
    if (!ok) {
        (void)fprintf(stderr, "quorate-sim: write %s: %s\n", path, strerrordesc_np(errno));
    }
    return ok;
}

static void tell(const struct run *r, const struct hist *hist, const struct verdicts *v)
{
    struct buf b = {0};
    if (!r->always && r->ok) {
        return;
    }
    if (r->history[0] != '\0') {
        hist_write(hist, &b);
        (void)write_file(r->history, &b);
    }
    if (r->report[0] != '\0') {
        char title[96];
        (void)snprintf(title, sizeof title, "seed %llu", (unsigned long long)r->o.seed);
        char *scenario = strndup(r->log.text, atomic_load(&r->log.len));
        const struct report_options o = {
            .title = title, .replay = r->again, .scenario = r->ok ? NULL : scenario};
        buf_clear(&b);
        report_html(hist, v, &o, &b);
        (void)write_file(r->report, &b);
        free(scenario);
    }
    buf_done(&b);
}

static void take_result(struct run *r)
{
    (void)str_copy(r->checker, sizeof r->checker, lab.checker == NULL ? "" : lab.checker);
    (void)str_copy(r->failure, sizeof r->failure, lab.failure);
    faults_text(r->faults, sizeof r->faults);
    r->failed_ns = lab.failed_ns;
    r->now_ns = world.now_ns;
    r->rest_ns = lab.rested_ns == 0 ? 0 : lab.rested_ns - lab.healed_ns;
    r->hash = world_hash();
    r->asked = lab.asked;
    r->acked = lab.acked;
    r->refused = lab.refused;
    r->unsure = lab.unsure;
    r->migrations = lab.migrations;
    r->entries = lab.applied;
    r->struck = lab.faults_struck;
}

static void run_here(struct run *r)
{
    struct hist hist;
    struct verdicts *v = mem_new(1, sizeof *v);
    self = r;
    catch_crashes();
    /* Big blocks are the images of disks: fresh ones cost nothing until they are written to. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    hist_init(&hist, 0);
    struct lab_options o = r->o;
    o.hist = &hist;
    o.log = &r->log;
    o.verdicts = v;
    bool ok = lab_run(&o);
    take_result(r);
    for (size_t i = 0; i < v->n; i++) {
        r->judged[i] = v->checked[i].judged;
    }
    lab_end();
    r->ok = ok;
    tell(r, &hist, v);
    hist_done(&hist);
    free(v);
    r->done = true;
}

/* --- the parent */

int run_start(struct run *r)
{
    (void)str_copy(r->dir, sizeof r->dir, "/dev/shm/quorate-sim-XXXXXX");
    if (mkdtemp(r->dir) == NULL) {
        return -1;
    }
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(r->dir) != 0) {
            _exit(EXIT_FAILURE);
        }
        run_here(r);
        (void)fflush(stdout);
        exit(0); // NOLINT(concurrency-mt-unsafe): the sanitizers look for leaks there
    }
    if (pid < 0) {
        remove_dir(r->dir);
        return -1;
    }
    r->pid = pid;
    return 0;
}

static void ended(struct run *r, int status)
{
    remove_dir(r->dir);
    if (r->done && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return;
    }
    char where[64];
    (void)str_copy(where, sizeof where, r->failure[0] == '\0' ? "the run" : r->failure);
    r->signal = WIFSIGNALED(status) ? WTERMSIG(status) : r->signal;
    r->ok = false;
    r->failed_ns = r->now_ns;
    (void)str_copy(r->checker, sizeof r->checker, RUN_CRASH);
    if (r->signal != 0) {
        (void)snprintf(r->failure, sizeof r->failure, "%s ended by signal %d, %s", where, r->signal,
                       sigdescr_np(r->signal));
    } else {
        (void)snprintf(r->failure, sizeof r->failure, "%s ended with status %d", where,
                       WEXITSTATUS(status));
    }
}

uint32_t run_wait(struct run **runs, uint32_t n)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);
        for (uint32_t i = 0; i < n && pid > 0; i++) {
            if (runs[i]->pid == pid) {
                ended(runs[i], status);
                return i;
            }
        }
    }
}

int run_whole(struct run *r)
{
    int rc = run_start(r);
    if (rc == 0) {
        (void)run_wait(&r, 1);
    }
    return rc;
}
