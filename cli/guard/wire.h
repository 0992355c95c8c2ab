/* What daemon and guard say to each other (docs/protocols/leases.md): one message a packet of a
 * unix socket of type SOCK_SEQPACKET, in this machine's own byte order, for both run on it. */

#ifndef CLI_GUARD_WIRE_H
#define CLI_GUARD_WIRE_H

#include <stdint.h>

#include "core/id.h"

/* Of the format: a guard of another program is not talked to. */
#define GUARD_MAGIC 0x51474402u

/* Most copies on one host. */
#define GUARD_COPIES 1024u

enum guard_kind {
    GUARD_TABLE = 1, /* Guard, first thing: end_ms, margin_ms, n, and the copies behind. */
    GUARD_LEASE,     /* Daemon: the lease ends at end_ms, its guests margin_ms earlier. */
    GUARD_ADD,       /* Daemon: guest, epoch, pid, with the process's pidfd; or domain. */
    GUARD_ADDED,     /* Guard: guest, epoch; code 0, or why not (ERR_STATE: no lease;
                        ERR_UNSUPPORTED: a domain, and no Xen that this guard can talk to). */
    GUARD_DROP,      /* Daemon: guest, epoch are guarded no more. */
    GUARD_DROPPED,   /* Guard: guest, epoch. */
    GUARD_GONE,      /* Guard: guest, epoch: its process or domain has ended. */
    GUARD_KILLED,    /* Guard: the time has come; n were killed. */
    GUARD_STUCK,     /* Guard: the lease is over and n will not die. */
    GUARD_DOG        /* Guard: n 1: a watchdog stands behind it; 0: it does not, code is why
                        (errno). Comes when that is known or changes. */
};

struct guard_copy {
    struct id guest;
    uint64_t epoch;
    uint64_t pid;    /* Of its process; 0 if it has none. */
    uint64_t domain; /* Xen's number of it; 0 if it is none. */
};

struct guard_msg {
    uint32_t magic;
    uint32_t kind;
    struct guard_copy copy;
    uint64_t end_ms; /* CLOCK_BOOTTIME, as struct clock has it. */
    uint32_t margin_ms;
    int32_t code;
    uint32_t n;
    uint32_t reserved; /* 0. */
};

struct guard_table_msg {
    struct guard_msg head;
    struct guard_copy copies[GUARD_COPIES];
};

#endif
