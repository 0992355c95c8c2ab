/* Linearizability by search, trusting no index: is there any order of the calls on a subject that
 * keeps real time and is that of a register? After Wing and Gong, with Lowe's memory of what was
 * tried: a state of the search is the set of calls that are placed and the register's value, and no
 * state is entered twice.
 *
 * Subjects are independent (a register each), so that they are searched one by one. A call without
 * a definite answer may take effect at any time after it was asked, or never: it is tried where it
 * fits, and need not be placed. Such a call that no answer tells of is left out, if leaving it out
 * changes nothing.
 *
 * The set is kept as a sum of 128 random bits a call: two different sets with the same sum are as
 * likely as in any hash of that size. The states of one subject are bounded; beyond that the
 * verdict is "too large". */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/util.h"

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/map.h"
#include "chaos-tests/check/model.h"

#define MOST_STATES 2000000 /* Of one subject; about 100 bytes each. */

/* One end of a call, in a list by time: the list of what is not placed yet. */
struct node {
    uint32_t call;
    bool is_return;
    uint32_t prev, next; /* Numbers of nodes; 0 is the head. */
    uint32_t match;      /* The return of a call; 0 when it has none. */
    uint32_t rec;
};

struct placed {
    uint32_t node;
    uint64_t value; /* Before it. */
};

struct search {
    const struct hist *h;
    const struct calls *calls;
    uint32_t *start; /* Scratch: a call's first node. */
    struct node *nodes;
    uint32_t n_nodes;
    struct placed *stack;
    uint32_t depth, n_definite, n_definite_placed;
    uint64_t value;
    struct hash128 set;
    struct map seen;
    uint32_t deepest; /* Definite calls placed at best, and what could not be placed then. */
    uint32_t stuck_node;
    uint64_t stuck_value;
};

static struct hash128 mark_of(uint32_t node)
{
    return hash_bytes(&node, sizeof node);
}

static void lift(struct search *s, uint32_t node)
{
    struct node *n = &s->nodes[node];

    s->nodes[n->prev].next = n->next;
    if (n->next != 0) {
        s->nodes[n->next].prev = n->prev;
    }
}

static void unlift(struct search *s, uint32_t node)
{
    struct node *n = &s->nodes[node];

    s->nodes[n->prev].next = node;
    if (n->next != 0) {
        s->nodes[n->next].prev = node;
    }
}

static bool definite(const struct call *c)
{
    return c->answer_rec != 0;
}

/* Whether the call may come next; *ret_next is the value then. */
static bool fits(const struct search *s, uint32_t node, uint64_t *ret_next)
{
    struct call c = s->calls->call[s->nodes[node].call];

    if (!definite(&c)) {
        c.result = RESULT_OK; /* That it did nothing is tried by not placing it. */
    }
    return model_step(&c, s->value, ret_next) && (definite(&c) || *ret_next != s->value);
}

/* Whether the state after placing `node` is new. */
static bool is_new(struct search *s, uint32_t node, uint64_t value)
{
    struct hash128 set = s->set;
    uint64_t *at;

    hash_add(&set, mark_of(node));
    at = map_at(&s->seen, set.lo, set.hi ^ (value * 0x9e3779b97f4a7c15ull), 0);
    if (*at != 0) {
        return false;
    }
    *at = 1;
    return true;
}

static void place(struct search *s, uint32_t node, uint64_t value)
{
    s->stack[s->depth++] = (struct placed){node, s->value};
    s->value = value;
    hash_add(&s->set, mark_of(node));
    s->n_definite_placed += definite(&s->calls->call[s->nodes[node].call]);
    lift(s, node);
    if (s->nodes[node].match != 0) {
        lift(s, s->nodes[node].match);
    }
}

static uint32_t take_back(struct search *s)
{
    struct placed p = s->stack[--s->depth];

    if (s->nodes[p.node].match != 0) {
        unlift(s, s->nodes[p.node].match);
    }
    unlift(s, p.node);
    s->n_definite_placed -= definite(&s->calls->call[s->nodes[p.node].call]);
    hash_sub(&s->set, mark_of(p.node));
    s->value = p.value;
    return p.node;
}

/* A return was reached whose call is not placed: something before it must go elsewhere. */
static bool go_back(struct search *s, uint32_t *node)
{
    if (s->n_definite_placed >= s->deepest) {
        s->deepest = s->n_definite_placed;
        s->stuck_node = *node;
        s->stuck_value = s->value;
    }
    if (s->depth == 0) {
        return false;
    }
    *node = s->nodes[take_back(s)].next;
    return true;
}

/* VERDICT_HOLDS, VERDICT_BROKEN or VERDICT_TOO_LARGE. */
static enum verdict run(struct search *s)
{
    uint32_t node = s->nodes[0].next;
    uint64_t next;

    while (s->n_definite_placed < s->n_definite) {
        if (s->seen.n > MOST_STATES) {
            return VERDICT_TOO_LARGE;
        }
        if (node != 0 && !s->nodes[node].is_return) {
            if (fits(s, node, &next) && is_new(s, node, next)) {
                place(s, node, next);
                node = s->nodes[0].next;
            } else {
                node = s->nodes[node].next;
            }
        } else if (!go_back(s, &node)) {
            return VERDICT_BROKEN;
        }
    }
    return VERDICT_HOLDS;
}

