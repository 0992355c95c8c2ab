/* What a client asks next. */

#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/workload_impl.h"
#include "fsm/commands.h"

/* The list may move; numbers stay. */
static int32_t guest_new(struct worker *w)
{
    if (wl.n_guests == wl.cap_guests) {
        wl.cap_guests = wl.cap_guests == 0 ? 64 : wl.cap_guests * 2;
        wl.guests = world_grow(wl.guests, wl.cap_guests, sizeof *wl.guests);
    }
    struct wanted *g = &wl.guests[wl.n_guests];
    *g = (struct wanted){0};
    /* By the seed, not by counting: an ask that is left out renames no guest of others. */
    (void)snprintf(g->name, sizeof g->name, "g%u-%08x", w->number + 1, (uint32_t)w->seed);
    return (int32_t)wl.n_guests++;
}

static int32_t guest_some(struct worker *w)
{
    return wl.n_guests == 0 ? -1 : (int32_t)rng_below(&w->rng, wl.n_guests);
}

static void random_host(struct worker *w, char *to, size_t size)
{
    if (rng_below(&w->rng, 3) == 0) {
        const char *name = lab.hosts[rng_below(&w->rng, lab.o.hosts)].m.name;
        (void)str_copy(to, size, rng_below(&w->rng, 20) == 0 ? "nowhere" : name);
    }
}

static void ask_create(struct worker *w)
{
    struct cmd_guest_create r;
    int32_t g = guest_new(w);
    schema_init(command_by_number(COMMAND_guest_create)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, wl.guests[g].name);
    random_host(w, r.host, sizeof r.host);
    r.start = rng_below(&w->rng, 4) != 0;
    r.paused = rng_below(&w->rng, 8) == 0;
    r.ha = rng_below(&w->rng, 2) == 0;
    r.priority = (uint32_t)rng_between(&w->rng, 1, 1000);
    r.config.memory_mib = (uint32_t)rng_between(&w->rng, 8, 2048);
    w->value = r.priority;
    ask_record(w, COMMAND_guest_create, &r, g);
}

/* Shutdown, destroy, pause, unpause and delete have the same fields. */
static void ask_simple(struct worker *w, uint32_t number)
{
    struct cmd_guest_shutdown r;
    int32_t g = guest_some(w);
    schema_init(command_by_number(number)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, g < 0 ? "nobody" : wl.guests[g].name);
    if (g >= 0 && number == COMMAND_guest_delete) {
        wl.guests[g].deleting = true;
    }
    ask_record(w, number, &r, g);
}

static void ask_start(struct worker *w)
{
    struct cmd_guest_start r;
    int32_t g = guest_some(w);
    schema_init(command_by_number(COMMAND_guest_start)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, g < 0 ? "nobody" : wl.guests[g].name);
    random_host(w, r.host, sizeof r.host);
    r.paused = rng_below(&w->rng, 8) == 0;
    ask_record(w, COMMAND_guest_start, &r, g);
}

static void ask_set(struct worker *w)
{
    struct cmd_guest_set r;
    int32_t g = guest_some(w);
    schema_init(command_by_number(COMMAND_guest_set)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, g < 0 ? "nobody" : wl.guests[g].name);
    r.priority = (uint32_t)rng_between(&w->rng, 1, 1000);
    if (rng_below(&w->rng, 2) == 0) {
        (void)str_copy(r.ha, sizeof r.ha, rng_below(&w->rng, 2) == 0 ? "on" : "off");
    }
    w->value = r.priority;
    ask_record(w, COMMAND_guest_set, &r, g);
}

static void ask_migrate(struct worker *w)
{
    struct cmd_guest_migrate r;
    int32_t g = guest_some(w);
    schema_init(command_by_number(COMMAND_guest_migrate)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, g < 0 ? "nobody" : wl.guests[g].name);
    random_host(w, r.host, sizeof r.host);
    r.live = rng_below(&w->rng, 3) != 0;
    ask_record(w, COMMAND_guest_migrate, &r, g);
}

static void ask_set_master(struct worker *w)
{
    struct cmd_pool_set_master r;
    schema_init(command_by_number(COMMAND_pool_set_master)->schema, &r);
    (void)str_copy(r.host, sizeof r.host, lab.hosts[rng_below(&w->rng, lab.o.hosts)].m.name);
    ask_record(w, COMMAND_pool_set_master, &r, -1);
}

/* The guests of a host leave it, or those that left it come back; or all daemons are restarted. */
static void ask_moves(struct worker *w)
{
    const char *host = lab.hosts[rng_below(&w->rng, lab.o.hosts)].m.name;
    if (rng_below(&w->rng, 6) == 0) {
        struct cmd_pool_restart r;
        schema_init(command_by_number(COMMAND_pool_restart)->schema, &r);
        (void)str_copy(r.guests, sizeof r.guests, rng_below(&w->rng, 2) == 0 ? "leave" : "migrate");
        ask_record(w, COMMAND_pool_restart, &r, -1);
    } else if (rng_below(&w->rng, 2) == 0) {
        struct cmd_host_evacuate r;
        schema_init(command_by_number(COMMAND_host_evacuate)->schema, &r);
        (void)str_copy(r.name, sizeof r.name, host);
        r.force = true;
        ask_record(w, COMMAND_host_evacuate, &r, -1);
    } else {
        struct cmd_host_maintenance r;
        schema_init(command_by_number(COMMAND_host_maintenance)->schema, &r);
        (void)str_copy(r.name, sizeof r.name, host);
        (void)str_copy(r.mode, sizeof r.mode, "off");
        r.move_back = true;
        ask_record(w, COMMAND_host_maintenance, &r, -1);
    }
}

/* A record of nonsense within its limits. */
static void ask_nonsense(struct worker *w)
{
    static const uint32_t which[] = {COMMAND_guest_create,  COMMAND_guest_start,
                                     COMMAND_guest_set,     COMMAND_guest_migrate,
                                     COMMAND_guest_destroy, COMMAND_op_cancel};
    const struct command *c = command_by_number(which[rng_below(&w->rng, ARRAY_LEN(which))]);
    void *record = mem_new(1, c->schema->size);
    schema_random(c->schema, &w->rng, record);
    ask_record(w, c->number, record, -1);
    free(record);
}

void choose_ask(struct worker *w)
{
    uint64_t n = rng_below(&w->rng, 100);
    if (n < 22 && wl.n_guests < 400) {
        ask_create(w);
    } else if (n < 32) {
        ask_start(w);
    } else if (n < 36) {
        ask_simple(w, COMMAND_guest_shutdown);
    } else if (n < 38) {
        ask_simple(w, COMMAND_guest_reboot);
    } else if (n < 46) {
        ask_simple(w, COMMAND_guest_destroy);
    } else if (n < 52) {
        ask_simple(w, COMMAND_guest_pause);
    } else if (n < 58) {
        ask_simple(w, COMMAND_guest_unpause);
    } else if (n < 66) {
        ask_simple(w, COMMAND_guest_delete);
    } else if (n < 76) {
        ask_set(w);
    } else if (n < 92) {
        ask_migrate(w);
    } else if (n < 94) {
        ask_set_master(w);
    } else if (n < 96) {
        ask_moves(w);
    } else {
        ask_nonsense(w);
    }
}
