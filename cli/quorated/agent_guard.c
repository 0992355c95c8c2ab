/* What lease and guard say of a guest, and what they are told. */

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
        a->opt.guard->add(a->opt.ctx, &s->uuid, epoch, info.pid);
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
