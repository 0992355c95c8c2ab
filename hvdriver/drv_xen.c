/* Driver xen: guests on Xen. This half is the daemon's: it keeps the table, hands requests to the
 * program quorate-xen (hvdriver/xen/, which calls libxl and may be held up by it for seconds), and
 * believes what that says. The program may die at any moment: its guests go on, it is started again
 * and tells what it finds. See README.md. */
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/driver.h"
#include "hvdriver/xen_link.h"
#include "hvdriver/xen_wire.h"

/* Opening waits so long: the program before may be at a call of seconds, and may find domains that
 * nobody had the time to end. */
#define OPEN_MS 20000u

#define AGAIN_MS 1000u

struct asked {
    struct asked *next;
    uint64_t id;
    struct hv_req *req;
    bool sent; /* Else it waits for the program to come back. */
};

struct xen {
    struct hv *hv;
    struct xen_link *link; /* NULL: not there at the moment. */
    struct asked *asked;   /* What the program has to answer. */
    uint64_t last_id;
    uv_timer_t again;
    bool opening;
    bool ending; /* The program that was lost has not gone yet. */
    bool closing;
    bool serves; /* It said hello. */
    struct hv_host_info host;
};

static struct xen *impl(struct hv *hv)
{
    return hv->impl;
}

/* ---- what the program says ---- */

static struct hv_req *answered(struct xen *x, uint64_t id)
{
    struct asked **at = &x->asked;
    while (*at != NULL && (*at)->id != id) {
        at = &(*at)->next;
    }
    struct asked *a = *at;
    if (a == NULL) {
        return NULL; /* Given up meanwhile. */
    }
    struct hv_req *req = a->req;
    *at = a->next;
    free(a);
    return req;
}

static int on_answer(struct xen *x, const json_t *msg, struct err *e)
{
    int code = (int)json_integer_value(json_object_get(msg, "code"));
    struct hv_req *req = answered(x, xen_number(msg, "id"));
    if (req == NULL) {
        return 0;
    }
    if (!err_is_known(code)) {
        (void)err_set(&req->err, ERR_HYPERVISOR, "an answer with the code %d", code);
        hv_finish(x->hv, req);
        return err_set(e, ERR_MALFORMED, "an answer with the code %d", code);
    }
    if (code != 0) {
        (void)err_set(&req->err, code, "%s", xen_text(msg, "msg"));
    }
    (void)str_copy(req->ret_address, sizeof req->ret_address, xen_text(msg, "address"));
    hv_finish(x->hv, req);
    return 0;
}

static void forget(struct hv *hv, struct hv_copy *copy)
{
    hv_copy_remove(hv, copy);
    free(copy);
}

static int on_copy(struct xen *x, const json_t *from, struct err *e)
{
    struct hv *hv = x->hv;
    struct hv_info info;
    const char *detail = "";
    if (xen_copy_unpack(from, &info, &detail, e) != 0) {
        return err_wrap(e, "a copy");
    }
    struct hv_copy *copy = hv_copy_find(hv, &info.key);
    enum hv_state state = info.state;
    bool is_new = copy == NULL;
    if (is_new) {
        copy = mem_new(1, sizeof *copy);
        copy->info.key = info.key;
        hv_copy_add(hv, copy);
    }
    info.state = is_new ? state : copy->info.state;
    copy->info = info;
    if (!is_new) {
        hv_set_state(hv, copy, state, detail[0] == '\0' ? NULL : detail);
    }
    return 0;
}

static int on_exit_of(struct xen *x, const json_t *msg, const char *name, struct err *e)
{
    struct hv *hv = x->hv;
    struct hv_key key;
    int why = xen_exit_parse(name);
    if (xen_key_unpack(msg, &key, e) != 0) {
        return err_wrap(e, "an exit");
    }
    if (why < 0 && strcmp(name, "none") != 0) {
        return err_set(e, ERR_MALFORMED, "an exit of kind \"%.32s\"", name);
    }
    struct hv_copy *copy = hv_copy_find(hv, &key);
    if (copy != NULL) {
        forget(hv, copy);
    }
    const char *detail = xen_text(msg, "detail");
    detail = detail[0] == '\0' ? NULL : detail;
    if (why >= 0 && x->opening) {
        hv_tell_exit_later(hv, &key, (enum hv_exit)why, detail == NULL ? "" : detail);
    } else if (why >= 0) {
        hv_tell_exit(hv, &key, (enum hv_exit)why, detail);
    }
    return 0;
}

