/* Echo over TCP loopback: requests a second and latency at several depths, one client, one server
 * thread. Not a test: run build/core/core_bench_rpc. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/rpc_msg.h"
#include "core/tests/rpc_rig.h"
#include "core/util.h"

#define BODY_BYTES 256
#define DEPTH_MAX  256

static uint64_t now_ns(void)
{
    return os_clock()->mono_ns(os_clock());
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void must(int rc, const struct err *e)
{
    if (rc != 0) {
        (void)fprintf(stderr, "%s\n", e->msg);
        exit(1);
    }
}

static void run(struct rpc_conn *c, const struct buf *params, uint32_t depth, uint32_t n)
{
    uint64_t *took = mem_new(n, sizeof *took);
    uint64_t begun[DEPTH_MAX]; /* By number. */
    struct rpc_message m = {0};
    struct err e;
    uint64_t number;
    uint32_t sent = 0;
    uint64_t begin = now_ns();
    for (uint32_t done = 0; done < n; done++) {
        while (sent < n && sent - done < depth) {
            must(rpc_send(c, "echo", params, &number, &e), &e);
            begun[number % DEPTH_MAX] = now_ns();
            sent++;
        }
        must(rpc_receive(c, 10000, &m, &e), &e);
        took[done] = now_ns() - begun[m.number % DEPTH_MAX];
    }
    double s = (double)(now_ns() - begin) / 1e9;
    qsort(took, n, sizeof *took, compare);
    (void)printf("depth %3u: %8.0f requests/s  p50 %6.1f us  p99 %6.1f us  max %6.1f us\n", depth,
                 n / s, (double)took[n / 2] / 1e3, (double)took[n / 100 * 99] / 1e3,
                 (double)took[n - 1] / 1e3);
    free(took);
    buf_done(&m.body);
}

int main(void)
{
    struct rig r;
    struct rpc_conn *c;
    struct err e;
    struct buf params = {0};
    uint8_t body[BODY_BYTES] = {0};
    rig_start(&r, NULL, false);
    must(rpc_connect(&c, r.tcp_at, 2000, &e), &e);
    mp_put_map(&params, 1);
    mp_put_str(&params, "k");
    mp_put_bin(&params, body, sizeof body);
    run(c, &params, 1, 1000); /* Warm up. */
    run(c, &params, 1, 20000);
    run(c, &params, 16, 200000);
    run(c, &params, 256, 500000);
    buf_done(&params);
    (void)rpc_disconnect(c);
    rig_stop(&r);
    return 0;
}
