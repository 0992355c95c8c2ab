/* The operating system's disk: POSIX calls, one thread for the log's writes, one for short tasks
 * and one for slow ones.
 *
 * The writer thread takes everything that is queued for one file, writes it, calls fdatasync() once
 * and reports; meanwhile the loop queues more. Once a write or a sync has failed with anything but
 * a full disk, the kernel may have dropped the dirty pages and a later sync would report success
 * for data that is lost: from then on every write fails. */

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

#include "core/log.h"
#include "core/util.h"

#include "raftlog/disk.h"

#define LOCK_NAME "LOCK"

/* Buffers of one pwritev(). */
#define GATHER 64

struct os_file {
    struct disk_file base;
    int fd;
    char name[DISK_NAME_SIZE];
};

struct lane { /* One thread for tasks. */
    pthread_t thread;
    struct os_disk *disk;
    pthread_cond_t work; /* Of its own: what is not for it must not wake it. */
    struct disk_task *first, *last;
};

struct os_disk {
    struct disk base;
    int dir_fd;
    int lock_fd;
    uv_async_t wake;
    pthread_t writer;
    struct lane lanes[2]; /* Short, slow. */
    void (*closed)(void *ctx);
    void *closed_ctx;
    /* Under the lock: */
    pthread_mutex_t lock;
    pthread_cond_t work; /* The writer's. */
    bool stop;
    bool broken; /* A write or a sync failed for good. */
    bool full;   /* A write found no room; fails the others until one says `resume`. */
    uint64_t syncs;
    uint64_t writes;
    struct disk_write *write_first, *write_last;
    struct disk_write *wrote_first, *wrote_last;
    struct disk_task *ran_first, *ran_last;
};

static struct os_disk *os_disk(struct disk *d)
{
    return CONTAINER_OF(d, struct os_disk, base);
}

static struct os_file *os_file(struct disk_file *f)
{
    return CONTAINER_OF(f, struct os_file, base);
}

/* --- blocking calls */

static const struct disk_ops os_ops;

static int os_open(struct disk *d,
                   const char *name,
                   enum disk_mode mode,
                   struct disk_file **ret,
                   struct err *e)
{
    static const int flags[] = {
        [DISK_READ] = O_RDONLY, [DISK_WRITE] = O_RDWR, [DISK_CREATE] = O_RDWR | O_CREAT | O_TRUNC};
    int fd = openat(os_disk(d)->dir_fd, name, flags[mode] | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "open %s", name);
    }
    struct os_file *f = mem_new(1, sizeof *f);
    f->base.ops = &os_ops;
    f->fd = fd;
    (void)str_copy(f->name, sizeof f->name, name);
    *ret = &f->base;
    return 0;
}

static void os_close(struct disk_file *f)
{
    (void)close(os_file(f)->fd); /* What had to be durable was synced. */
    free(os_file(f));
}

static int os_size(struct disk_file *f, uint64_t *ret, struct err *e)
{
    struct stat st;
    if (fstat(os_file(f)->fd, &st) != 0) {
        return err_sys(e, ERR_IO, errno, "stat %s", os_file(f)->name);
    }
    *ret = (uint64_t)st.st_size;
    return 0;
}

static int
os_read(struct disk_file *f, uint64_t offset, void *data, size_t len, size_t *ret_n, struct err *e)
{
    size_t n = 0;
    while (n < len) {
        ssize_t r = pread(os_file(f)->fd, (char *)data + n, len - n, (off_t)(offset + n));
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            return err_sys(e, ERR_IO, errno, "read %s at %llu", os_file(f)->name,
                           (unsigned long long)offset);
        }
        if (r == 0) {
            break;
        }
        n += (size_t)r;
    }
    *ret_n = n;
    return 0;
}

static int
os_write(struct disk_file *f, uint64_t offset, const void *data, size_t len, struct err *e)
{
    size_t n = 0;
    while (n < len) {
        ssize_t r = pwrite(os_file(f)->fd, (const char *)data + n, len - n, (off_t)(offset + n));
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            return err_sys(e, ERR_IO, errno, "write %s at %llu", os_file(f)->name,
                           (unsigned long long)offset);
        }
        n += (size_t)r;
    }
    return 0;
}

