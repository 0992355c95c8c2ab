#include "cli/quorate/request.h"

#include <string.h>

#include "core/os_random.h"
#include "core/util.h"

static void choose_request(const struct cli *cli, struct id *ret)
{
    if (cli->opt.has_request) {
        *ret = cli->opt.request;
        return;
    }
    struct rng rng;
    rng_seed_os(&rng);
    *ret = id_new(&rng);
}

static void put_deadline(const struct link *l, uint64_t deadline, struct buf *out)
{
    uint64_t now = l->cli->clock->mono_ms(l->cli->clock);
    mp_put_str(out, "deadline_ms");
    mp_put_uint(out, deadline > now ? min_u64(deadline - now, LIMIT_DEADLINE_MS) : 1);
}

/* The answer of command and found. */
static int call_outcome(struct link *l,
                        const struct link_call *call,
                        const struct id *request,
                        struct outcome *ret,
                        struct err *e)
{
    CLEANUP(buf_done) struct buf result = {0};
    bool unknown = false;
    int rc = link_call(l, call, &result, &unknown, e);
    if (rc == 0) {
        rc = schema_decode_all(&schema_outcome, result.data, result.len, ret, e);
        return rc == 0 ? 0 : err_wrap(e, "outcome");
    }
    if (unknown) {
        char id[ID_TEXT_SIZE];
        struct err why = *e;
        (void)err_set(e, why.code,
                      "%s; it is not known whether the command was carried out: repeat it with "
                      "--request-id %s to see",
                      why.msg, id_text(request, id));
    }
    return rc;
}

int request_command(struct link *l,
                    const struct command *c,
                    const void *record,
                    struct id *ret_request,
                    struct outcome *ret,
                    struct err *e)
{
    int rc = schema_check(c->schema, record, e);
    if (rc != 0) {
        return rc;
    }
    choose_request(l->cli, ret_request);
    uint64_t deadline = link_deadline(l, COMMAND_MS);
    CLEANUP(buf_done) struct buf params = {0};
    CLEANUP(buf_done) struct buf body = {0};
    schema_encode(c->schema, record, &body);
    mp_put_map(&params, 4);
    mp_put_str(&params, "name");
    mp_put_str(&params, c->name);
    mp_put_str(&params, "body");
    mp_put_bin(&params, body.data, body.len);
    mp_put_str(&params, "request");
    mp_put_bin(&params, ret_request->b, sizeof ret_request->b);
    put_deadline(l, deadline, &params);
    struct link_call call = {.method = "command", .params = &params, .deadline = deadline};
    rc = call_outcome(l, &call, ret_request, ret, e);
    explicit_bzero(params.data, params.cap); /* A password may have been among it. */
    explicit_bzero(body.data, body.cap);
    return rc;
}

int request_found(struct link *l,
                  const char *name,
                  struct id *ret_request,
                  struct outcome *ret,
                  struct err *e)
{
    choose_request(l->cli, ret_request);
    CLEANUP(buf_done) struct buf params = {0};
    mp_put_map(&params, 2);
    mp_put_str(&params, "name");
    mp_put_str(&params, name);
    mp_put_str(&params, "request");
    mp_put_bin(&params, ret_request->b, sizeof ret_request->b);
    struct link_call call = {
        .method = "found", .params = &params, .deadline = link_deadline(l, COMMAND_MS)};
    return call_outcome(l, &call, ret_request, ret, e);
}

/* One page of rows being read. */
struct page {
    const struct request_query *q;
    void *record;
    char next[LIMIT_NAME + 1];
};

static int bad_answer(struct err *e)
{
    return err_set(e, ERR_MALFORMED, "the host's answer is malformed; is it of another version?");
}

static int skip_pair(struct mp_reader *r)
{
    int rc = mp_skip(r, NULL, NULL);
    return rc != 0 ? rc : mp_skip(r, NULL, NULL);
}

static int read_rows(struct page *p, struct mp_reader *r, struct err *e)
{
    uint32_t n;
    if (mp_get_array(r, &n) != 0) {
        return bad_answer(e);
    }
    for (uint32_t i = 0; i < n; i++) {
        int rc = schema_decode(p->q->query->row, r, p->record, e);
        if (rc != 0) {
            return err_wrap(e, "row %u of the answer", i + 1);
        }
        p->q->row(p->q->ctx, p->record);
    }
    return 0;
}

/* {index, rows, next}, in this order or any. Keys of a newer server are passed over. */
static int read_page(struct page *p, const struct buf *result, struct err *e)
{
    struct mp_reader r;
    uint32_t n;
    mp_reader_init(&r, result->data, result->len);
    p->next[0] = '\0';
    if (mp_get_map(&r, &n) != 0) {
        return bad_answer(e);
    }
    for (uint32_t i = 0; i < n; i++) {
        int rc = 0;
        if (mp_match_str(&r, "rows")) {
            rc = read_rows(p, &r, e);
        } else if (mp_match_str(&r, "next")) {
            rc = mp_copy_str(&r, p->next, sizeof p->next) == 0 ? 0 : bad_answer(e);
        } else if (skip_pair(&r) != 0) {
            rc = bad_answer(e);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return mp_at_end(&r) ? 0 : bad_answer(e);
}

static void
put_query(const struct link *l, const struct request_query *q, const char *after, struct buf *out)
{
    mp_put_map(out, 5);
    mp_put_str(out, "name");
    mp_put_str(out, q->query->name);
    mp_put_str(out, "subject");
    mp_put_str(out, q->subject);
    mp_put_str(out, "after");
    mp_put_str(out, after);
    mp_put_str(out, "local");
    mp_put_bool(out, l->cli->opt.local);
    put_deadline(l, q->deadline, out);
}

int request_rows(struct link *l, const struct request_query *q, struct err *e)
{
    CLEANUP(cleanup_free) void *record = mem_new(1, q->query->row->size);
    struct page page = {.q = q, .record = record};
    CLEANUP(buf_done) struct buf params = {0};
    CLEANUP(buf_done) struct buf result = {0};
    char after[sizeof page.next] = "";
    do {
        buf_clear(&params);
        put_query(l, q, after, &params);
        struct link_call call = {.method = "query", .params = &params, .deadline = q->deadline};
        int rc = link_call(l, &call, &result, NULL, e);
        if (rc == 0) {
            rc = read_page(&page, &result, e);
        }
        if (rc != 0) {
            return rc;
        }
        if (*page.next != '\0' && strcmp(page.next, after) == 0) {
            return bad_answer(e); /* The same page for ever. */
        }
        memcpy(after, page.next, sizeof after);
    } while (*after != '\0');
    return 0;
}
