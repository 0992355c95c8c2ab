/* Driver qemu: real guests, one QEMU process each, which outlives the daemon. See README.md. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"

#include "hvdriver/qemu_copy.h"
#include "hvdriver/qemu_probe.h"

/* All guests together have this long to answer when the driver is opened. */
#define ADOPT_MS 2000u

/* Room that the name of a copy and of its longest socket take in the path of a socket. */
#define SOCKET_TAIL (ID_TEXT_SIZE + 8 + sizeof "/console")

static struct qemu *impl(struct hv *hv)
{
    return hv->impl;
}

/* ---- requests ---- */

static void begin_on_copy(struct qemu_copy *c, struct hv_req *req)
{
    struct hv *hv = c->q->hv;
    struct err e;
    if (req->op == HV_DESTROY) {
        qemu_copy_destroy(c, req);
    } else if (req->op == HV_MIGRATE_CANCEL) {
        qemu_migrate_cancel(c, req);
    } else if (!hv_state_allows(req->op, c->base.info.state)) {
        (void)err_set(&e, ERR_STATE, "guest %s is %s", c->base.info.name,
                      hv_state_name(c->base.info.state));
        hv_fail(hv, req, &e);
    } else if (c->qmp == NULL) {
        (void)err_set(&e, ERR_HYPERVISOR, "the monitor of guest %s is out of reach",
                      c->base.info.name);
        hv_fail(hv, req, &e);
    } else if (req->op == HV_SAVE) {
        qemu_save_begin(c, req);
    } else if (req->op == HV_MIGRATE) {
        qemu_migrate_begin(c, req);
    } else {
        qemu_op_begin(c, req);
    }
}

static void qemu_begin(struct hv *hv, struct hv_req *req)
{
    if (req->op == HV_START || req->op == HV_INCOMING_START) {
        qemu_copy_start(impl(hv), req);
        return;
    }
    struct qemu_copy *c = qemu_copy_find(hv, &req->key);
    if (c != NULL) {
        begin_on_copy(c, req);
        return;
    }
    if (req->op != HV_DESTROY && req->op != HV_MIGRATE_CANCEL) {
        char stamp[HV_STAMP_SIZE];
        (void)err_set(&req->err, ERR_NOT_FOUND, "no copy %s on this host",
                      hv_stamp(&req->key, stamp));
    }
    hv_finish(hv, req);
}

static void qemu_abandon(struct hv *hv, struct hv_req *req)
{
    /* A restamp in between may have changed the key, so look at all of them. */
    for (uint32_t i = 0; i < hv->n_copies; i++) {
        struct qemu_copy *c = (struct qemu_copy *)hv->copies[i];
        for (struct qemu_op *op = c->ops; op != NULL; op = op->next) {
            if (op->req == req) {
                op->req = NULL;
            }
        }
        if (c->destroy == req) {
            c->destroy = NULL;
        }
        if (c->move.cancel == req) {
            c->move.cancel = NULL;
        }
        if (c->move.req == req) {
            c->move.req = NULL;
            qemu_migrate_cancel(c, NULL);
        }
    }
}

/* ---- opening: what is here already ---- */

struct adoption {
    struct qemu *q;
    uint64_t deadline_ms;
};

/* Its directory cannot be read: take what its name says, so that it can at least be destroyed. */
static int stamp_of(const char *dir, const char *name, struct qemu_stamp *ret)
{
    struct err e;
    struct hv_key key;
    if (qemu_stamp_read(dir, ret, &e) == 0) {
        return 0;
    }
    if (hv_stamp_parse(name, &key) != 0) {
        return ERR_INVALID;
    }
    *ret = (struct qemu_stamp){.info = {.key = key, .name = "unknown", .vnc_display = -1}};
    return 0;
}

