#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "core/util.h"

#include "raftlog/node_impl.h"
#include "raftlog/tests/sim.h"

#define HEALED_US 10000000u /* Time to be well again after everything is. */

/* --- at every moment */

static void one_leader_a_term(struct sim_host *host)
{
    struct sim *sim = host->sim;
    const struct node *node = host->node;

    if (node->state != CORE_LEADER || node->term >= ARRAY_LEN(sim->leaders)) {
        return;
    }
    if (sim->leaders[node->term] == 0) {
        sim->leaders[node->term] = node->options.id;
        sim->elections++;
    } else if (sim->leaders[node->term] != node->options.id) {
        sim_fail(sim, "two leaders in term %llu", (unsigned long long)node->term);
    }
}

/* The core's idea of the configuration against the log's. */
static void configurations_agree(struct sim_host *host)
{
    const struct node *node = host->node;
    const struct membership *ms = &node->membership;
    uint64_t uncommitted = core_conf_uncommitted(node->core);
    uint64_t newest = ms->pending_n == 0 ? 0 : ms->pending[ms->pending_n - 1];

    if (node->install.restoring) {
        return;
    }
    if (uncommitted != newest || core_conf_committed(node->core) != ms->committed_index ||
        ms->pending_n > 1) {
        sim_fail(host->sim,
                 "host %u: configurations: the core says %llu, then %llu; the log %llu, then %llu",
                 host->slot, (unsigned long long)core_conf_committed(node->core),
                 (unsigned long long)uncommitted, (unsigned long long)ms->committed_index,
                 (unsigned long long)newest);
    }
}

void sim_check_host(struct sim_host *host)
{
    const struct node *node = host->node;

    one_leader_a_term(host);
    configurations_agree(host);
    if (node->applied != host->machine.applied && !node->install.restoring) {
        sim_fail(host->sim, "host %u: applied %llu, the machine %llu", host->slot,
                 (unsigned long long)node->applied, (unsigned long long)host->machine.applied);
    }
}

void sim_check_applied(struct sim_host *host, const struct raftlog_entry *entry)
{
    struct sim *sim = host->sim;

    if (entry->index >= SIM_INDEXES) {
        sim_fail(sim, "the run is too long");
        return;
    }
    uint64_t hash = hash_bytes(entry->data, entry->len).lo;
    if (sim->committed[entry->index].term == 0) {
        sim->committed[entry->index].term = entry->term;
        sim->committed[entry->index].hash = hash;
        sim->committed_max = max_u64(sim->committed_max, entry->index);
    } else if (sim->committed[entry->index].term != entry->term ||
               sim->committed[entry->index].hash != hash) {
        sim_fail(sim, "host %u applies another entry %llu (term %llu) than was applied (term %llu)",
                 host->slot, (unsigned long long)entry->index, (unsigned long long)entry->term,
                 (unsigned long long)sim->committed[entry->index].term);
    }
}

/* --- at the end */

static bool is_member(const struct sim *sim, const struct sim_host *host, const struct sim_host *of)
{
    (void)sim;
    const struct conf_member *m = conf_find(&of->node->membership.committed, host->id);
    return host->up && m != NULL && m->role != RAFTLOG_SPARE;
}

bool sim_check_equal(struct sim *sim)
{
    struct sim_host *leader = sim_leader(sim);

    if (leader == NULL || leader->node->membership.change.wanted) {
        return false;
    }
    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        struct sim_host *h = &sim->hosts[i];
        if (is_member(sim, h, leader) &&
            (h->machine.applied != leader->node->cache.last || h->node->install.restoring)) {
            return false;
        }
    }
    return true;
}

static bool all_done(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->requests_n; i++) {
        if (!sim->requests[i].done) {
            return false;
        }
    }
    for (uint32_t i = 0; i < SIM_READS; i++) {
        if (sim->reads[i].open) {
            return false;
        }
    }
    return true;
}

/* Every member serves again: a proposal and a read on each. */
static void serves_again(struct sim *sim, uint32_t first)
{
    struct sim_host *leader = sim_leader(sim);

    for (uint32_t i = 0; i < SIM_HOSTS && leader != NULL; i++) {
        if (is_member(sim, &sim->hosts[i], leader)) {
            (void)sim_client_propose(&sim->hosts[i], 3000);
            sim_client_read(&sim->hosts[i], 3000);
        }
    }
    if (leader == NULL || !sim_until(sim, all_done, 4000000)) {
        sim_fail(sim, leader == NULL ? "nobody leads after healing" : "a request has no answer");
    }
    for (uint32_t i = first; i < sim->requests_n; i++) {
        if (sim->requests[i].code != 0) {
            sim_fail(sim, "after healing host %u is told %s (request %u, effect at %llu)",
                     sim->requests[i].slot, err_name(sim->requests[i].code), i,
                     (unsigned long long)sim->requests[i].effect_index);
        }
    }
}

