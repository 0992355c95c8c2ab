/* Verbs that change something. */

#include <inttypes.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorate/request.h"
#include "cli/quorate/run.h"
#include "cli/quorate/table.h"
#include "cli/quorate/wait.h"
#include "cli/vmcfg.h"

/* One command under way. */
struct sending {
    const char *title;   /* "guest start" */
    const char *subject; /* "web1", or "". */
    struct cli *cli;
    struct link *link;
    struct id request;
    struct outcome outcome;
    bool wait;
};

/* What came of it, for programs: the outcome, and the operation when its end was waited for. */
static void print_json(const struct sending *s, const struct api_op *op)
{
    if (!s->cli->opt.json) {
        return;
    }
    char id[ID_TEXT_SIZE];
    CLEANUP(buf_done) struct buf text = {0};
    outcome_text(&s->outcome, &text);
    json_t *out = schema_to_json(&schema_outcome, &s->outcome);
    (void)json_object_set_new(out, "request", json_string(id_text(&s->request, id)));
    (void)json_object_set_new(out, "text", json_stringn((const char *)text.data, text.len));
    if (op != NULL) {
        (void)json_object_set_new(out, "operation", schema_to_json(&schema_api_op, op));
    }
    (void)table_print_json(s->cli, out);
}

static int rejected(const struct sending *s)
{
    CLEANUP(buf_done) struct buf text = {0};
    outcome_text(&s->outcome, &text);
    print_json(s, NULL);
    cli_say(s->cli, "%.*s", (int)text.len, (const char *)text.data);
    int status = err_exit_status(-(int)s->outcome.code);
    return status == EXIT_STATUS_OK ? EXIT_STATUS_FAILED : status;
}

/* Done at once, or begun and not to be waited for. */
static int accepted(const struct sending *s)
{
    print_json(s, NULL);
    if (s->cli->opt.quiet || s->cli->opt.json) {
        return EXIT_STATUS_OK;
    }
    (void)fprintf(s->cli->out, "%s%s%s: ", s->title, *s->subject == '\0' ? "" : " ", s->subject);
    if (s->outcome.op != 0) {
        (void)fprintf(s->cli->out, "begun (operation %" PRIu64 ")\n", s->outcome.op);
    } else {
        (void)fputs("done\n", s->cli->out);
    }
    return EXIT_STATUS_OK;
}

static int finish(const struct sending *s)
{
    if (s->outcome.code != 0) {
        return rejected(s);
    }
    if (s->outcome.op == 0 || !s->wait) {
        return accepted(s);
    }
    struct api_op op;
    struct err e = {0};
    if (wait_op(s->link, s->outcome.op, &op, &e) != 0) {
        print_json(s, NULL);
        return wait_broken(s->cli, s->outcome.op, &e);
    }
    print_json(s, &op);
    return wait_report(s->cli, &op);
}

static int failed(const struct cli *cli, const struct err *e)
{
    (void)cli_fail(cli, e);
    return e->code == ERR_CANCELLED ? EXIT_STATUS_INTERRUPTED : err_exit_status(e->code);
}

/* What the command is about, for messages: its first REQ field. */
static void put_subject(const struct command *c, const void *record, struct buf *out)
{
    if (c->schema->n > 0 && c->schema->fields[0].flags == FIELD_REQ) {
        schema_get_text(&c->schema->fields[0], record, out);
    }
    buf_put_u8(out, 0);
}

int run_record(struct link *l, const struct command *c, const void *record, bool wait)
{
    CLEANUP(buf_done) struct buf subject = {0};
    put_subject(c, record, &subject);
    struct sending s = {.title = c->title,
                        .subject = (const char *)subject.data,
                        .cli = l->cli,
                        .link = l,
                        .wait = wait};
    struct err e = {0};
    if (request_command(l, c, record, &s.request, &s.outcome, &e) != 0) {
        return failed(l->cli, &e);
    }
    return finish(&s);
}

static int send_record(struct cli *cli, enum command_number number, const void *record)
{
    struct link l;
    struct err e = {0};
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    int status = run_record(&l, command_by_number(number), record, !cli->opt.no_wait);
    link_done(&l);
    return status;
}

