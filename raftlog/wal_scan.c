/* Recovery: read the segments in order, tell the entries, cut what was never acknowledged. The
 * rules are in wal.h; the letters in the comments are theirs. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mark.h"
#include "core/util.h"

#include "raftlog/wal_impl.h"

struct names {
    uint64_t *numbers;
    uint32_t n;
    uint32_t cap;
    char (*junk)[DISK_NAME_SIZE]; /* Half-made segments and spares. */
    uint32_t junk_n;
};

static void names_done(struct names *n)
{
    free(n->numbers);
    free(n->junk);
}

static void found_name(void *ctx, const char *name)
{
    struct names *n = ctx;
    uint64_t number = wal_name_parse(name);
    if (number == 0) {
        if (strncmp(name, "wal-", 4) == 0) {
            n->junk = mem_grow(n->junk, n->junk_n + 1, sizeof *n->junk);
            (void)str_copy(n->junk[n->junk_n++], DISK_NAME_SIZE, name);
        }
        return;
    }
    if (n->n == n->cap) {
        n->cap = n->cap == 0 ? 16 : n->cap * 2;
        n->numbers = mem_grow(n->numbers, n->cap, sizeof *n->numbers);
    }
    n->numbers[n->n++] = number;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int list_names(struct wal *w, struct names *n, struct err *e)
{
    int rc = disk_list(w->o.disk, found_name, n, e);
    if (rc == 0 && n->n > 0) {
        qsort(n->numbers, n->n, sizeof *n->numbers, by_number);
    }
    return rc;
}

/* --- a new log */

static int remove_junk(struct wal *w, const struct names *n, struct err *e)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n->junk_n; i++) {
        rc = disk_remove(w->o.disk, n->junk[i], e);
    }
    return rc;
}

static int add_made(struct wal *w, uint64_t number, struct err *e)
{
    struct wal_header h = {.pool = w->o.pool, .number = number, .bytes = w->o.segment_bytes};
    struct disk_file *f = NULL;
    int rc = wal_make(w->o.disk, &h, "", &f, e);
    if (rc == 0) {
        wal_add(w, number, h.bytes)->file = f;
    }
    return rc;
}

static int create(struct wal *w, const struct names *n, struct err *e)
{
    int rc = remove_junk(w, n, e);
    for (uint32_t i = 0; rc == 0 && i < n->n; i++) {
        char name[DISK_NAME_SIZE];
        wal_segment_name(name, n->numbers[i]);
        rc = disk_remove(w->o.disk, name, e);
    }
    for (uint64_t number = 1; rc == 0 && number <= 1 + WAL_AHEAD_MIN; number++) {
        rc = add_made(w, number, e);
    }
    if (rc != 0) {
        return rc;
    }
    w->first = 1;
    wal_places_restart(w, 0);
    w->segments[0].min_index = 1;
    w->at = WAL_BLOCK;
    return 0;
}

/* --- reading */

struct scan {
    struct wal *w;
    struct wal_bytes bytes;
    char name[DISK_NAME_SIZE];
    uint8_t *data;
    bool any;     /* An open record was seen. */
    bool written; /* The segment at hand has a batch, or part of one. */
    bool sealed;
    uint32_t end;     /* Where its batches end. */
    uint32_t durable; /* By its own word it is durable up to here. */
    bool ended;       /* The log ended in a segment before. */
    uint64_t end_number;
    uint32_t end_at;
    bool end_torn;
};

static int corrupt(const struct scan *s, uint32_t at, struct err *e, const char *what)
{
    MARK(log_damaged);
    return err_set(e, ERR_CORRUPT, "log segment %s is damaged at offset %u: %s", s->name, at, what);
}

