/* Applying: outcomes of what cannot be read, retries, what is kept and what is dropped, divergence.
 */

#include <stdio.h>
#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "fsm/tests/world.h"

static uint64_t requests;
static uint64_t wall_ms = 1000;

static void entry_of(struct buf *out, uint32_t number, const void *record)
{
    struct entry head = {
        .number = number, .request = world_id(++requests), .host = "h1", .wall_ms = wall_ms};
    (void)str_copy(head.user, sizeof head.user, "anna");
    world_entry(out, &head, record);
}

static struct fsm_applied_entry run(struct fsm *f, uint32_t number, const void *record)
{
    CLEANUP(buf_done) struct buf b = {0};
    entry_of(&b, number, record);
    return world_apply(f, &b);
}

static struct fsm *new_pool(void)
{
    struct fsm *f = world_open_new();
    struct cmd_pool_init init;
    schema_init(&schema_cmd_pool_init, &init);
    init.id = world_id(1);
    (void)str_copy(init.name, sizeof init.name, "p");
    (void)str_copy(init.host, sizeof init.host, "h1");
    (void)str_copy(init.address, sizeof init.address, "h1:1");
    assert_int_equal(run(f, COMMAND_pool_init, &init).outcome.code, 0);
    return f;
}

static struct cmd_guest_create a_guest(unsigned n)
{
    struct cmd_guest_create c;
    schema_init(&schema_cmd_guest_create, &c);
    (void)snprintf(c.name, sizeof c.name, "g%u", n);
    c.uuid = world_id(100000 + n);
    c.start = false;
    return c;
}

static struct fsm_counts counts(struct fsm *f)
{
    struct fsm_counts c;
    struct fsm_view *v = fsm_view_open(f);
    fsm_count(v, &c);
    (void)fsm_view_close(v);
    return c;
}

static void what_cannot_be_read_is_applied_as_an_outcome(void **state)
{
    (void)state;
    struct fsm *f = new_pool();
    struct hash128 hash = fsm_hash(f);
    CLEANUP(buf_done) struct buf b = {0};
    buf_put(&b, "rubbish", 7);
    struct fsm_applied_entry done = world_apply(f, &b);
    assert_int_equal(done.outcome.code, -ERR_MALFORMED);
    assert_true(done.first && id_is_none(&done.request));
    assert_true(hash_equal(hash, fsm_hash(f))); /* Without a request there is nothing to keep. */
    b.len = 0;
    mp_put_array(&b, 1);
    mp_put_uint(&b, 2); /* An envelope of a later format. */
    assert_int_equal(world_apply(f, &b).outcome.code, -ERR_VERSION);
    (void)fsm_close(f);
}

static void an_unknown_command_is_an_outcome(void **state)
{
    (void)state;
    struct fsm *f = new_pool();
    CLEANUP(buf_done) struct buf b = {0};
    const struct entry en = {.number = 999, .request = world_id(++requests), .wall_ms = 5};
    entry_encode(&en, &b);
    struct fsm_applied_entry done = world_apply(f, &b);
    assert_int_equal(done.outcome.code, -ERR_UNKNOWN);
    assert_int_equal(done.outcome.a, 999);
    CLEANUP(buf_done) struct buf text = {0};
    outcome_text(&done.outcome, &text);
    buf_put_u8(&text, 0);
    assert_string_equal((const char *)text.data, "command number 999 is not known");
    (void)fsm_close(f);
}

static void a_wrong_field_is_named_in_the_outcome(void **state)
{
    (void)state;
    struct fsm *f = new_pool();
    CLEANUP(buf_done) struct buf body = {0};
    CLEANUP(buf_done) struct buf b = {0};
    mp_put_map(&body, 1);
    mp_put_str(&body, "name");
    mp_put_uint(&body, 1);
    const struct entry en = {.number = COMMAND_guest_create,
                             .request = world_id(++requests),
                             .body = body.data,
                             .body_len = body.len};
    entry_encode(&en, &b);
    struct fsm_applied_entry done = world_apply(f, &b);
    assert_int_equal(done.outcome.code, -ERR_MALFORMED);
    assert_string_equal(done.outcome.detail, "name");
    assert_string_equal(done.outcome.name, "guest_create");
    struct outcome kept;
    assert_int_equal(fsm_request_outcome(f, &en.request, &kept), 0);
    assert_memory_equal(&kept, &done.outcome, sizeof kept);
    (void)fsm_close(f);
}

