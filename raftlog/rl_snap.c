/* Snapshots: taking, sending, receiving, restoring. What reads or writes a whole file runs as a
 * task of the disk, in the background. */

#include <stdlib.h>
#include <string.h>

#include "core/mark.h"
#include "core/util.h"

#include "raftlog/rl.h"

/* A transfer whose channel stays down so long is ended; the node begins it again when needed, and
 * the receiver goes on from what it has. */
#define IDLE_MS 5000u

/* A member that has no room, or is busy with another snapshot, is asked again after this. */
#define AGAIN_MS 500u

/* --- taking */

struct rl_snap_job {
    struct disk_task task;
    struct rl_snap_job *next;
    struct raftlog *rl;
    uint64_t number;
    void *handle;
    struct snap_meta meta;
    struct id pool;
    int code;
};

static int job_write(void *ctx, const void *data, size_t len, struct err *e)
{
    return snap_write(ctx, data, len, e);
}

static void job_work(struct disk_task *t)
{
    struct rl_snap_job *j = CONTAINER_OF(t, struct rl_snap_job, task);
    struct raftlog *rl = j->rl;
    struct snap_writer *w = NULL;
    struct err e = {0};
    j->code = snap_create(&w, rl->disk, &j->pool, &j->meta, &e);
    if (j->code != 0) {
        return;
    }
    j->code = rl->opt.machine.stream(j->handle, job_write, w, &e);
    if (j->code != 0) {
        snap_abort(w);
        return;
    }
    j->code = snap_finish(w, NULL, &e);
    if (j->code == 0) {
        (void)snap_prune(rl->disk, j->meta.term, j->meta.index, &e); /* The next one tries again. */
    }
}

static void job_end(struct rl_snap_job *j)
{
    struct raftlog *rl = j->rl;
    struct rl_snap_job **p = &rl->jobs;
    while (*p != j) {
        p = &(*p)->next;
    }
    *p = j->next;
    rl->opt.machine.unfreeze(rl->opt.machine.ctx, j->handle);
    free(j);
}

static void job_done(struct disk_task *t)
{
    struct rl_snap_job *j = CONTAINER_OF(t, struct rl_snap_job, task);
    struct raftlog *rl = j->rl;
    struct err e = {0};
    if (rl->node != NULL && !rl->failed) {
        if (j->code == 0) {
            rl->snapshot_index = j->meta.index;
        }
        if (node_snapshot_taken(rl->node, j->number, j->code, rl_now_ms(rl), &e) != 0) {
            rl_fatal(rl, &e);
        }
        rl_wake(rl);
    }
    job_end(j);
}

static void meta_from(struct snap_meta *m, const struct node_snapshot *s)
{
    *m = (struct snap_meta){
        .index = s->index, .term = s->term, .conf_index = s->conf_index, .conf_len = s->conf_len};
    memcpy(m->conf, s->conf, s->conf_len);
}

void rl_snapshot_take(void *ctx, uint64_t job, const struct node_snapshot *meta)
{
    struct raftlog *rl = ctx;
    struct rl_snap_job *j = mem_new(1, sizeof *j);
    uint64_t index = 0;
    j->task = (struct disk_task){.work = job_work, .done = job_done, .slow = true};
    j->rl = rl;
    j->number = job;
    j->pool = rl->guard.record.pool;
    meta_from(&j->meta, meta);
    j->handle = rl->opt.machine.freeze(rl->opt.machine.ctx, &index);
    j->next = rl->jobs;
    rl->jobs = j;
    disk_run(rl->disk, &j->task);
}

void rl_snapshot_cancel(void *ctx, uint64_t job)
{
    (void)ctx; /* It is left to end; the node ignores a cancelled job's answer. */
    (void)job;
}

/* --- sending */

struct rl_snap_out {
    struct rl_snap_out *next;
    struct disk_task task;
    struct raftlog *rl;
    uint64_t to;
    uint64_t index;
    uint64_t term;
    struct snapsend send;
    struct snap_meta meta;
    struct disk_file *file;
    int code;       /* Of opening. */
    bool ready;     /* Opened and summed up: may be sent. */
    bool abandoned; /* To be freed when the task is done. */
    uint64_t moved_ms;
    uint64_t again_ms; /* When to offer it again; 0: it goes on. */
};

