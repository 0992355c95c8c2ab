/* Driver sim: see sim.h. */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/mark.h"
#include "core/util.h"

#include "hvdriver/sim.h"
#include "hvdriver/spec.h"

static struct sim_copy *find(struct hv *hv, const struct hv_key *key)
{
    return (struct sim_copy *)hv_copy_find(hv, key); /* `base` is the first member. */
}

static struct sim *world(struct hv *hv)
{
    return hv->impl;
}

static void timer_closed(uv_handle_t *handle)
{
    struct sim_copy *c = handle->data;
    if (--c->handles == 0) {
        free(c);
    }
}

static void wind_up(struct sim_copy *c)
{
    uv_timer_init(c->hv->loop, &c->timer);
    uv_timer_init(c->hv->loop, &c->life);
    uv_timer_init(c->hv->loop, &c->saving);
    c->timer.data = c;
    c->life.data = c;
    c->saving.data = c;
    c->handles = 3;
}

static void wind_down(struct sim_copy *c)
{
    uv_close((uv_handle_t *)&c->timer, timer_closed);
    uv_close((uv_handle_t *)&c->life, timer_closed);
    uv_close((uv_handle_t *)&c->saving, timer_closed);
}

/* ---- states ---- */

static bool state_runs(enum hv_state state)
{
    return state == HV_RUNNING || state == HV_OUTGOING;
}

int sim_set(struct sim_copy *c, enum hv_state state, struct err *e)
{
    struct sim_copy before = {.counter = c->counter, .since_ms = c->since_ms};
    enum hv_state old = c->base.info.state;
    c->counter = sim_copy_counter(c);
    c->since_ms = state_runs(state) ? sim_now() : 0;
    c->base.info.state = state;
    int rc = sim_save(c, e);
    c->base.info.state = old;
    if (rc != 0) {
        c->counter = before.counter;
        c->since_ms = before.since_ms;
        return rc;
    }
    hv_set_state(c->hv, &c->base, state, NULL);
    return 0;
}

void sim_end(struct sim_copy *c, enum hv_exit why, const char *detail)
{
    struct hv *hv = c->hv;
    struct hv_key key = c->base.info.key;
    struct hv_req *reqs[] = {c->req, c->migrate, c->cancel};
    sim_stream_stop(c);
    sim_remove(c);
    hv_copy_remove(hv, &c->base);
    wind_down(c);
    hv_tell_exit(hv, &key, why, detail);
    for (size_t i = 0; i < ARRAY_LEN(reqs) && !hv->closing; i++) {
        if (reqs[i] == NULL) {
            continue;
        }
        bool fine = reqs[i]->op == HV_DESTROY || reqs[i]->op == HV_MIGRATE_CANCEL;
        if (!fine) {
            (void)err_set(&reqs[i]->err, ERR_HYPERVISOR, "the guest is gone: %s",
                          hv_exit_name(why));
        }
        hv_finish(hv, reqs[i]);
    }
}

static void shutdown_due(uv_timer_t *timer)
{
    struct sim_copy *c = timer->data;
    if (state_runs(c->base.info.state)) {
        sim_end(c, HV_EXIT_POWEROFF, NULL);
    }
}

/* Wind the clock of a guest that was asked to shut down; one that stands still does not hear. */
static void wind_shutdown(struct sim_copy *c)
{
    if (c->shutdown_ms == 0 || !state_runs(c->base.info.state)) {
        return;
    }
    uint64_t now = sim_now();
    uv_timer_start(&c->life, shutdown_due, c->shutdown_ms > now ? c->shutdown_ms - now : 0, 0);
}

/* ---- requests ---- */

/* The request under way is done, with the state it asked for. */
static void settle(struct sim_copy *c, enum hv_state state)
{
    struct hv_req *req = c->req;
    struct err e = {0};
    c->req = NULL;
    (void)sim_set(c, state, &e);
    wind_shutdown(c);
    if (req != NULL) {
        req->err = e;
        hv_finish(c->hv, req);
    }
}

