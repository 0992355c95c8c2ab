/* One QEMU process: its life from our side.
 *
 *   spawning ─▶ greeting ─▶ (prelaunch) ─▶ settled: RUNNING, PAUSED, INCOMING ... ─▶ dead ─▶ gone
 *
 * The worker thread makes the process; its death is seen by the pidfd, adopted or not; what it does
 * is heard from its monitor. A copy leaves the table only when its process is really gone and its
 * directory is removed. What was asked of it and is under way is an op; an op goes on when its
 * request was given up (deadline), so that a start that was slow still ends in a guest that runs.
 */

#ifndef HVDRIVER_QEMU_COPY_H
#define HVDRIVER_QEMU_COPY_H

#include "hvdriver/driver.h"
#include "hvdriver/qemu_spawn.h"
#include "hvdriver/qmp.h"

struct qemu {
    struct hv *hv;
    char *emulator;
    char version[64];
    bool kvm;
    bool closing;
    uint32_t live; /* Copies and workers whose memory the loop or a thread still holds. */
};

struct qemu_copy;

struct qemu_op {
    struct qemu_op *next;
    struct qemu_copy *copy;
    struct hv_req *req; /* NULL: given up. */
    enum hv_op kind;
    bool was_panicked; /* RESET. */
    /* ATTACH, DETACH: ids of the device and of its back end, and where it sits. */
    bool is_disk;
    bool direct;
    struct hv_disk disk;
    char device[24];
    char back[32];
    char addr[8];
    char model[16];
    char mac[18];
    char key[HV_KEY_SIZE]; /* INCOMING_START. */
    char address[LIMIT_ADDRESS + 1];
};

/* An outgoing migration. */
struct qemu_move {
    bool active;
    bool started;     /* QEMU was told to migrate. */
    bool asked;       /* A query is under way. */
    bool ending;      /* It is over, and what follows is under way. */
    bool cancelled;   /* By us. */
    bool was_running; /* Before it began. */
    bool live;
    uint64_t stopped_ms;   /* When the guest was stopped for the last pass; 0: it runs. */
    struct hv_req *req;    /* MIGRATE; NULL: given up, or begun by an earlier daemon. */
    struct hv_req *cancel; /* MIGRATE_CANCEL that waits for the end. */
    char address[LIMIT_ADDRESS + 1];
    char path[LIMIT_PATH + 1]; /* SAVE: the file; else empty. */
    uint64_t serial;           /* SAVE: its own number. */
    int ended_fd;              /* SAVE: tells how the writing ended; 0: none yet. */
    uint64_t rate_bytes_per_s;
    struct err err; /* Why it ended. */
};

struct qemu_copy {
    struct hv_copy base;
    struct qemu *q;
    char dir[LIMIT_PATH + HV_STAMP_SIZE];
    bool incoming;
    bool ran; /* Was let run here, if incoming. */
    bool start_paused;
    char restore[LIMIT_PATH + 1]; /* The start goes on from this file; or empty. */
    bool vnc;
    bool greeted;
    bool settled;    /* The start is over. */
    char status[32]; /* QEMU's run state as it was last asked. */
    int pidfd;       /* -1: no process yet. */
    bool child;      /* Ours to reap. */
    uv_poll_t death;
    uv_timer_t timer; /* Grace of a destroy; then, the last words. */
    uv_timer_t pulse; /* Progress of a migration. */
    uv_timer_t quiet; /* The end of a reset. */
    uint32_t handles;
    struct qmp *qmp;
    struct qemu_op *ops;
    struct hv_req *destroy;
    bool doomed;
    bool exit_known;
    enum hv_exit exit;
    char trouble[160]; /* Why it will stop, said before it does. */
    struct qemu_move move;
};

struct qemu_copy *qemu_copy_find(struct hv *hv, const struct hv_key *key);

/* START and INCOMING_START; ends the request. */
void qemu_copy_start(struct qemu *q, struct hv_req *req);
/* A process that was found; takes pidfd. The state is a guess until its monitor has answered. */
void qemu_copy_adopt(struct qemu *q,
                     const struct qemu_stamp *stamp,
                     const char *name,
                     int pidfd,
                     int64_t pid);
/* DESTROY. */
void qemu_copy_destroy(struct qemu_copy *c, struct hv_req *req);
/* When closing: frees it and tells, if nothing of it is under way any more. */
void qemu_let_go(struct qemu *q);
/* Let go: the process goes on. Memory is freed from the loop. */
void qemu_copy_forget(struct qemu_copy *c);

/* Begin and end an op. qemu_op_end() with e NULL or code 0 is success. */
struct qemu_op *qemu_op_new(struct qemu_copy *c, struct hv_req *req);
void qemu_op_end(struct qemu_op *op, const struct err *e);

/* The end of a START or INCOMING_START: it is in that state; or it cannot stay, and is ended. */
void qemu_settle(struct qemu_op *op, enum hv_state state);
void qemu_start_failed(struct qemu_op *op, const struct err *e);

/* PAUSE, UNPAUSE, SHUTDOWN, RESET, RESTAMP: qemu_ops.c. */
void qemu_op_begin(struct qemu_copy *c, struct hv_req *req);
void qemu_ops_event(struct qemu_copy *c, const char *name, json_t *data);

/* ATTACH, DETACH: qemu_device.c. The guest has let go of a device, or says that it does not. */
void qemu_device_attach(struct qemu_op *op);
void qemu_device_detach(struct qemu_op *op);
void qemu_device_event(struct qemu_copy *c, bool deleted, const char *device);

/* Migrations: qemu_migrate.c. */
void qemu_incoming_setup(struct qemu_op *op);
void qemu_migrate_begin(struct qemu_copy *c, struct hv_req *req);
void qemu_migrate_cancel(struct qemu_copy *c, struct hv_req *req);
void qemu_migrate_event(struct qemu_copy *c, const char *name, json_t *data);
/* The guest was stopped, or goes on, while it is OUTGOING. */
void qemu_migrate_stands_still(struct qemu_copy *c, bool still);
/* A connection was made and QEMU's state, asked anew, is `state`: go on with the migration that is
 * under way there, or end the one that we believed in. */
void qemu_migrate_adopt(struct qemu_copy *c, enum hv_state state);
/* The process died: ends the requests. */
void qemu_migrate_gone(struct hv *hv, const struct qemu_move *move, const struct err *e);

/* What a save shares with a migration; from its callbacks. True if it is over. */
bool qemu_move_refused(struct qemu_copy *c, const struct err *e);
void qemu_move_begun(void *ctx, json_t *value, const struct err *e);
/* The file has its name, or why it has none. */
void qemu_move_saved(struct qemu_copy *c, const struct err *e);

/* Saving and restoring: qemu_save.c. */
void qemu_save_begin(struct qemu_copy *c, struct hv_req *req);
void qemu_save_commit(struct qemu_copy *c);  /* Ends in qemu_move_saved(). */
void qemu_save_discard(struct qemu_copy *c); /* What was written. */
void qemu_save_over(struct qemu_move *move); /* Its descriptor is needed no more. */
void qemu_restore_setup(struct qemu_op *op);
/* An incoming migration is in this status: true if it is a restore. */
bool qemu_restore_event(struct qemu_copy *c, const char *status);

/* Ask QEMU how it is and set the state accordingly. */
void qemu_copy_sync(struct qemu_copy *c);
/* The state that follows from what QEMU says of its run state and its migration ("" for none). */
enum hv_state qemu_state(const char *status, const char *migration, bool incoming, bool ran);

/* An error from the monitor, for a person and with the right code. */
void qemu_error(struct err *to, const struct err *from, const char *what);

#endif
