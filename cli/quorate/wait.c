#include "cli/quorate/wait.h"

#include <inttypes.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorate/human.h"
#include "cli/quorate/run.h"
#include "cli/quorate/table.h"

/* The server answers after this long at the latest, so that a silent host is noticed. */
#define ROUND_MS   2000
#define SILENCE_MS 6000
/* How long the pool may be out of reach before waiting is given up. */
#define LOST_MS 60000
/* On a pipe: a line at every tenth. */
#define STEP_PERCENT 10

struct progress {
    struct cli *cli;
    struct api_op op;
    bool shown;     /* A line stands on the terminal. */
    bool any;       /* op holds something. */
    uint32_t phase; /* Last printed on a pipe. */
    uint32_t step;
};

void wait_line(const struct api_op *op, unsigned width, struct buf *out)
{
    buf_printf(out, "%s %s", op->kind < enum_op_kind.n ? enum_op_kind.names[op->kind] : "?",
               op->subject);
    if (op->kind != OP_MIGRATE) {
        return;
    }
    buf_printf(out, " %s -> %s", op->src, op->dst);
    unsigned bar = width > 140 ? 30 : width > 115 ? 12 : 0;
    if (bar > 0) {
        unsigned full = bar * (op->progress > 100 ? 100 : op->progress) / 100;
        buf_printf(out, " [");
        for (unsigned i = 0; i < bar; i++) {
            buf_put_u8(out, i < full ? '#' : '-');
        }
        buf_printf(out, "]");
    }
    buf_printf(out, " %" PRIu32 "%%, %s", op->progress,
               op->phase < enum_op_phase.n ? enum_op_phase.names[op->phase] : "?");
    if (op->sent_bytes > 0) {
        buf_printf(out, ", ");
        human_bytes(op->sent_bytes, out);
        buf_printf(out, " sent, ");
        human_bytes(op->rate_bytes_per_s, out);
        buf_printf(out, "/s, dirty ");
        human_bytes(op->dirty_bytes_per_s, out);
        buf_printf(out, "/s, downtime %" PRIu32 "ms", op->downtime_ms);
    }
}

static void redraw(struct progress *p)
{
    CLEANUP(buf_done) struct buf line = {0};
    wait_line(&p->op, p->cli->err_width, &line);
    unsigned width = p->cli->err_width > 1 ? p->cli->err_width - 1 : 79;
    int len = (int)min_u64(line.len, width);
    (void)fprintf(p->cli->err, "\r%.*s\033[K", len, (const char *)line.data);
    (void)fflush(p->cli->err);
    p->shown = true;
}

static void print_step(struct progress *p)
{
    uint32_t step = p->op.progress / STEP_PERCENT;
    if (p->op.kind != OP_MIGRATE || (p->op.phase == p->phase && step == p->step)) {
        return;
    }
    p->phase = p->op.phase;
    p->step = step;
    CLEANUP(buf_done) struct buf line = {0};
    wait_line(&p->op, 0, &line);
    (void)fprintf(p->cli->err, "%.*s\n", (int)line.len, (const char *)line.data);
    (void)fflush(p->cli->err);
}

static void show(struct progress *p)
{
    if (p->cli->opt.quiet || p->cli->opt.json || p->op.state != OP_RUNNING) {
        return;
    }
    if (p->cli->err_tty) {
        redraw(p);
    } else {
        print_step(p);
    }
}

static void wipe(struct progress *p)
{
    if (p->shown) {
        (void)fputs("\r\033[K", p->cli->err);
        (void)fflush(p->cli->err);
        p->shown = false;
    }
}

static int on_notice(void *ctx, const char *method, const struct buf *body, struct err *e)
{
    struct progress *p = ctx;
    if (strcmp(method, "progress") != 0) {
        return 0; /* Of a newer server. */
    }
    int rc = schema_decode_all(&schema_api_op, body->data, body->len, &p->op, e);
    if (rc != 0) {
        return err_wrap(e, "progress");
    }
    show(p);
    return 0;
}

/* One call of `wait`: the operation as it stands afterwards. */
static int
wait_round(struct link *l, struct progress *p, uint64_t id, uint64_t deadline, struct err *e)
{
    uint64_t now = l->cli->clock->mono_ms(l->cli->clock);
    CLEANUP(buf_done) struct buf params = {0};
    CLEANUP(buf_done) struct buf result = {0};
    mp_put_map(&params, 2);
    mp_put_str(&params, "op");
    mp_put_uint(&params, id);
    mp_put_str(&params, "deadline_ms");
    mp_put_uint(&params, min_u64(ROUND_MS, deadline > now ? deadline - now : 1));
    struct link_call call = {.method = "wait",
                             .params = &params,
                             .deadline = min_u64(deadline, now + LOST_MS),
                             .idle_ms = SILENCE_MS,
                             .notice = on_notice,
                             .ctx = p};
    int rc = link_call(l, &call, &result, NULL, e);
    if (rc == 0) {
        rc = schema_decode_all(&schema_api_op, result.data, result.len, &p->op, e);
    }
    return rc;
}

int wait_op(struct link *l, uint64_t id, struct api_op *ret, struct err *e)
{
    struct progress p = {.cli = l->cli, .phase = UINT32_MAX};
    uint64_t deadline = l->cli->opt.timeout_ms == 0 ? UINT64_MAX : link_deadline(l, 0);
    int rc;
    for (;;) {
        rc = wait_round(l, &p, id, deadline, e);
        if (rc != 0 || p.op.state != OP_RUNNING) {
            break;
        }
        show(&p);
        if (l->cli->clock->mono_ms(l->cli->clock) >= deadline) {
            rc = err_set(e, ERR_TIMEOUT, "operation %" PRIu64 " is still under way", id);
            break;
        }
    }
    wipe(&p);
    if (rc == 0) {
        *ret = p.op;
    }
    return rc;
}

