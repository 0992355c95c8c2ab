/* The phases of a run. */

#include "chaos-tests/sim/lab.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/check/check.h"
#include "chaos-tests/check/scenario.h"
#include "chaos-tests/sim/core.h"
#include "chaos-tests/sim/data.h"
#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/members.h"
#include "chaos-tests/sim/observe.h"
#include "chaos-tests/sim/opinions.h"
#include "chaos-tests/sim/permits.h"
#include "chaos-tests/sim/plan.h"
#include "chaos-tests/sim/record.h"
#include "chaos-tests/sim/story.h"
#include "chaos-tests/sim/truth.h"
#include "chaos-tests/sim/vguard.h"
#include "chaos-tests/sim/vnet.h"
#include "chaos-tests/sim/vsys.h"
#include "chaos-tests/sim/watcher.h"
#include "chaos-tests/sim/workload_impl.h"
#include "chaos-tests/sim/written.h"
#include "fsm/commands.h"

/* Bounds, in seconds of simulated time. */
#define FORM_S       60
#define REST_S       240
#define CALM_S       3 /* Clients go on for so long after healing. */
#define CORE_WRITE_S 60
#define OWED_S       20 /* After it has come to rest. */
#define STEP_NS      (100 * NS_PER_MS)

struct lab lab;

/* --- violations */

void lab_fail(const char *checker, const char *fmt, ...)
{
    if (lab.failure[0] != '\0') {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(lab.failure, sizeof lab.failure, fmt, ap);
    va_end(ap);
    lab.checker = checker;
    lab.failed_ns = world.now_ns;
    world.stop = true;
}

/* --- things for later */

static struct later {
    struct vevent ev;
    void (*fn)(void *ctx, uint64_t arg);
    void *ctx;
    uint64_t arg;
    struct later *next, **prev;
} * laters;

static void later_forget(struct later *l)
{
    vevent_clear(&l->ev);
    *l->prev = l->next;
    if (l->next != NULL) {
        l->next->prev = l->prev;
    }
    world_free(l);
}

static void later_due(struct vevent *ev)
{
    struct later *l = CONTAINER_OF(ev, struct later, ev);
    struct later copy = *l;
    later_forget(l);
    copy.fn(copy.ctx, copy.arg);
}

void lab_after(uint64_t ns, void (*fn)(void *ctx, uint64_t arg), void *ctx, uint64_t arg)
{
    struct later *l = world_new(1, sizeof *l);
    l->ev.fire = later_due;
    l->fn = fn;
    l->ctx = ctx;
    l->arg = arg;
    l->next = laters;
    l->prev = &laters;
    if (l->next != NULL) {
        l->next->prev = &l->next;
    }
    laters = l;
    vevent_set(&l->ev, world.now_ns + ns);
}

void lab_forget_later(void)
{
    while (laters != NULL) {
        later_forget(laters);
    }
}

/* --- looking */

struct vhost *lab_host_of(const struct proc *p)
{
    uint32_t i = p->machine->index;
    return i < lab.o.hosts && p->machine == &lab.hosts[i].m ? &lab.hosts[i] : NULL;
}

struct vhost *lab_host_named(const char *name)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        if (strcmp(lab.hosts[i].m.name, name) == 0) {
            return &lab.hosts[i];
        }
    }
    return NULL;
}

/* Says what is missing until the pool is at rest; NULL: nothing. */
static const char *unrest(char *to, size_t size)
{
    struct vhost_state first = {0};
    uint32_t leaders = 0;
    if (members_unrest(to, size) != NULL) {
        return to;
    }
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct vhost_state s;
        struct vhost *h = &lab.hosts[i];
        const char *what = NULL;
        char open[448];
        if (!vhost_look(h, &s)) {
            what = "does not run";
        } else if (s.diverged) {
            what = "has stopped its replica";
        } else if (s.blank) {
            what = "is blank";
        } else if (!s.current || s.leader == 0) {
            what = "knows no master";
        } else if (s.ops_open > 0) {
            (void)snprintf(open, sizeof open, "has operation %s under way", s.op);
            what = open;
        } else if (s.hosts_up < lab.o.hosts) {
            what = "does not see every host up";
        } else if (i > 0 && (s.applied != first.applied || s.state_hash != first.state_hash)) {
            what = "has another state than the first host";
        }
        if (what != NULL) {
            (void)snprintf(to, size, "%s %s", h->m.name, what);
            return to;
        }
        leaders += s.leads;
        first = i == 0 ? s : first;
    }
    if (leaders != 1) {
        (void)snprintf(to, size, "%u hosts lead", leaders);
        return to;
    }
    return workload_unrest(&lab.hosts[0], to, size);
}

