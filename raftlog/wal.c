/* Appending to the log.
 *
 *   wal_append ──▶ waiting ──place──▶ flights (batches, in order) ──disk──▶ done
 *
 * An append is cut into batches that fit in what is left of the segment. A segment that is full
 * gets its seal and the next one begins, if the one after that is there too; if not, appends wait
 * until the background has made it. When the disk has no room for a batch, that batch, everything
 * under way behind it and everything that waits fails, and the log stands again where it stood
 * before the batch; what may have reached the disk of it is overwritten with zeros before the next
 * append. */

#include "raftlog/wal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mark.h"
#include "core/util.h"

#include "raftlog/wal_impl.h"

static struct wal_segment *segment_of(struct wal *w, uint64_t number)
{
    uint64_t first = w->segments[0].number;
    return number < first || number - first >= w->n ? NULL : &w->segments[number - first];
}

/* --- completions */

static void flight_free(struct wal_flight *f)
{
    buf_done(&f->bytes);
    free(f);
}

static void append_done(struct wal_append *a, int code)
{
    if (code != ERR_NO_SPACE) {
        buf_done(&a->records);
    }
    a->done(a, code);
}

/* Everything that waits fails. */
static void fail_waiting(struct wal *w, int code)
{
    struct wal_append *a = w->waiting_first;
    w->waiting_first = w->waiting_last = NULL;
    while (a != NULL) {
        struct wal_append *next = a->next;
        append_done(a, code);
        a = next;
    }
}

/* Stand where the log stood before this batch. */
static void roll_back(struct wal *w, const struct wal_flight *f)
{
    struct wal_segment *s = segment_of(w, f->before.segment);
    assert(s != NULL);
    w->active = (uint32_t)(s - w->segments);
    w->at = f->before.at;
    w->begun = f->before.begun;
    w->first = f->before.first;
    w->last = f->before.last;
    w->last_term = f->before.last_term;
    w->durable_at = w->begun ? w->at : 0;
}

/* A batch failed: it, and all behind it. The disk fails those itself. */
static void flight_failed(struct wal *w, struct wal_flight *f, int code)
{
    if (w->failed == 0) {
        w->failed = code;
        w->full = code == ERR_NO_SPACE;
        MARK(write_failed);
        roll_back(w, f);
    }
    struct wal_segment *s = segment_of(w, f->segment);
    if (s != NULL && s == &w->segments[w->active]) {
        w->dirty_end = (uint32_t)max_u64(w->dirty_end, f->end);
    }
    struct wal_append *a = f->append;
    if (a == NULL) {
        return;
    }
    a->code = code;
    a->batches--;
    if (a->batches == 0 && a != w->waiting_first) {
        append_done(a, code);
    }
}

static void flight_durable(struct wal *w, struct wal_flight *f)
{
    w->durable = f->last;
    struct wal_segment *s = segment_of(w, f->segment);
    assert(s != NULL);
    if (s == &w->segments[w->active]) {
        w->durable_at = f->end;
    }
    if (f->seal) {
        MARK(segment_closed);
        disk_close(s->file);
        s->file = NULL;
        w->rolls++;
        wal_drop(w);
        if (w->o.rolled != NULL) {
            w->o.rolled(w->o.ctx);
        }
    }
    if (f->restart) {
        for (uint32_t i = 0; w->segments[i].number < f->segment; i++) {
            w->segments[i].max_index = 0;
        }
        wal_drop(w);
    }
    struct wal_append *a = f->append;
    if (a != NULL) {
        a->batches--;
        if (a->batches == 0 && a != w->waiting_first) {
            w->full = false;
            append_done(a, 0);
        }
    }
}

/* After a failure, when nothing is under way any more: what waits fails too, and a log that only
 * lacked room may be used again. */
static void settle(struct wal *w)
{
    if (w->flight_first != NULL || (w->failed == 0 && !w->starved)) {
        return;
    }
    int code = w->failed != 0 ? w->failed : ERR_NO_SPACE;
    MARK_IF(log_full, code == ERR_NO_SPACE);
    w->starved = false;
    w->full = code == ERR_NO_SPACE;
    w->failed = code == ERR_NO_SPACE ? 0 : code;
    fail_waiting(w, code);
}

