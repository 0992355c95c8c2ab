#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vnet.h"

/* The way to a host is slow; then its daemon stands still for a moment while the host is cut off.
 * When it goes on, what it is told next was said seconds ago, and nobody hears it. One host at a
 * time. */
static uint64_t number; /* Of the strike in force. */
static uint32_t host;
static bool slow, away;
static struct rng *rng;

static void delay(uint32_t min_us, uint32_t max_us)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        if (i != host) {
            vnet_link(i, host)->delay_min_us = min_us;
            vnet_link(i, host)->delay_max_us = max_us;
        }
    }
    slow = min_us > 60;
}

static void part(bool cut)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        vnet_link(host, i)->cut = vnet_link(i, host)->cut = cut && i != host;
    }
    away = cut;
}

static void heal(void)
{
    number++;
    if (slow) {
        delay(60, 120);
    }
    if (away) {
        part(false);
    }
}

static void mend(void *ctx, uint64_t arg)
{
    (void)ctx;
    if (arg == number) {
        heal();
    }
}

static void resume(void *ctx, uint64_t arg)
{
    (void)arg;
    vhost_pause(ctx, false);
}

/* What was under way to it has come. */
static void cut(void *ctx, uint64_t arg)
{
    (void)ctx;
    if (arg == number && faults_active()) {
        delay(60, 120);
        part(true);
    }
}

static void leave(void *ctx, uint64_t arg)
{
    struct vhost *h = ctx;
    if (arg != number || !faults_active()) {
        return;
    }
    uint64_t ms = rng_between(rng, 500, 2200);
    fault_say("late_pause", h->m.name, ms);
    vhost_pause(h, true);
    lab_after(300 * NS_PER_MS, cut, NULL, number);
    lab_after(ms * NS_PER_MS, resume, h, 0);
    lab_after((ms + fault_while_ms(rng, 3000, 30000)) * NS_PER_MS, mend, NULL, number);
}

static void strike(struct rng *r)
{
    heal();
    rng = r;
    host = fault_host(rng)->m.index;
    uint32_t us = (uint32_t)rng_between(rng, 20000, 250000);
    fault_say("late", lab.hosts[host].m.name, us);
    delay(us, us + 1000);
    lab_after(rng_between(rng, 500, 4000) * NS_PER_MS, leave, &lab.hosts[host], number);
}

const struct fault fault_late = {.name = "late", .every_ms = 15000, .strike = strike, .heal = heal};
