#include "cli/tests/fake_rows.h"

#include <stdio.h>
#include <string.h>

#include "core/util.h"

void make_guest(unsigned i, struct api_guest *g)
{
    static const uint32_t states[] = {GUEST_RUNNING, GUEST_STOPPED, GUEST_FAILED};
    schema_init(&schema_api_guest, g);
    (void)snprintf(g->name, sizeof g->name, i < 3 ? "web%u" : "guest%04u", i < 3 ? i + 1 : i);
    memset(&g->uuid, (int)(i % 250) + 1, sizeof g->uuid);
    g->state = states[i % 3];
    (void)str_copy(g->host, sizeof g->host, g->state == GUEST_RUNNING ? "h1" : "");
    g->vcpus = 1 + i % 4;
    g->memory_mib = i == 0 ? 2048 : 512;
    g->ha = i % 2 == 0;
    g->run_epoch = 7 + i;
    g->since_ms = NOW_MS - 192000; /* 3m12s. */
    (void)str_copy(g->reason, sizeof g->reason,
                   g->state == GUEST_FAILED ? "no kernel at /boot/none" : "");
}

void fake_host_row(unsigned i, struct api_host *h)
{
    schema_init(&schema_api_host, h);
    (void)snprintf(h->name, sizeof h->name, "h%u", i + 1);
    h->state = i == 2 ? HOST_DOWN : HOST_UP;
    h->master = i == 0;
    (void)str_copy(h->role, sizeof h->role, "voter");
    h->applied_index = 1234 - i;
    (void)str_copy(h->state_hash, sizeof h->state_hash, "0123456789abcdef0123456789abcdef");
    (void)snprintf(h->address, sizeof h->address, "10.0.0.%u:7400", i + 1);
    (void)str_copy(h->driver, sizeof h->driver, "qemu");
    h->memory_mib = 16384;
    h->reserved_mib = 1536;
    h->guests = 3;
}

void make_op(uint64_t id, struct api_op *o)
{
    schema_init(&schema_api_op, o);
    o->id = id;
    o->kind = id == 58 ? OP_MIGRATE : OP_START;
    (void)str_copy(o->subject, sizeof o->subject, "web1");
    o->phase = OP_PHASE_ENDED;
    o->progress = 100;
    o->state = id == 59 ? OP_FAILED : id == 60 ? OP_CANCELLED : OP_DONE;
    (void)str_copy(o->src, sizeof o->src, id == 58 ? "h1" : "");
    (void)str_copy(o->dst, sizeof o->dst, "h2");
    o->created_ms = NOW_MS - 5000;
    o->ended_ms = NOW_MS - 3700;
    o->downtime_ms = id == 58 ? 7 : 0;
    o->commit_ms = id == 58 ? 4 : 0;
    o->resume_ms = id == 58 ? 2 : 0;
    o->sent_bytes = id == 58 ? 150994944 : 0;
    o->total_bytes = id == 58 ? 134217728 : 0;
    if (id == 59) {
        o->code = -ERR_HYPERVISOR;
        (void)str_copy(o->reason, sizeof o->reason, "qemu: could not open /boot/none");
    }
}

void make_pool(struct api_pool *p)
{
    schema_init(&schema_api_pool, p);
    (void)str_copy(p->name, sizeof p->name, "lab");
    memset(&p->id, 0xab, sizeof p->id);
    (void)str_copy(p->master, sizeof p->master, "h1");
    p->index = 1234;
    p->term = 3;
    p->hosts = 3;
    p->hosts_up = 2;
    p->guests = 3;
    p->running = 1;
    p->ha = true;
    (void)str_copy(p->answered_by, sizeof p->answered_by, "h2");
}

void make_whole_guest(const char *name, struct guest *g)
{
    schema_init(&schema_guest, g);
    (void)str_copy(g->name, sizeof g->name, name);
    memset(&g->uuid, 1, sizeof g->uuid);
    g->state = GUEST_RUNNING;
    g->run_epoch = 7;
    g->since_ms = NOW_MS - 192000;
    g->config.memory_mib = 128;
    g->config.vcpus = 1;
    g->config.disks_n = 1;
    schema_init(&schema_disk, &g->config.disks[0]);
    (void)str_copy(g->config.disks[0].path, sizeof g->config.disks[0].path, "shared:web1.img");
    (void)str_copy(g->config.disks[0].device, sizeof g->config.disks[0].device, "hda");
    (void)str_copy(g->config.vnc_password, sizeof g->config.vnc_password, "hush");
}
