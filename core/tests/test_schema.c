#include <string.h>

#include "core/schema.h"
#include "core/tests/cm.h"
#include "core/util.h"

/* One record with every kind. */
static const char *const names_colour[] = {"red", "green", "blue"};
static const struct enum_names enum_colour = {names_colour, 3};

/* clang-format off */
#define PART_FIELDS(F) \
    F(str,  name,    _,      REQ,    1, 7,          0,   "",    "Name of the part") \
    F(u32,  weight,  _,      OPT,    1, 100,        10,  "",    "Weight")
#define BOX_FIELDS(F) \
    F(u32,  depth,   _,      OPT,    0, 9,          3,   "",    "Depth") \
    F(str,  label,   _,      OPT,    0, 8,          0,   "",    "Label")
#define THING_FIELDS(F) \
    F(str,  name,    _,      REQ,    1, 15,         0,   "",    "Name") \
    F(u32,  count,   _,      OPT,    2, 70000,      5,   "",    "Count") \
    F(u64,  big,     _,      OPT,    0, UINT64_MAX, 0,   "",    "Big") \
    F(bool, flag,    _,      OPT,    0, 1,          1,   "",    "Flag") \
    F(enm,  colour,  colour, OPT,    0, 2,          1,   "",    "Colour") \
    F(bin,  blob,    _,      OPT,    2, 5,          0,   "",    "Blob") \
    F(id,   uuid,    _,      AUTO,   16, 16,        0,   "",    "Identity") \
    F(rec,  box,     box,    OPT,    0, 0,          0,   "",    "Box") \
    F(list, parts,   part,   OPT,    0, 3,          0,   "",    "Parts") \
    F(strs, tags,    _,      OPT,    0, 4,          0,   "",    "Tags") \
    F(str,  secret,  _,      SECRET, 0, 15,         0,   "",    "Secret") \
    F(u32,  memory_mib, _,   OPT,    8, 1u << 24,   128, "MiB", "Memory") \
    F(u32,  wait_ms, _,      OPT,    0, 86400000,   0,   "ms",  "Wait")
