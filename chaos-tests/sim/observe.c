#include "chaos-tests/sim/observe.h"

#include <string.h>

#include "core/hash.h"
#include "core/util.h"

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/proc.h"
#include "chaos-tests/sim/record.h"
#include "chaos-tests/sim/world.h"
#include "cli/quorated/daemon.h"
#include "fsm/fsm.h"

/* What was first seen at an index. */
struct seen {
    uint64_t entry; /* Hash of its bytes; 0: not seen. */
    uint64_t state; /* Hash of the state after it; 0: not seen (it was inside a batch). */
    char entry_by[MACHINE_NAME], state_by[MACHINE_NAME];
};

static struct seen *seen;
static uint64_t cap, last;

/* Entries of the transaction under way; the last one gets the state's hash at its commit. */
static struct rec *pending;
static size_t n_pending, cap_pending;

void observe_begin(void)
{
    last = 0;
}

void observe_end(void)
{
    world_free(seen);
    world_free(pending);
    pending = NULL;
    n_pending = cap_pending = 0;
    seen = NULL;
    cap = 0;
}

uint64_t observe_last(void)
{
    return last;
}

struct vhost *observe_newest(void)
{
    struct vhost *newest = NULL;
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        struct vhost *h = &lab.hosts[i];
        if (h->proc != NULL && h->daemon->fsm != NULL && !h->daemon->stopping &&
            (newest == NULL || fsm_applied(h->daemon->fsm) > fsm_applied(newest->daemon->fsm))) {
            newest = h;
        }
    }
    return newest;
}

bool observe_guest(const char *name, struct guest *ret)
{
    struct vhost *newest = observe_newest();
    bool found = false;
    if (newest != NULL) {
        struct proc *before = proc_enter(newest->proc);
        struct fsm_view *v = fsm_view_open(newest->daemon->fsm);
        found = v != NULL && fsm_get_guest(v, name, ret) == 0;
        (void)fsm_view_close(v);
        proc_leave(before);
    }
    return found;
}

static struct seen *at(uint64_t index)
{
    if (index >= cap) {
        uint64_t more = max_u64(cap * 2, index + 1024);
        seen = world_grow(seen, more, sizeof *seen);
        memset(seen + cap, 0, (more - cap) * sizeof *seen);
        cap = more;
    }
    last = max_u64(last, index);
    return &seen[index];
}

void observe_entry(uint64_t index, const void *data, size_t len)
{
    struct seen *s = at(index);
    uint64_t hash = (data == NULL ? 1 : hash_bytes(data, len).lo) | 1;
    world_note('a', proc_now->number, index);
    if (s->entry == 0) {
        s->entry = hash;
        (void)str_copy(s->entry_by, sizeof s->entry_by, proc_now->name);
    } else if (s->entry != hash) {
        lab_fail("replicas", "entry %llu is another one on %s than on %s",
                 (unsigned long long)index, proc_now->name, s->entry_by);
    }
}

void observe_state(uint64_t index, struct hash128 hash)
{
    struct seen *s = at(index);
    uint64_t state = (hash.lo ^ hash.hi) | 1;
    world_note('h', index, state);
    if (s->state == 0) {
        s->state = state;
        (void)str_copy(s->state_by, sizeof s->state_by, proc_now->name);
    } else if (s->state != state) {
        lab_fail("replicas", "the state at %llu is another one on %s than on %s",
                 (unsigned long long)index, proc_now->name, s->state_by);
    }
}

static void record_entry(const struct fsm_input *in, const struct fsm_applied_entry *done)
{
    if (!record_on()) {
        return;
    }
    if (n_pending == cap_pending) {
        cap_pending = cap_pending == 0 ? 64 : cap_pending * 2;
        pending = world_grow(pending, cap_pending, sizeof *pending);
    }
    pending[n_pending++] = (struct rec){
        .kind = REC_APPLY,
        .apply = {.host = (uint16_t)proc_now->machine->index,
                  .index = in->index,
                  .term = in->term,
                  .entry = (in->data == NULL ? 1 : hash_bytes(in->data, in->len).lo) | 1,
                  .request = done == NULL ? 0 : record_request(&done->request),
                  .code = done == NULL ? 0 : done->outcome.code,
                  .first = done == NULL ? 1 : done->first}};
}

static void record_commit(uint64_t state)
{
    for (size_t i = 0; i < n_pending; i++) {
        pending[i].apply.state = i + 1 == n_pending ? state : 0;
        record(&pending[i]);
    }
    n_pending = 0;
}

int __real_fsm_begin(struct fsm *f, struct err *e);
int __wrap_fsm_begin(struct fsm *f, struct err *e);

int __wrap_fsm_begin(struct fsm *f, struct err *e)
{
    n_pending = 0;
    return __real_fsm_begin(f, e);
}

int __real_fsm_apply(struct fsm *f,
                     const struct fsm_input *in,
                     struct fsm_applied_entry *ret,
                     struct err *e);
int __wrap_fsm_apply(struct fsm *f,
                     const struct fsm_input *in,
                     struct fsm_applied_entry *ret,
                     struct err *e);
int __real_fsm_skip(struct fsm *f, uint64_t index, struct err *e);
int __wrap_fsm_skip(struct fsm *f, uint64_t index, struct err *e);
int __real_fsm_commit_later(struct fsm *f, struct err *e);
int __wrap_fsm_commit_later(struct fsm *f, struct err *e);
int __real_fsm_snapshot_load(struct fsm *f, fsm_read_fn read, void *ctx, struct err *e);
int __wrap_fsm_snapshot_load(struct fsm *f, fsm_read_fn read, void *ctx, struct err *e);

int __wrap_fsm_apply(struct fsm *f,
                     const struct fsm_input *in,
                     struct fsm_applied_entry *ret,
                     struct err *e)
{
    int rc = __real_fsm_apply(f, in, ret, e);
    if (rc == 0) {
        observe_entry(in->index, in->data, in->len);
        record_entry(in, ret);
    }
    return rc;
}

int __wrap_fsm_skip(struct fsm *f, uint64_t index, struct err *e)
{
    int rc = __real_fsm_skip(f, index, e);
    if (rc == 0) {
        observe_entry(index, NULL, 0);
        record_entry(&(struct fsm_input){.index = index}, NULL);
    }
    return rc;
}

int __wrap_fsm_commit_later(struct fsm *f, struct err *e)
{
    int rc = __real_fsm_commit_later(f, e);
    if (rc == 0) {
        struct hash128 hash = fsm_hash(f);
        record_commit((hash.lo ^ hash.hi) | 1);
        observe_state(fsm_applied(f), hash);
    }
    return rc;
}

void observe_jump(struct fsm *f)
{
    struct hash128 hash = fsm_hash(f);
    record(&(struct rec){.kind = REC_JUMP,
                         .jump = {.host = (uint16_t)proc_now->machine->index,
                                  .index = fsm_applied(f),
                                  .state = (hash.lo ^ hash.hi) | 1}});
}

int __wrap_fsm_snapshot_load(struct fsm *f, fsm_read_fn read, void *ctx, struct err *e)
{
    int rc = __real_fsm_snapshot_load(f, read, ctx, e);
    if (rc == 0) {
        observe_jump(f);
        observe_state(fsm_applied(f), fsm_hash(f));
    }
    return rc;
}
