#include "raftlog/tests/sim_script.h"

#include <assert.h>
#include <stdio.h>

#include "raftlog/node_impl.h"

bool script_has_leader(struct sim *sim)
{
    return sim_leader(sim) != NULL;
}

struct sim *script_new(uint64_t seed, uint32_t hosts, unsigned mutants)
{
    struct sim *sim = sim_new(&(struct sim_options){
        .seed = seed, .hosts = hosts, .mutants = mutants, .quiet_clients = true});

    bool ok = sim_until(sim, script_has_leader, 3000 * MS);
    assert(ok);
    sim_pass(sim, 200 * MS);
    return sim;
}

void script_cut(struct sim *sim, uint32_t slot, unsigned others, bool cut)
{
    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        if (i != slot && (others >> i & 1) != 0) {
            sim_net_set_cut(sim, slot, i, cut);
            sim_net_set_cut(sim, i, slot, cut);
        }
    }
}

struct sim_host *script_add_standby(struct sim *sim)
{
    struct sim_host *leader = sim_leader(sim);
    struct sim_host *h = &sim->hosts[sim->options.hosts];
    struct err e;

    while (h->used) {
        h++;
    }
    h->id = ++sim->next_id;
    h->used = true;
    (void)snprintf(h->address, sizeof h->address, "m%llu", (unsigned long long)h->id);
    int rc = node_member_add(leader->node, h->id, h->address, sim_ms(sim), &e);
    assert(rc == 0);
    sim_host_start(h);
    sim_host_touched(leader);
    bool ok = sim_until(sim, sim_check_equal, 3000 * MS);
    assert(ok);
    sim_pass(sim, 100 * MS);
    return h;
}

int script_propose(struct sim_host *host, uint32_t deadline_ms)
{
    struct sim *sim = host->sim;
    const struct sim_request *rq = sim_client_propose(host, deadline_ms);

    for (uint32_t i = 0; rq != NULL && i < 10 * deadline_ms && !rq->done; i++) {
        sim_pass(sim, 200);
    }
    return rq != NULL && rq->done ? rq->code : ERR_PENDING;
}

struct sim_host *script_other(struct sim *sim, const struct sim_host *not_this, uint32_t i)
{
    for (uint32_t slot = 0; slot < SIM_HOSTS; slot++) {
        struct sim_host *h = &sim->hosts[slot];
        if (h->up && h != not_this && i-- == 0) {
            return h;
        }
    }
    return NULL;
}
