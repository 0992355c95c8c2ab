#include "fsm/tests/story.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "fsm/tests/world.h"

#define MAX_WORDS 40
#define MAX_VARS  32

struct var {
    char name[24];
    char value[80];
};

struct story {
    struct fsm *f;
    struct story_log *log;
    struct err *e;
    uint64_t wall_ms;
    char via[LIMIT_NAME + 1];
    uint64_t requests;
    struct fsm_applied_entry last;
    struct var vars[MAX_VARS];
    size_t n_vars;
};

/* A line in words. What stands behind the first two words is kept whole as well. */
struct words {
    char *w[MAX_WORDS];
    size_t n;
    char rest[400]; /* Behind the second word. */
};

static int wrong(struct story *s, const char *fmt, const char *what)
{
    char text[200];
    (void)snprintf(text, sizeof text, "%.40s: %.140s", fmt, what);
    return err_set(s->e, ERR_INVALID, "%s", text);
}

static void set_var(struct story *s, const char *name, const char *value)
{
    struct var *v = s->vars;
    while (v < s->vars + s->n_vars && strcmp(v->name, name) != 0) {
        v++;
    }
    if (v == s->vars + s->n_vars) {
        s->n_vars++;
    }
    (void)str_copy(v->name, sizeof v->name, name);
    (void)str_copy(v->value, sizeof v->value, value);
}

/* The text with $name at its begin replaced. */
static const char *value_of(const struct story *s, const char *text)
{
    for (size_t i = 0; text[0] == '$' && i < s->n_vars; i++) {
        if (strcmp(s->vars[i].name, text + 1) == 0) {
            return s->vars[i].value;
        }
    }
    return text;
}

static void keep(struct story *s, struct buf entry)
{
    struct story_log *log = s->log;
    log->entries = mem_grow(log->entries, log->n + 1, sizeof *log->entries);
    log->entries[log->n++] = entry;
}

static void apply(struct story *s, struct buf entry)
{
    keep(s, entry);
    s->last = world_apply(s->f, &entry);
    if (s->last.outcome.op != 0) {
        char text[24];
        (void)snprintf(text, sizeof text, "%" PRIu64, s->last.outcome.op);
        set_var(s, "op", text);
    }
}

/* key=value into the record; "config.x" and "disk=path" reach into a guest's configuration. */
static int set_field(struct story *s, const struct schema *schema, char *word, void *record)
{
    char *eq = strchr(word, '=');
    if (eq == NULL) {
        return wrong(s, "no key=value", word);
    }
    *eq = '\0';
    const char *value = value_of(s, eq + 1);
    const struct field *f = schema_find(schema, strncmp(word, "config.", 7) == 0 ? "config" : word);
    if (strcmp(word, "disk") == 0) {
        struct cmd_guest_create *c = record;
        struct disk *d = &c->config.disks[c->config.disks_n++];
        schema_init(&schema_disk, d);
        (void)str_copy(d->path, sizeof d->path, value);
        return 0;
    }
    if (f != NULL && f->kind == FIELD_REC) {
        record = (uint8_t *)record + f->offset;
        f = schema_find(f->nested, word + 7);
    }
    if (f == NULL) {
        return wrong(s, "no such field", word);
    }
    return schema_set_text(f, value, record, s->e);
}

static int run_command(struct story *s, char **words, size_t n)
{
    const struct command *c = command_by_name(words[0]);
    if (c == NULL) {
        return wrong(s, "no such command", words[0]);
    }
    struct entry head = {.number = c->number, .wall_ms = s->wall_ms};
    head.request = world_id(++s->requests);
    (void)str_copy(head.user, sizeof head.user, "anna");
    (void)str_copy(head.host, sizeof head.host, s->via);
    CLEANUP(cleanup_free) void *record = mem_new(1, c->schema->size);
    schema_init(c->schema, record);
    const struct field *id = schema_find(c->schema, "id");
    const struct field *uuid = schema_find(c->schema, "uuid");
    id = id != NULL && id->kind == FIELD_ID ? id : uuid;
    if (id != NULL) { /* What the daemon fills in. */
        const struct id new_id = world_id(1000 + s->requests);
        memcpy((uint8_t *)record + id->offset, &new_id, sizeof new_id);
    }
    for (size_t i = 1; i < n; i++) {
        int rc = set_field(s, c->schema, words[i], record);
        if (rc != 0) {
            return rc;
        }
    }
    struct buf entry = {0};
    world_entry(&entry, &head, record);
    apply(s, entry);
    return 0;
}

