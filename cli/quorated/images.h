/* The disks of guests that are made from an image, in running_pool of a repository.
 *
 *   running_pool/<guest>/.quorate   whose directory it is: uuid, time of creation, first epoch
 *   running_pool/<guest>/.made      every disk was made; a missing one is lost, not still to be
 * made running_pool/<guest>/<file>     cloned from seed_pool/<image>/<file>
 *
 * Copies are sparse, or shared by the file system where it can. A file appears whole or not at all,
 * and never in the place of one that is there: a host that lost the guest while it was cloning
 * finds the new owner's disk and leaves it alone. A directory that was left by an earlier guest of
 * the same name is moved away first. Blocking work goes to the thread pool. */

#ifndef CLI_QUORATED_IMAGES_H
#define CLI_QUORATED_IMAGES_H

#include <stdbool.h>

#include "fsm/fsm.h"

struct uv_loop_s;

/* --- making */

struct images_disk {
    char seed[LIMIT_PATH + 1]; /* seed_pool/<image>/<file>, absolute. */
    char path[LIMIT_PATH + 1]; /* running_pool/<guest>/<file>, absolute. */
};

struct images_order {
    char guest[LIMIT_NAME + 1];
    struct id uuid;
    uint64_t created_ms;
    uint64_t epoch;
    uint32_t n;
    struct images_disk disks[LIMIT_DISKS];
};

struct images_job;

/* Fill in an order with those of the guest's disks that are made from its image; `prefix` as in
 * agent_spec.h. order->n is 0 when there is nothing to make. */
int images_order(struct fsm_view *v,
                 const char *prefix,
                 const struct guest *g,
                 uint64_t epoch,
                 struct images_order *ret,
                 struct err *e);

/* Make what is missing; `done` fires once, from the loop, with err.code 0 or why not. The job is
 * gone after that. */
struct images_job *images_make(struct uv_loop_s *loop,
                               const struct images_order *order,
                               void (*done)(void *ctx, const struct err *err),
                               void *ctx);
/* Hurry it to its end: done fires with ERR_CANCELLED, unless it was too late. */
void images_cancel(struct images_job *job);

/* The same, at once, on this thread. */
int images_make_now(const struct images_order *order, const bool *cancelled, struct err *e);

/* --- removing */

/* Remove the directories of guests that are no more, in running_pool of every ready repository.
 *
 * A directory goes only when its mark names an epoch that had been given out by the time of the
 * view, and the view has no guest of that uuid and creation. The guest existed when it was
 * given its epoch, so it has been deleted since, and for good: that holds in any view, however old,
 * and it does not matter how many hosts do it. Directories without a mark are not ours. */
struct images_sweep;
struct images_sweep *images_sweep(struct uv_loop_s *loop,
                                  struct fsm *f,
                                  const char *prefix,
                                  void (*done)(void *ctx, uint32_t removed),
                                  void *ctx);

/* The same, at once, with a view. Returns how many it removed. */
uint32_t images_sweep_now(struct fsm_view *v, const char *prefix);

#endif