static void the_envelope_comes_back_and_is_strict(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    struct entry en = {.number = 7, .request = world_id(5), .wall_ms = 123456789, .body_len = 3};
    en.body = (const uint8_t *)"abc";
    (void)str_copy(en.user, sizeof en.user, "anna");
    (void)str_copy(en.host, sizeof en.host, "h1");
    entry_encode(&en, &b);
    struct entry back;
    assert_int_equal(entry_decode(b.data, b.len, &back), 0);
    assert_int_equal(back.number, 7);
    assert_true(id_equal(&back.request, &en.request));
    assert_string_equal(back.user, "anna");
    assert_int_equal(back.wall_ms, 123456789);
    assert_memory_equal(back.body, "abc", 3);
    for (size_t n = 0; n < b.len; n++) {
        assert_int_not_equal(entry_decode(b.data, n, &back), 0);
    }
    buf_put_u8(&b, 0);
    assert_int_equal(entry_decode(b.data, b.len, &back), ERR_MALFORMED);
    b.len = 0;
    en.request = (struct id){{0}};
    entry_encode(&en, &b);
    assert_int_equal(entry_decode(b.data, b.len, &back), ERR_MALFORMED);
    b.len = 0;
    en.request = world_id(5);
    en.wall_ms = UINT64_MAX; /* Sums with timeouts must not overflow. */
    entry_encode(&en, &b);
    assert_int_equal(entry_decode(b.data, b.len, &back), ERR_MALFORMED);
}

static void a_retry_is_answered_also_after_a_snapshot(void **state)
{
    (void)state;
    struct fsm *f = new_pool();
    const struct cmd_guest_create c = a_guest(1);
    CLEANUP(buf_done) struct buf b = {0};
    entry_of(&b, COMMAND_guest_create, &c);
    struct fsm_applied_entry first = world_apply(f, &b);
    struct fsm *g = world_open_new();
    world_copy(f, g);
    struct hash128 hash = fsm_hash(g);
    struct fsm_applied_entry again = world_apply(g, &b);
    assert_true(first.first);
    assert_false(again.first);
    assert_memory_equal(&first.outcome, &again.outcome, sizeof first.outcome);
    assert_true(hash_equal(hash, fsm_hash(g)));
    assert_int_equal(fsm_applied(g), fsm_applied(f) + 1);
    size_t n;
    (void)fsm_new_events(g, &n);
    assert_int_equal(n, 0);
    (void)fsm_close(f);
    (void)fsm_close(g);
}

static void old_requests_are_dropped_by_number_and_by_time(void **state)
{
    (void)state;
    struct fsm *f = new_pool();
    struct cmd_pool_set set;
    schema_init(&schema_cmd_pool_set, &set);
    set.requests_kept = 1500;
    (void)run(f, COMMAND_pool_set, &set);
    struct id first = world_id(requests);
    for (int i = 0; i < 1499; i++) {
        (void)run(f, COMMAND_pool_set, &set);
    }
    struct outcome o;
    assert_int_equal(fsm_request_outcome(f, &first, &o), 0);
    assert_int_equal(counts(f).requests, 1500);
    (void)run(f, COMMAND_pool_set, &set);
    assert_int_equal(fsm_request_outcome(f, &first, &o), ERR_NOT_FOUND);
    assert_int_equal(counts(f).requests, 1500);
    struct id last = world_id(requests);
    /* A clock that jumps ages nothing: a retry of what was asked before finds its outcome. */
    for (int i = 0; i < 300; i++) {
        wall_ms += 3600001;
        (void)run(f, COMMAND_pool_set, &set);
    }
    assert_int_equal(fsm_request_outcome(f, &last, &o), 0);
    assert_int_equal(counts(f).requests, 1500);
    for (int i = 0; i < 1200; i++) { /* Beyond requests_kept_ms: each entry drops a few. */
        wall_ms += 9000;
        (void)run(f, COMMAND_pool_set, &set);
    }
    assert_int_equal(fsm_request_outcome(f, &last, &o), ERR_NOT_FOUND);
    assert_in_range(counts(f).requests, 400, 402);
    wall_ms = 1000;
    (void)fsm_close(f);
}

