#include "raftlog/propose.h"

#include <string.h>

#include "core/mark.h"
#include "core/util.h"

#include "raftlog/node_impl.h"

/* Own proposals that wait, forwarded ones that wait for the next flush, and what of all is in the
 * log but not committed. Beyond these it is ERR_BUSY. */
#define PENDING_MAX       8192u
#define PENDING_BYTES     (32ul * 1024u * 1024u)
#define FORWARDS_MAX      8192u
#define FORWARDS_BYTES    (16ul * 1024u * 1024u)
#define UNCOMMITTED_MAX   8192u
#define UNCOMMITTED_BYTES (16ul * 1024u * 1024u)

/* One write of the log. */
#define SUBMIT_ENTRIES 1024u
#define SUBMIT_BYTES   (4ul * 1024u * 1024u)

/* After a refusal, and without any news of what was sent. */
#define HOLD_MS  15u
#define STALE_MS 1000u

/* --- queues */

static void push(struct pending_queue *q, struct pending *w)
{
    w->next = NULL;
    w->prev = q->last;
    if (q->last == NULL) {
        q->first = w;
    } else {
        q->last->next = w;
    }
    q->last = w;
}

static void take(struct pending_queue *q, struct pending *w)
{
    if (w->prev == NULL) {
        q->first = w->next;
    } else {
        w->prev->next = w->next;
    }
    if (w->next == NULL) {
        q->last = w->prev;
    } else {
        w->next->prev = w->prev;
    }
}

static struct pending **bucket(struct node *node, const struct id *request)
{
    uint32_t hash = load_u32(request->b) ^ load_u32(request->b + 4) ^ load_u32(request->b + 8) ^
                    load_u32(request->b + 12);

    return &node->propose.buckets[hash % PROPOSE_BUCKETS];
}

static void unchain(struct node *node, struct pending *w)
{
    struct pending **at = bucket(node, &w->p->request);

    while (*at != w) {
        at = &(*at)->chain;
    }
    *at = w->chain;
}

/* Move it from its queue to those that are done. */
static void finish(struct node *node, struct pending_queue *from, struct pending *w, int code)
{
    struct propose *pr = &node->propose;

    take(from, w);
    unchain(node, w);
    pr->n--;
    pr->bytes -= w->len;
    w->code = code;
    w->finished = true;
    push(&pr->done, w);
    node->dirty = true;
}

static struct pending_queue *queue_of(struct propose *pr, const struct pending *w)
{
    return w->sent_ms == 0 ? &pr->unsent : &pr->sent;
}

static void unsend(struct propose *pr, struct pending *w)
{
    take(&pr->sent, w);
    w->sent_ms = 0;
    push(&pr->unsent, w);
}

void propose_init(struct node *node)
{
    node->propose.forwards_end = &node->propose.forwards;
    /* An answer to a question of this process's previous life must not fit. */
    node->propose.ticket = rng_u64(&node->rng) >> 1;
}

void propose_done(struct node *node)
{
    struct propose *pr = &node->propose;

    while (pr->forwards != NULL) {
        struct forward *f = pr->forwards;
        pr->forwards = f->next;
        free(f);
    }
    pr->forwards_end = &pr->forwards;
}

/* --- asking */

static int admission(const struct node *node, const struct raftlog_proposal *p)
{
    if (p->len == 0) {
        return ERR_INVALID;
    }
    if (p->len > LIMIT_ENTRY) {
        return ERR_TOO_BIG;
    }
    if (node->membership.stopping) {
        return ERR_CLOSED;
    }
    if (node->disk_full) {
        MARK(proposal_no_space);
        return ERR_NO_SPACE;
    }
    if (node->propose.n >= PENDING_MAX || node->propose.bytes + p->len > PENDING_BYTES) {
        return ERR_BUSY;
    }
    return 0;
}

void node_propose(struct node *node, struct raftlog_proposal *p, uint64_t now_ms)
{
    struct propose *pr = &node->propose;
    int code = admission(node, p);
    size_t len = code == 0 ? p->len : 0;

    clocks_now(node, now_ms);
    struct pending *w = mem_new(1, sizeof *w + len);
    w->p = p;
    w->len = (uint32_t)len;
    w->code = code;
    w->finished = code != 0;
    p->copy = w;
    p->ret_index = 0;
    p->deadline_at_ms = node->now_ms + p->deadline_ms;
    p->ticket = w->ticket = ++pr->ticket;
    node->dirty = true;
    if (code != 0) {
        push(&pr->done, w);
        return;
    }
    memcpy(w->data, p->data, len);
    push(&pr->unsent, w);
    struct pending **at = bucket(node, &p->request);
    w->chain = *at;
    *at = w;
    pr->n++;
    pr->bytes += len;
}

