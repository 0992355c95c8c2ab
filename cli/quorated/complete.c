/* What is chosen before a command is proposed: ids, hosts, MAC addresses, an image's hardware. */

#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorated/admission.h"
#include "cli/quorated/daemon.h"
#include "cli/quorated/evacuation.h"
#include "cli/quorated/placement.h"
#include "cli/quorated/reach.h"
#include "cli/quorated/template.h"

/* --- hosts */

/* A preferred host that is not there says more than the hosts that are. */
static int
nowhere(struct fsm_view *v, const struct guest *g, const struct placement *found, struct err *e)
{
    struct host h;
    for (uint32_t i = 0; i < g->preferred_n; i++) {
        if (fsm_get_host(v, g->preferred[i], &h) != 0) {
            return err_set(e, ERR_NOT_FOUND, "host %s, which guest %s prefers, not found",
                           g->preferred[i], g->name);
        }
    }
    return place_none(found, g, e);
}

static int
pick(struct fsm_view *v, const struct guest *g, const char *not_here, char *ret_host, struct err *e)
{
    static struct place_census census; /* Large; the loop has one thread. */
    static struct placement found;
    const struct place_ask ask = {.guest = g, .not_here = not_here};
    place_census_take(v, &census);
    place_find(v, &census, &ask, &found);
    if (found.best == NULL) {
        return nowhere(v, g, &found, e);
    }
    (void)str_copy(ret_host, LIMIT_NAME + 1, found.best->host->name);
    return 0;
}

/* Whether the pool keeps what it promises when this guest runs there as well. */
static int admit(struct fsm_view *v, const struct guest *g, const char *host, struct err *e)
{
    struct pool pool;
    struct admission m;
    struct admission_answer a;
    if (fsm_get_pool(v, &pool) != 0 || pool.failures_to_tolerate == 0) {
        return 0;
    }
    admission_take(v, &m);
    admission_add(&m, g, host, pool.ha && g->ha);
    admission_ask(&m, pool.failures_to_tolerate, ADMISSION_STEPS_DECIDE, &a);
    admission_done(&m);
    if (a.tolerates >= pool.failures_to_tolerate) {
        return 0;
    }
    if (a.cut) {
        return err_set(e, ERR_NO_ROOM,
                       "the pool is too large to say in time whether it tolerates the loss of %u "
                       "hosts with %s on %s: it does of %u (--force starts it all the same)",
                       pool.failures_to_tolerate, g->name, host, a.tolerates);
    }
    return err_set(
        e, ERR_NO_ROOM,
        "with %s on %s the pool would tolerate the loss of %u hosts, not %u: when %s is "
        "lost, %llu MiB of protected guests need a place, %llu MiB are free elsewhere%s%s "
        "(--force does it all the same)",
        g->name, host, a.tolerates, pool.failures_to_tolerate, a.host,
        (unsigned long long)a.needed_mib, (unsigned long long)a.free_mib,
        a.without_place == 0 ? "" : ", without a place: ", a.guest);
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
    static struct guest g; /* Several KiB; the loop has one thread. */
    if ((!c->start && !c->ha) || fsm_get_guest(v, c->name, &g) == 0) {
        return 0; /* Nothing to choose, or the state machine will say that the name is taken. */
    }
    schema_init(&schema_guest, &g);
    (void)str_copy(g.name, sizeof g.name, c->name);
    (void)str_copy(g.apart, sizeof g.apart, c->apart);
    (void)str_copy(g.together, sizeof g.together, c->together);
    memcpy(g.preferred, c->preferred, sizeof g.preferred);
    g.preferred_n = c->preferred_n;
    g.config = c->config;
    g.config.memory_mib = g.config.memory_mib == 0 ? GUEST_MEMORY_MIB : g.config.memory_mib;
    g.config.vcpus = g.config.vcpus == 0 ? GUEST_VCPUS : g.config.vcpus;
    g.ha = c->ha;
    int rc = c->ha && !c->force ? reach_check(v, &g, e) : 0;
    if (!c->start || rc != 0) {
        return rc;
    }
    rc = c->host[0] == '\0' ? pick(v, &g, "", c->host, e) : 0;
    return rc != 0 || c->force ? rc : admit(v, &g, c->host, e);
}

static int complete_network(struct daemon *d, struct cmd_guest_network_attach *c)
{
    struct guest_config card = {.vifs_n = 1};
    if (c->mac[0] == '\0') {
        fill_macs(d, &card);
        (void)str_copy(c->mac, sizeof c->mac, card.vifs[0].mac);
    }
    return 0;
}

/* The new guest's identity; a guest may get cards meanwhile, so there are addresses for all. */
static int complete_clone(struct daemon *d, struct cmd_guest_clone *c)
{
    struct guest_config cards = {.vifs_n = LIMIT_VIFS};
    if (id_is_none(&c->uuid)) {
        c->uuid = id_new(&d->rng);
    }
    if (c->macs_n == 0) {
        fill_macs(d, &cards);
        for (uint32_t i = 0; i < LIMIT_VIFS; i++) {
            (void)str_copy(c->macs[i], sizeof c->macs[i], cards.vifs[i].mac);
        }
        c->macs_n = LIMIT_VIFS;
    }
    return 0;
}

