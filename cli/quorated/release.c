/* An orderly end that gives the lease back (docs/protocols/leases.md): no lease is asked for and
 * nothing guarded begins any more; the agent ends the guarded copies; when none is left the host
 * says so in the log, and its protected guests are started elsewhere without waiting for the lease
 * to end. Whatever of it fails, the daemon stops in the end, and the lease runs out as it always
 * would. */

#include "core/log.h"
#include "core/util.h"

#include "cli/quorated/agent.h"
#include "cli/quorated/daemon.h"
#include "cli/quorated/leasing.h"

#define RELEASE_MS 10000u

static void released(void *ctx, int code, const struct outcome *o)
{
    struct daemon *d = ctx;
    if (code != 0 || o->code != 0) {
        log_line(LOG_WARN, "release_failed", "err", err_text(code != 0 ? code : -(int)o->code),
                 NULL);
    }
    daemon_stop(d);
}

static void give_back(struct daemon *d)
{
    struct raftlog_status st;
    struct cmd_host_release r;
    raftlog_status(d->rl, &st);
    schema_init(command_by_number(COMMAND_host_release)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, d->opt.name);
    r.raft_id = st.raft_id;
    r.incarnation = st.incarnation;
    d->released = true;
    log_line(LOG_INFO, "released", NULL);
    propose_record(d, COMMAND_host_release, &r, NULL, released, d);
}

void daemon_release(struct daemon *d)
{
    struct raftlog_status st;
    if (d->stopping || d->release_until_ms != 0) {
        return;
    }
    raftlog_status(d->rl, &st);
    d->release_until_ms = d->clock->mono_ms(d->clock) + RELEASE_MS;
    log_line(LOG_INFO, "releasing", NULL);
    leasing_release(d->leasing);
    if (st.blank || d->diverged || !d->current) {
        daemon_stop(d); /* It has no say, or does not know what it has. */
    }
}

void release_tick(struct daemon *d, uint64_t now_ms)
{
    if (d->stop_due) {
        daemon_stop(d);
    }
    if (d->release_until_ms == 0 || d->stopping) {
        return;
    }
    if (now_ms >= d->release_until_ms) {
        log_line(LOG_WARN, "release_failed", "err", "it took too long", NULL);
        daemon_stop(d);
    } else if (!d->released && agent_has_let_go(d->agent)) {
        give_back(d);
    }
}
