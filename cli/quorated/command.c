/* From a client's command to its outcome.
 *
 *   decode ──▶ (read: is our state current?) ──▶ complete ──▶ propose ──▶ outcome
 *                                                   │ error
 *                                                   └──▶ (read) ──▶ was it applied before? ──▶
 * outcome └── no ──▶ error
 *
 * What is filled in here may differ between two tries of one request through two hosts. That does
 * no harm: the first of them that is applied decides, and the other gets its outcome. It is why an
 * error met while filling in is told only after making sure that no earlier try was applied. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mark.h"
#include "core/mutant.h"
#include "core/util.h"

#include "cli/quorated/daemon.h"

#define COMMAND_DEADLINE_MS 10000u

struct job {
    struct daemon *d;
    struct rpc_request *rq; /* NULL for a record of our own. */
    propose_fn done;
    void *ctx;
    const struct command *command;
    void *record;
    struct id request;
    uint64_t deadline_at_ms;
    bool was_read; /* The state was proved current after this request came. */
    struct err error;
    struct buf entry;
    struct raftlog_proposal proposal;
    struct raftlog_read read;
};

static uint32_t job_left_ms(const struct job *j)
{
    uint64_t now = j->d->clock->mono_ms(j->d->clock);
    return now >= j->deadline_at_ms ? 1 : (uint32_t)(j->deadline_at_ms - now);
}

static void job_end(struct job *j, int code, const struct outcome *o, const char *text)
{
    if (j->rq != NULL && o != NULL) {
        CLEANUP(buf_done) struct buf out = {0};
        schema_encode(&schema_outcome, o, &out);
        rpc_reply(j->rq, &out);
    } else if (j->rq != NULL) {
        rpc_fail(j->rq, code, text);
    }
    if (j->done != NULL) {
        j->done(j->ctx, code, o);
    }
    buf_done(&j->entry);
    free(j->record);
    free(j);
}

static void job_fail(struct job *j)
{
    job_end(j, j->error.code, NULL, j->error.msg);
}

static void proposal_done(struct raftlog_proposal *p, int code)
{
    struct job *j = p->user;
    struct outcome o;
    if (code == 0) {
        code = fsm_request_outcome(j->d->fsm, &j->request, &o);
        if (code == 0) {
            job_end(j, 0, &o, "");
            return;
        }
        (void)err_set(&j->error, ERR_UNSURE,
                      "host %s has carried the command out and lost what came of it: the same "
                      "request id will tell",
                      j->d->opt.name);
    } else if (code == ERR_TIMEOUT) {
        (void)err_set(
            &j->error, ERR_UNSURE,
            "no answer from a majority in time: the command may still be carried out; the "
            "same request id will tell");
    } else if (code == ERR_NO_QUORUM) {
        (void)err_set(&j->error, code, "host %s reaches no master", j->d->opt.name);
    } else {
        (void)err_set(&j->error, code, "%s", err_text(code));
    }
    job_fail(j);
}

/* Records of our own wait for a master to come; a client may ask another host. */
static uint32_t job_adrift_ms(const struct job *j)
{
    return j->rq == NULL ? 0 : CLIENT_ADRIFT_MS;
}

static void job_propose(struct job *j)
{
    if (MUTANT(retry_new_request)) {
        j->request = id_new(&j->d->rng);
    }
    struct entry en = {
        .number = j->command->number,
        .request = j->request,
        .wall_ms = j->d->clock->wall_ms(j->d->clock),
    };
    (void)str_copy(en.user, sizeof en.user, j->rq == NULL ? "" : j->rq->user);
    (void)str_copy(en.host, sizeof en.host, j->d->opt.name);
    CLEANUP(buf_done) struct buf body = {0};
    schema_encode(j->command->schema, j->record, &body);
    en.body = body.data;
    en.body_len = body.len;
    entry_encode(&en, &j->entry);
    j->proposal = (struct raftlog_proposal){
        .data = j->entry.data,
        .len = j->entry.len,
        .request = j->request,
        .deadline_ms = job_left_ms(j),
        .adrift_ms = job_adrift_ms(j),
        .done = proposal_done,
        .user = j,
    };
    raftlog_propose(j->d->rl, &j->proposal);
}

static void job_complete(struct job *j);

static void read_done(struct raftlog_read *r, int code)
{
    struct job *j = r->user;
    j->was_read = true;
    struct outcome o;
    if (fsm_request_outcome(j->d->fsm, &j->request, &o) == 0) {
        MARK(outcome_known);
        job_end(j, 0, &o, "");
    } else if (fsm_failure(j->d->fsm, &j->error) != 0) {
        (void)daemon_no_view(j->d, &j->error);
        job_fail(j);
    } else if (code != 0) {
        /* Nothing was proposed by this try. An earlier one may have been: hence retryable. */
        (void)err_set(&j->error, code, "%s", err_text(code));
        job_fail(j);
    } else if (j->error.code != 0) {
        job_fail(j);
    } else {
        job_complete(j);
    }
}

