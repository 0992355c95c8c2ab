/* What the files that know LMDB share. Not for others. */

#ifndef FSM_KV_IMPL_H
#define FSM_KV_IMPL_H

#include <lmdb.h>

#include "fsm/kv.h"
#include "fsm/kv_dir.h"

struct kv {
    MDB_env *env;
    MDB_dbi rows[2];
    MDB_dbi meta;
    struct kv_dir dir;
    uint64_t room; /* Bytes of the file that have their place on the disk; 0: not known. */
};

struct kv_txn {
    struct kv *kv;
    MDB_txn *txn;
    MDB_cursor *cursor; /* Opened by the first seek. */
    MDB_cursor *writer; /* Opened by the first put or delete: where it stands, the next one is near
                           as a rule, and LMDB need not come down from the root. */
    MDB_dbi rows;
    struct kv_head head;
    bool write;
    struct err failure;
};

/* kv.c: an error of LMDB's in words; and the head, which says what is current. */
int kv_lmdb_err(struct err *e, int r, const char *what);
MDB_val kv_val(const void *data, size_t len);
int kv_put_head(struct kv *kv, MDB_txn *txn, const struct kv_head *head, unsigned current);

/* kv_room.c: see there. Called when nothing is being written. */
void kv_room_keep(struct kv *kv);

#endif
