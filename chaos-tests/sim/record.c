#include "chaos-tests/sim/record.h"

#include <string.h>

#include "core/buf.h"

#include "chaos-tests/sim/heap.h"
#include "chaos-tests/sim/world.h"

static struct hist *into;
static const uint8_t mark[] = {'c', 'l', 't'};

void record_into(struct hist *h)
{
    into = h;
}

bool record_on(void)
{
    return into != NULL;
}

void record(struct rec *r)
{
    if (into != NULL) {
        struct heap *was = heap_switch(NULL);
        r->at_us = world.now_ns / NS_PER_US;
        hist_add(into, r);
        (void)heap_switch(was);
    }
}

hist_t_name record_name(const char *text)
{
    if (into == NULL) {
        return 0;
    }
    struct heap *was = heap_switch(NULL);
    hist_t_name name = hist_name(into, text);
    (void)heap_switch(was);
    return name;
}

void record_mark_request(struct id *request)
{
    memcpy(request->b, mark, sizeof mark);
}

uint64_t record_request(const struct id *request)
{
    return memcmp(request->b, mark, sizeof mark) == 0 ? load_u64(request->b + 8) | 1 : 0;
}

void record_host(uint32_t host, enum host_power power)
{
    record(&(struct rec){.kind = REC_HOST, .host = {.host = (uint16_t)host, .power = power}});
}
