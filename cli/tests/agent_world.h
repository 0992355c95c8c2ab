/* Agents, the real state machine and driver sim in one process: three hosts, a log that is a list,
 * and everything between them that may go wrong at random.
 *
 * Proposals take time, are lost, are appended twice, or are appended while their host is told that
 * nobody knows; each host applies at its own pace and is now and then cut off; a daemon that comes
 * back may have lost its store and applies the log from its beginning. At every turn of the loop
 * the truth is taken from the driver: no guest runs twice, or before it may. One world at a time.
 */

#ifndef CLI_TESTS_AGENT_WORLD_H
#define CLI_TESTS_AGENT_WORLD_H

#include <uv.h>

#include "core/buf.h"
#include "core/rng.h"

#include "cli/quorated/agent.h"
#include "hvdriver/sim.h"

#define HOSTS     3u
#define GUESTS    6u
#define COPIES    64u
#define IMAGE     "tiny"
#define EXPIRE_MS 1500u

struct pending {
    struct pending *next;
    struct id request;
    agent_proposed_fn done;
    void *ctx;
};

struct host_sim {
    struct world *w;
    char name[8];
    char dir[200];
    char prefix[240];
    struct fsm *fsm;
    struct hv *hv;
    struct agent *agent;
    bool up;        /* The daemon runs. */
    int closing;    /* Parts of it that are not closed yet. */
    bool power_cut; /* Its guests die with it. */
    uint64_t back_ms;
    uint64_t cut_until_ms;
    uint64_t current_at; /* The agent may act when this index is applied. */
    struct pending *pending;
    struct hv_info frozen[COPIES]; /* What ran when the daemon died. */
    uint32_t n_frozen;
};

struct world {
    uv_loop_t loop;
    uv_timer_t tick;
    struct rng rng;
    char dir[128];
    struct buf *log;
    uint64_t n_log;
    struct host_sim hosts[HOSTS];
    bool faults;
    uint64_t switches;
    uint64_t ran;
    uint64_t saves;
    uint64_t resumes;
    uint64_t crashes;
};

extern struct world w;

uint64_t world_now_ms(void);
/* True in so many of a hundred cases. */
bool world_chance(uint32_t percent);
/* A command of the operator: straight into the log. */
void world_command(uint32_t number, const void *record);
/* The host's daemon dies, with or without its guests, and is back within 200 ms. */
void world_crash(struct host_sim *h, bool power_cut);
/* What is on the host, also while its daemon is down. At most COPIES. */
uint32_t world_copies(struct host_sim *h, struct hv_info *to);
/* Run, and check the truth at every turn. */
void world_run_for(uint64_t ms);
/* Run until nothing happens any more; fails the test if that takes too long. */
void world_settle(void);
/* Three hosts that are up, a root repository with the image IMAGE, and no guests. */
void world_make(uint64_t seed);
void world_end(void);

#endif
