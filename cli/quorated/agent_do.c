/* Carrying out one act of the agent: requests to the driver, the making of disks, proposals.
 *
 * Each ends in a callback that stores what came of it and marks the slot; what follows is decided
 * anew. The same act waits a little after it succeeded and longer after it failed; another act does
 * not wait. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mark.h"
#include "core/mutant.h"
#include "core/util.h"

#include "cli/quorated/agent_in.h"
#include "cli/quorated/agent_spec.h"

/* Failures to reach a repository after which a start is given up: about five seconds. */
#define REPO_TRIES   25u
#define REPO_WAIT_MS 200u

static uint64_t backoff_ms(uint32_t tries)
{
    uint32_t doublings = tries < 6 ? tries : 6;
    return min_u64((uint64_t)AGENT_BACKOFF_MS << doublings, AGENT_BACKOFF_MAX_MS);
}

static void hold(struct slot *s, enum agent_act act, uint64_t ms)
{
    s->held = act;
    s->held_ms = agent_now(s->agent) + ms;
}

static void count_failure(struct slot *s, enum agent_act act, const struct err *err)
{
    struct agent_memory *m = &s->memory;
    m->tries = m->tried == act ? m->tries + 1 : 1;
    m->tried = act;
    m->tried_code = err->code;
    (void)str_copy(m->tried_text, sizeof m->tried_text, err->msg);
    hold(s, act, backoff_ms(m->tries - 1));
}

/* The copy of this epoch could not be made. */
static void remember_failure(struct slot *s, uint64_t epoch, const struct err *err)
{
    s->memory.failed_epoch = epoch;
    s->memory.failed = *err;
}

/* --- requests */

void slot_end_work(struct slot *s)
{
    struct agent *a = s->agent;
    s->working = false;
    free(s->spec);
    s->spec = NULL;
    if (s->starting) {
        s->starting = false;
        a->starting--;
        for (uint32_t i = 0; i < a->n_slots; i++) {
            if (a->slots[i]->queued) {
                slot_touch(a->slots[i]);
            }
        }
    }
    slot_touch(s);
    agent_check_stopped(a);
}

/* How long ago that was; at least 1, for 0 means that it is not known. */
static uint32_t ms_since(const struct slot *s, uint64_t then_ms)
{
    return (uint32_t)min_u64(max_u64(agent_now(s->agent) - then_ms, 1), UINT32_MAX);
}

static void tell_stood_still(struct slot *s, uint64_t op, uint32_t commit_ms, uint32_t resume_ms)
{
    const struct agent_options *o = &s->agent->opt;
    if (o->stood_still != NULL) {
        o->stood_still(o->ctx, op, commit_ms, resume_ms);
    }
}

static void made_copy(struct slot *s, const struct hv_req *req)
{
    struct agent_memory *m = &s->memory;
    if (req->err.code == 0 && req->op == HV_INCOMING_START) {
        m->incoming_epoch = s->work_epoch;
        (void)str_copy(m->address, sizeof m->address, req->ret_address);
        (void)str_copy(m->secret, sizeof m->secret, req->ret_secret);
    } else if (req->err.code != 0 && req->err.code != ERR_CANCELLED &&
               req->err.code != ERR_EXISTS) {
        remember_failure(s, s->work_epoch, &req->err);
    }
}

static void work_done(struct hv_req *req)
{
    struct slot *s = req->data;
    struct agent_memory *m = &s->memory;
    agent_say(s->agent, agent_act_name(s->work_act), s->name, s->work_epoch, &req->err);
    if (s->work_act == AGENT_START || s->work_act == AGENT_INCOMING) {
        made_copy(s, req);
        hold(s, s->work_act, AGENT_SPACING_MS);
    } else if (req->err.code != 0) {
        count_failure(s, s->work_act, &req->err);
    } else {
        m->tries = m->tried == s->work_act ? 0 : m->tries;
        hold(s, s->work_act, AGENT_SPACING_MS);
    }
    if (s->work_act == AGENT_SHUTDOWN && req->err.code == 0) {
        m->asked_op = s->work_op;
        m->asked_ms = agent_now(s->agent);
    }
    if (s->work_act == AGENT_UNPAUSE && req->err.code == 0 && s->switched_op != 0 &&
        s->work_op == s->switched_op) {
        tell_stood_still(s, s->work_op, 0, ms_since(s, s->switched_ms));
        s->switched_op = 0;
    }
    slot_end_work(s);
}

