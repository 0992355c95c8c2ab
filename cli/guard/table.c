#include "cli/guard/table.h"

#include "core/err.h"
#include "core/mark.h"
#include "core/mutant.h"

void guard_renew(struct guard_table *t, uint64_t end_ms, uint32_t margin_ms)
{
    if (end_ms > t->end_ms) {
        t->end_ms = end_ms;
        t->margin_ms = margin_ms;
    }
}

static uint64_t last_moment(const struct guard_table *t)
{
    return t->end_ms > t->margin_ms ? t->end_ms - t->margin_ms : 0;
}

static bool all_killed(const struct guard_table *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (!t->entries[i].killed) {
            return false;
        }
    }
    return true;
}

uint64_t guard_kill_at(const struct guard_table *t)
{
    /* Nothing is in the table that was not taken under a lease. */
    return MUTANT(guard_never_kills) || all_killed(t) ? 0 : last_moment(t);
}

bool guard_is_due(const struct guard_table *t, uint64_t now_ms)
{
    uint64_t at = guard_kill_at(t);
    return at != 0 && now_ms >= at;
}

uint32_t guard_stuck(const struct guard_table *t, uint64_t now_ms)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n && now_ms >= t->end_ms; i++) {
        n += t->entries[i].killed;
    }
    return n;
}

struct guard_entry *guard_find(struct guard_table *t, const struct id *guest, uint64_t epoch)
{
    for (uint32_t i = 0; i < t->n; i++) {
        struct guard_entry *e = &t->entries[i];
        if (e->copy.epoch == epoch && id_equal(&e->copy.guest, guest)) {
            return e;
        }
    }
    return NULL;
}

int guard_add(struct guard_table *t,
              const struct guard_copy *copy,
              uint64_t now_ms,
              struct guard_entry **ret)
{
    *ret = guard_find(t, &copy->guest, copy->epoch);
    if (now_ms >= last_moment(t) || (*ret != NULL && (*ret)->killed)) {
        MARK(guard_too_late);
        return ERR_STATE;
    }
    if (*ret != NULL) {
        return ERR_EXISTS;
    }
    if (t->n == GUARD_COPIES) {
        return ERR_TOO_BIG;
    }
    *ret = &t->entries[t->n++];
    **ret = (struct guard_entry){.copy = *copy, .handle = -1};
    return 0;
}

void guard_remove(struct guard_table *t, struct guard_entry *entry)
{
    *entry = t->entries[--t->n];
}
