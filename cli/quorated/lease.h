/* Host leases: the arithmetic of both ends (docs/protocols/leases.md). Pure; all times are
 * milliseconds of this machine's own monotonic clock (struct clock, mono_ms). */

#ifndef CLI_QUORATED_LEASE_H
#define CLI_QUORATED_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/lease_times.h"
#include "core/limits.h"

/* --- the host that holds a lease */

/* Asks whose answers may still come. */
#define LEASE_ASKS 8u

struct lease_ask {
    uint64_t number; /* 0: none. */
    uint64_t sent_ms;
};

struct lease_holder {
    uint64_t end_ms;   /* The lease ends then; 0: never had one. */
    uint64_t index;    /* Guarded work may begin once this log index is applied here; 0: not yet. */
    uint64_t last_ask; /* Number of the last ask; they are never used twice. */
    uint64_t ask_at_ms;
    struct lease_ask asks[LEASE_ASKS];
};

/* Number the first ask after `first`: chosen at random by each run of the daemon, so that an answer
 * to an earlier run is not taken for one to this. */
void lease_holder_init(struct lease_holder *h, uint64_t first);

/* The number to send now, or 0 when it is not time. */
uint64_t lease_ask(struct lease_holder *h, uint64_t now_ms, uint32_t renew_ms);

/* An answer came. False: it is unknown, too old, or does not make the lease longer. */
bool lease_granted(struct lease_holder *h, uint64_t number, uint32_t lease_ms, uint64_t index);

/* The guard outlived the daemon that told it: the lease is in force until then, but what its master
 * knew is forgotten, so guarded work begins only after the next grant. */
void lease_adopt(struct lease_holder *h, uint64_t end_ms);

/* Whether guarded work may begin now: the lease lasts longer than the margin, and what the master
 * knew when it granted is applied here. */
bool lease_allows(const struct lease_holder *h,
                  const struct lease_times *t,
                  uint64_t now_ms,
                  uint64_t applied);

/* --- the master that grants them */

struct lease_host {
    char name[LIMIT_NAME + 1]; /* A host is known by name: its member number changes when it loses
                                  its data, its guard does not. Empty: a free place. */
    uint64_t raft_id;          /* Where the last ask came from. */
    uint64_t asked;            /* Its ask that waits for the next proof; 0: none. */
    uint64_t proving;          /* Its ask that waits for the proof under way. */
    uint64_t granted_ms;       /* The last grant was sent then; 0: none in this term. */
    uint64_t heard_ms;         /* The last ask came then. */
    bool held;                 /* A fence of it is being proposed: it is granted nothing. */
};

struct lease_master {
    uint64_t term;     /* In which this host is master; 0: it is not. */
    uint64_t since_ms; /* Its first commit in this term was seen then. */
    bool proving;
    struct lease_host hosts[LIMIT_HOSTS];
};

/* As of now this host is master in `term` (its first commit in that term is applied), or not (0). A
 * change forgets everything. */
void lease_lead(struct lease_master *m, uint64_t term, uint64_t now_ms);

/* A host asks. Ignored when this host is not master, or has no place for one host more. */
void lease_asked(struct lease_master *m,
                 const char *host,
                 uint64_t raft_id,
                 uint64_t number,
                 uint64_t now_ms);

/* Whether a round of proof must begin now; those who asked until now wait for it then. */
bool lease_prove(struct lease_master *m);

/* The round that began in `term` ended. `ok`: a majority followed this host as its master in that
 * term after the round began. Fills in whom to grant to (member number and the number of the ask);
 * at most LIMIT_HOSTS. Returns how many. */
struct lease_grant {
    uint64_t raft_id;
    uint64_t number;
};
uint32_t lease_proved(struct lease_master *m,
                      uint64_t term,
                      bool ok,
                      uint64_t now_ms,
                      struct lease_grant *ret);

/* Whether this host (by name) was granted one in this term that may still be in force. */
bool lease_is_granted(const struct lease_master *m,
                      const char *host,
                      const struct lease_times *t,
                      uint64_t now_ms);

/* Whether every lease this host (by name) may have is over. Never without being master. */
bool lease_is_over(const struct lease_master *m,
                   const char *host,
                   const struct lease_times *t,
                   uint64_t now_ms);

/* A fence of this host is being proposed (true), or its outcome is known (false). False is
 * returned when there is no place to remember it: then it must not be proposed. */
bool lease_hold(struct lease_master *m, const char *host, bool held, uint64_t now_ms);

#endif