/* clang-format on */
SCHEMA_STRUCT(part, PART_FIELDS)
SCHEMA_STRUCT(box, BOX_FIELDS)
SCHEMA_STRUCT(thing, THING_FIELDS)
extern const struct schema schema_part, schema_box, schema_thing;
#define SCHEMA_RECORD part
SCHEMA_DEFINE(part, PART_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD box
SCHEMA_DEFINE(box, BOX_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD thing
SCHEMA_DEFINE(thing, THING_FIELDS)
#undef SCHEMA_RECORD

static struct thing a_thing(void)
{
    struct thing t;
    schema_init(&schema_thing, &t);
    (void)str_copy(t.name, sizeof t.name, "t1");
    return t;
}

/* Decode these bytes and expect the code and a message that holds `text`. */
static void expect_refused(const struct buf *b, int code, const char *text)
{
    struct thing t;
    struct err e = {0};
    int rc = schema_decode_all(&schema_thing, b->data, b->len, &t, &e);
    assert_int_equal(rc, code);
    assert_int_equal(e.code, code);
    if (strstr(e.msg, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", e.msg, text);
    }
}

static void expect_accepted(const struct buf *b)
{
    struct thing t;
    struct err e = {0};
    if (schema_decode_all(&schema_thing, b->data, b->len, &t, &e) != 0) {
        fail_msg("%s", e.msg);
    }
}

static void a_default_is_left_out_and_a_required_field_is_not(void **state)
{
    (void)state;
    struct thing t = a_thing();
    CLEANUP(buf_done) struct buf b = {0};
    schema_encode(&schema_thing, &t, &b);
    CLEANUP(buf_done) struct buf want = {0};
    mp_put_map(&want, 1);
    mp_put_str(&want, "name");
    mp_put_str(&want, "t1");
    assert_int_equal(b.len, want.len);
    assert_memory_equal(b.data, want.data, b.len);
}

static void random_records_come_back_byte_for_byte(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 7);
    for (int i = 0; i < 20000; i++) {
        struct thing t;
        struct thing back;
        struct err e = {0};
        schema_random(&schema_thing, &rng, &t);
        assert_int_equal(schema_check(&schema_thing, &t, &e), 0);
        CLEANUP(buf_done) struct buf b = {0};
        schema_encode(&schema_thing, &t, &b);
        memset(&back, 0xa5, sizeof back); /* Padding must be set as well. */
        if (schema_decode_all(&schema_thing, b.data, b.len, &back, &e) != 0) {
            fail_msg("%s", e.msg);
        }
        assert_memory_equal(&t, &back, sizeof t);
        assert_true(schema_same(&schema_thing, &t, &back) && mp_valid(b.data, b.len));
    }
}

static void what_is_accepted_encodes_to_the_same_bytes(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 8);
    int accepted = 0;
    for (int i = 0; i < 20000; i++) {
        struct thing t, before;
        struct err e = {0};
        schema_random(&schema_thing, &rng, &before);
        CLEANUP(buf_done) struct buf b = {0};
        schema_encode(&schema_thing, &before, &b);
        for (uint64_t n = 1 + rng_below(&rng, 2); n > 0; n--) {
            b.data[rng_below(&rng, b.len)] ^= (uint8_t)(1u << rng_below(&rng, 8));
        }
        if (schema_decode_all(&schema_thing, b.data, b.len, &t, &e) == 0) {
            accepted++;
            CLEANUP(buf_done) struct buf again = {0};
            schema_encode(&schema_thing, &t, &again);
            assert_int_equal(again.len, b.len);
            assert_memory_equal(again.data, b.data, b.len);
            buf_clear(&again);
            schema_encode(&schema_thing, &before, &again);
            bool same = again.len == b.len && memcmp(again.data, b.data, b.len) == 0;
            assert_true(schema_same(&schema_thing, &before, &t) == same);
        } else {
            assert_true(e.msg[0] != '\0');
        }
    }
    assert_in_range(accepted, 100, 19900); /* Both answers were seen. */
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 9);
    struct thing t;
    schema_random(&schema_thing, &rng, &t);
    CLEANUP(buf_done) struct buf b = {0};
    schema_encode(&schema_thing, &t, &b);
    for (size_t n = 0; n < b.len; n++) {
        struct err e = {0};
        uint8_t *copy = mem_new(n, 1); /* Exactly n bytes, so that a sanitizer sees one too far. */
        memcpy(copy, b.data, n);
        struct thing out;
        assert_int_not_equal(schema_decode_all(&schema_thing, copy, n, &out, &e), 0);
        free(copy);
    }
}

static void a_default_written_out_is_refused(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    mp_put_map(&b, 2);
    mp_put_str(&b, "name");
    mp_put_str(&b, "x");
    mp_put_str(&b, "count");
    size_t at = b.len;
    mp_put_uint(&b, 5);
    expect_refused(&b, ERR_MALFORMED, "count: a default is left out");
    b.data[at] = 6;
    expect_accepted(&b);
    b.len = 0;
    mp_put_map(&b, 2);
    mp_put_str(&b, "name");
    mp_put_str(&b, "x");
    mp_put_str(&b, "box");
    mp_put_map(&b, 0);
    expect_refused(&b, ERR_MALFORMED, "box: a default is left out");
    b.len = 0;
    mp_put_map(&b, 2);
    mp_put_str(&b, "name");
    mp_put_str(&b, "x");
    mp_put_str(&b, "tags");
    mp_put_array(&b, 0);
    expect_refused(&b, ERR_MALFORMED, "tags: a default is left out");
}

static void keys_out_of_order_or_twice_are_refused(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    mp_put_map(&b, 3);
    mp_put_str(&b, "name");
    mp_put_str(&b, "x");
    mp_put_str(&b, "big");
    mp_put_uint(&b, 5);
    mp_put_str(&b, "count");
    mp_put_uint(&b, 6);
    expect_refused(&b, ERR_MALFORMED, "count: twice, or not in its place");
    b.len = 0;
    mp_put_map(&b, 2);
    mp_put_str(&b, "name");
    mp_put_str(&b, "x");
    mp_put_str(&b, "name");
    mp_put_str(&b, "x");
    expect_refused(&b, ERR_MALFORMED, "name: twice");
}

