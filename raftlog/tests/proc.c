#include "raftlog/tests/proc.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "core/log.h"
#include "core/os_random.h"
#include "core/rpc.h"
#include "core/util.h"

#include "raftlog/raftlog.h"

#define LINE_MAX_BYTES 512
#define ENTRY_BYTES    300
#define PATIENCE_MS    20000

/* --- the process: its machine */

#define SEEN (1u << 16)

struct state {
    uint64_t applied;
    uint64_t count;
    uint64_t hash;
    struct id seen[SEEN]; /* Requests applied: a hash table. */
};

struct slot { /* One proposal or read of the process. */
    struct raftlog_proposal p;
    struct raftlog_read r;
    uint8_t bytes[ENTRY_BYTES];
    struct load *load;
    uint64_t number;
};

struct load {
    uint64_t number;
    uint64_t left, under_way, done, failed;
    uint32_t ms;
};

static struct {
    uv_loop_t loop;
    uv_poll_t poll;
    struct raftlog *rl;
    struct rpc_server *server;
    struct rng rng;
    int fd;
    bool failed;
    bool refused;
    struct state state;
} self;

static bool see(struct state *s, const struct id *id)
{
    uint32_t at = (uint32_t)id->b[0] | (uint32_t)id->b[1] << 8;
    for (;; at = (at + 1) % SEEN) {
        if (id_is_none(&s->seen[at])) {
            s->seen[at] = *id;
            return true;
        }
        if (id_equal(&s->seen[at], id)) {
            return false;
        }
    }
}

static uint64_t machine_applied(void *ctx)
{
    (void)ctx;
    return self.state.applied;
}

static int machine_apply(void *ctx, const struct raftlog_entry *entries, uint32_t n, struct err *e)
{
    (void)ctx;
    (void)e;
    struct state *s = &self.state;
    for (uint32_t i = 0; i < n; i++) {
        assert(entries[i].index == s->applied + 1);
        s->applied = entries[i].index;
        if (entries[i].data == NULL) {
            continue;
        }
        struct id id;
        memcpy(id.b, entries[i].data, sizeof id.b);
        if (see(s, &id)) {
            s->count++;
            const uint8_t *p = entries[i].data;
            for (size_t k = 0; k < entries[i].len; k++) {
                s->hash = (s->hash ^ p[k]) * 1099511628211u;
            }
        }
        raftlog_applied_request(self.rl, &id, entries[i].index);
    }
    return 0;
}

static void *machine_freeze(void *ctx, uint64_t *ret_index)
{
    (void)ctx;
    struct state *copy = mem_new(1, sizeof *copy);
    *copy = self.state;
    *ret_index = copy->applied;
    return copy;
}

static int machine_stream(void *handle,
                          int (*write)(void *wctx, const void *data, size_t len, struct err *e),
                          void *wctx,
                          struct err *e)
{
    return write(wctx, handle, sizeof(struct state), e);
}

static void machine_unfreeze(void *ctx, void *handle)
{
    (void)ctx;
    free(handle);
}

static int machine_load(void *ctx,
                        uint64_t index,
                        int64_t (*read)(void *rctx, void *data, size_t len, struct err *e),
                        void *rctx,
                        struct err *e)
{
    (void)ctx;
    uint8_t *to = (uint8_t *)&self.state;
    size_t got = 0;
    uint8_t more;
    while (got < sizeof self.state) {
        int64_t n = read(rctx, to + got, sizeof self.state - got, e);
        if (n <= 0) {
            return n < 0 ? (int)n : err_set(e, ERR_CORRUPT, "the state is too short");
        }
        got += (size_t)n;
    }
    int64_t n = read(rctx, &more, 1, e);
    assert(n != 0 || self.state.applied == index);
    return n == 0 ? 0 : err_set(e, ERR_CORRUPT, "the state is too long");
}

/* --- the process: what it is asked */

static void reply(uint64_t number, int code, uint64_t value)
{
    char line[LINE_MAX_BYTES];
    int n = snprintf(line, sizeof line, "%" PRIu64 " %d %" PRIu64, number, code, value);
    (void)send(self.fd, line, (size_t)n, MSG_NOSIGNAL); /* The parent may be gone. */
}

static void load_more(struct load *l);

