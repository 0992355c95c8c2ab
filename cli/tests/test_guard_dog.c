/* The hardware watchdog behind the guard, against a model of what the kernel's watchdog core does
 * with the system calls (Documentation/watchdog/watchdog-api.rst): it ticks from the open on, is
 * put back by WDIOC_KEEPALIVE, and stops at a close only after the character V. */

#include <errno.h>
#include <linux/watchdog.h>
#include <string.h>

#include "core/tests/cm.h"

#include "cli/guard/dog.h"

static struct model {
    int opens, feeds, closes;
    int open_error;
    uint32_t options;
    int timeout_s, least_s;
    bool is_open, ticks, magic;
    uint64_t now_ms, fed_ms;
} m;

static int model_open(const char *path, int flags)
{
    (void)flags;
    assert_string_equal(path, "/dev/watchdog");
    if (m.open_error != 0) {
        errno = m.open_error;
        return -1;
    }
    assert_false(m.is_open); /* One opener at a time: else EBUSY. */
    m.is_open = m.ticks = true;
    m.magic = false;
    m.timeout_s = 60;
    m.fed_ms = m.now_ms;
    m.opens++;
    return 7;
}

static int model_ioctl(int fd, unsigned long request, void *arg)
{
    assert_int_equal(fd, 7);
    assert_true(m.is_open);
    if (request == (unsigned long)WDIOC_GETSUPPORT) {
        ((struct watchdog_info *)arg)->options = m.options;
    } else if (request == (unsigned long)WDIOC_SETTIMEOUT) {
        m.timeout_s = *(int *)arg < m.least_s ? m.least_s : *(int *)arg;
        m.fed_ms = m.now_ms;
    } else if (request == (unsigned long)WDIOC_GETTIMEOUT) {
        *(int *)arg = m.timeout_s;
    } else if (request == (unsigned long)WDIOC_KEEPALIVE) {
        m.fed_ms = m.now_ms;
        m.feeds++;
    } else {
        errno = ENOTTY;
        return -1;
    }
    return 0;
}

static long model_write(int fd, const void *data, size_t len)
{
    assert_int_equal(fd, 7);
    m.magic = memchr(data, 'V', len) != NULL;
    return (long)len;
}

static int model_close(int fd)
{
    assert_int_equal(fd, 7);
    m.is_open = false;
    m.ticks = !m.magic && (m.options & WDIOF_MAGICCLOSE) != 0;
    m.closes++;
    return 0;
}

static const struct dog_calls calls = {.open = model_open,
                                       .ioctl = model_ioctl,
                                       .write = model_write,
                                       .close = model_close};

static struct dog d;

static void begin(void)
{
    m = (struct model){.options = WDIOF_MAGICCLOSE | WDIOF_SETTIMEOUT | WDIOF_KEEPALIVEPING,
                       .least_s = 1,
                       .now_ms = 100000};
    dog_init(&d, &calls, "/dev/watchdog");
}

/* The moment at which it resets the host; 0: never. */
static uint64_t fires_at(void)
{
    return m.ticks ? m.fed_ms + (uint64_t)m.timeout_s * 1000 : 0;
}

static bool tick_at(uint64_t now_ms, uint64_t end_ms, uint32_t guarded)
{
    m.now_ms = now_ms;
    return dog_tick(&d, end_ms, guarded, now_ms);
}

static void it_is_open_only_while_something_is_guarded(void **state)
{
    (void)state;
    begin();
    assert_false(tick_at(100000, 103000, 0));
    assert_int_equal(m.opens, 0);
    assert_true(tick_at(100100, 103100, 1));
    assert_int_equal(m.opens, 1);
    assert_int_equal(m.timeout_s, 2);
    assert_true(dog_guarantees(&d));
    assert_false(tick_at(100200, 103100, 2));
    assert_false(tick_at(100300, 103100, 0));
    assert_int_equal(m.closes, 1);
    assert_int_equal(fires_at(), 0);
    assert_true(dog_guarantees(&d)); /* It can be armed again, and is. */
    assert_false(tick_at(100400, 103400, 1));
    assert_int_equal(m.opens, 2);
}

