/* See copies.h. A copy keeps the state that its hypervisor gave it; whether it executes follows
 * from that and from the power of its host. */

#include "chaos-tests/check/copies.h"

#include <stdlib.h>

#include "core/util.h"

static bool host_stands(enum host_power power)
{
    return power == HOST_IS_FROZEN || power == HOST_IS_OFF;
}

/* Work out anew whether a copy executes. */
static void settle(struct copies *c, uint32_t number, uint64_t at_us)
{
    struct copy *k = &c->copy[number];
    bool executes = k->state == COPY_RUNNING && !host_stands(c->power[k->host]);

    if (executes == k->executes) {
        return;
    }
    k->executes = executes;
    k->since_us = at_us;
    c->executing[k->host] += executes ? 1 : UINT32_MAX;
    if (c->changed != NULL) {
        c->changed(c->arg, c, number, at_us);
    }
}

static uint32_t number_of(struct copies *c, const struct rec_copy *r)
{
    uint64_t *at = map_at(&c->by_key, (uint64_t)r->guest << 16 | r->host, r->epoch, UINT64_MAX);

    if (*at != UINT64_MAX) {
        return (uint32_t)*at;
    }
    if (c->n == c->cap) {
        c->cap = c->cap == 0 ? 64 : c->cap * 2;
        c->copy = mem_grow(c->copy, c->cap, sizeof *c->copy);
    }
    c->copy[c->n] = (struct copy){.host = r->host, .guest = r->guest, .epoch = r->epoch};
    *at = c->n++;
    return (uint32_t)*at;
}

/* Copies that are gone leave the list here, so that it is as long as what exists on the host. */
static void change_power(struct copies *c, const struct rec *r, uint32_t number)
{
    uint16_t host = r->host.host;
    uint32_t *link = &c->first[host];

    c->power[host] = r->host.power;
    while (*link != 0) {
        uint32_t at = *link - 1;
        struct copy *k = &c->copy[at];
        if (r->host.power == HOST_IS_OFF && k->state != COPY_GONE) {
            k->state = COPY_GONE;
            k->rec = number;
        }
        settle(c, at, r->at_us);
        if (k->state == COPY_GONE) {
            k->listed = false;
            *link = k->next;
        } else {
            link = &k->next;
        }
    }
}

void copies_take(struct copies *c, const struct rec *r, uint32_t number)
{
    uint32_t copy;

    if (r->kind == REC_HOST) {
        change_power(c, r, number);
    } else if (r->kind == REC_COPY) {
        copy = number_of(c, &r->copy);
        c->copy[copy].state = r->copy.state;
        c->copy[copy].rec = number;
        if (!c->copy[copy].listed) {
            c->copy[copy].listed = true;
            c->copy[copy].next = c->first[r->copy.host];
            c->first[r->copy.host] = copy + 1;
        }
        settle(c, copy, r->at_us);
    }
}

void copies_done(struct copies *c)
{
    free(c->copy);
    map_done(&c->by_key);
    *c = (struct copies){0};
}
