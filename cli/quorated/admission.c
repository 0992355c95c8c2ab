#include "cli/quorated/admission.h"

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

static uint32_t host_index(const struct admission *m, const char *name)
{
    for (uint32_t i = 0; i < m->n_hosts; i++) {
        if (strcmp(m->hosts[i].name, name) == 0) {
            return i;
        }
    }
    return LIMIT_HOSTS;
}

static int larger_first(const void *a, const void *b)
{
    const struct admission_guest *x = a;
    const struct admission_guest *y = b;
    return x->memory_mib != y->memory_mib ? (x->memory_mib > y->memory_mib ? -1 : 1)
                                          : strcmp(x->name, y->name);
}

static void put_guest(struct admission *m, const struct guest *g, uint32_t host)
{
    m->guests = mem_grow(m->guests, m->n_guests + 1, sizeof *m->guests);
    struct admission_guest *to = &m->guests[m->n_guests++];
    *to = (struct admission_guest){
        .host = host, .memory_mib = g->config.memory_mib, .may = g->preferred_n == 0 ? ~0ull : 0};
    (void)str_copy(to->name, sizeof to->name, g->name);
    (void)str_copy(to->apart, sizeof to->apart, g->apart);
    for (uint32_t i = 0; i < g->preferred_n; i++) {
        uint32_t at = host_index(m, g->preferred[i]);
        to->may |= at < LIMIT_HOSTS ? UINT64_C(1) << at : 0;
    }
}

void admission_take(struct fsm_view *v, struct admission *ret)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    struct host h = {0};
    struct pool pool;
    *ret = (struct admission){.n_hosts = 0};
    for (int rc = fsm_next_host(v, "", &h); rc == 0 && ret->n_hosts < LIMIT_HOSTS;
         rc = fsm_next_host(v, h.name, &h)) {
        struct admission_host *to = &ret->hosts[ret->n_hosts++];
        uint64_t taken = fsm_reserved_mib(v, h.name);
        (void)str_copy(to->name, sizeof to->name, h.name);
        to->free_mib = h.memory_mib > taken ? h.memory_mib - taken : 0;
        to->takes = h.state == HOST_UP && !h.maintenance && h.can_run && h.evacuation == 0;
    }
    if (fsm_get_pool(v, &pool) != 0 || !pool.ha) {
        return; /* Nobody is protected. */
    }
    for (int rc = fsm_next_guest(v, "", &g); rc == 0; rc = fsm_next_guest(v, g.name, &g)) {
        if (g.ha && g.want != WANT_OFF) {
            put_guest(ret, &g, host_index(ret, g.host));
        }
    }
    if (ret->n_guests > 1) {
        qsort(ret->guests, ret->n_guests, sizeof *ret->guests, larger_first);
    }
}

void admission_done(struct admission *m)
{
    free(m->guests);
    *m = (struct admission){.n_hosts = 0};
}

void admission_add(struct admission *m, const struct guest *g, const char *host, bool is_protected)
{
    uint32_t at = host_index(m, host);
    for (uint32_t i = 0; i < m->n_guests; i++) {
        if (strcmp(m->guests[i].name, g->name) == 0) { /* One that waited, and would be there. */
            m->guests[i--] = m->guests[--m->n_guests];
        }
    }
    if (at < LIMIT_HOSTS) {
        m->hosts[at].free_mib -= min_u64(m->hosts[at].free_mib, g->config.memory_mib);
    }
    if (is_protected) {
        put_guest(m, g, at);
    }
    if (m->n_guests > 1) {
        qsort(m->guests, m->n_guests, sizeof *m->guests, larger_first);
    }
}

/* --- losing hosts in thought */

struct trial {
    const struct admission *m;
    uint64_t lost; /* A bit for each host. */
    uint64_t free_mib[LIMIT_HOSTS];
    uint32_t *at;   /* Where each guest is now. */
    uint64_t steps; /* A guest tried on a host. */
    uint64_t steps_most;
};

static bool is_lost(const struct trial *t, uint32_t host)
{
    return host < LIMIT_HOSTS && (t->lost >> host & 1) != 0;
}

static bool is_alone(const struct trial *t, uint32_t guest, uint32_t host)
{
    const struct admission_guest *g = &t->m->guests[guest];
    for (uint32_t i = 0; g->apart[0] != '\0' && i < t->m->n_guests; i++) {
        if (i != guest && t->at[i] == host && strcmp(t->m->guests[i].apart, g->apart) == 0) {
            return false;
        }
    }
    return true;
}

