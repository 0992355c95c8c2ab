/* Whether the store was synced since its last write is noted by heap.c, which sees its
 * transactions. Names, and the marker beside the store, are taken to be durable at once. */

#include "chaos-tests/sim/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chaos-tests/sim/proc.h"

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
    if (m->store_synced && !m->store_lost) {
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

bool store_fails(void)
{
    return proc_now != NULL && proc_now->machine->store_error_ppm > 0 &&
           rng_chance(&proc_now->chance, proc_now->machine->store_error_ppm);
}

void store_was_synced(bool ok)
{
    if (proc_now != NULL) {
        struct machine *m = proc_now->machine;
        m->store_synced = ok;
        m->store_lost = m->store_lost || !ok;
    }
}

void store_removed(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (proc_now != NULL && slash != NULL && strcmp(slash, "/state.mdb") == 0) {
        proc_now->machine->store_lost = false;
    }
}