static void states_equal(struct sim *sim)
{
    struct sim_host *leader = sim_leader(sim);

    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        struct sim_host *h = &sim->hosts[i];
        if (is_member(sim, h, leader) &&
            memcmp(&h->machine, &leader->machine, sizeof h->machine) != 0) {
            sim_fail(sim, "host %u and host %u have different states", h->slot, leader->slot);
        }
    }
}

static void answers_hold(struct sim *sim)
{
    const struct sim_machine *m = &sim_leader(sim)->machine;

    for (uint32_t i = 0; i < sim->requests_n; i++) {
        const struct sim_request *rq = &sim->requests[i];
        bool known = (m->known[i / 8] >> (i % 8) & 1) != 0;
        bool certain = rq->code == ERR_BUSY || rq->code == ERR_NO_SPACE ||
                       rq->code == ERR_TOO_BIG || rq->code == ERR_NO_QUORUM;
        if (rq->code == 0 && !known) {
            sim_fail(sim, "request %u was acknowledged and is lost", i);
        }
        if (certain && known) {
            sim_fail(sim, "request %u was refused and is there", i);
        }
    }
}

static void not_equal(struct sim *sim)
{
    struct sim_host *leader = sim_leader(sim);
    char text[160];
    size_t n = 0;

    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        struct sim_host *h = &sim->hosts[i];
        if (h->up && n < sizeof text - 1) {
            const struct node *node = h->node;
            n += (size_t)snprintf(text + n, sizeof text - n, " %u%s:%d/%llu/%llu/%llu", i,
                                  h == leader ? "*" : "", (int)node->state,
                                  (unsigned long long)node->term, (unsigned long long)node->applied,
                                  (unsigned long long)node->cache.last);
        }
    }
    sim_fail(sim, "not equal after healing (state/term/applied/last):%s", text);
}

void sim_dump(struct sim *sim)
{
    const struct sim_host *leader = sim_leader(sim);

    if (leader == NULL) {
        return;
    }
    const struct node *node = leader->node;
    const struct member_change *change = &node->membership.change;
    (void)printf(
        "leader %u commit %llu snapshot %llu; change %d of %llu to %d at %llu; handing %d\n",
        leader->slot, (unsigned long long)node->commit,
        (unsigned long long)node->install.newest.s.index, change->wanted,
        (unsigned long long)change->id, (int)change->role, (unsigned long long)change->submitted,
        node->membership.handing_over);
    for (uint32_t i = 0; i < node->membership.now.n; i++) {
        const struct conf_member *m = &node->membership.now.members[i];
        const struct sim_host *h = sim_host_of(sim, m->id);
        const struct peer *p = node_peer((struct node *)(uintptr_t)node, m->id);
        (void)printf("  member %llu slot %d role %d match %llu", (unsigned long long)m->id,
                     h == NULL ? -1 : (int)h->slot, (int)m->role,
                     (unsigned long long)core_match(node->core, m->id));
        if (p != NULL && h != NULL && h->up) {
            (void)printf(
                " connected %d heard %llu told %llu transfer %d of %llu; restoring %d "
                "received %llu unsent %d sent %d\n",
                p->connected, (unsigned long long)p->heard_ms, (unsigned long long)p->told_commit,
                p->transfer.active, (unsigned long long)p->transfer.meta.s.index,
                h->node->install.restoring, (unsigned long long)h->node->install.received.s.index,
                h->node->propose.unsent.first != NULL, h->node->propose.sent.first != NULL);
        } else {
            (void)printf("\n");
        }
    }
}

void sim_check_end(struct sim *sim)
{
    if (!sim_until(sim, sim_check_equal, HEALED_US)) {
        not_equal(sim);
        return;
    }
    if (!sim_until(sim, all_done, 8000000)) {
        sim_fail(sim, "a request of before has no answer");
        return;
    }
    uint32_t first = sim->requests_n;
    serves_again(sim, first);
    if (!sim->failed && !sim_until(sim, sim_check_equal, 2000000)) {
        sim_fail(sim, "the last entries do not come to all");
    }
    if (!sim->failed) {
        states_equal(sim);
        answers_hold(sim);
    }
}
