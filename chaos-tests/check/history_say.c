/* Records as sentences, for people. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chaos-tests/check/history.h"
#include "chaos-tests/check/model.h"

/* Where a sentence is put together. */
struct say {
    const struct hist *h;
    char *out;
};

static const char *host(const struct say *s, uint16_t number)
{
    return number == HIST_NONE ? "nobody" : hist_host_text(s->h, number);
}

static const char *name(const struct say *s, hist_t_name number)
{
    return hist_name_text(s->h, number);
}

static void put(const struct say *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(const struct say *s, const char *format, ...)
{
    size_t len = strlen(s->out);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(s->out + len, HIST_LINE - len, format, args); // NOLINT(clang-analyzer-valist.*)
    va_end(args);
}

static void put_error(const struct say *s, uint32_t code)
{
    put(s, " (%s)", err_name(-(int)code));
}

static void say_call(const struct say *s, const struct rec_call *c)
{
    put(s, "client %" PRIu32 " asks %s: %s %s", c->client, host(s, c->host), call_op_name(c->op),
        name(s, c->subject));
    if (c->op == CALL_CREATE || c->op == CALL_SET || c->op == CALL_CAS) {
        put(s, " := %" PRIu64, c->value);
    }
    if (c->op == CALL_CAS) {
        put(s, " if it is %" PRIu64, c->expect);
    }
    if (c->request != 0) {
        put(s, " (request %" PRIu64 ")", c->request);
    }
}

static void say_answer(const struct say *s, const struct rec_answer *a)
{
    if (a->result == RESULT_TIMEOUT) {
        put(s, "client %" PRIu32 " gives up waiting for %s", a->client, host(s, a->host));
        return;
    }
    put(s, "%s answers client %" PRIu32 ": ", host(s, a->host), a->client);
    if (a->result == RESULT_UNKNOWN) {
        put(s, "the outcome is not known");
    } else if (a->result == RESULT_OK) {
        put(s, "done");
    } else {
        put(s, "refused");
        put_error(s, a->code);
    }
    if (a->value != 0) {
        put(s, ", it is %" PRIu64, a->value);
    }
    if (a->index != 0) {
        put(s, " at index %" PRIu64, a->index);
    }
}

static void say_copy(const struct say *s, const struct rec_copy *c)
{
    static const char *const words[] = {"is gone", "is there, to receive a migration", "EXECUTES",
                                        "stands still"};

    put(s, "%s of epoch %" PRIu64 " %s on %s", name(s, c->guest), c->epoch, words[c->state],
        host(s, c->host));
}

static void say_until(const struct say *s, uint64_t until)
{
    if (until == HIST_NEVER) {
        put(s, " until further notice");
    } else {
        put(s, " until %.6f s", (double)until / 1e6);
    }
}

static void say_permit(const struct say *s, const struct rec *r)
{
    const struct rec_permit *p = &r->permit;
    bool on = p->until > r->at_us;

    put(s, "%s %s run %s under epoch %" PRIu64, host(s, p->host), on ? "may" : "may no longer",
        name(s, p->guest), p->epoch);
    if (on) {
        say_until(s, p->until);
    }
}

static void say_apply(const struct say *s, const struct rec_apply *a)
{
    put(s, "%s applies index %" PRIu64 " of term %" PRIu64, host(s, a->host), a->index, a->term);
    if (a->request != 0) {
        put(s, ", request %" PRIu64 "%s", a->request, a->first != 0 ? "" : " again");
    }
    if (a->code != 0) {
        put_error(s, a->code);
    }
    put(s, ", entry %" PRIx64, a->entry);
    if (a->state != 0) {
        put(s, ", state %" PRIx64, a->state);
    }
}

static void say_hosts(const struct say *s, uint64_t set)
{
    for (uint16_t i = 0; i < s->h->n_hosts; i++) {
        if (set >> i & 1) {
            put(s, " %s", host(s, i));
        }
    }
}

static void say_must(const struct say *s, const struct rec_must *m)
{
    static const char *const words[] = {"a command must be done", "must run",
                                        "there must be a master"};

    put(s, "%s%s%s by %.6f s", m->what == MUST_RUN ? name(s, m->subject) : "",
        m->what == MUST_RUN ? " " : "", words[m->what], (double)m->by / 1e6);
}

static void say_master(const struct say *s, const struct rec_master *m)
{
    if (m->host == m->master) {
        put(s, "%s is master of term %" PRIu64, host(s, m->host), m->term);
    } else {
        put(s, "%s takes %s for the master of term %" PRIu64, host(s, m->host), host(s, m->master),
            m->term);
    }
}

static void say_migration(const struct say *s, const struct rec_migration *m)
{
    static const char *const words[] = {"is being prepared", "transfers memory", "has switched",
                                        "is aborted", "has ended"};

    put(s, "migration of %s from %s to %s %s (operation %" PRIu64 ")", name(s, m->guest),
        host(s, m->host), host(s, m->peer), words[m->phase], m->op);
}

/* Hosts, links and what is done to them. */
static void say_fault(const struct say *s, const struct rec *r)
{
    static const char *const powers[] = {"is up", "'s daemon does not run",
                                         "'s daemon stands still", "is frozen", "has no power"};
    static const char *const links[] = {"reaches", "is cut off from", "hardly reaches"};

    if (r->kind == REC_HOST) {
        put(s, "%s%s%s", host(s, r->host.host), powers[r->host.power][0] == '\'' ? "" : " ",
            powers[r->host.power]);
    } else if (r->kind == REC_LINK) {
        put(s, "%s %s %s", host(s, r->link.host), links[r->link.state], host(s, r->link.peer));
    } else {
        put(s, "fault: %s", name(s, r->fault.fault));
        if (r->fault.host != HIST_NONE) {
            put(s, " at %s", host(s, r->fault.host));
        }
        if (r->fault.value != 0) {
            put(s, " (%" PRIu64 ")", r->fault.value);
        }
    }
}

static void say_phase(const struct say *s, const struct rec_phase *p)
{
    static const char *const words[] = {"everything may break",
                                        "whole from here on:", "the end; whole are"};

    put(s, "%s", words[p->phase]);
    say_hosts(s, p->core);
}

/* What is said in one clause. */
static void say_rest(const struct say *s, const struct rec *r)
{
    if (r->kind == REC_DISK) {
        put(s, "%s of epoch %" PRIu64 " writes to its disk from %s", name(s, r->disk.guest),
            r->disk.epoch, host(s, r->disk.host));
    } else if (r->kind == REC_LEASE) {
        put(s, "%s holds a lease", host(s, r->lease.host));
        say_until(s, r->lease.until);
    } else if (r->kind == REC_JUMP) {
        put(s, "%s's state is that after index %" PRIu64, host(s, r->jump.host), r->jump.index);
    } else if (r->kind == REC_WATCH) {
        put(s, "watcher %" PRIu32 " asks %s for events after %" PRIu64, r->watch.client,
            host(s, r->watch.host), r->watch.after);
    } else if (r->kind == REC_EVENT) {
        put(s, "%s gives watcher %" PRIu32 " event %" PRIu64 ": %s %s", host(s, r->event.host),
            r->event.client, r->event.seq, name(s, r->event.what), name(s, r->event.subject));
    } else if (r->kind == REC_DURABLE) {
        put(s, "%s has all up to index %" PRIu64 " on its disk", host(s, r->durable.host),
            r->durable.index);
    } else if (r->kind == REC_PROMISE) {
        put(s, "%s promises that index %" PRIu64 " is committed (term %" PRIu64 ")",
            host(s, r->promise.host), r->promise.index, r->promise.term);
    } else if (r->kind == REC_FINAL) {
        put(s, "%s ends at index %" PRIu64, host(s, r->final.host), r->final.index);
    } else if (r->kind == REC_ROW) {
        put(s, "for %s, %s ends with %s under epoch %" PRIu64, host(s, r->row.host),
            name(s, r->row.guest), host(s, r->row.owner), r->row.epoch);
    } else if (r->kind == REC_LEFT) {
        put(s, "%" PRIu64 " %s left on %s", r->left.count, name(s, r->left.what),
            host(s, r->left.host));
    }
}

const char *hist_rec_say(const struct hist *h, const struct rec *r, char out[HIST_LINE])
{
    struct say s = {h, out};

    out[0] = '\0';
    switch (r->kind) {
    case REC_CALL: say_call(&s, &r->call); break;
    case REC_ANSWER: say_answer(&s, &r->answer); break;
    case REC_COPY: say_copy(&s, &r->copy); break;
    case REC_PERMIT: say_permit(&s, r); break;
    case REC_APPLY: say_apply(&s, &r->apply); break;
    case REC_MASTER: say_master(&s, &r->master); break;
    case REC_MIGRATION: say_migration(&s, &r->migration); break;
    case REC_MUST: say_must(&s, &r->must); break;
    case REC_PHASE: say_phase(&s, &r->phase); break;
    case REC_HOST:
    case REC_LINK:
    case REC_FAULT: say_fault(&s, r); break;
    case REC_VOTERS:
        put(&s, "voters:");
        say_hosts(&s, r->voters.voters);
        break;
    case REC_DISK:
    case REC_LEASE:
    case REC_JUMP:
    case REC_WATCH:
    case REC_EVENT:
    case REC_DURABLE:
    case REC_PROMISE:
    case REC_FINAL:
    case REC_ROW:
    case REC_LEFT: say_rest(&s, r); break;
    case REC_KINDS: break;
    }
    return out;
}
