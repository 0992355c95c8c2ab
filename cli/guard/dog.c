#include "cli/guard/dog.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int real_open(const char *path, int flags)
{
    return open(path, flags);
}

static int real_ioctl(int fd, unsigned long request, void *arg)
{
    return ioctl(fd, request, arg);
}

static long real_write(int fd, const void *data, size_t len)
{
    return write(fd, data, len);
}

const struct dog_calls dog_real_calls = {.open = real_open,
                                         .ioctl = real_ioctl,
                                         .write = real_write,
                                         .close = close};

void dog_init(struct dog *d, const struct dog_calls *calls, const char *path)
{
    *d = (struct dog){.calls = calls, .path = path, .fd = -1};
}

/* Its magic character first: without it the watchdog goes on after a close. */
static void disarm(struct dog *d)
{
    (void)d->calls->write(d->fd, "V", 1);
    (void)d->calls->close(d->fd);
    d->fd = -1;
}

static bool may_feed(const struct dog *d, uint64_t end_ms, uint64_t now_ms)
{
    return now_ms + d->timeout_ms <= end_ms;
}

static void feed(struct dog *d, uint64_t now_ms)
{
    int unused = 0;
    if (d->calls->ioctl(d->fd, WDIOC_KEEPALIVE, &unused) == 0) {
        d->fed_ms = now_ms;
    }
}

static void refuse(struct dog *d, int error)
{
    if (d->fd >= 0) {
        disarm(d);
    }
    d->refused = true;
    d->error = error;
}

/* Three quarters of what is left of the lease, in whole seconds: time to feed it between two
 * renewals, and it fires no later than the lease ends. */
static int wanted_s(uint64_t end_ms, uint64_t now_ms)
{
    uint64_t s = (end_ms - now_ms) * 3 / 4 / 1000;
    return s == 0 ? 1 : s > 60 ? 60 : (int)s;
}

static void arm(struct dog *d, uint64_t end_ms, uint64_t now_ms)
{
    struct watchdog_info info = {0};
    int s = wanted_s(end_ms, now_ms);
    d->fd = d->calls->open(d->path, O_WRONLY | O_CLOEXEC);
    if (d->fd < 0) {
        refuse(d, errno);
        return;
    }
    if (d->calls->ioctl(d->fd, WDIOC_GETSUPPORT, &info) != 0 ||
        (info.options & WDIOF_MAGICCLOSE) == 0 || (info.options & WDIOF_SETTIMEOUT) == 0) {
        refuse(d, ENOTSUP);
        return;
    }
    if (d->calls->ioctl(d->fd, WDIOC_SETTIMEOUT, &s) != 0 ||
        d->calls->ioctl(d->fd, WDIOC_GETTIMEOUT, &s) != 0 || s <= 0) {
        refuse(d, errno);
        return;
    }
    /* What the device made of it counts. */
    d->timeout_ms = (uint32_t)s * 1000u;
    if (!may_feed(d, end_ms, now_ms)) {
        refuse(d, ERANGE);
        return;
    }
    feed(d, now_ms);
}

bool dog_tick(struct dog *d, uint64_t end_ms, uint32_t guarded, uint64_t now_ms)
{
    bool before = dog_guarantees(d);
    if (d->path[0] == '\0' || d->refused) {
        return false;
    }
    if (guarded == 0) {
        if (d->fd >= 0) {
            disarm(d);
        }
    } else if (d->fd < 0) {
        if (now_ms < end_ms) {
            arm(d, end_ms, now_ms);
        }
    } else if (may_feed(d, end_ms, now_ms)) {
        feed(d, now_ms);
    }
    return dog_guarantees(d) != before || d->refused;
}

uint64_t dog_next_ms(const struct dog *d, uint64_t end_ms)
{
    if (d->fd < 0 || end_ms <= d->timeout_ms) {
        return 0;
    }
    uint64_t last = end_ms - d->timeout_ms; /* Not later than this. */
    uint64_t half = d->fed_ms + d->timeout_ms / 2;
    return d->fed_ms >= last ? 0 : half < last ? half : last;
}

bool dog_guarantees(const struct dog *d)
{
    return !d->refused && d->timeout_ms != 0;
}
