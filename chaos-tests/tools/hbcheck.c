/* hbcheck: did two copies of a guest ever run at once? Reads the consoles that every host kept and
 * the guest's disks, and says what it found (history.h).
 *
 *     hbcheck [OPTIONS] --pool DIR --guest NAME       a guest of the lab in DIR
 *     hbcheck [OPTIONS] [--log HOST=FILE]... [--disk FILE]...
 *
 *     --json           the result as one JSON object
 *     --least N        fewer beats than N are a finding (default 1)
 *     --watch SECONDS  first follow the consoles for so long, or until SIGTERM or SIGINT, and
 *                      measure when each beat arrives: the gap that somebody outside saw, and when
 *                      each epoch was first and last heard of ("heard": wall time, ms)
 *
 * Exit status: 0 nothing found, 1 found something, 2 wrong usage or unreadable input. */

#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/clock.h"
#include "core/err.h"

#include "chaos-tests/tools/history.h"

#define MOST_FILES  256
#define MOST_EPOCHS 256
/* Milliseconds between looks at the consoles, and between searches for new ones. */
#define LOOK_MS   2
#define SEARCH_MS 50

struct source {
    char path[1024];
    char host[64];
    struct console console;
    long offset;
};

struct arrival {
    uint64_t beats, last_ns, largest_ns, at;
};

/* When beats of one epoch arrived during a watch: wall time, ms. */
struct heard {
    uint64_t epoch, first_ms, last_ms;
    uint32_t where;
};

