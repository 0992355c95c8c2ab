#include "hvdriver/qemu_copy.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"

/* QEMU has this long to end in good order before it is killed. */
#define QUIT_MS 300u

struct worker {
    uv_work_t work;
    struct qemu *q;
    struct hv_key key;
    struct qemu_spawn spawn;
};

struct qemu_copy *qemu_copy_find(struct hv *hv, const struct hv_key *key)
{
    return (struct qemu_copy *)hv_copy_find(hv, key); /* `base` is the first member. */
}

/* ---- ops ---- */

struct qemu_op *qemu_op_new(struct qemu_copy *c, struct hv_req *req)
{
    struct qemu_op *op = mem_new(1, sizeof *op);
    op->copy = c;
    op->req = req;
    op->kind = req->op;
    op->next = c->ops;
    c->ops = op;
    return op;
}

void qemu_op_end(struct qemu_op *op, const struct err *e)
{
    struct hv *hv = op->copy->q->hv;
    struct qemu_op **at = &op->copy->ops;
    while (*at != op) {
        at = &(*at)->next;
    }
    *at = op->next;
    struct hv_req *req = op->req;
    free(op);
    if (req != NULL) {
        if (e != NULL) {
            req->err = *e;
        }
        hv_finish(hv, req);
    }
}

/* QEMU names the image in brackets, which a long line may have cut off. */
static void explain_lock(struct err *e)
{
    struct err told = *e;
    const char *open = strrchr(told.msg, '[');
    e->code = ERR_LOCKED;
    if (open != NULL) {
        (void)err_set(
            e, ERR_LOCKED,
            "the image %.*s is in use: end the process that has it open (fuser -v shows it, "
            "on the host where it runs)",
            (int)strcspn(open + 1, "]"), open + 1);
    }
}

void qemu_error(struct err *to, const struct err *from, const char *what)
{
    *to = *from;
    if (strstr(from->msg, "Failed to get") != NULL && strstr(from->msg, "lock") != NULL) {
        explain_lock(to);
    }
    if (what != NULL) {
        (void)err_wrap(to, "%s", what);
    }
}

/* ---- the end ---- */

void qemu_let_go(struct qemu *q)
{
    struct hv *hv = q->hv;
    if (q->closing && q->live == 0) {
        free(q->emulator);
        free(q);
        hv_closed(hv);
    }
}

static void handle_closed(uv_handle_t *handle)
{
    struct qemu_copy *c = handle->data;
    struct qemu *q = c->q;
    if (--c->handles > 0) {
        return;
    }
    if (c->pidfd >= 0) {
        (void)close(c->pidfd);
    }
    free(c);
    q->live--;
    qemu_let_go(q);
}

void qemu_copy_forget(struct qemu_copy *c)
{
    while (c->ops != NULL) {
        struct qemu_op *op = c->ops;
        c->ops = op->next;
        free(op);
    }
    qmp_free(c->qmp);
    c->qmp = NULL;
    qemu_save_over(&c->move);
    hv_copy_remove(c->q->hv, &c->base);
    if (c->pidfd >= 0) {
        c->handles++;
        uv_close((uv_handle_t *)&c->death, handle_closed);
    }
    uv_close((uv_handle_t *)&c->timer, handle_closed);
    uv_close((uv_handle_t *)&c->pulse, handle_closed);
    uv_close((uv_handle_t *)&c->quiet, handle_closed);
}

/* Why it ended, for the agent; `detail` for a person. */
static enum hv_exit exit_reason(const struct qemu_copy *c, int status, char *detail, size_t size)
{
    int sig = status >= 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    bool fault =
        sig == SIGSEGV || sig == SIGABRT || sig == SIGBUS || sig == SIGILL || sig == SIGFPE;
    bool unfinished = c->base.info.state == HV_INCOMING || (c->incoming && !c->settled);
    *detail = '\0';
    if (c->doomed) {
        return HV_EXIT_DESTROYED;
    }
    if (sig != 0) {
        (void)snprintf(detail, size, "QEMU died of signal %d (%s): dmesg on this host may say why",
                       sig, sigabbrev_np(sig));
    } else if (!c->exit_known) {
        qemu_log_tail(c->dir, detail, size);
    }
    if (c->exit_known) {
        return c->exit;
    }
    return unfinished ? HV_EXIT_INCOMING : fault ? HV_EXIT_CRASH : HV_EXIT_UNKNOWN;
}

