/* A guest's row as what the driver needs to run it, with paths of this host. */

#ifndef CLI_QUORATED_AGENT_SPEC_H
#define CLI_QUORATED_AGENT_SPEC_H

#include "fsm/fsm.h"
#include "hvdriver/hvdriver.h"

/* "repo:path" to <prefix>/mount/<repository id>/path; an absolute path stays. Refused: a path that
 * is neither, one that leads upwards ("..") or is too long (ERR_INVALID, ERR_TOO_BIG), one in a
 * repository that is unknown or not ready (ERR_NOT_FOUND, ERR_NOT_READY). */
int agent_path(struct fsm_view *v,
               const char *prefix,
               const char *path,
               char ret[LIMIT_PATH + 1],
               struct err *e);

/* One disk, one card. */
int agent_disk(struct fsm_view *v,
               const char *prefix,
               const struct disk *from,
               struct hv_disk *ret,
               struct err *e);
void agent_vif(const struct vif *from, struct hv_vif *ret);

/* The spec of `g`; ret->epoch is left to the caller. */
int agent_spec(struct fsm_view *v,
               const char *prefix,
               const char *host,
               const struct guest *g,
               struct hv_spec *ret,
               struct err *e);

#endif
