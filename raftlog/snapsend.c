#include "raftlog/snapsend.h"

#include <assert.h>
#include <string.h>

#include "core/mp.h"
#include "core/util.h"

/* --- frames: [kind, index, term, number, number, bin] */

static void
put(struct buf *out, const struct snap_msg *m, uint64_t a, uint64_t b, const void *data, size_t len)
{
    mp_put_array(out, 6);
    mp_put_uint(out, (uint64_t)m->kind);
    mp_put_uint(out, m->index);
    mp_put_uint(out, m->term);
    mp_put_uint(out, a);
    mp_put_uint(out, b);
    mp_put_bin(out, data, len);
}

void snap_msg_encode(const struct snap_msg *m, struct buf *out)
{
    uint8_t sum[16];
    switch (m->kind) {
    case SNAP_OFFER:
        store_u64(sum, m->offer.sum.lo);
        store_u64(sum + 8, m->offer.sum.hi);
        put(out, m, m->offer.file_bytes, 0, sum, sizeof sum);
        break;
    case SNAP_WANT: put(out, m, m->offset, m->rewind ? 1 : 0, NULL, 0); break;
    case SNAP_CHUNK: put(out, m, m->offset, 0, m->data, m->len); break;
    case SNAP_DONE: put(out, m, 0, 0, NULL, 0); break;
    case SNAP_REFUSED: put(out, m, (uint64_t)-m->code, 0, NULL, 0); break;
    }
}

static int fill(struct snap_msg *m, uint64_t kind, uint64_t a, uint64_t b)
{
    switch (kind) {
    case SNAP_OFFER:
        if (m->len != 16 || b != 0 || a == 0) {
            return ERR_MALFORMED;
        }
        m->offer = (struct snap_offer){.index = m->index, .term = m->term, .file_bytes = a};
        m->offer.sum.lo = load_u64(m->data);
        m->offer.sum.hi = load_u64(m->data + 8);
        break;
    case SNAP_WANT:
        m->offset = a;
        m->rewind = b == 1;
        if (b > 1 || m->len != 0) {
            return ERR_MALFORMED;
        }
        break;
    case SNAP_CHUNK:
        m->offset = a;
        if (b != 0 || m->len == 0 || m->len > SNAPSEND_CHUNK) {
            return ERR_MALFORMED;
        }
        break;
    case SNAP_DONE:
        if (a != 0 || b != 0 || m->len != 0) {
            return ERR_MALFORMED;
        }
        break;
    case SNAP_REFUSED:
        if (a == 0 || a > 1000 || b != 0 || m->len != 0) {
            return ERR_MALFORMED;
        }
        m->code = -(int)a;
        break;
    default: return ERR_MALFORMED;
    }
    m->kind = (enum snap_msg_kind)kind;
    return 0;
}

int snap_msg_decode(const void *data, size_t len, struct snap_msg *ret)
{
    struct mp_reader r;
    uint32_t n = 0;
    uint64_t kind = 0;
    uint64_t a = 0;
    uint64_t b = 0;
    memset(ret, 0, sizeof *ret);
    mp_reader_init(&r, data, len);
    if (mp_get_array(&r, &n) != 0 || n != 6 || mp_get_uint(&r, &kind) != 0 ||
        mp_get_uint(&r, &ret->index) != 0 || mp_get_uint(&r, &ret->term) != 0 ||
        mp_get_uint(&r, &a) != 0 || mp_get_uint(&r, &b) != 0 ||
        mp_get_bin(&r, &ret->data, &ret->len) != 0 || !mp_at_end(&r)) {
        return ERR_MALFORMED;
    }
    return fill(ret, kind, a, b);
}

/* --- sender */

void snapsend_init(struct snapsend *s, const struct snap_offer *offer)
{
    *s = (struct snapsend){.offer = *offer};
}

void snapsend_broken(struct snapsend *s)
{
    s->offered = false;
    s->wanted = false;
}

enum snapsend_step
snapsend_next(struct snapsend *s, struct buf *ret, uint64_t *ret_offset, size_t *ret_len)
{
    if (s->ended) {
        return SNAPSEND_WAIT;
    }
    if (!s->offered) {
        s->offered = true;
        snap_msg_encode(&(struct snap_msg){.kind = SNAP_OFFER,
                                           .index = s->offer.index,
                                           .term = s->offer.term,
                                           .offer = s->offer},
                        ret);
        return SNAPSEND_OFFER;
    }
    if (!s->wanted || s->sent == s->offer.file_bytes ||
        s->sent - s->there + SNAPSEND_CHUNK > SNAPSEND_WINDOW) {
        return SNAPSEND_WAIT;
    }
    *ret_offset = s->sent;
    *ret_len = (size_t)min_u64(SNAPSEND_CHUNK, s->offer.file_bytes - s->sent);
    return SNAPSEND_READ;
}

