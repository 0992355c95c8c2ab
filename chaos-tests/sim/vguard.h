/* The guards of the simulated machines: cli/guard/table.c behind the messages of cli/guard/wire.h,
 * on the machine's clock, without a process. A guard lives on when its daemon dies, stands still
 * with its machine, and kills what it holds in the hypervisors' truth. guard_link.h is defined here
 * in place of the sockets.
 *
 * A guard that is dead or stands still kills nothing: then the daemon ends its copies. Where that
 * is dead or stands still too, nothing of the product does (docs/protocols/leases.md): there a
 * machine is reset by its watchdog when the lease ends (lab.watchdogs). */

#ifndef CHAOS_SIM_VGUARD_H
#define CHAOS_SIM_VGUARD_H

#include "core/id.h"

#include "chaos-tests/sim/vhost.h"

/* Machines have watchdogs. Tests take them away. */
extern bool vguard_watchdogs;

void vguard_begin(void);
void vguard_end(void);

/* The daemon is gone; its guard goes on. */
void vguard_daemon_died(struct vhost *h);
/* So is the guard. */
void vguard_power_cut(struct vhost *h);
/* The machine's clock has another rate, or it goes on after it stood still: then the guard is the
 * first to run. */
void vguard_replan(struct vhost *h);
/* kill -9 of the guard alone. */
void vguard_kill(struct vhost *h);
/* It stands still, and goes on. */
void vguard_pause(struct vhost *h, bool paused);
/* Copies that it holds and that are no more. */
uint32_t vguard_strays(uint32_t host);
/* The guard, or the watchdog in its place, ends this copy when the lease does. */
bool vguard_answers_for(uint32_t host, const struct id *uuid, uint64_t epoch);
/* A copy of this host has ended. */
void vguard_gone(uint32_t host, const struct id *uuid, uint64_t epoch);

#endif
