/* A migration between two programs quorate-xen, over one connection:
 *
 *     source                                         target
 *       |---- "quorate-xen 1 KEY\n" ------------------>|   the one-time key of INCOMING_START
 *       |<--- "ok\n" ----------------------------------|   libxl_domain_create_restore() begins
 *       |==== libxl's stream of the domain ===========>|   libxl_domain_suspend()
 *       |     the guest stands still at the end of it  |
 *       |<--- "done\n" --------------------------------|   complete and paused: ARRIVED
 *     DEPARTED
 *
 * What holds:
 * 1. The source answers 0 only after "done": libxl alone believes a receiver that was killed,
 * because its helper goes on to read. After 0 the guest stands still at the source until it is told
 * to run.
 * 2. Without "done" the source resumes the guest if it was suspended: the target may be complete
 * all the same (its word was lost). It never runs by itself; who aborts must destroy it.
 * 3. The target's domain bears state "incoming" from its first moment until it is complete, then
 *    "arrived". A program that finds the former ends it.
 * 4. Before the source says that it has departed, what it wrote to files is on their disks: the
 * target has a cache of its own. */

#ifndef HVDRIVER_XEN_MOVE_H
#define HVDRIVER_XEN_MOVE_H

#include "hvdriver/save_file.h"
#include "hvdriver/xen/relay.h"
#include "hvdriver/xen/worker.h"

struct move {
    struct dom *d;
    uint64_t id;        /* Of the request; 0: answered. */
    uint64_t cancel_id; /* Of who waits for its end. */
    uint64_t rate;
    char secret[HV_KEY_SIZE];
    uv_tcp_t listener;
    uv_tcp_t tcp;
    uv_pipe_t pipe; /* The other end of libxl_fd. */
    uv_timer_t limit;
    uv_timer_t tick;
    bool has_listener;
    bool has_tcp;
    bool has_pipe;
    bool hanging_up; /* Target: a connection that was not the source's is being closed. */
    bool one_waits;  /* Target: another one behind it. */
    uint32_t handles;
    struct relay *relay;
    int libxl_fd; /* -1: none. */
    bool sending;
    bool saving; /* Into `file`: there is no other end. */
    struct save_file file;
    _Atomic uint64_t copied; /* To the file. */
    bool ending;             /* It failed, and is taken apart as soon as that is possible. */
    bool live;
    bool connected; /* The other end has said ok, or was told so. */
    bool in_libxl;
    bool suspended; /* Source: libxl has written everything. */
    bool peer_done;
    bool over;    /* It is being taken apart. */
    bool dropped; /* Because the copy is being destroyed. */
    struct err why;
    uint64_t told_bytes;
    uint64_t stopped_ms; /* When the source stood still. */
    char line[2048];     /* And the first bytes of a stream: more than `buf`. */
    size_t line_len;
    char buf[1024];
    uv_connect_t connect;
};

#define MOVE_GREETING "quorate-xen 1 "

/* How long the other end may take to greet, and to say that it is complete. */
#define MOVE_GREET_MS 10000u
#define MOVE_DONE_MS  60000u

/* How libxl's stream begins. libxl 4.17 calls what is no function when a stream fails before that,
 * on either end: so it is given none that begins otherwise, and is not interrupted earlier. */
#define MOVE_HEAD 24 /* Its header, and that of the record whose body its helpers handle. */
bool move_is_stream(const char head[MOVE_HEAD]);

struct move *move_new(struct dom *d, bool sending);
int move_address(const char *text, struct sockaddr_storage *ret);
/* The socket for libxl, with the relay between it and the connection. */
int move_bridge(struct move *m, void (*ended)(void *ctx, int rc), struct err *e);
void move_open_tcp(struct move *m);
/* Read lines; the end that m is hears each, without the newline, and NULL at the end. */
void move_read_lines(struct move *m);
void move_sender_hears(struct move *m, const char *line);
void move_receiver_hears(struct move *m, const char *line);
/* Target: the first bytes after the greeting. */
void move_receiver_gets(struct move *m, const char *bytes, size_t n);
/* Say a line; `then` may be NULL. */
void move_say(struct move *m, const char *text, void (*then)(struct move *m));
void move_close_libxl(struct move *m);
/* Close everything. m is freed when all is closed and libxl has let go: then d->move is NULL. */
void move_take_apart(struct move *m);
void move_may_end(struct move *m);
/* Source: libxl has ended sending (call_fn). */
void move_suspended(struct dom *d, uint64_t id, int rc);
/* Source: the other end, or the file, has everything. */
void move_complete(struct move *m);
/* Close the socket behind libxl's. */
void move_close_pipe(struct move *m);
/* Source: it failed; whoever asked is told when the guest runs here again. */
void move_fail(struct move *m, int code, const char *text);

#endif