void node_propose_cancel(struct node *node, struct raftlog_proposal *p)
{
    struct propose *pr = &node->propose;

    struct pending *w = p->copy;

    if (w != NULL && !w->finished) {
        finish(node, queue_of(pr, w), w, ERR_CANCELLED);
    }
}

void node_applied_request(struct node *node, const struct id *request, uint64_t index)
{
    struct propose *pr = &node->propose;
    struct pending *w = *bucket(node, request);

    while (w != NULL) {
        struct pending *next = w->chain;
        if (id_equal(&w->p->request, request)) {
            w->p->ret_index = index;
            finish(node, queue_of(pr, w), w, 0);
        }
        w = next;
    }
}

/* --- keeping at it */

void propose_resend(struct node *node)
{
    struct propose *pr = &node->propose;

    /* In the order they were first sent, before what never was. */
    if (pr->sent.first == NULL) {
        return;
    }
    MARK(proposals_again);
    for (struct pending *w = pr->sent.first; w != NULL; w = w->next) {
        w->sent_ms = 0;
    }
    pr->sent.last->next = pr->unsent.first;
    if (pr->unsent.first != NULL) {
        pr->unsent.first->prev = pr->sent.last;
    } else {
        pr->unsent.last = pr->sent.last;
    }
    pr->unsent.first = pr->sent.first;
    pr->sent = (struct pending_queue){0};
    pr->hold_until_ms = 0;
    node->dirty = true;
}

static void expire(struct node *node, struct pending_queue *q)
{
    struct pending *next = NULL;

    for (struct pending *w = q->first; w != NULL; w = next) {
        next = w->next;
        if (node->now_ms >= w->p->deadline_at_ms) {
            MARK(proposal_expired);
            finish(node, q, w, ERR_TIMEOUT);
        } else if (clocks_adrift(node, w->p->adrift_ms)) {
            MARK(proposal_adrift);
            finish(node, q, w, w->sends == 0 ? ERR_NO_QUORUM : ERR_TIMEOUT);
        }
    }
}

void propose_tick(struct node *node)
{
    struct propose *pr = &node->propose;
    struct pending *next = NULL;

    expire(node, &pr->unsent);
    expire(node, &pr->sent);
    /* The leader's own are in its log. */
    for (struct pending *w = pr->sent.first; w != NULL && node->state != CORE_LEADER; w = next) {
        next = w->next;
        if (node->now_ms - w->sent_ms >= STALE_MS) {
            MARK(proposal_stale);
            unsend(pr, w);
        }
    }
    node->dirty = node->dirty || pr->unsent.first != NULL || pr->forwards != NULL;
}

void propose_refused(struct node *node, uint64_t ticket, int code)
{
    struct propose *pr = &node->propose;

    for (struct pending *w = pr->sent.first; w != NULL; w = w->next) {
        if (w->ticket != ticket) {
            continue;
        }
        w->sends--;
        if (w->sends == 0 && code != ERR_NOT_LEADER) {
            MARK(proposal_refused);
            finish(node, &pr->sent, w, code);
        } else {
            unsend(pr, w);
            pr->hold_until_ms = node->now_ms + HOLD_MS;
        }
        return;
    }
}

/* --- for others */

static void refuse(struct node *node, uint64_t to, uint64_t ticket, int code)
{
    struct buf *frame = node_frame(node);

    msg_put_refused(frame, ticket, code);
    node_send(node, to, frame);
}

/* Why nothing can be put in the log now; 0 if it can. */
static int closed(const struct node *node)
{
    if (!member_may_submit(node)) {
        return ERR_NOT_LEADER;
    }
    return node->disk_full ? ERR_NO_SPACE : 0;
}

void propose_forwarded(struct node *node, uint64_t from, const struct msg *m)
{
    struct propose *pr = &node->propose;
    int code = closed(node);

    for (uint32_t i = 0; i < m->items_n; i++) {
        const struct msg_item *item = &m->items[i];
        if (code == 0 &&
            (pr->forwards_n >= FORWARDS_MAX || pr->forwards_bytes + item->len > FORWARDS_BYTES)) {
            code = ERR_BUSY;
        }
        if (code != 0) {
            MARK(forward_refused);
            refuse(node, from, item->ticket, code);
            continue;
        }
        struct forward *f = mem_new(1, sizeof *f + item->len);
        f->from = from;
        f->ticket = item->ticket;
        f->len = item->len;
        memcpy(f->data, item->data, item->len);
        *pr->forwards_end = f;
        pr->forwards_end = &f->next;
        pr->forwards_n++;
        pr->forwards_bytes += f->len;
        node->dirty = true;
    }
}

static struct forward *pop_forward(struct propose *pr)
{
    struct forward *f = pr->forwards;

    pr->forwards = f->next;
    if (pr->forwards == NULL) {
        pr->forwards_end = &pr->forwards;
    }
    pr->forwards_n--;
    pr->forwards_bytes -= f->len;
    return f;
}

