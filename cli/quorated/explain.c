#include "cli/quorated/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorated/placement.h"

/* The operation that gave the guest the run it has: a start, or the migration that switched to it.
 * False when it is not kept any more, and for a run after a restart in place. */
static bool decided_by(struct fsm_view *v, const struct guest *g, struct op *ret)
{
    struct op op = {0};
    bool found = false;
    for (int rc = fsm_next_op(v, 0, &op); rc == 0; rc = fsm_next_op(v, op.id, &op)) {
        bool places = op.kind == OP_START || op.kind == OP_MIGRATE;
        if (places && strcmp(op.subject, g->name) == 0 && strcmp(op.dst, g->host) == 0 &&
            op.dst_epoch <= g->run_epoch && (op.kind == OP_START || op.dst_epoch == g->run_epoch)) {
            *ret = op;
            found = true;
        }
    }
    return found;
}

/* What the guest itself takes is not in its own way. */
static void take_out(struct fsm_view *v, const struct guest *g, struct place_census *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct place_host *h = &c->hosts[i];
        if (fsm_guest_concerns(v, g->name, h->name)) {
            h->taken_mib -= min_u64(h->taken_mib, g->config.memory_mib);
            h->vcpus_taken -= min_u64(h->vcpus_taken, g->config.vcpus);
        }
    }
}

static void say_here(struct fsm_view *v, const struct guest *g, struct api_place *row)
{
    struct op op;
    size_t n = strlen(row->reason);
    row->here = true;
    if (decided_by(v, g, &op)) {
        row->entry = op.id;
        (void)snprintf(row->reason + n, sizeof row->reason - n,
                       "; it is here by a %s of %s in entry %" PRIu64, enum_op_kind.names[op.kind],
                       op.user[0] == '\0' ? "the pool" : op.user, op.id);
    } else {
        (void)snprintf(row->reason + n, sizeof row->reason - n,
                       "; it is here, and the entry that put it here is not kept");
    }
}

uint32_t explain_places(struct fsm_view *v, const struct guest *g, struct api_place *ret)
{
    static struct place_census census; /* Large; the loop has one thread. */
    static struct placement found;
    const struct place_ask ask = {.guest = g};
    place_census_take(v, &census);
    take_out(v, g, &census);
    place_find(v, &census, &ask, &found);
    for (uint32_t i = 0; i < found.n; i++) {
        const struct place_verdict *p = &found.verdicts[i];
        struct api_place *row = &ret[i];
        schema_init(&schema_api_place, row);
        (void)str_copy(row->host, sizeof row->host, p->host->name);
        row->verdict = p->no;
        row->best = p == found.best;
        row->score = p->score;
        row->free_mib = p->free_mib;
        row->needed_mib = g->config.memory_mib;
        row->together = p->together;
        place_reason(p, g, row->reason, sizeof row->reason);
        if (strcmp(g->host, p->host->name) == 0) {
            say_here(v, g, row);
        }
    }
    return found.n;
}
