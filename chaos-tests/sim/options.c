#include "chaos-tests/sim/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/mutant.h"
#include "core/util.h"

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/words.h"
#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/marks.h"
#include "chaos-tests/sim/plan.h"
#include "chaos-tests/sim/story.h"

#define SECONDS_DEFAULT 72
#define SCENARIO_BYTES  (16u << 20)

static void usage(FILE *out)
{
    (void)fprintf(
        out,
        "usage: quorate-sim [--seed S] [--seeds N] [--hosts N] [--clients N] [--hours H]\n"
        "                   [--seconds N] [--faults LIST] [--jobs N] [--stop] [--judged]\n"
        "                   [--json] [--trace] [--history FILE] [--report FILE] [--save FILE]\n"
        "                   [--shrink FILE] [--mutant NAME] [--marks] [--find MARK]\n"
        "       quorate-sim --sweep STORY [--seed S] [--hosts N] [--every K] [--jobs N] [--marks]\n"
        "       quorate-sim --sweep STORY --at HOST:SEAM:N:kill|power [--trace] [--report FILE] "
        "...\n"
        "       quorate-sim --scenario FILE [--json] [--trace] [--history FILE]\n"
        "                   [--report FILE] [--shrink FILE] [--mutant NAME]\n\n"
        "Runs a whole pool of quorate daemons in one process on virtual time, breaks it, and\n"
        "checks what it promised. One seed is one history: the same seed gives the same run.\n\n"
        "  --seed S       the first seed (1)\n"
        "  --seeds N      run N seeds, from S on (1)\n"
        "  --hosts N      hosts of the pool, 1 to %d (3)\n"
        "  --clients N    clients that work at once, 1 to %d (4)\n"
        "  --hours H      simulated hours under faults (0.02)\n"
        "  --seconds N    the same in seconds\n"
        "  --faults LIST  these faults, all of them in each run: names with commas, or none.\n"
        "                 Without it each run turns on a random half of all.\n"
        "  --scenario FILE  carry out the decisions in this file instead of drawing them\n"
        "  --jobs N       runs at once, each in a process of its own (1)\n"
        "  --stop         no seed after the first that finds something\n"
        "  --judged       say what each checker looked at in all runs together; one that\n"
        "                 looked at nothing is a failure\n"
        "  --marks        say how often each named situation of core/marks.def was come by in all\n"
        "                 runs together, and which never\n"
        "  --find MARK    no seed after the first that comes by this one; its line says so\n"
        "  --sweep STORY  the same short story (tour) again and again: in each a host dies before\n"
        "                 another call that it makes across a seam, once killed, once by a power "
        "cut\n"
        "  --every K      only each K-th of these calls (1)\n"
        "  --at WHERE     only this one: h2:disk:137:kill; seams are disk, net, hypervisor, guard\n"
        "  --json         one object a run, and one at the end\n"
        "  --trace        print what the daemons log and what is broken, as it comes\n"
        "  --history FILE what happened in the first run that fails, else in the last, in the\n"
        "                 form that chaos-tests/check reads\n"
        "  --report FILE  the same as an HTML page with pictures\n"
        "  --save FILE    its decisions as a scenario\n"
        "  --shrink FILE  make the first failing run small, as a scenario\n"
        "  --mutant NAME  make this deliberate mistake (in a build for it: lab chaos --mutants)\n"
        "  --mutants      list those mistakes, each with what is wrong\n\n"
        "Faults:\n",
        LAB_HOSTS_MAX, LAB_CLIENTS_MAX);
    for (uint32_t i = 0; i < n_faults; i++) {
        (void)fprintf(out, "  %-13s  %s\n", faults[i]->name, fault_helps[i]);
    }
    (void)fprintf(
        out,
        "\nExit status: 0 all held (a scenario: it ended as it expects), 1 something was found\n"
        "(the line begins with FAILED), 2 bad option or file, 8 could not start.\n");
}

