/* The guards of the simulated machines: cli/guard/table.c behind the messages of cli/guard/wire.h,
 * on the machine's clock, without a process. A guard lives on when its daemon dies, stands still
 * with its machine, and kills what it holds in the hypervisors' truth. guard_link.h is defined here
 * in place of the sockets. */

#ifndef CHAOS_SIM_VGUARD_H
#define CHAOS_SIM_VGUARD_H

#include "core/id.h"

#include "chaos-tests/sim/vhost.h"

void vguard_begin(void);
void vguard_end(void);

/* The daemon is gone; its guard goes on. */
void vguard_daemon_died(struct vhost *h);
/* So is the guard. */
void vguard_power_cut(struct vhost *h);
/* The machine's clock has another rate, or it goes on after it stood still: then the guard is the
 * first to run. */
void vguard_replan(struct vhost *h);
/* A copy of this host has ended. */
void vguard_gone(uint32_t host, const struct id *uuid, uint64_t epoch);

#endif
