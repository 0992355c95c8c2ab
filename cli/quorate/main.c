/* quorate: the command line. */

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/quorate/cli.h"

static volatile sig_atomic_t interrupted;

/* The second Ctrl-C ends the program in any case. */
static void on_interrupt(int signum)
{
    interrupted = signum;
}

static unsigned width_of(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

int main(int argc, char **argv)
{
    /* Names may be any UTF-8, and columns are counted in characters. There is one thread.
     * NOLINTBEGIN(concurrency-mt-unsafe) */
    if (setlocale(LC_CTYPE, "") == NULL || MB_CUR_MAX == 1) {
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    }
    /* NOLINTEND(concurrency-mt-unsafe) */
    (void)signal(SIGPIPE, SIG_IGN); /* A closed pipe is an error of a write. */
    struct sigaction sa = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGINT, &sa, NULL);
    /* The environment is read before any thread could change it. */
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    const char *connect = getenv("QUORATE_CONNECT");
    struct cli cli = {.out = stdout,
                      .err = stderr,
                      .in = isatty(STDIN_FILENO) == 1 ? stdin : NULL,
                      .out_tty = isatty(STDOUT_FILENO) == 1,
                      .err_tty = isatty(STDERR_FILENO) == 1,
                      .clock = os_clock(),
                      .connect = connect,
                      .interrupted = &interrupted};
    cli.out_width = cli.out_tty ? width_of(STDOUT_FILENO) : 0;
    cli.err_width = cli.err_tty ? width_of(STDERR_FILENO) : 0;
    return quorate_main(&cli, argc, argv);
}
