/* The dialling side: one stream to one member on one channel.
 *
 * When to dial: at once when the member is new, was up until now, or has just dialled us. An
 * attempt that nobody refused within connect_ms met a cut or a dead host; waiting was done already,
 * so the next follows at once, and the first after the cut heals gets through. A refused attempt
 * (the host is there, its daemon is not) waits 20 ms, doubling up to backoff_ms, jittered; a hello
 * that was answered by no waits the full backoff_ms.
 *
 * When to give up: the kernel repeats unacknowledged bytes at intervals that double, so a path that
 * healed would stay unused for as long as it was cut. A stream without any acknowledgement for
 * stall_ms, and then for STALLED_MS more, is therefore reset and dialled again. Reset, because the
 * end of the old stream that the kernel would otherwise deliver after the cut looks to the other
 * side as if our program had died.
 */
#include <assert.h>
#include <string.h>

#include "core/util.h"

#include "raftlog/peers_msg.h"
#include "raftlog/peers_priv.h"
#include "raftlog/raftlog.h"

#define BACKOFF_MIN_MS 20
/* How long a stream must look dead before it is given up. */
#define STALLED_MS 100
/* How long to send what is queued at the very end. */
#define FINISH_MS 200

void peers_out_init(struct out *o, struct member *m, enum peers_channel channel)
{
    memset(o, 0, sizeof *o);
    o->member = m;
    o->channel = channel;
    frame_reader_init(&o->frames, PEERS_HELLO_MAX);
}

static void move(struct out *o, enum out_state state)
{
    o->state = state;
    o->age_ms = 0;
    o->stalled_ms = 0;
}

static void forget_frames(struct out *o)
{
    frame_reader_done(&o->frames);
    frame_reader_init(&o->frames, PEERS_HELLO_MAX);
}

void peers_out_done(struct out *o)
{
    if (o->stream != NULL) {
        stream_close(o->stream);
        o->stream = NULL;
    }
    frame_reader_done(&o->frames);
}

void peers_out_finish(struct out *o)
{
    if (o->stream != NULL) {
        stream_finish(o->stream, FINISH_MS);
        o->stream = NULL;
    }
    frame_reader_done(&o->frames);
}

static uint32_t jitter(struct peers *p, uint32_t ms)
{
    return ms == 0 ? 0 : ms / 2 + (uint32_t)rng_below(&p->rng, ms / 2 + 1);
}

/* Back to waiting. */
static void wait_for(struct out *o, uint32_t ms)
{
    if (o->stream != NULL) {
        stream_reset(o->stream);
        o->stream = NULL;
    }
    forget_frames(o);
    o->wait_ms = jitter(o->member->peers, ms);
    move(o, OUT_WAIT);
}

static void dial(struct out *o);

/* An attempt failed, or the stream that was up broke. */
static void failed(struct out *o, uint32_t least_ms)
{
    uint32_t max = o->member->peers->o.backoff_ms;
    uint32_t ms = 0;
    if (o->failures > 0) {
        uint32_t shift = o->failures > 16 ? 16 : o->failures - 1;
        ms = (uint32_t)BACKOFF_MIN_MS << shift;
    }
    ms = ms < least_ms ? least_ms : ms;
    o->failures++;
    wait_for(o, ms > max ? max : ms);
    if (o->wait_ms == 0) {
        dial(o);
    }
}

static void down(struct out *o)
{
    struct peers *p = o->member->peers;
    bool was_up = o->state == OUT_UP;
    bool owed = o->full;
    o->full = false;
    o->failures = was_up ? 0 : o->failures;
    failed(o, 0);
    if (was_up && p->o.on_down != NULL) {
        p->o.on_down(p->o.ctx, o->member->target.raft_id, o->channel);
    }
    if (was_up && owed && p->o.on_room != NULL && !o->member->gone) {
        p->o.on_room(p->o.ctx, o->member->target.raft_id, o->channel);
    }
}

/* --- callbacks of the stream, in the order they happen */

static void out_opened(void *ctx, int code)
{
    struct out *o = ctx;
    struct peers *p = o->member->peers;
    if (code == ERR_TIMEOUT) {
        wait_for(o, 0);
        dial(o);
        return;
    }
    if (code != 0) {
        failed(o, 0);
        return;
    }
    struct peers_hello h = {.from = p->self,
                            .nonce = p->nonce,
                            .serial = ++p->serial,
                            .to_raft_id = o->member->target.raft_id,
                            .channel = o->channel,
                            .adopt = o->member->target.adopt};
    stream_write(o->stream, RAFTLOG_MAGIC, RAFTLOG_MAGIC_LEN);
    peers_put_hello(stream_out(o->stream), &h);
    move(o, OUT_HELLO);
}

