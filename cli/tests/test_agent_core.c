/* The agent's decisions, row by row of the table in agent_core.c, on hand-made inputs. */

#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/quorated/agent_core.h"

#define EPOCH     7u
#define DST_EPOCH 9u
#define OP_ID     40u

struct scene {
    struct guest guest;
    struct op op;
    struct hv_info copies[3];
    struct agent_memory memory;
    struct agent_input in;
};

static struct scene s; /* Large; tests take turns. */

static void scene(enum guest_state state, enum guest_want want)
{
    memset(&s, 0, sizeof s);
    schema_init(&schema_guest, &s.guest);
    schema_init(&schema_op, &s.op);
    (void)str_copy(s.guest.name, sizeof s.guest.name, "web1");
    (void)str_copy(s.guest.host, sizeof s.guest.host, "h1");
    s.guest.run_epoch = EPOCH;
    s.guest.state = state;
    s.guest.want = want;
    s.in = (struct agent_input){.current = true,
                                .host = "h1",
                                .guest = &s.guest,
                                .copies = s.copies,
                                .memory = &s.memory,
                                .now_ms = 1000000};
}

static void copy(uint64_t epoch, enum hv_state state)
{
    if (state != HV_GONE) {
        s.copies[s.in.n_copies].key.epoch = epoch;
        s.copies[s.in.n_copies++].state = state;
    }
}

static void op(enum op_kind kind, enum op_phase phase)
{
    s.op.id = OP_ID;
    s.op.kind = kind;
    s.op.phase = phase;
    s.op.src_epoch = EPOCH;
    s.op.dst_epoch = DST_EPOCH;
    (void)str_copy(s.op.src, sizeof s.op.src, "h1");
    (void)str_copy(s.op.dst, sizeof s.op.dst, "h2");
    s.guest.op = OP_ID;
    s.in.op = &s.op;
}

static struct agent_answer decide(void)
{
    struct agent_answer a = agent_decide(&s.in);
    struct agent_answer again = agent_decide(&s.in);
    assert_int_equal(a.act, again.act); /* Level-triggered. */
    assert_int_equal(a.epoch, again.epoch);
    assert_non_null(a.text);
    return a;
}

static void expect(enum agent_act act)
{
    struct agent_answer a = decide();
    if (a.act != act) {
        print_error("%s, not %s\n", agent_act_name(a.act), agent_act_name(act));
    }
    assert_int_equal(a.act, act);
    if (act != AGENT_NONE) {
        assert_int_equal(a.epoch, EPOCH);
    }
}

static void expect_report(enum guest_report_what what, enum exit_reason exit)
{
    struct agent_answer a = decide();
    assert_int_equal(a.act, AGENT_REPORT);
    assert_int_equal(a.epoch, EPOCH);
    assert_int_equal(a.what, what);
    assert_int_equal(a.exit, exit);
}

/* --- the table */

#define R(WHAT) (100 + (WHAT))

/* A cell: an act, or R(report). */
struct row {
    enum guest_state state;
    enum stop_mode stop;
    enum guest_want want;
    int cells[HV_PANICKED + 1];
};

enum {
    NONE = AGENT_NONE,
    DESTROY = AGENT_DESTROY,
    PAUSE = AGENT_PAUSE,
    UNPAUSE = AGENT_UNPAUSE,
    CANCEL = AGENT_CANCEL,
    SHUTDOWN = AGENT_SHUTDOWN,
    START = AGENT_START,
    STARTED = R(REPORT_STARTED),
    EXITED = R(REPORT_EXITED),
    PAUSED = R(REPORT_PAUSED),
    UNPAUSED = R(REPORT_UNPAUSED),
    RESTORED = R(REPORT_RESTORED)
};

