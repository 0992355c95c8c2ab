#include "hvdriver/save_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"

void save_file_name(struct save_file *f, const char *path, const struct hv_key *key)
{
    char stamp[HV_STAMP_SIZE];
    (void)str_copy(f->path, sizeof f->path, path);
    (void)snprintf(f->temp, sizeof f->temp, "%s.%s.part", path, hv_stamp(key, stamp));
}

static int failed(struct err *e, int errnum, const char *path)
{
    int code = errnum == ENOENT || errnum == ENOTDIR                    ? ERR_NOT_FOUND
               : errnum == EACCES || errnum == EPERM || errnum == EROFS ? ERR_DENIED
               : errnum == ENOSPC || errnum == EDQUOT                   ? ERR_NO_SPACE
               : errnum == EEXIST                                       ? ERR_EXISTS
                                                                        : ERR_IO;
    return err_sys(e, code, errnum, "saved memory %s", path);
}

static void directory_of(const char *path, char *to, size_t size)
{
    (void)str_copy(to, size, path);
    char *slash = strrchr(to, '/');
    slash[slash == to ? 1 : 0] = '\0';
}

int save_file_begin(const struct save_file *f, struct err *e)
{
    char dir[LIMIT_PATH + 1];
    struct stat st;
    directory_of(f->path, dir, sizeof dir);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        return failed(e, errno, f->path);
    }
    if (lstat(f->path, &st) == 0) {
        return failed(e, EEXIST, f->path);
    }
    (void)unlink(f->temp);
    /* Made here, so that nobody else may read it and what is wrong is told in our words. */
    int fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return failed(e, errno, f->path);
    }
    (void)close(fd);
    return 0;
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int errnum = fsync(fd) == 0 ? 0 : errno;
    return close(fd) != 0 && errnum == 0 ? errno : errnum;
}

static int name_it(const struct save_file *f)
{
    if (link(f->temp, f->path) == 0) {
        (void)unlink(f->temp);
        return 0;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK) {
        return errno;
    }
    /* No hard links here. */
    return renameat2(AT_FDCWD, f->temp, AT_FDCWD, f->path, RENAME_NOREPLACE) == 0 ? 0 : errno;
}

int save_file_commit(const struct save_file *f, struct err *e)
{
    char dir[LIMIT_PATH + 1];
    directory_of(f->path, dir, sizeof dir);
    int errnum = sync_path(f->temp, O_WRONLY);
    bool named = false;
    if (errnum == 0) {
        errnum = name_it(f);
        named = errnum == 0;
    }
    if (errnum == 0) {
        errnum = sync_path(dir, O_RDONLY | O_DIRECTORY);
    }
    if (errnum != 0) {
        save_file_discard(f, named);
        return failed(e, errnum, f->path);
    }
    return 0;
}

void save_file_discard(const struct save_file *f, bool named)
{
    (void)unlink(f->temp);
    if (named) {
        (void)unlink(f->path);
    }
}
