#include "chaos-tests/sim/truth.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/observe.h"
#include "chaos-tests/sim/permits.h"
#include "chaos-tests/sim/record.h"
#include "chaos-tests/sim/seam.h"
#include "chaos-tests/sim/store.h"
#include "chaos-tests/sim/vguard.h"
#include "fsm/rows.h"

#define COPIES 16384

struct copy {
    bool used;
    bool runs;
    bool departs; /* All of it was sent elsewhere. */
    bool killed;  /* From outside; the driver of a daemon that stood still learns of it later, */
    uint64_t by;  /* of the process of this number. */
    uint32_t host;
    struct id uuid;
    uint64_t epoch;
    uint64_t shutdown_ms; /* It will power itself off then, by its machine's clock; 0: no. */
    struct vevent off;
    char name[HIST_NAME + 1];
    char file[96]; /* Name without its folder. */
};

void (*truth_stopped)(void);

static struct copy *copies;
static uint32_t n_copies; /* In use at most so many slots from the beginning. */

void truth_begin(void)
{
    copies = world_new(COPIES, sizeof *copies);
    n_copies = 0;
    truth_stopped = NULL;
}

void truth_end(void)
{
    for (uint32_t i = 0; i < n_copies; i++) {
        vevent_clear(&copies[i].off);
    }
    world_free(copies);
    copies = NULL;
    n_copies = 0;
}

static struct copy *find_file(uint32_t host, const char *file)
{
    for (uint32_t i = 0; i < n_copies; i++) {
        if (copies[i].used && copies[i].host == host && strcmp(copies[i].file, file) == 0) {
            return &copies[i];
        }
    }
    return NULL;
}

static void record_copy(const struct copy *c, enum copy_state state)
{
    record(&(struct rec){.kind = REC_COPY,
                         .copy = {.host = (uint16_t)c->host,
                                  .guest = record_name(c->name),
                                  .epoch = c->epoch,
                                  .state = state}});
}

static void power_off(struct vevent *ev)
{
    struct copy *c = CONTAINER_OF(ev, struct copy, off);
    c->runs = false;
    record_copy(c, COPY_GONE);
}

static struct copy *copy_add(uint32_t host, const char *file)
{
    uint32_t i = 0;
    while (i < n_copies && copies[i].used) {
        i++;
    }
    if (i == COPIES) {
        lab_fail("truth", "more than %d copies of guests", COPIES);
        return NULL;
    }
    n_copies = i == n_copies ? n_copies + 1 : n_copies;
    copies[i] = (struct copy){.used = true, .host = host, .off = {.fire = power_off}};
    (void)str_copy(copies[i].file, sizeof copies[i].file, file);
    return &copies[i];
}

static void copy_gone(struct copy *c)
{
    const struct copy was = *c;
    vevent_clear(&c->off);
    record_copy(c, COPY_GONE);
    world_note('g', c->host, c->epoch);
    *c = (struct copy){0};
    permits_gone(was.host, &was.uuid, was.epoch);
    vguard_gone(was.host, &was.uuid, was.epoch);
}

static void check_alone(const struct copy *c)
{
    char uuid[ID_TEXT_SIZE];
    for (uint32_t i = 0; i < n_copies; i++) {
        const struct copy *o = &copies[i];
        /* A machine that stands still runs nothing. */
        if (o != c && o->used && o->runs && !lab.hosts[o->host].m.frozen &&
            id_equal(&o->uuid, &c->uuid)) {
            lab_fail(
                "truth", "guest %s runs under epoch %llu on %s and under epoch %llu on %s at once",
                id_text(&c->uuid, uuid), (unsigned long long)o->epoch, lab.hosts[o->host].m.name,
                (unsigned long long)c->epoch, lab.hosts[c->host].m.name);
        }
    }
}

