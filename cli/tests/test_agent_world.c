/* Random operations and accidents in the world of agent_world.h; in the end, with all healed, what
 * runs is what the state says. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/tests/agent_world.h"

/* --- what people and accidents do */

static const char *guest_name(char to[16])
{
    (void)snprintf(to, 16, "g%u", (unsigned)rng_below(&w.rng, GUESTS));
    return to;
}

static const char *host_name(char to[16])
{
    (void)snprintf(to, 16, "h%u", (unsigned)rng_below(&w.rng, HOSTS) + 1);
    return to;
}

static void create(const char *name, const char *host)
{
    static struct cmd_guest_create c;
    schema_init(command_by_number(COMMAND_guest_create)->schema, &c);
    c.uuid = id_new(&w.rng);
    c.paused = world_chance(20);
    c.config.memory_mib = 64;
    (void)str_copy(c.name, sizeof c.name, name);
    (void)str_copy(c.host, sizeof c.host, host);
    if (world_chance(50)) {
        (void)str_copy(c.image, sizeof c.image, IMAGE);
        (void)snprintf(c.config.disks[0].path, sizeof c.config.disks[0].path,
                       "store:running_pool/%s/system.img", name);
        (void)str_copy(c.config.disks[0].device, sizeof c.config.disks[0].device, "hda");
        c.config.disks_n = 1;
    }
    world_command(COMMAND_guest_create, &c);
}

static void simple(uint32_t number, const char *name)
{
    struct cmd_guest_shutdown c; /* Shutdown, destroy, pause, unpause and delete are alike. */
    schema_init(command_by_number(number)->schema, &c);
    (void)str_copy(c.name, sizeof c.name, name);
    world_command(number, &c);
}

static void start(const char *name, const char *host)
{
    struct cmd_guest_start c;
    schema_init(command_by_number(COMMAND_guest_start)->schema, &c);
    (void)str_copy(c.name, sizeof c.name, name);
    (void)str_copy(c.host, sizeof c.host, host);
    world_command(COMMAND_guest_start, &c);
}

static void migrate(const char *name, const char *host)
{
    struct cmd_guest_migrate c;
    schema_init(command_by_number(COMMAND_guest_migrate)->schema, &c);
    (void)str_copy(c.name, sizeof c.name, name);
    (void)str_copy(c.host, sizeof c.host, host);
    c.live = world_chance(80);
    world_command(COMMAND_guest_migrate, &c);
}

/* Each to a new file: a file that is there is never written over. */
static void save(const char *name)
{
    static unsigned files;
    struct cmd_guest_save c;
    schema_init(command_by_number(COMMAND_guest_save)->schema, &c);
    (void)str_copy(c.name, sizeof c.name, name);
    (void)snprintf(c.file, sizeof c.file, "%s/memory-%u", w.dir, files++);
    world_command(COMMAND_guest_save, &c);
}

static void resume(const char *name, const char *host)
{
    struct cmd_guest_resume c;
    schema_init(command_by_number(COMMAND_guest_resume)->schema, &c);
    (void)str_copy(c.name, sizeof c.name, name);
    (void)str_copy(c.host, sizeof c.host, host);
    c.paused = world_chance(20);
    world_command(COMMAND_guest_resume, &c);
}

static void cancel_some(void)
{
    struct op op = {0};
    struct fsm_view *v = fsm_view_open(w.hosts[0].fsm);
    if (fsm_next_open_op(v, 0, &op) == 0) {
        struct cmd_op_cancel c;
        schema_init(command_by_number(COMMAND_op_cancel)->schema, &c);
        c.id = op.id;
        world_command(COMMAND_op_cancel, &c);
    }
    (void)fsm_view_close(v);
}

static void operate(void)
{
    char g[16];
    char h[16];
    (void)guest_name(g);
    (void)host_name(h);
    switch (rng_below(&w.rng, 21)) {
    case 0:
    case 1:
    case 2: create(g, h); return;
    case 3:
    case 4: start(g, h); return;
    case 5: simple(COMMAND_guest_pause, g); return;
    case 6: simple(COMMAND_guest_unpause, g); return;
    case 7: simple(COMMAND_guest_shutdown, g); return;
    case 8: simple(COMMAND_guest_destroy, g); return;
    case 9: simple(COMMAND_guest_delete, g); return;
    case 10: cancel_some(); return;
    case 11:
    case 12: save(g); return;
    case 13:
    case 14:
    case 15: resume(g, h); return;
    default: migrate(g, h); return;
    }
}

static void harm_copy(struct host_sim *h)
{
    struct hv_info i;
    static const enum hv_op ops[] = {HV_START,          HV_DESTROY, HV_PAUSE, HV_UNPAUSE,
                                     HV_INCOMING_START, HV_MIGRATE, HV_SAVE};
    if (world_chance(30)) {
        sim_fail_next(h->hv, ops[rng_below(&w.rng, ARRAY_LEN(ops))], ERR_HYPERVISOR);
        return;
    }
    if (!hv_list(h->hv, (uint32_t)rng_below(&w.rng, 4), &i)) {
        return;
    }
    switch (rng_below(&w.rng, 4)) {
    case 0: (void)sim_kill(h->hv, &i.key); return;
    case 1: (void)sim_guest_poweroff(h->hv, &i.key); return;
    case 2: (void)sim_guest_reboot(h->hv, &i.key); return;
    default: (void)sim_guest_panic(h->hv, &i.key); return;
    }
}