static int bad_option(const char *what, const char *why)
{
    (void)fprintf(stderr, "quorate-sim: %s: %s; see --help\n", what, why);
    return EXIT_OPTION;
}

/* --- values */

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

/* The working directory changes. */
static bool absolute(const char *path, char to[PATH_MAX])
{
    char here[PATH_MAX];
    if (path[0] == '/') {
        return str_copy(to, PATH_MAX, path) < PATH_MAX;
    }
    int n = getcwd(here, sizeof here) == NULL ? -1 : snprintf(to, PATH_MAX, "%s/%s", here, path);
    return path[0] != '\0' && n > 0 && n < PATH_MAX;
}

/* A file that is to be written at the end: whether it can be is found out now. */
static int writable(const char *path)
{
    int fd = path[0] == '\0' ? -1 : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 && path[0] != '\0') {
        return bad_option(path, strerrordesc_np(errno));
    }
    return fd < 0 ? 0 : close(fd);
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

/* --- the crash sweep */

/* Dies there: h2:disk:137:kill. */
static bool read_crash(const char *text, struct seam_crash *ret)
{
    char list[64];
    char *rest = list;
    uint64_t n = 0;
    if (str_copy(list, sizeof list, text) >= sizeof list) {
        return false;
    }
    const char *host = strsep(&rest, ":");
    const char *seam = strsep(&rest, ":");
    const char *count = strsep(&rest, ":");
    int i = scenario_host(host);
    int k = 0;
    while (seam != NULL && seam_names[k] != NULL && strcmp(seam_names[k], seam) != 0) {
        k++;
    }
    bool power = rest != NULL && strcmp(rest, "power") == 0;
    if (i < 0 || rest == NULL || k == SEAMS || !number(count, 1, UINT32_MAX, &n) ||
        (!power && strcmp(rest, "kill") != 0)) {
        return false;
    }
    *ret = (struct seam_crash){.n = n, .host = (uint32_t)i, .seam = (enum seam)k, .power = power};
    return true;
}

/* Nothing else goes wrong, and nobody else asks. */
static bool read_story(struct options *s, const char *name)
{
    s->o.story = story_find(name);
    s->o.all_faults = true;
    s->o.faults = 0;
    s->o.clients = 1;
    return s->o.story != NULL;
}

/* --- a scenario */

static int read_file(const char *path, struct buf *ret)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return bad_option(path, strerrordesc_np(errno));
    }
    size_t n = fread(buf_reserve(ret, SCENARIO_BYTES), 1, SCENARIO_BYTES, f);
    bool whole = n < SCENARIO_BYTES && ferror(f) == 0;
    ret->len += n;
    (void)fclose(f);
    return whole ? 0 : bad_option(path, "cannot be read, or is too big");
}

static int check_scenario(const struct scenario *s, struct err *e)
{
    static const char *const known[] = {"clients", "seconds"};
    if (s->hosts < 1 || s->hosts > LAB_HOSTS_MAX) {
        return err_set(e, ERR_INVALID, "hosts must be 1 to %d", LAB_HOSTS_MAX);
    }
    for (size_t i = 0; i < s->n_settings; i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(known) && strcmp(known[k], s->settings[i].name) != 0) {
            k++;
        }
        if (k == ARRAY_LEN(known)) {
            return err_set(e, ERR_INVALID,
                           "line %u: there is no setting %s; clients and seconds there are",
                           s->settings[i].line, s->settings[i].name);
        }
    }
    if (scenario_get(s, "clients", 1) > LAB_CLIENTS_MAX) {
        return err_set(e, ERR_INVALID, "clients must be at most %d", LAB_CLIENTS_MAX);
    }
    return plan_check(s, e);
}