static void started(uv_timer_t *timer)
{
    struct sim_copy *c = timer->data;
    settle(c, c->start_paused ? HV_PAUSED : HV_RUNNING);
}

static void incoming_started(uv_timer_t *timer)
{
    struct sim_copy *c = timer->data;
    struct err e;
    struct hv_req *req = c->req;
    if (req == NULL) {
        return; /* Nobody would learn the address: it waits for its DESTROY. */
    }
    if (sim_stream_listen(c, req, &e) != 0) {
        struct hv *hv = c->hv;
        c->req = NULL;
        sim_end(c, HV_EXIT_INCOMING, e.msg);
        hv_fail(hv, req, &e);
        return;
    }
    settle(c, HV_INCOMING);
}

static void destroyed(uv_timer_t *timer)
{
    sim_end(timer->data, HV_EXIT_DESTROYED, NULL);
}

static void paused(uv_timer_t *timer)
{
    settle(timer->data, HV_PAUSED);
}

static void unpaused(uv_timer_t *timer)
{
    settle(timer->data, HV_RUNNING);
}

static void was_restored(uv_timer_t *timer)
{
    settle(timer->data, HV_ARRIVED);
}

static void was_asked(uv_timer_t *timer)
{
    struct sim_copy *c = timer->data;
    c->shutdown_ms = sim_now() + world(c->hv)->times.shutdown_ms;
    settle(c, c->base.info.state);
}

static void was_reset(uv_timer_t *timer)
{
    struct sim_copy *c = timer->data;
    c->shutdown_ms = 0;
    settle(c, HV_RUNNING);
}

static void do_start(struct hv *hv, struct hv_req *req)
{
    const struct hv_spec *spec = req->spec;
    struct err e;
    if (find(hv, &req->key) != NULL) {
        (void)err_set(&e, ERR_EXISTS, "guest %s is here already under run epoch %llu", spec->name,
                      (unsigned long long)spec->epoch);
        hv_fail(hv, req, &e);
        return;
    }
    struct sim_copy *c = mem_new(1, sizeof *c);
    struct hv_info *i = &c->base.info;
    c->hv = hv;
    i->key = req->key;
    (void)str_copy(i->name, sizeof i->name, spec->name);
    i->state = HV_STARTING;
    i->memory_mib = spec->memory_mib;
    i->vcpus = spec->vcpus;
    i->started_ms = os_clock()->wall_ms(os_clock());
    i->vnc_display = -1;
    (void)hv_stamp(&req->key, c->file);
    bool restores = spec->restore[0] != '\0';
    if (spec_check_files(spec, &e) != 0 ||
        (restores && sim_memory_read(spec->restore, &c->counter, &e) != 0) ||
        sim_save(c, &e) != 0) {
        free(c);
        (void)err_wrap(&e, "guest %s", spec->name);
        hv_fail(hv, req, &e);
        return;
    }
    wind_up(c);
    c->req = req;
    c->start_paused = spec->paused;
    hv_copy_add(hv, &c->base);
    uv_timer_start(&c->timer,
                   restores              ? was_restored
                   : req->op == HV_START ? started
                                         : incoming_started,
                   world(hv)->times.start_ms, 0);
}

static void do_migrate(struct sim_copy *c, struct hv_req *req)
{
    struct err e;
    c->was_running = c->base.info.state == HV_RUNNING;
    /* Not live: its counter stops first, then the state says that it is leaving. */
    if ((!req->live && sim_set(c, HV_PAUSED, &e) != 0) || sim_stream_send(c, req, &e) != 0) {
        hv_fail(c->hv, req, &e);
        return;
    }
    c->migrate = req;
    hv_set_state(c->hv, &c->base, HV_OUTGOING, NULL);
}

