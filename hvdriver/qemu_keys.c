#include "hvdriver/qemu_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"

/* The group ffdhe2048 of RFC 7919. Without it QEMU searches for a prime of its own, in its main
 * loop: 30 to 170 ms of processor time for every migration. */
static const char group[] = /* clang-format off */
    "-----BEGIN DH PARAMETERS-----\n"
    "MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz\n"
    "+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a\n"
    "87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7\n"
    "YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi\n"
    "7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD\n"
    "ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==\n"
    "-----END DH PARAMETERS-----\n";
/* clang-format on */

static const char *const files[] = {"keys.psk", "dh-params.pem"};

static int write_file(const char *dir, const char *name, const char *text, struct err *e)
{
    char path[QEMU_KEYS_PATH];
    (void)snprintf(path, sizeof path, "%s/keys/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        (void)err_sys(e, ERR_IO, errno, "file %s", path);
        if (fd >= 0) {
            (void)close(fd);
        }
        return e->code;
    }
    (void)close(fd);
    return 0;
}

int qemu_keys_write(const char *dir, const char *key, bool target, struct err *e)
{
    char path[QEMU_KEYS_PATH];
    char text[160];
    (void)snprintf(path, sizeof path, "%s/keys", dir);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_sys(e, ERR_IO, errno, "directory %s", path);
    }
    (void)snprintf(text, sizeof text, QEMU_KEY_USER ":%s\n", key);
    int rc = write_file(dir, files[0], text, e);
    return rc != 0 || !target ? rc : write_file(dir, files[1], group, e);
}

void qemu_keys_remove(const char *dir)
{
    char path[QEMU_KEYS_PATH];
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof path, "%s/keys/%s", dir, files[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof path, "%s/keys", dir);
    (void)rmdir(path);
}
