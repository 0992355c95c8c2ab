/* Start, stop, and what happens after entries were applied. */

#include "cli/quorated/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/log.h"
#include "core/mark.h"
#include "core/mutant.h"
#include "core/os_random.h"
#include "core/util.h"
#include "core/uv_loop.h"

#include "cli/console.h"
#include "cli/quorated/agent.h"
#include "cli/quorated/consoles.h"
#include "cli/quorated/control_restart.h"
#include "cli/quorated/leasing.h"

#define TICK_MS 100u

/* --- parts that meet here */

static void log_changed(void *ctx)
{
    struct daemon *d = ctx;
    struct raftlog_status st;
    raftlog_status(d->rl, &st);
    if (st.term == d->logged_term && st.leader == d->logged_leader) {
        return;
    }
    d->logged_term = st.term;
    d->logged_leader = st.leader;
    char term[24];
    char leader[24];
    (void)snprintf(term, sizeof term, "%llu", (unsigned long long)st.term);
    (void)snprintf(leader, sizeof leader, "%llu", (unsigned long long)st.leader);
    log_line(LOG_INFO, "mastership", "term", term, "member", leader, "address", st.leader_address,
             NULL);
}

/* A replica that differs from the others stops and says so, its guests go on; any other fault ends
 * the daemon, which its service manager starts again. */
static void log_fatal(void *ctx, const struct err *e)
{
    struct daemon *d = ctx;
    d->broken = *e;
    d->diverged = true;
    log_line(LOG_ERROR, "replica_stopped", "code", err_name(e->code), "err", e->msg, NULL);
    if (d->agent != NULL) {
        agent_set_current(d->agent, false);
    }
    if (e->code != ERR_DIVERGED) {
        d->exit_status = 1;
        daemon_stop(d);
    }
}

void daemon_fatal(struct daemon *d, const struct err *e)
{
    log_fatal(d, e);
}

int daemon_no_view(struct daemon *d, struct err *e)
{
    struct err why;
    return fsm_failure(d->fsm, &why) == 0
               ? err_set(e, ERR_BUSY, "too many look at the state of host %s", d->opt.name)
               : err_set(e, ERR_CLOSED, "host %s has lost its state and stops: %s", d->opt.name,
                         why.msg);
}

static void driver_event(void *ctx, const struct hv_event *event)
{
    struct daemon *d = ctx;
    if (d->agent != NULL) {
        agent_event(d->agent, event);
    }
}

static void agent_propose(void *ctx,
                          uint32_t number,
                          const void *record,
                          const struct id *request,
                          void (*done)(void *dctx, int code, const struct outcome *outcome),
                          void *dctx)
{
    propose_record(ctx, number, record, request, done, dctx);
}

static void
agent_say(void *ctx, const char *event, const char *guest, uint64_t epoch, const struct err *err)
{
    (void)ctx;
    char text[24];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)epoch);
    bool bad = err != NULL && err->code != 0;
    log_line(bad ? LOG_WARN : LOG_INFO, event, "guest", guest, "epoch", text, bad ? "err" : NULL,
             bad ? err->msg : NULL, NULL);
}

static void agent_progress(void *ctx, uint64_t op, const struct hv_progress *progress)
{
    notes_progress(ctx, op, progress);
}

static void agent_stood_still(void *ctx, uint64_t op, uint32_t commit_ms, uint32_t resume_ms)
{
    notes_stood_still(ctx, op, commit_ms, resume_ms);
}

/* --- leases and the guard, as the agent sees them */

static bool guard_allows(void *ctx)
{
    return leasing_allows(((struct daemon *)ctx)->leasing);
}

static bool guard_is_over(void *ctx)
{
    return leasing_is_over(((struct daemon *)ctx)->leasing);
}

static bool guard_lets_go(void *ctx)
{
    return ((struct daemon *)ctx)->release_until_ms != 0;
}

static bool guard_holds(void *ctx, const struct id *guest, uint64_t epoch)
{
    struct daemon *d = ctx;
    return warden_look(leasing_warden(d->leasing), guest, epoch) == WARDEN_HELD;
}

static bool guard_killed(void *ctx, const struct id *guest, uint64_t epoch)
{
    struct daemon *d = ctx;
    return warden_killed(leasing_warden(d->leasing), guest, epoch);
}

static void guard_add(void *ctx, const struct hv_info *info)
{
    struct daemon *d = ctx;
    struct guard_copy copy = {.guest = info->key.uuid,
                              .epoch = info->key.epoch,
                              .pid = (uint64_t)info->pid,
                              .domain = info->domain};
    warden_add(leasing_warden(d->leasing), &copy);
}

static void guard_drop(void *ctx, const struct id *guest, uint64_t epoch)
{
    struct daemon *d = ctx;
    warden_drop(leasing_warden(d->leasing), guest, epoch);
}

