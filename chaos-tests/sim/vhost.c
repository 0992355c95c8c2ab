/* Boots, ends and deaths of a host's daemon. */

#include "chaos-tests/sim/vhost.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "core/util.h"

#include "chaos-tests/sim/observe.h"
#include "chaos-tests/sim/record.h"
#include "chaos-tests/sim/seam.h"
#include "chaos-tests/sim/store.h"
#include "chaos-tests/sim/truth.h"
#include "chaos-tests/sim/vdisk.h"
#include "chaos-tests/sim/vguard.h"
#include "chaos-tests/sim/vloop.h"
#include "chaos-tests/sim/vnet.h"
#include "cli/quorated/daemon.h"
#include "hvdriver/sim.h"

#define MEMORY_MIB 65536
/* Small files of the log: a start reads them whole, and their ends come often. The largest entry
 * that clients make fits. */
#define SEGMENT_BYTES (32ul * 1024)
/* What is sent to others, or taken back, may have to be read from the disk. */
#define CACHE_BYTES 2000

static void manage(struct vevent *ev);

void vhost_init(struct vhost *h, uint32_t index, const char *name)
{
    struct rng rng;
    world_rng(&rng, "snapshots", index);
    bool often = rng_below(&rng, 2) == 0;
    *h = (struct vhost){.restart_ms = 1000,
                        .snapshot_entries = rng_between(&rng, 20, often ? 200 : 4000),
                        .snapshot_trailing = rng_between(&rng, 1, 400),
                        .segment_bytes = SEGMENT_BYTES << rng_below(&rng, 4),
                        .cache_bytes = rng_below(&rng, 2) == 0 ? 0 : CACHE_BYTES};
    machine_init(&h->m, index, name);
    (void)mkdir(name, 0755);
    (void)snprintf(h->data_dir, sizeof h->data_dir, "%s/data", name);
    (void)snprintf(h->run_dir, sizeof h->run_dir, "%s/run", name);
    (void)snprintf(h->log_dir, sizeof h->log_dir, "%s/logs", name);
    (void)snprintf(h->prefix, sizeof h->prefix, "%s/repos", name);
    (void)snprintf(h->listen, sizeof h->listen, "10.7.0.%u:7077", index + 1);
    h->manage.fire = manage;
}

/* Nothing of the daemon is left, and nothing of it runs any more. */
static void bury(struct vhost *h, bool silently)
{
    if (h->proc != NULL) {
        proc_kill(h->proc, silently);
        vguard_daemon_died(h);
        record_host(h->m.index, HOST_IS_DOWN);
    }
    h->proc = NULL;
    h->daemon = NULL;
}

void vhost_done(struct vhost *h)
{
    vevent_clear(&h->manage);
    bury(h, false);
    machine_done(&h->m);
}

static struct daemon_options options_of(const struct vhost *h)
{
    return (struct daemon_options){
        .name = h->m.name,
        .data_dir = h->data_dir,
        .run_dir = h->run_dir,
        .log_dir = h->log_dir,
        .listen = h->listen,
        .socket = "",
        .driver = "sim",
        .prefix = h->prefix,
        .migrate_address = "",
        .emulator = "",
        .guard = "",
        .lab_gates = "",
        .memory_mib = MEMORY_MIB,
        .election_ms = 200,
        .heartbeat_ms = 30,
        .snapshot_entries = h->snapshot_entries,
        .snapshot_trailing = h->snapshot_trailing,
        .segment_bytes = h->segment_bytes,
        .cache_bytes = h->cache_bytes,
    };
}

static void restart_later(struct vhost *h, uint64_t ms)
{
    if (h->wanted && h->m.on) {
        vevent_set(&h->manage, world.now_ns + ms * NS_PER_MS);
    }
}

/* The loop has nothing left to do: main() returns. */
static void ended(struct proc *p)
{
    struct vhost *h = p->ctx;
    h->exits++;
    /* A condemned directory: main() starts itself anew at once. */
    uint64_t ms = h->daemon->broken.code == ERR_REFUSED ? 20 : h->restart_ms;
    bury(h, false);
    restart_later(h, ms);
}

struct start {
    struct vhost *h;
    struct err e;
    int rc;
};

static void start_daemon(void *ctx)
{
    struct start *s = ctx;
    struct daemon_options o = options_of(s->h);
    s->rc = daemon_start(s->h->daemon, &o, &s->e);
}

