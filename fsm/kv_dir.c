#include "fsm/kv_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/util.h"

/* Bytes of a marker, the final NUL included. */
#define MARKER_SIZE 128

static char *path_of(const char *dir, const char *name)
{
    CLEANUP(buf_done) struct buf b = {0};
    buf_printf(&b, "%s/%s", dir, name);
    buf_put_u8(&b, 0);
    return (char *)buf_take(&b);
}

static int sync_dir(const char *dir, struct err *e)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_sys(e, ERR_IO, errno, "open %s", dir);
    }
    int r = fsync(fd);
    int saved = errno;
    (void)close(fd);
    return r == 0 ? 0 : err_sys(e, ERR_IO, saved, "sync %s", dir);
}

static int write_all(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0) {
            return errno;
        }
        text += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

/* Replace the marker and make that durable. */
static int write_marker(const char *dir, const char *text, struct err *e)
{
    CLEANUP(cleanup_free) char *path = path_of(dir, "marker");
    CLEANUP(cleanup_free) char *tmp = path_of(dir, "marker.new");
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_sys(e, ERR_IO, errno, "create %s", tmp);
    }
    int errnum = write_all(fd, text);
    (void)close(fd); /* What matters was synced. */
    if (errnum == 0 && rename(tmp, path) != 0) {
        errnum = errno;
    }
    return errnum == 0 ? sync_dir(dir, e) : err_sys(e, ERR_IO, errnum, "write %s", path);
}

static void open_marker(const char *boot_id, char out[MARKER_SIZE])
{
    (void)snprintf(out, MARKER_SIZE, "open %.100s\n", boot_id);
}

/* Whether what LMDB left can be trusted. */
static bool marker_trusts(const char *dir, const char *boot_id)
{
    CLEANUP(cleanup_free) char *path = path_of(dir, "marker");
    char text[160] = "";
    char mine[MARKER_SIZE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    open_marker(boot_id, mine);
    return n > 0 && (strcmp(text, "clean\n") == 0 || strcmp(text, mine) == 0);
}

static int unlink_if_there(const char *dir, const char *name, struct err *e)
{
    CLEANUP(cleanup_free) char *path = path_of(dir, name);
    if (unlink(path) != 0 && errno != ENOENT) {
        return err_sys(e, ERR_IO, errno, "delete %s", path);
    }
    return 0;
}

int kv_dir_empty(struct kv_dir *d, struct err *e)
{
    int rc = unlink_if_there(d->path, "state.mdb", e);
    return rc == 0 ? unlink_if_there(d->path, "state.mdb-lock", e) : rc;
}

static int take_lock(struct kv_dir *d, struct err *e)
{
    CLEANUP(cleanup_free) char *path = path_of(d->path, "lock");
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0) {
        return err_sys(e, ERR_IO, errno, "open %s", path);
    }
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        return 0;
    }
    return errno == EWOULDBLOCK ? err_set(e, ERR_LOCKED, "another process has %s open", d->path)
                                : err_sys(e, ERR_IO, errno, "lock %s", path);
}

int kv_dir_open(struct kv_dir *d,
                const char *path,
                const char *boot_id,
                bool *ret_emptied,
                struct err *e)
{
    *d = (struct kv_dir){
        .path = mem_strdup(path), .file = path_of(path, "state.mdb"), .lock_fd = -1};
    *ret_emptied = false;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_sys(e, ERR_IO, errno, "create %s", path);
    }
    int rc = take_lock(d, e);
    if (rc == 0 && access(d->file, F_OK) == 0 && !marker_trusts(path, boot_id)) {
        *ret_emptied = true;
        rc = kv_dir_empty(d, e);
    }
    char marker[MARKER_SIZE];
    open_marker(boot_id, marker);
    return rc == 0 ? write_marker(path, marker, e) : rc;
}

int kv_dir_mark_clean(struct kv_dir *d, struct err *e)
{
    return write_marker(d->path, "clean\n", e);
}

void kv_dir_close(struct kv_dir *d)
{
    if (d->path == NULL) {
        return;
    }
    if (d->lock_fd >= 0) {
        (void)close(d->lock_fd);
    }
    free(d->path);
    free(d->file);
    *d = (struct kv_dir){.lock_fd = -1};
}