/* The program was started again: a copy that it does not find has ended without a word. */
static int drop_unfound(struct xen *x, const json_t *copies, const json_t *lost, struct err *e)
{
    struct hv *hv = x->hv;
    for (uint32_t i = hv->n_copies; i-- > 0;) {
        struct hv_key key = hv->copies[i]->info.key;
        bool found = false;
        size_t at = 0;
        json_t *one = NULL;
        struct hv_key other;
        json_array_foreach(copies, at, one)
        {
            found =
                found || (xen_key_unpack(one, &other, e) == 0 && hv_key_compare(&key, &other) == 0);
        }
        json_array_foreach(lost, at, one)
        {
            found =
                found || (xen_key_unpack(one, &other, e) == 0 && hv_key_compare(&key, &other) == 0);
        }
        if (!found) {
            forget(hv, hv->copies[i]);
            hv_tell_exit(hv, &key, HV_EXIT_UNKNOWN, "it ended while nobody watched");
        }
    }
    return 0;
}

static json_t *request_of(struct hv_req *req, uint64_t id)
{
    json_t *msg = json_object();
    (void)json_object_set_new(msg, "id", json_integer((json_int_t)id));
    (void)json_object_set_new(msg, "do", json_string(xen_op_name(req->op)));
    xen_key_pack(msg, &req->key);
    if (req->spec != NULL) {
        (void)json_object_set_new(msg, "spec", xen_spec_pack(req->spec));
    }
    if (req->disk != NULL) {
        (void)json_object_set_new(msg, "disk", xen_disk_pack(req->disk));
    }
    if (req->vif != NULL) {
        (void)json_object_set_new(msg, "vif", xen_vif_pack(req->vif));
    }
    (void)json_object_set_new(msg, "force", json_boolean(req->force));
    if (req->op == HV_INCOMING_START) {
        hv_make_key(req->ret_secret);
    }
    const char *secret = req->op == HV_INCOMING_START ? req->ret_secret : req->secret;
    (void)json_object_set_new(msg, "address", json_string(req->address));
    (void)json_object_set_new(msg, "secret", json_string(secret));
    (void)json_object_set_new(msg, "path", json_string(req->path));
    (void)json_object_set_new(msg, "rate", json_integer((json_int_t)req->rate_bytes_per_s));
    (void)json_object_set_new(msg, "live", json_boolean(req->live));
    (void)json_object_set_new(msg, "to_epoch", json_integer((json_int_t)req->epoch));
    return msg;
}

static void send_asked(struct xen *x, struct asked *a)
{
    a->sent = true;
    xen_link_send(x->link, request_of(a->req, a->id));
}

/* What was asked while the program was away: it knows by now what is here, and answers for it. */
static void send_waiting(struct xen *x)
{
    for (struct asked *a = x->asked; a != NULL; a = a->next) {
        if (!a->sent) {
            send_asked(x, a);
        }
    }
}

static int on_hello(struct xen *x, const json_t *msg, struct err *e)
{
    const json_t *copies = json_object_get(msg, "copies");
    const json_t *lost = json_object_get(msg, "lost");
    int code = (int)json_integer_value(json_object_get(msg, "code"));
    size_t at = 0;
    json_t *one = NULL;
    if (!json_is_true(json_object_get(msg, "hello"))) {
        return err_set(e, err_is_known(code) && code != 0 ? code : ERR_HYPERVISOR, "%s",
                       xen_text(msg, "msg"));
    }
    if (json_array_size(copies) > XEN_COPIES_MAX || json_array_size(lost) > XEN_COPIES_MAX) {
        return err_set(e, ERR_TOO_BIG, "more than %u copies", XEN_COPIES_MAX);
    }
    (void)str_copy(x->host.version, sizeof x->host.version, xen_text(msg, "version"));
    x->host.memory_mib = (uint32_t)xen_number(msg, "memory");
    x->host.cpus = (uint32_t)xen_number(msg, "cpus");
    x->serves = true;
    send_waiting(x);
    int rc = drop_unfound(x, copies, lost, e);
    json_array_foreach(copies, at, one)
    {
        rc = rc == 0 ? on_copy(x, one, e) : rc;
    }
    json_array_foreach(lost, at, one)
    {
        rc = rc == 0 ? on_exit_of(x, one, xen_text(one, "exit"), e) : rc;
    }
    return rc;
}

