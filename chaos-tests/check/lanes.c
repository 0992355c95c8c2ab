#include "chaos-tests/check/lanes.h"

void lanes_take(struct lanes *l, const struct rec *r, uint32_t number)
{
    uint64_t bit;

    copies_take(&l->copies, r, number);
    if (r->kind == REC_LINK) {
        bit = 1ull << r->link.peer;
        l->cut[r->link.host] &= ~bit;
        l->cut[r->link.host] |= r->link.state == LINK_CUT ? bit : 0;
    } else if (r->kind == REC_MASTER) {
        l->leads[r->master.host] = r->master.master == r->master.host;
    } else if (r->kind == REC_HOST &&
               (r->host.power == HOST_IS_DOWN || r->host.power == HOST_IS_OFF)) {
        l->leads[r->host.host] = false;
    }
}

static bool is_cut(const struct lanes *l, const struct hist *h, uint32_t host)
{
    for (uint32_t i = 0; i < h->n_hosts; i++) {
        if (l->cut[i] >> host & 1) {
            return true;
        }
    }
    return l->cut[host] != 0;
}

static char power_sign(const struct lanes *l, uint32_t host)
{
    switch (l->copies.power[host]) {
    case HOST_IS_UP: break;
    case HOST_IS_DOWN: return 'x';
    case HOST_IS_PAUSED: return 'z';
    case HOST_IS_FROZEN: return '=';
    case HOST_IS_OFF: return '#';
    }
    return l->leads[host] ? 'M' : '.';
}

static char count_sign(uint32_t n)
{
    if (n == 0) {
        return ' ';
    }
    return n > 9 ? '+' : (char)('0' + n);
}

/* The record's other host, HIST_NONE without one. */
static uint16_t other_end(const struct rec *r)
{
    if (r->kind == REC_LINK) {
        return r->link.peer;
    }
    if (r->kind == REC_MIGRATION) {
        return r->migration.peer;
    }
    return r->kind == REC_MASTER ? r->master.master : HIST_NONE;
}

void lanes_text(const struct lanes *l, const struct hist *h, const struct rec *r, struct buf *out)
{
    uint16_t host = hist_rec_host(r);
    uint16_t other = other_end(r);
    char sign[5] = "";

    for (uint32_t i = 0; i < h->n_hosts; i++) {
        sign[0] = ' ';
        if (i == host) {
            sign[0] = '*';
        } else if (i == other) {
            sign[0] = '>';
        }
        sign[1] = power_sign(l, i);
        sign[2] = count_sign(l->copies.executing[i]);
        sign[3] = is_cut(l, h, i) ? '/' : ' ';
        sign[4] = ' ';
        buf_put(out, sign, sizeof sign);
    }
}

void lanes_done(struct lanes *l)
{
    copies_done(&l->copies);
}
