/* At the end: was what clients were told true? And do guests run where the state says? */

#include <string.h>

#include "cli/quorated/daemon.h"

#include "chaos-tests/sim/truth.h"
#include "chaos-tests/sim/workload_impl.h"

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

static void check_guests(struct fsm_view *v)
{
    char name[LIMIT_NAME + 1] = "";
    struct guest g;
    uint32_t want = 0;
    uint32_t copies;
    uint32_t running;
    while (fsm_next_guest(v, name, &g) == 0) {
        memcpy(name, g.name, sizeof name);
        if (g.state != GUEST_RUNNING) {
            continue;
        }
        const struct vhost *h = lab_host_named(g.host);
        want++;
        if (h == NULL || !truth_runs(h->m.index, &g.uuid, g.run_epoch)) {
            lab_fail("guests", "the state says that guest %s runs on %s under epoch %llu, and it "
                               "does not",
                     g.name, g.host, (unsigned long long)g.run_epoch);
        }
    }
    truth_count(&copies, &running);
    if (running != want) {
        lab_fail("guests", "%u guests run, by the state it should be %u", running, want);
    }
}

void workload_check(struct vhost *h)
{
    struct proc *before = proc_enter(h->proc);
    struct fsm_view *v = fsm_view_open(h->daemon->fsm);
    check_promises(v);
    check_guests(v);
    (void)fsm_view_close(v);
    proc_leave(before);
}
