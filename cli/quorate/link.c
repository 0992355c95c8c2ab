#include "cli/quorate/link.h"

#include <string.h>
#include <time.h>

#include "core/util.h"

/* The first host is asked; whenever one gives cause for doubt, the next one is asked too, and the
 * first answer is taken. That does no harm: what is asked twice has one request id, and happens
 * once.
 *
 *   a host that shows no sign of life in HELLO_MS (it is dead, cut off, or stands still)
 *   a host that lives, but does not answer in DOUBT_MS
 *   a host that refuses, for a reason that another one may not have: at once
 *
 * The sign of life is the answer to a "hello" that goes before the request, which a daemon answers
 * by itself; so a pool that is slow because it has much to do is not asked everything three times.
 */
#define HELLO_MS 250
#define DOUBT_MS 1500
/* With others at hand: a host gets this long to accept a connection, and this long to answer; then
 * it may be dialled anew. */
#define CONNECT_MS 1000
#define ATTEMPT_MS 3000
/* How often Ctrl-C and ticks are looked at. */
#define SLICE_MS 100
/* Where quorated listens unless it is told otherwise. */
#define DEFAULT_PORT "7077"
/* Between rounds over the list. */
#define BACKOFF_MIN_MS 20
#define BACKOFF_MAX_MS 400

static uint64_t now_ms(const struct link *l)
{
    return l->cli->clock->mono_ms(l->cli->clock);
}

/* Whether a host is given without its port. */
static bool lacks_port(const char *text, size_t len)
{
    if (len > 0 && text[0] == '[') {
        return text[len - 1] == ']';
    }
    return memchr(text, ':', len) == NULL;
}

static int add_address(struct link *l, const char *text, size_t len, struct err *e)
{
    if (l->n == LINK_ADDRESSES_MAX) {
        return err_set(e, ERR_INVALID, "--connect: more than %d addresses", LINK_ADDRESSES_MAX);
    }
    if (len == 0) {
        return err_set(e, ERR_INVALID, "--connect: an address is empty");
    }
    const char *port = lacks_port(text, len) ? ":" DEFAULT_PORT : "";
    if (len + strlen(port) > LIMIT_ADDRESS) {
        return err_set(e, ERR_INVALID, "--connect: an address is longer than %d bytes",
                       LIMIT_ADDRESS);
    }
    (void)snprintf(l->address[l->n], sizeof l->address[0], "%.*s%s", (int)len, text, port);
    struct addr a;
    int rc = addr_parse(l->address[l->n], &a, e);
    if (rc != 0) {
        return err_wrap(e, "--connect");
    }
    l->n++;
    return 0;
}

int link_init(struct link *l, struct cli *cli, struct err *e)
{
    *l = (struct link){.cli = cli};
    const char *p = cli->opt.connect;
    for (;;) {
        size_t len = strcspn(p, ",");
        int rc = add_address(l, p, len, e);
        if (rc != 0) {
            return rc;
        }
        if (p[len] == '\0') {
            return 0;
        }
        p += len + 1;
    }
}

static void lane_close(struct lane *lane)
{
    lane->conn = lane->conn == NULL ? NULL : rpc_disconnect(lane->conn);
}

void link_done(struct link *l)
{
    for (size_t i = 0; i < LINK_LANES; i++) {
        lane_close(&l->lane[i]);
    }
}

uint64_t link_deadline(const struct link *l, uint64_t default_ms)
{
    uint32_t given = l->cli->opt.timeout_ms;
    return now_ms(l) + (given != 0 ? given : default_ms);
}

const char *link_where(const struct link *l)
{
    return l->cli->opt.connect;
}

static uint32_t time_left(const struct link *l, uint64_t deadline, uint64_t at_most)
{
    uint64_t now = now_ms(l);
    return now >= deadline ? 0 : (uint32_t)min_u64(deadline - now, at_most);
}

static int interrupted(struct err *e)
{
    return err_set(e, ERR_CANCELLED, "interrupted");
}

/* --- one host */

/* Until when a host may be silent from now on. */
static uint64_t patience(const struct link *l, const struct link_call *call)
{
    uint64_t ms = call->idle_ms != 0 ? call->idle_ms : ATTEMPT_MS;
    return call->idle_ms == 0 && l->n == 1 ? call->deadline
                                           : min_u64(call->deadline, now_ms(l) + ms);
}

/* Refusals that are this host's own: another one of the list may know better. */
static bool is_of_host(int code)
{
    return code == ERR_NO_POOL || code == ERR_DIVERGED || code == ERR_CORRUPT || code == ERR_IO ||
           code == ERR_NO_SPACE;
}

static void keep_only(struct link *l, const struct lane *winner)
{
    for (size_t i = 0; i < LINK_LANES; i++) {
        if (&l->lane[i] != winner) {
            lane_close(&l->lane[i]);
        }
    }
}

