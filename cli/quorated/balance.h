/* Evening out how full the hosts are: the fewest moves, one at a time the best one, after which no
 * two hosts differ by more than the threshold. A plan only; who carries it out asks for a migration
 * a move, and the state machine checks each of them again.
 *
 * Counted are the hosts that take guests (up, not in maintenance, not being emptied, can_run), by
 * the share of their memory that is promised. A move goes from the fullest host to the emptiest
 * that may have a guest of it; only running guests without an operation are moved, none that is to
 * be together with others, and none twice. */

#ifndef CLI_QUORATED_BALANCE_H
#define CLI_QUORATED_BALANCE_H

#include "cli/quorated/placement.h"

#define BALANCE_MOVES 64

struct balance_move {
    char guest[LIMIT_NAME + 1];
    char from[LIMIT_NAME + 1];
    char to[LIMIT_NAME + 1];
    uint32_t memory_mib;
};

struct balance_plan {
    struct balance_move moves[BALANCE_MOVES];
    uint32_t n;
    uint32_t before, after; /* Largest difference between two hosts, in percent. */
};

void balance_plan(struct fsm_view *v, uint32_t threshold_percent, struct balance_plan *ret);

#endif
