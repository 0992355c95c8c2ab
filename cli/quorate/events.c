/* events: what changed, and with --follow what changes.
 *
 * Events are numbered without gaps. So a follower that lost its host goes on at the next one after
 * the last number it printed, through any host, and a jump in the numbers tells that the pool had
 * dropped what lay between. */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "core/util.h"

#include "cli/quorate/human.h"
#include "cli/quorate/link.h"
#include "cli/quorate/run.h"
#include "cli/quorate/table.h"

/* --follow without --from begins so many back. */
#define TAIL 10
/* A host that is silent for so long is asked again, or the next one is. */
#define SILENCE_MS 15000
#define RETRY_MS   500
/* A whole list may take so long; without a majority it is asked for, of one host, after so long. */
#define EVENTS_MS  10000
#define CURRENT_MS 5000

struct stream {
    struct cli *cli;
    struct link *link;
    const struct args_events *args;
    uint64_t after;   /* The number of the last event that was printed. */
    bool gap_matters; /* Whether a jump at the beginning is a loss: the user named a number. */
    uint64_t printed;
    bool full;    /* --limit is reached. */
    bool probing; /* Only the newest number is asked for. */
    bool local;   /* What the host itself has, current or not. */
};

static void print_json(const struct cli *cli, const struct event *ev)
{
    json_t *json = schema_to_json(&schema_event, ev);
    /* One line an event, so that a reader need not wait for the end. */
    (void)json_dumpf(json, cli->out, JSON_COMPACT);
    (void)fputc('\n', cli->out);
    json_decref(json);
}

/* With its key, if there is one. */
static void put_word(struct buf *out, const char *key, const char *word)
{
    if (*word != '\0') {
        buf_printf(out, "%s%s", key, word);
    }
}

static void put_count(struct buf *out, const char *key, uint64_t n)
{
    if (n != 0) {
        buf_printf(out, "%s%" PRIu64, key, n);
    }
}

static void print_text(const struct cli *cli, const struct event *ev)
{
    CLEANUP(buf_done) struct buf line = {0};
    buf_printf(&line, "%" PRIu64 " ", ev->seq);
    human_moment(ev->time_ms, &line);
    buf_printf(&line, " %s", ev->kind);
    put_word(&line, " ", ev->subject);
    put_word(&line, " host=", ev->host);
    put_count(&line, " op=", ev->op);
    put_count(&line, " epoch=", ev->epoch);
    put_word(&line, " user=", ev->user);
    put_word(&line, ": ", ev->code == 0 ? "" : err_text(-(int)ev->code));
    put_word(&line, ": ", ev->detail);
    for (size_t i = 0; i < line.len; i++) {
        line.data[i] = line.data[i] < 0x20 || line.data[i] == 0x7f ? ' ' : line.data[i];
    }
    (void)fprintf(cli->out, "%.*s\n", (int)line.len, (const char *)line.data);
}

static int on_notice(void *ctx, const char *method, const struct buf *body, struct err *e)
{
    struct stream *s = ctx;
    struct event ev;
    if (strcmp(method, "event") != 0 || s->probing) {
        return 0; /* Of a newer server. */
    }
    int rc = schema_decode_all(&schema_event, body->data, body->len, &ev, e);
    if (rc != 0) {
        return err_wrap(e, "event");
    }
    if (ev.seq <= s->after) {
        return 0; /* Known already. */
    }
    if (ev.seq > s->after + 1 && s->gap_matters) {
        cli_say(s->cli, "events %" PRIu64 "..%" PRIu64 " are no longer kept", s->after + 1,
                ev.seq - 1);
    }
    s->after = ev.seq;
    s->gap_matters = true;
    if (s->cli->opt.json) {
        print_json(s->cli, &ev);
    } else {
        print_text(s->cli, &ev);
    }
    if (s->args->follow && fflush(s->cli->out) != 0) {
        return err_set(e, ERR_IO, "cannot write events");
    }
    s->full = ++s->printed == s->args->limit;
    return s->full ? err_set(e, ERR_EOF, "enough events") : 0;
}