/* Run a command given as one text. */
static int run_text(struct story *s, const char *text)
{
    char *words[MAX_WORDS];
    size_t n = 0;
    CLEANUP(cleanup_free) char *copy = mem_strdup(text);
    char *save = NULL;
    for (char *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        words[n++] = w;
    }
    return run_command(s, words, n);
}

static int must_run(struct story *s, const char *text)
{
    int rc = run_text(s, text);
    if (rc == 0 && s->last.outcome.code != 0) {
        CLEANUP(buf_done) struct buf b = {0};
        outcome_text(&s->last.outcome, &b);
        buf_put_u8(&b, 0);
        rc = wrong(s, "rejected", (const char *)b.data);
    }
    return rc;
}

static int given_pool(struct story *s, const struct words *w)
{
    char text[300];
    int rc = 0;
    for (size_t i = 2; i < w->n && rc == 0; i++) {
        const char *h = w->w[i];
        (void)snprintf(text, sizeof text,
                       i == 2 ? "pool_init name=p host=%s address=%s:1"
                              : "host_add name=%s address=%s:1",
                       h, h);
        rc = must_run(s, text);
    }
    for (size_t i = 2; i < w->n && rc == 0; i++) {
        (void)str_copy(s->via, sizeof s->via, w->w[i]);
        (void)snprintf(text, sizeof text,
                       "host_report name=%s raft_id=%zu incarnation=1 memory_mib=1024 cpus=4 "
                       "driver=sim migrate_address=%s",
                       w->w[i], i - 1, w->w[i]);
        rc = must_run(s, text);
    }
    return rc;
}

static int given_guest(struct story *s, const struct words *w)
{
    char text[300];
    struct guest g;
    if (w->n < 5) {
        return wrong(s, "given guest NAME on HOST [MIB]", "");
    }
    (void)snprintf(text, sizeof text, "guest_create name=%s host=%s config.memory_mib=%s", w->w[2],
                   w->w[4], w->n > 5 ? w->w[5] : "64");
    int rc = must_run(s, text);
    struct fsm_view *v = fsm_view_open(s->f);
    int found = fsm_get_guest(v, w->w[2], &g);
    (void)fsm_view_close(v);
    if (rc != 0 || found != 0) {
        return rc != 0 ? rc : found;
    }
    (void)snprintf(text, sizeof text, "guest_report name=%s host=%s epoch=%" PRIu64 " what=started",
                   g.name, g.host, g.run_epoch);
    return must_run(s, text);
}

/* --- then */

static int check_fields(struct story *s,
                        const struct schema *schema,
                        const void *record,
                        char *const *words,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char name[64];
        const char *eq = strchr(words[i], '=');
        if (eq == NULL || (size_t)(eq - words[i]) >= sizeof name) {
            return wrong(s, "no key=value", words[i]);
        }
        memset(name, 0, sizeof name);
        memcpy(name, words[i], (size_t)(eq - words[i]));
        const struct field *f = schema_find(schema, name);
        if (f == NULL) {
            return wrong(s, "no such field", name);
        }
        CLEANUP(buf_done) struct buf b = {0};
        schema_get_text(f, record, &b);
        buf_put_u8(&b, 0);
        const char *want = strcmp(eq + 1, "-") == 0 ? "" : value_of(s, eq + 1);
        if (strcmp((const char *)b.data, want) != 0) {
            char text[160];
            (void)snprintf(text, sizeof text, "%s is %.60s, not %.60s", name, (char *)b.data, want);
            return wrong(s, "field", text);
        }
    }
    return 0;
}

union row {
    struct pool pool;
    struct host host;
    struct guest guest;
    struct repo repo;
    struct op op;
};

