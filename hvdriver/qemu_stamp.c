#include "hvdriver/qemu_stamp.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/qemu_keys.h"
#include "hvdriver/qmp_msg.h"

#define STAMP_MAX_BYTES   4096u
#define CMDLINE_MAX_BYTES 32768u
#define PATH_SIZE         (LIMIT_PATH + HV_STAMP_SIZE + 32)

static const char *in_dir(char *out, const char *dir, const char *name)
{
    (void)snprintf(out, PATH_SIZE, "%s/%s", dir, name);
    return out;
}

int qemu_stamp_write(const char *dir, const struct qemu_stamp *stamp, struct err *e)
{
    const struct hv_info *i = &stamp->info;
    char uuid[ID_TEXT_SIZE];
    char path[PATH_SIZE];
    char temp[PATH_SIZE];
    json_t *root = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:b}", "name", i->name, "uuid",
                             id_text(&i->key.uuid, uuid), "epoch", (json_int_t)i->key.epoch,
                             "memory_mib", (json_int_t)i->memory_mib, "vcpus", (json_int_t)i->vcpus,
                             "started_ms", (json_int_t)i->started_ms, "vnc_display",
                             (int)i->vnc_display, "incoming", (int)stamp->incoming);
    in_dir(path, dir, "stamp");
    in_dir(temp, dir, "stamp.new");
    int r = root == NULL ? -1 : json_dump_file(root, temp, JSON_INDENT(1));
    json_decref(root);
    if (r != 0 || rename(temp, path) != 0) {
        return err_sys(e, ERR_IO, errno, "file %s", path);
    }
    return 0;
}

static int decode(json_t *root, struct qemu_stamp *s)
{
    const char *name;
    const char *uuid;
    json_int_t epoch;
    json_int_t memory;
    json_int_t vcpus;
    json_int_t started;
    int incoming;
    struct hv_info *i = &s->info;
    if (json_unpack(root, "{s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:b !}", "name", &name, "uuid",
                    &uuid, "epoch", &epoch, "memory_mib", &memory, "vcpus", &vcpus, "started_ms",
                    &started, "vnc_display", &i->vnc_display, "incoming", &incoming) != 0) {
        return ERR_CORRUPT;
    }
    if (id_parse(uuid, &i->key.uuid) != 0 || epoch <= 0 || memory <= 0 || vcpus <= 0 ||
        str_copy(i->name, sizeof i->name, name) >= sizeof i->name) {
        return ERR_CORRUPT;
    }
    i->key.epoch = (uint64_t)epoch;
    i->memory_mib = (uint32_t)memory;
    i->vcpus = (uint32_t)vcpus;
    i->started_ms = (uint64_t)started;
    s->incoming = incoming != 0;
    return 0;
}

int qemu_stamp_read(const char *dir, struct qemu_stamp *ret, struct err *e)
{
    char path[PATH_SIZE];
    char text[STAMP_MAX_BYTES];
    struct qemu_stamp s = {0};
    int fd = open(in_dir(path, dir, "stamp"), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "file %s", path);
    }
    ssize_t n = read(fd, text, sizeof text);
    (void)close(fd);
    json_t *root = n < 0 ? NULL : json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    int rc = root == NULL ? ERR_CORRUPT : decode(root, &s);
    json_decref(root);
    if (rc != 0) {
        return err_set(e, rc, "file %s is not the stamp of a guest", path);
    }
    *ret = s;
    return 0;
}

void qemu_stamp_paths(const char *dir, const char *log_dir, struct hv_info *info)
{
    char path[PATH_SIZE];
    (void)str_copy(info->console, sizeof info->console, in_dir(path, dir, "console"));
    (void)snprintf(path, sizeof path, "%s/%s.console", log_dir, info->name);
    (void)str_copy(info->log, sizeof info->log, path);
}

bool qemu_ran(const char *dir)
{
    char path[PATH_SIZE];
    return access(in_dir(path, dir, "ran"), F_OK) == 0;
}

