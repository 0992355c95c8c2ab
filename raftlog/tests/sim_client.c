#include <string.h>

#include "core/util.h"

#include "raftlog/node_impl.h"
#include "raftlog/tests/sim.h"

/* Some do not wait for ever. Not where a mistake is planted: the more is asked, the sooner it
 * shows. */
static uint32_t adrift_of(const struct sim *sim, uint32_t number)
{
    return sim->options.plant == SIM_PLANT_NONE && number % 3 == 0 ? SIM_ADRIFT_MS : 0;
}

/* --- proposals */

struct sim_request *sim_client_request(struct sim *sim, const void *data, size_t len)
{
    uint32_t number = 0;

    if (len != sizeof sim->requests[0].bytes) {
        return NULL;
    }
    memcpy(&number, data, sizeof number);
    if (number >= sim->requests_n || memcmp(sim->requests[number].bytes, data, len) != 0) {
        return NULL;
    }
    return &sim->requests[number];
}

static void proposal_done(void *ctx, struct raftlog_proposal *p, int code)
{
    struct sim_host *host = ctx;
    struct sim *sim = host->sim;
    struct sim_request *rq = CONTAINER_OF(p, struct sim_request, p);

    if (!rq->asked || rq->done) {
        sim_fail(sim, "request %u is answered twice", rq->number);
    }
    rq->done = sim->options.plant != SIM_PLANT_DONE_TWICE || rq->done;
    rq->code = code;
    rq->done_us = sim->now_us;
    if (sim->options.plant == SIM_PLANT_DONE_TWICE && !rq->done) {
        rq->done = true;
        proposal_done(ctx, p, code);
        return;
    }
    if (code == 0) {
        sim->acked++;
        if (rq->p.ret_index > host->machine.applied || rq->effect_index == 0) {
            sim_fail(sim, "request %u is acknowledged but not applied here", rq->number);
        }
        sim->floor = max_u64(sim->floor, rq->p.ret_index);
    }
}

struct sim_request *sim_client_propose(struct sim_host *host, uint32_t deadline_ms)
{
    struct sim *sim = host->sim;

    if (sim->requests_n == SIM_REQUESTS || !host->up) {
        return NULL;
    }
    struct sim_request *rq = &sim->requests[sim->requests_n];
    rq->sim = sim;
    rq->number = sim->requests_n++;
    rq->slot = host->slot;
    rq->epoch = host->epoch;
    rq->asked = true;
    rq->asked_us = sim->now_us;
    memset(rq->bytes, (int)(rq->number % 251), sizeof rq->bytes);
    memcpy(rq->bytes, &rq->number, sizeof rq->number);
    rq->p.data = rq->bytes;
    rq->p.len = sizeof rq->bytes;
    rq->p.request = id_new(&sim->rng);
    rq->p.deadline_ms = deadline_ms;
    rq->p.adrift_ms = adrift_of(sim, rq->number);
    node_propose(host->node, &rq->p, sim_ms(sim));
    sim_host_touched(host);
    return rq;
}

/* --- reads */

static void read_done(void *ctx, struct raftlog_read *r, int code)
{
    struct sim_host *host = ctx;
    struct sim *sim = host->sim;
    struct sim_read *read = CONTAINER_OF(r, struct sim_read, r);
    uint64_t seen = host->machine.applied;

    if (!read->open) {
        sim_fail(sim, "a read is answered twice");
    }
    read->open = false;
    if (code != 0) {
        return;
    }
    if (sim->options.plant == SIM_PLANT_STALE_READ && read->floor > 0) {
        seen = read->floor - 1;
    }
    sim->reads_done++;
    if (seen < read->floor) {
        sim_fail(sim, "host %u reads at %llu what was at %llu before it asked", host->slot,
                 (unsigned long long)seen, (unsigned long long)read->floor);
    }
    sim->floor = max_u64(sim->floor, seen);
}

void sim_client_read(struct sim_host *host, uint32_t deadline_ms)
{
    struct sim *sim = host->sim;

    for (uint32_t i = 0; i < SIM_READS && host->up; i++) {
        struct sim_read *read = &sim->reads[i];
        if (!read->open) {
            *read = (struct sim_read){.sim = sim, .host = host, .epoch = host->epoch};
            read->open = true;
            read->floor = sim->floor;
            read->r.deadline_ms = deadline_ms;
            read->r.adrift_ms = adrift_of(sim, i);
            node_read(host->node, &read->r, sim_ms(sim));
            sim_host_touched(host);
            return;
        }
    }
}

/* --- both */

static void ignore_note(void *ctx, uint64_t from, const void *data, size_t len)
{
    (void)ctx;
    (void)from;
    (void)data;
    (void)len;
}

void sim_client_io(struct node_io *io)
{
    io->proposal_done = proposal_done;
    io->read_done = read_done;
    io->note = ignore_note;
}

/* Who asked a process that died is not answered, and need not be. node_abandon() answers all the
 * same. */
void sim_client_crashed(struct sim_host *host)
{
    (void)host;
}

static struct sim_host *any_host(struct sim *sim)
{
    for (int tries = 0; tries < 20; tries++) {
        struct sim_host *h = &sim->hosts[sim_below(sim, SIM_HOSTS)];
        if (h->up && h->paused_us <= sim->now_us && h->busy_us <= sim->now_us) {
            return h;
        }
    }
    return NULL;
}

void sim_client_act(struct sim *sim)
{
    struct sim_host *host = any_host(sim);

    if (host == NULL) {
        return;
    }
    uint64_t a = sim_below(sim, 100);
    if (a < 40) {
        sim_client_read(host, (uint32_t)(50 + sim_below(sim, 3000)));
        return;
    }
    uint64_t n = a < 90 ? 1 : 1 + sim_below(sim, 12);
    struct sim_request *rq = NULL;
    for (; n > 0; n--) {
        rq = sim_client_propose(host, (uint32_t)(50 + sim_below(sim, 5000)));
    }
    if (a == 42 && rq != NULL && !rq->done) {
        node_propose_cancel(host->node, &rq->p);
    }
    node_note(host->node, 0, "hello", 5);
    sim_host_touched(host);
}