/* Into the repository that every host has. */
static int
complete_save(struct daemon *d, struct fsm_view *v, struct cmd_guest_save *c, struct err *e)
{
    struct pool pool;
    if (c->file[0] != '\0') {
        return 0;
    }
    if (fsm_get_pool(v, &pool) != 0 || pool.root[0] == '\0') {
        return err_set(e, ERR_STATE,
                       "the pool has no root repository to save guests in: name a file");
    }
    (void)snprintf(c->file, sizeof c->file, "%s:saved_pool/%s-%08x", pool.root, c->name,
                   (unsigned)(rng_u64(&d->rng) & UINT32_MAX));
    return 0;
}

static int complete_resume(struct fsm_view *v, struct cmd_guest_resume *c, struct err *e)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    if (fsm_get_guest(v, c->name, &g) != 0 || g.state != GUEST_SAVED) {
        return 0;
    }
    int rc = c->host[0] == '\0' ? pick(v, &g, "", c->host, e) : 0;
    return rc != 0 || c->force ? rc : admit(v, &g, c->host, e);
}

static int complete_start(struct fsm_view *v, struct cmd_guest_start *c, struct err *e)
{
    struct guest g;
    if (fsm_get_guest(v, c->name, &g) != 0 || g.host[0] != '\0' || g.op != 0) {
        return 0;
    }
    int rc = c->host[0] == '\0' ? pick(v, &g, "", c->host, e) : 0;
    return rc != 0 || c->force ? rc : admit(v, &g, c->host, e);
}

static int complete_migrate(struct fsm_view *v, struct cmd_guest_migrate *c, struct err *e)
{
    struct guest g;
    if (c->host[0] != '\0' || fsm_get_guest(v, c->name, &g) != 0 || g.host[0] == '\0') {
        return 0;
    }
    return pick(v, &g, g.host, c->host, e);
}

/* HA that is turned on where it cannot be kept is refused. */
static int complete_guest_set(struct fsm_view *v, const struct cmd_guest_set *c, struct err *e)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    if (strcmp(c->ha, "on") != 0 || c->force || fsm_get_guest(v, c->name, &g) != 0 || g.ha) {
        return 0;
    }
    return reach_check(v, &g, e);
}

static int complete_pool_set(struct fsm_view *v, const struct cmd_pool_set *c, struct err *e)
{
    struct pool pool;
    if (strcmp(c->ha, "on") != 0 || c->force || fsm_get_pool(v, &pool) != 0 || pool.ha) {
        return 0;
    }
    return reach_check_all(v, e);
}

/* What cannot be done to its end is refused before it begins. */
static int complete_evacuate(struct fsm_view *v, const struct cmd_host_evacuate *c, struct err *e)
{
    struct evacuation_plan p;
    if (c->force) {
        return 0;
    }
    evacuation_plan(v, c->name, &p);
    int rc = evacuation_check(&p, c->name, e);
    evacuation_plan_done(&p);
    return rc == 0 ? 0 : err_wrap(e, "host evacuate (--force moves the others)");
}

bool complete_needs_state(const struct command *c, const void *record)
{
    if (c->number == COMMAND_guest_create) {
        const struct cmd_guest_create *create = record;
        return create->image[0] != '\0' || create->start || create->ha;
    }
    if (c->number == COMMAND_guest_set) {
        return strcmp(((const struct cmd_guest_set *)record)->ha, "on") == 0;
    }
    if (c->number == COMMAND_pool_set) {
        return strcmp(((const struct cmd_pool_set *)record)->ha, "on") == 0;
    }
    if (c->number == COMMAND_guest_migrate) {
        return ((const struct cmd_guest_migrate *)record)->host[0] == '\0';
    }
    return c->number == COMMAND_guest_start || c->number == COMMAND_guest_resume ||
           c->number == COMMAND_host_evacuate;
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
    if (c->number == COMMAND_guest_clone) {
        return complete_clone(d, record);
    }
    if (c->number == COMMAND_guest_network_attach) {
        return complete_network(d, record);
    }
    if (c->number == COMMAND_guest_save) {
        return complete_save(d, v, record, e);
    }
    if (c->number == COMMAND_guest_resume) {
        return complete_resume(v, record, e);
    }
    if (c->number == COMMAND_guest_start) {
        return complete_start(v, record, e);
    }
    if (c->number == COMMAND_guest_migrate) {
        return complete_migrate(v, record, e);
    }
    if (c->number == COMMAND_host_evacuate) {
        return complete_evacuate(v, record, e);
    }
    if (c->number == COMMAND_guest_set) {
        return complete_guest_set(v, record, e);
    }
    if (c->number == COMMAND_pool_set) {
        return complete_pool_set(v, record, e);
    }
    if (c->number == COMMAND_repo_new) {
        struct cmd_repo_new *repo = record;
        if (id_is_none(&repo->id)) {
            repo->id = id_new(&d->rng);
        }
    }
    return 0;
}
