/* The three tables of README.md, and the few facts that a copy's state does not tell. */

#include "migration/migration.h"

#include <assert.h>

#include "core/mark.h"
#include "core/mutant.h"

#define STATES (HV_PANICKED + 1)

/* What a state of the copy means for one side in one phase; see the functions below. */
enum row {
    WAIT,
    DESTROY,
    KEEP_RUNNING, /* It runs: pause it if that is wanted. */
    KEEP_PAUSED,  /* It stands still: let it go on if that is wanted. */
    CANCEL,
    CRASHED,
    EXITED,
    SEND,
    SENDING,
    SENT,
    MAKE,
    LISTENS,
    LOST,
    ARRIVING,
    HERE_RUNNING,
    HERE_PAUSED
};

static const enum row source_prepare[STATES] = {
    [HV_GONE] = EXITED,        [HV_STARTING] = WAIT,        [HV_RUNNING] = KEEP_RUNNING,
    [HV_PAUSED] = KEEP_PAUSED, [HV_INCOMING] = DESTROY,     [HV_ARRIVED] = KEEP_PAUSED,
    [HV_OUTGOING] = CANCEL,    [HV_DEPARTED] = KEEP_PAUSED, /* Of an earlier migration. */
    [HV_PANICKED] = CRASHED,
};

static const enum row source_transfer[STATES] = {
    [HV_GONE] = EXITED,      [HV_STARTING] = WAIT,    [HV_RUNNING] = SEND,
    [HV_PAUSED] = SEND,      [HV_INCOMING] = DESTROY, [HV_ARRIVED] = SEND,
    [HV_OUTGOING] = SENDING, [HV_DEPARTED] = SENT,    [HV_PANICKED] = CRASHED,
};

static const enum row target_prepare[STATES] = {
    [HV_GONE] = MAKE,        [HV_STARTING] = WAIT,    [HV_RUNNING] = DESTROY,
    [HV_PAUSED] = DESTROY,   [HV_INCOMING] = LISTENS, [HV_ARRIVED] = DESTROY,
    [HV_OUTGOING] = DESTROY, [HV_DEPARTED] = DESTROY, [HV_PANICKED] = DESTROY,
};

static const enum row target_transfer[STATES] = {
    [HV_GONE] = LOST,        [HV_STARTING] = WAIT,    [HV_RUNNING] = DESTROY,
    [HV_PAUSED] = DESTROY,   [HV_INCOMING] = WAIT,    [HV_ARRIVED] = WAIT,
    [HV_OUTGOING] = DESTROY, [HV_DEPARTED] = DESTROY, [HV_PANICKED] = DESTROY,
};

static const enum row owner_switched[STATES] = {
    [HV_GONE] = EXITED,        [HV_STARTING] = WAIT,        [HV_RUNNING] = HERE_RUNNING,
    [HV_PAUSED] = HERE_PAUSED, [HV_INCOMING] = ARRIVING,    [HV_ARRIVED] = HERE_PAUSED,
    [HV_OUTGOING] = CANCEL,    [HV_DEPARTED] = HERE_PAUSED, [HV_PANICKED] = CRASHED,
};

static struct migration_answer answer(enum migration_step step)
{
    return (struct migration_answer){.step = step, .text = ""};
}

static struct migration_answer give_up(enum migration_step step, int code, const char *text)
{
    return (struct migration_answer){.step = step, .code = code, .text = text};
}

static struct migration_answer abort_for(const struct err *why)
{
    if (why != NULL && why->code != 0) {
        MARK(stream_failed);
        return give_up(MIGRATION_ABORT, why->code, why->msg);
    }
    return give_up(MIGRATION_ABORT, ERR_HYPERVISOR, "the stream ended without success");
}

/* Not CANCELLED: nobody asked for it. A retry of the migration may well succeed. */
static struct migration_answer abort_restarted(void)
{
    MARK(source_restarted);
    return give_up(MIGRATION_ABORT, ERR_CLOSED, "the source's daemon was restarted meanwhile");
}

static struct migration_answer source_send(const struct migration_facts *f)
{
    if (f->sending) {
        return answer(MIGRATION_WAIT);
    }
    if (f->sent) {
        return abort_for(f->send);
    }
    /* An earlier run may have used the incoming copy up, which takes one stream only. */
    return f->inherited ? abort_restarted() : answer(MIGRATION_SEND);
}

static struct migration_answer source_sending(const struct migration_facts *f)
{
    if (f->sending) {
        return answer(MIGRATION_WAIT);
    }
    return f->sent ? abort_for(f->send) : abort_restarted();
}