struct run {
    struct history history;
    struct source logs[MOST_FILES];
    size_t n_logs;
    char disks[MOST_FILES][1024];
    size_t n_disks;
    const char *pool;
    const char *guest;
    uint64_t least;
    double watch_s;
    bool json;
    bool watched;
    struct arrival arrival;
    struct heard heard[MOST_EPOCHS];
    size_t n_heard;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static void add_log(struct run *r, const char *host, const char *path)
{
    struct source *s;

    for (size_t i = 0; i < r->n_logs; i++) {
        if (strcmp(r->logs[i].path, path) == 0) {
            return;
        }
    }
    if (r->n_logs == MOST_FILES) {
        return;
    }
    s = &r->logs[r->n_logs++];
    (void)snprintf(s->path, sizeof s->path, "%s", path);
    (void)snprintf(s->host, sizeof s->host, "%s", host);
    s->console.host = s->host;
}

/* The files DIR/hosts/HOST/log/NAME that there are by now. */
static void search_named(struct run *r, const char *name)
{
    char pattern[1200];
    glob_t found;

    (void)snprintf(pattern, sizeof pattern, "%s/hosts/*/log/%s", r->pool, name);
    if (glob(pattern, 0, NULL, &found) == 0) { // NOLINT(concurrency-mt-unsafe)
        for (size_t i = 0; i < found.gl_pathc; i++) {
            const char *path = found.gl_pathv[i];
            const char *at = path + strlen(r->pool) + strlen("/hosts/");
            char host[64];

            (void)snprintf(host, sizeof host, "%.*s", (int)strcspn(at, "/"), at);
            add_log(r, host, path);
        }
    }
    globfree(&found);
}

/* The consoles of this guest: those that the daemons keep, and those that Xen's console daemon
 * does. */
static void search_logs(struct run *r)
{
    char name[160];

    if (r->pool == NULL) {
        return;
    }
    (void)snprintf(name, sizeof name, "%s[.-]*", r->guest);
    search_named(r, name);
    (void)snprintf(name, sizeof name, "guest-%s.log", r->guest);
    search_named(r, name);
}

static void search_disks(struct run *r)
{
    char pattern[1200];
    glob_t found;

    if (r->pool == NULL) {
        return;
    }
    (void)snprintf(pattern, sizeof pattern, "%s/repo/running_pool/%s/*.img", r->pool, r->guest);
    if (glob(pattern, 0, NULL, &found) == 0) { // NOLINT(concurrency-mt-unsafe)
        for (size_t i = 0; i < found.gl_pathc && r->n_disks < MOST_FILES; i++) {
            (void)snprintf(r->disks[r->n_disks++], sizeof r->disks[0], "%s", found.gl_pathv[i]);
        }
    }
    globfree(&found);
}

/* What was appended since the last look. A console that became shorter was begun anew. */
static size_t read_more(struct run *r, struct source *s)
{
    char bytes[16384];
    size_t beats = 0;
    size_t n;
    struct stat st;
    FILE *f;

    if (stat(s->path, &st) != 0 || st.st_size == s->offset) {
        return 0;
    }
    f = fopen(s->path, "rbe");
    if (f == NULL) {
        return 0;
    }
    s->offset = st.st_size < s->offset ? 0 : s->offset;
    if (fseek(f, s->offset, SEEK_SET) == 0) {
        while ((n = fread(bytes, 1, sizeof bytes, f)) > 0) {
            s->offset += (long)n;
            beats += history_console(&r->history, &s->console, bytes, n);
        }
    }
    (void)fclose(f);
    return beats;
}

static size_t read_logs(struct run *r)
{
    size_t beats = 0;

    for (size_t i = 0; i < r->n_logs; i++) {
        beats += read_more(r, &r->logs[i]);
    }
    return beats;
}

static void hear(struct run *r, const struct beat_line *beat, uint64_t wall_ms)
{
    size_t i = 0;

    while (i < r->n_heard && r->heard[i].epoch != beat->epoch) {
        i++;
    }
    if (i == MOST_EPOCHS) {
        return;
    }
    if (i == r->n_heard) {
        r->n_heard++;
        r->heard[i] = (struct heard){beat->epoch, wall_ms, wall_ms, beat->where};
    }
    r->heard[i].last_ms = wall_ms;
}

static void watch(struct run *r)
{
    struct clock *clock = os_clock();
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    uint64_t begin = clock->mono_ns(clock);
    uint64_t search_at = begin;
    struct arrival *a = &r->arrival;

    (void)signal(SIGTERM, on_signal);
    (void)signal(SIGINT, on_signal);
    search_logs(r);
    if (read_logs(r) > 0) {
        hear(r, &r->history.beats[r->history.n_beats - 1], clock->wall_ms(clock));
    }
    while (stopped == 0) {
        uint64_t now = clock->mono_ns(clock);
        size_t known = r->history.n_beats;

        if (r->watch_s > 0 && (double)(now - begin) > r->watch_s * 1e9) {
            break;
        }
        if (now >= search_at) {
            search_logs(r);
            search_at = now + SEARCH_MS * 1000000ULL;
        }
        if (read_logs(r) > 0) {
            if (a->beats++ > 0 && now - a->last_ns > a->largest_ns) {
                a->largest_ns = now - a->last_ns;
                a->at = r->history.beats[r->history.n_beats - 1].counter;
            }
            a->last_ns = now;
            for (; known < r->history.n_beats; known++) {
                hear(r, &r->history.beats[known], clock->wall_ms(clock));
            }
        }
        (void)nanosleep(&pause, NULL);
    }
}

/* In the order in which they were heard first. */
static json_t *heard_json(const struct run *r)
{
    json_t *all = json_array();

    for (size_t i = 0; i < r->n_heard; i++) {
        const struct heard *heard = &r->heard[i];

        (void)json_array_append_new(
            all, json_pack("{sI ss sI sI}", "epoch", (json_int_t)heard->epoch, "host",
                           r->history.hosts[heard->where], "first_ms", (json_int_t)heard->first_ms,
                           "last_ms", (json_int_t)heard->last_ms));
    }
    return all;
}

static void print_json(struct run *r)
{
    struct history *h = &r->history;
    uint64_t first = h->n_beats == 0 ? 0 : h->beats[0].counter;
    uint64_t last = h->n_beats == 0 ? 0 : h->beats[h->n_beats - 1].counter;
    json_t *hosts = json_object();
    json_t *findings = json_array();
    json_t *all;

    for (uint32_t i = 0; i < h->n_hosts; i++) {
        (void)json_object_set_new(hosts, h->hosts[i], json_integer((json_int_t)h->host_beats[i]));
    }
    for (size_t i = 0; i < h->n_findings; i++) {
        (void)json_array_append_new(findings,
                                    json_pack("{ss ss}", "kind", finding_name(h->findings[i].kind),
                                              "text", h->findings[i].text));
    }
    all = json_pack(
        "{sb sI sI sI sI sI sI sI sI sI sI sI so so}", "ok", h->n_findings == 0, "beats",
        (json_int_t)h->n_beats, "first", (json_int_t)first, "last", (json_int_t)last, "missing",
        (json_int_t)h->missing, "epochs", (json_int_t)h->epochs, "boots", (json_int_t)h->boots,
        "byes", (json_int_t)h->byes, "moves", (json_int_t)h->moves, "fragments",
        (json_int_t)h->fragments, "guest_gap_ms", (json_int_t)h->largest_gap_ms, "guest_gap_at",
        (json_int_t)h->largest_gap_at, "hosts", hosts, "findings", findings);
    if (r->watched) {
        (void)json_object_set_new(all, "seen_gap_ms",
                                  json_integer((json_int_t)(r->arrival.largest_ns / 1000000)));
        (void)json_object_set_new(all, "seen_gap_at", json_integer((json_int_t)r->arrival.at));
        (void)json_object_set_new(all, "heard", heard_json(r));
    }
    (void)json_dumpf(all, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(all);
}

static void print_text(struct run *r)
{
    struct history *h = &r->history;

    printf("%zu beats", h->n_beats);
    if (h->n_beats > 0) {
        printf(" (%" PRIu64 " to %" PRIu64 ", %" PRIu64 " missing)", h->beats[0].counter,
               h->beats[h->n_beats - 1].counter, h->missing);
    }
    printf(", %" PRIu64 " boots, %" PRIu64 " goodbyes, %" PRIu64 " moves, largest gap %" PRIu64
           " ms by the guest's clock\n",
           h->boots, h->byes, h->moves, h->largest_gap_ms);
    if (r->watched) {
        printf("largest gap seen from outside: %" PRIu64 " ms, before beat %" PRIu64 "\n",
               r->arrival.largest_ns / 1000000, r->arrival.at);
    }
    for (uint32_t i = 0; i < h->n_hosts; i++) {
        printf("  %s: %" PRIu64 " beats\n", h->hosts[i], h->host_beats[i]);
    }
    for (size_t i = 0; i < h->n_findings; i++) {
        printf("%s: %s\n", finding_name(h->findings[i].kind), h->findings[i].text);
    }
    puts(h->n_findings == 0 ? "ok" : "BAD");
}

static int usage(void)
{
    (void)fputs("usage: hbcheck [--json] [--least N] [--watch SECONDS] --pool DIR --guest NAME\n"
                "       hbcheck [--json] [--least N] [--watch SECONDS] [--log HOST=FILE]... "
                "[--disk FILE]...\n",
                stderr);
    return 2;
}

static bool take_log(struct run *r, const char *arg)
{
    const char *path = strchr(arg, '=');
    char host[64];

    if (path == NULL || path == arg || path - arg >= (long)sizeof host) {
        return false;
    }
    (void)snprintf(host, sizeof host, "%.*s", (int)(path - arg), arg);
    add_log(r, host, path + 1);
    return true;
}

static bool take_option(struct run *r, int option, const char *arg)
{
    switch (option) {
    case 'j': r->json = true; return true;
    case 'p': r->pool = arg; return true;
    case 'g': r->guest = arg; return true;
    case 'n': r->least = strtoull(arg, NULL, 10); return true;
    case 'w':
        r->watched = true;
        r->watch_s = strtod(arg, NULL);
        return true;
    case 'l': return take_log(r, arg);
    case 'd':
        if (r->n_disks == MOST_FILES) {
            return false;
        }
        (void)snprintf(r->disks[r->n_disks++], sizeof r->disks[0], "%s", arg);
        return true;
    default: return false;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},        {"pool", required_argument, NULL, 'p'},
        {"guest", required_argument, NULL, 'g'}, {"least", required_argument, NULL, 'n'},
        {"watch", required_argument, NULL, 'w'}, {"log", required_argument, NULL, 'l'},
        {"disk", required_argument, NULL, 'd'},  {NULL, 0, NULL, 0}};
    static struct run r = {.least = 1};
    struct err e = {0};
    size_t findings;
    int c;

    // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread.
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!take_option(&r, c, optarg)) {
            return usage();
        }
    }
    if (optind != argc || (r.pool == NULL) != (r.guest == NULL)) {
        return usage();
    }
    if (r.watched) {
        watch(&r);
    }
    search_logs(&r);
    search_disks(&r);
    if (r.n_logs + r.n_disks == 0) {
        (void)fputs("hbcheck: no console and no disk to read\n", stderr);
        return usage();
    }
    (void)read_logs(&r);
    for (size_t i = 0; i < r.n_disks; i++) {
        if (history_disk(&r.history, r.disks[i], &e) != 0) {
            (void)fprintf(stderr, "hbcheck: %s\n", e.msg);
            return 2;
        }
    }
    findings = history_judge(&r.history, r.n_logs == 0 ? 0 : r.least);
    if (r.json) {
        print_json(&r);
    } else {
        print_text(&r);
    }
    history_done(&r.history);
    return findings == 0 ? 0 : 1;
}