static int read_segment(struct scan *s, uint64_t number, struct err *e)
{
    struct wal *w = s->w;
    struct disk_file *f = NULL;
    uint64_t size = 0;
    size_t got = 0;
    wal_segment_name(s->name, number);
    int rc = disk_open(w->o.disk, s->name, DISK_WRITE, &f, e);
    if (rc != 0) {
        return rc;
    }
    wal_add(w, number, 0)->file = f;
    rc = disk_size(f, &size, e);
    if (rc != 0) {
        return rc;
    }
    if (size < WAL_BLOCK || size > WAL_SEGMENT_MAX || size % 8 != 0) {
        return err_set(e, ERR_CORRUPT, "log segment %s is damaged: it has %llu bytes", s->name,
                       (unsigned long long)size);
    }
    free(s->data);
    s->data = mem_new((size_t)size, 1);
    rc = disk_read(f, 0, s->data, (size_t)size, &got, e);
    if (rc != 0) {
        return rc;
    }
    s->bytes = (struct wal_bytes){.data = s->data, .len = got, .segment = number};
    return got == size ? 0 : corrupt(s, (uint32_t)got, e, "it is shorter than it says");
}

static int check_header(struct scan *s, struct err *e)
{
    struct wal *w = s->w;
    struct wal_header h = {0};
    int rc = wal_header_decode(s->data, &h, e);
    if (rc != 0) {
        return err_wrap(e, "log segment %s", s->name);
    }
    char theirs[ID_TEXT_SIZE];
    if (!id_equal(&h.pool, &w->o.pool)) {
        return err_set(e, ERR_REFUSED, "log segment %s belongs to another pool, %s", s->name,
                       id_text(&h.pool, theirs));
    }
    if (h.number != s->bytes.segment) {
        return corrupt(s, 32, e, "it is another segment under this name");
    }
    if (h.bytes != s->bytes.len) {
        return corrupt(s, 40, e, "the file does not have the length it was made with");
    }
    w->segments[w->n - 1].bytes = h.bytes;
    return 0;
}

static int take_open(struct scan *s, const struct wal_record *r, uint32_t at, struct err *e)
{
    struct wal *w = s->w;
    if (r->len != 8) {
        return corrupt(s, at, e, "the open record has another length");
    }
    bool restart = (r->data[0] & 1) != 0;
    if (s->any && !restart && (r->index != w->last || r->term != w->last_term)) {
        return corrupt(s, at, e, "it does not follow the segment before it");
    }
    if (restart || !s->any) {
        w->first = r->index + 1;
        w->last = r->index;
        w->last_term = r->term;
        w->prev_term = r->term;
        wal_places_restart(w, r->index);
        if (w->o.restart != NULL && (restart || r->index > 0)) {
            w->o.restart(w->o.ctx, r->index, r->term);
        }
    }
    if (restart) {
        MARK(anew_read);
        for (uint32_t i = 0; i + 1 < w->n; i++) {
            w->segments[i].max_index = 0;
        }
    }
    struct wal_segment *g = &w->segments[w->n - 1];
    g->min_index = r->index + 1;
    g->max_index = r->index;
    s->any = true;
    return 0;
}

static int take_entry(struct scan *s, const struct wal_record *r, uint32_t at, struct err *e)
{
    struct wal *w = s->w;
    struct wal_segment *g = &w->segments[w->n - 1];
    if (r->index == 0 || r->index > w->last + 1) {
        return corrupt(s, at, e, "an index is missing");
    }
    if (r->index == w->last + 1 && r->term < w->last_term) {
        return corrupt(s, at, e, "a term goes back");
    }
    MARK_IF(overwritten_read, r->index <= w->last);
    w->last = r->index;
    w->last_term = r->term;
    if (r->index < w->first) {
        w->first = r->index;
        w->prev_term = 0;
    }
    wal_places_put(w, r->index, s->bytes.segment, at, (uint32_t)r->len);
    g->min_index = min_u64(g->min_index, r->index);
    g->max_index = max_u64(g->max_index, r->index);
    w->o.entry(
        w->o.ctx,
        &(struct wal_entry){
            .index = r->index, .term = r->term, .type = r->type, .data = r->data, .len = r->len});
    return 0;
}

