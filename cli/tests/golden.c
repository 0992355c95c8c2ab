#include "cli/tests/golden.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

/* Tests run in the build's directory. */
static void full_path(const char *path, struct buf *out)
{
    buf_printf(out, CLI_TESTS_DIR "/%s", path);
    buf_put_u8(out, 0);
}

static void give_up(const char *what, const char *path)
{
    (void)fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
    abort();
}

void golden_read(const char *path, struct buf *out)
{
    CLEANUP(buf_done) struct buf full = {0};
    full_path(path, &full);
    FILE *f = fopen((const char *)full.data, "re");
    if (f == NULL) {
        give_up("read", path);
    }
    size_t n;
    do {
        n = fread(buf_reserve(out, 65536), 1, 65536, f);
        out->len += n;
    } while (n > 0);
    (void)fclose(f);
    *buf_reserve(out, 1) = 0;
}

static void write_file(const char *path, const void *data, size_t len)
{
    CLEANUP(buf_done) struct buf full = {0};
    full_path(path, &full);
    FILE *f = fopen((const char *)full.data, "we");
    if (f == NULL || (len > 0 && fwrite(data, 1, len, f) != len) || fclose(f) != 0) {
        give_up("write", path);
    }
}

void golden_check(const char *path, const void *data, size_t len)
{
    if (getenv("QUORATE_UPDATE") != NULL) {
        write_file(path, data, len);
        return;
    }
    CLEANUP(buf_done) struct buf want = {0};
    golden_read(path, &want);
    if (want.len != len || (len > 0 && memcmp(want.data, data, len) != 0)) {
        (void)fprintf(stderr, "%s: expected\n%s---- but got\n%.*s----\n", path,
                      (const char *)want.data, (int)len, (const char *)data);
        abort();
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

size_t
golden_each(const char *dir, const char *ending, void (*fn)(void *ctx, const char *path), void *ctx)
{
    CLEANUP(buf_done) struct buf full = {0};
    full_path(dir, &full);
    DIR *d = opendir((const char *)full.data);
    if (d == NULL) {
        give_up("list", dir);
    }
    char *names[256];
    size_t n = 0;
    for (struct dirent *de = readdir(d); de != NULL && n < ARRAY_LEN(names); de = readdir(d)) {
        size_t len = strlen(de->d_name);
        if (len > strlen(ending) && strcmp(de->d_name + len - strlen(ending), ending) == 0) {
            names[n++] = mem_strdup(de->d_name);
        }
    }
    (void)closedir(d);
    qsort(names, n, sizeof names[0], by_name);
    for (size_t i = 0; i < n; i++) {
        CLEANUP(buf_done) struct buf path = {0};
        buf_printf(&path, "%s/%s", dir, names[i]);
        buf_put_u8(&path, 0);
        fn(ctx, (const char *)path.data);
        free(names[i]);
    }
    return n;
}
