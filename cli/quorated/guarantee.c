/* What ends this host's protected guests when its lease ends, told to the pool: level-triggered, so
 * that a report that is lost is made again. */

#include "core/log.h"
#include "core/util.h"

#include "cli/quorated/daemon.h"
#include "cli/quorated/leasing.h"

/* A guard that died is replaced within much less: no report of that. */
#define WITHOUT_MS 2000u

/* Nor is a report made again sooner. */
#define AGAIN_MS 1000u

static void told(void *ctx, int code, const struct outcome *o)
{
    struct daemon *d = ctx;
    (void)code;
    (void)o;
    d->guarantee_proposing = false;
}

static enum guarantee guarantee_now(struct daemon *d, uint64_t now_ms)
{
    enum guarantee now = warden_guarantee(leasing_warden(d->leasing));
    if (now != GUARANTEE_NONE || d->guaranteed_ms == 0) {
        d->guaranteed_ms = now_ms;
        d->guarantee = now;
    } else if (now_ms >= d->guaranteed_ms + WITHOUT_MS) {
        d->guarantee = now;
    }
    return d->guarantee;
}

void guarantee_tick(struct daemon *d, uint64_t now_ms)
{
    struct raftlog_status st;
    struct host h;
    raftlog_status(d->rl, &st);
    enum guarantee now = guarantee_now(d, now_ms);
    if (d->guarantee_proposing || now_ms < d->guarantee_at_ms || d->announced_raft_id == 0 ||
        d->announced_raft_id != st.raft_id || d->release_until_ms != 0) {
        return;
    }
    struct fsm_view *v = fsm_look(d->fsm);
    bool differs = v != NULL && fsm_get_host(v, d->opt.name, &h) == 0 && h.guarantee != now &&
                   h.raft_id == st.raft_id;
    (void)fsm_view_close(v);
    if (!differs) {
        return;
    }
    struct cmd_host_guarantee r;
    schema_init(command_by_number(COMMAND_host_guarantee)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, d->opt.name);
    r.raft_id = st.raft_id;
    r.incarnation = st.incarnation;
    r.guarantee = now;
    d->guarantee_proposing = true;
    d->guarantee_at_ms = now_ms + AGAIN_MS;
    propose_record(d, COMMAND_host_guarantee, &r, NULL, told, d);
}
