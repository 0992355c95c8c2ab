/* What a view is made of, for this folder. */

#ifndef FSM_VIEW_H
#define FSM_VIEW_H

#include "fsm/rows.h"

struct fsm_view {
    struct kv_txn *t;
    struct sys sys;
};

#endif