static void answer(struct out *o, const struct peers_answer *a)
{
    struct peers *p = o->member->peers;
    if (a->code == 0) {
        o->failures = 0;
        move(o, OUT_UP);
    } else { /* Stale: our newer attempt came first; the next one is newer still. */
        failed(o, a->code == ERR_STALE ? 0 : p->o.backoff_ms);
    }
    o->disbelieved = false;
    if (p->o.on_answer != NULL) {
        p->o.on_answer(p->o.ctx, o->member->target.raft_id, o->channel, a);
    }
    if (o->disbelieved && o->state == OUT_UP) {
        failed(o, p->o.backoff_ms);
    }
}

static void out_read(void *ctx, const uint8_t *data, size_t len)
{
    struct out *o = ctx;
    struct peers_answer a;
    struct err e;
    const uint8_t *payload;
    size_t n;
    if (o->state == OUT_UP) { /* Nothing may come after the answer. */
        down(o);
        return;
    }
    frame_feed(&o->frames, data, len);
    int r = frame_next(&o->frames, &payload, &n);
    if (r == 0) {
        return;
    }
    if (r < 0 || peers_read_answer(payload, n, &a, &e) != 0 || o->frames.n > 0) {
        memset(&a, 0, sizeof a);
        a.code = r < 0 ? ERR_TOO_BIG : ERR_MALFORMED;
        (void)str_copy(a.text, sizeof a.text, "it answers what is no answer to a hello");
        if (r > 0 && e.code == ERR_VERSION) {
            a.code = ERR_VERSION;
            (void)str_copy(a.text, sizeof a.text, e.msg);
        }
    }
    answer(o, &a);
}

static void out_end(void *ctx, int code)
{
    (void)code;
    down(ctx);
}

static void out_wrote(void *ctx)
{
    struct out *o = ctx;
    struct peers *p = o->member->peers;
    if (o->full && stream_unsent(o->stream) <= p->o.queue_bytes / 4) {
        o->full = false;
        if (p->o.on_room != NULL) {
            p->o.on_room(p->o.ctx, o->member->target.raft_id, o->channel);
        }
    }
}

static const struct stream_handler out_handler = {.opened = out_opened,
                                                  .read = out_read,
                                                  .end = out_end,
                                                  .wrote = out_wrote};

/* --- time */

static void dial(struct out *o)
{
    struct peers *p = o->member->peers;
    assert(o->stream == NULL);
    if (p->closing || p->self.raft_id == 0 || o->member->bad_address || o->member->gone) {
        return;
    }
    o->stream = stream_connect(p->group, &o->member->addr, p->o.connect_ms, &out_handler, o);
    move(o, OUT_DIAL);
}

void peers_out_restart(struct out *o, bool again)
{
    o->failures = 0;
    o->full = false;
    wait_for(o, 0);
    if (again) {
        dial(o);
    }
}

void peers_out_poke(struct out *o)
{
    if (o->state == OUT_WAIT) {
        o->failures = 0;
        dial(o);
    }
}

static void tick_up(struct out *o, uint32_t elapsed_ms)
{
    const struct peers *p = o->member->peers;
    if (o->age_ms >= p->o.idle_ms) {
        buf_put_u32(stream_out(o->stream), 0);
        o->age_ms = 0;
    }
    /* For a while: after our own absence the last acknowledgement is old, and the one of what we
     * have just sent is on its way. */
    bool stalled = stream_unacked_ms(o->stream) >= p->o.stall_ms;
    o->stalled_ms = stalled ? o->stalled_ms + elapsed_ms : 0;
    if (o->stalled_ms >= STALLED_MS) {
        down(o);
    }
}

void peers_out_tick(struct out *o, uint32_t elapsed_ms)
{
    o->age_ms += elapsed_ms;
    switch (o->state) {
    case OUT_WAIT:
        if (o->age_ms >= o->wait_ms) {
            dial(o);
        }
        break;
    case OUT_DIAL: break; /* The stream has its own deadline. */
    case OUT_HELLO:
        if (o->age_ms >= o->member->peers->o.hello_ms) {
            failed(o, 0);
        }
        break;
    case OUT_UP: tick_up(o, elapsed_ms); break;
    }
}
