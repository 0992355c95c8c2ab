/* The directory of a store:
 *
 *   state.mdb       LMDB's file.
 *   state.mdb-lock  LMDB's table of readers.
 *   lock            flock()ed by the process that has the store open.
 *   marker          "open <boot id>" from before the first write on, "clean" after a close that
 *                   synced. A marker of another boot that is not clean means that the machine went
 *                   down with unsynced pages: LMDB has no checksums, so nothing in the file can be
 *                   trusted, and it is deleted. The truth is the log and its snapshots. */

#ifndef FSM_KV_DIR_H
#define FSM_KV_DIR_H

#include <stdbool.h>

#include "core/err.h"

struct kv_dir {
    char *path; /* NULL when not open. */
    char *file; /* Of LMDB. */
    int lock_fd;
};

/* Make the directory if missing, lock it, delete a file that cannot be trusted (*ret_emptied), and
 * set the marker. After a failure kv_dir_close() is still due. ERR_LOCKED, ERR_IO, ERR_NO_SPACE. */
int kv_dir_open(struct kv_dir *d,
                const char *path,
                const char *boot_id,
                bool *ret_emptied,
                struct err *e);

/* Delete LMDB's files. */
int kv_dir_empty(struct kv_dir *d, struct err *e);

/* To be called when everything is synced and LMDB is closed. */
int kv_dir_mark_clean(struct kv_dir *d, struct err *e);

/* Unlock. Idempotent. */
void kv_dir_close(struct kv_dir *d);

#endif