void snapsend_chunk(struct snapsend *s, const void *data, size_t len, struct buf *ret)
{
    snap_msg_encode(&(struct snap_msg){.kind = SNAP_CHUNK,
                                       .index = s->offer.index,
                                       .term = s->offer.term,
                                       .offset = s->sent,
                                       .data = data,
                                       .len = len},
                    ret);
    s->sent += len;
    assert(s->sent <= s->offer.file_bytes);
}

static int on_want(struct snapsend *s, const struct snap_msg *m)
{
    if (!s->offered) {
        return 0; /* An answer to the channel before this one. */
    }
    if (m->offset > s->offer.file_bytes) {
        return ERR_MALFORMED;
    }
    if (m->rewind) {
        s->wanted = true;
        s->sent = s->there = m->offset;
        return 0;
    }
    if (!s->wanted) {
        return 0;
    }
    if (m->offset < s->there || m->offset > s->sent) {
        return ERR_MALFORMED;
    }
    s->there = m->offset;
    return 0;
}

int snapsend_on(struct snapsend *s, const struct snap_msg *m)
{
    if (s->ended || m->index != s->offer.index || m->term != s->offer.term) {
        return 0;
    }
    switch (m->kind) {
    case SNAP_WANT: return on_want(s, m);
    case SNAP_DONE: s->ended = true; return 0;
    case SNAP_REFUSED:
        s->ended = true;
        s->code = m->code;
        return 0;
    case SNAP_OFFER:
    case SNAP_CHUNK: break;
    }
    return ERR_MALFORMED;
}

/* --- receiver */

static void answer(struct snaprecv *r, enum snap_msg_kind kind, bool rewind, struct buf *ret)
{
    r->answered = r->have;
    snap_msg_encode(&(struct snap_msg){.kind = kind,
                                       .index = r->offer.index,
                                       .term = r->offer.term,
                                       .offset = r->have,
                                       .rewind = rewind},
                    ret);
}

void snaprecv_open(struct snaprecv *r,
                   const struct snap_offer *offer,
                   uint64_t have,
                   struct buf *ret)
{
    bool again = r->offer.index == offer->index && r->offer.term == offer->term &&
                 hash_equal(r->offer.sum, offer->sum);
    *r = (struct snaprecv){
        .offer = *offer, .open = true, .have = have, .tries = again ? r->tries : 0};
    if (r->have == offer->file_bytes) {
        r->have -= 1; /* So that a last chunk comes, and with it the check. */
    }
    answer(r, SNAP_WANT, /*rewind=*/true, ret);
}

int snaprecv_chunk(struct snaprecv *r, const struct snap_msg *m, struct buf *ret, bool *ret_all)
{
    *ret_all = false;
    if (!r->open || m->index != r->offer.index || m->term != r->offer.term) {
        return ERR_STALE;
    }
    if (m->offset != r->have || m->len > r->offer.file_bytes - r->have) {
        return ERR_MALFORMED;
    }
    r->have += m->len;
    *ret_all = r->have == r->offer.file_bytes;
    if (r->have - r->answered >= SNAPSEND_ANSWER && !*ret_all) {
        answer(r, SNAP_WANT, /*rewind=*/false, ret);
    }
    return 0;
}

bool snaprecv_checked(struct snaprecv *r, int code, struct buf *ret)
{
    if (code == 0) {
        r->open = false;
        answer(r, SNAP_DONE, /*rewind=*/false, ret);
        return false;
    }
    if (r->tries < SNAPSEND_TRIES) {
        r->tries++;
        r->have = 0;
        answer(r, SNAP_WANT, /*rewind=*/true, ret);
        return true;
    }
    r->open = false;
    snaprecv_refuse(&r->offer, code, ret);
    return false;
}

void snaprecv_refuse(const struct snap_offer *offer, int code, struct buf *ret)
{
    assert(code < 0);
    snap_msg_encode(
        &(struct snap_msg){
            .kind = SNAP_REFUSED, .index = offer->index, .term = offer->term, .code = code},
        ret);
}
