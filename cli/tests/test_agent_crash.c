/* A crash of either host's agent after every step, and a second one after every later step: a start
 * and a migration, guarded or not, with a state and hypervisors made by hand, end the same way. The
 * guard goes on when the agent dies, and a guarded copy never executes without it. */

#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/quorated/agent_core.h"

#define OP_ID 40u
#define STEPS 30

struct model {
    struct guest guest;
    struct op op;
    struct hv_info copy[2];
    uint32_t n_copies[2];
    struct agent_memory memory[2];
    bool held[2]; /* The guard has the copy. */
    uint64_t next_epoch;
    bool filed; /* The guest's memory is in the file. */
};

static struct model m; /* Large. */
static const char *const hosts[] = {"h1", "h2"};

static struct agent_answer decide(int h)
{
    struct agent_input in = {.current = true,
                             .host = hosts[h],
                             .guest = &m.guest,
                             .op = m.guest.op != 0 ? &m.op : NULL,
                             .copies = &m.copy[h],
                             .n_copies = m.n_copies[h],
                             .memory = &m.memory[h],
                             .guarding = true,
                             .protect = m.guest.guarded,
                             .lease_allows = true,
                             .held = &m.held[h],
                             .now_ms = 1000000};
    return agent_decide(&in);
}

static void put_copy(int h, uint64_t epoch, enum hv_state state)
{
    assert_int_equal(m.n_copies[h], 0);
    m.n_copies[h] = 1;
    m.copy[h].key.epoch = epoch;
    m.copy[h].state = state;
    m.held[h] = false;
}

static void end_op(enum guest_state state)
{
    m.guest.op = 0;
    m.guest.state = state;
}

static void report(const struct agent_answer *a, int h)
{
    assert_string_equal(m.guest.host, hosts[h]);
    assert_int_equal(a->epoch, m.guest.run_epoch);
    if (a->what == REPORT_STARTED) {
        assert_true(m.guest.saved[0] == '\0');
        end_op(GUEST_RUNNING);
    } else if (a->what == REPORT_RESTORED) {
        assert_true(m.guest.saved[0] != '\0');
        memset(m.guest.saved, 0, sizeof m.guest.saved);
        end_op(GUEST_RUNNING);
    } else if (a->what == REPORT_FAILED && m.guest.state == GUEST_SAVING) {
        end_op(GUEST_RUNNING);
    } else {
        assert_int_equal(a->what, REPORT_EXITED);
        end_op(GUEST_STARTING);
        m.guest.run_epoch = m.next_epoch++;
    }
}

/* The save is decided, and the guest resumed on the other host at once. */
static void saved(void)
{
    assert_true(m.filed);
    m.op.kind = OP_RESUME;
    m.op.phase = OP_PHASE_WORK;
    m.guest.state = GUEST_STARTING;
    (void)str_copy(m.guest.host, sizeof m.guest.host, "h2");
    (void)str_copy(m.guest.saved, sizeof m.guest.saved, "/f");
    m.guest.run_epoch = m.next_epoch++;
}

static void propose(const struct agent_answer *a, int h)
{
    bool open = m.guest.op != 0;
    if (a->act == AGENT_PREPARED && open && m.op.phase == OP_PHASE_PREPARE) {
        m.op.phase = OP_PHASE_TRANSFER;
    } else if (a->act == AGENT_SWITCH && open && m.op.phase == OP_PHASE_TRANSFER) {
        m.op.phase = OP_PHASE_SWITCHED;
        (void)str_copy(m.guest.host, sizeof m.guest.host, "h2");
        m.guest.run_epoch = m.op.dst_epoch;
    } else if (a->act == AGENT_ABORT && open && m.op.phase < OP_PHASE_SWITCHED) {
        end_op(GUEST_RUNNING);
    } else if (a->act == AGENT_SAVED && open && m.op.kind == OP_SAVE) {
        saved();
    } else if (a->act == AGENT_REPORT) {
        report(a, h);
    }
}

