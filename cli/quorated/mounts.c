/* Repositories on this host. */

#include "cli/quorated/mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "core/util.h"

#define MARK      ".quorate-repository"
#define PATH_SIZE (2 * PATH_MAX)

static const char *const pools[] = {"running_pool", "seed_pool", "iso_pool", "publish_pool",
                                    "sharedDisk"};

/* What was last found and told of a repository. */
struct known {
    struct id id;
    char name[LIMIT_NAME + 1];
    bool ready;
    bool told;
    bool told_ready;
    char told_detail[LIMIT_DETAIL + 1];
};

struct mounts {
    uv_loop_t *loop;
    char *prefix;
    char *host;
    bool (*report)(void *ctx, const struct mounts_report *r);
    void (*changed)(void *ctx);
    void *ctx;
    uv_work_t work;
    bool busy;
    bool again; /* `next` holds what came meanwhile. */
    struct mounts_task *tasks;
    uint32_t n_tasks;
    struct mounts_task *next;
    uint32_t n_next;
    struct known known[LIMIT_REPOS];
    uint32_t n_known;
};

/* --- one pass, in the thread pool */

/* Texts that do not fit are cut: a path that was names nothing, a detail stays readable. */
static void __attribute__((format(printf, 3, 4)))
put_text(char *to, size_t size, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(to, size, fmt, args);
    va_end(args);
}

static int trouble(struct mounts_task *t, const char *what, int errnum)
{
    char why[128];
    put_text(t->detail, sizeof t->detail, "%.150s: %s", what, strerror_r(errnum, why, sizeof why));
    return -1;
}

static int read_mark(const char *path, char text[ID_TEXT_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? 0 : -1;
    }
    ssize_t n = read(fd, text, ID_TEXT_SIZE - 1);
    int errnum = errno;
    (void)close(fd);
    errno = errnum;
    text[n < 0 ? 0 : n] = '\0';
    return n < 0 ? -1 : 1;
}

/* Whole or not at all, and never over another. */
static int write_mark(const char *path, const char *text)
{
    char temp[PATH_SIZE];
    put_text(temp, sizeof temp, "%s.%ld", path, (long)getpid());
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return -1;
    }
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fsync(fd) == 0;
    int errnum = errno;
    (void)close(fd);
    if (ok && link(temp, path) != 0 && errno != EEXIST) {
        ok = false;
        errnum = errno;
    }
    (void)unlink(temp);
    errno = errnum;
    return ok ? 0 : -1;
}

/* The directory is this repository's. */
static int check_mark(struct mounts_task *t)
{
    char path[PATH_SIZE];
    char want[ID_TEXT_SIZE];
    char found[ID_TEXT_SIZE] = "";
    put_text(path, sizeof path, "%s/" MARK, t->source);
    (void)id_text(&t->id, want);
    int r = read_mark(path, found);
    if (r == 0 && t->init) {
        r = write_mark(path, want) == 0 ? read_mark(path, found) : -1;
    }
    if (r < 0) {
        return trouble(t, path, errno);
    }
    if (r == 0) {
        t->waiting = t->fresh;
        put_text(t->detail, sizeof t->detail,
                 "%.120s is not this repository (%s is missing): not mounted, or not shared?",
                 t->source, MARK);
        return -1;
    }
    if (strcmp(found, want) != 0) {
        put_text(t->detail, sizeof t->detail, "%.120s is repository %s, not this one", t->source,
                 found);
        return -1;
    }
    return 0;
}

static int make_pools(struct mounts_task *t)
{
    char path[PATH_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(pools); i++) {
        put_text(path, sizeof path, "%s/%s", t->source, pools[i]);
        if (mkdir(path, 0755) != 0 && errno != EEXIST) {
            return trouble(t, path, errno);
        }
    }
    return 0;
}

/* A symbolic link, put in place of what was there in one step. A directory is left alone. */
static int make_link(const char *path, const char *to)
{
    char now[PATH_SIZE];
    char temp[PATH_SIZE];
    ssize_t n = readlink(path, now, sizeof now - 1);
    if (n >= 0) {
        now[n] = '\0';
        if (strcmp(now, to) == 0) {
            return 0;
        }
    }
    put_text(temp, sizeof temp, "%s.new", path);
    (void)unlink(temp);
    if (symlink(to, temp) != 0) {
        return -1;
    }
    return rename(temp, path);
}