static void out_free(struct rl_snap_out *o)
{
    struct rl_snap_out **p = &o->rl->outs;
    while (*p != o) {
        p = &(*p)->next;
    }
    *p = o->next;
    disk_close(o->file);
    free(o);
}

static void out_end(struct rl_snap_out *o, int code)
{
    struct raftlog *rl = o->rl;
    struct err e = {0};
    uint64_t to = o->to;
    uint64_t index = o->index;
    if (o->ready) {
        out_free(o);
    } else {
        o->abandoned = true; /* Its task still runs. */
        o->to = 0;
    }
    if (node_snapshot_sent(rl->node, to, index, code, rl_now_ms(rl), &e) != 0) {
        rl_fatal(rl, &e);
    }
    rl_wake(rl);
}

static int out_chunk(struct rl_snap_out *o, uint64_t offset, size_t len, struct buf *frame)
{
    struct err e = {0};
    size_t n = 0;
    uint8_t *bytes = mem_new(1, len);
    int rc = disk_read(o->file, offset, bytes, len, &n, &e);
    if (rc == 0 && n != len) {
        rc = ERR_CORRUPT;
    }
    if (rc == 0) {
        snapsend_chunk(&o->send, bytes, len, frame);
    }
    free(bytes);
    return rc;
}

/* Send what the window allows. May end the transfer. */
static void out_pump(struct rl_snap_out *o)
{
    struct raftlog *rl = o->rl;
    struct buf frame = {0};
    int rc = 0;
    while (rc == 0 && o->ready && o->again_ms == 0 && !o->send.ended &&
           peers_is_up(rl->peers, o->to, PEERS_BULK)) {
        uint64_t offset = 0;
        size_t len = 0;
        buf_clear(&frame);
        enum snapsend_step step = snapsend_next(&o->send, &frame, &offset, &len);
        if (step == SNAPSEND_WAIT) {
            break;
        }
        if (step == SNAPSEND_READ) {
            rc = out_chunk(o, offset, len, &frame);
        }
        if (rc == 0 && !peers_send(rl->peers, o->to, PEERS_BULK, frame.data, frame.len)) {
            rc = ERR_CLOSED; /* The window is smaller than the queue: the channel just broke. */
        }
        o->moved_ms = rl_now_ms(rl);
    }
    buf_done(&frame);
    if (rc == 0 && o->send.ended && (o->send.code == ERR_NO_SPACE || o->send.code == ERR_BUSY)) {
        struct snap_offer offer = o->send.offer;
        snapsend_init(&o->send, &offer);
        MARK(snapshot_offered_again);
        o->again_ms = rl_now_ms(rl) + AGAIN_MS;
    } else if (rc != 0 || o->send.ended) {
        out_end(o, rc != 0 ? rc : o->send.code);
    }
}

static void out_work(struct disk_task *t)
{
    struct rl_snap_out *o = CONTAINER_OF(t, struct rl_snap_out, task);
    char name[DISK_NAME_SIZE];
    struct err e = {0};
    snap_name(name, o->term, o->index);
    o->code = snap_verify(o->rl->disk, &o->rl->guard.record.pool, name, &o->meta, &e);
    if (o->code == 0) {
        o->code = disk_open(o->rl->disk, name, DISK_READ, &o->file, &e);
    }
}

static void out_opened(struct disk_task *t)
{
    struct rl_snap_out *o = CONTAINER_OF(t, struct rl_snap_out, task);
    o->ready = true;
    if (o->abandoned || o->rl->failed) {
        out_free(o);
        return;
    }
    if (o->code != 0) {
        out_end(o, o->code);
        return;
    }
    struct snap_offer offer = {
        .index = o->index, .term = o->term, .file_bytes = o->meta.file_bytes, .sum = o->meta.sum};
    snapsend_init(&o->send, &offer);
    out_pump(o);
}

