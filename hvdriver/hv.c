/* Requests: their order, their deadlines, their end; opening and closing of drivers.
 *
 * A request waits in the bucket of its guest until nothing before it stands in its way, is handed
 * to the driver (begun), and leaves the bucket when it ends. Everything happens from the loop:
 * hv_submit() only queues and winds the timer `pump`. So callbacks never fire inside a call of the
 * user, and a driver may end a request from inside begin(). */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"

#include "hvdriver/driver.h"
#include "hvdriver/spec.h"

#define DEADLINE_DEFAULT_MS 30000u

#define D(NAME) extern const struct hv_driver driver_##NAME;
#include "hvdriver/drivers.def"
#undef D

static const struct hv_driver *const drivers[] = {
#define D(NAME) &driver_##NAME,
#include "hvdriver/drivers.def"
#undef D
};

struct hv_late {
    struct hv_late *next;
    struct hv_key key;
    enum hv_exit why;
    char detail[LIMIT_DETAIL + 1];
};

static void pump(uv_timer_t *timer);

static uint64_t now_ms(void)
{
    return os_clock()->mono_ms(os_clock());
}

const char *const *hv_drivers(void)
{
    static const char *const names[] = {
#define D(NAME) #NAME,
#include "hvdriver/drivers.def"
#undef D
        NULL};
    return names;
}

/* ---- the order of requests ---- */

static struct hv_req **bucket_of(struct hv *hv, const struct id *uuid)
{
    return &hv->buckets[(uuid->b[0] ^ uuid->b[8] ^ uuid->b[15]) % HV_BUCKETS];
}

static void unlink_req(struct hv *hv, const struct hv_req *req)
{
    struct hv_req **at = bucket_of(hv, &req->key.uuid);
    while (*at != req) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = req->next;
}

/* Take the request out and give it back to the caller. Wakes those that waited for it. */
static void give_back(struct hv *hv, struct hv_req *req)
{
    unlink_req(hv, req);
    const struct hv_copy *copy = hv_copy_find(hv, &req->key);
    req->state = copy == NULL ? HV_GONE : copy->info.state;
    if (!hv->closing) {
        uv_timer_start(&hv->pump, pump, 0, 0);
    }
    req->done(req);
}

void hv_finish(struct hv *hv, struct hv_req *req)
{
    assert(req->begun);
    give_back(hv, req);
}

void hv_fail(struct hv *hv, struct hv_req *req, const struct err *e)
{
    assert(e->code != 0);
    req->err = *e;
    hv_finish(hv, req);
}

/* End a request before its time. */
static void cut_off(struct hv *hv, struct hv_req *req, int code, const char *text)
{
    if (req->begun) {
        hv->driver->abandon(hv, req);
    }
    (void)err_set(&req->err, code, "%s", text);
    give_back(hv, req);
}

static bool is_long(const struct hv_req *r)
{
    return r->op == HV_MIGRATE || r->op == HV_SAVE;
}

/* A begun MIGRATE or SAVE stands in nobody's way, and nothing but another one in the way of a
 * DESTROY. */
static bool may_begin(struct hv *hv, const struct hv_req *req)
{
    for (const struct hv_req *r = *bucket_of(hv, &req->key.uuid); r != req; r = r->next) {
        if (req->op == HV_DESTROY) {
            if (r->op == HV_DESTROY && hv_key_compare(&r->key, &req->key) == 0) {
                return false;
            }
        } else if (id_equal(&r->key.uuid, &req->key.uuid) && !(r->begun && is_long(r))) {
            return false;
        }
    }
    return true;
}

static struct hv_req *next_to_begin(struct hv *hv)
{
    for (size_t i = 0; i < HV_BUCKETS; i++) {
        for (struct hv_req *r = hv->buckets[i]; r != NULL; r = r->next) {
            if (!r->begun && may_begin(hv, r)) {
                return r;
            }
        }
    }
    return NULL;
}

/* What was asked of the same copy before `req`, a DESTROY, has lost its point. */
static void end_overtaken(struct hv *hv, struct hv_req *req)
{
    struct hv_req *r = *bucket_of(hv, &req->key.uuid);
    while (r != req) {
        if (r->op != HV_DESTROY && hv_key_compare(&r->key, &req->key) == 0) {
            cut_off(hv, r, ERR_CANCELLED, "the guest was destroyed");
            r = *bucket_of(hv, &req->key.uuid); /* The callback may have changed the list. */
        } else {
            r = r->next;
        }
    }
}

