#include <inttypes.h>
#include <string.h>

#include "core/lease_times.h"
#include "core/util.h"

#include "fsm/apply.h"

const char *cmd_pool_init_wrong(const struct cmd_pool_init *c)
{
    return id_is_none(&c->id)        ? "id"
           : !name_ok(c->name)       ? "name"
           : !name_ok(c->host)       ? "host"
           : !address_ok(c->address) ? "address"
                                     : NULL;
}

void cmd_pool_init(struct apply *a, const void *record)
{
    const struct cmd_pool_init *c = record;
    struct pool *pool = &a->f->pool;
    if (a->f->has_pool) {
        (void)reject(a, ERR_EXISTS, "pool", pool->name);
        return;
    }
    const char *bad = cmd_pool_init_wrong(c);
    if (bad != NULL) {
        reject_field(a, bad);
        return;
    }
    pool->id = c->id;
    pool->created_ms = a->entry->wall_ms;
    (void)str_copy(pool->name, sizeof pool->name, c->name);
    struct host h = make_host(a, c->host, c->address);
    save_pool(a);
    save_host(a, &h);
    a->f->sys.hosts++;
    a->out->a = h.raft_id;
    (void)emit(a, "pool.created", pool->name);
    emit_host(a, "host.added", &h, "");
}

/* A setting of the pool from a command: 0 leaves it. False when it is out of its limits. */
static bool set_u32(struct apply *a, const char *name, uint32_t v, uint32_t *to)
{
    const struct field *f = schema_find(&schema_pool, name);
    if (v == 0) {
        return true;
    }
    if (v < f->min || v > f->max) {
        reject_field(a, name);
        return false;
    }
    *to = v;
    return true;
}

static bool reject_timing(struct apply *a, const char *wrong)
{
    if (wrong != NULL) {
        struct outcome *o = reject(a, ERR_INVALID, "timing", "pool_set");
        (void)str_copy(o->detail, sizeof o->detail, wrong);
    }
    return wrong == NULL;
}

/* The times of leases, which must fit together. */
static bool set_lease(struct apply *a, const struct cmd_pool_set *c, struct pool *p)
{
    if (!set_u32(a, "lease_ms", c->lease_ms, &p->lease_ms) ||
        !set_u32(a, "lease_renew_ms", c->lease_renew_ms, &p->lease_renew_ms) ||
        !set_u32(a, "kill_margin_ms", c->kill_margin_ms, &p->kill_margin_ms) ||
        !set_u32(a, "clock_error_permille", c->clock_error_permille, &p->clock_error_permille)) {
        return false;
    }
    /* A shorter one is what the hosts get from now on; those they have may be longer yet. */
    p->lease_bound_ms = (uint32_t)max_u64(p->lease_bound_ms, p->lease_ms);
    const struct lease_times t = {.lease_ms = p->lease_ms,
                                  .renew_ms = p->lease_renew_ms,
                                  .kill_margin_ms = p->kill_margin_ms,
                                  .clock_error_permille = p->clock_error_permille};
    return reject_timing(a, lease_times_wrong(&t));
}

/* What 0 is a value of: left out, it is beyond its limit. */
static void set_count(const char *name, uint32_t v, uint32_t *to)
{
    if (v <= schema_find(&schema_pool, name)->max) {
        *to = v;
    }
}

/* The fence budget, which must let something happen, and see what belongs together. */
static bool set_budget(struct apply *a, const struct cmd_pool_set *c, struct pool *p)
{
    set_count("fence_hosts", c->fence_hosts, &p->fence_hosts);
    set_count("fence_percent", c->fence_percent, &p->fence_percent);
    return set_u32(a, "fence_window_ms", c->fence_window_ms, &p->fence_window_ms) &&
           reject_timing(a, p->fence_hosts == 0 && p->fence_percent == 0     ? "fence_none"
                            : p->fence_window_ms < 4 * (uint64_t)p->lease_ms ? "fence_window"
                                                                             : NULL);
}

/* A program by its whole path; "none" for no program. */
static bool set_power(struct apply *a, const struct cmd_pool_set *c, struct pool *p)
{
    bool none = strcmp(c->power_command, "none") == 0;
    if (c->power_command[0] != '\0' && c->power_command[0] != '/' && !none) {
        reject_field(a, "power_command");
        return false;
    }
    if (c->power_command[0] != '\0') {
        memset(p->power_command, 0, sizeof p->power_command);
        (void)str_copy(p->power_command, sizeof p->power_command, none ? "" : c->power_command);
    }
    return set_u32(a, "power_timeout_ms", c->power_timeout_ms, &p->power_timeout_ms);
}

