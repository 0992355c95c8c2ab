/* The text form of a history.
 *
 *     quorate-history 1
 *     hosts h1 h2 h3
 *     #    time us kind      | h1   h2   h3  |
 *          1500000 copy      |*M1   .    .   | host=h1 guest=web1 epoch=7 state=running
 *
 * The part between the bars is a picture for people (lanes.h): it is made when a history is written
 * and passed over when one is read, so that a line may be written by hand without it. A field that
 * is left out is 0, or no host. Times may be written as 1500000, 1500ms or 15s; `never` is
 * HIST_NEVER. Empty lines and lines that begin with # mean nothing. */

#include "chaos-tests/check/history_text.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/check/lanes.h"
#include "chaos-tests/check/words.h"

#define HEADING_EVERY 50 /* Lines between two headings. */

/* --- writing */

static void put_hosts(const struct hist *h, uint64_t set, struct buf *out)
{
    bool any = false;

    for (uint16_t i = 0; i < h->n_hosts; i++) {
        if (set >> i & 1) {
            buf_printf(out, "%s%s", any ? "," : "", hist_host_text(h, i));
            any = true;
        }
    }
    if (!any) {
        buf_printf(out, "-");
    }
}

static void put_value(const struct hist *h, const struct rec_field *f, uint64_t v, struct buf *out)
{
    switch (f->type) {
    case REC_T_HOST: buf_printf(out, "%s", hist_host_text(h, (uint16_t)v)); return;
    case REC_T_NAME:
        buf_printf(out, "%s", v == 0 ? "-" : hist_name_text(h, (hist_t_name)v));
        return;
    case REC_T_HOSTS: put_hosts(h, v, out); return;
    case REC_T_ENUM: buf_printf(out, "%s", f->names[v]); return;
    case REC_T_TIME:
    case REC_T_U32:
    case REC_T_U64: break;
    }
    if (v == HIST_NEVER) {
        buf_printf(out, "never");
    } else {
        buf_printf(out, "%" PRIu64, v);
    }
}

/* Columns that a field is given, its name and = not counted. */
static int width_of(const struct rec_field *f)
{
    switch (f->type) {
    case REC_T_HOST: return 4;
    case REC_T_NAME: return 8;
    case REC_T_U32: return 3;
    case REC_T_U64: return 6;
    case REC_T_TIME: return 10;
    case REC_T_HOSTS: return 8;
    case REC_T_ENUM: break;
    }
    return 8;
}

static void put_fields(const struct hist *h, const struct rec *r, struct buf *out)
{
    const struct rec_field *f = rec_layouts[r->kind].fields;

    for (; f->name != NULL; f++) {
        size_t before;
        buf_printf(out, " %s=", f->name);
        before = out->len;
        put_value(h, f, rec_field_get(r, f), out);
        if (f[1].name != NULL && out->len - before < (size_t)width_of(f)) {
            buf_printf(out, "%*s", width_of(f) - (int)(out->len - before), "");
        }
    }
}

const char *hist_rec_text(const struct hist *h, const struct rec *r, char out[HIST_LINE])
{
    struct buf line = {0};

    buf_printf(&line, "%12" PRIu64 " %-9s ||", r->at_us, rec_kind_name(r->kind));
    put_fields(h, r, &line);
    buf_put_u8(&line, 0);
    (void)str_copy(out, HIST_LINE, (const char *)line.data);
    buf_done(&line);
    return out;
}

static void put_heading(const struct hist *h, struct buf *out)
{
    buf_printf(out, "#    time us kind      |");
    for (uint16_t i = 0; i < h->n_hosts; i++) {
        buf_printf(out, " %-4.3s", hist_host_text(h, i));
    }
    buf_printf(out, "|\n");
}

void hist_write(const struct hist *h, struct buf *out)
{
    struct lanes lanes = {0};

    buf_printf(out, "quorate-history %d\nhosts", HIST_VERSION);
    for (uint16_t i = 0; i < h->n_hosts; i++) {
        buf_printf(out, " %s", hist_host_text(h, i));
    }
    buf_printf(out, "\n");
    for (size_t i = 0; i < h->n_recs; i++) {
        const struct rec *r = &h->recs[i];
        if (i % HEADING_EVERY == 0) {
            put_heading(h, out);
        }
        lanes_take(&lanes, r, (uint32_t)i);
        buf_printf(out, "%12" PRIu64 " %-9s |", r->at_us, rec_kind_name(r->kind));
        lanes_text(&lanes, h, r, out);
        buf_printf(out, "|");
        put_fields(h, r, out);
        buf_printf(out, "\n");
    }
    if (h->dropped != 0) {
        buf_printf(out, "dropped %" PRIu64 "\n", h->dropped);
    }
    lanes_done(&lanes);
}

/* --- reading */

static int host_of(const struct hist *h, const char *text, uint16_t *ret)
{
    for (uint16_t i = 0; i < h->n_hosts; i++) {
        if (strcmp(hist_host_text(h, i), text) == 0) {
            *ret = i;
            return 0;
        }
    }
    return ERR_UNKNOWN;
}

static int hosts_of(const struct hist *h, char *text, uint64_t *ret)
{
    uint64_t set = 0;
    char *rest = text;
    char *one;
    uint16_t host;

    if (strcmp(text, "-") == 0) {
        *ret = 0;
        return 0;
    }
    while ((one = strsep(&rest, ",")) != NULL) {
        if (host_of(h, one, &host) != 0) {
            return ERR_UNKNOWN;
        }
        set |= 1ull << host;
    }
    *ret = set;
    return 0;
}

