#include "hvdriver/tests/qemu/kind.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/util.h"

static uint64_t console_counter(struct hv *hv, const struct hv_key *key)
{
    struct hv_info info;
    char text[4096];
    if (!hv_lookup(hv, key, &info)) {
        return 0;
    }
    int fd = open(info.log, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)sizeof text - 1 ? end - (off_t)sizeof text + 1 : 0;
    ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof text - 1, from);
    if (fd >= 0) {
        (void)close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    uint64_t counter = 0;
    for (const char *p = text; (p = strstr(p, "HB ")) != NULL && strchr(p, '\n') != NULL; p += 3) {
        counter = strtoull(p + 3, NULL, 10);
    }
    return counter;
}

static void console_says(struct hv *hv, const struct hv_key *key, char what)
{
    struct hv_info info;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    assert_true(hv_lookup(hv, key, &info));
    (void)str_copy(addr.sun_path, sizeof addr.sun_path, info.console);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(write(fd, &what, 1), 1);
    /* QEMU drops what it has not read when the other side hangs up: stay until the guest has said
     * something more, or has stopped. */
    struct pollfd p = {.fd = fd, .events = POLLIN};
    (void)poll(&p, 1, 150);
    (void)close(fd);
}

void process_is_killed(struct hv *hv, const struct hv_key *key)
{
    struct hv_info info;
    assert_true(hv_lookup(hv, key, &info));
    assert_true(info.pid > 1);
    assert_int_equal(kill((pid_t)info.pid, SIGKILL), 0);
}

static void slow(struct hv *hv)
{
    (void)hv; /* slow_rate does it. */
}

static const struct conf_kind qemu_kind = {.driver = "qemu",
                                           .kernel = QEMU_TEST_GUEST,
                                           .model = "ne2k_isa",
                                           .processes = true,
                                           .beat_ms = 20,
                                           .counter = console_counter,
                                           .guest_does = console_says,
                                           .kill = process_is_killed,
                                           .slow = slow,
                                           .slow_rate = 1u << 16};
const struct conf_kind *conf_kind = &qemu_kind;

void make_image(const struct world *w, const char *name, off_t size, char *ret_path)
{
    (void)snprintf(ret_path, LIMIT_PATH, "%s/%s", w->dir, name);
    int fd = open(ret_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    (void)close(fd);
}

bool args_contain(int64_t pid, const char *text)
{
    char path[64];
    char args[16384];
    (void)snprintf(path, sizeof path, "/proc/%lld/cmdline", (long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, args, sizeof args);
    (void)close(fd);
    assert_true(n > 100);
    return memmem(args, (size_t)n, text, strlen(text)) != NULL;
}
