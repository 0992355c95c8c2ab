/* Bytes of a client, cut into pieces as the first byte says: what is accepted must come back the
 * same when it is written again. */
#include <assert.h>
#include <string.h>

#include "core/rpc_frame.h"
#include "core/rpc_msg.h"
#include "core/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one(const uint8_t *payload, size_t len)
{
    struct rpc_msg m;
    struct err e;
    struct buf b = {0};
    if (rpc_msg_read(payload, len, &m, &e) != 0) {
        assert(e.code == ERR_MALFORMED && e.msg[0] != '\0');
        return;
    }
    assert(m.body >= payload && m.body + m.body_len == payload + len);
    if (m.kind == RPC_REQUEST) {
        rpc_put_request(&b, m.number, m.method, m.body, m.body_len);
    } else if (m.kind == RPC_NOTICE) {
        rpc_put_notice(&b, m.method, m.body, m.body_len);
    } else if (m.code == 0) {
        rpc_put_reply(&b, m.number, m.body, m.body_len);
    }
    assert(b.len == 0 ||
           (b.len == len + FRAME_HEAD && memcmp(b.data + FRAME_HEAD, payload, len) == 0));
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame_reader f;
    const uint8_t *payload;
    size_t len;
    int r = 0;
    one(data, size); /* Also as one message. */
    if (size < 1) {
        return 0;
    }
    size_t step = data[0] + 1u;
    frame_reader_init(&f, 4096);
    for (size_t at = 1; at < size && r >= 0; at += step) {
        frame_feed(&f, data + at, (size_t)min_u64(step, size - at));
        while ((r = frame_next(&f, &payload, &len)) > 0) {
            assert(len <= 4096);
            one(payload, len);
            if (step % 3 == 0) {
                frame_pause(&f);
            }
        }
    }
    frame_reader_done(&f);
    return 0;
}
