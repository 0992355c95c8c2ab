/* The command line of a QEMU, from a spec. A pure function: what the host is like comes in. */

#ifndef HVDRIVER_QEMU_ARGS_H
#define HVDRIVER_QEMU_ARGS_H

#include <jansson.h>

#include "hvdriver/hvdriver.h"

/* Descriptors that QEMU inherits: listening sockets, then one tap for every bridged card. */
enum {
    QEMU_FD_QMP = 3, /* Our monitor. */
    QEMU_FD_SPARE,   /* A monitor for operators. */
    QEMU_FD_CONSOLE,
    QEMU_FD_TAPS
};

struct qemu_host {
    const char *emulator;
    const char *host;        /* This host's name, told to the guest. */
    const char *dir;         /* The copy's directory; part of the stamp. */
    const char *console_log; /* File. */
    bool kvm;                /* The processor can virtualise and /dev/kvm works. */
    bool image_locking;
    bool incoming;            /* A target of a migration. */
    bool direct[LIMIT_DISKS]; /* The disk's file system can do O_DIRECT. */
};

/* KiB of memory that QEMU is given for a guest of so many MiB. */
uint64_t qemu_memory_kib(uint32_t memory_mib);

/* The file in the copy's directory that holds the VNC password until QEMU has read it. */
#define QEMU_VNC_SECRET "vnc.secret"

/* Where devices sit on the PCI bus: they may come and go, and a migration's target must have each
 * at the same place. Of a virtio disk by its unit, of a card by its slot from 0. */
uint32_t qemu_disk_addr(uint32_t unit);
uint32_t qemu_vif_addr(uint32_t slot);

/* The block node "disk-<device>" of a disk, for -blockdev and blockdev-add. */
json_t *qemu_block_node(const struct hv_disk *d, bool locking, bool direct);

/* argv, ended by NULL; qemu_args_free() it. Never contains a secret. */
char **qemu_args(const struct hv_spec *spec, const struct qemu_host *host);
void qemu_args_free(char **argv);

#endif
