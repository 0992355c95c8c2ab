/* quorate-sim: runs of the simulator from the command line. `./lab chaos` calls it. */

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/mutant.h"
#include "core/util.h"

#include "chaos-tests/check/history.h"
#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/lab.h"

#define EXIT_FOUND  1 /* A promise was broken. */
#define EXIT_OPTION 2
#define EXIT_START  8 /* It could not begin. */

struct settings {
    struct lab_options o;
    uint64_t seeds;
    bool stop;           /* At the first seed that finds something. */
    const char *history; /* A file for the history of the last run; NULL: none. */
};

static void usage(FILE *out)
{
    (void)fprintf(
        out,
        "usage: quorate-sim [--seed S] [--seeds N] [--hosts N] [--clients N] [--hours H]\n"
        "                   [--seconds N] [--faults LIST] [--trace] [--stop] [--mutant NAME]\n"
        "                   [--history FILE]\n\n"
        "Runs a whole pool of quorate daemons in one process on virtual time, breaks it, and\n"
        "checks what it promised. One seed is one history: the same seed gives the same run.\n\n"
        "  --seed S      the first seed (1)\n"
        "  --seeds N     run N seeds, from S on (1)\n"
        "  --hosts N     hosts of the pool, 1 to %d (3)\n"
        "  --clients N   clients that work at once, 1 to %d (4)\n"
        "  --hours H     simulated hours under faults (0.02)\n"
        "  --seconds N   the same in seconds\n"
        "  --faults LIST these faults, all of them in each run: names with commas, or none.\n"
        "                Without it each run turns on a random half of all.\n"
        "  --trace       print what the daemons log and what is broken, as it comes\n"
        "  --history FILE  write what happened there (chaos-tests/check reads it)\n"
        "  --stop        no seed after the first that finds something\n"
        "  --mutant NAME make this deliberate mistake (in a build for it: lab chaos --mutants)\n"
        "  --mutants     list those mistakes, each with what is wrong\n\n"
        "Faults:\n",
        LAB_HOSTS_MAX, LAB_CLIENTS_MAX);
    for (uint32_t i = 0; i < n_faults; i++) {
        (void)fprintf(out, "  %-12s  %s\n", faults[i]->name, fault_helps[i]);
    }
    (void)fprintf(out, "\nExit status: 0 all held, 1 something was found (the line begins with "
                       "FAILED), 2 bad\noption, 8 could not start.\n");
}

static int bad_option(const char *what, const char *why)
{
    (void)fprintf(stderr, "quorate-sim: %s: %s; see --help\n", what, why);
    return EXIT_OPTION;
}

/* --- options */

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || n < min || n > max) {
        return false;
    }
    *ret = n;
    return true;
}

static bool hours(const char *text, uint64_t *ret_seconds)
{
    char *end;
    double h = strtod(text, &end);
    if (end == text || *end != '\0' || !(h > 0) || h > 100000) {
        return false;
    }
    *ret_seconds = (uint64_t)(h * 3600 + 0.5);
    return *ret_seconds > 0;
}

static bool fault_list(const char *text, uint64_t *ret)
{
    char list[1024];
    char *rest = list;
    *ret = 0;
    if (str_copy(list, sizeof list, text) >= sizeof list) {
        return false;
    }
    for (const char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        uint32_t i = 0;
        while (i < n_faults && strcmp(faults[i]->name, name) != 0) {
            i++;
        }
        if (i < n_faults) {
            *ret |= UINT64_C(1) << i;
        } else if (strcmp(name, "none") != 0) {
            return false;
        }
    }
    return true;
}

/* --- mutants */

static const struct {
    const char *name;
    const char *text;
} mutants[] = {
    {"none", "nothing"},
#define M(name, text) {#name, text},
#include "core/mutants.def"
#undef M
};

