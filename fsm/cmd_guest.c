/* What people ask of guests. What their hosts report is in cmd_report.c. */

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "fsm/apply.h"

void start_guest(struct apply *a, struct guest *g, const struct start *how)
{
    (void)str_copy(g->host, sizeof g->host, how->host);
    g->run_epoch = give_epoch(a);
    g->state = GUEST_STARTING;
    g->want = how->paused ? WANT_PAUSED : WANT_RUNNING;
    g->stop = STOP_NONE;
    g->exit = EXIT_NONE;
    g->code = 0;
    g->restarts = 0;
    g->changed = false;
    g->guarded = is_protected(a, g);
    g->not_before_ms = 0;
    memset(g->last_host, 0, sizeof g->last_host);
    memset(g->moved_from, 0, sizeof g->moved_from);
    memset(g->detail, 0, sizeof g->detail);
    struct op o = op_make(a, how->kind, g);
    if (g->saved[0] != '\0') { /* All its memory is read. */
        o.deadline_ms = a->now_ms + a->f->pool.migrate_timeout_ms;
    }
    memset(o.src, 0, sizeof o.src);
    o.src_epoch = 0;
    (void)str_copy(o.dst, sizeof o.dst, how->host);
    o.dst_epoch = g->run_epoch;
    op_begin(a, &o);
}

static bool check_preferred(struct apply *a, char names[][LIMIT_NAME + 1], uint32_t n)
{
    struct host h;
    for (uint32_t i = 0; i < n; i++) {
        if (!need_host(a, names[i], &h)) {
            return false;
        }
    }
    return true;
}

static bool check_groups(struct apply *a, const struct guest *g)
{
    if ((g->apart[0] != '\0' && !name_ok(g->apart)) ||
        (g->together[0] != '\0' && !name_ok(g->together))) {
        reject_field(a, name_ok(g->apart) || g->apart[0] == '\0' ? "together" : "apart");
        return false;
    }
    return true;
}

void cmd_guest_create(struct apply *a, const void *record)
{
    const struct cmd_guest_create *c = record;
    if (!need_new_guest(a, c->name) || !uuid_is_new(a, &c->uuid) || !pool_has_room(a)) {
        return;
    }
    struct guest g;
    schema_init(&schema_guest, &g);
    (void)str_copy(g.name, sizeof g.name, c->name);
    (void)str_copy(g.image, sizeof g.image, c->image);
    g.uuid = c->uuid;
    g.ha = c->ha;
    const struct pool *pool = &a->f->pool;
    g.priority = c->priority > 1000 ? pool->guest_priority : c->priority;
    g.restart_backoff_ms =
        c->restart_backoff_ms > schema_find(&schema_guest, "restart_backoff_ms")->max
            ? pool->guest_backoff_ms
            : c->restart_backoff_ms;
    memcpy(g.preferred, c->preferred, sizeof g.preferred);
    g.preferred_n = c->preferred_n;
    g.config = c->config;
    g.config.memory_mib = g.config.memory_mib == 0 ? GUEST_MEMORY_MIB : g.config.memory_mib;
    g.config.vcpus = g.config.vcpus == 0 ? GUEST_VCPUS : g.config.vcpus;
    (void)str_copy(g.apart, sizeof g.apart, c->apart);
    (void)str_copy(g.together, sizeof g.together, c->together);
    g.created_ms = a->now_ms;
    if (!check_groups(a, &g) || !check_config(a, &g.config) ||
        !check_preferred(a, g.preferred, g.preferred_n) ||
        (c->start && !check_place(a, &g, c->host))) {
        return;
    }
    if (c->start) {
        start_guest(a, &g, &(struct start){c->host, c->paused, OP_START});
    }
    save_guest(a, NULL, &g);
    emit_guest(a, "guest.created", &g, "");
    if (c->start) {
        emit_guest(a, "guest.starting", &g, "");
    }
}

