/* The bytes that a stranger, and an accepted member, can send to the accepting side: a real
 * acceptor on a socket pair. And the handshake's decoders: what they accept, they write the same
 * again. */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "core/rpc_frame.h"

#include "raftlog/peers.h"
#include "raftlog/peers_msg.h"
#include "raftlog/raftlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uv_loop_t *loop;
static struct peers *peers;

static int on_hello(void *ctx, const struct peers_hello *h, char *text)
{
    (void)ctx;
    (void)text;
    assert(h->from.raft_id != 0 && h->channel < PEERS_CHANNELS);
    return h->to_raft_id % 2 == 1 ? 0 : ERR_REFUSED;
}

static void on_frame(void *ctx, uint64_t id, enum peers_channel channel, const void *d, size_t len)
{
    (void)ctx;
    volatile uint8_t sum = 0;
    assert(id != 0 && len > 0);
    assert(len <= (channel == PEERS_CONTROL ? LIMIT_FRAME_CONTROL : LIMIT_FRAME_BULK));
    for (size_t i = 0; i < len; i++) {
        sum = (uint8_t)(sum ^ ((const uint8_t *)d)[i]);
    }
}

static void decoders(const uint8_t *data, size_t size)
{
    struct peers_hello h;
    struct peers_answer a;
    struct err e;
    struct buf b = {0};
    if (peers_read_hello(data, size, &h, &e) == 0) {
        peers_put_hello(&b, &h);
        assert(b.len == size + FRAME_HEAD && memcmp(b.data + FRAME_HEAD, data, size) == 0);
        buf_clear(&b);
    }
    if (peers_read_answer(data, size, &a, &e) == 0) {
        peers_put_answer(&b, &a);
        assert(b.len == size + FRAME_HEAD && memcmp(b.data + FRAME_HEAD, data, size) == 0);
    }
    buf_done(&b);
}

static void connection(const uint8_t *data, size_t size)
{
    int fds[2];
    struct buf b = {0};
    int r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds);
    assert(r == 0);
    buf_put(&b, RAFTLOG_MAGIC, RAFTLOG_MAGIC_LEN);
    if (size > 0 && data[0] % 2 == 1) { /* As an accepted member. */
        struct peers_hello h;
        memset(&h, 0, sizeof h);
        h.from.raft_id = 2;
        h.from.pool.b[0] = 1;
        h.to_raft_id = 1;
        h.nonce = 9;
        static uint64_t serial;
        h.serial = ++serial;
        h.channel = data[0] % 4 == 1 ? PEERS_CONTROL : PEERS_BULK;
        peers_put_hello(&b, &h);
    }
    size_t ahead = b.len;
    buf_put(&b, data, size);
    size_t first = size / 2 + ahead; /* Half of it as read-ahead, half from the socket. */
    peers_accept(peers, fds[0], b.data, first);
    (void)send(fds[1], b.data + first, b.len - first, MSG_NOSIGNAL);
    for (int i = 0; i < 4; i++) {
        (void)uv_run(loop, UV_RUN_NOWAIT);
    }
    (void)close(fds[1]);
    for (int i = 0; i < 4; i++) {
        (void)uv_run(loop, UV_RUN_NOWAIT);
    }
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (peers == NULL) {
        loop = uv_default_loop();
        struct peers_options o = {.on_hello = on_hello, .on_frame = on_frame};
        o.self.raft_id = 1;
        o.self.pool.b[0] = 1;
        peers = peers_new(loop, &o);
    }
    decoders(data, size);
    connection(data, size);
    return 0;
}
