/* The bytes of a snapshot file: shared by snapstore.c (names, store), snap_write.c and snap_read.c.
 */

#ifndef RAFTLOG_SNAP_IMPL_H
#define RAFTLOG_SNAP_IMPL_H

#include "raftlog/snapstore.h"

#define SNAP_MAGIC   "QRSNAP\r\n"
#define SNAP_MAGIC_2 "QRSNAPND"
#define SNAP_FORMAT  1u

#define SNAP_HEADER  72u /* The configuration follows, then zeros up to 8 bytes. */
#define SNAP_TRAILER 48u

/* Where things are in the header, and in the trailer. */
enum {
    SNAP_AT_FORMAT = 8,
    SNAP_AT_CRC = 12,
    SNAP_AT_POOL = 16,
    SNAP_AT_INDEX = 32,
    SNAP_AT_TERM = 40,
    SNAP_AT_CONF_INDEX = 48,
    SNAP_AT_CONF_LEN = 56,
    SNAP_AT_ZERO = 60
};
enum {
    SNAP_END_MAGIC = 0,
    SNAP_END_STREAM = 8,
    SNAP_END_LO = 16,
    SNAP_END_HI = 24,
    SNAP_END_CRC = 32,
    SNAP_END_ZERO = 36 /* to SNAP_TRAILER */
};

/* The checksum of everything goes on with each piece. */
struct hash128 snap_hash_on(struct hash128 before, const void *data, size_t len);

#define SNAP_OWN_PREFIX "snapnew-"
#define SNAP_IN_PREFIX  "snapin-"

#endif
