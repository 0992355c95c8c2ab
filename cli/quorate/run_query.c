/* Verbs that ask. */

#include <inttypes.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorate/request.h"
#include "cli/quorate/run.h"
#include "cli/quorate/table.h"

struct listing {
    struct table *table;
    const struct parsed *p;
    bool *named; /* For each of p->rest: whether it came. */
};

static bool is_wanted(struct listing *ls, const void *record)
{
    if (ls->p->n_rest == 0) {
        return true;
    }
    bool wanted = false;
    const struct api_guest *g = record;
    for (size_t i = 0; i < ls->p->n_rest; i++) {
        if (strcmp(ls->p->rest[i], g->name) == 0) {
            ls->named[i] = true;
            wanted = true;
        }
    }
    return wanted;
}

static void list_row(void *ctx, const void *record)
{
    struct listing *ls = ctx;
    if (is_wanted(ls, record)) {
        table_row(ls->table, record);
    }
}

static int missing_names(struct cli *cli, const struct listing *ls)
{
    int status = EXIT_STATUS_OK;
    for (size_t i = 0; i < ls->p->n_rest; i++) {
        if (!ls->named[i]) {
            cli_say(cli, "guest %s not found", ls->p->rest[i]);
            status = EXIT_STATUS_NOT_FOUND;
        }
    }
    return status;
}

static int run_list(struct cli *cli,
                    struct link *l,
                    const struct parsed *p,
                    const struct api_query *q,
                    const char *subject,
                    struct err *e)
{
    CLEANUP(cleanup_free) bool *named = mem_new(p->n_rest + 1, sizeof *named);
    struct listing ls = {.table = table_new(cli, q->name, q->row), .p = p, .named = named};
    struct request_query rq = {.query = q,
                               .subject = subject,
                               .deadline = link_deadline(l, QUERY_MS),
                               .row = list_row,
                               .ctx = &ls};
    int rc = request_rows(l, &rq, e);
    int status = EXIT_STATUS_OK;
    if (rc == 0) {
        status = table_print(ls.table);
        int missing = missing_names(cli, &ls);
        status = missing != EXIT_STATUS_OK ? missing : status;
    }
    ls.table = table_free(ls.table);
    return rc == 0 ? status : cli_fail(cli, e);
}

struct one {
    struct cli *cli;
    const struct schema *schema;
    size_t n;
};

static void one_row(void *ctx, const void *record)
{
    struct one *o = ctx;
    if (o->n++ == 0) {
        (void)table_print_one(o->cli, o->schema, record);
    }
}

static int run_one(struct cli *cli,
                   struct link *l,
                   const struct api_query *q,
                   const char *subject,
                   struct err *e)
{
    struct one o = {.cli = cli, .schema = q->row};
    struct request_query rq = {.query = q,
                               .subject = subject,
                               .deadline = link_deadline(l, QUERY_MS),
                               .row = one_row,
                               .ctx = &o};
    if (request_rows(l, &rq, e) != 0) {
        return cli_fail(cli, e);
    }
    if (o.n == 0) {
        cli_say(cli, "%s: the host sent no answer", q->name);
        return EXIT_STATUS_NOT_FOUND;
    }
    return EXIT_STATUS_OK;
}

/* The words of a question's record as its subject: a name or a number. */
static void put_subject(const struct parsed *p, struct buf *out)
{
    for (size_t i = 0; i < p->verb.args->n; i++) {
        schema_get_text(&p->verb.args->fields[i], p->record, out);
    }
    buf_put_u8(out, 0);
}

static bool is_list(const struct api_query *q)
{
    size_t len = strlen(q->name);
    return len > 5 && strcmp(q->name + len - 5, ".list") == 0;
}

int run_query(struct cli *cli, const struct parsed *p)
{
    struct link l;
    struct err e = {0};
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    CLEANUP(buf_done) struct buf subject = {0};
    put_subject(p, &subject);
    int status = is_list(p->verb.query)
                     ? run_list(cli, &l, p, p->verb.query, (const char *)subject.data, &e)
                     : run_one(cli, &l, p->verb.query, (const char *)subject.data, &e);
    link_done(&l);
    return status;
}

int run_rows(struct cli *cli, const struct parsed *p, const char *query, const char *subject)
{
    struct link l;
    struct err e = {0};
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    int status = run_list(cli, &l, p, api_query_by_name(query), subject, &e);
    link_done(&l);
    return status;
}

int run_hello(struct link *l, struct api_hello *ret, struct err *e)
{
    CLEANUP(buf_done) struct buf params = {0};
    CLEANUP(buf_done) struct buf result = {0};
    mp_put_map(&params, 0);
    struct link_call call = {
        .method = "hello", .params = &params, .deadline = link_deadline(l, QUERY_MS)};
    int rc = link_call(l, &call, &result, NULL, e);
    return rc != 0 ? rc : schema_decode_all(&schema_api_hello, result.data, result.len, ret, e);
}

int run_info(struct cli *cli, const struct parsed *p)
{
    (void)p;
    struct link l;
    struct err e = {0};
    struct api_hello hello;
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    int status;
    if (run_hello(&l, &hello, &e) != 0) {
        status = cli_fail(cli, &e);
    } else if (hello.blank) {
        status = table_print_one(cli, &schema_api_hello, &hello);
    } else {
        status = run_one(cli, &l, api_query_by_name("host.show"), hello.host, &e);
    }
    link_done(&l);
    return status;
}