static const struct agent_guard agent_guard = {.allows = guard_allows,
                                               .is_over = guard_is_over,
                                               .lets_go = guard_lets_go,
                                               .holds = guard_holds,
                                               .killed = guard_killed,
                                               .add = guard_add,
                                               .drop = guard_drop};

static bool offer_peer(void *ctx, int fd, const void *read_ahead, size_t len)
{
    struct daemon *d = ctx;
    if (!d->stopping && len >= CONSOLE_MAGIC_LEN &&
        memcmp(read_ahead, CONSOLE_MAGIC, CONSOLE_MAGIC_LEN) == 0) {
        consoles_accept(d->consoles, fd, read_ahead, len);
        return true;
    }
    if (len < RAFTLOG_MAGIC_LEN || memcmp(read_ahead, RAFTLOG_MAGIC, RAFTLOG_MAGIC_LEN) != 0 ||
        d->stopping) {
        return false;
    }
    raftlog_accept(d->rl, fd, read_ahead, len);
    return true;
}

void daemon_applied(struct daemon *d)
{
    size_t n;
    const struct event *events = fsm_new_events(d->fsm, &n);
    if (n > 0 && d->agent != NULL) {
        agent_state_changed(d->agent, events, n);
    }
    watch_applied(d);
}

/* --- telling the pool that this host is there */

static void announced(void *ctx, int code, const struct outcome *o)
{
    struct daemon *d = ctx;
    d->announcing = false;
    if (code == 0 && o->code == 0) {
        d->announced_raft_id = d->announced_next;
        log_line(LOG_INFO, "announced", "name", d->opt.name, NULL);
    } else {
        int why = code != 0 ? code : -(int)o->code;
        d->announce_at_ms = d->clock->mono_ms(d->clock) + 1000;
        log_line(LOG_WARN, "announce_failed", "err", err_text(why), NULL);
    }
}

static void address_host(const char *address, char *to, size_t size)
{
    (void)str_copy(to, size, address);
    char *colon = strrchr(to, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
}

static void announce(struct daemon *d, const struct raftlog_status *st)
{
    struct cmd_host_report r;
    struct hv_host_info info;
    schema_init(command_by_number(COMMAND_host_report)->schema, &r);
    hv_host_info(d->hv, &info);
    (void)str_copy(r.name, sizeof r.name, d->opt.name);
    r.raft_id = st->raft_id;
    r.incarnation = st->incarnation;
    (void)str_copy(r.driver, sizeof r.driver, info.driver);
    (void)str_copy(r.version, sizeof r.version, QUORATE_VERSION);
    r.memory_mib = info.memory_mib;
    r.cpus = info.cpus;
    r.feature_level = FSM_FEATURE_LEVEL;
    (void)str_copy(r.migrate_address, sizeof r.migrate_address, d->migrate_address);
    d->announcing = true;
    d->announced_next = st->raft_id;
    propose_record(d, COMMAND_host_report, &r, NULL, announced, d);
}

/* Report once per start and member number, when the state knows this host under that number. */
static void announce_tick(struct daemon *d, const struct raftlog_status *st, uint64_t now_ms)
{
    if (st->blank || d->announcing || d->announced_raft_id == st->raft_id ||
        now_ms < d->announce_at_ms || !d->current) {
        return;
    }
    struct fsm_view *v = fsm_view_open(d->fsm);
    struct host h;
    bool known = fsm_get_host(v, d->opt.name, &h) == 0 && h.raft_id == st->raft_id;
    (void)fsm_view_close(v);
    if (known && h.incarnation == st->incarnation) {
        /* It was applied, and the answer was lost: said again it would be refused for ever. */
        d->announced_raft_id = st->raft_id;
        log_line(LOG_INFO, "announced", "name", d->opt.name, NULL);
    } else if (known) {
        announce(d, st);
    }
}

/* --- knowing that our state is current */

static void current_done(struct raftlog_read *r, int code)
{
    struct daemon *d = r->user;
    d->reading_current = false;
    if (code == 0 && !d->diverged && !d->stopping) {
        d->current = true;
        agent_set_current(d->agent, true);
    }
}

/* The agent acts only after this host proved once since its start that its state is current: an old
 * state could call for a run that has long passed to another host. */
static void current_tick(struct daemon *d, const struct raftlog_status *st)
{
    if (d->current || d->reading_current || st->blank || st->leader == 0 || d->diverged) {
        return;
    }
    d->reading_current = true;
    d->current_read = (struct raftlog_read){.deadline_ms = 2000, .done = current_done, .user = d};
    raftlog_read(d->rl, &d->current_read);
}

static void tick(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    uint64_t now = d->clock->mono_ms(d->clock);
    struct raftlog_status st;
    struct err why;
    if (!d->diverged && fsm_failure(d->fsm, &why) != 0) { /* Nothing may be applied that tells. */
        log_fatal(d, &why);
        return;
    }
    raftlog_status(d->rl, &st);
    current_tick(d, &st);
    announce_tick(d, &st, now);
    leasing_tick(d->leasing, now);
    notes_tick(d, now);
    watch_tick(d, now);
    control_tick(d->control, now);
    consoles_tick(d->consoles, now);
    guarantee_tick(d, now);
    release_tick(d, now);
    restart_tick(d);
}

/* --- start */

static int make_dir(const char *path, struct err *e)
{
    char part[LIMIT_PATH + 1];
    if (str_copy(part, sizeof part, path) >= sizeof part) {
        return err_set(e, ERR_TOO_BIG, "%s: path is longer than %d bytes", path, LIMIT_PATH);
    }
    for (char *p = part + 1;; p++) {
        if (*p == '/' || *p == '\0') {
            char c = *p;
            *p = '\0';
            if (mkdir(part, 0750) != 0 && errno != EEXIST) {
                return err_sys(e, ERR_IO, errno, "make directory %s", part);
            }
            *p = c;
            if (c == '\0') {
                return 0;
            }
        }
    }
}

static int boot_id(char *to, size_t size, struct err *e)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (f == NULL || fgets(to, (int)size, f) == NULL) {
        int rc = err_sys(e, ERR_IO, errno, "read the boot id of this machine");
        if (f != NULL) {
            (void)fclose(f);
        }
        return rc;
    }
    (void)fclose(f);
    to[strcspn(to, "\n")] = '\0';
    return 0;
}

