/* Log lines of simulated processes: core/log.h. They are noted in the world's digest and, when
 * asked, printed with the world's time in front. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "core/log.h"
#include "core/util.h"

#include "chaos-tests/sim/proc.h"

#define LINE_BYTES 2048

bool proc_log_print;
void (*proc_log_line)(struct proc *p, const char *event, const char *line);

void log_set_level(enum log_level level)
{
    (void)level;
}

void log_set_host(const char *name)
{
    (void)name;
}

int log_parse_level(const char *text, enum log_level *ret_level)
{
    (void)text;
    *ret_level = LOG_INFO;
    return 0;
}

static void line_out(const char *event, const char *line)
{
    world_note_bytes(line, strlen(line));
    if (proc_log_print) {
        (void)printf("%12.6f  %-6s %s\n", (double)world.now_ns / 1e9,
                     proc_now == NULL ? "-" : proc_now->name, line);
    }
    if (proc_log_line != NULL && proc_now != NULL) {
        proc_log_line(proc_now, event, line);
    }
}

void log_line(enum log_level level, const char *event, ...)
{
    char line[LINE_BYTES];
    va_list ap;
    if (level > LOG_INFO) {
        return;
    }
    size_t at = str_copy(line, sizeof line, event);
    va_start(ap, event);
    for (const char *key = va_arg(ap, const char *); key != NULL; key = va_arg(ap, const char *)) {
        const char *value = va_arg(ap, const char *);
        int n = at < sizeof line ? snprintf(line + at, sizeof line - at, " %s=%s", key,
                                            value == NULL ? "-" : value)
                                 : 0;
        at += (size_t)n;
    }
    va_end(ap);
    line_out(event, line);
}

void log_fmt(enum log_level level, const char *event, const char *key, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    if (level > LOG_INFO) {
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log_line(level, event, key, text, NULL);
}