/* clang-format off */
static const struct row rows[] = {
    /*                                              gone    starting running   paused    incoming  arrived   outgoing departed  panicked */
    {GUEST_STARTING, STOP_NONE,     WANT_RUNNING, {START,  NONE,    STARTED,  UNPAUSE,  DESTROY,  UNPAUSE,  CANCEL,  UNPAUSE,  EXITED}},
    {GUEST_STARTING, STOP_NONE,     WANT_PAUSED,  {START,  NONE,    PAUSE,    STARTED,  DESTROY,  STARTED,  CANCEL,  STARTED,  EXITED}},
    {GUEST_RUNNING,  STOP_NONE,     WANT_RUNNING, {EXITED, NONE,    NONE,     UNPAUSE,  DESTROY,  UNPAUSE,  CANCEL,  UNPAUSE,  EXITED}},
    {GUEST_RUNNING,  STOP_NONE,     WANT_PAUSED,  {EXITED, NONE,    PAUSE,    PAUSED,   DESTROY,  PAUSED,   CANCEL,  PAUSED,   EXITED}},
    {GUEST_PAUSED,   STOP_NONE,     WANT_RUNNING, {EXITED, NONE,    UNPAUSED, UNPAUSE,  DESTROY,  UNPAUSE,  CANCEL,  UNPAUSE,  EXITED}},
    {GUEST_PAUSED,   STOP_NONE,     WANT_PAUSED,  {EXITED, NONE,    PAUSE,    NONE,     DESTROY,  NONE,     CANCEL,  NONE,     EXITED}},
    {GUEST_STOPPING, STOP_SHUTDOWN, WANT_OFF,     {EXITED, NONE,    SHUTDOWN, UNPAUSE,  DESTROY,  UNPAUSE,  CANCEL,  UNPAUSE,  EXITED}},
    {GUEST_STOPPING, STOP_DESTROY,  WANT_OFF,     {EXITED, DESTROY, DESTROY,  DESTROY,  DESTROY,  DESTROY,  DESTROY, DESTROY,  DESTROY}},
    {GUEST_FAILED,   STOP_NONE,     WANT_OFF,     {EXITED, NONE,    NONE,     NONE,     NONE,     NONE,     NONE,    NONE,     NONE}},
};
/* clang-format on */

static void the_owner_follows_the_table(void **unused)
{
    (void)unused;
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        for (int c = HV_GONE; c <= HV_PANICKED; c++) {
            scene(rows[r].state, rows[r].want);
            s.guest.stop = rows[r].stop;
            copy(EPOCH, (enum hv_state)c);
            struct agent_answer a = decide();
            int got = a.act == AGENT_REPORT ? R((int)a.what) : (int)a.act;
            if (got != rows[r].cells[c]) {
                print_error("row %zu, copy %s: %d, not %d\n", r, hv_state_name((enum hv_state)c),
                            got, rows[r].cells[c]);
            }
            assert_int_equal(got, rows[r].cells[c]);
        }
    }
}

static void a_copy_with_a_saved_memory_is_told_before_it_runs(void **unused)
{
    (void)unused;
    static const int cells[] = {START,    NONE,   RESTORED, RESTORED, DESTROY,
                                RESTORED, CANCEL, RESTORED, DESTROY};
    for (int c = HV_GONE; c <= HV_PANICKED; c++) {
        for (int want = WANT_RUNNING; want <= WANT_PAUSED; want++) {
            scene(GUEST_STARTING, (enum guest_want)want);
            (void)str_copy(s.guest.saved, sizeof s.guest.saved, "/f");
            copy(EPOCH, (enum hv_state)c);
            struct agent_answer a = decide();
            assert_int_equal(a.act == AGENT_REPORT ? R((int)a.what) : (int)a.act, cells[c]);
        }
    }
}

static void a_save_is_proposed_only_by_the_run_that_wrote_it(void **unused)
{
    (void)unused;
    scene(GUEST_SAVING, WANT_RUNNING);
    op(OP_SAVE, OP_PHASE_TRANSFER);
    copy(EPOCH, HV_RUNNING);
    expect(AGENT_SAVE);
    s.memory.sent_op = OP_ID;
    s.in.sending = true;
    s.copies[0].state = HV_OUTGOING;
    expect(AGENT_NONE);
    s.in.sending = false;
    s.copies[0].state = HV_DEPARTED;
    expect(AGENT_SAVED);
    s.copies[0].state = HV_RUNNING;
    (void)err_set(&s.memory.send, ERR_NO_SPACE, "full");
    struct agent_answer a = decide();
    assert_int_equal(a.what, REPORT_FAILED);
    assert_int_equal(a.code, ERR_NO_SPACE);
    s.memory = (struct agent_memory){.inherited_op = OP_ID}; /* Another run. */
    s.copies[0].state = HV_DEPARTED;
    expect_report(REPORT_FAILED, EXIT_NONE);
    s.in.n_copies = 0;
    expect_report(REPORT_EXITED, EXIT_LOST);
    scene(GUEST_SAVED, WANT_OFF);
    memset(s.guest.host, 0, sizeof s.guest.host);
    copy(EPOCH, HV_DEPARTED);
    expect(AGENT_DESTROY);
}

