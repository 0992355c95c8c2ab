/* Live migration by QEMU. See README.md for who may run when.
 *
 * Source: stop (if not live) ─▶ key, capabilities, parameters ─▶ migrate ─▶ QEMU says completed,
 * failed or cancelled ─▶ tidy ─▶ DEPARTED, or RUNNING or PAUSED as before.
 * With return-path "completed" comes only after the target has loaded everything and said so; with
 * late-block-activate and -S the target then stands still and has not touched its disks.
 *
 * The stream is under TLS with a key for this one migration. QEMU reads it from a file; it is never
 * on a command line nor in the monitor's traffic, and the file goes when the key has been used. */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/util.h"

#include "hvdriver/qemu_copy.h"
#include "hvdriver/qemu_keys.h"
#include "hvdriver/qmp_msg.h"

#define LAST_PASS_MS 10000u /* The guest stands still no longer than this for its last pass. */
#define PULSE_MS     500u
#define DOWNTIME_MS  100 /* QEMU stops the guest when it guesses that the rest takes no longer. */
#define UNLIMITED    ((json_int_t)1 << 40)
#define CREDENTIALS  "migration"

static uint64_t now_ms(void)
{
    return os_clock()->mono_ms(os_clock());
}

/* ---- capabilities and credentials ---- */

static json_t *credentials(const struct qemu_copy *c, bool client)
{
    char dir[sizeof c->dir + 32];
    (void)snprintf(dir, sizeof dir, "%s/keys", c->dir);
    json_t *args = json_pack("{s:s, s:s, s:s, s:s}", "qom-type", "tls-creds-psk", "id", CREDENTIALS,
                             "endpoint", client ? "client" : "server", "dir", dir);
    if (client) {
        (void)json_object_set_new(args, "username", json_string(QEMU_KEY_USER));
    }
    return args;
}

static json_t *capability(const char *name, bool on)
{
    return json_pack("{s:s, s:b}", "capability", name, "state", (int)on);
}

/* "host:port" or "host"; a port in it is dropped. */
static void host_of(const char *address, char *to, size_t size)
{
    const char *colon = strrchr(address, ':');
    const char *bracket = strrchr(address, ']');
    bool port = colon != NULL && (bracket == NULL || colon > bracket) &&
                (bracket != NULL || strchr(address, ':') == colon);
    (void)snprintf(to, size, "%.*s", (int)(port ? colon - address : (long)strlen(address)),
                   address);
}

/* ---- target ---- */

static bool incoming_refused(struct qemu_op *op, const struct err *e)
{
    struct err told;
    if (e->code == 0) {
        return false;
    }
    if (e->code != ERR_CLOSED) { /* Else its death ends this. */
        qemu_error(&told, e, "prepare to receive a guest");
        qemu_start_failed(op, &told);
    }
    return true;
}

static void incoming_listens(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    struct err none;
    char host[LIMIT_ADDRESS + 1];
    if (incoming_refused(op, e)) {
        return;
    }
    json_t *first = json_array_get(json_object_get(value, "socket-address"), 0);
    const char *port = json_string_value(json_object_get(first, "port"));
    if (port == NULL) {
        (void)err_set(&none, ERR_HYPERVISOR, "QEMU does not say on which port it listens");
        (void)incoming_refused(op, &none);
        return;
    }
    host_of(op->address, host, sizeof host);
    if (op->req != NULL) {
        (void)snprintf(op->req->ret_address, sizeof op->req->ret_address, "%.110s:%.8s", host,
                       port);
        (void)str_copy(op->req->ret_secret, sizeof op->req->ret_secret, op->key);
    }
    qemu_settle(op, HV_INCOMING);
}

static void incoming_uri(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    (void)value;
    if (!incoming_refused(op, e)) {
        qmp_call(op->copy->qmp, "query-migrate", NULL, incoming_listens, op);
    }
}

static void incoming_parameters(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    char host[LIMIT_ADDRESS + 1];
    char uri[LIMIT_ADDRESS + 16];
    (void)value;
    if (incoming_refused(op, e)) {
        return;
    }
    host_of(op->address, host, sizeof host);
    (void)snprintf(uri, sizeof uri, "tcp:%s:0", host);
    qmp_call(op->copy->qmp, "migrate-incoming", json_pack("{s:s}", "uri", uri), incoming_uri, op);
}

static void incoming_capabilities(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    (void)value;
    if (!incoming_refused(op, e)) {
        qmp_call(op->copy->qmp, "migrate-set-parameters",
                 json_pack("{s:s}", "tls-creds", CREDENTIALS), incoming_parameters, op);
    }
}

