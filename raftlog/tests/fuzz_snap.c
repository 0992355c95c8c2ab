/* Bytes from outside that are about snapshots: a file, and the frames of a transfer. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "raftlog/snapsend.h"
#include "raftlog/tests/simdisk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct id pool = {{1, 2, 3}};

/* A file of these bytes: read to its end, or refused. */
static void read_file(const uint8_t *data, size_t size)
{
    static struct snap_meta meta;
    struct err e;
    struct disk *d = NULL;
    struct disk_file *f = NULL;
    struct simdisk *sd = simdisk_new(&(struct simdisk_options){.seed = 1});
    (void)simdisk_take(sd, &d, &e);
    (void)disk_open(d, "snap-x", DISK_CREATE, &f, &e);
    (void)disk_write(f, 0, data, size, &e);
    disk_close(f);
    int rc = snap_verify(d, &pool, "snap-x", &meta, &e);
    assert(rc == 0 || rc == ERR_CORRUPT || rc == ERR_VERSION || rc == ERR_REFUSED);
    simdisk_free(sd);
}

/* A frame is refused, or is the one encoding of what it says; both sides survive it. */
static void read_frame(const uint8_t *data, size_t size)
{
    struct snap_msg m;
    struct buf again = {0};
    struct buf answer = {0};
    bool all = false;
    if (snap_msg_decode(data, size, &m) != 0) {
        return;
    }
    snap_msg_encode(&m, &again);
    assert(again.len == size && memcmp(again.data, data, size) == 0);
    struct snap_offer offer = {.index = m.index, .term = m.term, .file_bytes = 1u << 20};
    struct snaprecv r = {0};
    snaprecv_open(&r, &offer, 0, &answer);
    if (m.kind == SNAP_CHUNK) {
        (void)snaprecv_chunk(&r, &m, &answer, &all);
        assert(r.have <= offer.file_bytes);
    }
    struct snapsend s;
    uint64_t offset = 0;
    size_t len = 0;
    snapsend_init(&s, &offer);
    buf_clear(&answer);
    (void)snapsend_next(&s, &answer, &offset, &len);
    (void)snapsend_on(&s, &m);
    buf_clear(&answer);
    if (snapsend_next(&s, &answer, &offset, &len) == SNAPSEND_READ) {
        assert(offset + len <= offer.file_bytes);
    }
    buf_done(&again);
    buf_done(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] % 2 == 0) {
        read_file(data + 1, size - 1);
    } else if (size > 0) {
        read_frame(data + 1, size - 1);
    }
    return 0;
}