static void proposal_done(struct raftlog_proposal *p, int code)
{
    struct slot *s = CONTAINER_OF(p, struct slot, p);
    struct load *l = s->load;
    l->under_way--;
    l->done += code == 0;
    l->failed += code != 0;
    free(s);
    load_more(l);
    if (l->under_way == 0) {
        reply(l->number, l->failed == 0 ? 0 : ERR_UNSURE, l->done);
        free(l);
    }
}

static void propose_one(struct load *l)
{
    struct slot *s = mem_new(1, sizeof *s);
    s->load = l;
    s->p.request = id_new(&self.rng);
    memcpy(s->bytes, s->p.request.b, sizeof s->p.request.b);
    s->p.data = s->bytes;
    s->p.len = sizeof s->bytes;
    s->p.deadline_ms = l->ms;
    s->p.done = proposal_done;
    l->under_way++;
    l->left--;
    raftlog_propose(self.rl, &s->p);
}

static void load_more(struct load *l)
{
    if (l->left > 0 && !self.failed) {
        propose_one(l);
    }
}

static void do_load(uint64_t number, uint64_t n, uint64_t depth, uint32_t ms)
{
    struct load *l = mem_new(1, sizeof *l);
    *l = (struct load){.number = number, .left = n, .ms = ms};
    for (uint64_t i = 0; i < depth && l->left > 0; i++) {
        propose_one(l);
    }
}

static void read_done(struct raftlog_read *r, int code)
{
    struct slot *s = CONTAINER_OF(r, struct slot, r);
    reply(s->number, code, self.state.count);
    free(s);
}

static void do_read(uint64_t number, uint32_t ms)
{
    struct slot *s = mem_new(1, sizeof *s);
    s->number = number;
    s->r.deadline_ms = ms;
    s->r.done = read_done;
    raftlog_read(self.rl, &s->r);
}

static void do_status(uint64_t number)
{
    struct raftlog_status s;
    char line[LINE_MAX_BYTES];
    raftlog_status(self.rl, &s);
    int n = snprintf(line, sizeof line,
                     "%" PRIu64 " 0 0 %d %d %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
                     " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %" PRIu64 " %" PRIu64
                     " %" PRIu64 " %" PRIu64 " %d %d",
                     number, s.blank, s.leading, self.failed, s.raft_id, s.leader, s.term,
                     s.commit_index, self.state.applied, s.last_index, s.first_index,
                     s.snapshot_index, s.members, s.incarnation, s.elections, self.state.count,
                     self.state.hash, self.refused, s.disk_full);
    (void)send(self.fd, line, (size_t)n, MSG_NOSIGNAL);
}

static void do_role(uint64_t number, uint64_t raft_id)
{
    struct raftlog_member m;
    for (uint32_t i = 0; raftlog_member(self.rl, i, &m); i++) {
        if (m.raft_id == raft_id) {
            reply(number, 0, m.role);
            return;
        }
    }
    reply(number, ERR_NOT_FOUND, 0);
}

static void server_closed(void *ctx)
{
    (void)ctx;
    _exit(0);
}

static void log_closed(void *ctx)
{
    (void)ctx;
    rpc_server_close(self.server, server_closed, NULL);
}

static void do_line(char *line)
{
    uint64_t number = 0;
    uint64_t a = 0;
    uint64_t b = 0;
    uint64_t c = 0;
    char verb[32] = "";
    char text[64] = "";
    struct err e = {0};
    if (sscanf(line, "%" SCNu64 " %31s %" SCNu64 " %63s %" SCNu64, &number, verb, &a, text, &c) <
        2) {
        return;
    }
    (void)sscanf(text, "%" SCNu64, &b);
    struct id pool = {{7, 7, 7}};
    if (strcmp(verb, "status") == 0) {
        do_status(number);
    } else if (strcmp(verb, "role-of") == 0) {
        do_role(number, a);
    } else if (strcmp(verb, "load") == 0) {
        do_load(number, a, b, (uint32_t)c);
    } else if (strcmp(verb, "read") == 0) {
        do_read(number, (uint32_t)a);
    } else if (strcmp(verb, "bootstrap") == 0) {
        reply(number, raftlog_bootstrap(self.rl, &pool, &e), 0);
    } else if (strcmp(verb, "add") == 0) {
        reply(number, raftlog_member_add(self.rl, a, text, &e), 0);
    } else if (strcmp(verb, "role") == 0) {
        reply(number, raftlog_member_role(self.rl, a, (enum raftlog_role)b, &e), 0);
    } else if (strcmp(verb, "remove") == 0) {
        reply(number, raftlog_member_remove(self.rl, a, &e), 0);
    } else if (strcmp(verb, "transfer") == 0) {
        reply(number, raftlog_transfer(self.rl, a, &e), 0);
    } else if (strcmp(verb, "close") == 0) {
        raftlog_close(self.rl, log_closed, NULL);
    } else {
        reply(number, ERR_UNKNOWN, 0);
    }
}