static void harm(void)
{
    struct host_sim *h = &w.hosts[rng_below(&w.rng, HOSTS)];
    uint64_t what = rng_below(&w.rng, 10);
    if (what < 4 && h->up) {
        harm_copy(h);
    } else if (what < 7) {
        world_crash(h, /*power_cut=*/false);
    } else if (what < 8) {
        world_crash(h, /*power_cut=*/true);
    } else {
        h->cut_until_ms = world_now_ms() + rng_below(&w.rng, 200);
    }
}

/* --- what must be in the end */

static bool state_fits(const struct guest *g, enum hv_state copy)
{
    switch ((enum guest_state)g->state) {
    case GUEST_RUNNING: return copy == HV_RUNNING;
    case GUEST_PAUSED: return copy == HV_PAUSED || copy == HV_ARRIVED || copy == HV_DEPARTED;
    case GUEST_FAILED: return copy == HV_GONE || g->host[0] != '\0';
    case GUEST_STOPPED:
    case GUEST_SAVED:
    case GUEST_PENDING: return copy == HV_GONE;
    case GUEST_STARTING:
    case GUEST_STOPPING:
    case GUEST_SAVING:
    case GUEST_MIGRATING: return false; /* Nothing is under way any more. */
    }
    return false;
}

static void check_guest(const struct guest *g)
{
    static struct hv_info all[COPIES];
    enum hv_state copy = HV_GONE;
    for (uint32_t i = 0; i < HOSTS; i++) {
        uint32_t n = world_copies(&w.hosts[i], all);
        for (uint32_t j = 0; j < n; j++) {
            if (id_equal(&all[j].key.uuid, &g->uuid)) {
                assert_string_equal(w.hosts[i].name, g->host);
                assert_int_equal(all[j].key.epoch, g->run_epoch);
                copy = all[j].state;
            }
        }
    }
    if (!state_fits(g, copy)) {
        fail_msg("guest %s is %s in the state and %s on %s", g->name,
                 enum_guest_state.names[g->state], hv_state_name(copy), g->host);
    }
}

static void check_end(void)
{
    static struct guest g;
    struct fsm_view *v = fsm_view_open(w.hosts[0].fsm);
    struct hv_info info;
    char after[LIMIT_NAME + 1] = "";
    uint32_t on_hosts = 0;
    while (fsm_next_guest(v, after, &g) == 0) {
        (void)str_copy(after, sizeof after, g.name);
        check_guest(&g);
    }
    for (uint32_t i = 0; i < HOSTS; i++) {
        assert_true(hash_equal(fsm_hash(w.hosts[i].fsm), fsm_hash(w.hosts[0].fsm)));
        while (hv_list(w.hosts[i].hv, on_hosts, &info)) {
            on_hosts++;
            assert_int_equal(fsm_get_guest(v, info.name, &g), 0); /* No copy of nobody. */
            assert_true(id_equal(&g.uuid, &info.key.uuid));
        }
        on_hosts = 0;
    }
    (void)fsm_view_close(v);
}

static void heal(void)
{
    w.faults = false;
    for (uint32_t i = 0; i < HOSTS; i++) {
        w.hosts[i].cut_until_ms = 0;
        for (int op = HV_START; w.hosts[i].up && op <= HV_RESTAMP; op++) {
            sim_fail_next(w.hosts[i].hv, (enum hv_op)op, 0);
        }
    }
}

/* --- tests */

static void a_quiet_world_does_what_is_asked(void **unused)
{
    (void)unused;
    world_make(1);
    create("g0", "h1");
    create("g1", "h2");
    world_settle();
    migrate("g0", "h3");
    world_settle();
    assert_int_equal(w.switches, 1);
    simple(COMMAND_guest_shutdown, "g1");
    world_settle();
    simple(COMMAND_guest_unpause, "g0"); /* If it was made so. */
    world_settle();
    save("g0");
    world_settle();
    resume("g0", "h2");
    world_settle();
    assert_int_equal(w.saves, 1);
    assert_int_equal(w.resumes, 1);
    check_end();
    world_end();
}

static void nothing_ever_runs_twice_and_all_ends_as_the_state_says(void **unused)
{
    (void)unused;
    uint64_t switches = 0;
    uint64_t ran = 0;
    uint64_t saves = 0;
    uint64_t resumes = 0;
    const char *seed = getenv("WORLD_SEED");
    uint64_t first = seed == NULL ? 10 : strtoull(seed, NULL, 10);
    for (uint64_t round = 0; round < 3; round++) {
        world_make(first + round);
        w.faults = true;
        for (int i = 0; i < 150; i++) {
            if (world_chance(25)) {
                harm();
            } else {
                operate();
            }
            world_run_for(rng_below(&w.rng, 24));
        }
        heal();
        world_settle();
        check_end();
        switches += w.switches;
        ran += w.ran;
        saves += w.saves;
        resumes += w.resumes;
        world_end();
    }
    print_message("%llu starts, %llu switches, %llu saves, %llu resumes\n", (unsigned long long)ran,
                  (unsigned long long)switches, (unsigned long long)saves,
                  (unsigned long long)resumes);
    assert_true(saves > 0);
    assert_true(switches > 0);
    assert_true(ran > 20);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* As the daemon does. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_world_does_what_is_asked),
        cmocka_unit_test(nothing_ever_runs_twice_and_all_ends_as_the_state_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
