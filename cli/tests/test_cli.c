/* The command line against a fake daemon, as transcripts: golden/x.t holds command lines and what
 * they print and return.
 *
 *     # a comment
 *     @ fail NO_QUORUM 1            a line of the daemon's script (fake.h); "@ commands" prints how
 *                                   many commands it has carried out
 *     @ body                        prints what the last command set
 *     @ file x.cfg text\n           writes a file into $D; \n in it is a newline
 *     @ tty 120                     standard error and output are a terminal this wide; 0: none
 *     $ quorate guest list          $S in it is the daemon's socket, $D its directory
 *     NAME  STATE
 *     | # output that begins like a line of ours
 *     ! what is on standard error
 *     [0]
 */

#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/os_net.h"
#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/api.h"
#include "cli/quorate/cli.h"
#include "cli/tests/fake.h"
#include "cli/tests/golden.h"
#include "fsm/commands.h"

#define WORDS_MAX 48

static uint64_t real_mono_ms(struct clock *c)
{
    (void)c;
    return os_clock()->mono_ms(os_clock());
}

static uint64_t still_wall_ms(struct clock *c)
{
    (void)c;
    return 1000000000000u;
}

static struct clock still_clock = {.mono_ms = real_mono_ms, .wall_ms = still_wall_ms};

struct stage {
    struct fake *fake;
    char dir[64];
    char socket[96];
    unsigned width;
    const volatile sig_atomic_t *interrupted;
    const char *answers; /* What is typed when the client asks; NULL: nobody is there. */
};

static void set_up(struct stage *s)
{
    *s = (struct stage){.dir = "/tmp/quorate-cli-XXXXXX"};
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->socket, sizeof s->socket, "unix:%s/d.sock", s->dir);
    s->fake = fake_start(s->socket);
}

static void tear_down(struct stage *s)
{
    fake_stop(s->fake);
    DIR *d = opendir(s->dir);
    assert_non_null(d);
    for (struct dirent *de = readdir(d); de != NULL; de = readdir(d)) {
        (void)unlinkat(dirfd(d), de->d_name, 0);
    }
    (void)closedir(d);
    assert_int_equal(rmdir(s->dir), 0);
}

/* What one command line did. */
struct ran {
    char *out;
    char *err;
    int status;
};

static void ran_done(struct ran *r)
{
    free(r->out);
    free(r->err);
}

static struct ran run_words(const struct stage *s, int argc, char **argv)
{
    struct ran r = {0};
    size_t out_len = 0;
    size_t err_len = 0;
    struct cli cli = {.out = open_memstream(&r.out, &out_len),
                      .err = open_memstream(&r.err, &err_len),
                      .out_tty = s->width > 0,
                      .err_tty = s->width > 0,
                      .out_width = s->width,
                      .err_width = s->width,
                      .clock = &still_clock,
                      .connect = s->socket,
                      .interrupted = s->interrupted};
    if (s->answers != NULL) {
        cli.in = fmemopen((void *)(uintptr_t)s->answers, strlen(s->answers), "r");
    }
    r.status = quorate_main(&cli, argc, argv);
    (void)fclose(cli.out);
    (void)fclose(cli.err);
    if (cli.in != NULL) {
        (void)fclose(cli.in);
    }
    return r;
}

/* Every `from` becomes `to`. */
static void replace(struct buf *text, const char *from, const char *to)
{
    struct buf out = {0};
    size_t from_len = strlen(from);
    for (size_t i = 0; i < text->len;) {
        if (text->len - i >= from_len && memcmp(text->data + i, from, from_len) == 0) {
            buf_printf(&out, "%s", to);
            i += from_len;
        } else {
            buf_put_u8(&out, text->data[i++]);
        }
    }
    buf_done(text);
    *text = out;
}

/* Split at blanks; quotes keep a word together, and $S and $D stand for paths. */
static int split(const struct stage *s, const char *line, char *words[WORDS_MAX])
{
    int n = 0;
    while (*line != '\0') {
        line += strspn(line, " ");
        struct buf word = {0};
        bool any = *line != '\0';
        for (char quote = 0; *line != '\0' && (quote != 0 || *line != ' '); line++) {
            if (quote == 0 && (*line == '\'' || *line == '"')) {
                quote = *line;
            } else if (*line == quote) {
                quote = 0;
            } else {
                buf_put_u8(&word, (uint8_t)*line);
            }
        }
        replace(&word, "$S", s->socket);
        replace(&word, "$D", s->dir);
        buf_put_u8(&word, 0);
        if (any) {
            assert_true(n < WORDS_MAX);
            words[n++] = (char *)buf_take(&word);
        }
        buf_done(&word);
    }
    return n;
}