/* A newer snapshot goes to this member: an older one under way is of no use. */
static void out_supersede(struct raftlog *rl, uint64_t to)
{
    for (struct rl_snap_out *o = rl->outs, *next; o != NULL; o = next) {
        next = o->next;
        if (o->to == to && o->ready) {
            out_free(o);
        } else if (o->to == to) {
            o->abandoned = true;
            o->to = 0;
        }
    }
}

void rl_snapshot_send(void *ctx, uint64_t to, uint64_t index, uint64_t term)
{
    struct raftlog *rl = ctx;
    out_supersede(rl, to);
    struct rl_snap_out *o = mem_new(1, sizeof *o);
    o->task = (struct disk_task){.work = out_work, .done = out_opened, .slow = true};
    o->rl = rl;
    o->to = to;
    o->index = index;
    o->term = term;
    o->moved_ms = rl_now_ms(rl);
    o->next = rl->outs;
    rl->outs = o;
    disk_run(rl->disk, &o->task);
}

/* --- receiving */

struct rl_snap_in {
    struct disk_task task;
    struct raftlog *rl;
    uint64_t from;
    struct snap_offer offer;
    struct snaprecv recv;
    struct disk_file *file;
    struct snap_meta meta;
    bool checking; /* Its task runs. */
    bool checked;  /* Whole; waits for the offer that makes it this member's truth. */
    bool restoring;
    int code;
    struct wal_append restart;
};

static void answer(struct raftlog *rl, uint64_t to, const struct buf *frame)
{
    if (frame->len > 0) {
        /* Lost with the channel: the sender offers again. */
        (void)peers_send(rl->peers, to, PEERS_BULK, frame->data, frame->len);
    }
}

static void in_free(struct raftlog *rl)
{
    if (rl->in != NULL && !rl->in->checking) {
        disk_close(rl->in->file);
        free(rl->in);
        rl->in = NULL;
    }
}

/* What came in whole may be of no use: the leader that sent it is gone, and the next one has
 * another file. It is kept until that one offers its own. */
static void drop_checked(struct raftlog *rl, const struct snap_offer *offer)
{
    const struct rl_snap_in *in = rl->in;
    if (in == NULL || !in->checked || in->restoring ||
        (in->offer.index == offer->index && in->offer.term == offer->term &&
         hash_equal(in->offer.sum, offer->sum))) {
        return;
    }
    MARK(snapshot_useless);
    node_snapshot_dropped(rl->node);
    in_free(rl);
}

/* Begin to take it in, or go on; what is to be answered is in *frame. */
static void
take_in(struct raftlog *rl, uint64_t from, const struct snap_offer *offer, struct buf *frame)
{
    struct err e = {0};
    struct disk_file *file = NULL;
    uint64_t have = 0;
    in_free(rl);
    int rc = snap_in_open(rl->disk, offer, &file, &have, &e);
    if (rc != 0) {
        snaprecv_refuse(offer, rc, frame);
        return;
    }
    MARK_IF(snapshot_resumed, have > 0);
    rl->in = mem_new(1, sizeof *rl->in);
    *rl->in = (struct rl_snap_in){.rl = rl, .from = from, .offer = *offer, .file = file};
    snaprecv_open(&rl->in->recv, offer, have, frame);
}

static void on_offer(struct raftlog *rl, uint64_t from, const struct snap_offer *offer)
{
    CLEANUP(buf_done) struct buf frame = {0};
    drop_checked(rl, offer);
    struct rl_snap_in *in = rl->in;
    if (in != NULL && (in->checking || in->restoring)) {
        snaprecv_refuse(offer, ERR_BUSY, &frame);
    } else if (in != NULL && in->checked) {
        (void)snaprecv_checked(&in->recv, 0, &frame); /* It is here already. */
    } else if (offer->index <= rl->opt.machine.applied(rl->opt.machine.ctx)) {
        MARK(snapshot_not_needed);
        snaprecv_refuse(offer, ERR_STALE, &frame);
    } else {
        take_in(rl, from, offer, &frame);
    }
    answer(rl, from, &frame);
}

