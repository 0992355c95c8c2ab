/* Where to listen or to connect: "host:port", "[v6]:port" or "unix:/path". */

#ifndef CORE_ADDR_H
#define CORE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/err.h"
#include "core/limits.h"

/* Bytes of a unix socket's path, as struct sockaddr_un holds it, less the NUL. */
#define ADDR_PATH_MAX 107

enum addr_kind {
    ADDR_UNIX,
    ADDR_V4,  /* host is a dotted quad. */
    ADDR_V6,  /* host is an IPv6 address, without brackets. */
    ADDR_NAME /* host must be looked up. */
};

struct addr {
    enum addr_kind kind;
    char host[LIMIT_ADDRESS + 1]; /* Empty for ADDR_UNIX. */
    uint16_t port;                /* 0: any free one, for listening only. */
    char path[ADDR_PATH_MAX + 1]; /* ADDR_UNIX: absolute. */
};

/* ERR_INVALID, with a message that says what would be right; ERR_TOO_BIG for one over the limits.
 */
int addr_parse(const char *text, struct addr *ret, struct err *e);

/* The text that addr_parse() reads, into `out`; returns out. Fits an address that was parsed. */
#define ADDR_TEXT_SIZE (LIMIT_ADDRESS + 1)
const char *addr_text(const struct addr *a, char out[ADDR_TEXT_SIZE]);

/* Whether nothing outside this machine can reach it: a unix socket, 127.0.0.0/8, ::1, and the name
 * "localhost". */
bool addr_is_local(const struct addr *a);

/* The socket address; returns its length, 0 for ADDR_NAME. */
socklen_t addr_sockaddr(const struct addr *a, struct sockaddr_storage *ret);

/* The address in a socket address of AF_INET, AF_INET6 or AF_UNIX. false: another family. */
bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret);

#endif
