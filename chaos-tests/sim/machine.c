/* Clocks and boots. */

#include "chaos-tests/sim/machine.h"

#include <stdio.h>

#include "core/util.h"

#include "chaos-tests/sim/vdisk.h"
#include "chaos-tests/sim/vnet.h"

/* 2026-11-23, a Monday. */
#define WALL_START_MS UINT64_C(1795392000000)
#define MILLION       UINT64_C(1000000)

uint64_t vclock_mono_ns(const struct vclock *c)
{
    uint64_t dt = world.now_ns - c->at_ns;
    int64_t extra =
        (int64_t)(dt / MILLION) * c->ppm + (int64_t)(dt % MILLION) * c->ppm / (int64_t)MILLION;
    return c->mono_ns + dt + (uint64_t)extra;
}

uint64_t vclock_wall_ms(const struct vclock *c)
{
    return (uint64_t)((int64_t)(vclock_mono_ns(c) / NS_PER_MS) + c->wall_ms);
}

uint64_t vclock_when(const struct vclock *c, uint64_t mono_ns)
{
    if (mono_ns <= c->mono_ns) {
        return c->at_ns;
    }
    uint64_t d = mono_ns - c->mono_ns;
    uint64_t rate = (uint64_t)((int64_t)MILLION + c->ppm);
    /* Rounding twice loses less than 2 ns: the clock surely shows it then. */
    return c->at_ns + d / rate * MILLION + d % rate * MILLION / rate + (c->ppm == 0 ? 0 : 2);
}

void vclock_set_rate(struct vclock *c, int32_t ppm)
{
    c->mono_ns = vclock_mono_ns(c);
    c->at_ns = world.now_ns;
    c->ppm = ppm;
}

void vclock_jump_wall(struct vclock *c, int64_t ms)
{
    c->wall_ms += ms;
}

void machine_init(struct machine *m, uint32_t index, const char *name)
{
    *m = (struct machine){.index = index,
                          .disk_min_us = 100,
                          .disk_max_us = 600,
                          .turn_min_us = 5,
                          .turn_max_us = 30};
    (void)str_copy(m->name, sizeof m->name, name);
    m->clock.wall_ms = (int64_t)WALL_START_MS;
    machine_boot(m);
}

void machine_done(struct machine *m)
{
    vdisk_done(m);
}

void machine_boot(struct machine *m)
{
    int64_t wall = (int64_t)vclock_wall_ms(&m->clock);
    m->boots++;
    m->on = true;
    m->frozen = false;
    m->clock.at_ns = world.now_ns;
    m->clock.mono_ns = 20 * NS_PER_S; /* Booting took a while. */
    m->clock.wall_ms = wall - (int64_t)(m->clock.mono_ns / NS_PER_MS);
    (void)snprintf(m->boot_id, sizeof m->boot_id, "%08x-0000-4000-8000-%012llx", m->index,
                   (unsigned long long)m->boots);
    vnet_host_on(m->index, true);
}
