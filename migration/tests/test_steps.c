/* What each side does for every phase and state of its copy: the tables of README.md. */

#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "migration/migration.h"

enum {
    WAIT = MIGRATION_WAIT,
    DESTROY = MIGRATION_DESTROY,
    PAUSE = MIGRATION_PAUSE,
    UNPAUSE = MIGRATION_UNPAUSE,
    PREPARE = MIGRATION_PREPARE,
    TELL = MIGRATION_PREPARED,
    SEND = MIGRATION_SEND,
    CANCEL = MIGRATION_CANCEL,
    SWITCH = MIGRATION_SWITCH,
    ABORT = MIGRATION_ABORT,
    STARTED = MIGRATION_STARTED,
    CRASHED = MIGRATION_CRASHED,
    EXITED = MIGRATION_EXITED
};

typedef struct migration_answer (*side_fn)(const struct migration_facts *f);

struct row {
    side_fn side;
    enum op_phase phase;
    enum guest_want want;
    const char
        *facts; /* Letters: i inherited, g sending, s sent, p preparing, a address known, l lost. */
    int cells[HV_PANICKED + 1];
};

/* clang-format off */
static const struct row rows[] = {
    /*                                                                 gone     starting running  paused   incoming arrived  outgoing departed panicked */
    {migration_source, OP_PHASE_PREPARE,  WANT_RUNNING, "",           {EXITED,  WAIT,    WAIT,    UNPAUSE, DESTROY, UNPAUSE, CANCEL,  UNPAUSE, CRASHED}},
    {migration_source, OP_PHASE_PREPARE,  WANT_PAUSED,  "",           {EXITED,  WAIT,    PAUSE,   WAIT,    DESTROY, WAIT,    CANCEL,  WAIT,    CRASHED}},
    {migration_source, OP_PHASE_TRANSFER, WANT_RUNNING, "",           {EXITED,  WAIT,    SEND,    SEND,    DESTROY, SEND,    ABORT,   ABORT,   CRASHED}},
    {migration_source, OP_PHASE_TRANSFER, WANT_RUNNING, "i",          {EXITED,  WAIT,    ABORT,   ABORT,   DESTROY, ABORT,   ABORT,   ABORT,   CRASHED}},
    {migration_source, OP_PHASE_TRANSFER, WANT_RUNNING, "sg",         {EXITED,  WAIT,    WAIT,    WAIT,    DESTROY, WAIT,    WAIT,    WAIT,    CRASHED}},
    {migration_source, OP_PHASE_TRANSFER, WANT_RUNNING, "s",          {EXITED,  WAIT,    ABORT,   ABORT,   DESTROY, ABORT,   ABORT,   SWITCH,  CRASHED}},
    {migration_target, OP_PHASE_PREPARE,  WANT_RUNNING, "",           {PREPARE, WAIT,    DESTROY, DESTROY, DESTROY, DESTROY, DESTROY, DESTROY, DESTROY}},
    {migration_target, OP_PHASE_PREPARE,  WANT_RUNNING, "p",          {WAIT,    WAIT,    DESTROY, DESTROY, WAIT,    DESTROY, DESTROY, DESTROY, DESTROY}},
    {migration_target, OP_PHASE_PREPARE,  WANT_RUNNING, "a",          {PREPARE, WAIT,    DESTROY, DESTROY, TELL,    DESTROY, DESTROY, DESTROY, DESTROY}},
    {migration_target, OP_PHASE_PREPARE,  WANT_RUNNING, "l",          {ABORT,   WAIT,    DESTROY, DESTROY, DESTROY, DESTROY, DESTROY, DESTROY, DESTROY}},
    {migration_target, OP_PHASE_TRANSFER, WANT_RUNNING, "a",          {ABORT,   WAIT,    DESTROY, DESTROY, WAIT,    WAIT,    DESTROY, DESTROY, DESTROY}},
    {migration_target, OP_PHASE_TRANSFER, WANT_RUNNING, "l",          {ABORT,   WAIT,    DESTROY, DESTROY, WAIT,    WAIT,    DESTROY, DESTROY, DESTROY}},
    {migration_owner,  OP_PHASE_SWITCHED, WANT_RUNNING, "",           {EXITED,  WAIT,    STARTED, UNPAUSE, UNPAUSE, UNPAUSE, CANCEL,  UNPAUSE, CRASHED}},
    {migration_owner,  OP_PHASE_SWITCHED, WANT_PAUSED,  "",           {EXITED,  WAIT,    PAUSE,   STARTED, UNPAUSE, STARTED, CANCEL,  STARTED, CRASHED}},
};
/* clang-format on */