static int link_repo(const char *prefix, struct mounts_task *t)
{
    char path[PATH_SIZE];
    char id[ID_TEXT_SIZE];
    put_text(path, sizeof path, "%s/mount/%s", prefix, id_text(&t->id, id));
    return make_link(path, t->source) == 0 ? 0 : trouble(t, path, errno);
}

static void do_task(const char *prefix, struct mounts_task *t)
{
    struct stat st;
    t->ready = false;
    t->waiting = false;
    t->detail[0] = '\0';
    if (stat(t->source, &st) != 0) {
        (void)trouble(t, t->source, errno);
    } else if (!S_ISDIR(st.st_mode)) {
        (void)trouble(t, t->source, ENOTDIR);
    } else {
        t->ready = check_mark(t) == 0 && make_pools(t) == 0 && link_repo(prefix, t) == 0;
    }
}

static bool is_of_tasks(const char *name, const struct mounts_task *tasks, uint32_t n)
{
    struct id id;
    if (id_parse(name, &id) != 0) {
        return true; /* Not ours to remove. */
    }
    for (uint32_t i = 0; i < n; i++) {
        if (id_equal(&tasks[i].id, &id)) {
            return true;
        }
    }
    return false;
}

static struct dirent *next_entry(DIR *d)
{
    return d == NULL ? NULL : readdir(d); /* NOLINT(concurrency-mt-unsafe): nobody shares it. */
}

