#include "fsm/tests/world.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"

static char root[64];
static unsigned stores;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_root(void)
{
    (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static _Noreturn void die(const char *what, const struct err *e)
{
    (void)fprintf(stderr, "%s: %s\n", what, e->msg);
    abort();
}

const char *world_dir(void)
{
    static char dir[128];
    if (root[0] == '\0') {
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        (void)snprintf(root, sizeof root, "%s/quorate-fsm-XXXXXX", base);
        if (mkdtemp(root) == NULL) {
            die("mkdtemp", &(struct err){0});
        }
        (void)atexit(remove_root);
    }
    (void)snprintf(dir, sizeof dir, "%s/s%u", root, stores++);
    return dir;
}

struct fsm *world_open(const char *dir)
{
    const struct fsm_options o = {.dir = dir, .boot_id = "boot-1", .map_bytes = (size_t)1 << 30};
    struct fsm *f = NULL;
    struct err e = {0};
    bool rebuilt;
    if (fsm_open(&f, &o, &rebuilt, &e) != 0) {
        die("fsm_open", &e);
    }
    return f;
}

struct fsm *world_open_new(void)
{
    return world_open(world_dir());
}

static int to_buf(void *ctx, const void *data, size_t len, struct err *e)
{
    (void)e;
    if (len > 1024u * 1024u) {
        abort();
    }
    buf_put(ctx, data, len);
    return 0;
}

struct buf world_snapshot(struct fsm *f)
{
    struct buf b = {0};
    struct err e = {0};
    struct fsm_view *v = fsm_view_open(f);
    if (fsm_snapshot_write(v, to_buf, &b, &e) != 0) {
        die("fsm_snapshot_write", &e);
    }
    (void)fsm_view_close(v);
    return b;
}

struct source {
    const uint8_t *p;
    size_t left;
};

/* In odd pieces, as a file or a stream might give them. */
static int64_t from_source(void *ctx, void *data, size_t len, struct err *e)
{
    struct source *s = ctx;
    size_t n = len < s->left ? len : s->left;
    (void)e;
    n = n > 4093 ? 4093 : n;
    if (n > 0) {
        memcpy(data, s->p, n);
        s->p += n;
    }
    s->left -= n;
    return (int64_t)n;
}

int world_load(struct fsm *f, const void *data, size_t len, struct err *e)
{
    struct source s = {.p = data, .left = len};
    return fsm_snapshot_load(f, from_source, &s, e);
}

void world_copy(struct fsm *from, struct fsm *to)
{
    struct err e = {0};
    CLEANUP(buf_done) struct buf b = world_snapshot(from);
    if (world_load(to, b.data, b.len, &e) != 0) {
        die("fsm_snapshot_load", &e);
    }
}

void world_entry(struct buf *out, const struct entry *head, const void *record)
{
    CLEANUP(buf_done) struct buf body = {0};
    struct entry en = *head;
    schema_encode(command_by_number(en.number)->schema, record, &body);
    en.body = body.data;
    en.body_len = body.len;
    entry_encode(&en, out);
}

struct fsm_applied_entry world_apply(struct fsm *f, const struct buf *entry)
{
    struct fsm_applied_entry done;
    struct err e = {0};
    if (fsm_begin(f, &e) != 0 ||
        fsm_apply(f, &(struct fsm_input){fsm_applied(f) + 1, /*term=*/1, entry->data, entry->len},
                  &done, &e) != 0 ||
        fsm_commit(f, &e) != 0) {
        die("apply", &e);
    }
    return done;
}

struct id world_id(uint64_t n)
{
    struct id id = {{0}};
    memcpy(id.b, &n, sizeof n);
    id.b[15] = 1;
    return id;
}

bool world_same(struct fsm *a, struct fsm *b)
{
    return fsm_applied(a) == fsm_applied(b) && hash_equal(fsm_hash(a), fsm_hash(b));
}
