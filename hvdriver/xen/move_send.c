/* Migrations: the source's end. See move.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"

#include "hvdriver/xen/move.h"

#define TICK_MS   500u
#define ENDING_MS 10u

static uint64_t now_ms(void)
{
    return os_clock()->mono_ms(os_clock());
}

/* ---- the guest goes on here ---- */

static void tell_failure(struct move *m, enum hv_state state, const char *detail)
{
    struct dom *d = m->d;
    if (!d->destroying && !d->gone) {
        dom_set(d, state, detail);
    }
    answer(d->w, m->id, &m->why, NULL);
    answer_ok(d->w, m->cancel_id);
    m->id = 0;
    m->cancel_id = 0;
}

static void resumed(struct dom *d, uint64_t id, int rc)
{
    struct move *m = d->move;
    struct err e;
    (void)id;
    m->in_libxl = false;
    if (rc != 0) {
        /* It stands still, and says so; to let it run again is somebody's decision. */
        (void)complain(d->w, rc, "resume the guest", &e);
        tell_failure(m, HV_DEPARTED, e.msg);
    } else {
        tell_failure(m, HV_RUNNING, NULL);
    }
    move_may_end(m);
}

static void back(struct move *m)
{
    struct dom *d = m->d;
    if (m->dropped || d->destroying || d->gone) {
        bool wanted = d->why == HV_EXIT_DESTROYED;
        (void)err_set(&m->why, wanted ? ERR_CANCELLED : ERR_HYPERVISOR, "the guest %s",
                      wanted ? "was destroyed" : "is gone");
        tell_failure(m, HV_RUNNING, NULL);
    } else if (dom_is_suspended(d)) {
        struct call *c = NULL;
        m->in_libxl = true;
        libxl_asyncop_how how = call_begin(d, 0, resumed, &c);
        call_begun(c, libxl_domain_resume(d->w->ctx, d->domid, 1, &how));
        return;
    } else {
        tell_failure(m, HV_RUNNING, NULL);
    }
    move_may_end(m);
}

static void fail_now(struct move *m)
{
    move_take_apart(m); /* libxl fails now, if it has not ended. */
    if (!m->in_libxl) {
        back(m);
    }
}

static bool has_begun(const struct move *m)
{
    return m->copied > MOVE_HEAD || (m->relay != NULL && relay_bytes(m->relay) > MOVE_HEAD);
}

static void fail_when_begun(uv_timer_t *timer)
{
    struct move *m = timer->data;
    if (!m->over && (!m->in_libxl || has_begun(m))) {
        fail_now(m);
    }
}

void move_fail(struct move *m, int code, const char *text)
{
    if (m->over || m->ending) {
        return;
    }
    (void)err_set(&m->why, code, "%s", text);
    if (!m->in_libxl || has_begun(m)) {
        fail_now(m);
        return;
    }
    m->ending = true;
    (void)uv_timer_start(&m->tick, fail_when_begun, ENDING_MS, ENDING_MS);
}

/* ---- departed ---- */

/* The files' last bytes, where the device does not write past the cache. */
static void sync_disks(const struct dom *d)
{
    for (uint32_t i = 0; i < d->spec.n_disks; i++) {
        int fd = d->spec.disks[i].readonly ? -1 : open(d->spec.disks[i].path, O_RDWR | O_CLOEXEC);
        if (fd >= 0) {
            (void)fsync(fd);
            (void)close(fd);
        }
    }
}

static void tell_progress(struct move *m, uint32_t downtime_ms)
{
    struct worker *w = m->d->w;
    uint64_t sent = m->relay == NULL ? m->told_bytes : relay_bytes(m->relay);
    struct hv_progress p = {.total_bytes = (uint64_t)m->d->spec.memory_mib << 20,
                            .sent_bytes = sent,
                            .rate_bytes_per_s = (sent - m->told_bytes) * 1000 / TICK_MS,
                            .downtime_ms = downtime_ms};
    p.total_bytes = max_u64(p.total_bytes, sent);
    p.remaining_bytes = p.total_bytes - sent;
    p.percent = (uint32_t)min_u64(99, sent * 100 / p.total_bytes);
    m->told_bytes = sent;
    json_t *msg = json_object();
    xen_key_pack(msg, &m->d->info.key);
    (void)json_object_set_new(msg, "progress", xen_progress_pack(&p));
    say(w, msg);
}

static void may_depart(struct move *m)
{
    struct dom *d = m->d;
    if (m->over || m->ending || !m->suspended || !m->peer_done) {
        return;
    }
    tell_progress(m, (uint32_t)(now_ms() - m->stopped_ms));
    sync_disks(d);
    dom_set(d, HV_DEPARTED, NULL);
    answer_ok(d->w, m->id);
    answer_ok(d->w, m->cancel_id);
    m->id = 0;
    m->cancel_id = 0;
    move_take_apart(m);
}

void move_complete(struct move *m)
{
    m->peer_done = true;
    may_depart(m);
}

static void no_word(uv_timer_t *timer)
{
    struct move *m = timer->data;
    move_fail(m, ERR_HYPERVISOR,
              m->connected ? "the target does not say that it is complete"
                           : "the target does not answer");
}

