/* One run of the pool's power-off program: `PROGRAM off HOST TARGET ADDRESS`. Exit status 0 says
 * that the host has no power, or had none. No shell stands between; what it prints is kept in part.
 */

#ifndef CLI_QUORATED_POWER_RUN_H
#define CLI_QUORATED_POWER_RUN_H

#include <stdint.h>

struct uv_loop_s;
struct power_run;

/* What is kept of its output. */
#define POWER_TEXT 160

struct power_run_options {
    struct uv_loop_s *loop;
    const char *program; /* Texts are copied. */
    const char *host, *target, *address;
    uint32_t timeout_ms; /* It is killed then, with all that it started. */
    /* Fires once, later than the call: 0 it exited with 0; ERR_TIMEOUT; ERR_CRASHED for a signal;
     * ERR_IO for another status, or when it could not be started. `text` is what it printed, on one
     * line, else the reason. */
    void (*done)(void *ctx, int code, const char *text);
    void *ctx;
};

struct power_run *power_run_start(const struct power_run_options *options);

/* `done` does not fire any more; the program is killed. NULL is accepted; returns NULL. Not from
 * inside `done`, after which the run is gone. */
struct power_run *power_run_cancel(struct power_run *r);

#endif
