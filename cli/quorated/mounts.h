/* Repositories on this host: <prefix>/mount/<repository id> for each that is ready, and
 * <prefix>/OVS, which leads to the root. For kind `dir` both are symbolic links.
 *
 * A repository's directory carries a mark with its id (.quorate-repository), so that a directory
 * that merely has the right name on this host (nothing mounted there, or not the same storage) is
 * not taken for it. The mark and the pools below it (running_pool and so on) are made when the
 * repository is initialised, by the first host in order of names that is up; the others wait for
 * it.
 *
 * Level-triggered; all work on storage, which may hang, is done in the thread pool. */

#ifndef CLI_QUORATED_MOUNTS_H
#define CLI_QUORATED_MOUNTS_H

#include <stdbool.h>

#include "fsm/fsm.h"

struct uv_loop_s;
struct mounts;

/* What this host should tell of a repository. */
struct mounts_report {
    char name[LIMIT_NAME + 1];
    bool ready;
    char detail[LIMIT_DETAIL + 1];
};

/* `report` fires from the loop when this host has something new to tell; it answers whether it
 * could be told (else it comes again). `changed` fires after each pass. */
struct mounts *mounts_new(struct uv_loop_s *loop,
                          const char *prefix,
                          const char *host,
                          bool (*report)(void *ctx, const struct mounts_report *r),
                          void (*changed)(void *ctx),
                          void *ctx);

/* Look at the repositories of the state; another pass follows if one is under way. */
void mounts_look(struct mounts *m, struct fsm_view *v);

/* The report of this repository was not taken; tell it again. */
void mounts_tell_again(struct mounts *m, const char *name);

/* Whether the repository was at hand in the last pass. */
bool mounts_ready(const struct mounts *m, const struct id *repo);

/* A pass is under way: mounts_free() must wait for `changed`. */
bool mounts_busy(const struct mounts *m);
struct mounts *mounts_free(struct mounts *m); /* NULL is accepted; returns NULL. */

/* One repository, at once, on this thread; what a pass does. For tests. */
struct mounts_task {
    struct id id;
    char name[LIMIT_NAME + 1];
    char source[LIMIT_PATH + 1];
    bool root;
    bool fresh;   /* No host has had it at hand yet. */
    bool init;    /* This host makes the mark if there is none. */
    bool ready;   /* out */
    bool waiting; /* out: fresh, and another host is to make the mark; not trouble. */
    char detail[LIMIT_DETAIL + 1]; /* out */
};
void mounts_pass_now(const char *prefix, struct mounts_task *tasks, uint32_t n);

#endif
