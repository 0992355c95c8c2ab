/* What takes a host away, and asks first. Stopping its daemon: first its guests, as the operator
 * says, then the daemon itself, which is asked at its own address so that no other can be stopped
 * by mistake. Declaring it off: a host that is heard is likely to be on. */

#include <inttypes.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorate/request.h"
#include "cli/quorate/run.h"

enum fate {
    FATE_NONE, /* Nothing was said. */
    FATE_MIGRATE,
    FATE_SHUTDOWN,
    FATE_RELEASE,
    FATE_LEAVE
};

static enum fate fate_of(const char *text)
{
    static const char *const names[] = {"", "migrate", "shutdown", "release", "leave"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], text) == 0) {
            return (enum fate)i;
        }
    }
    return FATE_NONE;
}

struct stopping {
    struct cli *cli;
    const struct args_stop *args;
    char address[LIMIT_ADDRESS + 1];
    uint32_t guests; /* On it, with HA. */
};

static void note_host(void *ctx, const void *record)
{
    struct stopping *s = ctx;
    const struct api_host *h = record;
    (void)str_copy(s->address, sizeof s->address, h->address);
}

static void note_guest(void *ctx, const void *record)
{
    struct stopping *s = ctx;
    const struct api_guest *g = record;
    s->guests += g->ha && strcmp(g->host, s->args->name) == 0 ? 1 : 0;
}

static int look(struct stopping *s, struct link *l, struct err *e)
{
    struct request_query host = {.query = api_query_by_name("host.show"),
                                 .subject = s->args->name,
                                 .deadline = link_deadline(l, QUERY_MS),
                                 .row = note_host,
                                 .ctx = s};
    struct request_query guests = {.query = api_query_by_name("guest.list"),
                                   .subject = "",
                                   .deadline = link_deadline(l, QUERY_MS),
                                   .row = note_guest,
                                   .ctx = s};
    int rc = request_rows(l, &host, e);
    return rc != 0 ? rc : request_rows(l, &guests, e);
}

/* Asked only where somebody can answer. */
static enum fate ask(const struct stopping *s)
{
    char line[32] = "";
    enum fate fate = FATE_NONE;
    while (fate == FATE_NONE && s->cli->in != NULL) {
        (void)fprintf(s->cli->err,
                      "HA guests on %s: %" PRIu32 ". migrate, shutdown, release or leave them? ",
                      s->args->name, s->guests);
        (void)fflush(s->cli->err);
        if (fgets(line, sizeof line, s->cli->in) == NULL) {
            return FATE_NONE;
        }
        line[strcspn(line, "\n")] = '\0';
        fate = fate_of(line);
    }
    return fate;
}

static int migrate_away(const struct stopping *s, struct link *l)
{
    const struct command *c = command_by_number(COMMAND_host_maintenance);
    struct cmd_host_maintenance cmd;
    schema_init(c->schema, &cmd);
    (void)str_copy(cmd.name, sizeof cmd.name, s->args->name);
    (void)str_copy(cmd.mode, sizeof cmd.mode, "on");
    cmd.parallel = s->args->parallel;
    return run_record(l, c, &cmd, /*wait=*/true);
}

static int call_stop(const struct stopping *s, struct link *l, bool release, struct err *e)
{
    CLEANUP(buf_done) struct buf params = {0};
    CLEANUP(buf_done) struct buf result = {0};
    mp_put_map(&params, 2);
    mp_put_str(&params, "host");
    mp_put_str(&params, s->args->name);
    mp_put_str(&params, "name");
    mp_put_str(&params, release ? "release" : "");
    struct link_call call = {
        .method = "stop", .params = &params, .deadline = link_deadline(l, QUERY_MS), .once = true};
    return link_call(l, &call, &result, NULL, e);
}

/* On this link, if it leads to that host, else on one of its own. */
static int stop_daemon(const struct stopping *s, struct link *l, bool release)
{
    struct cli cli = *s->cli;
    struct link own;
    struct api_hello hello;
    struct err e = {0};
    int rc = run_hello(l, &hello, &e);
    if (rc == 0 && strcmp(hello.host, s->args->name) == 0) {
        rc = call_stop(s, l, release, &e);
    } else {
        cli.opt.connect = s->address;
        rc = link_init(&own, &cli, &e);
        if (rc == 0) {
            rc = call_stop(s, &own, release, &e);
            link_done(&own);
        }
    }
    if (rc != 0) {
        return cli_fail(s->cli, &e);
    }
    if (s->cli->opt.json) {
        (void)fputs("{}\n", s->cli->out);
    } else if (!s->cli->opt.quiet) {
        (void)fprintf(s->cli->out, "the daemon of %s stops\n", s->args->name);
    }
    return EXIT_STATUS_OK;
}

static int stop(struct stopping *s, struct link *l, struct err *e)
{
    if (look(s, l, e) != 0) {
        return cli_fail(s->cli, e);
    }
    enum fate fate = fate_of(s->args->guests);
    if (fate == FATE_NONE && s->guests == 0) {
        fate = FATE_LEAVE;
    } else if (fate == FATE_NONE) {
        fate = ask(s);
    }
    int status = EXIT_STATUS_OK;
    if (fate == FATE_NONE) {
        cli_say(s->cli,
                "HA guests on %s: %" PRIu32 ". Say what becomes of them with "
                "--guests=migrate, shutdown, release or leave",
                s->args->name, s->guests);
        return EXIT_STATUS_USAGE;
    }
    if (fate == FATE_MIGRATE) {
        status = migrate_away(s, l);
    } else if (fate == FATE_SHUTDOWN) {
        status = run_shutdown_all(l, s->args->name, /*wait=*/true);
    }
    return status == EXIT_STATUS_OK ? stop_daemon(s, l, fate == FATE_RELEASE) : status;
}