static int check(const struct hv_req *req, struct err *e)
{
    if (req->spec != NULL) {
        return spec_check(req->spec, e);
    }
    if (req->op == HV_MIGRATE && (req->address[0] == '\0' || req->secret[0] == '\0')) {
        return err_set(e, ERR_INVALID, "a migration needs an address and a key");
    }
    if ((req->op == HV_ATTACH || req->op == HV_DETACH) &&
        ((req->disk == NULL) == (req->vif == NULL))) {
        return err_set(e, ERR_INVALID, "one disk or one card comes or goes at a time");
    }
    if (req->op == HV_SAVE && req->path[0] != '/') {
        return err_set(e, ERR_INVALID, "a guest is saved to an absolute path");
    }
    if (req->op == HV_RESTAMP && req->epoch == 0) {
        return err_set(e, ERR_INVALID, "0 is no run epoch");
    }
    return 0;
}

static void begin(struct hv *hv, struct hv_req *req)
{
    req->begun = true;
    if (req->op == HV_DESTROY) {
        end_overtaken(hv, req);
    }
    struct err e = {0};
    if (check(req, &e) != 0) {
        hv_fail(hv, req, &e);
        return;
    }
    hv->driver->begin(hv, req);
}

static void tell_late(struct hv *hv)
{
    while (hv->late != NULL) {
        struct hv_late *late = hv->late;
        hv->late = late->next;
        hv_tell_exit(hv, &late->key, late->why, late->detail);
        free(late);
    }
}

void hv_tell_exit_later(struct hv *hv,
                        const struct hv_key *key,
                        enum hv_exit why,
                        const char *detail)
{
    struct hv_late *late = mem_new(1, sizeof *late);
    late->key = *key;
    late->why = why;
    (void)str_copy(late->detail, sizeof late->detail, detail);
    struct hv_late **end = &hv->late;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = late;
}

/* ---- deadlines ---- */

static struct hv_req *next_overdue(struct hv *hv, uint64_t now)
{
    for (size_t i = 0; i < HV_BUCKETS; i++) {
        for (struct hv_req *r = hv->buckets[i]; r != NULL; r = r->next) {
            if (r->due_ms <= now) {
                return r;
            }
        }
    }
    return NULL;
}

static void deadline_passed(uv_timer_t *timer);

static void wind_deadline(struct hv *hv)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < HV_BUCKETS; i++) {
        for (const struct hv_req *r = hv->buckets[i]; r != NULL; r = r->next) {
            first = min_u64(first, r->due_ms);
        }
    }
    hv->deadline_ms = first;
    if (first != UINT64_MAX && !hv->closing) {
        uint64_t now = now_ms();
        uv_timer_start(&hv->deadline, deadline_passed, first > now ? first - now : 0, 0);
    }
}

static void deadline_passed(uv_timer_t *timer)
{
    struct hv *hv = timer->data;
    struct hv_req *req;
    while (!hv->closing && (req = next_overdue(hv, now_ms())) != NULL) {
        cut_off(hv, req, ERR_TIMEOUT, "the hypervisor did not answer in time");
    }
    wind_deadline(hv);
}

void hv_submit(struct hv *hv, struct hv_req *req)
{
    assert(!hv->closing);
    if (req->op == HV_START || req->op == HV_INCOMING_START) {
        req->key.uuid = req->spec->uuid;
        req->key.epoch = req->spec->epoch;
    } else {
        req->spec = NULL;
    }
    uint32_t wait = req->deadline_ms;
    if (wait == 0) {
        bool reads = req->op == HV_START && req->spec->restore[0] != '\0';
        wait = is_long(req) || reads ? LIMIT_DEADLINE_MS : DEADLINE_DEFAULT_MS;
    }
    req->due_ms = now_ms() + wait;
    req->begun = false;
    req->next = NULL;
    req->err = (struct err){0};
    req->ret_address[0] = '\0';
    req->ret_secret[0] = '\0';
    struct hv_req **end = bucket_of(hv, &req->key.uuid);
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = req;
    uv_timer_start(&hv->pump, pump, 0, 0);
    if (req->due_ms < hv->deadline_ms) {
        hv->deadline_ms = req->due_ms;
        uv_timer_start(&hv->deadline, deadline_passed, wait, 0);
    }
}

/* ---- opening and closing ---- */

static void free_hv(struct hv *hv)
{
    while (hv->late != NULL) {
        struct hv_late *late = hv->late;
        hv->late = late->next;
        free(late);
    }
    if (hv->lock_fd >= 0) {
        (void)close(hv->lock_fd);
    }
    free(hv->copies);
    free(hv->run_dir);
    free(hv->log_dir);
    free(hv->emulator);
    free(hv);
}

static void timer_closed(uv_handle_t *handle)
{
    struct hv *hv = handle->data;
    if (--hv->open_handles > 0) {
        return;
    }
    void (*closed)(void *) = hv->closed;
    void *ctx = hv->closed_ctx;
    free_hv(hv);
    if (closed != NULL) {
        closed(ctx);
    }
}

void hv_closed(struct hv *hv)
{
    uv_close((uv_handle_t *)&hv->pump, timer_closed);
    uv_close((uv_handle_t *)&hv->deadline, timer_closed);
}

