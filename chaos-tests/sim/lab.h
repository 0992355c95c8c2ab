/* One run: a pool of simulated hosts, its clients, what is broken, and what was found wrong.
 *
 *   boot      the daemons start, one founds a pool, the others are added
 *   safety    clients work, faults strike
 *   heal      everything is whole again; clients stop soon after
 *   liveness  within its bound the pool must come to rest: one master, every host up with the same
 *             state, no operation open, every guest where the state says
 *
 * A run ends at the first violation. */

#ifndef CHAOS_SIM_LAB_H
#define CHAOS_SIM_LAB_H

#include <stdbool.h>
#include <stdint.h>

#include "chaos-tests/sim/seam.h"
#include "chaos-tests/sim/vhost.h"

struct hist;
struct plan_log;
struct scenario;
struct story;
struct verdicts;

#define LAB_HOSTS_MAX   64
#define LAB_CLIENTS_MAX 16
#define LAB_TEXT        640

struct lab_options {
    uint64_t seed;
    uint32_t hosts;    /* 1 .. LAB_HOSTS_MAX. */
    uint32_t clients;  /* 0 .. LAB_CLIENTS_MAX. */
    uint64_t safety_s; /* Simulated seconds under faults. */
    uint64_t until_ns; /* And not before this time of the run. */
    uint64_t faults;   /* Bit i: row i of faults.def may strike. */
    bool all_faults;   /* All of those, not a random subset. */
    bool print;        /* Log lines as they come. */
    struct hist *hist; /* Empty: what happens is recorded there and judged; NULL: it is not. */
    const struct scenario *scenario; /* The decisions are these (its seed and hosts are above);
                                        NULL: they are drawn. */
    const struct story *story;       /* Instead of asks and faults; NULL: none. */
    struct seam_crash crash;         /* A host dies there. */
    struct plan_log *log;            /* The decisions are written there; NULL: they are not. */
    struct verdicts *verdicts;       /* What the checkers found is put there; may be NULL. */
    const char *dir; /* An empty directory on a memory file system: the working directory. */
};

enum lab_phase {
    LAB_BOOT,
    LAB_SAFETY,
    LAB_HEAL,
    LAB_OVER
};

struct lab {
    struct lab_options o;
    struct vhost hosts[LAB_HOSTS_MAX];
    enum lab_phase phase;
    bool forgetting;        /* A host has lost what it had (data.h). */
    bool disk_faults;       /* The disks of this run misbehave beyond power cuts. */
    char failure[LAB_TEXT]; /* What was found wrong; empty: nothing. */
    const char *checker;    /* Who found it. */
    uint64_t failed_ns;
    uint64_t healed_ns, rested_ns;
    /* Counted, for the line at the end. */
    uint64_t asked, acked, refused, unsure, faults_struck, migrations, applied;
    uint64_t turns;
    uint64_t watchdogs; /* Machines reset because neither guard nor daemon ended a copy in time. */
};

extern struct lab lab;

/* Do it. false: something is wrong (lab.failure). The world is left for lab_end(). */
bool lab_run(const struct lab_options *o);
void lab_end(void);
/* The run as far as the pool is formed, for tests; lab_end() ends it too. */
bool lab_boot(const struct lab_options *o);

/* Carry out this scenario, borrowed: seed, hosts, settings and decisions are its own. Without a
 * setting `seconds` the faults end a little after its last decision. */
void lab_scenario(struct lab_options *o, const struct scenario *s);

/* A violation, found by `checker`. Only the first one counts. */
void lab_fail(const char *checker, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Call it later, in the world's context. Forgotten with the run; and all of them now. */
void lab_after(uint64_t ns, void (*fn)(void *ctx, uint64_t arg), void *ctx, uint64_t arg);
void lab_forget_later(void);

/* The host of this process; NULL: it is no daemon. */
struct vhost *lab_host_of(const struct proc *p);
/* By name; NULL. */
struct vhost *lab_host_named(const char *name);

#endif
