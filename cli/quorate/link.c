#include "cli/quorate/link.h"

#include <string.h>
#include <time.h>

#include "core/util.h"

/* A host that is cut off answers nothing: with others at hand it gets this long to accept a
 * connection, and this long to answer, before the next is asked. */
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

static void hang_up(struct link *l)
{
    l->conn = rpc_disconnect(l->conn);
    l->at = (l->at + 1) % l->n;
}

void link_done(struct link *l)
{
    if (l->conn != NULL) {
        l->conn = rpc_disconnect(l->conn);
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

static int reach(struct link *l, uint64_t deadline, struct err *e)
{
    if (l->conn != NULL) {
        return 0;
    }
    uint32_t ms = time_left(l, deadline, l->n > 1 ? CONNECT_MS : LIMIT_DEADLINE_MS);
    return rpc_connect(&l->conn, l->address[l->at], ms == 0 ? 1 : ms, e);
}

/* Until when a host may be silent from now on. */
static uint64_t patience(const struct link *l, const struct link_call *call)
{
    uint64_t ms = call->idle_ms != 0 ? call->idle_ms : ATTEMPT_MS;
    return call->idle_ms == 0 && l->n == 1 ? call->deadline
                                           : min_u64(call->deadline, now_ms(l) + ms);
}

/* A notice that came while the answer is awaited. */
static int take_notice(const struct link_call *call, const struct rpc_message *m, struct err *e)
{
    return call->notice == NULL ? 0 : call->notice(call->ctx, m->method, &m->body, e);
}

/* Notices and slices of waiting until the answer is here. *ret_final: the host answered, be it with
 * an error, or the caller had enough; else the connection is of no use any more. */
static int receive(struct link *l,
                   const struct link_call *call,
                   uint64_t number,
                   struct rpc_message *m,
                   bool *ret_final,
                   struct err *e)
{
    uint64_t until = patience(l, call);
    for (;;) {
        if (cli_interrupted(l->cli)) {
            return interrupted(e);
        }
        int rc = rpc_receive(l->conn, time_left(l, until, SLICE_MS), m, e);
        if (rc == ERR_TIMEOUT && time_left(l, until, 1) > 0) {
            continue;
        }
        if (rc != 0) {
            return rc;
        }
        if (m->number == number) {
            *ret_final = true;
            return m->code == 0 ? 0 : err_set(e, m->code, "%s", m->text);
        }
        if (m->number == 0) {
            until = patience(l, call);
            rc = take_notice(call, m, e);
            *ret_final = rc != 0;
        }
        buf_done(&m->body);
        if (rc != 0) {
            return rc;
        }
    }
}

/* Refusals that are this host's own: another one of the list may know better. */
static bool is_of_host(int code)
{
    return code == ERR_NO_POOL || code == ERR_DIVERGED || code == ERR_CORRUPT || code == ERR_IO ||
           code == ERR_NO_SPACE;
}

/* One attempt at one address. *ret_final: no other address need be asked. */
static int attempt(struct link *l,
                   const struct link_call *call,
                   struct buf *result,
                   bool *ret_final,
                   struct err *e)
{
    *ret_final = false;
    int rc = reach(l, call->deadline, e);
    if (rc != 0) {
        *ret_final = rc == ERR_INVALID;
        return rc;
    }
    struct rpc_message m = {.number = 0};
    uint64_t number = 0;
    bool answered = false;
    l->sent = true;
    rc = rpc_send(l->conn, call->method, call->params, &number, e);
    if (rc == 0) {
        rc = receive(l, call, number, &m, &answered, e);
    }
    if (rc == 0) {
        buf_clear(result);
        buf_put(result, m.body.data, m.body.len);
        *ret_final = true;
    } else if (rc == ERR_CANCELLED || (answered && !err_may_retry(rc) && !is_of_host(rc))) {
        *ret_final = true;
    } else {
        l->spoken = answered;
        l->refusals = answered && is_of_host(rc) ? l->refusals + 1 : 0;
        (void)err_wrap(e, "%s", l->address[l->at]);
    }
    buf_done(&m.body);
    return rc;
}

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

/* After each round over the list, a little longer every time. */
static void back_off(const struct link *l, uint64_t deadline)
{
    if (l->failures % l->n != 0) {
        return;
    }
    uint64_t round = l->failures / l->n;
    uint64_t ms = min_u64(BACKOFF_MAX_MS, (uint64_t)BACKOFF_MIN_MS << min_u64(round, 8));
    ms = time_left(l, deadline, ms);
    struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&ts, NULL); /* Ctrl-C may cut it short. */
}

int link_call(struct link *l,
              const struct link_call *call,
              struct buf *result,
              bool *ret_unknown,
              struct err *e)
{
    struct err worth = {0}; /* The last reason a host gave: better than "connection refused". */
    l->sent = false;
    l->failures = 0;
    l->refusals = 0;
    int rc;
    for (;;) {
        bool final = false;
        l->spoken = false;
        rc = attempt(l, call, result, &final, e);
        if (final) {
            break;
        }
        if (l->spoken) {
            worth = *e;
        }
        l->failures++;
        hang_up(l);
        if (cli_interrupted(l->cli)) {
            rc = interrupted(e);
            break;
        }
        if (!go_on(l, call)) {
            explain_unreached(l, e);
            break;
        }
        back_off(l, call->deadline);
    }
    if (rc != 0 && rc != ERR_CANCELLED && worth.code != 0 && err_may_retry(rc)) {
        *e = worth;
        rc = worth.code;
    }
    if (ret_unknown != NULL) {
        *ret_unknown = rc != 0 && l->sent && (rc == ERR_CANCELLED || err_may_retry(rc));
    }
    return rc;
}
