#include "cli/quorate/table.h"

#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorate/args.h"
#include "cli/quorate/human.h"
#include "cli/quorate/record.h"

/* How a column shows its field, where that is not simply its text. */
enum show {
    SHOW_TEXT,
    SHOW_SINCE, /* A moment, as the time that has passed. */
    SHOW_MARK,  /* A bool: "yes" or nothing. */
    SHOW_SHORT, /* A hash: its first digits. */
    SHOW_COUNT, /* How many elements. */
    SHOW_PERCENT
};

struct column {
    const char *head;
    const char *field;
    enum show show;
    bool right;
};

struct layout {
    const char *query;
    const struct column *columns;
    size_t n;
};

static const struct column guest_columns[] = {
    {"NAME", "name", SHOW_TEXT, false},        {"STATE", "state", SHOW_TEXT, false},
    {"HOST", "host", SHOW_TEXT, false},        {"VCPUS", "vcpus", SHOW_TEXT, true},
    {"MEMORY", "memory_mib", SHOW_TEXT, true}, {"HA", "ha", SHOW_TEXT, false},
    {"EPOCH", "run_epoch", SHOW_TEXT, true},   {"SINCE", "since_ms", SHOW_SINCE, true},
    {"REASON", "reason", SHOW_TEXT, false},
};
static const struct column host_columns[] = {
    {"NAME", "name", SHOW_TEXT, false},
    {"STATE", "state", SHOW_TEXT, false},
    {"MASTER", "master", SHOW_MARK, false},
    {"ROLE", "role", SHOW_TEXT, false},
    {"APPLIED", "applied_index", SHOW_TEXT, true},
    {"HASH", "state_hash", SHOW_SHORT, false},
    {"GUESTS", "guests", SHOW_TEXT, true},
    {"RESERVED", "reserved_mib", SHOW_TEXT, true},
    {"MEMORY", "memory_mib", SHOW_TEXT, true},
    {"DRIVER", "driver", SHOW_TEXT, false},
    {"ADDRESS", "address", SHOW_TEXT, false},
};
static const struct column repo_columns[] = {
    {"NAME", "name", SHOW_TEXT, false},      {"STATE", "state", SHOW_TEXT, false},
    {"ROOT", "root", SHOW_MARK, false},      {"KIND", "kind", SHOW_TEXT, false},
    {"HOSTS", "ready_on", SHOW_COUNT, true}, {"SOURCE", "source", SHOW_TEXT, false},
    {"TROUBLE", "detail", SHOW_TEXT, false},
};
static const struct column op_columns[] = {
    {"ID", "id", SHOW_TEXT, true},
    {"KIND", "kind", SHOW_TEXT, false},
    {"GUEST", "subject", SHOW_TEXT, false},
    {"PHASE", "phase", SHOW_TEXT, false},
    {"DONE", "progress", SHOW_PERCENT, true},
    {"STATE", "state", SHOW_TEXT, false},
    {"FROM", "src", SHOW_TEXT, false},
    {"TO", "dst", SHOW_TEXT, false},
    {"BEGUN", "created_ms", SHOW_SINCE, true},
    {"REASON", "reason", SHOW_TEXT, false},
};
static const struct column place_columns[] = {
    {"HOST", "host", SHOW_TEXT, false},  {"VERDICT", "verdict", SHOW_TEXT, false},
    {"BEST", "best", SHOW_MARK, false},  {"HERE", "here", SHOW_MARK, false},
    {"SCORE", "score", SHOW_TEXT, true}, {"FREE", "free_mib", SHOW_TEXT, true},
    {"ENTRY", "entry", SHOW_TEXT, true}, {"REASON", "reason", SHOW_TEXT, false},
};
static const struct column balance_columns[] = {
    {"GUEST", "guest", SHOW_TEXT, false},
    {"FROM", "from", SHOW_TEXT, false},
    {"TO", "host", SHOW_TEXT, false},
    {"MEMORY", "memory_mib", SHOW_TEXT, true},
};
static const struct column move_columns[] = {
    {"GUEST", "guest", SHOW_TEXT, false},
    {"MEMORY", "memory_mib", SHOW_TEXT, true},
    {"TO", "host", SHOW_TEXT, false},
    {"REASON", "reason", SHOW_TEXT, false},
};

