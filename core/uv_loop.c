#include "core/uv_loop.h"

#include <stdlib.h>
#include <uv.h>

#include "core/util.h"

struct loop_meter {
    uv_loop_t *loop;
    uv_prepare_t prepare; /* Runs just before the loop waits. */
    uint64_t idle_ns;     /* Time the loop had spent waiting, at the last turn. */
    uint64_t last_ns;
    uint64_t longest_ns;
};

/* A turn lasts from one prepare to the next, less what the loop spent waiting in between. */
static void on_prepare(uv_prepare_t *h)
{
    struct loop_meter *m = h->data;
    uint64_t now = uv_hrtime();
    uint64_t idle = uv_metrics_idle_time(m->loop);
    uint64_t waited = idle - m->idle_ns;
    uint64_t turn = now - m->last_ns > waited ? now - m->last_ns - waited : 0;
    m->longest_ns = turn > m->longest_ns ? turn : m->longest_ns;
    m->last_ns = now;
    m->idle_ns = idle;
}

struct loop_meter *loop_meter_new(struct uv_loop_s *loop)
{
    struct loop_meter *m = mem_new(1, sizeof *m);
    m->loop = loop;
    m->last_ns = uv_hrtime();
    (void)uv_loop_configure(loop, UV_METRICS_IDLE_TIME); /* Without it turns look too long. */
    (void)uv_prepare_init(loop, &m->prepare);
    m->prepare.data = m;
    (void)uv_prepare_start(&m->prepare, on_prepare);
    uv_unref((uv_handle_t *)&m->prepare);
    return m;
}

uint64_t loop_meter_take_us(struct loop_meter *m)
{
    uint64_t us = m->longest_ns / 1000;
    m->longest_ns = 0;
    return us;
}

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

struct loop_meter *loop_meter_free(struct loop_meter *m)
{
    if (m != NULL) {
        uv_close((uv_handle_t *)&m->prepare, on_closed);
    }
    return NULL;
}