static bool is_asked(const struct link *l, size_t address)
{
    for (size_t i = 0; i < LINK_LANES; i++) {
        if (l->lane[i].conn != NULL && l->lane[i].at == address) {
            return true;
        }
    }
    return false;
}

/* Send the request over this connection, new or left from the call before. */
static int lane_ask(struct link *l, struct lane *lane, const struct link_call *call, struct err *e)
{
    int rc = 0;
    lane->heard = false;
    lane->hello = 0;
    if (l->n > 1 && strcmp(call->method, "hello") != 0) {
        rc = rpc_send(lane->conn, "hello", NULL, &lane->hello, e);
    }
    rc = rc == 0 ? rpc_send(lane->conn, call->method, call->params, &lane->number, e) : rc;
    lane->connected = rpc_is_connected(lane->conn);
    lane->until = lane->connected ? patience(l, call)
                  : l->n > 1      ? min_u64(call->deadline, now_ms(l) + CONNECT_MS)
                                  : call->deadline;
    l->sent = l->sent || lane->connected;
    l->next_ms = now_ms(l) + HELLO_MS;
    l->newest = lane;
    return rc;
}

/* What came: a sign of life, a notice, the answer. *ret_final: the call is over. ERR_PENDING:
 * nothing that ends it. Another code without *ret_final: this host is of no use. */
static int lane_take(struct link *l,
                     struct lane *lane,
                     const struct link_call *call,
                     struct rpc_message *m,
                     bool *ret_final,
                     struct err *e)
{
    if (!lane->heard && lane == l->newest) {
        l->next_ms = now_ms(l) + DOUBT_MS;
    }
    lane->heard = true;
    if (m->number == lane->number) {
        l->spoken = m->code != 0;
        *ret_final = m->code == 0 || (!err_may_retry(m->code) && !is_of_host(m->code));
        l->refusals = m->code != 0 && is_of_host(m->code) ? l->refusals + 1 : 0;
        return m->code == 0 ? 0 : err_set(e, m->code, "%s", m->text);
    }
    if (m->number != 0) {
        return ERR_PENDING; /* To the hello, or to a request of another call. */
    }
    lane->until = patience(l, call);
    keep_only(l, lane); /* A stream of notices comes from one host. */
    int rc = call->notice == NULL ? 0 : call->notice(call->ctx, m->method, &m->body, e);
    *ret_final = rc != 0;
    return rc != 0 ? rc : ERR_PENDING;
}

/* All that has come from this host, without waiting. As lane_take(). */
static int lane_look(struct link *l,
                     struct lane *lane,
                     const struct link_call *call,
                     struct buf *result,
                     bool *ret_final,
                     struct err *e)
{
    int rc = ERR_PENDING;
    while (rc == ERR_PENDING && !*ret_final) {
        struct rpc_message m = {.number = 0};
        rc = rpc_receive(lane->conn, 0, &m, e);
        if (!lane->connected && rpc_is_connected(lane->conn)) {
            lane->connected = true;
            lane->until = patience(l, call);
            l->sent = true;
        }
        if (rc == ERR_TIMEOUT && now_ms(l) < lane->until) {
            return ERR_PENDING;
        }
        if (rc == ERR_TIMEOUT && !lane->connected) {
            return err_set(e, rc, "connect to %s: no answer", l->address[lane->at]);
        }
        if (rc == 0) {
            rc = lane_take(l, lane, call, &m, ret_final, e);
        }
        if (rc == 0) {
            buf_clear(result);
            buf_put(result, m.body.data, m.body.len);
        }
        buf_done(&m.body);
    }
    return rc;
}

/* --- all hosts */

/* Whether it makes sense to go on after this failure. Nothing was sent and every address was tried:
 * whoever asked wants to know now, unless a time was given. */
static bool go_on(const struct link *l, const struct link_call *call)
{
    if ((call->once && l->sent) || l->refusals >= l->n) {
        return false;
    }
    if (!l->sent && l->failures >= l->n && l->cli->opt.timeout_ms == 0) {
        return false;
    }
    return time_left(l, call->deadline, 1) > 0;
}

/* After each round over the list, a little longer every time. */
static uint64_t back_off(const struct link *l)
{
    uint64_t round = l->failures / l->n;
    return l->failures % l->n != 0
               ? 0
               : min_u64(BACKOFF_MAX_MS, (uint64_t)BACKOFF_MIN_MS << min_u64(round, 8));
}

/* Nobody could be reached: the last address' reason is not the whole story. */
static void explain_unreached(const struct link *l, struct err *e)
{
    if (l->sent) {
        return;
    }
    if (l->n > 1) {
        (void)err_wrap(e, "none of the %zu addresses can be reached; the last one", l->n);
    } else {
        char why[ERR_MSG_SIZE];
        (void)str_copy(why, sizeof why, e->msg);
        (void)err_set(e, e->code, "%s (is quorated running? see quorate help connect)", why);
    }
}