/* Requests of a copy that is no more: `hv` may be closing, then its owner gets them back. */
static void end_requests(struct hv *hv, struct qemu_op *ops, const struct err *e)
{
    while (ops != NULL) {
        struct qemu_op *op = ops;
        ops = op->next;
        struct hv_req *req = op->req;
        free(op);
        if (req != NULL) {
            hv_fail(hv, req, e);
        }
    }
}

static int reap(const struct qemu_copy *c)
{
    int status = -1;
    /* Adopted ones are not our children: how they ended stays unknown. */
    if (c->child && waitpid((pid_t)c->base.info.pid, &status, WNOHANG) <= 0) {
        status = -1;
    }
    return status;
}

static bool starting_asked(const struct qemu_copy *c)
{
    const struct qemu_op *op = c->ops;
    return !c->settled && op != NULL && op->req != NULL &&
           (op->kind == HV_START || op->kind == HV_INCOMING_START);
}

/* The process is gone and everything that it said was heard. */
static void gone(uv_timer_t *timer)
{
    struct qemu_copy *c = timer->data;
    struct hv *hv = c->q->hv;
    struct hv_key key = c->base.info.key;
    struct hv_req *destroy = c->destroy;
    struct err e;
    char detail[LIMIT_DETAIL + 1];
    bool failed_start = starting_asked(c);
    enum hv_exit why = exit_reason(c, reap(c), detail, sizeof detail);
    struct err told;
    (void)err_set(&told, ERR_HYPERVISOR, "%s%s%s",
                  failed_start ? "QEMU did not start" : "the guest is gone",
                  detail[0] == '\0' ? "" : ": ", detail);
    qemu_error(&e, &told, NULL);
    qemu_dir_remove(c->dir);
    struct qemu_op *ops = c->ops;
    c->ops = NULL;
    struct qemu_move move = c->move;
    qemu_copy_forget(c);
    if (!failed_start) {
        hv_tell_exit(hv, &key, why, detail);
    }
    qemu_migrate_gone(hv, &move, &e);
    end_requests(hv, ops, &e);
    if (destroy != NULL) {
        hv_finish(hv, destroy);
    }
}

static void died(uv_poll_t *poll, int status, int events)
{
    struct qemu_copy *c = poll->data;
    (void)status;
    (void)events;
    uv_poll_stop(poll);
    /* Its last words may still be in the monitor's socket: they are read in this turn of the loop.
     */
    uv_timer_start(&c->timer, gone, 1, 0);
}

static void kill_now(struct qemu_copy *c)
{
    /* By the pidfd: a number could by now be somebody else's. */
    (void)syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
}

static void grace_over(uv_timer_t *timer)
{
    kill_now(timer->data);
}

static void end_process(struct qemu_copy *c)
{
    if (c->pidfd < 0) {
        return; /* The worker's end will see that it is doomed. */
    }
    if (c->qmp == NULL || !qmp_is_ready(c->qmp)) {
        kill_now(c);
        return;
    }
    qmp_call(c->qmp, "quit", NULL, NULL, NULL);
    uv_timer_start(&c->timer, grace_over, QUIT_MS, 0);
}

void qemu_copy_destroy(struct qemu_copy *c, struct hv_req *req)
{
    c->destroy = req;
    if (c->doomed && !uv_is_active((uv_handle_t *)&c->timer)) {
        kill_now(c); /* An earlier destroy was given up. */
        return;
    }
    c->doomed = true;
    end_process(c);
}