void sim_migrated(struct sim_copy *c, const struct err *e)
{
    struct hv_req *req = c->migrate;
    struct hv_req *cancel = c->cancel;
    struct hv *hv = c->hv;
    MARK_IF(stream_resumed, e->code != 0);
    c->migrate = NULL;
    c->cancel = NULL;
    enum hv_state state = e->code == 0 ? HV_DEPARTED : c->was_running ? HV_RUNNING : HV_PAUSED;
    struct err unsaved;
    if (sim_set(c, state, &unsaved) != 0) {
        /* What has left must not come back by an old file; it stands still in any case. */
        hv_set_state(hv, &c->base, state == HV_DEPARTED ? HV_DEPARTED : HV_PAUSED, unsaved.msg);
    }
    if (req != NULL) {
        req->err = *e;
        hv_finish(hv, req);
    }
    if (cancel != NULL) {
        hv_finish(hv, cancel);
    }
}

bool sim_received(struct sim_copy *c, uint64_t counter, const struct err *e)
{
    struct err why = *e;
    c->counter = counter;
    if (why.code == 0 && sim_set(c, HV_ARRIVED, &why) == 0) {
        return true;
    }
    sim_end(c, HV_EXIT_INCOMING, why.msg);
    return false;
}

static void do_restamp(struct sim_copy *c, struct hv_req *req)
{
    struct hv_key key = {.uuid = req->key.uuid, .epoch = req->epoch};
    struct err e;
    if (find(c->hv, &key) != NULL) {
        (void)err_set(&e, ERR_EXISTS, "run epoch %llu is here already",
                      (unsigned long long)req->epoch);
        hv_fail(c->hv, req, &e);
        return;
    }
    hv_copy_remove(c->hv, &c->base);
    struct hv_key old = c->base.info.key;
    c->base.info.key = key;
    int rc = sim_save(c, &e);
    if (rc != 0) {
        c->base.info.key = old;
    }
    hv_copy_add(c->hv, &c->base);
    if (rc != 0) {
        hv_fail(c->hv, req, &e);
    } else {
        hv_finish(c->hv, req);
    }
}

static void after(struct sim_copy *c, uv_timer_cb done, struct hv_req *req, uint32_t ms)
{
    c->req = req;
    uv_timer_start(&c->timer, done, ms, 0);
}

static void do_cancel(struct sim_copy *c, struct hv_req *req)
{
    if (c->base.info.state != HV_OUTGOING) {
        hv_finish(c->hv, req);
        return;
    }
    struct err e;
    (void)err_set(&e, ERR_CANCELLED, "the migration was cancelled");
    MARK(migration_cancelled);
    c->cancel = req;
    sim_stream_stop(c);
    sim_migrated(c, &e);
}

/* A simulated guest has devices in its spec alone, and lets go of them at once. */
static void do_device(struct sim_copy *c, struct hv_req *req)
{
    struct hv_spec spec = {.n_disks = req->disk == NULL ? 0 : 1};
    struct err e;
    if (req->disk != NULL) {
        spec.disks[0] = *req->disk;
    }
    if (req->op == HV_ATTACH && spec_check_files(&spec, &e) != 0) {
        hv_fail(c->hv, req, &e);
    } else {
        hv_finish(c->hv, req);
    }
}

static void do_op(struct sim_copy *c, struct hv_req *req)
{
    const struct sim_times *t = &world(c->hv)->times;
    switch (req->op) {
    case HV_SHUTDOWN: after(c, was_asked, req, 0); return;
    case HV_DESTROY: after(c, destroyed, req, t->destroy_ms); return;
    case HV_PAUSE: after(c, paused, req, t->pause_ms); return;
    case HV_UNPAUSE: after(c, unpaused, req, t->pause_ms); return;
    case HV_RESET: after(c, was_reset, req, t->pause_ms); return;
    case HV_MIGRATE: do_migrate(c, req); return;
    case HV_SAVE: sim_memory_save(c, req); return;
    case HV_MIGRATE_CANCEL: do_cancel(c, req); return;
    case HV_RESTAMP: do_restamp(c, req); return;
    case HV_ATTACH:
    case HV_DETACH: do_device(c, req); return;
    case HV_START:
    case HV_INCOMING_START: assert(false);
    }
}

