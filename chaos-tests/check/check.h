/* The checkers: does a history keep the promises?
 *
 * Each checker is one function in a file of its own and one row of the table. It reads the history
 * and adds findings; it never changes the history, never looks at a clock, and is given no hint of
 * what was broken. A checker that had nothing to judge says so: a run in which it never has is no
 * evidence. A checker that could not finish within its bound says "too large", which is not good.
 */

#ifndef CHECK_CHECK_H
#define CHECK_CHECK_H

#include "chaos-tests/check/history.h"

#define CHECK_FINDINGS 12 /* Kept of one checker; all are counted. */
#define CHECK_RECS     4
#define CHECK_TEXT     256
#define CHECKERS       16 /* Most rows of the table. */

struct finding {
    uint64_t at_us;            /* The moment to look at. */
    uint64_t until_us;         /* Where it lasted (an overlap); else at_us. */
    uint32_t recs[CHECK_RECS]; /* Numbers of the records that it rests on. */
    uint32_t n_recs;
    uint64_t hosts;      /* The hosts it concerns, bit i for host i. */
    hist_t_name subject; /* The guest or object it concerns; 0 for none. */
    char text[CHECK_TEXT];
};

enum verdict {
    VERDICT_NOTHING, /* There was nothing to judge. */
    VERDICT_HOLDS,
    VERDICT_TOO_LARGE, /* Not decided. Never taken as good. */
    VERDICT_BROKEN
};

struct checked {
    const struct checker *checker;
    enum verdict verdict;
    uint64_t judged;     /* What it looked at: copies, operations, entries, events. */
    uint64_t n_findings; /* All of them; the first CHECK_FINDINGS are kept, by time. */
    struct finding findings[CHECK_FINDINGS];
};

struct checker {
    const char *name;    /* One word: the verdict's name in scenarios, mutants and the shrinker. */
    const char *promise; /* The promise it guards, as a sentence. */
    void (*check)(const struct hist *h, struct checked *c);
};

/* In the order in which a reader wants to see them; the end has name NULL. */
extern const struct checker checkers[];

struct verdicts {
    struct checked checked[CHECKERS];
    size_t n;
    bool complete; /* False: the history lost records, and nothing is good. */
};

/* Run every checker. Under 1 us a record; memory up to about three times the history. */
void check_all(const struct hist *h, struct verdicts *ret);

/* Run one, by its row. */
void check_one(const struct checker *checker, const struct hist *h, struct checked *ret);
const struct checker *checker_by_name(const char *name); /* NULL for an unknown one. */

/* Whether nothing is broken, nothing is undecided, and the history is complete. */
bool verdicts_good(const struct verdicts *v);

/* The first row that is broken, in the table's order, or that is undecided if none is; NULL when
 * all is good. Its checker's name is the verdict by which a failure is recognised again. */
const struct checked *verdicts_first(const struct verdicts *v);

const char *verdict_name(enum verdict verdict); /* "nothing", "holds", "too large", "broken". */

/* Lines for people: a row a checker, its findings below it. */
void verdicts_text(const struct hist *h, const struct verdicts *v, struct buf *out);

/* --- for checkers */

/* Add a finding at `at_us` that rests on records a and b (UINT32_MAX for none). Valid until the
 * next one is added; the caller may set hosts, subject, until_us. Findings beyond CHECK_FINDINGS
 * are counted and go to a place that nobody reads. */
struct finding *
check_find(struct checked *c, uint64_t at_us, uint32_t a, uint32_t b, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* --- the checkers, each in check_<name>.c */

/* At every instant at most one copy of a guest executes; a copy that an older epoch than one seen
 * writing stands for never writes again. Frozen hosts and hosts without power execute nothing. */
void check_execution(const struct hist *h, struct checked *c);

/* At every instant at most one (host, epoch) would let a guest execute. */
void check_permission(const struct hist *h, struct checked *c);

/* Answers carry their log index: in the order of the indices, reads and writes of every subject are
 * those of a register, and the order is that of real time. O(n log n). */
void check_witness(const struct hist *h, struct checked *c);

/* The same without trusting any index: a search for some order, subject by subject. */
void check_linearizable(const struct hist *h, struct checked *c);

/* A request takes effect once, and all its definite answers are the same. */
void check_once(const struct hist *h, struct checked *c);

/* What was told as done or committed was on the disks of a majority by then, and is in the log of
 * every host at the end. */
void check_durable(const struct hist *h, struct checked *c);

/* Every host applies every index once, in order; equal indices have equal entries, and equal
 * states. */
void check_replicas(const struct hist *h, struct checked *c);

/* A term has at most one host that calls itself master. */
void check_masters(const struct hist *h, struct checked *c);

/* Watchers see every event once, in order, without a gap, and all see the same. */
void check_events(const struct hist *h, struct checked *c);

/* What the pool owed by a deadline was there. */
void check_recovery(const struct hist *h, struct checked *c);

/* At the end nothing is left over: locks, operations, copies without a row, rows without agreement.
 */
void check_leaks(const struct hist *h, struct checked *c);

#endif
