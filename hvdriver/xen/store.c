/* What is kept of a copy: its spec in a file of the run directory (for a reset, and to know of
 * copies that are gone); in xenstore, which lives as long as its domain, who it is. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/xen/worker.h"

#define PATH_SIZE (LIMIT_PATH + HV_STAMP_SIZE + 16)

static const char *path_of(const struct worker *w, const struct hv_key *key, char out[PATH_SIZE])
{
    char stamp[HV_STAMP_SIZE];
    (void)snprintf(out, PATH_SIZE, "%s/%s.xen", w->run_dir, hv_stamp(key, stamp));
    return out;
}

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, bytes, n);
        if (put < 0 && errno != EINTR) {
            return -1;
        }
        bytes += put > 0 ? put : 0;
        n -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

/* The run directory does not outlive the host, so nothing needs to reach a disk. */
int store_save(struct dom *d, struct err *e)
{
    char path[PATH_SIZE];
    char fresh[PATH_SIZE + 4];
    size_t len = 0;
    CLEANUP(cleanup_free) char *line = xen_line(xen_spec_pack(&d->spec), &len);
    (void)path_of(d->w, &d->info.key, path);
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool fine = fd >= 0 && write_all(fd, line, len) == 0;
    if (fd >= 0) {
        fine = close(fd) == 0 && fine;
    }
    fine = fine && rename(fresh, path) == 0;
    if (!fine) {
        (void)err_sys(e, ERR_IO, errno, "write %s", path);
        (void)unlink(fresh);
        return e->code;
    }
    return 0;
}

int store_load(struct worker *w, const struct hv_key *key, struct hv_spec *ret, struct err *e)
{
    char path[PATH_SIZE];
    json_error_t why;
    json_t *from = json_load_file(path_of(w, key, path), 0, &why);
    if (from == NULL) {
        return err_set(e, ERR_CORRUPT, "%s: %s", path, why.text);
    }
    int rc = xen_spec_unpack(from, ret, e);
    json_decref(from);
    return rc;
}

void store_remove(struct worker *w, const struct hv_key *key)
{
    char path[PATH_SIZE];
    (void)unlink(path_of(w, key, path));
}

static const char *entry(uint32_t domid, const char *key, char out[96])
{
    (void)snprintf(out, 96, "/local/domain/%u/quorate/%s", domid, key);
    return out;
}

int store_write(struct dom *d, const char *key, const char *value)
{
    char path[96];
    bool fine =
        xs_write(d->w->xs, XBT_NULL, entry(d->domid, key, path), value, (unsigned)strlen(value));
    return fine ? 0 : -1;
}

bool store_read(struct worker *w, uint32_t domid, const char *key, char *to, size_t size)
{
    char path[96];
    unsigned len = 0;
    CLEANUP(cleanup_free) char *value = xs_read(w->xs, XBT_NULL, entry(domid, key, path), &len);
    to[0] = '\0';
    return value != NULL && str_copy(to, size, value) < size;
}