int run_command(struct cli *cli, const struct parsed *p)
{
    return send_record(cli, (enum command_number)p->verb.command->number, p->record);
}

/* create and new: vm.cfg, and words name=value after it. */
static int create_from_file(struct cli *cli, const struct parsed *p, bool start)
{
    const struct args_create *a = p->record;
    CLEANUP(cleanup_free) struct cmd_guest_create *cmd = mem_new(1, sizeof *cmd);
    schema_init(command_by_number(COMMAND_guest_create)->schema, cmd);
    struct vmcfg_warnings warnings = {0};
    struct err e = {0};
    int rc = vmcfg_read_file(a->config, p->rest, p->n_rest, cmd, &warnings, &e);
    for (size_t i = 0; i < warnings.n && !cli->opt.quiet; i++) {
        cli_say(cli, "warning: %s", warnings.text[i]);
    }
    if (rc != 0) {
        return cli_fail(cli, &e);
    }
    if (*cmd->name == '\0') {
        cli_say(cli, "%s: the guest has no name; add name=... after the file", a->config);
        return EXIT_STATUS_USAGE;
    }
    cmd->start = start;
    cmd->paused = a->paused;
    return send_record(cli, COMMAND_guest_create, cmd);
}

int run_create(struct cli *cli, const struct parsed *p)
{
    return create_from_file(cli, p, /*start=*/true);
}

int run_new(struct cli *cli, const struct parsed *p)
{
    return create_from_file(cli, p, /*start=*/false);
}

int run_migrate(struct cli *cli, const struct parsed *p)
{
    const struct args_migrate *a = p->record;
    struct cmd_guest_migrate cmd;
    schema_init(command_by_number(COMMAND_guest_migrate)->schema, &cmd);
    (void)str_copy(cmd.name, sizeof cmd.name, a->name);
    (void)str_copy(cmd.host, sizeof cmd.host, a->host);
    cmd.live = a->live;
    cmd.rate_mib_per_s = a->resource;
    return send_record(cli, COMMAND_guest_migrate, &cmd);
}

int run_save(struct cli *cli, const struct parsed *p)
{
    return send_record(cli, COMMAND_guest_save, p->record);
}

int run_suspend(struct cli *cli, const struct parsed *p)
{
    const struct args_name *a = p->record;
    struct cmd_guest_save cmd;
    schema_init(command_by_number(COMMAND_guest_save)->schema, &cmd);
    (void)str_copy(cmd.name, sizeof cmd.name, a->name);
    return send_record(cli, COMMAND_guest_save, &cmd);
}

struct saved {
    const char *file;
    char guest[LIMIT_NAME + 1];
};

static void note_saved(void *ctx, const void *record)
{
    struct saved *s = ctx;
    const struct api_guest *g = record;
    if (strcmp(g->saved, s->file) == 0) {
        (void)str_copy(s->guest, sizeof s->guest, g->name);
    }
}

/* The guest that was saved to this file; a word that is no path is a guest's name. */
static int saved_guest(struct link *l, const char *file, char guest[LIMIT_NAME + 1], struct err *e)
{
    struct saved s = {.file = file};
    struct request_query q = {.query = api_query_by_name("guest.list"),
                              .subject = "",
                              .deadline = link_deadline(l, QUERY_MS),
                              .row = note_saved,
                              .ctx = &s};
    if (strchr(file, '/') == NULL && strchr(file, ':') == NULL) {
        (void)str_copy(guest, LIMIT_NAME + 1, file);
        return 0;
    }
    if (request_rows(l, &q, e) != 0) {
        return e->code;
    }
    (void)str_copy(guest, LIMIT_NAME + 1, s.guest);
    return s.guest[0] != '\0' ? 0 : err_set(e, ERR_NOT_FOUND, "no guest is saved in %s", file);
}

