/* What is chosen before a command is proposed: ids, hosts, MAC addresses, an image's hardware. */

#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorated/daemon.h"
#include "cli/quorated/template.h"

/* --- hosts */

struct place {
    const char *not_here; /* A host that is out of the question; "" for none. */
    char (*preferred)[LIMIT_NAME + 1];
    uint32_t n_preferred;
    uint64_t need_mib;
};

static bool place_allows(const struct place *p, const struct host *h)
{
    if (h->state != HOST_UP || h->maintenance || !h->can_run || strcmp(h->name, p->not_here) == 0) {
        return false;
    }
    for (uint32_t i = 0; i < p->n_preferred; i++) {
        if (strcmp(p->preferred[i], h->name) == 0) {
            return true;
        }
    }
    return p->n_preferred == 0;
}

/* The allowed host with the most free memory; the first by name of equals. */
static int place_pick(struct fsm_view *v, const struct place *p, char *ret_host, struct err *e)
{
    struct host h = {0};
    uint64_t best = 0;
    uint32_t allowed = 0;
    bool found = false;
    for (int rc = fsm_next_host(v, "", &h); rc == 0; rc = fsm_next_host(v, h.name, &h)) {
        if (!place_allows(p, &h)) {
            continue;
        }
        allowed++;
        uint64_t reserved = fsm_reserved_mib(v, h.name);
        uint64_t room = h.memory_mib > reserved ? h.memory_mib - reserved : 0;
        if (!found || room > best) {
            found = true;
            best = room;
            (void)str_copy(ret_host, LIMIT_NAME + 1, h.name);
        }
    }
    if (!found) {
        return err_set(e, ERR_NO_ROOM, "no host can take it: none is up, free of maintenance%s",
                       p->n_preferred > 0 ? " and among the preferred ones" : "");
    }
    if (best < p->need_mib) {
        return err_set(
            e, ERR_NO_ROOM, "no host has %llu MiB free: the roomiest of %u, %s, has %llu MiB",
            (unsigned long long)p->need_mib, allowed, ret_host, (unsigned long long)best);
    }
    return 0;
}

/* --- MAC addresses: Xen's prefix, then chance */

static void fill_macs(struct daemon *d, struct guest_config *c)
{
    for (uint32_t i = 0; i < c->vifs_n; i++) {
        if (c->vifs[i].mac[0] == '\0') {
            uint64_t r = rng_u64(&d->rng);
            (void)snprintf(c->vifs[i].mac, sizeof c->vifs[i].mac, "00:16:3e:%02x:%02x:%02x",
                           (unsigned)(r & 0x7f), (unsigned)(r >> 8 & 0xff),
                           (unsigned)(r >> 16 & 0xff));
        }
    }
}

/* --- the commands */

static int
complete_create(struct daemon *d, struct fsm_view *v, struct cmd_guest_create *c, struct err *e)
{
    if (id_is_none(&c->uuid)) {
        c->uuid = id_new(&d->rng);
    }
    if (c->image[0] != '\0') {
        int rc = template_fill(v, d->opt.prefix, c, e);
        if (rc != 0) {
            return rc;
        }
    }
    fill_macs(d, &c->config);
    struct guest exists;
    if (!c->start || c->host[0] != '\0' || fsm_get_guest(v, c->name, &exists) == 0) {
        return 0; /* Nothing to choose, or the state machine will say that the name is taken. */
    }
    struct place p = {.not_here = "",
                      .preferred = c->preferred,
                      .n_preferred = c->preferred_n,
                      .need_mib =
                          c->config.memory_mib == 0 ? GUEST_MEMORY_MIB : c->config.memory_mib};
    return place_pick(v, &p, c->host, e);
}

static int complete_start(struct fsm_view *v, struct cmd_guest_start *c, struct err *e)
{
    struct guest g;
    if (c->host[0] != '\0' || fsm_get_guest(v, c->name, &g) != 0 || g.host[0] != '\0' ||
        g.op != 0) {
        return 0;
    }
    struct place p = {.not_here = "",
                      .preferred = g.preferred,
                      .n_preferred = g.preferred_n,
                      .need_mib = g.config.memory_mib};
    return place_pick(v, &p, c->host, e);
}

static int complete_migrate(struct fsm_view *v, struct cmd_guest_migrate *c, struct err *e)
{
    struct guest g;
    if (c->host[0] != '\0' || fsm_get_guest(v, c->name, &g) != 0 || g.host[0] == '\0') {
        return 0;
    }
    struct place p = {.not_here = g.host,
                      .preferred = g.preferred,
                      .n_preferred = g.preferred_n,
                      .need_mib = g.config.memory_mib};
    return place_pick(v, &p, c->host, e);
}

bool complete_needs_state(const struct command *c, const void *record)
{
    if (c->number == COMMAND_guest_create) {
        const struct cmd_guest_create *create = record;
        return create->image[0] != '\0' || (create->start && create->host[0] == '\0');
    }
    if (c->number == COMMAND_guest_start) {
        return ((const struct cmd_guest_start *)record)->host[0] == '\0';
    }
    if (c->number == COMMAND_guest_migrate) {
        return ((const struct cmd_guest_migrate *)record)->host[0] == '\0';
    }
    return false;
}

int complete_command(struct daemon *d,
                     struct fsm_view *v,
                     const struct command *c,
                     void *record,
                     struct err *e)
{
    if (c->number == COMMAND_guest_create) {
        return complete_create(d, v, record, e);
    }
    if (c->number == COMMAND_guest_start) {
        return complete_start(v, record, e);
    }
    if (c->number == COMMAND_guest_migrate) {
        return complete_migrate(v, record, e);
    }
    if (c->number == COMMAND_repo_new) {
        struct cmd_repo_new *repo = record;
        if (id_is_none(&repo->id)) {
            repo->id = id_new(&d->rng);
        }
    }
    return 0;
}
