/* Ways to break a good history: see gen.h. Each looks for a random record that it can spoil. */

#include "chaos-tests/check/tests/mutate.h"

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

void hist_copy(const struct hist *h, struct hist *ret)
{
    hist_init(ret, h->max_recs);
    for (hist_t_name i = 1; i < hist_n_names(h); i++) {
        (void)hist_name(ret, hist_name_text(h, i));
    }
    for (uint16_t i = 0; i < h->n_hosts; i++) {
        (void)hist_host_add(ret, hist_host_text(h, i));
    }
    for (size_t i = 0; i < h->n_recs; i++) {
        hist_add(ret, &h->recs[i]);
    }
}

/* A random record that `fits`. */
size_t
mutate_pick(const struct hist *h, struct rng *rng, bool (*fits)(const struct hist *h, size_t at))
{
    size_t n = 0;
    size_t found = NOWHERE;

    for (size_t i = 0; i < h->n_recs; i++) {
        if (fits(h, i) && rng_below(rng, ++n) == 0) {
            found = i;
        }
    }
    return found;
}

void mutate_take_out(struct hist *h, size_t at)
{
    memmove(&h->recs[at], &h->recs[at + 1], (h->n_recs - at - 1) * sizeof *h->recs);
    h->n_recs--;
}

/* Put a record behind number `at`, at its time. */
void mutate_put_behind(struct hist *h, size_t at, struct rec r)
{
    struct rec last = h->recs[h->n_recs - 1];

    hist_add(h, &last); /* Makes room. */
    memmove(&h->recs[at + 1], &h->recs[at], (h->n_recs - at - 1) * sizeof *h->recs);
    r.at_us = h->recs[at].at_us;
    h->recs[at + 1] = r;
}

/* --- answers */

static const struct rec_call *call_of(const struct hist *h, size_t at)
{
    for (size_t i = at; i-- > 0;) {
        const struct rec *r = &h->recs[i];
        if (r->kind == REC_CALL && r->call.call == h->recs[at].answer.call) {
            return &r->call;
        }
    }
    return NULL;
}

static bool answers(const struct hist *h, size_t at, enum call_op op, enum call_result result)
{
    const struct rec *r = &h->recs[at];

    return r->kind == REC_ANSWER && r->answer.result == result && call_of(h, at)->op == op;
}

static bool is_read_answer(const struct hist *h, size_t at)
{
    return answers(h, at, CALL_READ, RESULT_OK);
}

static bool is_missing_answer(const struct hist *h, size_t at)
{
    return answers(h, at, CALL_READ, RESULT_REFUSED);
}

static bool is_stale_cas(const struct hist *h, size_t at)
{
    return answers(h, at, CALL_CAS, RESULT_REFUSED) &&
           h->recs[at].answer.code == (uint32_t)-ERR_STALE;
}

static bool is_command_answer(const struct hist *h, size_t at)
{
    const struct rec *r = &h->recs[at];

    return r->kind == REC_ANSWER && r->answer.index > 0 && call_of(h, at)->request != 0;
}

/* A read sees a value that nobody wrote. */
static bool invented_value(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_read_answer);

    if (at != NOWHERE) {
        h->recs[at].answer.value += 1ull << 40;
    }
    return at != NOWHERE;
}

/* A subject that does not exist is read with a value that it once had, or will have. */
static bool ghost_value(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_missing_answer);
    hist_t_name subject;

    if (at == NOWHERE) {
        return false;
    }
    subject = call_of(h, at)->subject;
    for (size_t i = 0; i < h->n_recs; i++) {
        const struct rec *r = &h->recs[i];
        if (r->kind == REC_CALL && r->call.op == CALL_CREATE && r->call.subject == subject) {
            h->recs[at].answer.result = RESULT_OK;
            h->recs[at].answer.code = 0;
            h->recs[at].answer.value = r->call.value;
            return true;
        }
    }
    return false;
}

/* A condition that was not met is said to have been. */
static bool false_cas(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_stale_cas);

    if (at != NOWHERE) {
        h->recs[at].answer.result = RESULT_OK;
        h->recs[at].answer.code = 0;
    }
    return at != NOWHERE;
}

