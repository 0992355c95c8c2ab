/* The picture: a lane a host, time from left to right. Everything that has a time carries it as
 * data (a and b, microseconds), so that the script can draw another stretch of time without knowing
 * what it draws; without the script the picture stands as it was written.
 *
 * A lane, from the top: who leads, its lease, a row for each guest, what it is cut off from. Behind
 * it: the power of the host. Below the lanes: calls of clients. Across all: findings. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/check/model.h"
#include "chaos-tests/check/report_parts.h"

#define WIDTH     1180
#define LEFT      64
#define TOP       82 /* Room for what findings say. */
#define HEAD      15
#define LEASE     4
#define ROW       16
#define CUT       12
#define GAP       10
#define CALL_H    10
#define SAID_ROWS 4
#define SAID      3 /* Findings of one checker that the picture shows. */
#define LETTER    6 /* About the width of one. */

struct pic {
    const struct scene *s;
    struct buf *out;
    uint64_t from, to;
    uint32_t lane; /* Height. */
    uint32_t calls_y, bottom;
    double said_to[SAID_ROWS];   /* How far each row of what findings say is taken. */
    double fault_to[HIST_HOSTS]; /* How far the names of a host's faults reach. */
};

static double x_of(const struct pic *p, uint64_t us)
{
    us = us < p->from ? p->from : min_u64(us, p->to);
    return LEFT + (double)(us - p->from) * (WIDTH - LEFT) / (double)(p->to - p->from);
}

static uint32_t lane_y(const struct pic *p, uint16_t host)
{
    return TOP + host * (p->lane + GAP);
}

static uint32_t row_y(const struct pic *p, uint16_t host, uint32_t row)
{
    return lane_y(p, host) + HEAD + LEASE + row * ROW;
}

/* A rectangle over a stretch of time; its end of the tag is left open for a tooltip. */
struct box {
    uint64_t from, to;
    uint32_t y, height;
    const char *class;
    const char *label; /* Shown if there is room; NULL: none. */
    const char *title; /* Shown under the mouse. */
};

static void put_box(const struct pic *p, const struct box *b)
{
    double x = x_of(p, b->from);
    double width = x_of(p, b->to) - x;
    size_t len = b->label == NULL ? 0 : strlen(b->label);

    if (b->to < p->from || b->from > p->to) {
        return;
    }
    buf_printf(p->out,
               "<rect class=\"t %s\" data-a=\"%" PRIu64 "\" data-b=\"%" PRIu64
               "\" x=\"%.2f\" width=\"%.2f\" y=\"%" PRIu32 "\" height=\"%" PRIu32 "\"><title>",
               b->class, b->from, b->to, x, width < 1.5 ? 1.5 : width, b->y, b->height);
    put_text(p->out, b->title);
    buf_printf(p->out, "</title></rect>\n");
    if (len == 0) {
        return;
    }
    buf_printf(p->out,
               "<text class=\"t in %s\" data-a=\"%" PRIu64 "\" data-b=\"%" PRIu64
               "\" x=\"%.2f\" y=\"%" PRIu32 "\"%s>",
               b->class, b->from, b->to, x + 3, b->y + b->height - (b->height > 13 ? 4u : 2u),
               width < (double)(len * LETTER + 4) ? " style=\"display:none\"" : "");
    put_text(p->out, b->label);
    buf_printf(p->out, "</text>\n");
}

static const char *const power_class[] = {"up", "down", "stuck", "frozen", "off"};
static const char *const power_label[] = {"", "daemon not running", "daemon stands still", "frozen",
                                          "no power"};
static const char *const copy_word[] = {"gone", "incoming", "running", "paused", "frozen"};
static const char *const result_word[] = {"ok", "refused", "unknown", "no answer"};
static const char *const move_word[] = {"prepared", "transferring", "switched", "aborted", "ended"};

static void hosts_text(const struct hist *h, uint64_t set, char *out, size_t size)
{
    size_t len = strlen(out);

    for (uint16_t i = 0; i < h->n_hosts && len < size; i++) {
        if (set >> i & 1) {
            (void)snprintf(out + len, size - len, " %s", hist_host_text(h, i));
            len = strlen(out);
        }
    }
}

static void put_times(char *out, size_t size, const struct segment *g)
{
    char took[32];

    (void)snprintf(out, size, "%.6f s, for %s", (double)g->from_us / 1e6,
                   span_text(g->to_us - g->from_us, took));
}

