/* What lease and guard say of a guest, and what they are told. */

#include "core/util.h"

#include "cli/quorated/agent_in.h"

void agent_guard_read(const struct slot *s, struct fsm_view *v, struct agent_input *in, bool *held)
{
    const struct agent *a = s->agent;
    const struct agent_guard *guard = a->opt.guard;
    struct pool pool;
    if (guard == NULL) {
        return;
    }
    in->guarding = true;
    in->protect = in->guest != NULL && in->guest->ha && fsm_get_pool(v, &pool) == 0 && pool.ha;
    in->lease_allows = guard->allows(a->opt.ctx);
    in->lease_over = guard->is_over(a->opt.ctx);
    in->lets_go = guard->lets_go(a->opt.ctx);
    for (uint32_t i = 0; i < in->n_copies; i++) {
        held[i] = guard->holds(a->opt.ctx, &s->uuid, in->copies[i].key.epoch);
    }
    in->held = held;
}

bool agent_guard_ended(const struct agent *a, const struct hv_key *key)
{
    const struct agent_guard *guard = a->opt.guard;
    return guard != NULL && guard->killed(a->opt.ctx, &key->uuid, key->epoch);
}

void agent_guard_add(struct slot *s, uint64_t epoch)
{
    struct agent *a = s->agent;
    struct hv_info info;
    const struct hv_key key = {.uuid = s->uuid, .epoch = epoch};
    if (hv_lookup(a->opt.hv, &key, &info)) {
        a->opt.guard->add(a->opt.ctx, &info);
        slot_touch_at(s, agent_now(a) + AGENT_BACKOFF_MS);
    }
}

void agent_guard_drop(struct slot *s, uint64_t epoch)
{
    struct agent *a = s->agent;
    a->opt.guard->drop(a->opt.ctx, &s->uuid, epoch);
    slot_touch(s);
}

void agent_guard_changed(struct agent *a, const struct id *guest)
{
    struct slot *s = guest == NULL ? NULL : agent_slot(a, guest);
    if (s != NULL) {
        slot_touch(s);
    } else if (guest == NULL) {
        agent_touch_all(a);
    }
}

static bool is_gone(const struct agent *a, const struct guest *g)
{
    const struct slot *s = agent_slot(a, &g->uuid);
    const struct hv_key key = {.uuid = g->uuid, .epoch = g->run_epoch};
    struct hv_info info;
    return (s == NULL || !slot_busy(s)) && !hv_lookup(a->opt.hv, &key, &info);
}

bool agent_has_let_go(struct agent *a)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    char after[LIMIT_NAME + 1] = "";
    struct fsm_view *v = fsm_look(a->opt.fsm);
    struct pool pool;
    bool gone = v != NULL && fsm_get_pool(v, &pool) == 0;
    while (gone && fsm_next_guest_on(v, a->opt.host, after, &g) == 0) {
        /* Also one that is protected and not guarded yet: a report that it is may be under way. */
        bool goes =
            g.guarded || (g.ha && pool.ha) || a->opt.guard->holds(a->opt.ctx, &g.uuid, g.run_epoch);
        (void)str_copy(after, sizeof after, g.name);
        gone = !goes || is_gone(a, &g);
    }
    (void)fsm_view_close(v);
    return gone;
}