static int os_truncate(struct disk_file *f, uint64_t size, struct err *e)
{
    if (ftruncate(os_file(f)->fd, (off_t)size) != 0) {
        return err_sys(e, ERR_IO, errno, "truncate %s", os_file(f)->name);
    }
    return 0;
}

static int os_allocate(struct disk_file *f, uint64_t size, struct err *e)
{
    int r = posix_fallocate(os_file(f)->fd, 0, (off_t)size);
    if (r != 0) {
        return err_sys(e, ERR_IO, r, "allocate %s", os_file(f)->name);
    }
    return 0;
}

static int os_sync(struct disk_file *f, struct err *e)
{
    if (fdatasync(os_file(f)->fd) != 0) {
        return err_sys(e, ERR_IO, errno, "sync %s", os_file(f)->name);
    }
    return 0;
}

static int os_rename(struct disk *d, const char *from, const char *to, struct err *e)
{
    int fd = os_disk(d)->dir_fd;
    if (renameat(fd, from, fd, to) != 0) {
        return err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "rename %s to %s", from,
                       to);
    }
    return 0;
}

static int os_remove(struct disk *d, const char *name, struct err *e)
{
    if (unlinkat(os_disk(d)->dir_fd, name, 0) != 0 && errno != ENOENT) {
        return err_sys(e, ERR_IO, errno, "remove %s", name);
    }
    return 0;
}

static int os_sync_dir(struct disk *d, struct err *e)
{
    if (fsync(os_disk(d)->dir_fd) != 0) {
        return err_sys(e, ERR_IO, errno, "sync the data directory");
    }
    return 0;
}

static int
os_list(struct disk *d, void (*name)(void *ctx, const char *name), void *ctx, struct err *e)
{
    int fd = openat(os_disk(d)->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int errnum = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return err_sys(e, ERR_IO, errnum, "list the data directory");
    }
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): ours. */
        const char *n = entry->d_name;
        if (n[0] != '.' && strcmp(n, LOCK_NAME) != 0 && strlen(n) < DISK_NAME_SIZE) {
            name(ctx, n);
        }
    }
    int errnum = errno;
    (void)closedir(dir);
    return errnum == 0 ? 0 : err_sys(e, ERR_IO, errnum, "list the data directory");
}

static int os_space(struct disk *d, uint64_t *ret_free, uint64_t *ret_total, struct err *e)
{
    struct statvfs s;
    if (fstatvfs(os_disk(d)->dir_fd, &s) != 0) {
        return err_sys(e, ERR_IO, errno, "look for free space");
    }
    *ret_free = (uint64_t)s.f_bavail * s.f_frsize;
    *ret_total = (uint64_t)s.f_blocks * s.f_frsize;
    return 0;
}

/* --- the writer thread */

/* Neighbours in the file go out in one call; returns how many writes were taken, or -errno. */
static int write_run(struct disk_write *first, int *ret_errno)
{
    struct iovec iov[GATHER];
    int n = 0;
    size_t total = 0;
    struct disk_write *w = first;
    while (w != NULL && n < GATHER && w->offset == first->offset + total) {
        iov[n].iov_base = (void *)w->data;
        iov[n].iov_len = w->len;
        total += w->len;
        n++;
        w = w->next;
    }
    struct iovec *at = iov;
    int left = n;
    uint64_t offset = first->offset;
    while (total > 0) {
        ssize_t r = pwritev(os_file(first->file)->fd, at, left, (off_t)offset);
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            *ret_errno = errno;
            return n;
        }
        offset += (size_t)r;
        total -= (size_t)r;
        size_t done = (size_t)r;
        while (left > 0 && done >= at->iov_len) {
            done -= at->iov_len;
            at++;
            left--;
        }
        if (left > 0) {
            at->iov_base = (char *)at->iov_base + done;
            at->iov_len -= done;
        }
    }
    return n;
}

/* Write and sync one group: a list of writes to one file. */
static int write_group(struct disk_write *group)
{
    struct disk_file *file = group->file;
    struct err e = {0};
    int errnum = 0;
    for (struct disk_write *w = group; w != NULL && errnum == 0;) {
        for (int n = write_run(w, &errnum); n > 0; n--) {
            w = w->next;
        }
    }
    if (errnum == ENOSPC || errnum == EDQUOT) {
        return ERR_NO_SPACE;
    }
    /* A sync that says ENOSPC is an error, too: the pages may be gone. */
    int rc = errnum == 0 ? os_sync(file, &e)
                         : err_sys(&e, ERR_IO, errnum, "write %s", os_file(file)->name);
    if (rc != 0) {
        log_line(LOG_ERROR, "disk_failed", "err", e.msg, NULL);
    }
    return rc;
}