static struct migration_facts facts(const struct row *r, const struct op *op, enum hv_state copy)
{
    static const struct err none = {0};
    static const struct err lost = {.code = ERR_HYPERVISOR, .msg = "lost"};
    return (struct migration_facts){
        .op = op,
        .want = r->want,
        .copy = copy,
        .inherited = strchr(r->facts, 'i') != NULL,
        .sending = strchr(r->facts, 'g') != NULL,
        .sent = strchr(r->facts, 's') != NULL,
        .send = &none,
        .preparing = strchr(r->facts, 'p') != NULL,
        .address_known = strchr(r->facts, 'a') != NULL,
        .lost = strchr(r->facts, 'l') != NULL ? &lost : &none,
    };
}

static void every_phase_and_copy_has_its_step(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int copy = HV_GONE; copy <= HV_PANICKED; copy++) {
            struct op op = {.kind = OP_MIGRATE, .phase = rows[i].phase};
            struct migration_facts f = facts(&rows[i], &op, (enum hv_state)copy);
            struct migration_answer a = rows[i].side(&f);
            if ((int)a.step != rows[i].cells[copy]) {
                print_error("row %zu, copy %s: %d, not %d\n", i, hv_state_name((enum hv_state)copy),
                            (int)a.step, rows[i].cells[copy]);
            }
            assert_int_equal(a.step, rows[i].cells[copy]);
            assert_non_null(a.text);
            assert_int_equal(a.code != 0, a.step == MIGRATION_ABORT || a.step == MIGRATION_FAILED);
            /* Nobody asked for it: the state machine must not book it as cancelled. */
            assert_int_not_equal(a.code, ERR_CANCELLED);
        }
    }
}

static void a_stream_that_broke_off_is_told_in_its_own_words(void **unused)
{
    (void)unused;
    const struct err broke = {.code = ERR_HYPERVISOR, .msg = "connection reset"};
    struct op op = {.kind = OP_MIGRATE, .phase = OP_PHASE_TRANSFER};
    struct migration_facts f = {.op = &op,
                                .want = WANT_RUNNING,
                                .copy = HV_RUNNING,
                                .sent = true,
                                .send = &broke,
                                .lost = &broke};
    assert_int_equal(migration_source(&f).step, MIGRATION_ABORT);
    assert_string_equal(migration_source(&f).text, "connection reset");
    f.copy = HV_GONE;
    assert_int_equal(migration_target(&f).step, MIGRATION_ABORT);
    assert_int_equal(migration_target(&f).code, ERR_HYPERVISOR);
}

static void a_copy_that_never_completes_or_never_runs_is_given_up(void **unused)
{
    (void)unused;
    struct op op = {.kind = OP_MIGRATE, .phase = OP_PHASE_SWITCHED};
    struct migration_facts f = {.op = &op, .want = WANT_RUNNING, .copy = HV_INCOMING};
    f.tries = MIGRATION_TRIES_INCOMING - 1;
    assert_int_equal(migration_owner(&f).step, MIGRATION_UNPAUSE);
    f.tries = MIGRATION_TRIES_INCOMING;
    assert_int_equal(migration_owner(&f).step, MIGRATION_DESTROY);
    f.copy = HV_ARRIVED;
    assert_int_equal(migration_owner(&f).step, MIGRATION_UNPAUSE);
    f.tries = MIGRATION_TRIES_UNPAUSE;
    assert_int_equal(migration_owner(&f).step, MIGRATION_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_phase_and_copy_has_its_step),
        cmocka_unit_test(a_stream_that_broke_off_is_told_in_its_own_words),
        cmocka_unit_test(a_copy_that_never_completes_or_never_runs_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
