/* The node's requests to the log on disk, the guard record, the room on the disk. */

#include <stdlib.h>

#include "core/log.h"
#include "core/mark.h"
#include "core/util.h"

#include "raftlog/rl.h"

/* An append under way, or one that found no room: those are tried again, in their order, before any
 * other, for the node counts on every entry that it gave away. */
struct rl_append {
    struct wal_append wal;
    struct rl_append *next;
    struct raftlog *rl;
    uint64_t last;
    uint64_t last_term;
    uint64_t valid; /* As far as it was not cut since: what it vouches for. */
    bool stalled;
};

int rl_save_vote(void *ctx, uint64_t term, uint64_t vote, struct err *e)
{
    struct raftlog *rl = ctx;
    int rc = guard_told(&rl->guard, e); /* Who is alone tells nobody, and acts all the same. */
    return rc == 0 ? vote_save(&rl->vote, term, vote, e) : rc;
}

static void append_free(struct rl_append *a)
{
    struct rl_append **p = &a->rl->appends;
    while (*p != a) {
        p = &(*p)->next;
    }
    *p = a->next;
    wal_forget(&a->wal);
    free(a);
}

static void append_failed(struct raftlog *rl, int code)
{
    struct err e = {0};
    (void)err_set(&e, code, "write the log: %s", err_text(code));
    rl_fatal(rl, &e);
}

static void append_done(struct wal_append *wal, int code)
{
    struct rl_append *a = CONTAINER_OF(wal, struct rl_append, wal);
    struct raftlog *rl = a->rl;
    struct err e = {0};
    uint64_t last = a->last;
    uint64_t term = a->last_term;
    uint64_t valid = a->valid;
    if (code == ERR_NO_SPACE) {
        a->stalled = true;
        MARK(append_stalled);
        rl->stalled = true;
        rl_wake(rl);
        return;
    }
    append_free(a);
    if (rl->node == NULL || rl->failed) {
        return;
    }
    if (code != 0) {
        MARK(log_failed);
        /* The entries are in the node's memory and are not durable here. There is no taking them
         * back, so this member starts again from what is on its disk. */
        append_failed(rl, code);
        return;
    }
    rl->stalled = false;
    guard_acked(&rl->guard, term, valid);
    if (node_persisted(rl->node, last, term, rl_now_ms(rl), &e) != 0) {
        rl_fatal(rl, &e);
    }
    rl_wake(rl);
}

static void retry_stalled(struct raftlog *rl)
{
    for (struct rl_append *a = rl->appends; a != NULL && !rl->failed; a = a->next) {
        if (a->stalled) {
            a->stalled = false;
            int rc = wal_retry(rl->wal, &a->wal);
            if (rc != 0) {
                append_failed(rl, rc);
            }
        }
    }
}

void rl_forget_stalled(struct raftlog *rl)
{
    for (struct rl_append *a = rl->appends, *next; a != NULL; a = next) {
        next = a->next;
        if (a->stalled) {
            append_free(a);
        }
    }
}

void rl_forget_appends(struct raftlog *rl)
{
    while (rl->appends != NULL) {
        append_free(rl->appends);
    }
}

void rl_append(void *ctx, const struct node_entry *entries, uint32_t n)
{
    struct raftlog *rl = ctx;
    uint64_t before = entries[0].index - 1;
    for (struct rl_append *old = rl->appends; old != NULL; old = old->next) {
        old->valid = min_u64(old->valid, before);
    }
    if (!guard_lower(&rl->guard, before)) {
        MARK(record_lowered);
        wal_hold(rl->wal, WAL_HOLD_GUARD,
                 true); /* Until the guard record says the lower index, on disk. */
        guard_save_soon(&rl->guard);
    }
    retry_stalled(rl);
    struct wal_entry *w = mem_new(n, sizeof *w);
    struct rl_append *a = mem_new(1, sizeof *a);
    for (uint32_t i = 0; i < n; i++) {
        w[i] = (struct wal_entry){.index = entries[i].index,
                                  .term = entries[i].term,
                                  .type = entries[i].type,
                                  .data = entries[i].data,
                                  .len = entries[i].len};
    }
    a->rl = rl;
    a->last = entries[n - 1].index;
    a->last_term = entries[n - 1].term;
    a->valid = a->last;
    a->wal = (struct wal_append){.entries = w, .n = n, .done = append_done};
    struct rl_append **end = &rl->appends;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = a;
    int rc = wal_append(rl->wal, &a->wal);
    free(w);
    if (rc != 0) {
        append_free(a);
        append_failed(rl, rc);
    }
}

void rl_guard_saved(void *ctx, int code, const struct err *e)
{
    struct raftlog *rl = ctx;
    if (code != 0) {
        rl_fatal(rl, e);
    } else if (rl->closing > 0 || rl->failed) {
        return;
    } else if (guard_is_lowered(&rl->guard)) {
        wal_hold(rl->wal, WAL_HOLD_GUARD, false);
    } else {
        guard_save_soon(&rl->guard);
    }
}

void rl_trim(void *ctx, uint64_t first)
{
    struct raftlog *rl = ctx;
    if (first > 1) {
        wal_trim(rl->wal, first - 1);
    }
}

int rl_read(void *ctx, uint64_t index, struct node_entry *ret, struct buf *ret_data)
{
    struct raftlog *rl = ctx;
    struct wal_entry w;
    struct err e = {0};
    int rc = wal_read(rl->wal, index, &w, ret_data, &e);
    if (rc == 0) {
        *ret = (struct node_entry){.index = w.index,
                                   .term = w.term,
                                   .len = (uint32_t)w.len,
                                   .type = (enum node_entry_type)w.type};
    }
    return rc;
}

/* --- now and then */

#define GUARD_PERIOD_MS 2000u

#define RETRY_PERIOD_MS 300u

/* Whether this host takes new entries: not while the ballast is given back or an append waits. */
static void tell_room(struct raftlog *rl, uint64_t now_ms)
{
    struct err e = {0};
    bool full = rl->ballast.low || rl->stalled;
    if (full == rl->told_full || rl->node == NULL || rl->failed) {
        return;
    }
    rl->told_full = full;
    rl->changed = true;
    log_line(full ? LOG_ERROR : LOG_INFO, full ? "disk_full" : "disk_has_room", "dir", rl->dir,
             NULL);
    if (node_set_disk_full(rl->node, full, now_ms, &e) != 0) {
        rl_fatal(rl, &e);
    }
}

void rl_room_changed(void *ctx, bool low)
{
    (void)low; /* rl->ballast.low says it; the end of the turn tells the node. */
    rl_wake(ctx);
}

void rl_disk_tick(struct raftlog *rl, uint64_t now_ms)
{
    tell_room(rl, now_ms);
    if (rl->stalled && now_ms - rl->retried_ms >= RETRY_PERIOD_MS) {
        rl->retried_ms = now_ms;
        retry_stalled(rl);
    }
    if (now_ms - rl->guard_saved_ms < GUARD_PERIOD_MS) {
        return;
    }
    rl->guard_saved_ms = now_ms;
    ballast_poll(&rl->ballast);
    guard_save_soon(&rl->guard);
}
