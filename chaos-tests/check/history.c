/* The list of records and the table of names: see history.h. */

#include "chaos-tests/check/history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/util.h"

/* Every name once, by number, and an open-addressing table from text to number. */
struct hist_names {
    char **text;
    uint32_t n, cap;
    uint32_t *slot; /* Number of a name, or 0 for a free slot: "" is never looked up. */
    uint32_t n_slots;
};

void hist_init(struct hist *h, size_t max_recs)
{
    *h = (struct hist){.max_recs = max_recs == 0 ? HIST_MAX : max_recs};
    h->names = mem_new(1, sizeof *h->names);
    h->names->cap = 64;
    h->names->text = mem_new(h->names->cap, sizeof *h->names->text);
    h->names->text[0] = mem_strdup("");
    h->names->n = 1;
    h->names->n_slots = 256;
    h->names->slot = mem_new(h->names->n_slots, sizeof *h->names->slot);
}

void hist_done(struct hist *h)
{
    if (h->names != NULL) {
        for (uint32_t i = 0; i < h->names->n; i++) {
            free(h->names->text[i]);
        }
        free(h->names->text);
        free(h->names->slot);
        free(h->names);
    }
    free(h->recs);
    *h = (struct hist){0};
}

static uint32_t *slot_of(const struct hist_names *names, const char *text)
{
    uint64_t at = hash_bytes(text, strlen(text)).lo;

    for (;; at++) {
        uint32_t *slot = &names->slot[at & (names->n_slots - 1)];
        if (*slot == 0 || strcmp(names->text[*slot], text) == 0) {
            return slot;
        }
    }
}

/* Twice the slots, everything entered again. */
static void spread(struct hist_names *names)
{
    free(names->slot);
    names->n_slots *= 2;
    names->slot = mem_new(names->n_slots, sizeof *names->slot);
    for (uint32_t i = 1; i < names->n; i++) {
        *slot_of(names, names->text[i]) = i;
    }
}

static bool name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_.:/#@+-", c) != NULL);
}

hist_t_name hist_name(struct hist *h, const char *text)
{
    struct hist_names *names = h->names;
    char clean[HIST_NAME + 1];
    uint32_t *slot;

    (void)str_copy(clean, sizeof clean, text);
    for (char *c = clean; *c != '\0'; c++) {
        *c = name_byte(*c) ? *c : '_';
    }
    if (clean[0] == '\0') {
        return 0;
    }
    slot = slot_of(names, clean);
    if (*slot != 0) {
        return *slot;
    }
    assert(names->n < HIST_NAMES);
    if (names->n == names->cap) {
        names->cap *= 2;
        names->text = mem_grow(names->text, names->cap, sizeof *names->text);
    }
    names->text[names->n] = mem_strdup(clean);
    *slot = names->n++;
    if (names->n * 2 > names->n_slots) {
        spread(names);
        return names->n - 1;
    }
    return *slot;
}

uint32_t hist_n_names(const struct hist *h)
{
    return h->names->n;
}

const char *hist_name_text(const struct hist *h, hist_t_name name)
{
    assert(name < h->names->n);
    return h->names->text[name];
}

const char *hist_host_text(const struct hist *h, uint16_t host)
{
    return host < h->n_hosts ? hist_name_text(h, h->hosts[host]) : "-";
}

uint16_t hist_host_add(struct hist *h, const char *name)
{
    assert(h->n_hosts < HIST_HOSTS);
    h->hosts[h->n_hosts] = hist_name(h, name);
    return (uint16_t)h->n_hosts++;
}

void hist_add(struct hist *h, const struct rec *r)
{
    assert(h->n_recs == 0 || r->at_us >= h->recs[h->n_recs - 1].at_us);
    assert(hist_rec_sound(h, r));
    if (h->n_recs >= h->max_recs) {
        h->dropped++;
        return;
    }
    if (h->n_recs == h->cap_recs) {
        h->cap_recs = h->cap_recs == 0 ? 1024 : h->cap_recs * 2;
        h->recs = mem_grow(h->recs, h->cap_recs, sizeof *h->recs);
    }
    h->recs[h->n_recs++] = *r;
}