static void a_missing_required_field_is_named(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    mp_put_map(&b, 0);
    expect_refused(&b, ERR_MALFORMED, "name: missing");
    b.len = 0;
    mp_put_map(&b, 1);
    mp_put_str(&b, "count");
    mp_put_uint(&b, 6);
    expect_refused(&b, ERR_MALFORMED, "name: missing");
}

static void an_unknown_key_is_named_without_its_control_bytes(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    mp_put_map(&b, 1);
    mp_put_str(&b, "na\x1bme");
    mp_put_uint(&b, 6);
    expect_refused(&b, ERR_UNKNOWN, "thing has no field \"na?me\"");
    b.len = 0;
    mp_put_map(&b, 1);
    mp_put_str(&b, "nam");
    mp_put_uint(&b, 6);
    expect_refused(&b, ERR_UNKNOWN, "\"nam\"");
    b.len = 0;
    mp_put_map(&b, 1);
    mp_put_uint(&b, 6);
    mp_put_uint(&b, 6);
    expect_refused(&b, ERR_MALFORMED, "a key of thing is no string");
}

static void put_named(struct buf *b, const char *key)
{
    b->len = 0;
    mp_put_map(b, 2);
    mp_put_str(b, "name");
    mp_put_str(b, "x");
    mp_put_str(b, key);
}

static void values_out_of_limits_are_invalid(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    put_named(&b, "count");
    mp_put_uint(&b, 70001);
    expect_refused(&b, ERR_INVALID, "count: must be 2 to 70000");
    put_named(&b, "count");
    mp_put_uint(&b, 1);
    expect_refused(&b, ERR_INVALID, "count");
    put_named(&b, "count");
    mp_put_uint(&b, (UINT64_C(1) << 32) + 6); /* 6 when cut to 32 bits. */
    expect_refused(&b, ERR_INVALID, "count");
    put_named(&b, "colour");
    mp_put_uint(&b, 3);
    expect_refused(&b, ERR_INVALID, "colour");
    put_named(&b, "blob");
    mp_put_bin(&b, "x", 1);
    expect_refused(&b, ERR_INVALID, "blob: must have 2 to 5 bytes");
    put_named(&b, "blob");
    mp_put_bin(&b, "xxxxxx", 6);
    expect_refused(&b, ERR_INVALID, "blob");
    put_named(&b, "tags");
    mp_put_array(&b, 1);
    mp_put_str(&b, "");
    expect_refused(&b, ERR_INVALID, "tags");
    put_named(&b, "tags");
    mp_put_array(&b, 5);
    for (int i = 0; i < 5; i++) {
        mp_put_str(&b, "t");
    }
    expect_refused(&b, ERR_INVALID, "tags");
    b.len = 0;
    mp_put_map(&b, 1);
    mp_put_str(&b, "name");
    mp_put_str(&b, "0123456789abcdef");
    expect_refused(&b, ERR_INVALID, "name: must have 1 to 15 bytes");
}

static void wrong_types_are_malformed(void **state)
{
    (void)state;
    static const char *const keys[] = {"count", "flag", "blob", "uuid", "box", "parts", "tags"};
    CLEANUP(buf_done) struct buf b = {0};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        put_named(&b, keys[i]);
        mp_put_str(&b, "text");
        expect_refused(&b, ERR_MALFORMED, i == 4 ? "box" : keys[i]);
    }
    put_named(&b, "count");
    mp_put_int(&b, -1);
    expect_refused(&b, ERR_MALFORMED, "count");
    put_named(&b, "uuid");
    mp_put_bin(&b, "123456789012345", 15);
    expect_refused(&b, ERR_MALFORMED, "uuid");
    put_named(&b, "count");
    buf_put(&b, "\xcd\x00\x06", 3); /* 6 in two bytes. */
    expect_refused(&b, ERR_MALFORMED, "count");
}

static void bytes_behind_the_end_are_refused(void **state)
{
    (void)state;
    struct thing t = a_thing();
    CLEANUP(buf_done) struct buf b = {0};
    schema_encode(&schema_thing, &t, &b);
    expect_accepted(&b);
    buf_put_u8(&b, 0);
    expect_refused(&b, ERR_MALFORMED, "bytes behind the end of thing");
}