/* DEPARTED says that a stream completed, not which: a source that was cut off while one migration
 * was aborted and the next was prepared finds its copy still DEPARTED from the first. To switch
 * then would pass the guest to an empty copy. So only the run that began this stream proposes the
 * switch; any other one aborts, which is always safe and costs a retry. */
static struct migration_answer source_sent(const struct migration_facts *f)
{
    if (f->sending) {
        return answer(MIGRATION_WAIT);
    }
    if (f->sent) {
        return answer(MIGRATION_SWITCH);
    }
    if (MUTANT(resume_without_abort)) {
        return answer(MIGRATION_UNPAUSE);
    }
    return f->inherited ? abort_restarted()
                        : give_up(MIGRATION_ABORT, ERR_STATE,
                                  "it stands still since an earlier migration; unpause it first");
}

static struct migration_answer target_make(const struct migration_facts *f)
{
    if (f->preparing) {
        return answer(MIGRATION_WAIT);
    }
    return f->lost->code != 0 ? abort_for(f->lost) : answer(MIGRATION_PREPARE);
}

static struct migration_answer target_listens(const struct migration_facts *f)
{
    if (f->preparing) {
        return answer(MIGRATION_WAIT);
    }
    /* A copy whose address is not known was made by an earlier run; nobody can reach it. */
    return answer(f->address_known ? MIGRATION_PREPARED : MIGRATION_DESTROY);
}

static struct migration_answer target_lost(const struct migration_facts *f)
{
    return f->lost->code != 0 ? abort_for(f->lost)
                              : give_up(MIGRATION_ABORT, ERR_LOST, "the target lost its copy");
}

static struct migration_answer owner_paused(const struct migration_facts *f)
{
    if (f->want == WANT_PAUSED) {
        return answer(MIGRATION_STARTED);
    }
    /* For a moment the source's copy may still hold the disks. */
    return f->tries < MIGRATION_TRIES_UNPAUSE
               ? answer(MIGRATION_UNPAUSE)
               : give_up(MIGRATION_FAILED, ERR_HYPERVISOR, "the copy that arrived does not run");
}

static struct migration_answer step_of(enum row row, const struct migration_facts *f)
{
    bool want_paused = f->want == WANT_PAUSED;
    switch (row) {
    case WAIT: return answer(MIGRATION_WAIT);
    case DESTROY: return answer(MIGRATION_DESTROY);
    case KEEP_RUNNING: return answer(want_paused ? MIGRATION_PAUSE : MIGRATION_WAIT);
    case KEEP_PAUSED: return answer(want_paused ? MIGRATION_WAIT : MIGRATION_UNPAUSE);
    case CANCEL: return answer(MIGRATION_CANCEL);
    case CRASHED: return answer(MIGRATION_CRASHED);
    case EXITED: return answer(MIGRATION_EXITED);
    case SEND: return source_send(f);
    case SENDING: return source_sending(f);
    case SENT: return source_sent(f);
    case MAKE: return target_make(f);
    case LISTENS: return target_listens(f);
    case LOST: return target_lost(f);
    case ARRIVING:
        return answer(f->tries < MIGRATION_TRIES_INCOMING ? MIGRATION_UNPAUSE : MIGRATION_DESTROY);
    case HERE_RUNNING: return answer(want_paused ? MIGRATION_PAUSE : MIGRATION_STARTED);
    case HERE_PAUSED: return owner_paused(f);
    }
    return answer(MIGRATION_WAIT);
}

struct migration_answer migration_source(const struct migration_facts *f)
{
    assert(f->op->phase == OP_PHASE_PREPARE || f->op->phase == OP_PHASE_TRANSFER);
    MARK_IF(source_departed, f->copy == HV_DEPARTED);
    const enum row *rows = f->op->phase == OP_PHASE_PREPARE ? source_prepare : source_transfer;
    return step_of(rows[f->copy], f);
}

struct migration_answer migration_target(const struct migration_facts *f)
{
    assert(f->op->phase == OP_PHASE_PREPARE || f->op->phase == OP_PHASE_TRANSFER);
    if (MUTANT(switch_before_commit) && f->copy == HV_ARRIVED) {
        return answer(MIGRATION_UNPAUSE);
    }
    MARK_IF(target_gone, f->op->phase == OP_PHASE_TRANSFER && f->copy == HV_GONE);
    const enum row *rows = f->op->phase == OP_PHASE_PREPARE ? target_prepare : target_transfer;
    return step_of(rows[f->copy], f);
}

struct migration_answer migration_owner(const struct migration_facts *f)
{
    assert(f->op->phase == OP_PHASE_SWITCHED);
    MARK_IF(switched_arrived, f->copy == HV_ARRIVED);
    MARK_IF(switched_gone, f->copy == HV_GONE);
    return step_of(owner_switched[f->copy], f);
}