static void flight_done(struct disk_write *write, int code)
{
    struct wal_flight *f = CONTAINER_OF(write, struct wal_flight, write);
    struct wal *w = f->w;
    assert(f == w->flight_first);
    w->flight_first = f->next;
    if (w->flight_first == NULL) {
        w->flight_last = NULL;
    }
    if (code == 0 && w->failed != 0) {
        code = w->failed; /* Behind a batch that failed: the disk cannot have written it. */
    }
    if (f->scrub && code == 0) {
        w->dirty_end = 0;
    } else if (code == 0) {
        flight_durable(w, f);
    } else {
        flight_failed(w, f, code);
    }
    flight_free(f);
    settle(w);
}

/* --- placing */

static struct wal_flight *flight_new(struct wal *w)
{
    struct wal_flight *f = mem_new(1, sizeof *f);
    f->w = w;
    f->segment = w->segments[w->active].number;
    f->before.segment = f->segment;
    f->before.at = w->at;
    f->before.begun = w->begun;
    f->before.first = w->first;
    f->before.last = w->last;
    f->before.last_term = w->last_term;
    return f;
}

static void flight_go(struct wal *w, struct wal_flight *f, uint32_t at)
{
    f->write.file = w->segments[w->active].file;
    f->write.offset = at;
    f->write.data = f->bytes.data;
    f->write.len = f->bytes.len;
    f->write.done = flight_done;
    f->last = w->last;
    f->last_term = w->last_term;
    f->end = at + (uint32_t)f->bytes.len;
    if (w->flight_last == NULL) {
        w->flight_first = f;
    } else {
        w->flight_last->next = f;
    }
    w->flight_last = f;
    disk_queue(w->o.disk, &f->write);
}

/* The batch in f->bytes goes where the log ends. */
static void batch_go(struct wal *w, struct wal_flight *f)
{
    struct wal_place place = {.segment = f->segment, .at = w->at, .durable = w->durable_at};
    wal_batch_finish(&f->bytes, &place);
    assert(w->at + f->bytes.len <= w->segments[w->active].bytes);
    w->begun = true;
    flight_go(w, f, w->at);
    w->at = f->end;
}

/* Zero what a failed batch may have left behind, and see it durable before anything follows. */
static void scrub(struct wal *w)
{
    struct wal_flight *f = flight_new(w);
    size_t len = w->dirty_end - w->at;
    memset(buf_reserve(&f->bytes, len), 0, len);
    f->bytes.len = len;
    f->scrub = true;
    f->write.alone = true;
    f->write.resume = true;
    flight_go(w, f, w->at);
}

static void put_open(struct wal *w, struct buf *b, bool restart)
{
    uint8_t flags[8];
    store_u64(flags, restart ? 1 : 0);
    wal_record_put(b, &(struct wal_record){.index = w->last,
                                           .term = w->last_term,
                                           .type = WAL_OPEN,
                                           .data = flags,
                                           .len = sizeof flags});
}

static uint32_t room(const struct wal *w)
{
    uint64_t used = (uint64_t)w->at + WAL_SEAL_SIZE + WAL_BATCH_HEADER + WAL_TRAILER +
                    (w->begun ? 0 : WAL_OPEN_SIZE);
    uint64_t bytes = w->segments[w->active].bytes;
    return used >= bytes ? 0 : (uint32_t)(bytes - used);
}

/* Whether the segment at this place in the list may be written to. */
static bool may_use(const struct wal *w, uint32_t i)
{
    return i + WAL_AHEAD_MIN < w->n;
}

/* Seal the segment in use and take the next. */
static void roll(struct wal *w)
{
    struct wal_flight *f = flight_new(w);
    wal_batch_begin(&f->bytes);
    if (!w->begun) {
        put_open(w, &f->bytes, /*restart=*/false);
    }
    wal_record_put(&f->bytes,
                   &(struct wal_record){.index = w->last, .term = w->last_term, .type = WAL_SEAL});
    f->seal = true;
    batch_go(w, f);
    w->active++;
    w->at = WAL_BLOCK;
    w->begun = false;
    w->durable_at = 0;
    struct wal_segment *s = &w->segments[w->active];
    s->min_index = w->last + 1;
    s->max_index = w->last;
}

/* Whether there is a place for `need` bytes of records; rolls if that helps. */
static bool make_room(struct wal *w, size_t need)
{
    if (room(w) < need) {
        if (!may_use(w, w->active + 1)) {
            return false;
        }
        roll(w);
        wal_prepare(w);
    }
    return may_use(w, w->active);
}

