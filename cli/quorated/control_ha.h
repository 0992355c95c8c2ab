/* The master's controller of high availability (docs/protocols/leases.md): fences hosts whose
 * leases are over, and starts elsewhere what was lost with them. Level-triggered; it may forget
 * everything at any moment. */

#ifndef CLI_QUORATED_CONTROL_HA_H
#define CLI_QUORATED_CONTROL_HA_H

#include "cli/quorated/daemon.h"

struct control_ha;

struct control_ha *control_ha_new(struct daemon *d);
struct control_ha *control_ha_free(struct control_ha *c); /* Returns NULL. */

/* One look; only while this host is master. */
void control_ha_tick(struct control_ha *c, struct fsm_view *v, uint64_t now_ms);

/* This host is not master: forget. */
void control_ha_rest(struct control_ha *c);

#endif
