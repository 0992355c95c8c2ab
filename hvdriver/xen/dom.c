/* The life of one copy. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"

#include "hvdriver/spec.h"
#include "hvdriver/xen/worker.h"

/* ---- the table ---- */

struct dom *dom_new(struct worker *w, const struct hv_spec *spec)
{
    struct dom *d = mem_new(1, sizeof *d);
    struct hv_info *i = &d->info;
    d->w = w;
    d->restore_fd = -1;
    d->spec = *spec;
    i->key = (struct hv_key){spec->uuid, spec->epoch};
    (void)str_copy(i->name, sizeof i->name, spec->name);
    i->state = HV_STARTING;
    i->memory_mib = spec->memory_mib;
    i->vcpus = spec->vcpus;
    i->started_ms = os_clock()->wall_ms(os_clock());
    i->vnc_display = -1;
    d->next = w->doms;
    w->doms = d;
    return d;
}

struct dom *dom_find(struct worker *w, const struct hv_key *key)
{
    struct dom *d = w->doms;
    while (d != NULL && (d->gone || hv_key_compare(&d->info.key, key) != 0)) {
        d = d->next;
    }
    return d;
}

static struct dom *find_domain(struct worker *w, uint32_t domid)
{
    struct dom *d = w->doms;
    while (d != NULL && (d->gone || d->domid != domid)) {
        d = d->next;
    }
    return d;
}

void dom_settle(struct dom *d)
{
    if (!d->gone || d->calls > 0 || d->move != NULL) {
        return;
    }
    struct dom **at = &d->w->doms;
    while (*at != d) {
        at = &(*at)->next;
    }
    *at = d->next;
    dom_prepared_done(d);
    free(d);
}

void dom_set(struct dom *d, enum hv_state state, const char *detail)
{
    d->info.state = state;
    say_copy(d, detail);
}

void dom_finish(struct dom *d, enum hv_exit why, const char *detail)
{
    uint64_t id = d->destroy_id;
    d->destroy_id = 0;
    d->gone = true;
    bridge_unwatch(d);
    store_remove(d->w, &d->info.key);
    say_exit(d->w, &d->info.key, hv_exit_name(why), detail);
    answer_ok(d->w, id);
    dom_settle(d);
}

/* A start that failed is told by its request alone. */
static void dom_never_was(struct dom *d, uint64_t id, const struct err *e)
{
    uint64_t destroy_id = d->destroy_id;
    d->destroy_id = 0;
    d->gone = true;
    store_remove(d->w, &d->info.key);
    say_exit(d->w, &d->info.key, d->doomed ? hv_exit_name(HV_EXIT_DESTROYED) : "none", "");
    answer(d->w, id, e, NULL);
    answer_ok(d->w, destroy_id);
    dom_settle(d);
}

/* ---- into the world ---- */

int dom_prepare(struct dom *d, struct err *e)
{
    if (spec_check_files(&d->spec, e) != 0 || config_make(d, &d->config, e) != 0) {
        return err_wrap(e, "guest %s", d->spec.name);
    }
    d->has_config = true;
    return 0;
}

void dom_prepared_done(struct dom *d)
{
    disks_let_go(d);
    if (d->restore_fd >= 0) {
        (void)close(d->restore_fd);
        d->restore_fd = -1;
    }
    if (d->has_config) {
        libxl_domain_config_dispose(&d->config);
        d->has_config = false;
    }
}

static void find_console(struct dom *d)
{
    char *tty = NULL;
    if (libxl_primary_console_get_tty(d->w->ctx, d->domid, &tty) == 0 && tty != NULL) {
        (void)str_copy(d->info.console, sizeof d->info.console, tty);
    }
    free(tty);
}

/* The console daemon's file, where it keeps one: where it was told to, by default Xen's own place.
 */
