#include <stdio.h>

#include "core/util.h"

#include "raftlog/node_impl.h"
#include "raftlog/tests/sim.h"

static struct sim_host *any(struct sim *sim)
{
    return &sim->hosts[sim_below(sim, SIM_HOSTS)];
}

/* --- processes */

static void crash_or_start(struct sim *sim)
{
    struct sim_host *h = sim_below(sim, 3) == 0 ? sim_leader(sim) : any(sim);

    if (h == NULL || !h->used) {
        return;
    }
    if (h->up) {
        sim_host_crash(h);
    } else {
        sim_host_start(h);
    }
}

static void start_one(struct sim *sim)
{
    struct sim_host *h = any(sim);

    if (h->used && !h->up) {
        sim_host_start(h);
    }
}

static void pause_one(struct sim *sim)
{
    struct sim_host *h = any(sim);

    if (h->up) {
        sim_host_pause(h, 1000 + sim_below(sim, sim_below(sim, 4) == 0 ? 2000000 : 200000));
    }
}

/* --- network */

static void cut_some(struct sim *sim)
{
    uint32_t a = (uint32_t)sim_below(sim, SIM_HOSTS);
    uint32_t b = (uint32_t)sim_below(sim, SIM_HOSTS);

    switch (sim_below(sim, 4)) {
    case 0: /* One way. */
        if (a != b) {
            sim_net_set_cut(sim, a, b, true);
        }
        break;
    case 1: /* One host off. */
        for (uint32_t i = 0; i < SIM_HOSTS; i++) {
            if (i != a) {
                sim_net_set_cut(sim, a, i, true);
                sim_net_set_cut(sim, i, a, true);
            }
        }
        break;
    default: sim_net_heal(sim); break;
    }
}

/* --- members */

/* Who learned that it is out, or stayed out, is taken away; its slot is free for a new member. */
static void bury(struct sim *sim)
{
    struct sim_host *leader = sim_leader(sim);

    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        struct sim_host *h = &sim->hosts[i];
        if (!h->up || leader == NULL || h == leader ||
            conf_find(&leader->node->membership.committed, h->id) != NULL ||
            conf_find(&leader->node->membership.now, h->id) != NULL ||
            leader->node->membership.change.id == h->id) {
            continue;
        }
        if (node_removed(h->node) || sim_below(sim, 10) == 0) {
            uint32_t epoch = 0;
            sim_host_crash(h);
            sim_disk_done(&h->disk);
            epoch = h->epoch;
            *h = (struct sim_host){.sim = sim, .slot = i, .epoch = epoch};
            sim_disk_init(&h->disk);
        }
    }
}

static void add_member(struct sim *sim, struct sim_host *leader)
{
    struct err e;

    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        struct sim_host *h = &sim->hosts[i];
        if (h->used) {
            continue;
        }
        h->id = ++sim->next_id;
        (void)snprintf(h->address, sizeof h->address, "m%llu", (unsigned long long)h->id);
        if (node_member_add(leader->node, h->id, h->address, sim_ms(sim), &e) == 0) {
            h->used = true;
            sim_host_start(h);
            sim->changes++;
        }
        return;
    }
}

static void change_member(struct sim *sim)
{
    struct sim_host *leader = sim_leader(sim);
    struct sim_host *h = any(sim);
    struct err e;
    int rc = -1;

    if (leader == NULL) {
        return;
    }
    const struct conf_member *m = conf_find(&leader->node->membership.now, h->id);
    uint32_t voters = conf_voters(&leader->node->membership.now);
    if (m == NULL || !h->used) {
        add_member(sim, leader);
        return;
    }
    switch (sim_below(sim, 5)) {
    case 0:
    case 1: rc = node_member_role(leader->node, h->id, RAFTLOG_VOTER, sim_ms(sim), &e); break;
    case 2:
        if (voters > 2) {
            rc = node_member_role(leader->node, h->id, RAFTLOG_STANDBY, sim_ms(sim), &e);
        }
        break;
    case 3:
        if (m->role != RAFTLOG_VOTER) {
            rc = node_member_role(leader->node, h->id, RAFTLOG_SPARE, sim_ms(sim), &e);
        }
        break;
    default:
        if ((m->role != RAFTLOG_VOTER || voters > 2) && leader->node->membership.now.n > 3) {
            rc = node_member_remove(leader->node, h->id, sim_ms(sim), &e);
        }
        break;
    }
    sim->changes += rc == 0;
    sim_host_touched(leader);
}

static void transfer(struct sim *sim)
{
    struct sim_host *leader = sim_leader(sim);
    struct err e;

    if (leader != NULL) {
        (void)node_transfer(leader->node, sim_below(sim, 2) == 0 ? 0 : any(sim)->id, sim_ms(sim),
                            &e);
        sim_host_touched(leader);
    }
}

static void fill_or_empty(struct sim *sim)
{
    struct sim_host *h = any(sim);
    struct err e;

    if (h->up) {
        h->full = !h->full;
        (void)node_set_disk_full(h->node, h->full, sim_ms(sim), &e);
        sim_host_touched(h);
    }
}

/* --- all */

void sim_chaos_act(struct sim *sim)
{
    unsigned faults = sim->options.faults;
    uint64_t a = sim_below(sim, 100);

    bury(sim);
    if (a < 14 && (faults & SIM_CRASH) != 0) {
        crash_or_start(sim);
    } else if (a < 35) {
        start_one(sim);
    } else if (a < 55 && (faults & SIM_CUT) != 0) {
        cut_some(sim);
    } else if (a < 60 && (faults & SIM_DROP) != 0) {
        sim->drop_per_mille = (uint32_t)(sim_below(sim, 2) * sim_below(sim, 60));
    } else if (a < 64 && (faults & SIM_SLOW) != 0) {
        struct sim_host *h = any(sim);
        h->disk.fsync_us = sim_below(sim, 3) == 0 ? 60000 : 800;
    } else if (a < 70 && (faults & SIM_PAUSE) != 0) {
        pause_one(sim);
    } else if (a < 88 && (faults & SIM_MEMBER) != 0) {
        change_member(sim);
    } else if (a < 92 && (faults & SIM_TRANSFER) != 0) {
        transfer(sim);
    } else if (a < 95 && (faults & SIM_FULL) != 0) {
        fill_or_empty(sim);
    }
}

void sim_chaos_heal(struct sim *sim)
{
    struct err e;

    if (sim->options.plant != SIM_PLANT_NO_LIVENESS) {
        sim_net_heal(sim);
    } else {
        for (uint32_t i = 0; i < SIM_HOSTS * SIM_HOSTS; i++) {
            if (i / SIM_HOSTS != i % SIM_HOSTS) {
                sim_net_set_cut(sim, i / SIM_HOSTS, i % SIM_HOSTS, true);
            }
        }
    }
    sim->drop_per_mille = 0;
    sim_pass(sim, 2000000); /* The longest pause. */
    for (uint32_t i = 0; i < SIM_HOSTS && !sim->failed; i++) {
        struct sim_host *h = &sim->hosts[i];
        h->disk.fsync_us = 800;
        if (h->used && !h->up) {
            sim_host_start(h);
        } else if (h->up) {
            h->full = false;
            (void)node_set_disk_full(h->node, false, sim_ms(sim), &e);
            sim_host_touched(h);
        }
    }
}
