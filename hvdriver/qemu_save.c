/* Saving to a file, and going on from it: an outgoing migration to a file of our making, and an
 * incoming one from it.
 *
 * Save: file made (worker) ─▶ stop ─▶ capabilities, parameters ─▶ migrate ─▶ completed ─▶ file
 * synced and named (worker) ─▶ DEPARTED. What goes wrong before leaves no file, and the guest goes
 * on as of a migration that failed (qemu_migrate.c). Restore: -incoming defer ─▶ capabilities ─▶
 * migrate-incoming ─▶ completed ─▶ ARRIVED. A stream that breaks off ends QEMU, and so the start.
 *
 * QEMU has no files in its migrations before 8.2; it runs `cat` instead, by /bin/sh. What QEMU
 * calls completed may still be in the pipe to it: so the shell says how `cat` ended, in a FIFO of
 * the copy's directory that we hold open, and only then the file is synced and named. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/qemu_copy.h"
#include "hvdriver/save_file.h"

/* So long `cat` may take to write what is left in the pipe, once QEMU is done. */
#define WRITTEN_MS 30000

#define COMMAND_SIZE (8 * (LIMIT_PATH + HV_STAMP_SIZE) + 64)

/* A path as the shell takes it literally. */
static size_t put_path(char to[COMMAND_SIZE], size_t n, const char *path)
{
    to[n++] = '\'';
    for (; *path != '\0' && n + 8 < COMMAND_SIZE; path++) {
        if (*path == '\'') {
            n += (size_t)snprintf(to + n, COMMAND_SIZE - n, "'\\''");
        } else {
            to[n++] = *path;
        }
    }
    n += (size_t)snprintf(to + n, COMMAND_SIZE - n, "'");
    return n;
}

static void fifo_path(const char *dir, char to[LIMIT_PATH + HV_STAMP_SIZE + 16])
{
    (void)snprintf(to, LIMIT_PATH + HV_STAMP_SIZE + 16, "%s/" QEMU_SAVE_FIFO, dir);
}

/* ---- storage, in a worker ---- */

enum what {
    BEGIN,
    COMMIT,
    DISCARD
};

struct work {
    uv_work_t work;
    struct qemu *q;
    struct hv_key key;
    uint64_t serial; /* Of the save: its copy may be at another one by then. */
    enum what what;
    struct save_file file;
    char dir[LIMIT_PATH + HV_STAMP_SIZE]; /* Of the copy. */
    int ended_fd;                         /* BEGIN makes it, COMMIT waits for it. */
    struct err err;
};

static int open_fifo(struct work *w)
{
    char path[LIMIT_PATH + HV_STAMP_SIZE + 16];
    fifo_path(w->dir, path);
    (void)unlink(path);
    if (mkfifo(path, 0600) != 0) {
        return err_sys(&w->err, ERR_IO, errno, "file %s", path);
    }
    /* For both: so neither end ever waits for the other to open it. */
    int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return err_sys(&w->err, ERR_IO, errno, "file %s", path);
    }
    w->ended_fd = fd;
    return 0;
}

static void begin_now(struct work *w)
{
    if (save_file_begin(&w->file, &w->err) == 0 && open_fifo(w) != 0) {
        save_file_discard(&w->file, /*named=*/false);
    }
}

static void commit_now(struct work *w)
{
    char status = '1';
    struct pollfd p = {.fd = w->ended_fd, .events = POLLIN};
    if (poll(&p, 1, WRITTEN_MS) == 1) {
        (void)!read(w->ended_fd, &status, 1);
    }
    (void)close(w->ended_fd);
    if (status == '0') {
        (void)save_file_commit(&w->file, &w->err);
        return;
    }
    save_file_discard(&w->file, /*named=*/false);
    (void)err_set(&w->err, ERR_IO, "saved memory %s could not be written", w->file.path);
}

static void work_run(uv_work_t *work)
{
    struct work *w = CONTAINER_OF(work, struct work, work);
    switch (w->what) {
    case BEGIN: begin_now(w); return;
    case COMMIT: commit_now(w); return;
    case DISCARD: save_file_discard(&w->file, /*named=*/false); return;
    }
}

static void file_begun(struct qemu_copy *c, const struct err *e);

static void work_done(uv_work_t *work, int status)
{
    struct work *w = CONTAINER_OF(work, struct work, work);
    struct qemu *q = w->q;
    struct qemu_copy *c = q->closing ? NULL : qemu_copy_find(q->hv, &w->key);
    bool wanted = c != NULL && c->move.active && c->move.serial == w->serial;
    (void)status; /* Never cancelled. */
    q->live--;
    if (!wanted && w->what != DISCARD && w->err.code == 0) {
        save_file_discard(&w->file, w->what == COMMIT); /* The copy is gone: nobody will use it. */
        if (w->what == BEGIN) {
            (void)close(w->ended_fd);
        }
    } else if (wanted && w->what == BEGIN) {
        c->move.ended_fd = w->ended_fd;
        file_begun(c, &w->err);
    } else if (wanted && w->what == COMMIT) {
        qemu_move_saved(c, &w->err);
    }
    free(w);
    qemu_let_go(q);
}