static void a_host_without_a_share_in_a_guest_destroys_every_copy(void **unused)
{
    (void)unused;
    for (int state = GUEST_STOPPED; state <= GUEST_FAILED; state++) {
        for (int c = HV_STARTING; c <= HV_PANICKED; c++) {
            scene((enum guest_state)state, WANT_RUNNING);
            (void)str_copy(s.guest.host, sizeof s.guest.host, state % 2 == 0 ? "" : "h2");
            copy(EPOCH, (enum hv_state)c);
            expect(AGENT_DESTROY);
        }
        scene((enum guest_state)state, WANT_RUNNING);
        (void)str_copy(s.guest.host, sizeof s.guest.host, "h2");
        expect(AGENT_NONE);
    }
}

static void a_copy_of_an_unknown_guest_is_destroyed(void **unused)
{
    (void)unused;
    scene(GUEST_RUNNING, WANT_RUNNING);
    s.in.guest = NULL;
    copy(EPOCH, HV_RUNNING);
    expect(AGENT_DESTROY);
    s.in.n_copies = 0;
    expect(AGENT_NONE);
}

static void an_old_copy_goes_before_anything_else(void **unused)
{
    (void)unused;
    scene(GUEST_STARTING, WANT_RUNNING);
    s.guest.run_epoch = EPOCH + 1;
    copy(EPOCH, HV_RUNNING);
    expect(AGENT_DESTROY);
    copy(EPOCH + 1, HV_RUNNING);
    expect(AGENT_DESTROY);
    s.in.destroying = true;
    expect(AGENT_NONE);
}

static void nothing_is_done_before_the_state_is_known_to_be_current(void **unused)
{
    (void)unused;
    scene(GUEST_STARTING, WANT_RUNNING);
    s.in.current = false;
    expect(AGENT_NONE);
    copy(EPOCH - 1, HV_RUNNING);
    expect(AGENT_NONE);
}

/* --- words that were heard */

static void the_word_a_copy_left_is_reported(void **unused)
{
    (void)unused;
    for (int exit = EXIT_POWEROFF; exit <= EXIT_LOST; exit++) {
        scene(GUEST_RUNNING, WANT_RUNNING);
        s.memory.exit_epoch = EPOCH;
        s.memory.exit = (enum exit_reason)exit;
        expect_report(REPORT_EXITED, (enum exit_reason)exit);
        s.guest.state = GUEST_STARTING;
        expect_report(REPORT_EXITED, (enum exit_reason)exit);
        s.memory.exit_epoch = EPOCH - 1; /* Of an earlier run. */
        expect(AGENT_START);
        s.guest.state = GUEST_RUNNING;
        expect_report(REPORT_EXITED, EXIT_LOST);
    }
}

static void a_destroyed_copy_without_a_word_is_reported_as_destroyed(void **unused)
{
    (void)unused;
    scene(GUEST_STOPPING, WANT_OFF);
    s.guest.stop = STOP_DESTROY;
    expect_report(REPORT_EXITED, EXIT_DESTROYED);
    s.guest.stop = STOP_SHUTDOWN;
    expect_report(REPORT_EXITED, EXIT_LOST);
}

static void a_failed_start_is_reported_and_not_tried_again(void **unused)
{
    (void)unused;
    scene(GUEST_STARTING, WANT_RUNNING);
    s.memory.failed_epoch = EPOCH;
    (void)err_set(&s.memory.failed, ERR_HYPERVISOR, "no such kernel");
    struct agent_answer a = decide();
    assert_int_equal(a.act, AGENT_REPORT);
    assert_int_equal(a.what, REPORT_FAILED);
    assert_int_equal(a.code, ERR_HYPERVISOR);
    assert_string_equal(a.text, "no such kernel");
    s.guest.run_epoch = EPOCH + 1; /* The next start is a new one. */
    assert_int_equal(decide().act, AGENT_START);
}

static void a_request_that_fails_is_reported_when_an_operation_waits_for_it(void **unused)
{
    (void)unused;
    scene(GUEST_RUNNING, WANT_PAUSED);
    op(OP_PAUSE, OP_PHASE_WORK);
    copy(EPOCH, HV_RUNNING);
    s.memory.tried = AGENT_PAUSE;
    s.memory.tried_code = ERR_HYPERVISOR;
    s.memory.tries = AGENT_TRIES - 1;
    expect(AGENT_PAUSE);
    s.memory.tries = AGENT_TRIES;
    expect_report(REPORT_FAILED, EXIT_NONE);
    s.in.op = NULL;
    expect(AGENT_PAUSE);
}

