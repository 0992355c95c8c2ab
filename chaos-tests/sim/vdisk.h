/* The disk below the log, of a simulated machine: raftlog's seam (disk.h) onto the byte images of
 * raftlog/tests/simdisk.h, with completions through the virtual loop. It defines what
 * raftlog/disk_os.c defines.
 *
 * The real directory stands for the disk: where it is gone (renamed by the daemon because what is
 * in it cannot be trusted) the next open finds a fresh disk. */

#ifndef CHAOS_SIM_VDISK_H
#define CHAOS_SIM_VDISK_H

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct proc;

/* At the end of a turn: when will the disk have something to say? */
void vdisk_arm(struct proc *p);
/* In the turn, where input is delivered. */
void vdisk_run(struct proc *p);
void vdisk_process_died(struct proc *p);
/* The power is cut: what was not synced may be lost. Its process is dead. */
void vdisk_power_cut(struct machine *m);
/* How slow, how big, how broken. */
void vdisk_tune(struct machine *m);
/* Bytes of the files on it. */
uint64_t vdisk_used(const struct machine *m);
void vdisk_done(struct machine *m);

#endif
