/* One node, with hands on every input. Member 1 of three; the others are played by the test. */

#include <string.h>

#include "core/util.h"

#include "raftlog/msg.h"
#include "raftlog/node_impl.h"
#include "raftlog/tests/check.h"

struct lab {
    struct node *node;
    struct err e;
    uint64_t now;
    uint64_t acked;                 /* Highest last_index of a successful answer to an append. */
    uint32_t sends;                 /* Of snapshots. */
    uint64_t refused, refused_last; /* The last refusal of an append: its two indices. */
    uint32_t done, code;
    uint32_t changed;
};

static int save_vote(void *ctx, uint64_t term, uint64_t vote, struct err *e)
{
    (void)ctx, (void)term, (void)vote, (void)e;
    return 0;
}

static void append(void *ctx, const struct node_entry *entries, uint32_t n)
{
    (void)ctx, (void)entries, (void)n;
}

static int read_back(void *ctx, uint64_t index, struct node_entry *ret, struct buf *ret_data)
{
    (void)ctx, (void)index, (void)ret, (void)ret_data;
    return ERR_NOT_FOUND;
}

static void trim(void *ctx, uint64_t first)
{
    (void)ctx, (void)first;
}

static void sent(void *ctx, uint64_t to, enum node_channel channel, const void *data, size_t len)
{
    struct lab *lab = ctx;
    struct msg m;

    (void)to, (void)channel;
    assert_int_equal(msg_decode(data, len, &m), 0);
    if ((int)m.type == 0 && m.core.type == CORE_APPEND_RESULT &&
        m.core.append_result.rejected == 0) {
        lab->acked = max_u64(lab->acked, m.core.append_result.last_index);
    } else if ((int)m.type == 0 && m.core.type == CORE_APPEND_RESULT) {
        lab->refused = m.core.append_result.rejected;
        lab->refused_last = m.core.append_result.last_index;
    }
    msg_done(&m);
}

static int apply(void *ctx, const struct raftlog_entry *entries, uint32_t n, struct err *e)
{
    (void)ctx, (void)entries, (void)n, (void)e;
    return 0;
}

static void proposal_done(void *ctx, struct raftlog_proposal *p, int code)
{
    struct lab *lab = ctx;
    (void)p;
    lab->done++;
    lab->code = (uint32_t)-code;
}

static void changed(void *ctx)
{
    ((struct lab *)ctx)->changed++;
}

static struct node_options lab_options(struct lab *lab, unsigned mutants)
{
    return (struct node_options){
        .id = 1,
        .address = "a",
        .seed = 1,
        .mutants = mutants,
        .io = {.ctx = lab,
               .save_vote = save_vote,
               .append = append,
               .read = read_back,
               .trim = trim,
               .send = sent,
               .apply = apply,
               .proposal_done = proposal_done,
               .changed = changed},
    };
}

static struct lab lab_new(unsigned mutants)
{
    CLEANUP(buf_done) struct buf bytes = {0};
    struct conf conf = {.n = 3};

    for (uint32_t i = 0; i < 3; i++) {
        conf.members[i].id = i + 1;
        conf.members[i].role = RAFTLOG_VOTER;
        conf.members[i].address[0] = (char)('a' + i);
    }
    conf_encode(&conf, &bytes);
    struct node_entry first = {
        .index = 1, .term = 1, .type = NODE_CHANGE, .data = bytes.data, .len = (uint32_t)bytes.len};
    struct node_recovered r = {.term = 1, .first_index = 1, .entries = &first, .n = 1};
    struct lab *lab = mem_new(1, sizeof *lab);
    struct node_options options = lab_options(lab, mutants);
    assert_int_equal(node_new(&lab->node, &options, &r, 1000, &lab->e), 0);
    lab->now = 1000;
    struct lab copy = *lab;
    copy.node->options.io.ctx = NULL;
    free(lab);
    return copy;
}

static void lab_here(struct lab *lab)
{
    lab->node->options.io.ctx = lab;
}

/* Entries (prev, prev + n] of one term, from this leader. */
static void leader_sends(struct lab *lab, uint64_t from, uint64_t term, uint64_t prev, uint32_t n)
{
    CLEANUP(buf_done) struct buf b = {0};
    struct node_entry entries[16];

    for (uint32_t i = 0; i < n; i++) {
        entries[i] = (struct node_entry){
            .term = term, .type = NODE_COMMAND, .data = &term, .len = sizeof term};
    }
    struct core_message m = {.type = CORE_APPEND, .term = term};
    m.append.prev_index = prev;
    m.append.prev_term = cache_term(&lab->node->cache, prev);
    m.append.n = n;
    m.append.entries = entries;
    msg_put_core(&b, &m);
    assert_int_equal(node_receive(lab->node, from, b.data, b.len, lab->now, &lab->e), 0);
}

static void written(struct lab *lab, uint64_t index, uint64_t term)
{
    assert_int_equal(node_persisted(lab->node, index, term, lab->now, &lab->e), 0);
}