static void queue(struct qemu_copy *c, enum what what)
{
    struct work *w = mem_new(1, sizeof *w);
    w->q = c->q;
    w->key = c->base.info.key;
    w->serial = c->move.serial;
    w->what = what;
    (void)str_copy(w->dir, sizeof w->dir, c->dir);
    if (what == COMMIT) { /* The copy may end meanwhile, and its descriptor with it. */
        w->ended_fd = fcntl(c->move.ended_fd, F_DUPFD_CLOEXEC, 3);
    }
    save_file_name(&w->file, c->move.path, &w->key);
    c->q->live++;
    int r = uv_queue_work(c->q->hv->loop, &w->work, work_run, work_done);
    assert(r == 0); /* Fails only without a work function. */
}

void qemu_save_commit(struct qemu_copy *c)
{
    queue(c, COMMIT);
}

void qemu_save_discard(struct qemu_copy *c)
{
    queue(c, DISCARD);
}

void qemu_save_over(struct qemu_move *move)
{
    if (move->ended_fd > 0) {
        (void)close(move->ended_fd);
    }
    move->ended_fd = 0;
}

/* ---- save ---- */

static json_t *capability(const char *name, bool on)
{
    return json_pack("{s:s, s:b}", "capability", name, "state", (int)on);
}

static void parameters_set(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    char uri[COMMAND_SIZE];
    char fifo[LIMIT_PATH + HV_STAMP_SIZE + 16];
    struct save_file f;
    (void)value;
    if (qemu_move_refused(c, e)) {
        return;
    }
    save_file_name(&f, c->move.path, &c->base.info.key);
    fifo_path(c->dir, fifo);
    size_t n = (size_t)snprintf(uri, sizeof uri, "exec:cat >");
    n = put_path(uri, n, f.temp);
    n += (size_t)snprintf(uri + n, sizeof uri - n, "; echo $? 1<>");
    (void)put_path(uri, n, fifo);
    qmp_call(c->qmp, "migrate", json_pack("{s:s}", "uri", uri), qemu_move_begun, c);
}

static void capabilities_set(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    (void)value;
    if (!qemu_move_refused(c, e)) {
        qmp_call(c->qmp, "migrate-set-parameters",
                 json_pack("{s:s, s:I}", "tls-creds", "", "max-bandwidth", (json_int_t)1 << 40),
                 parameters_set, c);
    }
}

static void stopped(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    (void)value;
    if (!qemu_move_refused(c, e)) {
        json_t *caps =
            json_pack("[o, o, o]", capability("return-path", /*on=*/false),
                      capability("events", /*on=*/true), capability("auto-converge", /*on=*/false));
        qmp_call(c->qmp, "migrate-set-capabilities", json_pack("{s:o}", "capabilities", caps),
                 capabilities_set, c);
    }
}

static void file_begun(struct qemu_copy *c, const struct err *e)
{
    static const struct err none;
    if (qemu_move_refused(c, e)) {
        return;
    }
    if (c->move.was_running) {
        qmp_call(c->qmp, "stop", NULL, stopped, c);
    } else {
        stopped(c, NULL, &none);
    }
}

void qemu_save_begin(struct qemu_copy *c, struct hv_req *req)
{
    static uint64_t serial; /* One loop has all copies. */
    c->move = (struct qemu_move){.active = true,
                                 .req = req,
                                 .serial = ++serial,
                                 .was_running = c->base.info.state == HV_RUNNING};
    (void)str_copy(c->move.path, sizeof c->move.path, req->path);
    hv_set_state(c->q->hv, &c->base, HV_OUTGOING, NULL);
    queue(c, BEGIN);
}

/* ---- restore ---- */

/* True if the start ended here. */
static bool refused(struct qemu_op *op, const struct err *e)
{
    struct err told;
    if (e->code == 0) {
        return false;
    }
    if (e->code != ERR_CLOSED) { /* Else its death ends this. */
        qemu_error(&told, e, "read the saved memory");
        qemu_start_failed(op, &told);
    }
    return true;
}

static void restore_reads(void *ctx, json_t *value, const struct err *e)
{
    (void)value;
    (void)refused(ctx, e); /* Its end is an event, or QEMU's. */
}

static void restore_capable(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    char uri[COMMAND_SIZE];
    (void)value;
    if (!refused(op, e)) {
        size_t n = (size_t)snprintf(uri, sizeof uri, "exec:exec cat <");
        (void)put_path(uri, n, op->copy->restore);
        qmp_call(op->copy->qmp, "migrate-incoming", json_pack("{s:s}", "uri", uri), restore_reads,
                 op);
    }
}

void qemu_restore_setup(struct qemu_op *op)
{
    /* late-block-activate: it is not yet the owner of the disks, `cont` makes it that. */
    json_t *caps = json_pack("[o, o]", capability("late-block-activate", /*on=*/true),
                             capability("events", /*on=*/true));
    qmp_call(op->copy->qmp, "migrate-set-capabilities", json_pack("{s:o}", "capabilities", caps),
             restore_capable, op);
}

bool qemu_restore_event(struct qemu_copy *c, const char *status)
{
    struct qemu_op *op = c->ops;
    while (op != NULL && op->kind != HV_START) {
        op = op->next;
    }
    if (c->restore[0] == '\0' || c->settled || op == NULL) {
        return false;
    }
    if (strcmp(status, "completed") == 0) {
        qemu_settle(op, HV_ARRIVED);
    }
    return true;
}
