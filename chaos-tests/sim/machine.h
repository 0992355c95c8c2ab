/* A simulated machine: its clocks, its boots, its disk. Processes (proc.h) run on it. */

#ifndef CHAOS_SIM_MACHINE_H
#define CHAOS_SIM_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "chaos-tests/sim/world.h"

struct simdisk;

/* A clock that runs at its own rate. */
struct vclock {
    uint64_t at_ns;   /* World time from which the rate holds. */
    uint64_t mono_ns; /* What it showed then. */
    int32_t ppm;      /* Too fast by so much. */
    int64_t wall_ms;  /* Wall clock less monotonic clock. */
};

uint64_t vclock_mono_ns(const struct vclock *c);
uint64_t vclock_wall_ms(const struct vclock *c);
/* World time at which the clock shows at least `mono_ns`. */
uint64_t vclock_when(const struct vclock *c, uint64_t mono_ns);
void vclock_set_rate(struct vclock *c, int32_t ppm);
void vclock_jump_wall(struct vclock *c, int64_t ms);

#define MACHINE_NAME 24

struct machine {
    uint32_t index;
    char name[MACHINE_NAME];
    struct vclock clock;
    uint64_t boots;
    char boot_id[40];
    bool on;
    bool frozen;          /* It stands still as a whole. */
    struct simdisk *disk; /* NULL: none was used yet. */
    uint32_t disk_min_us, disk_max_us;
    uint64_t disk_bytes; /* Its size; 0: without end. */
    uint64_t disks;      /* Fresh ones so far. */
    /* How often calls of the disk fail, and commits and syncs of the store. */
    uint32_t read_error_ppm, write_error_ppm, sync_error_ppm, store_error_ppm;
    bool store_synced; /* Nothing was written to the store (store.h) since its last sync. */
    bool store_lost;   /* A sync of it failed: no later one makes up for that. */
    struct vevent disk_due;
    struct proc *disk_user; /* The process whose loop its completions go to. */
    /* The cost of one turn of a loop, in microseconds. */
    uint32_t turn_min_us, turn_max_us;
};

/* The machine's index is its host number in the network. */
void machine_init(struct machine *m, uint32_t index, const char *name);
void machine_done(struct machine *m);
/* It boots (again): another boot id, the monotonic clock begins anew. */
void machine_boot(struct machine *m);

#endif