static void incoming_credentials(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_op *op = ctx;
    (void)value;
    if (!incoming_refused(op, e)) {
        /* late-block-activate: complete is not yet the owner of the disks, `cont` makes it that. */
        json_t *caps =
            json_pack("[o, o, o]", capability("late-block-activate", /*on=*/true),
                      capability("return-path", /*on=*/true), capability("events", /*on=*/true));
        qmp_call(op->copy->qmp, "migrate-set-capabilities",
                 json_pack("{s:o}", "capabilities", caps), incoming_capabilities, op);
    }
}

void qemu_incoming_setup(struct qemu_op *op)
{
    struct err e;
    hv_make_key(op->key);
    /* QEMU reads this file when the source connects: it stays until then. */
    if (qemu_keys_write(op->copy->dir, op->key, /*target=*/true, &e) != 0) {
        (void)incoming_refused(op, &e);
        return;
    }
    qmp_call(op->copy->qmp, "object-add", credentials(op->copy, /*client=*/false),
             incoming_credentials, op);
}

static void target_event(struct qemu_copy *c, const char *status)
{
    if (qemu_restore_event(c, status)) {
        return;
    }
    if (strcmp(status, "active") == 0) {
        qemu_keys_remove(c->dir);
    } else if (strcmp(status, "completed") == 0) {
        qemu_keys_remove(c->dir);
        hv_set_state(c->q->hv, &c->base, HV_ARRIVED, NULL);
    }
}

/* ---- source: the end ---- */

static void pulse(uv_timer_t *timer);

/* Tidied up, and the guest is where it belongs. */
static void move_over(struct qemu_copy *c, enum hv_state state)
{
    struct qemu_move move = c->move;
    struct hv *hv = c->q->hv;
    c->move = (struct qemu_move){0};
    qemu_save_over(&move);
    uv_timer_stop(&c->pulse);
    qemu_keys_remove(c->dir);
    if (move.path[0] == '\0' && qmp_is_ready(c->qmp)) {
        qmp_call(c->qmp, "migrate-set-parameters", json_pack("{s:s}", "tls-creds", ""), NULL, NULL);
        qmp_call(c->qmp, "object-del", json_pack("{s:s}", "id", CREDENTIALS), NULL, NULL);
    }
    hv_set_state(hv, &c->base, state, move.err.msg);
    if (move.req != NULL) {
        move.req->err = move.err;
        hv_finish(hv, move.req);
    }
    if (move.cancel != NULL) {
        hv_finish(hv, move.cancel);
    }
}

static void source_goes_on(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    (void)value;
    if (e->code == ERR_CLOSED) {
        return; /* The next connection asks again. */
    }
    if (e->code != 0) {
        (void)snprintf(c->move.err.msg, sizeof c->move.err.msg, "%.150s", e->msg);
        (void)err_wrap(&c->move.err, "the migration failed, and the guest could not go on");
    }
    move_over(c, e->code == 0 ? HV_RUNNING : HV_PAUSED);
}

static void source_status(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    const char *status = json_string_value(json_object_get(value, "status"));
    if (e->code != 0) {
        return;
    }
    if (status != NULL && strcmp(status, "running") == 0) {
        move_over(c, HV_RUNNING);
    } else if (c->move.was_running) {
        qmp_call(c->qmp, "cont", NULL, source_goes_on, c);
    } else {
        move_over(c, HV_PAUSED);
    }
}

/* Nothing was given away. */
static void move_failed(struct qemu_copy *c, int code, const char *text)
{
    if (c->move.cancelled) {
        (void)err_set(&c->move.err, ERR_CANCELLED, "the migration was cancelled");
    } else {
        (void)err_set(&c->move.err, code, "the %s failed: %.200s",
                      c->move.path[0] == '\0' ? "migration" : "save", text);
    }
    if (c->move.path[0] != '\0') {
        qemu_save_discard(c);
    }
    qmp_call(c->qmp, "query-status", NULL, source_status, c);
}

/* ---- source: progress ---- */

static uint64_t number(json_t *object, const char *key)
{
    json_t *v = json_object_get(object, key);
    double real = json_is_real(v) ? json_real_value(v) : 0;
    json_int_t n = json_is_integer(v) ? json_integer_value(v) : (json_int_t)real;
    return n > 0 ? (uint64_t)n : 0;
}

