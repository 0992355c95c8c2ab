/* quorate-xen: the program that drives Xen for driver xen (hvdriver/drv_xen.c). It calls libxl,
 * whose calls may take seconds before they return, and which ends its process when it is out of
 * memory; that is why it is a process of its own. It serves one daemon over one socket (xen_wire.h)
 * and ends with it; domains go on.
 *
 *     main.c      the socket: requests in, answers and news out
 *     bridge.c    libxl's events and children on the loop; its calls that end later
 *     dom.c       the life of one copy
 *     config.c    a spec as libxl wants it
 *     disk.c      files as block devices
 *     device.c    disks and cards that come and go
 *     store.c     what is kept of a copy in xenstore and in the run directory
 *     adopt.c     what is here when the program starts
 *     move.c, move_send.c, move_receive.c, relay.c   migrations: the protocol, the bytes
 *     move_save.c, copier.c   a domain into a file and out of it
 *
 * One thread. Callbacks of libxl are never run inside a call of libxl, but from the loop. */

#ifndef HVDRIVER_XEN_WORKER_H
#define HVDRIVER_XEN_WORKER_H

#include <libxl.h>
#include <libxl_utils.h>
#include <uv.h>
#include <xenstore.h>

#include "hvdriver/driver.h"
#include "hvdriver/xen_wire.h"

struct dom;
struct move;
struct device_work;

struct worker {
    uv_loop_t loop;
    libxl_ctx *ctx;
    struct xs_handle *xs;
    const char *run_dir;
    const char *log_dir;
    struct dom *doms;
    uv_pipe_t pipe;
    struct xen_reader reader;
    libxl_physinfo phys;
    /* bridge.c */
    struct call *ended; /* Calls to be told of from the loop, in order. */
    struct event *events;
    uv_timer_t soon;
    char complaint[ERR_MSG_SIZE]; /* libxl's first since it was cleared. */
};

/* One copy of a guest. */
struct dom {
    struct worker *w;
    struct dom *next;
    struct hv_spec spec;
    struct hv_info info;
    uint32_t domid; /* 0: there is no domain. */
    libxl_evgen_domain_death *death;
    libxl_domain_config config; /* While it is created. */
    bool has_config;
    int disks[LIMIT_DISKS]; /* Loop devices that libxl has not opened yet. */
    uint32_t n_disks;
    uint32_t calls; /* Of libxl, not ended. */
    bool creating;
    bool destroying;
    bool resetting;
    bool doomed;         /* To be destroyed as soon as it is created. */
    bool gone;           /* Freed with the end of its last call. */
    int restore_fd;      /* Where libxl reads what was saved; -1: it does not. */
    uint64_t destroy_id; /* Of the request that waits for its end; 0: none. */
    enum hv_exit why;    /* Its end, once that is known. */
    char detail[LIMIT_DETAIL + 1];
    struct move *move;
    struct device_work *device; /* That is coming or going; NULL: none is. */
};

/* ---- main.c ---- */

/* The request ends; rc 0 or *e. `address` may be NULL. An id of 0 is nobody's. */
void answer(struct worker *w, uint64_t id, const struct err *e, const char *address);
void answer_ok(struct worker *w, uint64_t id);
void say(struct worker *w, json_t *msg);
void say_copy(struct dom *d, const char *detail);
void say_exit(struct worker *w, const struct hv_key *key, const char *exit, const char *detail);

/* ---- bridge.c ---- */

typedef void (*call_fn)(struct dom *d, uint64_t id, int rc);

/* Everything libxl needs of the loop. */
int bridge_open(struct worker *w, struct err *e);

/* For a call of libxl that begins now: told of `done` from the loop when it has ended. The struct
 * is valid until the call has returned; what it returned is handed to call_begun(), which returns
 * it.
 *
 *     libxl_asyncop_how how = call_begin(d, id, done, &call);
 *     call_begun(call, libxl_domain_pause(ctx, domid, &how));
 */
struct call;
libxl_asyncop_how call_begin(struct dom *d, uint64_t id, call_fn done, struct call **ret);
void call_begun(struct call *c, int rc);