static void on_line(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events;
    char line[LINE_MAX_BYTES];
    for (;;) {
        ssize_t n = recv(self.fd, line, sizeof line - 1, MSG_DONTWAIT);
        if (n == 0) {
            _exit(0); /* The parent is gone. */
        }
        if (n < 0) {
            return;
        }
        line[n] = '\0';
        do_line(line);
    }
}

/* --- the process: its life */

static void on_changed(void *ctx)
{
    (void)ctx;
}

static void on_note(void *ctx, uint64_t from, const void *data, size_t len)
{
    (void)ctx;
    (void)from;
    (void)data;
    (void)len;
}

static void on_fatal(void *ctx, const struct err *e)
{
    (void)ctx;
    self.failed = true;
    if (getenv("PROC_VERBOSE") != NULL) {
        (void)fprintf(stderr, "fatal: %s\n", e->msg);
    }
}

static void serve(void *ctx, struct rpc_request *rq)
{
    (void)ctx;
    rpc_fail(rq, ERR_UNSUPPORTED, "a member of a test");
}

static bool other(void *ctx, int fd, const void *read_ahead, size_t len)
{
    (void)ctx;
    raftlog_accept(self.rl, fd, read_ahead, len);
    return true;
}

static void run(const struct proc *m, int fd)
{
    struct err e = {0};
    struct err refused = {0};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    self.fd = fd;
    rng_seed_os(&self.rng);
    log_set_host(m->name);
    log_set_level(getenv("PROC_VERBOSE") != NULL ? LOG_DEBUG : LOG_ERROR);
    (void)uv_loop_init(&self.loop);
    struct raftlog_options o = {.dir = m->dir,
                                .name = m->name,
                                .listen = m->address,
                                .snapshot_entries = PROC_SNAPSHOT_ENTRIES,
                                .snapshot_trailing = 50,
                                .segment_bytes = 512u * 1024u,
                                .ballast_bytes = 64u * 1024u,
                                .machine = {.applied = machine_applied,
                                            .apply = machine_apply,
                                            .freeze = machine_freeze,
                                            .stream = machine_stream,
                                            .unfreeze = machine_unfreeze,
                                            .load = machine_load},
                                .changed = on_changed,
                                .note = on_note,
                                .fatal = on_fatal};
    int rc = raftlog_open(&self.rl, &self.loop, &o, &refused, &e);
    self.refused = refused.code != 0;
    if (getenv("PROC_VERBOSE") != NULL && refused.code != 0) {
        (void)fprintf(stderr, "refused: %s\n", refused.msg);
    }
    struct rpc_server_options so = {.serve = serve, .other = other};
    self.server = rpc_server_new(&self.loop, &so);
    if (rc == 0) {
        rc = rpc_server_listen(self.server, m->address, &e);
    }
    if (rc != 0) {
        (void)fprintf(stderr, "%s: %s\n", m->name, e.msg);
        _exit(1);
    }
    (void)uv_poll_init(&self.loop, &self.poll, fd);
    (void)uv_poll_start(&self.poll, UV_READABLE, on_line);
    (void)uv_run(&self.loop, UV_RUN_DEFAULT);
    _exit(0);
}

/* --- the parent */

void proc_init(struct proc *m, const char *name, const char *parent_dir)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;
    int one = 1;
    *m = (struct proc){.fd = -1};
    (void)snprintf(m->name, sizeof m->name, "%s", name);
    (void)snprintf(m->dir, sizeof m->dir, "%s/%s", parent_dir, name);
    m->reserved = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(m->reserved >= 0);
    (void)setsockopt(m->reserved, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    int r = bind(m->reserved, (struct sockaddr *)&sa, sizeof sa);
    assert(r == 0);
    r = getsockname(m->reserved, (struct sockaddr *)&sa, &len);
    assert(r == 0);
    (void)snprintf(m->address, sizeof m->address, "127.0.0.1:%u", ntohs(sa.sin_port));
}

