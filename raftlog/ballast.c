#include "raftlog/ballast.h"

#include "core/util.h"

#define BALLAST_NAME "ballast"

static int give_back(struct ballast *b)
{
    b->held = false;
    return disk_remove(b->disk, BALLAST_NAME, &b->err);
}

static int take(struct ballast *b)
{
    struct disk_file *f = NULL;
    int rc = disk_open(b->disk, BALLAST_NAME, DISK_CREATE, &f, &b->err);
    if (rc == 0) {
        rc = disk_allocate(f, b->bytes, &b->err);
    }
    if (rc == 0) {
        rc = disk_sync(f, &b->err);
    }
    disk_close(f);
    b->held = rc == 0;
    if (rc == ERR_NO_SPACE) {
        rc = give_back(b); /* Another program was faster; a part of the ballast helps nobody. */
    }
    return rc;
}

/* With the ballast held, `low` begins when less than `bytes` is free besides. */
static int look(struct ballast *b)
{
    uint64_t total = 0;
    int rc = disk_space(b->disk, &b->free_bytes, &total, &b->err);
    if (rc != 0 || b->bytes == 0) {
        return rc;
    }
    if (b->held && b->free_bytes < b->bytes) {
        rc = give_back(b);
    } else if (!b->held && b->free_bytes >= 3 * b->bytes) {
        rc = take(b);
    }
    return rc;
}

int ballast_open(struct ballast *b, struct err *e)
{
    b->err = (struct err){0};
    int rc = give_back(b); /* Of the start before; its size may be another. */
    if (rc == 0) {
        rc = look(b);
    }
    b->low = b->bytes > 0 && !b->held;
    if (rc != 0) {
        *e = b->err;
    }
    return rc;
}

static void poll_work(struct disk_task *task)
{
    struct ballast *b = CONTAINER_OF(task, struct ballast, task);
    b->err = (struct err){0};
    (void)look(b); /* What cannot be seen now is looked at again in a second. */
}

static void poll_done(struct disk_task *task)
{
    struct ballast *b = CONTAINER_OF(task, struct ballast, task);
    b->busy = false;
    bool low = b->bytes > 0 && !b->held;
    if (low != b->low) {
        b->low = low;
        if (b->changed != NULL) {
            b->changed(b->ctx, low);
        }
    }
}

void ballast_poll(struct ballast *b)
{
    if (!b->busy) {
        b->busy = true;
        b->task = (struct disk_task){.work = poll_work, .done = poll_done};
        disk_run(b->disk, &b->task);
    }
}