/* One call of `events`. *ret_last is the newest event's number. */
static int call_events(struct stream *s,
                       uint64_t after,
                       bool follow,
                       uint32_t limit,
                       uint64_t *ret_last,
                       struct err *e)
{
    CLEANUP(buf_done) struct buf params = {0};
    CLEANUP(buf_done) struct buf result = {0};
    mp_put_map(&params, 4);
    mp_put_str(&params, "local");
    mp_put_bool(&params, s->local);
    mp_put_str(&params, "after");
    mp_put_uint(&params, after);
    mp_put_str(&params, "follow");
    mp_put_bool(&params, follow);
    mp_put_str(&params, "limit");
    mp_put_uint(&params, limit);
    uint64_t deadline = follow && s->cli->opt.timeout_ms == 0
                            ? UINT64_MAX
                            : link_deadline(s->link, s->local ? EVENTS_MS : CURRENT_MS);
    struct link_call call = {.method = "events",
                             .params = &params,
                             .deadline = deadline,
                             .once = true, /* Sent again it would begin at the same number. */
                             .idle_ms = SILENCE_MS,
                             .notice = on_notice,
                             .ctx = s};
    int rc = link_call(s->link, &call, &result, NULL, e);
    if (rc != 0) {
        return rc;
    }
    struct mp_reader r;
    uint32_t n;
    mp_reader_init(&r, result.data, result.len);
    *ret_last = s->after;
    if (mp_get_map(&r, &n) == 0 && mp_match_str(&r, "last")) {
        (void)mp_get_uint(&r, ret_last); /* An older server may not say: then what was seen. */
    }
    return 0;
}

static void pause_a_little(void)
{
    struct timespec ts = {.tv_nsec = RETRY_MS * 1000000L};
    (void)nanosleep(&ts, NULL); /* Ctrl-C may cut it short. */
}

/* Begin at the number that was asked for, or a few events back. */
static int begin(struct stream *s, struct err *e)
{
    if (s->args->from > 0) {
        s->after = s->args->from - 1;
        s->gap_matters = true;
        return 0;
    }
    if (!s->args->follow) {
        return 0;
    }
    uint64_t last = 0;
    s->probing = true;
    int rc = call_events(s, INT64_MAX, /*follow=*/false, 1, &last, e);
    s->probing = false;
    if (rc == 0) {
        s->after = last > TAIL ? last - TAIL : 0;
    }
    return rc;
}

/* Whether the stream goes on after this failure. */
static bool goes_on(const struct stream *s, int rc)
{
    if (cli_interrupted(s->cli) || s->full || !err_may_retry(rc)) {
        return false;
    }
    return s->args->follow && s->cli->opt.timeout_ms == 0;
}

/* A pool without a majority cannot say what is current. What one host has is what there is to find
 * out why. */
static bool goes_local(struct stream *s, int rc, const struct err *e)
{
    bool none = rc == ERR_NO_QUORUM || rc == ERR_TIMEOUT || rc == ERR_NOT_LEADER;
    if (!none || s->local || s->args->follow || s->full || cli_interrupted(s->cli)) {
        return false;
    }
    cli_say(s->cli, "%s; these are the events that one host knows of, and may be old", e->msg);
    s->local = true;
    return true;
}

int run_events(struct cli *cli, const struct parsed *p)
{
    struct link l;
    struct err e = {0};
    if (link_init(&l, cli, &e) != 0) {
        return cli_fail(cli, &e);
    }
    struct stream s = {.cli = cli, .link = &l, .args = p->record, .local = cli->opt.local};
    uint64_t last = 0;
    uint64_t told = UINT64_MAX; /* The number after which a lost host was last told of. */
    int rc = begin(&s, &e);
    while (rc == 0) {
        uint32_t left = s.args->limit == 0 ? 0 : (uint32_t)(s.args->limit - s.printed);
        rc = call_events(&s, s.after, s.args->follow, left, &last, &e);
        if (rc == 0 && !s.args->follow) {
            break;
        }
        if (goes_local(&s, rc, &e)) {
            rc = 0;
            continue;
        }
        if (rc == 0 || goes_on(&s, rc)) {
            if (rc != 0 && rc != ERR_TIMEOUT && told != s.after) {
                cli_say(cli, "%s; going on after event %" PRIu64, e.msg, s.after);
                told = s.after;
            }
            pause_a_little();
            rc = 0;
        }
    }
    link_done(&l);
    if (s.full) {
        return EXIT_STATUS_OK;
    }
    if (rc == ERR_CANCELLED && cli_interrupted(cli)) {
        return s.args->follow ? EXIT_STATUS_OK : EXIT_STATUS_INTERRUPTED;
    }
    return rc == 0 ? EXIT_STATUS_OK : cli_fail(cli, &e);
}