static void close_now(struct hv *hv)
{
    for (size_t i = 0; i < HV_BUCKETS; i++) {
        while (hv->buckets[i] != NULL) {
            struct hv_req *req = hv->buckets[i];
            (void)err_set(&req->err, ERR_CANCELLED, "the driver was closed");
            give_back(hv, req);
        }
    }
    hv->driver->close(hv);
}

static void pump(uv_timer_t *timer)
{
    struct hv *hv = timer->data;
    if (hv->closing) {
        close_now(hv);
        return;
    }
    tell_late(hv);
    struct hv_req *req;
    while (!hv->closing && (req = next_to_begin(hv)) != NULL) {
        begin(hv, req);
    }
}

void hv_close(struct hv *hv, void (*closed)(void *ctx), void *ctx)
{
    assert(!hv->closing);
    hv->closing = true;
    hv->closed = closed;
    hv->closed_ctx = ctx;
    uv_timer_start(&hv->pump, pump, 0, 0);
}

static int make_dir(const char *path, struct err *e)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_sys(e, ERR_IO, errno, "directory %s", path);
    }
    return 0;
}

/* One driver at a time works in a run_dir: two would both own its guests. */
static int lock_run_dir(struct hv *hv, const char *run_dir, struct err *e)
{
    if (make_dir(run_dir, e) != 0) {
        return e->code;
    }
    hv->run_dir = realpath(run_dir, NULL);
    if (hv->run_dir == NULL) {
        return err_sys(e, ERR_IO, errno, "directory %s", run_dir);
    }
    char path[LIMIT_PATH + 16];
    (void)snprintf(path, sizeof path, "%s/lock", hv->run_dir);
    hv->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (hv->lock_fd < 0) {
        return err_sys(e, ERR_IO, errno, "file %s", path);
    }
    if (flock(hv->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return err_set(e, ERR_LOCKED, "%s is in use by another daemon", hv->run_dir);
    }
    return 0;
}

static const struct hv_driver *find_driver(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
        if (strcmp(drivers[i]->name, name) == 0) {
            return drivers[i];
        }
    }
    return NULL;
}

static int open_dirs(struct hv *hv, const struct hv_options *options, struct err *e)
{
    if (strlen(options->run_dir) > LIMIT_PATH || strlen(options->log_dir) > LIMIT_PATH) {
        return err_set(e, ERR_TOO_BIG, "a path of the driver is longer than %d bytes", LIMIT_PATH);
    }
    if (lock_run_dir(hv, options->run_dir, e) != 0 || make_dir(options->log_dir, e) != 0) {
        return e->code;
    }
    hv->log_dir = realpath(options->log_dir, NULL);
    if (hv->log_dir == NULL) {
        return err_sys(e, ERR_IO, errno, "directory %s", options->log_dir);
    }
    return 0;
}

int hv_open(struct hv **ret,
            struct uv_loop_s *loop,
            const struct hv_options *options,
            struct err *e)
{
    const struct hv_driver *driver = find_driver(options->driver);
    if (driver == NULL) {
        return err_set(e, ERR_UNSUPPORTED, "this program has no driver \"%s\"", options->driver);
    }
    struct hv *hv = mem_new(1, sizeof *hv);
    hv->driver = driver;
    hv->loop = loop;
    hv->memory_mib = options->memory_mib;
    hv->image_locking = options->image_locking;
    hv->event = options->event;
    hv->ctx = options->ctx;
    hv->lock_fd = -1;
    hv->deadline_ms = UINT64_MAX;
    hv->emulator = options->emulator == NULL ? NULL : mem_strdup(options->emulator);
    (void)str_copy(hv->host, sizeof hv->host, options->host);
    if (open_dirs(hv, options, e) != 0) {
        free_hv(hv);
        return e->code;
    }
    if (driver->open(hv, e) != 0) {
        free_hv(hv);
        return e->code;
    }
    uv_timer_init(loop, &hv->pump);
    uv_timer_init(loop, &hv->deadline);
    hv->pump.data = hv;
    hv->deadline.data = hv;
    hv->open_handles = 2;
    uv_timer_start(&hv->pump, pump, 0, 0); /* There may be something to tell. */
    *ret = hv;
    return 0;
}

void hv_host_info(struct hv *hv, struct hv_host_info *ret)
{
    *ret = (struct hv_host_info){0};
    (void)str_copy(ret->driver, sizeof ret->driver, hv->driver->name);
    uv_cpu_info_t *cpus = NULL;
    int n = 0;
    if (uv_cpu_info(&cpus, &n) == 0) {
        ret->cpus = (uint32_t)n;
        uv_free_cpu_info(cpus, n);
    }
    ret->memory_mib =
        hv->memory_mib != 0 ? hv->memory_mib : (uint32_t)(uv_get_total_memory() >> 20);
    hv->driver->host_info(hv, ret);
}