/* Run until the pool is at rest, at most for so long. */
static bool run_to_rest(uint64_t limit_s, const char *who)
{
    char why[512] = "";
    uint64_t limit_ns = world.now_ns + limit_s * NS_PER_S;
    uint32_t calm = 0;
    while (world.now_ns < limit_ns && !world.stop) {
        world_run(world.now_ns + STEP_NS);
        bool rest = workload_idle() && unrest(why, sizeof why) == NULL;
        calm = rest ? calm + 1 : 0;
        if (calm == 5) {
            return true;
        }
    }
    lab_fail(who, "after %llu s %s", (unsigned long long)limit_s,
             why[0] == '\0' ? "clients still wait for answers" : why);
    return false;
}

/* --- phases */

static void boot(void)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        char name[MACHINE_NAME];
        (void)snprintf(name, sizeof name, "h%u", i + 1);
        vhost_init(&lab.hosts[i], i, name);
        if (lab.o.hist != NULL) {
            (void)hist_host_add(lab.o.hist, name);
        }
        vhost_start(&lab.hosts[i]);
    }
    workload_begin();
    watcher_begin();
    world_run(NS_PER_S);
    workload_form();
    uint64_t limit_ns = world.now_ns + FORM_S * NS_PER_S;
    while (!workload_formed() && world.now_ns < limit_ns && !world.stop) {
        world_run(world.now_ns + STEP_NS);
    }
    if (!workload_formed()) {
        lab_fail("form", "the pool was not formed in %d s", FORM_S);
        return;
    }
    (void)run_to_rest(FORM_S, "form");
}

#define ALL (UINT64_MAX >> (64 - lab.o.hosts))

static void record_phase(enum run_phase phase, uint64_t core)
{
    record(&(struct rec){.kind = REC_PHASE, .phase = {.phase = phase, .core = core}});
}

static void left(uint32_t host, const char *what, uint64_t count)
{
    record(
        &(struct rec){.kind = REC_LEFT,
                      .left = {.host = (uint16_t)host, .what = record_name(what), .count = count}});
}

/* What should not be there any more when all is done. */
static void record_left(uint32_t host, const struct vhost_state *s)
{
    left(host, "open operations", s->ops_open);
    left(host, "copies in the guard's table that are none", vguard_strays(host));
}

static void record_final(void)
{
    record_phase(PHASE_END, ALL);
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct vhost_state s;
        if (vhost_look(&lab.hosts[i], &s)) {
            record(&(struct rec){
                .kind = REC_FINAL,
                .final = {.host = (uint16_t)i, .index = s.applied, .state = s.state_hash | 1}});
            workload_record_rows(&lab.hosts[i]);
            record_left(i, &s);
        }
    }
}

static void safety(void)
{
    lab.phase = LAB_SAFETY;
    record_phase(PHASE_SAFETY, ALL);
    watcher_start();
    faults_begin();
    if (lab.o.story != NULL) {
        story_run(lab.o.story);
        return;
    }
    workload_start();
    plan_start();
    world_run(max_u64(lab.o.until_ns, world.now_ns + lab.o.safety_s * NS_PER_S));
}

static void ask_something(void)
{
    struct cmd_pool_set r;
    schema_init(command_by_number(COMMAND_pool_set)->schema, &r);
    r.events_kept = 10000;
    workload_ask(&wl.workers[0], COMMAND_pool_set, &r);
}

/* A command of a client's is done. */
static bool core_writes(void)
{
    uint64_t acked = lab.acked;
    ask_something();
    for (int i = 0; i < CORE_WRITE_S * 10 && lab.acked == acked && !world.stop; i++) {
        world_run(world.now_ns + STEP_NS);
    }
    return lab.acked > acked;
}

static void core_recovers(uint64_t core)
{
    char why[512] = "clients still wait for answers";
    uint64_t limit_ns = world.now_ns + REST_S * NS_PER_S;
    uint32_t calm = 0;
    while (world.now_ns < limit_ns && calm < 5 && !world.stop) {
        world_run(world.now_ns + STEP_NS);
        calm = workload_idle() && core_unrest(core, why, sizeof why) == NULL ? calm + 1 : 0;
    }
    if (calm < 5) {
        lab_fail("core", "after %d s %s", REST_S, why);
    } else if (lab.o.clients > 0 && !core_writes()) {
        lab_fail("core", "it did not do within %d s what a client asked", CORE_WRITE_S);
    }
}

static void heal(void)
{
    uint64_t core = core_choose();
    lab.phase = LAB_HEAL;
    record_phase(PHASE_HEAL, core);
    faults_heal();
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct vhost *h = &lab.hosts[i];
        vhost_freeze(h, false);
        vhost_pause(h, false);
        if (!members_keep_off(h)) {
            vhost_power_on(h);
            vhost_start(h);
        }
    }
    core_break(core);
    world_run(world.now_ns + CALM_S * NS_PER_S);
    plan_stop();
    workload_stop();
    if (core != ALL && !world.stop) {
        core_recovers(core);
    }
    core_mend(core);
    record_phase(PHASE_HEAL, ALL);
    lab.healed_ns = world.now_ns;
}