/* ---- the monitor ---- */

enum hv_state qemu_state(const char *status, const char *migration, bool incoming, bool ran)
{
    static const char *const under_way[] = {"setup",           "active",         "device",
                                            "pre-switchover",  "wait-unplug",    "cancelling",
                                            "postcopy-active", "postcopy-paused"};
    if (strcmp(status, "inmigrate") == 0) {
        return HV_INCOMING;
    }
    if (strcmp(status, "guest-panicked") == 0) {
        return HV_PANICKED;
    }
    bool target = incoming && !ran;
    for (size_t i = 0; i < ARRAY_LEN(under_way); i++) {
        if (strcmp(migration, under_way[i]) == 0) {
            return target ? HV_INCOMING : HV_OUTGOING;
        }
    }
    if (strcmp(status, "running") == 0) {
        return HV_RUNNING;
    }
    bool completed = strcmp(migration, "completed") == 0;
    if (target) {
        return completed ? HV_ARRIVED : HV_INCOMING;
    }
    /* postmigrate without completed: a failed migration of a guest that stood still before. */
    return completed && strcmp(status, "postmigrate") == 0 ? HV_DEPARTED : HV_PAUSED;
}

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static void sync_migration(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    if (e->code != 0) {
        return; /* The next connection asks again. */
    }
    enum hv_state state = qemu_state(c->status, text_of(value, "status"), c->incoming, c->ran);
    if (state == HV_OUTGOING || c->move.active) {
        qemu_migrate_adopt(c, state);
    } else {
        hv_set_state(c->q->hv, &c->base, state, NULL);
    }
}

static void sync_status(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    if (e->code != 0) {
        return;
    }
    (void)str_copy(c->status, sizeof c->status, text_of(value, "status"));
    qmp_call(c->qmp, "query-migrate", NULL, sync_migration, c);
}

void qemu_copy_sync(struct qemu_copy *c)
{
    /* An earlier daemon may have died in the middle of a reset. */
    qmp_call(c->qmp, "set-action", json_pack("{s:s}", "reboot", "shutdown"), NULL, NULL);
    qmp_call(c->qmp, "query-status", NULL, sync_status, c);
}

/* ---- the start ---- */

void qemu_settle(struct qemu_op *op, enum hv_state state)
{
    struct qemu_copy *c = op->copy;
    c->settled = true;
    hv_set_state(c->q->hv, &c->base, state, NULL);
    qemu_op_end(op, NULL);
}

void qemu_start_failed(struct qemu_op *op, const struct err *e)
{
    struct qemu_copy *c = op->copy;
    c->settled = true; /* The request is told; the end of the process is told apart. */
    c->doomed = true;
    end_process(c);
    qemu_op_end(op, e);
}

static void start_continued(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    struct err told;
    (void)value;
    if (e->code == ERR_CLOSED) {
        return; /* It died or hangs: its death, or the deadline, ends this. */
    }
    if (e->code != 0) {
        qemu_error(&told, e, "let the guest run");
        qemu_start_failed(op, &told);
        return;
    }
    qemu_settle(op, HV_RUNNING);
}

static void start_go_on(struct qemu_op *op)
{
    struct qemu_copy *c = op->copy;
    if (c->restore[0] != '\0') {
        qemu_restore_setup(op);
    } else if (c->incoming) {
        qemu_incoming_setup(op);
    } else if (c->start_paused) {
        qemu_settle(op, HV_PAUSED);
    } else {
        qmp_call(c->qmp, "cont", NULL, start_continued, op);
    }
}

static void start_vnc(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    struct qemu_copy *c = op->copy;
    struct qemu_stamp stamp = {.info = c->base.info, .incoming = c->incoming};
    struct err ignored;
    long port = e->code == 0 ? strtol(text_of(value, "service"), NULL, 10) : 0;
    if (port >= 5900) {
        c->base.info.vnc_display = (int32_t)(port - 5900);
        stamp.info.vnc_display = c->base.info.vnc_display;
        (void)qemu_stamp_write(c->dir, &stamp, &ignored); /* Only the display would be forgotten. */
    }
    start_go_on(op);
}

