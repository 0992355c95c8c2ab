/* Time, behind a seam. Safety rests on mono_ms alone, which never goes back and counts through a
 * suspend (CLOCK_BOOTTIME); wall_ms is for records that people read. */

#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t (*mono_ms)(struct clock *clock); /* Milliseconds since some moment of this boot. */
    uint64_t (*mono_ns)(struct clock *clock); /* The same in nanoseconds, for measuring. */
    uint64_t (*wall_ms)(struct clock *clock); /* Milliseconds since 1970, UTC. */
};

/* The operating system's clocks. Thread safe. Defined in os_clock.c (core_io). */
struct clock *os_clock(void);

#endif
