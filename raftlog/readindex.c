#include "raftlog/readindex.h"

#include "core/mark.h"
#include "core/util.h"

#include "raftlog/node_impl.h"

#define READS_MAX 8192u
#define ASKS_MAX  4096u

/* A question or a probe without an answer is sent again after so many heartbeats. */
#define AGAIN_HEARTBEATS 4u

/* --- queues */

static void push(struct read_queue *q, struct raftlog_read *r)
{
    r->next = NULL;
    r->prev = q->last;
    if (q->last == NULL) {
        q->first = r;
    } else {
        q->last->next = r;
    }
    q->last = r;
}

static void take(struct read_queue *q, struct raftlog_read *r)
{
    if (r->prev == NULL) {
        q->first = r->next;
    } else {
        r->prev->next = r->next;
    }
    if (r->next == NULL) {
        q->last = r->prev;
    } else {
        r->next->prev = r->prev;
    }
}

static void finish(struct node *node, struct read_queue *from, struct raftlog_read *r, int code)
{
    take(from, r);
    node->reads.n--;
    r->ticket = (uint64_t)-code;
    push(&node->reads.done, r);
    node->dirty = true;
}

static void free_asks(struct read_ask *asks)
{
    while (asks != NULL) {
        struct read_ask *next = asks->next;
        free(asks);
        asks = next;
    }
}

static void drop_rounds(struct node *node)
{
    struct reads *rd = &node->reads;

    for (uint32_t i = 0; i < rd->rounds_n; i++) {
        free_asks(rd->rounds[i].asks);
    }
    rd->rounds_n = 0;
    free_asks(rd->asks);
    rd->asks = NULL;
    rd->asks_end = &rd->asks;
    rd->asks_n = 0;
}

void reads_init(struct node *node)
{
    node->reads.asks_end = &node->reads.asks;
    /* An answer to a question of this process's previous life must not fit. */
    node->reads.ticket = rng_u64(&node->rng) >> 1;
}

void reads_done(struct node *node)
{
    drop_rounds(node);
}

/* --- asking */

void node_read(struct node *node, struct raftlog_read *r, uint64_t now_ms)
{
    struct reads *rd = &node->reads;

    clocks_now(node, now_ms);
    r->deadline_at_ms = node->now_ms + r->deadline_ms;
    r->wait_index = 0;
    r->ret_index = 0;
    rd->n++;
    push(&rd->fresh, r);
    node->dirty = true;
    if (rd->n > READS_MAX || node->membership.stopping) {
        finish(node, &rd->fresh, r, rd->n > READS_MAX ? ERR_BUSY : ERR_CLOSED);
    }
}

static bool is_in(const struct read_queue *q, const struct raftlog_read *r)
{
    for (const struct raftlog_read *x = q->first; x != NULL; x = x->next) {
        if (x == r) {
            return true;
        }
    }
    return false;
}

void node_read_cancel(struct node *node, struct raftlog_read *r)
{
    struct read_queue *queues[] = {&node->reads.fresh, &node->reads.asked, &node->reads.waiting};

    for (size_t i = 0; i < ARRAY_LEN(queues); i++) {
        if (is_in(queues[i], r)) {
            finish(node, queues[i], r, ERR_CANCELLED);
            return;
        }
    }
}

/* Deadlines, and whoever would rather ask elsewhere than wait for a leader. */
static void expire(struct node *node, struct read_queue *q)
{
    struct raftlog_read *next = NULL;

    for (struct raftlog_read *r = q->first; r != NULL; r = next) {
        next = r->next;
        if (clocks_adrift(node, r->adrift_ms)) {
            MARK(read_adrift);
            finish(node, q, r, ERR_NO_QUORUM);
        } else if (node->now_ms >= r->deadline_at_ms) {
            MARK(read_expired);
            bool leader = clocks_leader(node) != 0 && !clocks_leader_is_gone(node);
            finish(node, q, r, leader ? ERR_TIMEOUT : ERR_NO_QUORUM);
        }
    }
}

