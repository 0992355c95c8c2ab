/* The report: whole, closed tags, nothing from elsewhere; and the picture in docs/ is the one that
 * the story of tests/bad_story.hist gives (QUORATE_UPDATE=1 writes it anew). */

#include "chaos-tests/check/report.h"
#include "chaos-tests/check/tests/gen.h"
#include "chaos-tests/tests/cm.h"

static struct verdicts verdicts;

/* By hand: the sanitizer's strstr() measures all the rest of a long page at every hit. */
static size_t count(const char *text, const char *what)
{
    size_t len = strlen(what);
    size_t n = 0;

    for (const char *at = text; *at != '\0'; at++) {
        n += *at == *what && strncmp(at, what, len) == 0 ? 1 : 0;
    }
    return n;
}

static void load(const char *path, struct buf *b)
{
    FILE *f = fopen(path, "re");
    size_t n = 1;

    while (f != NULL && n > 0) {
        n = fread(buf_reserve(b, 4096), 1, 4096, f);
        b->len += n;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

static void read_story(struct hist *h)
{
    struct buf text = {0};
    struct err e = {0};

    load(CHECK_TESTS "/bad_story.hist", &text);
    hist_init(h, 0);
    assert_int_equal(hist_read(h, (const char *)text.data, text.len, &e), 0);
    check_all(h, &verdicts);
    buf_done(&text);
}

/* Every element is closed, what is text is escaped, and nothing is fetched. */
static void is_sound(struct buf *page)
{
    static const char *const tags[] = {"svg",   "g",      "rect",  "pre",
                                       "style", "script", "title", "mark"};
    const char *text;
    char open[16];
    char close[16];
    char bare[16];

    buf_put_u8(page, 0);
    text = (const char *)page->data;
    assert_int_equal(strlen(text) + 1, page->len);
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
        (void)snprintf(open, sizeof open, "<%s ", tags[i]);
        (void)snprintf(bare, sizeof bare, "<%s>", tags[i]);
        (void)snprintf(close, sizeof close, "</%s>", tags[i]);
        if (strcmp(tags[i], "rect") == 0) {
            continue; /* Some have a tooltip inside, some have not. */
        }
        assert_int_equal(count(text, open) + count(text, bare), count(text, close));
    }
    assert_int_equal(count(text, "http"), count(text, "http://www.w3.org/2000/svg"));
    assert_int_equal(count(text, " src="), 0);
    assert_int_equal(count(text, "@import"), 0);
    assert_int_equal(count(text, "\"nan"), 0);
}

static void a_failure_is_told_in_the_first_lines(void **state)
{
    struct hist h;
    struct buf page = {0};
    const char *text;

    (void)state;
    read_story(&h);
    report_html(&h, &verdicts,
                &(struct report_options){.title = "a <b> & \"c\"",
                                         .replay = "lab chaos --seed 7",
                                         .scenario = "at 1s cut h1 h2 # <fast>\n"},
                &page);
    is_sound(&page);
    text = (const char *)page.data;
    assert_non_null(strstr(text, "quorate chaos report: a &lt;b&gt; &amp; &quot;c&quot;</h1>"));
    assert_non_null(strstr(text, "Broken: <b>execution</b> at 5.000000 s. web1 executes twice for "
                                 "1000.000 ms: on h1 under epoch 1 and on h3 under epoch 4."));
    assert_non_null(strstr(text, "<code>lab chaos --seed 7</code>"));
    assert_non_null(strstr(text, "at 1s cut h1 h2 # &lt;fast&gt;"));
    assert_non_null(strstr(text, "data-a=\"5000000\" data-b=\"6000000\">5.000000 s</a>"));
    assert_int_equal(count(text, "class=\"t frame\""), 4); /* Two findings, two hosts each. */
    assert_non_null(strstr(text, "<mark>"));
    buf_done(&page);
    hist_done(&h);
}

static void the_picture_in_docs_is_what_the_story_gives(void **state)
{
    static const char path[] = CHECK_TESTS "/../../../docs/chaos-report.svg";
    struct hist h;
    struct buf picture = {0};
    struct buf kept = {0};

    (void)state;
    read_story(&h);
    report_svg(&h, &verdicts, &picture);
    if (getenv("QUORATE_UPDATE") != NULL) { // NOLINT(concurrency-mt-unsafe)
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_int_equal(fwrite(picture.data, 1, picture.len, f), picture.len);
        (void)fclose(f);
    }
    load(path, &kept);
    assert_int_equal(kept.len, picture.len);
    assert_memory_equal(kept.data, picture.data, kept.len);
    buf_done(&picture);
    buf_done(&kept);
    hist_done(&h);
}

static void any_run_has_a_report_of_bounded_size(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct hist h;
        struct rng rng;
        struct buf page = {0};
        hist_init(&h, 0);
        gen_history(&h, &(struct gen_options){.seed = seed,
                                              .hosts = 3,
                                              .clients = 8,
                                              .subjects = 12,
                                              .steps = seed == 6 ? 300000 : 2000});
        rng_seed(&rng, seed);
        (void)mutations[seed * 4].apply(&h, &rng);
        check_all(&h, &verdicts);
        report_html(&h, &verdicts, &(struct report_options){.title = NULL}, &page);
        is_sound(&page);
        assert_in_range(page.len, 10000, 16u << 20);
        buf_done(&page);
        hist_done(&h);
    }
}

static void an_empty_history_has_one_too(void **state)
{
    struct hist h;
    struct buf page = {0};

    (void)state;
    hist_init(&h, 0);
    check_all(&h, &verdicts);
    report_html(&h, &verdicts, &(struct report_options){.title = NULL}, &page);
    is_sound(&page);
    assert_non_null(
        strstr((const char *)page.data, "All promises that could be judged were kept."));
    buf_done(&page);
    hist_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_told_in_the_first_lines),
        cmocka_unit_test(the_picture_in_docs_is_what_the_story_gives),
        cmocka_unit_test(any_run_has_a_report_of_bounded_size),
        cmocka_unit_test(an_empty_history_has_one_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
