/* The group's list of streams with something to do (bytes to write, a poke, a break) is worked off
 * in uv_prepare, before the loop sleeps, and in uv_check, after the turn's reads. What comes onto
 * the list in between, from a read or from a later prepare callback, starts an idle handle, for the
 * loop must not sleep on the latter; the check that follows stops it. What comes from elsewhere
 * needs none: a turn with an active idle handle polls without sleeping, once for nothing. */
#include <assert.h>

#include "core/util.h"
#include "core/uv_stream_priv.h"

static void link_init(struct link *l)
{
    l->next = l->prev = l;
}

static void link_add(struct link *list, struct link *l)
{
    l->next = list;
    l->prev = list->prev;
    list->prev->next = l;
    list->prev = l;
}

static void link_del(struct link *l)
{
    if (l->next != NULL) {
        l->next->prev = l->prev;
        l->prev->next = l->next;
        l->next = l->prev = NULL;
    }
}

static void idle_cb(uv_idle_t *h)
{
    (void)h; /* That it runs is all it does. */
}

static void group_work(struct stream_group *g)
{
    /* What is added meanwhile has its turn in the next phase. */
    struct link now;
    link_init(&now);
    while (g->work.next != &g->work) {
        struct link *l = g->work.next;
        link_del(l);
        link_add(&now, l);
    }
    while (now.next != &now) {
        struct link *l = now.next;
        link_del(l);
        stream_work(CONTAINER_OF(l, struct stream, link));
    }
    if (g->work.next == &g->work) {
        (void)uv_idle_stop(&g->idle); /* Stopping cannot fail. */
        uv_unref((uv_handle_t *)&g->prepare);
    }
}

void stream_group_flush(struct stream_group *g)
{
    group_work(g);
}

static void prepare_cb(uv_prepare_t *h)
{
    struct stream_group *g = h->data;
    g->polling = true; /* Also for what the work itself adds. */
    group_work(g);
}

static void check_cb(uv_check_t *h)
{
    struct stream_group *g = h->data;
    g->polling = false;
    group_work(g);
}

void stream_mark(struct stream *s)
{
    struct stream_group *g = s->group;
    if (s->link.next == NULL) {
        link_add(&g->work, &s->link);
    }
    uv_ref((uv_handle_t *)&g->prepare); /* The loop must not end before it is done. */
    if (g->polling) {
        (void)uv_idle_start(&g->idle, idle_cb); /* Fails only without a callback. */
    }
}

struct stream_group *stream_group_new(struct uv_loop_s *loop)
{
    struct stream_group *g = mem_new(1, sizeof *g);
    g->loop = loop;
    link_init(&g->work);
    (void)uv_idle_init(loop, &g->idle); /* The three cannot fail. */
    (void)uv_prepare_init(loop, &g->prepare);
    (void)uv_check_init(loop, &g->check);
    g->idle.data = g->prepare.data = g->check.data = g;
    (void)uv_prepare_start(&g->prepare, prepare_cb); /* These fail only without a callback. */
    (void)uv_check_start(&g->check, check_cb);
    uv_unref((uv_handle_t *)&g->prepare);
    uv_unref((uv_handle_t *)&g->check);
    return g;
}

static void group_handle_closed(uv_handle_t *h)
{
    struct stream_group *g = h->data;
    if (--g->handles > 0) {
        return;
    }
    void (*closed)(void *ctx) = g->closed;
    void *ctx = g->closed_ctx;
    free(g);
    if (closed != NULL) {
        closed(ctx);
    }
}

static void close_if_empty(struct stream_group *g)
{
    if (g->closing && g->members == 0) {
        g->handles = 3;
        uv_close((uv_handle_t *)&g->idle, group_handle_closed);
        uv_close((uv_handle_t *)&g->prepare, group_handle_closed);
        uv_close((uv_handle_t *)&g->check, group_handle_closed);
    }
}

void stream_group_close(struct stream_group *g, void (*closed)(void *ctx), void *ctx)
{
    assert(!g->closing);
    g->closing = true;
    g->closed = closed;
    g->closed_ctx = ctx;
    close_if_empty(g);
}

void stream_unmark(struct stream *s)
{
    link_del(&s->link);
}

void stream_group_join(struct stream_group *g)
{
    g->members++;
}

void stream_group_leave(struct stream_group *g)
{
    g->members--;
    close_if_empty(g);
}