static void put_lines(struct buf *out, const char *prefix, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        bool like_ours = *prefix == '\0' && strchr("#$@!|", *text) != NULL;
        buf_printf(out, "%s%s%.*s%s\n", prefix, like_ours ? "| " : "", (int)len, text,
                   text[len] == '\n' ? "" : "\\");
        text += text[len] == '\n' ? len + 1 : len;
    }
}

static void run_line(const struct stage *s, const char *line, struct buf *out)
{
    char *words[WORDS_MAX];
    int n = split(s, line, words);
    struct ran r = run_words(s, n, words);
    struct buf got = {0};
    put_lines(&got, "", r.out);
    put_lines(&got, "! ", r.err);
    replace(&got, s->dir, "/D");
    replace(&got, "\r", "<CR>");
    replace(&got, "\033[K", "<EL>");
    replace(&got, "\033", "<ESC>");
    buf_put(out, got.data, got.len);
    buf_printf(out, "[%d]\n", r.status);
    buf_done(&got);
    for (int i = 0; i < n; i++) {
        free(words[i]);
    }
    ran_done(&r);
}

static void write_file(const struct stage *s, const char *spec)
{
    char path[160];
    size_t len = strcspn(spec, " ");
    (void)snprintf(path, sizeof path, "%s/%.*s", s->dir, (int)len, spec);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    for (const char *p = spec + len + 1; *p != '\0'; p++) {
        bool newline = p[0] == '\\' && p[1] == 'n';
        (void)fputc(newline ? '\n' : *p, f);
        p += newline ? 1 : 0;
    }
    assert_int_equal(fclose(f), 0);
}

static void run_directive(struct stage *s, const char *line, struct buf *out)
{
    if (strcmp(line, "commands") == 0) {
        buf_printf(out, "%zu\n", fake_commands(s->fake));
    } else if (strcmp(line, "body") == 0) {
        fake_last_body(s->fake, out);
    } else if (strncmp(line, "file ", 5) == 0) {
        write_file(s, line + 5);
    } else if (sscanf(line, "tty %u", &s->width) != 1 && !fake_script(s->fake, line)) {
        fail_msg("not a directive: %s", line);
    }
}

static void run_transcript(void *ctx, const char *path)
{
    (void)ctx;
    struct stage s;
    set_up(&s);
    CLEANUP(buf_done) struct buf text = {0};
    CLEANUP(buf_done) struct buf out = {0};
    golden_read(path, &text);
    char *save = NULL;
    for (char *line = strtok_r((char *)text.data, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        if (*line != '#' && *line != '$' && *line != '@') {
            continue; /* What is expected. */
        }
        buf_printf(&out, "%s\n", line);
        if (*line == '@') {
            run_directive(&s, line + 2, &out);
        } else if (*line == '$') {
            run_line(&s, line + 2, &out);
        }
    }
    golden_check(path, out.data, out.len);
    tear_down(&s);
}

static void every_transcript_runs_as_written(void **state)
{
    (void)state;
    assert_true(golden_each("golden", ".t", run_transcript, NULL) >= 10);
}

static struct ran run_text(const struct stage *s, const char *line)
{
    char *words[WORDS_MAX];
    int n = split(s, line, words);
    struct ran r = run_words(s, n, words);
    for (int i = 0; i < n; i++) {
        free(words[i]);
    }
    return r;
}

static void a_lost_answer_is_asked_for_again_and_nothing_is_done_twice(void **state)
{
    (void)state;
    struct stage s;
    set_up(&s);
    assert_true(fake_script(s.fake, "lose 3"));
    struct ran r = run_text(&s, "quorate guest start web1");
    assert_int_equal(r.status, 0);
    assert_int_equal(fake_commands(s.fake), 1);
    assert_int_equal(fake_calls(s.fake), 5); /* Four times the command, then wait. */
    ran_done(&r);
    tear_down(&s);
}

static void two_commands_have_two_request_ids(void **state)
{
    (void)state;
    struct stage s;
    set_up(&s);
    for (int i = 0; i < 2; i++) {
        struct ran r = run_text(&s, "quorate --no-wait guest start web1");
        assert_int_equal(r.status, 0);
        ran_done(&r);
    }
    assert_int_equal(fake_commands(s.fake), 2);
    tear_down(&s);
}

static void an_unknown_outcome_names_the_request_id(void **state)
{
    (void)state;
    struct stage s;
    set_up(&s);
    assert_true(fake_script(s.fake, "mute 1"));
    struct ran r = run_text(&s, "quorate --timeout 0.2 --no-wait guest start web1");
    assert_int_equal(r.status, 5);
    const char *id = strstr(r.err, "--request-id ");
    assert_non_null(id);
    char line[128];
    (void)snprintf(line, sizeof line, "quorate %.49s --no-wait guest start web1", id);
    struct ran again = run_text(&s, line);
    assert_int_equal(again.status, 0);
    ran_done(&r);
    ran_done(&again);
    tear_down(&s);
}

static void ctrl_c_while_waiting_detaches(void **state)
{
    (void)state;
    static const volatile sig_atomic_t pressed = 1;
    struct stage s;
    set_up(&s);
    s.interrupted = &pressed;
    struct ran r = run_text(&s, "quorate op wait 57");
    assert_int_equal(r.status, 130);
    assert_non_null(strstr(r.err, "operation 57 goes on: quorate op show 57"));
    ran_done(&r);
    r = run_text(&s, "quorate guest start web1");
    assert_int_equal(r.status, 130);
    assert_non_null(strstr(r.err, "--request-id "));
    ran_done(&r);
    tear_down(&s);
}

/* Pages must neither lose nor repeat a row. */
static void a_list_of_many_pages_has_every_guest_once(void **state)
{
    (void)state;
    struct stage s;
    set_up(&s);
    assert_true(fake_script(s.fake, "guests 1000") && fake_script(s.fake, "page 77"));
    struct ran r = run_text(&s, "quorate list --json");
    assert_int_equal(r.status, 0);
    json_error_t je;
    json_t *rows = json_loads(r.out, 0, &je);
    assert_int_equal(json_array_size(rows), 1000);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "name")),
                        "web1");
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 999), "name")),
                        "guest0999");
    json_decref(rows);
    ran_done(&r);
    tear_down(&s);
}

