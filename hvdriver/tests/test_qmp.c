/* Lines from QEMU's monitor, good and bad, and what they say of a copy's state. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/qemu_copy.h"
#include "hvdriver/qmp_msg.h"

static int parse(const char *text, struct qmp_msg *m)
{
    struct err e;
    return qmp_msg_parse(text, strlen(text), m, &e);
}

static void real_lines_are_understood(void **state)
{
    (void)state;
    struct qmp_msg m;
    assert_int_equal(parse("{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r", &m), 0);
    assert_int_equal(m.kind, QMP_GREETING);
    qmp_msg_done(&m);
    assert_int_equal(parse("{\"return\": {\"status\": \"running\"}, \"id\": 7}", &m), 0);
    assert_int_equal(m.kind, QMP_RETURN);
    assert_int_equal(m.id, 7);
    assert_string_equal(json_string_value(json_object_get(m.value, "status")), "running");
    qmp_msg_done(&m);
    assert_int_equal(parse("{\"id\": 8, \"error\": {\"class\": \"GenericError\", \"desc\": "
                           "\"Failed\\n to\\u0007 get\"}}",
                           &m),
                     0);
    assert_int_equal(m.kind, QMP_ERROR);
    assert_string_equal(m.text, "Failed to? get");
    qmp_msg_done(&m);
    assert_int_equal(parse("{\"timestamp\": {\"seconds\": 1}, \"event\": \"STOP\"}", &m), 0);
    assert_int_equal(m.kind, QMP_EVENT);
    assert_string_equal(m.name, "STOP");
    assert_null(m.value);
    assert_int_equal(m.id, -1);
    qmp_msg_done(&m);
}

static void bad_lines_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "null",
                                      "[]",
                                      "{}",
                                      "{\"return\": 1",
                                      "{\"return\": 1} x",
                                      "{\"event\": 5}",
                                      "{\"event\": \"A\", \"data\": []}",
                                      "{\"error\": {}}",
                                      "{\"error\": \"text\"}",
                                      "{\"QMP\": 1}",
                                      "{\"return\": 1, \"return\": 2}",
                                      "{\"event\": \"\xff\"}"};
    struct qmp_msg m;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(parse(bad[i], &m), ERR_MALFORMED);
    }
}

static void depth_number_and_length_are_bounded(void **state)
{
    (void)state;
    struct qmp_msg m;
    struct err e;
    size_t size = QMP_LINE_MAX + 2;
    char *text = mem_new(size, 1);
    memset(text, '[', 17);
    assert_int_equal(parse(text, &m), ERR_TOO_BIG);
    memset(text, ',', 5000);
    assert_int_equal(parse(text, &m), ERR_TOO_BIG);
    memset(text, ' ', QMP_LINE_MAX + 1);
    assert_int_equal(qmp_msg_parse(text, QMP_LINE_MAX + 1, &m, &e), ERR_TOO_BIG);
    /* Brackets in a string are text. */
    (void)snprintf(text, size, "{\"return\": \"%s\"}", "[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[");
    assert_int_equal(parse(text, &m), 0);
    qmp_msg_done(&m);
    free(text);
}

static void states_follow_from_what_qemu_says(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        const char *migration;
        bool incoming;
        bool ran;
        enum hv_state state;
    } rows[] = {
        {"prelaunch", "", false, false, HV_PAUSED},
        {"running", "", false, false, HV_RUNNING},
        {"paused", "", false, false, HV_PAUSED},
        {"io-error", "", false, false, HV_PAUSED},
        {"guest-panicked", "", false, false, HV_PANICKED},
        {"inmigrate", "", true, false, HV_INCOMING},
        {"inmigrate", "active", true, false, HV_INCOMING},
        {"paused", "active", true, false, HV_INCOMING},
        {"paused", "completed", true, false, HV_ARRIVED},
        {"paused", "completed", true, true, HV_PAUSED},
        {"running", "completed", true, true, HV_RUNNING},
        {"running", "active", false, false, HV_OUTGOING},
        {"running", "setup", true, true, HV_OUTGOING},
        {"paused", "active", false, false, HV_OUTGOING},
        {"finish-migrate", "device", false, false, HV_OUTGOING},
        {"finish-migrate", "cancelling", false, false, HV_OUTGOING},
        {"postmigrate", "completed", false, false, HV_DEPARTED},
        {"postmigrate", "completed", true, true, HV_DEPARTED},
        /* It came back, or never left: an old "completed" is no departure. */
        {"running", "completed", false, false, HV_RUNNING},
        {"paused", "completed", false, false, HV_PAUSED},
        {"running", "failed", false, false, HV_RUNNING},
        {"running", "cancelled", false, false, HV_RUNNING},
        {"postmigrate", "failed", false, false, HV_PAUSED},
        {"", "", false, false, HV_PAUSED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(
            qemu_state(rows[i].status, rows[i].migration, rows[i].incoming, rows[i].ran),
            rows[i].state);
    }
}

static void a_lock_that_is_held_is_told_as_such(void **state)
{
    (void)state;
    struct err from;
    struct err to;
    (void)err_set(&from, ERR_HYPERVISOR,
                  "Failed to get \"write\" lock Is another process using it");
    qemu_error(&to, &from, "let the guest run");
    assert_int_equal(to.code, ERR_LOCKED);
    assert_non_null(strstr(to.msg, "let the guest run: Failed to get"));
    (void)err_set(&from, ERR_HYPERVISOR,
                  "QEMU did not start: -device ide-hd: Failed to get \"write\" lock Is another "
                  "process using the image [/a/b.img]?");
    qemu_error(&to, &from, NULL);
    assert_int_equal(to.code, ERR_LOCKED);
    assert_non_null(strstr(to.msg, "the image /a/b.img is in use: end the process"));
    (void)err_set(&from, ERR_HYPERVISOR, "no");
    qemu_error(&to, &from, NULL);
    assert_int_equal(to.code, ERR_HYPERVISOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_lines_are_understood),
        cmocka_unit_test(bad_lines_are_refused),
        cmocka_unit_test(depth_number_and_length_are_bounded),
        cmocka_unit_test(states_follow_from_what_qemu_says),
        cmocka_unit_test(a_lock_that_is_held_is_told_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
