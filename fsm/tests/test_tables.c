/* The tables of entities and commands keep their own rules. */

#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "fsm/commands.h"
#include "fsm/entity.h"

static const struct schema *const entities[] = {
    &schema_disk,  &schema_vif,  &schema_guest_config, &schema_pool,  &schema_host,
    &schema_guest, &schema_repo, &schema_op,           &schema_event, &schema_outcome,
};

static void table_is_sound(const struct schema *s)
{
    struct err e = {0};
    assert_in_range(s->n, 1, 64);
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        assert_true(f->min <= f->max);
        assert_ptr_equal(schema_find(s, f->name), f); /* No name twice. */
        assert_true(f->help[0] != '\0');
        if (f->kind == FIELD_ENM) {
            assert_int_equal(f->max, f->names->n - 1);
        }
        bool unset = f->def == 0 && f->kind != FIELD_ENM; /* Below its limits: not said. */
        if (f->flags != FIELD_REQ && f->kind <= FIELD_ENM && !unset &&
            (f->def < f->min || f->def > f->max)) {
            fail_msg("%s.%s: its default is out of its limits", s->name, f->name);
        }
        if (f->flags != FIELD_REQ && f->kind > FIELD_ENM && f->kind != FIELD_ID && f->min != 0) {
            fail_msg("%s.%s: optional, but may not be empty", s->name, f->name);
        }
    }
    struct rng rng;
    rng_seed(&rng, s->size);
    void *a = mem_new(1, s->size);
    void *b = mem_new(1, s->size);
    for (int i = 0; i < 200; i++) {
        CLEANUP(buf_done) struct buf bytes = {0};
        schema_random(s, &rng, a);
        memset(b, 0xee, s->size);
        schema_encode(s, a, &bytes);
        if (schema_decode_all(s, bytes.data, bytes.len, b, &e) != 0) {
            fail_msg("%s: %s", s->name, e.msg);
        }
        assert_memory_equal(a, b, s->size);
        assert_true(bytes.len < LIMIT_ENTRY - 1024);
    }
    free(a);
    free(b);
}

static void every_entity_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(entities); i++) {
        table_is_sound(entities[i]);
    }
}

static void every_command_is_sound_and_found_by_number_and_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_commands; i++) {
        table_is_sound(commands[i].schema);
        assert_ptr_equal(command_by_number(commands[i].number), &commands[i]);
        assert_ptr_equal(command_by_name(commands[i].name), &commands[i]);
        assert_ptr_equal(command_by_name(commands[i].title), &commands[i]);
    }
    assert_null(command_by_number(0));
    assert_null(command_by_number(UINT32_MAX));
    assert_null(command_by_name("guest"));
}

/* Rows are in the state and in snapshots: their bytes must never change by a change of a table. */
static void the_bytes_of_a_guest_row_stay_as_they_are(void **state)
{
    (void)state;
    struct guest g;
    schema_init(&schema_guest, &g);
    (void)str_copy(g.name, sizeof g.name, "web1");
    memset(g.uuid.b, 7, sizeof g.uuid.b);
    g.state = GUEST_RUNNING;
    g.want = WANT_RUNNING;
    (void)str_copy(g.host, sizeof g.host, "h2");
    g.run_epoch = 300;
    g.config.memory_mib = 512;
    CLEANUP(buf_done) struct buf b = {0};
    schema_encode(&schema_guest, &g, &b);
    static const char want[] =
        "\x87\xa4name\xa4web1\xa4uuid\xc4\x10\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7\7"
        "\xa5state\2\xa4want\1\xa4host\xa2h2\xa9run_epoch\xcd\1\x2c\xa6"
        "config\x81\xaamemory_mib\xcd\2\0";
    assert_int_equal(b.len, sizeof want - 1);
    assert_memory_equal(b.data, want, b.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entity_is_sound),
        cmocka_unit_test(every_command_is_sound_and_found_by_number_and_names),
        cmocka_unit_test(the_bytes_of_a_guest_row_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
