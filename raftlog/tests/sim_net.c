#include <string.h>

#include "core/util.h"

#include "raftlog/tests/sim.h"

#define SILENCE_US 400000u /* A cut connection is given up after this. */

struct sim_link *sim_net_link(struct sim *sim, uint32_t a, uint32_t b)
{
    return a < b ? &sim->links[a][b] : &sim->links[b][a];
}

static uint32_t direction(uint32_t from, uint32_t to)
{
    return from < to ? 0 : 1;
}

bool sim_net_cut(struct sim *sim, uint32_t from, uint32_t to)
{
    return sim_net_link(sim, from, to)->cut[direction(from, to)];
}

void sim_net_set_cut(struct sim *sim, uint32_t from, uint32_t to, bool cut)
{
    sim_net_link(sim, from, to)->cut[direction(from, to)] = cut;
}

void sim_net_heal(struct sim *sim)
{
    for (uint32_t a = 0; a < SIM_HOSTS; a++) {
        for (uint32_t b = a + 1; b < SIM_HOSTS; b++) {
            sim->links[a][b].cut[0] = sim->links[a][b].cut[1] = false;
        }
    }
}

/* 0.1 to 0.5 ms, with a rare long one. */
static uint64_t delay(struct sim *sim)
{
    uint64_t us = 100 + sim_below(sim, 400);

    if ((sim->options.faults & SIM_SLOW) != 0 && sim->chaos && sim_below(sim, 100) == 0) {
        us += sim_below(sim, 40000);
    }
    return us;
}

/* --- messages */

static bool still(const struct sim_event *event)
{
    return event->link->up && event->link->epoch == event->link_epoch;
}

static void arrive(struct sim *sim, struct sim_event *event)
{
    struct err e;

    if (!still(event)) {
        return;
    }
    int rc =
        node_receive(event->host->node, event->from->id, event->data, event->len, sim_ms(sim), &e);
    if (rc != 0) {
        sim_fail(sim, "host %u cannot go on: %s", event->host->slot, e.msg);
    }
    sim_host_touched(event->host);
}

void sim_net_send(struct sim_host *from, uint64_t to, const void *data, size_t len)
{
    struct sim *sim = from->sim;
    struct sim_host *host = sim_host_of(sim, to);

    if (host == NULL || host == from) {
        return;
    }
    struct sim_link *link = sim_net_link(sim, from->slot, host->slot);
    uint32_t d = direction(from->slot, host->slot);
    if (!link->up || !host->up || link->cut[d] || sim_below(sim, 1000) < sim->drop_per_mille) {
        return;
    }
    sim->sent++;
    /* What is said after a synchronous write is said when that is done. */
    uint64_t at = max_u64(sim->now_us, from->busy_us) + delay(sim);
    at = max_u64(at, link->last_us[d]);
    link->last_us[d] = at;
    struct sim_event *event = sim_schedule(sim, at - sim->now_us, host, arrive);
    event->from = from;
    event->link = link;
    event->link_epoch = link->epoch;
    event->len = len;
    event->data = mem_new(1, len);
    memcpy(event->data, data, len);
}

/* --- connections */

static void told_up(struct sim *sim, struct sim_event *event)
{
    struct err e;

    if (!still(event)) {
        return;
    }
    event->link->told[event->number] = true;
    if (node_connected(event->host->node, event->from->id, sim_ms(sim), &e) != 0) {
        sim_fail(sim, "host %u: %s", event->host->slot, e.msg);
    }
    sim_host_touched(event->host);
}

static void told_down(struct sim *sim, struct sim_event *event)
{
    struct err e;

    (void)node_disconnected(event->host->node, event->number, event->flag, sim_ms(sim), &e);
    sim_host_touched(event->host);
}

static void tell_down(struct sim_host *host, const struct sim_host *other, bool reset, uint64_t us)
{
    if (host->up) {
        struct sim_event *event = sim_schedule(host->sim, us, host, told_down);
        event->number = other->id;
        event->flag = reset;
    }
}

static void link_up(struct sim *sim, struct sim_host *a, struct sim_host *b)
{
    struct sim_link *link = sim_net_link(sim, a->slot, b->slot);
    struct sim_host *sides[2] = {a, b};

    link->up = true;
    link->epoch++;
    link->last_us[0] = link->last_us[1] = sim->now_us;
    for (uint32_t i = 0; i < 2; i++) {
        struct sim_event *event = sim_schedule(sim, delay(sim), sides[i], told_up);
        event->from = sides[1 - i];
        event->link = link;
        event->link_epoch = link->epoch;
        event->number = i;
        link->told[i] = false;
    }
}

static void link_down(struct sim_host *a, struct sim_host *b, bool reset, uint64_t us)
{
    struct sim_link *link = sim_net_link(a->sim, a->slot, b->slot);
    struct sim_host *low = a->slot < b->slot ? a : b;
    struct sim_host *high = low == a ? b : a;

    if (!link->up) {
        return;
    }
    link->up = false;
    link->epoch++;
    link->quiet_us = a->sim->now_us + us;
    if (link->told[0]) {
        tell_down(low, high, reset, us);
    }
    if (link->told[1]) {
        tell_down(high, low, reset, us);
    }
}

void sim_net_crashed(struct sim_host *host)
{
    struct sim *sim = host->sim;
    /* A machine that lost its power says nothing; a process that died, its system resets. */
    bool reset = !sim->options.no_reset && (sim->options.faults == 0 || sim_below(sim, 3) > 0);

    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        if (i != host->slot) {
            link_down(host, &sim->hosts[i], reset, reset ? delay(sim) : SILENCE_US);
        }
    }
}

void sim_net_tick(struct sim *sim)
{
    for (uint32_t a = 0; a < SIM_HOSTS; a++) {
        for (uint32_t b = a + 1; b < SIM_HOSTS; b++) {
            struct sim_host *ha = &sim->hosts[a];
            struct sim_host *hb = &sim->hosts[b];
            struct sim_link *link = &sim->links[a][b];
            bool cut = link->cut[0] || link->cut[1];
            if (link->up && cut && sim_below(sim, SILENCE_US / 20000) == 0) {
                link_down(ha, hb, /*reset=*/false, 0);
            } else if (!link->up && !cut && ha->up && hb->up && sim->now_us > link->quiet_us &&
                       sim_below(sim, 3) == 0) {
                link_up(sim, ha, hb);
            }
        }
    }
}