static void tell_progress(struct qemu_copy *c, json_t *value)
{
    json_t *ram = json_object_get(value, "ram");
    if (ram == NULL) {
        return;
    }
    uint64_t page = max_u64(number(ram, "page-size"), 1);
    struct hv_progress p = {.total_bytes = number(ram, "total"),
                            .sent_bytes = number(ram, "transferred"),
                            .remaining_bytes = number(ram, "remaining"),
                            .rate_bytes_per_s = number(ram, "mbps") * 1000000 / 8,
                            .dirty_bytes_per_s = number(ram, "dirty-pages-rate") * page,
                            .passes = (uint32_t)number(ram, "dirty-sync-count")};
    p.remaining_bytes = min_u64(p.remaining_bytes, p.total_bytes);
    if (p.total_bytes != 0) {
        p.percent = (uint32_t)((p.total_bytes - p.remaining_bytes) * 100 / p.total_bytes);
    }
    p.downtime_ms =
        (uint32_t)max_u64(number(value, "downtime"), number(value, "expected-downtime"));
    hv_tell_progress(c->q->hv, &c->base.info.key, &p);
}

static void move_status(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    c->move.asked = false;
    if (!c->move.active || !c->move.started || c->move.ending || e->code != 0) {
        return;
    }
    const char *status = json_string_value(json_object_get(value, "status"));
    const char *why = json_string_value(json_object_get(value, "error-desc"));
    status = status == NULL ? "" : status;
    tell_progress(c, value);
    if (strcmp(status, "completed") == 0) {
        c->move.ending = true;
        if (c->move.path[0] != '\0') {
            qemu_save_commit(c);
        } else {
            move_over(c, HV_DEPARTED);
        }
    } else if (strcmp(status, "failed") == 0 || strcmp(status, "cancelled") == 0) {
        c->move.ending = true;
        char text[200];
        bool silent = strcmp(status, "cancelled") == 0;
        qmp_clean_text(text, sizeof text,
                       why != NULL ? why
                       : silent    ? "the target did not answer"
                                   : "the connection broke");
        move_failed(c, ERR_HYPERVISOR, text);
    }
}

void qemu_move_saved(struct qemu_copy *c, const struct err *e)
{
    if (e->code != 0) {
        move_failed(c, e->code, e->msg);
    } else {
        move_over(c, HV_DEPARTED);
    }
}

static void ask(struct qemu_copy *c)
{
    if (c->qmp != NULL && !c->move.asked && qmp_is_ready(c->qmp)) {
        c->move.asked = true;
        qmp_call(c->qmp, "query-migrate", NULL, move_status, c);
    }
}

/* A target that vanished without a word keeps the source standing still for as long as TCP has
 * patience: end it. If the target's answer wins the race, QEMU says completed after all. */
static void pulse(uv_timer_t *timer)
{
    struct qemu_copy *c = timer->data;
    if (c->move.stopped_ms != 0 && now_ms() - c->move.stopped_ms > LAST_PASS_MS) {
        c->move.stopped_ms = now_ms();
        qmp_call(c->qmp, "migrate_cancel", NULL, NULL, NULL);
    }
    ask(c);
}

void qemu_migrate_adopt(struct qemu_copy *c, enum hv_state state)
{
    if (state == HV_OUTGOING) {
        /* One of an earlier daemon: was_running stays false, QEMU itself lets it run again if it
         * did, and whether a guest that stands still should run is not decided here. */
        c->move.active = true;
        c->move.started = true;
        c->move.asked = false;
        qemu_migrate_stands_still(c, strcmp(c->status, "finish-migrate") == 0);
        hv_set_state(c->q->hv, &c->base, HV_OUTGOING, NULL);
        uv_timer_start(&c->pulse, pulse, 0, PULSE_MS);
        if (c->move.cancelled) {
            qmp_call(c->qmp, "migrate_cancel", NULL, NULL, NULL); /* The first may be lost. */
        }
    } else if (state == HV_DEPARTED && c->move.path[0] != '\0') {
        if (!c->move.ending) { /* Else its file is being named. */
            c->move.ending = true;
            qemu_save_commit(c);
        }
    } else if (state == HV_DEPARTED) {
        move_over(c, HV_DEPARTED);
    } else {
        move_failed(c, ERR_HYPERVISOR, "the connection to QEMU broke");
    }
}

void qemu_migrate_stands_still(struct qemu_copy *c, bool still)
{
    c->move.stopped_ms = still && c->move.started ? now_ms() : 0;
}

void qemu_migrate_event(struct qemu_copy *c, const char *name, json_t *data)
{
    const char *status = json_string_value(json_object_get(data, "status"));
    status = status == NULL ? "" : status;
    if (c->incoming && !c->ran) {
        if (strcmp(name, "MIGRATION") == 0) {
            target_event(c, status);
        }
        return;
    }
    bool end = strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 ||
               strcmp(status, "cancelled") == 0;
    if (c->move.active && (end || strcmp(name, "MIGRATION_PASS") == 0)) {
        if (end) {
            c->move.asked = false; /* An answer under way may be older than this. */
        }
        ask(c);
    }
}

/* ---- source: the beginning ---- */

