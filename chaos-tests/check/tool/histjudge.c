/* histjudge FILE [REPORT.html]: judge a history in its text form, and write the report.
 * Exit status 0: every promise that could be judged was kept; 1: not; 2: the file cannot be read or
 * the report cannot be written. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos-tests/check/report.h"

static int read_file(const char *path, struct buf *ret)
{
    FILE *f = fopen(path, "re");
    size_t n;

    if (f == NULL) {
        return -1;
    }
    do {
        n = fread(buf_reserve(ret, 1 << 16), 1, 1 << 16, f);
        ret->len += n;
    } while (n > 0);
    n = (size_t)ferror(f);
    (void)fclose(f);
    return n == 0 ? 0 : -1;
}

static int write_file(const char *path, const struct buf *b)
{
    FILE *f = fopen(path, "we");
    bool ok = f != NULL && fwrite(b->data, 1, b->len, f) == b->len;

    if (f != NULL && fclose(f) != 0) {
        ok = false;
    }
    return ok ? 0 : -1;
}

/* What is printed goes to `out`, the page to `page`. */
static bool judge(const struct hist *h, const char *path, struct buf *out, struct buf *page)
{
    static struct verdicts v;

    check_all(h, &v);
    verdicts_text(h, &v, out);
    report_html(h, &v, &(struct report_options){.title = path}, page);
    return verdicts_good(&v);
}

int main(int argc, char **argv)
{
    struct buf text = {0};
    struct buf out = {0};
    struct buf page = {0};
    struct hist h;
    struct err e = {0};
    int status = 2;

    if (argc < 2 || argc > 3) {
        (void)fprintf(stderr, "usage: histjudge FILE [REPORT.html]\n");
        return 2;
    }
    hist_init(&h, 0);
    if (read_file(argv[1], &text) != 0) {
        (void)fprintf(stderr, "histjudge: %s: %s\n", argv[1], strerror(errno)); // NOLINT
    } else if (hist_read(&h, (const char *)text.data, text.len, &e) != 0) {
        (void)fprintf(stderr, "histjudge: %s: %s\n", argv[1], e.msg);
    } else {
        status = judge(&h, argv[1], &out, &page) ? 0 : 1;
        (void)fwrite(out.data, 1, out.len, stdout);
        if (argc == 3 && write_file(argv[2], &page) != 0) {
            (void)fprintf(stderr, "histjudge: %s: %s\n", argv[2], strerror(errno)); // NOLINT
            status = 2;
        }
    }
    buf_done(&text);
    buf_done(&out);
    buf_done(&page);
    hist_done(&h);
    return status;
}
