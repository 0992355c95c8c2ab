/* Acts of the agent beside starting and moving: saving, and devices that come and go. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"

#include "cli/quorated/agent_in.h"
#include "cli/quorated/agent_spec.h"

/* A guest has so long to let go of a device. */
#define DETACH_MS 20000u

/* --- saving */

void agent_save(struct slot *s, struct fsm_view *v, const struct agent_answer *answer)
{
    const struct op *op = &s->agent->op;
    struct err e = {0};
    s->memory.sent_op = op->id;
    s->memory.send = (struct err){0};
    s->stream = (struct hv_req){.op = HV_SAVE,
                                .key = {.uuid = s->uuid, .epoch = answer->epoch},
                                .done = slot_sent,
                                .data = s};
    if (agent_path(v, s->agent->opt.prefix, op->path, s->stream.path, &e) != 0) {
        s->memory.send = e;
        slot_touch(s);
        return;
    }
    s->sending = true;
    hv_submit(s->agent->opt.hv, &s->stream);
}

struct removal {
    uv_work_t work;
    char path[LIMIT_PATH + 1];
};

static void remove_now(uv_work_t *work)
{
    const struct removal *r = work->data;
    (void)unlink(r->path); /* A file that stays is named by no state: it harms nobody. */
}

static void removed(uv_work_t *work, int status)
{
    (void)status;
    free(work->data);
}

void slot_remove_used(struct slot *s, const struct guest *g)
{
    if (s->used[0] == '\0' || (g != NULL && g->run_epoch == s->used_epoch && g->saved[0] != '\0')) {
        return;
    }
    /* Used up by this run, and by no other: only then is it nobody's. */
    if (g != NULL && g->run_epoch == s->used_epoch &&
        (g->state == GUEST_RUNNING || g->state == GUEST_PAUSED)) {
        struct removal *r = mem_new(1, sizeof *r);
        (void)str_copy(r->path, sizeof r->path, s->used);
        r->work.data = r;
        (void)uv_queue_work(s->agent->opt.loop, &r->work, remove_now, removed);
    }
    s->used[0] = '\0';
}

/* --- devices */

static void device_done(struct hv_req *req)
{
    struct slot *s = req->data;
    agent_say(s->agent, agent_act_name(AGENT_DEVICE), s->name, s->work_epoch, &req->err);
    if (req->err.code != ERR_CANCELLED) {
        s->memory.device_op = s->work_op;
        s->memory.device = req->err;
    }
    slot_end_work(s);
}

void agent_device(struct slot *s, struct fsm_view *v, const struct agent_answer *answer)
{
    const struct op *op = &s->agent->op;
    bool disk = op->disks_n > 0;
    struct err e;
    /* A guest that does not let go holds nothing else up for longer than its operation lasts. */
    uint64_t length = op->deadline_ms > op->created_ms ? op->deadline_ms - op->created_ms : 0;
    uint64_t wait = max_u64(min_u64(length / 2, DETACH_MS), 1);
    slot_begin_work(s, answer);
    s->work = (struct hv_req){.op = op->kind == OP_ATTACH ? HV_ATTACH : HV_DETACH,
                              .key = {.uuid = s->uuid, .epoch = answer->epoch},
                              .disk = disk ? &s->disk : NULL,
                              .vif = disk ? NULL : &s->vif,
                              .force = op->force,
                              .deadline_ms = (uint32_t)wait,
                              .done = device_done,
                              .data = s};
    if (disk && agent_disk(v, s->agent->opt.prefix, &op->disks[0], &s->disk, &e) != 0) {
        s->memory.device_op = op->id;
        s->memory.device = e;
        slot_end_work(s);
        return;
    }
    if (!disk) {
        agent_vif(&op->vifs[0], &s->vif);
    }
    hv_submit(s->agent->opt.hv, &s->work);
}