static void put_copy(const struct pic *p, const struct segment *g)
{
    char label[128];
    char title[256];
    char class[32];
    char times[64];
    const char *name = hist_name_text(p->s->h, g->name);

    put_times(times, sizeof times, g);
    (void)snprintf(class, sizeof class, "g%" PRIu32 " c%s", g->row, copy_word[g->state]);
    (void)snprintf(label, sizeof label, "%s e%" PRIu64 "%s%s", name, g->number,
                   g->state == COPY_RUNNING ? "" : " ",
                   g->state == COPY_RUNNING ? "" : copy_word[g->state]);
    (void)snprintf(title, sizeof title, "%s under epoch %" PRIu64 " is %s on %s from %s", name,
                   g->number, copy_word[g->state], hist_host_text(p->s->h, g->host), times);
    put_box(p, &(struct box){g->from_us, g->to_us, row_y(p, g->host, g->row), ROW - 3, class, label,
                             title});
}

static void put_cut(const struct pic *p, const struct segment *g)
{
    char label[256] = "cut off from";
    char title[400];
    char times[64];

    hosts_text(p->s->h, g->number, label, sizeof label);
    put_times(times, sizeof times, g);
    (void)snprintf(title, sizeof title, "%s is %s from %s", hist_host_text(p->s->h, g->host), label,
                   times);
    put_box(p, &(struct box){g->from_us, g->to_us, lane_y(p, g->host) + p->lane - CUT, CUT, "cut",
                             label, title});
}

static void put_lead(const struct pic *p, const struct segment *g)
{
    char label[64];
    char title[200];
    char times[64];

    put_times(times, sizeof times, g);
    (void)snprintf(label, sizeof label, "master, term %" PRIu64, g->number);
    (void)snprintf(title, sizeof title, "%s calls itself %s from %s",
                   hist_host_text(p->s->h, g->host), label, times);
    put_box(
        p, &(struct box){g->from_us, g->to_us, lane_y(p, g->host), HEAD - 2, "lead", label, title});
}

static void put_power(const struct pic *p, const struct segment *g)
{
    char title[200];
    char times[64];

    put_times(times, sizeof times, g);
    (void)snprintf(title, sizeof title, "%s: %s from %s", hist_host_text(p->s->h, g->host),
                   power_label[g->state], times);
    put_box(p, &(struct box){g->from_us, g->to_us, lane_y(p, g->host), p->lane,
                             power_class[g->state], NULL, title});
    put_box(p, &(struct box){g->from_us, g->to_us, lane_y(p, g->host), HEAD - 2, "label",
                             power_label[g->state], title});
}

static void put_lease(const struct pic *p, const struct segment *g)
{
    char title[200];
    char times[64];

    put_times(times, sizeof times, g);
    (void)snprintf(title, sizeof title, "%s holds a lease from %s",
                   hist_host_text(p->s->h, g->host), times);
    put_box(p, &(struct box){g->from_us, g->to_us, lane_y(p, g->host) + HEAD - 1, LEASE - 1,
                             "lease", NULL, title});
}

static void put_call(const struct pic *p, const struct segment *g)
{
    char label[128];
    char title[256];
    char class[16];
    char took[32];

    (void)snprintf(class, sizeof class, "r%" PRIu32, g->state);
    (void)snprintf(
        title, sizeof title, "client %" PRIu64 " asked %s about %s at %.6f s: %s after %s",
        g->number, hist_host_text(p->s->h, g->host), hist_name_text(p->s->h, g->name),
        (double)g->from_us / 1e6, result_word[g->state], span_text(g->to_us - g->from_us, took));
    (void)snprintf(label, sizeof label, "%s %s", call_op_name((enum call_op)g->peer),
                   hist_name_text(p->s->h, g->name));
    put_box(p, &(struct box){g->from_us, g->to_us, p->calls_y + g->row * (CALL_H + 1), CALL_H,
                             class, label, title});
}

/* Its name is left out where it would lie on the one before. */
static void put_fault(struct pic *p, const struct segment *g)
{
    uint16_t host = g->host == HIST_NONE ? 0 : g->host;
    const char *name = hist_name_text(p->s->h, g->name);
    double x = x_of(p, g->from_us);
    bool room = x > p->fault_to[host];

    if (g->from_us < p->from || g->from_us > p->to) {
        return;
    }
    p->fault_to[host] = room ? x + 8 + (double)strlen(name) * LETTER : p->fault_to[host];
    buf_printf(
        p->out,
        "<g class=\"t fault\" data-a=\"%" PRIu64 "\" transform=\"translate(%.2f,%" PRIu32
        ")\"><path d=\"M0 0l-5 -9h10z\"/><text x=\"7\" y=\"-1\"%s>%s</text><title>%s (%" PRIu64
        ") at %.6f s</title></g>\n",
        g->from_us, x, lane_y(p, host), room ? "" : " style=\"display:none\"", name, name,
        g->number, (double)g->from_us / 1e6);
}

