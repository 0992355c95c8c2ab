#include "chaos-tests/sim/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "chaos-tests/check/scenario.h"
#include "chaos-tests/sim/fault.h"
#include "chaos-tests/sim/workload.h"

#define LINE_BYTES 512

static struct {
    const struct scenario *replay;
    struct plan_log *log;
    struct vevent next;
    size_t done; /* Decisions that were carried out. */
} plan;

/* --- writing down */

void plan_note(const char *words, const char *comment)
{
    char line[LINE_BYTES];
    struct plan_log *log = plan.log;
    if (log == NULL || log->full) {
        return;
    }
    int n = snprintf(line, sizeof line, "at %" PRIu64 "us %s%s%s\n", world.now_ns / NS_PER_US,
                     words, comment == NULL ? "" : "  # ", comment == NULL ? "" : comment);
    size_t len = atomic_load(&log->len);
    if (n < 0 || (size_t)n >= sizeof line || len + (size_t)n > sizeof log->text) {
        log->full = true;
        return;
    }
    memcpy(log->text + len, line, (size_t)n);
    atomic_store(&log->len, len + (size_t)n);
}

/* --- carrying out */

struct action {
    const struct fault *fault; /* NULL: an ask. */
    uint64_t arg[FAULT_ARGS];
};

static int read_ask(const struct decision *d, struct action *ret, struct err *e)
{
    char extra;
    unsigned client = 0;
    if (d->n_args != 2 || sscanf(d->args[0], "c%u%c", &client, &extra) != 1 || client < 1 ||
        client > LAB_CLIENTS_MAX ||
        sscanf(d->args[1], "%" SCNu64 "%c", &ret->arg[1], &extra) != 1) {
        return err_set(e, ERR_INVALID, "line %u: ask takes a client, c1 to c%d, and a seed",
                       d->line, LAB_CLIENTS_MAX);
    }
    ret->arg[0] = client - 1;
    return 0;
}

static int read_action(const struct decision *d, struct action *ret, struct err *e)
{
    *ret = (struct action){0};
    if (strcmp(d->action, "ask") == 0) {
        return read_ask(d, ret, e);
    }
    ret->fault = fault_by_name(d->action);
    if (ret->fault == NULL) {
        return err_set(e, ERR_INVALID, "line %u: there is no fault %s; see --help", d->line,
                       d->action);
    }
    return fault_read(ret->fault, d, ret->arg, e);
}

int plan_check(const struct scenario *s, struct err *e)
{
    for (size_t i = 0; i < s->n_decisions; i++) {
        struct action a;
        int rc = read_action(&s->decisions[i], &a, e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static void carry_out(const struct decision *d)
{
    struct action a;
    struct err e = {0};
    if (read_action(d, &a, &e) != 0) {
        lab_fail("scenario", "%s", e.msg); /* plan_check() was not asked. */
    } else if (a.fault != NULL) {
        fault_strike(a.fault, a.arg);
    } else {
        workload_decided((uint32_t)a.arg[0], a.arg[1]);
    }
}

static void due(struct vevent *ev)
{
    const struct scenario *s = plan.replay;
    while (plan.done < s->n_decisions &&
           s->decisions[plan.done].at_us * NS_PER_US <= world.now_ns) {
        carry_out(&s->decisions[plan.done++]);
    }
    if (plan.done < s->n_decisions) {
        vevent_set_first(ev, s->decisions[plan.done].at_us * NS_PER_US);
    }
}

/* --- life */

void plan_begin(const struct scenario *replay, struct plan_log *log)
{
    memset(&plan, 0, sizeof plan);
    plan.replay = replay;
    plan.log = log;
    plan.next.fire = due;
    if (log != NULL) {
        atomic_store(&log->len, 0);
        log->full = false;
    }
}

bool plan_draws(void)
{
    return plan.replay == NULL;
}

void plan_start(void)
{
    if (plan.replay != NULL) {
        vevent_set_first(&plan.next, world.now_ns);
    }
}

void plan_stop(void)
{
    vevent_clear(&plan.next);
}

void plan_set(struct vevent *ev, uint64_t at_ns)
{
    vevent_set_first(ev, (at_ns + NS_PER_US - 1) / NS_PER_US * NS_PER_US);
}
