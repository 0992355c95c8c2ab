/* The master's controller of rolling restarts, and a host's own part: it sees in the state that it
 * is its turn (fsm/cmd_restart.c). */

#ifndef CLI_QUORATED_CONTROL_RESTART_H
#define CLI_QUORATED_CONTROL_RESTART_H

#include "cli/quorated/daemon.h"

struct control_restart {
    struct daemon *d;
    bool proposing;
};

/* At most one step. The next host is begun only while every other one is up, the master's own comes
 * last; a host that does not come back holds the operation up until it does or somebody cancels
 * it. */
void control_restart(struct control_restart *c, struct fsm_view *v);

/* On every host: restart this daemon when it is its turn. */
void restart_tick(struct daemon *d);

#endif