static void find_log(struct dom *d)
{
    const char *dirs[] = {d->w->log_dir, "/var/log/xen/console"};
    char *name = libxl_domid_to_name(d->w->ctx, d->domid);
    d->info.log[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(dirs) && name != NULL && d->info.log[0] == '\0'; i++) {
        char path[2 * LIMIT_PATH];
        (void)snprintf(path, sizeof path, "%s/guest-%s.log", dirs[i], name);
        if (strlen(path) < sizeof d->info.log && access(path, F_OK) == 0) {
            (void)str_copy(d->info.log, sizeof d->info.log, path);
        }
    }
    free(name);
}

static void find_screen(struct dom *d)
{
    char path[96];
    unsigned len = 0;
    (void)snprintf(path, sizeof path, "/local/domain/%u/console/vnc-port", d->domid);
    CLEANUP(cleanup_free) char *port = xs_read(d->w->xs, XBT_NULL, path, &len);
    long number = port == NULL ? 0 : strtol(port, NULL, 10);
    d->info.vnc_display = number >= 5900 && number <= UINT16_MAX ? (int32_t)(number - 5900) : -1;
}

void dom_look(struct dom *d)
{
    d->info.domain = d->domid;
    find_console(d);
    find_log(d);
    find_screen(d);
    bridge_watch(d);
}

static void unpaused(struct dom *d, uint64_t id, int rc)
{
    struct err e = {0};
    if (rc != 0) {
        (void)complain(d->w, rc, "let it run", &e);
    } else if (!d->destroying && !d->gone) {
        dom_set(d, HV_RUNNING, NULL);
    }
    answer(d->w, id, &e, NULL);
}

/* A domain is paused as often as it was told to be: by its creation, by us, by an operator. */
static void unpause(struct dom *d, uint64_t id)
{
    struct call *c = NULL;
    (void)store_write(d, "state", "");
    libxl_asyncop_how how = call_begin(d, id, unpaused, &c);
    call_begun(c, libxl_domain_unpause(d->w->ctx, d->domid, &how));
}

static void created(struct dom *d, uint64_t id, int rc)
{
    struct err e = {0};
    bool restored = d->restore_fd >= 0;
    d->creating = false;
    dom_prepared_done(d);
    if (rc != 0) {
        (void)complain(d->w, rc, restored ? "restore the domain" : "create the domain", &e);
        d->domid = 0;
        if (d->resetting) {
            answer(d->w, id, &e, NULL);
            dom_finish(d, HV_EXIT_CRASH, e.msg);
        } else {
            dom_never_was(d, id, &e);
        }
        return;
    }
    d->resetting = false;
    if (d->doomed) {
        (void)err_set(&e, ERR_CANCELLED, "the guest was destroyed");
        answer(d->w, id, &e, NULL);
        d->doomed = false;
        dom_destroy(d, HV_EXIT_DESTROYED, "");
        return;
    }
    dom_look(d);
    d->spec.restore[0] = '\0'; /* A reset boots it. */
    if (restored) {
        (void)store_save(d, &e);
        (void)store_write(d, "state", "arrived");
        dom_set(d, HV_ARRIVED, NULL);
        answer_ok(d->w, id);
        return;
    }
    if (d->spec.paused) {
        (void)store_write(d, "state", "");
        dom_set(d, HV_PAUSED, NULL);
        answer_ok(d->w, id);
        return;
    }
    unpause(d, id);
}

static void create(struct dom *d, uint64_t id)
{
    struct err e = {0};
    bool restores = d->spec.restore[0] != '\0';
    int ready = dom_prepare(d, &e);
    if (ready == 0 && restores) {
        ready = move_feed(d, &d->restore_fd, &e);
    }
    if (ready != 0) {
        if (d->resetting) {
            answer(d->w, id, &e, NULL);
            dom_finish(d, HV_EXIT_CRASH, e.msg);
        } else {
            dom_never_was(d, id, &e);
        }
        return;
    }
    struct call *c = NULL;
    d->creating = true;
    libxl_asyncop_how how = call_begin(d, id, created, &c);
    if (!restores) {
        call_begun(c, libxl_domain_create_new(d->w->ctx, &d->config, &d->domid, &how, NULL));
        return;
    }
    libxl_domain_restore_params params;
    libxl_domain_restore_params_init(&params);
    params.stream_version = 2;
    call_begun(c, libxl_domain_create_restore(d->w->ctx, &d->config, &d->domid, d->restore_fd, -1,
                                              &params, &how, NULL));
    libxl_domain_restore_params_dispose(&params);
}

