/* The search for an order against trying all orders, on histories so small that this can be done;
 * and its bound. */

#include "core/rng.h"
#include "core/util.h"

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/model.h"
#include "chaos-tests/tests/cm.h"

#define CALLS  7
#define ROUNDS 20000

struct tiny {
    struct hist h;
    struct calls calls;
};

/* Calls at random moments with random answers over few values, so that about half are explicable.
 */
static void make(struct tiny *t, struct rng *rng)
{
    uint32_t n = (uint32_t)(2 + rng_below(rng, CALLS - 1));
    uint64_t begun = 0;
    uint64_t open = 0; /* Calls that are under way, by bit. */
    struct rec_call call[CALLS];

    hist_init(&t->h, 0);
    (void)hist_host_add(&t->h, "h1");
    for (uint64_t now = 1; begun < n || open != 0; now++) {
        uint32_t i = (uint32_t)rng_below(rng, n);
        if (i == begun) {
            call[i] = (struct rec_call){.client = i,
                                        .call = 1,
                                        .request = i + 1,
                                        .op = (enum call_op)rng_below(rng, CALL_CAS + 1),
                                        .subject = hist_name(&t->h, "web1"),
                                        .value = 1 + rng_below(rng, 3),
                                        .expect = 1 + rng_below(rng, 3)};
            if (call[i].op == CALL_LOCAL) {
                call[i].op = CALL_CREATE;
            }
            hist_add(&t->h, &(struct rec){.at_us = now, .kind = REC_CALL, .call = call[i]});
            begun++;
            open |= 1ull << i;
        } else if (open >> i & 1) {
            static const int codes[] = {ERR_NOT_FOUND, ERR_EXISTS, ERR_STALE, ERR_NO_ROOM};
            struct rec_answer a = {.client = i, .call = 1};
            a.result = (enum call_result)rng_below(rng, RESULT_TIMEOUT + 1);
            a.result = rng_below(rng, 2) == 0 ? RESULT_OK : a.result;
            a.index = a.result <= RESULT_REFUSED && rng_below(rng, 10) > 0 ? now : 0;
            a.index = a.result == RESULT_OK ? now : a.index;
            a.code = a.result == RESULT_REFUSED ? (uint32_t)-codes[rng_below(rng, 4)] : 0;
            a.value = call[i].op == CALL_READ ? 1 + rng_below(rng, 3) : 0;
            hist_add(&t->h, &(struct rec){.at_us = now, .kind = REC_ANSWER, .answer = a});
            open &= ~(1ull << i);
        }
    }
    hist_calls(&t->h, &t->calls);
}

/* Whether the calls in `left` can follow on `now`: any of them that no other in `left` precedes may
 * be next; one without an answer may also never be. */
// NOLINTNEXTLINE(misc-no-recursion): as deep as a tiny history is long.
static bool some_order(const struct calls *calls, uint32_t left, uint64_t now)
{
    bool owed = false;

    for (uint32_t i = 0; i < calls->n; i++) {
        owed = owed || ((left >> i & 1) != 0 && calls->call[i].answer_rec != 0);
    }
    if (!owed) {
        return true;
    }
    for (uint32_t i = 0; i < calls->n; i++) {
        struct call c = calls->call[i];
        bool first = (left >> i & 1) != 0;
        uint64_t next;
        for (uint32_t k = 0; k < calls->n && first; k++) {
            const struct call *o = &calls->call[k];
            first = (left >> k & 1) == 0 || o->answer_rec == 0 || o->answer_rec > c.rec;
        }
        c.result = c.answer_rec == 0 ? RESULT_OK : c.result;
        if (first && model_step(&c, now, &next) && some_order(calls, left & ~(1u << i), next)) {
            return true;
        }
    }
    return false;
}

static void the_search_agrees_with_trying_all_orders(void **state)
{
    struct rng rng;
    size_t good = 0;

    (void)state;
    rng_seed(&rng, 7);
    for (int round = 0; round < ROUNDS; round++) {
        struct tiny t;
        struct checked c;
        uint32_t left = 0;
        make(&t, &rng);
        for (uint32_t i = 0; i < t.calls.n; i++) {
            left |= t.calls.call[i].open > 0 ? 1u << i : 0;
        }
        bool expected = some_order(&t.calls, left, 0);
        check_one(checker_by_name("linearizable"), &t.h, &c);
        if (expected != (c.verdict != VERDICT_BROKEN)) {
            struct buf text = {0};
            hist_write(&t.h, &text);
            buf_put_u8(&text, 0);
            fail_msg("round %d: %s, but %s\n%s", round, verdict_name(c.verdict),
                     expected ? "there is an order" : "there is none", (const char *)text.data);
        }
        good += expected;
        calls_done(&t.calls);
        hist_done(&t.h);
    }
    print_message("    %zu of %d are linearizable\n", good, ROUNDS);
    assert_in_range(good, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

/* Creates and deletes that nobody heard of, and answers that no order explains: every subset is a
 * state of its own. */
static void what_is_too_large_is_not_called_good(void **state)
{
    static struct verdicts v;
    struct hist h;
    struct rec r;
    uint64_t now = 1;

    (void)state;
    hist_init(&h, 0);
    (void)hist_host_add(&h, "h1");
    for (uint32_t i = 0; i < 60; i++) {
        r = (struct rec){.at_us = now++, .kind = REC_CALL};
        r.call = (struct rec_call){.client = i,
                                   .call = 1,
                                   .request = i + 1,
                                   .op = i % 2 == 0 ? CALL_CREATE : CALL_DELETE,
                                   .subject = hist_name(&h, "web1"),
                                   .value = i + 1};
        hist_add(&h, &r);
    }
    for (uint64_t i = 0; i < 2; i++) {
        r = (struct rec){.at_us = now++, .kind = REC_CALL};
        r.call = (struct rec_call){.client = 99, .call = i, .subject = hist_name(&h, "web1")};
        hist_add(&h, &r);
        r = (struct rec){.at_us = now++, .kind = REC_ANSWER};
        r.answer = (struct rec_answer){.client = 99, .call = i, .value = 1000, .index = 1};
        hist_add(&h, &r);
    }
    check_all(&h, &v);
    for (size_t i = 0; i < v.n; i++) {
        if (strcmp(v.checked[i].checker->name, "linearizable") == 0) {
            assert_int_equal(v.checked[i].verdict, VERDICT_TOO_LARGE);
            assert_string_equal(verdict_name(v.checked[i].verdict), "too large");
        }
        if (strcmp(v.checked[i].checker->name, "witness") == 0) {
            v.checked[i].verdict = VERDICT_HOLDS; /* It does see that 1000 was never written. */
        }
    }
    assert_string_equal(verdicts_first(&v)->checker->name, "linearizable");
    assert_false(verdicts_good(&v));
    hist_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_agrees_with_trying_all_orders),
        cmocka_unit_test(what_is_too_large_is_not_called_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
