/* Directories of guests in running_pool. Taking one away and putting one in its place are done
 * under a lock (flock on running_pool/.lock), so that whoever found a directory dead moves away
 * that one and not its successor. What was moved away is removed at leisure, by whoever comes past.
 */

#include "cli/quorated/images_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "core/util.h"

#define MARK      ".quorate"
#define MADE      ".made"
#define TRASH     ".trash-"
#define NEW       ".new-"
#define PATH_SIZE ((size_t)3 * LIMIT_PATH)

struct mark {
    struct id uuid;
    uint64_t created_ms;
    uint64_t epoch;
};

/* A path that does not fit is cut and then names nothing; paths of repositories are short. */
static void __attribute__((format(printf, 2, 3))) path_of(char to[PATH_SIZE], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(to, PATH_SIZE, fmt, args);
    va_end(args);
}

static struct dirent *next_entry(DIR *d)
{
    return d == NULL ? NULL : readdir(d); /* NOLINT(concurrency-mt-unsafe): nobody shares it. */
}

/* --- marks */

/* 0, or -1: there is none that can be read. */
static int mark_read(const char *dir, struct mark *ret)
{
    char path[PATH_SIZE];
    char text[128];
    char uuid[64];
    path_of(path, "%s/" MARK, dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[n < 0 ? 0 : n] = '\0';
    /* Numbers that are too large only make a mark that fits nobody. NOLINTNEXTLINE(cert-err34-c) */
    if (sscanf(text, "%63s %" SCNu64 " %" SCNu64, uuid, &ret->created_ms, &ret->epoch) != 3) {
        return -1;
    }
    return id_parse(uuid, &ret->uuid) == 0 ? 0 : -1;
}

static int put_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -1;
    }
    bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fsync(fd) == 0;
    return close(fd) == 0 && ok ? 0 : -1;
}

static bool mark_is_of(const struct mark *m, const struct id *uuid, uint64_t created_ms)
{
    return id_equal(&m->uuid, uuid) && m->created_ms == created_ms;
}

/* --- the lock */

static void parent_of(const char *dir, char *pool, size_t size)
{
    (void)str_copy(pool, size, dir);
    *strrchr(pool, '/') = '\0';
}

static int lock_pool(const char *pool)
{
    char path[PATH_SIZE];
    path_of(path, "%s/.lock", pool);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* --- removing */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    (void)remove(path);
    return 0;
}