static void list_mutants(void)
{
    for (size_t i = 1; i < ARRAY_LEN(mutants); i++) {
        (void)printf("%-26s%s\n", mutants[i].name, mutants[i].text);
    }
}

static bool mutate(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(mutants); i++) {
        if (strcmp(mutants[i].name, name) == 0) {
#ifdef QUORATE_MUTANTS
            mutant_on = (enum mutant)i;
            return true;
#endif
        }
    }
    return false;
}

enum option_code {
    OPT_SEED,
    OPT_SEEDS,
    OPT_HOSTS,
    OPT_CLIENTS,
    OPT_HOURS,
    OPT_SECONDS,
    OPT_FAULTS,
    OPT_TRACE,
    OPT_STOP,
    OPT_MUTANT,
    OPT_MUTANTS,
    OPT_HISTORY,
    OPT_HELP
};

static const struct option options[] = {
    {"seed", required_argument, NULL, OPT_SEED},
    {"seeds", required_argument, NULL, OPT_SEEDS},
    {"hosts", required_argument, NULL, OPT_HOSTS},
    {"clients", required_argument, NULL, OPT_CLIENTS},
    {"hours", required_argument, NULL, OPT_HOURS},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"trace", no_argument, NULL, OPT_TRACE},
    {"stop", no_argument, NULL, OPT_STOP},
    {"mutant", required_argument, NULL, OPT_MUTANT},
    {"mutants", no_argument, NULL, OPT_MUTANTS},
    {"history", required_argument, NULL, OPT_HISTORY},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int take(struct settings *s, int code, const char *arg)
{
    uint64_t n = 0;
    bool ok = true;
    switch ((enum option_code)code) {
    case OPT_SEED: ok = number(arg, 0, UINT64_MAX, &s->o.seed); break;
    case OPT_SEEDS: ok = number(arg, 1, UINT64_C(1) << 40, &s->seeds); break;
    case OPT_HOSTS:
        ok = number(arg, 1, LAB_HOSTS_MAX, &n);
        s->o.hosts = (uint32_t)n;
        break;
    case OPT_CLIENTS:
        ok = number(arg, 1, LAB_CLIENTS_MAX, &n);
        s->o.clients = (uint32_t)n;
        break;
    case OPT_HOURS: ok = hours(arg, &s->o.safety_s); break;
    case OPT_SECONDS: ok = number(arg, 1, 360000000, &s->o.safety_s); break;
    case OPT_FAULTS:
        ok = fault_list(arg, &s->o.faults);
        s->o.all_faults = true;
        break;
    case OPT_HISTORY: s->history = arg; break;
    case OPT_TRACE: s->o.print = true; break;
    case OPT_STOP: s->stop = true; break;
    case OPT_MUTANT: ok = mutate(arg); break;
    case OPT_MUTANTS: list_mutants(); exit(0); // NOLINT(concurrency-mt-unsafe)
    case OPT_HELP: usage(stdout); exit(0);     // NOLINT(concurrency-mt-unsafe)
    }
    return ok ? 0 : bad_option(arg, "not what this option takes");
}

static int parse(struct settings *s, int argc, char **argv)
{
    int code;
    opterr = 0;
    while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) { // NOLINT
        if (code == '?') {
            return bad_option(argv[optind - 1], "unknown option, or one without its value");
        }
        int rc = take(s, code, optarg);
        if (rc != 0) {
            return rc;
        }
    }
    return optind < argc ? bad_option(argv[optind], "not an option") : 0;
}

/* --- a directory for the real files */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

static bool enter_dir(char *dir)
{
    return mkdtemp(dir) != NULL && chdir(dir) == 0;
}

