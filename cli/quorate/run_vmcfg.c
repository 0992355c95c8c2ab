/* guest vmcfg: a guest of the pool as a file vm.cfg. */

#include <string.h>

#include "core/util.h"

#include "cli/quorate/request.h"
#include "cli/quorate/run.h"
#include "cli/vmcfg_print.h"

static void take_row(void *ctx, const void *record)
{
    const struct guest *g = record;
    struct cmd_guest_create *to = ctx;
    schema_init(command_by_number(COMMAND_guest_create)->schema, to);
    (void)str_copy(to->name, sizeof to->name, g->name);
    (void)str_copy(to->apart, sizeof to->apart, g->apart);
    (void)str_copy(to->together, sizeof to->together, g->together);
    to->uuid = g->uuid;
    to->ha = g->ha;
    to->priority = g->priority;
    _Static_assert(sizeof to->preferred == sizeof g->preferred, "the same hosts");
    memcpy(to->preferred, g->preferred, sizeof to->preferred);
    to->preferred_n = g->preferred_n;
    to->config = g->config;
}

int run_vmcfg(struct cli *cli, const struct parsed *p)
{
    const struct args_name *a = p->record;
    struct link l;
    struct err e = {0};
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    CLEANUP(cleanup_free) struct cmd_guest_create *guest = mem_new(1, sizeof *guest);
    struct request_query rq = {.query = api_query_by_name("guest.show"),
                               .subject = a->name,
                               .deadline = link_deadline(&l, QUERY_MS),
                               .row = take_row,
                               .ctx = guest};
    int rc = request_rows(&l, &rq, &e);
    link_done(&l);
    if (rc != 0) {
        return cli_fail(cli, &e);
    }
    if (*guest->name == '\0') {
        cli_say(cli, "guest.show: the host sent no answer");
        return EXIT_STATUS_NOT_FOUND;
    }
    CLEANUP(buf_done) struct buf text = {0};
    vmcfg_print(guest, /*secrets=*/false, &text);
    (void)fwrite(text.data, 1, text.len, cli->out);
    return EXIT_STATUS_OK;
}
