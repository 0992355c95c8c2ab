/* The page: see report.h. */

#include "chaos-tests/check/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/check/history_text.h"
#include "chaos-tests/check/lanes.h"
#include "chaos-tests/check/map.h"
#include "chaos-tests/check/report_parts.h"

#define BEFORE      28 /* Lines shown before a finding, and behind it. */
#define BEHIND      4
#define CONTEXT_US  12000000 /* Time shown around the first finding. */
#define CONTEXT_MIN 3000000

void put_text(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<': buf_printf(out, "&lt;"); break;
        case '>': buf_printf(out, "&gt;"); break;
        case '&': buf_printf(out, "&amp;"); break;
        case '"': buf_printf(out, "&quot;"); break;
        default: buf_put_u8(out, (uint8_t)*text); break;
        }
    }
}

const char *span_text(uint64_t us, char out[32])
{
    if (us >= 1000000) {
        (void)snprintf(out, 32, "%.4g s", (double)us / 1e6);
    } else if (us >= 1000) {
        (void)snprintf(out, 32, "%.4g ms", (double)us / 1e3);
    } else {
        (void)snprintf(out, 32, "%" PRIu64 " us", us);
    }
    return out;
}

/* --- the lines around a finding */

/* What makes a record belong to a finding: values of its records' fields. */
struct topic {
    const struct finding *f;
    uint64_t index, seq, request;
    struct map calls; /* (client, call) of the calls that belong: their answers do, too. */
};

static uint64_t field_of(const struct rec *r, const char *name)
{
    for (const struct rec_field *f = rec_layouts[r->kind].fields; f->name != NULL; f++) {
        if (strcmp(f->name, name) == 0) {
            return rec_field_get(r, f);
        }
    }
    return 0;
}

static bool is_of_finding(const struct finding *f, uint32_t rec)
{
    for (uint32_t i = 0; i < f->n_recs; i++) {
        if (f->recs[i] == rec) {
            return true;
        }
    }
    return false;
}

static bool speaks_of(const struct topic *t, const struct rec *r)
{
    hist_t_name subject = t->f->subject;

    return (subject != 0 &&
            (field_of(r, "guest") == subject || field_of(r, "subject") == subject)) ||
           (t->index != 0 && field_of(r, "index") == t->index) ||
           (t->seq != 0 && field_of(r, "seq") == t->seq) ||
           (t->request != 0 && field_of(r, "request") == t->request);
}

static bool belongs(struct topic *t, const struct rec *r, uint32_t number)
{
    bool yes = is_of_finding(t->f, number) || speaks_of(t, r);

    if (r->kind == REC_HOST || r->kind == REC_LINK || r->kind == REC_FAULT ||
        r->kind == REC_PHASE) {
        return true;
    }
    if (r->kind == REC_MASTER) {
        return r->master.host == r->master.master;
    }
    if (r->kind == REC_CALL) {
        yes = yes || map_get(&t->calls, r->call.client, r->call.call) != NULL;
    }
    if (r->kind == REC_CALL && yes) {
        *map_at(&t->calls, r->call.client, r->call.call, 1) = 1;
    }
    return yes ||
           (r->kind == REC_ANSWER && map_get(&t->calls, r->answer.client, r->answer.call) != NULL);
}

static void put_line(const struct scene *s,
                     const struct lanes *lanes,
                     uint32_t number,
                     bool hot,
                     struct buf *out)
{
    const struct rec *r = &s->h->recs[number];
    struct buf picture = {0};
    char line[HIST_LINE];

    lanes_text(lanes, s->h, r, &picture);
    buf_put_u8(&picture, 0);
    buf_printf(out, "%s%14.6f  |<b>%s</b>|  ", hot ? "<mark>" : "", (double)r->at_us / 1e6,
               (const char *)picture.data);
    put_text(out, hist_rec_say(s->h, r, line));
    buf_printf(out, "%s\n", hot ? "</mark>" : "");
    buf_done(&picture);
}