static void a_guest_that_does_not_shut_down_is_asked_again(void **unused)
{
    (void)unused;
    scene(GUEST_STOPPING, WANT_OFF);
    s.guest.stop = STOP_SHUTDOWN;
    op(OP_SHUTDOWN, OP_PHASE_WORK);
    copy(EPOCH, HV_RUNNING);
    expect(AGENT_SHUTDOWN);
    s.memory.asked_op = OP_ID;
    s.memory.asked_ms = s.in.now_ms;
    expect(AGENT_NONE);
    assert_int_equal(decide().again_ms, s.in.now_ms + AGENT_ASK_AGAIN_MS);
    s.in.now_ms += AGENT_ASK_AGAIN_MS;
    expect(AGENT_SHUTDOWN);
}

/* --- one thing at a time */

static void only_a_destroy_interrupts_a_request(void **unused)
{
    (void)unused;
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        for (int c = HV_GONE; c <= HV_PANICKED; c++) {
            scene(rows[r].state, rows[r].want);
            s.guest.stop = rows[r].stop;
            s.in.working = true;
            s.in.work_epoch = EPOCH;
            copy(EPOCH, (enum hv_state)c);
            bool destroy = rows[r].stop == STOP_DESTROY || rows[r].cells[c] == DESTROY;
            expect(destroy ? AGENT_DESTROY : AGENT_NONE);
        }
    }
}

static void a_start_that_was_overtaken_is_destroyed(void **unused)
{
    (void)unused;
    scene(GUEST_STARTING, WANT_RUNNING);
    s.in.working = true;
    s.in.work_epoch = EPOCH;
    s.guest.run_epoch = EPOCH + 1;
    expect(AGENT_DESTROY);
    s.in.guest = NULL;
    expect(AGENT_DESTROY);
}

/* --- migration */

static void the_target_may_have_its_copy_until_the_migration_ends(void **unused)
{
    (void)unused;
    for (int phase = OP_PHASE_PREPARE; phase <= OP_PHASE_ENDED; phase++) {
        bool open = phase == OP_PHASE_PREPARE || phase == OP_PHASE_TRANSFER;
        scene(GUEST_MIGRATING, WANT_RUNNING);
        op(OP_MIGRATE, (enum op_phase)phase);
        s.in.host = "h2";
        assert_int_equal(agent_permits(&s.in, DST_EPOCH), open);
        assert_false(agent_permits(&s.in, EPOCH));
        copy(DST_EPOCH, HV_ARRIVED);
        s.memory.incoming_epoch = DST_EPOCH;
        assert_int_equal(decide().act, phase == OP_PHASE_TRANSFER ? AGENT_NONE : AGENT_DESTROY);
    }
}

static void the_target_never_lets_its_copy_run_before_the_switch(void **unused)
{
    (void)unused;
    for (int phase = OP_PHASE_PREPARE; phase <= OP_PHASE_TRANSFER; phase++) {
        for (int c = HV_GONE; c <= HV_PANICKED; c++) {
            for (int known = 0; known < 4; known++) {
                scene(GUEST_MIGRATING, WANT_RUNNING);
                op(OP_MIGRATE, (enum op_phase)phase);
                s.in.host = "h2";
                s.in.working = (known & 1) != 0;
                s.in.work_epoch = DST_EPOCH;
                s.memory.incoming_epoch = (known & 2) != 0 ? DST_EPOCH : 0;
                copy(DST_EPOCH, (enum hv_state)c);
                enum agent_act act = decide().act;
                assert_int_not_equal(act, AGENT_UNPAUSE);
                assert_int_not_equal(act, AGENT_START);
                if (c == HV_RUNNING) {
                    assert_int_equal(act, AGENT_DESTROY);
                }
            }
        }
    }
}