void slot_begin_work(struct slot *s, const struct agent_answer *answer)
{
    s->working = true;
    s->work_act = answer->act;
    s->work_epoch = answer->epoch;
    s->work_op = s->agent->guest.op;
}

static void submit(struct slot *s, enum hv_op op)
{
    s->work = (struct hv_req){.op = op,
                              .key = {.uuid = s->uuid, .epoch = s->work_epoch},
                              .spec = s->spec,
                              .done = work_done,
                              .data = s};
    hv_submit(s->agent->opt.hv, &s->work);
}

static void simple(struct slot *s, const struct agent_answer *answer, enum hv_op op)
{
    slot_begin_work(s, answer);
    submit(s, op);
}

static void killed(struct hv_req *req)
{
    struct slot *s = req->data;
    agent_say(s->agent, agent_act_name(AGENT_DESTROY), s->name, req->key.epoch, &req->err);
    s->destroying = false;
    if (req->err.code != 0) {
        count_failure(s, AGENT_DESTROY, &req->err);
    }
    slot_touch(s);
    agent_check_stopped(s->agent);
}

static void destroy(struct slot *s, uint64_t epoch)
{
    if (s->disks != NULL && s->work_epoch == epoch) {
        images_cancel(s->disks); /* There is no copy yet. */
        return;
    }
    s->destroying = true;
    s->kill = (struct hv_req){
        .op = HV_DESTROY, .key = {.uuid = s->uuid, .epoch = epoch}, .done = killed, .data = s};
    hv_submit(s->agent->opt.hv, &s->kill);
}

/* --- starting */

static void disks_made(void *ctx, const struct err *err)
{
    struct slot *s = ctx;
    s->disks = NULL;
    if (err->code == 0) {
        s->disks_epoch = s->work_epoch;
    } else if (err->code != ERR_CANCELLED) {
        agent_say(s->agent, "disks", s->name, s->work_epoch, err);
        remember_failure(s, s->work_epoch, err);
    }
    slot_end_work(s);
}

/* A repository may come a moment later than the guest that needs it: this host just joined, or the
 * repository was initialised just now. */
static bool repo_at_hand(struct slot *s, struct fsm_view *v, const char *path, struct err *e)
{
    char name[LIMIT_NAME + 1] = "";
    static struct repo repo; /* Several KiB; the loop has one thread. */
    const char *colon = strchr(path, ':');
    if (path[0] == '\0' || path[0] == '/' || colon == NULL || colon - path > LIMIT_NAME) {
        return true;
    }
    memcpy(name, path, (size_t)(colon - path));
    if (fsm_get_repo(v, name, &repo) != 0 || mounts_ready(s->agent->mounts, &repo.id)) {
        return true; /* One that is unknown is found out by agent_path(). */
    }
    (void)err_set(e, ERR_NOT_READY, "repository %s is not at hand on this host", name);
    return false;
}

static bool repos_at_hand(struct slot *s, struct fsm_view *v, struct err *e)
{
    const struct guest_config *c = &s->agent->guest.config;
    bool ok = repo_at_hand(s, v, c->kernel, e) && repo_at_hand(s, v, c->ramdisk, e) &&
              repo_at_hand(s, v, s->agent->guest.saved, e);
    for (uint32_t i = 0; ok && i < c->disks_n; i++) {
        ok = repo_at_hand(s, v, c->disks[i].path, e);
    }
    return ok;
}

/* False: not now, or not at all (which is remembered then). */
static bool prepare_spec(struct slot *s, struct fsm_view *v, const struct agent_answer *answer)
{
    struct agent *a = s->agent;
    struct err e = {0};
    if (!repos_at_hand(s, v, &e)) {
        count_failure(s, answer->act, &e);
        hold(s, answer->act, REPO_WAIT_MS);
        slot_touch_at(s, s->held_ms);
        if (s->memory.tries < REPO_TRIES) {
            return false;
        }
    }
    s->spec = mem_new(1, sizeof *s->spec);
    if (e.code == 0) {
        (void)agent_spec(v, a->opt.prefix, a->opt.host, &a->guest, s->spec, &e);
        s->spec->epoch = answer->epoch;
    }
    if (e.code != 0) {
        free(s->spec);
        s->spec = NULL;
        remember_failure(s, answer->epoch, &e);
        slot_touch(s);
        return false;
    }
    return true;
}

