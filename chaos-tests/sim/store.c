/* Whether the store was synced since its last write is noted by heap.c, which sees its
 * transactions. Names, and the marker beside the store, are taken to be durable at once. */

#include "chaos-tests/sim/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096

static void scramble(int fd, off_t size, struct rng *rng)
{
    static const uint8_t zero[PAGE];
    if (size > 0 && rng_chance(rng, 100000)) {
        size = (off_t)rng_below(rng, (uint64_t)size);
        (void)!ftruncate(fd, size);
    }
    for (off_t at = 0; at + PAGE <= size; at += PAGE) {
        if (rng_chance(rng, 100000)) {
            (void)!pwrite(fd, zero, PAGE, at);
        }
    }
}

void store_power_cut(struct machine *m, const char *data_dir)
{
    char path[128];
    struct rng rng;
    struct stat st;
    if (m->store_synced) {
        return;
    }
    world_rng(&rng, "store", m->index * 1000u + m->boots);
    (void)snprintf(path, sizeof path, "%s/state/state.mdb", data_dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        if (fstat(fd, &st) == 0) {
            scramble(fd, st.st_size, &rng);
        }
        (void)close(fd);
    }
}
