/* Hosts that talk, restart, refuse each other, are cut off. */
#include <linux/filter.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/util.h"

#include "raftlog/tests/peers_rig.h"

/* clang-format off: cmocka.h needs what stands above. */
#include <cmocka.h>
/* clang-format on */

/* --- a cut: every TCP socket of this process drops what comes in, as a dead cable would */

static void filter_all(int option, bool listeners)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog prog = {.len = 1, .filter = &drop};
    for (int fd = 3; fd < 256; fd++) {
        int domain = 0;
        int listens = 0;
        socklen_t len = sizeof domain;
        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_INET &&
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 &&
            (listeners || listens == 0)) {
            (void)setsockopt(fd, SOL_SOCKET, option, &prog, sizeof prog);
        }
    }
}

static void cut(void)
{
    filter_all(SO_ATTACH_FILTER, true);
}

static void heal(void)
{
    filter_all(SO_DETACH_FILTER, true);
}

/* --- tests */

static void all_pairs_talk_in_order(void **state)
{
    (void)state;
    enum {
        N = 1000
    };
    for (int i = 0; i < N; i++) {
        for (uint64_t a = 1; a <= HOSTS; a++) {
            for (uint64_t b = 1; b <= HOSTS; b++) {
                assert_true(a == b || send_number(&hosts[a], b));
            }
        }
        if (i % 100 == 0) {
            (void)uv_run(&loop, UV_RUN_NOWAIT);
        }
    }
    for (uint64_t a = 1; a <= HOSTS; a++) {
        for (uint64_t b = 1; b <= HOSTS; b++) {
            WAIT_FOR(a == b || hosts[a].got[b][PEERS_CONTROL] == N);
            assert_false(hosts[a].out_of_order);
        }
    }
}

static void an_idle_stream_stays_up(void **state)
{
    (void)state;
    run_for_ms(1500); /* Longer than the silence that ends one. */
    assert_true(all_up());
    for (uint64_t a = 1; a <= HOSTS; a++) {
        for (uint64_t b = 1; b <= HOSTS; b++) {
            assert_int_equal(hosts[a].downs[b], 0);
            assert_int_equal(hosts[a].lost[b][PEERS_SILENT], 0);
        }
    }
}

static void a_restarted_host_is_noticed_and_reached_quickly(void **state)
{
    (void)state;
    uint64_t nonce = 0;
    WAIT_FOR(hosts[1].hellos >= 4);
    uint64_t stop_ns = now_ns();
    peers_close(hosts[3].peers, count_closed, &hosts[3].closed);
    hosts[3].peers = NULL;
    WAIT_FOR(hosts[1].lost[3][PEERS_RESET] == 1 && hosts[2].lost[3][PEERS_RESET] == 1);
    assert_true(hosts[1].lost_at_ns - stop_ns < 50000000);
    assert_true(hosts[2].lost_at_ns - stop_ns < 50000000);
    WAIT_FOR(hosts[3].closed == 1);
    /* Its port stays closed for a while, and then it is back with a new incarnation. */
    char port[8];
    (void)str_copy(port, sizeof port, strchr(hosts[3].self.address, ':') + 1);
    rpc_server_close(hosts[3].server, count_closed, &hosts[3].closed);
    WAIT_FOR(hosts[3].closed == 2);
    run_for_ms(700);
    nonce = hosts[1].nonce;
    hosts[3].self.incarnation = 2;
    host_listen(&hosts[3], (uint16_t)strtoul(port, NULL, 10));
    host_peers(&hosts[3]);
    uint64_t start_ns = now_ns();
    host_aim(&hosts[3], false);
    WAIT_FOR(all_up());
    assert_true(now_ns() - start_ns < 150000000); /* Its dialling in ends the others' waiting. */
    assert_true(hosts[1].nonce != nonce);
    assert_int_equal(hosts[1].answer.incarnation, 2);
    assert_true(send_number(&hosts[1], 3) && send_number(&hosts[3], 1));
}