/* A write of entries that were overwritten since says nothing of the ones that replaced them. */
static uint64_t acked_after_overwriting(unsigned mutants)
{
    struct lab lab = lab_new(mutants);

    lab_here(&lab);
    leader_sends(&lab, 2, 2, 1, 4); /* 2 to 5 of term 2. */
    leader_sends(&lab, 3, 3, 3, 3); /* 4 to 6 of term 3 in the place of 4 and 5. */
    written(&lab, 5, 2);
    uint64_t acked = lab.acked;
    written(&lab, 6, 3);
    assert_int_equal(lab.acked, 6);
    node_free(lab.node);
    return acked;
}

static void a_late_completion_vouches_only_for_what_is_still_there(void **state)
{
    (void)state;
    assert_int_equal(acked_after_overwriting(0), 3);
    assert_int_equal(acked_after_overwriting(NODE_MUTANT_STALE_PERSISTED), 5);
}

/* The same entries once more, after others in between: the first write's completion is not theirs.
 */
static void entries_that_come_back_wait_for_their_own_write(void **state)
{
    struct lab lab = lab_new(0);
    CLEANUP(buf_done) struct buf b = {0};
    struct node_entry entries[3];

    (void)state;
    lab_here(&lab);
    leader_sends(&lab, 2, 2, 1, 2); /* 2, 3 of term 2. */
    leader_sends(&lab, 3, 3, 1, 1); /* 2 of term 3. */
    for (uint32_t i = 0; i < 3; i++) {
        entries[i] =
            (struct node_entry){.term = i < 2 ? 2 : 4, .type = NODE_COMMAND, .data = "x", .len = 1};
    }
    struct core_message m = {.type = CORE_APPEND, .term = 4, .append = {1, 1, 0, 3, entries}};
    msg_put_core(&b, &m); /* 2, 3 of term 2 again, and 4 of term 4. */
    assert_int_equal(node_receive(lab.node, 2, b.data, b.len, lab.now, &lab.e), 0);
    written(&lab, 3, 2);
    assert_true(lab.acked <= 1);
    written(&lab, 2, 3);
    assert_true(lab.acked <= 1);
    written(&lab, 4, 4);
    assert_int_equal(lab.acked, 4);
    node_free(lab.node);
}

static void a_completion_out_of_order_is_an_error(void **state)
{
    struct lab lab = lab_new(0);

    (void)state;
    lab_here(&lab);
    leader_sends(&lab, 2, 2, 1, 1);
    leader_sends(&lab, 2, 2, 2, 1);
    assert_int_equal(node_persisted(lab.node, 3, 2, lab.now, &lab.e), ERR_INTERNAL);
    node_free(lab.node);
}

/* Fills what will be the core's stack, where it keeps what it forgets to set. */
static void spoil_the_stack(void)
{
    volatile uint8_t spoiled[16384];
    memset((void *)(uintptr_t)spoiled, 0xa5, sizeof spoiled);
    assert_int_equal(spoiled[100], 0xa5);
}

static void a_refusal_of_an_old_term_tells_nothing_of_our_memory(void **state)
{
    struct lab lab = lab_new(0);
    (void)state;
    lab_here(&lab);
    leader_sends(&lab, 2, 3, 1, 2);
    written(&lab, 3, 3);
    spoil_the_stack();
    leader_sends(&lab, 3, 2, 1, 1);
    assert_int_equal(lab.refused, 1);
    assert_int_equal(lab.refused_last, 0);
    (void)node_free(lab.node);
}

static void bytes_that_are_no_message_are_malformed(void **state)
{
    struct lab lab = lab_new(0);

    (void)state;
    lab_here(&lab);
    assert_int_equal(node_receive(lab.node, 2, "\xff\x01", 2, lab.now, &lab.e), ERR_MALFORMED);
    assert_int_equal(node_receive(lab.node, 1, "\x10", 1, lab.now, &lab.e), ERR_MALFORMED);
    node_free(lab.node);
}

static void what_cannot_be_proposed_is_said_at_once_and_later(void **state)
{
    struct lab lab = lab_new(0);
    struct raftlog_proposal p = {.data = "x", .len = 0, .deadline_ms = 100};
    static uint8_t big[LIMIT_ENTRY + 1];

    (void)state;
    lab_here(&lab);
    node_propose(lab.node, &p, lab.now);
    assert_int_equal(lab.done, 0); /* Never from inside the call. */
    assert_true(node_wants_flush(lab.node));
    assert_int_equal(node_flush(lab.node, lab.now, &lab.e), 0);
    assert_int_equal(lab.code, -ERR_INVALID);
    p = (struct raftlog_proposal){.data = big, .len = sizeof big, .deadline_ms = 100};
    node_propose(lab.node, &p, lab.now);
    assert_int_equal(node_flush(lab.node, lab.now, &lab.e), 0);
    assert_int_equal(lab.code, -ERR_TOO_BIG);
    p = (struct raftlog_proposal){.data = big, .len = 8, .deadline_ms = 100};
    node_propose(lab.node, &p, lab.now);
    node_propose_cancel(lab.node, &p);
    assert_int_equal(node_flush(lab.node, lab.now, &lab.e), 0);
    assert_int_equal(lab.code, -ERR_CANCELLED);
    assert_int_equal(lab.done, 3);
    node_free(lab.node);
}