/* True if it is over before it began. */
bool qemu_move_refused(struct qemu_copy *c, const struct err *e)
{
    if (!c->move.active) {
        return true;
    }
    if (e->code == ERR_CLOSED) {
        return true; /* The next connection asks again. */
    }
    if (e->code != 0 || c->move.cancelled) {
        move_failed(c, c->move.path[0] == '\0' ? ERR_HYPERVISOR : e->code, e->msg);
        return true;
    }
    return false;
}

void qemu_move_begun(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    (void)value;
    struct err again = *e;
    bool cancelled = c->move.cancelled;
    c->move.cancelled = cancelled && e->code != 0;
    if (qemu_move_refused(c, &again)) {
        return;
    }
    c->move.cancelled = cancelled;
    c->move.started = true;
    uv_timer_start(&c->pulse, pulse, PULSE_MS, PULSE_MS);
    if (cancelled) {
        qmp_call(c->qmp, "migrate_cancel", NULL, NULL, NULL);
    }
    ask(c);
}

static void begin_parameters(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    char uri[LIMIT_ADDRESS + 16];
    (void)value;
    if (!qemu_move_refused(c, e)) {
        (void)snprintf(uri, sizeof uri, "tcp:%s", c->move.address);
        qmp_call(c->qmp, "migrate", json_pack("{s:s}", "uri", uri), qemu_move_begun, c);
    }
}

static void begin_capabilities(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    (void)value;
    if (qemu_move_refused(c, e)) {
        return;
    }
    json_int_t rate = (json_int_t)min_u64(c->move.rate_bytes_per_s, (uint64_t)UNLIMITED);
    qmp_call(c->qmp, "migrate-set-parameters",
             json_pack("{s:s, s:s, s:I, s:i, s:i}", "tls-creds", CREDENTIALS, "tls-hostname", "",
                       "max-bandwidth", rate == 0 ? UNLIMITED : rate, "downtime-limit", DOWNTIME_MS,
                       "max-cpu-throttle", 80),
             begin_parameters, c);
}

static void begin_credentials(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    (void)value;
    qemu_keys_remove(c->dir); /* The client's end has read it by now. */
    if (qemu_move_refused(c, e)) {
        return;
    }
    /* auto-converge slows a guest that writes faster than the link carries, after two passes in
     * which it did; else such a migration would only end at its deadline. */
    json_t *caps =
        json_pack("[o, o, o]", capability("return-path", /*on=*/true),
                  capability("events", /*on=*/true), capability("auto-converge", c->move.live));
    qmp_call(c->qmp, "migrate-set-capabilities", json_pack("{s:o}", "capabilities", caps),
             begin_capabilities, c);
}

static void begin_key(void *ctx, json_t *value, const struct err *e)
{
    struct qemu_copy *c = ctx;
    (void)value;
    if (!qemu_move_refused(c, e)) {
        /* A copy that came in by a migration still has the credentials of its end. */
        qmp_call(c->qmp, "object-del", json_pack("{s:s}", "id", CREDENTIALS), NULL, NULL);
        qmp_call(c->qmp, "object-add", credentials(c, /*client=*/true), begin_credentials, c);
    }
}

void qemu_migrate_begin(struct qemu_copy *c, struct hv_req *req)
{
    static const struct err none;
    struct err e;
    if (qemu_keys_write(c->dir, req->secret, /*target=*/false, &e) != 0) {
        hv_fail(c->q->hv, req, &e);
        return;
    }
    c->move = (struct qemu_move){.active = true,
                                 .req = req,
                                 .live = req->live,
                                 .was_running = c->base.info.state == HV_RUNNING,
                                 .rate_bytes_per_s = req->rate_bytes_per_s};
    (void)str_copy(c->move.address, sizeof c->move.address, req->address);
    hv_set_state(c->q->hv, &c->base, HV_OUTGOING, NULL);
    if (c->move.was_running && !req->live) {
        qmp_call(c->qmp, "stop", NULL, begin_key, c);
    } else {
        begin_key(c, NULL, &none);
    }
}

void qemu_migrate_cancel(struct qemu_copy *c, struct hv_req *req)
{
    if (!c->move.active) {
        if (req != NULL) {
            hv_finish(c->q->hv, req);
        }
        return;
    }
    if (req != NULL) {
        c->move.cancel = req;
    }
    c->move.cancelled = true;
    if (c->move.started) {
        qmp_call(c->qmp, "migrate_cancel", NULL, NULL, NULL);
    }
}

void qemu_migrate_gone(struct hv *hv, const struct qemu_move *move, const struct err *e)
{
    if (move->req != NULL) {
        hv_fail(hv, move->req, e);
    }
    if (move->cancel != NULL) {
        hv_finish(hv, move->cancel);
    }
}