static int enum_of(const struct rec_field *f, const char *text, uint64_t *ret)
{
    for (uint64_t i = 0; f->names[i] != NULL; i++) {
        if (strcmp(f->names[i], text) == 0) {
            *ret = i;
            return 0;
        }
    }
    return ERR_UNKNOWN;
}

/* The value of a field; *text may be changed on the way. */
static int value_of(struct hist *h, const struct rec_field *f, char *text, uint64_t *ret)
{
    uint16_t host;

    switch (f->type) {
    case REC_T_HOST:
        *ret = HIST_NONE;
        if (strcmp(text, "-") == 0) {
            return 0;
        }
        if (host_of(h, text, &host) != 0) {
            return ERR_UNKNOWN;
        }
        *ret = host;
        return 0;
    case REC_T_NAME:
        *ret = strcmp(text, "-") == 0 ? 0 : hist_name(h, text);
        return strlen(text) <= HIST_NAME && hist_n_names(h) < HIST_NAMES ? 0 : ERR_TOO_BIG;
    case REC_T_HOSTS: return hosts_of(h, text, ret);
    case REC_T_ENUM: return enum_of(f, text, ret);
    case REC_T_TIME: return word_time(text, ret);
    case REC_T_U32:
    case REC_T_U64: break;
    }
    return word_number(text, f->type == REC_T_U32 ? UINT32_MAX : UINT64_MAX, ret);
}

static int read_field(struct hist *h, struct words *w, struct rec *r, uint64_t *seen)
{
    const struct rec_field *f = rec_layouts[r->kind].fields;
    char *value = strchr(w->word, '=');
    uint64_t v = 0;

    if (value == NULL) {
        return words_error(w, "expected field=value, not \"%s\"", w->word);
    }
    *value++ = '\0';
    for (size_t i = 0; f->name != NULL; i++, f++) {
        if (strcmp(f->name, w->word) != 0) {
            continue;
        }
        if (*seen >> i & 1) {
            return words_error(w, "%s is given twice", f->name);
        }
        *seen |= 1ull << i;
        if (value_of(h, f, value, &v) != 0) {
            return words_error(w, "\"%s\" is no value of %s", value, f->name);
        }
        rec_field_set(r, f, v);
        return 0;
    }
    return words_error(w, "%s has no field \"%s\"", rec_kind_name(r->kind), w->word);
}

static int read_kind(struct words *w, struct rec *r)
{
    for (unsigned i = 0; i < REC_KINDS; i++) {
        if (strcmp(rec_layouts[i].name, w->word) == 0) {
            r->kind = (enum rec_kind)i;
            return 0;
        }
    }
    return words_error(w, "unknown kind of record \"%s\"", w->word);
}

static int read_record(struct hist *h, struct words *w)
{
    struct rec r = {0};
    uint64_t seen = 0;
    int rc;

    if (word_time(w->word, &r.at_us) != 0 || r.at_us == HIST_NEVER) {
        return words_error(w, "\"%s\" is no time", w->word);
    }
    if (h->n_recs > 0 && r.at_us < h->recs[h->n_recs - 1].at_us) {
        return words_error(w, "time goes back");
    }
    if (!words_next(w)) {
        return words_error(w, "a time without a record");
    }
    rc = read_kind(w, &r);
    if (rc != 0) {
        return rc;
    }
    for (const struct rec_field *f = rec_layouts[r.kind].fields; f->name != NULL; f++) {
        rec_field_set(&r, f, f->type == REC_T_HOST ? HIST_NONE : 0);
    }
    if (!words_skip_picture(w)) {
        return words_error(w, "the picture has no end");
    }
    while (rc == 0 && words_next(w)) {
        rc = read_field(h, w, &r, &seen);
    }
    if (rc != 0) {
        return rc;
    }
    if (!hist_rec_sound(h, &r)) {
        return words_error(w, "%s needs a host", rec_kind_name(r.kind));
    }
    if (h->n_recs >= h->max_recs) {
        return err_set(w->e, ERR_TOO_BIG, "line %u: more than %zu records", w->line, h->max_recs);
    }
    hist_add(h, &r);
    return 0;
}

static int read_hosts(struct hist *h, struct words *w)
{
    uint16_t host;

    if (h->n_hosts > 0) {
        return words_error(w, "hosts are given twice");
    }
    while (words_next(w)) {
        if (h->n_hosts == HIST_HOSTS) {
            return words_error(w, "more than %d hosts", HIST_HOSTS);
        }
        if (strlen(w->word) > HIST_NAME || strcmp(w->word, "-") == 0 ||
            host_of(h, w->word, &host) == 0) {
            return words_error(w, "\"%s\" is no name for another host", w->word);
        }
        (void)hist_host_add(h, w->word);
        if (host_of(h, w->word, &host) != 0) {
            return words_error(w, "\"%s\" has bytes that a name cannot have", w->word);
        }
    }
    return 0;
}

static int read_line(struct hist *h, struct words *w)
{
    if (w->word[0] == '#') {
        return 0;
    }
    if (strcmp(w->word, "hosts") == 0) {
        return read_hosts(h, w);
    }
    if (strcmp(w->word, "dropped") == 0) {
        return words_next(w) && word_number(w->word, UINT64_MAX, &h->dropped) == 0
                   ? 0
                   : words_error(w, "expected how many records were dropped");
    }
    return read_record(h, w);
}

int hist_read(struct hist *h, const char *text, size_t len, struct err *e)
{
    struct words w;
    int rc;

    assert(h->n_recs == 0 && h->n_hosts == 0);
    rc = words_open(&w, text, len, "quorate-history", HIST_VERSION, e);
    while (rc == 0 && words_line(&w, &rc)) {
        rc = read_line(h, &w);
    }
    return rc;
}
