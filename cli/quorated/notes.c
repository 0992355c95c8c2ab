/* Figures and progress from host to host, outside the log: small messages that may be lost.
 *
 *   [1, applied index, hash high, hash low]   a host's own state, when it changed, twice a second
 *   [2, operation, eight figures]             progress of an outgoing migration
 *   [3, member number]                        asks the master to hand over (0: to anybody)
 *   [4, operation, commit ms, resume ms]      a host's share of a move's stand-still, 0: not mine
 *   [5, number]                               asks the master for a lease
 *   [6, number, length in ms, log index]      the master grants it
 */

#include "core/log.h"
#include "core/mp.h"
#include "core/util.h"

#include "cli/quorated/daemon.h"
#include "cli/quorated/leasing.h"

#define NOTE_STATE     1u
#define NOTE_PROGRESS  2u
#define NOTE_TRANSFER  3u
#define NOTE_STILL     4u
#define NOTE_ASK       5u
#define NOTE_GRANT     6u
#define NOTE_PERIOD_MS 500u
#define NOTE_STALE_MS  5000u
#define FIGURES        8u

static void figures_of(const struct hv_progress *p, uint64_t f[FIGURES])
{
    f[0] = p->total_bytes;
    f[1] = p->sent_bytes;
    f[2] = p->remaining_bytes;
    f[3] = p->rate_bytes_per_s;
    f[4] = p->dirty_bytes_per_s;
    f[5] = p->passes;
    f[6] = p->percent;
    f[7] = p->downtime_ms;
}

static struct op_note *op_note_slot(struct daemon *d, uint64_t op)
{
    struct op_note *oldest = &d->op_notes[0];
    for (uint32_t i = 0; i < OP_NOTES; i++) {
        if (d->op_notes[i].op == op) {
            return &d->op_notes[i];
        }
        if (d->op_notes[i].heard_ms < oldest->heard_ms) {
            oldest = &d->op_notes[i];
        }
    }
    return oldest;
}

/* What is kept of this operation; takes the place of the one that was heard longest ago. */
static struct op_note *op_note_of(struct daemon *d, uint64_t op)
{
    struct op_note *n = op_note_slot(d, op);
    if (n->op != op) {
        *n = (struct op_note){.op = op};
    }
    n->heard_ms = d->clock->mono_ms(d->clock);
    return n;
}

static void keep_progress(struct daemon *d, uint64_t op, const uint64_t f[FIGURES])
{
    struct op_note *n = op_note_of(d, op);
    n->progress = (struct hv_progress){
        .total_bytes = f[0],
        .sent_bytes = f[1],
        .remaining_bytes = f[2],
        .rate_bytes_per_s = f[3],
        .dirty_bytes_per_s = f[4],
        .passes = (uint32_t)(f[5] & UINT32_MAX),
        .percent = f[6] > 100 ? 100 : (uint32_t)f[6],
        .downtime_ms = (uint32_t)(f[7] & UINT32_MAX),
    };
    watch_progress(d, op);
}

static void keep_still(struct daemon *d, uint64_t op, uint64_t commit_ms, uint64_t resume_ms)
{
    struct op_note *n = op_note_of(d, op);
    n->commit_ms = (uint32_t)max_u64(n->commit_ms, commit_ms & UINT32_MAX);
    n->resume_ms = (uint32_t)max_u64(n->resume_ms, resume_ms & UINT32_MAX);
}

static void keep_state(struct daemon *d, uint64_t from, uint64_t applied, struct hash128 hash)
{
    struct host_note *free_slot = &d->host_notes[0];
    for (uint32_t i = 0; i < LIMIT_HOSTS; i++) {
        struct host_note *n = &d->host_notes[i];
        if (n->raft_id == from) {
            free_slot = n;
            break;
        }
        if (n->heard_ms < free_slot->heard_ms) {
            free_slot = n;
        }
    }
    *free_slot = (struct host_note){.raft_id = from,
                                    .applied_index = applied,
                                    .hash = hash,
                                    .heard_ms = d->clock->mono_ms(d->clock)};
}

static void handle_transfer(struct daemon *d, uint64_t to)
{
    struct err e;
    if (raftlog_transfer(d->rl, to, &e) != 0) {
        log_line(LOG_WARN, "transfer_refused", "err", e.msg, NULL);
    }
}