/* Cut the first group off the queue. */
static struct disk_write *take_group(struct os_disk *d)
{
    struct disk_write *first = d->write_first;
    struct disk_write *last = first;
    while (!last->alone && last->next != NULL && last->next->file == first->file &&
           !last->next->resume) {
        last = last->next;
    }
    d->write_first = last->next;
    if (d->write_first == NULL) {
        d->write_last = NULL;
    }
    last->next = NULL;
    return first;
}

static void report_group(struct os_disk *d, struct disk_write *group, int code)
{
    struct disk_write *last = group;
    for (struct disk_write *w = group; w != NULL; w = w->next) {
        w->code = code;
        last = w;
        d->writes++;
    }
    if (d->wrote_last == NULL) {
        d->wrote_first = group;
    } else {
        d->wrote_last->next = group;
    }
    d->wrote_last = last;
    d->syncs++;
}

static void *writer_main(void *arg)
{
    struct os_disk *d = arg;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (d->write_first == NULL && !d->stop) {
            pthread_cond_wait(&d->work, &d->lock);
        }
        if (d->write_first == NULL) {
            break;
        }
        struct disk_write *group = take_group(d);
        d->full = d->full && !group->resume;
        int code = d->broken ? ERR_IO : d->full ? ERR_NO_SPACE : 0;
        if (code == 0) {
            pthread_mutex_unlock(&d->lock);
            code = write_group(group);
            pthread_mutex_lock(&d->lock);
            d->broken = code == ERR_IO;
            d->full = code == ERR_NO_SPACE;
        }
        report_group(d, group, code);
        pthread_mutex_unlock(&d->lock);
        (void)uv_async_send(&d->wake);
        pthread_mutex_lock(&d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* --- the background threads */

static void *lane_main(void *arg)
{
    struct lane *l = arg;
    struct os_disk *d = l->disk;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (l->first == NULL && !d->stop) {
            pthread_cond_wait(&l->work, &d->lock);
        }
        if (l->first == NULL) {
            break;
        }
        struct disk_task *t = l->first;
        l->first = t->next;
        if (l->first == NULL) {
            l->last = NULL;
        }
        t->next = NULL;
        pthread_mutex_unlock(&d->lock);
        t->work(t);
        pthread_mutex_lock(&d->lock);
        if (d->ran_last == NULL) {
            d->ran_first = t;
        } else {
            d->ran_last->next = t;
        }
        d->ran_last = t;
        (void)uv_async_send(&d->wake);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* --- the loop's side */

static void os_queue(struct disk *base, struct disk_write *w)
{
    struct os_disk *d = os_disk(base);
    w->next = NULL;
    pthread_mutex_lock(&d->lock);
    if (d->write_last == NULL) {
        d->write_first = w;
    } else {
        d->write_last->next = w;
    }
    d->write_last = w;
    pthread_mutex_unlock(&d->lock);
    (void)pthread_cond_signal(&d->work); /* After the lock: it would wake to wait for that. */
}

static void os_run(struct disk *base, struct disk_task *t)
{
    struct os_disk *d = os_disk(base);
    struct lane *l = &d->lanes[t->slow ? 1 : 0];
    t->next = NULL;
    pthread_mutex_lock(&d->lock);
    if (l->last == NULL) {
        l->first = t;
    } else {
        l->last->next = t;
    }
    l->last = t;
    pthread_mutex_unlock(&d->lock);
    (void)pthread_cond_signal(&l->work);
}

static void on_wake(uv_async_t *wake)
{
    struct os_disk *d = CONTAINER_OF(wake, struct os_disk, wake);
    pthread_mutex_lock(&d->lock);
    struct disk_write *w = d->wrote_first;
    struct disk_task *t = d->ran_first;
    d->wrote_first = d->wrote_last = NULL;
    d->ran_first = d->ran_last = NULL;
    pthread_mutex_unlock(&d->lock);
    while (w != NULL) {
        struct disk_write *next = w->next;
        w->done(w, w->code);
        w = next;
    }
    while (t != NULL) {
        struct disk_task *next = t->next;
        t->done(t);
        t = next;
    }
}

static const struct disk_ops os_ops = {.open = os_open,
                                       .close = os_close,
                                       .size = os_size,
                                       .read = os_read,
                                       .write = os_write,
                                       .truncate = os_truncate,
                                       .allocate = os_allocate,
                                       .sync = os_sync,
                                       .rename = os_rename,
                                       .remove = os_remove,
                                       .sync_dir = os_sync_dir,
                                       .list = os_list,
                                       .space = os_space,
                                       .queue = os_queue,
                                       .run = os_run};

/* Make the directory and those above it. */
static int make_dirs(const char *dir, struct err *e)
{
    char *path CLEANUP(cleanup_free) = mem_strdup(dir);
    for (char *p = path + 1;; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char was = *p;
        *p = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            return err_sys(e, ERR_IO, errno, "make %s", path);
        }
        if (was == '\0') {
            return 0;
        }
        *p = was;
    }
}

static int take_dir(struct os_disk *d, const char *dir, struct err *e)
{
    int rc = make_dirs(dir, e);
    if (rc != 0) {
        return rc;
    }
    d->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dir_fd < 0) {
        return err_sys(e, ERR_IO, errno, "open %s", dir);
    }
    d->lock_fd = openat(d->dir_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0) {
        return err_sys(e, ERR_IO, errno, "open %s/" LOCK_NAME, dir);
    }
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return err_set(e, ERR_LOCKED, "%s is in use by another daemon", dir);
    }
    return 0;
}

