#include "raftlog/cache.h"

#include <assert.h>
#include <string.h>

#include "core/util.h"

#define SLOTS_MIN 64u

static struct cache_slot *slot(const struct cache *c, uint64_t index)
{
    return &c->slots[index & (c->slots_cap - 1)];
}

static void drop(struct cache *c, uint64_t index)
{
    struct cache_slot *s = slot(c, index);

    c->bytes -= s->len;
    free(s->data);
    *s = (struct cache_slot){0};
}

void cache_init(struct cache *c, uint64_t first, uint64_t budget)
{
    *c = (struct cache){.first = first, .last = first - 1, .in_memory = first, .budget = budget};
    c->slots_cap = SLOTS_MIN;
    c->slots = mem_new(SLOTS_MIN, sizeof *c->slots);
}

void cache_done(struct cache *c)
{
    for (; c->in_memory <= c->last; c->in_memory++) {
        drop(c, c->in_memory);
    }
    free(c->slots);
    free(c->runs);
    *c = (struct cache){0};
}

static void grow(struct cache *c)
{
    uint64_t cap = c->slots_cap * 2;
    struct cache_slot *slots = mem_new(cap, sizeof *slots);

    for (uint64_t i = c->in_memory; i <= c->last; i++) {
        slots[i & (cap - 1)] = *slot(c, i);
    }
    free(c->slots);
    c->slots = slots;
    c->slots_cap = cap;
}

void cache_append(struct cache *c, const struct node_entry *entry)
{
    assert(entry->index == c->last + 1);
    if (c->last + 1 - c->in_memory >= c->slots_cap) {
        grow(c);
    }
    if (c->runs_n == 0 || c->runs[c->runs_n - 1].term != entry->term) {
        assert(c->runs_n == 0 || c->runs[c->runs_n - 1].term < entry->term);
        if (c->runs_n == c->runs_cap) {
            c->runs_cap = c->runs_cap == 0 ? 16 : c->runs_cap * 2;
            c->runs = mem_grow(c->runs, c->runs_cap, sizeof *c->runs);
        }
        c->runs[c->runs_n++] = (struct cache_run){.first = entry->index, .term = entry->term};
    }
    c->last = entry->index;
    struct cache_slot *s = slot(c, entry->index);
    *s = (struct cache_slot){.term = entry->term, .len = entry->len, .type = entry->type};
    if (entry->len > 0) {
        s->data = mem_new(1, entry->len);
        memcpy(s->data, entry->data, entry->len);
    }
    c->bytes += entry->len;
}

void cache_truncate(struct cache *c, uint64_t index)
{
    assert(index >= c->first);
    for (; c->last >= index && c->last >= c->in_memory; c->last--) {
        drop(c, c->last);
    }
    if (c->last >= index) {
        c->last = index - 1;
    }
    c->in_memory = min_u64(c->in_memory, c->last + 1);
    while (c->runs_n > 0 && c->runs[c->runs_n - 1].first > c->last) {
        c->runs_n--;
    }
}

void cache_trim(struct cache *c, uint64_t first)
{
    if (first <= c->first) {
        return;
    }
    assert(first <= c->last + 1);
    for (; c->in_memory < first; c->in_memory++) {
        drop(c, c->in_memory);
    }
    c->first = first;
    uint32_t gone = 0;
    while (gone + 1 < c->runs_n && c->runs[gone + 1].first <= first) {
        gone++;
    }
    if (first > c->last) {
        gone = c->runs_n;
    }
    memmove(c->runs, c->runs + gone, (c->runs_n - gone) * sizeof *c->runs);
    c->runs_n -= gone;
}

void cache_reset(struct cache *c, uint64_t index, uint64_t term)
{
    for (; c->in_memory <= c->last; c->in_memory++) {
        drop(c, c->in_memory);
    }
    c->first = index + 1;
    c->last = index;
    c->in_memory = index + 1;
    c->runs_n = 0;
    c->snapshot_index = index;
    c->snapshot_term = term;
}

void cache_evict(struct cache *c, uint64_t upto)
{
    while (c->bytes > c->budget && c->in_memory <= upto && c->in_memory <= c->last) {
        drop(c, c->in_memory++);
    }
}

uint64_t cache_term(const struct cache *c, uint64_t index)
{
    if (index >= c->first && index <= c->last) {
        uint32_t low = 0;
        uint32_t high = c->runs_n;
        while (high - low > 1) {
            uint32_t mid = low + (high - low) / 2;
            if (c->runs[mid].first <= index) {
                low = mid;
            } else {
                high = mid;
            }
        }
        return c->runs[low].term;
    }
    return index != 0 && index == c->snapshot_index ? c->snapshot_term : 0;
}

bool cache_get(const struct cache *c, uint64_t index, struct node_entry *ret)
{
    if (index < c->in_memory || index > c->last) {
        return false;
    }
    const struct cache_slot *s = slot(c, index);
    *ret = (struct node_entry){
        .index = index, .term = s->term, .data = s->data, .len = s->len, .type = s->type};
    return true;
}