static void the_source_is_never_let_go_on_once_it_departed(void **unused)
{
    (void)unused;
    for (int known = 0; known < 8; known++) {
        scene(GUEST_MIGRATING, WANT_RUNNING);
        op(OP_MIGRATE, OP_PHASE_TRANSFER);
        copy(EPOCH, HV_DEPARTED);
        s.in.sending = (known & 1) != 0;
        s.memory.sent_op = (known & 2) != 0 ? OP_ID : OP_ID - 1;
        s.memory.inherited_op = (known & 4) != 0 ? OP_ID : 0;
        enum agent_act act = decide().act;
        assert_true(act == AGENT_NONE || act == AGENT_SWITCH || act == AGENT_ABORT);
        /* Only the run that began the stream may pass the guest. */
        assert_int_equal(act == AGENT_SWITCH, known == 2 || known == 6);
    }
    scene(GUEST_RUNNING, WANT_RUNNING); /* The abort is applied. */
    copy(EPOCH, HV_DEPARTED);
    expect(AGENT_UNPAUSE);
}

static void after_the_switch_the_source_destroys_and_the_target_goes_on(void **unused)
{
    (void)unused;
    scene(GUEST_MIGRATING, WANT_RUNNING);
    op(OP_MIGRATE, OP_PHASE_SWITCHED);
    (void)str_copy(s.guest.host, sizeof s.guest.host, "h2");
    s.guest.run_epoch = DST_EPOCH;
    copy(EPOCH, HV_DEPARTED);
    expect(AGENT_DESTROY);

    s.in.host = "h2";
    s.copies[0].key.epoch = DST_EPOCH;
    s.copies[0].state = HV_ARRIVED;
    assert_int_equal(decide().act, AGENT_UNPAUSE);
    s.copies[0].state = HV_RUNNING;
    assert_int_equal(decide().act, AGENT_REPORT);
    assert_int_equal(decide().what, REPORT_STARTED);
    assert_int_equal(decide().epoch, DST_EPOCH);
    s.in.n_copies = 0;
    assert_int_equal(decide().what, REPORT_EXITED);
    assert_int_equal(decide().exit, EXIT_LOST);
}

/* A host that stops and lets go: what is protected ends here, and its own word tells of all. */
static void who_lets_go_ends_what_is_protected_and_reports_no_end(void **state)
{
    (void)state;
    static bool held[1];
    held[0] = true;
    scene(GUEST_RUNNING, WANT_RUNNING);
    s.in.guarding = s.in.lets_go = true;
    s.in.held = held;
    s.guest.guarded = true;
    copy(EPOCH, HV_RUNNING);
    expect(AGENT_DESTROY);
    s.in.n_copies = 0;
    expect(AGENT_NONE);
    s.guest.state = GUEST_STARTING;
    expect(AGENT_NONE);
    s.guest.guarded = false;
    s.in.protect = true; /* Its report that it is guarded may be under way. */
    copy(EPOCH, HV_RUNNING);
    expect(AGENT_DESTROY);
    s.in.protect = false;
    expect(AGENT_DESTROY);
    held[0] = false;
    s.guest.state = GUEST_RUNNING;
    expect(AGENT_NONE); /* Nobody else would run it: it goes on. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owner_follows_the_table),
        cmocka_unit_test(a_copy_with_a_saved_memory_is_told_before_it_runs),
        cmocka_unit_test(a_save_is_proposed_only_by_the_run_that_wrote_it),
        cmocka_unit_test(a_host_without_a_share_in_a_guest_destroys_every_copy),
        cmocka_unit_test(a_copy_of_an_unknown_guest_is_destroyed),
        cmocka_unit_test(an_old_copy_goes_before_anything_else),
        cmocka_unit_test(nothing_is_done_before_the_state_is_known_to_be_current),
        cmocka_unit_test(the_word_a_copy_left_is_reported),
        cmocka_unit_test(a_destroyed_copy_without_a_word_is_reported_as_destroyed),
        cmocka_unit_test(a_failed_start_is_reported_and_not_tried_again),
        cmocka_unit_test(a_request_that_fails_is_reported_when_an_operation_waits_for_it),
        cmocka_unit_test(a_guest_that_does_not_shut_down_is_asked_again),
        cmocka_unit_test(only_a_destroy_interrupts_a_request),
        cmocka_unit_test(a_start_that_was_overtaken_is_destroyed),
        cmocka_unit_test(the_target_may_have_its_copy_until_the_migration_ends),
        cmocka_unit_test(the_target_never_lets_its_copy_run_before_the_switch),
        cmocka_unit_test(the_source_is_never_let_go_on_once_it_departed),
        cmocka_unit_test(after_the_switch_the_source_destroys_and_the_target_goes_on),
        cmocka_unit_test(who_lets_go_ends_what_is_protected_and_reports_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