// NOLINTBEGIN(bugprone-signal-handler,cert-sig30-c): see crashed()
static void leave_dir(const char *dir)
{
    if (chdir("/") == 0) {
        (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

/* --- runs */

static char dir[64];

/* An assertion or a fault of memory in the code under test: say when and where, and how to see it
 * again. The signal is this very thread's own doing, never in the middle of a stream's call. */
static void crashed(int sig)
{
    (void)printf("FAILED seed %" PRIu64 ": at %.6f s %s ended by signal %d; again with: --seed "
                 "%" PRIu64 " --trace\n",
                 lab.o.seed, (double)world.now_ns / 1e9,
                 proc_now == NULL ? "the simulator" : proc_now->name, sig, lab.o.seed);
    (void)fflush(stdout);
    leave_dir(dir);
    _exit(EXIT_FOUND);
}
// NOLINTEND(bugprone-signal-handler,cert-sig30-c)

static void report(bool ok)
{
    char text[512];
    faults_text(text, sizeof text);
    (void)printf("%s seed %" PRIu64 ": %.0f s, %" PRIu64 " asked, %" PRIu64 " done, %" PRIu64
                 " refused, %" PRIu64 " unsure, %" PRIu64 " migrations, %" PRIu64
                 " entries, at rest after %.1f s, hash %016" PRIx64 ", faults %s\n",
                 ok ? "ok" : "FAILED", lab.o.seed, (double)world.now_ns / 1e9, lab.asked, lab.acked,
                 lab.refused, lab.unsure, lab.migrations, lab.applied,
                 lab.rested_ns == 0 ? 0.0 : (double)(lab.rested_ns - lab.healed_ns) / 1e9,
                 world_hash(), text[0] == '\0' ? "none" : text);
    if (!ok) {
        (void)printf("    %s: at %.6f s %s\n", lab.checker, (double)lab.failed_ns / 1e9,
                     lab.failure);
    }
    (void)fflush(stdout);
}

static bool write_history(const struct hist *hist, const char *path)
{
    struct buf b = {0};
    hist_write(hist, &b);
    FILE *f = fopen(path, "we");
    bool ok = f != NULL && fwrite(b.data, 1, b.len, f) == b.len;
    ok = f != NULL && fclose(f) == 0 && ok;
    buf_done(&b);
    if (!ok) {
        (void)fprintf(stderr, "quorate-sim: write %s: %s\n", path, strerrordesc_np(errno));
    }
    return ok;
}

static int run(const struct settings *s)
{
    uint64_t found = 0;
    double simulated = 0;
    uint64_t n = 0;
    while (n < s->seeds && !(s->stop && found > 0)) {
        struct lab_options o = s->o;
        o.seed = s->o.seed + n++;
        (void)str_copy(dir, sizeof dir, "/dev/shm/quorate-sim-XXXXXX");
        if (!enter_dir(dir)) {
            (void)fprintf(stderr, "quorate-sim: make %s: %s\n", dir, strerrordesc_np(errno));
            return EXIT_START;
        }
        struct hist hist;
        hist_init(&hist, 0);
        o.hist = &hist;
        bool ok = lab_run(&o);
        report(ok);
        found += !ok;
        simulated += (double)world.now_ns / 1e9;
        lab_end();
        leave_dir(dir);
        if (s->history != NULL && !write_history(&hist, s->history)) {
            return EXIT_START;
        }
        hist_done(&hist);
    }
    (void)printf("%" PRIu64 " seeds, %.2f simulated hours, %" PRIu64 " failed\n", n,
                 simulated / 3600, found);
    return found == 0 ? 0 : EXIT_FOUND;
}

int main(int argc, char **argv)
{
    struct settings s = {
        .o = {.seed = 1, .hosts = 3, .clients = 4, .safety_s = 72, .faults = UINT64_MAX},
        .seeds = 1,
    };
    int rc = parse(&s, argc, argv);
    if (rc != 0) {
        return rc;
    }
    /* Big blocks are the images of disks: fresh ones cost nothing until they are written to. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)signal(SIGABRT, crashed);
    (void)signal(SIGSEGV, crashed);
    (void)signal(SIGBUS, crashed);
    return run(&s);
}