static void boot(struct vhost *h)
{
    struct start s = {.h = h};
    h->proc = proc_new(&h->m, h->m.name);
    h->proc->ended = ended;
    h->proc->ctx = h;
    h->starts++;
    struct proc *before = proc_enter(h->proc);
    h->daemon = mem_new(1, sizeof *h->daemon);
    if (!seam_run(h->proc, start_daemon, &s)) {
        proc_leave(before);
        return;
    }
    if (s.rc != 0) {
        log_line(LOG_ERROR, "not_started", "code", err_name(s.e.code), "err", s.e.msg, NULL);
    } else {
        log_line(LOG_INFO, "started", NULL);
        record_host(h->m.index, HOST_IS_UP);
        observe_jump(h->daemon->fsm);
    }
    proc_leave(before);
    if (s.rc != 0) {
        bury(h, false);
        restart_later(h, h->restart_ms);
        return;
    }
    vloop_begin(h->proc);
}

static void manage(struct vevent *ev)
{
    struct vhost *h = CONTAINER_OF(ev, struct vhost, manage);
    if (h->wanted && h->m.on && h->proc == NULL) {
        if (h->m.frozen) {
            restart_later(h, 100);
            return;
        }
        boot(h);
    }
}

void vhost_start(struct vhost *h)
{
    h->wanted = true;
    if (h->proc == NULL && h->m.on) {
        vevent_set(&h->manage, world.now_ns);
    }
}

static void end_daemon(struct vhost *h, void (*how)(struct daemon *d))
{
    h->wanted = false;
    vevent_clear(&h->manage);
    if (h->proc != NULL) {
        struct proc *before = proc_enter(h->proc);
        how(h->daemon);
        proc_leave(before);
        vloop_replan(h->proc);
    }
}

void vhost_stop(struct vhost *h)
{
    end_daemon(h, daemon_stop);
}

void vhost_release(struct vhost *h)
{
    end_daemon(h, daemon_release);
}

void vhost_kill(struct vhost *h, uint64_t back_ms)
{
    if (h->proc == NULL) {
        return;
    }
    h->kills++;
    bury(h, false);
    restart_later(h, back_ms == 0 ? h->restart_ms : back_ms);
}

void vhost_pause(struct vhost *h, bool paused)
{
    if (h->proc != NULL) {
        proc_pause(h->proc, paused);
        record_host(h->m.index, paused ? HOST_IS_PAUSED : HOST_IS_UP);
    }
}

static enum host_power power_of(const struct vhost *h)
{
    return h->proc == NULL ? HOST_IS_DOWN : h->proc->paused ? HOST_IS_PAUSED : HOST_IS_UP;
}

void vhost_freeze(struct vhost *h, bool frozen)
{
    if (!h->m.on || h->m.frozen == frozen) {
        return;
    }
    h->m.frozen = frozen;
    vguard_replan(h);
    truth_freeze(h->m.index, frozen);
    vnet_host_on(h->m.index, !frozen);
    record_host(h->m.index, frozen ? HOST_IS_FROZEN : power_of(h));
    if (h->proc != NULL) {
        vloop_replan(h->proc);
    }
}

