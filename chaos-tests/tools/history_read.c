/* Reading consoles and disks into a history: see history.h. */

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

#include "chaos-tests/images/beat.h"
#include "chaos-tests/tools/history.h"

/* Room for one more element of an array; doubles it. */
static void *grow(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) {
        return array;
    }
    *cap = *cap == 0 ? 256 : *cap * 2;
    array = realloc(array, *cap * size);
    assert(array != NULL);
    return array;
}

static uint32_t host_index(struct history *h, const char *name)
{
    for (uint32_t i = 0; i < h->n_hosts; i++) {
        if (strcmp(h->hosts[i], name) == 0) {
            return i;
        }
    }
    assert(h->n_hosts < HISTORY_HOSTS);
    (void)snprintf(h->hosts[h->n_hosts], sizeof h->hosts[0], "%s", name);
    return h->n_hosts++;
}

static bool take_text(const char **at, const char *text)
{
    size_t n = strlen(text);

    if (strncmp(*at, text, n) != 0) {
        return false;
    }
    *at += n;
    return true;
}

static bool take_number(const char **at, const char *label, uint64_t *ret)
{
    char *end;

    if (!take_text(at, label) || **at < '0' || **at > '9') {
        return false;
    }
    errno = 0;
    *ret = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

static bool take_host(const char **at, const char *label, char host[64])
{
    size_t n;

    if (!take_text(at, label)) {
        return false;
    }
    n = strcspn(*at, " ");
    if (n == 0 || n > 63) {
        return false;
    }
    memcpy(host, *at, n);
    host[n] = '\0';
    *at += n;
    return true;
}

/* "HB N epoch=E host=H t=T rtc=S", the whole of it and nothing else. */
static bool parse_beat(struct history *h, const char *at, struct beat_line *b)
{
    char host[64];
    uint64_t ticks;

    if (!take_number(&at, "HB ", &b->counter) || !take_number(&at, " epoch=", &b->epoch) ||
        !take_host(&at, " host=", host) || !take_number(&at, " t=", &ticks) ||
        !take_number(&at, " rtc=", &b->rtc_s) || *at != '\0' || h->n_hosts >= HISTORY_HOSTS) {
        return false;
    }
    b->ticks = (uint32_t)ticks;
    b->said = host_index(h, host);
    return true;
}

static void other_line(struct history *h, const struct console *c, const char *line)
{
    if (strncmp(line, "BOOT ", 5) == 0) {
        h->boots++;
    } else if (strncmp(line, "BYE ", 4) == 0) {
        h->byes++;
    } else if (strncmp(line, "MOVED ", 6) == 0) {
        h->moves++;
    } else if (strncmp(line, "OVERLAP ", 8) == 0) {
        history_find(h, FINDING_OVERLAP, "%s: the guest itself says: %.120s", c->host, line);
    } else if (strncmp(line, "STALE ", 6) == 0) {
        history_find(h, FINDING_STALE, "%s: the guest itself says: %.120s", c->host, line);
    } else if (strncmp(line, "DISK ", 5) == 0 || strcmp(line, "NODISK") == 0) {
        history_find(h, FINDING_DISK, "%s: the guest itself says: %.120s", c->host, line);
    } else if (line[0] != '\0') {
        h->fragments++;
    }
}

/* One line. A line that was cut short by a migration may stand before the next one's first word
 * without a line end, so a heartbeat is looked for from the last "HB " on. */
static bool take_line(struct history *h, struct console *c, char *line)
{
    struct beat_line b = {0};
    char *last = NULL;

    for (char *at = strstr(line, "HB "); at != NULL; at = strstr(at + 1, "HB ")) {
        last = at;
    }
    if (last == NULL || !parse_beat(h, last, &b)) {
        other_line(h, c, line);
        return false;
    }
    h->fragments += last != line;
    b.where = host_index(h, c->host);
    b.source = c->number;
    b.order = c->lines++;
    h->host_beats[b.where]++;
    h->beats = grow(h->beats, h->n_beats, &h->cap_beats, sizeof *h->beats);
    h->beats[h->n_beats++] = b;
    return true;
}

size_t history_console(struct history *h, struct console *c, const char *text, size_t len)
{
    size_t beats = 0;

    if (c->number == 0) {
        c->number = ++h->n_consoles;
    }
    for (size_t i = 0; i < len; i++) {
        char ch = text[i];

        if (ch == '\r' || ch == '\0') {
            continue;
        }
        if (ch != '\n') {
            c->overlong = c->overlong || c->len == sizeof c->line - 1;
            if (!c->overlong) {
                c->line[c->len++] = ch;
            }
            continue;
        }
        c->line[c->len] = '\0';
        if (c->overlong) {
            h->fragments++;
        } else {
            beats += take_line(h, c, c->line);
        }
        c->len = 0;
        c->overlong = false;
    }
    return beats;
}

static bool read_sector(FILE *f, uint32_t sector, struct beat_record *ret, uint32_t kind)
{
    if (fseek(f, (long)sector * (long)BEAT_SECTOR, SEEK_SET) != 0 ||
        fread(ret, sizeof *ret, 1, f) != 1) {
        return false;
    }
    ret->host[BEAT_HOST - 1] = '\0';
    return beat_sealed(ret, kind);
}

/* The run whose lane begins here: its first beat, and the newest with the same token. */
static void read_lane(struct history *h, FILE *f, uint32_t lane, const char *name)
{
    struct beat_record first;
    struct beat_record r;
    struct beat_run *run;

    if (!read_sector(f, lane, &first, BEAT_FIRST)) {
        return;
    }
    h->runs = grow(h->runs, h->n_runs, &h->cap_runs, sizeof *h->runs);
    run = &h->runs[h->n_runs++];
    *run = (struct beat_run){.run = first.run,
                             .epoch = first.epoch,
                             .token = first.token,
                             .first = first.counter,
                             .last = first.counter};
    (void)snprintf(run->host, sizeof run->host, "%s", first.host);
    (void)snprintf(run->disk, sizeof run->disk, "%s", name);
    for (uint32_t i = 1; i <= BEAT_RING; i++) {
        if (!read_sector(f, lane + i, &r, BEAT_RECORD) || r.run != first.run) {
            continue;
        }
        if (r.token != first.token) {
            history_find(h, FINDING_OVERLAP,
                         "%s: beat %" PRIu64 " of run %" PRIu64
                         " was written by another copy (on %s) of that run (on %s)",
                         name, r.counter, r.run, r.host, first.host);
        } else if (r.counter > run->last) {
            run->last = r.counter;
        }
    }
}

int history_disk(struct history *h, const char *path, struct err *e)
{
    struct beat_record head;
    struct beat_record mine;
    struct beat_record found;
    const char *name = strrchr(path, '/');
    FILE *f = fopen(path, "rbe");

    name = name == NULL ? path : name + 1;
    if (f == NULL) {
        return err_sys(e, ERR_IO, errno, "open %s", path);
    }
    if (!read_sector(f, 0, &head, BEAT_HEAD)) {
        (void)fclose(f);
        return err_set(e, ERR_CORRUPT, "%s: no heartbeat on this disk", path);
    }
    h->disk_last = head.counter > h->disk_last ? head.counter : h->disk_last;
    if (read_sector(f, 1, &mine, BEAT_OVERLAP) && read_sector(f, 2, &found, BEAT_OVERLAP)) {
        history_find(
            h, FINDING_OVERLAP,
            "%s: at beat %" PRIu64 " (epoch %" PRIu64 " on %s) the guest found beat %" PRIu64
            " (epoch %" PRIu64 " on %s) on its disk",
            name, mine.counter, mine.epoch, mine.host, found.counter, found.epoch, found.host);
    }
    for (uint32_t lane = 0; lane < BEAT_LANES; lane++) {
        read_lane(h, f, beat_lane(lane), name);
    }
    (void)fclose(f);
    return 0;
}
