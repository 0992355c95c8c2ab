#include "raftlog/msg.h"

#include <string.h>

#include "core/util.h"

/* Term, type, length. */
#define ENTRY_HEAD 13u

/* --- writing */

static void put_bool(struct buf *b, bool v)
{
    buf_put_u8(b, v ? 1 : 0);
}

size_t msg_entry_size(const struct node_entry *entry)
{
    return ENTRY_HEAD + (size_t)entry->len;
}

static void put_append(struct buf *b, const struct core_append *a)
{
    buf_put_u64(b, a->prev_index);
    buf_put_u64(b, a->prev_term);
    buf_put_u64(b, a->commit);
    buf_put_u32(b, a->n);
    for (uint32_t i = 0; i < a->n; i++) {
        buf_put_u64(b, a->entries[i].term);
        buf_put_u8(b, (uint8_t)a->entries[i].type);
        buf_put_u32(b, a->entries[i].len);
        buf_put(b, a->entries[i].data, a->entries[i].len);
    }
}

static void put_install(struct buf *b, const struct node_snapshot *s)
{
    buf_put_u64(b, s->index);
    buf_put_u64(b, s->term);
    buf_put_u64(b, s->conf_index);
    buf_put_u32(b, s->conf_len);
    buf_put(b, s->conf, s->conf_len);
}

void msg_put_core(struct buf *b, const struct core_message *m)
{
    buf_put_u8(b, (uint8_t)m->type);
    buf_put_u64(b, m->term);
    switch (m->type) {
    case CORE_APPEND: put_append(b, &m->append); break;
    case CORE_APPEND_RESULT:
        buf_put_u64(b, m->append_result.rejected);
        buf_put_u64(b, m->append_result.last_index);
        put_bool(b, m->append_result.disk_full);
        break;
    case CORE_VOTE:
        buf_put_u64(b, m->vote.last_index);
        buf_put_u64(b, m->vote.last_term);
        put_bool(b, m->vote.disrupt);
        put_bool(b, m->vote.pre);
        break;
    case CORE_VOTE_RESULT:
        put_bool(b, m->vote_result.granted);
        put_bool(b, m->vote_result.pre);
        put_bool(b, m->vote_result.disk_full);
        break;
    case CORE_INSTALL: put_install(b, &m->install); break;
    case CORE_TIMEOUT_NOW:
        buf_put_u64(b, m->timeout_now.last_index);
        buf_put_u64(b, m->timeout_now.last_term);
        break;
    }
}

void msg_put_forward(struct buf *b)
{
    buf_put_u8(b, MSG_FORWARD);
}

void msg_put_item(struct buf *b, uint64_t ticket, const void *data, uint32_t len)
{
    buf_put_u64(b, ticket);
    buf_put_u32(b, len);
    buf_put(b, data, len);
}

void msg_put_refused(struct buf *b, uint64_t ticket, int code)
{
    buf_put_u8(b, MSG_REFUSED);
    buf_put_u64(b, ticket);
    buf_put_u32(b, (uint32_t)-code);
}

void msg_put_read_ask(struct buf *b, uint64_t ticket)
{
    buf_put_u8(b, MSG_READ_ASK);
    buf_put_u64(b, ticket);
}

void msg_put_read_answer(struct buf *b, uint64_t ticket, uint64_t term, uint64_t index)
{
    buf_put_u8(b, MSG_READ_ANSWER);
    buf_put_u64(b, ticket);
    buf_put_u64(b, term);
    buf_put_u64(b, index);
}

void msg_put_probe(struct buf *b, enum msg_type type, uint64_t term, uint64_t seq)
{
    buf_put_u8(b, (uint8_t)type);
    buf_put_u64(b, term);
    buf_put_u64(b, seq);
}

void msg_put_note(struct buf *b, const void *data, size_t len)
{
    buf_put_u8(b, MSG_NOTE);
    buf_put(b, data, len);
}