void cmd_guest_start(struct apply *a, const void *record)
{
    const struct cmd_guest_start *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !need_idle(a, &old)) {
        return;
    }
    if (old.state != GUEST_STOPPED && old.state != GUEST_FAILED && old.state != GUEST_PENDING) {
        (void)reject_state(a, "guest", old.name, old.state == GUEST_SAVED ? "saved" : "start",
                           old.state);
        return;
    }
    if (old.host[0] != '\0') {
        (void)reject_state(a, "guest", old.name, "preserved", old.state);
        return;
    }
    if (!check_place(a, &old, c->host)) {
        return;
    }
    if (c->again && old.state != GUEST_PENDING) {
        (void)reject_state(a, "guest", old.name, "again", old.state);
        return;
    }
    struct guest g = old;
    bool paused = c->again ? old.want == WANT_PAUSED : c->paused;
    start_guest(a, &g, &(struct start){c->host, paused, OP_START});
    g.restarts = c->again ? old.restarts : 0;
    save_guest(a, &old, &g);
    emit_guest(a, "guest.starting", &g, c->again ? "again" : "");
}

void cmd_guest_shutdown(struct apply *a, const void *record)
{
    const struct cmd_guest_shutdown *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !need_idle(a, &old)) {
        return;
    }
    if (old.state != GUEST_RUNNING) { /* A paused guest cannot answer. */
        (void)reject_state(a, "guest", old.name, "shutdown", old.state);
        return;
    }
    struct guest g = old;
    struct op o = op_make(a, OP_SHUTDOWN, &g);
    op_begin(a, &o);
    g.state = GUEST_STOPPING;
    g.stop = STOP_SHUTDOWN;
    g.want = WANT_OFF;
    save_guest(a, &old, &g);
    emit_guest(a, "guest.stopping", &g, enum_stop_mode.names[g.stop]);
}

/* It shuts itself down and starts again, where it is and as it was: what was set since comes with a
 * start only. */
void cmd_guest_reboot(struct apply *a, const void *record)
{
    const struct cmd_guest_reboot *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !need_idle(a, &old)) {
        return;
    }
    if (old.state != GUEST_RUNNING || old.changed) {
        (void)reject_state(a, "guest", old.name, old.changed ? "reboot_changed" : "reboot",
                           old.state);
        return;
    }
    struct guest g = old;
    struct op o = op_make(a, OP_REBOOT, &g);
    op_begin(a, &o);
    g.state = GUEST_STOPPING;
    g.stop = STOP_REBOOT;
    save_guest(a, &old, &g);
    emit_guest(a, "guest.stopping", &g, enum_stop_mode.names[g.stop]);
}

/* End whatever is under way: a destruction comes before everything else. */
static void supersede(struct apply *a, struct guest *g)
{
    const struct key k = key_number('O', g->op);
    struct op o;
    if (g->op == 0 || rows_get(a->t, &k, &schema_op, &o) != 0) {
        return;
    }
    if (migration_is_open(&o)) {
        abort_migration(a, &o, g, OP_CANCELLED, -ERR_CANCELLED, "destroy");
    } else {
        op_end(a, &o, OP_CANCELLED, -ERR_CANCELLED, "destroy");
    }
    g->op = 0;
}

void cmd_guest_destroy(struct apply *a, const void *record)
{
    const struct cmd_guest_destroy *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old)) {
        return;
    }
    if (old.state == GUEST_PENDING || old.state == GUEST_SAVED) { /* It runs nowhere, and shall not
                                                                     any more. */
        struct guest g = old;
        memset(g.saved, 0, sizeof g.saved);
        stop_guest(&g, old.exit);
        save_guest(a, &old, &g);
        emit_guest(a, "guest.stopped", &g, enum_exit_reason.names[g.exit]);
        return;
    }
    if (old.host[0] == '\0') {
        (void)reject_state(a, "guest", old.name, "destroy", old.state);
        return;
    }
    if (old.stop == STOP_DESTROY && !need_idle(a, &old)) {
        return;
    }
    struct guest g = old;
    supersede(a, &g);
    struct op o = op_make(a, OP_DESTROY, &g);
    o.deadline_ms =
        0; /* Its host may be down for long; it ends when the host is back or removed. */
    op_begin(a, &o);
    g.state = GUEST_STOPPING;
    g.stop = STOP_DESTROY;
    g.want = WANT_OFF;
    g.code = 0;
    memset(g.detail, 0, sizeof g.detail);
    save_guest(a, &old, &g);
    emit_guest(a, "guest.stopping", &g, enum_stop_mode.names[g.stop]);
}

