#include "chaos-tests/sim/story.h"

#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/workload_impl.h"
#include "fsm/commands.h"

/* A step that is not answered for so long never will be. */
#define PATIENCE_S 120

enum what {
    END,
    CREATE,   /* A guest on a host. */
    PROTECT,  /* The same, under HA. */
    DESTROY,  /* A guest. */
    DELETE,   /* A guest. */
    MIGRATE,  /* A guest to a host. */
    EVACUATE, /* A host. */
    BACK,     /* A host takes guests again, and gets its own back. */
    KILL,     /* The daemon of a host is killed. */
    CUT,      /* A host loses its power. */
    ON,       /* It has power again. */
    WAIT      /* So many ms. */
};

struct step {
    enum what what;
    const char *guest;
    const char *host;
    uint32_t ms;
};

struct story {
    const char *name;
    const struct step *steps;
};

/* Everything that changes hands, once. */
static const struct step tour[] = {
    {PROTECT, "g1", "h1", 0}, {CREATE, "g2", "h2", 0},
    {PROTECT, "g3", "h2", 0}, {WAIT, "", "", 1000},
    {MIGRATE, "g1", "h2", 0}, {WAIT, "", "", 1000},
    {EVACUATE, "", "h2", 0},  {WAIT, "", "", 1500},
    {BACK, "", "h2", 0},      {WAIT, "", "", 1500},
    {KILL, "", "h1", 0},      {WAIT, "", "", 1500},
    {MIGRATE, "g1", "h1", 0}, {WAIT, "", "", 1000},
    {CUT, "", "h1", 0}, /* g1 is started elsewhere when its lease is over. */
    {WAIT, "", "", 6000},     {ON, "", "h1", 0},
    {WAIT, "", "", 2000},     {DESTROY, "g2", "", 0},
    {WAIT, "", "", 300},      {DELETE, "g2", "", 0},
    {WAIT, "", "", 500},      {END, "", "", 0},
};

static const struct story stories[] = {{"tour", tour}};

const struct story *story_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
        if (strcmp(stories[i].name, name) == 0) {
            return &stories[i];
        }
    }
    return NULL;
}

const char *story_name(const struct story *s)
{
    return s->name;
}

/* --- asking, until it is known what came of it */

static void told(struct worker *w, const struct outcome *o)
{
    (void)w;
    (void)o; /* With a host that died, it may have been refused. */
}

static void ask(uint32_t number, const void *record)
{
    struct worker *w = &wl.workers[0];
    w->told = told;
    workload_ask(w, number, record);
    for (int i = 0; i < PATIENCE_S * 100 && w->ask.under_way && !world.stop; i++) {
        world_run(world.now_ns + 10 * NS_PER_MS);
    }
    if (w->ask.under_way) {
        lab_fail("story", "after %d s nobody knows what came of %s", PATIENCE_S,
                 command_by_number(number)->name);
    }
}

static void create(const struct step *s)
{
    struct cmd_guest_create r;
    schema_init(command_by_number(COMMAND_guest_create)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, s->guest);
    (void)str_copy(r.host, sizeof r.host, s->host);
    r.start = true;
    r.ha = s->what == PROTECT;
    r.config.memory_mib = 64;
    ask(COMMAND_guest_create, &r);
}

static void end_guest(const struct step *s, uint32_t number)
{
    struct cmd_guest_destroy r; /* Delete has the same fields. */
    schema_init(command_by_number(number)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, s->guest);
    ask(number, &r);
}

static void migrate(const struct step *s)
{
    struct cmd_guest_migrate r;
    schema_init(command_by_number(COMMAND_guest_migrate)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, s->guest);
    (void)str_copy(r.host, sizeof r.host, s->host);
    r.live = true;
    ask(COMMAND_guest_migrate, &r);
}

static void maintenance(const struct step *s)
{
    struct cmd_host_maintenance r;
    schema_init(command_by_number(COMMAND_host_maintenance)->schema, &r);
    (void)str_copy(r.name, sizeof r.name, s->host);
    (void)str_copy(r.mode, sizeof r.mode, s->what == BACK ? "off" : "on");
    r.evacuate = s->what == EVACUATE;
    r.move_back = s->what == BACK;
    ask(COMMAND_host_maintenance, &r);
}

static void step(const struct step *s)
{
    struct vhost *h = lab_host_named(s->host);
    if (lab.o.print) {
        (void)printf("%12.6f  -      ** step %d %s %s\n", (double)world.now_ns / 1e9, (int)s->what,
                     s->guest, s->host);
    }
    switch (s->what) {
    case CREATE:
    case PROTECT: create(s); break;
    case DESTROY: end_guest(s, COMMAND_guest_destroy); break;
    case DELETE: end_guest(s, COMMAND_guest_delete); break;
    case MIGRATE: migrate(s); break;
    case EVACUATE:
    case BACK: maintenance(s); break;
    case KILL: vhost_kill(h, 300); break;
    case CUT: vhost_power_cut(h); break;
    case ON: vhost_power_on(h); break;
    case WAIT: world_run(world.now_ns + s->ms * NS_PER_MS); break;
    case END: break;
    }
}

void story_run(const struct story *s)
{
    for (const struct step *at = s->steps; at->what != END && !world.stop; at++) {
        step(at);
    }
    wl.workers[0].told = NULL;
}