static void another_pool_is_refused_with_the_reason(void **state)
{
    (void)state;
    hosts[3].self.pool.b[0] ^= 1;
    peers_set_self(hosts[3].peers, &hosts[3].self);
    WAIT_FOR(hosts[3].answer.code == ERR_REFUSED && hosts[1].answer.code == ERR_REFUSED);
    assert_string_equal(hosts[3].answer.text, "this host belongs to another pool");
    assert_false(peers_is_up(hosts[3].peers, 1, PEERS_CONTROL));
    assert_false(peers_is_up(hosts[1].peers, 3, PEERS_CONTROL));
    assert_false(send_number(&hosts[1], 3));
    hosts[3].self.pool.b[0] ^= 1;
    peers_set_self(hosts[3].peers, &hosts[3].self);
    WAIT_FOR(all_up()); /* It is tried again all the time. */
}

static void a_blank_host_is_adopted(void **state)
{
    (void)state;
    struct peers_self blank = hosts[3].self;
    blank.raft_id = 0;
    memset(&blank.pool, 0, sizeof blank.pool);
    hosts[3].self = blank;
    peers_set_self(hosts[3].peers, &blank);
    peers_set(hosts[3].peers, NULL, 0);
    WAIT_FOR(hosts[1].answer.code == ERR_NO_POOL);
    assert_true(hosts[1].answer.blank);
    assert_int_equal(hosts[1].answer.raft_id, 0);
    assert_string_equal(hosts[1].answer.text, "this host is blank");
    host_aim(&hosts[1], true);
    WAIT_FOR(peers_is_up(hosts[1].peers, 3, PEERS_CONTROL));
    assert_int_equal(hosts[3].self.raft_id, 3);
    assert_true(id_equal(&hosts[3].self.pool, &pool_a));
    uint64_t got = hosts[3].got[1][PEERS_CONTROL];
    assert_true(send_number(&hosts[1], 3));
    WAIT_FOR(hosts[3].got[1][PEERS_CONTROL] == got + 1);
}

static void a_refusal_is_told_and_tried_again(void **state)
{
    (void)state;
    hosts[2].refuse = ERR_STALE;
    peers_drop(hosts[2].peers, 1);
    WAIT_FOR(hosts[1].answer.code == ERR_STALE);
    assert_string_equal(hosts[1].answer.text, err_text(ERR_STALE));
    hosts[2].refuse = 0;
    WAIT_FOR(all_up());
}

static void frames_over_the_limit_are_not_sent(void **state)
{
    (void)state;
    uint8_t *big = mem_new(LIMIT_FRAME_BULK + 1, 1);
    assert_false(peers_send(hosts[1].peers, 2, PEERS_CONTROL, big, LIMIT_FRAME_CONTROL + 1));
    assert_false(peers_send(hosts[1].peers, 2, PEERS_BULK, big, LIMIT_FRAME_BULK + 1));
    assert_false(peers_send(hosts[1].peers, 2, PEERS_CONTROL, big, 0));
    assert_false(peers_send(hosts[1].peers, 9, PEERS_CONTROL, big, 1));
    assert_true(peers_send(hosts[1].peers, 2, PEERS_CONTROL, big, LIMIT_FRAME_CONTROL));
    assert_true(peers_send(hosts[1].peers, 2, PEERS_BULK, big, LIMIT_FRAME_BULK));
    WAIT_FOR(hosts[2].bytes[1][PEERS_CONTROL] == LIMIT_FRAME_CONTROL &&
             hosts[2].bytes[1][PEERS_BULK] == LIMIT_FRAME_BULK);
    free(big);
}