/* The state stays until the host reports; what is wanted changes now. */
static void change_want(struct apply *a,
                        const struct cmd_guest_pause *c,
                        enum op_kind kind,
                        enum guest_state from,
                        enum guest_want want)
{
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !need_idle(a, &old)) {
        return;
    }
    if (old.state != from) {
        (void)reject_state(a, "guest", old.name, enum_op_kind.names[kind], old.state);
        return;
    }
    struct guest g = old;
    struct op o = op_make(a, kind, &g);
    op_begin(a, &o);
    g.want = want;
    save_guest(a, &old, &g);
    emit_guest(a, "guest.changed", &g, enum_op_kind.names[kind]);
}

void cmd_guest_pause(struct apply *a, const void *record)
{
    change_want(a, record, OP_PAUSE, GUEST_RUNNING, WANT_PAUSED);
}

void cmd_guest_unpause(struct apply *a, const void *record)
{
    change_want(a, record, OP_UNPAUSE, GUEST_PAUSED, WANT_RUNNING);
}

void cmd_guest_delete(struct apply *a, const void *record)
{
    const struct cmd_guest_delete *c = record;
    struct guest g;
    if (!need_guest(a, c->name, c->generation, &g) || !need_idle(a, &g)) {
        return;
    }
    if (g.state != GUEST_STOPPED && g.state != GUEST_FAILED) {
        (void)reject_state(a, "guest", g.name, g.state == GUEST_SAVED ? "saved" : "delete",
                           g.state);
        return;
    }
    if (g.host[0] != '\0') {
        (void)reject_state(a, "guest", g.name, "preserved", g.state);
        return;
    }
    drop_guest(a, &g);
    g.code = 0; /* Of its last run; the event tells of none. */
    emit_guest(a, "guest.deleted", &g, "");
}

/* --- set */

/* "h1,h2" into the guest's preferred hosts; "any" clears them. */
static bool set_preferred(struct apply *a, struct guest *g, const char *text)
{
    struct err e;
    if (*text == '\0') {
        return true;
    }
    if (strcmp(text, "any") == 0) {
        text = "";
    }
    if (schema_set_text(schema_find(&schema_guest, "preferred"), text, g, &e) != 0) {
        reject_field(a, "preferred");
        return false;
    }
    return check_preferred(a, g->preferred, g->preferred_n);
}

static bool set_on_exit(struct apply *a, struct guest *g, const char *name, const char *text)
{
    struct err e;
    if (*text != '\0' &&
        schema_set_text(schema_find(&schema_guest_config, name), text, &g->config, &e) != 0) {
        reject_field(a, name);
        return false;
    }
    return true;
}

static void set_group(char *to, const char *text)
{
    if (text[0] != '\0') {
        memset(to, 0, LIMIT_NAME + 1);
        (void)str_copy(to, LIMIT_NAME + 1, strcmp(text, "none") == 0 ? "" : text);
    }
}

/* A setting of the guest from a command: beyond the field's limit it is not said. False when it is
 * below it. */
static bool set_guest_u32(struct apply *a, const char *name, uint32_t v, uint32_t *to)
{
    const struct field *f = schema_find(&schema_guest, name);
    if (v < f->min) {
        reject_field(a, name);
        return false;
    }
    *to = v > f->max ? *to : v;
    return true;
}

static bool set_restarts(struct apply *a, struct guest *g, const struct cmd_guest_set *c)
{
    uint32_t window = c->restart_window_ms == 0 ? g->restart_window_ms : c->restart_window_ms;
    return set_guest_u32(a, "restart_limit", c->restart_limit, &g->restart_limit) &&
           set_guest_u32(a, "restart_window_ms", window, &g->restart_window_ms) &&
           set_guest_u32(a, "restart_backoff_ms", c->restart_backoff_ms, &g->restart_backoff_ms) &&
           set_guest_u32(a, "restart_delay_ms", c->restart_delay_ms, &g->restart_delay_ms);
}

/* A guest that is on a host stays there: it can enter a group only where that keeps what the group
 * means. */
static bool check_apart(struct apply *a, const struct guest *old, const struct guest *g)
{
    return strcmp(old->apart, g->apart) == 0 || g->host[0] == '\0' || check_alone(a, g, g->host);
}