/* --- what is searched */

static bool concerns(const struct call *c)
{
    if (c->open == 0 || c->op == CALL_OTHER || c->op == CALL_LOCAL) {
        return false;
    }
    return definite(c) || c->op != CALL_READ;
}

/* Whether any answer depends on the value that a call without an answer would have written. */
static bool observed(const struct calls *calls, const uint32_t *list, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++) {
        const struct call *c = &calls->call[list[i]];
        if (c->op == CALL_CAS && (c->expect == value || c->result == RESULT_REFUSED)) {
            return true;
        }
        if (c->op == CALL_READ && c->value == value) {
            return true;
        }
    }
    return false;
}

static bool may_leave_out(const struct calls *calls, const uint32_t *list, size_t n, uint32_t call)
{
    const struct call *c = &calls->call[call];

    return !definite(c) && (c->op == CALL_SET || c->op == CALL_CAS) &&
           !observed(calls, list, n, c->arg);
}

static int by_rec(const void *a, const void *b)
{
    const struct node *x = a;
    const struct node *y = b;

    return x->rec < y->rec ? -1 : x->rec > y->rec;
}

/* Both ends of each call in the order of time, linked up. */
static void lay_out(struct search *s, const uint32_t *list, size_t n)
{
    s->nodes = mem_new(2 * n + 1, sizeof *s->nodes);
    s->n_nodes = 1;
    for (size_t i = 0; i < n; i++) {
        const struct call *c = &s->calls->call[list[i]];
        if (may_leave_out(s->calls, list, n, list[i])) {
            continue;
        }
        s->nodes[s->n_nodes++] = (struct node){.call = list[i], .rec = c->rec};
        if (definite(c)) {
            s->nodes[s->n_nodes++] =
                (struct node){.call = list[i], .rec = c->answer_rec, .is_return = true};
            s->n_definite++;
        }
    }
    qsort(&s->nodes[1], s->n_nodes - 1, sizeof s->nodes[0], by_rec);
    for (uint32_t i = 1; i < s->n_nodes; i++) {
        s->nodes[i].prev = i - 1;
        s->nodes[i].next = i + 1 < s->n_nodes ? i + 1 : 0;
        if (s->nodes[i].is_return) {
            s->nodes[s->start[s->nodes[i].call]].match = i;
        } else {
            s->start[s->nodes[i].call] = i;
        }
    }
    s->nodes[0].next = s->n_nodes > 1 ? 1 : 0;
    s->stack = mem_new(n + 1, sizeof *s->stack);
}

static void report(const struct search *s, struct checked *c, enum verdict verdict, size_t n)
{
    const struct call *stuck = &s->calls->call[s->nodes[s->stuck_node].call];
    const char *subject;
    struct finding *f;
    char is[48];

    if (verdict == VERDICT_TOO_LARGE) {
        c->verdict = VERDICT_TOO_LARGE;
    }
    if (verdict != VERDICT_BROKEN) {
        return;
    }
    subject = hist_name_text(s->h, stuck->subject);
    f = check_find(c, stuck->returned_us, stuck->rec, stuck->answer_rec,
                   "no order of the %zu calls on %s explains the answers: the best places %" PRIu32
                   " and then holds %" PRIu64 ", where client %" PRIu32 "'s %s was answered %s",
                   n, subject, s->deepest, s->stuck_value, stuck->client, call_op_name(stuck->op),
                   call_answer_text(stuck, is));
    f->subject = stuck->subject;
    f->hosts = 1ull << s->h->recs[stuck->answer_rec].answer.host;
}

static void search_subject(struct search s, const uint32_t *list, size_t n, struct checked *c)
{
    enum verdict verdict;

    lay_out(&s, list, n);
    c->judged += s.n_definite;
    verdict = run(&s);
    report(&s, c, verdict, n);
    free(s.nodes);
    free(s.stack);
    map_done(&s.seen);
}

/* A call's number under its subject, for sorting. */
struct item {
    hist_t_name subject;
    uint32_t call;
};

static int by_subject(const void *a, const void *b)
{
    const struct item *x = a;
    const struct item *y = b;

    if (x->subject != y->subject) {
        return x->subject < y->subject ? -1 : 1;
    }
    return x->call < y->call ? -1 : x->call > y->call;
}

void check_linearizable(const struct hist *h, struct checked *c)
{
    struct calls calls;
    struct item *items;
    uint32_t *list;
    uint32_t *start;
    size_t n = 0;

    hist_calls(h, &calls);
    items = mem_new(calls.n + 1, sizeof *items);
    list = mem_new(calls.n + 1, sizeof *list);
    start = mem_new(calls.n + 1, sizeof *start);
    for (uint32_t i = 0; i < calls.n; i++) {
        if (concerns(&calls.call[i])) {
            items[n++] = (struct item){calls.call[i].subject, i};
        }
    }
    if (n > 0) {
        qsort(items, n, sizeof *items, by_subject);
    }
    for (size_t from = 0, to = 0; from < n; from = to) {
        for (to = from; to < n && items[to].subject == items[from].subject; to++) {
            list[to - from] = items[to].call;
        }
        search_subject((struct search){.h = h, .calls = &calls, .start = start}, list, to - from,
                       c);
    }
    free(items);
    free(list);
    free(start);
    calls_done(&calls);
}