static void drop_dir(struct os_disk *d)
{
    if (d->lock_fd >= 0) {
        (void)close(d->lock_fd); /* Releases the lock. */
    }
    if (d->dir_fd >= 0) {
        (void)close(d->dir_fd);
    }
}

int disk_os_open(struct disk **ret, struct uv_loop_s *loop, const char *dir, struct err *e)
{
    struct os_disk *d = mem_new(1, sizeof *d);
    d->base.ops = &os_ops;
    d->dir_fd = -1;
    d->lock_fd = -1;
    int rc = take_dir(d, dir, e);
    if (rc != 0) {
        drop_dir(d);
        free(d);
        return rc;
    }
    int r = pthread_mutex_init(&d->lock, NULL);
    assert(r == 0);
    r = pthread_cond_init(&d->work, NULL);
    assert(r == 0);
    r = uv_async_init(loop, &d->wake, on_wake);
    assert(r == 0);
    r = pthread_create(&d->writer, NULL, writer_main, d);
    assert(r == 0);
    for (size_t i = 0; i < ARRAY_LEN(d->lanes); i++) {
        d->lanes[i].disk = d;
        r = pthread_cond_init(&d->lanes[i].work, NULL);
        assert(r == 0);
        r = pthread_create(&d->lanes[i].thread, NULL, lane_main, &d->lanes[i]);
        assert(r == 0);
    }
    *ret = &d->base;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct os_disk *d = CONTAINER_OF(handle, struct os_disk, wake);
    void (*closed)(void *) = d->closed;
    void *ctx = d->closed_ctx;
    free(d);
    if (closed != NULL) {
        closed(ctx);
    }
}

void disk_os_close(struct disk *base, void (*closed)(void *ctx), void *ctx)
{
    struct os_disk *d = os_disk(base);
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_mutex_unlock(&d->lock);
    (void)pthread_cond_signal(&d->work);
    (void)pthread_join(d->writer, NULL);
    for (size_t i = 0; i < ARRAY_LEN(d->lanes); i++) {
        (void)pthread_cond_signal(&d->lanes[i].work);
        (void)pthread_join(d->lanes[i].thread, NULL);
        (void)pthread_cond_destroy(&d->lanes[i].work);
    }
    (void)pthread_cond_destroy(&d->work);
    (void)pthread_mutex_destroy(&d->lock);
    drop_dir(d);
    d->closed = closed;
    d->closed_ctx = ctx;
    uv_close((uv_handle_t *)&d->wake, on_closed);
}

void disk_os_counts(struct disk *base, uint64_t *ret_syncs, uint64_t *ret_writes)
{
    struct os_disk *d = os_disk(base);
    pthread_mutex_lock(&d->lock);
    *ret_syncs = d->syncs;
    *ret_writes = d->writes;
    pthread_mutex_unlock(&d->lock);
}