static void a_nested_required_field_is_missed_too(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    put_named(&b, "parts");
    mp_put_array(&b, 1);
    mp_put_map(&b, 1);
    mp_put_str(&b, "weight");
    mp_put_uint(&b, 11);
    expect_refused(&b, ERR_MALFORMED, "name: missing");
}

static void the_field_at_fault_is_told_without_prose(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = {0};
    struct thing t;
    const char *field = NULL;
    put_named(&b, "memory_mib");
    mp_put_uint(&b, 1);
    assert_int_equal(schema_decode_field(&schema_thing, b.data, b.len, &t, &field), ERR_INVALID);
    assert_string_equal(field, "memory_mib");
    put_named(&b, "nonsense");
    mp_put_uint(&b, 1);
    assert_int_equal(schema_decode_field(&schema_thing, b.data, b.len, &t, &field), ERR_UNKNOWN);
    assert_string_equal(field, "");
}

static void check_finds_what_a_program_got_wrong(void **state)
{
    (void)state;
    struct err e = {0};
    struct thing t = a_thing();
    assert_int_equal(schema_check(&schema_thing, &t, &e), 0);
    t.count = 1;
    assert_int_equal(schema_check(&schema_thing, &t, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "count"));
    t = a_thing();
    t.name[0] = '\0';
    assert_int_equal(schema_check(&schema_thing, &t, &e), ERR_INVALID);
    t = a_thing();
    memset(t.name, 'x', sizeof t.name);
    assert_int_equal(schema_check(&schema_thing, &t, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "name: longer than 15 bytes"));
    t = a_thing();
    t.name[0] = (char)0xff;
    assert_int_equal(schema_check(&schema_thing, &t, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "not UTF-8"));
    t = a_thing();
    t.colour = 3;
    assert_int_equal(schema_check(&schema_thing, &t, &e), ERR_INVALID);
    t = a_thing();
    t.parts_n = 1;
    assert_int_equal(schema_check(&schema_thing, &t, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "parts 1: name"));
    t = a_thing();
    t.box.depth = 10;
    assert_int_equal(schema_check(&schema_thing, &t, &e), ERR_INVALID);
    assert_non_null(strstr(e.msg, "box: depth"));
    t = a_thing();
    t.parts_n = 4;
    assert_int_equal(schema_check(&schema_thing, &t, &e), ERR_INVALID);
}

/* Set one field from text; returns the code. */
static int set(struct thing *t, const char *name, const char *text)
{
    struct err e = {0};
    const struct field *f = schema_find(&schema_thing, name);
    assert_non_null(f);
    int rc = schema_set_text(f, text, t, &e);
    assert_int_equal(rc, e.code);
    return rc;
}

static void expect_text(const struct thing *t, const char *name, const char *want)
{
    CLEANUP(buf_done) struct buf b = {0};
    schema_get_text(schema_find(&schema_thing, name), t, &b);
    buf_put_u8(&b, 0);
    assert_string_equal((const char *)b.data, want);
}

static void text_is_read_with_units(void **state)
{
    (void)state;
    struct thing t = a_thing();
    assert_int_equal(set(&t, "memory-mib", "2GiB"), 0);
    assert_int_equal(t.memory_mib, 2048);
    assert_int_equal(set(&t, "memory_mib", "512"), 0);
    assert_int_equal(t.memory_mib, 512);
    assert_int_equal(set(&t, "memory_mib", "512m"), 0);
    assert_int_equal(set(&t, "memory_mib", "16384K"), 0);
    assert_int_equal(t.memory_mib, 16);
    assert_int_equal(set(&t, "memory_mib", "16385K"), ERR_INVALID);
    assert_int_equal(set(&t, "memory_mib", "1024T"), ERR_INVALID);
    assert_int_equal(set(&t, "memory_mib", "99999999999999999999"), ERR_INVALID);
    assert_int_equal(set(&t, "memory_mib", "18446744073709551615T"), ERR_INVALID);
    assert_int_equal(set(&t, "memory_mib", ""), ERR_INVALID);
    assert_int_equal(set(&t, "memory_mib", "-8"), ERR_INVALID);
    assert_int_equal(set(&t, "memory_mib", " 8"), ERR_INVALID);
    assert_int_equal(set(&t, "memory_mib", "8 "), ERR_INVALID);
    assert_int_equal(set(&t, "memory_mib", "30s"), ERR_INVALID);
    assert_int_equal(t.memory_mib, 16); /* A refusal changes nothing. */
    assert_int_equal(set(&t, "wait-ms", "30s"), 0);
    assert_int_equal(t.wait_ms, 30000);
    assert_int_equal(set(&t, "wait-ms", "2h"), 0);
    assert_int_equal(t.wait_ms, 7200000);
    assert_int_equal(set(&t, "big", "18446744073709551615"), 0);
    assert_true(t.big == UINT64_MAX);
    assert_int_equal(set(&t, "big", "18446744073709551616"), ERR_INVALID);
    assert_int_equal(set(&t, "count", "6s"), ERR_INVALID);
}

