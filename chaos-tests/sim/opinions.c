#include "chaos-tests/sim/opinions.h"

#include <string.h>

#include "core/util.h"

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/record.h"
#include "raftlog/node_impl.h"

/* What was written down last of a host's present daemon. */
struct opinion {
    uint64_t starts;
    uint64_t term;
    uint64_t master;
    uint64_t commit;
    uint64_t persisted;
    bool changes; /* It has a configuration in its log that it does not know to be committed. */
};

static struct opinion *opinions;
static uint16_t *hosts; /* By member number. */
static uint64_t n_ids;
static uint64_t conf_index; /* Of the newest configuration that anybody knew to be committed. */
static uint64_t voters;     /* As recorded: 0 while one is under way. */
static uint64_t conf_voters_set;

void opinions_begin(void)
{
    opinions = world_new(LAB_HOSTS_MAX, sizeof *opinions);
    n_ids = conf_index = voters = conf_voters_set = 0;
}

void opinions_end(void)
{
    world_free(opinions);
    world_free(hosts);
    opinions = NULL;
    hosts = NULL;
}

static uint16_t host_of(uint64_t id)
{
    return id < n_ids ? hosts[id] : (uint16_t)HIST_NONE;
}

static void know(uint64_t id, uint32_t host)
{
    if (id >= n_ids) {
        uint64_t n = max_u64(id + 1, n_ids * 2);
        hosts = world_grow(hosts, n, sizeof *hosts);
        for (uint64_t i = n_ids; i < n; i++) {
            hosts[i] = (uint16_t)HIST_NONE;
        }
        n_ids = n;
    }
    hosts[id] = (uint16_t)host;
}

static uint64_t master_of(const struct node *node)
{
    return node->state == CORE_LEADER        ? node->options.id
           : node->leader_term == node->term ? node->leader
                                             : 0;
}

static void look_at_master(const struct node *node, uint16_t host, struct opinion *o)
{
    uint64_t master = master_of(node);
    if (o->term == node->term && o->master == master) {
        return;
    }
    o->term = node->term;
    o->master = master;
    record(&(struct rec){.kind = REC_MASTER,
                         .master = {.host = host, .master = host_of(master), .term = node->term}});
}

/* A majority is one of the voters in force for whoever leads. While a change is under way that is
 * not known: 0. */
static void look_at_voters(const struct node *node, struct opinion *o)
{
    const struct membership *ms = &node->membership;
    uint64_t now = 0;
    if (ms->committed_index > conf_index) {
        conf_index = ms->committed_index;
        conf_voters_set = 0;
        for (uint32_t i = 0; i < ms->committed.n; i++) {
            uint16_t host = host_of(ms->committed.members[i].id);
            bool votes = ms->committed.members[i].role == RAFTLOG_VOTER && host != HIST_NONE;
            conf_voters_set |= votes ? UINT64_C(1) << host : 0;
        }
    }
    o->changes = ms->now_index > conf_index;
    now = conf_voters_set;
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        now = opinions[i].changes ? 0 : now;
    }
    if (now != voters) {
        voters = now;
        record(&(struct rec){.kind = REC_VOTERS, .voters = {.voters = voters}});
    }
}

static void look(const struct node *node)
{
    const struct vhost *h = proc_now == NULL ? NULL : lab_host_of(proc_now);
    if (h == NULL || opinions == NULL || !record_on() || !node->started) {
        return;
    }
    uint16_t host = (uint16_t)h->m.index;
    struct opinion *o = &opinions[host];
    if (o->starts != h->starts) {
        *o = (struct opinion){.starts = h->starts};
        know(node->options.id, host);
    }
    look_at_master(node, host, o);
    if (node->persisted > o->persisted) {
        o->persisted = node->persisted;
        record(&(struct rec){.kind = REC_DURABLE,
                             .durable = {.host = host, .index = node->persisted}});
    }
    look_at_voters(node, o);
    if (node->commit > o->commit) {
        o->commit = node->commit;
        record(&(struct rec){.kind = REC_PROMISE,
                             .promise = {.host = host, .index = node->commit, .term = node->term}});
    }
}

int __real_drive_step(struct node *node, struct core_event *event, struct err *e);
int __wrap_drive_step(struct node *node, struct core_event *event, struct err *e);
int __real_drive_submit(struct node *node, struct node_entry *entries, uint32_t n, struct err *e);
int __wrap_drive_submit(struct node *node, struct node_entry *entries, uint32_t n, struct err *e);

int __wrap_drive_step(struct node *node, struct core_event *event, struct err *e)
{
    int rc = __real_drive_step(node, event, e);
    look(node);
    return rc;
}

int __wrap_drive_submit(struct node *node, struct node_entry *entries, uint32_t n, struct err *e)
{
    int rc = __real_drive_submit(node, entries, n, e);
    look(node);
    return rc;
}
