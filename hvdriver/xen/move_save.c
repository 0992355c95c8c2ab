/* A domain into a file and out of it: libxl's stream as a migration has it, with a file in the
 * place of the other end. The file appears whole and synced under its name, or not at all
 * (save_file.h).
 *
 * libxl gets a socket: it watches what it is given, which cannot be done with a file, and its
 * helper writes the pages of another domain, which not every file system takes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/xen/copier.h"
#include "hvdriver/xen/move.h"

struct commit {
    uv_work_t work;
    struct move *m;
    struct err e;
};

/* One of the things that keep m alive has ended. */
static void let_go(struct move *m)
{
    m->handles--;
    if (m->over) {
        move_may_end(m);
    }
}

static void commit(uv_work_t *work)
{
    struct commit *c = CONTAINER_OF(work, struct commit, work);
    (void)save_file_commit(&c->m->file, &c->e);
}

static void committed(uv_work_t *work, int status)
{
    struct commit *c = CONTAINER_OF(work, struct commit, work);
    struct move *m = c->m;
    (void)status;
    if (m->over) {
        save_file_discard(&m->file, c->e.code == 0);
    } else if (c->e.code != 0) {
        move_fail(m, c->e.code, c->e.msg);
    } else {
        move_complete(m);
    }
    let_go(m);
    free(c);
}

static void written(void *ctx, const struct err *e)
{
    struct move *m = ctx;
    if (m->over || e->code != 0) {
        save_file_discard(&m->file, /*named=*/false);
        if (!m->over) {
            move_fail(m, e->code, e->msg);
        }
    } else {
        struct commit *c = mem_new(1, sizeof *c);
        c->m = m;
        m->handles++;
        (void)uv_queue_work(&m->d->w->loop, &c->work, commit, committed);
    }
    let_go(m);
}

static int open_socket(int fds[2], struct err *e)
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0
               ? 0
               : err_sys(e, ERR_IO, errno, "socket for libxl");
}

int move_save(struct dom *d, const json_t *msg, uint64_t id, struct err *e)
{
    struct save_file file;
    struct call *c = NULL;
    int fds[2];
    if (d->move != NULL) {
        return err_set(e, ERR_BUSY, "guest %s is being moved", d->spec.name);
    }
    if (d->info.state != HV_RUNNING) {
        return err_set(e, ERR_UNSUPPORTED,
                       "guest %s is %s: on Xen a guest takes part in its save, so it must run",
                       d->spec.name, hv_state_name(d->info.state));
    }
    save_file_name(&file, xen_text(msg, "path"), &d->info.key);
    if (save_file_begin(&file, e) != 0 || open_socket(fds, e) != 0) {
        return e->code;
    }
    int fd = open(file.temp, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        (void)err_sys(e, ERR_IO, errno, "saved memory %s", file.path);
        (void)close(fds[0]);
        (void)close(fds[1]);
        save_file_discard(&file, /*named=*/false);
        return e->code;
    }
    struct move *m = move_new(d, /*sending=*/true);
    m->id = id;
    m->saving = true;
    m->connected = true;
    m->file = file;
    m->libxl_fd = fds[0];
    m->handles++;
    m->in_libxl = true;
    copier_start(&d->w->loop, fds[1], fd, written, m, &m->copied);
    dom_set(d, HV_OUTGOING, NULL);
    libxl_asyncop_how how = call_begin(d, 0, move_suspended, &c);
    call_begun(c, libxl_domain_suspend(d->w->ctx, d->domid, m->libxl_fd, 0, &how));
    return 0;
}

/* libxl says what it makes of a stream that ends too early. */
static void fed(void *ctx, const struct err *e)
{
    (void)ctx;
    (void)e;
}

int move_feed(struct dom *d, int *ret_fd, struct err *e)
{
    int fds[2];
    int fd = open(d->spec.restore, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno, "saved memory %s",
                       d->spec.restore);
    }
    char head[MOVE_HEAD];
    if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head || !move_is_stream(head)) {
        (void)close(fd);
        return err_set(e, ERR_CORRUPT, "%s is no memory of a guest of Xen", d->spec.restore);
    }
    if (open_socket(fds, e) != 0) {
        (void)close(fd);
        return e->code;
    }
    copier_start(&d->w->loop, fd, fds[1], fed, NULL, NULL);
    *ret_fd = fds[0];
    return 0;
}