static size_t under_way(const struct link *l)
{
    size_t n = 0;
    for (size_t i = 0; i < LINK_LANES; i++) {
        n += l->lane[i].conn != NULL;
    }
    return n;
}

static bool may_ask_more(const struct link *l, const struct link_call *call)
{
    size_t n = under_way(l);
    return n < LINK_LANES && n < l->n && (n == 0 || !call->once);
}

/* Ask one more host, if it is time to. ERR_PENDING: not now; else as of a host that failed. */
static int ask_next(struct link *l, const struct link_call *call, struct err *e)
{
    struct lane *lane = may_ask_more(l, call) ? l->lane : NULL;
    if (lane == NULL || now_ms(l) < l->next_ms) {
        return ERR_PENDING;
    }
    while (lane->conn != NULL) {
        lane++;
    }
    while (is_asked(l, l->at)) {
        l->at = (l->at + 1) % l->n;
    }
    lane->at = l->at;
    l->at = (l->at + 1) % l->n;
    int rc = rpc_dial(&lane->conn, l->address[lane->at], e);
    rc = rc == 0 ? lane_ask(l, lane, call, e) : rc;
    if (rc != 0) {
        lane_close(lane);
    }
    return rc;
}

/* This host is of no use now: the next one, at once or after a pause. *ret_final: there is nobody
 * to be waited for. */
static void
lane_failed(struct link *l, const struct link_call *call, bool *ret_final, struct err *e)
{
    if (l->spoken) {
        l->worth = *e;
    }
    l->failures++;
    l->next_ms = min_u64(call->deadline, now_ms(l) + back_off(l));
    *ret_final = !go_on(l, call) && under_way(l) == 0;
    if (*ret_final) {
        explain_unreached(l, e);
    }
}

/* One look at everybody. ERR_PENDING, or *ret_final and how the call ended. */
static int look(struct link *l,
                const struct link_call *call,
                struct buf *result,
                bool *ret_final,
                struct err *e)
{
    l->spoken = false;
    int rc = ask_next(l, call, e);
    if (rc == ERR_INVALID || rc == ERR_TOO_BIG) {
        *ret_final = true;
        return rc;
    }
    if (rc != ERR_PENDING && rc != 0) {
        lane_failed(l, call, ret_final, e);
        return *ret_final ? rc : ERR_PENDING;
    }
    for (size_t i = 0; i < LINK_LANES; i++) {
        struct lane *lane = &l->lane[i];
        rc = lane->conn == NULL ? ERR_PENDING : lane_look(l, lane, call, result, ret_final, e);
        if (*ret_final) {
            keep_only(l, lane);
            return rc;
        }
        if (rc != ERR_PENDING) {
            if (lane->connected) {
                (void)err_wrap(e, "%s", l->address[lane->at]);
            }
            lane_close(lane);
            lane_failed(l, call, ret_final, e);
            return *ret_final ? rc : ERR_PENDING;
        }
    }
    return ERR_PENDING;
}

/* Until somebody has something to say, or it is time to do something. */
static void rest(const struct link *l, const struct link_call *call)
{
    struct rpc_conn *conns[LINK_LANES];
    size_t n = 0;
    uint64_t until = call->deadline;
    for (size_t i = 0; i < LINK_LANES; i++) {
        if (l->lane[i].conn != NULL) {
            conns[n++] = l->lane[i].conn;
            until = min_u64(until, l->lane[i].until);
        }
    }
    if (may_ask_more(l, call)) {
        until = min_u64(until, l->next_ms);
    }
    uint64_t now = now_ms(l);
    rpc_wait(conns, n, until > now ? (uint32_t)min_u64(until - now, SLICE_MS) : 0);
}

/* Begin with the host that answered last, if its connection is still there. */
static void begin(struct link *l, const struct link_call *call)
{
    l->sent = false;
    l->failures = 0;
    l->refusals = 0;
    l->worth = (struct err){0};
    l->next_ms = 0;
    for (size_t i = 0; i < LINK_LANES; i++) {
        struct err e = {0};
        if (l->lane[i].conn != NULL && lane_ask(l, &l->lane[i], call, &e) != 0) {
            lane_close(&l->lane[i]);
        }
    }
}

int link_call(struct link *l,
              const struct link_call *call,
              struct buf *result,
              bool *ret_unknown,
              struct err *e)
{
    bool final = false;
    int rc;
    begin(l, call);
    for (;;) {
        rc = look(l, call, result, &final, e);
        if (final) {
            break;
        }
        if (cli_interrupted(l->cli)) {
            link_done(l);
            rc = interrupted(e);
            break;
        }
        rest(l, call);
    }
    if (rc != 0 && rc != ERR_CANCELLED && l->worth.code != 0 && err_may_retry(rc)) {
        *e = l->worth;
        rc = l->worth.code;
    }
    if (ret_unknown != NULL) {
        *ret_unknown = rc != 0 && l->sent && (rc == ERR_CANCELLED || err_may_retry(rc));
    }
    return rc;
}
