#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/util.h"

#include "raftlog/node_impl.h"
#include "raftlog/tests/sim.h"

#define LOOP_US   20u /* From an input to the end of the loop's turn. */
#define SECOND_US 1000000u

void sim_fail(struct sim *sim, const char *fmt, ...)
{
    va_list ap;

    if (sim->failed) {
        return;
    }
    sim->failed = true;
    int n = snprintf(sim->failure, sizeof sim->failure,
                     "seed %llu at %.3f s: ", (unsigned long long)sim->options.seed,
                     (double)sim->now_us / 1e6);
    va_start(ap, fmt);
    (void)vsnprintf(sim->failure + n, sizeof sim->failure - (size_t)n, fmt, ap);
    va_end(ap);
}

uint64_t sim_ms(const struct sim *sim)
{
    return sim->now_us / 1000;
}

uint64_t sim_below(struct sim *sim, uint64_t n)
{
    return rng_below(&sim->rng, n);
}

/* --- events */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->seq < b->seq;
}

static void heap_push(struct sim *sim, struct sim_event *event)
{
    if (sim->heap_n == sim->heap_cap) {
        sim->heap_cap = sim->heap_cap == 0 ? 256 : sim->heap_cap * 2;
        sim->heap = mem_grow(sim->heap, sim->heap_cap, sizeof(struct sim_event *));
    }
    uint32_t i = sim->heap_n++;
    while (i > 0 && before(event, sim->heap[(i - 1) / 2])) {
        sim->heap[i] = sim->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    sim->heap[i] = event;
}

static struct sim_event *heap_pop(struct sim *sim)
{
    struct sim_event *top = sim->heap[0];
    struct sim_event *last = sim->heap[--sim->heap_n];
    uint32_t i = 0;

    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= sim->heap_n) {
            break;
        }
        if (child + 1 < sim->heap_n && before(sim->heap[child + 1], sim->heap[child])) {
            child++;
        }
        if (!before(sim->heap[child], last)) {
            break;
        }
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    sim->heap[i] = last;
    return top;
}

static void event_free(struct sim_event *event)
{
    free(event->data);
    free(event->file);
    free(event);
}

struct sim_event *sim_schedule(struct sim *sim,
                               uint64_t delay_us,
                               struct sim_host *host,
                               void (*fire)(struct sim *sim, struct sim_event *event))
{
    struct sim_event *event = mem_new(1, sizeof *event);

    event->at_us = sim->now_us + delay_us;
    event->seq = sim->seq++;
    event->fire = fire;
    event->host = host;
    event->epoch = host == NULL ? 0 : host->epoch;
    heap_push(sim, event);
    return event;
}

/* --- hosts */

struct sim_host *sim_host_of(struct sim *sim, uint64_t id)
{
    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        if (sim->hosts[i].used && sim->hosts[i].id == id) {
            return &sim->hosts[i];
        }
    }
    return NULL;
}

struct sim_host *sim_leader(struct sim *sim)
{
    struct sim_host *best = NULL;

    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        struct sim_host *h = &sim->hosts[i];
        if (h->up && drive_leading(h->node) && (best == NULL || h->node->term > best->node->term)) {
            best = h;
        }
    }
    return best;
}

static void host_changed(void *ctx)
{
    struct sim_host *host = ctx;
    host->changed = true;
}

static void host_stopped(void *ctx)
{
    struct sim_host *host = ctx;
    host->stopped = true;
}

static void
host_send(void *ctx, uint64_t to, enum node_channel channel, const void *data, size_t len)
{
    (void)channel;
    sim_net_send(ctx, to, data, len);
}

static void flush(struct sim *sim, struct sim_event *event)
{
    struct sim_host *host = event->host;
    struct err e;

    host->flush_due = false;
    if (node_wants_flush(host->node) && node_flush(host->node, sim_ms(sim), &e) != 0) {
        sim_fail(sim, "host %u cannot go on: %s", host->slot, e.msg);
    }
    sim_host_touched(host);
}

static void tick(struct sim *sim, struct sim_host *host)
{
    struct err e;

    if (node_tick(host->node, sim_ms(sim), &e) != 0) {
        sim_fail(sim, "host %u cannot go on: %s", host->slot, e.msg);
    }
    sim_host_touched(host);
}

void sim_host_touched(struct sim_host *host)
{
    struct sim *sim = host->sim;

    if (!host->up) {
        return;
    }
    sim_check_host(host);
    if (!host->flush_due && node_wants_flush(host->node)) {
        host->flush_due = true;
        (void)sim_schedule(sim, LOOP_US, host, flush);
    }
}

void sim_host_start(struct sim_host *host)
{
    struct sim *sim = host->sim;
    bool small = (sim->options.faults & SIM_SNAPSHOT) != 0 || sim->options.small_snapshots;
    struct node_recovered recovered;
    struct err e;

    struct node_options options = {
        .id = host->id,
        .address = host->address,
        .snapshot_entries = small ? 20 + host->slot * 7 : 5000,
        .snapshot_trailing = small ? 10 : 1000,
        .cache_bytes = small ? 300 : 1u << 20,
        .install_ms = sim->options.install_ms == 0 ? 1500 : sim->options.install_ms,
        .seed = rng_u64(&sim->rng),
        .mutants = sim->options.mutants,
        .io = {.ctx = host,
               .send = host_send,
               .apply = sim_machine_apply,
               .changed = host_changed,
               .stopped = host_stopped},
    };
    sim_disk_io(&options.io);
    sim_client_io(&options.io);
    host->epoch++;
    host->up = true;
    host->flush_due = false;
    host->busy_us = 0;
    host->paused_us = 0;
    host->full = false;
    sim_disk_recover(host, &recovered);
    int rc = node_new(&host->node, &options, &recovered, sim_ms(sim), &e);
    free((void *)(uintptr_t)recovered.entries);
    if (rc != 0) {
        host->up = false;
        sim_fail(sim, "host %u does not start: %s", host->slot, e.msg);
        return;
    }
    sim_host_touched(host);
}