/* An entry's record goes into the batch that is being made. */
static void
note_entry(struct wal *w, const struct wal_flight *f, const uint8_t *record, size_t skip)
{
    struct wal_segment *s = &w->segments[w->active];
    uint64_t index = load_u64(record + 16);
    uint32_t at = w->at + (uint32_t)(f->bytes.len + skip);
    wal_places_put(w, index, f->segment, at, load_u32(record + 4));
    w->last = index;
    w->last_term = load_u64(record + 24);
    w->first = min_u64(w->first, index);
    s->min_index = min_u64(s->min_index, index);
    s->max_index = max_u64(s->max_index, index);
}

/* Place as much of the append as there is room for; true when all of it is placed. */
static bool place_entries(struct wal *w, struct wal_append *a)
{
    while (a->placed < a->records.len) {
        const uint8_t *from = a->records.data + a->placed;
        size_t left = a->records.len - a->placed;
        if (!make_room(w, wal_record_size(load_u32(from + 4)))) {
            return false;
        }
        struct wal_flight *f = flight_new(w);
        f->append = a;
        size_t most = room(w);
        wal_batch_begin(&f->bytes);
        if (!w->begun) {
            put_open(w, &f->bytes, /*restart=*/false);
        }
        size_t take = 0;
        while (take < left) {
            size_t size = wal_record_size(load_u32(from + take + 4));
            if (take + size > most) {
                break;
            }
            note_entry(w, f, from + take, take);
            take += size;
        }
        buf_put(&f->bytes, from, take);
        a->placed += take;
        a->batches++;
        batch_go(w, f);
    }
    return true;
}

static bool place_restart(struct wal *w, struct wal_append *a)
{
    const uint8_t *mark = a->records.data;
    if (w->begun) { /* A mark may stand only at the beginning of a segment. */
        if (!may_use(w, w->active + 1)) {
            return false;
        }
        roll(w);
        wal_prepare(w);
    }
    if (!may_use(w, w->active)) {
        return false;
    }
    struct wal_flight *f = flight_new(w);
    struct wal_segment *s = &w->segments[w->active];
    w->last = load_u64(mark + 16);
    w->last_term = load_u64(mark + 24);
    w->first = w->last + 1;
    w->prev_term = w->last_term;
    wal_places_restart(w, w->last);
    s->min_index = w->first;
    s->max_index = w->last;
    MARK(log_anew);
    f->append = a;
    f->restart = true;
    wal_batch_begin(&f->bytes);
    put_open(w, &f->bytes, /*restart=*/true);
    a->placed = a->records.len;
    a->batches++;
    batch_go(w, f);
    return true;
}

/* Place what waits, in order. */
static void place(struct wal *w)
{
    if (w->failed != 0 || w->starved || w->held != 0) {
        return;
    }
    while (w->waiting_first != NULL) {
        struct wal_append *a = w->waiting_first;
        if (w->dirty_end > w->at && w->flight_first == NULL) {
            scrub(w);
        }
        if (!(a->restart ? place_restart(w, a) : place_entries(w, a))) {
            MARK(segment_awaited);
            w->waits++;
            wal_prepare(w);
            return;
        }
        w->waiting_first = a->next;
        if (w->waiting_first == NULL) {
            w->waiting_last = NULL;
        }
        a->next = NULL;
    }
}

void wal_made(struct wal *w, const struct err *e)
{
    if (e->code == 0) {
        place(w);
        return;
    }
    bool waits = w->waiting_first != NULL;
    if (e->code != ERR_NO_SPACE) {
        w->failed = ERR_IO; /* The disk fails writes; nothing is worth trying on it. */
    }
    if (!waits) {
        return; /* Tried again by the append that needs it. */
    }
    w->starved = w->failed == 0;
    settle(w); /* What is under way is told first, as it comes back. */
}

/* --- the door */

static void wait_in_line(struct wal *w, struct wal_append *a)
{
    a->next = NULL;
    a->placed = 0;
    a->batches = 0;
    a->code = 0;
    if (w->waiting_last == NULL) {
        w->waiting_first = a;
    } else {
        w->waiting_last->next = a;
    }
    w->waiting_last = a;
    place(w);
}