/* How long the guest stood still in all, and what of it for which reason. The figures come outside
 * the log, so any may be missing. */
static void put_stand_still(const struct api_op *op, struct buf *out)
{
    uint64_t all = (uint64_t)op->downtime_ms + op->commit_ms + op->resume_ms;
    if (all == 0) {
        return;
    }
    buf_printf(out, ", it stood still for %" PRIu64 "ms", all);
    if (op->commit_ms != 0 && op->resume_ms != 0) {
        buf_printf(out, ": %" PRIu32 " last pass, %" PRIu32 " commit, %" PRIu32 " resume",
                   op->downtime_ms, op->commit_ms, op->resume_ms);
    }
}

static void put_success(const struct api_op *op, struct buf *out)
{
    const char *host = *op->dst != '\0' ? op->dst : op->src;
    switch ((enum op_kind)op->kind) {
    case OP_START: buf_printf(out, "guest %s is running on %s", op->subject, host); break;
    case OP_SHUTDOWN: buf_printf(out, "guest %s has shut down", op->subject); break;
    case OP_SAVE: buf_printf(out, "guest %s is saved", op->subject); break;
    case OP_RESUME: buf_printf(out, "guest %s goes on, on %s", op->subject, host); break;
    case OP_ATTACH: buf_printf(out, "the device is attached to guest %s", op->subject); break;
    case OP_DETACH: buf_printf(out, "the device is detached from guest %s", op->subject); break;
    case OP_REBOOT: buf_printf(out, "guest %s has rebooted", op->subject); break;
    case OP_DESTROY: buf_printf(out, "guest %s is stopped", op->subject); break;
    case OP_PAUSE: buf_printf(out, "guest %s is paused", op->subject); break;
    case OP_UNPAUSE: buf_printf(out, "guest %s goes on", op->subject); break;
    case OP_MIGRATE:
        buf_printf(out, "guest %s runs on %s now", op->subject, op->dst);
        put_stand_still(op, out);
        break;
    case OP_EVACUATE:
        buf_printf(out, "host %s is empty: %" PRIu32 " guests were moved", op->subject, op->moved);
        break;
    case OP_RETURN:
        buf_printf(out, "%" PRIu32 " guests came back to host %s", op->moved, op->subject);
        break;
    case OP_RESTART: buf_printf(out, "%" PRIu32 " hosts were restarted", op->moved); break;
    }
    buf_printf(out, " (operation %" PRIu64, op->id);
    if (op->ended_ms >= op->created_ms && op->ended_ms != 0) {
        buf_printf(out, ", ");
        human_span(op->ended_ms - op->created_ms, out);
    }
    buf_printf(out, ")");
}

int wait_report(struct cli *cli, const struct api_op *op)
{
    if (op->state == OP_DONE) {
        CLEANUP(buf_done) struct buf text = {0};
        put_success(op, &text);
        if (!cli->opt.quiet && !cli->opt.json) {
            (void)fprintf(cli->out, "%.*s\n", (int)text.len, (const char *)text.data);
        }
        return EXIT_STATUS_OK;
    }
    int code = op->code != 0               ? -(int)op->code
               : op->state == OP_CANCELLED ? ERR_CANCELLED
                                           : ERR_INTERNAL;
    const char *kind = op->kind < enum_op_kind.n ? enum_op_kind.names[op->kind] : "?";
    const char *why = *op->reason != '\0' ? op->reason : err_text(code);
    if (op->state == OP_CANCELLED) {
        cli_say(cli, "%s of %s was cancelled%s%s (operation %" PRIu64 ")", kind, op->subject,
                *op->reason == '\0' ? "" : ": ", op->reason, op->id);
    } else {
        /* Where it failed matters to a start: "this host" in the reason is that one. */
        bool start = op->kind == OP_START && *op->dst != '\0';
        cli_say(cli, "%s of %s%s%s failed: %s (operation %" PRIu64 ")", kind, op->subject,
                start ? " on " : "", start ? op->dst : "", why, op->id);
    }
    int status = err_exit_status(code);
    /* Whatever the code: a failed operation is no success. */
    return status == EXIT_STATUS_OK ? EXIT_STATUS_FAILED : status;
}

int wait_broken(struct cli *cli, uint64_t id, const struct err *e)
{
    if (e->code == ERR_CANCELLED) {
        cli_say(cli, "interrupted; operation %" PRIu64 " goes on: quorate op show %" PRIu64, id,
                id);
        return EXIT_STATUS_INTERRUPTED;
    }
    cli_say(cli, "%s; look at operation %" PRIu64 " with: quorate op show %" PRIu64, e->msg, id,
            id);
    return err_exit_status(e->code);
}

int run_op_wait(struct cli *cli, const struct parsed *p)
{
    const struct args_id *a = p->record;
    struct link l;
    struct err e = {0};
    struct api_op op;
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    int rc = wait_op(&l, a->id, &op, &e);
    link_done(&l);
    if (rc == ERR_NOT_FOUND) {
        return cli_fail(cli, &e);
    }
    if (rc != 0) {
        return wait_broken(cli, a->id, &e);
    }
    if (cli->opt.json) {
        (void)table_print_one(cli, &schema_api_op, &op);
    }
    return wait_report(cli, &op);
}