static int read_scenario(struct options *s, const char *path)
{
    CLEANUP(buf_done) struct buf text = {0};
    struct err e = {0};
    char name[PATH_MAX];
    int rc = read_file(path, &text);
    if (rc != 0) {
        return rc;
    }
    if (scenario_read(&s->scenario, (const char *)text.data, text.len, &e) != 0 ||
        check_scenario(&s->scenario, &e) != 0) {
        (void)str_copy(name, sizeof name, path);
        return bad_option(name, e.msg);
    }
    s->replays = true;
    lab_scenario(&s->o, &s->scenario);
    return 0;
}

/* --- options */

enum option_code {
    OPT_SEED,
    OPT_SEEDS,
    OPT_HOSTS,
    OPT_CLIENTS,
    OPT_HOURS,
    OPT_SECONDS,
    OPT_FAULTS,
    OPT_SCENARIO,
    OPT_JOBS,
    OPT_STOP,
    OPT_JUDGED,
    OPT_MARKS,
    OPT_FIND,
    OPT_SWEEP,
    OPT_AT,
    OPT_EVERY,
    OPT_JSON,
    OPT_TRACE,
    OPT_HISTORY,
    OPT_REPORT,
    OPT_SAVE,
    OPT_SHRINK,
    OPT_MUTANT,
    OPT_MUTANTS,
    OPT_HELP
};

static const struct option long_options[] = {
    {"seed", required_argument, NULL, OPT_SEED},
    {"seeds", required_argument, NULL, OPT_SEEDS},
    {"hosts", required_argument, NULL, OPT_HOSTS},
    {"clients", required_argument, NULL, OPT_CLIENTS},
    {"hours", required_argument, NULL, OPT_HOURS},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"scenario", required_argument, NULL, OPT_SCENARIO},
    {"jobs", required_argument, NULL, OPT_JOBS},
    {"stop", no_argument, NULL, OPT_STOP},
    {"judged", no_argument, NULL, OPT_JUDGED},
    {"marks", no_argument, NULL, OPT_MARKS},
    {"find", required_argument, NULL, OPT_FIND},
    {"sweep", required_argument, NULL, OPT_SWEEP},
    {"at", required_argument, NULL, OPT_AT},
    {"every", required_argument, NULL, OPT_EVERY},
    {"json", no_argument, NULL, OPT_JSON},
    {"trace", no_argument, NULL, OPT_TRACE},
    {"history", required_argument, NULL, OPT_HISTORY},
    {"report", required_argument, NULL, OPT_REPORT},
    {"save", required_argument, NULL, OPT_SAVE},
    {"shrink", required_argument, NULL, OPT_SHRINK},
    {"mutant", required_argument, NULL, OPT_MUTANT},
    {"mutants", no_argument, NULL, OPT_MUTANTS},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static bool number32(const char *text, uint64_t max, uint32_t *ret)
{
    uint64_t n = 0;
    bool ok = number(text, 1, max, &n);
    *ret = (uint32_t)n;
    return ok;
}

static bool take(struct options *s, enum option_code code, const char *arg)
{
    switch (code) {
    case OPT_SEED: return number(arg, 0, UINT64_MAX, &s->o.seed);
    case OPT_SEEDS: return number(arg, 1, UINT64_C(1) << 40, &s->seeds);
    case OPT_HOSTS: return number32(arg, LAB_HOSTS_MAX, &s->o.hosts);
    case OPT_CLIENTS: return number32(arg, LAB_CLIENTS_MAX, &s->o.clients);
    case OPT_HOURS: return hours(arg, &s->o.safety_s);
    case OPT_SECONDS: return number(arg, 1, 360000000, &s->o.safety_s);
    case OPT_FAULTS: s->o.all_faults = true; return fault_list(arg, &s->o.faults);
    case OPT_JOBS: return number32(arg, 256, &s->jobs);
    case OPT_STOP: s->stop = true; return true;
    case OPT_JUDGED: s->judged = true; return true;
    case OPT_MARKS: s->marks = true; return true;
    case OPT_FIND: return mark_find(arg, &s->find);
    case OPT_SWEEP: return read_story(s, arg);
    case OPT_AT: return read_crash(arg, &s->o.crash);
    case OPT_EVERY: return number32(arg, UINT32_MAX, &s->every);
    case OPT_JSON: s->json = true; return true;
    case OPT_TRACE: s->o.print = true; return true;
    case OPT_HISTORY: return absolute(arg, s->history);
    case OPT_REPORT: return absolute(arg, s->report);
    case OPT_SAVE: return absolute(arg, s->save);
    case OPT_SHRINK: return absolute(arg, s->shrink);
    case OPT_MUTANT: s->mutant = arg; return mutate(arg);
    case OPT_SCENARIO:
    case OPT_MUTANTS:
    case OPT_HELP: break;
    }
    return true;
}

