/* Recovery of a log whose files were changed.
 *
 * The first byte chooses: a few bytes rot (then every entry, all of which were acknowledged, is
 * there or the log is refused), or a stretch of a segment is replaced by the input (then recovery
 * must only survive it). */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "raftlog/tests/wal_lab.h"
#include "raftlog/wal_format.h"

#define ENTRIES  45u
#define SEGMENTS 4u
#define EDITS    4u /* Fewer bytes than the smallest part of a batch that could stand in a sector. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lab lab;
static struct simdisk_image *image;

static void make_image(void)
{
    struct err e;
    lab_init(&lab, 1);
    int rc = lab_open(&lab, /*create=*/true, &e);
    assert(rc == 0);
    lab_fill(&lab, ENTRIES, 1);
    lab_close(&lab);
    image = simdisk_save(lab.sd);
}

/* Edits of four bytes: segment, offset (two bytes), what to add to the byte there. */
static void rot(const uint8_t *data, size_t size)
{
    for (size_t n = 0; n < EDITS && size >= 4; n++, data += 4, size -= 4) {
        uint64_t len = 0;
        const char *name = lab_segment(1 + data[0] % SEGMENTS);
        const uint8_t *bytes = simdisk_peek(lab.sd, name, &len);
        uint64_t at = ((uint64_t)data[1] | (uint64_t)data[2] << 8) % WAL_SEGMENT_MIN;
        uint8_t byte = (uint8_t)(bytes[at] + data[3]);
        simdisk_poke(lab.sd, name, at, &byte, 1);
    }
}

static void replace(const uint8_t *data, size_t size)
{
    if (size < 4) {
        return;
    }
    uint64_t at = ((uint64_t)data[1] | (uint64_t)data[2] << 8) % WAL_SEGMENT_MIN;
    size_t len = size - 3;
    if (len > WAL_SEGMENT_MIN - at) {
        len = (size_t)(WAL_SEGMENT_MIN - at);
    }
    simdisk_poke(lab.sd, lab_segment(1 + data[0] % SEGMENTS), at, data + 3, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e;
    if (image == NULL) {
        make_image();
    }
    if (size == 0) {
        return 0;
    }
    bool rotten = data[0] % 2 == 0;
    simdisk_restore(lab.sd, image);
    if (rotten) {
        rot(data + 1, size - 1);
    } else {
        replace(data + 1, size - 1);
    }
    lab.lenient = !rotten;
    int rc = lab_open(&lab, /*create=*/false, &e);
    if (rc == 0) {
        assert(!rotten || lab_nothing_lost(&lab));
        lab_crash(&lab, /*power=*/false);
    } else {
        assert(rc == ERR_CORRUPT || rc == ERR_VERSION || rc == ERR_REFUSED);
        assert(strstr(e.msg, "wal-") != NULL);
    }
    return 0;
}