static int take_batch(struct scan *s, const struct wal_batch *batch, struct err *e)
{
    struct wal_record r;
    uint32_t at = 0;
    bool first = !s->written;
    int rc = 0;
    while (rc == 0 && wal_record_next(&s->bytes, batch, &at, &r)) {
        uint32_t where = at - (uint32_t)wal_record_size(r.len);
        if (s->sealed || (r.type == WAL_OPEN) != first) {
            rc = corrupt(s, where, e, "a record is out of place");
        } else if (r.type == WAL_OPEN) {
            rc = take_open(s, &r, where, e);
        } else if (r.type == WAL_SEAL) {
            s->sealed = true;
            if (r.index != s->w->last || r.term != s->w->last_term) {
                rc = corrupt(s, where, e, "the seal does not match");
            }
        } else if (r.type == 0 || r.type > 255 || r.term == 0) {
            rc = corrupt(s, where, e, "a record of no known type");
        } else {
            rc = take_entry(s, &r, where, e);
        }
        first = false;
    }
    s->written = true;
    return rc;
}

/* (b): does a batch after `at` say that this was durable? */
static int check_later(struct scan *s, uint32_t at, struct err *e)
{
    struct wal_batch later;
    for (uint32_t p = at + 8; p < s->bytes.len; p += 8) {
        if (wal_batch_peek(&s->bytes, p, &later) && later.durable > at) {
            return corrupt(s, at, e, "a later batch says that this one was on the disk");
        }
    }
    return 0;
}

/* The batches of one segment that may hold some. */
static int take_segment(struct scan *s, struct err *e)
{
    struct wal_batch batch = {0};
    uint32_t at = WAL_BLOCK;
    uint32_t bad = 0;
    enum wal_found found = WAL_FOUND_END;
    int rc = 0;
    s->written = false;
    s->sealed = false;
    s->end = s->durable = WAL_BLOCK;
    while (rc == 0 && (found = wal_batch_check(&s->bytes, at, &batch, &bad)) == WAL_FOUND_BATCH) {
        rc = take_batch(s, &batch, e);
        at += batch.len;
        s->end = at;
        s->durable = (uint32_t)max_u64(s->durable, batch.durable);
    }
    if (rc != 0) {
        return rc;
    }
    if (found == WAL_FOUND_ROT) { /* (c) */
        return corrupt(s, bad, e, "what stands there is not what was written");
    }
    bool rest = !wal_is_zero(s->data + at, s->bytes.len - at);
    if (s->sealed) {
        return rest ? corrupt(s, at, e, "there are bytes after its end") : 0;
    }
    s->ended = true;
    s->end_number = s->bytes.segment;
    s->end_at = at;
    s->end_torn = rest;
    s->written = s->written || rest;
    return rest ? check_later(s, at, e) : 0;
}

/* What was read may stand in the page cache only: the process died before its sync, or the sync
 * failed, after which the kernel takes the pages for written and another sync would do nothing. So
 * what the segment does not know to be durable is written once more, before anything that follows
 * it. */
static int settle(const struct scan *s, struct err *e)
{
    struct wal_segment *g = &s->w->segments[s->w->n - 1];
    struct disk_file *f = g->file;
    MARK_IF(tail_written_again, s->end > s->durable);
    int rc = s->end > s->durable
                 ? disk_write(f, s->durable, s->data + s->durable, s->end - s->durable, e)
                 : 0;
    rc = rc == 0 ? disk_sync(f, e) : rc;
    if (!s->ended) { /* Full: never written to again. */
        disk_close(f);
        g->file = NULL;
    }
    return rc;
}