static int on_progress(struct xen *x, const json_t *msg, struct err *e)
{
    struct hv_key key;
    struct hv_progress p;
    if (xen_key_unpack(msg, &key, e) != 0 ||
        xen_progress_unpack(json_object_get(msg, "progress"), &p, e) != 0) {
        return err_wrap(e, "progress");
    }
    if (hv_copy_find(x->hv, &key) != NULL) {
        hv_tell_progress(x->hv, &key, &p);
    }
    return 0;
}

static int heard(void *ctx, const json_t *msg, struct err *e)
{
    struct xen *x = ctx;
    const json_t *copy = json_object_get(msg, "copy");
    const char *exit = json_string_value(json_object_get(msg, "exit"));
    if (json_object_get(msg, "hello") != NULL) {
        return on_hello(x, msg, e);
    }
    if (!x->serves) {
        return err_set(e, ERR_MALFORMED, "something before hello");
    }
    if (json_object_get(msg, "id") != NULL) {
        return on_answer(x, msg, e);
    }
    if (copy != NULL) {
        return on_copy(x, copy, e);
    }
    if (exit != NULL) {
        return on_exit_of(x, msg, exit, e);
    }
    if (json_object_get(msg, "progress") != NULL) {
        return on_progress(x, msg, e);
    }
    return err_set(e, ERR_MALFORMED, "a message of no known kind");
}

/* ---- its life ---- */

static struct asked *first_sent(struct xen *x)
{
    struct asked *a = x->asked;
    while (a != NULL && !a->sent) {
        a = a->next;
    }
    return a;
}

static void fail_asked(struct xen *x, const struct err *why)
{
    for (struct asked *a; (a = first_sent(x)) != NULL;) {
        struct hv_req *req = answered(x, a->id);
        struct err e;
        (void)err_set(&e, ERR_HYPERVISOR, "%s", why->msg);
        hv_fail(x->hv, req, &e);
    }
}

static void start_again(uv_timer_t *timer);

static void closed(void *ctx);

static void lost_closed(void *ctx)
{
    struct xen *x = ctx;
    x->ending = false;
    if (x->closing) {
        closed(x);
        return;
    }
    uv_timer_start(&x->again, start_again, AGAIN_MS, 0);
}

static void lost(void *ctx, const struct err *why)
{
    struct xen *x = ctx;
    struct xen_link *l = x->link;
    x->link = NULL;
    x->serves = false;
    x->ending = true;
    fail_asked(x, why);
    xen_link_close(l, lost_closed, x);
}

static struct xen_link_options options_of(struct xen *x)
{
    return (struct xen_link_options){.loop = x->hv->loop,
                                     .program = x->hv->emulator,
                                     .run_dir = x->hv->run_dir,
                                     .log_dir = x->hv->log_dir,
                                     .heard = heard,
                                     .lost = lost,
                                     .ctx = x};
}

static void start_again(uv_timer_t *timer)
{
    struct xen *x = timer->data;
    struct xen_link_options o = options_of(x);
    struct err e;
    if (xen_link_start(&x->link, &o, &e) != 0) {
        uv_timer_start(&x->again, start_again, AGAIN_MS, 0);
        return;
    }
    xen_link_listen(x->link);
}

/* ---- requests ---- */

