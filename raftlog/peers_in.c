/* The accepting side: connections that say hello, and the frames of those that were accepted. */
#include <string.h>
#include <unistd.h>

#include "core/util.h"

#include "raftlog/peers_msg.h"
#include "raftlog/peers_priv.h"
#include "raftlog/raftlog.h"

/* Connections that have not said hello yet; the oldest goes when one more comes. */
#define PENDING_MAX 64
/* All of them: the members of a pool twice over, so that each can be superseded at any time. */
#define INS_MAX (2 * PEERS_CHANNELS * LIMIT_HOSTS + PENDING_MAX)
/* How long one that is told no has to read it. */
#define FINISH_MS 500

/* Out of the ring and into the trash; the stream is the caller's to end. */
static void leave(struct in *in)
{
    struct peers *p = in->peers;
    in->gone = true;
    in->prev->next = in->next;
    in->next->prev = in->prev;
    p->n_ins--;
    p->n_pending -= in->up ? 0 : 1;
    in->next_trash = p->trash_ins;
    p->trash_ins = in;
}

void peers_in_close(struct in *in)
{
    leave(in);
    stream_close(in->stream);
}

void peers_in_free(struct in *in)
{
    frame_reader_done(&in->frames);
    buf_done(&in->read_ahead);
    free(in);
}

/* Close it and say how it ended. */
static void lose(struct in *in, enum peers_end end)
{
    struct peers *p = in->peers;
    bool was_up = in->up;
    leave(in);
    stream_close(in->stream);
    if (was_up && p->o.on_lost != NULL) {
        p->o.on_lost(p->o.ctx, in->hello.from.raft_id, in->hello.channel, end);
    }
}

/* --- hello */

static struct in *find_up(const struct peers *p, uint64_t raft_id, enum peers_channel channel)
{
    for (struct in *in = p->ins.next; in != &p->ins; in = in->next) {
        if (in->up && in->hello.from.raft_id == raft_id && in->hello.channel == channel) {
            return in;
        }
    }
    return NULL;
}

static void say(struct in *in, int code, const char *text)
{
    const struct peers *p = in->peers;
    struct peers_answer a;
    memset(&a, 0, sizeof a);
    a.code = code;
    (void)str_copy(a.text, sizeof a.text, text);
    a.pool = p->self.pool;
    a.raft_id = p->self.raft_id;
    a.incarnation = p->self.incarnation;
    a.nonce = p->nonce;
    a.blank = p->self.raft_id == 0;
    peers_put_answer(stream_out(in->stream), &a);
}

static void refuse(struct in *in, int code, const char *text)
{
    say(in, code, text);
    leave(in);
    stream_finish(in->stream, FINISH_MS);
}

/* What can be said without asking anybody; 0 if nothing. */
static int plain_no(const struct in *in, const struct peers_hello *h, char *text)
{
    const struct peers *p = in->peers;
    const struct in *old = find_up(p, h->from.raft_id, h->channel);
    if (h->nonce == p->nonce) {
        (void)str_copy(text, LIMIT_DETAIL + 1, "this host has dialled itself: a wrong address");
        return ERR_INVALID;
    }
    if (old != NULL && old->hello.nonce == h->nonce && old->hello.serial >= h->serial) {
        (void)str_copy(text, LIMIT_DETAIL + 1, "a newer connection of this member is here already");
        return ERR_STALE;
    }
    if (p->n_ins >= INS_MAX) {
        (void)str_copy(text, LIMIT_DETAIL + 1, "too many connections");
        return ERR_BUSY;
    }
    return 0;
}

static void hello(struct in *in, const uint8_t *payload, size_t len)
{
    struct peers *p = in->peers;
    struct peers_hello h;
    struct err e;
    char text[LIMIT_DETAIL + 1] = "";
    if (stream_peer_ended(in->stream)) {
        /* It was given up while we were away (a process that was stopped finds many of these); to
         * supersede a good connection by a dead one would look like a reset a moment later. */
        lose(in, PEERS_RESET);
        return;
    }
    if (peers_read_hello(payload, len, &h, &e) != 0) {
        refuse(in, e.code, e.msg);
        return;
    }
    int code = plain_no(in, &h, text);
    if (code == 0) {
        p->deciding = in;
        code = p->o.on_hello(p->o.ctx, &h, text);
        p->deciding = NULL;
    }
    if (in->gone) {
        return;
    }
    if (code != 0) {
        text[LIMIT_DETAIL] = '\0';
        refuse(in, code, text[0] == '\0' ? err_text(code) : text);
        return;
    }
    struct in *old = find_up(p, h.from.raft_id, h.channel);
    in->hello = h;
    in->up = true;
    in->frames.max = peers_frame_max(h.channel);
    p->n_pending--;
    say(in, 0, "");
    if (old != NULL) {
        lose(old, PEERS_SUPERSEDED);
    }
    struct member *m = peers_member(p, h.from.raft_id);
    if (m != NULL) { /* It is there: do not wait to dial it. */
        peers_out_poke(&m->out[PEERS_CONTROL]);
        peers_out_poke(&m->out[PEERS_BULK]);
    }
}

