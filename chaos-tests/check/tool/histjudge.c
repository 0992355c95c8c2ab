/* histjudge [--text] FILE [REPORT.html]: judge a history in its text form, and write the report.
 * With
 * --text the history is written out as well, with its picture of the hosts.
 * Exit status 0: every promise that could be judged was kept; 1: not; 2: the file cannot be read or
 * the report cannot be written. */

#include <stdio.h>
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

struct job {
    const char *path, *report; /* report: NULL for none. */
    bool text;
};

/* 0, 1, or 2 when the report cannot be written. */
static int judge(const struct job *job, const struct hist *h)
{
    static struct verdicts v;
    struct buf out = {0};
    struct buf page = {0};
    int status;

    check_all(h, &v);
    if (job->text) {
        hist_write(h, &out);
    }
    verdicts_text(h, &v, &out);
    (void)fwrite(out.data, 1, out.len, stdout);
    status = verdicts_good(&v) ? 0 : 1;
    if (job->report != NULL) {
        report_html(h, &v, &(struct report_options){.title = job->path}, &page);
        if (write_file(job->report, &page) != 0) {
            (void)fprintf(stderr, "histjudge: cannot write %s\n", job->report);
            status = 2;
        }
    }
    buf_done(&out);
    buf_done(&page);
    return status;
}

static int run(const struct job *job)
{
    struct buf text = {0};
    struct hist h;
    struct err e = {0};
    int status = 2;

    hist_init(&h, 0);
    if (read_file(job->path, &text) != 0) {
        (void)fprintf(stderr, "histjudge: cannot read %s\n", job->path);
    } else if (hist_read(&h, (const char *)text.data, text.len, &e) != 0) {
        (void)fprintf(stderr, "histjudge: %s: %s\n", job->path, e.msg);
    } else {
        status = judge(job, &h);
    }
    buf_done(&text);
    hist_done(&h);
    return status;
}

int main(int argc, char **argv)
{
    bool text = argc > 1 && strcmp(argv[1], "--text") == 0;
    int first = text ? 2 : 1;

    if (argc <= first || argc > first + 2) {
        (void)fprintf(stderr, "usage: histjudge [--text] FILE [REPORT.html]\n");
        return 2;
    }
    return run(&(struct job){
        .path = argv[first], .report = argc > first + 1 ? argv[first + 1] : NULL, .text = text});
}
