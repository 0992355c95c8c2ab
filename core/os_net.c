#include "core/os_net.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"

#define BACKLOG 256
/* How long to wait for another daemon that is replacing a stale socket in the same folder. */
#define FOLDER_LOCK_MS 2000

static void cleanup_fd(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

static int take_fd(int *fd)
{
    int v = *fd;
    *fd = -1;
    return v;
}

/* --- unix sockets */

/* One daemon at a time looks at a folder's sockets: else two that start together could both find
 * the same stale one, and the second remove what the first has just made. */
static int lock_folder(const char *path, int *ret_fd, struct err *e)
{
    char folder[ADDR_PATH_MAX + 1];
    (void)str_copy(folder, sizeof folder, path);
    char *slash = strrchr(folder, '/'); /* The path is absolute. */
    slash[slash == folder ? 1 : 0] = '\0';
    int fd CLEANUP(cleanup_fd) = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_sys(e, ERR_IO, errno, "open %s, the folder of the socket", folder);
    }
    for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms += 10) {
        if (waited_ms >= FOLDER_LOCK_MS) {
            return err_set(e, ERR_LOCKED, "another process holds a lock on %s", folder);
        }
        (void)poll(NULL, 0, 10);
    }
    *ret_fd = take_fd(&fd);
    return 0;
}

/* Remove what a dead process left at this path; ERR_IN_USE if it is in use or no socket. */
static int remove_stale(const struct addr *at, struct err *e)
{
    struct stat st;
    if (lstat(at->path, &st) != 0) {
        return errno == ENOENT ? 0 : err_sys(e, ERR_IO, errno, "look at %s", at->path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return err_set(e, ERR_IN_USE, "%s exists and is no socket; it is left alone", at->path);
    }
    int fd CLEANUP(cleanup_fd) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_storage sa;
    socklen_t len = addr_sockaddr(at, &sa);
    /* EAGAIN: somebody listens and has too much to accept. */
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, len) == 0 || errno != ECONNREFUSED) {
        return err_set(e, ERR_IN_USE, "another process listens on %s", at->path);
    }
    if (unlink(at->path) != 0 && errno != ENOENT) {
        return err_sys(e, ERR_IO, errno, "remove the stale socket %s", at->path);
    }
    return 0;
}

static int listen_unix(const struct addr *at, int *ret_fd, struct err *e)
{
    int lock CLEANUP(cleanup_fd) = -1;
    if (lock_folder(at->path, &lock, e) != 0 || remove_stale(at, e) != 0) {
        return e->code;
    }
    int fd CLEANUP(cleanup_fd) = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_storage sa;
    socklen_t len = addr_sockaddr(at, &sa);
    /* Nobody can connect before listen(), so the mode is right from the beginning. */
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) != 0 || chmod(at->path, 0660) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int code = errno == EADDRINUSE ? ERR_IN_USE : ERR_IO;
        return err_sys(e, code, errno, "listen on %s", at->path);
    }
    *ret_fd = take_fd(&fd);
    return 0;
}

void os_net_file_note(const struct addr *at, struct os_net_file *ret)
{
    struct stat st;
    memset(ret, 0, sizeof *ret);
    if (at->kind == ADDR_UNIX && lstat(at->path, &st) == 0) {
        (void)str_copy(ret->path, sizeof ret->path, at->path);
        ret->dev = st.st_dev;
        ret->ino = st.st_ino;
    }
}

void os_net_file_remove(const struct os_net_file *f)
{
    struct stat st;
    if (f->path[0] != '\0' && lstat(f->path, &st) == 0 && st.st_dev == f->dev &&
        st.st_ino == f->ino) {
        (void)unlink(f->path); /* Left over, it is replaced by the next start. */
    }
}

/* --- TCP */

static int look_up(const struct addr *a, bool passive, struct addrinfo **ret, struct err *e)
{
    char port[8];
    (void)snprintf(port, sizeof port, "%u", a->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0)};
    int r = getaddrinfo(a->host, port, &hints, ret);
    if (r == 0) {
        return 0;
    }
    return err_set(e, ERR_NOT_FOUND, "look up %s: %s", a->host, gai_strerror(r));
}