static void a_slow_bulk_reader_holds_its_sender_but_not_control(void **state)
{
    (void)state;
    uint8_t *chunk = mem_new(1024 * 1024, 1);
    hosts[2].hold = 1;
    uint32_t sent = 0;
    while (peers_send(hosts[1].peers, 2, PEERS_BULK, chunk, 1024 * 1024)) {
        assert_true(++sent < 64); /* The queue has an end. */
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    run_for_ms(1200); /* Longer than the silence that would end it. */
    assert_int_equal(hosts[2].got[1][PEERS_BULK], 1);
    uint64_t got = hosts[2].got[1][PEERS_CONTROL];
    hosts[2].delay_ns = 0;
    for (uint64_t i = 1; i <= 100; i++) {
        assert_true(send_number(&hosts[1], 2));
        WAIT_FOR(hosts[2].got[1][PEERS_CONTROL] == got + i);
    }
    assert_true(hosts[2].delay_ns < 20000000);
    assert_int_equal(hosts[1].rooms, 0);
    hosts[2].hold = 0;
    peers_hold(hosts[2].peers, 1, PEERS_BULK, false);
    WAIT_FOR(hosts[2].got[1][PEERS_BULK] == sent);
    assert_int_equal(hosts[1].rooms, 1);
    assert_int_equal(hosts[1].downs[2], 0);
    free(chunk);
}

static void after_a_cut_traffic_flows_at_once(void **state)
{
    (void)state;
    static const uint64_t lengths_ms[] = {100, 250, 450, 800, 1700};
    for (size_t i = 0; i < ARRAY_LEN(lengths_ms); i++) {
        WAIT_FOR(all_up());
        cut();
        uint64_t until_ns = now_ns() + lengths_ms[i] * 1000000u;
        while (now_ns() < until_ns) { /* New sockets of each attempt are cut, too. */
            (void)uv_run(&loop, UV_RUN_ONCE);
            cut();
            (void)send_number(&hosts[1], 2);
        }
        heal();
        uint64_t heal_ns = now_ns();
        uint64_t got = hosts[2].got[1][PEERS_CONTROL];
        while (hosts[2].got[1][PEERS_CONTROL] == got) {
            (void)send_number(&hosts[1], 2);
            (void)uv_run(&loop, UV_RUN_ONCE);
            assert_true(now_ns() - heal_ns < PATIENCE * 1000000ull);
        }
        uint64_t took_ms = (now_ns() - heal_ns) / 1000000u;
        print_message("cut of %u ms: traffic %u ms after it\n", (unsigned)lengths_ms[i],
                      (unsigned)took_ms);
        assert_true(took_ms < 300);
        assert_false(hosts[2].out_of_order);
        assert_int_equal(hosts[2].lost[1][PEERS_RESET],
                         0); /* A cut is no reset, also afterwards. */
    }
    run_for_ms(300);
    assert_int_equal(hosts[2].lost[1][PEERS_RESET], 0);
    assert_true(hosts[2].lost[1][PEERS_SILENT] > 0); /* The last cut was longer than silence_ms. */
}

static int patient_hosts_up(void **state)
{
    rig_silence_ms = 10000; /* Else silence ends the stream first. */
    return hosts_up(state);
}

/* A stream that was given up during a cut still has an end that the kernel would deliver after it,
 * and that would look like the death of the program. New connections stay cut here, so that no
 * superseding hides it. */
static void a_stream_given_up_in_a_cut_never_looks_like_a_reset(void **state)
{
    (void)state;
    uint64_t begin_ns = now_ns();
    cut();
    WAIT_FOR(hosts[1].downs[2] > 0);
    assert_true(now_ns() - begin_ns < 600000000);
    filter_all(SO_DETACH_FILTER, false);
    run_for_ms(2500); /* The kernel repeats at growing intervals. */
    assert_int_equal(hosts[2].lost[1][PEERS_RESET], 0);
    heal();
    WAIT_FOR(all_up());
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* As the daemon does. */
#define T(name) cmocka_unit_test_setup_teardown(name, hosts_up, hosts_down)
    const struct CMUnitTest tests[] = {
        T(all_pairs_talk_in_order),
        T(an_idle_stream_stays_up),
        T(a_restarted_host_is_noticed_and_reached_quickly),
        T(another_pool_is_refused_with_the_reason),
        T(a_blank_host_is_adopted),
        T(a_refusal_is_told_and_tried_again),
        T(frames_over_the_limit_are_not_sent),
        T(a_slow_bulk_reader_holds_its_sender_but_not_control),
        T(after_a_cut_traffic_flows_at_once),
        cmocka_unit_test_setup_teardown(a_stream_given_up_in_a_cut_never_looks_like_a_reset,
                                        patient_hosts_up, hosts_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