static void job_read(struct job *j)
{
    j->read = (struct raftlog_read){
        .deadline_ms = job_left_ms(j), .adrift_ms = job_adrift_ms(j), .done = read_done, .user = j};
    raftlog_read(j->d->rl, &j->read);
}

static void job_complete(struct job *j)
{
    if (!j->was_read && complete_needs_state(j->command, j->record)) {
        job_read(j);
        return;
    }
    struct fsm_view *v = fsm_look(j->d->fsm);
    if (v == NULL) {
        daemon_no_view(j->d, &j->error);
        job_fail(j);
        return;
    }
    int rc = complete_command(j->d, v, j->command, j->record, &j->error);
    (void)fsm_view_close(v);
    if (rc == 0) {
        rc = schema_check(j->command->schema, j->record, &j->error);
    }
    if (rc == 0) {
        job_propose(j);
    } else if (j->was_read) {
        job_fail(j);
    } else {
        job_read(j);
    }
}

static struct job *job_new(struct daemon *d, const struct command *c)
{
    struct job *j = mem_new(1, sizeof *j);
    j->d = d;
    j->command = c;
    j->record = mem_new(1, c->schema->size);
    j->deadline_at_ms = d->clock->mono_ms(d->clock) + COMMAND_DEADLINE_MS;
    return j;
}

/* The command that the client names; NULL when it may not have it. */
static const struct command *command_find(const struct params *p, struct err *e)
{
    const struct command *c = command_by_name(p->name);
    if (c == NULL) {
        (void)err_set(e, ERR_UNKNOWN, "unknown command %s", p->name);
        return NULL;
    }
    if (c->who != COMMAND_USER) {
        (void)err_set(e, ERR_DENIED, "%s is a command of the daemons, not of people", c->title);
        return NULL;
    }
    if (id_is_none(&p->request)) {
        (void)err_set(e, ERR_INVALID, "%s needs a request id", c->title);
        return NULL;
    }
    return c;
}

void command_serve(struct daemon *d, struct rpc_request *rq, const struct params *p)
{
    struct err e = {0};
    const struct command *c = command_find(p, &e);
    if (c == NULL) {
        serve_fail(rq, &e);
        return;
    }
    struct job *j = job_new(d, c);
    j->rq = rq;
    j->request = p->request;
    if (p->deadline_ms != 0) {
        j->deadline_at_ms = d->clock->mono_ms(d->clock) + p->deadline_ms;
    }
    if (schema_decode_all(c->schema, p->body, p->body_len, j->record, &j->error) != 0) {
        (void)err_wrap(&j->error, "%s", c->title);
        job_fail(j);
        return;
    }
    job_complete(j);
}

void propose_record(struct daemon *d,
                    uint32_t number,
                    const void *record,
                    const struct id *request,
                    propose_fn done,
                    void *ctx)
{
    const struct command *c = command_by_number(number);
    assert(c != NULL);
    struct job *j = job_new(d, c);
    memcpy(j->record, record, c->schema->size);
    j->request = request == NULL ? id_new(&d->rng) : *request;
    j->done = done;
    j->ctx = ctx;
    job_propose(j);
}

/* --- founding a pool: the log first (a member of one), then the command */

void command_found(struct daemon *d, struct rpc_request *rq, const struct params *p)
{
    struct raftlog_status st;
    raftlog_status(d->rl, &st);
    /* A pool whose first command was lost in a crash is founded by asking again; one that has it
     * rejects the second. */
    struct job *j = job_new(d, command_by_number(COMMAND_pool_init));
    struct cmd_pool_init *init = j->record;
    schema_init(j->command->schema, init);
    init->id = st.blank ? id_new(&d->rng) : st.pool;
    (void)str_copy(init->name, sizeof init->name, p->name);
    (void)str_copy(init->host, sizeof init->host, d->opt.name);
    (void)str_copy(init->address, sizeof init->address, d->opt.listen);
    j->rq = rq;
    /* What would be rejected must not make a log: the host would be blank no more. */
    const char *wrong = cmd_pool_init_wrong(init);
    if (wrong != NULL) {
        struct outcome o = {.code = (uint32_t)-ERR_INVALID};
        (void)str_copy(o.what, sizeof o.what, "field");
        (void)str_copy(o.name, sizeof o.name, j->command->name);
        (void)str_copy(o.detail, sizeof o.detail, wrong);
        CLEANUP(buf_done) struct buf text = {0};
        outcome_text(&o, &text);
        (void)err_set(&j->error, ERR_INVALID, "%.*s", (int)text.len, (const char *)text.data);
        job_fail(j);
        return;
    }
    if (st.blank && raftlog_bootstrap(d->rl, &init->id, &j->error) != 0) {
        job_fail(j);
        return;
    }
    j->request = id_is_none(&p->request) ? id_new(&d->rng) : p->request;
    job_propose(j);
}
