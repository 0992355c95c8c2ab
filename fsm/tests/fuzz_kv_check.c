/* A store's file with any bytes changed: the check reads nothing beyond it, and what it lets pass
 * LMDB can open and walk. The input is pairs of a place (4 bytes) and a value. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"

#include "fsm/tests/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char dir[128];
static char file[160];
static uint8_t *good;
static size_t size;

static void fill(struct fsm *f)
{
    for (uint64_t i = 1; i < 200; i++) {
        CLEANUP(buf_done) struct buf b = {0};
        const struct entry en = {.number = 500 + (uint32_t)i, .request = world_id(i), .wall_ms = i};
        entry_encode(&en, &b);
        (void)world_apply(f, &b);
    }
}

static void begin(void)
{
    (void)str_copy(dir, sizeof dir, world_dir());
    (void)snprintf(file, sizeof file, "%s/state.mdb", dir);
    struct fsm *f = world_open(dir);
    fill(f);
    (void)fsm_close(f);
    struct stat st;
    int fd = open(file, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        abort();
    }
    size = (size_t)st.st_size;
    good = mem_new(size, 1);
    if (pread(fd, good, size, 0) != (ssize_t)size) {
        abort();
    }
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (good == NULL) {
        begin();
    }
    uint8_t *bad = mem_new(size, 1);
    memcpy(bad, good, size);
    for (; len >= 5; data += 5, len -= 5) {
        bad[load_u32(data) % size] = data[4];
    }
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || pwrite(fd, bad, size, 0) != (ssize_t)size) {
        abort();
    }
    (void)close(fd);
    free(bad);
    const struct fsm_options o = {.dir = dir, .boot_id = "boot-1", .map_bytes = 64u << 20};
    struct fsm *f = NULL;
    struct err e = {0};
    bool rebuilt = false;
    if (fsm_open(&f, &o, &rebuilt, &e) != 0) {
        abort();
    }
    if (!rebuilt && fsm_applied(f) < 198) { /* The one before last may be what a meta page says. */
        abort();
    }
    (void)fsm_close(f);
    return 0;
}
