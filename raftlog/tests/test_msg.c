/* The encoding of what members say: one encoding for each message, every byte counts. */

#include <string.h>

#include "core/util.h"

#include "raftlog/msg.h"
#include "raftlog/tests/check.h"

static void conf_bytes(struct buf *ret)
{
    struct err e;

    assert_int_equal(node_founding_conf(7, "10.0.0.1:7000", ret, &e), 0);
}

/* Decodes as a whole, and in no shorter or longer form. */
static void exactly(const struct buf *b)
{
    CLEANUP(buf_done) struct buf longer = {0};
    struct msg m;

    assert_int_equal(msg_decode(b->data, b->len, &m), 0);
    if ((int)m.type == 0) {
        CLEANUP(buf_done) struct buf again = {0};
        msg_put_core(&again, &m.core);
        assert_int_equal(again.len, b->len);
        assert_memory_equal(again.data, b->data, b->len);
    }
    msg_done(&m);
    for (size_t len = 0; len < b->len; len++) {
        if (b->data[0] != MSG_NOTE) {
            assert_int_equal(msg_decode(b->data, len, &m), ERR_MALFORMED);
        }
    }
    buf_put(&longer, b->data, b->len);
    buf_put_u8(&longer, 0);
    if (b->data[0] != MSG_NOTE) {
        assert_int_equal(msg_decode(longer.data, longer.len, &m), ERR_MALFORMED);
    }
}

static void messages_of_the_core_come_back_as_they_were(void **state)
{
    CLEANUP(buf_done) struct buf conf = {0};
    CLEANUP(buf_done) struct buf b = {0};

    (void)state;
    conf_bytes(&conf);
    struct node_entry entries[] = {
        {.term = 3, .type = NODE_COMMAND, .data = "abc", .len = 3},
        {.term = 4, .type = NODE_BARRIER},
        {.term = 4, .type = NODE_CHANGE, .data = conf.data, .len = (uint32_t)conf.len},
    };
    struct core_message messages[] = {
        {.type = CORE_APPEND, .term = 5, .append = {9, 3, 8, 3, entries}},
        {.type = CORE_APPEND, .term = 5, .append = {0, 0, 0, 0, NULL}},
        {.type = CORE_APPEND_RESULT, .term = 5, .append_result = {1, 2, true}},
        {.type = CORE_VOTE, .term = 5, .vote = {7, 4, true, false}},
        {.type = CORE_VOTE_RESULT, .term = 5, .vote_result = {true, false, true}},
        {.type = CORE_INSTALL, .term = 5, .install = {9, 4, 1, conf.data, (uint32_t)conf.len}},
        {.type = CORE_TIMEOUT_NOW, .term = 5, .timeout_now = {7, 4}},
    };
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        buf_clear(&b);
        msg_put_core(&b, &messages[i]);
        exactly(&b);
    }
}

static void other_messages_come_back_as_they_were(void **state)
{
    CLEANUP(buf_done) struct buf b = {0};
    struct msg m;

    (void)state;
    msg_put_refused(&b, 77, ERR_BUSY);
    exactly(&b);
    assert_int_equal(msg_decode(b.data, b.len, &m), 0);
    assert_int_equal(m.ticket, 77);
    assert_int_equal(m.code, ERR_BUSY);
    buf_clear(&b);
    msg_put_read_answer(&b, 1, 2, 3);
    exactly(&b);
    buf_clear(&b);
    msg_put_probe(&b, MSG_PROBE_OK, 2, 9);
    exactly(&b);
    buf_clear(&b);
    msg_put_removed(&b, 4, 44);
    exactly(&b);
    buf_clear(&b);
    msg_put_note(&b, "hello", 5);
    exactly(&b);
    buf_clear(&b);
    msg_put_forward(&b);
    msg_put_item(&b, 1, "ab", 2);
    msg_put_item(&b, 2, "c", 1);
    assert_int_equal(msg_decode(b.data, b.len, &m), 0);
    assert_int_equal(m.items_n, 2);
    assert_int_equal(m.items[1].ticket, 2);
    assert_memory_equal(m.items[0].data, "ab", 2);
    msg_done(&m);
}

static void refused(const struct core_message *m)
{
    CLEANUP(buf_done) struct buf b = {0};
    struct msg out;

    msg_put_core(&b, m);
    assert_int_equal(msg_decode(b.data, b.len, &out), ERR_MALFORMED);
}

static void nonsense_is_refused(void **state)
{
    struct node_entry falling[] = {{.term = 4, .type = NODE_COMMAND, .data = "a", .len = 1},
                                   {.term = 3, .type = NODE_COMMAND, .data = "b", .len = 1}};
    struct node_entry no_conf = {.term = 4, .type = NODE_CHANGE, .data = "12345678", .len = 8};
    struct node_entry full_barrier = {.term = 4, .type = NODE_BARRIER, .data = "x", .len = 1};
    struct node_entry future = {.term = 9, .type = NODE_COMMAND, .data = "x", .len = 1};
    struct core_message m = {.type = CORE_APPEND, .term = 5, .append = {9, 3, 8, 2, falling}};

    (void)state;
    refused(&m);
    m.append = (struct core_append){9, 3, 8, 1, &no_conf};
    refused(&m);
    m.append = (struct core_append){9, 3, 8, 1, &full_barrier};
    refused(&m);
    m.append = (struct core_append){9, 3, 8, 1, &future};
    refused(&m);
    m.append = (struct core_append){9, 0, 8, 0, NULL};
    refused(&m);
    m = (struct core_message){.type = CORE_VOTE, .term = 0};
    refused(&m);
    /* A count that could not fit allocates nothing. */
    uint8_t big[] = {CORE_APPEND, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0,    0,    0,   0,
                     0,           0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    struct msg out;
    assert_int_equal(msg_decode(big, sizeof big, &out), ERR_MALFORMED);
}

static void a_configuration_has_one_encoding(void **state)
{
    CLEANUP(buf_done) struct buf b = {0};
    struct conf conf;

    (void)state;
    conf_bytes(&b);
    assert_int_equal(conf_decode(b.data, b.len, &conf), 0);
    assert_int_equal(conf.n, 1);
    assert_int_equal(conf.members[0].role, RAFTLOG_VOTER);
    for (size_t i = 0; i < b.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            CLEANUP(buf_done) struct buf again = {0};
            b.data[i] ^= (uint8_t)(1 << bit);
            if (conf_decode(b.data, b.len, &conf) == 0) {
                conf_encode(&conf, &again);
                assert_int_equal(again.len, b.len);
                assert_memory_equal(again.data, b.data, b.len);
            }
            b.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    for (size_t len = 0; len < b.len; len++) {
        assert_int_equal(conf_decode(b.data, len, &conf), ERR_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_the_core_come_back_as_they_were),
        cmocka_unit_test(other_messages_come_back_as_they_were),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_configuration_has_one_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
