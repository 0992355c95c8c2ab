/* What a view is made of, for this folder. */

#ifndef FSM_VIEW_H
#define FSM_VIEW_H

#include "fsm/rows.h"

struct fsm;

struct fsm_view {
    struct kv_txn *t;
    struct fsm *looks_at; /* Whose open transaction t is; NULL: it is the view's own. */
    uint64_t index;
    struct hash128 hash;
    struct sys sys;
};

#endif
