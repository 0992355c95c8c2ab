/* The table, the choice, the moments. */

#include "chaos-tests/sim/fault.h"

#include <stdio.h>
#include <string.h>

#include "core/util.h"

const struct fault *const faults[] = {
#define F(name, help) &fault_##name,
#include "chaos-tests/sim/faults.def"
#undef F
};

const char *const fault_helps[] = {
#define F(name, help) help,
#include "chaos-tests/sim/faults.def"
#undef F
};

const uint32_t n_faults = ARRAY_LEN(faults);

/* Intensities: thousandths of the usual rate. */
#define INTENSITY_MIN 100
#define INTENSITY_MAX 4000

static struct row {
    struct vevent next;
    struct rng rng;
    uint32_t intensity; /* 0: off. */
} rows[FAULTS_MAX];
static bool active;

bool faults_active(void)
{
    return active;
}

static void plan(struct row *r, const struct fault *f)
{
    uint64_t mean_ms = (uint64_t)f->every_ms * 1000 / r->intensity * 3 / max_u64(lab.o.hosts, 1);
    vevent_set(&r->next, world.now_ns + rng_between(&r->rng, 1, 2 * mean_ms) * NS_PER_MS);
}

static void strike(struct vevent *ev)
{
    struct row *r = CONTAINER_OF(ev, struct row, next);
    const struct fault *f = faults[r - rows];
    lab.faults_struck++;
    f->strike(&r->rng);
    plan(r, f);
}

void faults_begin(void)
{
    struct rng rng;
    world_rng(&rng, "swarm", 0);
    active = true;
    for (uint32_t i = 0; i < n_faults; i++) {
        rows[i] = (struct row){.next = {.fire = strike}};
        if (faults[i]->heal != NULL) {
            faults[i]->heal(); /* It may remember a run that ended in the middle. */
        }
        world_rng(&rows[i].rng, faults[i]->name, 0);
        bool on = rng_below(&rng, 2) == 0 || lab.o.all_faults;
        uint32_t intensity = (uint32_t)rng_between(&rng, INTENSITY_MIN, INTENSITY_MAX);
        if (on && (lab.o.faults >> i & 1) != 0) {
            rows[i].intensity = intensity;
            plan(&rows[i], faults[i]);
        }
    }
}

void faults_heal(void)
{
    active = false;
    for (uint32_t i = 0; i < n_faults; i++) {
        vevent_clear(&rows[i].next);
        if (faults[i]->heal != NULL) {
            faults[i]->heal();
        }
    }
}

void faults_text(char *to, size_t size)
{
    size_t at = 0;
    to[0] = '\0';
    for (uint32_t i = 0; i < n_faults; i++) {
        if (rows[i].intensity > 0 && at < size) {
            int n = snprintf(to + at, size - at, "%s%s:%u.%u", at == 0 ? "" : ",", faults[i]->name,
                             rows[i].intensity / 1000, rows[i].intensity % 1000 / 100);
            at += (size_t)n;
        }
    }
}

struct vhost *fault_host(struct rng *rng)
{
    return &lab.hosts[rng_below(rng, lab.o.hosts)];
}

struct vhost *fault_master(void)
{
    struct vhost *master = NULL;
    uint64_t term = 0;
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct vhost_state s;
        if (vhost_look(&lab.hosts[i], &s) && s.leads && s.term > term) {
            master = &lab.hosts[i];
            term = s.term;
        }
    }
    return master;
}

uint64_t fault_while_ms(struct rng *rng, uint64_t min_ms, uint64_t max_ms)
{
    uint64_t max = rng_below(rng, 5) == 0 ? max_ms : max_u64(min_ms, max_ms / 10);
    return rng_between(rng, min_ms, max);
}

void fault_say(const char *what, const char *where, uint64_t value)
{
    world_note_bytes(what, strlen(what));
    if (lab.o.print) {
        (void)printf("%12.6f  %-6s ** %s %llu\n", (double)world.now_ns / 1e9, where, what,
                     (unsigned long long)value);
    }
}
