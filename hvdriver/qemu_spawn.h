/* Bringing a QEMU process into the world. Blocks (storage, process creation): runs in a worker
 * thread, on copies of everything it needs. */

#ifndef HVDRIVER_QEMU_SPAWN_H
#define HVDRIVER_QEMU_SPAWN_H

#include "hvdriver/qemu_args.h"
#include "hvdriver/qemu_stamp.h"

struct qemu_spawn {
    /* in */
    struct hv_spec spec;
    struct qemu_host host;
    struct qemu_stamp stamp;
    char dir[LIMIT_PATH + HV_STAMP_SIZE];
    /* out */
    struct err err;
    int pidfd;
    int64_t pid;
};

/* Check files, make the directory, sockets and taps, start the process. It is in a session of its
 * own and has no descriptor of ours. On failure nothing is left. */
void qemu_spawn_now(struct qemu_spawn *s);

#endif
