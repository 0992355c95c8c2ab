/* The store of the state (LMDB, real, on a memory file system) under a power cut. */

#ifndef CHAOS_SIM_STORE_H
#define CHAOS_SIM_STORE_H

#include "chaos-tests/sim/machine.h"

/* LMDB is opened without syncs: what reached the disk since the last explicit one is anybody's
 * guess. So a store that was written to since then loses some of its pages, or its end. */
void store_power_cut(struct machine *m, const char *data_dir);

/* Whether this call of the process that runs, a commit or a sync, meets with an error of the disk.
 */
bool store_fails(void);
/* Its sync came to this end. */
void store_was_synced(bool ok);
/* Its file is gone, and whatever was wrong with it. */
void store_removed(const char *path);

#endif
