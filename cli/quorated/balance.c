#include "cli/quorated/balance.h"

#include <string.h>

#include "core/util.h"

/* In thousandths, so that small moves count. */
static uint64_t share(const struct place_host *h)
{
    return h->memory_mib == 0 ? 1000 : h->taken_mib * 1000 / h->memory_mib;
}

static bool counts(const struct place_host *h)
{
    return h->state == HOST_UP && !h->fenced && !h->maintenance && !h->evacuating && h->can_run &&
           h->memory_mib > 0;
}

struct extremes {
    struct place_host *fullest, *emptiest;
};

static struct extremes find_extremes(struct place_census *c)
{
    struct extremes x = {NULL, NULL};
    for (uint32_t i = 0; i < c->n; i++) {
        struct place_host *h = &c->hosts[i];
        if (!counts(h)) {
            continue;
        }
        x.fullest = x.fullest == NULL || share(h) > share(x.fullest) ? h : x.fullest;
        x.emptiest = x.emptiest == NULL || share(h) < share(x.emptiest) ? h : x.emptiest;
    }
    return x;
}

static uint64_t difference(struct place_census *c)
{
    struct extremes x = find_extremes(c);
    return x.fullest == NULL ? 0 : share(x.fullest) - share(x.emptiest);
}

static bool is_moved(const struct balance_plan *p, const char *guest)
{
    for (uint32_t i = 0; i < p->n; i++) {
        if (strcmp(p->moves[i].guest, guest) == 0) {
            return true;
        }
    }
    return false;
}

static bool may_go(struct fsm_view *v,
                   const struct place_census *c,
                   const struct guest *g,
                   const struct place_host *to)
{
    static struct placement found; /* Large; the loop has one thread. */
    const struct place_ask ask = {.guest = g, .not_here = g->host, .only = to->name};
    if (g->state != GUEST_RUNNING || g->op != 0 || g->changed || g->together[0] != '\0') {
        return false;
    }
    place_find(v, c, &ask, &found);
    return found.best != NULL;
}

/* How far the two would be apart with this much moved from one to the other. */
static uint64_t
apart_after(const struct place_host *from, const struct place_host *to, uint64_t memory_mib)
{
    struct place_host a = *from;
    struct place_host b = *to;
    a.taken_mib -= min_u64(a.taken_mib, memory_mib);
    b.taken_mib += memory_mib;
    return share(&a) > share(&b) ? share(&a) - share(&b) : share(&b) - share(&a);
}

/* The one guest of `from` that brings the two closest; the first by name of equals. */
static bool find_move(struct fsm_view *v,
                      struct place_census *c,
                      const struct extremes *x,
                      const struct balance_plan *p,
                      struct guest *ret)
{
    static struct guest g; /* Several KiB. */
    uint64_t best = share(x->fullest) - share(x->emptiest);
    bool found = false;
    char after[LIMIT_NAME + 1] = "";
    while (fsm_next_guest_on(v, x->fullest->name, after, &g) == 0) {
        (void)str_copy(after, sizeof after, g.name);
        uint64_t then = apart_after(x->fullest, x->emptiest, g.config.memory_mib);
        if (then < best && !is_moved(p, g.name) && may_go(v, c, &g, x->emptiest)) {
            best = then;
            found = true;
            *ret = g;
        }
    }
    return found;
}

void balance_plan(struct fsm_view *v, uint32_t threshold_percent, struct balance_plan *ret)
{
    static struct place_census c;
    static struct guest g;
    *ret = (struct balance_plan){.n = 0};
    place_census_take(v, &c);
    ret->before = (uint32_t)(difference(&c) / 10);
    while (ret->n < BALANCE_MOVES) {
        struct extremes x = find_extremes(&c);
        if (x.fullest == NULL || difference(&c) <= 10 * (uint64_t)threshold_percent ||
            !find_move(v, &c, &x, ret, &g)) {
            break;
        }
        struct balance_move *m = &ret->moves[ret->n++];
        (void)str_copy(m->guest, sizeof m->guest, g.name);
        (void)str_copy(m->from, sizeof m->from, x.fullest->name);
        (void)str_copy(m->to, sizeof m->to, x.emptiest->name);
        m->memory_mib = g.config.memory_mib;
        x.fullest->taken_mib -= min_u64(x.fullest->taken_mib, g.config.memory_mib);
        place_census_add(&c, x.emptiest->name, &g);
    }
    ret->after = (uint32_t)(difference(&c) / 10);
}
