/* Requests and their outcomes, so that a retry is answered and not done again; and log time. */

#include <string.h>

#include "core/util.h"

#include "fsm/apply.h"

bool request_find(struct kv_txn *t, const struct id *request, struct outcome *ret)
{
    const struct key k = key_id('R', request);
    return rows_get(t, &k, &schema_outcome, ret) == 0;
}

void request_add(struct apply *a)
{
    const struct key outcome = key_id('R', &a->entry->request);
    const struct key order = key_number('r', a->index);
    uint8_t value[8 + sizeof(struct id)];
    store_u64(value, a->f->sys.age_ms);
    memcpy(value + 8, a->entry->request.b, sizeof(struct id));
    put_row(a, &outcome, &schema_outcome, a->out);
    put_bytes(a, &order, value, sizeof value);
    a->f->sys.requests++;
}

void requests_trim(struct apply *a)
{
    struct sys *sys = &a->f->sys;
    const struct pool *pool = &a->f->pool;
    for (int i = 0; i < TRIM_PER_ENTRY; i++) {
        const struct key first = key_table('r');
        struct kv_row row;
        if (rows_seek_after(a->t, &first, 1, &row) != 0) {
            return;
        }
        if (row.value_len != 8 + sizeof(struct id)) {
            kv_fail(a->t, ERR_CORRUPT, "store: a row of requests");
            return;
        }
        if (sys->requests <= pool->requests_kept &&
            sys->age_ms - load_u64(row.value) <= pool->requests_kept_ms) {
            return;
        }
        struct id id;
        memcpy(id.b, row.value + 8, sizeof id.b);
        const struct key outcome = key_id('R', &id);
        const struct key order = key_number('r', key_last_number(&row));
        del_row(a, &outcome);
        del_row(a, &order);
        sys->requests--;
    }
}

/* --- log time */

/* Between two entries outcomes age by no more than this. Clocks that jump, and are believed, would
 * age them all at once, a retry that is under way among them. */
#define AGE_STEP_MS 10000u

static void believe(struct sys *sys, uint64_t wall_ms)
{
    uint64_t before = sys->now_ms;
    sys->now_ms = max_u64(sys->now_ms, wall_ms);
    sys->age_ms = max_u64(sys->age_ms, 1) + min_u64(sys->now_ms - before, AGE_STEP_MS);
    sys->claim_ms = 0;
    memset(sys->claim_host, 0, sizeof sys->claim_host);
}

/* Whether this host is known, and whether it is the only one that is up. */
static bool host_is_known(struct apply *a, const char *name, bool *ret_alone)
{
    const struct key table = key_table('H');
    struct host h;
    bool known = false;
    unsigned up = 0;
    struct key k = table;
    while (rows_after(a->t, &k, &schema_host, &h) == 0) {
        known = known || strcmp(h.name, name) == 0;
        up += h.state == HOST_UP ? 1 : 0;
        k = key_name('H', h.name);
    }
    *ret_alone = up <= 1;
    return known;
}

/* Log time follows the largest time seen, and never goes back. One host whose clock is wrong must
 * not carry it into a far future, where it would stand still until the world gets there: a jump of
 * more than TIME_JUMP_MS is believed only when a second host of the pool claims the same time next,
 * or when there is no second host to ask. Until then log time stands. */
void time_tick(struct apply *a)
{
    struct sys *sys = &a->f->sys;
    uint64_t wall = a->entry->wall_ms;
    const char *host = a->entry->host;
    bool alone = false;
    if (sys->now_ms == 0 || wall <= sys->now_ms + TIME_JUMP_MS) {
        believe(sys, wall);
    } else if (host_is_known(a, host, &alone)) {
        uint64_t apart = wall > sys->claim_ms ? wall - sys->claim_ms : sys->claim_ms - wall;
        bool second = sys->claim_ms != 0 && strcmp(sys->claim_host, host) != 0;
        if (alone) {
            believe(sys, wall);
        } else if (second && apart <= TIME_JUMP_MS) {
            believe(sys, min_u64(wall, sys->claim_ms));
        } else {
            sys->claim_ms = wall;
            (void)str_copy(sys->claim_host, sizeof sys->claim_host, host);
        }
    }
    a->now_ms = sys->now_ms;
}
