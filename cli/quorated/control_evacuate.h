/* The controller of evacuations: on the master, each tick, for every one that is under way. */

#ifndef CLI_QUORATED_CONTROL_EVACUATE_H
#define CLI_QUORATED_CONTROL_EVACUATE_H

#include "cli/quorated/daemon.h"

/* An evacuation in which nothing has moved, and nothing could, for so long has failed. */
#define EVACUATE_STUCK_MS 20000u

/* All guests are looked through so often while some come back. */
#define EVACUATE_BACK_MS 500u

struct evacuate {
    struct daemon *d;
    uint32_t proposals;      /* Under way: the next look waits for their outcomes. */
    uint64_t op;             /* The one that is stuck. */
    uint64_t stuck_since_ms; /* 0: it is not. */
    uint64_t back_at_ms;     /* Look then again who can go back. */
};

/* Both for evacuations and for returns, the oldest first.
 * As many guests as the operation allows are on their way; the operation ends when the host is
 * empty, or when none of those that are left can go. One host at a time. */
void control_evacuate(struct evacuate *c, struct fsm_view *v, uint64_t now_ms);

#endif
