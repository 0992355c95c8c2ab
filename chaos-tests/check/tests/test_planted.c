/* Every handwritten history in this folder is judged as its second line says, by every checker: a
 * planted violation is found by those it names and by no other, and a good history by none. */

#include <dirent.h>

#include "chaos-tests/check/check.h"
#include "chaos-tests/tests/cm.h"

#define FILES 200

struct file {
    char name[64];
    char *text;
    size_t len;
};

static struct file files[FILES];
static size_t n_files;

static void load(const char *name)
{
    char path[512];
    struct file *f = &files[n_files++];
    FILE *in;

    assert_true(n_files < FILES);
    (void)snprintf(f->name, sizeof f->name, "%s", name);
    (void)snprintf(path, sizeof path, "%s/%s", CHECK_TESTS, name);
    in = fopen(path, "re");
    assert_non_null(in);
    f->text = calloc(1, 1 << 16);
    f->len = fread(f->text, 1, (1 << 16) - 1, in);
    (void)fclose(in);
}

static int load_all(void **state)
{
    DIR *dir = opendir(CHECK_TESTS);
    struct dirent *d;

    (void)state;
    assert_non_null(dir);
    while ((d = readdir(dir)) != NULL) { // NOLINT(concurrency-mt-unsafe): there is one thread.
        size_t len = strlen(d->d_name);
        if (len > 5 && strcmp(&d->d_name[len - 5], ".hist") == 0) {
            load(d->d_name);
        }
    }
    (void)closedir(dir);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_files; i++) {
        free(files[i].text);
    }
    return 0;
}

static void read_file(const struct file *f, struct hist *h)
{
    struct err e = {0};

    hist_init(h, 0);
    if (hist_read(h, f->text, f->len, &e) != 0) {
        fail_msg("%s: %s", f->name, e.msg);
    }
}

/* "broken a,b", "undecided a", "good": what the second line expects, and whether it names `name`.
 */
static bool expects(const struct file *f, const char *word, const char *name)
{
    const char *at = strstr(f->text, "# expect: ");
    char list[128];
    char *rest = list;
    char *one;

    assert_non_null(at);
    at += strlen("# expect: ");
    if (strncmp(at, word, strlen(word)) != 0) {
        return false;
    }
    at += strlen(word);
    (void)snprintf(list, sizeof list, "%.*s", (int)strcspn(at, "\n"), at);
    while ((one = strsep(&rest, " ,")) != NULL) {
        if (strcmp(one, name) == 0) {
            return true;
        }
    }
    return false;
}

static void is_judged(const struct file *f)
{
    static struct verdicts v;
    struct hist h;
    struct buf text = {0};

    read_file(f, &h);
    check_all(&h, &v);
    verdicts_text(&h, &v, &text);
    buf_put_u8(&text, 0);
    for (size_t i = 0; i < v.n; i++) {
        const char *name = v.checked[i].checker->name;
        bool broken = v.checked[i].verdict == VERDICT_BROKEN;
        bool undecided = v.checked[i].verdict == VERDICT_TOO_LARGE;
        if (broken != expects(f, "broken", name) || undecided != expects(f, "undecided", name)) {
            fail_msg("%s: %s is %s\n%s", f->name, name, verdict_name(v.checked[i].verdict),
                     (const char *)text.data);
        }
    }
    assert_int_equal(verdicts_good(&v), strstr(f->text, "# expect: good") != NULL);
    buf_done(&text);
    hist_done(&h);
}

static void every_history_is_judged_as_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_files; i++) {
        is_judged(&files[i]);
    }
}

/* A checker without a planted violation may never fire, and nobody would notice. */
static void every_checker_has_something_to_find_and_something_to_pass(void **state)
{
    (void)state;
    for (const struct checker *c = checkers; c->name != NULL; c++) {
        size_t bad = 0;
        size_t good = 0;
        for (size_t i = 0; i < n_files; i++) {
            struct hist h;
            struct checked one;
            read_file(&files[i], &h);
            check_one(c, &h, &one);
            bad += one.verdict == VERDICT_BROKEN;
            good += one.verdict == VERDICT_HOLDS && strstr(files[i].text, "# expect: good") != NULL;
            hist_done(&h);
        }
        if (bad == 0 || good == 0) {
            fail_msg("%s: %zu planted violations, %zu good histories", c->name, bad, good);
        }
    }
}

static void the_text_form_reads_back_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_files; i++) {
        struct hist a;
        struct hist b;
        struct buf once = {0};
        struct buf twice = {0};
        struct err e = {0};
        read_file(&files[i], &a);
        hist_write(&a, &once);
        hist_init(&b, 0);
        assert_int_equal(hist_read(&b, (const char *)once.data, once.len, &e), 0);
        hist_write(&b, &twice);
        assert_int_equal(once.len, twice.len);
        assert_memory_equal(once.data, twice.data, once.len);
        assert_int_equal(a.n_recs, b.n_recs);
        buf_done(&once);
        buf_done(&twice);
        hist_done(&a);
        hist_done(&b);
    }
}

static void a_history_that_lost_records_is_not_good(void **state)
{
    static struct verdicts v;
    struct hist h;

    (void)state;
    hist_init(&h, 1);
    (void)hist_host_add(&h, "h1");
    for (uint64_t i = 0; i < 2; i++) {
        hist_add(&h, &(struct rec){.at_us = i, .kind = REC_HOST, .host = {.host = 0}});
    }
    assert_int_equal(h.dropped, 1);
    check_all(&h, &v);
    assert_null(verdicts_first(&v));
    assert_false(verdicts_good(&v));
    hist_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_history_is_judged_as_it_says),
        cmocka_unit_test(every_checker_has_something_to_find_and_something_to_pass),
        cmocka_unit_test(the_text_form_reads_back_as_it_was),
        cmocka_unit_test(a_history_that_lost_records_is_not_good),
    };

    return cmocka_run_group_tests(tests, load_all, free_all);
}