/* A run begins once: what a host has told the others to run was made long before. */
static void check_begins(const struct copy *c)
{
    struct guest g;
    if (observe_guest(c->name, &g) && id_equal(&g.uuid, &c->uuid) && g.run_epoch == c->epoch &&
        (g.state == GUEST_RUNNING || g.state == GUEST_PAUSED) &&
        strcmp(g.host, lab.hosts[c->host].m.name) == 0) {
        lab_fail("truth", "%s begins the run %llu of guest %s, which had begun before",
                 lab.hosts[c->host].m.name, (unsigned long long)c->epoch, c->name);
    }
}

int __real_unlink(const char *path);

/* The file has been written: this is what the copy is now. */
static void copy_is(uint32_t host, const char *path, const char *file)
{
    const char *name;
    const char *uuid;
    const char *state;
    json_int_t epoch, since, shutdown;
    json_t *root = json_load_file(path, 0, NULL);
    if (root == NULL ||
        json_unpack(root, "{s:s, s:s, s:I, s:s, s:I, s:I}", "name", &name, "uuid", &uuid, "epoch",
                    &epoch, "state", &state, "since_ms", &since, "shutdown_ms", &shutdown) != 0) {
        lab_fail("truth", "%s is no copy's file", path);
        json_decref(root);
        return;
    }
    struct copy *c = find_file(host, file);
    if (c != NULL && c->killed && c->by == proc_now->number) {
        (void)__real_unlink(path);
        json_decref(root);
        return;
    }
    if (c != NULL && c->killed) { /* Another daemon begins it anew. */
        *c = (struct copy){0};
        c = NULL;
    }
    bool fresh = c == NULL;
    c = c == NULL ? copy_add(host, file) : c;
    if (c != NULL) {
        /* A restamp keeps the file and changes the epoch: the old copy is no more. */
        if (c->epoch != 0 && c->epoch != (uint64_t)epoch) {
            record_copy(c, COPY_GONE);
        }
        (void)id_parse(uuid, &c->uuid);
        (void)str_copy(c->name, sizeof c->name, name);
        c->epoch = (uint64_t)epoch;
        c->shutdown_ms = (uint64_t)shutdown;
        bool runs = since != 0;
        world_note('G', host, c->epoch * 2 + runs);
        c->runs = runs;
        bool departs = strcmp(state, "departed") == 0;
        if (departs && !c->departs && truth_stopped != NULL) {
            truth_stopped();
        }
        c->departs = departs;
        vevent_clear(&c->off);
        if (runs && shutdown != 0) {
            vevent_set(&c->off, vclock_when(&lab.hosts[host].m.clock, c->shutdown_ms * NS_PER_MS));
        }
        record_copy(c, runs                             ? COPY_RUNNING
                       : strcmp(state, "incoming") == 0 ? COPY_INCOMING
                                                        : COPY_PAUSED);
        if (runs) {
            check_alone(c);
        }
        if (fresh && strcmp(state, "incoming") != 0) {
            check_begins(c);
        }
    }
    json_decref(root);
}

/* --- what is done to files */

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);

