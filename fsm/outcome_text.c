/* Sentences for people, made from outcomes at the edge: no prose is replicated. */

#include <inttypes.h>
#include <string.h>

#include "core/util.h"

#include "fsm/commands.h"
#include "fsm/entity.h"

struct reason {
    const char *token;
    const char *text;
};

static const struct reason reasons[] = {
#define R(TOKEN, TEXT) {#TOKEN, TEXT},
#include "fsm/reasons.def"
#undef R
};

static const char *reason_text(const char *token)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (strcmp(reasons[i].token, token) == 0) {
            return reasons[i].text;
        }
    }
    return token;
}

static const char *state_name(const struct outcome *o)
{
    static const struct {
        const char *what;
        const struct enum_names *names;
    } kinds[] = {
        {"guest", &enum_guest_state},
        {"host", &enum_host_state},
        {"repository", &enum_repo_state},
        {"operation", &enum_op_phase},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].what, o->what) == 0 && o->a < kinds[i].names->n) {
            return kinds[i].names->names[o->a];
        }
    }
    return "in another state";
}

static void state_text(const struct outcome *o, struct buf *out)
{
    if (strcmp(o->detail, "op") == 0) {
        buf_printf(out, "guest %s is %s: operation %" PRIu64 " is under way", o->name,
                   state_name(o), o->b);
    } else if (strcmp(o->what, "operation") == 0) {
        buf_printf(out, "operation %" PRIu64 " of guest %s is %s: %s", o->b, o->name, state_name(o),
                   reason_text(o->detail));
    } else {
        buf_printf(out, "%s %s is %s: %s", o->what, o->name, state_name(o), reason_text(o->detail));
    }
}

static void stale_text(const struct outcome *o, struct buf *out)
{
    static const struct {
        const char *detail;
        const char *name;
    } kinds[] = {{"generation", "generation"},
                 {"epoch", "run epoch"},
                 {"raft_id", "member number"},
                 {"incarnation", "incarnation"}};
    const char *name = o->detail;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].detail, o->detail) == 0) {
            name = kinds[i].name;
        }
    }
    buf_printf(out, "%s %s was changed meanwhile: its %s is %" PRIu64 ", not %" PRIu64, o->what,
               o->name, name, o->b, o->a);
}

#define NAME_RULE "letters, digits, '.', '_' and '-', the first a letter or digit"

/* What a field that was refused must look like, where the state machine looks beyond its limits;
 * NULL: nothing to add. */
static const char *field_rule(const struct outcome *o)
{
    static const struct {
        const char *command; /* NULL: of any. */
        const char *field;
        const char *rule;
    } rules[] = {{NULL, "name", NAME_RULE},
                 {NULL, "to", NAME_RULE},
                 {"guest_save", "file", "/PATH or REPOSITORY:PATH"},
                 {"pool_init", "host", NAME_RULE},
                 {"guest_migrate", "host", "another host than the one it is on"},
                 {NULL, "address", "HOST:PORT or [V6]:PORT"},
                 {NULL, "ha", "on or off"},
                 {NULL, "voters", "an odd number"},
                 {"pool_set_level", "level", "no less than it is"},
                 {NULL, "kernel", "/PATH or REPOSITORY:PATH"},
                 {NULL, "ramdisk", "/PATH or REPOSITORY:PATH"},
                 {NULL, "path", "/PATH or REPOSITORY:PATH"},
                 {"repo_new", "source", "an absolute path"},
                 {"pool_restart", "guests", "leave or migrate"},
                 {NULL, "power_command", "an absolute path, or none"},
                 {NULL, "type", "pv, pvh or hvm"},
                 {NULL, "boot", "of the letters c, d and n"},
                 {NULL, "device", "each device once"},
                 {NULL, "format", "raw, qcow2 or vmdk"},
                 {NULL, "mac", "XX:XX:XX:XX:XX:XX"},
                 {NULL, "maxmem_mib", "no less than memory_mib"},
                 {NULL, "preferred", "names of hosts with commas, or any"}};
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (strcmp(rules[i].field, o->detail) == 0 &&
            (rules[i].command == NULL || strcmp(rules[i].command, o->name) == 0)) {
            return rules[i].rule;
        }
    }
    return NULL;
}