/* One act of one host; false: it had none. */
static bool step(int h)
{
    struct agent_answer a = decide(h);
    switch (a.act) {
    case AGENT_NONE: return false;
    case AGENT_DESTROY: m.n_copies[h] = 0; break;
    case AGENT_START:
        put_copy(h, a.epoch,
                 m.guest.saved[0] != '\0' ? HV_ARRIVED
                 : m.guest.guarded        ? HV_PAUSED
                                          : HV_RUNNING);
        break;
    case AGENT_SAVE:
        m.memory[h].sent_op = OP_ID;
        m.copy[h].state = HV_DEPARTED;
        m.filed = true;
        break;
    case AGENT_GUARD:
        assert_false(m.held[h]);
        m.held[h] = true;
        break;
    case AGENT_UNPAUSE: m.copy[h].state = HV_RUNNING; break;
    case AGENT_INCOMING:
        put_copy(h, a.epoch, HV_INCOMING);
        m.memory[h].incoming_epoch = a.epoch;
        break;
    case AGENT_MIGRATE:
        m.memory[h].sent_op = OP_ID;
        if (m.n_copies[1] == 1 && m.copy[1].state == HV_INCOMING) {
            m.copy[0].state = HV_DEPARTED;
            m.copy[1].state = HV_ARRIVED;
        } else {
            (void)err_set(&m.memory[h].send, ERR_HYPERVISOR, "nobody listens");
        }
        break;
    case AGENT_UNGUARD:
    case AGENT_DEVICE:
    case AGENT_SHUTDOWN:
    case AGENT_PAUSE:
    case AGENT_CANCEL: fail_msg("%s was not asked for", agent_act_name(a.act)); break;
    case AGENT_REPORT:
    case AGENT_PREPARED:
    case AGENT_SWITCH:
    case AGENT_ABORT:
    case AGENT_SAVED: propose(&a, h); break;
    }
    bool both = m.n_copies[0] == 1 && m.n_copies[1] == 1;
    for (int i = 0; i < 2 && m.guest.guarded; i++) {
        assert_true(m.n_copies[i] == 0 || m.copy[i].state != HV_RUNNING || m.held[i]);
    }
    /* While the file is good for a run, nothing runs. */
    for (int i = 0; i < 2 && m.guest.saved[0] != '\0'; i++) {
        assert_true(m.n_copies[i] == 0 || m.copy[i].state != HV_RUNNING);
    }
    assert_false(both && m.copy[0].state == HV_RUNNING && m.copy[1].state == HV_RUNNING);
    return true;
}

/* What was remembered is gone, and so is a copy that was being received. */
static void crash(int h)
{
    memset(&m.memory[h], 0, sizeof m.memory[h]);
    if (m.n_copies[h] == 1 && m.copy[h].state == HV_INCOMING) {
        m.n_copies[h] = 0;
    }
    if (m.guest.op != 0 && (m.op.kind == OP_MIGRATE || m.op.kind == OP_SAVE) &&
        m.op.phase == OP_PHASE_TRANSFER) {
        m.memory[h].inherited_op = OP_ID;
    }
}

static void begin(bool migrate, bool guarded)
{
    memset(&m, 0, sizeof m);
    schema_init(&schema_guest, &m.guest);
    schema_init(&schema_op, &m.op);
    (void)str_copy(m.guest.host, sizeof m.guest.host, "h1");
    m.guest.run_epoch = 7;
    m.guest.want = WANT_RUNNING;
    m.guest.state = migrate ? GUEST_MIGRATING : GUEST_STARTING;
    m.guest.op = OP_ID;
    m.next_epoch = 10;
    m.op.id = OP_ID;
    m.op.kind = migrate ? OP_MIGRATE : OP_START;
    m.op.phase = migrate ? OP_PHASE_PREPARE : OP_PHASE_WORK;
    m.op.src_epoch = 7;
    m.op.dst_epoch = 9;
    (void)str_copy(m.op.src, sizeof m.op.src, "h1");
    (void)str_copy(m.op.dst, sizeof m.op.dst, "h2");
    m.guest.guarded = guarded;
    if (migrate) {
        put_copy(0, 7, HV_RUNNING);
        m.held[0] = guarded;
    }
}