/* Read the row that the words name: 0, ERR_NOT_FOUND, or ERR_UNKNOWN for no kind of row. */
static int get_row(struct story *s,
                   const char *kind,
                   const char *name,
                   const struct schema **ret,
                   union row *row)
{
    struct fsm_view *v = fsm_view_open(s->f);
    int rc = ERR_UNKNOWN;
    if (strcmp(kind, "guest") == 0) {
        *ret = &schema_guest;
        rc = fsm_get_guest(v, name, &row->guest);
    } else if (strcmp(kind, "host") == 0) {
        *ret = &schema_host;
        rc = fsm_get_host(v, name, &row->host);
    } else if (strcmp(kind, "repo") == 0) {
        *ret = &schema_repo;
        rc = fsm_get_repo(v, name, &row->repo);
    } else if (strcmp(kind, "op") == 0) {
        *ret = &schema_op;
        rc = fsm_get_op(v, strtoull(value_of(s, name), NULL, 10), &row->op);
    } else if (strcmp(kind, "pool") == 0) {
        *ret = &schema_pool;
        rc = fsm_get_pool(v, &row->pool);
    }
    (void)fsm_view_close(v);
    return rc;
}

static bool find_event(struct story *s, char *const *words, size_t n)
{
    size_t n_events;
    const struct event *events = fsm_new_events(s->f, &n_events);
    for (size_t i = 0; i < n_events; i++) {
        if (strcmp(events[i].kind, words[0]) == 0 &&
            (n < 2 || strcmp(events[i].subject, words[1]) == 0) &&
            (n < 3 || check_fields(s, &schema_event, &events[i], words + 2, n - 2) == 0)) {
            return true;
        }
    }
    return false;
}

static int then_count(struct story *s, char *const *words, size_t n)
{
    struct fsm_counts c;
    struct fsm_view *v = fsm_view_open(s->f);
    fsm_count(v, &c);
    (void)fsm_view_close(v);
    const struct {
        const char *name;
        uint64_t v;
    } counts[] = {{"hosts", c.hosts},      {"guests", c.guests}, {"running", c.running},
                  {"repos", c.repos},      {"events", c.events}, {"requests", c.requests},
                  {"ops_open", c.ops_open}};
    for (size_t i = 0; i < n; i++) {
        bool ok = false;
        for (size_t k = 0; k < ARRAY_LEN(counts); k++) {
            char want[64];
            (void)snprintf(want, sizeof want, "%s=%" PRIu64, counts[k].name, counts[k].v);
            ok = ok || strcmp(want, words[i]) == 0;
        }
        if (!ok) {
            return wrong(s, "count is not", words[i]);
        }
    }
    return 0;
}

static int then_rejected(struct story *s, const struct words *w)
{
    CLEANUP(buf_done) struct buf b = {0};
    const struct outcome *o = &s->last.outcome;
    outcome_text(o, &b);
    buf_put_u8(&b, 0);
    const char *code = err_name(-(int)o->code);
    if (strcmp(code, strcmp(w->w[1], "ok") == 0 ? "OK" : w->w[1]) != 0) {
        char text[160];
        (void)snprintf(text, sizeof text, "%s (%.120s)", code, (const char *)b.data);
        return wrong(s, "the outcome was", text);
    }
    if (o->code != 0 && strstr((const char *)b.data, w->rest) == NULL) {
        return wrong(s, "the sentence was", (const char *)b.data);
    }
    return 0;
}

static int then(struct story *s, struct words *w)
{
    const struct schema *schema = NULL;
    CLEANUP(cleanup_free) union row *row = mem_new(1, sizeof *row);
    bool no = strcmp(w->w[1], "no") == 0;
    char **words = w->w + (no ? 2 : 1);
    size_t n = w->n - (no ? 2 : 1);
    if (strcmp(words[0], "event") == 0 && n > 1) {
        return find_event(s, words + 1, n - 1) != no ? 0 : wrong(s, "event", words[1]);
    }
    if (strcmp(words[0], "count") == 0) {
        return then_count(s, words + 1, n - 1);
    }
    if (strcmp(words[0], "reserved") == 0 && n == 3) {
        struct fsm_view *v = fsm_view_open(s->f);
        char text[32];
        (void)snprintf(text, sizeof text, "%" PRIu64, fsm_reserved_mib(v, words[1]));
        (void)fsm_view_close(v);
        return strcmp(text, words[2]) == 0 ? 0 : wrong(s, "reserved are", text);
    }
    if (strcmp(words[0], "outcome") == 0) {
        return check_fields(s, &schema_outcome, &s->last.outcome, words + 1, n - 1);
    }
    int rc = get_row(s, words[0], n > 1 ? words[1] : "", &schema, row);
    if (rc == ERR_UNKNOWN) {
        return then_rejected(s, w);
    }
    if (no || rc != 0) {
        return no == (rc == ERR_NOT_FOUND) ? 0 : wrong(s, "is or is not there", words[1]);
    }
    return check_fields(s, schema, row, words + 2, n > 2 ? n - 2 : 0);
}