/* What libxl complained of, as an error. */
int complain(struct worker *w, int rc, const char *what, struct err *e);

/* Domains whose end is of interest: dom_ended() is called from the loop. */
void bridge_watch(struct dom *d);
void bridge_unwatch(struct dom *d);

/* ---- dom.c ---- */

struct dom *dom_new(struct worker *w, const struct hv_spec *spec);
struct dom *dom_find(struct worker *w, const struct hv_key *key);
/* Free it, if it is gone and no call is under way. */
void dom_settle(struct dom *d);
void dom_set(struct dom *d, enum hv_state state, const char *detail);
/* It is no more. */
void dom_finish(struct dom *d, enum hv_exit why, const char *detail);
void dom_destroy(struct dom *d, enum hv_exit why, const char *detail);
/* Its config is made, its disks are attached. On failure nothing is left. */
int dom_prepare(struct dom *d, struct err *e);
/* libxl has created it, or has not. */
void dom_prepared_done(struct dom *d);
/* The domain that libxl made is there: what can only be known now. */
void dom_look(struct dom *d);
void dom_request(struct worker *w, enum hv_op op, const json_t *msg);
/* libxl says that domain `domid` has shut down, or is dead. */
void dom_shut_down(struct worker *w, uint32_t domid, libxl_shutdown_reason reason);
/* Whether the guest has suspended itself, as it does at the end of a move. */
bool dom_is_suspended(struct dom *d);
void dom_dead(struct worker *w, uint32_t domid);

/* ---- config.c ---- */

libxl_domain_type config_type(const struct hv_spec *spec);
int config_make(struct dom *d, libxl_domain_config *ret, struct err *e);
/* One device, into an initialised struct. A disk of a file is attached as disk_attach() does. */
int config_disk(struct dom *d, const struct hv_disk *from, libxl_device_disk *to, struct err *e);
void config_nic(const struct hv_spec *s, const struct hv_vif *from, libxl_device_nic *to);

/* ---- disk.c ---- */

/* The block device for a disk: itself, or a loop device, whose descriptor is then kept in d->disks
 * until the backend has opened it; it goes when the last one closes it. */
int disk_attach(struct dom *d,
                const struct hv_disk *disk,
                char *ret_path,
                size_t size,
                struct err *e);
void disks_let_go(struct dom *d);

/* ---- device.c ---- */

/* Requests "attach" and "detach": answered when the guest has the device, or has let go of it. */
void device_attach(struct dom *d, const json_t *msg, uint64_t id);
void device_detach(struct dom *d, const json_t *msg, uint64_t id);

/* ---- store.c ---- */

/* The file of this copy: its spec. */
int store_save(struct dom *d, struct err *e);
int store_load(struct worker *w, const struct hv_key *key, struct hv_spec *ret, struct err *e);
void store_remove(struct worker *w, const struct hv_key *key);
/* Entries quorate/KEY of the domain's folder in xenstore, which it may read and not write. */
int store_write(struct dom *d, const char *key, const char *value);
bool store_read(struct worker *w, uint32_t domid, const char *key, char *to, size_t size);

/* ---- adopt.c ---- */

/* Fill the table; `lost` gets what is no more. Waits for the end of what must not go on. */
int adopt(struct worker *w, json_t *lost, struct err *e);

/* ---- move.c ---- */

int move_receive(struct dom *d, const json_t *msg, uint64_t id, struct err *e);
int move_send(struct dom *d, const json_t *msg, uint64_t id, struct err *e);
/* Into a file, which is a move whose target is it. */
int move_save(struct dom *d, const json_t *msg, uint64_t id, struct err *e);
/* Out of the file of its spec: *ret is for libxl to read. */
int move_feed(struct dom *d, int *ret_fd, struct err *e);
/* End a migration of this copy, in either direction: its parts end one after another. */
void move_cancel(struct dom *d, uint64_t id);
/* The copy is being destroyed. */
void move_drop(struct dom *d);

#endif