static int listen_tcp(const struct addr *at, int *ret_fd, struct err *e)
{
    char text[ADDR_TEXT_SIZE];
    struct addrinfo *found;
    if (look_up(at, /*passive=*/true, &found, e) != 0) {
        return e->code;
    }
    int on = 1;
    int fd CLEANUP(cleanup_fd) =
        socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* SO_REUSEADDR: the daemon may be restarted while old connections die in TIME_WAIT. */
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    int errnum = errno;
    freeaddrinfo(found);
    if (!ok && errnum == EADDRINUSE) {
        return err_set(e, ERR_IN_USE, "another process listens on %s", addr_text(at, text));
    }
    if (!ok) {
        return err_sys(e, ERR_IO, errnum, "listen on %s", addr_text(at, text));
    }
    *ret_fd = take_fd(&fd);
    return 0;
}

int os_net_listen(const struct addr *at, int *ret_fd, struct err *e)
{
    return at->kind == ADDR_UNIX ? listen_unix(at, ret_fd, e) : listen_tcp(at, ret_fd, e);
}

uint16_t os_net_port(int fd)
{
    struct sockaddr_storage sa;
    struct addr a;
    socklen_t len = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0 ||
        !addr_from_sockaddr((struct sockaddr *)&sa, &a)) {
        return 0;
    }
    return a.port;
}

/* --- connecting */

/* 0, or the errno of the attempt; ETIMEDOUT when the time is over. */
static int wait_connected(int fd, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now = os_clock()->mono_ms(os_clock());
        int left = now < deadline_ms ? (int)min_u64(deadline_ms - now, INT32_MAX) : 0;
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int r = poll(&p, 1, left);
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r <= 0) {
            return r == 0 ? ETIMEDOUT : errno;
        }
        int errnum = 0;
        socklen_t len = sizeof errnum;
        (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len); /* Its own fd: cannot fail. */
        return errnum;
    }
}

/* A new socket on its way to this address. 0; EINPROGRESS; or what is wrong, without a socket. */
static int dial_one(const struct sockaddr *sa, socklen_t len, int *ret_fd)
{
    int fd CLEANUP(cleanup_fd) =
        socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = fd >= 0 && connect(fd, sa, len) == 0 ? 0 : errno;
    r = r == EINTR ? EINPROGRESS : r; /* It goes on by itself. */
    if (r == 0 || r == EINPROGRESS) {
        *ret_fd = take_fd(&fd);
    }
    return r;
}

static int connect_one(const struct sockaddr *sa, socklen_t len, uint64_t deadline_ms, int *ret_fd)
{
    int fd CLEANUP(cleanup_fd) = -1;
    int r;
    while ((r = dial_one(sa, len, &fd)) == EAGAIN &&
           os_clock()->mono_ms(os_clock()) < deadline_ms) {
        (void)poll(NULL, 0, 5); /* A unix socket whose queue is full: there is no event for it. */
    }
    r = r == EINPROGRESS ? wait_connected(fd, deadline_ms) : r;
    if (r != 0) {
        return r == EAGAIN ? ETIMEDOUT : r;
    }
    *ret_fd = take_fd(&fd);
    return 0;
}

static int not_connected(const struct addr *to, int errnum, struct err *e)
{
    char text[ADDR_TEXT_SIZE];
    int code = errnum == ETIMEDOUT || errnum == EAGAIN ? ERR_TIMEOUT : ERR_CLOSED;
    code = errnum == EACCES || errnum == EPERM ? ERR_DENIED : code;
    return err_sys(e, code, errnum, "connect to %s", addr_text(to, text));
}

int os_net_connect(const struct addr *to, uint32_t timeout_ms, int *ret_fd, struct err *e)
{
    uint64_t deadline_ms = os_clock()->mono_ms(os_clock()) + timeout_ms;
    int r = EADDRNOTAVAIL;
    if (to->kind == ADDR_UNIX) {
        struct sockaddr_storage sa;
        socklen_t len = addr_sockaddr(to, &sa);
        r = connect_one((struct sockaddr *)&sa, len, deadline_ms, ret_fd);
    } else {
        struct addrinfo *found;
        if (look_up(to, /*passive=*/false, &found, e) != 0) {
            return e->code;
        }
        for (const struct addrinfo *a = found; a != NULL && r != 0; a = a->ai_next) {
            r = connect_one(a->ai_addr, a->ai_addrlen, deadline_ms, ret_fd);
        }
        freeaddrinfo(found);
    }
    return r == 0 ? 0 : not_connected(to, r, e);
}

