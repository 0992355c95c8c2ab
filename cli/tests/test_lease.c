/* Leases: each rule by itself, then all of them against clocks that run apart, messages that take
 * any time and masters that change: whenever a master calls a lease over, it is. */

#include <stdio.h>
#include <string.h>

#include "core/rng.h"
#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/quorated/lease.h"

static const struct lease_times times = {.lease_ms = 3000,
                                         .renew_ms = 500,
                                         .kill_margin_ms = 500,
                                         .clock_error_permille = 10,
                                         .bound_ms = 3000};

static void only_times_that_fit_together_are_taken(void **state)
{
    (void)state;
    struct lease_times t = times;
    assert_null(lease_times_wrong(&t));
    static const struct {
        uint32_t lease, renew, kill, error;
        const char *word;
    } bad[] = {
        {999, 200, 200, 10, "lease_length"},  {60001, 500, 500, 10, "lease_length"},
        {3000, 500, 99, 10, "lease_margin"},  {3000, 1001, 500, 10, "lease_renewal"},
        {3000, 0, 500, 10, "lease_renewal"},  {3000, 500, 2500, 10, "lease_room"},
        {3000, 500, 500, 101, "lease_clock"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        t = (struct lease_times){.lease_ms = bad[i].lease,
                                 .renew_ms = bad[i].renew,
                                 .kill_margin_ms = bad[i].kill,
                                 .clock_error_permille = bad[i].error};
        assert_string_equal(lease_times_wrong(&t), bad[i].word);
    }
}

static void the_wait_covers_both_clocks(void **state)
{
    (void)state;
    assert_int_equal(lease_wait_ms(3000, 0), 3001);
    assert_int_equal(lease_wait_ms(3000, 10), 3062); /* 3000 * 1010 / 990 = 3060.6 */
    assert_int_equal(lease_wait_ms(60000, 100), 73335);
}

static void a_lease_counts_from_the_sending_of_its_ask(void **state)
{
    (void)state;
    struct lease_holder h;
    lease_holder_init(&h, 77);
    uint64_t n = lease_ask(&h, 10000, times.renew_ms);
    assert_int_not_equal(n, 0);
    assert_int_equal(lease_ask(&h, 10499, times.renew_ms), 0);
    assert_false(lease_allows(&h, &times, 10400, 9));
    assert_true(lease_granted(&h, n, times.lease_ms, 5));
    assert_int_equal(h.end_ms, 13000);
    assert_false(lease_granted(&h, n, times.lease_ms, 5)); /* Twice: nothing new. */
    assert_true(lease_allows(&h, &times, 12499, 5));
    assert_false(lease_allows(&h, &times, 12500, 5)); /* Within the kill margin. */
    assert_false(lease_allows(&h, &times, 12000, 4)); /* What the master knew is not here yet. */
}

static void an_answer_to_nothing_grants_nothing(void **state)
{
    (void)state;
    struct lease_holder h;
    lease_holder_init(&h, 0);
    assert_false(lease_granted(&h, 0, 3000, 1));
    assert_false(lease_granted(&h, 1, 3000, 1));
    uint64_t first = lease_ask(&h, 1000, 500);
    for (uint32_t i = 1; i <= LEASE_ASKS; i++) {
        assert_int_not_equal(lease_ask(&h, 1000 + 500 * (uint64_t)i, 500), 0);
    }
    assert_false(lease_granted(&h, first, 3000, 1)); /* Too old to be known. */
    assert_int_equal(h.end_ms, 0);
}

static void a_late_answer_does_not_shorten_the_lease(void **state)
{
    (void)state;
    struct lease_holder h;
    lease_holder_init(&h, 0);
    uint64_t first = lease_ask(&h, 1000, 500);
    uint64_t second = lease_ask(&h, 1500, 500);
    assert_true(lease_granted(&h, second, 3000, 8));
    assert_false(lease_granted(&h, first, 3000, 9));
    assert_int_equal(h.end_ms, 4500);
    assert_int_equal(h.index, 8);
}

static void one_round_of_proof_serves_all_who_asked_before_it(void **state)
{
    (void)state;
    struct lease_master m = {0};
    struct lease_grant g[LIMIT_HOSTS];
    lease_asked(&m, "h1", 1, 5, 100);
    assert_false(lease_prove(&m)); /* Not the master. */
    lease_lead(&m, 3, 1000);
    assert_false(lease_prove(&m)); /* Nobody asked. */
    lease_asked(&m, "h1", 1, 5, 1100);
    lease_asked(&m, "h2", 2, 6, 1100);
    assert_true(lease_prove(&m));
    lease_asked(&m, "h3", 3, 7, 1150);
    assert_false(lease_prove(&m)); /* One at a time. */
    assert_int_equal(lease_proved(&m, 3, true, 1200, g), 2);
    assert_int_equal(g[0].raft_id, 1);
    assert_int_equal(g[1].number, 6);
    assert_true(lease_prove(&m));
    assert_int_equal(lease_proved(&m, 3, true, 1250, g), 1);
    assert_int_equal(g[0].number, 7);
}

static void without_proof_nothing_is_granted(void **state)
{
    (void)state;
    struct lease_master m = {0};
    struct lease_grant g[LIMIT_HOSTS];
    lease_lead(&m, 3, 1000);
    lease_asked(&m, "h1", 1, 5, 1100);
    assert_true(lease_prove(&m));
    assert_int_equal(lease_proved(&m, 3, false, 1200, g), 0);
    assert_int_equal(lease_proved(&m, 3, true, 1200, g), 0); /* That round is over. */
    lease_asked(&m, "h1", 1, 6, 1300);
    assert_true(lease_prove(&m));
    lease_lead(&m, 4, 1350); /* Master again, in another term: the round was not for this. */
    assert_int_equal(lease_proved(&m, 4, true, 1400, g), 0);
    lease_asked(&m, "h1", 1, 7, 1500);
    assert_true(lease_prove(&m));
    assert_int_equal(lease_proved(&m, 5, true, 1600, g), 0);
}

static void a_new_master_waits_for_leases_it_does_not_know(void **state)
{
    (void)state;
    struct lease_master m = {0};
    assert_false(lease_is_over(&m, "h1", &times, 1u << 30));
    lease_lead(&m, 3, 1000);
    assert_false(lease_is_over(&m, "h1", &times, 4061));
    assert_true(lease_is_over(&m, "h1", &times, 4062));
    struct lease_times longer = times; /* A longer one may be in force yet. */
    longer.bound_ms = 5000;
    assert_false(lease_is_over(&m, "h1", &longer, 4062));
    lease_lead(&m, 3, 9000); /* The same mastership. */
    assert_true(lease_is_over(&m, "h1", &times, 4062));
    lease_lead(&m, 4, 9000);
    assert_false(lease_is_over(&m, "h1", &times, 9001));
}

static void a_host_that_is_being_fenced_is_granted_nothing(void **state)
{
    (void)state;
    struct lease_master m = {0};
    struct lease_grant g[LIMIT_HOSTS];
    assert_false(lease_hold(&m, "h1", true, 500));
    lease_lead(&m, 3, 1000);
    lease_asked(&m, "h1", 1, 5, 1100);
    assert_true(lease_prove(&m));
    assert_true(lease_hold(&m, "h1", true, 1150)); /* Also when the proof is under way. */
    assert_int_equal(lease_proved(&m, 3, true, 1200, g), 0);
    assert_true(lease_hold(&m, "h1", false, 1300));
    lease_asked(&m, "h1", 1, 6, 1400);
    assert_true(lease_prove(&m));
    assert_int_equal(lease_proved(&m, 3, true, 1500, g), 1);
}

static void places_of_hosts_that_are_long_gone_are_used_again(void **state)
{
    (void)state;
    struct lease_master m = {0};
    char name[16];
    lease_lead(&m, 1, 0);
    for (unsigned i = 0; i < LIMIT_HOSTS; i++) {
        (void)snprintf(name, sizeof name, "h%u", i);
        lease_asked(&m, name, i + 1, 1, 1000);
    }
    assert_false(lease_hold(&m, "new", true, 1000 + 2 * LEASE_MAX_MS - 1));
    assert_true(lease_hold(&m, "h0", true, 1000));
    assert_true(lease_hold(&m, "new", true, 1000 + 2 * LEASE_MAX_MS));
    assert_string_equal(m.hosts[0].name, "h0"); /* It is held. */
    assert_string_equal(m.hosts[1].name, "new");
}

/* --- at random */

#define NODES 3u

/* A clock of rate 1 +- error from a start of its own, read in milliseconds, rounded down. */
struct node {
    uint64_t start_us;
    int64_t error_permille;
    struct lease_holder holder;
    struct lease_master master;
};

/* A message: an ask; the word of a majority, asked for and on its way back; or a grant. */
struct flying {
    uint64_t at_us;
    enum {
        FLY_NONE,
        FLY_ASK,
        FLY_PROOF,
        FLY_PROVED,
        FLY_DENIED,
        FLY_GRANT
    } kind;
    uint32_t from, to;
    uint64_t number;
};

struct race {
    struct rng rng;
    uint64_t now_us;
    uint64_t term;
    uint32_t leader; /* Of the term. */
    struct node nodes[NODES];
    struct flying flying[256];
    uint64_t overs; /* How often a lease was called over while its host had had one. */
};

static uint64_t now_of(const struct race *r, uint32_t i)
{
    const struct node *n = &r->nodes[i];
    uint64_t passed_us = r->now_us / 1000 * (uint64_t)(1000 + n->error_permille);
    return (n->start_us + passed_us) / 1000;
}

static void fly(struct race *r, const struct flying *f, uint64_t within_us)
{
    for (size_t i = 0; i < ARRAY_LEN(r->flying); i++) {
        if (r->flying[i].kind == FLY_NONE) {
            r->flying[i] = *f;
            r->flying[i].at_us = r->now_us + rng_below(&r->rng, within_us);
            return;
        }
    }
}

static void arrive(struct race *r, const struct flying *f)
{
    struct lease_grant grants[LIMIT_HOSTS];
    char name[8];
    struct node *to = &r->nodes[f->to];
    if (f->kind == FLY_ASK) {
        (void)snprintf(name, sizeof name, "h%u", f->from);
        lease_asked(&to->master, name, f->from, f->number, now_of(r, f->to));
    } else if (f->kind == FLY_GRANT) {
        (void)lease_granted(&to->holder, f->number, times.lease_ms, 0);
    } else if (f->kind == FLY_PROOF) {
        /* The moment at which the majority says whom it follows. */
        bool ok = r->leader == f->to && f->number == r->term && rng_below(&r->rng, 8) > 0;
        fly(r,
            &(struct flying){.kind = ok ? FLY_PROVED : FLY_DENIED,
                             .from = f->to,
                             .to = f->to,
                             .number = f->number},
            2000000);
    } else if (f->kind == FLY_PROVED || f->kind == FLY_DENIED) {
        uint32_t n =
            lease_proved(&to->master, f->number, f->kind == FLY_PROVED, now_of(r, f->to), grants);
        for (uint32_t i = 0; i < n; i++) {
            fly(r,
                &(struct flying){.kind = FLY_GRANT,
                                 .from = f->to,
                                 .to = (uint32_t)grants[i].raft_id,
                                 .number = grants[i].number},
                3000000);
        }
    }
}

static void check_overs(struct race *r)
{
    char name[8];
    const struct node *m = &r->nodes[r->leader];
    if (m->master.term != r->term) {
        return; /* What it would propose now would stand under another term. */
    }
    for (uint32_t i = 0; i < NODES; i++) {
        (void)snprintf(name, sizeof name, "h%u", i);
        if (lease_is_over(&m->master, name, &times, now_of(r, r->leader))) {
            const struct lease_holder *h = &r->nodes[i].holder;
            assert_true(h->end_ms <= now_of(r, i));
            r->overs += h->end_ms != 0;
        }
    }
}

static void step(struct race *r)
{
    r->now_us += 1 + rng_below(&r->rng, 40000);
    for (size_t i = 0; i < ARRAY_LEN(r->flying); i++) {
        struct flying f = r->flying[i];
        if (f.kind != FLY_NONE && f.at_us <= r->now_us) {
            r->flying[i].kind = FLY_NONE;
            arrive(r, &f);
        }
    }
    if (rng_below(&r->rng, 400) == 0) { /* Another master, or the same in another term. */
        r->term++;
        r->leader = (uint32_t)rng_below(&r->rng, NODES);
    }
    if (r->nodes[r->leader].master.term != r->term && rng_below(&r->rng, 8) == 0) {
        lease_lead(&r->nodes[r->leader].master, r->term, now_of(r, r->leader));
    }
    for (uint32_t i = 0; i < NODES; i++) {
        uint64_t quiet = r->now_us / 20000000 % (NODES + 1);
        uint64_t n = quiet == i ? 0 : lease_ask(&r->nodes[i].holder, now_of(r, i), times.renew_ms);
        if (n != 0) {
            fly(r, &(struct flying){.kind = FLY_ASK, .from = i, .to = r->leader, .number = n},
                100000);
        }
        if (lease_prove(&r->nodes[i].master)) {
            fly(r,
                &(struct flying){
                    .kind = FLY_PROOF, .from = i, .to = i, .number = r->nodes[i].master.term},
                100000);
        }
    }
    check_overs(r);
}

static void a_lease_called_over_is_over(void **state)
{
    (void)state;
    uint64_t overs = 0;
    static struct race r;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        memset(&r, 0, sizeof r);
        rng_seed(&r.rng, seed);
        r.term = 1;
        for (uint32_t i = 0; i < NODES; i++) {
            r.nodes[i].start_us = rng_below(&r.rng, 1u << 30);
            r.nodes[i].error_permille = (int64_t)rng_below(&r.rng, 21) - 10;
            lease_holder_init(&r.nodes[i].holder, rng_below(&r.rng, UINT64_MAX));
        }
        for (uint32_t i = 0; i < 20000; i++) {
            step(&r);
        }
        overs += r.overs;
    }
    assert_true(overs > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_times_that_fit_together_are_taken),
        cmocka_unit_test(the_wait_covers_both_clocks),
        cmocka_unit_test(a_lease_counts_from_the_sending_of_its_ask),
        cmocka_unit_test(an_answer_to_nothing_grants_nothing),
        cmocka_unit_test(a_late_answer_does_not_shorten_the_lease),
        cmocka_unit_test(one_round_of_proof_serves_all_who_asked_before_it),
        cmocka_unit_test(without_proof_nothing_is_granted),
        cmocka_unit_test(a_new_master_waits_for_leases_it_does_not_know),
        cmocka_unit_test(a_host_that_is_being_fenced_is_granted_nothing),
        cmocka_unit_test(places_of_hosts_that_are_long_gone_are_used_again),
        cmocka_unit_test(a_lease_called_over_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