static void start(struct worker *w, const struct hv_spec *spec, uint64_t id)
{
    struct err e = {0};
    struct dom *d = dom_new(w, spec);
    if (store_save(d, &e) != 0) {
        dom_never_was(d, id, &e);
        return;
    }
    say_copy(d, NULL);
    create(d, id);
}

static void receive(struct worker *w, const struct hv_spec *spec, const json_t *msg, uint64_t id)
{
    struct err e = {0};
    struct dom *d = dom_new(w, spec);
    int rc = spec_check_files(&d->spec, &e);
    if (rc == 0) {
        rc = store_save(d, &e);
    }
    if (rc == 0) {
        say_copy(d, NULL);
        rc = move_receive(d, msg, id, &e);
    }
    if (rc != 0) {
        dom_never_was(d, id, &e);
    }
}

/* ---- out of it ---- */

/* Nobody else can run it either: the guard may have ended it while libxl was about to. */
static bool is_dead(struct dom *d)
{
    libxl_dominfo info;
    libxl_dominfo_init(&info);
    int rc = libxl_domain_info(d->w->ctx, &info, d->domid);
    bool dead = rc == ERROR_DOMAIN_NOTFOUND || (rc == 0 && info.dying);
    libxl_dominfo_dispose(&info);
    return dead;
}

static void destroyed(struct dom *d, uint64_t id, int rc)
{
    struct err e = {0};
    d->destroying = false;
    if (rc != 0 && rc != ERROR_DOMAIN_NOTFOUND && !is_dead(d)) {
        (void)complain(d->w, rc, "destroy the domain", &e);
        answer(d->w, d->destroy_id, &e, NULL);
        d->destroy_id = 0;
        bridge_watch(d);
        say_copy(d, e.msg);
        return;
    }
    d->domid = 0;
    d->info.domain = 0;
    if (d->resetting && d->destroy_id == 0) {
        create(d, id);
        return;
    }
    if (d->resetting) {
        (void)err_set(&e, ERR_CANCELLED, "the guest was destroyed");
        answer(d->w, id, &e, NULL);
    }
    dom_finish(d, d->why, d->detail);
}

static void begin_destroy(struct dom *d, uint64_t id)
{
    struct call *c = NULL;
    bridge_unwatch(d);
    d->destroying = true;
    libxl_asyncop_how how = call_begin(d, id, destroyed, &c);
    call_begun(c, libxl_domain_destroy(d->w->ctx, d->domid, &how));
}

void dom_destroy(struct dom *d, enum hv_exit why, const char *detail)
{
    if (d->destroying && !d->resetting) {
        return;
    }
    d->why = why;
    (void)str_copy(d->detail, sizeof d->detail, detail);
    if (d->destroying) {
        return;
    }
    move_drop(d);
    if (d->creating) {
        d->doomed = true;
        return;
    }
    if (d->domid == 0) {
        dom_finish(d, why, detail);
        return;
    }
    begin_destroy(d, 0);
}

bool dom_is_suspended(struct dom *d)
{
    libxl_dominfo info;
    libxl_dominfo_init(&info);
    bool is = libxl_domain_info(d->w->ctx, &info, d->domid) == 0 && info.shutdown &&
              info.shutdown_reason == LIBXL_SHUTDOWN_REASON_SUSPEND;
    libxl_dominfo_dispose(&info);
    return is;
}