int wal_append(struct wal *w, struct wal_append *a)
{
    uint64_t most = w->o.segment_bytes - WAL_BLOCK - WAL_SEAL_SIZE - WAL_BATCH_HEADER -
                    WAL_TRAILER - WAL_OPEN_SIZE;
    if (w->failed == ERR_IO) {
        return ERR_IO;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        if (a->entries[i].len > most || wal_record_size(a->entries[i].len) > most) {
            return ERR_TOO_BIG;
        }
    }
    assert(a->n > 0);
    a->records = (struct buf){0};
    for (uint32_t i = 0; i < a->n; i++) {
        const struct wal_entry *n = &a->entries[i];
        assert(n->type > 0 && n->type < 256 && n->index > 0 && n->term > 0);
        assert(i == 0 || n->index == n[-1].index + 1);
        wal_record_put(&a->records, &(struct wal_record){.index = n->index,
                                                         .term = n->term,
                                                         .type = n->type,
                                                         .data = n->data,
                                                         .len = n->len});
    }
    a->restart = false;
    a->last = a->entries[a->n - 1].index;
    a->last_term = a->entries[a->n - 1].term;
    wait_in_line(w, a);
    return 0;
}

void wal_hold(struct wal *w, enum wal_hold why, bool hold)
{
    w->held = hold ? w->held | why : w->held & ~(unsigned)why;
    place(w);
}

int wal_retry(struct wal *w, struct wal_append *a)
{
    if (w->failed == ERR_IO) {
        return ERR_IO;
    }
    assert(a->records.len > 0);
    wait_in_line(w, a);
    return 0;
}

void wal_forget(struct wal_append *a)
{
    buf_done(&a->records);
}

int wal_restart(struct wal *w, struct wal_append *a, uint64_t index, uint64_t term)
{
    if (w->failed == ERR_IO) {
        return ERR_IO;
    }
    a->records = (struct buf){0};
    wal_record_put(&a->records,
                   &(struct wal_record){.index = index, .term = term, .type = WAL_OPEN});
    a->restart = true;
    a->last = index;
    a->last_term = term;
    wait_in_line(w, a);
    return 0;
}

void wal_trim(struct wal *w, uint64_t index)
{
    w->trim = max_u64(w->trim, index);
    wal_drop(w);
}

bool wal_idle(const struct wal *w)
{
    return w->flight_first == NULL && w->waiting_first == NULL && !w->making.busy &&
           !w->dropping.busy;
}

void wal_get_status(const struct wal *w, struct wal_status *ret)
{
    const struct wal_append *tail = w->waiting_last;
    *ret = (struct wal_status){.first = w->first,
                               .last = tail != NULL ? tail->last : w->last,
                               .last_term = tail != NULL ? tail->last_term : w->last_term,
                               .durable = w->durable,
                               .prev_term = w->prev_term,
                               .segments = w->n,
                               .rolls = w->rolls,
                               .waits = w->waits,
                               .full = w->full,
                               .failed = w->failed == ERR_IO,
                               .cut = w->cut,
                               .cut_segment = w->cut_segment,
                               .cut_at = w->cut_at};
    for (uint32_t i = 0; i < w->n; i++) {
        ret->bytes += w->segments[i].bytes;
    }
}

int wal_open(struct wal **ret, const struct wal_options *options, struct err *e)
{
    assert(options->segment_bytes >= WAL_SEGMENT_MIN && options->segment_bytes % WAL_BLOCK == 0 &&
           options->segment_bytes <= WAL_SEGMENT_MAX);
    struct wal *w = mem_new(1, sizeof *w);
    w->o = *options;
    int rc = wal_scan(w, e);
    if (rc != 0) {
        wal_free(w);
        return rc;
    }
    wal_prepare(w);
    *ret = w;
    return 0;
}

void wal_free(struct wal *w)
{
    if (w == NULL) {
        return;
    }
    for (struct wal_append *a = w->waiting_first; a != NULL; a = a->next) {
        buf_done(&a->records);
    }
    for (struct wal_flight *f = w->flight_first; f != NULL;) {
        struct wal_flight *next = f->next;
        if (f->append != NULL) {
            buf_done(&f->append->records);
        }
        flight_free(f);
        f = next;
    }
    for (uint32_t i = 0; i < w->n; i++) {
        disk_close(w->segments[i].file);
    }
    disk_close(w->making.file);
    wal_places_done(w);
    free(w->segments);
    free(w);
}
