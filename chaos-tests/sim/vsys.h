/* What the operating system answers to simulated processes, beside the loop (vloop.h), the network
 * (vnet.h) and the disk (vdisk.h): descriptors of virtual sockets, clocks, random bytes, log lines.
 *
 * It defines what core/os_clock.c, core/os_net.c and core/os_log.c define, so that those are not
 * linked, and wraps the few calls that core's streams make on descriptors (--wrap). */

#ifndef CHAOS_SIM_VSYS_H
#define CHAOS_SIM_VSYS_H

#include <stdbool.h>
#include <stdint.h>

struct proc;
struct sock;

void vsys_begin(void);
void vsys_end(void);
uint64_t vsys_next_proc(void);

/* A descriptor of the process that runs, for a socket whose reference it takes over. */
int vsys_fd(struct sock *s);
bool vsys_is_virtual(int fd);
struct sock *vsys_sock(int fd);
/* Another descriptor of the same socket. */
int vsys_dup(int fd);
/* 0, or -1 with errno. */
int vsys_close(int fd);

/* Its descriptors are closed, or (silently) forgotten. */
void vsys_process_died(struct proc *p, bool silently);

#endif