int qemu_set_ran(const char *dir, bool ran, struct err *e)
{
    char path[PATH_SIZE];
    in_dir(path, dir, "ran");
    if (!ran) {
        (void)unlink(path); /* If it stays, ARRIVED is called PAUSED later: that does no harm. */
        return 0;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_sys(e, ERR_IO, errno, "file %s", path);
    }
    (void)close(fd);
    return 0;
}

void qemu_dir_remove(const char *dir)
{
    static const char *const names[] = {"stamp",      "stamp.new",   "qmp", "spare",
                                        "pid",        "console",     "log", "ran",
                                        "vnc.secret", QEMU_SAVE_FIFO};
    char path[PATH_SIZE];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)unlink(in_dir(path, dir, names[i])); /* Most do not exist. */
    }
    qemu_keys_remove(dir);
    (void)rmdir(dir);
}

void qemu_log_tail(const char *dir, char *to, size_t size)
{
    char path[PATH_SIZE];
    char text[600];
    *to = '\0';
    int fd = open(in_dir(path, dir, "log"), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    off_t end = lseek(fd, 0, SEEK_END);
    off_t want = (off_t)sizeof text - 1;
    ssize_t n = pread(fd, text, sizeof text - 1, end > want ? end - want : 0);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    const char *from = text;
    const char *colon = strstr(text, "qemu-system-x86_64: ");
    if (colon != NULL) {
        from = colon + strlen("qemu-system-x86_64: ");
    }
    qmp_clean_text(to, size, from);
}

/* ---- processes ---- */

static ssize_t read_cmdline(const char *pid, char *text)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%.20s/cmdline", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, CMDLINE_MAX_BYTES - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    return n;
}

/* The name of the directory in "-pidfile <run_dir>/<name>/pid" of a command line. */
static bool find_stamp(const char *text, ssize_t len, const char *run_dir, char *ret)
{
    size_t root = strlen(run_dir);
    const char *end = text + (len > 0 ? len : 0);
    for (const char *arg = text; arg < end; arg += strlen(arg) + 1) {
        if (strcmp(arg, "-pidfile") != 0) {
            continue;
        }
        const char *path = arg + strlen(arg) + 1;
        if (path >= end || strncmp(path, run_dir, root) != 0 || path[root] != '/') {
            return false;
        }
        const char *name = path + root + 1;
        const char *slash = strchr(name, '/');
        if (slash == NULL || strcmp(slash, "/pid") != 0 || slash - name >= HV_STAMP_SIZE) {
            return false;
        }
        (void)snprintf(ret, HV_STAMP_SIZE, "%.*s", (int)(slash - name), name);
        return true;
    }
    return false;
}

void qemu_find_processes(const char *run_dir,
                         void (*found)(void *ctx, const char *name, int pidfd, int64_t pid),
                         void *ctx)
{
    char *text = mem_new(CMDLINE_MAX_BYTES, 1);
    char name[HV_STAMP_SIZE];
    char again[HV_STAMP_SIZE];
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    while (proc != NULL && (entry = readdir(proc)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        const char *pid = entry->d_name;
        if (!isdigit((unsigned char)*pid)) {
            continue;
        }
        memset(text, 0, 64);
        ssize_t n = read_cmdline(pid, text);
        if (n <= 0) {
            continue;
        }
        text[n] = '\0';
        if (!find_stamp(text, n, run_dir, name)) {
            continue;
        }
        long number = strtol(pid, NULL, 10);
        int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)number, 0);
        /* The number may have passed to another process between reading and opening; from here on
         * it cannot. */
        n = pidfd < 0 ? -1 : read_cmdline(pid, text);
        if (n > 0) {
            text[n] = '\0';
        }
        if (n > 0 && find_stamp(text, n, run_dir, again) && strcmp(name, again) == 0) {
            found(ctx, name, pidfd, number);
        } else if (pidfd >= 0) {
            (void)close(pidfd);
        }
    }
    if (proc != NULL) {
        (void)closedir(proc);
    }
    free(text);
}