static const struct column disk_columns[] = {
    {"DEVICE", "device", SHOW_TEXT, false}, {"PATH", "path", SHOW_TEXT, false},
    {"FORMAT", "format", SHOW_TEXT, false}, {"READ-ONLY", "readonly", SHOW_MARK, false},
    {"CD", "cdrom", SHOW_MARK, false},
};
static const struct column vif_columns[] = {
    {"MAC", "mac", SHOW_TEXT, false},
    {"BRIDGE", "bridge", SHOW_TEXT, false},
    {"MODEL", "model", SHOW_TEXT, false},
};

static const struct layout layouts[] = {
    {"guest.list", guest_columns, ARRAY_LEN(guest_columns)},
    {"host.list", host_columns, ARRAY_LEN(host_columns)},
    {"repo.list", repo_columns, ARRAY_LEN(repo_columns)},
    {"op.list", op_columns, ARRAY_LEN(op_columns)},
    {"move.list", move_columns, ARRAY_LEN(move_columns)},
    {"back.list", move_columns, ARRAY_LEN(move_columns)},
    {"balance.list", balance_columns, ARRAY_LEN(balance_columns)},
    {"place.list", place_columns, ARRAY_LEN(place_columns)},
    {"disk.list", disk_columns, ARRAY_LEN(disk_columns)},
    {"vif.list", vif_columns, ARRAY_LEN(vif_columns)},
};

#define COLUMNS_MAX 16

struct table {
    struct cli *cli;
    const struct schema *schema;
    const struct layout *layout;
    const struct field *fields[COLUMNS_MAX];
    bool filled[COLUMNS_MAX]; /* Whether any row has text there; empty columns are left out. */
    json_t *json;             /* With --json: the array. */
    struct buf cells;         /* Else: NUL-terminated texts, row by row. */
    struct buf bad;           /* A byte a row: whether something is wrong with it. */
    size_t n_rows;
};

struct table *table_new(struct cli *cli, const char *query, const struct schema *s)
{
    struct table *t = mem_new(1, sizeof *t);
    t->cli = cli;
    t->schema = s;
    if (cli->opt.json) {
        t->json = json_array();
        return t;
    }
    for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
        if (strcmp(layouts[i].query, query) == 0) {
            t->layout = &layouts[i];
        }
    }
    for (size_t i = 0; i < t->layout->n; i++) {
        t->fields[i] = schema_find(s, t->layout->columns[i].field);
    }
    return t;
}

struct table *table_free(struct table *t)
{
    if (t != NULL) {
        json_decref(t->json);
        buf_done(&t->cells);
        buf_done(&t->bad);
        free(t);
    }
    return NULL;
}

