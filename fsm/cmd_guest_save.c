/* Saving a guest's memory and going on from it: docs/protocols/saving.md has the chart. */

#include <string.h>

#include "core/util.h"

#include "fsm/apply.h"

void cmd_guest_save(struct apply *a, const void *record)
{
    const struct cmd_guest_save *c = record;
    struct guest old;
    struct host h;
    char repo[LIMIT_NAME + 1];
    struct repo r;
    if (!need_guest(a, c->name, c->generation, &old) || !need_idle(a, &old)) {
        return;
    }
    if ((old.state != GUEST_RUNNING && old.state != GUEST_PAUSED) || old.changed) {
        (void)reject_state(a, "guest", old.name, old.changed ? "changed" : "save", old.state);
        return;
    }
    if (c->file[0] != '/' && !repo_of_path(c->file, repo)) {
        reject_field(a, "file");
        return;
    }
    if (!need_host(a, old.host, &h) || (c->file[0] != '/' && !need_repo(a, repo, &r))) {
        return;
    }
    if (h.state != HOST_UP) {
        (void)reject_state(a, "host", h.name, "source", h.state);
        return;
    }
    struct guest g = old;
    struct op o = op_make(a, OP_SAVE, &g);
    o.phase = OP_PHASE_TRANSFER;
    o.deadline_ms = a->now_ms + a->f->pool.migrate_timeout_ms;
    (void)str_copy(o.path, sizeof o.path, c->file);
    op_begin(a, &o);
    g.state = GUEST_SAVING;
    save_guest(a, &old, &g);
    emit_guest(a, "guest.saving", &g, o.path);
}

void cmd_guest_saved(struct apply *a, const void *record)
{
    const struct cmd_guest_saved *c = record;
    struct op o;
    struct guest old;
    if (!need_op(a, c->op, &o)) {
        return;
    }
    if (o.kind != OP_SAVE || o.state != OP_RUNNING || strcmp(c->host, o.src) != 0) {
        reject_phase(a, &o);
        return;
    }
    if (!guest_of(a, &o, &old)) {
        return;
    }
    struct guest g = old;
    (void)str_copy(g.saved, sizeof g.saved, o.path);
    op_end(a, &o, OP_DONE, 0, "");
    stop_guest(&g, EXIT_NONE);
    save_guest(a, &old, &g);
    emit_guest(a, "guest.saved", &g, g.saved);
    struct event *ev = &a->f->events[a->f->events_n - 1];
    (void)str_copy(ev->host, sizeof ev->host, old.host);
}

void cmd_guest_resume(struct apply *a, const void *record)
{
    const struct cmd_guest_resume *c = record;
    struct guest old;
    if (!need_guest(a, c->name, c->generation, &old) || !need_idle(a, &old)) {
        return;
    }
    if (old.state != GUEST_SAVED) {
        (void)reject_state(a, "guest", old.name, "resume", old.state);
        return;
    }
    if (!check_place(a, &old, c->host)) {
        return;
    }
    struct guest g = old;
    start_guest(a, &g, &(struct start){.host = c->host, .paused = c->paused, .kind = OP_RESUME});
    save_guest(a, &old, &g);
    emit_guest(a, "guest.starting", &g, "saved");
}
