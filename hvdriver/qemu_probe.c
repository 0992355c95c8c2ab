#include "hvdriver/qemu_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"

#include "hvdriver/qmp_msg.h"

struct talk {
    int fd;
    uint64_t deadline_ms;
    size_t len;
    char line[QMP_LINE_MAX];
};

/* The next message that is not an event. */
static int hear(struct talk *t, struct qmp_msg *ret, struct err *e)
{
    for (;;) {
        char *end = memchr(t->line, '\n', t->len);
        if (end != NULL) {
            size_t used = (size_t)(end - t->line) + 1;
            int rc = qmp_msg_parse(t->line, used - 1, ret, e);
            t->len -= used;
            memmove(t->line, t->line + used, t->len);
            if (rc != 0 || ret->kind != QMP_EVENT) {
                return rc;
            }
            qmp_msg_done(ret);
            continue;
        }
        uint64_t now = os_clock()->mono_ms(os_clock());
        struct pollfd p = {.fd = t->fd, .events = POLLIN};
        int left = now < t->deadline_ms ? (int)(t->deadline_ms - now) : 0;
        if (t->len == sizeof t->line || poll(&p, 1, left) <= 0) {
            return err_set(e, ERR_TIMEOUT, "QEMU's monitor does not answer");
        }
        ssize_t n = read(t->fd, t->line + t->len, sizeof t->line - t->len);
        if (n <= 0) {
            return err_set(e, ERR_CLOSED, "QEMU's monitor hung up");
        }
        t->len += (size_t)n;
    }
}

/* Send a command and take the string `key` of what it returns. */
static int ask(struct talk *t, const char *command, char ret[32], struct err *e)
{
    char text[96];
    struct qmp_msg m = {0};
    int n = snprintf(text, sizeof text, "{\"execute\":\"%s\"}\n", command);
    if (write(t->fd, text, (size_t)n) != n) {
        return err_sys(e, ERR_IO, errno, "QEMU's monitor");
    }
    if (hear(t, &m, e) != 0) {
        return e->code;
    }
    const char *status = json_string_value(json_object_get(m.value, "status"));
    (void)str_copy(ret, 32, status == NULL ? "" : status);
    qmp_msg_done(&m);
    return 0;
}

static int converse(struct talk *t, char status[32], char migration[32], struct err *e)
{
    struct qmp_msg greeting = {0};
    char nothing[32];
    if (hear(t, &greeting, e) != 0) {
        return e->code;
    }
    qmp_msg_done(&greeting);
    if (ask(t, "qmp_capabilities", nothing, e) != 0 || ask(t, "query-status", status, e) != 0) {
        return e->code;
    }
    return ask(t, "query-migrate", migration, e);
}

int qemu_probe(const char *path,
               uint64_t deadline_ms,
               char status[32],
               char migration[32],
               struct err *e)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    if (str_copy(addr.sun_path, sizeof addr.sun_path, path) >= sizeof addr.sun_path) {
        return err_set(e, ERR_TOO_BIG, "the path %s is too long for a socket", path);
    }
    struct talk *t = mem_new(1, sizeof *t);
    t->deadline_ms = deadline_ms;
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc;
    if (t->fd < 0 || connect(t->fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        rc = err_sys(e, ERR_IO, errno, "connect to %s", path);
    } else {
        rc = converse(t, status, migration, e);
    }
    if (t->fd >= 0) {
        (void)close(t->fd);
    }
    free(t);
    return rc;
}

/* Run "emulator --version" and read the beginning of what it says. */
static int run_version(const char *emulator, char *text, size_t size)
{
    char *argv[] = {mem_strdup(emulator), mem_strdup("--version"), NULL};
    posix_spawn_file_actions_t fa;
    int fds[2];
    pid_t pid;
    size_t len = 0;
    int r = pipe2(fds, O_CLOEXEC) != 0 ? errno : 0;
    if (r == 0) {
        (void)posix_spawn_file_actions_init(&fa);
        (void)posix_spawn_file_actions_adddup2(&fa, fds[1], STDOUT_FILENO);
        r = posix_spawnp(&pid, emulator, &fa, NULL, argv, environ);
        (void)posix_spawn_file_actions_destroy(&fa);
        (void)close(fds[1]);
        ssize_t n = r == 0 ? 1 : 0;
        while (n > 0 && len + 1 < size) {
            n = read(fds[0], text + len, size - 1 - len);
            len += n > 0 ? (size_t)n : 0;
        }
        (void)close(fds[0]);
        if (r == 0) {
            (void)waitpid(pid, NULL, 0);
        }
    }
    text[len] = '\0';
    free(argv[0]);
    free(argv[1]);
    return r;
}

int qemu_not_run(const char *emulator, int errnum, struct err *e)
{
    if (errnum == ENOENT) {
        return err_set(e, ERR_UNSUPPORTED, "%s is not here: install the package qemu-system-x86",
                       emulator);
    }
    bool wrong = errnum == EACCES || errnum == ENOEXEC;
    return err_sys(e, wrong ? ERR_UNSUPPORTED : ERR_IO, errnum, "run %s", emulator);
}

int qemu_probe_version(const char *emulator, char version[64], struct err *e)
{
    static const char before[] = "QEMU emulator version ";
    char text[512];
    int r = run_version(emulator, text, sizeof text);
    if (r != 0) {
        return qemu_not_run(emulator, r, e);
    }
    if (strncmp(text, before, strlen(before)) != 0) {
        return err_set(e, ERR_UNSUPPORTED, "%s is not a QEMU: install the package qemu-system-x86",
                       emulator);
    }
    const char *number = text + strlen(before);
    (void)snprintf(version, 64, "%.*s", (int)min_u64(strcspn(number, " \n"), 60), number);
    return 0;
}

static bool cpu_virtualises(void)
{
    static const char *const flags[] = {" vmx ", " svm "};
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f != NULL && !found && getline(&line, &size, f) > 0) {
        if (strncmp(line, "flags", 5) != 0) {
            continue;
        }
        line[strcspn(line, "\n")] = ' ';
        for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
            found = found || strstr(line, flags[i]) != NULL;
        }
    }
    free(line);
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

bool qemu_probe_kvm(void)
{
    if (!cpu_virtualises()) {
        return false;
    }
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm = fd < 0 ? -1 : ioctl(fd, KVM_CREATE_VM, 0);
    if (vm >= 0) {
        (void)close(vm);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return vm >= 0;
}
