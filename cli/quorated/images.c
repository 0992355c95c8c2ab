/* Making the disks of guests from an image; see images.h for what lies where. */

#include "cli/quorated/images.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "core/util.h"

#include "cli/quorated/agent_spec.h"
#include "cli/quorated/images_dir.h"

#define CHUNK (4u << 20)

/* --- orders */

/* "<repository>:running_pool/<guest>/<file>": the file's name, or NULL for any other path. */
static const char *file_of(const struct guest *g, const char *path)
{
    char start[LIMIT_NAME + 32];
    const char *colon = strchr(path, ':');
    int n =
        snprintf(start, sizeof start, ":running_pool/%s/", g->dir[0] != '\0' ? g->dir : g->name);
    if (path[0] == '/' || colon == NULL || strncmp(colon, start, (size_t)n) != 0) {
        return NULL;
    }
    const char *file = colon + n;
    bool plain = file[0] != '\0' && file[0] != '.' && strchr(file, '/') == NULL;
    return plain ? file : NULL;
}

int images_order(struct fsm_view *v,
                 const char *prefix,
                 const struct guest *g,
                 uint64_t epoch,
                 struct images_order *ret,
                 struct err *e)
{
    memset(ret, 0, sizeof *ret);
    (void)str_copy(ret->guest, sizeof ret->guest, g->name);
    ret->uuid = g->uuid;
    ret->created_ms = g->created_ms;
    ret->epoch = epoch;
    for (uint32_t i = 0; g->image[0] != '\0' && i < g->config.disks_n; i++) {
        const char *path = g->config.disks[i].path;
        const char *file = file_of(g, path);
        char seed[2 * LIMIT_PATH];
        if (file == NULL) {
            continue;
        }
        struct images_disk *d = &ret->disks[ret->n];
        int repo = (int)(strchr(path, ':') - path);
        (void)snprintf(seed, sizeof seed, "%.*s:seed_pool/%s/%s", repo, path, g->image, file);
        if (agent_path(v, prefix, path, d->path, e) != 0 ||
            agent_path(v, prefix, seed, d->seed, e) != 0) {
            return e->code;
        }
        ret->n++;
    }
    return 0;
}

/* --- copying */

static bool is_cancelled(const bool *cancelled)
{
    return cancelled != NULL && __atomic_load_n(cancelled, __ATOMIC_RELAXED);
}

/* Some bytes at `at`; by the kernel if it can, else by hand. Returns how many, or -1. */
static ssize_t copy_some(int from, int to, off_t at, size_t len, char *room)
{
    off_t in = at;
    off_t out = at;
    ssize_t n = copy_file_range(from, &in, to, &out, len, 0);
    if (n >= 0 || (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)) {
        return n;
    }
    n = pread(from, room, len, at);
    return n <= 0 ? n : pwrite(to, room, (size_t)n, at);
}

static int copy_run(int from, int to, off_t at, off_t end, const bool *cancelled)
{
    char *room = mem_new(1, CHUNK);
    int rc = 0;
    while (rc == 0 && at < end) {
        ssize_t n = copy_some(from, to, at, (size_t)min_u64(CHUNK, (uint64_t)(end - at)), room);
        if (n <= 0) {
            rc = n == 0 ? EIO : errno; /* 0: the image was cut while it was read. */
        } else if (is_cancelled(cancelled)) {
            rc = ECANCELED;
        }
        at += n;
    }
    free(room);
    return rc;
}

/* Only what is data; holes stay holes. 0 or an errno. */
static int copy_sparse(int from, int to, off_t size, const bool *cancelled)
{
    if (ioctl(to, FICLONE, from) == 0) {
        return 0;
    }
    if (ftruncate(to, size) != 0) {
        return errno;
    }
    for (off_t at = 0; at < size;) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            return 0; /* The rest is a hole. */
        }
        off_t end = data < 0 ? size : lseek(from, data, SEEK_HOLE);
        data = data < 0 ? at : data; /* A file system without holes. */
        int rc = copy_run(from, to, data, end < 0 ? size : end, cancelled);
        if (rc != 0) {
            return rc;
        }
        at = end < 0 ? size : end;
    }
    return 0;
}