void msg_put_removed(struct buf *b, uint64_t term, uint64_t conf_index)
{
    buf_put_u8(b, MSG_REMOVED);
    buf_put_u64(b, term);
    buf_put_u64(b, conf_index);
}

/* --- reading */

/* A cursor; once something did not fit, `bad` stays set and everything reads as zero. */
struct reader {
    const uint8_t *p;
    const uint8_t *end;
    bool bad;
};

static size_t left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}

static const uint8_t *get_bytes(struct reader *r, size_t len)
{
    if (r->bad || left(r) < len) {
        r->bad = true;
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += len;
    return p;
}

static uint8_t get_u8(struct reader *r)
{
    const uint8_t *p = get_bytes(r, 1);
    return p == NULL ? 0 : *p;
}

static uint32_t get_u32(struct reader *r)
{
    const uint8_t *p = get_bytes(r, 4);
    return p == NULL ? 0 : load_u32(p);
}

static uint64_t get_u64(struct reader *r)
{
    const uint8_t *p = get_bytes(r, 8);
    return p == NULL ? 0 : load_u64(p);
}

static bool get_bool(struct reader *r)
{
    uint8_t v = get_u8(r);
    r->bad = r->bad || v > 1;
    return v == 1;
}

static void get_conf(struct reader *r, const void **ret_data, uint32_t *ret_len)
{
    struct conf conf;

    *ret_len = get_u32(r);
    if (*ret_len > NODE_CONF_MAX) {
        r->bad = true;
    }
    *ret_data = get_bytes(r, *ret_len);
    if (!r->bad && conf_decode(*ret_data, *ret_len, &conf) != 0) {
        r->bad = true;
    }
}

static void get_entry(struct reader *r, struct node_entry *ret)
{
    ret->term = get_u64(r);
    uint8_t type = get_u8(r);
    switch (type) {
    case NODE_COMMAND:
        ret->len = get_u32(r);
        r->bad = r->bad || ret->len == 0 || ret->len > LIMIT_ENTRY;
        ret->data = get_bytes(r, ret->len);
        break;
    case NODE_BARRIER:
        ret->len = get_u32(r);
        r->bad = r->bad || ret->len != 0;
        break;
    case NODE_CHANGE: get_conf(r, &ret->data, &ret->len); break;
    default: r->bad = true; return;
    }
    ret->type = (enum node_entry_type)type;
    r->bad = r->bad || ret->term == 0;
}

static void get_append(struct reader *r, struct msg *m)
{
    struct core_append *a = &m->core.append;
    a->prev_index = get_u64(r);
    a->prev_term = get_u64(r);
    a->commit = get_u64(r);
    a->n = get_u32(r);
    /* Before the first entry there is none, and none has term 0. */
    r->bad = r->bad || (a->prev_index == 0) != (a->prev_term == 0);
    r->bad = r->bad || a->prev_index > UINT64_MAX / 2 || a->n > left(r) / ENTRY_HEAD;
    if (r->bad || a->n == 0) {
        return;
    }
    m->entries = mem_new(a->n, sizeof *m->entries);
    a->entries = m->entries;
    uint64_t term = a->prev_term;
    for (uint32_t i = 0; i < a->n && !r->bad; i++) {
        get_entry(r, &m->entries[i]);
        m->entries[i].index = a->prev_index + 1 + i;
        /* Terms never fall along the log, nor exceed the leader's. */
        r->bad = r->bad || m->entries[i].term < term || m->entries[i].term > m->core.term;
        term = m->entries[i].term;
    }
}

static void get_install(struct reader *r, struct node_snapshot *s)
{
    s->index = get_u64(r);
    s->term = get_u64(r);
    s->conf_index = get_u64(r);
    get_conf(r, &s->conf, &s->conf_len);
    r->bad = r->bad || s->index == 0 || s->index > UINT64_MAX / 2 || s->term == 0 ||
             s->conf_index == 0 || s->conf_index > s->index;
}

static void get_core(struct reader *r, uint8_t type, struct msg *m)
{
    struct core_message *c = &m->core;
    c->type = (enum core_message_type)type;
    c->term = get_u64(r);
    r->bad = r->bad || c->term == 0;
    switch (c->type) {
    case CORE_APPEND: get_append(r, m); break;
    case CORE_APPEND_RESULT:
        c->append_result.rejected = get_u64(r);
        c->append_result.last_index = get_u64(r);
        c->append_result.disk_full = get_bool(r);
        break;
    case CORE_VOTE:
        c->vote.last_index = get_u64(r);
        c->vote.last_term = get_u64(r);
        c->vote.disrupt = get_bool(r);
        c->vote.pre = get_bool(r);
        break;
    case CORE_VOTE_RESULT:
        c->vote_result.granted = get_bool(r);
        c->vote_result.pre = get_bool(r);
        c->vote_result.disk_full = get_bool(r);
        break;
    case CORE_INSTALL: get_install(r, &c->install); break;
    case CORE_TIMEOUT_NOW:
        c->timeout_now.last_index = get_u64(r);
        c->timeout_now.last_term = get_u64(r);
        break;
    default: r->bad = true; break;
    }
}

static void get_forward(struct reader *r, struct msg *m)
{
    uint32_t cap = 0;

    while (!r->bad && left(r) > 0) {
        if (m->items_n == cap) {
            cap = cap == 0 ? 8 : cap * 2;
            m->items = mem_grow(m->items, cap, sizeof *m->items);
        }
        struct msg_item *item = &m->items[m->items_n++];
        item->ticket = get_u64(r);
        item->len = get_u32(r);
        r->bad = r->bad || item->len == 0 || item->len > LIMIT_ENTRY;
        item->data = get_bytes(r, item->len);
    }
    r->bad = r->bad || m->items_n == 0;
}

static void get_refused(struct reader *r, struct msg *m)
{
    m->ticket = get_u64(r);
    uint32_t code = get_u32(r);
    r->bad = r->bad || code == 0 || code > 0xffff || !err_is_known(-(int)code);
    m->code = r->bad ? 0 : -(int)code;
}

static void get_other(struct reader *r, uint8_t type, struct msg *m)
{
    m->type = (enum msg_type)type;
    switch (m->type) {
    case MSG_FORWARD: get_forward(r, m); break;
    case MSG_REFUSED: get_refused(r, m); break;
    case MSG_READ_ASK: m->ticket = get_u64(r); break;
    case MSG_READ_ANSWER:
        m->ticket = get_u64(r);
        m->term = get_u64(r);
        m->index = get_u64(r);
        break;
    case MSG_PROBE:
    case MSG_PROBE_OK:
        m->term = get_u64(r);
        m->seq = get_u64(r);
        break;
    case MSG_NOTE:
        m->note_len = left(r);
        r->bad = r->bad || m->note_len > LIMIT_FRAME_CONTROL / 4;
        m->note = get_bytes(r, m->note_len);
        break;
    case MSG_REMOVED:
        m->term = get_u64(r);
        m->index = get_u64(r);
        break;
    default: r->bad = true; break;
    }
}

int msg_decode(const void *data, size_t len, struct msg *ret)
{
    struct reader r = {.p = data, .end = (const uint8_t *)data + len};

    memset(ret, 0, sizeof *ret);
    if (len > LIMIT_FRAME_CONTROL) {
        return ERR_MALFORMED;
    }
    uint8_t type = get_u8(&r);
    if (type < MSG_FORWARD) {
        get_core(&r, type, ret);
    } else {
        get_other(&r, type, ret);
    }
    if (r.bad || left(&r) != 0) {
        msg_done(ret);
        return ERR_MALFORMED;
    }
    return 0;
}

void msg_done(struct msg *m)
{
    free(m->entries);
    free(m->items);
    m->entries = NULL;
    m->items = NULL;
}
