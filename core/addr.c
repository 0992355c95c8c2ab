#include "core/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "core/util.h"

#define WANTED "expected HOST:PORT, [IPV6]:PORT or unix:/PATH"

static int parse_unix(const char *path, struct addr *ret, struct err *e)
{
    if (path[0] != '/') {
        return err_set(e, ERR_INVALID, "\"unix:%s\": the path of a socket must be absolute", path);
    }
    if (strlen(path) > ADDR_PATH_MAX) {
        return err_set(e, ERR_TOO_BIG, "\"unix:%s\": a socket's path has at most %d bytes", path,
                       ADDR_PATH_MAX);
    }
    ret->kind = ADDR_UNIX;
    (void)str_copy(ret->path, sizeof ret->path, path);
    return 0;
}

static bool parse_port(const char *text, uint16_t *ret_port)
{
    uint32_t port = 0;
    size_t n = strlen(text);
    if (n == 0 || n > 5 || strspn(text, "0123456789") != n || (n > 1 && text[0] == '0')) {
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        port = port * 10 + (uint32_t)(*p - '0');
    }
    *ret_port = (uint16_t)port;
    return port <= UINT16_MAX;
}

/* Letters, digits, dots and dashes, no empty label: what can be a host name. */
static bool is_host_name(const char *host)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    size_t n = strlen(host);
    return n > 0 && strspn(host, good) == n && host[0] != '-' && host[0] != '.' &&
           strstr(host, "..") == NULL;
}

/* Digits and dots only: meant as an address, so it is a mistake if it is not one. */
static bool looks_numeric(const char *host)
{
    return strspn(host, "0123456789.") == strlen(host);
}

int addr_parse(const char *text, struct addr *ret, struct err *e)
{
    struct addr a;
    memset(&a, 0, sizeof a);
    if (strncmp(text, "unix:", 5) == 0) {
        if (parse_unix(text + 5, &a, e) != 0) {
            return e->code;
        }
        *ret = a;
        return 0;
    }
    if (strlen(text) > LIMIT_ADDRESS) {
        return err_set(e, ERR_TOO_BIG, "an address has at most %d bytes", LIMIT_ADDRESS);
    }
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !parse_port(colon + 1, &a.port)) {
        return err_set(e, ERR_INVALID, "\"%s\": " WANTED " with a port from 0 to 65535", text);
    }
    memcpy(a.host, text, (size_t)(colon - text));
    size_t n = strlen(a.host);
    struct in6_addr v6;
    struct in_addr v4;
    if (n > 2 && a.host[0] == '[' && a.host[n - 1] == ']') {
        memmove(a.host, a.host + 1, n - 2);
        memset(a.host + n - 2, 0, 2);
        if (inet_pton(AF_INET6, a.host, &v6) != 1) {
            return err_set(e, ERR_INVALID, "\"%s\": what is in brackets is no IPv6 address", text);
        }
        a.kind = ADDR_V6;
    } else if (inet_pton(AF_INET, a.host, &v4) == 1) {
        a.kind = ADDR_V4;
    } else if (is_host_name(a.host) && !looks_numeric(a.host)) {
        a.kind = ADDR_NAME;
    } else {
        return err_set(e, ERR_INVALID, "\"%s\": " WANTED, text);
    }
    *ret = a;
    return 0;
}

const char *addr_text(const struct addr *a, char out[ADDR_TEXT_SIZE])
{
    switch (a->kind) {
    case ADDR_UNIX: (void)snprintf(out, ADDR_TEXT_SIZE, "unix:%s", a->path); break;
    case ADDR_V6: (void)snprintf(out, ADDR_TEXT_SIZE, "[%.100s]:%u", a->host, a->port); break;
    case ADDR_V4:
    case ADDR_NAME: (void)snprintf(out, ADDR_TEXT_SIZE, "%.121s:%u", a->host, a->port); break;
    }
    return out;
}

bool addr_is_local(const struct addr *a)
{
    struct in_addr v4;
    struct in6_addr v6;
    switch (a->kind) {
    case ADDR_UNIX: return true;
    case ADDR_V4: return inet_pton(AF_INET, a->host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
    case ADDR_V6: return inet_pton(AF_INET6, a->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    case ADDR_NAME: return strcmp(a->host, "localhost") == 0;
    }
    return false;
}

socklen_t addr_sockaddr(const struct addr *a, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (a->kind == ADDR_UNIX) {
        struct sockaddr_un *un = (struct sockaddr_un *)ret;
        un->sun_family = AF_UNIX;
        (void)str_copy(un->sun_path, sizeof un->sun_path, a->path);
        return sizeof *un;
    }
    if (a->kind == ADDR_V4) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        return inet_pton(AF_INET, a->host, &in->sin_addr) == 1 ? sizeof *in : 0;
    }
    if (a->kind == ADDR_V6) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)ret;
        in->sin6_family = AF_INET6;
        in->sin6_port = htons(a->port);
        return inet_pton(AF_INET6, a->host, &in->sin6_addr) == 1 ? sizeof *in : 0;
    }
    return 0;
}

bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret)
{
    memset(ret, 0, sizeof *ret);
    if (sa->sa_family == AF_UNIX) {
        ret->kind = ADDR_UNIX;
        (void)str_copy(ret->path, sizeof ret->path,
                       ((const struct sockaddr_un *)(const void *)sa)->sun_path);
        return true;
    }
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
        ret->kind = ADDR_V4;
        ret->port = ntohs(in->sin_port);
        return inet_ntop(AF_INET, &in->sin_addr, ret->host, sizeof ret->host) != NULL;
    }
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)sa;
        ret->kind = ADDR_V6;
        ret->port = ntohs(in->sin6_port);
        return inet_ntop(AF_INET6, &in->sin6_addr, ret->host, sizeof ret->host) != NULL;
    }
    return false;
}