/* The names that scripts rely on. */
static void check_keys(const struct stage *s, const char *line, const char *const *keys)
{
    struct ran r = run_text(s, line);
    json_error_t je;
    json_t *json = json_loads(r.out, 0, &je);
    json_t *row = json_is_array(json) ? json_array_get(json, 0) : json;
    for (; *keys != NULL; keys++) {
        if (json_object_get(row, *keys) == NULL) {
            fail_msg("%s has no %s", line, *keys);
        }
    }
    json_decref(json);
    ran_done(&r);
}

static void json_has_the_names_that_scripts_rely_on(void **state)
{
    (void)state;
    struct stage s;
    set_up(&s);
    check_keys(&s, "quorate pool status --json",
               (const char *const[]){"name", "master", "index", "hosts", NULL});
    check_keys(&s, "quorate host list --json",
               (const char *const[]){"name", "state", "master", "role", "applied_index",
                                     "state_hash", NULL});
    check_keys(&s, "quorate guest list --json",
               (const char *const[]){"name", "uuid", "state", "host", "vcpus", "memory_mib", "ha",
                                     "run_epoch", NULL});
    check_keys(&s, "quorate op list --json",
               (const char *const[]){"id", "kind", "subject", "phase", "progress", "state", NULL});
    tear_down(&s);
}

static void unit_is_in_the_name(const struct schema *s)
{
    static const char *const units[][2] = {
        {"ms", "_ms"}, {"us", "_us"}, {"MiB", "_mib"}, {"bytes", "_bytes"}};
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (f->kind == FIELD_REC || f->kind == FIELD_LIST) {
            unit_is_in_the_name(f->nested);
        }
        for (size_t k = 0; k < ARRAY_LEN(units); k++) {
            size_t len = strlen(f->name);
            size_t tail = strlen(units[k][1]);
            bool named = len > tail && strcmp(f->name + len - tail, units[k][1]) == 0;
            bool has = strcmp(f->unit, units[k][0]) == 0;
            if (has != named && !(f->unit[0] == '\0' && strcmp(units[k][1], "_bytes") == 0)) {
                fail_msg("%s.%s has the unit '%s'", s->name, f->name, f->unit);
            }
        }
    }
}

/* Durations are _ms, sizes _mib or _bytes: of what is shown and of what can be given. */
static void a_unit_is_told_by_the_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_api_queries; i++) {
        unit_is_in_the_name(api_queries[i].row);
    }
    for (size_t i = 0; i < n_commands; i++) {
        unit_is_in_the_name(commands[i].schema);
    }
}

/* docs/quorate.1 is what the program prints. */
static void the_manual_page_is_of_this_program(void **state)
{
    (void)state;
    struct stage s = {.width = 0};
    struct ran r = run_text(&s, "quorate help --man");
    golden_check("../../docs/quorate.1", r.out, strlen(r.out));
    ran_done(&r);
}

/* --- hosts that say nothing */

/* As a stopped process looks from outside: the system accepts for it, and nothing comes. */
static int stand_still(const struct stage *s, const char *name)
{
    char where[120];
    struct addr a;
    struct err e;
    int fd = -1;
    (void)snprintf(where, sizeof where, "unix:%s/%s", s->dir, name);
    assert_int_equal(addr_parse(where, &a, &e), 0);
    assert_int_equal(os_net_listen(&a, &fd, &e), 0);
    return fd;
}

