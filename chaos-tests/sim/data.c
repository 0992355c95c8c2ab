#include "chaos-tests/sim/data.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/members.h"
#include "chaos-tests/sim/observe.h"
#include "raftlog/tests/simdisk.h"

#define FILES_MAX 16

/* The store is a few real files in one folder, the log's disk an image and an empty folder. */
struct data_file {
    char name[64];
    uint8_t *bytes;
    size_t len;
};

struct data_copy {
    struct data_file files[FILES_MAX];
    uint32_t n;
    struct simdisk_image *log;
};

static void path_in(char *to, size_t size, const struct vhost *h, const char *name)
{
    (void)snprintf(to, size, "%s/%s", h->data_dir, name);
}

static void read_file(struct data_file *f, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert(fd >= 0 && fstat(fd, &st) == 0);
    f->len = (size_t)st.st_size;
    f->bytes = world_new(f->len + 1, 1);
    ssize_t n = read(fd, f->bytes, f->len);
    assert(n == (ssize_t)f->len);
    (void)n;
    (void)close(fd);
}

struct data_copy *data_save(const struct vhost *h)
{
    char dir[128];
    path_in(dir, sizeof dir, h, "state");
    DIR *d = opendir(dir);
    struct dirent *entry;
    if (d == NULL || h->m.disk == NULL) {
        if (d != NULL) {
            (void)closedir(d);
        }
        return NULL;
    }
    struct data_copy *c = world_new(1, sizeof *c);
    while ((entry = readdir(d)) != NULL) {
        char path[128 + 256 + 2];
        if (entry->d_name[0] != '.' && c->n < FILES_MAX) {
            struct data_file *f = &c->files[c->n++];
            (void)snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
            (void)str_copy(f->name, sizeof f->name, entry->d_name);
            read_file(f, path);
        }
    }
    (void)closedir(d);
    c->log = simdisk_save(h->m.disk);
    return c;
}

struct data_copy *data_free(struct data_copy *copy)
{
    for (uint32_t i = 0; copy != NULL && i < copy->n; i++) {
        world_free(copy->files[i].bytes);
    }
    if (copy != NULL) {
        simdisk_image_free(copy->log);
        world_free(copy);
    }
    return NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void data_wipe(struct vhost *h)
{
    assert(h->proc == NULL);
    (void)nftw(h->data_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    h->m.store_synced = true;
    h->m.store_lost = false;
}

void data_put(struct vhost *h, const struct data_copy *copy)
{
    char path[192];
    data_wipe(h);
    static const char *const dirs[] = {"", "state", "log"};
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        path_in(path, sizeof path, h, dirs[i]);
        (void)mkdir(path, 0755);
    }
    for (uint32_t i = 0; i < copy->n; i++) {
        const struct data_file *f = &copy->files[i];
        (void)snprintf(path, sizeof path, "%s/state/%s", h->data_dir, f->name);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert(fd >= 0);
        ssize_t n = write(fd, f->bytes, f->len);
        assert(n == (ssize_t)f->len);
        (void)n;
        (void)close(fd);
    }
    simdisk_restore(h->m.disk, copy->log);
}

/* --- rot */

struct pick {
    char name[128];
    uint64_t seen;
    struct rng *rng;
};

static void pick_file(void *ctx, const char *name)
{
    struct pick *p = ctx;
    if (rng_below(p->rng, ++p->seen) == 0) {
        (void)str_copy(p->name, sizeof p->name, name);
    }
}

static void rot_log(struct vhost *h, struct rng *rng)
{
    struct pick p = {.rng = rng};
    uint64_t size = 0;
    simdisk_each(h->m.disk, pick_file, &p);
    if (p.seen == 0) {
        return;
    }
    (void)simdisk_peek(h->m.disk, p.name, &size);
    /* Most files are zeros to their end. */
    uint64_t end = rng_below(rng, 4) == 0 ? size : min_u64(size, 16384);
    for (uint64_t n = rng_between(rng, 1, 3); n > 0 && size > 0; n--) {
        uint64_t at = rng_below(rng, end); /* In this order, whatever the compiler. */
        simdisk_flip(h->m.disk, p.name, at, (unsigned)rng_below(rng, 8));
    }
}

static void rot_store(const struct vhost *h, struct rng *rng)
{
    char path[128];
    struct stat st;
    path_in(path, sizeof path, h, "state/state.mdb");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        return;
    }
    for (uint64_t n = rng_between(rng, 1, 3); n > 0 && st.st_size > 0; n--) {
        uint8_t byte;
        off_t at = (off_t)rng_below(rng, (uint64_t)st.st_size);
        if (pread(fd, &byte, 1, at) == 1) {
            byte ^= (uint8_t)(1u << rng_below(rng, 8));
            (void)!pwrite(fd, &byte, 1, at);
        }
    }
    (void)close(fd);
}

void data_rot(struct vhost *h, bool store, struct rng *rng)
{
    if (store) {
        assert(h->proc == NULL);
        rot_store(h, rng);
    } else if (h->m.disk != NULL) {
        rot_log(h, rng);
    }
}

/* --- who has forgotten */

static struct {
    const struct vhost *host; /* NULL: nobody. */
    uint64_t index;           /* It shall have this again, */
    uint64_t starts;          /* and it has started since: until then nothing is noticed. */
} forgot;

void data_begin(void)
{
    forgot.host = NULL;
}

bool data_start_is_known(const struct vhost *h)
{
    for (uint32_t i = 0; i < lab.o.hosts; i++) {
        if (&lab.hosts[i] != h && !vhost_has_heard(&lab.hosts[i], h)) {
            return false;
        }
    }
    return true;
}

static bool has_it_again(const struct vhost *h)
{
    struct vhost_state s;
    return h->starts > forgot.starts && vhost_look((struct vhost *)h, &s) && !s.blank &&
           s.current && s.voter && s.applied >= forgot.index;
}

bool data_in_doubt(void)
{
    return forgot.host != NULL && !has_it_again(forgot.host);
}

bool data_may_forget(const struct vhost *h)
{
    bool over = forgot.host == NULL || has_it_again(forgot.host);
    return lab.o.hosts > 2 && (over || forgot.host == h) && members_settled();
}

void data_forgets(const struct vhost *h)
{
    lab.forgetting = true;
    forgot.host = h;
    forgot.index = observe_last();
    forgot.starts = h->starts;
}
