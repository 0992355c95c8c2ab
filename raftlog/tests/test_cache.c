/* The log in memory. */

#include <string.h>

#include "raftlog/cache.h"
#include "raftlog/tests/check.h"

static void put(struct cache *c, uint64_t index, uint64_t term)
{
    cache_append(c, &(struct node_entry){.index = index,
                                         .term = term,
                                         .data = &index,
                                         .len = sizeof index,
                                         .type = NODE_COMMAND});
}

static void has(const struct cache *c, uint64_t index, uint64_t term)
{
    struct node_entry entry;

    assert_true(cache_get(c, index, &entry));
    assert_int_equal(entry.term, term);
    assert_int_equal(entry.index, index);
    assert_memory_equal(entry.data, &index, sizeof index);
    assert_int_equal(cache_term(c, index), term);
}

static void what_was_put_is_there_until_it_is_cut(void **state)
{
    struct cache c;

    (void)state;
    cache_init(&c, 1, 1 << 20);
    for (uint64_t i = 1; i <= 300; i++) {
        put(&c, i, 1 + i / 100);
    }
    has(&c, 1, 1);
    has(&c, 99, 1);
    has(&c, 100, 2);
    has(&c, 300, 4);
    cache_truncate(&c, 200);
    assert_int_equal(c.last, 199);
    assert_int_equal(cache_term(&c, 200), 0);
    put(&c, 200, 9);
    has(&c, 199, 2);
    has(&c, 200, 9);
    cache_done(&c);
}

static void trimming_forgets_the_front_and_keeps_the_terms_behind_it(void **state)
{
    struct cache c;

    (void)state;
    cache_init(&c, 1, 1 << 20);
    for (uint64_t i = 1; i <= 100; i++) {
        put(&c, i, 1 + i / 10);
    }
    c.snapshot_index = 50;
    c.snapshot_term = cache_term(&c, 50);
    cache_trim(&c, 60);
    assert_int_equal(cache_term(&c, 59), 0);
    assert_int_equal(cache_term(&c, 50), 6);
    has(&c, 60, 7);
    has(&c, 69, 7);
    has(&c, 70, 8);
    cache_trim(&c, 101);
    assert_int_equal(c.last, 100);
    put(&c, 101, 30);
    has(&c, 101, 30);
    cache_reset(&c, 500, 31);
    assert_int_equal(cache_term(&c, 500), 31);
    assert_int_equal(c.bytes, 0);
    put(&c, 501, 31);
    has(&c, 501, 31);
    cache_done(&c);
}

static void content_is_given_up_over_the_budget_but_not_the_terms(void **state)
{
    struct node_entry entry;
    struct cache c;

    (void)state;
    cache_init(&c, 1, 80);
    for (uint64_t i = 1; i <= 100; i++) {
        put(&c, i, 1 + i / 10);
    }
    cache_evict(&c, 40);
    assert_int_equal(c.in_memory, 41);
    cache_evict(&c, 100);
    assert_int_equal(c.in_memory, 91);
    assert_false(cache_get(&c, 90, &entry));
    assert_int_equal(cache_term(&c, 5), 1);
    has(&c, 91, 10);
    cache_truncate(&c, 50);
    assert_int_equal(c.in_memory, 50);
    assert_int_equal(c.bytes, 0);
    put(&c, 50, 77);
    has(&c, 50, 77);
    assert_int_equal(cache_term(&c, 49), 5);
    cache_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_there_until_it_is_cut),
        cmocka_unit_test(trimming_forgets_the_front_and_keeps_the_terms_behind_it),
        cmocka_unit_test(content_is_given_up_over_the_budget_but_not_the_terms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
