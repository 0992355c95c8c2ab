/* Any bytes from another member: decoded or refused; what is decoded encodes to the same bytes. */

#include <assert.h>
#include <string.h>

#include "raftlog/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf b = {0};
    struct msg m;

    if (msg_decode(data, size, &m) != 0) {
        return 0;
    }
    switch ((int)m.type) {
    case 0: msg_put_core(&b, &m.core); break;
    case MSG_FORWARD:
        msg_put_forward(&b);
        for (uint32_t i = 0; i < m.items_n; i++) {
            msg_put_item(&b, m.items[i].ticket, m.items[i].data, m.items[i].len);
        }
        break;
    case MSG_REFUSED: msg_put_refused(&b, m.ticket, m.code); break;
    case MSG_READ_ASK: msg_put_read_ask(&b, m.ticket); break;
    case MSG_READ_ANSWER: msg_put_read_answer(&b, m.ticket, m.term, m.index); break;
    case MSG_PROBE:
    case MSG_PROBE_OK: msg_put_probe(&b, m.type, m.term, m.seq); break;
    case MSG_NOTE: msg_put_note(&b, m.note, m.note_len); break;
    case MSG_REMOVED: msg_put_removed(&b, m.term, m.index); break;
    default: assert(0);
    }
    assert(b.len == size && memcmp(b.data, data, size) == 0);
    msg_done(&m);
    buf_done(&b);
    return 0;
}
