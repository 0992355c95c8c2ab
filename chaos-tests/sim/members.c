#include "chaos-tests/sim/members.h"

#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/observe.h"
#include "chaos-tests/sim/workload_impl.h"
#include "cli/quorated/daemon.h"
#include "fsm/commands.h"

/* Its place in the network, behind the clients and the watcher. */
#define NUMBER  (LAB_CLIENTS_MAX + 1)
#define LOOK_NS (500 * NS_PER_MS)

/* Who may vote at most in a pool that nobody changed. */
#define VOTERS 5u

struct want {
    bool out;
    bool lost; /* Removed with the promise that it is off. */
    bool back; /* It is to come back as soon as that is done. */
    bool no_master;
};

static struct {
    struct worker w;
    struct vevent look;
    struct want wants[LAB_HOSTS_MAX];
    uint32_t voters;
    struct vhost *promised; /* The ask under way promises that this one is off. */
    bool used;              /* Something was wanted in this run. */
} op;

/* --- what there is */

/* The rows of the newest state of all. */
struct state {
    struct pool pool;
    bool is_in[LAB_HOSTS_MAX], may_master[LAB_HOSTS_MAX], up[LAB_HOSTS_MAX];
    uint32_t guests[LAB_HOSTS_MAX];
    bool evacuating[LAB_HOSTS_MAX];
    uint32_t voters;
};

static void read_hosts(struct fsm_view *v, struct state *s)
{
    struct host row;
    char name[LIMIT_NAME + 1] = "";
    while (fsm_next_host(v, name, &row) == 0) {
        memcpy(name, row.name, sizeof name);
        const struct vhost *h = lab_host_named(name);
        if (h != NULL) {
            s->is_in[h->m.index] = true;
            s->may_master[h->m.index] = row.can_master;
            s->up[h->m.index] = row.state == HOST_UP;
            s->guests[h->m.index] = fsm_guests_on(v, name);
            s->evacuating[h->m.index] = row.evacuation != 0;
        }
    }
}

static bool read_state(struct state *s)
{
    struct vhost *newest = observe_newest();
    struct raftlog_member m;
    *s = (struct state){0};
    if (newest == NULL) {
        return false;
    }
    struct proc *before = proc_enter(newest->proc);
    struct fsm_view *v = fsm_view_open(newest->daemon->fsm);
    bool ok = v != NULL && fsm_get_pool(v, &s->pool) == 0;
    if (ok) {
        read_hosts(v, s);
        for (uint32_t i = 0; raftlog_member(newest->daemon->rl, i, &m); i++) {
            s->voters += m.role == RAFTLOG_VOTER;
        }
    }
    (void)fsm_view_close(v);
    proc_leave(before);
    return ok;
}

/* --- asking */

static void ask(uint32_t number, const void *record)
{
    workload_ask(&op.w, number, record);
}

static void ask_add(const struct vhost *h)
{
    struct cmd_host_add r;
    schema_init(command_by_number(COMMAND_host_add)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, h->m.name);
    (void)str_copy(r.address, sizeof r.address, h->listen);
    ask(COMMAND_host_add, &r);
}

static void ask_remove(struct vhost *h, bool force)
{
    struct cmd_host_remove r;
    schema_init(command_by_number(COMMAND_host_remove)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, h->m.name);
    r.force = force;
    op.promised = force ? h : NULL;
    ask(COMMAND_host_remove, &r);
}

static void ask_evacuate(const struct vhost *h)
{
    struct cmd_host_evacuate r;
    schema_init(command_by_number(COMMAND_host_evacuate)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, h->m.name);
    r.force = true;
    ask(COMMAND_host_evacuate, &r);
}

static void ask_master(const struct vhost *h, bool allowed)
{
    struct cmd_host_set r;
    schema_init(command_by_number(COMMAND_host_set)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, h->m.name);
    (void)str_copy(r.can_master, sizeof r.can_master, allowed ? "on" : "off");
    ask(COMMAND_host_set, &r);
}

static void ask_voters(uint32_t n)
{
    struct cmd_pool_set r;
    schema_init(command_by_number(COMMAND_pool_set)->schema, &r);
    r.voters = n;
    ask(COMMAND_pool_set, &r);
}

/* It was asked for and is known: done, or certainly not. */
static void told(struct worker *w, const struct outcome *o)
{
    (void)w;
    (void)o; /* Removed or not: what is not as wanted is seen when it is looked at. */
    if (op.promised != NULL) {
        op.wants[op.promised->m.index].lost = false;
        op.promised = NULL;
    }
}

/* --- looking */

