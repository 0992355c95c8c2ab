#include "core/lease_times.h"

#include "core/util.h"

const char *lease_times_wrong(const struct lease_times *t)
{
    if (t->lease_ms < 1000 || t->lease_ms > LEASE_MAX_MS) {
        return "lease_length";
    }
    if (t->kill_margin_ms < 100) {
        return "lease_margin";
    }
    if (t->renew_ms == 0 || 3 * (uint64_t)t->renew_ms > t->lease_ms) {
        return "lease_renewal";
    }
    if ((uint64_t)t->renew_ms + t->kill_margin_ms >= t->lease_ms) {
        return "lease_room";
    }
    return t->clock_error_permille > 100 ? "lease_clock" : NULL;
}

uint64_t lease_wait_ms(uint32_t lease_ms, uint32_t clock_error_permille)
{
    uint64_t faster = 1000u + (uint64_t)clock_error_permille;
    uint64_t slower = 1000u - min_u64(clock_error_permille, 999);
    return (lease_ms * faster + slower - 1) / slower + 1;
}
