#include <string.h>

#include "core/hash.h"

#include "raftlog/tests/sim.h"

static bool knows(const struct sim_machine *m, uint32_t number)
{
    return (m->known[number / 8] >> (number % 8) & 1) != 0;
}

static void effect(struct sim_host *host, struct sim_request *rq, uint64_t index)
{
    struct sim_machine *m = &host->machine;
    struct sim *sim = host->sim;

    m->known[rq->number / 8] |= (uint8_t)(1 << (rq->number % 8));
    m->regs[rq->number % SIM_KEYS] = rq->number;
    m->effects++;
    struct hash128 h = hash_row(&m->digest, sizeof m->digest, rq->bytes, sizeof rq->bytes);
    m->digest = h.lo;
    if (sim->options.plant == SIM_PLANT_APPLY_OTHER && host->slot == 1) {
        m->digest++;
    }
    if (rq->effect_index == 0) {
        rq->effect_index = index;
    } else if (rq->effect_index != index) {
        sim_fail(sim, "request %u took effect at %llu and at %llu", rq->number,
                 (unsigned long long)rq->effect_index, (unsigned long long)index);
    }
}

int sim_machine_apply(void *ctx, const struct raftlog_entry *entries, uint32_t n, struct err *e)
{
    struct sim_host *host = ctx;
    struct sim *sim = host->sim;

    (void)e;
    for (uint32_t i = 0; i < n; i++) {
        const struct raftlog_entry *entry = &entries[i];
        if (entry->index != host->machine.applied + 1) {
            sim_fail(sim, "host %u applies %llu after %llu", host->slot,
                     (unsigned long long)entry->index, (unsigned long long)host->machine.applied);
        }
        host->machine.applied = entry->index;
        sim_check_applied(host, entry);
        if (entry->data == NULL) {
            continue;
        }
        struct sim_request *rq = sim_client_request(sim, entry->data, entry->len);
        if (rq == NULL) {
            sim_fail(sim, "host %u applies what nobody asked", host->slot);
            continue;
        }
        bool twice = sim->options.plant == SIM_PLANT_APPLY_TWICE;
        if (!knows(&host->machine, rq->number) || twice) {
            effect(host, rq, entry->index);
        }
        node_applied_request(host->node, &rq->p.request, entry->index);
    }
    return 0;
}
