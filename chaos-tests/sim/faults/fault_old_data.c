#include "chaos-tests/sim/data.h"
#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/members.h"

enum how {
    KILL,
    POWER
};

/* The backup of a host that is to be put back. */
static struct data_copy *copies[LAB_HOSTS_MAX];

static void forget(uint32_t i)
{
    copies[i] = data_free(copies[i]);
}

static void heal(void)
{
    for (uint32_t i = 0; i < LAB_HOSTS_MAX; i++) {
        forget(i);
    }
}

static void on(void *ctx, uint64_t boot)
{
    struct vhost *h = ctx;
    if (h->m.boots == boot) {
        vhost_power_on(h);
    }
}

/* In the low bit, how it goes down; above, for how long. */
static void put_back(void *ctx, uint64_t arg)
{
    struct vhost *h = ctx;
    struct data_copy *copy = copies[h->m.index];
    if (copy != NULL && h->m.on && h->wanted && data_may_forget(h) && data_start_is_known(h)) {
        data_forgets(h);
        if ((arg & 1) == POWER) {
            vhost_power_cut(h);
            lab_after((arg >> 1) * NS_PER_MS, on, h, h->m.boots);
        } else {
            vhost_kill(h, arg >> 1);
        }
        if (h->proc == NULL) {
            data_put(h, copy);
        }
    }
    forget(h->m.index);
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_below(rng, 2);
    arg[2] = fault_while_ms(rng, 100, 60000);
    arg[3] = fault_while_ms(rng, 20, 10000);
    return lab.o.hosts > 2 && copies[arg[0]] == NULL && fault_host(arg[0])->proc != NULL;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    /* An old copy of an only voter would lead before anybody could tell it what it is. */
    if (copies[arg[0]] == NULL && h->proc != NULL && members_settled() && data_start_is_known(h)) {
        copies[arg[0]] = data_save(h);
        vhost_kill(h, 20); /* The copy is of an earlier start than that which is lost. */
        lab_after(arg[2] * NS_PER_MS, put_back, h, arg[3] << 1 | (arg[1] & 1));
    }
}

static const char *const words[] = {"killed", "power", NULL};

/* A copy from within the same start is not told from the present: see README.md.
 *
 * Host, how it goes down, how old its data are by then, and for how long it is down. */
const struct fault fault_old_data = {.name = "old_data",
                                     .args = "hwmm",
                                     .words = words,
                                     .every_ms = 40000,
                                     .choose = choose,
                                     .strike = strike,
                                     .heal = heal};
