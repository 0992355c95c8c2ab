/* A simulated process: one loop, what it holds, and how it dies.
 *
 * Code of a process runs only between proc_enter() and proc_leave(): then memory is booked on its
 * heap, and the operating system's functions (vsys.c) answer for it and its machine. */

#ifndef CHAOS_SIM_PROC_H
#define CHAOS_SIM_PROC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rng.h"

#include "chaos-tests/sim/heap.h"
#include "chaos-tests/sim/machine.h"

struct vloop;

struct proc {
    struct machine *machine;
    char name[MACHINE_NAME];
    uint64_t number; /* Of all processes of this run, from 1. */
    struct heap *heap;
    struct vloop *loop; /* NULL before uv_loop_init(). */
    struct rng random;  /* What the operating system gives it. */
    struct rng chance;  /* What happens to it. */
    bool paused;
    bool dead; /* It is gone; its memory here follows. */
    /* Its loop has nothing to wait for any more: it returns from main(). Called outside of it. */
    void (*ended)(struct proc *p);
    void *ctx;
};

/* The process whose code runs; NULL: the world's own. */
extern struct proc *proc_now;

struct proc *proc_new(struct machine *m, const char *name);
/* Kill it: nothing of it runs any more, its sockets are closed by the kernel (`silently`: they
 * vanish with the machine), its memory is gone. Not from inside of it. */
void proc_kill(struct proc *p, bool silently);

struct proc *proc_enter(struct proc *p); /* Returns who ran before, for proc_leave(). */
void proc_leave(struct proc *before);

/* Stand still, and go on. */
void proc_pause(struct proc *p, bool paused);

/* Lines that processes log: `on` prints them, with their time. Set before a run. */
extern bool proc_log_print;
/* Called with every line (its event and the pairs as text), whatever is printed; may be NULL. */
extern void (*proc_log_line)(struct proc *p, const char *event, const char *line);

#endif