/* A setting's limits are those of the row that keeps it: in the command 0 means "as it is". */
static void field_limits(const struct outcome *o, struct buf *out)
{
    const struct field *f = strcmp(o->name, "pool_set") == 0 ? schema_find(&schema_pool, o->detail)
                            : strcmp(o->name, "guest_set") == 0
                                ? schema_find(&schema_guest_config, o->detail)
                                : NULL;
    if (f != NULL && f->kind == FIELD_U32) {
        buf_printf(out, ", expected %" PRIu64 " to %" PRIu64 "%s%s", f->min, f->max,
                   f->unit[0] == '\0' ? "" : " ", f->unit);
    }
}

/* "guest create: field ha: invalid value, expected on or off" */
static void field_text(const struct outcome *o, struct buf *out)
{
    const struct command *c = command_by_name(o->name);
    buf_printf(out, "%s", c == NULL ? "the command" : c->title);
    if (strcmp(o->what, "timing") == 0) {
        buf_printf(out, ": %s", reason_text(o->detail));
        return;
    }
    if (o->detail[0] != '\0') {
        buf_printf(out, ": field %s", o->detail);
    }
    buf_printf(out, ": %s", err_text(-(int)o->code));
    const char *rule = field_rule(o);
    if (rule != NULL) {
        buf_printf(out, ", expected %s", rule);
    } else {
        field_limits(o, out);
    }
}

static void in_use_text(const struct outcome *o, struct buf *out)
{
    if (strcmp(o->what, "apart") == 0) {
        buf_printf(out, "host %s has guest %s, from which it is to be apart", o->name, o->detail);
        return;
    }
    if (strcmp(o->what, "disk") == 0) {
        buf_printf(out, "disk %s holds data of guest %s, which is neither shared nor copied%s",
                   o->name, o->detail, o->a == 0 ? "" : "; --fresh makes it anew from the image");
        return;
    }
    buf_printf(out, "%s %s is in use", o->what, o->name);
    if (o->detail[0] != '\0') {
        buf_printf(out, " by guest %s", o->detail);
    } else if (o->a != 0) {
        buf_printf(out, " by %" PRIu64 " guests", o->a);
    }
}

static void not_found_text(const struct outcome *o, struct buf *out)
{
    if (o->name[0] != '\0') {
        buf_printf(out, "%s %s not found", o->what, o->name);
    } else {
        buf_printf(out, "%s %" PRIu64 " not found", o->what, o->a);
    }
}

static void exists_text(const struct outcome *o, struct buf *out)
{
    if (o->detail[0] != '\0') {
        buf_printf(out, "%s %s is taken by %s", o->what, o->detail, o->name);
    } else {
        buf_printf(out, "%s %s already exists", o->what, o->name);
    }
}

static bool known_text(const struct outcome *o, struct buf *out)
{
    switch (-(int)o->code) {
    case ERR_OK: buf_printf(out, "done"); return true;
    case ERR_STATE: state_text(o, out); return true;
    case ERR_STALE: stale_text(o, out); return true;
    case ERR_IN_USE: in_use_text(o, out); return true;
    case ERR_NOT_FOUND: not_found_text(o, out); return true;
    case ERR_EXISTS: exists_text(o, out); return true;
    case ERR_NO_POOL: buf_printf(out, "there is no pool yet: make one with pool init"); return true;
    case ERR_TOO_BIG:
        buf_printf(out, "too many %s: a pool has at most %" PRIu64, o->what, o->a);
        return true;
    case ERR_NO_ROOM:
        if (strcmp(o->what, "vcpus") == 0) {
            buf_printf(out,
                       "not enough processors on %s: %" PRIu64 " virtual CPUs needed, %" PRIu64
                       " left",
                       o->name, o->a, o->b);
            return true;
        }
        buf_printf(out, "not enough room on %s: %" PRIu64 " MiB needed, %" PRIu64 " MiB free",
                   o->name, o->a, o->b);
        return true;
    default: return false;
    }
}

void outcome_text(const struct outcome *o, struct buf *out)
{
    if (strcmp(o->what, "field") == 0 || strcmp(o->what, "timing") == 0) {
        field_text(o, out);
    } else if (strcmp(o->what, "command") == 0 && o->code == -ERR_UNKNOWN) {
        buf_printf(out, "command number %" PRIu64 " is not known", o->a);
    } else if (strcmp(o->what, "entry") == 0) {
        buf_printf(out, "the entry could not be read: %s", err_text(-(int)o->code));
    } else if (!known_text(o, out)) {
        buf_printf(out, "%s%s%s%s%s", o->what, o->name[0] == '\0' ? "" : " ", o->name,
                   o->what[0] == '\0' ? "" : ": ", err_text(-(int)o->code));
    }
}
