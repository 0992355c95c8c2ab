/* What a host's daemon does to the world, counted call by call, and its death at one of them.
 *
 * Before a call that would be the n-th nothing of it has happened yet, and nothing of the process
 * runs any more: it is as if it had been killed, or its machine had lost its power, there. */

#ifndef CHAOS_SIM_SEAM_H
#define CHAOS_SIM_SEAM_H

#include <stdbool.h>
#include <stdint.h>

enum seam {
    SEAM_DISK,       /* Writes, syncs and changes of names, of the log and of the store. */
    SEAM_NET,        /* Bytes are given to a connection. */
    SEAM_HYPERVISOR, /* Requests, and what the driver does about them. */
    SEAM_GUARD,      /* Messages to the guard. */
    SEAMS
};

extern const char *const seam_names[SEAMS + 1]; /* NULL ends it. */

struct seam_crash {
    uint64_t n; /* 0: nobody dies. */
    uint32_t host;
    enum seam seam;
    bool power; /* The machine loses its power; else the daemon is killed. */
};

void seam_begin(const struct seam_crash *crash);
void seam_end(void);

/* The process that runs is about to do this. */
void seam_call(enum seam seam);
/* Calls so far of this host, until the run was healed. */
uint64_t seam_calls(uint32_t host, enum seam seam);

struct proc;
/* Run code of a process that has been entered. False: it died in the middle; nothing of it may be
 * touched any more. */
bool seam_run(struct proc *p, void (*fn)(void *ctx), void *ctx);

#endif