static int copy_to(int from, const char *path, off_t size, const bool *cancelled)
{
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0) {
        return errno;
    }
    int rc = copy_sparse(from, to, size, cancelled);
    if (rc == 0 && fsync(to) != 0) {
        rc = errno;
    }
    if (close(to) != 0 && rc == 0) {
        rc = errno;
    }
    return rc;
}

/* Give the copy its name, unless one has it already: then that one is the disk. */
static int name_copy(const char *temp, const char *path)
{
    int rc = link(temp, path) == 0 || errno == EEXIST ? 0 : errno;
    if (rc == EPERM || rc == EOPNOTSUPP || rc == EMLINK) { /* No hard links here. */
        rc = renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) == 0 || errno == EEXIST
                 ? 0
                 : errno;
    }
    (void)unlink(temp);
    return rc;
}

static int make_disk(const struct images_order *o,
                     const struct images_disk *d,
                     const bool *cancelled,
                     struct err *e)
{
    char temp[LIMIT_PATH + 64];
    struct stat st;
    if (access(d->path, F_OK) == 0) {
        return 0;
    }
    int from = open(d->seed, O_RDONLY | O_CLOEXEC);
    if (from < 0 || fstat(from, &st) != 0) {
        int rc = err_sys(e, ERR_NOT_FOUND, errno, "image file %s", d->seed);
        if (from >= 0) {
            (void)close(from);
        }
        return rc;
    }
    (void)snprintf(temp, sizeof temp, "%s.new-%llu", d->path, (unsigned long long)o->epoch);
    int errnum = S_ISREG(st.st_mode) ? copy_to(from, temp, st.st_size, cancelled) : EINVAL;
    (void)close(from);
    errnum = errnum == 0 ? name_copy(temp, d->path) : errnum;
    if (errnum != 0) {
        (void)unlink(temp);
    }
    if (errnum == ECANCELED) {
        return err_set(e, ERR_CANCELLED, "the disks are no longer wanted");
    }
    return errnum == 0 ? 0 : err_sys(e, ERR_IO, errnum, "disk %s", d->path);
}

int images_make_now(const struct images_order *order, const bool *cancelled, struct err *e)
{
    *e = (struct err){0};
    for (uint32_t i = 0; i < order->n; i++) {
        char dir[LIMIT_PATH + 1];
        bool made = false;
        (void)str_copy(dir, sizeof dir, order->disks[i].path);
        *strrchr(dir, '/') = '\0';
        if (images_dir_open(dir, order, &made, e) != 0) {
            return e->code;
        }
        if (made && access(order->disks[i].path, F_OK) != 0) {
            return err_set(e, ERR_NOT_FOUND, "disk %s is gone", order->disks[i].path);
        }
        if (make_disk(order, &order->disks[i], cancelled, e) != 0) {
            return e->code;
        }
    }
    for (uint32_t i = 0; i < order->n; i++) {
        char dir[LIMIT_PATH + 1];
        (void)str_copy(dir, sizeof dir, order->disks[i].path);
        *strrchr(dir, '/') = '\0';
        if (images_dir_made(dir, e) != 0) {
            return e->code;
        }
    }
    return 0;
}

/* --- in the thread pool */

struct images_job {
    uv_work_t work;
    struct images_order order;
    bool cancelled; /* Read by the worker. */
    struct err err;
    void (*done)(void *ctx, const struct err *err);
    void *ctx;
};

static void make_work(uv_work_t *work)
{
    struct images_job *job = work->data;
    (void)images_make_now(&job->order, &job->cancelled, &job->err);
}

static void make_done(uv_work_t *work, int status)
{
    struct images_job *job = work->data;
    if (status != 0) {
        (void)err_set(&job->err, ERR_CANCELLED, "the disks are no longer wanted");
    }
    job->done(job->ctx, &job->err);
    free(job);
}

struct images_job *images_make(struct uv_loop_s *loop,
                               const struct images_order *order,
                               void (*done)(void *ctx, const struct err *err),
                               void *ctx)
{
    struct images_job *job = mem_new(1, sizeof *job);
    job->order = *order;
    job->done = done;
    job->ctx = ctx;
    job->work.data = job;
    (void)uv_queue_work(loop, &job->work, make_work, make_done);
    return job;
}

void images_cancel(struct images_job *job)
{
    __atomic_store_n(&job->cancelled, true, __ATOMIC_RELAXED);
    (void)uv_cancel((uv_req_t *)&job->work); /* Fails when it has begun: the flag ends it then. */
}
