/* The times of host leases and what they must have in common (docs/protocols/leases.md). Pure. */

#ifndef CORE_LEASE_TIMES_H
#define CORE_LEASE_TIMES_H

#include <stdbool.h>
#include <stdint.h>

/* Longest length that a lease may be given. */
#define LEASE_MAX_MS 60000u

/* The times of the pool that concern leases, as its settings have them. */
struct lease_times {
    uint32_t lease_ms;             /* L. */
    uint32_t renew_ms;             /* R. */
    uint32_t kill_margin_ms;       /* K. */
    uint32_t clock_error_permille; /* Rho. */
    uint32_t bound_ms;             /* B: no lease in force anywhere is longer. */
};

/* NULL when they fit together, else a word for what does not: "lease_length", "lease_margin",
 * "lease_renewal", "lease_room" or "lease_clock" (their sentences: fsm/reasons.def). */
const char *lease_times_wrong(const struct lease_times *t);

/* W: after so long on any clock of the pool a lease of this length is over on every other. Rounded
 * up, and one more for two readings that were rounded down. */
uint64_t lease_wait_ms(uint32_t lease_ms, uint32_t clock_error_permille);

#endif