static int take_all(struct scan *s, const struct names *n, struct err *e)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n->n; i++) {
        if (i > 0 && n->numbers[i] != n->numbers[i - 1] + 1) {
            wal_segment_name(s->name, n->numbers[i - 1] + 1);
            return err_set(e, ERR_CORRUPT, "log segment %s is missing", s->name);
        }
        rc = read_segment(s, n->numbers[i], e);
        if (rc == 0) {
            rc = check_header(s, e);
        }
        if (rc != 0) {
            return rc;
        }
        if (!s->ended) {
            rc = take_segment(s, e);
            if (rc == 0 && s->written && i + WAL_AHEAD_MIN >= n->n) {
                wal_segment_name(s->name, n->numbers[i] + 1);
                return err_set(e, ERR_CORRUPT, "log segment %s is missing", s->name);
            }
            rc = rc == 0 ? settle(s, e) : rc;
        } else if (!wal_is_zero(s->data + WAL_BLOCK, s->bytes.len - WAL_BLOCK)) { /* (a) */
            return err_set(e, ERR_CORRUPT,
                           "log segment " WAL_NAME_FORMAT
                           " is damaged at offset %u: the log goes on in %s",
                           (unsigned long long)s->end_number, s->end_at, s->name);
        }
    }
    return rc;
}

/* --- the end */

/* What was written after the end, and never acknowledged, becomes zero again. */
static int cut_tail(struct wal *w, struct err *e)
{
    struct wal_segment *g = &w->segments[w->active];
    uint64_t len = g->bytes - w->at;
    uint8_t *zeros CLEANUP(cleanup_free) = mem_new((size_t)len, 1);
    int rc = disk_write(g->file, w->at, zeros, (size_t)len, e);
    return rc == 0 ? disk_sync(g->file, e) : rc;
}

static int find_end(struct scan *s, struct err *e)
{
    struct wal *w = s->w;
    if (!s->ended) { /* A sealed segment at the very end: take_all() would have refused it. */
        return err_set(e, ERR_CORRUPT, "the log has no end");
    }
    if (!s->any) {
        w->first = 1;
        wal_places_restart(w, 0);
    }
    w->active = (uint32_t)(s->end_number - w->segments[0].number);
    w->at = s->end_at;
    w->begun = w->at > WAL_BLOCK;
    if (!w->begun) {
        w->segments[w->active].min_index = w->last + 1;
        w->segments[w->active].max_index = w->last;
    }
    if (w->last < w->o.acked) { /* (d) */
        char name[DISK_NAME_SIZE];
        wal_segment_name(name, s->end_number);
        return err_set(e, ERR_CORRUPT,
                       "log segment %s is damaged at offset %u: the log ends with entry %llu, but "
                       "entry %llu was acknowledged",
                       name, w->at, (unsigned long long)w->last, (unsigned long long)w->o.acked);
    }
    w->durable_at = w->begun ? w->at : 0;
    w->durable = w->last;
    if (!s->end_torn) {
        return 0;
    }
    MARK(tail_cut);
    w->cut = true;
    w->cut_segment = s->end_number;
    w->cut_at = s->end_at;
    return cut_tail(w, e);
}

int wal_scan(struct wal *w, struct err *e)
{
    struct names names CLEANUP(names_done) = {0};
    int rc = list_names(w, &names, e);
    if (rc != 0) {
        return rc;
    }
    if (w->o.create) {
        return create(w, &names, e);
    }
    if (names.n == 0) {
        return err_set(e, ERR_CORRUPT, "the log is missing: there is no file wal-*");
    }
    /* The process before may have died between a change of names and its sync: they are relied upon
     * from here on, those of snapshots too. */
    rc = disk_sync_dir(w->o.disk, e);
    struct scan s = {.w = w};
    rc = rc == 0 ? take_all(&s, &names, e) : rc;
    if (rc == 0) {
        rc = find_end(&s, e);
    }
    free(s.data);
    return rc == 0 ? remove_junk(w, &names, e) : rc;
}
