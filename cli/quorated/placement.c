#include "cli/quorated/placement.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

/* Above any amount of memory. */
#define SCORE_TOGETHER (UINT64_C(1) << 40)

/* --- census */

static struct place_host *host_named(struct place_census *c, const char *name)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (strcmp(c->hosts[i].name, name) == 0) {
            return &c->hosts[i];
        }
    }
    return NULL;
}

void place_census_take(struct fsm_view *v, struct place_census *ret)
{
    struct pool pool;
    struct host h = {0};
    struct op op = {0};
    ret->n = 0;
    bool there = fsm_get_pool(v, &pool) == 0;
    uint64_t percent = there ? pool.vcpu_percent : 0;
    ret->ha = there && pool.ha;
    for (int rc = fsm_next_host(v, "", &h); rc == 0 && ret->n < LIMIT_HOSTS;
         rc = fsm_next_host(v, h.name, &h)) {
        struct place_host *to = &ret->hosts[ret->n++];
        *to = (struct place_host){
            .state = h.state,
            .fenced = h.fenced,
            .maintenance = h.maintenance,
            .can_run = h.can_run,
            .evacuating = h.evacuation != 0,
            .memory_mib = h.memory_mib,
            .vcpus_max = percent == 0 ? UINT64_MAX : h.cpus * percent / 100,
        };
        (void)str_copy(to->name, sizeof to->name, h.name);
        fsm_promised(v, h.name, &to->taken_mib, &to->vcpus_taken);
    }
    for (int rc = fsm_next_open_op(v, 0, &op); rc == 0; rc = fsm_next_open_op(v, op.id, &op)) {
        struct place_host *to = host_named(ret, op.dst);
        if (to != NULL && (op.kind == OP_START || op.kind == OP_MIGRATE)) {
            to->starts++;
        }
    }
}

void place_census_add(struct place_census *c, const char *host, const struct guest *g)
{
    struct place_host *h = host_named(c, host);
    if (h != NULL) {
        h->taken_mib += g->config.memory_mib;
        h->vcpus_taken += g->config.vcpus;
        h->starts++;
    }
}

/* --- one host */

static bool prefers(const struct guest *g, const char *host)
{
    for (uint32_t i = 0; i < g->preferred_n; i++) {
        if (strcmp(g->preferred[i], host) == 0) {
            return true;
        }
    }
    return g->preferred_n == 0;
}

/* Whether the host has every repository that the guest names; if not, *ret_missing is the first. */
static bool
has_repos(struct fsm_view *v, const struct guest *g, const char *host, char *ret_missing)
{
    static struct repo repo; /* Several KiB; the loop has one thread. */
    for (uint32_t i = 0; i < g->config.disks_n + 2; i++) {
        const char *path = i < g->config.disks_n    ? g->config.disks[i].path
                           : i == g->config.disks_n ? g->config.kernel
                                                    : g->config.ramdisk;
        size_t n = strcspn(path, ":");
        if (path[0] == '/' || path[n] != ':' || n == 0 || n > LIMIT_NAME) {
            continue;
        }
        memset(ret_missing, 0, LIMIT_NAME + 1);
        memcpy(ret_missing, path, n);
        bool there = false;
        if (fsm_get_repo(v, ret_missing, &repo) == 0) {
            for (uint32_t k = 0; k < repo.ready_on_n; k++) {
                there = there || strcmp(repo.ready_on[k], host) == 0;
            }
        }
        if (!there) {
            return false;
        }
    }
    ret_missing[0] = '\0';
    return true;
}

/* How many guests of the group are there, this one aside; *ret_first is the first of them. */
static uint32_t count_group(struct fsm_view *v,
                            char group,
                            const struct guest *g,
                            const char *host,
                            char *ret_first)
{
    char name[LIMIT_NAME + 1] = "";
    uint32_t n = 0;
    while (fsm_next_of_group(v, group, group == 'a' ? g->apart : g->together, name)) {
        if (strcmp(name, g->name) != 0 && fsm_guest_concerns(v, name, host)) {
            if (n++ == 0) {
                (void)str_copy(ret_first, LIMIT_NAME + 1, name);
            }
        }
    }
    return n;
}

static enum place_no
why_not(struct fsm_view *v, const struct place_ask *ask, bool is_protected, struct place_verdict *p)
{
    const struct place_host *h = p->host;
    const struct guest *g = ask->guest;
    if (ask->not_here != NULL && strcmp(ask->not_here, h->name) == 0) {
        return PLACE_LEAVES;
    }
    if (h->fenced || h->state != HOST_UP) {
        return h->fenced ? PLACE_FENCED : PLACE_STATE;
    }
    if (h->maintenance || h->evacuating) {
        return h->maintenance ? PLACE_MAINTENANCE : PLACE_EVACUATING;
    }
    if (!h->can_run) {
        return PLACE_CAN_RUN;
    }
    if (g->state == GUEST_PENDING && !is_protected && strcmp(g->last_host, h->name) != 0) {
        return PLACE_HOME;
    }
    if (!prefers(g, h->name)) {
        return PLACE_PREFERRED;
    }
    if (!has_repos(v, g, h->name, p->what)) {
        return PLACE_REPO;
    }
    if (count_group(v, 'a', g, h->name, p->what) > 0) {
        return PLACE_APART;
    }
    if (g->config.memory_mib > p->free_mib) {
        return PLACE_MEMORY;
    }
    if (h->vcpus_max != UINT64_MAX && h->vcpus_taken + g->config.vcpus > h->vcpus_max) {
        return PLACE_VCPUS;
    }
    if (ask->may_host != NULL && !ask->may_host(ask->ctx, h->name)) {
        return PLACE_REFUSED;
    }
    return ask->max_starts != 0 && h->starts >= ask->max_starts ? PLACE_BUSY : PLACE_FITS;
}

