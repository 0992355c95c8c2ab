/* Sockets that are made before the loop has them, and what this process can be reached from. */

#ifndef CORE_OS_NET_H
#define CORE_OS_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/addr.h"
#include "core/err.h"

/* A bound and listening socket. A unix socket gets mode 0660; one left over by a dead process is
 * replaced, a live one is ERR_IN_USE, as is a port that is taken. */
int os_net_listen(const struct addr *at, int *ret_fd, struct err *e);

/* The port that a listening TCP socket really has; 0 for others. */
uint16_t os_net_port(int fd);

/* The file of a unix socket, to remove it at the end only if it is still the one we made. */
struct os_net_file {
    char path[ADDR_PATH_MAX + 1];
    dev_t dev;
    ino_t ino;
};
void os_net_file_note(const struct addr *at, struct os_net_file *ret);
void os_net_file_remove(const struct os_net_file *f);

/* A connected, non-blocking socket, within the time. ERR_CLOSED, ERR_TIMEOUT, ERR_NOT_FOUND. */
int os_net_connect(const struct addr *to, uint32_t timeout_ms, int *ret_fd, struct err *e);

/* A non-blocking socket on its way to the nth address that `to` has (a name may have several), from
 * 0; beyond the last it is ERR_CLOSED. It becomes writable when os_net_dialled() has something to
 * say: 0, or why there is no connection; ERR_TIMEOUT before. Also ERR_NOT_FOUND, ERR_DENIED. */
int os_net_dial(const struct addr *to, uint32_t nth, int *ret_fd, struct err *e);
int os_net_dialled(const struct addr *to, int fd, struct err *e);

/* Whether the daemon may listen here while there is no TLS: on what addr_is_local() says, and with
 * lab_network (the option of config.h) where os_net_is_lab() agrees. ERR_DENIED says why not. */
int os_net_may_listen(const struct addr *at, bool lab_network, struct err *e);

/* Whether this process is in a network namespace of its own, so that an address that is not local
 * is still one of a lab: the namespace is not that of process 1 (or process 1's cannot be read, as
 * for an unprivileged user, or it is not the machine's, as in a PID namespace), and it has no
 * default route, IPv4 or IPv6, so that nothing beyond the networks wired into it can be reached or
 * answered. A namespace made by `lab` has only its bridge. Process 1 of a container shares the
 * container's namespace, so a daemon in a container on a routed network is told no by the route.
 * ERR_DENIED says which half failed.
 *
 * What it does not see: a router that somebody wires into the namespace's own network. */
int os_net_is_lab(struct err *e);

#endif
