/* At the end: was what clients were told true? And do guests run where the state says? */

#include <stdio.h>
#include <string.h>

#include "chaos-tests/sim/record.h"
#include "chaos-tests/sim/truth.h"
#include "chaos-tests/sim/workload_impl.h"
#include "cli/quorated/daemon.h"

static void check_promises(struct fsm_view *v)
{
    struct guest g;
    for (uint32_t i = 0; i < wl.n_guests; i++) {
        const struct wanted *p = &wl.guests[i];
        bool there = fsm_get_guest(v, p->name, &g) == 0;
        if (p->made == PROMISED && !p->deleting && !there) {
            lab_fail("promises", "guest %s was acknowledged and does not exist", p->name);
        } else if (p->deleted && there) {
            lab_fail("promises", "guest %s was deleted and exists", p->name);
        }
    }
}

/* A guest that is said to run and does not. Else how many should run, and how many copies the state
 * names (one that crashed may be kept). */
static bool
one_is_missing(struct fsm_view *v, uint32_t *ret_want, uint32_t *ret_named, char *to, size_t size)
{
    char name[LIMIT_NAME + 1] = "";
    struct guest g;
    *ret_want = *ret_named = 0;
    while (fsm_next_guest(v, name, &g) == 0) {
        memcpy(name, g.name, sizeof name);
        const struct vhost *h = lab_host_named(g.host);
        *ret_named += h != NULL && truth_exists(h->m.index, &g.uuid, g.run_epoch);
        if (g.state != GUEST_RUNNING) {
            continue;
        }
        ++*ret_want;
        if (h == NULL || !truth_runs(h->m.index, &g.uuid, g.run_epoch)) {
            (void)snprintf(to, size, "guest %s does not run on %s under epoch %llu, as it should",
                           g.name, g.host, (unsigned long long)g.run_epoch);
            return true;
        }
    }
    return false;
}

const char *workload_unrest(struct vhost *h, char *to, size_t size)
{
    uint32_t want;
    uint32_t named;
    uint32_t copies;
    uint32_t running;
    struct proc *before = proc_enter(h->proc);
    struct fsm_view *v = fsm_view_open(h->daemon->fsm);
    bool missing = one_is_missing(v, &want, &named, to, size);
    (void)fsm_view_close(v);
    proc_leave(before);
    truth_count(&copies, &running);
    if (!missing && running != want) {
        (void)snprintf(to, size, "%u guests run, by the state it should be %u", running, want);
        missing = true;
    } else if (!missing && copies > named) {
        (void)snprintf(to, size, "%u copies of guests are there, the state names %u", copies,
                       named);
        missing = true;
    }
    return missing ? to : NULL;
}

void workload_check(struct vhost *h)
{
    struct proc *before = proc_enter(h->proc);
    struct fsm_view *v = fsm_view_open(h->daemon->fsm);
    check_promises(v);
    (void)fsm_view_close(v);
    proc_leave(before);
}

/* What somebody gave up asking may be carried out at any moment. */
static bool is_unsure(const char *name)
{
    uint32_t i = 0;
    while (i < wl.n_guests && strcmp(wl.guests[i].name, name) != 0) {
        i++;
    }
    return i < wl.n_guests && wl.guests[i].unsure;
}

void workload_owe(struct vhost *h, void (*must)(enum must_what what, const char *subject))
{
    char name[LIMIT_NAME + 1] = "";
    struct guest g;
    struct pool pool;
    struct proc *before = proc_enter(h->proc);
    struct fsm_view *v = fsm_view_open(h->daemon->fsm);
    bool ha = fsm_get_pool(v, &pool) == 0 && pool.ha;
    while (ha && fsm_next_guest(v, name, &g) == 0) {
        memcpy(name, g.name, sizeof name);
        if (g.ha && g.state == GUEST_RUNNING && !is_unsure(g.name)) {
            must(MUST_RUN, g.name);
        }
    }
    (void)fsm_view_close(v);
    proc_leave(before);
}

void workload_record_rows(struct vhost *h)
{
    char name[LIMIT_NAME + 1] = "";
    struct guest g;
    struct proc *before = proc_enter(h->proc);
    struct fsm_view *v = fsm_view_open(h->daemon->fsm);
    while (fsm_next_guest(v, name, &g) == 0) {
        memcpy(name, g.name, sizeof name);
        const struct vhost *owner = lab_host_named(g.host);
        record(&(struct rec){
            .kind = REC_ROW,
            .row = {.host = (uint16_t)h->m.index,
                    .guest = record_name(g.name),
                    .owner = owner == NULL ? (uint16_t)HIST_NONE : (uint16_t)owner->m.index,
                    .epoch = g.run_epoch}});
    }
    (void)fsm_view_close(v);
    proc_leave(before);
}