int os_net_dial(const struct addr *to, uint32_t nth, int *ret_fd, struct err *e)
{
    int r = EADDRNOTAVAIL;
    if (to->kind == ADDR_UNIX) {
        struct sockaddr_storage sa;
        socklen_t len = addr_sockaddr(to, &sa);
        r = nth == 0 ? dial_one((struct sockaddr *)&sa, len, ret_fd) : r;
    } else {
        struct addrinfo *found;
        if (look_up(to, /*passive=*/false, &found, e) != 0) {
            return e->code;
        }
        const struct addrinfo *a = found;
        for (; a != NULL && nth > 0; nth--) {
            a = a->ai_next;
        }
        r = a != NULL ? dial_one(a->ai_addr, a->ai_addrlen, ret_fd) : r;
        freeaddrinfo(found);
    }
    return r == 0 || r == EINPROGRESS ? 0 : not_connected(to, r, e);
}

int os_net_dialled(const struct addr *to, int fd, struct err *e)
{
    int errnum = wait_connected(fd, 0);
    return errnum == 0 ? 0 : not_connected(to, errnum, e);
}

/* --- where we are */

/* IPv4: a line whose destination and mask are 0 (columns 2 and 8 of /proc/net/route). */
static bool default_route_v4(void)
{
    char line[256];
    char dst[16];
    char mask[16];
    bool found = false;
    FILE *f = fopen("/proc/self/net/route", "re");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        found = sscanf(line, "%*s %15s %*s %*s %*s %*s %*s %15s", dst, mask) == 2 &&
                strcmp(dst, "00000000") == 0 && strcmp(mask, "00000000") == 0;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

/* IPv6: "::/0" through a real device (the kernel keeps an unreachable one on lo). */
static bool default_route_v6(void)
{
    char line[256];
    char dst[40];
    char len[8];
    char dev[32];
    bool found = false;
    FILE *f = fopen("/proc/self/net/ipv6_route", "re");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        found = sscanf(line, "%39s %7s %*s %*s %*s %*s %*s %*s %*s %31s", dst, len, dev) == 3 &&
                strcmp(len, "00") == 0 && strspn(dst, "0") == strlen(dst) && strcmp(dev, "lo") != 0;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    return found;
}

/* The inode of the machine's own PID namespace: a constant of Linux (PROC_PID_INIT_INO). */
#define FIRST_PID_NAMESPACE 0xeffffffcu

/* Whether process 1, as seen from here, is the machine's. In a PID namespace it is one of our own
 * kind and no witness. */
static bool process_1_is_the_machines(void)
{
    struct stat s;
    return stat("/proc/self/ns/pid", &s) == 0 && s.st_ino == FIRST_PID_NAMESPACE;
}

int os_net_is_lab(struct err *e)
{
    struct stat own;
    struct stat init;
    if (stat("/proc/self/ns/net", &own) != 0) {
        return err_sys(e, ERR_DENIED, errno, "find out this process's network namespace");
    }
    if (process_1_is_the_machines() && stat("/proc/1/ns/net", &init) == 0 &&
        own.st_dev == init.st_dev && own.st_ino == init.st_ino) {
        return err_set(
            e, ERR_DENIED,
            "this process is in the network namespace of process 1, not in one of a lab");
    }
    if (default_route_v4() || default_route_v6()) {
        return err_set(e, ERR_DENIED,
                       "this network namespace has a default route, so it is not one of a lab");
    }
    return 0;
}

int os_net_may_listen(const struct addr *at, bool lab_network, struct err *e)
{
    char text[ADDR_TEXT_SIZE];
    if (addr_is_local(at)) {
        return 0;
    }
    if (!lab_network) {
        return err_set(e, ERR_DENIED,
                       "listen on %s: connections are not encrypted yet, so only a unix socket or "
                       "an address like 127.0.0.1:PORT is allowed (lab_network = on for a lab)",
                       addr_text(at, text));
    }
    int rc = os_net_is_lab(e);
    return rc == 0 ? 0 : err_wrap(e, "listen on %s with lab_network = on", addr_text(at, text));
}
