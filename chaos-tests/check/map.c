#include "chaos-tests/check/map.h"

#include <stdlib.h>

#include "core/util.h"

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = a * 0x9e3779b97f4a7c15ull + b;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint32_t *slot_of(const struct map *m, uint64_t a, uint64_t b)
{
    for (uint64_t at = mix(a, b);; at++) {
        uint32_t *slot = &m->slot[at & (m->n_slots - 1)];
        if (*slot == 0 || (m->rows[*slot - 1].a == a && m->rows[*slot - 1].b == b)) {
            return slot;
        }
    }
}

static void spread(struct map *m)
{
    free(m->slot);
    m->n_slots = m->n_slots == 0 ? 64 : m->n_slots * 2;
    m->slot = mem_new(m->n_slots, sizeof *m->slot);
    for (size_t i = 0; i < m->n; i++) {
        *slot_of(m, m->rows[i].a, m->rows[i].b) = (uint32_t)(i + 1);
    }
}

uint64_t *map_at(struct map *m, uint64_t a, uint64_t b, uint64_t fresh)
{
    uint32_t *slot;

    if ((m->n + 1) * 2 > m->n_slots) {
        spread(m);
    }
    slot = slot_of(m, a, b);
    if (*slot == 0) {
        if (m->n == m->cap) {
            m->cap = m->cap == 0 ? 32 : m->cap * 2;
            m->rows = mem_grow(m->rows, m->cap, sizeof *m->rows);
        }
        m->rows[m->n] = (struct map_row){.a = a, .b = b, .value = fresh};
        *slot = (uint32_t)++m->n;
    }
    return &m->rows[*slot - 1].value;
}

const uint64_t *map_get(const struct map *m, uint64_t a, uint64_t b)
{
    uint32_t slot;

    if (m->n == 0) {
        return NULL;
    }
    slot = *slot_of(m, a, b);
    return slot == 0 ? NULL : &m->rows[slot - 1].value;
}

void map_done(struct map *m)
{
    free(m->rows);
    free(m->slot);
    *m = (struct map){0};
}