/* Whether something was asked for this host. */
static bool mend_host(const struct state *s, struct vhost *h)
{
    struct want *w = &op.wants[h->m.index];
    uint32_t i = h->m.index;
    if (w->lost) {
        ask_remove(h, /*force=*/true);
    } else if (w->out && s->is_in[i] && s->guests[i] == 0) {
        ask_remove(h, /*force=*/false);
    } else if (w->out && s->is_in[i] && !s->evacuating[i]) {
        ask_evacuate(h);
    } else if (!w->out && !s->is_in[i]) {
        ask_add(h);
    } else if (s->is_in[i] && s->may_master[i] == w->no_master) {
        ask_master(h, !w->no_master);
    } else {
        return false;
    }
    return true;
}

static void look(struct vevent *ev)
{
    static struct state s;
    vevent_set(ev, world.now_ns + LOOK_NS);
    if (op.w.ask.under_way || !read_state(&s)) {
        return;
    }
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct vhost *h = &lab.hosts[i];
        struct want *w = &op.wants[i];
        if (w->back && !w->lost) {
            w->back = w->out = false;
            vhost_power_on(h);
        }
    }
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        if (mend_host(&s, &lab.hosts[i])) {
            return;
        }
    }
    if (s.pool.voters != op.voters) {
        ask_voters(op.voters);
    }
}

/* --- what is wanted */

static void use(void)
{
    if (!op.used) {
        op.used = true;
        worker_init(&op.w, NUMBER, "operator");
        op.w.told = told;
        vevent_set(&op.look, world.now_ns + LOOK_NS);
    }
}

void members_begin(void)
{
    memset(&op, 0, sizeof op);
    op.look.fire = look;
    op.voters = VOTERS;
}

void members_end(void)
{
    vevent_clear(&op.look);
    if (op.used) {
        worker_done(&op.w);
    }
    op.used = false;
}

static bool is_last(uint32_t host)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        if (i != host && !op.wants[i].out) {
            return false;
        }
    }
    return true;
}

void members_want(const struct vhost *h, bool in)
{
    struct want *w = &op.wants[h->m.index];
    use();
    w->out = (!in && !is_last(h->m.index)) || w->lost || w->back;
}

bool members_want_lost(struct vhost *h)
{
    struct want *w = &op.wants[h->m.index];
    if (lab.o.hosts < 3 || !members_settled()) {
        return false;
    }
    use();
    vhost_power_cut(h);
    w->lost = w->out = true;
    return true;
}

bool members_lost(void)
{
    bool any = false;
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        any = any || op.wants[i].lost || (op.wants[i].out && !lab.hosts[i].m.on);
    }
    return any;
}

void members_want_back(const struct vhost *h)
{
    struct want *w = &op.wants[h->m.index];
    w->back = w->back || (w->out && !h->m.on);
}

void members_want_voters(uint32_t n)
{
    use();
    op.voters = n == 0 ? VOTERS : n;
}

void members_want_master(const struct vhost *h, bool allowed)
{
    use();
    op.wants[h->m.index].no_master = !allowed;
}

void members_heal(void)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct want *w = &op.wants[i];
        w->no_master = false;
        w->back = w->back || members_keep_off(&lab.hosts[i]);
        w->out = w->back;
    }
    op.voters = VOTERS;
}

bool members_keep_off(const struct vhost *h)
{
    return op.wants[h->m.index].lost || op.promised == h;
}

bool members_leave(void)
{
    return op.used;
}

/* What is not as it was at first with this host; NULL: nothing. */
static const char *unsettled(const struct state *s, uint32_t i)
{
    const struct want *w = &op.wants[i];
    return w->lost || w->back                                  ? "is lost"
           : w->out                                            ? "is wanted out"
           : !s->is_in[i]                                      ? "is not in the pool"
           : !s->up[i]                                         ? "is not up"
           : s->may_master[i] != !w->no_master || w->no_master ? "may not become master"
                                                               : NULL;
}

const char *members_unrest(char *to, size_t size)
{
    static struct state s;
    uint32_t n = (uint32_t)min_u64(VOTERS, lab.o.hosts - (lab.o.hosts % 2 == 0));
    if (!op.used) {
        return NULL;
    }
    if (op.w.ask.under_way) {
        (void)snprintf(to, size, "the operator waits for what came of %s, try %u",
                       command_by_number(op.w.ask.number)->name, op.w.ask.tries);
        return to;
    }
    if (!read_state(&s)) {
        (void)snprintf(to, size, "the operator sees no pool");
        return to;
    }
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        const char *what = unsettled(&s, i);
        if (what != NULL) {
            (void)snprintf(to, size, "%s %s", lab.hosts[i].m.name, what);
            return to;
        }
    }
    if (s.pool.voters != VOTERS || op.voters != VOTERS || s.voters != n) {
        (void)snprintf(to, size, "%u hosts vote, of at most %u", s.voters, s.pool.voters);
        return to;
    }
    return NULL;
}

bool members_settled(void)
{
    char why[128];
    return members_unrest(why, sizeof why) == NULL;
}
