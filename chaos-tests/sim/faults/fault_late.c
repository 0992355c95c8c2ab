#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/vnet.h"

#define OUT_MS 300 /* So long into its standstill what was under way to it has come. */

/* The way to a host is slow; then its daemon stands still for a moment while the host is cut off.
 * When it goes on, what it is told next was said seconds ago, and nobody hears it. One host at a
 * time. */
static struct {
    uint64_t number; /* Of the strike in force. */
    uint32_t host;
    uint64_t still_ms, away_ms;
    bool slow, away;
} now;

static void delay(uint32_t min_us, uint32_t max_us)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        if (i != now.host) {
            vnet_link(i, now.host)->delay_min_us = min_us;
            vnet_link(i, now.host)->delay_max_us = max_us;
        }
    }
    now.slow = min_us > 60;
}

static void part(bool cut)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        vnet_link(now.host, i)->cut = vnet_link(i, now.host)->cut = cut && i != now.host;
    }
    now.away = cut;
}

static void heal(void)
{
    now.number++;
    if (now.slow) {
        delay(60, 120);
    }
    if (now.away) {
        part(false);
    }
}

static void mend(void *ctx, uint64_t number)
{
    (void)ctx;
    if (number == now.number) {
        heal();
    }
}

/* The process may be another one by then. */
static void resume(void *ctx, uint64_t number)
{
    struct vhost *h = ctx;
    if (h->proc != NULL && h->proc->number == number) {
        vhost_pause(h, false);
    }
}

static void cut(void *ctx, uint64_t number)
{
    (void)ctx;
    if (number == now.number && faults_active()) {
        delay(60, 120);
        part(true);
    }
}

static void leave(void *ctx, uint64_t number)
{
    struct vhost *h = ctx;
    if (number != now.number || !faults_active() || h->proc == NULL) {
        return;
    }
    vhost_pause(h, true);
    lab_after(OUT_MS * NS_PER_MS, cut, NULL, number);
    lab_after(now.still_ms * NS_PER_MS, resume, h, h->proc->number);
    lab_after((now.still_ms + now.away_ms) * NS_PER_MS, mend, NULL, number);
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_between(rng, 20, 250);
    arg[2] = rng_between(rng, 500, 4000);
    arg[3] = rng_between(rng, 500, 2200);
    arg[4] = fault_while_ms(rng, 3000, 30000);
    return true;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    heal();
    now.host = fault_host(arg[0])->m.index;
    now.still_ms = arg[3];
    now.away_ms = arg[4];
    uint32_t us = (uint32_t)(arg[1] % 1000000) * 1000;
    delay(us, us + 1000);
    lab_after(arg[2] * NS_PER_MS, leave, fault_host(arg[0]), now.number);
}

/* Host, the delay, when its daemon stands still, for how long, how long the host is cut off. */
const struct fault fault_late = {.name = "late",
                                 .args = "hmmmm",
                                 .every_ms = 15000,
                                 .choose = choose,
                                 .strike = strike,
                                 .heal = heal};
