#include "chaos-tests/sim/core.h"

#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/data.h"
#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/members.h"
#include "chaos-tests/sim/truth.h"
#include "chaos-tests/sim/vguard.h"
#include "chaos-tests/sim/vnet.h"
#include "cli/quorated/daemon.h"

#define VOTERS 5u

enum way {
    OFF,
    CUT,
    FROZEN,
    STOPPED, /* Its daemon. */
    PAUSED,  /* Its daemon. */
    SLOW,
    WAYS
};

static const char *const way_words[] = {"off", "cut", "frozen", "stopped", "paused", "slow"};

static bool in(uint64_t core, uint32_t i)
{
    return (core >> i & 1) != 0;
}

uint64_t core_choose(void)
{
    struct rng rng;
    uint64_t core = UINT64_MAX >> (64 - lab.o.hosts);
    uint32_t voters = lab.o.hosts < VOTERS ? lab.o.hosts : VOTERS;
    uint32_t spare = (voters - 1) / 2; /* So many may be missing. */
    world_rng(&rng, "core", 0);
    if (!members_settled()) {
        return core; /* Nobody knows how many may be missing. */
    }
    spare -= spare > 0 && data_in_doubt() ? 1 : 0;
    for (uint64_t n = rng_below(&rng, spare + 2u); n > 0 && spare > 0; n--) {
        uint32_t i = (uint32_t)rng_below(&rng, lab.o.hosts);
        if (in(core, i) && n <= spare) {
            core &= ~(UINT64_C(1) << i);
        }
    }
    return core;
}

static void cut(uint32_t host, bool on)
{
    for (uint32_t i = 0; i < VNET_HOSTS; i++) {
        vnet_link(host, i)->cut = vnet_link(i, host)->cut = on && i != host;
    }
}

/* Not slower than what a connection takes for dead: one that only some reach may lead them on. */
static void slow(uint32_t host, bool on)
{
    struct vhost *h = &lab.hosts[host];
    h->m.turn_min_us = on ? 50 : 5;
    h->m.turn_max_us = on ? 40000 : 30;
    for (uint32_t i = 0; i < VNET_HOSTS; i++) {
        struct link *l = vnet_link(host, i);
        l->delay_min_us = on ? 2000 : 60;
        l->delay_max_us = on ? 40000 : 120;
    }
}

void core_break(uint64_t core)
{
    struct rng rng;
    world_rng(&rng, "core", 1);
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        enum way way = (enum way)rng_below(&rng, WAYS);
        struct vhost *h = &lab.hosts[i];
        if (in(core, i)) {
            continue;
        }
        if (lab.o.print) {
            (void)printf("%12.6f  -      ** not of the core: %s, %s\n", (double)world.now_ns / 1e9,
                         h->m.name, way_words[way]);
        }
        switch (way) {
        case OFF: vhost_power_cut(h); break;
        case CUT: cut(i, true); break;
        case FROZEN: vhost_freeze(h, true); break;
        case STOPPED: vhost_stop(h); break;
        case PAUSED: vhost_pause(h, true); break;
        case SLOW: slow(i, true); break;
        case WAYS: break;
        }
    }
}

void core_mend(uint64_t core)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct vhost *h = &lab.hosts[i];
        if (!in(core, i)) {
            cut(i, false);
            slow(i, false);
            vhost_freeze(h, false);
            vhost_pause(h, false);
            vhost_power_on(h);
            vhost_start(h);
        }
    }
}

/* --- what it must come to */

static const char *
say(char *to, size_t size, const struct vhost *h, const char *what, const char *whom)
{
    (void)snprintf(to, size, "%s, of the core, %s%s", h->m.name, what, whom);
    return to;
}

/* Whether some host of the core that is up takes it by its memory. */
static bool has_place(struct fsm_view *v, uint64_t core, const struct guest *g)
{
    struct host row;
    char name[LIMIT_NAME + 1] = "";
    while (fsm_next_host(v, name, &row) == 0) {
        memcpy(name, row.name, sizeof name);
        const struct vhost *h = lab_host_named(name);
        bool ours = h != NULL && in(core, h->m.index);
        if (ours && row.state == HOST_UP && !row.maintenance && row.can_run &&
            fsm_reserved_mib(v, name) + g->config.memory_mib <= row.memory_mib) {
            return true;
        }
    }
    return false;
}

/* A run that nobody can prove to be over stays where it is. */
static bool is_lacking(struct fsm_view *v, uint64_t core, const struct guest *g)
{
    const struct vhost *h = lab_host_named(g->host);
    bool outside = h != NULL && !in(core, h->m.index);
    if (!g->ha || g->want != WANT_RUNNING || g->state == GUEST_FAILED || (outside && !g->guarded)) {
        return false;
    }
    if (g->state == GUEST_RUNNING || g->state == GUEST_MIGRATING) {
        return !truth_runs(h->m.index, &g->uuid, g->run_epoch) || h->m.frozen;
    }
    return g->state == GUEST_PENDING ? has_place(v, core, g) && g->not_before_ms == 0
                                     : g->state != GUEST_PAUSED;
}

static const char *guests_lack(struct vhost *h, uint64_t core, char *to, size_t size)
{
    struct pool pool;
    struct guest g;
    char name[LIMIT_NAME + 1] = "";
    const char *what = NULL;
    struct proc *before = proc_enter(h->proc);
    struct fsm_view *v = fsm_view_open(h->daemon->fsm);
    bool ha = fsm_get_pool(v, &pool) == 0 && pool.ha;
    while (ha && what == NULL && fsm_next_guest(v, name, &g) == 0) {
        memcpy(name, g.name, sizeof name);
        if (is_lacking(v, core, &g)) {
            (void)snprintf(to, size,
                           "%s, of the core, does not have guest %s running, which is %s on %s "
                           "under epoch %llu%s",
                           h->m.name, g.name, enum_guest_state.names[g.state],
                           g.host[0] == '\0' ? "no host" : g.host, (unsigned long long)g.run_epoch,
                           g.guarded ? ", guarded" : "");
            what = to;
        }
    }
    (void)fsm_view_close(v);
    proc_leave(before);
    return what;
}

/* A master outside that is merely slow is one, as long as all follow it. */
const char *core_unrest(uint64_t core, char *to, size_t size)
{
    struct vhost *any = NULL;
    struct vhost_state first = {0};
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct vhost *h = &lab.hosts[i];
        struct vhost_state s;
        if (!in(core, i)) {
            continue;
        }
        if (!vhost_look(h, &s) || s.blank || s.diverged) {
            return say(to, size, h, "does not run", "");
        }
        if (!s.current || s.leader == 0) {
            return say(to, size, h, "knows no master", "");
        }
        if (any != NULL && (s.leader != first.leader || s.applied != first.applied)) {
            return say(to, size, h, "has another master or state than ", any->m.name);
        }
        first = any == NULL ? s : first;
        any = any == NULL ? h : any;
    }
    return any == NULL ? NULL : guests_lack(any, core, to, size);
}
