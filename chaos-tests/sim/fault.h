/* Faults: what may go wrong in a run. One file and one row of faults.def each.
 *
 * Swarm testing: each seed turns a random subset on, each with a random intensity. A fault that is
 * on strikes again and again at random moments of the safety phase. What it does ends by itself
 * after a while (lab_after()), and at the latest when the run is healed.
 *
 * What a strike does is decided first, and the decision is all that it does: its arguments, written
 * as words, do the same in a run that is repeated from them (plan.h). */

#ifndef CHAOS_SIM_FAULT_H
#define CHAOS_SIM_FAULT_H

#include <stdint.h>

#include "core/err.h"

#include "chaos-tests/sim/lab.h"

struct decision;

#define FAULT_ARGS 8

struct fault {
    const char *name;
    /* A letter an argument, with how it is written:
     *   h  a host, from 0 (h1)          s  a set of hosts, bit i for host i (h1,h3; none: -)
     *   m  a duration in ms (3s, 250ms) n  a number (17)
     *   i  an int64_t (-250)            w  a word of `words`, from 0
     *   r  a seed of its own (17) */
    const char *args;
    const char *const *words; /* For w; NULL ends it. */
    /* Mean time between two strikes anywhere in a pool of three, at intensity 1. */
    uint32_t every_ms;
    /* Decide what to break now. False: there is nothing that it could break. */
    bool (*choose)(struct rng *rng, uint64_t arg[FAULT_ARGS]);
    /* Break it. Any arguments may come, at any moment: hosts exist, the rest may make no sense, and
     * then nothing is done. What it has lab_after() do is done in the safety phase only. */
    void (*strike)(const uint64_t arg[FAULT_ARGS]);
    /* Take back what is still in force; NULL: there is nothing. Hosts without power, paused or not
     * running are brought back by the run itself. */
    void (*heal)(void);
};

#define F(name, help) extern const struct fault fault_##name;
#include "chaos-tests/sim/faults.def"
#undef F

#define FAULTS_MAX 64
extern const struct fault *const faults[];
extern const char *const fault_helps[];
extern const uint32_t n_faults;

/* NULL: there is none. */
const struct fault *fault_by_name(const char *name);

/* Choose this run's faults, unless it is repeated; they strike from now on. */
void faults_begin(void);
/* End them all. */
void faults_heal(void);
/* Names of this run's faults with their intensities, for the line at the end. */
void faults_text(char *to, size_t size);

/* Arguments as words, and back: ERR_INVALID with line and argument. */
void fault_words(const struct fault *f, const uint64_t arg[FAULT_ARGS], char *to, size_t size);
int fault_read(const struct fault *f,
               const struct decision *d,
               uint64_t arg[FAULT_ARGS],
               struct err *e);
/* It strikes now, as it was decided: written down, then done. */
void fault_strike(const struct fault *f, const uint64_t arg[FAULT_ARGS]);

/* --- for the faults themselves */

/* A random host, as an argument; and the host of an argument. */
uint64_t fault_some_host(struct rng *rng);
struct vhost *fault_host(uint64_t arg);
/* The host that leads (the one of the latest term, if several think so); NULL: none. */
struct vhost *fault_master(void);
/* A time: mostly short, now and then long. */
uint64_t fault_while_ms(struct rng *rng, uint64_t min_ms, uint64_t max_ms);
/* Whether faults still strike (else nothing new may be broken by a delayed part of one). */
bool faults_active(void);

#endif
