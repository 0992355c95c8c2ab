/* The state machine as the log sees it.
 *
 * Groups of entries that were committed within a second share one transaction of the
 * store: with one client that waits for each answer, most of the cost of an entry would else be the
 * pages of its own transaction. Everybody in this process sees them at once, and what a killed
 * process had not settled it takes from the log again. */

#include "core/mutant.h"

#include "cli/quorated/agent.h"
#include "cli/quorated/daemon.h"

static uint64_t machine_applied(void *ctx)
{
    struct daemon *d = ctx;
    return fsm_applied(d->fsm);
}

static int apply_batch(struct daemon *d,
                       const struct raftlog_entry *entries,
                       uint32_t n,
                       struct id *requests,
                       struct err *e)
{
    int rc = fsm_begin(d->fsm, e);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        const struct raftlog_entry *en = &entries[i];
        if (en->data == NULL) {
            rc = fsm_skip(d->fsm, en->index, e);
            continue;
        }
        struct fsm_applied_entry done;
        rc = fsm_apply(d->fsm, &(struct fsm_input){en->index, en->term, en->data, en->len}, &done,
                       e);
        requests[i] = done.request;
    }
    return rc == 0 ? fsm_commit_later(d->fsm, e) : rc;
}

/* When the store's transaction ends at the latest: so long after its first group, or with so many
 * entries in it. */
#define SETTLE_MS      1000u
#define SETTLE_ENTRIES 16384u

static void settle_due(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    struct err e = {0};
    if (fsm_settle(d->fsm, &e) != 0) {
        daemon_fatal(d, &e);
    }
}

static int settle_soon(struct daemon *d, struct err *e)
{
    if (fsm_unsettled(d->fsm) >= SETTLE_ENTRIES) {
        return fsm_settle(d->fsm, e);
    }
    if (!uv_is_active((uv_handle_t *)&d->settle)) {
        (void)uv_timer_start(&d->settle, settle_due, SETTLE_MS, 0); /* Fails only when closing. */
    }
    return 0;
}

/* Entries of one call at most; more come in slices, each its own transaction. */
#define SLICE 512u

static int machine_apply(void *ctx, const struct raftlog_entry *entries, uint32_t n, struct err *e)
{
    struct daemon *d = ctx;
    while (n > 0) {
        uint32_t take = n < SLICE ? n : SLICE;
        struct id requests[SLICE] = {0};
        int rc = apply_batch(d, entries, take, requests, e);
        if (rc != 0) {
            return rc;
        }
        for (uint32_t i = 0; i < take; i++) {
            if (!id_is_none(&requests[i])) {
                raftlog_applied_request(d->rl, &requests[i], entries[i].index);
            }
        }
        daemon_applied(d);
        rc = settle_soon(d, e);
        if (rc != 0) {
            return rc;
        }
        entries += take;
        n -= take;
    }
    return 0;
}

static void *machine_freeze(void *ctx, uint64_t *ret_index)
{
    struct daemon *d = ctx;
    struct fsm_view *v = fsm_view_open(d->fsm);
    *ret_index = v == NULL                      ? 0
                 : MUTANT(snapshot_lacks_batch) ? fsm_applied(d->fsm)
                                                : fsm_view_index(v);
    return v;
}

static int machine_stream(void *handle,
                          int (*write)(void *wctx, const void *data, size_t len, struct err *e),
                          void *wctx,
                          struct err *e)
{
    if (handle == NULL) {
        return err_set(e, ERR_BUSY, "no view of the state could be had");
    }
    return fsm_snapshot_write(handle, write, wctx, e);
}

static void machine_unfreeze(void *ctx, void *handle)
{
    (void)ctx;
    (void)fsm_view_close(handle);
}

static int machine_load(void *ctx,
                        uint64_t index,
                        int64_t (*read)(void *rctx, void *data, size_t len, struct err *e),
                        void *rctx,
                        struct err *e)
{
    struct daemon *d = ctx;
    int rc = fsm_snapshot_load(d->fsm, read, rctx, e);
    if (rc == 0 && fsm_applied(d->fsm) != index) {
        rc = err_set(e, ERR_CORRUPT, "snapshot is of index %llu, not %llu",
                     (unsigned long long)fsm_applied(d->fsm), (unsigned long long)index);
    }
    if (rc == 0 && d->agent != NULL) {
        agent_state_replaced(d->agent);
    }
    return rc;
}

struct raftlog_machine machine_of(struct daemon *d)
{
    return (struct raftlog_machine){
        .ctx = d,
        .applied = machine_applied,
        .apply = machine_apply,
        .freeze = machine_freeze,
        .stream = machine_stream,
        .unfreeze = machine_unfreeze,
        .load = machine_load,
    };
}
