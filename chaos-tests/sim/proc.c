/* Processes: coming to be, and death. */

#include "chaos-tests/sim/proc.h"

#include "core/util.h"

#include "chaos-tests/sim/vdisk.h"
#include "chaos-tests/sim/vloop.h"
#include "chaos-tests/sim/vsys.h"

struct proc *proc_now;

struct proc *proc_new(struct machine *m, const char *name)
{
    struct proc *p = world_new(1, sizeof *p);
    p->machine = m;
    p->number = vsys_next_proc();
    p->heap = heap_new();
    (void)str_copy(p->name, sizeof p->name, name);
    world_rng(&p->random, "process", p->number);
    world_rng(&p->chance, "fate", p->number);
    return p;
}

void proc_kill(struct proc *p, bool silently)
{
    p->dead = true;
    world_note('k', p->number, silently);
    vdisk_process_died(p);
    vloop_drop(p);
    vsys_process_died(p, silently);
    heap_drop(p->heap);
    world_free(p);
}

struct proc *proc_enter(struct proc *p)
{
    struct proc *before = proc_now;
    proc_now = p;
    (void)heap_switch(p == NULL ? NULL : p->heap);
    return before;
}

void proc_leave(struct proc *before)
{
    proc_now = before;
    (void)heap_switch(before == NULL ? NULL : before->heap);
}

void proc_pause(struct proc *p, bool paused)
{
    p->paused = paused;
    vloop_replan(p);
}