void cmd_pool_set(struct apply *a, const void *record)
{
    const struct cmd_pool_set *c = record;
    struct pool p = a->f->pool;
    if (c->name[0] != '\0') {
        if (!name_ok(c->name)) {
            reject_field(a, "name");
            return;
        }
        (void)str_copy(p.name, sizeof p.name, c->name);
    }
    if (!on_off(c->ha, &p.ha)) {
        reject_field(a, "ha");
        return;
    }
    if (c->voters != 0 && c->voters % 2 == 0) {
        reject_field(a, "voters");
        return;
    }
    if (!set_u32(a, "voters", c->voters, &p.voters) ||
        !set_u32(a, "host_timeout_ms", c->host_timeout_ms, &p.host_timeout_ms) ||
        !set_u32(a, "start_timeout_ms", c->start_timeout_ms, &p.start_timeout_ms) ||
        !set_u32(a, "migrate_timeout_ms", c->migrate_timeout_ms, &p.migrate_timeout_ms) ||
        !set_u32(a, "voter_timeout_ms", c->voter_timeout_ms, &p.voter_timeout_ms) ||
        !set_u32(a, "events_kept", c->events_kept, &p.events_kept) ||
        !set_u32(a, "requests_kept", c->requests_kept, &p.requests_kept) || !set_lease(a, c, &p) ||
        !set_budget(a, c, &p) || !set_power(a, c, &p)) {
        return;
    }
    set_count("guest_priority", c->guest_priority, &p.guest_priority);
    set_count("guest_backoff_ms", c->guest_backoff_ms, &p.guest_backoff_ms);
    set_count("vcpu_percent", c->vcpu_percent, &p.vcpu_percent);
    set_count("failures_to_tolerate", c->failures_to_tolerate, &p.failures_to_tolerate);
    if (!schema_same(&schema_pool, &p, &a->f->pool)) {
        a->f->pool = p;
        save_pool(a);
        (void)emit(a, "pool.changed", p.name);
    }
}

void cmd_pool_set_master(struct apply *a, const void *record)
{
    const struct cmd_pool_set_master *c = record;
    struct pool *pool = &a->f->pool;
    struct host h;
    if (!need_host(a, c->host, &h)) {
        return;
    }
    if (!h.can_master) {
        (void)reject_state(a, "host", h.name, "can_master", h.state);
        return;
    }
    if (strcmp(pool->master, h.name) != 0) {
        (void)str_copy(pool->master, sizeof pool->master, h.name);
        save_pool(a);
        struct event *ev = emit(a, "pool.changed", pool->name);
        (void)str_copy(ev->host, sizeof ev->host, h.name);
        (void)str_copy(ev->detail, sizeof ev->detail, "master");
    }
}

void cmd_pool_set_level(struct apply *a, const void *record)
{
    const struct cmd_pool_set_level *c = record;
    struct pool *pool = &a->f->pool;
    if (c->level < pool->feature_level) {
        reject_field(a, "level"); /* Rows of a higher level cannot be unwritten. */
        return;
    }
    struct key k = key_table('H');
    struct host h;
    while (rows_after(a->t, &k, &schema_host, &h) == 0) {
        if (h.feature_level < c->level) {
            struct outcome *o = reject_state(a, "host", h.name, "level", h.state);
            o->b = h.feature_level;
            return;
        }
        k = key_name('H', h.name);
    }
    if (c->level > FSM_FEATURE_LEVEL) {
        /* Every host promised to know it, this one too, but this program does not: it is older than
         * the one that reported. It must not go on as if it understood. */
        (void)err_set(&a->f->broken, ERR_VERSION,
                      "the pool goes to format level %" PRIu32 ", this program knows %d", c->level,
                      FSM_FEATURE_LEVEL);
        return;
    }
    if (c->level > pool->feature_level) {
        pool->feature_level = c->level;
        save_pool(a);
        struct event *ev = emit(a, "pool.changed", pool->name);
        (void)str_copy(ev->detail, sizeof ev->detail, "level");
    }
}

/* The outcome is the same on every replica; what differs is whether this one goes on. */
void cmd_pool_check(struct apply *a, const void *record)
{
    const struct cmd_pool_check *c = record;
    char mine[HASH_TEXT_SIZE];
    const struct hash_at *at = &a->f->hashes[c->index % HASHES_KEPT];
    if (c->index >= a->index) {
        reject_field(a, "index");
        return;
    }
    if (c->hash[strspn(c->hash, "0123456789abcdef")] != '\0') {
        reject_field(a, "hash");
        return;
    }
    if (at->index == c->index && strcmp(hash_text(at->hash, mine), c->hash) != 0) {
        (void)err_set(&a->f->broken, ERR_DIVERGED,
                      "at entry %" PRIu64 " the state hash is %s here, but %s at the master",
                      c->index, mine, c->hash);
    }
}