static void events_are_numbered_without_gaps_and_old_ones_are_dropped(void **state)
{
    (void)state;
    struct fsm *f = new_pool();
    struct cmd_pool_set set;
    schema_init(&schema_cmd_pool_set, &set);
    set.events_kept = 100;
    (void)run(f, COMMAND_pool_set, &set);
    for (unsigned i = 0; i < 150; i++) {
        const struct cmd_guest_create c = a_guest(i);
        assert_int_equal(run(f, COMMAND_guest_create, &c).outcome.code, 0);
        size_t n;
        const struct event *ev = fsm_new_events(f, &n);
        assert_int_equal(n, 1);
        assert_int_equal(ev->seq, i + 4); /* pool.created, host.added, pool.changed came before. */
        assert_string_equal(ev->user, "anna");
    }
    struct fsm_view *v = fsm_view_open(f);
    struct event ev;
    assert_int_equal(fsm_last_event(v), 153);
    assert_int_equal(fsm_first_event(v), 54);
    assert_int_equal(fsm_next_event(v, 0, &ev), ERR_COMPACTED);
    assert_int_equal(fsm_next_event(v, 52, &ev), ERR_COMPACTED);
    uint64_t seq = 53;
    while (fsm_next_event(v, seq, &ev) == 0) {
        assert_int_equal(ev.seq, ++seq);
    }
    assert_int_equal(seq, 153);
    assert_int_equal(fsm_next_event(v, 153, &ev), ERR_NOT_FOUND);
    assert_int_equal(fsm_next_event(v, 5000, &ev), ERR_NOT_FOUND);
    (void)fsm_view_close(v);
    (void)fsm_close(f);
}

static void a_replica_that_differs_stops_and_one_that_does_not_remember_goes_on(void **state)
{
    (void)state;
    struct fsm *f = new_pool();
    struct cmd_pool_check check;
    schema_init(&schema_cmd_pool_check, &check);
    check.index = fsm_applied(f);
    (void)hash_text(fsm_hash(f), check.hash);
    const struct cmd_guest_create c = a_guest(1);
    (void)run(f, COMMAND_guest_create, &c); /* The hash is that of the index, not of now. */
    assert_int_equal(run(f, COMMAND_pool_check, &check).outcome.code, 0);
    check.index = fsm_applied(f) + 10;
    assert_int_equal(run(f, COMMAND_pool_check, &check).outcome.code, -ERR_INVALID);
    check.index = fsm_applied(f);
    check.hash[3] = check.hash[3] == 'a' ? 'b' : 'a';
    CLEANUP(buf_done) struct buf b = {0};
    entry_of(&b, COMMAND_pool_check, &check);
    struct fsm *other = world_open_new();
    world_copy(f, other);
    const struct cmd_guest_create d = a_guest(2);
    (void)run(other, COMMAND_guest_create, &d);
    struct fsm_applied_entry done;
    struct err e = {0};
    uint64_t applied = fsm_applied(f);
    struct hash128 hash = fsm_hash(f);
    assert_int_equal(fsm_begin(f, &e), 0);
    assert_int_equal(
        fsm_apply(f, &(struct fsm_input){applied + 1, /*term=*/1, b.data, b.len}, &done, &e),
        ERR_DIVERGED);
    assert_non_null(strstr(e.msg, check.hash));
    assert_int_equal(fsm_commit(f, &e), ERR_DIVERGED);
    assert_int_equal(fsm_begin(f, &e), ERR_DIVERGED);
    assert_int_equal(fsm_applied(f), applied);
    assert_true(hash_equal(fsm_hash(f), hash));
    world_copy(other, f); /* Filled by a peer, it goes on. */
    assert_int_equal(fsm_begin(f, &e), 0);
    /* It does not remember the hash at an entry that came with the snapshot. */
    assert_int_equal(
        fsm_apply(f, &(struct fsm_input){fsm_applied(f) + 1, /*term=*/1, b.data, b.len}, &done, &e),
        0);
    assert_int_equal(done.outcome.code, 0);
    assert_int_equal(fsm_commit(f, &e), 0);
    (void)fsm_close(f);
    (void)fsm_close(other);
}

