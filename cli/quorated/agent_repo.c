/* What this host reports of repositories. */

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorated/agent_in.h"

struct repo_flight {
    struct agent *agent; /* NULL: it is gone. */
    struct repo_flight *next;
    char name[LIMIT_NAME + 1];
};

static void repo_told(void *ctx, int code, const struct outcome *outcome)
{
    struct repo_flight *f = ctx;
    if (f->agent != NULL) {
        struct repo_flight **at = &f->agent->repo_flights;
        while (*at != f) {
            at = &(*at)->next;
        }
        *at = f->next;
        if (code != 0 || outcome == NULL || outcome->code != 0) {
            mounts_tell_again(f->agent->mounts, f->name);
        }
    }
    free(f);
}

bool agent_repo_report(void *ctx, const struct mounts_report *r)
{
    struct agent *a = ctx;
    if (a->stopping || !a->current) {
        return false;
    }
    struct cmd_repo_report record;
    schema_init(command_by_number(COMMAND_repo_report)->schema, &record);
    (void)str_copy(record.name, sizeof record.name, r->name);
    (void)str_copy(record.host, sizeof record.host, a->opt.host);
    (void)str_copy(record.detail, sizeof record.detail, r->detail);
    record.ready = r->ready;
    struct repo_flight *f = mem_new(1, sizeof *f);
    f->agent = a;
    f->next = a->repo_flights;
    a->repo_flights = f;
    (void)str_copy(f->name, sizeof f->name, r->name);
    struct id request = id_new(a->opt.rng);
    a->acts++;
    a->opt.propose(a->opt.ctx, COMMAND_repo_report, &record, &request, repo_told, f);
    return true;
}

void agent_repos_changed(void *ctx)
{
    struct agent *a = ctx;
    for (uint32_t i = 0; i < a->n_slots; i++) {
        if (a->slots[i]->held == AGENT_START || a->slots[i]->held == AGENT_INCOMING) {
            a->slots[i]->held_ms = 0; /* It may have waited for a repository. */
            slot_touch(a->slots[i]);
        }
    }
    agent_check_stopped(a);
}

void agent_repo_forget(struct agent *a)
{
    for (struct repo_flight *f = a->repo_flights; f != NULL; f = f->next) {
        f->agent = NULL;
    }
}
