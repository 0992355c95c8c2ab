/* Host leases on the wire (docs/protocols/leases.md): this host asks for its own and tells its
 * guard; as master it grants them to all. The arithmetic is lease.c's, the guard's end warden.c's.
 * Loop thread. */

#ifndef CLI_QUORATED_LEASING_H
#define CLI_QUORATED_LEASING_H

#include "cli/quorated/daemon.h"
#include "cli/quorated/lease.h"
#include "cli/quorated/warden.h"

struct leasing;

struct leasing_options {
    struct daemon *d;
    const char *path;     /* The guard's socket; texts are borrowed. */
    const char *program;  /* quorate-guard. */
    const char *watchdog; /* Its device; NULL or "": none. */
};

struct leasing *leasing_new(const struct leasing_options *options);

/* Ask no more, grant no more. `closed` fires from the loop. */
void leasing_close(struct leasing *l, void (*closed)(void *ctx), void *ctx);

/* After `closed`, and when the log is closed. NULL is accepted; returns NULL. */
struct leasing *leasing_free(struct leasing *l);

void leasing_tick(struct leasing *l, uint64_t now_ms);

/* Ask for no lease any more and begin nothing guarded: this host gives its lease back. */
void leasing_release(struct leasing *l);

/* Notes: a host asks this master; a master grants. */
void leasing_asked(struct leasing *l, uint64_t raft_id, uint64_t number);
void leasing_granted(struct leasing *l, uint64_t number, uint64_t lease_ms, uint64_t index);

/* --- for the agent: may guarded work begin here; must guarded copies not run here */
bool leasing_allows(const struct leasing *l);
bool leasing_is_over(const struct leasing *l);
struct warden *leasing_warden(struct leasing *l);

/* --- for the master's controllers */

/* The pool's settings, as applied here. */
const struct lease_times *leasing_times(const struct leasing *l);
/* Whether this host (by name) holds a lease of this master now. */
bool leasing_holds(const struct leasing *l, const char *host);
/* Whether every lease it may have is over. */
bool leasing_host_is_over(const struct leasing *l, const char *host);
/* Grant it nothing (true) until the outcome of its fence is known (false). False: it must not be
 * fenced now. */
bool leasing_hold(struct leasing *l, const char *host, bool held);

#endif