static void ask_anew(struct node *node)
{
    struct reads *rd = &node->reads;

    while (rd->asked.first != NULL) {
        struct raftlog_read *r = rd->asked.first;
        take(&rd->asked, r);
        push(&rd->fresh, r);
        node->dirty = true;
    }
}

void reads_restart(struct node *node)
{
    drop_rounds(node);
    ask_anew(node);
}

static void probe(struct node *node)
{
    struct buf *frame = node_frame(node);
    const struct conf *conf = &node->membership.now;

    msg_put_probe(frame, MSG_PROBE, node->term, node->reads.seq);
    for (uint32_t i = 0; i < conf->n; i++) {
        if (conf->members[i].role == RAFTLOG_VOTER && conf->members[i].id != node->options.id) {
            node_send(node, conf->members[i].id, frame);
        }
    }
    node->reads.probed_ms = node->now_ms;
}

void reads_tick(struct node *node)
{
    struct reads *rd = &node->reads;
    uint64_t again = AGAIN_HEARTBEATS * (uint64_t)node->options.heartbeat_ms;

    expire(node, &rd->fresh);
    expire(node, &rd->asked);
    expire(node, &rd->waiting);
    if (rd->rounds_n > 0 && node->now_ms - rd->probed_ms >= again) {
        MARK(probe_again);
        probe(node);
    }
    if (node->state != CORE_LEADER && rd->asked.first != NULL &&
        node->now_ms - rd->asked_ms >= again) {
        MARK(read_asked_again);
        ask_anew(node);
    }
    node->dirty = node->dirty || rd->fresh.first != NULL || rd->asks != NULL;
}

/* --- the leader */

static void add_ask(struct node *node, uint64_t from, uint64_t ticket)
{
    struct reads *rd = &node->reads;

    if (rd->asks_n >= ASKS_MAX) {
        return;
    }
    struct read_ask *ask = mem_new(1, sizeof *ask);
    ask->from = from;
    ask->ticket = ticket;
    *rd->asks_end = ask;
    rd->asks_end = &ask->next;
    rd->asks_n++;
    node->dirty = true;
}

void reads_asked(struct node *node, uint64_t from, uint64_t ticket)
{
    if (node->state == CORE_LEADER) {
        add_ask(node, from, ticket);
    }
}

static void index_known(struct node *node, uint64_t ticket, uint64_t index)
{
    struct reads *rd = &node->reads;
    struct raftlog_read *next = NULL;

    for (struct raftlog_read *r = rd->asked.first; r != NULL; r = next) {
        next = r->next;
        if (r->ticket == ticket) {
            take(&rd->asked, r);
            r->wait_index = index;
            push(&rd->waiting, r);
            node->dirty = true;
        }
    }
}

static void answer_round(struct node *node, struct read_round *round)
{
    for (struct read_ask *ask = round->asks; ask != NULL; ask = ask->next) {
        if (ask->from == node->options.id) {
            index_known(node, ask->ticket, round->index);
        } else {
            struct buf *frame = node_frame(node);
            msg_put_read_answer(frame, ask->ticket, node->term, round->index);
            node_send(node, ask->from, frame);
            drive_waits_for(node, ask->from, round->index);
            node->dirty = true;
        }
    }
    free_asks(round->asks);
}

/* The newest round that a majority of the voters confirmed. */
static uint64_t confirmed(const struct node *node)
{
    const struct conf *conf = &node->membership.now;
    uint32_t majority = conf_voters(conf) / 2 + 1;
    uint64_t best = 0;

    if (NODE_MUTANT(node, READ_NO_PROBE)) {
        return node->reads.seq;
    }
    for (uint32_t i = 0; i < node->reads.rounds_n; i++) {
        uint64_t seq = node->reads.rounds[i].seq;
        uint32_t votes = member_is_voter(node, node->options.id) ? 1 : 0;
        for (uint32_t j = 0; j < node->peers_n; j++) {
            const struct peer *p = node->peers[j];
            votes += p->probe_seq >= seq && member_is_voter(node, p->id);
        }
        if (votes >= majority) {
            best = seq;
        }
    }
    return best;
}