static void in_work(struct disk_task *t)
{
    struct rl_snap_in *in = CONTAINER_OF(t, struct rl_snap_in, task);
    struct err e = {0};
    in->code = snap_in_check(in->rl->disk, &in->rl->guard.record.pool, &in->offer, &in->meta, &e);
}

static struct node_snapshot snapshot_of(const struct snap_meta *m)
{
    return (struct node_snapshot){.index = m->index,
                                  .term = m->term,
                                  .conf_index = m->conf_index,
                                  .conf = m->conf,
                                  .conf_len = m->conf_len};
}

static void in_checked(struct disk_task *t)
{
    struct rl_snap_in *in = CONTAINER_OF(t, struct rl_snap_in, task);
    struct raftlog *rl = in->rl;
    struct buf frame = {0};
    struct err e = {0};
    in->checking = false;
    if (rl->failed || rl->closing > 0) {
        in_free(rl);
        return;
    }
    bool goes_on = snaprecv_checked(&in->recv, in->code, &frame);
    answer(rl, in->from, &frame);
    buf_done(&frame);
    if (in->code == 0) {
        struct node_snapshot s = snapshot_of(&in->meta);
        in->checked = true;
        if (node_snapshot_received(rl->node, &s, rl_now_ms(rl), &e) != 0) {
            rl_fatal(rl, &e);
        }
    } else if (!goes_on) {
        in_free(rl);
    }
    rl_wake(rl);
}

static void on_chunk(struct raftlog *rl, uint64_t from, const struct snap_msg *m)
{
    struct rl_snap_in *in = rl->in;
    struct buf frame = {0};
    struct err e = {0};
    bool all = false;
    if (in == NULL || in->from != from || in->checking || in->checked ||
        m->index != in->offer.index || m->term != in->offer.term) {
        return; /* Of a transfer that was given up. */
    }
    int rc = snaprecv_chunk(&in->recv, m, &frame, &all);
    if (rc == 0) {
        rc = disk_write(in->file, m->offset, m->data, m->len, &e);
    }
    if (rc != 0) {
        buf_clear(&frame);
        MARK(chunk_refused);
        snaprecv_refuse(&in->offer, rc, &frame);
        in_free(rl);
        all = false;
    }
    answer(rl, from, &frame);
    buf_done(&frame);
    if (all) {
        in->checking = true;
        in->task = (struct disk_task){.work = in_work, .done = in_checked, .slow = true};
        disk_run(rl->disk, &in->task);
    }
}

void rl_snap_frame(struct raftlog *rl, uint64_t from, const void *data, size_t len)
{
    struct snap_msg m;
    if (snap_msg_decode(data, len, &m) != 0) {
        peers_drop(rl->peers, from);
        return;
    }
    switch (m.kind) {
    case SNAP_OFFER: on_offer(rl, from, &m.offer); return;
    case SNAP_CHUNK: on_chunk(rl, from, &m); return;
    case SNAP_WANT:
    case SNAP_DONE:
    case SNAP_REFUSED: break;
    }
    for (struct rl_snap_out *o = rl->outs; o != NULL; o = o->next) {
        if (o->to == from && o->ready && o->index == m.index && o->term == m.term) {
            (void)snapsend_on(&o->send, &m); /* A wrong one changes nothing. */
            out_pump(o);
            return;
        }
    }
}

/* --- restoring */

static int64_t load_read(void *ctx, void *data, size_t len, struct err *e)
{
    return snap_read(ctx, data, len, e);
}

int rl_snap_load(struct raftlog *rl, const char *name, struct err *e)
{
    struct snap_reader *r = NULL;
    struct snap_meta *m = mem_new(1, sizeof *m);
    int rc = snap_open(&r, rl->disk, &rl->guard.record.pool, name, m, e);
    if (rc == 0) {
        rc = rl->opt.machine.load(rl->opt.machine.ctx, m->index, load_read, r, e);
    }
    snap_close(r);
    free(m);
    return rc;
}

