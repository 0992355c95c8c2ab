/* Between the files of the virtual loop. */

#ifndef CHAOS_SIM_VLOOP_IMPL_H
#define CHAOS_SIM_VLOOP_IMPL_H

#include "chaos-tests/sim/vloop.h"

/* Set the wake event to when the loop must turn next. Not in a turn, whose end does it. */
void vloop_plan(struct vloop *l);
/* The loop's idea of now, from its machine's clock. */
void vloop_update_time(struct vloop *l);
/* Fire the timers that are due. */
void vtimers_run(struct vloop *l);

void q_insert_head(void *head[2], void *q[2]);
void q_remove(void *q[2]);

#endif
