/* Three hosts in one process, on loopback, with real sockets. Conditions are waited for by running
 * the loop; no test sleeps to make something true. */

#ifndef RAFTLOG_TESTS_PEERS_RIG_H
#define RAFTLOG_TESTS_PEERS_RIG_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/rpc.h"

#include "raftlog/peers.h"

#define HOSTS    3
#define PATIENCE 5000

struct host {
    struct peers *peers;
    struct rpc_server *server;
    struct peers_self self;
    uint64_t id;
    int closed;
    int refuse;     /* on_hello answers this. */
    uint64_t hold;  /* on_frame puts bulk on hold. */
    uint64_t nonce; /* Of the last hello from each. */
    uint32_t hellos;
    uint32_t ups[HOSTS + 1];
    uint32_t downs[HOSTS + 1];
    uint32_t lost[HOSTS + 1][4]; /* By end; control only. */
    uint32_t rooms;
    uint64_t got[HOSTS + 1][PEERS_CHANNELS];   /* Frames. */
    uint64_t last[HOSTS + 1];                  /* Last number on control. */
    uint64_t bytes[HOSTS + 1][PEERS_CHANNELS]; /* Of them. */
    bool out_of_order;
    uint64_t delay_ns; /* Worst of control frames that carry a time. */
    uint64_t lost_at_ns;
    struct peers_answer answer; /* The last one. */
};

extern uv_loop_t loop;
extern struct host hosts[HOSTS + 1];
extern struct id pool_a;
extern uint32_t rig_silence_ms; /* Of the hosts made from now on; 0: the default. */

uint64_t now_ns(void);

/* Run the loop until `cond`; abort after PATIENCE. */
#define WAIT_FOR(cond)                                         \
    do {                                                       \
        uint64_t until_ns_ = now_ns() + PATIENCE * 1000000ull; \
        while (!(cond)) {                                      \
            assert(now_ns() < until_ns_);                      \
            (void)uv_run(&loop, UV_RUN_ONCE);                  \
        }                                                      \
    } while (0)

void run_for_ms(uint64_t ms);

/* Three hosts that are all connected; and everything closed, nothing left on the loop. */
int hosts_up(void **state);
int hosts_down(void **state);

void host_peers(struct host *h);
void host_listen(struct host *h, uint16_t port);
void host_stop(struct host *h);
/* Dial the others that run. */
void host_aim(struct host *h, bool adopt);
bool all_up(void);
void count_closed(void *counter);

/* A control frame with the next number and the time. */
bool send_number(struct host *from, uint64_t to);

#endif
