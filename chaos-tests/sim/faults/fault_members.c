#include "chaos-tests/sim/data.h"
#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/members.h"

enum what {
    OUT,    /* A host leaves in good order. */
    LOST,   /* It has lost its power for good, as far as anybody knows, and is removed by force. */
    VOTERS, /* Fewer or more hosts vote. */
    BARRED  /* A host may not become master. */
};

static void back(void *ctx, uint64_t what)
{
    const struct vhost *h = ctx;
    switch ((enum what)what) {
    case OUT: members_want(h, true); break;
    case LOST: members_want_back(h); break;
    case VOTERS: members_want_voters(0); break;
    case BARRED: members_want_master(h, true); break;
    }
}

static bool choose(struct rng *rng, uint64_t arg[FAULT_ARGS])
{
    arg[0] = fault_some_host(rng);
    arg[1] = rng_below(rng, 4);
    arg[2] = fault_while_ms(rng, 1000, 60000);
    arg[3] = 1 + 2 * rng_below(rng, 4);
    return lab.o.hosts > 1 && fault_host(arg[0])->m.on;
}

static void strike(const uint64_t arg[FAULT_ARGS])
{
    struct vhost *h = fault_host(arg[0]);
    if (data_in_doubt() || lab.o.hosts == 1 || members_lost()) {
        return; /* What only it and one more had may be with one that is taken out. */
    }
    switch ((enum what)arg[1]) {
    case OUT: members_want(h, false); break;
    case LOST:
        if (!h->m.on || !members_want_lost(h)) {
            return; /* Whoever cut its power gives it back. */
        }
        break;
    case VOTERS: members_want_voters((uint32_t)arg[3] | 1); break;
    case BARRED: members_want_master(h, false); break;
    }
    lab_after(arg[2] * NS_PER_MS, back, h, arg[1]);
}

static const char *const words[] = {"out", "lost", "voters", "barred", NULL};

/* Host, what of it, for how long, how many vote. */
const struct fault fault_members = {.name = "members",
                                    .args = "hwmn",
                                    .words = words,
                                    .every_ms = 20000,
                                    .choose = choose,
                                    .strike = strike,
                                    .heal = members_heal};
