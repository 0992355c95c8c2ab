/* Streams of the virtual loop: addresses, listening, connecting. */

#include <arpa/inet.h>
#include <string.h>

#include "chaos-tests/sim/vsys.h"
#include "chaos-tests/sim/vuv_stream.h"

static int need_sock(struct vstream *s)
{
    if (s->sock == NULL) {
        struct proc *p = s->loop->proc;
        vstream_attach(s, vsys_fd(sock_new(p->machine->index, p)));
    }
    return 0;
}

/* --- listening */

int uv_tcp_bind(uv_tcp_t *h, const struct sockaddr *addr, unsigned flags)
{
    struct vstream *s = vstream_of((uv_stream_t *)h);
    uint32_t host;
    (void)flags;
    if (addr->sa_family != AF_INET ||
        !vnet_host_of(((const struct sockaddr_in *)addr)->sin_addr.s_addr, &host) ||
        host != s->loop->proc->machine->index) {
        return UV_EADDRNOTAVAIL;
    }
    (void)need_sock(s);
    return sock_bind(s->sock, ntohs(((const struct sockaddr_in *)addr)->sin_port));
}

int uv_tcp_getsockname(const uv_tcp_t *h, struct sockaddr *addr, int *len)
{
    const struct vstream *s = vstream_of((const uv_stream_t *)h);
    if (s->sock == NULL || (size_t)*len < sizeof(struct sockaddr_in)) {
        return UV_EBADF;
    }
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(sock_port(s->sock)),
                             .sin_addr.s_addr = vnet_ip(s->loop->proc->machine->index)};
    memcpy(addr, &in, sizeof in);
    *len = sizeof in;
    return 0;
}

int uv_listen(uv_stream_t *h, int backlog, uv_connection_cb cb)
{
    struct vstream *s = vstream_of(h);
    (void)backlog;
    if (s->sock == NULL) {
        return UV_EINVAL;
    }
    s->listening = true;
    h->connection_cb = cb;
    vhandle_start((uv_handle_t *)h);
    int r = sock_listen(s->sock);
    vstream_look(s);
    return r;
}

int uv_accept(uv_stream_t *server, uv_stream_t *client)
{
    struct vstream *s = vstream_of(server);
    if (s->accepted == NULL) {
        return UV_EAGAIN;
    }
    vstream_attach(vstream_of(client), vsys_fd(s->accepted));
    s->accepted = NULL;
    vstream_look(s);
    return 0;
}

/* --- connecting */

static void connect_fails(struct vstream *s, int error)
{
    s->connect_done = true;
    s->connect_status = error;
    vstream_done_later(s);
}

static void connect_begin(uv_connect_t *req, uv_stream_t *h, uv_connect_cb cb)
{
    req->type = UV_CONNECT;
    req->handle = h;
    req->cb = cb;
    h->connect_req = req;
    vstream_of(h)->loop->requests++;
}

int uv_tcp_connect(uv_connect_t *req, uv_tcp_t *h, const struct sockaddr *addr, uv_connect_cb cb)
{
    struct vstream *s = vstream_of((uv_stream_t *)h);
    uint32_t host;
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)addr;
    if (h->connect_req != NULL) {
        return UV_EALREADY;
    }
    (void)need_sock(s);
    connect_begin(req, (uv_stream_t *)h, cb);
    if (addr->sa_family != AF_INET || !vnet_host_of(in->sin_addr.s_addr, &host)) {
        connect_fails(s, UV_ENETUNREACH);
    } else {
        sock_connect(s->sock, host, ntohs(in->sin_port));
    }
    return 0;
}

void uv_pipe_connect(uv_connect_t *req, uv_pipe_t *h, const char *name, uv_connect_cb cb)
{
    (void)name;
    connect_begin(req, (uv_stream_t *)h, cb);
    connect_fails(vstream_of((uv_stream_t *)h), UV_ENOENT);
}