/* Two walks: which records belong, then the last BEFORE of them up to the finding, some behind. */
static void put_excerpt(const struct scene *s, const struct finding *f, struct buf *out)
{
    struct topic t = {.f = f};
    struct lanes lanes = {0};
    size_t before = 0;
    size_t seen = 0;
    size_t behind = 0;

    for (uint32_t i = 0; i < f->n_recs; i++) {
        const struct rec *r = &s->h->recs[f->recs[i]];
        if (r->kind == REC_ANSWER) {
            *map_at(&t.calls, r->answer.client, r->answer.call, 1) = 1;
        }
        t.index = t.index == 0 ? field_of(r, "index") : t.index;
        t.seq = t.seq == 0 ? field_of(r, "seq") : t.seq;
        t.request = t.request == 0 ? field_of(r, "request") : t.request;
    }
    for (uint32_t i = 0; i < s->h->n_recs && s->h->recs[i].at_us <= f->until_us; i++) {
        before += belongs(&t, &s->h->recs[i], i);
    }
    buf_printf(out, "<pre>          time  |");
    for (uint16_t i = 0; i < s->h->n_hosts; i++) {
        buf_printf(out, " %-4.3s", hist_host_text(s->h, i));
    }
    buf_printf(out, "|\n");
    for (uint32_t i = 0; i < s->h->n_recs && behind < BEHIND; i++) {
        const struct rec *r = &s->h->recs[i];
        lanes_take(&lanes, r, i);
        if (!belongs(&t, r, i)) {
            continue;
        }
        seen++;
        behind += seen > before;
        if (seen + BEFORE > before || is_of_finding(f, i)) {
            put_line(s, &lanes, i, is_of_finding(f, i), out);
        }
    }
    buf_printf(out,
               "</pre>\n<p class=\"hint\">A column a host: * where it happens, &gt; the other end; "
               ". up, M calls itself master, x no daemon, z daemon stands still, = frozen, # no "
               "power; how many guests execute there; / a link of it is cut.</p>\n");
    lanes_done(&lanes);
    map_done(&t.calls);
}

/* --- findings and verdicts */

static void put_verdicts(const struct scene *s, struct buf *out)
{
    static const char *const class[] = {"nothing", "holds", "large", "broken"};
    uint32_t number = 0;

    buf_printf(out, "<table><tr><th>checker<th>promise<th>verdict<th>judged</tr>\n");
    for (size_t i = 0; i < s->v->n; i++) {
        const struct checked *c = &s->v->checked[i];
        buf_printf(out,
                   "<tr class=\"%s\"><td>%s<td>%s<td class=\"v\">%s<td class=\"n\">%" PRIu64
                   "</tr>\n",
                   class[c->verdict], c -> checker -> name, c -> checker -> promise,
                   c -> verdict == VERDICT_NOTHING ? "nothing to judge" : verdict_name(c->verdict),
                   c->judged);
        for (size_t k = 0; k < min_u64(c->n_findings, CHECK_FINDINGS); k++) {
            const struct finding *f = &c->findings[k];
            bool shown = k < 3;
            buf_printf(out, "<tr class=\"finding\"><td><td colspan=\"3\">");
            if (shown) {
                buf_printf(out, "<span class=\"no\">%" PRIu32 "</span> ", ++number);
            }
            buf_printf(out,
                       "<a href=\"#all\" data-a=\"%" PRIu64 "\" data-b=\"%" PRIu64 "\">%.6f s</a> ",
                       f->at_us, f->until_us, (double)f->at_us / 1e6);
            put_text(out, f->text);
            buf_printf(out, "</tr>\n");
        }
        if (c->n_findings > CHECK_FINDINGS) {
            buf_printf(out,
                       "<tr class=\"finding\"><td><td colspan=\"3\">and %" PRIu64 " more</tr>\n",
                       c->n_findings - CHECK_FINDINGS);
        }
    }
    buf_printf(out, "</table>\n");
}

static const struct finding *first_finding(const struct verdicts *v)
{
    const struct checked *c = verdicts_first(v);

    return c == NULL || c->n_findings == 0 ? NULL : &c->findings[0];
}

static void put_headline(const struct scene *s, const struct report_options *o, struct buf *out)
{
    const struct checked *c = verdicts_first(s->v);
    const struct finding *f = first_finding(s->v);
    char took[32];

    buf_printf(out, "<h1>quorate chaos report");
    if (o->title != NULL) {
        buf_printf(out, ": ");
        put_text(out, o->title);
    }
    buf_printf(out, "</h1>\n<p class=\"headline %s\">",
               verdicts_good(s->v) ? "good" : (f == NULL ? "large" : "bad"));
    if (f != NULL) {
        buf_printf(out, "Broken: <b>%s</b> at %.6f s. ", c->checker->name, (double)f->at_us / 1e6);
        put_text(out, f->text);
        buf_printf(out, ".");
    } else if (c != NULL) {
        buf_printf(out, "Not decided: <b>%s</b>.", c->checker->name);
    } else if (!s->v->complete) {
        buf_printf(out, "Not decided: the history lost %" PRIu64 " records.", s->h->dropped);
    } else {
        buf_printf(out, "All promises that could be judged were kept.");
    }
    buf_printf(out, "</p>\n<p>%" PRIu32 " hosts, %s of simulated time, %zu records.", s->h->n_hosts,
               span_text(s->end_us, took), s->h->n_recs);
    if (o->replay != NULL) {
        buf_printf(out, " Replay: <code>");
        put_text(out, o->replay);
        buf_printf(out, "</code>");
    }
    buf_printf(out, "</p>\n");
}