/* Host `first` goes first in every round. Returns the steps that it took. */
static int run(int first, int crash_at, int second_at, int crashed)
{
    int steps = 0;
    bool moved = true;
    while (moved) {
        moved = false;
        for (int i = 0; i < 2; i++) {
            if (step((first + i) % 2)) {
                moved = true;
                steps++;
            }
            if (steps == crash_at || steps == second_at) {
                crash(crashed);
                moved = true;
                crash_at = steps == crash_at ? -1 : crash_at;
                second_at = steps == second_at ? -1 : second_at;
            }
        }
        assert_in_range(steps, 0, STEPS);
    }
    return steps;
}

static void check_end(void)
{
    int h = strcmp(m.guest.host, "h2") == 0 ? 1 : 0;
    assert_int_equal(m.guest.state, GUEST_RUNNING);
    assert_int_equal(m.guest.op, 0);
    assert_int_equal(m.n_copies[h], 1);
    assert_int_equal(m.n_copies[1 - h], 0);
    assert_int_equal(m.copy[h].state, HV_RUNNING);
    assert_int_equal(m.copy[h].key.epoch, m.guest.run_epoch);
}

static void sweep(bool migrate)
{
    for (int k = 0; k < STEPS * STEPS * 8; k++) {
        begin(migrate, k >= STEPS * STEPS * 4);
        (void)run(k % 2, k / 4 % STEPS, k / 4 / STEPS % STEPS, k / 2 % 2);
        check_end();
        /* Nothing died: the guest is where it was or where it should go, in its first run there. */
        assert_int_equal(m.next_epoch, 10);
    }
}

static void a_start_survives_crashes_after_every_step(void **unused)
{
    (void)unused;
    sweep(/*migrate=*/false);
    assert_int_equal(m.guest.run_epoch, 7);
}

static void a_migration_survives_crashes_after_every_step(void **unused)
{
    (void)unused;
    begin(/*migrate=*/true, /*guarded=*/false);
    assert_int_equal(run(0, -1, -1, 0),
                     7); /* incoming, prepared, stream, switch, two ends, started */
    check_end();
    assert_string_equal(m.guest.host, "h2");
    sweep(/*migrate=*/true);
}

static void begin_save(bool guarded)
{
    begin(/*migrate=*/true, guarded);
    m.guest.state = GUEST_SAVING;
    m.op.kind = OP_SAVE;
    m.op.phase = OP_PHASE_TRANSFER;
    memset(m.op.dst, 0, sizeof m.op.dst);
    m.op.dst_epoch = 0;
}

static void a_save_and_a_resume_survive_crashes_after_every_step(void **unused)
{
    (void)unused;
    begin_save(/*guarded=*/false);
    (void)run(0, -1, -1, 0);
    check_end();
    assert_string_equal(m.guest.host, "h2");
    unsigned moved = 0;
    for (int k = 0; k < STEPS * STEPS * 8; k++) {
        begin_save(k >= STEPS * STEPS * 4);
        (void)run(k % 2, k / 4 % STEPS, k / 4 / STEPS % STEPS, k / 2 % 2);
        check_end();
        assert_true(m.guest.saved[0] == '\0');
        moved += strcmp(m.guest.host, "h2") == 0 ? 1 : 0;
        assert_in_range(m.next_epoch, 10, 11);
    }
    assert_in_range(moved, 1, STEPS * STEPS * 8 - 1); /* Both ends were seen. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_survives_crashes_after_every_step),
        cmocka_unit_test(a_migration_survives_crashes_after_every_step),
        cmocka_unit_test(a_save_and_a_resume_survive_crashes_after_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
