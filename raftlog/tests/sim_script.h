/* Small helpers for tests that tell a story with the simulator. */

#ifndef RAFTLOG_TESTS_SIM_SCRIPT_H
#define RAFTLOG_TESTS_SIM_SCRIPT_H

#include "raftlog/tests/sim.h"

#define MS 1000u /* In the simulator's microseconds. */

/* A pool without faults or clients of its own, with a leader. */
struct sim *script_new(uint64_t seed, uint32_t hosts, unsigned mutants);
bool script_has_leader(struct sim *sim);
/* Cut or join this host and all hosts of the mask (bit = slot), both ways. */
void script_cut(struct sim *sim, uint32_t slot, unsigned others, bool cut);
/* Make a new blank host a standby of the pool; returns it when it has everything. */
struct sim_host *script_add_standby(struct sim *sim);
/* Propose at this host and wait; returns the code, ERR_PENDING if there is none yet. */
int script_propose(struct sim_host *host, uint32_t deadline_ms);
struct sim_host *script_other(struct sim *sim, const struct sim_host *not_this, uint32_t i);

#endif
