/* Faults: what may go wrong in a run. One file and one row of faults.def each.
 *
 * Swarm testing: each seed turns a random subset on, each with a random intensity. A fault that is
 * on strikes again and again at random moments of the safety phase. What it does ends by itself
 * after a while (lab_after()), and at the latest when the run is healed. */

#ifndef CHAOS_SIM_FAULT_H
#define CHAOS_SIM_FAULT_H

#include <stdint.h>

#include "chaos-tests/sim/lab.h"

struct fault {
    const char *name;
    /* Mean time between two strikes anywhere in a pool of three, at intensity 1. */
    uint32_t every_ms;
    void (*strike)(struct rng *rng);
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

/* Choose this run's faults, and let them strike from now on. */
void faults_begin(void);
/* End them all. */
void faults_heal(void);
/* Names of this run's faults with their intensities, for the line at the end. */
void faults_text(char *to, size_t size);

/* --- for the faults themselves */

/* A random host. */
struct vhost *fault_host(struct rng *rng);
/* The host that leads (the one of the latest term, if several think so); NULL: none. */
struct vhost *fault_master(void);
/* A time: mostly short, now and then long. */
uint64_t fault_while_ms(struct rng *rng, uint64_t min_ms, uint64_t max_ms);
/* Whether faults still strike (else nothing new may be broken by a delayed part of one). */
bool faults_active(void);
/* Log that it struck, for people. */
void fault_say(const char *what, const char *where, uint64_t value);

#endif
