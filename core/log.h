/* Log lines: one line an event, key=value, to standard error (a service manager keeps them).
 *
 *   2026-11-23T07:01:02.345Z level=info event=guest_start guest=web1 host=h2 epoch=7
 *
 * Only programs log; libraries return errors. Values with spaces or quotes are quoted, control
 * bytes are escaped, a line is cut at 2 KiB. Never pass a secret. */

#ifndef CORE_LOG_H
#define CORE_LOG_H

enum log_level {
    LOG_ERROR,
    LOG_WARN,
    LOG_INFO,
    LOG_DEBUG
};

/* Lines above this level are not written. Default LOG_INFO. */
void log_set_level(enum log_level level);

/* "error", "warn", "info" or "debug"; 0 or ERR_INVALID. */
int log_parse_level(const char *text, enum log_level *ret_level);

/* Name printed as host=... in every line; empty for none. Copied. */
void log_set_host(const char *name);

/* log_line(LOG_INFO, "guest_start", "guest", name, "epoch", "7", NULL): pairs of strings, ended by
 * NULL. A NULL value prints as "-". */
void log_line(enum log_level level, const char *event, ...) __attribute__((sentinel));

/* As log_line() with one formatted value: log_fmt(LOG_WARN, "peer_lost", "err", "%s", text). */
void log_fmt(enum log_level level, const char *event, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