/* The name of a copy's file, if it is one of the process that runs. */
static const char *copy_file(const char *path, uint32_t *ret_host)
{
    const struct vhost *h = proc_now == NULL ? NULL : lab_host_of(proc_now);
    size_t len = strlen(path);
    if (h == NULL || len < 4 || strcmp(path + len - 4, ".sim") != 0) {
        return NULL;
    }
    *ret_host = h->m.index;
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

int __wrap_rename(const char *from, const char *to)
{
    uint32_t host;
    const char *file = copy_file(to, &host);
    if (file != NULL) {
        seam_call(SEAM_HYPERVISOR);
    }
    int r = __real_rename(from, to);
    if (r == 0 && file != NULL) {
        struct heap *was = heap_switch(NULL);
        copy_is(host, to, file);
        (void)heap_switch(was);
    }
    return r;
}

int __wrap_unlink(const char *path)
{
    uint32_t host;
    const char *file = copy_file(path, &host);
    if (file != NULL) {
        seam_call(SEAM_HYPERVISOR);
    }
    int r = __real_unlink(path);
    store_removed(path);
    struct copy *c = file == NULL ? NULL : find_file(host, file);
    if (c != NULL && c->killed) { /* Its driver has heard. */
        *c = (struct copy){0};
    } else if (c != NULL && r == 0) {
        copy_gone(c);
    }
    return r;
}

/* --- looking */

void truth_freeze(uint32_t host, bool frozen)
{
    for (uint32_t i = 0; i < n_copies; i++) {
        if (copies[i].used && copies[i].runs && copies[i].host == host) {
            record_copy(&copies[i], frozen ? COPY_PAUSED : COPY_RUNNING);
        }
    }
}

void truth_power_cut(uint32_t host)
{
    for (uint32_t i = 0; i < n_copies; i++) {
        if (copies[i].used && copies[i].killed && copies[i].host == host) {
            copies[i] = (struct copy){0};
        } else if (copies[i].used && copies[i].host == host) {
            copy_gone(&copies[i]);
        }
    }
}

static struct copy *find_copy(uint32_t host, const struct id *uuid, uint64_t epoch)
{
    for (uint32_t i = 0; i < n_copies; i++) {
        struct copy *c = &copies[i];
        if (c->used && c->host == host && c->epoch == epoch && id_equal(&c->uuid, uuid)) {
            return c;
        }
    }
    return NULL;
}

bool truth_exists(uint32_t host, const struct id *uuid, uint64_t epoch)
{
    return find_copy(host, uuid, epoch) != NULL;
}

/* A daemon that is there is told by its driver, as soon as it runs; one that is not there finds
 * nothing when it comes. */
void truth_kill(uint32_t host, const struct id *uuid, uint64_t epoch)
{
    struct vhost *h = &lab.hosts[host];
    struct copy *c = find_copy(host, uuid, epoch);
    const struct hv_key key = {.uuid = *uuid, .epoch = epoch};
    if (c == NULL) {
        return;
    }
    char path[sizeof h->run_dir + sizeof c->file + 2];
    (void)snprintf(path, sizeof path, "%s/%s", h->run_dir, c->file);
    world_note('k', host, epoch);
    (void)__real_unlink(path);
    copy_gone(c);
    if (vhost_guest(h, &key, 3)) {
        /* Whatever that driver still writes of it, the copy is dead. */
        c = copy_add(host, strrchr(path, '/') + 1);
        if (c != NULL) {
            c->killed = true;
            c->by = h->proc->number;
        }
    }
}

bool truth_runs(uint32_t host, const struct id *uuid, uint64_t epoch)
{
    const struct copy *c = find_copy(host, uuid, epoch);
    return c != NULL && c->runs;
}

void truth_count(uint32_t *ret_copies, uint32_t *ret_running)
{
    *ret_copies = *ret_running = 0;
    for (uint32_t i = 0; i < n_copies; i++) {
        *ret_copies += copies[i].used && !copies[i].killed;
        *ret_running += copies[i].used && copies[i].runs;
    }
}

bool truth_handover(uint32_t *ret_src, uint32_t *ret_dst)
{
    for (uint32_t i = 0; i < n_copies; i++) {
        const struct copy *c = &copies[i];
        for (uint32_t j = 0; j < n_copies && c->used && c->departs; j++) {
            const struct copy *o = &copies[j];
            if (o->used && !o->runs && !o->killed && o->epoch > c->epoch && o->host != c->host &&
                id_equal(&o->uuid, &c->uuid)) {
                *ret_src = c->host;
                *ret_dst = o->host;
                return true;
            }
        }
    }
    return false;
}

bool truth_pick(uint32_t host, struct rng *rng, struct id *ret_uuid, uint64_t *ret_epoch)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i < n_copies; i++) {
        const struct copy *c = &copies[i];
        if (c->used && c->runs && c->host == host && rng_below(rng, ++seen) == 0) {
            *ret_uuid = c->uuid;
            *ret_epoch = c->epoch;
        }
    }
    return seen > 0;
}
