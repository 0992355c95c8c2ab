/* guest console: this terminal becomes the guest's (docs/protocols/console.md).
 *
 * The console follows its guest: when it moves, restarts or its host is lost, the connection ends
 * with a code that says that it may come back, and is made anew through any host. */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "core/os_net.h"
#include "core/util.h"

#include "cli/console.h"
#include "cli/quorate/link.h"
#include "cli/quorate/run.h"

#define ESCAPE 0x1d /* Ctrl-] */
/* One host gets so long to accept the connection. */
#define CONNECT_MS 1000
/* The guest gets so long to be there, so long to come back, and is asked for so often. */
#define ARRIVAL_MS 5000u
#define RETURN_MS  60000u
#define RETRY_MS   300
#define SLICE_MS   200
/* Typed and not sent, at which the keyboard waits. */
#define TYPED_MAX 4096u

struct console {
    struct cli *cli;
    struct link *link; /* Only its list of addresses. */
    struct console_hello hello;
    int fd; /* -1: not connected. */
    struct buf in;
    struct buf out;
    bool raw;
    struct termios saved;
    bool shown;     /* The guest was seen: it is told of what happens to it. */
    bool open;      /* The console is open on this connection. */
    bool opened;    /* It was open since this was last looked at. */
    bool left;      /* The user left, or was told to. */
    struct err why; /* Of the connection's end. */
};

static volatile sig_atomic_t ended; /* By a signal: the terminal is given back first. */

static void on_end(int signum)
{
    ended = signum;
}

/* --- the terminal */

/* Every key goes to the guest, Ctrl-C as well. */
static void make_raw(struct console *c)
{
    struct termios raw;
    if (tcgetattr(STDIN_FILENO, &c->saved) != 0) {
        return; /* Not a terminal: what comes is typed, its end is the user's. */
    }
    raw = c->saved;
    cfmakeraw(&raw);
    c->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void give_back(struct console *c)
{
    if (c->raw) {
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &c->saved);
        c->raw = false;
    }
}

static void tell(const struct console *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void tell(const struct console *c, const char *fmt, ...)
{
    va_list args;
    if (c->cli->opt.quiet) {
        return;
    }
    const char *nl = c->raw ? "\r\n" : "\n";
    (void)fprintf(c->cli->err, "%s[", c->shown ? nl : "");
    va_start(args, fmt);
    (void)vfprintf(c->cli->err, fmt, args);
    va_end(args);
    (void)fprintf(c->cli->err, "]%s", nl);
    (void)fflush(c->cli->err);
}

static int show(const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, at, len);
        if (n < 0 && errno != EINTR) {
            return ERR_IO;
        }
        at += n < 0 ? 0 : n;
        len -= n < 0 ? 0 : (size_t)n;
    }
    return 0;
}

/* --- the connection */

static void hang_up(struct console *c)
{
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    c->fd = -1;
    c->open = false;
    buf_clear(&c->in);
    buf_clear(&c->out);
}

/* The end of this connection, with a reason. */
static void end(struct console *c, int code, const char *text, size_t len)
{
    (void)err_set(&c->why, code, "%.*s", (int)len, text);
    hang_up(c);
}

/* To the first host of the list that accepts. */
static int dial(struct console *c, struct err *e)
{
    int rc = ERR_CLOSED;
    for (size_t i = 0; i < c->link->n && rc != 0; i++) {
        struct addr at;
        rc = addr_parse(c->link->address[(c->link->at + i) % c->link->n], &at, e);
        rc = rc == 0 ? os_net_connect(&at, CONNECT_MS, &c->fd, e) : rc;
        if (rc == 0) {
            c->link->at = (c->link->at + i) % c->link->n;
        }
    }
    if (rc == 0) {
        console_put_hello(&c->out, &c->hello);
        c->why = (struct err){0};
    }
    return rc;
}

static void take_frame(struct console *c, const struct console_frame *f)
{
    switch (f->kind) {
    case CONSOLE_OPEN:
        c->open = true;
        c->opened = true;
        if (!c->shown) {
            make_raw(c);
        }
        tell(c, "console of %s on %.*s; Ctrl-] leaves it", c->hello.guest, (int)f->len,
             (const char *)f->data);
        c->shown = true;
        c->hello.flags = 0; /* What comes back is not taken from anybody. */
        return;
    case CONSOLE_DATA:
        if (show(f->data, f->len) != 0) {
            c->left = true;
        }
        return;
    case CONSOLE_END: end(c, f->code, (const char *)f->data, f->len); return;
    }
}

static void take_frames(struct console *c)
{
    size_t at = 0;
    while (c->fd >= 0 && !c->left) {
        struct console_frame f;
        int n = console_get_frame(c->in.data + at, c->in.len - at, &f);
        if (n == 0) {
            memmove(c->in.data, c->in.data + at, c->in.len - at);
            c->in.len -= at;
            return;
        }
        at += n < 0 ? 0 : (size_t)n;
        if (n < 0) {
            end(c, n, "the host does not speak the console's protocol", 46);
        } else {
            take_frame(c, &f);
        }
    }
}

