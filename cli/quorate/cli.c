#include "cli/quorate/cli.h"

#include <stdarg.h>
#include <string.h>

#include "cli/quorate/help.h"
#include "cli/quorate/run.h"

void cli_say(const struct cli *cli, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)fputs("quorate: ", cli->err);
    (void)vfprintf(cli->err, fmt, ap);
    (void)fputc('\n', cli->err);
    va_end(ap);
}

int cli_fail(const struct cli *cli, const struct err *e)
{
    cli_say(cli, "%s", e->msg);
    return err_exit_status(e->code);
}

bool cli_interrupted(const struct cli *cli)
{
    return cli->interrupted != NULL && *cli->interrupted != 0;
}

/* What was wrong, and where to read on. */
static int usage_error(struct cli *cli, const struct parsed *p, const struct err *e)
{
    cli_say(cli, "%s", e->msg);
    if (p->found) {
        (void)fprintf(cli->err, "Try \"quorate help %s\".\n", p->verb.title);
    } else if (p->n_rest > 0 && verb_begins(p->rest[0])) {
        (void)fprintf(cli->err, "Try \"quorate help %s\".\n", p->rest[0]);
    } else {
        (void)fprintf(cli->err, "Try \"quorate help\".\n");
    }
    return err_exit_status(e->code);
}

/* A result that could not be written is no success. */
static int flushed(const struct cli *cli, int status)
{
    if ((fflush(cli->out) != 0 || ferror(cli->out) != 0) && status == EXIT_STATUS_OK) {
        cli_say(cli, "cannot write the result");
        return EXIT_STATUS_FAILED;
    }
    return status;
}

int quorate_main(struct cli *cli, int argc, char **argv)
{
    struct parsed p;
    struct err e = {0};
    int status;
    if (argc < 2) {
        help_overview(cli->err);
        return EXIT_STATUS_USAGE;
    }
    int rc = args_parse(cli, argc, argv, &p, &e);
    if (rc != 0) {
        status = usage_error(cli, &p, &e);
    } else if (cli->opt.help) {
        status = p.found ? help_verb(&p.verb, cli->out) : help_words(cli, p.rest, p.n_rest);
    } else {
        status = p.verb.run(cli, &p);
    }
    args_done(&p);
    return flushed(cli, status);
}