static bool put_elsewhere(struct trial *t, uint32_t guest)
{
    const struct admission_guest *g = &t->m->guests[guest];
    uint32_t best = LIMIT_HOSTS;
    for (uint32_t h = 0; h < t->m->n_hosts; h++) {
        t->steps++;
        if (t->m->hosts[h].takes && !is_lost(t, h) && (g->may >> h & 1) != 0 &&
            t->free_mib[h] >= g->memory_mib &&
            (best == LIMIT_HOSTS || t->free_mib[h] > t->free_mib[best]) && is_alone(t, guest, h)) {
            best = h;
        }
    }
    t->at[guest] = best;
    if (best != LIMIT_HOSTS) {
        t->free_mib[best] -= g->memory_mib;
    }
    return best != LIMIT_HOSTS;
}

/* Lose these hosts; how many guests have no place, and what of it there is to say. */
static uint32_t lose(struct trial *t, uint64_t lost, struct admission_answer *ret)
{
    uint32_t without = 0;
    t->lost = lost;
    ret->needed_mib = 0;
    ret->free_mib = 0;
    for (uint32_t h = 0; h < t->m->n_hosts; h++) {
        t->free_mib[h] = t->m->hosts[h].free_mib;
        ret->free_mib += t->m->hosts[h].takes && !is_lost(t, h) ? t->free_mib[h] : 0;
    }
    for (uint32_t i = 0; i < t->m->n_guests; i++) {
        t->at[i] = is_lost(t, t->m->guests[i].host) ? LIMIT_HOSTS : t->m->guests[i].host;
    }
    for (uint32_t i = 0; i < t->m->n_guests; i++) {
        if (t->at[i] != LIMIT_HOSTS) {
            continue;
        }
        ret->needed_mib += t->m->guests[i].memory_mib;
        if (!put_elsewhere(t, i) && without++ == 0) {
            (void)str_copy(ret->guest, sizeof ret->guest, t->m->guests[i].name);
        }
    }
    return without;
}

/* The next larger number with as many bits; 0 at the end of those below 2^n. */
static uint64_t next_set(uint64_t set, uint32_t n)
{
    uint64_t low = set & (~set + 1);
    uint64_t ripple = set + low;
    if (ripple == 0) {
        return 0;
    }
    uint64_t next = ripple | ((set ^ ripple) >> 2) / low;
    return n < 64 && next >> n != 0 ? 0 : next;
}

/* Whether any f hosts may be lost. */
static bool any_may_be_lost(struct trial *t, uint32_t f, bool *ret_cut)
{
    struct admission_answer a;
    for (uint64_t set = (UINT64_C(1) << f) - 1; set != 0; set = next_set(set, t->m->n_hosts)) {
        if (t->steps > t->steps_most) {
            *ret_cut = true;
            return false;
        }
        if (lose(t, set, &a) > 0) {
            return false;
        }
    }
    return true;
}

static void find_costliest(struct trial *t, struct admission_answer *ret)
{
    for (uint32_t h = 0; h < t->m->n_hosts; h++) {
        struct admission_answer a = {.tolerates = ret->tolerates};
        a.without_place = lose(t, UINT64_C(1) << h, &a);
        (void)str_copy(a.host, sizeof a.host, t->m->hosts[h].name);
        if (h == 0 || a.without_place > ret->without_place ||
            (a.without_place == ret->without_place && a.needed_mib > ret->needed_mib)) {
            *ret = a;
        }
    }
}

void admission_ask(const struct admission *m,
                   uint32_t most,
                   uint64_t steps_most,
                   struct admission_answer *ret)
{
    *ret = (struct admission_answer){.tolerates = 0};
    struct trial t = {
        .m = m, .steps_most = steps_most, .at = mem_new(m->n_guests + 1, sizeof *t.at)};
    find_costliest(&t, ret);
    uint32_t f = ret->without_place == 0 && m->n_hosts > 1 ? 1 : 0;
    most = (uint32_t)min_u64(min_u64(most, ADMISSION_MOST), m->n_hosts == 0 ? 0 : m->n_hosts - 1);
    while (f > 0 && f < most && any_may_be_lost(&t, f + 1, &ret->cut)) {
        f++;
    }
    ret->tolerates = f < most ? f : most;
    free(t.at);
}
