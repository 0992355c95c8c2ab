#include "chaos-tests/sim/permits.h"

#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/record.h"
#include "chaos-tests/sim/truth.h"
#include "chaos-tests/sim/vguard.h"
#include "cli/quorated/agent_core.h"
#include "cli/quorated/lease.h"

/* Of one copy. Those of a host are a list. */
struct permit {
    struct permit *next;
    struct id guest;
    uint64_t epoch;
    hist_t_name name;
    bool held; /* By the guard: it ends with the lease. */
};

static struct {
    struct permit *first;
    uint64_t end_us; /* Of its lease, in true time. */
} * permits;

void permits_begin(void)
{
    permits = world_new(LAB_HOSTS_MAX, sizeof *permits);
}

void permits_end(void)
{
    for (uint32_t i = 0; permits != NULL && i < LAB_HOSTS_MAX; i++) {
        while (permits[i].first != NULL) {
            struct permit *p = permits[i].first;
            permits[i].first = p->next;
            world_free(p);
        }
    }
    world_free(permits);
    permits = NULL;
}

static struct permit **find(uint32_t host, const struct id *guest, uint64_t epoch)
{
    struct permit **at = &permits[host].first;
    while (*at != NULL && ((*at)->epoch != epoch || !id_equal(&(*at)->guest, guest))) {
        at = &(*at)->next;
    }
    return at;
}

static void write_down(uint32_t host, const struct permit *p, uint64_t until_us)
{
    record(&(struct rec){
        .kind = REC_PERMIT,
        .permit = {
            .host = (uint16_t)host, .guest = p->name, .epoch = p->epoch, .until = until_us}});
}

static void give(uint32_t host, const struct guest *g, bool held)
{
    struct permit **at = find(host, &g->uuid, g->run_epoch);
    struct permit *p = *at;
    if (p != NULL && p->held == held) {
        return;
    }
    if (p == NULL) {
        p = world_new(1, sizeof *p);
        p->guest = g->uuid;
        p->epoch = g->run_epoch;
        p->name = record_name(g->name);
        *at = p;
    }
    p->held = held;
    write_down(host, p, held ? permits[host].end_us : HIST_NEVER);
}

static void take_back(uint32_t host, struct permit **at)
{
    struct permit *p = *at;
    write_down(host, p, 0);
    *at = p->next;
    world_free(p);
}

void permits_gone(uint32_t host, const struct id *guest, uint64_t epoch)
{
    struct permit **at = permits == NULL ? NULL : find(host, guest, epoch);
    if (at != NULL && *at != NULL) {
        take_back(host, at);
    }
}

/* --- the agent's view */

/* The copy of the guest's run executes. */
static bool executes(const struct agent_input *in, const struct guest *g)
{
    for (uint32_t i = 0; i < in->n_copies; i++) {
        const struct hv_info *c = &in->copies[i];
        if (c->key.epoch == g->run_epoch && (c->state == HV_RUNNING || c->state == HV_OUTGOING)) {
            return true;
        }
    }
    return false;
}

static void judge(const struct agent_input *in, const struct agent_answer *a)
{
    const struct guest *g = in->guest;
    uint32_t host = proc_now->machine->index;
    /* The guard may have killed a copy that the driver takes for alive still. */
    bool own = strcmp(g->host, in->host) == 0 && (a->act == AGENT_UNPAUSE || executes(in, g)) &&
               truth_exists(host, &g->uuid, g->run_epoch);
    if (own) {
        give(host, g, vguard_answers_for(host, &g->uuid, g->run_epoch));
    }
    /* What it takes for over, it will not let execute: copies of other epochs are destroyed. */
    for (struct permit **at = &permits[host].first; *at != NULL;) {
        if (id_equal(&(*at)->guest, &g->uuid) && ((*at)->epoch != g->run_epoch || !own)) {
            take_back(host, at);
        } else {
            at = &(*at)->next;
        }
    }
}

struct agent_answer __real_agent_decide(const struct agent_input *in);
struct agent_answer __wrap_agent_decide(const struct agent_input *in);

struct agent_answer __wrap_agent_decide(const struct agent_input *in)
{
    struct agent_answer a = __real_agent_decide(in);
    if (permits != NULL && record_on() && in->guest != NULL && lab_host_of(proc_now) != NULL) {
        judge(in, &a);
    }
    return a;
}

/* --- the lease */

static void ends(const struct lease_holder *l)
{
    const struct vhost *h = lab_host_of(proc_now);
    if (permits == NULL || h == NULL || !record_on()) {
        return;
    }
    uint32_t host = h->m.index;
    uint64_t end = vclock_when(&h->m.clock, l->end_ms * NS_PER_MS) / NS_PER_US;
    if (end == permits[host].end_us) {
        return;
    }
    permits[host].end_us = end;
    record(&(struct rec){.kind = REC_LEASE, .lease = {.host = (uint16_t)host, .until = end}});
    for (const struct permit *p = permits[host].first; p != NULL; p = p->next) {
        if (p->held) {
            write_down(host, p, end);
        }
    }
}

bool __real_lease_granted(struct lease_holder *h, uint64_t number, uint32_t ms, uint64_t index);
bool __wrap_lease_granted(struct lease_holder *h, uint64_t number, uint32_t ms, uint64_t index);
void __real_lease_adopt(struct lease_holder *h, uint64_t end_ms);
void __wrap_lease_adopt(struct lease_holder *h, uint64_t end_ms);

bool __wrap_lease_granted(struct lease_holder *h, uint64_t number, uint32_t ms, uint64_t index)
{
    bool longer = __real_lease_granted(h, number, ms, index);
    if (longer) {
        ends(h);
    }
    return longer;
}

void __wrap_lease_adopt(struct lease_holder *h, uint64_t end_ms)
{
    __real_lease_adopt(h, end_ms);
    ends(h);
}