/* Links of repositories that are no more. */
static void unlink_others(const char *prefix, const struct mounts_task *tasks, uint32_t n)
{
    char path[PATH_SIZE];
    put_text(path, sizeof path, "%s/mount", prefix);
    DIR *dir = opendir(path);
    for (struct dirent *d = next_entry(dir); d != NULL; d = next_entry(dir)) {
        if (!is_of_tasks(d->d_name, tasks, n)) {
            (void)unlinkat(dirfd(dir), d->d_name, 0); /* Fails on what is no link: left alone. */
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

static void link_root(const char *prefix, struct mounts_task *tasks, uint32_t n)
{
    char path[PATH_SIZE];
    char to[PATH_SIZE];
    char id[ID_TEXT_SIZE];
    struct stat st;
    put_text(path, sizeof path, "%s/OVS", prefix);
    for (uint32_t i = 0; i < n; i++) {
        if (tasks[i].root) {
            put_text(to, sizeof to, "%s/mount/%s", prefix, id_text(&tasks[i].id, id));
            if (tasks[i].ready && make_link(path, to) != 0) {
                (void)trouble(&tasks[i], path, errno);
                tasks[i].ready = false;
            }
            return;
        }
    }
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        (void)unlink(path);
    }
}

void mounts_pass_now(const char *prefix, struct mounts_task *tasks, uint32_t n)
{
    char path[PATH_SIZE];
    (void)mkdir(prefix, 0755);
    put_text(path, sizeof path, "%s/mount", prefix);
    (void)mkdir(path, 0755); /* If it cannot be made, the links say why. */
    for (uint32_t i = 0; i < n; i++) {
        do_task(prefix, &tasks[i]);
    }
    unlink_others(prefix, tasks, n);
    link_root(prefix, tasks, n);
}

/* --- the loop's side */

static struct known *known_of(const struct mounts *m, const struct id *id)
{
    for (uint32_t i = 0; i < m->n_known; i++) {
        if (id_equal(&m->known[i].id, id)) {
            return (struct known *)&m->known[i];
        }
    }
    return NULL;
}

static void tell(struct mounts *m, struct known *k, const char *detail)
{
    struct mounts_report r = {.ready = k->ready};
    if (k->told && k->told_ready == k->ready && strcmp(k->told_detail, detail) == 0) {
        return;
    }
    (void)str_copy(r.name, sizeof r.name, k->name);
    (void)str_copy(r.detail, sizeof r.detail, detail);
    if (m->report(m->ctx, &r)) {
        k->told = true;
        k->told_ready = k->ready;
        (void)str_copy(k->told_detail, sizeof k->told_detail, detail);
    }
}

/* Take over what the pass found; what is no longer in the state is forgotten. */
static void found(struct mounts *m)
{
    static struct known now[LIMIT_REPOS]; /* Large; the loop has one thread. */
    memset(now, 0, sizeof now);
    for (uint32_t i = 0; i < m->n_tasks; i++) {
        const struct mounts_task *t = &m->tasks[i];
        const struct known *old = known_of(m, &t->id);
        if (old != NULL) {
            now[i] = *old;
        }
        now[i].id = t->id;
        now[i].ready = t->ready;
        (void)str_copy(now[i].name, sizeof now[i].name, t->name);
    }
    memcpy(m->known, now, sizeof now);
    m->n_known = m->n_tasks;
    for (uint32_t i = 0; i < m->n_tasks; i++) {
        if (!m->tasks[i].waiting) {
            tell(m, &m->known[i], m->tasks[i].detail);
        }
    }
}

static void pass_work(uv_work_t *work)
{
    struct mounts *m = work->data;
    mounts_pass_now(m->prefix, m->tasks, m->n_tasks);
}

static void pass_done(uv_work_t *work, int status);

static void begin(struct mounts *m)
{
    free(m->tasks);
    m->tasks = m->next;
    m->n_tasks = m->n_next;
    m->next = NULL;
    m->again = false;
    m->busy = true;
    m->work.data = m;
    (void)uv_queue_work(m->loop, &m->work, pass_work, pass_done);
}

static void pass_done(uv_work_t *work, int status)
{
    struct mounts *m = work->data;
    m->busy = false;
    if (status == 0) {
        found(m);
    }
    if (m->again) {
        begin(m);
    }
    m->changed(m->ctx);
}

/* The first host in order of names that is up makes the mark. */
static bool is_maker(struct fsm_view *v, const char *host)
{
    struct host h;
    const char *after = "";
    while (fsm_next_host(v, after, &h) == 0) {
        if (h.state == HOST_UP) {
            return strcmp(h.name, host) == 0;
        }
        after = h.name;
    }
    return false;
}

void mounts_look(struct mounts *m, struct fsm_view *v)
{
    static struct repo r; /* Several KiB; the loop has one thread. */
    struct mounts_task *tasks = mem_new(LIMIT_REPOS, sizeof *tasks);
    bool maker = is_maker(v, m->host);
    uint32_t n = 0;
    char after[LIMIT_NAME + 1] = "";
    while (n < LIMIT_REPOS && fsm_next_repo(v, after, &r) == 0) {
        (void)str_copy(after, sizeof after, r.name);
        if (r.state != REPO_READY) {
            continue;
        }
        struct mounts_task *t = &tasks[n++];
        t->id = r.id;
        t->root = r.root;
        (void)str_copy(t->name, sizeof t->name, r.name);
        (void)str_copy(t->source, sizeof t->source, r.source);
        /* Once it was at hand anywhere, or there was trouble, a missing mark is trouble. */
        t->fresh = r.ready_on_n == 0 && r.detail[0] == '\0';
        t->init = maker && t->fresh;
    }
    free(m->next);
    m->next = tasks;
    m->n_next = n;
    m->again = true;
    if (!m->busy) {
        begin(m);
    }
}

void mounts_tell_again(struct mounts *m, const char *name)
{
    for (uint32_t i = 0; i < m->n_known; i++) {
        if (strcmp(m->known[i].name, name) == 0) {
            m->known[i].told = false;
        }
    }
}

bool mounts_ready(const struct mounts *m, const struct id *repo)
{
    const struct known *k = known_of(m, repo);
    return k != NULL && k->ready;
}

bool mounts_busy(const struct mounts *m)
{
    return m->busy;
}

struct mounts *mounts_new(struct uv_loop_s *loop,
                          const char *prefix,
                          const char *host,
                          bool (*report)(void *ctx, const struct mounts_report *r),
                          void (*changed)(void *ctx),
                          void *ctx)
{
    struct mounts *m = mem_new(1, sizeof *m);
    m->loop = loop;
    m->prefix = mem_strdup(prefix);
    m->host = mem_strdup(host);
    m->report = report;
    m->changed = changed;
    m->ctx = ctx;
    return m;
}

struct mounts *mounts_free(struct mounts *m)
{
    if (m != NULL) {
        free(m->tasks);
        free(m->next);
        free(m->prefix);
        free(m->host);
        free(m);
    }
    return NULL;
}
