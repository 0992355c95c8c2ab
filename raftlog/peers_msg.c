#include "raftlog/peers_msg.h"

#include <string.h>

#include "core/mp.h"
#include "core/rpc_frame.h"

#define HELLO_FIELDS  11
#define ANSWER_FIELDS 8

void peers_put_hello(struct buf *b, const struct peers_hello *h)
{
    size_t place = frame_begin(b);
    mp_put_array(b, HELLO_FIELDS);
    mp_put_uint(b, PEERS_PROTOCOL);
    mp_put_bin(b, h->from.pool.b, sizeof h->from.pool.b);
    mp_put_uint(b, h->from.raft_id);
    mp_put_uint(b, h->from.incarnation);
    mp_put_str(b, h->from.name);
    mp_put_str(b, h->from.address);
    mp_put_uint(b, h->nonce);
    mp_put_uint(b, h->serial);
    mp_put_uint(b, h->to_raft_id);
    mp_put_uint(b, h->channel);
    mp_put_bool(b, h->adopt);
    frame_end(b, place);
}

void peers_put_answer(struct buf *b, const struct peers_answer *a)
{
    size_t place = frame_begin(b);
    mp_put_array(b, ANSWER_FIELDS);
    mp_put_uint(b, PEERS_PROTOCOL);
    mp_put_int(b, a->code);
    mp_put_str(b, utf8_valid(a->text, strlen(a->text)) ? a->text : err_text(a->code));
    mp_put_bin(b, a->pool.b, sizeof a->pool.b);
    mp_put_uint(b, a->raft_id);
    mp_put_uint(b, a->incarnation);
    mp_put_uint(b, a->nonce);
    mp_put_bool(b, a->blank);
    frame_end(b, place);
}

/* The array's head and the protocol, which come first in every version. */
static int read_protocol(struct mp_reader *r, uint32_t fields, const char *what, struct err *e)
{
    uint32_t n;
    uint64_t protocol;
    if (mp_get_array(r, &n) != 0 || n == 0 || mp_get_uint(r, &protocol) != 0) {
        return err_set(e, ERR_MALFORMED, "malformed %s", what);
    }
    if (protocol != PEERS_PROTOCOL) {
        return err_set(e, ERR_VERSION,
                       "the other host speaks version %llu between hosts, this one %d",
                       (unsigned long long)protocol, PEERS_PROTOCOL);
    }
    return n == fields ? 0 : err_set(e, ERR_MALFORMED, "malformed %s", what);
}

static bool read_hello_fields(struct mp_reader *r, struct peers_hello *h, uint64_t *ret_channel)
{
    return mp_copy_bin(r, h->from.pool.b, sizeof h->from.pool.b) == 0 &&
           mp_get_uint(r, &h->from.raft_id) == 0 && mp_get_uint(r, &h->from.incarnation) == 0 &&
           mp_copy_str(r, h->from.name, sizeof h->from.name) == 0 &&
           mp_copy_str(r, h->from.address, sizeof h->from.address) == 0 &&
           mp_get_uint(r, &h->nonce) == 0 && mp_get_uint(r, &h->serial) == 0 &&
           mp_get_uint(r, &h->to_raft_id) == 0 && mp_get_uint(r, ret_channel) == 0 &&
           mp_get_bool(r, &h->adopt) == 0 && mp_at_end(r);
}

int peers_read_hello(const void *payload, size_t len, struct peers_hello *ret, struct err *e)
{
    struct mp_reader r;
    struct peers_hello h;
    uint64_t channel;
    memset(&h, 0, sizeof h);
    mp_reader_init(&r, payload, len);
    if (read_protocol(&r, HELLO_FIELDS, "hello", e) != 0) {
        return e->code;
    }
    if (!read_hello_fields(&r, &h, &channel)) {
        return err_set(e, ERR_MALFORMED, "malformed hello");
    }
    if (h.from.raft_id == 0 || h.to_raft_id == 0 || id_is_none(&h.from.pool)) {
        return err_set(e, ERR_INVALID, "a hello from or to nobody");
    }
    if (channel >= PEERS_CHANNELS) {
        return err_set(e, ERR_INVALID, "a hello for channel %llu, which is none",
                       (unsigned long long)channel);
    }
    h.channel = (enum peers_channel)channel;
    *ret = h;
    return 0;
}

int peers_read_answer(const void *payload, size_t len, struct peers_answer *ret, struct err *e)
{
    struct mp_reader r;
    struct peers_answer a;
    int64_t code;
    memset(&a, 0, sizeof a);
    mp_reader_init(&r, payload, len);
    if (read_protocol(&r, ANSWER_FIELDS, "answer", e) != 0) {
        return e->code;
    }
    if (mp_get_int(&r, &code) != 0 || code > 0 || code < INT32_MIN ||
        mp_copy_str(&r, a.text, sizeof a.text) != 0 ||
        mp_copy_bin(&r, a.pool.b, sizeof a.pool.b) != 0 || mp_get_uint(&r, &a.raft_id) != 0 ||
        mp_get_uint(&r, &a.incarnation) != 0 || mp_get_uint(&r, &a.nonce) != 0 ||
        mp_get_bool(&r, &a.blank) != 0 || !mp_at_end(&r)) {
        return err_set(e, ERR_MALFORMED, "malformed answer to a hello");
    }
    a.code = (int)code;
    *ret = a;
    return 0;
}
