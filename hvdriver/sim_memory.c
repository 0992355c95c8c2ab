/* The saved memory of a simulated guest: a file with its counter in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/save_file.h"
#include "hvdriver/sim.h"

static int write_saved(const struct sim_copy *c, struct err *e)
{
    struct save_file f;
    char text[32];
    save_file_name(&f, c->save_path, &c->base.info.key);
    if (save_file_begin(&f, e) != 0) {
        return e->code;
    }
    int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)sim_copy_counter(c));
    int fd = open(f.temp, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, (size_t)n) == n;
    int errnum = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (!ok) {
        save_file_discard(&f, /*named=*/false);
        return err_sys(e, ERR_IO, errnum, "saved memory %s", f.path);
    }
    return save_file_commit(&f, e);
}

static void saved(uv_timer_t *timer)
{
    struct sim_copy *c = timer->data;
    struct err e = {0};
    if (c->migrate == NULL) {
        return; /* Cancelled meanwhile. */
    }
    (void)write_saved(c, &e);
    sim_migrated(c, &e);
}

void sim_memory_save(struct sim_copy *c, struct hv_req *req)
{
    struct err e;
    c->was_running = c->base.info.state == HV_RUNNING;
    if (sim_set(c, HV_PAUSED, &e) != 0) {
        hv_fail(c->hv, req, &e);
        return;
    }
    (void)str_copy(c->save_path, sizeof c->save_path, req->path);
    c->migrate = req;
    hv_set_state(c->hv, &c->base, HV_OUTGOING, NULL);
    uv_timer_start(&c->saving, saved, sim_times(c->hv)->migrate_ms, 0);
}

int sim_memory_read(const char *path, uint64_t *ret_counter, struct err *e)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    int errnum = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    char *end = text;
    *ret_counter = n <= 0 ? 0 : strtoull(text, &end, 10);
    if (n < 0) {
        return err_sys(e, ERR_IO, errnum, "saved memory %s", path);
    }
    return *end == '\n' && end != text ? 0 : err_set(e, ERR_CORRUPT, "saved memory %s", path);
}