static void put_move(const struct pic *p, const struct segment *g)
{
    double x1 = x_of(p, g->from_us);
    double x2 = x_of(p, g->to_us);
    uint32_t y1 = row_y(p, g->host, g->row) + ROW / 2 - 2;
    uint32_t y2 = row_y(p, g->peer, g->row) + ROW / 2 - 2;
    bool done = g->state == MOVE_SWITCHED || g->state == MOVE_ENDED;

    if (g->to_us < p->from || g->from_us > p->to) {
        return;
    }
    buf_printf(p->out,
               "<path class=\"t move%s\" data-a=\"%" PRIu64 "\" data-b=\"%" PRIu64
               "\" data-y=\"%" PRIu32 "\" data-z=\"%" PRIu32 "\" d=\"M%.2f %" PRIu32
               " L%.2f %" PRIu32
               "\"><title>migration of %s from %s to %s, %s at %.6f s</title></path>\n",
               done ? "" : " broken", g->from_us, g->to_us, y1, y2, x1, y1, x2, y2,
               hist_name_text(p->s->h, g->name), hist_host_text(p->s->h, g->host),
               hist_host_text(p->s->h, g->peer), move_word[g->state], (double)g->to_us / 1e6);
}

static void put_segments(struct pic *p, enum segment_kind kind)
{
    static void (*const put[SEG_KINDS])(const struct pic *p, const struct segment *g) = {
        [SEG_POWER] = put_power, [SEG_LEADS] = put_lead, [SEG_LEASE] = put_lease,
        [SEG_CUT] = put_cut,     [SEG_COPY] = put_copy,  [SEG_CALL] = put_call,
        [SEG_MOVE] = put_move};

    for (size_t i = 0; i < p->s->n; i++) {
        if (p->s->seg[i].kind != kind) {
            continue;
        }
        if (kind == SEG_FAULT) {
            put_fault(p, &p->s->seg[i]);
        } else {
            put[kind](p, &p->s->seg[i]);
        }
    }
}

/* --- findings */

/* A red frame around the guest's row (or the whole lane) of each host that a finding is about. */
static void put_frames(const struct pic *p, const struct finding *f)
{
    uint32_t row = 0;

    while (row < p->s->n_guests && p->s->guests[row] != f->subject) {
        row++;
    }
    for (uint16_t i = 0; i < p->s->h->n_hosts; i++) {
        if ((f->hosts >> i & 1) == 0) {
            continue;
        }
        bool whole = row == p->s->n_guests;
        put_box(p, &(struct box){.from = f->at_us,
                                 .to = f->until_us,
                                 .y = whole ? lane_y(p, i) : row_y(p, i, row) - 3,
                                 .height = whole ? p->lane : ROW + 3,
                                 .class = "frame",
                                 .title = f->text});
    }
}

/* A row in which what a finding says does not lie on what another one does; false if there is none.
 * Findings come by checker, not by time, so that a row is closed to whatever begins before its end.
 */
static bool find_row(struct pic *p, double from, double to, uint32_t *row)
{
    for (uint32_t i = 0; i < SAID_ROWS; i++) {
        if (from > p->said_to[i]) {
            p->said_to[i] = to;
            *row = i;
            return true;
        }
    }
    return false;
}

static void put_finding(struct pic *p, const struct finding *f, uint32_t number)
{
    double x = x_of(p, f->at_us);
    bool late = x > (WIDTH + LEFT) / 2.0;
    uint32_t row = SAID_ROWS - 1;
    char text[96];
    double width;
    bool room;

    if (f->at_us < p->from || f->at_us > p->to) {
        return;
    }
    (void)snprintf(text, sizeof text, "%.88s%s", f->text, strlen(f->text) > 88 ? " ..." : "");
    width = (double)strlen(text) * LETTER * 1.15 + 20;
    room = find_row(p, late ? x - width : x - 8, late ? x + 8 : x + width, &row);
    put_box(p, &(struct box){f->at_us, f->until_us, 12 + row * 16, p->bottom - 12 - row * 16,
                             "found", NULL, f->text});
    put_frames(p, f);
    buf_printf(p->out,
               "<g class=\"t said\" data-a=\"%" PRIu64 "\" transform=\"translate(%.2f,%" PRIu32
               ")\"><circle r=\"8\"/><text class=\"no\">%" PRIu32
               "</text><text class=\"what\" x=\"%d\" text-anchor=\"%s\"%s>",
               f->at_us, x, 12 + row * 16, number, late ? -12 : 12, late ? "end" : "start",
               room ? "" : " style=\"display:none\"");
    put_text(p->out, text);
    buf_printf(p->out, "</text></g>\n");
}