static bool set_hardware(struct apply *a, struct guest *g, const struct cmd_guest_set *c)
{
    struct guest_config *to = &g->config;
    if (c->memory_mib != 0) {
        to->memory_mib = c->memory_mib;
    }
    if (c->maxmem_mib != 0) {
        to->maxmem_mib = c->maxmem_mib;
    }
    if (c->vcpus != 0) {
        to->vcpus = c->vcpus;
    }
    if (to->memory_mib < schema_find(&schema_guest_config, "memory_mib")->min) {
        reject_field(a, "memory_mib");
        return false;
    }
    if (to->maxmem_mib != 0 && to->maxmem_mib < to->memory_mib) {
        reject_field(a, "maxmem_mib");
        return false;
    }
    return true;
}

/* A guest that is on a host must fit there with its new memory as well: a restart there must not
 * fail for want of room. */
static bool check_growth(struct apply *a, const struct guest *old, const struct guest *g)
{
    struct host h;
    if (g->host[0] == '\0' || g->config.memory_mib <= old->config.memory_mib) {
        return true;
    }
    if (!need_host(a, g->host, &h)) {
        return false;
    }
    uint64_t others = rows_reserved_mib(a->t, g->host) - old->config.memory_mib;
    uint64_t room = others < h.memory_mib ? h.memory_mib - others : 0;
    if (g->config.memory_mib > room) {
        struct outcome *o = reject(a, ERR_NO_ROOM, "host", g->host);
        o->a = g->config.memory_mib;
        o->b = room;
        return false;
    }
    return true;
}

void cmd_guest_set(struct apply *a, const void *record)
{
    const struct cmd_guest_set *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !need_idle(a, &old)) {
        return;
    }
    struct guest g = old;
    if (!on_off(c->ha, &g.ha)) {
        reject_field(a, "ha");
        return;
    }
    g.priority = c->priority > 1000 ? g.priority : c->priority;
    set_group(g.apart, c->apart);
    set_group(g.together, c->together);
    if (!check_groups(a, &g) || !check_apart(a, &old, &g) || !set_restarts(a, &g, c) ||
        !set_hardware(a, &g, c) || !set_preferred(a, &g, c->preferred) ||
        !set_on_exit(a, &g, "on_poweroff", c->on_poweroff) ||
        !set_on_exit(a, &g, "on_reboot", c->on_reboot) ||
        !set_on_exit(a, &g, "on_crash", c->on_crash) || !check_growth(a, &old, &g)) {
        return;
    }
    bool hardware = g.config.memory_mib != old.config.memory_mib ||
                    g.config.maxmem_mib != old.config.maxmem_mib ||
                    g.config.vcpus != old.config.vcpus;
    if (hardware && g.saved[0] != '\0') {
        (void)reject_state(a, "guest", g.name, "saved", g.state);
        return;
    }
    g.changed = g.changed || (hardware && g.host[0] != '\0');
    if (!schema_same(&schema_guest, &g, &old)) {
        save_guest(a, &old, &g);
        emit_guest(a, "guest.changed", &g, "set");
    }
}

/* --- migrate */

static bool can_leave(struct apply *a, const struct guest *g)
{
    struct host src;
    if (g->state != GUEST_RUNNING && g->state != GUEST_PAUSED) {
        (void)reject_state(a, "guest", g->name, "migrate", g->state);
        return false;
    }
    if (g->changed) {
        (void)reject_state(a, "guest", g->name, "changed", g->state);
        return false;
    }
    if (!need_host(a, g->host, &src)) {
        return false;
    }
    if (src.state != HOST_UP) {
        (void)reject_state(a, "host", src.name, "source", src.state);
        return false;
    }
    return true;
}

void cmd_guest_migrate(struct apply *a, const void *record)
{
    const struct cmd_guest_migrate *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !need_idle(a, &old) ||
        !can_leave(a, &old)) {
        return;
    }
    if (strcmp(c->host, old.host) == 0) {
        reject_field(a, "host");
        return;
    }
    if (!check_parent(a, c->parent, old.host, c->host) || !check_place(a, &old, c->host)) {
        return;
    }
    struct guest g = old;
    struct op o = op_make(a, OP_MIGRATE, &g);
    o.parent = c->parent;
    o.phase = OP_PHASE_PREPARE;
    o.dst_epoch = give_epoch(a);
    o.live = c->live;
    o.rate_mib_per_s = c->rate_mib_per_s;
    (void)str_copy(o.dst, sizeof o.dst, c->host);
    op_begin(a, &o);
    reserve(a, c->host, &g);
    g.state = GUEST_MIGRATING;
    save_guest(a, &old, &g);
    emit_guest(a, "guest.migrating", &g, enum_op_phase.names[o.phase]);
}