static void sim_begin(struct hv *hv, struct hv_req *req)
{
    int fail = world(hv)->fail[req->op];
    struct err e;
    world(hv)->fail[req->op] = 0;
    if (fail == ERR_TIMEOUT) {
        MARK(request_hangs);
        return; /* Hangs until its deadline. */
    }
    if (fail != 0) {
        MARK(request_fails);
        (void)err_set(&e, fail, "a fault of the simulation");
        hv_fail(hv, req, &e);
        return;
    }
    if (req->op == HV_START || req->op == HV_INCOMING_START) {
        do_start(hv, req);
        return;
    }
    struct sim_copy *c = find(hv, &req->key);
    if (c == NULL && (req->op == HV_DESTROY || req->op == HV_MIGRATE_CANCEL)) {
        hv_finish(hv, req);
        return;
    }
    if (c == NULL) {
        char stamp[HV_STAMP_SIZE];
        (void)err_set(&e, ERR_NOT_FOUND, "no copy %s on this host", hv_stamp(&req->key, stamp));
        hv_fail(hv, req, &e);
        return;
    }
    if (!hv_state_allows(req->op, c->base.info.state)) {
        (void)err_set(&e, ERR_STATE, "guest %s is %s", c->base.info.name,
                      hv_state_name(c->base.info.state));
        hv_fail(hv, req, &e);
        return;
    }
    do_op(c, req);
}

static void sim_abandon(struct hv *hv, struct hv_req *req)
{
    struct sim_copy *c = find(hv, &req->key);
    if (c == NULL) {
        return;
    }
    if (c->req == req) {
        c->req = NULL; /* What it began goes on. */
    }
    if (c->cancel == req) {
        c->cancel = NULL;
    }
    if (c->migrate == req) {
        c->migrate = NULL;
        struct err e;
        (void)err_set(&e, ERR_CANCELLED, "the migration was cancelled");
        sim_stream_stop(c);
        sim_migrated(c, &e);
    }
}

/* ---- what tests and the failure lab do to guests ---- */

struct sim_times *sim_times(struct hv *hv)
{
    return &world(hv)->times;
}

void sim_fail_next(struct hv *hv, enum hv_op op, int code)
{
    world(hv)->fail[op] = code;
}

static struct sim_copy *find_running(struct hv *hv, const struct hv_key *key)
{
    struct sim_copy *c = find(hv, key);
    return c != NULL && state_runs(c->base.info.state) ? c : NULL;
}

static void rebooted(uv_timer_t *timer)
{
    sim_end(timer->data, HV_EXIT_REBOOT, NULL);
}

static void panicked(uv_timer_t *timer)
{
    struct sim_copy *c = timer->data;
    struct err e;
    if (sim_set(c, HV_PANICKED, &e) != 0) {
        sim_end(c, HV_EXIT_CRASH, e.msg);
    }
}

static void vanished(uv_timer_t *timer)
{
    sim_end(timer->data, HV_EXIT_UNKNOWN, "killed");
}

static bool by_itself(struct sim_copy *c, uv_timer_cb what)
{
    if (c != NULL) {
        uv_timer_start(&c->life, what, 0, 0);
    }
    return c != NULL;
}

bool sim_guest_poweroff(struct hv *hv, const struct hv_key *key)
{
    return by_itself(find_running(hv, key), shutdown_due);
}

bool sim_guest_reboot(struct hv *hv, const struct hv_key *key)
{
    return by_itself(find_running(hv, key), rebooted);
}

bool sim_guest_panic(struct hv *hv, const struct hv_key *key)
{
    return by_itself(find_running(hv, key), panicked);
}

