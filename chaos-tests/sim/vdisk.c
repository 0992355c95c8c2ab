/* See vdisk.h. Completions are delivered in the loop's turn, with the input. */

#include "chaos-tests/sim/vdisk.h"

#include <assert.h>
#include <errno.h>
#include <sys/stat.h>

#include "core/util.h"

#include "chaos-tests/sim/proc.h"
#include "chaos-tests/sim/seam.h"
#include "chaos-tests/sim/vloop.h"
#include "raftlog/disk.h"
#include "raftlog/tests/simdisk.h"

static uint64_t now_us(void)
{
    return world.now_ns / NS_PER_US;
}

static void due(struct vevent *ev)
{
    struct machine *m = CONTAINER_OF(ev, struct machine, disk_due);
    if (m->disk_user != NULL) {
        vloop_wake_disk(m->disk_user);
    }
}

void vdisk_arm(struct proc *p)
{
    struct machine *m = p->machine;
    if (m->disk == NULL || m->disk_user != p) {
        return;
    }
    uint64_t next = simdisk_next_us(m->disk);
    if (next == UINT64_MAX) {
        vevent_clear(&m->disk_due);
    } else if (!vevent_is_set(&m->disk_due) || m->disk_due.at_ns != next * NS_PER_US) {
        vevent_set(&m->disk_due, next * NS_PER_US);
    }
}

void vdisk_run(struct proc *p)
{
    if (p->machine->disk_user == p && p->machine->disk != NULL) {
        simdisk_run(p->machine->disk, now_us());
    }
}

static void set_errors(struct machine *m)
{
    struct simdisk_errors errors = {.read_ppm = m->read_error_ppm,
                                    .write_ppm = m->write_error_ppm,
                                    .sync_ppm = m->sync_error_ppm};
    simdisk_set_errors(m->disk, &errors);
}

static void called(void)
{
    seam_call(SEAM_DISK);
}

static void fresh(struct machine *m)
{
    struct rng rng;
    world_rng(&rng, "disk", m->index * 1000u + m->disks++);
    struct simdisk_options o = {.seed = rng_u64(&rng),
                                .min_us = m->disk_min_us,
                                .max_us = m->disk_max_us,
                                .task_us = m->disk_max_us,
                                .capacity_bytes = m->disk_bytes,
                                .call = called};
    if (m->disk != NULL) {
        simdisk_close_files(m->disk);
        simdisk_free(m->disk);
    }
    m->disk = simdisk_new(&o);
    set_errors(m);
    simdisk_run(m->disk, now_us());
    m->disk_due.fire = due;
}

/* --- what disk_os.c defines */

struct closing {
    void (*closed)(void *ctx);
    void *ctx;
};

int disk_os_open(struct disk **ret, struct uv_loop_s *loop, const char *dir, struct err *e)
{
    struct proc *p = proc_now;
    struct machine *m = p->machine;
    assert(vloop_of(loop) == p->loop);
    if (mkdir(dir, 0700) == 0) {
        fresh(m);
    } else if (errno != EEXIST) {
        return err_sys(e, ERR_IO, errno, "make directory %s", dir);
    }
    assert(m->disk != NULL);
    int rc = simdisk_take(m->disk, ret, e);
    if (rc == 0) {
        m->disk_user = p;
        vloop_hold(p, true);
    }
    return rc;
}

static void closed_now(void *ctx)
{
    struct closing *c = ctx;
    struct closing copy = *c;
    world_free(c);
    vloop_hold(proc_now, false);
    copy.closed(copy.ctx);
}

void disk_os_close(struct disk *base, void (*closed)(void *ctx), void *ctx)
{
    struct proc *p = proc_now;
    struct machine *m = p->machine;
    struct closing *c = world_new(1, sizeof *c);
    (void)base;
    *c = (struct closing){.closed = closed, .ctx = ctx};
    simdisk_finish(m->disk);
    simdisk_release(m->disk);
    vevent_clear(&m->disk_due);
    m->disk_user = NULL;
    vloop_later(p, closed_now, c);
}

void disk_os_counts(struct disk *base, uint64_t *ret_syncs, uint64_t *ret_writes)
{
    (void)base;
    *ret_syncs = 0;
    *ret_writes = 0;
}

/* --- death */

void vdisk_process_died(struct proc *p)
{
    struct machine *m = p->machine;
    if (m->disk_user == p) {
        m->disk_user = NULL;
        vevent_clear(&m->disk_due);
        simdisk_crash(m->disk, /*power=*/false);
        simdisk_close_files(m->disk);
    }
}

void vdisk_power_cut(struct machine *m)
{
    if (m->disk != NULL) {
        simdisk_crash(m->disk, /*power=*/true);
    }
}

void vdisk_tune(struct machine *m)
{
    if (m->disk != NULL) {
        simdisk_set_latency(m->disk, m->disk_min_us, m->disk_max_us);
        simdisk_set_capacity(m->disk, m->disk_bytes);
        set_errors(m);
    }
}

uint64_t vdisk_used(const struct machine *m)
{
    return m->disk == NULL ? 0 : simdisk_used(m->disk);
}

void vdisk_done(struct machine *m)
{
    vevent_clear(&m->disk_due);
    if (m->disk != NULL) {
        simdisk_close_files(m->disk);
        simdisk_free(m->disk);
        m->disk = NULL;
    }
}