void dom_shut_down(struct worker *w, uint32_t domid, libxl_shutdown_reason reason)
{
    struct dom *d = find_domain(w, domid);
    if (d == NULL || d->destroying || d->creating) {
        return;
    }
    switch (reason) {
    case LIBXL_SHUTDOWN_REASON_POWEROFF: dom_destroy(d, HV_EXIT_POWEROFF, ""); return;
    case LIBXL_SHUTDOWN_REASON_REBOOT: dom_destroy(d, HV_EXIT_REBOOT, ""); return;
    case LIBXL_SHUTDOWN_REASON_SUSPEND:
        /* A migration's business; or it was asked by a daemon that has died since. */
        if (d->move == NULL && d->info.state == HV_RUNNING && dom_is_suspended(d)) {
            dom_set(d, HV_DEPARTED, "the daemon died while it was moved");
        }
        return;
    case LIBXL_SHUTDOWN_REASON_UNKNOWN:
    case LIBXL_SHUTDOWN_REASON_CRASH:
    case LIBXL_SHUTDOWN_REASON_WATCHDOG:
    case LIBXL_SHUTDOWN_REASON_SOFT_RESET:
        dom_set(d, HV_PANICKED, libxl_shutdown_reason_to_string(reason));
        return;
    }
}

void dom_dead(struct worker *w, uint32_t domid)
{
    struct dom *d = find_domain(w, domid);
    if (d != NULL && !d->destroying && !d->creating) {
        /* Somebody else destroyed it; its devices may be left. */
        dom_destroy(d, HV_EXIT_UNKNOWN, "its domain was destroyed by somebody else");
    }
}

/* ---- what is asked of it ---- */

static void paused(struct dom *d, uint64_t id, int rc)
{
    struct err e = {0};
    if (rc != 0) {
        (void)complain(d->w, rc, "pause the domain", &e);
    } else if (!d->destroying && !d->gone) {
        dom_set(d, HV_PAUSED, NULL);
    }
    answer(d->w, id, &e, NULL);
}

static void pause_it(struct dom *d, uint64_t id)
{
    struct call *c = NULL;
    if (d->info.state == HV_PAUSED) {
        answer_ok(d->w, id);
        return;
    }
    libxl_asyncop_how how = call_begin(d, id, paused, &c);
    call_begun(c, libxl_domain_pause(d->w->ctx, d->domid, &how));
}

/* A guest that was suspended goes on as if it had not been. */
static void let_run(struct dom *d, uint64_t id)
{
    struct call *c = NULL;
    if (d->info.state == HV_RUNNING) {
        answer_ok(d->w, id);
        return;
    }
    if (d->info.state != HV_DEPARTED) {
        unpause(d, id);
        return;
    }
    libxl_asyncop_how how = call_begin(d, id, unpaused, &c);
    call_begun(c, libxl_domain_resume(d->w->ctx, d->domid, 1, &how));
}

static void asked(struct dom *d, uint64_t id, int rc)
{
    struct err e = {0};
    if (rc != 0) {
        (void)complain(d->w, rc, "ask the guest to shut down", &e);
    }
    answer(d->w, id, &e, NULL);
}

static void asked_by_driver(struct dom *d, uint64_t id, int rc)
{
    if (rc == ERROR_NOPARAVIRT) { /* Then by the button. */
        struct call *c = NULL;
        libxl_asyncop_how how = call_begin(d, id, asked, &c);
        call_begun(c, libxl_send_trigger(d->w->ctx, d->domid, LIBXL_TRIGGER_POWER, 0, &how));
        return;
    }
    asked(d, id, rc);
}

static void shut_down(struct dom *d, uint64_t id)
{
    struct call *c = NULL;
    libxl_asyncop_how how = call_begin(d, id, asked_by_driver, &c);
    call_begun(c, libxl_domain_shutdown(d->w->ctx, d->domid, &how));
}

/* Xen has no reset for all kinds of guests: the same spec again, under the same epoch. */
static void reset(struct dom *d, uint64_t id)
{
    d->resetting = true;
    d->spec.paused = false;
    begin_destroy(d, id);
}

