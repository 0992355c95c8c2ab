/* Every host as a place for one guest, and what decided where it is: the answer to "why there?". */

#ifndef CLI_QUORATED_EXPLAIN_H
#define CLI_QUORATED_EXPLAIN_H

#include "cli/api.h"

/* One row a host of the pool, by name, judged as a placement would judge it now, as if the guest
 * were nowhere. Returns how many; ret has LIMIT_HOSTS. */
uint32_t explain_places(struct fsm_view *v, const struct guest *g, struct api_place *ret);

#endif
