/* What members say to each other, one message a frame.
 *
 * A fixed layout, little endian: a byte for the type, then its fields; so one message has one
 * encoding. The decoder never allocates more than the frame could hold, takes every byte, and
 * refuses flags other than 0 and 1, unknown types, contents over the limits and configurations that
 * are not one. Content points into the frame. */

#ifndef RAFTLOG_MSG_H
#define RAFTLOG_MSG_H

#include "core/buf.h"

#include "raftlog/core_step.h"

enum msg_type {
    /* 1 to 6: enum core_message_type. */
    MSG_FORWARD = 16,  /* Proposals for the leader. */
    MSG_REFUSED = 17,  /* A forwarded proposal was not put in the log. */
    MSG_READ_ASK = 18, /* Up to which index must I have applied to read? */
    MSG_READ_ANSWER = 19,
    MSG_PROBE = 20, /* Am I still your leader in this term? */
    MSG_PROBE_OK = 21,
    MSG_NOTE = 22,
    MSG_REMOVED = 23 /* You are not in the configuration that was committed at this index. */
};

/* Bytes of a MSG_FORWARD frame around each proposal's content. */
#define MSG_FORWARD_ITEM 12u

struct msg_item {
    uint64_t ticket;
    const void *data;
    uint32_t len;
};

struct msg {
    enum msg_type type; /* 0: `core`. */
    struct core_message core;
    uint64_t ticket; /* REFUSED, READ_*. */
    int code;        /* REFUSED: ERR_*. */
    uint64_t index;  /* READ_ANSWER, REMOVED. */
    uint64_t term;   /* PROBE*, REMOVED, READ_ANSWER. */
    uint64_t seq;    /* PROBE*. */
    const void *note;
    size_t note_len;
    /* Owned; msg_done() frees them. */
    struct node_entry *entries;
    struct msg_item *items;
    uint32_t items_n;
};

/* 0 or ERR_MALFORMED. On success msg_done() is owed. core.peer is left 0. */
int msg_decode(const void *data, size_t len, struct msg *ret);
void msg_done(struct msg *m);

/* Appends: m->append.entries (n of them), or m->install with its configuration, included. */
void msg_put_core(struct buf *b, const struct core_message *m);
/* Bytes of an entry in it. */
size_t msg_entry_size(const struct node_entry *entry);
/* Then any number of msg_put_item(), as far as LIMIT_FRAME_CONTROL allows. */
void msg_put_forward(struct buf *b);
void msg_put_item(struct buf *b, uint64_t ticket, const void *data, uint32_t len);
void msg_put_refused(struct buf *b, uint64_t ticket, int code);
void msg_put_read_ask(struct buf *b, uint64_t ticket);
void msg_put_read_answer(struct buf *b, uint64_t ticket, uint64_t term, uint64_t index);
void msg_put_probe(struct buf *b, enum msg_type type, uint64_t term, uint64_t seq);
void msg_put_note(struct buf *b, const void *data, size_t len);
void msg_put_removed(struct buf *b, uint64_t term, uint64_t conf_index);

#endif