int run_restore(struct cli *cli, const struct parsed *p)
{
    const struct args_restore *a = p->record;
    struct cmd_guest_resume cmd;
    struct link l;
    struct err e = {0};
    schema_init(command_by_number(COMMAND_guest_resume)->schema, &cmd);
    (void)str_copy(cmd.host, sizeof cmd.host, a->host);
    cmd.paused = a->paused;
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    int status;
    if (saved_guest(&l, a->file, cmd.name, &e) != 0) {
        status = failed(cli, &e);
    } else {
        status = run_record(&l, command_by_number(COMMAND_guest_resume), &cmd, !cli->opt.no_wait);
    }
    link_done(&l);
    return status;
}

int run_evacuate(struct cli *cli, const struct parsed *p)
{
    const struct args_evacuate *a = p->record;
    struct cmd_host_evacuate cmd;
    if (a->dry_run) {
        return run_rows(cli, p, "move.list", a->name);
    }
    schema_init(command_by_number(COMMAND_host_evacuate)->schema, &cmd);
    (void)str_copy(cmd.name, sizeof cmd.name, a->name);
    cmd.parallel = a->parallel;
    cmd.force = a->force;
    return send_record(cli, COMMAND_host_evacuate, &cmd);
}

int run_maintenance(struct cli *cli, const struct parsed *p)
{
    const struct args_maintenance *a = p->record;
    struct cmd_host_maintenance cmd;
    bool off = strcmp(a->mode, "off") == 0;
    if (a->dry_run && (!off || a->move_back)) {
        return run_rows(cli, p, off ? "back.list" : "move.list", a->name);
    }
    schema_init(command_by_number(COMMAND_host_maintenance)->schema, &cmd);
    (void)str_copy(cmd.mode, sizeof cmd.mode, a->mode);
    (void)str_copy(cmd.name, sizeof cmd.name, a->name);
    cmd.evacuate = a->evacuate;
    cmd.parallel = a->parallel;
    cmd.move_back = a->move_back;
    if (a->dry_run) {
        cli_say(cli, "host maintenance off moves no guest without --move-back");
        return EXIT_STATUS_OK;
    }
    return send_record(cli, COMMAND_host_maintenance, &cmd);
}

/* The guests that run, and the operations that end their runs. */
struct running {
    const char *host;          /* "" for all. */
    const struct command *ask; /* guest shutdown or guest reboot. */
    struct buf names;          /* NUL-terminated, one after the other. */
    struct buf ops;            /* u64 each. */
};

static void note_running(void *ctx, const void *record)
{
    struct running *r = ctx;
    const struct api_guest *g = record;
    if (g->state == GUEST_RUNNING && (*r->host == '\0' || strcmp(g->host, r->host) == 0)) {
        buf_put(&r->names, g->name, strlen(g->name) + 1);
    }
}

/* The record of both commands. */
static struct cmd_guest_shutdown ask_record(const struct command *c, const char *name)
{
    struct cmd_guest_shutdown cmd;
    schema_init(c->schema, &cmd);
    (void)str_copy(cmd.name, sizeof cmd.name, name);
    return cmd;
}

/* Ask one of many: its operation is noted and waited for when all are asked. */
static int ask_one(struct link *l, struct running *r, const char *name)
{
    const struct cmd_guest_shutdown cmd = ask_record(r->ask, name);
    struct sending s = {.title = r->ask->title, .subject = name, .cli = l->cli, .link = l};
    struct err e = {0};
    if (request_command(l, r->ask, &cmd, &s.request, &s.outcome, &e) != 0) {
        return failed(l->cli, &e);
    }
    if (s.outcome.code == 0) {
        buf_put_u64(&r->ops, s.outcome.op);
    }
    return finish(&s);
}

static int wait_one(struct link *l, uint64_t id)
{
    struct api_op op;
    struct err e = {0};
    if (wait_op(l, id, &op, &e) != 0) {
        return wait_broken(l->cli, id, &e);
    }
    return wait_report(l->cli, &op);
}

