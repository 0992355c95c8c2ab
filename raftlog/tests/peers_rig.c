#include "raftlog/tests/peers_rig.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/util.h"

uv_loop_t loop;
struct host hosts[HOSTS + 1];
struct id pool_a;
uint32_t rig_silence_ms;

uint64_t now_ns(void)
{
    return os_clock()->mono_ns(os_clock());
}

static void on_turn(uv_timer_t *t)
{
    (void)t;
}

void run_for_ms(uint64_t ms)
{
    uint64_t until_ns = now_ns() + ms * 1000000u;
    while (now_ns() < until_ns) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
}

/* --- a host */

static int on_hello(void *ctx, const struct peers_hello *h, char *text)
{
    struct host *me = ctx;
    me->hellos++;
    me->nonce = h->nonce;
    if (me->self.raft_id == 0) {
        if (!h->adopt) {
            (void)str_copy(text, LIMIT_DETAIL + 1, "this host is blank");
            return ERR_NO_POOL;
        }
        me->self.raft_id = h->to_raft_id;
        me->self.pool = h->from.pool;
        peers_set_self(me->peers, &me->self);
        return 0;
    }
    if (!id_equal(&h->from.pool, &me->self.pool)) {
        (void)str_copy(text, LIMIT_DETAIL + 1, "this host belongs to another pool");
        return ERR_REFUSED;
    }
    return me->refuse;
}

static void
on_frame(void *ctx, uint64_t from, enum peers_channel channel, const void *d, size_t len)
{
    struct host *me = ctx;
    me->got[from][channel]++;
    me->bytes[from][channel] += len;
    if (channel == PEERS_CONTROL && len == 16) { /* A number, and when it was sent. */
        uint64_t number = load_u64(d);
        me->out_of_order = me->out_of_order || number <= me->last[from];
        me->last[from] = number;
        me->delay_ns = max_u64(me->delay_ns, now_ns() - load_u64((const uint8_t *)d + 8));
    }
    if (channel == PEERS_BULK && me->hold > 0) {
        peers_hold(me->peers, from, channel, true);
    }
}

static void on_lost(void *ctx, uint64_t from, enum peers_channel channel, enum peers_end end)
{
    struct host *me = ctx;
    if (channel == PEERS_CONTROL) {
        me->lost[from][end]++;
        me->lost_at_ns = now_ns();
    }
}

static void
on_answer(void *ctx, uint64_t to, enum peers_channel channel, const struct peers_answer *a)
{
    struct host *me = ctx;
    me->answer = *a;
    if (a->code == 0 && channel == PEERS_CONTROL) {
        me->ups[to]++;
    }
}

static void on_down(void *ctx, uint64_t to, enum peers_channel channel)
{
    struct host *me = ctx;
    me->downs[to] += channel == PEERS_CONTROL;
}

static void on_room(void *ctx, uint64_t to, enum peers_channel channel)
{
    struct host *me = ctx;
    (void)to;
    (void)channel;
    me->rooms++;
}

static bool other(void *ctx, int fd, const void *read_ahead, size_t len)
{
    struct host *me = ctx;
    if (me->peers == NULL) { /* Between the end of its peers and that of its listener. */
        return false;
    }
    peers_accept(me->peers, fd, read_ahead, len);
    return true;
}

static void serve(void *ctx, struct rpc_request *rq)
{
    (void)ctx;
    rpc_fail(rq, ERR_UNKNOWN, "only peers here");
}

void count_closed(void *counter)
{
    int *n = counter;
    (*n)++;
}

void host_peers(struct host *h)
{
    struct peers_options o = {.self = h->self,
                              .ctx = h,
                              .silence_ms = rig_silence_ms,
                              .on_hello = on_hello,
                              .on_frame = on_frame,
                              .on_lost = on_lost,
                              .on_answer = on_answer,
                              .on_down = on_down,
                              .on_room = on_room};
    h->peers = peers_new(&loop, &o);
}

void host_listen(struct host *h, uint16_t port)
{
    struct rpc_server_options o = {.serve = serve, .ctx = h, .other = other};
    char at[32];
    struct err e;
    (void)snprintf(at, sizeof at, "127.0.0.1:%u", port);
    h->server = rpc_server_new(&loop, &o);
    assert(rpc_server_listen(h->server, at, &e) == 0);
    (void)snprintf(h->self.address, sizeof h->self.address, "127.0.0.1:%u",
                   rpc_server_port(h->server, 0));
}

static void host_start(uint64_t id)
{
    struct host *h = &hosts[id];
    memset(h, 0, sizeof *h);
    h->id = id;
    h->self.raft_id = id;
    h->self.pool = pool_a;
    h->self.incarnation = 1;
    (void)snprintf(h->self.name, sizeof h->self.name, "h%u", (unsigned)id);
    host_listen(h, 0);
    host_peers(h);
}

void host_stop(struct host *h)
{
    h->closed = 0;
    peers_close(h->peers, count_closed, &h->closed);
    rpc_server_close(h->server, count_closed, &h->closed);
    WAIT_FOR(h->closed == 2);
    h->peers = NULL;
}

void host_aim(struct host *h, bool adopt)
{
    struct peers_target t[HOSTS];
    uint32_t n = 0;
    memset(t, 0, sizeof t);
    for (uint64_t id = 1; id <= HOSTS; id++) {
        if (id != h->id && hosts[id].peers != NULL) {
            t[n].raft_id = id;
            t[n].adopt = adopt;
            memcpy(t[n].address, hosts[id].self.address, sizeof t[n].address);
            n++;
        }
    }
    peers_set(h->peers, t, n);
}

bool all_up(void)
{
    for (uint64_t a = 1; a <= HOSTS; a++) {
        for (uint64_t b = 1; b <= HOSTS; b++) {
            if (a != b && (!peers_is_up(hosts[a].peers, b, PEERS_CONTROL) ||
                           !peers_is_up(hosts[a].peers, b, PEERS_BULK))) {
                return false;
            }
        }
    }
    return true;
}

static uv_timer_t keep_awake; /* UV_RUN_ONCE returns at least this often. */

int hosts_up(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 1);
    pool_a = id_new(&rng);
    assert(uv_loop_init(&loop) == 0);
    (void)uv_timer_init(&loop, &keep_awake);
    (void)uv_timer_start(&keep_awake, on_turn, 5, 5);
    for (uint64_t id = 1; id <= HOSTS; id++) {
        host_start(id);
    }
    for (uint64_t id = 1; id <= HOSTS; id++) {
        host_aim(&hosts[id], false);
    }
    WAIT_FOR(all_up());
    return 0;
}

int hosts_down(void **state)
{
    rig_silence_ms = 0;
    (void)state;
    for (uint64_t id = 1; id <= HOSTS; id++) {
        if (hosts[id].peers != NULL) {
            host_stop(&hosts[id]);
        }
    }
    uv_close((uv_handle_t *)&keep_awake, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert(uv_loop_close(&loop) == 0); /* Nothing may be left. */
    return 0;
}

static uint64_t counter;

bool send_number(struct host *from, uint64_t to)
{
    uint8_t frame[16];
    store_u64(frame, ++counter);
    store_u64(frame + 8, now_ns());
    return peers_send(from->peers, to, PEERS_CONTROL, frame, sizeof frame);
}