static void put_findings(struct pic *p)
{
    uint32_t number = 0;

    for (size_t i = 0; i < p->s->v->n; i++) {
        const struct checked *c = &p->s->v->checked[i];
        for (size_t k = 0; k < min_u64(c->n_findings, SAID); k++) {
            put_finding(p, &c->findings[k], ++number);
        }
    }
}

/* --- the frame */

static void put_axis(const struct pic *p)
{
    static const uint64_t steps[] = {1, 2, 5};
    uint64_t unit = 1;
    uint64_t step = 1;

    for (uint32_t i = 0; step < (p->to - p->from) / 10; i++) {
        unit *= i > 0 && i % 3 == 0 ? 10 : 1;
        step = unit * steps[i % 3];
    }
    buf_printf(p->out, "<g class=\"axis\">");
    for (uint64_t t = (p->from + step - 1) / step * step; t <= p->to; t += step) {
        double x = x_of(p, t);
        buf_printf(p->out, "<path d=\"M%.2f %dV%" PRIu32 "\"/>", x, TOP - 4, p->bottom);
        if (x <= WIDTH - 16) {
            buf_printf(p->out, "<text x=\"%.2f\" y=\"%" PRIu32 "\">%.10g s</text>", x,
                       p->bottom + 13, (double)t / 1e6);
        }
    }
    buf_printf(p->out, "</g>\n");
}

static void put_lanes(const struct pic *p)
{
    for (uint16_t i = 0; i < p->s->h->n_hosts; i++) {
        buf_printf(p->out,
                   "<rect class=\"lane\" x=\"%d\" y=\"%" PRIu32 "\" width=\"%d\" height=\"%" PRIu32
                   "\"/><text class=\"host\" x=\"4\" y=\"%" PRIu32 "\">%s</text>\n",
                   LEFT, lane_y(p, i), WIDTH - LEFT, p->lane, lane_y(p, i) + p->lane / 2 + 4,
                   hist_host_text(p->s->h, i));
    }
    buf_printf(p->out, "<text class=\"host\" x=\"4\" y=\"%" PRIu32 "\">calls</text>\n",
               p->calls_y + p->s->call_rows * (CALL_H + 1) / 2 + 4);
}

void picture(const struct scene *s,
             const char *id,
             uint64_t from_us,
             uint64_t to_us,
             struct buf *out)
{
    static const enum segment_kind order[] = {SEG_POWER, SEG_LEADS, SEG_LEASE, SEG_CUT,
                                              SEG_COPY,  SEG_CALL,  SEG_MOVE,  SEG_FAULT};
    struct pic p = {.s = s, .out = out, .from = from_us, .to = to_us};

    p.to = p.to <= p.from ? p.from + 1 : p.to;
    p.lane = HEAD + LEASE + (s->n_guests == 0 ? 1 : s->n_guests) * ROW + CUT;
    p.calls_y = TOP + s->h->n_hosts * (p.lane + GAP);
    p.bottom = p.calls_y + s->call_rows * (CALL_H + 1) + 4;
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"pic\" id=\"%s\" viewBox=\"0 0 %d "
               "%" PRIu32 "\" data-from=\"%" PRIu64 "\" data-to=\"%" PRIu64
               "\" data-left=\"%d\" data-width=\"%d\" data-top=\"%d\" "
               "data-bottom=\"%" PRIu32 "\">\n",
               id, WIDTH, p.bottom + 18, p.from, p.to, LEFT, WIDTH, TOP - 4, p.bottom);
    buf_printf(
        out,
        "<style>%s</style><defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" "
        "markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/>"
        "</marker></defs>\n",
        picture_css);
    put_lanes(&p);
    put_axis(&p);
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        put_segments(&p, order[i]);
    }
    put_findings(&p);
    buf_printf(out, "</svg>\n");
}