static void restamp(struct dom *d, uint64_t id, uint64_t epoch)
{
    struct err e = {0};
    struct hv_key old = d->info.key;
    struct hv_key new = {old.uuid, epoch};
    char stamp[HV_STAMP_SIZE];
    char run[LIMIT_NAME + 24];
    if (dom_find(d->w, &new) != NULL) {
        (void)err_set(&e, ERR_EXISTS, "run epoch %llu is here already", (unsigned long long)epoch);
        answer(d->w, id, &e, NULL);
        return;
    }
    d->info.key = new;
    d->spec.epoch = epoch;
    (void)snprintf(run, sizeof run, "%s %llu", d->spec.host, (unsigned long long)epoch);
    if (store_save(d, &e) == 0 &&
        (store_write(d, "stamp", hv_stamp(&new, stamp)) != 0 || store_write(d, "run", run) != 0)) {
        (void)err_set(&e, ERR_HYPERVISOR, "xenstore does not take the epoch");
    }
    if (e.code != 0) {
        store_remove(d->w, &new);
        d->info.key = old;
        d->spec.epoch = old.epoch;
    } else {
        store_remove(d->w, &old);
        say_exit(d->w, &old, "none", "");
        say_copy(d, NULL);
    }
    answer(d->w, id, &e, NULL);
}

static void destroy(struct dom *d, uint64_t id)
{
    if (d->destroy_id != 0) {
        answer_ok(d->w, d->destroy_id); /* One that was given up: the driver does not ask twice. */
    }
    d->destroy_id = id;
    dom_destroy(d, HV_EXIT_DESTROYED, "");
}

static void on_copy(struct dom *d, enum hv_op op, const json_t *msg, uint64_t id)
{
    struct err e = {0};
    if ((d->destroying || d->creating) && op != HV_DESTROY && op != HV_MIGRATE_CANCEL) {
        (void)err_set(&e, ERR_STATE, "guest %s is being %s", d->spec.name,
                      d->creating ? "created" : "destroyed");
        answer(d->w, id, &e, NULL);
        return;
    }
    switch (op) {
    case HV_SHUTDOWN: shut_down(d, id); return;
    case HV_DESTROY: destroy(d, id); return;
    case HV_PAUSE: pause_it(d, id); return;
    case HV_UNPAUSE: let_run(d, id); return;
    case HV_RESET: reset(d, id); return;
    case HV_RESTAMP: restamp(d, id, xen_number(msg, "to_epoch")); return;
    case HV_MIGRATE_CANCEL: move_cancel(d, id); return;
    case HV_MIGRATE:
        if (move_send(d, msg, id, &e) != 0) {
            answer(d->w, id, &e, NULL);
        }
        return;
    case HV_SAVE:
        if (move_save(d, msg, id, &e) != 0) {
            answer(d->w, id, &e, NULL);
        }
        return;
    case HV_ATTACH: device_attach(d, msg, id); return;
    case HV_DETACH: device_detach(d, msg, id); return;
    case HV_START:
    case HV_INCOMING_START: return; /* The driver does not ask. */
    }
}

void dom_request(struct worker *w, enum hv_op op, const json_t *msg)
{
    uint64_t id = xen_number(msg, "id");
    struct hv_key key;
    struct hv_spec spec;
    struct err e = {0};
    bool begins = op == HV_START || op == HV_INCOMING_START;
    int rc = xen_key_unpack(msg, &key, &e);
    if (rc == 0 && begins) {
        rc = xen_spec_unpack(json_object_get(msg, "spec"), &spec, &e);
    }
    struct dom *d = rc == 0 ? dom_find(w, &key) : NULL;
    char stamp[HV_STAMP_SIZE];
    if (rc == 0 && begins && d != NULL) {
        rc = err_set(&e, ERR_EXISTS, "guest %s is here already under that run epoch", spec.name);
    } else if (rc == 0 && !begins && d == NULL && op != HV_DESTROY && op != HV_MIGRATE_CANCEL) {
        rc = err_set(&e, ERR_NOT_FOUND, "no copy %s on this host", hv_stamp(&key, stamp));
    }
    if (rc != 0 || (!begins && d == NULL)) {
        answer(w, id, &e, NULL);
    } else if (op == HV_START) {
        start(w, &spec, id);
    } else if (op == HV_INCOMING_START) {
        receive(w, &spec, msg, id);
    } else {
        on_copy(d, op, msg, id);
    }
}