static void finish_rounds(struct node *node)
{
    struct reads *rd = &node->reads;
    uint64_t seq = confirmed(node);
    uint32_t n = 0;

    while (n < rd->rounds_n && rd->rounds[n].seq <= seq) {
        answer_round(node, &rd->rounds[n++]);
    }
    for (uint32_t i = n; i < rd->rounds_n; i++) {
        rd->rounds[i - n] = rd->rounds[i];
    }
    rd->rounds_n -= n;
}

static void begin_round(struct node *node)
{
    struct reads *rd = &node->reads;

    if (rd->asks == NULL || rd->rounds_n == READ_ROUNDS || !drive_leading(node)) {
        return;
    }
    rd->rounds[rd->rounds_n++] =
        (struct read_round){.seq = ++rd->seq, .index = node->commit, .asks = rd->asks};
    rd->asks = NULL;
    rd->asks_end = &rd->asks;
    rd->asks_n = 0;
    probe(node);
    finish_rounds(node);
}

void reads_probed(struct node *node, uint64_t from, uint64_t term, uint64_t seq)
{
    if (term == node->term && clocks_leader(node) == from) {
        struct buf *frame = node_frame(node);
        msg_put_probe(frame, MSG_PROBE_OK, term, seq);
        node_send(node, from, frame);
    }
}

void reads_probe_ok(struct node *node, uint64_t from, uint64_t term, uint64_t seq)
{
    struct peer *peer = node_peer(node, from);

    if (node->state == CORE_LEADER && term == node->term && seq <= node->reads.seq) {
        peer->probe_seq = max_u64(peer->probe_seq, seq);
        finish_rounds(node);
    }
}

/* --- the reader */

void reads_answered(struct node *node, uint64_t from, const struct msg *m)
{
    (void)from;
    index_known(node, m->ticket, m->index);
}

void reads_flush(struct node *node)
{
    struct reads *rd = &node->reads;
    uint64_t leader = clocks_leader(node);
    const struct peer *peer = node_peer(node, leader);
    bool self = node->state == CORE_LEADER;

    if (rd->fresh.first != NULL && (self || (peer != NULL && peer->connected))) {
        rd->ticket++;
        while (rd->fresh.first != NULL) {
            struct raftlog_read *r = rd->fresh.first;
            take(&rd->fresh, r);
            r->ticket = rd->ticket;
            push(&rd->asked, r);
        }
        rd->asked_ms = node->now_ms;
        if (self) {
            add_ask(node, node->options.id, rd->ticket);
        } else {
            struct buf *frame = node_frame(node);
            msg_put_read_ask(frame, rd->ticket);
            node_send(node, leader, frame);
        }
    }
    begin_round(node);
}

void reads_answer(struct node *node)
{
    struct reads *rd = &node->reads;
    struct raftlog_read *next = NULL;

    for (struct raftlog_read *r = rd->waiting.first; r != NULL; r = next) {
        next = r->next;
        if (r->wait_index <= node->applied && !node->install.restoring) {
            finish(node, &rd->waiting, r, 0);
        }
    }
    while (rd->done.first != NULL) {
        struct raftlog_read *r = rd->done.first;
        take(&rd->done, r);
        r->ret_index = node->applied;
        node->options.io.read_done(node->options.io.ctx, r, -(int)r->ticket);
    }
}

bool reads_busy(const struct node *node)
{
    return node->reads.n > 0 || node->reads.done.first != NULL;
}

void reads_abandon(struct node *node, int code)
{
    struct read_queue *queues[] = {&node->reads.fresh, &node->reads.asked, &node->reads.waiting};

    for (size_t i = 0; i < ARRAY_LEN(queues); i++) {
        while (queues[i]->first != NULL) {
            finish(node, queues[i], queues[i]->first, code);
        }
    }
    reads_answer(node);
}
