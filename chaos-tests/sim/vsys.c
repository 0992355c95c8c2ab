/* See vsys.h. */

#include "chaos-tests/sim/vsys.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/os_net.h"
#include "core/os_random.h"
#include "core/util.h"

#include "chaos-tests/sim/proc.h"
#include "chaos-tests/sim/vnet.h"

/* Far above every real one. */
#define FD_BASE (1 << 24)

struct vfd {
    struct sock *sock; /* NULL: free. */
    struct proc *owner;
};

static struct vfd *fds;
static int n_fds;
static uint64_t processes;

void vsys_begin(void)
{
    processes = 0;
}

void vsys_end(void)
{
    world_free(fds);
    fds = NULL;
    n_fds = 0;
}

uint64_t vsys_next_proc(void)
{
    return ++processes;
}

/* --- descriptors */

int vsys_fd(struct sock *s)
{
    int i = 0;
    while (i < n_fds && fds[i].sock != NULL) {
        i++;
    }
    if (i == n_fds) {
        n_fds = n_fds == 0 ? 64 : n_fds * 2;
        fds = world_grow(fds, (size_t)n_fds, sizeof *fds);
        memset(fds + i, 0, (size_t)(n_fds - i) * sizeof *fds);
    }
    fds[i] = (struct vfd){.sock = s, .owner = proc_now};
    return FD_BASE + i;
}

bool vsys_is_virtual(int fd)
{
    return fd >= FD_BASE;
}

struct sock *vsys_sock(int fd)
{
    assert(fd >= FD_BASE && fd < FD_BASE + n_fds);
    return fds[fd - FD_BASE].sock;
}

int vsys_dup(int fd)
{
    return vsys_fd(sock_ref(vsys_sock(fd)));
}

int vsys_close(int fd)
{
    struct sock *s = vsys_sock(fd);
    if (s == NULL) {
        errno = EBADF;
        return -1;
    }
    fds[fd - FD_BASE].sock = NULL;
    sock_unref(s);
    return 0;
}

void vsys_process_died(struct proc *p, bool silently)
{
    for (int i = 0; i < n_fds; i++) {
        if (fds[i].sock != NULL && fds[i].owner == p) {
            struct sock *s = fds[i].sock;
            fds[i].sock = NULL;
            if (!silently) {
                sock_unref(s);
            }
        }
    }
}

/* --- calls on descriptors */

int __real_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int __wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_poll(struct pollfd *p, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *p, nfds_t n, int timeout);
int __real_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);

int __wrap_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
    if (!vsys_is_virtual(fd)) {
        return __real_getsockname(fd, addr, len);
    }
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(sock_port(vsys_sock(fd))),
                             .sin_addr.s_addr = vnet_ip(proc_now->machine->index)};
    memcpy(addr, &in, min_u64(sizeof in, *len));
    *len = sizeof in;
    return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    if (!vsys_is_virtual(fd)) {
        return __real_getsockopt(fd, level, name, value, len);
    }
    if (level != IPPROTO_TCP || name != TCP_INFO) {
        errno = ENOPROTOOPT;
        return -1;
    }
    uint32_t ms = sock_unacked_ms(vsys_sock(fd));
    struct tcp_info info = {.tcpi_unacked = ms > 0, .tcpi_last_ack_recv = ms};
    memcpy(value, &info, min_u64(sizeof info, *len));
    return 0;
}

int __wrap_poll(struct pollfd *p, nfds_t n, int timeout)
{
    if (n != 1 || !vsys_is_virtual(p->fd)) {
        return __real_poll(p, n, timeout);
    }
    assert(timeout == 0);
    p->revents = sock_peer_ended(vsys_sock(p->fd)) ? (short)(p->events & POLLRDHUP) : (short)0;
    return p->revents != 0;
}

int __wrap_fcntl(int fd, int cmd, ...)
{
    va_list ap;
    va_start(ap, cmd);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (!vsys_is_virtual(fd)) {
        return __real_fcntl(fd, cmd, arg);
    }
    assert(cmd == F_DUPFD_CLOEXEC);
    return vsys_dup(fd);
}

/* The store's disk has room: what it reserves need not be there. */
int __wrap_fallocate(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t len)
{
    assert(fd >= 0 && mode == FALLOC_FL_KEEP_SIZE && offset >= 0 && len > 0);
    return 0;
}

/* Paths stay as they were given: relative, so that no run's texts differ by where it ran. */
char *__wrap_realpath(const char *path, char *resolved);
// NOLINTNEXTLINE(readability-non-const-parameter): the type is libc's
char *__wrap_realpath(const char *path, char *resolved)
{
    assert(resolved == NULL);
    return mem_strdup(path);
}

/* The boot id is the machine's. */
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (proc_now == NULL || strcmp(path, "/proc/sys/kernel/random/boot_id") != 0) {
        return __real_fopen(path, mode);
    }
    return fmemopen(proc_now->machine->boot_id, strlen(proc_now->machine->boot_id), "r");
}

/* --- core/os_clock.c */

static uint64_t sim_mono_ns(struct clock *clock)
{
    (void)clock;
    return proc_now == NULL ? world.now_ns : vclock_mono_ns(&proc_now->machine->clock);
}

static uint64_t sim_mono_ms(struct clock *clock)
{
    return sim_mono_ns(clock) / NS_PER_MS;
}

static uint64_t sim_wall_ms(struct clock *clock)
{
    (void)clock;
    return proc_now == NULL ? world.now_ns / NS_PER_MS : vclock_wall_ms(&proc_now->machine->clock);
}

struct clock *os_clock(void)
{
    static struct clock c = {
        .mono_ms = sim_mono_ms, .mono_ns = sim_mono_ns, .wall_ms = sim_wall_ms};
    return &c;
}

void os_random_bytes(void *to, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)to)[i] = (uint8_t)rng_below(&proc_now->random, 256);
    }
}

void rng_seed_os(struct rng *rng)
{
    uint64_t seed;
    os_random_bytes(&seed, sizeof seed);
    rng_seed(rng, seed);
}

/* --- core/os_net.c, as far as daemons call it */

int os_net_listen(const struct addr *at, int *ret_fd, struct err *e)
{
    char text[ADDR_TEXT_SIZE];
    struct sockaddr_storage sa = {0};
    uint32_t host;
    if (addr_sockaddr(at, &sa) == 0 || sa.ss_family != AF_INET ||
        !vnet_host_of(((struct sockaddr_in *)(void *)&sa)->sin_addr.s_addr, &host) ||
        host != proc_now->machine->index) {
        return err_sys(e, ERR_IO, EADDRNOTAVAIL, "listen on %s", addr_text(at, text));
    }
    struct sock *s = sock_new(host, proc_now);
    int r = sock_bind(s, at->port);
    if (r != 0) {
        sock_unref(s);
        return err_set(e, ERR_IN_USE, "another process listens on %s", addr_text(at, text));
    }
    *ret_fd = vsys_fd(s);
    return 0;
}

uint16_t os_net_port(int fd)
{
    return sock_port(vsys_sock(fd));
}

void os_net_file_note(const struct addr *at, struct os_net_file *ret)
{
    (void)at;
    memset(ret, 0, sizeof *ret);
}

void os_net_file_remove(const struct os_net_file *f)
{
    (void)f;
}
