/* What happens in a run, written into a history (chaos-tests/check/history.h) for the checkers.
 * Nothing is written while no history is given. */

#ifndef CHAOS_SIM_RECORD_H
#define CHAOS_SIM_RECORD_H

#include <stdint.h>

#include "core/id.h"

#include "chaos-tests/check/history.h"

/* Record into this one from now on; NULL: no longer. */
void record_into(struct hist *h);
bool record_on(void);

/* A record at this moment; its time is filled in. */
void record(struct rec *r);
hist_t_name record_name(const char *text);

/* Requests of clients are told from the daemons' own by their first bytes. */
void record_mark_request(struct id *request);
/* 0: not a client's. */
uint64_t record_request(const struct id *request);

void record_host(uint32_t host, enum host_power power);

#endif