/* Not through links, not into other file systems. */
static void remove_tree(const char *dir)
{
    // NOLINTNEXTLINE(concurrency-mt-unsafe): it shares nothing but the working directory's name
    (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Under the lock: move the directory out of the way. The name is its own: an epoch is given to one
 * guest only. */
static int move_away(const char *pool, const char *dir, const struct mark *m)
{
    char trash[PATH_SIZE];
    char uuid[ID_TEXT_SIZE];
    path_of(trash, "%s/" TRASH "%s-%llu", pool, id_text(&m->uuid, uuid),
            (unsigned long long)m->epoch);
    remove_tree(trash); /* Left by a crash. */
    return rename(dir, trash);
}

static void remove_entries(const char *dir, const char *start)
{
    DIR *d = opendir(dir);
    for (struct dirent *en = next_entry(d); en != NULL; en = next_entry(d)) {
        char path[PATH_SIZE];
        if (strncmp(en->d_name, start, strlen(start)) == 0) {
            path_of(path, "%s/%s", dir, en->d_name);
            remove_tree(path);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

/* What was moved away, and what a crash left half made: with the lock nobody is making any. */
static void empty_trash(const char *pool)
{
    int lock = lock_pool(pool);
    if (lock >= 0) {
        remove_entries(pool, NEW);
        (void)close(lock);
    }
    remove_entries(pool, TRASH);
}

/* Copies that an earlier start of the guest left half done. One that is still being written ends
 * without a name, and does no harm. */
static void remove_old_copies(const char *dir, uint64_t epoch)
{
    DIR *d = opendir(dir);
    for (struct dirent *en = next_entry(d); en != NULL; en = next_entry(d)) {
        const char *end = strstr(en->d_name, NEW);
        if (end != NULL && strtoull(end + strlen(NEW), NULL, 10) < epoch) {
            (void)unlinkat(dirfd(d), en->d_name, 0);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

/* --- making */

/* With its mark from the first moment: made under another name. */
static int make_dir(const char *pool, const char *dir, const struct images_order *o, struct err *e)
{
    char temp[PATH_SIZE];
    char path[PATH_SIZE];
    char text[128];
    char uuid[ID_TEXT_SIZE];
    path_of(temp, "%s/" NEW "%llu", pool, (unsigned long long)o->epoch);
    path_of(path, "%s/" MARK, temp);
    (void)snprintf(text, sizeof text, "%s %llu %llu\n", id_text(&o->uuid, uuid),
                   (unsigned long long)o->created_ms, (unsigned long long)o->epoch);
    remove_tree(temp);
    if (mkdir(temp, 0755) != 0 || put_file(path, text) != 0 || rename(temp, dir) != 0) {
        int rc = err_sys(e, ERR_IO, errno, "directory %s", dir);
        remove_tree(temp);
        return rc;
    }
    return 0;
}

static int
open_locked(const char *pool, const char *dir, const struct images_order *o, struct err *e)
{
    struct mark m;
    struct stat st;
    if (lstat(dir, &st) != 0) {
        return errno == ENOENT ? make_dir(pool, dir, o, e)
                               : err_sys(e, ERR_IO, errno, "directory %s", dir);
    }
    if (mark_read(dir, &m) != 0) {
        return err_set(e, ERR_EXISTS, "%s is there already and was not made by quorate", dir);
    }
    if (mark_is_of(&m, &o->uuid, o->created_ms)) {
        return 0;
    }
    if (m.epoch >= o->epoch) {
        return err_set(e, ERR_STALE, "%s belongs to a later guest of this name", dir);
    }
    if (move_away(pool, dir, &m) != 0) {
        return err_sys(e, ERR_IO, errno, "directory %s of an earlier guest", dir);
    }
    return make_dir(pool, dir, o, e);
}

int images_dir_open(const char *dir, const struct images_order *o, bool *ret_made, struct err *e)
{
    char pool[PATH_SIZE];
    char made[PATH_SIZE];
    parent_of(dir, pool, sizeof pool);
    int lock = lock_pool(pool);
    if (lock < 0) {
        return err_sys(e, ERR_IO, errno, "directory %s", pool);
    }
    int rc = open_locked(pool, dir, o, e);
    (void)close(lock);
    path_of(made, "%s/" MADE, dir);
    *ret_made = rc == 0 && access(made, F_OK) == 0;
    if (rc == 0) {
        remove_old_copies(dir, o->epoch);
    }
    return rc;
}

int images_dir_made(const char *dir, struct err *e)
{
    char path[PATH_SIZE];
    path_of(path, "%s/" MADE, dir);
    return put_file(path, "") == 0 ? 0 : err_sys(e, ERR_IO, errno, "file %s", path);
}

/* --- sweeping */

/* Whether the view proves that the directory's guest has been deleted (images.h). */
static bool is_dead(struct fsm_view *v, uint64_t next_epoch, const struct mark *m)
{
    struct guest *g = mem_new(1, sizeof *g);
    int rc = fsm_get_guest_of(v, &m->uuid, g);
    bool dead = m->epoch < next_epoch &&
                (rc == ERR_NOT_FOUND || (rc == 0 && !mark_is_of(m, &g->uuid, g->created_ms)));
    free(g);
    return dead;
}

static bool sweep_dir(struct fsm_view *v, uint64_t next_epoch, const char *pool, const char *name)
{
    char dir[PATH_SIZE];
    struct mark m;
    path_of(dir, "%s/%s", pool, name);
    if (name[0] == '.' || mark_read(dir, &m) != 0 || !is_dead(v, next_epoch, &m)) {
        return false;
    }
    int lock = lock_pool(pool);
    if (lock < 0) {
        return false;
    }
    /* Again, now that nobody can put another in its place. */
    bool moved =
        mark_read(dir, &m) == 0 && is_dead(v, next_epoch, &m) && move_away(pool, dir, &m) == 0;
    (void)close(lock);
    return moved;
}

static uint32_t sweep_pool(struct fsm_view *v, uint64_t next_epoch, const char *pool)
{
    uint32_t n = 0;
    DIR *d = opendir(pool);
    for (struct dirent *en = next_entry(d); en != NULL; en = next_entry(d)) {
        n += sweep_dir(v, next_epoch, pool, en->d_name) ? 1 : 0;
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    empty_trash(pool);
    return n;
}

uint32_t images_sweep_now(struct fsm_view *v, const char *prefix)
{
    struct pool *pool = mem_new(1, sizeof *pool);
    struct repo *r = mem_new(1, sizeof *r);
    uint32_t n = 0;
    char after[LIMIT_NAME + 1] = "";
    bool ok = fsm_get_pool(v, pool) == 0;
    while (ok && fsm_next_repo(v, after, r) == 0) {
        char path[PATH_SIZE];
        char id[ID_TEXT_SIZE];
        (void)str_copy(after, sizeof after, r->name);
        path_of(path, "%s/mount/%s/running_pool", prefix, id_text(&r->id, id));
        n += r->state == REPO_READY ? sweep_pool(v, pool->next_epoch, path) : 0;
    }
    free(pool);
    free(r);
    return n;
}

struct images_sweep {
    uv_work_t work;
    struct fsm_view *view;
    char *prefix;
    uint32_t removed;
    void (*done)(void *ctx, uint32_t removed);
    void *ctx;
};

static void sweep_work(uv_work_t *work)
{
    struct images_sweep *s = work->data;
    s->removed = images_sweep_now(s->view, s->prefix);
}

static void sweep_done(uv_work_t *work, int status)
{
    struct images_sweep *s = work->data;
    (void)status;
    (void)fsm_view_close(s->view);
    s->done(s->ctx, s->removed);
    free(s->prefix);
    free(s);
}

struct images_sweep *images_sweep(struct uv_loop_s *loop,
                                  struct fsm *f,
                                  const char *prefix,
                                  void (*done)(void *ctx, uint32_t removed),
                                  void *ctx)
{
    struct images_sweep *s = mem_new(1, sizeof *s);
    s->view = fsm_view_open(f);
    if (s->view == NULL) {
        free(s);
        return NULL;
    }
    s->prefix = mem_strdup(prefix);
    s->done = done;
    s->ctx = ctx;
    s->work.data = s;
    (void)uv_queue_work(loop, &s->work, sweep_work, sweep_done);
    return s;
}