static void put_legend(const struct scene *s, struct buf *out)
{
    buf_printf(out,
               "<p class=\"legend\"><i class=\"k lead\"></i>calls itself master"
               "<i class=\"k lease\"></i>holds a lease"
               "<i class=\"k g0 crunning\"></i>a guest's copy executes (e: run epoch; a colour a "
               "guest)<i class=\"k g0 cpaused\"></i>stands still"
               "<i class=\"k g0 cincoming\"></i>receives memory"
               "<i class=\"k cut\"></i>cut off<i class=\"k off\"></i>no power"
               "<i class=\"k frozen\"></i>frozen<i class=\"k down\"></i>daemon not running"
               "<i class=\"k stuck\"></i>daemon stands still"
               "<i class=\"k r0\"></i>call answered<i class=\"k r1\"></i>refused"
               "<i class=\"k r2\"></i>outcome unknown<i class=\"k r3\"></i>no answer"
               "<i class=\"k move\"></i>migration, from its beginning at the source to the "
               "switch at the target<i class=\"k found\"></i>a promise is broken</p>\n");
    if (s->all_guests > s->n_guests) {
        buf_printf(out, "<p>%" PRIu32 " of %" PRIu32 " guests are shown.</p>\n", s->n_guests,
                   s->all_guests);
    }
    for (int i = 0; i < SEG_KINDS; i++) {
        if (s->of_kind[i] > SHOWN_SEGMENTS) {
            buf_printf(out, "<p>Some things happened too often to be drawn each time.</p>\n");
            break;
        }
    }
}

/* The stretch of time around a finding that tells its story. False if that is nearly all. */
static bool moment_of(const struct scene *s, const struct finding *f, uint64_t *from, uint64_t *to)
{
    uint64_t context = max_u64(CONTEXT_MIN, min_u64((f->until_us - f->at_us) * 6, CONTEXT_US));

    for (uint32_t i = 0; i < f->n_recs; i++) { /* What it rests on, unless that is long ago. */
        uint64_t ago = f->at_us - min_u64(s->h->recs[f->recs[i]].at_us, f->at_us);
        context = ago <= CONTEXT_US ? max_u64(context, ago + ago / 8) : context;
    }
    *from = f->at_us - min_u64(f->at_us, context);
    *to = min_u64(f->until_us + context / 2, s->end_us);
    return (*to - *from) * 5 < s->end_us * 4;
}

static void put_whole(const struct scene *s, struct buf *out)
{
    picture(s, "all", 0, s->end_us, out);
    buf_printf(out,
               "<p class=\"hint\">Wheel: nearer or farther. Drag: earlier or later. Double click: "
               "everything. <span id=\"where\"></span></p>\n");
}

/* The first finding as a picture and as lines, and the whole run. */
static void put_story(const struct scene *s, const struct finding *f, struct buf *out)
{
    uint64_t from;
    uint64_t to;

    if (f != NULL) {
        buf_printf(out, "<h2>What happened</h2>\n");
        if (!moment_of(s, f, &from, &to)) {
            put_whole(s, out);
            put_legend(s, out);
            put_excerpt(s, f, out);
            return;
        }
        picture(s, "moment", from, to, out);
        put_excerpt(s, f, out);
    }
    buf_printf(out, "<h2>The whole run</h2>\n");
    put_whole(s, out);
    put_legend(s, out);
}

/* The first finding of every other checker that found something: the lines around it. */
static void put_others(const struct scene *s, const struct finding *first, struct buf *out)
{
    for (size_t i = 0; i < s->v->n; i++) {
        const struct checked *c = &s->v->checked[i];
        if (c->n_findings == 0 || &c->findings[0] == first) {
            continue;
        }
        buf_printf(out, "<h3>%s, %.6f s: ", c->checker->name, (double)c->findings[0].at_us / 1e6);
        put_text(out, c->findings[0].text);
        buf_printf(out, "</h3>\n");
        put_excerpt(s, &c->findings[0], out);
    }
}

void report_svg(const struct hist *h, const struct verdicts *v, struct buf *out)
{
    struct scene s;

    scene_init(&s, h, v);
    picture(&s, "all", 0, s.end_us, out);
    scene_done(&s);
}

void report_html(const struct hist *h,
                 const struct verdicts *v,
                 const struct report_options *o,
                 struct buf *out)
{
    struct scene s;
    const struct finding *f = first_finding(v);

    scene_init(&s, h, v);
    buf_printf(out,
               "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>quorate "
               "chaos report</title>\n<style>%s</style></head><body>\n",
               report_css);
    put_headline(&s, o, out);
    put_story(&s, f, out);
    buf_printf(out, "<h2>Verdicts</h2>\n");
    put_verdicts(&s, out);
    put_others(&s, f, out);
    buf_printf(out, "<h2>How long things took</h2>\n");
    histograms(&s, out);
    if (o->scenario != NULL) {
        buf_printf(out, "<h2>Scenario</h2>\n<pre>");
        put_text(out, o->scenario);
        buf_printf(out, "</pre>\n");
    }
    buf_printf(out, "<script>%s</script>\n</body></html>\n", report_js);
    scene_done(&s);
}