/* Whatever the moments at which somebody looks: it never fires later than the lease ends, and not
 * earlier than its timeout before that while the guard is alive. */
static void it_fires_by_the_end_of_the_lease(void **state)
{
    (void)state;
    for (uint64_t lease = 2000; lease <= 60000; lease += 700) {
        begin();
        uint64_t end = 100000 + lease;
        (void)tick_at(100000, end, 1);
        uint64_t next = dog_next_ms(&d, end);
        while (next != 0) { /* The daemon is dead: no renewal comes any more. */
            assert_true(next > m.now_ms && next <= end);
            assert_true(fires_at() > next); /* The next meal comes in time. */
            (void)tick_at(next, end, 1);
            next = dog_next_ms(&d, end);
        }
        assert_true(fires_at() <= end);
        assert_true(fires_at() + 1 > end); /* Fed to the very last. */
        int feeds = m.feeds;
        (void)tick_at(end - 1, end, 1); /* The copies will not die: it is let. */
        (void)tick_at(end + 10, end, 1);
        assert_int_equal(m.feeds, feeds);
        assert_true(m.is_open);
    }
}

static void renewals_feed_it(void **state)
{
    (void)state;
    begin();
    for (uint64_t now = 100000; now < 200000; now += 500) {
        (void)tick_at(now, now + 3000, 1);
        assert_true(fires_at() > now + 500 && fires_at() <= now + 3000);
    }
    assert_int_equal(m.opens, 1);
}

static void copies_that_die_in_time_spare_the_host(void **state)
{
    (void)state;
    begin();
    (void)tick_at(100000, 103000, 3);
    (void)tick_at(101000, 103000, 3);
    (void)tick_at(102500, 103000, 3); /* They are killed ... */
    assert_true(fires_at() > 102500);
    (void)tick_at(102510, 103000, 0); /* ... and dead. */
    assert_int_equal(fires_at(), 0);
}

static void refused(uint32_t options, int least_s, uint64_t lease_ms, int open_error, int error)
{
    begin();
    m.options = options;
    m.least_s = least_s;
    m.open_error = open_error;
    assert_true(tick_at(100000, 100000 + lease_ms, 1));
    assert_false(dog_guarantees(&d));
    assert_int_equal(d.error, error);
    assert_false(m.is_open);
    int opens = m.opens;
    (void)tick_at(100500, 103500, 1);
    assert_int_equal(m.opens, opens); /* Not tried again. */
}

static void what_cannot_be_trusted_is_not_used(void **state)
{
    (void)state;
    const uint32_t good = WDIOF_MAGICCLOSE | WDIOF_SETTIMEOUT;
    refused(good, 1, 3000, ENOENT, ENOENT);
    refused(good, 1, 3000, EBUSY, EBUSY);
    refused(WDIOF_SETTIMEOUT, 1, 3000, 0, ENOTSUP); /* The guard's death would stop it. */
    refused(WDIOF_MAGICCLOSE, 1, 3000, 0, ENOTSUP);
    refused(good, 10, 3000, 0, ERANGE); /* It would fire after the lease's end. */
    refused(good, 1, 900, 0, ERANGE);
    assert_int_equal(fires_at(), 0);
}

static void without_a_device_nothing_is_called(void **state)
{
    (void)state;
    begin();
    dog_init(&d, &calls, "");
    assert_false(tick_at(100000, 103000, 1));
    assert_int_equal(m.opens, 0);
    assert_int_equal(dog_next_ms(&d, 103000), 0);
    assert_false(dog_guarantees(&d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_open_only_while_something_is_guarded),
        cmocka_unit_test(it_fires_by_the_end_of_the_lease),
        cmocka_unit_test(renewals_feed_it),
        cmocka_unit_test(copies_that_die_in_time_spare_the_host),
        cmocka_unit_test(what_cannot_be_trusted_is_not_used),
        cmocka_unit_test(without_a_device_nothing_is_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
