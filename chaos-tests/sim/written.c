#include "chaos-tests/sim/written.h"

#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/lab.h"
#include "raftlog/node_impl.h"

/* Entries that one write brings. */
struct pass {
    struct pass *next;
    uint64_t first;
    uint32_t n;
    uint64_t terms[];
};

/* Of one host's present daemon. */
static struct disk_view {
    uint64_t starts;
    struct pass *under_way;
    uint64_t *terms; /* By index: of the entry whose write completed last; 0: none did. */
    uint64_t cap;
} * views;

static void forget(struct disk_view *v)
{
    while (v->under_way != NULL) {
        struct pass *p = v->under_way;
        v->under_way = p->next;
        world_free(p);
    }
    world_free(v->terms);
    *v = (struct disk_view){0};
}

void written_begin(void)
{
    views = world_new(LAB_HOSTS_MAX, sizeof *views);
}

void written_end(void)
{
    for (uint32_t i = 0; views != NULL && i < LAB_HOSTS_MAX; i++) {
        forget(&views[i]);
    }
    world_free(views);
    views = NULL;
}

/* What is known of the process that runs; a daemon that was started anew begins with nothing. */
static struct disk_view *view_here(void)
{
    const struct vhost *h = proc_now == NULL ? NULL : lab_host_of(proc_now);
    if (h == NULL || views == NULL) {
        return NULL;
    }
    struct disk_view *v = &views[h->m.index];
    if (v->starts != h->starts) {
        forget(v);
        v->starts = h->starts;
    }
    return v;
}

void __real_append_written(struct node *node, const struct node_entry *entries, uint32_t n);
void __wrap_append_written(struct node *node, const struct node_entry *entries, uint32_t n);
int __real_node_persisted(struct node *node,
                          uint64_t index,
                          uint64_t term,
                          uint64_t now_ms,
                          struct err *e);
int __wrap_node_persisted(struct node *node,
                          uint64_t index,
                          uint64_t term,
                          uint64_t now_ms,
                          struct err *e);

void __wrap_append_written(struct node *node, const struct node_entry *entries, uint32_t n)
{
    struct disk_view *v = view_here();
    if (v != NULL) {
        struct pass *p = world_new(1, sizeof *p + n * sizeof p->terms[0]);
        struct pass **at = &v->under_way;
        p->first = entries[0].index;
        p->n = n;
        for (uint32_t i = 0; i < n; i++) {
            p->terms[i] = entries[i].term;
        }
        while (*at != NULL) {
            at = &(*at)->next;
        }
        *at = p;
    }
    __real_append_written(node, entries, n);
}

static void complete(struct disk_view *v)
{
    struct pass *p = v->under_way;
    if (p == NULL) {
        return;
    }
    uint64_t end = p->first + p->n;
    if (end > v->cap) {
        uint64_t cap = max_u64(end, v->cap * 2);
        v->terms = world_grow(v->terms, cap, sizeof v->terms[0]);
        memset(v->terms + v->cap, 0, (cap - v->cap) * sizeof v->terms[0]);
        v->cap = cap;
    }
    memcpy(v->terms + p->first, p->terms, p->n * sizeof p->terms[0]);
    v->under_way = p->next;
    world_free(p);
}

int __wrap_node_persisted(struct node *node,
                          uint64_t index,
                          uint64_t term,
                          uint64_t now_ms,
                          struct err *e)
{
    struct disk_view *v = view_here();
    uint64_t before = node->persisted;
    if (v != NULL) {
        complete(v);
    }
    int rc = __real_node_persisted(node, index, term, now_ms, e);
    for (uint64_t i = before + 1; v != NULL && rc == 0 && i <= node->persisted; i++) {
        uint64_t has = i < v->cap ? v->terms[i] : 0;
        uint64_t means = cache_term(&node->cache, i);
        if (means != 0 && has != means) {
            lab_fail("written",
                     "%s counts entry %llu of term %llu as written; its disk has term %llu",
                     proc_now->name, (unsigned long long)i, (unsigned long long)means,
                     (unsigned long long)has);
        }
    }
    return rc;
}