static int open_state(struct daemon *d, struct err *e)
{
    char dir[LIMIT_PATH + 8];
    char boot[64];
    bool rebuilt = false;
    (void)snprintf(dir, sizeof dir, "%s/state", d->opt.data_dir);
    int rc = boot_id(boot, sizeof boot, e);
    if (rc == 0) {
        struct fsm_options o = {.dir = dir, .boot_id = boot};
        rc = fsm_open(&d->fsm, &o, &rebuilt, e);
    }
    if (rc == 0 && rebuilt) {
        MARK(state_rebuilt);
        log_line(LOG_WARN, "state_rebuilt", "dir", dir, NULL);
    }
    return rc;
}

static int open_log(struct daemon *d, struct err *e)
{
    char dir[LIMIT_PATH + 8];
    struct err refused = {0};
    (void)snprintf(dir, sizeof dir, "%s/log", d->opt.data_dir);
    struct raftlog_options o = {
        .dir = dir,
        .name = d->opt.name,
        .listen = d->opt.listen,
        .election_ms = d->opt.election_ms,
        .heartbeat_ms = d->opt.heartbeat_ms,
        .snapshot_entries = d->opt.snapshot_entries,
        .snapshot_trailing = d->opt.snapshot_trailing,
        .segment_bytes = d->opt.segment_bytes,
        .cache_bytes = d->opt.cache_bytes,
        .machine = machine_of(d),
        .changed = log_changed,
        .note = notes_receive,
        .fatal = log_fatal,
        .ctx = d,
    };
    int rc = raftlog_open(&d->rl, &d->loop, &o, &refused, e);
    if (rc != 0) {
        return rc;
    }
    if (refused.code != 0) {
        MARK(data_refused);
        log_line(LOG_ERROR, "data_refused", "err", refused.msg, "now",
                 "this host is blank and is filled again by its peers", NULL);
    }
    struct raftlog_status st;
    raftlog_status(d->rl, &st);
    if (st.blank && fsm_applied(d->fsm) > 0) {
        MARK(state_without_log);
        rc = fsm_reset(d->fsm, e); /* A view of a log that is gone. */
    }
    return rc;
}

static int open_driver(struct daemon *d, struct err *e)
{
    struct hv_options o = {
        .driver = d->opt.driver,
        .run_dir = d->opt.run_dir,
        .log_dir = d->opt.log_dir,
        .host = d->opt.name,
        .memory_mib = d->opt.memory_mib,
        .image_locking = d->opt.image_locking,
        .event = driver_event,
        .ctx = d,
        .emulator = d->opt.emulator[0] == '\0' ? NULL : d->opt.emulator,
    };
    return hv_open(&d->hv, &d->loop, &o, e);
}

static void open_agent(struct daemon *d)
{
    struct agent_options o = {
        .fsm = d->fsm,
        .hv = d->hv,
        .loop = &d->loop,
        .clock = d->clock,
        .rng = &d->rng,
        .host = d->opt.name,
        .prefix = d->opt.prefix,
        .address = d->migrate_address,
        .propose = agent_propose,
        .gates = d->opt.lab_gates[0] == '\0' ? NULL : d->opt.lab_gates,
        .guard = &agent_guard,
        .progress = agent_progress,
        .stood_still = agent_stood_still,
        .say = agent_say,
        .ctx = d,
    };
    d->agent = agent_new(&o);
    if (MUTANT(acts_on_old_state)) {
        agent_set_current(d->agent, true);
    }
}