/* Whether it makes sense at all; what it cannot be asked of a copy in its state. */
static int admit(struct xen *x, const struct hv_req *req, struct err *e)
{
    const struct hv_copy *copy = hv_copy_find(x->hv, &req->key);
    bool begins = req->op == HV_START || req->op == HV_INCOMING_START;
    char stamp[HV_STAMP_SIZE];
    if (begins) {
        return copy == NULL
                   ? 0
                   : err_set(e, ERR_EXISTS, "guest %s is here already under run epoch %llu",
                             req->spec->name, (unsigned long long)req->spec->epoch);
    }
    if (copy == NULL) {
        return err_set(e, ERR_NOT_FOUND, "no copy %s on this host", hv_stamp(&req->key, stamp));
    }
    if (req->op != HV_DESTROY && req->op != HV_MIGRATE_CANCEL &&
        !hv_state_allows(req->op, copy->info.state)) {
        return err_set(e, ERR_STATE, "guest %s is %s", copy->info.name,
                       hv_state_name(copy->info.state));
    }
    return 0;
}

static void xen_begin(struct hv *hv, struct hv_req *req)
{
    struct xen *x = impl(hv);
    struct err e;
    bool ends = req->op == HV_DESTROY || req->op == HV_MIGRATE_CANCEL;
    if (ends && hv_copy_find(hv, &req->key) == NULL) {
        hv_finish(hv, req);
        return;
    }
    if (admit(x, req, &e) != 0) {
        hv_fail(hv, req, &e);
        return;
    }
    struct asked *a = mem_new(1, sizeof *a);
    *a = (struct asked){.id = ++x->last_id, .req = req};
    struct asked **end = &x->asked;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = a;
    if (x->serves) {
        send_asked(x, a);
    }
}

static void xen_abandon(struct hv *hv, struct hv_req *req)
{
    struct xen *x = impl(hv);
    for (struct asked *a = x->asked; a != NULL; a = a->next) {
        if (a->req == req) {
            (void)answered(x, a->id);
            break;
        }
    }
    if ((req->op == HV_MIGRATE || req->op == HV_SAVE) && x->serves) {
        struct hv_req cancel = {.op = HV_MIGRATE_CANCEL, .key = req->key};
        xen_link_send(x->link, request_of(&cancel, ++x->last_id));
    }
}

/* ---- opening and closing ---- */

static void free_timer(uv_handle_t *handle)
{
    free(handle->data);
}

static int xen_open(struct hv *hv, struct err *e)
{
    struct xen *x = mem_new(1, sizeof *x);
    x->hv = hv;
    hv->impl = x;
    struct xen_link_options o = options_of(x);
    int rc = xen_link_start(&x->link, &o, e);
    if (rc != 0) {
        free(x);
        return rc;
    }
    x->opening = true;
    rc = xen_link_first(x->link, OPEN_MS, e);
    x->opening = false;
    if (rc != 0) {
        xen_link_kill(x->link);
        while (hv->n_copies > 0) {
            forget(hv, hv->copies[hv->n_copies - 1]);
        }
        free(x);
        return rc;
    }
    uv_timer_init(hv->loop, &x->again);
    x->again.data = x;
    return 0;
}

static void closed(void *ctx)
{
    struct xen *x = ctx;
    struct hv *hv = x->hv;
    uv_close((uv_handle_t *)&x->again, free_timer);
    hv_closed(hv);
}

static void xen_close(struct hv *hv)
{
    struct xen *x = impl(hv);
    while (hv->n_copies > 0) {
        forget(hv, hv->copies[hv->n_copies - 1]);
    }
    x->closing = true;
    if (x->link != NULL) {
        xen_link_close(x->link, closed, x);
    } else if (!x->ending) {
        closed(x);
    }
}

static void xen_host_info(struct hv *hv, struct hv_host_info *ret)
{
    const struct xen *x = impl(hv);
    (void)str_copy(ret->version, sizeof ret->version, x->host.version);
    ret->cpus = x->host.cpus;
    ret->memory_mib = hv->memory_mib != 0 ? hv->memory_mib : x->host.memory_mib;
    ret->can_migrate = true;
    ret->can_pause = true;
    ret->survives_daemon = true;
}

const struct hv_driver driver_xen = {.name = "xen",
                                     .open = xen_open,
                                     .close = xen_close,
                                     .begin = xen_begin,
                                     .abandon = xen_abandon,
                                     .host_info = xen_host_info};