/* --- bytes */

/* Deliver the frames that have come. Any callback may close this connection or put it on hold. */
static void deliver(struct in *in)
{
    struct peers *p = in->peers;
    const uint8_t *payload;
    size_t len;
    int r = 0;
    while (!in->gone && !in->hold && (r = frame_next(&in->frames, &payload, &len)) > 0) {
        if (!in->up) {
            hello(in, payload, len);
        } else if (len > 0) {
            p->o.on_frame(p->o.ctx, in->hello.from.raft_id, in->hello.channel, payload, len);
        }
    }
    if (in->gone) {
        return;
    }
    if (in->hold) {
        frame_pause(&in->frames);
        stream_read_stop(in->stream);
    } else if (r < 0 && in->up) {
        lose(in, PEERS_BROKEN);
    } else if (r < 0) {
        refuse(in, ERR_TOO_BIG, "a hello over the limit");
    }
}

static void in_read(void *ctx, const uint8_t *data, size_t len)
{
    struct in *in = ctx;
    in->silent_ms = 0;
    frame_feed(&in->frames, data, len);
    deliver(in);
}

static void in_end(void *ctx, int code)
{
    lose(ctx, code == ERR_TIMEOUT ? PEERS_SILENT : PEERS_RESET);
}

/* A poke: the read-ahead is to be looked at, or a hold is over. */
static void in_wrote(void *ctx)
{
    struct in *in = ctx;
    if (!in->begun) {
        in->begun = true;
        frame_feed(&in->frames, in->read_ahead.data + RAFTLOG_MAGIC_LEN,
                   in->read_ahead.len - RAFTLOG_MAGIC_LEN);
        deliver(in);
        buf_done(&in->read_ahead);
    } else if (!in->hold) {
        deliver(in);
    }
    if (!in->gone && !in->hold) {
        stream_read_start(in->stream);
    }
}

static const struct stream_handler in_handler = {.read = in_read, .end = in_end, .wrote = in_wrote};

void peers_accept(struct peers *p, int fd, const void *read_ahead, size_t len)
{
    if (p->closing || len < RAFTLOG_MAGIC_LEN ||
        memcmp(read_ahead, RAFTLOG_MAGIC, RAFTLOG_MAGIC_LEN) != 0) {
        (void)close(fd);
        return;
    }
    struct in *in = mem_new(1, sizeof *in);
    in->stream = stream_adopt(p->group, fd, &in_handler, in);
    if (in->stream == NULL) {
        free(in);
        return;
    }
    if (p->n_pending >= PENDING_MAX) {
        struct in *oldest = p->ins.next;
        while (oldest->up) {
            oldest = oldest->next;
        }
        peers_in_close(oldest);
    }
    in->peers = p;
    frame_reader_init(&in->frames, PEERS_HELLO_MAX);
    buf_put(&in->read_ahead, read_ahead, len);
    in->next = &p->ins;
    in->prev = p->ins.prev;
    in->prev->next = in;
    p->ins.prev = in;
    p->n_ins++;
    p->n_pending++;
    stream_read_stop(in->stream); /* First what is there already, from the loop. */
    stream_poke(in->stream);
}

void peers_hold(struct peers *p, uint64_t raft_id, enum peers_channel channel, bool hold)
{
    struct in *in = find_up(p, raft_id, channel);
    if (in == NULL || in->hold == hold) {
        return;
    }
    in->hold = hold;
    in->silent_ms = 0;
    if (hold) {
        stream_read_stop(in->stream);
    } else {
        stream_poke(in->stream);
    }
}

void peers_in_tick(struct in *in, uint32_t elapsed_ms)
{
    const struct peers *p = in->peers;
    in->silent_ms = in->hold ? 0 : in->silent_ms + elapsed_ms;
    if (in->up && in->silent_ms >= p->o.silence_ms) {
        lose(in, PEERS_SILENT);
    } else if (!in->up && in->silent_ms >= p->o.hello_ms) {
        refuse(in, ERR_TIMEOUT, "no hello in time");
    }
}