static void too_many_proposals_are_too_many(void **state)
{
    enum {
        N = 8200
    };
    struct lab lab = lab_new(0);
    struct raftlog_proposal *p = mem_new(N, sizeof *p);

    (void)state;
    lab_here(&lab);
    for (uint32_t i = 0; i < N; i++) {
        p[i] = (struct raftlog_proposal){.data = &i, .len = sizeof i, .deadline_ms = 1000};
        memcpy(p[i].request.b, &i, sizeof i);
        node_propose(lab.node, &p[i], lab.now);
    }
    assert_int_equal(node_flush(lab.node, lab.now, &lab.e), 0);
    assert_int_equal(lab.done, N - 8192);
    assert_int_equal(lab.code, -ERR_BUSY);
    lab.now += 1001;
    assert_int_equal(node_tick(lab.node, lab.now, &lab.e), 0);
    assert_int_equal(node_flush(lab.node, lab.now, &lab.e), 0);
    assert_int_equal(lab.done, N);
    assert_int_equal(lab.code, -ERR_TIMEOUT);
    node_free(lab.node);
    free(p);
}

/* This member keeps entries from 9 on, behind a snapshot up to 10. Its leader has all of its log
 * still, and asks from the beginning what this member has. */
static void entries_from_before_the_snapshot_are_taken_as_known(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 14; n++) {
        struct lab lab = {.now = 1000};
        CLEANUP(buf_done) struct buf conf = {0};
        CLEANUP(buf_done) struct buf b = {0};
        struct conf members = {.n = 2,
                               .members = {{.id = 1, .role = RAFTLOG_VOTER, .address = "a"},
                                           {.id = 2, .role = RAFTLOG_VOTER, .address = "b"}}};
        conf_encode(&members, &conf);
        struct node_snapshot snapshot = {.index = 10,
                                         .term = 1,
                                         .conf_index = 1,
                                         .conf = conf.data,
                                         .conf_len = (uint32_t)conf.len};
        struct node_entry entries[14];
        for (uint32_t i = 0; i < 14; i++) {
            entries[i] = (struct node_entry){
                .index = i + 1, .term = 1, .type = NODE_COMMAND, .data = "x", .len = 1};
        }
        struct node_recovered r = {.term = 1,
                                   .snapshot = &snapshot,
                                   .first_index = 9,
                                   .entries = entries + 8,
                                   .n = 4,
                                   .applied = 10};
        struct node_options options = lab_options(&lab, 0);
        assert_int_equal(node_new(&lab.node, &options, &r, 1000, &lab.e), 0);
        struct core_message m = {
            .type = CORE_APPEND, .term = 2, .append = {.n = n, .entries = entries}};
        msg_put_core(&b, &m);
        assert_int_equal(node_receive(lab.node, 2, b.data, b.len, lab.now, &lab.e), 0);
        assert_int_equal(lab.node->cache.first, 9);
        assert_int_equal(lab.node->cache.last, n > 12 ? n : 12);
        assert_int_equal(cache_term(&lab.node->cache, 11), 1);
        if (n > 12) {
            written(&lab, n, 1);
        }
        assert_int_equal(lab.refused, 0);
        assert_int_equal(lab.acked, n > 10 ? n : 10);
        node_free(lab.node);
    }
}

static void a_directory_that_does_not_fit_together_is_refused(void **state)
{
    struct node_entry entry = {.index = 1, .term = 1, .type = NODE_COMMAND, .data = "x", .len = 1};
    struct node_recovered r = {.term = 1, .first_index = 1, .entries = &entry, .n = 1};
    struct node_options options = {.id = 1, .address = "a", .io = {.changed = changed}};
    struct node *node = NULL;
    struct err e;

    (void)state;
    assert_int_equal(node_new(&node, &options, &r, 0, &e), ERR_CORRUPT);
    r.first_index = 2;
    assert_int_equal(node_new(&node, &options, &r, 0, &e), ERR_CORRUPT);
    entry = (struct node_entry){.index = 1, .term = 2, .type = NODE_CHANGE, .data = "x", .len = 1};
    r.first_index = 1;
    assert_int_equal(node_new(&node, &options, &r, 0, &e), ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_completion_vouches_only_for_what_is_still_there),
        cmocka_unit_test(entries_that_come_back_wait_for_their_own_write),
        cmocka_unit_test(a_completion_out_of_order_is_an_error),
        cmocka_unit_test(a_refusal_of_an_old_term_tells_nothing_of_our_memory),
        cmocka_unit_test(bytes_that_are_no_message_are_malformed),
        cmocka_unit_test(what_cannot_be_proposed_is_said_at_once_and_later),
        cmocka_unit_test(too_many_proposals_are_too_many),
        cmocka_unit_test(entries_from_before_the_snapshot_are_taken_as_known),
        cmocka_unit_test(a_directory_that_does_not_fit_together_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
