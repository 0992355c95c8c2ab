/* Time, the queue (a heap of pointers), the digest. */

#include "chaos-tests/sim/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/util.h"

#include "chaos-tests/sim/heap.h"

struct world world;

/* --- memory */

void *world_new(size_t count, size_t size)
{
    struct heap *was = heap_switch(NULL);
    void *p = mem_new(count, size);
    (void)heap_switch(was);
    return p;
}

void *world_grow(void *p, size_t count, size_t size)
{
    struct heap *was = heap_switch(NULL);
    p = mem_grow(p, count, size);
    (void)heap_switch(was);
    return p;
}

void world_free(void *p)
{
    free(p);
}

/* --- begin and end */

void world_begin(uint64_t seed)
{
    struct vevent **heap = world.heap;
    uint32_t cap = world.cap;
    world = (struct world){.seed = seed, .end_ns = UINT64_MAX, .heap = heap, .cap = cap};
    world.hash = seed;
}

void world_end(void)
{
    for (uint32_t i = 1; i <= world.n; i++) {
        world.heap[i]->place = 0;
    }
    world_free(world.heap);
    world = (struct world){0};
}

/* --- the heap */

static bool before(const struct vevent *a, const struct vevent *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->number < b->number;
}

static void put(uint32_t place, struct vevent *ev)
{
    world.heap[place] = ev;
    ev->place = place;
}

static void sift_up(struct vevent *ev)
{
    uint32_t i = ev->place;
    while (i > 1 && before(ev, world.heap[i / 2])) {
        put(i, world.heap[i / 2]);
        i /= 2;
    }
    put(i, ev);
}

static void sift_down(struct vevent *ev)
{
    uint32_t i = ev->place;
    for (;;) {
        uint32_t child = 2 * i;
        if (child > world.n) {
            break;
        }
        if (child < world.n && before(world.heap[child + 1], world.heap[child])) {
            child++;
        }
        if (!before(world.heap[child], ev)) {
            break;
        }
        put(i, world.heap[child]);
        i = child;
    }
    put(i, ev);
}

/* Numbers of decisions are below those of everything else. */
#define DECISIONS (UINT64_C(1) << 32)

static void set(struct vevent *ev, uint64_t at_ns, uint64_t number)
{
    ev->at_ns = max_u64(at_ns, world.now_ns);
    ev->number = number;
    if (ev->place == 0) {
        if (world.n + 1 >= world.cap) {
            world.cap = world.cap == 0 ? 256 : world.cap * 2;
            world.heap = world_grow(world.heap, world.cap, sizeof(struct vevent *));
        }
        put(++world.n, ev);
    }
    sift_up(ev);
    sift_down(ev);
}

void vevent_set(struct vevent *ev, uint64_t at_ns)
{
    set(ev, at_ns, DECISIONS + ++world.numbers);
}

void vevent_set_first(struct vevent *ev, uint64_t at_ns)
{
    set(ev, at_ns, ++world.decisions);
}

void vevent_clear(struct vevent *ev)
{
    if (ev->place == 0) {
        return;
    }
    struct vevent *last = world.heap[world.n--];
    uint32_t place = ev->place;
    ev->place = 0;
    if (last != ev) {
        put(place, last);
        sift_up(last);
        sift_down(last);
    }
}

void world_run(uint64_t until_ns)
{
    while (world.n > 0 && !world.stop && world.heap[1]->at_ns <= until_ns) {
        struct vevent *ev = world.heap[1];
        vevent_clear(ev);
        assert(ev->at_ns >= world.now_ns);
        world.now_ns = ev->at_ns;
        world.fired++;
        ev->fire(ev);
    }
    if (!world.stop) {
        world.now_ns = max_u64(world.now_ns, until_ns);
    }
}

/* --- the digest */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 32);
}

void world_note(uint64_t what, uint64_t a, uint64_t b)
{
    world.hash = mix(world.hash ^ world.now_ns) + mix(what ^ (a << 8)) * 3 + mix(b);
}

void world_note_bytes(const void *data, size_t len)
{
    world_note(len, hash_bytes(data, len).lo, 0);
}

uint64_t world_hash(void)
{
    return mix(world.hash);
}

/* --- chance */

void world_rng(struct rng *rng, const char *purpose, uint64_t number)
{
    rng_seed(rng, mix(world.seed) ^ hash_bytes(purpose, strlen(purpose)).lo ^ mix(number + 1));
}

bool rng_chance(struct rng *rng, uint32_t ppm)
{
    return ppm > 0 && rng_below(rng, 1000000) < ppm;
}

uint64_t rng_between(struct rng *rng, uint64_t from, uint64_t to)
{
    return to <= from ? from : from + rng_below(rng, to - from + 1);
}
