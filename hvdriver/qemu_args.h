/* The command line of a QEMU, from a spec. A pure function: what the host is like comes in. */

#ifndef HVDRIVER_QEMU_ARGS_H
#define HVDRIVER_QEMU_ARGS_H

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

/* argv, ended by NULL; qemu_args_free() it. Never contains a secret. */
char **qemu_args(const struct hv_spec *spec, const struct qemu_host *host);
void qemu_args_free(char **argv);

#endif
