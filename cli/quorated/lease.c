#include "cli/quorated/lease.h"

#include <string.h>

#include "core/mark.h"
#include "core/mutant.h"
#include "core/util.h"

/* --- the holder */

void lease_holder_init(struct lease_holder *h, uint64_t first)
{
    /* Half the range is left for counting on. */
    *h = (struct lease_holder){.last_ask = first / 2};
}

uint64_t lease_ask(struct lease_holder *h, uint64_t now_ms, uint32_t renew_ms)
{
    if (now_ms < h->ask_at_ms) {
        return 0;
    }
    h->ask_at_ms = now_ms + renew_ms;
    h->last_ask++;
    h->asks[h->last_ask % LEASE_ASKS] =
        (struct lease_ask){.number = h->last_ask, .sent_ms = now_ms};
    return h->last_ask;
}

bool lease_granted(struct lease_holder *h, uint64_t number, uint32_t lease_ms, uint64_t index)
{
    const struct lease_ask *ask = &h->asks[number % LEASE_ASKS];
    if (number == 0 || ask->number != number || ask->sent_ms + lease_ms <= h->end_ms) {
        return false;
    }
    h->end_ms = ask->sent_ms + lease_ms;
    h->index = max_u64(h->index, index);
    return true;
}

void lease_adopt(struct lease_holder *h, uint64_t end_ms)
{
    h->end_ms = max_u64(h->end_ms, end_ms);
}

bool lease_allows(const struct lease_holder *h,
                  const struct lease_times *t,
                  uint64_t now_ms,
                  uint64_t applied)
{
    return h->index != 0 && now_ms + t->kill_margin_ms < h->end_ms && applied >= h->index;
}

/* --- the master */

void lease_lead(struct lease_master *m, uint64_t term, uint64_t now_ms)
{
    if (term != m->term) {
        memset(m, 0, sizeof *m);
        m->term = term;
        m->since_ms = now_ms;
    }
}

static const struct lease_host *find(const struct lease_master *m, const char *host)
{
    for (uint32_t i = 0; i < LIMIT_HOSTS; i++) {
        if (strcmp(m->hosts[i].name, host) == 0) {
            return &m->hosts[i];
        }
    }
    return NULL;
}

/* Whether no lease of it can be in force, whatever the settings were. */
static bool is_forgotten(const struct lease_host *h, uint64_t now_ms)
{
    return !h->held && now_ms >= max_u64(h->heard_ms, h->granted_ms) + 2 * (uint64_t)LEASE_MAX_MS;
}

/* Its place, or a free one, or that of a host that is long gone. */
static struct lease_host *place_of(struct lease_master *m, const char *host, uint64_t now_ms)
{
    struct lease_host *place = NULL;
    for (uint32_t i = 0; i < LIMIT_HOSTS && host[0] != '\0'; i++) {
        struct lease_host *h = &m->hosts[i];
        if (strcmp(h->name, host) == 0) {
            return h;
        }
        if (place == NULL && (h->name[0] == '\0' || is_forgotten(h, now_ms))) {
            place = h;
        }
    }
    if (place != NULL) {
        memset(place, 0, sizeof *place);
        (void)str_copy(place->name, sizeof place->name, host);
    }
    return place;
}

void lease_asked(struct lease_master *m,
                 const char *host,
                 uint64_t raft_id,
                 uint64_t number,
                 uint64_t now_ms)
{
    struct lease_host *h = m->term == 0 ? NULL : place_of(m, host, now_ms);
    if (h != NULL) {
        h->raft_id = raft_id;
        h->asked = number;
        h->heard_ms = now_ms;
    }
}

bool lease_prove(struct lease_master *m)
{
    bool any = false;
    if (m->term == 0 || m->proving) {
        return false;
    }
    for (uint32_t i = 0; i < LIMIT_HOSTS; i++) {
        struct lease_host *h = &m->hosts[i];
        h->proving = h->asked;
        h->asked = 0;
        any = any || h->proving != 0;
    }
    m->proving = any;
    return any;
}

uint32_t lease_proved(struct lease_master *m,
                      uint64_t term,
                      bool ok,
                      uint64_t now_ms,
                      struct lease_grant *ret)
{
    uint32_t n = 0;
    if (m->term == 0 || term != m->term || !m->proving) {
        return 0; /* The round of an earlier mastership. */
    }
    m->proving = false;
    for (uint32_t i = 0; i < LIMIT_HOSTS; i++) {
        struct lease_host *h = &m->hosts[i];
        MARK_IF(lease_held_back, h->proving != 0 && h->held);
        if (h->proving != 0 && ok && !h->held) {
            ret[n++] = (struct lease_grant){.raft_id = h->raft_id, .number = h->proving};
            h->granted_ms = now_ms;
        }
        h->proving = 0;
    }
    return n;
}

bool lease_is_granted(const struct lease_master *m,
                      const char *host,
                      const struct lease_times *t,
                      uint64_t now_ms)
{
    const struct lease_host *h = m->term == 0 ? NULL : find(m, host);
    return h != NULL && !h->held && h->granted_ms != 0 && now_ms < h->granted_ms + t->lease_ms;
}

bool lease_is_over(const struct lease_master *m,
                   const char *host,
                   const struct lease_times *t,
                   uint64_t now_ms)
{
    const struct lease_host *h = find(m, host);
    uint64_t from = max_u64(MUTANT(lease_no_wait) ? 0 : m->since_ms, h == NULL ? 0 : h->granted_ms);
    MARK_IF(lease_waited_out,
            h == NULL && m->term != 0 &&
                now_ms < from + lease_wait_ms(t->lease_ms, t->clock_error_permille));
    uint64_t longest = max_u64(t->lease_ms, t->bound_ms);
    return m->term != 0 &&
           now_ms >= from + lease_wait_ms((uint32_t)longest, t->clock_error_permille);
}

bool lease_hold(struct lease_master *m, const char *host, bool held, uint64_t now_ms)
{
    struct lease_host *h = m->term == 0 ? NULL : place_of(m, host, now_ms);
    if (h != NULL) {
        h->held = held;
    }
    return h != NULL;
}
