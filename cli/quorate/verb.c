#include "cli/quorate/verb.h"

#include <string.h>

#include "core/util.h"

#include "cli/quorate/run.h"

/* The tables of args_* name no enumerations, but the row macro looks for SCHEMA_RECORD. */
#define SCHEMA_RECORD args_name
SCHEMA_DEFINE(args_name, ARGS_NAME_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_id
SCHEMA_DEFINE(args_id, ARGS_ID_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_host
SCHEMA_DEFINE(args_host, ARGS_HOST_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_events
SCHEMA_DEFINE(args_events, ARGS_EVENTS_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_create
SCHEMA_DEFINE(args_create, ARGS_CREATE_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_shutdown
SCHEMA_DEFINE(args_shutdown, ARGS_SHUTDOWN_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_console
SCHEMA_DEFINE(args_console, ARGS_CONSOLE_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_restore
SCHEMA_DEFINE(args_restore, ARGS_RESTORE_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_memory
SCHEMA_DEFINE(args_memory, ARGS_MEMORY_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_vcpus
SCHEMA_DEFINE(args_vcpus, ARGS_VCPUS_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_vnc
SCHEMA_DEFINE(args_vnc, ARGS_VNC_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_migrate
SCHEMA_DEFINE(args_migrate, ARGS_MIGRATE_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_evacuate
SCHEMA_DEFINE(args_evacuate, ARGS_EVACUATE_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_maintenance
SCHEMA_DEFINE(args_maintenance, ARGS_MAINTENANCE_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_fence
SCHEMA_DEFINE(args_fence, ARGS_FENCE_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_balance
SCHEMA_DEFINE(args_balance, ARGS_BALANCE_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_stop
SCHEMA_DEFINE(args_stop, ARGS_STOP_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_shell
SCHEMA_DEFINE(args_shell, ARGS_SHELL_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD args_help
SCHEMA_DEFINE(args_help, ARGS_HELP_FIELDS)
#undef SCHEMA_RECORD

const struct schema schema_args_none = {.name = "args_none", .size = 1};

const struct noun nouns[] = {
    {"pool", "The pool as a whole"},
    {"host", "The machines of the pool"},
    {"guest", "Virtual machines"},
    {"repo", "Storage repositories"},
    {"op", "Operations: work under way, and what ended"},
    {"log", "The replicated log"},
    {"explain", "Why things are as they are"},
    {NULL, NULL},
};

/* The queries as verbs, in the order of help. */
static const struct query_verb {
    const char *title;
    const char *query;
    const char *summary;
    const struct schema *args;
    const char *extra;
    unsigned flags;
    const char *rest;
} query_verbs[] = {
    {"pool status", "pool.status", "Show the pool and its master", &schema_args_none, NULL, 0,
     NULL},
    {"pool settings", "pool.settings", "Show the settings of the pool", &schema_args_none, NULL, 0,
     NULL},
    {"pool log stats", "log.stats", "Show the log of the host that answers", &schema_args_none,
     NULL, 0, NULL},
    {"host list", "host.list", "List the hosts", &schema_args_none, NULL, 0, NULL},
    {"host show", "host.show", "Show a host", &schema_args_name, NULL, 0, NULL},
    {"guest list", "guest.list", "List the guests, or those that are named", &schema_args_none,
     NULL, VERB_REST, "NAME"},
    {"guest show", "guest.show", "Show a guest with its configuration", &schema_args_name, NULL, 0,
     NULL},
    {"guest block-list", "disk.list", "List the disks of a guest", &schema_args_name, NULL, 0,
     NULL},
    {"guest network-list", "vif.list", "List the network cards of a guest", &schema_args_name, NULL,
     0, NULL},
    {"repo list", "repo.list", "List the repositories", &schema_args_none, NULL, 0, NULL},
    {"repo show", "repo.show", "Show a repository", &schema_args_name, NULL, 0, NULL},
    {"op list", "op.list", "List the operations under way and those that ended last",
     &schema_args_none, NULL, 0, NULL},
    {"op show", "op.show", "Show an operation", &schema_args_id, NULL, 0, NULL},
    {"log stats", "log.stats", "Show the log of the host that answers", &schema_args_none, NULL, 0,
     NULL},
    {"explain guest", "place.list", "Show every host as a place for a guest, and what decided",
     &schema_args_name, NULL, 0, NULL},
    {"block-list", "disk.list", "As guest block-list", &schema_args_name, NULL, VERB_OLD, NULL},
    {"network-list", "vif.list", "As guest network-list", &schema_args_name, NULL, VERB_OLD, NULL},
    {"list", "guest.list", "As guest list", &schema_args_none, NULL, VERB_REST | VERB_OLD, "NAME"},
};

/* What is neither a query nor one command sent as it is typed. */
static const struct verb own_verbs[] = {
    {.title = "pool init",
     .summary = "Make a pool of one host that belongs to none",
     .args = &schema_args_name,
     .run = run_pool_init,
     .flags = VERB_REQUEST},
    {.title = "pool transfer",
     .summary = "Hand the mastership to another host now",
     .args = &schema_args_host,
     .run = run_pool_transfer,
     .extra = "host"},
    {.title = "pool balance",
     .summary = "Move guests so that the hosts are about as full as each other",
     .args = &schema_args_balance,
     .run = run_balance},
    {.title = "host stop",
     .summary = "Stop the daemon of a host, for an update or before the machine goes down",
     .args = &schema_args_stop,
     .run = run_host_stop},
    {.title = "guest console",
     .summary = "Be at the console of a guest, wherever it runs; Ctrl-] leaves it",
     .args = &schema_args_console,
     .run = run_console},
    {.title = "guest suspend",
     .summary = "Save a guest's memory in the root repository and stop it there",
     .args = &schema_args_name,
     .run = run_suspend,
     .flags = VERB_REQUEST | VERB_WAITS},
    {.title = "guest restore",
     .summary = "As guest resume, also by the file that the guest was saved to",
     .args = &schema_args_restore,
     .run = run_restore,
     .flags = VERB_REQUEST | VERB_WAITS,
     .extra = "host"},
    {.title = "guest mem-set",
     .summary = "Set a guest's memory; a running guest has it from its next start on",
     .args = &schema_args_memory,
     .run = run_mem_set,
     .flags = VERB_REQUEST},
    {.title = "guest mem-max",
     .summary = "Set the largest memory that a guest may be given, from its next start on",
     .args = &schema_args_memory,
     .run = run_mem_max,
     .flags = VERB_REQUEST},
    {.title = "guest vcpu-set",
     .summary = "Set a guest's virtual CPUs; a running guest has them from its next start on",
     .args = &schema_args_vcpus,
     .run = run_vcpu_set,
     .flags = VERB_REQUEST},
    {.title = "guest vmcfg",
     .summary = "Print a guest as a file vm.cfg, without its password",
     .args = &schema_args_name,
     .run = run_vmcfg,
     .flags = VERB_LOCAL},
    {.title = "guest vnc",
     .summary = "Bring the VNC screen of a guest to a port of this machine, wherever it runs",
     .args = &schema_args_vnc,
     .run = run_vnc},
    {.title = "op wait",
     .summary = "Wait for the end of an operation",
     .args = &schema_args_id,
     .run = run_op_wait},
    {.title = "events",
     .summary = "Show what changed, and with --follow what changes",
     .args = &schema_args_events,
     .run = run_events,
     .flags = VERB_LOCAL},
    {.title = "version",
     .summary = "Show the version of this program",
     .args = &schema_args_none,
     .run = run_version},
    {.title = "help",
     .summary = "Explain a verb, a noun or a topic",
     .args = &schema_args_help,
     .run = run_help,
     .flags = VERB_REST,
     .rest = "TOPIC"},
    {.title = "completion-words",
     .summary = "The words that may come next",
     .args = &schema_args_none,
     .run = run_completion_words,
     .flags = VERB_REST | VERB_HIDDEN,
     .rest = "WORD"},
    {.title = "completion",
     .summary = "Print the completion script of a shell",
     .args = &schema_args_shell,
     .run = run_completion},
    {.title = "create",
     .summary = "Create and start a guest from a file vm.cfg",
     .args = &schema_args_create,
     .run = run_create,
     .flags = VERB_OLD | VERB_REST | VERB_REQUEST | VERB_WAITS,
     .shorts = "p paused",
     .rest = "NAME=VALUE"},
    {.title = "new",
     .summary = "Create a guest from a file vm.cfg, without starting it",
     .args = &schema_args_create,
     .run = run_new,
     .flags = VERB_OLD | VERB_REST | VERB_REQUEST | VERB_WAITS,
     .rest = "NAME=VALUE"},
    {.title = "shutdown",
     .summary = "Ask a guest, or with -a all of them, to shut down; -w waits",
     .args = &schema_args_shutdown,
     .run = run_shutdown,
     .flags = VERB_OLD | VERB_REQUEST,
     .extra = "name",
     .shorts = "a all w wait"},
    {.title = "reboot",
     .summary = "Ask a guest, or with -a all of them, to reboot; -w waits",
     .args = &schema_args_shutdown,
     .run = run_reboot,
     .flags = VERB_OLD | VERB_REQUEST,
     .extra = "name",
     .shorts = "a all w wait"},
    {.title = "migrate",
     .summary = "Move a guest to another host; without --live it stands still meanwhile",
     .args = &schema_args_migrate,
     .run = run_migrate,
     .flags = VERB_OLD | VERB_REQUEST | VERB_WAITS,
     .extra = "host",
     .shorts = "l live"},
    {.title = "save",
     .summary = "Save a guest to a file and stop it there",
     .args = &schema_cmd_guest_save,
     .run = run_save,
     .flags = VERB_OLD | VERB_REQUEST | VERB_WAITS,
     .extra = "file"},
    {.title = "suspend",
     .summary = "As guest suspend",
     .args = &schema_args_name,
     .run = run_suspend,
     .flags = VERB_OLD | VERB_REQUEST | VERB_WAITS},
    {.title = "restore",
     .summary = "As guest restore",
     .args = &schema_args_restore,
     .run = run_restore,
     .flags = VERB_OLD | VERB_REQUEST | VERB_WAITS,
     .extra = "host"},
    {.title = "mem-set",
     .summary = "Set a guest's memory; a running guest has it from its next start on",
     .args = &schema_args_memory,
     .run = run_mem_set,
     .flags = VERB_OLD | VERB_REQUEST},
    {.title = "mem-max",
     .summary = "Set the largest memory that a guest may be given, from its next start on",
     .args = &schema_args_memory,
     .run = run_mem_max,
     .flags = VERB_OLD | VERB_REQUEST},
    {.title = "vcpu-set",
     .summary = "Set a guest's virtual CPUs; a running guest has them from its next start on",
     .args = &schema_args_vcpus,
     .run = run_vcpu_set,
     .flags = VERB_OLD | VERB_REQUEST},
    {.title = "console",
     .summary = "As guest console",
     .args = &schema_args_console,
     .run = run_console,
     .flags = VERB_OLD},
    {.title = "info",
     .summary = "Show the host that answers",
     .args = &schema_args_none,
     .run = run_info,
     .flags = VERB_OLD},
};

/* One word for one command. */
static const struct old_command {
    const char *title;
    const char *command;
} old_commands[] = {
    {"start", "guest_start"},
    {"destroy", "guest_destroy"},
    {"pause", "guest_pause"},
    {"unpause", "guest_unpause"},
    {"delete", "guest_delete"},
    {"rename", "guest_rename"},
    {"resume", "guest_resume"},
    {"block-attach", "guest_block_attach"},
    {"block-detach", "guest_block_detach"},
    {"network-attach", "guest_network_attach"},
    {"network-detach", "guest_network_detach"},
};

static void from_command(const struct command *c, struct verb *ret)
{
    *ret = (struct verb){.title = c->title,
                         .summary = c->summary,
                         .args = c->schema,
                         .command = c,
                         .run = run_command,
                         .flags = VERB_REQUEST | VERB_WAITS};
    if (c->number == COMMAND_guest_migrate || c->number == COMMAND_guest_resume) {
        ret->extra = "host";
    } else if (c->number == COMMAND_guest_save) {
        ret->extra = "file";
    } else if (c->number == COMMAND_guest_shutdown || c->number == COMMAND_guest_reboot) {
        ret->args = &schema_args_shutdown;
        ret->command = NULL; /* What is typed is not its record. */
        ret->run = c->number == COMMAND_guest_reboot ? run_reboot : run_shutdown;
        ret->extra = "name";
    } else if (c->number == COMMAND_host_evacuate) {
        ret->args = &schema_args_evacuate;
        ret->command = NULL; /* What is typed is not its record. */
        ret->run = run_evacuate;
    } else if (c->number == COMMAND_host_fence) {
        ret->args = &schema_args_fence;
        ret->command = NULL;
        ret->run = run_host_fence;
    } else if (c->number == COMMAND_host_maintenance) {
        ret->args = &schema_args_maintenance;
        ret->command = NULL;
        ret->run = run_maintenance;
    }
}

static void from_query(const struct query_verb *q, struct verb *ret)
{
    *ret = (struct verb){.title = q->title,
                         .summary = q->summary,
                         .args = q->args,
                         .query = api_query_by_name(q->query),
                         .run = run_query,
                         .flags = q->flags | VERB_LOCAL,
                         .extra = q->extra,
                         .rest = q->rest};
}

/* User command number i, or NULL past the end; *ret_n is then how many there are. What agents and
 * controllers propose is no verb. */
static const struct command *user_command(size_t i, size_t *ret_n)
{
    size_t n = 0;
    for (size_t k = 0; k < n_commands; k++) {
        if (commands[k].who == COMMAND_USER && n++ == i) {
            return &commands[k];
        }
    }
    *ret_n = n;
    return NULL;
}

bool verb_at(size_t i, struct verb *ret)
{
    size_t n = 0;
    const struct command *c = user_command(i, &n);
    if (c != NULL) {
        from_command(c, ret);
        return true;
    }
    i -= n;
    if (i < ARRAY_LEN(query_verbs)) {
        from_query(&query_verbs[i], ret);
        return true;
    }
    i -= ARRAY_LEN(query_verbs);
    if (i < ARRAY_LEN(own_verbs)) {
        *ret = own_verbs[i];
        return true;
    }
    i -= ARRAY_LEN(own_verbs);
    if (i < ARRAY_LEN(old_commands)) {
        from_command(command_by_name(old_commands[i].command), ret);
        ret->title = old_commands[i].title;
        ret->flags |= VERB_OLD;
        return true;
    }
    return false;
}

bool verb_find(const char *title, struct verb *ret)
{
    struct verb v;
    for (size_t i = 0; verb_at(i, &v); i++) {
        if (strcmp(v.title, title) == 0) {
            *ret = v;
            return true;
        }
    }
    return false;
}

bool verb_begins(const char *words)
{
    size_t len = strlen(words);
    struct verb v;
    for (size_t i = 0; verb_at(i, &v); i++) {
        if (strncmp(v.title, words, len) == 0 && v.title[len] == ' ') {
            return true;
        }
    }
    return false;
}

bool verb_takes_config(const struct verb *v)
{
    return v->command != NULL && v->command->number == COMMAND_guest_create;
}

size_t verb_positionals(const struct verb *v, const struct field *ret[VERB_POSITIONALS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < v->args->n && n < VERB_POSITIONALS_MAX; i++) {
        if (v->args->fields[i].flags == FIELD_REQ) {
            ret[n++] = &v->args->fields[i];
        }
    }
    if (v->extra != NULL && n < VERB_POSITIONALS_MAX) {
        ret[n++] = schema_find(v->args, v->extra);
    }
    return n;
}

static void put_upper(struct buf *out, const char *s)
{
    for (; *s != '\0'; s++) {
        char c = *s >= 'a' && *s <= 'z' ? (char)(*s - 'a' + 'A') : *s;
        buf_put(out, &c, 1);
    }
}

static bool has_options(const struct verb *v)
{
    for (size_t i = 0; i < v->args->n; i++) {
        if ((v->args->fields[i].flags & (FIELD_OPT | FIELD_SECRET)) != 0) {
            return true;
        }
    }
    return false;
}

void verb_usage(const struct verb *v, struct buf *out)
{
    buf_printf(out, "quorate %s", v->title);
    const struct field *f[VERB_POSITIONALS_MAX];
    size_t n = verb_positionals(v, f);
    for (size_t i = 0; i < n; i++) {
        bool optional = f[i]->flags != FIELD_REQ;
        buf_printf(out, optional ? " [" : " ");
        put_upper(out, f[i]->name);
        buf_printf(out, "%s", optional ? "]" : "");
    }
    if ((v->flags & VERB_REST) != 0) {
        buf_printf(out, " [%s]...", v->rest);
    }
    if (has_options(v)) {
        buf_printf(out, " [OPTION]...");
    }
}