/* What was found on the way is the verdict; the checkers are asked all the same, for the report. */
static void check_history(void)
{
    struct verdicts *v = lab.o.verdicts != NULL ? lab.o.verdicts : world_new(1, sizeof *v);
    if (lab.o.hist != NULL) {
        check_all(lab.o.hist, v);
        const struct checked *bad = verdicts_good(v) ? NULL : verdicts_first(v);
        if (bad != NULL) {
            lab_fail(bad->checker->name, "%s (at %.6f s)",
                     bad->n_findings > 0 ? bad->findings[0].text : verdict_name(bad->verdict),
                     bad->n_findings > 0 ? (double)bad->findings[0].at_us / 1e6 : 0.0);
        }
    }
    if (v != lab.o.verdicts) {
        world_free(v);
    }
}

static void must(enum must_what what, const char *subject)
{
    record(&(struct rec){.kind = REC_MUST,
                         .must = {.what = what,
                                  .subject = record_name(subject),
                                  .by = world.now_ns / NS_PER_US + OWED_S * UINT64_C(1000000)}});
}

/* What a pool at rest owes: a master, answers to those who ask, and protected guests that run. */
static void pay_debts(void)
{
    must(MUST_LEAD, "");
    workload_owe(&lab.hosts[0], must);
    if (lab.o.clients > 0) {
        must(MUST_WRITE, "");
        workload_hang_up(&wl.workers[0]);
        ask_something();
    }
    world_run(world.now_ns + OWED_S * NS_PER_S);
}

static void liveness(void)
{
    if (!world.stop && run_to_rest(REST_S, "liveness")) {
        lab.rested_ns = world.now_ns;
        pay_debts();
        workload_check(&lab.hosts[0]);
        record_final();
    }
    check_history();
}

/* --- a scenario */

#define AFTER_LAST_S 2

void lab_scenario(struct lab_options *o, const struct scenario *s)
{
    uint64_t last_us = s->n_decisions == 0 ? 0 : s->decisions[s->n_decisions - 1].at_us;
    o->scenario = s;
    o->seed = s->seed;
    o->hosts = s->hosts;
    o->clients = (uint32_t)scenario_get(s, "clients", o->clients);
    o->safety_s = scenario_get(s, "seconds", 0);
    o->until_ns = o->safety_s > 0 ? 0 : last_us * NS_PER_US + AFTER_LAST_S * NS_PER_S;
}

/* A replica that stops by itself is a violation, whatever else the run shows. */
static void log_seen(struct proc *p, const char *event, const char *line)
{
    /* A log that must begin anew on a full disk is tried again by the next daemon. */
    bool disk = (lab.disk_faults && strstr(line, "code=IO ") != NULL) ||
                (p->machine->disk_bytes != 0 && strstr(line, "code=NO_SPACE ") != NULL);
    bool lost = (lab.forgetting || members_leave()) &&
                (strstr(line, "code=REFUSED ") != NULL || strstr(line, "code=CORRUPT ") != NULL);
    if (strcmp(event, "replica_stopped") == 0 && !disk && !lost) {
        lab_fail("replicas", "%s: %s", p->name, line);
    }
}

bool lab_boot(const struct lab_options *o)
{
    lab = (struct lab){.o = *o};
    proc_log_print = o->print;
    proc_log_line = log_seen;
    world_begin(o->seed);
    record_into(o->hist);
    plan_begin(o->scenario, o->log);
    vsys_begin();
    vnet_begin();
    seam_begin(&o->crash);
    truth_begin();
    vguard_begin();
    data_begin();
    members_begin();
    observe_begin();
    written_begin();
    opinions_begin();
    permits_begin();
    boot();
    return lab.failure[0] == '\0';
}

static void print_hosts(void)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        char text[512];
        vhost_text(&lab.hosts[i], text, sizeof text);
        (void)printf("%12.6f  %-6s == %s\n", (double)world.now_ns / 1e9, lab.hosts[i].m.name, text);
    }
}

bool lab_run(const struct lab_options *o)
{
    if (lab_boot(o)) {
        safety();
    }
    if (!world.stop) {
        heal();
    }
    liveness();
    lab.phase = LAB_OVER;
    lab.applied = observe_last();
    if (lab.o.print) {
        print_hosts();
    }
    return lab.failure[0] == '\0';
}

void lab_end(void)
{
    record_into(NULL);
    lab_forget_later();
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        vhost_done(&lab.hosts[i]);
    }
    members_end();
    workload_end();
    watcher_end();
    vguard_end();
    truth_end();
    observe_end();
    written_end();
    opinions_end();
    permits_end();
    seam_end();
    vnet_end();
    vsys_end();
    world_end();
}
