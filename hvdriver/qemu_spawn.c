#include "hvdriver/qemu_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/qemu_probe.h"
#include "hvdriver/qemu_tap.h"
#include "hvdriver/spec.h"

#define FDS_MAX (QEMU_FD_TAPS - QEMU_FD_QMP + LIMIT_VIFS)

/* Descriptors for QEMU: kept far from the numbers that they will have there. */
struct fds {
    int fd[FDS_MAX];
    size_t n;
};

static int give_fd(struct fds *f, int fd, struct err *e)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, QEMU_FD_QMP + FDS_MAX);
    int errnum = errno;
    (void)close(fd);
    if (high < 0) {
        return err_sys(e, ERR_IO, errnum, "descriptor");
    }
    f->fd[f->n++] = high;
    return 0;
}

static void close_fds(struct fds *f)
{
    for (size_t i = 0; i < f->n; i++) {
        (void)close(f->fd[i]);
    }
    f->n = 0;
}

static int listen_on(const char *dir, const char *name, struct fds *f, struct err *e)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int n = snprintf(addr.sun_path, sizeof addr.sun_path, "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof addr.sun_path) {
        return err_set(e, ERR_TOO_BIG,
                       "the path of the socket %s/%s is longer than %zu bytes: choose a shorter "
                       "run directory",
                       dir, name, sizeof addr.sun_path - 1);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_sys(e, ERR_IO, errno, "socket");
    }
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || listen(fd, 4) != 0) {
        int errnum = errno;
        (void)close(fd);
        return err_sys(e, ERR_IO, errnum, "socket %s", addr.sun_path);
    }
    return give_fd(f, fd, e);
}

static int open_fds(struct qemu_spawn *s, struct fds *f, struct err *e)
{
    /* In the order of the enum QEMU_FD_*. */
    if (listen_on(s->dir, "qmp", f, e) != 0 || listen_on(s->dir, "spare", f, e) != 0 ||
        listen_on(s->dir, "console", f, e) != 0) {
        return e->code;
    }
    for (uint32_t i = 0; i < s->spec.n_vifs; i++) {
        if (s->spec.vifs[i].bridge[0] == '\0') {
            continue;
        }
        int fd = qemu_tap_open(s->spec.vifs[i].bridge, e);
        if (fd < 0 || give_fd(f, fd, e) != 0) {
            return e->code;
        }
    }
    return 0;
}

static int write_secret(const char *dir, const char *password, struct err *e)
{
    char path[LIMIT_PATH + HV_STAMP_SIZE + 32];
    (void)snprintf(path, sizeof path, "%s/" QEMU_VNC_SECRET, dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t len = strlen(password);
    if (fd < 0 || write(fd, password, len) != (ssize_t)len) {
        (void)err_sys(e, ERR_IO, errno, "file %s", path);
        if (fd >= 0) {
            (void)close(fd);
        }
        return e->code;
    }
    (void)close(fd);
    return 0;
}

static int make_dir(struct qemu_spawn *s, struct err *e)
{
    /* A directory of this stamp belongs to a copy that is here; it is never taken over. */
    if (mkdir(s->dir, 0700) != 0) {
        return err_sys(e, errno == EEXIST ? ERR_EXISTS : ERR_IO, errno, "directory %s", s->dir);
    }
    if (qemu_stamp_write(s->dir, &s->stamp, e) != 0) {
        return e->code;
    }
    if (s->spec.vnc && s->spec.vnc_password[0] != '\0') {
        return write_secret(s->dir, s->spec.vnc_password, e);
    }
    return 0;
}

/* tmpfs and some others cannot. */
static void probe_direct(struct qemu_spawn *s)
{
    for (uint32_t i = 0; i < s->spec.n_disks; i++) {
        int fd = open(s->spec.disks[i].path, O_RDONLY | O_DIRECT | O_CLOEXEC);
        s->host.direct[i] = fd >= 0;
        if (fd >= 0) {
            (void)close(fd);
        }
    }
}

static int file_actions(struct qemu_spawn *s, const struct fds *f, posix_spawn_file_actions_t *fa)
{
    char log[LIMIT_PATH + HV_STAMP_SIZE + 32];
    (void)snprintf(log, sizeof log, "%s/log", s->dir);
    int r = posix_spawn_file_actions_addchdir_np(fa, "/"); /* It must not pin a directory. */
    r = r != 0 ? r : posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDONLY, 0);
    r = r != 0 ? r
               : posix_spawn_file_actions_addopen(fa, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    r = r != 0 ? r : posix_spawn_file_actions_adddup2(fa, 1, 2);
    for (size_t i = 0; i < f->n && r == 0; i++) {
        r = posix_spawn_file_actions_adddup2(fa, f->fd[i], QEMU_FD_QMP + (int)i);
    }
    return r != 0 ? r : posix_spawn_file_actions_addclosefrom_np(fa, QEMU_FD_QMP + (int)f->n);
}

static int spawn(struct qemu_spawn *s, const struct fds *f, char **argv, struct err *e)
{
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    sigset_t none;
    sigset_t all;
    pid_t pid = -1;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&fa);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawnattr_setsigmask(&attr, &none);
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    int r = file_actions(s, f, &fa);
    r = r != 0 ? r : posix_spawnp(&pid, argv[0], &fa, &attr, argv, environ);
    (void)posix_spawn_file_actions_destroy(&fa);
    (void)posix_spawnattr_destroy(&attr);
    if (r != 0) {
        return qemu_not_run(argv[0], r, e);
    }
    s->pid = pid;
    s->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (s->pidfd < 0) {
        int errnum = errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return err_sys(e, ERR_UNSUPPORTED, errnum, "pidfd");
    }
    return 0;
}

void qemu_spawn_now(struct qemu_spawn *s)
{
    struct fds fds = {.n = 0};
    s->pidfd = -1;
    s->err.code = 0;
    if (spec_check_files(&s->spec, &s->err) != 0) {
        return;
    }
    if (make_dir(s, &s->err) != 0) {
        if (s->err.code != ERR_EXISTS) {
            qemu_dir_remove(s->dir);
        }
        return;
    }
    probe_direct(s);
    s->host.dir = s->dir;
    s->host.console_log = s->stamp.info.log;
    char **argv = qemu_args(&s->spec, &s->host);
    if (open_fds(s, &fds, &s->err) != 0 || spawn(s, &fds, argv, &s->err) != 0) {
        qemu_dir_remove(s->dir);
    }
    close_fds(&fds);
    qemu_args_free(argv);
}
