/* The layout of every kind of record as a table: see history_text.h. */

#include <assert.h>
#include <string.h>

#include "chaos-tests/check/history_text.h"

static const char *const names_call_op[] = {"read", "local", "create", "delete",
                                            "set",  "cas",   "other",  NULL};
static const char *const names_call_result[] = {"ok", "refused", "unknown", "timeout", NULL};
static const char *const names_copy_state[] = {"gone", "incoming", "running", "paused", NULL};
static const char *const names_host_power[] = {"up", "down", "paused", "frozen", "off", NULL};
static const char *const names_link_state[] = {"ok", "cut", "bad", NULL};
static const char *const names_run_phase[] = {"safety", "heal", "end", NULL};
static const char *const names_move_phase[] = {"prepare", "transfer", "switched",
                                               "aborted", "ended",    NULL};
static const char *const names_must_what[] = {"write", "run", "lead", NULL};

/* Type of a field -> how it is kept, and the names of its values. */
#define TYPE_host        REC_T_HOST, NULL
#define TYPE_name        REC_T_NAME, NULL
#define TYPE_u32         REC_T_U32, NULL
#define TYPE_u64         REC_T_U64, NULL
#define TYPE_time        REC_T_TIME, NULL
#define TYPE_hosts       REC_T_HOSTS, NULL
#define TYPE_call_op     REC_T_ENUM, names_call_op
#define TYPE_call_result REC_T_ENUM, names_call_result
#define TYPE_copy_state  REC_T_ENUM, names_copy_state
#define TYPE_host_power  REC_T_ENUM, names_host_power
#define TYPE_link_state  REC_T_ENUM, names_link_state
#define TYPE_run_phase   REC_T_ENUM, names_run_phase
#define TYPE_move_phase  REC_T_ENUM, names_move_phase
#define TYPE_must_what   REC_T_ENUM, names_must_what

#define FIELD_ROW(S, NAME, ...) {#NAME, offsetof(struct rec, S.NAME), __VA_ARGS__},
#define FIELD(S, TYPE, NAME)    FIELD_ROW(S, NAME, TYPE_##TYPE)
#define R(KIND, NAME, FIELDS) \
    [REC_##KIND] = {#NAME, {FIELDS(FIELD, NAME){NULL, 0, REC_T_HOST, NULL}}},
const struct rec_layout rec_layouts[REC_KINDS] = {HIST_RECORDS(R)};
#undef R

uint64_t rec_field_get(const struct rec *r, const struct rec_field *f)
{
    const char *at = (const char *)r + f->at;
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;

    switch (f->type) {
    case REC_T_HOST: memcpy(&v16, at, sizeof v16); return v16;
    case REC_T_NAME:
    case REC_T_U32:
    case REC_T_ENUM: memcpy(&v32, at, sizeof v32); return v32;
    case REC_T_U64:
    case REC_T_TIME:
    case REC_T_HOSTS: break;
    }
    memcpy(&v64, at, sizeof v64);
    return v64;
}

void rec_field_set(struct rec *r, const struct rec_field *f, uint64_t v)
{
    char *at = (char *)r + f->at;
    uint16_t v16 = (uint16_t)v;
    uint32_t v32 = (uint32_t)v;

    switch (f->type) {
    case REC_T_HOST: memcpy(at, &v16, sizeof v16); return;
    case REC_T_NAME:
    case REC_T_U32:
    case REC_T_ENUM: memcpy(at, &v32, sizeof v32); return;
    case REC_T_U64:
    case REC_T_TIME:
    case REC_T_HOSTS: break;
    }
    memcpy(at, &v, sizeof v);
}

static bool enum_sound(const struct rec_field *f, uint64_t v)
{
    for (uint64_t i = 0; f->names[i] != NULL; i++) {
        if (i == v) {
            return true;
        }
    }
    return false;
}

bool rec_field_sound(const struct hist *h, const struct rec_field *f, uint64_t v)
{
    switch (f->type) {
    case REC_T_HOST: return v < h->n_hosts || v == HIST_NONE;
    case REC_T_NAME: return v < hist_n_names(h);
    case REC_T_U32: return v <= UINT32_MAX;
    case REC_T_HOSTS: return h->n_hosts == HIST_HOSTS || v >> h->n_hosts == 0;
    case REC_T_ENUM: return enum_sound(f, v);
    case REC_T_U64:
    case REC_T_TIME: break;
    }
    return true;
}

/* Kinds that may happen at no host in particular. */
static bool may_lack_host(enum rec_kind kind)
{
    return kind == REC_VOTERS || kind == REC_PHASE || kind == REC_MUST || kind == REC_FAULT ||
           kind == REC_LEFT || kind == REC_MIGRATION;
}

bool hist_rec_sound(const struct hist *h, const struct rec *r)
{
    if ((unsigned)r->kind >= REC_KINDS) {
        return false;
    }
    for (const struct rec_field *f = rec_layouts[r->kind].fields; f->name != NULL; f++) {
        if (!rec_field_sound(h, f, rec_field_get(r, f))) {
            return false;
        }
    }
    if (r->kind == REC_LINK && r->link.peer == HIST_NONE) {
        return false;
    }
    return hist_rec_host(r) != HIST_NONE || may_lack_host(r->kind);
}

const char *rec_kind_name(enum rec_kind kind)
{
    assert((unsigned)kind < REC_KINDS);
    return rec_layouts[kind].name;
}

uint16_t hist_rec_host(const struct rec *r)
{
    const struct rec_field *first = rec_layouts[r->kind].fields;

    return first->type == REC_T_HOST ? (uint16_t)rec_field_get(r, first) : HIST_NONE;
}