/* Start and report, so that each guest leaves an ended operation behind. */
static void ended_operations_are_kept_in_a_bounded_number(void **state)
{
    (void)state;
    struct fsm *f = new_pool();
    struct cmd_host_report up;
    schema_init(&schema_cmd_host_report, &up);
    (void)str_copy(up.name, sizeof up.name, "h1");
    up.raft_id = 1;
    up.incarnation = 1;
    up.memory_mib = 1024;
    assert_int_equal(run(f, COMMAND_host_report, &up).outcome.code, 0);
    struct cmd_guest_create c = a_guest(1);
    c.start = true;
    (void)str_copy(c.host, sizeof c.host, "h1");
    uint64_t first = run(f, COMMAND_guest_create, &c).outcome.op;
    struct cmd_guest_report r;
    schema_init(&schema_cmd_guest_report, &r);
    (void)str_copy(r.name, sizeof r.name, "g1");
    (void)str_copy(r.host, sizeof r.host, "h1");
    r.epoch = 1;
    r.what = REPORT_STARTED;
    assert_int_equal(run(f, COMMAND_guest_report, &r).outcome.code, 0);
    struct cmd_guest_pause p;
    schema_init(&schema_cmd_guest_pause, &p);
    (void)str_copy(p.name, sizeof p.name, "g1");
    for (int i = 0; i < 1100; i++) {
        bool pause = i % 2 == 0;
        assert_int_equal(
            run(f, pause ? COMMAND_guest_pause : COMMAND_guest_unpause, &p).outcome.code, 0);
        r.what = pause ? REPORT_PAUSED : REPORT_UNPAUSED;
        assert_int_equal(run(f, COMMAND_guest_report, &r).outcome.code, 0);
    }
    struct fsm_view *v = fsm_view_open(f);
    struct op o;
    assert_int_equal(fsm_get_op(v, first, &o), ERR_NOT_FOUND);
    unsigned n = 0;
    for (uint64_t id = 0; fsm_next_op(v, id, &o) == 0; id = o.id) {
        n++;
    }
    assert_int_equal(n, 1000);
    assert_int_equal(fsm_next_open_op(v, 0, &o), ERR_NOT_FOUND);
    (void)fsm_view_close(v);
    (void)fsm_close(f);
}

static void lists_are_in_order_and_by_host(void **state)
{
    (void)state;
    struct fsm *f = new_pool();
    for (unsigned i = 20; i > 0; i--) {
        const struct cmd_guest_create c = a_guest(i);
        assert_int_equal(run(f, COMMAND_guest_create, &c).outcome.code, 0);
    }
    struct fsm_view *v = fsm_view_open(f);
    struct guest g = {.name = ""};
    char before[LIMIT_NAME + 1] = "";
    unsigned n = 0;
    while (fsm_next_guest(v, before, &g) == 0) {
        assert_true(strcmp(before, g.name) < 0);
        (void)str_copy(before, sizeof before, g.name);
        n++;
    }
    assert_int_equal(n, 20);
    assert_int_equal(fsm_next_guest_on(v, "h1", "", &g), ERR_NOT_FOUND);
    struct host h;
    assert_int_equal(fsm_next_host(v, "", &h), 0);
    assert_int_equal(fsm_next_host(v, h.name, &h), ERR_NOT_FOUND);
    struct repo r;
    assert_int_equal(fsm_next_repo(v, "", &r), ERR_NOT_FOUND);
    (void)fsm_view_close(v);
    (void)fsm_close(f);
}

static void an_index_that_goes_back_breaks_the_replica(void **state)
{
    (void)state;
    struct fsm *f = new_pool();
    struct err e = {0};
    assert_int_equal(fsm_begin(f, &e), 0);
    assert_int_equal(fsm_skip(f, 5, &e), 0);
    assert_int_equal(fsm_skip(f, 5, &e), ERR_INTERNAL);
    assert_int_equal(fsm_applied(f), 1);
    (void)fsm_close(f);
}

static void a_skipped_entry_moves_only_the_index(void **state)
{
    (void)state;
    struct fsm *f = new_pool();
    struct err e = {0};
    struct hash128 hash = fsm_hash(f);
    assert_int_equal(fsm_begin(f, &e), 0);
    assert_int_equal(fsm_skip(f, 9, &e), 0);
    assert_int_equal(fsm_commit(f, &e), 0);
    assert_int_equal(fsm_applied(f), 9);
    assert_true(hash_equal(hash, fsm_hash(f)));
    (void)fsm_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_read_is_applied_as_an_outcome),
        cmocka_unit_test(an_unknown_command_is_an_outcome),
        cmocka_unit_test(a_wrong_field_is_named_in_the_outcome),
        cmocka_unit_test(the_envelope_comes_back_and_is_strict),
        cmocka_unit_test(a_retry_is_answered_also_after_a_snapshot),
        cmocka_unit_test(old_requests_are_dropped_by_number_and_by_time),
        cmocka_unit_test(events_are_numbered_without_gaps_and_old_ones_are_dropped),
        cmocka_unit_test(a_replica_that_differs_stops_and_one_that_does_not_remember_goes_on),
        cmocka_unit_test(ended_operations_are_kept_in_a_bounded_number),
        cmocka_unit_test(lists_are_in_order_and_by_host),
        cmocka_unit_test(an_index_that_goes_back_breaks_the_replica),
        cmocka_unit_test(a_skipped_entry_moves_only_the_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
