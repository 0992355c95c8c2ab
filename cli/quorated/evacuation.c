#include "cli/quorated/evacuation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

static int larger_first(const void *a, const void *b)
{
    const struct move *x = a;
    const struct move *y = b;
    return x->memory_mib != y->memory_mib ? (x->memory_mib > y->memory_mib ? -1 : 1)
                                          : strcmp(x->guest, y->guest);
}

/* Where it could go: to this host, or when that is NULL to the best but its own. */
static void judge(struct fsm_view *v,
                  const struct guest *g,
                  const char *back_to,
                  struct place_census *c,
                  struct move *m)
{
    static struct placement found; /* Large; the loop has one thread. */
    const struct place_ask ask = {.guest = g, .not_here = g->host, .only = back_to};
    struct err e = {0};
    m->generation = g->generation;
    if (g->op != 0) {
        m->no = MOVE_UNDER_WAY;
        (void)snprintf(m->reason, sizeof m->reason, "operation %" PRIu64 " is under way", g->op);
        return;
    }
    if ((g->state != GUEST_RUNNING && g->state != GUEST_PAUSED) || g->changed) {
        m->no = MOVE_STATE;
        (void)snprintf(m->reason, sizeof m->reason, "it is %s%s", enum_guest_state.names[g->state],
                       g->changed ? " with hardware that was changed since it started" : "");
        return;
    }
    place_find(v, c, &ask, &found);
    if (found.best == NULL) {
        m->no = MOVE_NO_PLACE;
        (void)place_none(&found, g, &e);
        (void)snprintf(m->reason, sizeof m->reason, "%.255s", e.msg);
        return;
    }
    (void)str_copy(m->host, sizeof m->host, found.best->host->name);
    place_census_add(c, m->host, g);
}

static void put_guest(struct evacuation_plan *p, const struct guest *g)
{
    p->moves = mem_grow(p->moves, p->n + 1, sizeof *p->moves);
    struct move *m = &p->moves[p->n++];
    *m = (struct move){.memory_mib = g->config.memory_mib};
    (void)str_copy(m->guest, sizeof m->guest, g->name);
}

static void judge_all(struct fsm_view *v,
                      const char *back_to,
                      struct place_census *c,
                      struct evacuation_plan *p)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    if (p->n > 1) {
        qsort(p->moves, p->n, sizeof *p->moves, larger_first);
    }
    for (uint32_t i = 0; i < p->n; i++) {
        if (fsm_get_guest(v, p->moves[i].guest, &g) == 0) {
            judge(v, &g, back_to, c, &p->moves[i]);
        }
        p->n_can += p->moves[i].no == MOVE_CAN ? 1 : 0;
        p->n_under_way += p->moves[i].no == MOVE_UNDER_WAY ? 1 : 0;
        p->n_no_place += p->moves[i].no == MOVE_NO_PLACE ? 1 : 0;
    }
}

void evacuation_plan(struct fsm_view *v, const char *host, struct evacuation_plan *ret)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    static struct place_census census;
    *ret = (struct evacuation_plan){0};
    for (int rc = fsm_next_guest_on(v, host, "", &g); rc == 0;
         rc = fsm_next_guest_on(v, host, g.name, &g)) {
        put_guest(ret, &g);
    }
    if (ret->n > 0) {
        place_census_take(v, &census);
        judge_all(v, NULL, &census, ret);
    }
}

void evacuation_plan_back(struct fsm_view *v, const char *host, struct evacuation_plan *ret)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    static struct place_census census;
    *ret = (struct evacuation_plan){0};
    for (int rc = fsm_next_guest(v, "", &g); rc == 0; rc = fsm_next_guest(v, g.name, &g)) {
        if (strcmp(g.moved_from, host) == 0 && strcmp(g.host, host) != 0 && g.host[0] != '\0') {
            put_guest(ret, &g);
        }
    }
    if (ret->n > 0) {
        place_census_take(v, &census);
        for (uint32_t i = 0; i < census.n; i++) { /* The plan is for when maintenance has ended. */
            if (strcmp(census.hosts[i].name, host) == 0) {
                census.hosts[i].maintenance = false;
            }
        }
        judge_all(v, host, &census, ret);
    }
}

void evacuation_plan_done(struct evacuation_plan *p)
{
    free(p->moves);
    *p = (struct evacuation_plan){0};
}

int evacuation_check(const struct evacuation_plan *p, const char *host, struct err *e)
{
    uint32_t stay = p->n - p->n_can - p->n_under_way;
    for (uint32_t i = 0; i < p->n; i++) {
        const struct move *m = &p->moves[i];
        if (m->no == MOVE_NO_PLACE || m->no == MOVE_STATE) {
            return err_set(e, m->no == MOVE_NO_PLACE ? ERR_NO_ROOM : ERR_STATE,
                           "%" PRIu32 " of %" PRIu32 " guests cannot leave %s: %s (%" PRIu32
                           " MiB): %s",
                           stay, p->n, host, m->guest, m->memory_mib, m->reason);
        }
    }
    return 0;
}