static int read_one(struct options *s, int code, const char *arg)
{
    switch (code) {
    case OPT_HELP: usage(stdout); return 0;
    case OPT_MUTANTS: list_mutants(); return 0;
    case OPT_SCENARIO: {
        int rc = read_scenario(s, arg);
        return rc == 0 ? -1 : rc;
    }
    default:
        return take(s, (enum option_code)code, arg) ? -1
                                                    : bad_option(arg, "not what this option takes");
    }
}

int options_read(struct options *s, int argc, char **argv)
{
    int code;
    int rc = -1;
    memset(s, 0, sizeof *s);
    s->o = (struct lab_options){
        .seed = 1, .hosts = 3, .clients = 4, .safety_s = SECONDS_DEFAULT, .faults = UINT64_MAX};
    s->seeds = 1;
    s->jobs = 1;
    s->find = MARKS;
    s->every = 1;
    opterr = 0;
    while (rc < 0 && (code = getopt_long(argc, argv, "", long_options, NULL)) != -1) { // NOLINT
        if (code == '?') {
            return bad_option(argv[optind - 1], "unknown option, or one without its value");
        }
        rc = read_one(s, code, optarg);
    }
    if (rc < 0 && optind < argc) {
        return bad_option(argv[optind], "not an option");
    }
    if (rc < 0 && s->o.crash.n > 0 && (s->o.story == NULL || s->o.crash.host >= s->o.hosts)) {
        return bad_option("--at", s->o.story == NULL ? "is of a --sweep" : "there is no such host");
    }
    const char *const files[] = {s->history, s->report, s->save, s->shrink};
    for (size_t i = 0; i < ARRAY_LEN(files) && rc < 0; i++) {
        int bad = writable(files[i]);
        rc = bad == 0 ? -1 : bad;
    }
    return rc;
}

void options_done(struct options *s)
{
    scenario_done(&s->scenario);
}

void options_again(const struct options *s, uint64_t seed, char *to, size_t size)
{
    size_t at =
        (size_t)snprintf(to, size, "--seed %" PRIu64 " --hosts %u --clients %u --seconds %" PRIu64,
                         seed, s->o.hosts, s->o.clients, s->o.safety_s);
    if (s->o.all_faults && s->o.story == NULL && at < size) {
        at += (size_t)snprintf(to + at, size - at, " --faults ");
        const char *comma = "";
        for (uint32_t i = 0; i < n_faults && at < size; i++) {
            if ((s->o.faults >> i & 1) != 0) {
                at += (size_t)snprintf(to + at, size - at, "%s%s", comma, faults[i]->name);
                comma = ",";
            }
        }
        at += at < size && s->o.faults == 0 ? (size_t)snprintf(to + at, size - at, "none") : 0;
    }
    if (s->mutant != NULL && at < size) {
        at += (size_t)snprintf(to + at, size - at, " --mutant %s", s->mutant);
    }
    if (s->o.story != NULL && at < size) {
        const struct seam_crash *c = &s->o.crash;
        (void)snprintf(to + at, size - at, " --sweep %s --at h%u:%s:%" PRIu64 ":%s",
                       story_name(s->o.story), c->host + 1, seam_names[c->seam], c->n,
                       c->power ? "power" : "kill");
    }
}
