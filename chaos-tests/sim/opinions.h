/* What each member of the consensus believes and promises, written into the history: who leads,
 * what is on its disk, what is committed, who votes. (drive_step() and drive_submit() of raftlog
 * are wrapped: nothing of a member changes without them.) */

#ifndef CHAOS_SIM_OPINIONS_H
#define CHAOS_SIM_OPINIONS_H

void opinions_begin(void);
void opinions_end(void);

#endif
