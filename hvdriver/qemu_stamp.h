/* What a copy leaves in the file system for the next daemon, and how that one finds it.
 *
 * <run_dir>/<uuid>.<epoch>/ holds: stamp (JSON: who it is), qmp, spare, console (sockets), pid
 * (QEMU's), log (what QEMU said), ran (there once a target of a migration was let run), keys/ (a
 * migration's one-time key while it is needed). The process names the path of `pid` in its command
 * line: that, not the number in the file, says whose process it is. */

#ifndef HVDRIVER_QEMU_STAMP_H
#define HVDRIVER_QEMU_STAMP_H

#include "hvdriver/driver.h"

/* In the same directory: how the writing of a saved memory ended. */
#define QEMU_SAVE_FIFO "saved"

/* Longest path of a socket, the final NUL included: what sockaddr_un holds. */
#define QEMU_SOCKET_PATH 108

struct qemu_stamp {
    struct hv_info info; /* state, pid and console path are not in the file. */
    bool incoming;       /* Was started as the target of a migration. */
};

/* Write, atomically. 0 or ERR_*. */
int qemu_stamp_write(const char *dir, const struct qemu_stamp *stamp, struct err *e);
/* Read. 0, ERR_NOT_FOUND, ERR_CORRUPT or ERR_IO. */
int qemu_stamp_read(const char *dir, struct qemu_stamp *ret, struct err *e);
/* Fill in what follows from the directory and the log directory. */
void qemu_stamp_paths(const char *dir, const char *log_dir, struct hv_info *info);

bool qemu_ran(const char *dir);
int qemu_set_ran(const char *dir, bool ran, struct err *e);

/* Remove the directory and all that a copy has in it. */
void qemu_dir_remove(const char *dir);

/* Last lines of QEMU's own log, clean and bounded, without the program's name; "" if none. */
void qemu_log_tail(const char *dir, char *to, size_t size);

/* Every process whose command line carries the stamp of a copy in run_dir: calls `found` with a
 * pidfd that it takes over, and the name of the directory. Reads all of /proc. */
void qemu_find_processes(const char *run_dir,
                         void (*found)(void *ctx, const char *name, int pidfd, int64_t pid),
                         void *ctx);

#endif
