/* Inside the simulated disk: simdisk.c (the seam's calls, time) and simdisk_life.c (death, damage).
 */

#ifndef RAFTLOG_TESTS_SIMDISK_IMPL_H
#define RAFTLOG_TESTS_SIMDISK_IMPL_H

#include "raftlog/tests/simdisk.h"

#define FILES 256

struct inode {
    uint8_t *now; /* The page cache. */
    uint8_t *disk;
    uint64_t now_size, disk_size;
    uint64_t cap;
    uint64_t dirty_from, dirty_to;
    bool lost; /* A sync failed: the copies may differ where nothing is dirty. */
    uint32_t refs;
};

struct name {
    char name[DISK_NAME_SIZE];
    struct inode *inode; /* NULL: free. */
};

struct sim_file {
    struct disk_file base;
    struct simdisk *sd;
    struct inode *inode;
    struct sim_file *next, **prev; /* In the disk's list of open files. */
    char name[DISK_NAME_SIZE];
};

/* A change of the directory that is not durable yet: `name` becomes `inode` (NULL: goes away). */
struct change {
    char name[DISK_NAME_SIZE];
    struct inode *inode;
    bool more; /* Durable only together with the next one (a rename). */
};

struct simdisk {
    struct disk base;
    struct simdisk_options o;
    struct rng rng;
    uint64_t now_us;
    struct name now[FILES];
    struct name disk[FILES];
    struct change *changes;
    uint32_t changes_n;
    struct sim_file *open;
    bool taken;
    bool dead;
    bool full;
    bool broken;
    uint64_t calls;
    uint64_t fault_at; /* 0: none. */
    enum simdisk_fault fault;
    struct simdisk_errors errors;

    struct disk_write *write_first, *write_last;
    struct disk_write *group; /* Being synced; all for one file. */
    int group_code;
    uint64_t group_done_us;
    struct disk_task *task_first, *task_last;
    uint64_t task_done_us;
};

struct simdisk_image {
    struct {
        char name[DISK_NAME_SIZE];
        uint8_t *data;
        uint64_t size;
    } files[FILES];
};

struct name *sd_find(struct name *names, const char *name);
void sd_set_name(struct name *names, const char *name, struct inode *inode);
void sd_settle_changes(struct simdisk *sd, uint32_t n);
void sd_write_back_some(struct simdisk *sd, struct inode *i, uint64_t chance);
void sd_inode_room(struct inode *i, uint64_t size);
void sd_inode_unref(struct inode *i);

#endif