void sim_host_crash(struct sim_host *host)
{
    host->sim->crashes++;
    host->up = false;
    host->epoch++;
    sim_client_crashed(host);
    sim_net_crashed(host);
    sim_disk_crash(host);
    node_abandon(host->node, ERR_CLOSED);
    host->node = node_free(host->node);
}

void sim_host_pause(struct sim_host *host, uint64_t us)
{
    host->paused_us = max_u64(host->paused_us, host->sim->now_us + us);
}

/* --- time */

/* The host whose timer is due first; what is stopped or blocked is late. */
static struct sim_host *next_tick(struct sim *sim, uint64_t *ret_us)
{
    struct sim_host *best = NULL;

    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        struct sim_host *h = &sim->hosts[i];
        if (!h->up) {
            continue;
        }
        uint64_t at = node_deadline(h->node) * 1000;
        at = max_u64(at, max_u64(h->busy_us, h->paused_us));
        at = max_u64(at, sim->now_us);
        if (best == NULL || at < *ret_us) {
            best = h;
            *ret_us = at;
        }
    }
    return best;
}

static void step(struct sim *sim, uint64_t end_us)
{
    uint64_t tick_us = UINT64_MAX;
    struct sim_host *host = next_tick(sim, &tick_us);

    if (sim->heap_n > 0 && sim->heap[0]->at_us <= min_u64(tick_us, end_us)) {
        struct sim_event *event = heap_pop(sim);
        sim->now_us = max_u64(sim->now_us, event->at_us);
        sim->events++;
        struct sim_host *h = event->host;
        if (h == NULL || (h->up && h->epoch == event->epoch)) {
            uint64_t free_us = h == NULL ? 0 : max_u64(h->busy_us, h->paused_us);
            if (free_us > sim->now_us) {
                /* Keeps its turn: later events of this host are put off to after it. */
                event->at_us = free_us;
                heap_push(sim, event);
                return;
            }
            event->fire(sim, event);
        }
        event_free(event);
    } else if (host != NULL && tick_us <= end_us) {
        sim->now_us = tick_us;
        tick(sim, host);
    } else {
        sim->now_us = end_us;
    }
}

void sim_pass(struct sim *sim, uint64_t us)
{
    uint64_t end_us = sim->now_us + us;

    while (!sim->failed && sim->now_us < end_us) {
        step(sim, end_us);
    }
}

bool sim_until(struct sim *sim, bool (*holds)(struct sim *sim), uint64_t us)
{
    uint64_t end_us = sim->now_us + us;

    while (!sim->failed && sim->now_us < end_us) {
        if (holds(sim)) {
            return true;
        }
        step(sim, end_us);
    }
    return !sim->failed && holds(sim);
}

static void every_20ms(struct sim *sim, struct sim_event *event)
{
    (void)event;
    sim_net_tick(sim);
    (void)sim_schedule(sim, 20000, NULL, every_20ms);
}

static void client(struct sim *sim, struct sim_event *event)
{
    (void)event;
    if (!sim->options.quiet_clients) {
        sim_client_act(sim);
    }
    (void)sim_schedule(sim, 1 + sim_below(sim, 8000), NULL, client);
}

static void chaos(struct sim *sim, struct sim_event *event)
{
    (void)event;
    if (sim->chaos) {
        sim_chaos_act(sim);
        (void)sim_schedule(sim, 1 + sim_below(sim, 120000), NULL, chaos);
    }
}

/* --- life */

struct sim *sim_new(const struct sim_options *options)
{
    struct sim *sim = mem_new(1, sizeof *sim);

    sim->options = *options;
    sim->requests = mem_new(SIM_REQUESTS, sizeof *sim->requests);
    rng_seed(&sim->rng, options->seed);
    if (sim->options.hosts == 0) {
        sim->options.hosts = sim_below(sim, 3) == 0 ? 5 : 3;
    }
    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        struct sim_host *h = &sim->hosts[i];
        h->sim = sim;
        h->slot = i;
        sim_disk_init(&h->disk);
        if (i < sim->options.hosts) {
            h->used = true;
            h->id = ++sim->next_id;
            (void)snprintf(h->address, sizeof h->address, "m%llu", (unsigned long long)h->id);
        }
    }
    for (uint32_t i = 0; i < sim->options.hosts; i++) {
        sim_disk_found(&sim->hosts[i]);
    }
    for (uint32_t i = 0; i < sim->options.hosts; i++) {
        sim_host_start(&sim->hosts[i]);
    }
    (void)sim_schedule(sim, 0, NULL, every_20ms);
    (void)sim_schedule(sim, 0, NULL, client);
    return sim;
}

void sim_free(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_HOSTS; i++) {
        struct sim_host *h = &sim->hosts[i];
        if (h->node != NULL) {
            h->up = false;
            sim_client_crashed(h);
            node_abandon(h->node, ERR_CLOSED);
            h->node = node_free(h->node);
        }
        sim_disk_done(&h->disk);
    }
    while (sim->heap_n > 0) {
        event_free(heap_pop(sim));
    }
    free(sim->heap);
    free(sim->requests);
    free(sim);
}

bool sim_run(struct sim *sim)
{
    if (sim->options.faults != 0) {
        sim->chaos = true;
        (void)sim_schedule(sim, 300000, NULL, chaos);
    }
    sim_pass(sim, sim->options.chaos_us);
    sim->chaos = false;
    sim_chaos_heal(sim);
    sim->options.quiet_clients = true;
    sim_check_end(sim);
    return !sim->failed;
}
