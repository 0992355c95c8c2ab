/* Which guests leave a host, in which order, and where each would go: the plan of an evacuation as
 * it stands now. Nothing is kept between two plans: what is left to do is what the host owns. */

#ifndef CLI_QUORATED_EVACUATION_H
#define CLI_QUORATED_EVACUATION_H

#include "cli/quorated/placement.h"

/* Why a guest is not moved now. */
enum move_no {
    MOVE_CAN,
    MOVE_UNDER_WAY, /* An operation is open on it: looked at again when that has ended. */
    MOVE_STATE,     /* It does not run, or was given other hardware: nothing to be done here. */
    MOVE_NO_PLACE
};

struct move {
    char guest[LIMIT_NAME + 1];
    uint64_t generation;
    uint32_t memory_mib;
    enum move_no no;
    char host[LIMIT_NAME + 1]; /* MOVE_CAN: where to. */
    char reason[256];          /* Else: why not, in words. */
};

struct evacuation_plan {
    struct move *moves; /* The largest guest first, of equals by name: what is hard to place comes
                         * while there is room. */
    uint32_t n;
    uint32_t n_can, n_under_way, n_no_place;
};

/* Plan for all guests that the host owns. */
void evacuation_plan(struct fsm_view *v, const char *host, struct evacuation_plan *ret);

/* Plan for the guests that evacuations moved away from the host: each goes back, if it can. */
void evacuation_plan_back(struct fsm_view *v, const char *host, struct evacuation_plan *ret);
void evacuation_plan_done(struct evacuation_plan *p);

/* 0 when every guest that is not under way can be moved; else ERR_NO_ROOM or ERR_STATE, with the
 * numbers of the first that cannot and how many there are. */
int evacuation_check(const struct evacuation_plan *p, const char *host, struct err *e);

#endif
