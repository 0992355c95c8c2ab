#include <assert.h>
#include <sys/random.h>
#include <time.h>

#include "core/clock.h"
#include "core/os_random.h"
#include "core/rng.h"

static uint64_t read_ns(clockid_t which)
{
    struct timespec t;
    int r = clock_gettime(which, &t);
    assert(r == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t os_mono_ns(struct clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_BOOTTIME);
}

static uint64_t os_mono_ms(struct clock *clock)
{
    return os_mono_ns(clock) / 1000000u;
}

static uint64_t os_wall_ms(struct clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_REALTIME) / 1000000u;
}

struct clock *os_clock(void)
{
    static struct clock c = {.mono_ms = os_mono_ms, .mono_ns = os_mono_ns, .wall_ms = os_wall_ms};
    return &c;
}

void os_random_bytes(void *to, size_t len)
{
    ssize_t n = getrandom(to, len, 0);
    assert(n >= 0 && (size_t)n == len); /* Up to 256 bytes are never cut short. */
}

void rng_seed_os(struct rng *rng)
{
    uint64_t seed;
    os_random_bytes(&seed, sizeof seed);
    rng_seed(rng, seed);
}
