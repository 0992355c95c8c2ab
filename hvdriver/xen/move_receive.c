/* Migrations: the target's end. See move.h. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/xen/move.h"

/* In a time that does not depend on where they differ. */
static bool same_key(const char *a, const char *b)
{
    unsigned differ = strlen(a) == strlen(b) ? 0 : 1;
    for (size_t i = 0; a[i] != '\0' && b[i] != '\0'; i++) {
        differ |= (unsigned char)a[i] ^ (unsigned char)b[i];
    }
    return differ == 0;
}

static void has_connection(uv_stream_t *listener, int status);

static void hung_up(uv_handle_t *handle)
{
    struct move *m = handle->data;
    m->handles--;
    m->hanging_up = false;
    if (m->over) {
        move_may_end(m);
    } else if (m->one_waits) {
        m->one_waits = false;
        has_connection((uv_stream_t *)&m->listener, 0);
    }
}

/* Not the source: the right one may still come. */
static void hang_up(struct move *m)
{
    (void)uv_timer_stop(&m->limit);
    m->has_tcp = false;
    m->hanging_up = true;
    uv_close((uv_handle_t *)&m->tcp, hung_up);
}

static void not_greeted(uv_timer_t *timer)
{
    hang_up(timer->data);
}

static void fail(struct move *m, const char *text)
{
    struct dom *d = m->d;
    bool doomed = d->doomed || m->dropped;
    if (!m->over) {
        move_take_apart(m);
    }
    dom_finish(d, doomed ? HV_EXIT_DESTROYED : HV_EXIT_INCOMING, doomed ? "" : text);
}

static void said_done(struct move *m)
{
    if (!m->over) {
        move_take_apart(m);
    }
}

static void said_why(struct move *m)
{
    if (!m->over) {
        fail(m, m->why.msg);
    }
}

static void restored(struct dom *d, uint64_t id, int rc)
{
    struct move *m = d->move;
    char text[ERR_MSG_SIZE + 16];
    (void)id;
    m->in_libxl = false;
    d->creating = false;
    dom_prepared_done(d);
    move_close_libxl(m);
    if (rc != 0) {
        (void)complain(d->w, rc, "receive the domain", &m->why);
        d->domid = 0; /* libxl has ended what there was. */
        if (m->over) {
            fail(m, m->why.msg);
            move_may_end(m);
            return;
        }
        (void)snprintf(text, sizeof text, "%s\n", m->why.msg);
        move_say(m, text, said_why);
        return;
    }
    if (m->dropped) { /* It became complete while it was given up. */
        d->doomed = false;
        dom_destroy(d, HV_EXIT_DESTROYED, "");
        move_may_end(m);
        return;
    }
    (void)store_write(d, "state", "arrived");
    dom_look(d);
    dom_set(d, HV_ARRIVED, NULL);
    if (m->over) {
        move_may_end(m);
        return;
    }
    move_say(m, "done\n", said_done);
}

/* The connection or libxl's end of the socket is closed: libxl tells what it makes of that. */
static void relay_ended(void *ctx, int rc)
{
    struct move *m = ctx;
    (void)rc;
    move_close_pipe(m);
}

static void receive_domain(struct move *m)
{
    struct dom *d = m->d;
    struct call *c = NULL;
    libxl_domain_restore_params params;
    if (dom_prepare(d, &m->why) != 0 || move_bridge(m, relay_ended, &m->why) != 0) {
        char text[ERR_MSG_SIZE + 16];
        (void)snprintf(text, sizeof text, "%s\n", m->why.msg);
        move_say(m, text, said_why);
        return;
    }
    libxl_domain_restore_params_init(&params);
    params.stream_version = 2;
    d->creating = true;
    m->in_libxl = true;
    libxl_asyncop_how how = call_begin(d, 0, restored, &c);
    call_begun(c, libxl_domain_create_restore(d->w->ctx, &d->config, &d->domid, m->libxl_fd, -1,
                                              &params, &how, NULL));
    libxl_domain_restore_params_dispose(&params);
    relay_put(m->relay, m->line, m->line_len);
}

void move_receiver_gets(struct move *m, const char *bytes, size_t n)
{
    while (n > 0 && m->line_len < sizeof m->line) {
        m->line[m->line_len++] = *bytes++;
        n--;
    }
    if (m->line_len < MOVE_HEAD) {
        return;
    }
    (void)uv_read_stop((uv_stream_t *)&m->tcp);
    if (n > 0 || !move_is_stream(m->line)) {
        (void)err_set(&m->why, ERR_MALFORMED, "what the source sends is no guest");
        fail(m, m->why.msg);
        return;
    }
    receive_domain(m);
}

void move_receiver_hears(struct move *m, const char *line)
{
    size_t n = strlen(MOVE_GREETING);
    if (line == NULL && m->connected) {
        fail(m, "the source hung up");
        return;
    }
    if (line == NULL || strncmp(line, MOVE_GREETING, n) != 0 || !same_key(line + n, m->secret)) {
        hang_up(m);
        return;
    }
    m->connected = true;
    (void)uv_timer_stop(&m->limit);
    memset(m->secret, 0, sizeof m->secret);
    move_say(m, "ok\n", NULL);
}

static void has_connection(uv_stream_t *listener, int status)
{
    struct move *m = listener->data;
    if (status < 0 || m->over || m->connected) {
        return;
    }
    if (m->has_tcp || m->hanging_up) {
        m->one_waits = true; /* It is taken when the one before is gone. */
        return;
    }
    move_open_tcp(m);
    if (uv_accept(listener, (uv_stream_t *)&m->tcp) != 0) {
        hang_up(m);
        return;
    }
    (void)uv_timer_start(&m->limit, not_greeted, MOVE_GREET_MS, 0);
    move_read_lines(m);
}

int move_receive(struct dom *d, const json_t *msg, uint64_t id, struct err *e)
{
    struct sockaddr_storage at = {0};
    const char *address = xen_text(msg, "address");
    char text[LIMIT_ADDRESS + 8];
    if (move_address(address, &at) != 0) {
        return err_set(e, ERR_INVALID, "\"%s\" is no address to listen on", address);
    }
    struct move *m = move_new(d, /*sending=*/false);
    (void)str_copy(m->secret, sizeof m->secret, xen_text(msg, "secret"));
    uv_tcp_init(&d->w->loop, &m->listener);
    m->listener.data = m;
    m->has_listener = true;
    m->handles++;
    int len = sizeof at;
    int r = uv_tcp_bind(&m->listener, (struct sockaddr *)&at, 0);
    r = r < 0 ? r : uv_listen((uv_stream_t *)&m->listener, 4, has_connection);
    r = r < 0 ? r : uv_tcp_getsockname(&m->listener, (struct sockaddr *)&at, &len);
    if (r < 0) {
        move_take_apart(m);
        return err_set(e, ERR_IO, "listen on %s: %s", address, uv_strerror(r));
    }
    uint16_t port = at.ss_family == AF_INET ? ((struct sockaddr_in *)&at)->sin_port
                                            : ((struct sockaddr_in6 *)&at)->sin6_port;
    const char *colon = strrchr(address, ':');
    const char *bracket = strrchr(address, ']');
    bool has_port = colon != NULL && (bracket == NULL || bracket < colon);
    size_t n = has_port ? (size_t)(colon - address) : strlen(address);
    (void)snprintf(text, sizeof text, "%.*s:%u", (int)n, address, ntohs(port));
    const struct err fine = {0};
    dom_set(d, HV_INCOMING, NULL);
    answer(d->w, id, &fine, text);
    return 0;
}