bool sim_kill(struct hv *hv, const struct hv_key *key)
{
    return by_itself(find(hv, key), vanished);
}

uint64_t sim_counter(struct hv *hv, const struct hv_key *key)
{
    const struct sim_copy *c = find(hv, key);
    return c == NULL ? 0 : sim_copy_counter(c);
}

/* ---- opening and closing ---- */

/* What a guest did while nobody watched; false: it is no more. */
static bool catch_up(struct sim_copy *c, const char **ret_detail)
{
    switch (c->base.info.state) {
    case HV_STARTING: *ret_detail = "the daemon died while it was started"; return false;
    case HV_INCOMING: *ret_detail = "the daemon died while it was received"; return false;
    case HV_OUTGOING: c->base.info.state = c->since_ms != 0 ? HV_RUNNING : HV_PAUSED; break;
    case HV_RUNNING: break;
    case HV_GONE:
    case HV_PAUSED:
    case HV_ARRIVED:
    case HV_DEPARTED:
    case HV_PANICKED: return true;
    }
    MARK_IF(ended_unwatched, c->shutdown_ms != 0 && c->shutdown_ms <= sim_now());
    *ret_detail = "it ended while no daemon watched";
    return c->shutdown_ms == 0 || c->shutdown_ms > sim_now();
}

static void adopt(struct hv *hv, const char *stamp)
{
    struct sim_copy *c = mem_new(1, sizeof *c);
    struct err e;
    const char *detail = e.msg;
    struct hv_key key;
    if (hv_stamp_parse(stamp, &key) != 0) {
        free(c);
        return;
    }
    bool known = sim_load(hv, stamp, c, &e) == 0;
    if (known) {
        key = c->base.info.key;
    }
    if (!known || !catch_up(c, &detail)) {
        sim_remove(c);
        free(c);
        hv_tell_exit_later(hv, &key, HV_EXIT_UNKNOWN, detail);
        return;
    }
    wind_up(c);
    hv_copy_add(hv, &c->base);
    wind_shutdown(c);
}

static int sim_open(struct hv *hv, struct err *e)
{
    DIR *dir = opendir(hv->run_dir);
    if (dir == NULL) {
        return err_sys(e, ERR_IO, errno, "directory %s", hv->run_dir);
    }
    struct sim *s = mem_new(1, sizeof *s);
    s->times = (struct sim_times){
        .start_ms = 5, .destroy_ms = 2, .pause_ms = 1, .shutdown_ms = 20, .migrate_ms = 50};
    hv->impl = s;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) { /* NOLINT(concurrency-mt-unsafe): its own DIR */
        size_t len = strlen(entry->d_name);
        if (len > 4 && len < HV_STAMP_SIZE + 4 && strcmp(entry->d_name + len - 4, ".sim") == 0) {
            char stamp[HV_STAMP_SIZE];
            (void)snprintf(stamp, sizeof stamp, "%.*s", (int)(len - 4), entry->d_name);
            adopt(hv, stamp);
        }
    }
    (void)closedir(dir);
    return 0;
}

static void sim_close(struct hv *hv)
{
    while (hv->n_copies > 0) {
        struct sim_copy *c = (struct sim_copy *)hv->copies[hv->n_copies - 1];
        sim_stream_stop(c);
        hv_copy_remove(hv, &c->base);
        wind_down(c);
    }
    free(hv->impl);
    hv_closed(hv);
}

static void sim_host_info(struct hv *hv, struct hv_host_info *ret)
{
    (void)hv;
    (void)str_copy(ret->version, sizeof ret->version, QUORATE_VERSION);
    ret->can_migrate = true;
    ret->can_pause = true;
    ret->survives_daemon = true;
}

const struct hv_driver driver_sim = {.name = "sim",
                                     .open = sim_open,
                                     .close = sim_close,
                                     .begin = sim_begin,
                                     .abandon = sim_abandon,
                                     .host_info = sim_host_info};
