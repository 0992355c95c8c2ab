/* Inside of the folder: what a driver implements, and what hv.c does for every driver (the order of
 * requests, deadlines, the table of copies, events). */

#ifndef HVDRIVER_DRIVER_H
#define HVDRIVER_DRIVER_H

#include <uv.h>

#include "hvdriver/hvdriver.h"

/* One copy of a guest on this host. A driver embeds it first in its own struct. */
struct hv_copy {
    struct hv_info info;
};

struct hv_driver {
    const char *name;

    /* Find what runs here and put it in the table; hv->impl is the driver's. On failure nothing is
     * left behind, handles of the loop included. Tells nothing but by hv_tell_exit_later(). */
    int (*open)(struct hv *hv, struct err *e);

    /* Let go of everything but the guests, later call hv_closed(). No request is under way. */
    void (*close)(struct hv *hv);

    /* Carry out a request; ends with hv_finish(), also from inside. Called from the loop. The input
     * is checked: a spec is sane, its files may still be missing. */
    void (*begin)(struct hv *hv, struct hv_req *req);

    /* Forget a request that was begun: its deadline passed or its copy is being destroyed. It is
     * the caller's again when this returns. */
    void (*abandon)(struct hv *hv, struct hv_req *req);

    void (*host_info)(struct hv *hv, struct hv_host_info *ret);
};

/* Requests of guests whose uuid falls into this bucket, in the order of their submission. */
#define HV_BUCKETS 64

struct hv_late; /* An event to be told from the loop. */

struct hv {
    const struct hv_driver *driver;
    void *impl;
    uv_loop_t *loop;
    char *run_dir; /* Canonical. */
    char *log_dir;
    char *emulator; /* NULL: the driver's default. */
    char host[LIMIT_NAME + 1];
    uint32_t memory_mib;
    bool image_locking;
    hv_event_fn event;
    void *ctx;
    int lock_fd; /* Keeps a second daemon out of run_dir. */

    struct hv_copy **copies; /* In order of uuid and epoch. */
    uint32_t n_copies;
    uint32_t cap_copies;

    struct hv_req *buckets[HV_BUCKETS];
    struct hv_late *late;
    uv_timer_t pump;     /* Due at once when there may be something to begin. */
    uv_timer_t deadline; /* Due at the earliest deadline. */
    uint64_t deadline_ms;
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
    uint32_t open_handles;
};

/* Which keys exist: keys are ordered by uuid, then epoch. */
int hv_key_compare(const struct hv_key *a, const struct hv_key *b);

/* The table of copies. The driver owns the memory. Adding a key that is there is a bug. */
void hv_copy_add(struct hv *hv, struct hv_copy *copy);
void hv_copy_remove(struct hv *hv, struct hv_copy *copy);
struct hv_copy *hv_copy_find(struct hv *hv, const struct hv_key *key);

/* Whether a copy in this state may be asked for this, on any hypervisor. */
bool hv_state_allows(enum hv_op op, enum hv_state state);

/* End a request that was begun; req->err tells how. Fills req->state. The request is gone then. */
void hv_finish(struct hv *hv, struct hv_req *req);
/* The same with the error `e`. */
void hv_fail(struct hv *hv, struct hv_req *req, const struct err *e);

/* Change a copy's state and tell, if it is a change; `detail` may be NULL. From the loop only. */
void hv_set_state(struct hv *hv, struct hv_copy *copy, enum hv_state state, const char *detail);
/* Tell of the end of a copy, from the loop, after it was taken out of the table. */
void hv_tell_exit(struct hv *hv, const struct hv_key *key, enum hv_exit why, const char *detail);
/* The same from open(): told when the loop runs. */
void hv_tell_exit_later(struct hv *hv,
                        const struct hv_key *key,
                        enum hv_exit why,
                        const char *detail);
void hv_tell_progress(struct hv *hv, const struct hv_key *key, const struct hv_progress *p);

/* A one-time key: 256 random bits in hex. */
#define HV_KEY_SIZE 65
void hv_make_key(char out[HV_KEY_SIZE]);

/* The driver has let go of everything. */
void hv_closed(struct hv *hv);

/* "<uuid>.<epoch>", the stamp of a copy in names of files; and back: 0 or ERR_INVALID. */
#define HV_STAMP_SIZE (ID_TEXT_SIZE + 21)
const char *hv_stamp(const struct hv_key *key, char out[HV_STAMP_SIZE]);
int hv_stamp_parse(const char *text, struct hv_key *ret);

#endif