/* The record of the call that a record answers; NOWHERE for other records. */
static size_t asked_at(const struct hist *h, size_t at)
{
    for (size_t i = at; h->recs[at].kind == REC_ANSWER && i-- > 0;) {
        if (h->recs[i].kind == REC_CALL && h->recs[i].call.call == h->recs[at].answer.call) {
            return i;
        }
    }
    return NOWHERE;
}

static bool is_write_of(const struct hist *h, size_t at, hist_t_name subject)
{
    return (answers(h, at, CALL_SET, RESULT_OK) || answers(h, at, CALL_CAS, RESULT_OK) ||
            answers(h, at, CALL_CREATE, RESULT_OK)) &&
           call_of(h, at)->subject == subject;
}

/* The last write of a subject that was answered before record `at`. */
static size_t write_before(const struct hist *h, size_t at, hist_t_name subject)
{
    while (at-- > 0) {
        if (is_write_of(h, at, subject)) {
            return at;
        }
    }
    return NOWHERE;
}

/* A read sees what a write before another write had written, both long answered. */
static bool old_value(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_read_answer);
    hist_t_name subject;

    if (at == NOWHERE) {
        return false;
    }
    subject = call_of(h, at)->subject;
    size_t newer = write_before(h, asked_at(h, at), subject);
    size_t older = newer == NOWHERE ? NOWHERE : write_before(h, asked_at(h, newer), subject);
    if (older == NOWHERE) {
        return false;
    }
    h->recs[at].answer.value = call_of(h, older)->value;
    return true;
}

/* A read goes back before what had been answered when it was asked. */
static bool old_index(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_read_answer);
    uint64_t floor = 0;

    if (at == NOWHERE) {
        return false;
    }
    for (size_t i = 0; i < at && &h->recs[i].call != call_of(h, at); i++) {
        if (h->recs[i].kind == REC_ANSWER) {
            floor = max_u64(floor, h->recs[i].answer.index);
        }
    }
    if (floor < 2) {
        return false;
    }
    h->recs[at].answer.index = floor - 1;
    return true;
}

static bool wrong_index(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_command_answer);

    if (at != NOWHERE) {
        h->recs[at].answer.index--;
    }
    return at != NOWHERE;
}

static bool wrong_outcome(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_command_answer);

    if (at != NOWHERE) {
        h->recs[at].answer.result = RESULT_REFUSED;
        h->recs[at].answer.code = (uint32_t)-ERR_NO_ROOM;
    }
    return at != NOWHERE;
}

/* --- the log */

static bool is_effect(const struct hist *h, size_t at)
{
    return h->recs[at].kind == REC_APPLY && h->recs[at].apply.first != 0 &&
           h->recs[at].apply.request != 0;
}

static bool is_repetition(const struct hist *h, size_t at)
{
    return h->recs[at].kind == REC_APPLY && h->recs[at].apply.first == 0;
}

/* Applied somewhere else too, so that there is something to compare with. */
static bool is_shared(const struct hist *h, size_t at)
{
    size_t n = 0;

    for (size_t i = 0; h->recs[at].kind == REC_APPLY && i < h->n_recs && n < 2; i++) {
        n += h->recs[i].kind == REC_APPLY && h->recs[i].apply.index == h->recs[at].apply.index;
    }
    return n >= 2;
}

static bool is_hashed(const struct hist *h, size_t at)
{
    size_t n = 0;

    if (h->recs[at].kind != REC_APPLY || h->recs[at].apply.state == 0) {
        return false;
    }
    for (size_t i = 0; i < h->n_recs && n < 2; i++) {
        n += h->recs[i].kind == REC_APPLY && h->recs[i].apply.index == h->recs[at].apply.index &&
             h->recs[i].apply.state != 0;
    }
    return n >= 2;
}

/* A repetition takes effect. */
static bool twice(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_repetition);

    if (at == NOWHERE) {
        return false;
    }
    for (size_t i = 0; i < h->n_recs; i++) {
        struct rec *r = &h->recs[i];
        if (r->kind == REC_APPLY && r->apply.index == h->recs[at].apply.index) {
            r->apply.first = 1;
        }
    }
    return true;
}

static bool other_state(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_hashed);

    if (at != NOWHERE) {
        h->recs[at].apply.state ^= 1ull << rng_below(rng, 60);
    }
    return at != NOWHERE;
}