void move_suspended(struct dom *d, uint64_t id, int rc)
{
    struct move *m = d->move;
    struct err e;
    (void)id;
    m->in_libxl = false;
    move_close_libxl(m); /* The relay sends what is left, and ends. */
    if (m->over) {
        back(m);
    } else if (m->ending) {
        fail_now(m);
    } else if (rc != 0) {
        (void)complain(d->w, rc, "send the domain", &e);
        move_fail(m, ERR_HYPERVISOR, e.msg);
    } else {
        m->suspended = true;
        if (!m->saving) {
            (void)uv_timer_start(&m->limit, no_word, MOVE_DONE_MS, 0);
        }
        may_depart(m);
    }
}

/* ---- on the way ---- */

static void relay_ended(void *ctx, int rc)
{
    struct move *m = ctx;
    char text[128];
    if (rc != 0) {
        (void)snprintf(text, sizeof text, "the connection to the target broke: %s",
                       uv_strerror(rc));
        move_fail(m, ERR_HYPERVISOR, text);
    }
}

static void ticks(uv_timer_t *timer)
{
    struct move *m = timer->data;
    if (m->relay != NULL && !m->suspended) {
        tell_progress(m, 0);
    }
    if (m->stopped_ms == 0 && dom_is_suspended(m->d)) {
        m->stopped_ms = now_ms();
    }
}

static void send_domain(struct move *m)
{
    struct dom *d = m->d;
    struct call *c = NULL;
    struct err e;
    if (move_bridge(m, relay_ended, &e) != 0) {
        move_fail(m, e.code, e.msg);
        return;
    }
    m->connected = true;
    m->in_libxl = true;
    m->stopped_ms = m->live ? 0 : now_ms();
    (void)uv_timer_stop(&m->limit);
    (void)uv_timer_start(&m->tick, ticks, TICK_MS, TICK_MS);
    libxl_asyncop_how how = call_begin(d, 0, move_suspended, &c);
    call_begun(c, libxl_domain_suspend(d->w->ctx, d->domid, m->libxl_fd,
                                       m->live ? LIBXL_SUSPEND_LIVE : 0, &how));
}

void move_sender_hears(struct move *m, const char *line)
{
    char text[sizeof m->line + 32];
    if (line == NULL) {
        move_fail(m, ERR_HYPERVISOR,
                  m->connected ? "the target hung up before it was complete"
                               : "the target refused: the key is not of this migration");
    } else if (!m->connected && strcmp(line, "ok") == 0) {
        send_domain(m);
    } else if (m->connected && strcmp(line, "done") == 0) {
        move_complete(m);
    } else {
        (void)snprintf(text, sizeof text, "the target says: %s", line);
        move_fail(m, ERR_HYPERVISOR, text);
    }
}

static void connected(uv_connect_t *connect, int status)
{
    struct move *m = connect->handle->data;
    char text[128];
    if (m->over) {
        return;
    }
    if (status < 0) {
        (void)snprintf(text, sizeof text, "connect to the target: %s", uv_strerror(status));
        move_fail(m, ERR_HYPERVISOR, text);
        return;
    }
    (void)snprintf(text, sizeof text, MOVE_GREETING "%s\n", m->secret);
    move_say(m, text, NULL);
    move_read_lines(m);
}

int move_send(struct dom *d, const json_t *msg, uint64_t id, struct err *e)
{
    struct sockaddr_storage address = {0};
    const char *to = xen_text(msg, "address");
    const char *secret = xen_text(msg, "secret");
    bool live = json_is_true(json_object_get(msg, "live"));
    bool can_live = config_type(&d->spec) != LIBXL_DOMAIN_TYPE_PV || d->w->phys.cap_shadow;
    if (move_address(to, &address) != 0 || strlen(secret) != HV_KEY_SIZE - 1) {
        return err_set(e, ERR_INVALID, "the target's address \"%s\" or its key is malformed", to);
    }
    if (d->move != NULL) {
        return err_set(e, ERR_BUSY, "guest %s is being moved already", d->spec.name);
    }
    if (d->info.state != HV_RUNNING) {
        return err_set(e, ERR_UNSUPPORTED,
                       "guest %s is %s: on Xen a guest takes part in its move, so it must run",
                       d->spec.name, hv_state_name(d->info.state));
    }
    struct move *m = move_new(d, /*sending=*/true);
    m->id = id;
    m->live = live && can_live;
    m->rate = xen_number(msg, "rate");
    (void)str_copy(m->secret, sizeof m->secret, secret);
    dom_set(d, HV_OUTGOING,
            live && !can_live ? "it stands still meanwhile: Xen was built without shadow paging, "
                                "which a paravirtual guest needs to move live"
                              : NULL);
    move_open_tcp(m);
    (void)uv_timer_start(&m->limit, no_word, MOVE_GREET_MS, 0);
    int rc = uv_tcp_connect(&m->connect, &m->tcp, (struct sockaddr *)&address, connected);
    if (rc != 0) {
        move_fail(m, ERR_HYPERVISOR, uv_strerror(rc));
    }
    return 0;
}