/* Bring-ups are expensive: only so many at once; the others wait for an end of one. */
static bool take_turn(struct slot *s)
{
    struct agent *a = s->agent;
    if (a->starting >= a->opt.starts) {
        s->queued = true;
        return false;
    }
    a->starting++;
    s->starting = true;
    return true;
}

/* True: disks are being made, or could not be. */
static bool make_disks(struct slot *s, struct fsm_view *v, const struct agent_answer *answer)
{
    struct agent *a = s->agent;
    static struct images_order order; /* Large; the loop has one thread. */
    struct err e = {0};
    if (s->disks_epoch == answer->epoch || a->guest.image[0] == '\0') {
        return false;
    }
    if (images_order(v, a->opt.prefix, &a->guest, answer->epoch, &order, &e) != 0) {
        remember_failure(s, answer->epoch, &e);
        slot_end_work(s);
        return true;
    }
    if (order.n == 0) {
        return false;
    }
    s->disks = images_make(a->opt.loop, &order, disks_made, s);
    return true;
}

static void start(struct slot *s, struct fsm_view *v, const struct agent_answer *answer)
{
    const struct agent *a = s->agent;
    if (!prepare_spec(s, v, answer)) {
        return;
    }
    if (!take_turn(s)) {
        free(s->spec);
        s->spec = NULL;
        return;
    }
    /* A guarded run goes on only when the guard has its copy. */
    s->spec->paused = s->spec->paused || (a->opt.guard != NULL && a->guest.guarded);
    slot_begin_work(s, answer);
    if (!make_disks(s, v, answer)) {
        submit(s, HV_START);
    }
}

/* --- migrating */