/* The command line, and how long it took. */
static uint64_t timed(struct stage *s, const char *line, int status, const char *says)
{
    uint64_t from = real_mono_ms(NULL);
    struct ran r = run_text(s, line);
    uint64_t took = real_mono_ms(NULL) - from;
    if (r.status != status || (strstr(r.out, says) == NULL && strstr(r.err, says) == NULL)) {
        fail_msg("%s: status %d, says %s%s", line, r.status, r.out, r.err);
    }
    ran_done(&r);
    return took;
}

static void a_first_host_that_stands_still_costs_a_moment(void **state)
{
    (void)state;
    struct stage s;
    set_up(&s);
    int one = stand_still(&s, "one");
    int two = stand_still(&s, "two");
    assert_in_range(timed(&s, "quorate --connect unix:$D/one,$S guest list", 0, "web1"), 200, 1000);
    assert_in_range(timed(&s, "quorate --connect unix:$D/one,$S guest start web1", 0, "is running"),
                    200, 1000);
    assert_int_equal(fake_commands(s.fake), 1);
    assert_in_range(
        timed(&s, "quorate --connect unix:$D/one,unix:$D/two,$S guest start web1", 0, "is running"),
        400, 1500);
    assert_in_range(timed(&s, "quorate --connect $S,unix:$D/one guest list", 0, "web1"), 0, 200);
    assert_in_range(
        timed(&s, "quorate --connect unix:$D/one --timeout 0.3 guest list", 5, "answer"), 300,
        1000);
    (void)close(one);
    (void)close(two);
    tear_down(&s);
}

/* It is slow, not dead: it is given more time, then asked elsewhere too, and does it once. */
static void a_host_that_lives_and_does_not_answer_is_asked_a_second_time_later(void **state)
{
    (void)state;
    struct stage s;
    set_up(&s);
    assert_true(fake_script(s.fake, "mute 1"));
    assert_in_range(timed(&s, "quorate --connect $S,$S guest start web1", 0, "is running"), 1400,
                    2800);
    assert_int_equal(fake_commands(s.fake), 1);
    tear_down(&s);
}

/* A host that is up is declared off only by who types its name. */
static void who_declares_a_living_host_off_types_its_name(void **state)
{
    (void)state;
    struct stage s;
    set_up(&s);
    s.answers = "h1\n";
    struct ran r = run_text(&s, "quorate host fence h2 smoke");
    assert_int_equal(r.status, EXIT_STATUS_USAGE);
    assert_non_null(strstr(r.err, "Type its name"));
    assert_string_equal(r.out, "");
    ran_done(&r);
    s.answers = "h2\n";
    r = run_text(&s, "quorate host fence h2 smoke");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "host fence h2: done\n");
    ran_done(&r);
    tear_down(&s);
}

/* Somebody is there: the question is asked until it is answered, and an end of input is no answer.
 */
static void who_stops_a_host_is_asked_about_its_guests(void **state)
{
    (void)state;
    struct stage s;
    set_up(&s);
    s.answers = "perhaps\n";
    struct ran r = run_text(&s, "quorate host stop h1");
    assert_int_equal(r.status, EXIT_STATUS_USAGE);
    const char *first = strstr(r.err, "leave them?");
    assert_non_null(first);
    const char *second = strstr(first + 1, "leave them?");
    assert_non_null(second);
    assert_null(strstr(second + 1, "leave them?"));
    assert_non_null(strstr(second, "--guests=migrate"));
    assert_string_equal(r.out, "");
    ran_done(&r);
    tear_down(&s);
}

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* As the daemon does. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_transcript_runs_as_written),
        cmocka_unit_test(a_lost_answer_is_asked_for_again_and_nothing_is_done_twice),
        cmocka_unit_test(two_commands_have_two_request_ids),
        cmocka_unit_test(an_unknown_outcome_names_the_request_id),
        cmocka_unit_test(ctrl_c_while_waiting_detaches),
        cmocka_unit_test(a_list_of_many_pages_has_every_guest_once),
        cmocka_unit_test(json_has_the_names_that_scripts_rely_on),
        cmocka_unit_test(a_unit_is_told_by_the_name),
        cmocka_unit_test(the_manual_page_is_of_this_program),
        cmocka_unit_test(a_first_host_that_stands_still_costs_a_moment),
        cmocka_unit_test(a_host_that_lives_and_does_not_answer_is_asked_a_second_time_later),
        cmocka_unit_test(who_stops_a_host_is_asked_about_its_guests),
        cmocka_unit_test(who_declares_a_living_host_off_types_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
