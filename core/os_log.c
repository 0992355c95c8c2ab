#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/log.h"
#include "core/util.h"

#define LINE_MAX_BYTES 2048u

static enum log_level max_level = LOG_INFO;
static char host_name[64];
static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
    max_level = level;
}

int log_parse_level(const char *text, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return ERR_INVALID;
}

void log_set_host(const char *name)
{
    (void)str_copy(host_name, sizeof host_name, name);
}

static void put_value(struct buf *b, const char *v)
{
    if (v == NULL) {
        v = "-";
    }
    if (*v != '\0' && strpbrk(v, " \"\\=\t\n\r") == NULL) {
        buf_put(b, v, strlen(v));
        return;
    }
    buf_put_u8(b, '"');
    for (; *v != '\0'; v++) {
        unsigned char c = (unsigned char)*v;
        if (c == '"' || c == '\\') {
            buf_put_u8(b, '\\');
            buf_put_u8(b, c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(b, "\\x%02x", c);
        } else {
            buf_put_u8(b, c);
        }
    }
    buf_put_u8(b, '"');
}

static void line_start(struct buf *b, enum log_level level, const char *event)
{
    uint64_t ms = os_clock()->wall_ms(os_clock());
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    (void)gmtime_r(&s, &tm);
    char stamp[32];
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(b, "%s.%03" PRIu64 "Z level=%s event=%s", stamp, ms % 1000, level_names[level],
               event);
    if (host_name[0] != '\0') {
        buf_printf(b, " host=%s", host_name);
    }
}

static void put_pair(struct buf *b, const char *key, const char *value)
{
    buf_put_u8(b, ' ');
    buf_put(b, key, strlen(key));
    buf_put_u8(b, '=');
    put_value(b, value);
}

static void line_end(struct buf *b)
{
    if (b->len > LINE_MAX_BYTES - 1) {
        b->len = LINE_MAX_BYTES - 1;
    }
    buf_put_u8(b, '\n');
    ssize_t n = write(STDERR_FILENO, b->data, b->len); /* One call a line: lines never mix. */
    (void)n;                                           /* Nobody to tell. */
    buf_done(b);
}

void log_line(enum log_level level, const char *event, ...)
{
    if (level > max_level) {
        return;
    }
    struct buf b = {0};
    line_start(&b, level, event);
    va_list ap;
    va_start(ap, event);
    for (const char *key = va_arg(ap, const char *); key != NULL; key = va_arg(ap, const char *)) {
        put_pair(&b, key, va_arg(ap, const char *));
    }
    va_end(ap);
    line_end(&b);
}

void log_fmt(enum log_level level, const char *event, const char *key, const char *fmt, ...)
{
    if (level > max_level) {
        return;
    }
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct buf b = {0};
    line_start(&b, level, event);
    put_pair(&b, key, text);
    line_end(&b);
}
