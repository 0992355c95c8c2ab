/* Verbs of the older system that set what guest set sets. */

#include <string.h>

#include "core/util.h"

#include "cli/quorate/request.h"
#include "cli/quorate/run.h"

struct at {
    const char *name;
    bool on_host;
};

static void note_host(void *ctx, const void *record)
{
    struct at *at = ctx;
    const struct api_guest *g = record;
    at->on_host = at->on_host || (strcmp(g->name, at->name) == 0 && g->host[0] != '\0');
}

/* No driver changes what a guest runs with: who sets it is told when it comes. */
static void tell_when(struct link *l, const char *name)
{
    struct at at = {.name = name};
    struct err e = {0};
    struct request_query q = {.query = api_query_by_name("guest.list"),
                              .subject = "",
                              .deadline = link_deadline(l, QUERY_MS),
                              .row = note_host,
                              .ctx = &at};
    if (request_rows(l, &q, &e) == 0 && at.on_host && !l->cli->opt.quiet) {
        cli_say(l->cli, "guest %s is on a host: this comes with its next start, not with a reboot",
                name);
    }
}

static int set(struct cli *cli, struct cmd_guest_set *cmd)
{
    struct link l;
    struct err e = {0};
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    int status = run_record(&l, command_by_number(COMMAND_guest_set), cmd, /*wait=*/false);
    if (status == EXIT_STATUS_OK) {
        tell_when(&l, cmd->name);
    }
    link_done(&l);
    return status;
}

static struct cmd_guest_set record_of(const char *name)
{
    struct cmd_guest_set cmd;
    schema_init(command_by_number(COMMAND_guest_set)->schema, &cmd);
    (void)str_copy(cmd.name, sizeof cmd.name, name);
    return cmd;
}

int run_mem_set(struct cli *cli, const struct parsed *p)
{
    const struct args_memory *a = p->record;
    struct cmd_guest_set cmd = record_of(a->name);
    cmd.memory_mib = a->mib;
    return set(cli, &cmd);
}

int run_mem_max(struct cli *cli, const struct parsed *p)
{
    const struct args_memory *a = p->record;
    struct cmd_guest_set cmd = record_of(a->name);
    cmd.maxmem_mib = a->mib;
    return set(cli, &cmd);
}

int run_vcpu_set(struct cli *cli, const struct parsed *p)
{
    const struct args_vcpus *a = p->record;
    struct cmd_guest_set cmd = record_of(a->name);
    cmd.vcpus = a->vcpus;
    return set(cli, &cmd);
}
