#include "cli/tests/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

static char dir[64];
static uint64_t applied;

static int remove_all(const char *path)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", path);
    return system(command); /* NOLINT(cert-env33-c): a path that mkdtemp() made. */
}

struct fsm *state_open(void)
{
    struct err e = {0};
    struct fsm *f = NULL;
    bool rebuilt;
    (void)str_copy(dir, sizeof dir, "/tmp/quorate-state-XXXXXX");
    assert_non_null(mkdtemp(dir));
    const struct fsm_options o = {.dir = dir, .boot_id = "boot", .map_bytes = 64u << 20};
    assert_int_equal(fsm_open(&f, &o, &rebuilt, &e), 0);
    applied = 0;
    return f;
}

struct fsm *state_close(struct fsm *f)
{
    (void)fsm_close(f);
    assert_int_equal(remove_all(dir), 0);
    return NULL;
}

static void set_field(const struct schema *schema, void *record, char *word)
{
    struct err e = {0};
    char *eq = strchr(word, '=');
    assert_non_null(eq);
    *eq = '\0';
    if (strcmp(word, "disk") == 0) {
        struct guest_config *c = &((struct cmd_guest_create *)record)->config;
        struct disk *d = &c->disks[c->disks_n++];
        schema_init(&schema_disk, d);
        (void)str_copy(d->path, sizeof d->path, eq + 1);
        return;
    }
    const struct field *f = schema_find(schema, word);
    if (f == NULL) { /* Hardware of a guest. */
        const struct field *config = schema_find(schema, "config");
        assert_non_null(config);
        record = (uint8_t *)record + config->offset;
        f = schema_find(&schema_guest_config, word);
    }
    assert_non_null(f);
    if (schema_set_text(f, eq + 1, record, &e) != 0) {
        fail_msg("%s=%s: %s", word, eq + 1, e.msg);
    }
}

struct outcome state_apply(struct fsm *f, uint64_t wall_ms, const char *line)
{
    CLEANUP(buf_done) struct buf body = {0};
    CLEANUP(buf_done) struct buf entry = {0};
    char text[512];
    char *save = NULL;
    (void)str_copy(text, sizeof text, line);
    const struct command *c = command_by_name(strtok_r(text, " ", &save));
    assert_non_null(c);
    void *record = mem_new(1, c->schema->size);
    schema_init(c->schema, record);
    struct id id = {{0}};
    store_u64(id.b, ++applied);
    const struct field *own = schema_find(c->schema, "uuid");
    own = own == NULL ? schema_find(c->schema, "id") : own;
    if (own != NULL && own->kind == FIELD_ID) {
        memcpy((uint8_t *)record + own->offset, &id, sizeof id);
    }
    for (char *w = strtok_r(NULL, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        set_field(c->schema, record, w);
    }
    schema_encode(c->schema, record, &body);
    free(record);
    const struct entry en = {.number = c->number,
                             .request = id,
                             .user = "anna",
                             .wall_ms = wall_ms,
                             .body = body.data,
                             .body_len = body.len};
    entry_encode(&en, &entry);
    const struct fsm_input in = {.index = applied, .term = 1, .data = entry.data, .len = entry.len};
    struct fsm_applied_entry done;
    struct err e = {0};
    assert_int_equal(fsm_begin(f, &e), 0);
    assert_int_equal(fsm_apply(f, &in, &done, &e), 0);
    assert_int_equal(fsm_commit(f, &e), 0);
    return done.outcome;
}

void state_must(struct fsm *f, const char *const *lines, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct outcome o = state_apply(f, 1000 * (applied + 1), lines[i]);
        if (o.code != 0) {
            CLEANUP(buf_done) struct buf why = {0};
            outcome_text(&o, &why);
            fail_msg("%s: %.*s", lines[i], (int)why.len, (const char *)why.data);
        }
    }
}