static bool other_entry(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_shared);

    if (at != NOWHERE) {
        h->recs[at].apply.entry ^= 1ull << rng_below(rng, 60);
    }
    return at != NOWHERE;
}

static bool skipped_entry(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_shared);

    if (at == NOWHERE) {
        return false;
    }
    for (size_t i = at + 1; i < h->n_recs; i++) {
        const struct rec *r = &h->recs[i];
        if (r->kind == REC_JUMP && r->jump.host == h->recs[at].apply.host) {
            return false;
        }
        if (r->kind == REC_APPLY && r->apply.host == h->recs[at].apply.host) {
            mutate_take_out(h, at);
            return true;
        }
    }
    return false;
}

static bool entry_again(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_effect);

    if (at != NOWHERE) {
        mutate_put_behind(h, at, h->recs[at]);
    }
    return at != NOWHERE;
}

/* Another request stands where an answered one stood, on every host. */
static bool replaced_entry(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_command_answer);
    uint64_t index;

    if (at == NOWHERE) {
        return false;
    }
    index = h->recs[at].answer.index;
    for (size_t i = 0; i < h->n_recs; i++) {
        struct rec *r = &h->recs[i];
        if (r->kind == REC_APPLY && r->apply.index == index) {
            r->apply.request += 1ull << 40;
        }
    }
    return true;
}

static bool is_promise(const struct hist *h, size_t at)
{
    return h->recs[at].kind == REC_PROMISE || is_command_answer(h, at);
}

/* A promise is made before any of the disks has it. */
static bool early_promise(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_promise);
    uint64_t index;

    if (at == NOWHERE) {
        return false;
    }
    index = h->recs[at].kind == REC_PROMISE ? h->recs[at].promise.index : h->recs[at].answer.index;
    for (size_t i = 0; i < at; i++) {
        if (h->recs[i].kind == REC_DURABLE && h->recs[i].durable.index >= index) {
            h->recs[i].durable.index = index - 1;
        }
    }
    return true;
}

static bool is_final(const struct hist *h, size_t at)
{
    return h->recs[at].kind == REC_FINAL;
}

static bool short_end(struct hist *h, struct rng *rng)
{
    size_t at = mutate_pick(h, rng, is_final);

    h->recs[at].final.index -= 1;
    h->recs[at].final.state = 0;
    return true;
}

const struct mutation mutations[] = {
    {"a read of a value that nobody wrote (index)", "witness", invented_value},
    {"a read of a value that nobody wrote (search)", "linearizable", invented_value},
    {"a read of something that does not exist", "witness", ghost_value},
    {"a failed condition answered as done", "witness", false_cas},
    {"a read of an overwritten value (search)", "linearizable", old_value},
    {"a read of an overwritten value (index)", "witness", old_value},
    {"a read from before its time", "witness", old_index},
    {"an answer with another index", "once", wrong_index},
    {"an answer with another outcome", "once", wrong_outcome},
    {"a repetition that takes effect", "once", twice},
    {"a state that differs in one bit", "replicas", other_state},
    {"an entry that differs in one bit", "replicas", other_entry},
    {"an entry left out", "replicas", skipped_entry},
    {"an entry applied again", "replicas", entry_again},
    {"an answered entry replaced", "durable", replaced_entry},
    {"a promise before the disks have it", "durable", early_promise},
    {"a host that ends short", "durable", short_end},
    {"an event lost", "events", mutate_lost_event},
    {"an event twice", "events", mutate_repeated_event},
    {"an event that differs", "events", mutate_other_event},
    {"a second master in a term", "masters", mutate_two_masters},
    {"a second copy", "execution", mutate_second_copy},
    {"a source that is not paused", "execution", mutate_late_pause},
    {"an old copy that goes on", "execution", mutate_stale_copy},
    {"an old copy that writes", "execution", mutate_stale_write},
    {"a second permit", "permission", mutate_second_permit},
    {"a permit that is not taken back", "permission", mutate_kept_permit},
    {"no recovery", "recovery", mutate_not_recovered},
    {"a lock left", "leaks", mutate_lock_left},
    {"a copy left", "leaks", mutate_copy_left},
    {"hosts that end with different rows", "leaks", mutate_other_row},
    {.name = NULL},
};
