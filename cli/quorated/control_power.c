#include "cli/quorated/control_power.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/util.h"

#include "cli/quorated/power_run.h"

#define AGAIN_MS 30000u

struct control_power {
    struct daemon *d;
    struct power_run *run;      /* NULL: none is under way. */
    struct cmd_host_power word; /* What will be said of it. */
    char after[LIMIT_NAME + 1]; /* The host that had its turn last. */
    uint64_t not_before_ms;
};

static void ended(void *ctx, int code, const char *text)
{
    struct control_power *c = ctx;
    c->run = NULL;
    c->not_before_ms = c->d->clock->mono_ms(c->d->clock) + (code == 0 ? 0 : AGAIN_MS);
    c->word.off = code == 0;
    (void)str_copy(c->word.detail, sizeof c->word.detail, text);
    log_line(code == 0 ? LOG_WARN : LOG_ERROR, code == 0 ? "power_off" : "power_failed", "name",
             c->word.name, "said", text, NULL);
    propose_record(c->d, COMMAND_host_power, &c->word, NULL, NULL, NULL);
}

static bool has_protected(struct fsm_view *v, const char *host)
{
    static struct guest g; /* Several KiB; the loop has one thread. */
    char after[LIMIT_NAME + 1] = "";
    while (fsm_next_guest_on(v, host, after, &g) == 0) {
        if (g.ha || g.guarded) {
            return true;
        }
        (void)str_copy(after, sizeof after, g.name);
    }
    return false;
}

static void begin(struct control_power *c, const struct pool *pool, const struct host *h)
{
    schema_init(command_by_number(COMMAND_host_power)->schema, &c->word);
    (void)str_copy(c->word.name, sizeof c->word.name, h->name);
    (void)str_copy(c->after, sizeof c->after, h->name);
    c->word.raft_id = h->raft_id;
    c->word.incarnation = h->incarnation;
    log_line(LOG_WARN, "power_off_begins", "name", h->name, "program", pool->power_command, NULL);
    const struct power_run_options o = {.loop = &c->d->loop,
                                        .program = pool->power_command,
                                        .host = h->name,
                                        .target = h->power_target,
                                        .address = h->address,
                                        .timeout_ms = pool->power_timeout_ms,
                                        .done = ended,
                                        .ctx = c};
    c->run = power_run_start(&o);
}

void control_power(struct control_power *c, struct fsm_view *v, uint64_t now_ms)
{
    struct pool pool;
    struct host h = {0};
    struct fence_budget b;
    if (c->run != NULL || now_ms < c->not_before_ms || fsm_get_pool(v, &pool) != 0 || !pool.ha ||
        pool.power_command[0] == '\0') {
        return;
    }
    fsm_fence_budget(v, &b);
    for (int rc = fsm_next_host(v, c->after, &h); rc == 0; rc = fsm_next_host(v, h.name, &h)) {
        /* A fence by lease has counted this host already. */
        if (h.state == HOST_DOWN && (h.fenced || b.used < b.limit) && has_protected(v, h.name)) {
            begin(c, &pool, &h);
            return;
        }
    }
    memset(c->after, 0, sizeof c->after);
}

struct control_power *control_power_new(struct daemon *d)
{
    struct control_power *c = mem_new(1, sizeof *c);
    c->d = d;
    return c;
}

void control_power_rest(struct control_power *c)
{
    c->run = power_run_cancel(c->run);
    c->not_before_ms = 0;
    memset(c->after, 0, sizeof c->after);
}

struct control_power *control_power_free(struct control_power *c)
{
    if (c != NULL) {
        control_power_rest(c);
        free(c);
    }
    return NULL;
}