static int ask_all(struct link *l, const struct command *c, const char *host, bool wait)
{
    struct running r = {.host = host, .ask = c};
    struct err e = {0};
    struct request_query q = {.query = api_query_by_name("guest.list"),
                              .subject = "",
                              .deadline = link_deadline(l, QUERY_MS),
                              .row = note_running,
                              .ctx = &r};
    int status = EXIT_STATUS_OK;
    if (request_rows(l, &q, &e) != 0) {
        status = cli_fail(l->cli, &e);
    }
    for (size_t at = 0; at < r.names.len && !cli_interrupted(l->cli);) {
        const char *name = (const char *)r.names.data + at;
        int one = ask_one(l, &r, name);
        status = status == EXIT_STATUS_OK ? one : status;
        at += strlen(name) + 1;
    }
    for (size_t at = 0; wait && at < r.ops.len; at += sizeof(uint64_t)) {
        int one = wait_one(l, load_u64(r.ops.data + at));
        status = status == EXIT_STATUS_OK ? one : status;
    }
    buf_done(&r.names);
    buf_done(&r.ops);
    return status;
}

int run_shutdown_all(struct link *l, const char *host, bool wait)
{
    return ask_all(l, command_by_number(COMMAND_guest_shutdown), host, wait);
}

/* One guest or all. The verb of one word waits when it is told to, that of two unless told not to.
 */
static int ask_guests(struct cli *cli, const struct parsed *p, enum command_number number)
{
    const struct args_shutdown *a = p->record;
    const struct command *c = command_by_number(number);
    const char *title = p->verb.title;
    bool wait = a->wait || ((p->verb.flags & VERB_OLD) == 0 && !cli->opt.no_wait);
    if (a->all == (*a->name != '\0')) {
        cli_say(cli,
                a->all ? "%s: give a guest or --all, not both"
                       : "%s: give a guest, or --all for all of them",
                title);
        return EXIT_STATUS_USAGE;
    }
    if (a->all && cli->opt.has_request) {
        cli_say(cli, "%s: one --request-id cannot stand for several commands", title);
        return EXIT_STATUS_USAGE;
    }
    struct link l;
    struct err e = {0};
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    const struct cmd_guest_shutdown cmd = ask_record(c, a->name);
    int status = a->all ? ask_all(&l, c, "", wait) : run_record(&l, c, &cmd, wait);
    link_done(&l);
    return status;
}

int run_shutdown(struct cli *cli, const struct parsed *p)
{
    return ask_guests(cli, p, COMMAND_guest_shutdown);
}

int run_reboot(struct cli *cli, const struct parsed *p)
{
    return ask_guests(cli, p, COMMAND_guest_reboot);
}

int run_pool_init(struct cli *cli, const struct parsed *p)
{
    const struct args_name *a = p->record;
    struct link l;
    struct err e = {0};
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    if (l.n != 1) {
        /* Tried again at another host it would make a second pool. */
        cli_say(cli, "pool init founds the pool on one host: give --connect with its address only");
        return EXIT_STATUS_USAGE;
    }
    struct sending s = {.title = "pool init", .subject = a->name, .cli = cli, .link = &l};
    int status =
        request_found(&l, a->name, &s.request, &s.outcome, &e) != 0 ? failed(cli, &e) : finish(&s);
    link_done(&l);
    return status;
}

int run_pool_transfer(struct cli *cli, const struct parsed *p)
{
    const struct args_host *a = p->record;
    struct link l;
    struct err e = {0};
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    CLEANUP(buf_done) struct buf params = {0};
    CLEANUP(buf_done) struct buf result = {0};
    mp_put_map(&params, 1);
    mp_put_str(&params, "host");
    mp_put_str(&params, a->host);
    /* A second one would hand the mastership on again. */
    struct link_call call = {.method = "transfer",
                             .params = &params,
                             .deadline = link_deadline(&l, COMMAND_MS),
                             .once = true};
    int rc = link_call(&l, &call, &result, NULL, &e);
    link_done(&l);
    if (rc != 0) {
        return failed(cli, &e);
    }
    if (cli->opt.json) {
        (void)fputs("{}\n", cli->out);
    } else if (!cli->opt.quiet) {
        (void)fputs("the mastership is being handed over\n", cli->out);
    }
    return EXIT_STATUS_OK;
}
