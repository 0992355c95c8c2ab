#include "cli/quorate/human.h"

#include <inttypes.h>
#include <time.h>

#include "core/util.h"

/* Three digits are enough: "1.5 GiB", "15.2 GiB" but "512 MiB". */
static void scaled(uint64_t v, size_t unit, struct buf *out)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    uint64_t rest = 0;
    while (v >= 1024 && unit + 1 < ARRAY_LEN(units)) {
        rest = v % 1024;
        v /= 1024;
        unit++;
    }
    uint64_t tenth = rest * 10 / 1024;
    if (tenth > 0 && v < 100) {
        buf_printf(out, "%" PRIu64 ".%" PRIu64 " %s", v, tenth, units[unit]);
    } else {
        buf_printf(out, "%" PRIu64 " %s", v, units[unit]);
    }
}

void human_mib(uint64_t mib, struct buf *out)
{
    scaled(mib, 2, out);
}

void human_bytes(uint64_t bytes, struct buf *out)
{
    scaled(bytes, 0, out);
}

void human_span(uint64_t ms, struct buf *out)
{
    uint64_t s = ms / 1000;
    if (ms < 1000) {
        buf_printf(out, "%" PRIu64 "ms", ms);
    } else if (s < 10 && ms % 1000 >= 100) {
        buf_printf(out, "%" PRIu64 ".%" PRIu64 "s", s, ms % 1000 / 100);
    } else if (s < 60) {
        buf_printf(out, "%" PRIu64 "s", s);
    } else if (s < 3600) {
        buf_printf(out, s % 60 == 0 ? "%" PRIu64 "m" : "%" PRIu64 "m%02" PRIu64 "s", s / 60,
                   s % 60);
    } else if (s < 86400) {
        buf_printf(out, s % 3600 < 60 ? "%" PRIu64 "h" : "%" PRIu64 "h%02" PRIu64 "m", s / 3600,
                   s % 3600 / 60);
    } else {
        buf_printf(out, "%" PRIu64 "d%" PRIu64 "h", s / 86400, s % 86400 / 3600);
    }
}

void human_moment(uint64_t wall_ms, struct buf *out)
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[32];
    if (gmtime_r(&t, &tm) == NULL || strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        buf_printf(out, "%" PRIu64 "ms", wall_ms);
        return;
    }
    buf_printf(out, "%s", text);
}
