/* What a host's log says is on its disk, against what its disk was given and is done with: an entry
 * counts as written only when a write of this very entry has completed, not one of another entry
 * that stood at its index before. (append_written() and node_persisted() of raftlog are wrapped.)
 */

#ifndef CHAOS_SIM_WRITTEN_H
#define CHAOS_SIM_WRITTEN_H

void written_begin(void);
void written_end(void);

#endif