static void open_leasing(struct daemon *d)
{
    (void)snprintf(d->guard_path, sizeof d->guard_path, "%s/guard.sock", d->opt.run_dir);
    struct leasing_options o = {
        .d = d, .path = d->guard_path, .program = d->opt.guard, .watchdog = d->opt.watchdog};
    d->leasing = leasing_new(&o);
}

static int open_listeners(struct daemon *d, struct err *e)
{
    struct rpc_server_options o = {.serve = serve_request, .ctx = d, .other = offer_peer};
    d->rpc = rpc_server_new(&d->loop, &o);
    int rc = rpc_server_listen(d->rpc, d->opt.listen, e);
    if (rc == 0 && d->opt.socket[0] != '\0') {
        char where[LIMIT_PATH + 8];
        (void)snprintf(where, sizeof where, "unix:%s", d->opt.socket);
        rc = rpc_server_listen(d->rpc, where, e);
    }
    return rc;
}

static void stop_signal(uv_signal_t *handle, int signum)
{
    (void)signum;
    daemon_stop(handle->data);
}

static void open_timers(struct daemon *d)
{
    (void)uv_timer_init(&d->loop, &d->tick); /* These fail only on bad arguments. */
    (void)uv_signal_init(&d->loop, &d->sigterm);
    (void)uv_signal_init(&d->loop, &d->sigint);
    d->tick.data = d;
    d->sigterm.data = d;
    d->sigint.data = d;
    (void)uv_timer_start(&d->tick, tick, TICK_MS, TICK_MS);
    (void)uv_signal_start(&d->sigterm, stop_signal, SIGTERM);
    (void)uv_signal_start(&d->sigint, stop_signal, SIGINT);
}

int daemon_start(struct daemon *d, const struct daemon_options *options, struct err *e)
{
    *d = (struct daemon){.opt = *options, .clock = os_clock()};
    rng_seed_os(&d->rng);
    int r = uv_loop_init(&d->loop);
    if (r != 0) {
        return err_set(e, ERR_INTERNAL, "start the event loop: %s", uv_strerror(r));
    }
    d->meter = loop_meter_new(&d->loop);
    const char *dirs[] = {options->data_dir, options->run_dir, options->log_dir, options->prefix};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(dirs); i++) {
        rc = make_dir(dirs[i], e);
    }
    if (options->migrate_address[0] != '\0') {
        (void)str_copy(d->migrate_address, sizeof d->migrate_address, options->migrate_address);
    } else {
        address_host(options->listen, d->migrate_address, sizeof d->migrate_address);
    }
    d->control = control_new(d);
    d->consoles = consoles_new(d);
    open_leasing(d);
    (void)uv_timer_init(&d->loop, &d->settle); /* Fails only on bad arguments. */
    d->settle.data = d;
    rc = rc == 0 ? open_state(d, e) : rc;
    rc = rc == 0 ? open_driver(d, e) : rc;
    rc = rc == 0 ? open_log(d, e) : rc;
    if (rc == 0) {
        open_agent(d);
        rc = open_listeners(d, e);
    }
    if (rc == 0) {
        open_timers(d);
    }
    return rc;
}

/* --- stop: clients, then the log (which hands the mastership over), then the rest */

static void part_closed(void *ctx)
{
    struct daemon *d = ctx;
    if (--d->closing > 0) {
        return;
    }
    d->agent = agent_free(d->agent);
    d->leasing = leasing_free(d->leasing);
    d->control = control_free(d->control);
    d->consoles = consoles_free(d->consoles);
    d->fsm = fsm_close(d->fsm);
    uv_close((uv_handle_t *)&d->settle, NULL);
    d->meter = loop_meter_free(d->meter);
    uv_close((uv_handle_t *)&d->tick, NULL);
    uv_close((uv_handle_t *)&d->sigterm, NULL);
    uv_close((uv_handle_t *)&d->sigint, NULL);
}

void daemon_stop(struct daemon *d)
{
    if (d->stopping) {
        return;
    }
    d->stopping = true;
    log_line(LOG_INFO, "stopping", NULL);
    (void)uv_timer_stop(&d->tick);
    watch_close(d);
    control_stop(d->control);
    d->closing = 6;
    consoles_close(d->consoles, part_closed, d);
    leasing_close(d->leasing, part_closed, d);
    agent_stop(d->agent, part_closed, d);
    rpc_server_close(d->rpc, part_closed, d);
    raftlog_close(d->rl, part_closed, d);
    hv_close(d->hv, part_closed, d);
}
