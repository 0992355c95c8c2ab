/* Named situations that are worth being in: MARK(name) counts one, when somebody counts.
 *
 * The rows of core/marks.def are the promise that the failure lab really tries what the code is
 * careful about; one that no run comes by is a failure of the suite (docs/chaos.md). In the
 * programs nobody counts: a mark is one load and one branch that is never taken. */

#ifndef CORE_MARK_H
#define CORE_MARK_H

#include <stddef.h>
#include <stdint.h>

// NOLINTBEGIN(readability-identifier-naming): names of a table, as they are asked for
enum mark {
#define K(name, how_often, text) MARK_##name,
#include "core/marks.def"
#undef K
    MARKS
};
// NOLINTEND(readability-identifier-naming)

/* MARKS counters; NULL: nobody counts. Set while one thread runs, and left alone after. */
extern uint64_t *mark_counts;

#define MARK(name) MARK_IF(name, 1)
/* `when` is looked at only when somebody counts: it must change nothing. */
#define MARK_IF(name, when) ((void)(mark_counts != NULL && (when) && ++mark_counts[MARK_##name]))

#endif