void proc_start(struct proc *m)
{
    int fds[2];
    assert(m->pid == 0);
    int r = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds);
    assert(r == 0);
    m->pid = fork();
    assert(m->pid >= 0);
    if (m->pid == 0) {
        (void)close(fds[0]);
        run(m, fds[1]);
    }
    (void)close(fds[1]);
    m->fd = fds[0];
}

static void reap(struct proc *m)
{
    (void)waitpid(m->pid, NULL, 0);
    (void)close(m->fd);
    m->pid = 0;
    m->fd = -1;
}

void proc_kill(struct proc *m)
{
    if (m->pid != 0) {
        (void)kill(m->pid, SIGKILL);
        reap(m);
    }
}

void proc_close(struct proc *m)
{
    (void)proc_begin(m, "close");
    char line[LINE_MAX_BYTES];
    struct pollfd p = {.fd = m->fd, .events = POLLIN};
    while (poll(&p, 1, PATIENCE_MS) == 1 && recv(m->fd, line, sizeof line, 0) > 0) {
    }
    proc_kill(m); /* It is gone, or it never will be. */
}

void proc_done(struct proc *m)
{
    proc_kill(m);
    (void)close(m->reserved);
}

__attribute__((format(printf, 2, 0))) static uint64_t
begin(struct proc *m, const char *format, va_list ap)
{
    char line[LINE_MAX_BYTES];
    int n = snprintf(line, sizeof line, "%" PRIu64 " ", ++m->asked);
    n += vsnprintf(line + n, sizeof line - (size_t)n, format, ap);
    (void)send(m->fd, line, (size_t)n, MSG_NOSIGNAL);
    return m->asked;
}

uint64_t proc_begin(struct proc *m, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    uint64_t number = begin(m, format, ap);
    va_end(ap);
    return number;
}

/* The line that answers this; replies to others are dropped. */
static bool wait_line(struct proc *m, uint64_t number, char *line, size_t size)
{
    struct pollfd p = {.fd = m->fd, .events = POLLIN};
    while (m->fd >= 0 && poll(&p, 1, PATIENCE_MS) == 1) {
        ssize_t n = recv(m->fd, line, size - 1, 0);
        uint64_t got = 0;
        if (n <= 0) {
            return false;
        }
        line[n] = '\0';
        if (sscanf(line, "%" SCNu64, &got) == 1 && got == number) {
            return true;
        }
    }
    return false;
}

int proc_reply(struct proc *m, uint64_t number, uint64_t *ret_value)
{
    char line[LINE_MAX_BYTES];
    uint64_t got = 0;
    int code = 0;
    *ret_value = 0;
    if (!wait_line(m, number, line, sizeof line) ||
        sscanf(line, "%" SCNu64 " %d %" SCNu64, &got, &code, ret_value) != 3) {
        return ERR_CLOSED;
    }
    return code;
}

int proc_ask(struct proc *m, const char *format, ...)
{
    uint64_t value = 0;
    va_list ap;
    va_start(ap, format);
    uint64_t number = begin(m, format, ap);
    va_end(ap);
    return proc_reply(m, number, &value);
}

int proc_role(struct proc *m, uint64_t raft_id)
{
    uint64_t value = 0;
    int rc = proc_reply(m, proc_begin(m, "role-of %" PRIu64, raft_id), &value);
    return rc == 0 ? (int)value : -1;
}

bool proc_look(struct proc *m, struct proc_status *ret)
{
    char line[LINE_MAX_BYTES];
    int blank = 0;
    int leading = 0;
    int failed = 0;
    int refused = 0;
    int full = 0;
    *ret = (struct proc_status){0};
    if (m->pid == 0 || !wait_line(m, proc_begin(m, "status"), line, sizeof line)) {
        return false;
    }
    int n = sscanf(line,
                   "%*u %*d %*u %d %d %d %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                   " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                   " %" SCNu64 " %" SCNu64 " %d %d",
                   &blank, &leading, &failed, &ret->raft_id, &ret->leader, &ret->term, &ret->commit,
                   &ret->applied, &ret->last, &ret->first, &ret->snapshot, &ret->members,
                   &ret->incarnation, &ret->elections, &ret->count, &ret->hash, &refused, &full);
    ret->blank = blank != 0;
    ret->leading = leading != 0;
    ret->failed = failed != 0;
    ret->refused = refused != 0;
    ret->disk_full = full != 0;
    return n == 18;
}