static void receive(struct console *c)
{
    uint8_t bytes[CONSOLE_FRAME_MAX];
    ssize_t n = read(c->fd, bytes, sizeof bytes);
    if (n > 0) {
        buf_put(&c->in, bytes, (size_t)n);
        take_frames(c);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        static const char lost[] = "the connection was lost";
        end(c, ERR_CLOSED, lost, sizeof lost - 1);
    }
}

static void send_typed(struct console *c)
{
    ssize_t n = write(c->fd, c->out.data, c->out.len);
    if (n > 0) {
        memmove(c->out.data, c->out.data + n, c->out.len - (size_t)n);
        c->out.len -= (size_t)n;
    } /* A broken one is told by receive(). */
}

static void type(struct console *c)
{
    uint8_t keys[512];
    ssize_t n = read(STDIN_FILENO, keys, sizeof keys);
    const uint8_t *escape = n > 0 ? memchr(keys, ESCAPE, (size_t)n) : NULL;
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
        c->left = true; /* The terminal is gone, or the input ended. */
        return;
    }
    size_t typed = escape != NULL ? (size_t)(escape - keys) : n < 0 ? 0 : (size_t)n;
    if (c->fd >= 0 && c->open) { /* Nobody hears what is typed at a guest that is away. */
        buf_put(&c->out, keys, typed);
    }
    if (escape != NULL) {
        c->left = true;
    }
}

/* One wait for keys and for the guest. */
static void turn(struct console *c, int timeout_ms)
{
    bool typing = c->out.len < TYPED_MAX && (c->open || c->fd < 0);
    struct pollfd p[2] = {
        {.fd = typing ? STDIN_FILENO : -1, .events = POLLIN},
        {.fd = c->fd, .events = (short)(POLLIN | (c->out.len > 0 ? POLLOUT : 0))}};
    if (poll(p, 2, timeout_ms) <= 0) {
        return;
    }
    if (p[0].revents != 0) {
        type(c);
    }
    if (c->fd >= 0 && (p[1].revents & POLLOUT) != 0) {
        send_typed(c);
    }
    if (c->fd >= 0 && (p[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        receive(c);
    }
}

/* --- all of it */

static bool is_over(const struct console *c)
{
    return c->left || ended != 0 || cli_interrupted(c->cli);
}

/* Until the connection ends, or the user. What was typed last still goes out. */
static void stay(struct console *c)
{
    while (c->fd >= 0 && !is_over(c)) {
        turn(c, SLICE_MS);
    }
    if (c->fd >= 0 && c->out.len > 0) {
        send_typed(c);
    }
}

/* From one connection to the next. 0: the user left; else why the guest is not there. */
static int attend(struct console *c, struct err *e)
{
    struct clock *clock = c->cli->clock;
    uint64_t until = clock->mono_ms(clock) + ARRIVAL_MS;
    bool told = false;
    for (;;) {
        int rc = dial(c, e);
        bool connected = rc == 0;
        if (connected) {
            stay(c);
            *e = c->why;
            rc = e->code;
        }
        if (is_over(c)) {
            return 0;
        }
        if (c->opened) {
            until = clock->mono_ms(clock) + RETURN_MS;
            told = false;
            c->opened = false;
        }
        bool wait = (c->shown || connected) && console_comes_back(rc);
        if (!wait || clock->mono_ms(clock) >= until) {
            return rc;
        }
        if (c->shown && !told) {
            tell(c, "%s; waiting for the guest", e->msg);
            told = true;
        }
        c->link->at = (c->link->at + 1) % c->link->n;
        turn(c, RETRY_MS);
    }
}

int run_console(struct cli *cli, const struct parsed *p)
{
    const struct args_console *a = p->record;
    struct link l;
    struct err e = {0};
    struct console c = {.cli = cli, .link = &l, .fd = -1};
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    (void)str_copy(c.hello.guest, sizeof c.hello.guest, a->name);
    c.hello.flags = a->force ? CONSOLE_FORCE : 0;
    struct sigaction sa = {.sa_handler = on_end};
    (void)sigaction(SIGTERM, &sa, NULL);
    (void)sigaction(SIGHUP, &sa, NULL);
    int rc = attend(&c, &e);
    give_back(&c);
    hang_up(&c);
    buf_done(&c.in);
    buf_done(&c.out);
    link_done(&l);
    if (rc != 0 && !(c.shown && rc == ERR_STATE)) {
        return cli_fail(cli, &e);
    }
    if (rc != 0) { /* The guest was shut down: the end that a console has. */
        cli_say(cli, "%s", e.msg);
    }
    return ended != 0 ? 128 + (int)ended : EXIT_STATUS_OK;
}