static void empty_dir(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char file[64 + 256 + 2];
        (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        (void)unlink(file);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

void vhost_power_cut(struct vhost *h)
{
    if (!h->m.on) {
        return;
    }
    h->power_cuts++;
    h->m.on = false;
    vevent_clear(&h->manage);
    bury(h, true);
    vnet_power_off(h->m.index);
    vnet_host_on(h->m.index, false);
    vdisk_power_cut(&h->m);
    store_power_cut(&h->m, h->data_dir);
    vguard_power_cut(h);
    truth_power_cut(h->m.index);
    record_host(h->m.index, HOST_IS_OFF);
    empty_dir(h->run_dir); /* It does not survive a reboot, and the guests are dead. */
}

void vhost_power_on(struct vhost *h)
{
    if (h->m.on) {
        return;
    }
    machine_boot(&h->m);
    record_host(h->m.index, HOST_IS_DOWN);
    vhost_start(h);
}

/* --- the hypervisor */

/* A daemon that stops closes its driver first of all and frees it: not to be used any more. */
static bool has_driver(const struct vhost *h)
{
    return h->proc != NULL && !h->daemon->stopping;
}

bool vhost_guest(struct vhost *h, const struct hv_key *key, uint32_t what)
{
    if (!has_driver(h)) {
        return false;
    }
    struct proc *before = proc_enter(h->proc);
    switch (what) {
    case 0: (void)sim_guest_poweroff(h->daemon->hv, key); break;
    case 1: (void)sim_guest_reboot(h->daemon->hv, key); break;
    case 2: (void)sim_guest_panic(h->daemon->hv, key); break;
    default: (void)sim_kill(h->daemon->hv, key); break;
    }
    proc_leave(before);
    vloop_replan(h->proc);
    return true;
}

void vhost_fail_next(struct vhost *h, enum hv_op op, int code)
{
    if (has_driver(h)) {
        sim_fail_next(h->daemon->hv, op, code);
    }
}

/* --- looking */

static void first_op(struct fsm_view *v, char *to, size_t size)
{
    struct op o;
    if (fsm_next_open_op(v, 0, &o) == 0) {
        (void)snprintf(to, size, "%llu (%s %s %s>%s, %s, deadline %lld ms ago)",
                       (unsigned long long)o.id, enum_op_kind.names[o.kind], o.subject, o.src,
                       o.dst, enum_op_phase.names[o.phase],
                       (long long)(fsm_log_time(v) - o.deadline_ms));
    }
}

bool vhost_has_heard(const struct vhost *h, const struct vhost *other)
{
    struct raftlog_status st;
    struct raftlog_member m;
    if (h->proc == NULL || h->daemon->stopping || other->proc == NULL || other->daemon->stopping) {
        return false;
    }
    raftlog_status(other->daemon->rl, &st);
    for (uint32_t i = 0; raftlog_member(h->daemon->rl, i, &m); i++) {
        if (m.raft_id == st.raft_id) {
            return m.incarnation == st.incarnation;
        }
    }
    return false;
}

static bool votes(struct raftlog *rl, const struct raftlog_status *st)
{
    struct raftlog_member m;
    for (uint32_t i = 0; raftlog_member(rl, i, &m); i++) {
        if (m.raft_id == st->raft_id) {
            return m.role == RAFTLOG_VOTER;
        }
    }
    return false;
}

bool vhost_look(struct vhost *h, struct vhost_state *ret)
{
    *ret = (struct vhost_state){0};
    if (h->proc == NULL || h->proc->paused || h->m.frozen || h->daemon->stopping) {
        return false;
    }
    struct proc *before = proc_enter(h->proc);
    struct raftlog_status st;
    struct fsm_counts n;
    struct host row;
    struct hash128 hash = fsm_hash(h->daemon->fsm);
    raftlog_status(h->daemon->rl, &st);
    struct fsm_view *v = fsm_view_open(h->daemon->fsm);
    fsm_count(v, &n);
    first_op(v, ret->op, sizeof ret->op);
    char name[LIMIT_NAME + 1] = "";
    while (fsm_next_host(v, name, &row) == 0) {
        ret->hosts++;
        ret->hosts_up += row.state == HOST_UP;
        memcpy(name, row.name, sizeof name);
    }
    (void)fsm_view_close(v);
    proc_leave(before);
    ret->applied = fsm_applied(h->daemon->fsm);
    ret->state_hash = hash.lo ^ hash.hi;
    ret->term = st.term;
    ret->leader = st.leader;
    ret->leads = st.leading;
    ret->blank = st.blank;
    ret->voter = votes(h->daemon->rl, &st);
    ret->current = h->daemon->current;
    ret->diverged = h->daemon->diverged;
    ret->ops_open = n.ops_open;
    return true;
}

/* The members as this host sees them: + connected, s standby, b blank. */
static void text_of_members(struct vhost *h, char *to, size_t size)
{
    struct raftlog_member m;
    size_t at = 0;
    to[0] = '\0';
    for (uint32_t i = 0; raftlog_member(h->daemon->rl, i, &m) && at < size; i++) {
        int n = snprintf(to + at, size - at, " %llu%s%s%s", (unsigned long long)m.raft_id,
                         m.connected ? "+" : "", m.role == RAFTLOG_VOTER ? "" : "s",
                         m.blank ? "b" : "");
        at += n > 0 ? (size_t)n : 0;
    }
}

void vhost_text(struct vhost *h, char *to, size_t size)
{
    char members[256];
    struct raftlog_status st;
    if (h->proc == NULL || h->daemon->stopping) {
        (void)snprintf(to, size, "%s", !h->m.on ? "without power" : "no daemon");
        return;
    }
    struct proc *before = proc_enter(h->proc);
    raftlog_status(h->daemon->rl, &st);
    text_of_members(h, members, sizeof members);
    proc_leave(before);
    (void)snprintf(to, size,
                   "%s%s%sterm %llu leader %llu commit %llu applied %llu log %llu-%llu "
                   "adrift %llu ms, members%s",
                   h->m.frozen ? "frozen " : "", h->proc->paused ? "paused " : "",
                   st.blank ? "blank " : "", (unsigned long long)st.term,
                   (unsigned long long)st.leader, (unsigned long long)st.commit_index,
                   (unsigned long long)st.applied_index, (unsigned long long)st.first_index,
                   (unsigned long long)st.last_index, (unsigned long long)st.adrift_ms, members);
}