static void text_is_read_for_every_kind(void **state)
{
    (void)state;
    struct thing t = a_thing();
    assert_int_equal(set(&t, "flag", "off"), 0);
    assert_false(t.flag);
    assert_int_equal(set(&t, "flag", "yes"), 0);
    assert_true(t.flag);
    assert_int_equal(set(&t, "flag", "maybe"), ERR_INVALID);
    assert_int_equal(set(&t, "colour", "blue"), 0);
    assert_int_equal(t.colour, 2);
    assert_int_equal(set(&t, "colour", "pink"), ERR_INVALID);
    assert_int_equal(set(&t, "blob", "00fF10"), 0);
    assert_int_equal(t.blob_n, 3);
    assert_memory_equal(t.blob, "\x00\xff\x10", 3);
    assert_int_equal(set(&t, "blob", "00fg"), ERR_INVALID);
    assert_int_equal(set(&t, "blob", "000"), ERR_INVALID);
    assert_int_equal(set(&t, "tags", "a,bc"), 0);
    assert_int_equal(t.tags_n, 2);
    assert_string_equal(t.tags[1], "bc");
    assert_int_equal(set(&t, "tags", "a,,b"), ERR_INVALID);
    assert_int_equal(set(&t, "tags", "a,"), ERR_INVALID);
    assert_int_equal(set(&t, "tags", "a,b,c,d,e"), ERR_INVALID);
    assert_int_equal(t.tags_n, 2);
    assert_int_equal(set(&t, "tags", ""), 0);
    assert_int_equal(t.tags_n, 0);
    assert_int_equal(set(&t, "uuid", "00112233-4455-6677-8899-aabbccddeeff"), 0);
    assert_int_equal(t.uuid.b[15], 0xff);
    assert_int_equal(set(&t, "uuid", "no"), ERR_INVALID);
    assert_int_equal(set(&t, "name", "0123456789abcdef"), ERR_INVALID);
    assert_int_equal(set(&t, "name", ""), ERR_INVALID);
    assert_int_equal(set(&t, "name", "\xff"), ERR_INVALID);
    assert_int_equal(set(&t, "box", "x"), ERR_INVALID);
    assert_null(schema_find(&schema_thing, "memory"));
    assert_null(schema_find(&schema_thing, "memory_mib2"));
}

static void text_is_shown_without_secrets(void **state)
{
    (void)state;
    struct thing t = a_thing();
    expect_text(&t, "secret", "");
    expect_text(&t, "uuid", "");
    expect_text(&t, "tags", "");
    expect_text(&t, "flag", "on");
    expect_text(&t, "colour", "green");
    expect_text(&t, "memory_mib", "128");
    assert_int_equal(set(&t, "secret", "hunter2"), 0);
    assert_int_equal(set(&t, "tags", "a,b"), 0);
    assert_int_equal(set(&t, "blob", "00ff"), 0);
    expect_text(&t, "secret", "(secret)");
    expect_text(&t, "tags", "a,b");
    expect_text(&t, "blob", "00ff");
    json_t *j = schema_to_json(&schema_thing, &t);
    char *text = json_dumps(j, 0);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "\"secret\": \"(secret)\""));
    free(text);
    json_decref(j);
}

