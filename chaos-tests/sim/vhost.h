/* A host of the simulated pool: a machine, its directories, and the production daemon on it, kept
 * running by a service manager. */

#ifndef CHAOS_SIM_VHOST_H
#define CHAOS_SIM_VHOST_H

#include <stdbool.h>

#include "chaos-tests/sim/machine.h"
#include "chaos-tests/sim/proc.h"
#include "hvdriver/hvdriver.h"

struct daemon;

struct vhost {
    struct machine m;
    char data_dir[64], run_dir[64], log_dir[64], prefix[64];
    char listen[32];
    struct proc *proc; /* NULL: no daemon runs. */
    struct daemon *daemon;
    bool wanted;          /* The service manager keeps it running. */
    struct vevent manage; /* It starts it again. */
    uint64_t starts, exits, kills, power_cuts;
    uint32_t restart_ms; /* How long the service manager waits. */
    uint64_t snapshot_entries, snapshot_trailing, segment_bytes, cache_bytes;
};

/* Directories are made below the working directory, under the machine's name. */
void vhost_init(struct vhost *h, uint32_t index, const char *name);
void vhost_done(struct vhost *h);

/* The service is (not) to run. Starting is immediate, stopping is graceful. */
void vhost_start(struct vhost *h);
void vhost_stop(struct vhost *h);
/* The same, and it lets go of its protected guests first. */
void vhost_release(struct vhost *h);

/* kill -9 of the daemon; started again after `back_ms` (0: by the service manager's own delay). */
void vhost_kill(struct vhost *h, uint64_t back_ms);
void vhost_pause(struct vhost *h, bool paused);
/* The machine stands still as a whole, and goes on: its clock has gone on. */
void vhost_freeze(struct vhost *h, bool frozen);
/* The power goes: guests, unsynced writes, sockets. And comes back. */
void vhost_power_cut(struct vhost *h);
void vhost_power_on(struct vhost *h);

/* The guest powers off (0), reboots (1), panics (2), or its process is killed (3). */
/* False: no daemon is there that could see it. */
bool vhost_guest(struct vhost *h, const struct hv_key *key, uint32_t what);
/* The next request of this kind to its hypervisor fails (hvdriver/sim.h); 0 takes it back. */
void vhost_fail_next(struct vhost *h, enum hv_op op, int code);

/* --- looking, for the end of a run; only while a daemon runs */

struct vhost_state {
    uint64_t applied;
    uint64_t state_hash;
    uint64_t term;
    uint64_t leader; /* Member number; 0: none known. */
    bool leads;
    bool blank, current, diverged;
    bool voter; /* As this host knows. */
    uint64_t ops_open;
    char op[400]; /* The first of them, in words. */
    uint32_t hosts_up, hosts;
};
bool vhost_look(struct vhost *h, struct vhost_state *ret);
/* How it is with this host, in one line, for people. */
void vhost_text(struct vhost *h, char *to, size_t size);
/* Whether this host's daemon has heard of the start of the other's. */
bool vhost_has_heard(const struct vhost *h, const struct vhost *other);
#endif