int run_host_stop(struct cli *cli, const struct parsed *p)
{
    struct stopping s = {.cli = cli, .args = p->record};
    struct link l;
    struct err e = {0};
    if (*s.args->guests != '\0' && fate_of(s.args->guests) == FATE_NONE) {
        cli_say(cli, "--guests: \"%s\" is none of migrate, shutdown, release, leave",
                s.args->guests);
        return EXIT_STATUS_USAGE;
    }
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    int status = stop(&s, &l, &e);
    link_done(&l);
    return status;
}

/* --- declaring it off */

struct fencing {
    const char *name;
    struct api_host host;
    uint32_t guests;
    uint32_t ha;
};

static void note_fenced(void *ctx, const void *record)
{
    struct fencing *f = ctx;
    f->host = *(const struct api_host *)record;
}

static void note_at_stake(void *ctx, const void *record)
{
    struct fencing *f = ctx;
    const struct api_guest *g = record;
    bool there = strcmp(g->host, f->name) == 0;
    f->guests += there ? 1 : 0;
    f->ha += there && g->ha ? 1 : 0;
}

static bool is_typed(const struct cli *cli, const char *name)
{
    char line[LIMIT_NAME + 2] = "";
    (void)fprintf(cli->err, "Type its name to go on: ");
    (void)fflush(cli->err);
    if (fgets(line, sizeof line, cli->in) == NULL) {
        return false;
    }
    line[strcspn(line, "\n")] = '\0';
    return strcmp(line, name) == 0;
}

/* 0 when the operator means it, else an exit status. */
static int confirm(struct cli *cli, struct link *l, const char *name)
{
    struct fencing f = {.name = name};
    struct err e = {0};
    struct request_query host = {.query = api_query_by_name("host.show"),
                                 .subject = name,
                                 .deadline = link_deadline(l, QUERY_MS),
                                 .row = note_fenced,
                                 .ctx = &f};
    struct request_query guests = {.query = api_query_by_name("guest.list"),
                                   .subject = "",
                                   .deadline = link_deadline(l, QUERY_MS),
                                   .row = note_at_stake,
                                   .ctx = &f};
    if (request_rows(l, &host, &e) != 0 || request_rows(l, &guests, &e) != 0) {
        return cli_fail(cli, &e);
    }
    if (f.host.state != HOST_UP) {
        return EXIT_STATUS_OK;
    }
    cli_say(cli,
            "host %s is up. Of its %" PRIu32 " guests %" PRIu32
            " have HA and are started elsewhere at once; if it is not off, they run twice and "
            "destroy their disks",
            name, f.guests, f.ha);
    if (cli->in == NULL) {
        cli_say(cli, "host fence: with --yes it is declared off all the same");
        return EXIT_STATUS_USAGE;
    }
    return is_typed(cli, name) ? EXIT_STATUS_OK : EXIT_STATUS_USAGE;
}

int run_host_fence(struct cli *cli, const struct parsed *p)
{
    const struct args_fence *a = p->record;
    const struct command *c = command_by_number(COMMAND_host_fence);
    struct cmd_host_fence cmd;
    struct link l;
    struct err e = {0};
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    int status = a->yes ? EXIT_STATUS_OK : confirm(cli, &l, a->name);
    if (status == EXIT_STATUS_OK) {
        schema_init(c->schema, &cmd);
        (void)str_copy(cmd.name, sizeof cmd.name, a->name);
        (void)str_copy(cmd.reason, sizeof cmd.reason, a->reason);
        status = run_record(&l, c, &cmd, /*wait=*/true);
    }
    link_done(&l);
    return status;
}

/* --- evening the hosts out: the plan is the daemon's, each move a migration of its own, one after
 * the other. What is left of it after an interruption is a new plan. */

struct moves {
    struct api_move list[64];
    uint32_t n;
};

static void note_move(void *ctx, const void *record)
{
    struct moves *m = ctx;
    if (m->n < ARRAY_LEN(m->list)) {
        m->list[m->n++] = *(const struct api_move *)record;
    }
}

static int move_all(struct cli *cli, struct link *l, const struct moves *m)
{
    const struct command *c = command_by_number(COMMAND_guest_migrate);
    int status = EXIT_STATUS_OK;
    for (uint32_t i = 0; i < m->n && !cli_interrupted(cli); i++) {
        struct cmd_guest_migrate cmd;
        schema_init(c->schema, &cmd);
        (void)str_copy(cmd.name, sizeof cmd.name, m->list[i].guest);
        (void)str_copy(cmd.host, sizeof cmd.host, m->list[i].host);
        int one = run_record(l, c, &cmd, /*wait=*/true);
        status = status == EXIT_STATUS_OK ? one : status;
    }
    if (m->n == 0 && !cli->opt.quiet && !cli->opt.json) {
        (void)fputs("the hosts are even enough, or no move would help\n", cli->out);
    }
    return status;
}

int run_balance(struct cli *cli, const struct parsed *p)
{
    const struct args_balance *a = p->record;
    char percent[8];
    struct link l;
    struct err e = {0};
    (void)snprintf(percent, sizeof percent, "%" PRIu32, a->threshold);
    if (a->dry_run) {
        return run_rows(cli, p, "balance.list", percent);
    }
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    CLEANUP(cleanup_free) struct moves *m = mem_new(1, sizeof *m);
    struct request_query q = {.query = api_query_by_name("balance.list"),
                              .subject = percent,
                              .deadline = link_deadline(&l, QUERY_MS),
                              .row = note_move,
                              .ctx = m};
    int status = request_rows(&l, &q, &e) != 0 ? cli_fail(cli, &e) : move_all(cli, &l, m);
    link_done(&l);
    return status;
}