/* let NAME = KIND WHICH FIELD */
static int let(struct story *s, const struct words *w)
{
    const struct schema *schema = NULL;
    CLEANUP(cleanup_free) union row *row = mem_new(1, sizeof *row);
    if (w->n != 6 || get_row(s, w->w[3], w->w[4], &schema, row) != 0) {
        return wrong(s, "let NAME = KIND WHICH FIELD", w->rest);
    }
    const struct field *f = schema_find(schema, w->w[5]);
    if (f == NULL) {
        return wrong(s, "no such field", w->w[5]);
    }
    CLEANUP(buf_done) struct buf b = {0};
    schema_get_text(f, row, &b);
    buf_put_u8(&b, 0);
    set_var(s, w->w[1], (const char *)b.data);
    return 0;
}

static int again(struct story *s)
{
    struct buf copy = {0};
    const struct buf *last = &s->log->entries[s->log->n - 1];
    struct hash128 before = fsm_hash(s->f);
    struct outcome first = s->last.outcome;
    buf_put(&copy, last->data, last->len);
    apply(s, copy);
    if (s->last.first || !hash_equal(before, fsm_hash(s->f)) ||
        memcmp(&first, &s->last.outcome, sizeof first) != 0) {
        return wrong(s, "the retry was done again", "");
    }
    return 0;
}

static int run_line(struct story *s, struct words *w)
{
    const char *verb = w->w[0];
    if (strcmp(verb, "again") == 0) {
        return again(s);
    }
    if (w->n < 2) {
        return wrong(s, "a word alone", verb);
    }
    if (strcmp(verb, "at") == 0) {
        uint64_t ms = strtoull(w->w[1] + (w->w[1][0] == '+' ? 1 : 0), NULL, 10);
        s->wall_ms = w->w[1][0] == '+' ? s->wall_ms + ms : ms;
        return 0;
    }
    if (strcmp(verb, "via") == 0) {
        (void)str_copy(s->via, sizeof s->via, w->w[1]);
        return 0;
    }
    if (strcmp(verb, "given") == 0 && strcmp(w->w[1], "pool") == 0) {
        return given_pool(s, w);
    }
    if (strcmp(verb, "given") == 0 && strcmp(w->w[1], "guest") == 0) {
        return given_guest(s, w);
    }
    if (strcmp(verb, "when") == 0) {
        return run_command(s, w->w + 1, w->n - 1);
    }
    if (strcmp(verb, "let") == 0) {
        return let(s, w);
    }
    return strcmp(verb, "then") == 0 ? then(s, w) : wrong(s, "no such verb", verb);
}

static void split(char *line, struct words *w)
{
    char *save = NULL;
    *w = (struct words){0};
    line[strcspn(line, "#\n")] = '\0';
    char *copy = mem_strdup(line);
    for (char *p = strtok_r(line, " ", &save); p != NULL && w->n < MAX_WORDS;
         p = strtok_r(NULL, " ", &save)) {
        w->w[w->n++] = p;
    }
    if (w->n > 2) {
        (void)str_copy(w->rest, sizeof w->rest, copy + (w->w[2] - line));
    }
    free(copy);
}

int story_run(const char *path, struct fsm *f, struct story_log *log, struct err *e)
{
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        return err_set(e, ERR_NOT_FOUND, "%s", path);
    }
    struct story s = {.f = f, .log = log, .e = e, .wall_ms = 1000000};
    char *line = NULL;
    size_t size = 0;
    unsigned number = 0;
    int rc = 0;
    while (rc == 0 && getline(&line, &size, in) >= 0) {
        struct words w;
        number++;
        split(line, &w);
        if (w.n > 0) {
            rc = run_line(&s, &w);
        }
    }
    free(line);
    (void)fclose(in);
    return rc == 0 ? 0 : err_wrap(e, "%s:%u", path, number);
}

void story_log_done(struct story_log *log)
{
    for (size_t i = 0; i < log->n; i++) {
        buf_done(&log->entries[i]);
    }
    free(log->entries);
    *log = (struct story_log){0};
}