static void restored(struct wal_append *a, int code)
{
    struct rl_snap_in *in = CONTAINER_OF(a, struct rl_snap_in, restart);
    struct raftlog *rl = in->rl;
    struct err e = {0};
    char name[DISK_NAME_SIZE];
    if (rl->failed || rl->closing > 0) {
        return;
    }
    snap_name(name, in->meta.term, in->meta.index);
    int rc = code != 0 ? err_set(&e, code, "begin the log anew: %s", err_text(code)) : 0;
    rc = rc == 0 ? rl_snap_load(rl, name, &e) : rc;
    if (rc == 0) {
        (void)snap_prune(rl->disk, in->meta.term, in->meta.index,
                         &e); /* The next one tries again. */
        rl->snapshot_index = in->meta.index;
        rc = node_snapshot_restored(rl->node, in->meta.index, rl_now_ms(rl), &e);
    }
    if (rc != 0) {
        rl_fatal(rl, &e);
    }
    in_free(rl);
    rl_wake(rl);
}

void rl_snapshot_restore(void *ctx, const struct node_snapshot *meta)
{
    struct raftlog *rl = ctx;
    struct rl_snap_in *in = rl->in;
    struct err e = {0};
    if (in == NULL || !in->checked || in->meta.index != meta->index) {
        (void)err_set(&e, ERR_INTERNAL, "no snapshot of %llu came in",
                      (unsigned long long)meta->index);
        rl_fatal(rl, &e);
        return;
    }
    int rc = snap_in_keep(rl->disk, &in->offer, &e);
    rc = rc == 0 ? guard_lower_acked(&rl->guard, meta->index, &e) : rc;
    if (rc != 0) {
        rl_fatal(rl, &e);
        return;
    }
    rl_forget_stalled(rl);
    in->restoring = true;
    in->restart = (struct wal_append){.done = restored};
    rc = wal_restart(rl->wal, &in->restart, meta->index, meta->term);
    if (rc != 0) { /* Its disk failed before, and it had nothing to write since. */
        in->restoring = false;
        (void)err_set(&e, rc, "begin the log anew: %s", err_text(rc));
        rl_fatal(rl, &e);
    }
}

/* --- channels, time, the end */

void rl_snap_down(struct raftlog *rl, uint64_t raft_id)
{
    for (struct rl_snap_out *o = rl->outs; o != NULL; o = o->next) {
        if (o->to == raft_id && o->ready) {
            snapsend_broken(&o->send);
        }
    }
}

void rl_snap_room(struct raftlog *rl, uint64_t raft_id)
{
    for (struct rl_snap_out *o = rl->outs, *next; o != NULL; o = next) {
        next = o->next;
        if (o->to == raft_id && o->ready) {
            out_pump(o);
        }
    }
}

void rl_snap_tick(struct raftlog *rl, uint64_t now_ms)
{
    for (struct rl_snap_out *o = rl->outs, *next; o != NULL; o = next) {
        next = o->next;
        if (o->ready && o->again_ms != 0 && now_ms >= o->again_ms) {
            o->again_ms = 0;
            o->moved_ms = now_ms;
            out_pump(o);
        } else if (o->ready && now_ms - o->moved_ms > IDLE_MS) {
            out_end(o, ERR_TIMEOUT);
        }
    }
}

void rl_snap_close(struct raftlog *rl)
{
    for (struct rl_snap_out *o = rl->outs, *next; o != NULL; o = next) {
        next = o->next;
        if (o->ready) {
            out_free(o);
        }
    }
    if (rl->in != NULL && !rl->in->checked) {
        in_free(rl);
    }
}

void rl_snap_end(struct raftlog *rl)
{
    for (struct rl_snap_job *j = rl->jobs, *next; j != NULL; j = next) {
        next = j->next;
        job_end(j);
    }
    for (struct rl_snap_out *o = rl->outs, *next; o != NULL; o = next) {
        next = o->next;
        out_free(o);
    }
    if (rl->in != NULL) {
        rl->in->checking = false;
        in_free(rl);
    }
}