static void start_ready(struct qemu_copy *c)
{
    struct qemu_op *op = c->ops;
    while (op != NULL && op->kind != HV_START && op->kind != HV_INCOMING_START) {
        op = op->next;
    }
    if (op == NULL) {
        return;
    }
    if (c->greeted) {
        /* A second connection: what the first one was about to hear is lost, and a copy that is
         * half prepared is worth nothing. */
        struct err e;
        (void)err_set(&e, ERR_HYPERVISOR, "QEMU's monitor broke off");
        qemu_start_failed(op, &e);
        return;
    }
    c->greeted = true;
    char path[sizeof c->dir + 16];
    (void)snprintf(path, sizeof path, "%s/" QEMU_VNC_SECRET, c->dir);
    bool vnc = c->vnc;
    (void)unlink(path); /* QEMU has read it, if there was one. */
    if (vnc) {
        qmp_call(c->qmp, "query-vnc", NULL, start_vnc, op);
    } else {
        start_go_on(op);
    }
}

static void on_ready(void *ctx)
{
    struct qemu_copy *c = ctx;
    if (c->doomed) {
        qmp_call(c->qmp, "quit", NULL, NULL, NULL);
    } else if (!c->settled) {
        start_ready(c);
    } else {
        qemu_copy_sync(c);
    }
}

static void on_event(void *ctx, const char *name, json_t *data)
{
    struct qemu_copy *c = ctx;
    if (strncmp(name, "MIGRATION", 9) == 0) {
        qemu_migrate_event(c, name, data);
    } else {
        qemu_ops_event(c, name, data);
    }
}

/* From here on there is a process. */
static void watch(struct qemu_copy *c, int pidfd, int64_t pid)
{
    char path[sizeof c->dir + 8];
    struct qmp_owner owner = {.ctx = c, .ready = on_ready, .event = on_event};
    c->pidfd = pidfd;
    c->base.info.pid = pid;
    uv_poll_init(c->q->hv->loop, &c->death, pidfd);
    c->death.data = c;
    uv_poll_start(&c->death, UV_READABLE, died);
    (void)snprintf(path, sizeof path, "%s/qmp", c->dir);
    if (strlen(path) < QEMU_SOCKET_PATH) {
        c->qmp = qmp_new(c->q->hv->loop, path, &owner);
    }
}

static struct qemu_copy *copy_new(struct qemu *q, const struct qemu_stamp *stamp, const char *name)
{
    struct qemu_copy *c = mem_new(1, sizeof *c);
    c->q = q;
    c->base.info = stamp->info;
    c->incoming = stamp->incoming;
    c->pidfd = -1;
    (void)snprintf(c->dir, sizeof c->dir, "%s/%s", q->hv->run_dir, name);
    uv_timer_init(q->hv->loop, &c->timer);
    uv_timer_init(q->hv->loop, &c->pulse);
    uv_timer_init(q->hv->loop, &c->quiet);
    c->timer.data = c;
    c->pulse.data = c;
    c->quiet.data = c;
    c->handles = 3;
    q->live++;
    hv_copy_add(q->hv, &c->base);
    return c;
}

static void spawn_failed(struct qemu_copy *c, const struct err *e)
{
    struct hv *hv = c->q->hv;
    struct hv_key key = c->base.info.key;
    struct hv_req *destroy = c->destroy;
    struct qemu_op *ops = c->ops;
    bool told = starting_asked(c);
    c->ops = NULL;
    qemu_copy_forget(c);
    if (!told) {
        hv_tell_exit(hv, &key, destroy != NULL ? HV_EXIT_DESTROYED : HV_EXIT_UNKNOWN, e->msg);
    }
    end_requests(hv, ops, e);
    if (destroy != NULL) {
        hv_finish(hv, destroy);
    }
}