static bool is_moment(const struct field *f)
{
    static const char *const moments[] = {"created_ms", "ended_ms", "since_ms", "deadline_ms",
                                          "time_ms"};
    for (size_t i = 0; i < ARRAY_LEN(moments); i++) {
        if (strcmp(moments[i], f->name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_bytes(const struct field *f)
{
    return strstr(f->name, "_bytes") != NULL;
}

static void put_ago(const struct cli *cli, uint64_t wall_ms, struct buf *out)
{
    uint64_t now = cli->clock->wall_ms(cli->clock);
    human_span(now > wall_ms ? now - wall_ms : 0, out);
}

static void put_number(const struct cli *cli, const struct field *f, uint64_t v, struct buf *out)
{
    if (is_moment(f)) {
        if (v == 0) {
            return;
        }
        human_moment(v, out);
        buf_printf(out, " (");
        put_ago(cli, v, out);
        buf_printf(out, " ago)");
    } else if (strcmp(f->unit, "MiB") == 0) {
        human_mib(v, out);
    } else if (strcmp(f->unit, "ms") == 0) {
        human_span(v, out);
    } else if (strcmp(f->unit, "us") == 0 && v >= 1000) {
        human_span(v / 1000, out);
    } else if (is_bytes(f)) {
        human_bytes(v, out);
        buf_printf(out, "%s", strstr(f->name, "_per_s") != NULL ? "/s" : "");
    } else {
        buf_printf(out, "%" PRIu64 "%s%s", v, *f->unit == '\0' || *f->unit == '%' ? "" : " ",
                   f->unit);
    }
}

void table_value(const struct cli *cli, const struct field *f, const void *record, struct buf *out)
{
    if ((f->kind == FIELD_U32 || f->kind == FIELD_U64) && f->flags != FIELD_SECRET) {
        put_number(cli, f, record_number(f, record), out);
    } else {
        schema_get_text(f, record, out);
    }
}

/* The text of a cell, without a terminal's control bytes: names are checked, what a hypervisor said
 * is not. */
static void put_clean(struct buf *out, size_t from)
{
    for (size_t i = from; i < out->len; i++) {
        if (out->data[i] < 0x20 || out->data[i] == 0x7f) {
            out->data[i] = ' ';
        }
    }
}

static void
put_cell(struct table *t, const struct column *c, const struct field *f, const void *record)
{
    struct buf *out = &t->cells;
    switch (c->show) {
    case SHOW_TEXT: table_value(t->cli, f, record, out); break;
    case SHOW_SINCE:
        if (record_number(f, record) != 0) {
            put_ago(t->cli, record_number(f, record), out);
        }
        break;
    case SHOW_MARK: buf_printf(out, "%s", record_number(f, record) != 0 ? "yes" : ""); break;
    case SHOW_SHORT: buf_printf(out, "%.8s", (const char *)record_member(f, record)); break;
    case SHOW_COUNT: buf_printf(out, "%" PRIu32, record_count(f, record)); break;
    case SHOW_PERCENT: buf_printf(out, "%" PRIu64 "%%", record_number(f, record)); break;
    }
}

static bool is_bad(const struct schema *s, const void *record)
{
    const struct field *f = schema_find(s, "state");
    CLEANUP(buf_done) struct buf text = {0};
    schema_get_text(f, record, &text);
    buf_put_u8(&text, 0);
    return strcmp((char *)text.data, "failed") == 0 || strcmp((char *)text.data, "down") == 0;
}

void table_row(struct table *t, const void *record)
{
    t->n_rows++;
    if (t->json != NULL) {
        (void)json_array_append_new(t->json, schema_to_json(t->schema, record));
        return;
    }
    if (t->cli->out_tty) {
        buf_put_u8(&t->bad, is_bad(t->schema, record));
    }
    for (size_t i = 0; i < t->layout->n; i++) {
        size_t from = t->cells.len;
        put_cell(t, &t->layout->columns[i], t->fields[i], record);
        put_clean(&t->cells, from);
        t->filled[i] = t->filled[i] || t->cells.len > from;
        buf_put_u8(&t->cells, 0);
    }
}

int table_print_json(struct cli *cli, json_t *owned)
{
    int r = json_dumpf(owned, cli->out, JSON_INDENT(2) | JSON_ENSURE_ASCII * 0);
    (void)fputc('\n', cli->out);
    json_decref(owned);
    return r == 0 ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}

static struct libscols_table *new_scols(void)
{
    scols_init_debug(0);
    struct libscols_table *tb = scols_new_table();
    if (tb == NULL) {
        return NULL;
    }
    (void)scols_table_set_column_separator(tb, "  ");
    /* Lines are cut to the terminal's width here, by print_line(). */
    (void)scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER);
    return tb;
}

/* Bytes of the first `width` characters. */
static size_t cut(const char *line, size_t len, size_t width)
{
    size_t i = 0;
    for (; i < len; i++) {
        bool begins = ((unsigned char)line[i] & 0xc0) != 0x80;
        if (begins && width-- == 0) {
            break;
        }
    }
    return i;
}

/* A line without blanks at its end; on a terminal, of its width and red if something is wrong. */
static void print_line(const struct table *t, size_t row, const char *line, size_t len)
{
    const struct cli *cli = t->cli;
    while (len > 0 && line[len - 1] == ' ') {
        len--;
    }
    if (cli->out_width > 0) {
        len = cut(line, len, cli->out_width);
    }
    bool red = row > 0 && row <= t->bad.len && t->bad.data[row - 1] != 0 && !cli->opt.no_color;
    (void)fprintf(cli->out, red ? "\033[31m%.*s\033[0m\n" : "%.*s\n", (int)len, line);
}

static int print_text(const struct table *t, struct libscols_table *tb)
{
    char *text = NULL;
    if (scols_print_table_to_string(tb, &text) != 0) {
        return EXIT_STATUS_FAILED;
    }
    size_t row = 0;
    for (const char *p = text; *p != '\0'; row++) {
        size_t len = strcspn(p, "\n");
        print_line(t, row, p, len);
        p += p[len] == '\n' ? len + 1 : len;
    }
    free(text);
    return EXIT_STATUS_OK;
}

static int print_scols(struct table *t, struct libscols_table *tb)
{
    size_t shown[COLUMNS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < t->layout->n; i++) {
        const struct column *c = &t->layout->columns[i];
        if (!t->filled[i] && i > 0) {
            continue;
        }
        if (scols_table_new_column(tb, c->head, 0, c->right ? SCOLS_FL_RIGHT : 0) == NULL) {
            return EXIT_STATUS_FAILED;
        }
        shown[n++] = i;
    }
    char *cell = (char *)t->cells.data;
    for (size_t row = 0; row < t->n_rows; row++) {
        struct libscols_line *line = scols_table_new_line(tb, NULL);
        size_t next = 0;
        for (size_t i = 0; i < t->layout->n; i++) {
            if (next < n && shown[next] == i) {
                (void)scols_line_set_data(line, next++, cell);
            }
            cell += strlen(cell) + 1;
        }
    }
    return print_text(t, tb);
}

int table_print(struct table *t)
{
    if (t->json != NULL) {
        json_t *json = t->json;
        t->json = NULL;
        return table_print_json(t->cli, json);
    }
    if (t->n_rows == 0) {
        return EXIT_STATUS_OK;
    }
    struct libscols_table *tb = new_scols();
    if (tb == NULL) {
        return EXIT_STATUS_FAILED;
    }
    int status = print_scols(t, tb);
    scols_unref_table(tb);
    return status;
}

/* Without the unit, which the value has. */
static void print_field(const struct cli *cli, const struct field *f, const struct buf *value)
{
    (void)fprintf(cli->out, "%-18.*s  %.*s\n", (int)args_bare_length(f), f->name, (int)value->len,
                  (const char *)value->data);
}

/* No operation, no error. */
static bool says_nothing(const struct field *f, const void *record)
{
    return (strcmp(f->name, "op") == 0 || strcmp(f->name, "code") == 0) &&
           record_number(f, record) == 0;
}

static void
print_element(const struct cli *cli, const struct field *list, const void *record, uint32_t i)
{
    const void *element =
        (const char *)record_member(list, record) + (size_t)i * list->nested->size;
    CLEANUP(buf_done) struct buf text = {0};
    for (size_t k = 0; k < list->nested->n; k++) {
        const struct field *f = &list->nested->fields[k];
        CLEANUP(buf_done) struct buf value = {0};
        table_value(cli, f, element, &value);
        if (value.len > 0) {
            buf_printf(&text, "%s%s=%.*s", text.len == 0 ? "" : ", ", f->name, (int)value.len,
                       (const char *)value.data);
        }
    }
    put_clean(&text, 0);
    print_field(cli, list, &text);
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as records are nested in the table.
static void print_fields(const struct cli *cli, const struct schema *s, const void *record)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        if (f->kind == FIELD_REC) {
            print_fields(cli, f->nested, record_member(f, record));
            continue;
        }
        for (uint32_t k = 0; f->kind == FIELD_LIST && k < record_count(f, record); k++) {
            print_element(cli, f, record, k);
        }
        if (f->kind == FIELD_LIST) {
            continue;
        }
        CLEANUP(buf_done) struct buf value = {0};
        table_value(cli, f, record, &value);
        put_clean(&value, 0);
        if (value.len == 0 || says_nothing(f, record)) {
            continue;
        }
        print_field(cli, f, &value);
    }
}

int table_print_one(struct cli *cli, const struct schema *s, const void *record)
{
    if (cli->opt.json) {
        return table_print_json(cli, schema_to_json(s, record));
    }
    print_fields(cli, s, record);
    return EXIT_STATUS_OK;
}