void place_find(struct fsm_view *v,
                const struct place_census *c,
                const struct place_ask *ask,
                struct placement *ret)
{
    *ret = (struct placement){.n = 0};
    for (uint32_t i = 0; i < c->n; i++) {
        const struct place_host *h = &c->hosts[i];
        struct place_verdict *p = &ret->verdicts[ret->n];
        if (ask->only != NULL && strcmp(ask->only, h->name) != 0) {
            continue;
        }
        ret->n++;
        p->host = h;
        p->free_mib = h->memory_mib > h->taken_mib ? h->memory_mib - h->taken_mib : 0;
        p->no = why_not(v, ask, c->ha && ask->guest->ha, p);
        if (p->no != PLACE_FITS) {
            continue;
        }
        char first[LIMIT_NAME + 1];
        p->together = count_group(v, 'w', ask->guest, h->name, first);
        /* One more, so that a host which is filled to the last MiB has a score as well. */
        p->score = p->together * SCORE_TOGETHER + p->free_mib - ask->guest->config.memory_mib + 1;
        if (ret->best == NULL || p->score > ret->best->score) {
            ret->best = p;
        }
    }
}

/* --- in words */

void place_reason(const struct place_verdict *p, const struct guest *g, char *ret_text, size_t size)
{
    const struct place_host *h = p->host;
    const char *text = "";
    switch (p->no) {
    case PLACE_LEAVES: text = "is the host that it leaves"; break;
    case PLACE_STATE:
        (void)snprintf(ret_text, size, "%s is %s", h->name, enum_host_state.names[h->state]);
        return;
    case PLACE_FENCED: text = "is fenced"; break;
    case PLACE_MAINTENANCE: text = "is in maintenance"; break;
    case PLACE_EVACUATING: text = "is being emptied"; break;
    case PLACE_CAN_RUN: text = "is set not to run guests"; break;
    case PLACE_HOME: text = "is not where it was, and it is not protected"; break;
    case PLACE_PREFERRED: text = "is not among its preferred hosts"; break;
    case PLACE_REPO:
        (void)snprintf(ret_text, size, "%s does not have repository %s at hand", h->name, p->what);
        return;
    case PLACE_APART:
        (void)snprintf(ret_text, size, "%s has guest %s, from which it is to be apart", h->name,
                       p->what);
        return;
    case PLACE_VCPUS:
        (void)snprintf(ret_text, size,
                       "%s has too few processors: %" PRIu32 " virtual CPUs needed, %" PRIu64
                       " of at most %" PRIu64 " taken",
                       h->name, g->config.vcpus, h->vcpus_taken, h->vcpus_max);
        return;
    case PLACE_REFUSED: text = "may not be given protected guests now"; break;
    case PLACE_BUSY:
        (void)snprintf(ret_text, size, "%s has %" PRIu32 " starts under way", h->name, h->starts);
        return;
    case PLACE_MEMORY:
    case PLACE_FITS:
        (void)snprintf(ret_text, size, "%s has %" PRIu64 " MiB free, %" PRIu32 " MiB needed",
                       h->name, p->free_mib, g->config.memory_mib);
        return;
    }
    (void)snprintf(ret_text, size, "%s %s", h->name, text);
}

int place_none(const struct placement *p, const struct guest *g, struct err *e)
{
    const struct place_verdict *near = NULL;
    uint32_t short_of_memory = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        const struct place_verdict *v = &p->verdicts[i];
        short_of_memory += v->no == PLACE_MEMORY ? 1 : 0;
        /* The later its reason, the more it had passed. */
        if (near == NULL || v->no > near->no ||
            (v->no == near->no && v->free_mib > near->free_mib)) {
            near = v;
        }
    }
    if (near == NULL) {
        return err_set(e, ERR_NO_ROOM, "no host can take it: the pool has none");
    }
    if (near->no == PLACE_MEMORY) {
        return err_set(e, ERR_NO_ROOM,
                       "no host has %" PRIu32 " MiB free: the roomiest of %" PRIu32
                       ", %s, has %" PRIu64 " MiB",
                       g->config.memory_mib, short_of_memory, near->host->name, near->free_mib);
    }
    char why[ERR_MSG_SIZE / 2];
    place_reason(near, g, why, sizeof why);
    return err_set(e, ERR_NO_ROOM, "no host can take it: of %" PRIu32 ", the nearest, %s", p->n,
                   why);
}