/* Where this host's incoming copies listen; the driver chooses the port. */
static void incoming_address(struct agent *a, struct fsm_view *v, char to[LIMIT_ADDRESS + 1])
{
    struct host host;
    if (a->opt.address != NULL) {
        (void)str_copy(to, LIMIT_ADDRESS + 1, a->opt.address);
        return;
    }
    if (fsm_get_host(v, a->opt.host, &host) != 0) {
        to[0] = '\0';
        return;
    }
    bool given = host.migrate_address[0] != '\0';
    (void)str_copy(to, LIMIT_ADDRESS + 1, given ? host.migrate_address : host.address);
    char *colon = given ? NULL : strrchr(to, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
}

static void incoming(struct slot *s, struct fsm_view *v, const struct agent_answer *answer)
{
    struct agent *a = s->agent;
    if (!prepare_spec(s, v, answer)) {
        return;
    }
    if (!take_turn(s)) {
        free(s->spec);
        s->spec = NULL;
        return;
    }
    slot_begin_work(s, answer);
    s->work =
        (struct hv_req){.op = HV_INCOMING_START, .spec = s->spec, .done = work_done, .data = s};
    incoming_address(a, v, s->work.address);
    hv_submit(a->opt.hv, &s->work);
}

void slot_sent(struct hv_req *req)
{
    struct slot *s = req->data;
    enum agent_act act = req->op == HV_SAVE ? AGENT_SAVE : AGENT_MIGRATE;
    agent_say(s->agent, agent_act_name(act), s->name, req->key.epoch, &req->err);
    s->sending = false;
    s->memory.send = req->err;
    s->copied_ms = req->err.code == 0 ? agent_now(s->agent) : 0;
    slot_touch(s);
    agent_check_stopped(s->agent);
}

static void send_copy(struct slot *s, const struct agent_answer *answer)
{
    const struct op *op = &s->agent->op;
    s->sending = true;
    s->memory.sent_op = op->id;
    s->memory.send = (struct err){0};
    /* A request that hangs must not outlive its operation: it would keep the next one waiting. */
    uint64_t longest_ms = op->deadline_ms > op->created_ms ? op->deadline_ms - op->created_ms : 0;
    s->stream = (struct hv_req){.op = HV_MIGRATE,
                                .key = {.uuid = s->uuid, .epoch = answer->epoch},
                                .deadline_ms = (uint32_t)min_u64(longest_ms, LIMIT_DEADLINE_MS),
                                .rate_bytes_per_s = (uint64_t)op->rate_mib_per_s << 20,
                                .live = op->live,
                                .done = slot_sent,
                                .data = s};
    (void)str_copy(s->stream.address, sizeof s->stream.address, op->address);
    (void)str_copy(s->stream.secret, sizeof s->stream.secret, op->key);
    hv_submit(s->agent->opt.hv, &s->stream);
}

/* --- proposals */

static void proposed(void *ctx, int code, const struct outcome *outcome)
{
    struct agent_flight *f = ctx;
    struct slot *s = f->slot;
    free(f);
    if (s == NULL) {
        return;
    }
    struct agent_proposal *p = &s->proposal;
    s->flight = NULL;
    MARK_IF(report_unsure, code != 0);
    p->unsure = code != 0;
    p->tries++;
    if (MUTANT(resume_without_abort) && p->unsure && p->number == COMMAND_migrate_switch) {
        s->memory.sent_op = 0;
    }
    /* Applied and accepted, it has changed the state and will not be decided again. Rejected, it
     * was overtaken by something that will be seen. Either way, if it still looks right it must
     * wait. */
    p->not_before_ms = agent_now(s->agent) + backoff_ms(p->tries);
    if (code == 0 && outcome->code != 0) {
        struct err e;
        (void)err_set(&e, -(int)outcome->code, "%s", outcome->detail);
        MARK(report_rejected);
        agent_say(s->agent, "rejected", s->name, outcome->index, &e);
    } else if (code == 0 && p->number == COMMAND_migrate_switch && s->copied_ms != 0) {
        tell_stood_still(s, p->record.pass.op, ms_since(s, s->copied_ms), 0);
        s->copied_ms = 0;
    }
    slot_touch(s);
}

static void propose(struct slot *s, uint32_t number, const union agent_record *record)
{
    struct agent *a = s->agent;
    struct agent_proposal *p = &s->proposal;
    if (s->flight != NULL) {
        return; /* Decided again when it ends. */
    }
    /* Whole: records are zeroed before they are filled in, padding included. NOLINTNEXTLINE(*) */
    bool same = p->valid && p->number == number && memcmp(&p->record, record, sizeof *record) == 0;
    if (same && agent_now(a) < p->not_before_ms) {
        slot_touch_at(s, p->not_before_ms);
        return;
    }
    if (!same) {
        *p = (struct agent_proposal){.valid = true, .number = number};
        p->record = *record;
    }
    if (!p->unsure) {
        p->request = id_new(a->opt.rng);
    }
    s->flight = mem_new(1, sizeof *s->flight);
    s->flight->slot = s;
    a->opt.propose(a->opt.ctx, number, &p->record, &p->request, proposed, s->flight);
}

static void report(struct slot *s, const struct agent_answer *answer)
{
    union agent_record r;
    memset(&r, 0, sizeof r);
    schema_init(command_by_number(COMMAND_guest_report)->schema, &r.report);
    (void)str_copy(r.report.name, sizeof r.report.name, s->name);
    (void)str_copy(r.report.host, sizeof r.report.host, s->agent->opt.host);
    (void)str_copy(r.report.detail, sizeof r.report.detail, answer->text);
    r.report.epoch = answer->epoch;
    r.report.what = answer->what;
    r.report.exit = answer->exit;
    r.report.code = (uint32_t)-answer->code;
    propose(s, COMMAND_guest_report, &r);
}

static void report_restored(struct slot *s, struct fsm_view *v, const struct agent_answer *answer)
{
    const struct agent *a = s->agent;
    struct err e;
    if (agent_path(v, a->opt.prefix, a->guest.saved, s->used, &e) != 0) {
        s->used[0] = '\0';
    }
    s->used_epoch = answer->epoch;
    report(s, answer);
}

static void propose_saved(struct slot *s)
{
    union agent_record r;
    memset(&r, 0, sizeof r);
    schema_init(command_by_number(COMMAND_guest_saved)->schema, &r.saved);
    r.saved.op = s->agent->op.id;
    (void)str_copy(r.saved.host, sizeof r.saved.host, s->agent->opt.host);
    propose(s, COMMAND_guest_saved, &r);
}

static void propose_prepared(struct slot *s)
{
    union agent_record r;
    memset(&r, 0, sizeof r);
    schema_init(command_by_number(COMMAND_migrate_prepared)->schema, &r.prepared);
    r.prepared.op = s->agent->op.id;
    (void)str_copy(r.prepared.host, sizeof r.prepared.host, s->agent->opt.host);
    (void)str_copy(r.prepared.address, sizeof r.prepared.address, s->memory.address);
    (void)str_copy(r.prepared.key, sizeof r.prepared.key, s->memory.secret);
    propose(s, COMMAND_migrate_prepared, &r);
}

static void propose_switch(struct slot *s)
{
    union agent_record r;
    memset(&r, 0, sizeof r);
    schema_init(command_by_number(COMMAND_migrate_switch)->schema, &r.pass);
    r.pass.op = s->agent->op.id;
    (void)str_copy(r.pass.host, sizeof r.pass.host, s->agent->opt.host);
    propose(s, COMMAND_migrate_switch, &r);
}

static void propose_abort(struct slot *s, const struct agent_answer *answer)
{
    union agent_record r;
    memset(&r, 0, sizeof r);
    schema_init(command_by_number(COMMAND_migrate_abort)->schema, &r.abort);
    r.abort.op = s->agent->op.id;
    r.abort.code = (uint32_t)-answer->code;
    (void)str_copy(r.abort.host, sizeof r.abort.host, s->agent->opt.host);
    (void)str_copy(r.abort.detail, sizeof r.abort.detail, answer->text);
    propose(s, COMMAND_migrate_abort, &r);
}

/* --- all of it */

static bool is_proposal(enum agent_act act)
{
    return act == AGENT_REPORT || act == AGENT_PREPARED || act == AGENT_SWITCH ||
           act == AGENT_ABORT || act == AGENT_SAVED;
}

void slot_act(struct slot *s, struct fsm_view *v, const struct agent_answer *answer)
{
    if (!is_proposal(answer->act) && s->flight == NULL) {
        s->proposal.valid = false; /* Whatever is proposed next is a new report. */
    }
    if (answer->act == s->held && agent_now(s->agent) < s->held_ms) {
        slot_touch_at(s, s->held_ms);
        return;
    }
    if (s->agent->opt.gates != NULL && answer->act != AGENT_NONE &&
        agent_gate_is_closed(s->agent, answer->act, s->name)) {
        slot_touch_at(s, agent_now(s->agent) + AGENT_GATE_MS);
        return;
    }
    s->agent->acts += answer->act == AGENT_NONE ? 0 : 1;
    switch (answer->act) {
    case AGENT_NONE: return;
    case AGENT_DESTROY: destroy(s, answer->epoch); return;
    case AGENT_START: start(s, v, answer); return;
    case AGENT_SHUTDOWN: simple(s, answer, HV_SHUTDOWN); return;
    case AGENT_PAUSE: simple(s, answer, HV_PAUSE); return;
    case AGENT_UNPAUSE: simple(s, answer, HV_UNPAUSE); return;
    case AGENT_INCOMING: incoming(s, v, answer); return;
    case AGENT_MIGRATE: send_copy(s, answer); return;
    case AGENT_CANCEL: simple(s, answer, HV_MIGRATE_CANCEL); return;
    case AGENT_GUARD:
        agent_guard_add(s, answer->epoch);
        hold(s, AGENT_GUARD, AGENT_BACKOFF_MS);
        return;
    case AGENT_UNGUARD: agent_guard_drop(s, answer->epoch); return;
    case AGENT_DEVICE: agent_device(s, v, answer); return;
    case AGENT_SAVE: agent_save(s, v, answer); return;
    case AGENT_SAVED: propose_saved(s); return;
    case AGENT_REPORT:
        if (answer->what == REPORT_RESTORED) {
            report_restored(s, v, answer);
        } else {
            report(s, answer);
        }
        return;
    case AGENT_PREPARED: propose_prepared(s); return;
    case AGENT_SWITCH: propose_switch(s); return;
    case AGENT_ABORT: propose_abort(s, answer); return;
    }
}