static void json_comes_back_the_same(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 10);
    for (int i = 0; i < 3000; i++) {
        struct thing t;
        struct thing back;
        struct err e = {0};
        schema_random(&schema_thing, &rng, &t);
        memset(t.secret, 0, sizeof t.secret);
        json_t *j = schema_to_json(&schema_thing, &t);
        assert_int_equal(json_object_size(j), schema_thing.n);
        if (schema_from_json(&schema_thing, j, &back, &e) != 0) {
            fail_msg("%s", e.msg);
        }
        json_decref(j);
        assert_memory_equal(&t, &back, sizeof t);
    }
}

static void json_that_is_wrong_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
        const char *says;
    } cases[] = {
        {"[]", ERR_INVALID, "must be an object"},
        {"{}", ERR_INVALID, "name"},
        {"{\"name\": 5}", ERR_INVALID, "name: must be text"},
        {"{\"name\": \"x\", \"nmae\": 1}", ERR_UNKNOWN, "nmae"},
        {"{\"name\": \"x\", \"count\": -1}", ERR_INVALID, "count"},
        {"{\"name\": \"x\", \"count\": 1.5}", ERR_INVALID, "count"},
        {"{\"name\": \"x\", \"flag\": 1}", ERR_INVALID, "flag"},
        {"{\"name\": \"x\", \"colour\": 1}", ERR_INVALID, "colour"},
        {"{\"name\": \"x\", \"tags\": [1]}", ERR_INVALID, "tags"},
        {"{\"name\": \"x\", \"tags\": [\"\"]}", ERR_INVALID, "tags"},
        {"{\"name\": \"x\", \"parts\": [{},{},{},{}]}", ERR_INVALID, "parts"},
        {"{\"name\": \"x\", \"parts\": [{\"name\": \"12345678\"}]}", ERR_INVALID, "parts 1"},
        {"{\"name\": \"x\", \"box\": {\"width\": 1}}", ERR_UNKNOWN, "box"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct thing t;
        struct err e = {0};
        json_t *j = json_loads(cases[i].text, 0, NULL);
        assert_non_null(j);
        assert_int_equal(schema_from_json(&schema_thing, j, &t, &e), cases[i].code);
        if (strstr(e.msg, cases[i].says) == NULL) {
            fail_msg("%s: \"%s\"", cases[i].text, e.msg);
        }
        json_decref(j);
    }
}

static void help_names_limits_and_defaults_of_what_can_be_given(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    schema_help(&schema_thing, out);
    (void)fclose(out);
    assert_non_null(strstr(text, "--memory-mib MiB"));
    assert_non_null(strstr(text, "Memory (8 to 16777216, default 128)"));
    assert_non_null(strstr(text, "--colour red|green|blue"));
    assert_non_null(strstr(text, "--depth")); /* Of the nested record. */
    assert_null(strstr(text, "--uuid"));
    assert_null(strstr(text, "--parts"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_default_is_left_out_and_a_required_field_is_not),
        cmocka_unit_test(random_records_come_back_byte_for_byte),
        cmocka_unit_test(what_is_accepted_encodes_to_the_same_bytes),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(a_default_written_out_is_refused),
        cmocka_unit_test(keys_out_of_order_or_twice_are_refused),
        cmocka_unit_test(a_missing_required_field_is_named),
        cmocka_unit_test(an_unknown_key_is_named_without_its_control_bytes),
        cmocka_unit_test(values_out_of_limits_are_invalid),
        cmocka_unit_test(wrong_types_are_malformed),
        cmocka_unit_test(bytes_behind_the_end_are_refused),
        cmocka_unit_test(a_nested_required_field_is_missed_too),
        cmocka_unit_test(the_field_at_fault_is_told_without_prose),
        cmocka_unit_test(check_finds_what_a_program_got_wrong),
        cmocka_unit_test(text_is_read_with_units),
        cmocka_unit_test(text_is_read_for_every_kind),
        cmocka_unit_test(text_is_shown_without_secrets),
        cmocka_unit_test(json_comes_back_the_same),
        cmocka_unit_test(json_that_is_wrong_is_refused),
        cmocka_unit_test(help_names_limits_and_defaults_of_what_can_be_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