static void adopt(void *ctx, const char *name, int pidfd, int64_t pid)
{
    struct adoption *a = ctx;
    struct hv *hv = a->q->hv;
    struct qemu_stamp stamp;
    struct err e;
    char dir[LIMIT_PATH + HV_STAMP_SIZE];
    char path[LIMIT_PATH + HV_STAMP_SIZE + 8];
    char status[32];
    char migration[32];
    (void)snprintf(dir, sizeof dir, "%s/%s", hv->run_dir, name);
    (void)snprintf(path, sizeof path, "%s/qmp", dir);
    if (stamp_of(dir, name, &stamp) != 0 || hv_copy_find(hv, &stamp.info.key) != NULL) {
        (void)close(pidfd);
        return;
    }
    qemu_stamp_paths(dir, hv->log_dir, &stamp.info);
    /* Without an answer assume the worst: it runs. Its monitor is asked again, later and for ever.
     */
    stamp.info.state = HV_RUNNING;
    if (qemu_probe(path, a->deadline_ms, status, migration, &e) == 0) {
        stamp.info.state = qemu_state(status, migration, stamp.incoming, qemu_ran(dir));
    }
    qemu_copy_adopt(a->q, &stamp, name, pidfd, pid);
}

/* Directories whose process is no more. */
static void clean_up(struct qemu *q)
{
    struct hv *hv = q->hv;
    DIR *d = opendir(hv->run_dir);
    struct dirent *entry;
    while (d != NULL && (entry = readdir(d)) != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        struct qemu_stamp stamp;
        struct hv_key key;
        char dir[LIMIT_PATH + HV_STAMP_SIZE];
        if (hv_stamp_parse(entry->d_name, &key) != 0) {
            continue;
        }
        (void)snprintf(dir, sizeof dir, "%s/%.*s", hv->run_dir, HV_STAMP_SIZE, entry->d_name);
        if (stamp_of(dir, entry->d_name, &stamp) != 0 ||
            hv_copy_find(hv, &stamp.info.key) != NULL) {
            continue;
        }
        char detail[LIMIT_DETAIL + 1];
        qemu_log_tail(dir, detail, sizeof detail);
        qemu_dir_remove(dir);
        hv_tell_exit_later(hv, &stamp.info.key, HV_EXIT_UNKNOWN, detail);
    }
    if (d != NULL) {
        (void)closedir(d);
    }
}

static int qemu_open(struct hv *hv, struct err *e)
{
    const char *emulator = hv->emulator == NULL ? "qemu-system-x86_64" : hv->emulator;
    struct qemu *q = mem_new(1, sizeof *q);
    q->hv = hv;
    if (strlen(hv->run_dir) + SOCKET_TAIL > QEMU_SOCKET_PATH) {
        (void)err_set(e, ERR_TOO_BIG,
                      "the run directory %s is too long for the sockets in it: at most %zu bytes",
                      hv->run_dir, QEMU_SOCKET_PATH - SOCKET_TAIL);
    } else {
        e->code = qemu_probe_version(emulator, q->version, e);
    }
    if (e->code != 0) {
        free(q);
        return e->code;
    }
    q->emulator = mem_strdup(emulator);
    q->kvm = qemu_probe_kvm();
    hv->impl = q;
    struct adoption a = {.q = q, .deadline_ms = os_clock()->mono_ms(os_clock()) + ADOPT_MS};
    qemu_find_processes(hv->run_dir, adopt, &a);
    clean_up(q);
    return 0;
}

/* Memory of the driver outlives its copies and workers: the last of them tells. */
static void qemu_close(struct hv *hv)
{
    struct qemu *q = impl(hv);
    q->closing = true;
    while (hv->n_copies > 0) {
        qemu_copy_forget((struct qemu_copy *)hv->copies[hv->n_copies - 1]);
    }
    qemu_let_go(q);
}

static void qemu_host_info(struct hv *hv, struct hv_host_info *ret)
{
    const struct qemu *q = impl(hv);
    (void)snprintf(ret->version, sizeof ret->version, "%.40s (%s)", q->version,
                   q->kvm ? "kvm" : "tcg");
    ret->can_migrate = true;
    ret->can_pause = true;
    ret->survives_daemon = true;
}

const struct hv_driver driver_qemu = {.name = "qemu",
                                      .open = qemu_open,
                                      .close = qemu_close,
                                      .begin = qemu_begin,
                                      .abandon = qemu_abandon,
                                      .host_info = qemu_host_info};
