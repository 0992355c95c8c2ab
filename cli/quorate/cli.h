/* One run of the command line: where it writes, what it was asked, and what every part of it
 * shares.
 *
 * quorate_main() is the whole program but for main(): tests call it with memory streams and a clock
 * that stands still. */

#ifndef CLI_QUORATE_CLI_H
#define CLI_QUORATE_CLI_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/id.h"

/* Exit statuses that are not an error code's (core/err.def has those). */
#define EXIT_STATUS_OK          0
#define EXIT_STATUS_FAILED      1
#define EXIT_STATUS_USAGE       2
#define EXIT_STATUS_NOT_FOUND   3
#define EXIT_STATUS_INTERRUPTED 130

/* The options that come before or after any verb. */
struct options {
    const char *connect; /* Comma-separated addresses; never NULL after parsing. */
    bool json;
    bool no_wait;
    bool local;
    bool quiet;
    bool no_color;
    bool help;
    bool has_request;
    struct id request;
    uint32_t timeout_ms; /* 0: not given. */
};

struct cli {
    FILE *out; /* Results. */
    FILE *err; /* Errors, warnings, progress. */
    FILE *in;  /* Answers to questions; NULL: there is nobody to ask. */
    bool out_tty;
    bool err_tty;
    unsigned out_width; /* Columns of the terminal; 0: no terminal. */
    unsigned err_width;
    struct clock *clock;
    const char *connect; /* QUORATE_CONNECT, or NULL. */
    /* Set by SIGINT; NULL where nobody sets it. */
    const volatile sig_atomic_t *interrupted;
    struct options opt;
};

/* Run one command line; the exit status. argv[0] is the program's name. */
int quorate_main(struct cli *cli, int argc, char **argv);

/* "quorate: <formatted>" on cli->err. */
void cli_say(const struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Say e->msg; the exit status for e->code. */
int cli_fail(const struct cli *cli, const struct err *e);

bool cli_interrupted(const struct cli *cli);

#endif