static void worker_run(uv_work_t *work)
{
    struct worker *w = CONTAINER_OF(work, struct worker, work);
    qemu_spawn_now(&w->spawn);
}

static void worker_done(uv_work_t *work, int status)
{
    struct worker *w = CONTAINER_OF(work, struct worker, work);
    struct qemu *q = w->q;
    struct qemu_spawn *s = &w->spawn;
    (void)status; /* Never cancelled. */
    q->live--;
    if (q->closing) {
        /* Whoever opens the driver next finds the process, paused before its first instruction. */
        if (s->err.code == 0) {
            (void)close(s->pidfd);
        }
        free(w);
        qemu_let_go(q);
        return;
    }
    struct qemu_copy *c = qemu_copy_find(q->hv, &w->key);
    assert(c != NULL); /* It waits for this. */
    if (s->err.code != 0) {
        spawn_failed(c, &s->err);
    } else {
        c->child = true;
        watch(c, s->pidfd, s->pid);
        if (c->doomed) {
            kill_now(c);
        }
    }
    free(w);
}

static void describe(struct qemu *q, const struct hv_req *req, struct worker *w)
{
    const struct hv_spec *spec = req->spec;
    struct qemu_spawn *s = &w->spawn;
    struct hv_info *i = &s->stamp.info;
    char stamp[HV_STAMP_SIZE];
    w->q = q;
    w->key = req->key;
    s->spec = *spec;
    s->host =
        (struct qemu_host){.emulator = q->emulator,
                           .host = q->hv->host,
                           .kvm = q->kvm,
                           .image_locking = q->hv->image_locking,
                           .incoming = req->op == HV_INCOMING_START || spec->restore[0] != '\0'};
    (void)snprintf(s->dir, sizeof s->dir, "%s/%s", q->hv->run_dir, hv_stamp(&req->key, stamp));
    i->key = req->key;
    i->state = HV_STARTING;
    i->memory_mib = spec->memory_mib;
    i->vcpus = spec->vcpus;
    i->started_ms = os_clock()->wall_ms(os_clock());
    i->vnc_display = -1;
    (void)str_copy(i->name, sizeof i->name, spec->name);
    qemu_stamp_paths(s->dir, q->hv->log_dir, i);
    s->stamp.incoming = s->host.incoming;
}

void qemu_copy_start(struct qemu *q, struct hv_req *req)
{
    struct err e;
    char stamp[HV_STAMP_SIZE];
    if (qemu_copy_find(q->hv, &req->key) != NULL) {
        (void)err_set(&e, ERR_EXISTS, "guest %s is here already under run epoch %llu",
                      req->spec->name, (unsigned long long)req->key.epoch);
        hv_fail(q->hv, req, &e);
        return;
    }
    struct worker *w = mem_new(1, sizeof *w);
    describe(q, req, w);
    struct qemu_copy *c = copy_new(q, &w->spawn.stamp, hv_stamp(&req->key, stamp));
    c->start_paused = req->spec->paused;
    c->vnc = req->spec->vnc;
    (void)str_copy(c->restore, sizeof c->restore, req->spec->restore);
    struct qemu_op *op = qemu_op_new(c, req);
    (void)str_copy(op->address, sizeof op->address, req->address);
    q->live++;
    int r = uv_queue_work(q->hv->loop, &w->work, worker_run, worker_done);
    assert(r == 0); /* Fails only without a work function. */
}

void qemu_copy_adopt(struct qemu *q,
                     const struct qemu_stamp *stamp,
                     const char *name,
                     int pidfd,
                     int64_t pid)
{
    struct qemu_copy *c = copy_new(q, stamp, name);
    c->ran = qemu_ran(c->dir);
    c->settled = true;
    watch(c, pidfd, pid);
    if (c->base.info.state == HV_OUTGOING && c->qmp != NULL) {
        qemu_migrate_adopt(c, HV_OUTGOING);
    }
}