void propose_drop_forwards(struct node *node, int code)
{
    while (node->propose.forwards != NULL) {
        struct forward *f = pop_forward(&node->propose);
        refuse(node, f->from, f->ticket, code);
        free(f);
    }
}

/* --- sending */

static bool log_has_room(const struct node *node)
{
    return node->cache.last - min_u64(node->cache.last, node->commit) < UNCOMMITTED_MAX &&
           node->uncommitted_bytes < UNCOMMITTED_BYTES;
}

static void sent(struct node *node, struct pending *w)
{
    take(&node->propose.unsent, w);
    w->sent_ms = max_u64(node->now_ms, 1);
    w->sends++;
    push(&node->propose.sent, w);
}

/* Into the log: what others asked, then the own, as one write. */
static int submit(struct node *node, bool *ret_refused, struct err *e)
{
    struct propose *pr = &node->propose;
    CLEANUP(cleanup_free) struct node_entry *entries = mem_new(SUBMIT_ENTRIES, sizeof *entries);
    struct forward *taken = NULL;
    size_t bytes = 0;
    uint32_t n = 0;

    while (pr->forwards != NULL && n < SUBMIT_ENTRIES && bytes < SUBMIT_BYTES) {
        struct forward *f = pop_forward(pr);
        f->next = taken;
        taken = f;
        bytes += f->len;
        drive_waits_for(node, f->from, node->cache.last + 1 + n);
        entries[n++] = (struct node_entry){.type = NODE_COMMAND, .data = f->data, .len = f->len};
    }
    while (pr->unsent.first != NULL && n < SUBMIT_ENTRIES && bytes < SUBMIT_BYTES) {
        struct pending *w = pr->unsent.first;
        sent(node, w);
        bytes += w->len;
        entries[n++] = (struct node_entry){.type = NODE_COMMAND, .data = w->data, .len = w->len};
    }
    int rc = n == 0 ? 0 : drive_submit(node, entries, n, e);
    if (rc == ERR_NOT_LEADER) {
        /* Nothing was appended. */
        for (struct forward *f = taken; f != NULL; f = f->next) {
            refuse(node, f->from, f->ticket, rc);
        }
        propose_resend(node);
        *ret_refused = true;
        rc = 0;
    }
    while (taken != NULL) {
        struct forward *next = taken->next;
        free(taken);
        taken = next;
    }
    if (NODE_MUTANT(node, ACK_ON_APPEND)) {
        while (pr->sent.first != NULL) {
            finish(node, &pr->sent, pr->sent.first, 0);
        }
    }
    return rc;
}

/* To the leader, in frames as full as may be. */
static void forward(struct node *node, const struct peer *leader)
{
    struct propose *pr = &node->propose;

    while (pr->unsent.first != NULL) {
        struct buf *frame = node_frame(node);
        msg_put_forward(frame);
        while (pr->unsent.first != NULL) {
            struct pending *w = pr->unsent.first;
            if (frame->len + MSG_FORWARD_ITEM + w->len > LIMIT_FRAME_CONTROL) {
                break;
            }
            msg_put_item(frame, w->ticket, w->data, w->len);
            sent(node, w);
        }
        node_send(node, leader->id, frame);
    }
}

int propose_flush(struct node *node, struct err *e)
{
    struct propose *pr = &node->propose;

    if (node->state == CORE_LEADER) {
        if (closed(node) != 0) {
            propose_drop_forwards(node, closed(node));
            return 0;
        }
        bool refused = false;
        int rc = 0;
        while (rc == 0 && !refused && (pr->forwards != NULL || pr->unsent.first != NULL) &&
               member_may_submit(node) && log_has_room(node)) {
            rc = submit(node, &refused, e);
        }
        return rc;
    }
    const struct peer *leader = node_peer(node, clocks_leader(node));
    if (leader != NULL && leader->connected && node->now_ms >= pr->hold_until_ms) {
        forward(node, leader);
    }
    return 0;
}

/* --- answering */

void propose_answer(struct node *node)
{
    struct pending *w = node->propose.done.first;

    node->propose.done = (struct pending_queue){0};
    while (w != NULL) {
        struct pending *next = w->next;
        struct raftlog_proposal *p = w->p;
        int code = w->code;
        free(w);
        p->copy = NULL;
        node->options.io.proposal_done(node->options.io.ctx, p, code);
        w = next;
    }
}

bool propose_busy(const struct node *node)
{
    return node->propose.unsent.first != NULL || node->propose.sent.first != NULL ||
           node->propose.done.first != NULL;
}

void propose_abandon(struct node *node, int code)
{
    struct propose *pr = &node->propose;

    while (pr->unsent.first != NULL) {
        finish(node, &pr->unsent, pr->unsent.first, code);
    }
    while (pr->sent.first != NULL) {
        finish(node, &pr->sent, pr->sent.first, code);
    }
    propose_answer(node);
}