void notes_receive(void *ctx, uint64_t from, const void *data, size_t len)
{
    struct daemon *d = ctx;
    struct mp_reader r;
    mp_reader_init(&r, data, len);
    uint32_t n;
    uint64_t kind;
    uint64_t f[1 + FIGURES] = {0};
    if (mp_get_array(&r, &n) != 0 || n < 1 || n > 2 + FIGURES || mp_get_uint(&r, &kind) != 0) {
        return; /* A note of a newer program: not for us. */
    }
    for (uint32_t i = 0; i + 1 < n; i++) {
        if (mp_get_uint(&r, &f[i]) != 0) {
            return;
        }
    }
    if (!mp_at_end(&r)) {
        return;
    }
    if (kind == NOTE_STATE && n == 4) {
        keep_state(d, from, f[0], (struct hash128){.hi = f[1], .lo = f[2]});
    } else if (kind == NOTE_PROGRESS && n == 2 + FIGURES) {
        keep_progress(d, f[0], f + 1);
    } else if (kind == NOTE_STILL && n == 4) {
        keep_still(d, f[0], f[1], f[2]);
    } else if (kind == NOTE_TRANSFER && n == 2) {
        handle_transfer(d, f[0]);
    } else if (kind == NOTE_ASK && n == 2) {
        leasing_asked(d->leasing, from, f[0]);
    } else if (kind == NOTE_GRANT && n == 4) {
        leasing_granted(d->leasing, f[0], f[1], f[2]);
    }
}

/* A note of figures alone. */
static void send_note(struct daemon *d, uint64_t to, const uint64_t *figures, uint32_t n)
{
    struct buf b = {0};
    mp_put_array(&b, n);
    for (uint32_t i = 0; i < n; i++) {
        mp_put_uint(&b, figures[i]);
    }
    raftlog_note(d->rl, to, b.data, b.len);
    buf_done(&b);
}

void notes_lease_ask(struct daemon *d, uint64_t master, uint64_t number)
{
    send_note(d, master, (const uint64_t[]){NOTE_ASK, number}, 2);
}

void notes_lease_grant(struct daemon *d,
                       uint64_t to,
                       uint64_t number,
                       uint64_t lease_ms,
                       uint64_t index)
{
    send_note(d, to, (const uint64_t[]){NOTE_GRANT, number, lease_ms, index}, 4);
}

void notes_tick(struct daemon *d, uint64_t now_ms)
{
    static const uint64_t repeat_ms = NOTE_STALE_MS / 2; /* Also when nothing changed. */
    uint64_t applied = fsm_applied(d->fsm);
    struct raftlog_status st;
    raftlog_status(d->rl, &st);
    if (st.blank || (applied == d->note_sent_index && now_ms - d->note_sent_ms < repeat_ms) ||
        now_ms - d->note_sent_ms < NOTE_PERIOD_MS) {
        return;
    }
    struct hash128 hash = fsm_hash(d->fsm);
    send_note(d, 0, (const uint64_t[]){NOTE_STATE, applied, hash.hi, hash.lo}, 4);
    d->note_sent_index = applied;
    d->note_sent_ms = now_ms;
}

void notes_progress(struct daemon *d, uint64_t op, const struct hv_progress *progress)
{
    uint64_t f[2 + FIGURES] = {NOTE_PROGRESS, op};
    figures_of(progress, f + 2);
    send_note(d, 0, f, ARRAY_LEN(f));
    keep_progress(d, op, f + 2);
}

void notes_stood_still(struct daemon *d, uint64_t op, uint32_t commit_ms, uint32_t resume_ms)
{
    send_note(d, 0, (const uint64_t[]){NOTE_STILL, op, commit_ms, resume_ms}, 4);
    keep_still(d, op, commit_ms, resume_ms);
}

void notes_transfer(struct daemon *d, uint64_t to_raft_id)
{
    struct raftlog_status st;
    raftlog_status(d->rl, &st);
    if (st.leading) {
        handle_transfer(d, to_raft_id);
        return;
    }
    if (st.leader != 0) {
        send_note(d, st.leader, (const uint64_t[]){NOTE_TRANSFER, to_raft_id}, 2);
    }
}

const struct host_note *notes_host(struct daemon *d, uint64_t raft_id)
{
    uint64_t now = d->clock->mono_ms(d->clock);
    for (uint32_t i = 0; i < LIMIT_HOSTS; i++) {
        const struct host_note *n = &d->host_notes[i];
        if (n->heard_ms != 0 && n->raft_id == raft_id && now - n->heard_ms <= NOTE_STALE_MS) {
            return n;
        }
    }
    return NULL;
}

const struct op_note *notes_op(struct daemon *d, uint64_t op)
{
    for (uint32_t i = 0; i < OP_NOTES; i++) {
        if (d->op_notes[i].heard_ms != 0 && d->op_notes[i].op == op) {
            return &d->op_notes[i];
        }
    }
    return NULL;
}
