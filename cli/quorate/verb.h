/* The verbs: one table for the parser, the help, the manual page and the completion.
 *
 * Every verb is a title ("guest create"), a record that its words fill in, and what is done with
 * it. Commands come from fsm/commands.def, queries from api_queries, the rest from a table in
 * verb.c. The positional words of a verb are the REQ fields of its record, in table order, and
 * after them the field `extra`. */

#ifndef CLI_QUORATE_VERB_H
#define CLI_QUORATE_VERB_H

#include <stddef.h>

#include "cli/api.h"
#include "cli/quorate/cli.h"

/* Words that a verb of its own kind takes; see verb.c. */
/* clang-format off */
/*    kind  name             aux         flags   min max            def   unit   help */
#define ARGS_NAME_FIELDS(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Name")
#define ARGS_ID_FIELDS(F) \
    F(u64,  id,              _,          REQ,    1,  UINT64_MAX,    0,    "",    "Number of the operation")
#define ARGS_HOST_FIELDS(F) \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host")
#define ARGS_EVENTS_FIELDS(F) \
    F(bool, follow,          _,          OPT,    0,  1,             0,    "",    "Go on until interrupted") \
    F(u64,  from,            _,          OPT,    0,  UINT64_MAX,    0,    "",    "Number of the first event to show") \
    F(u32,  limit,           _,          OPT,    0,  10000000,      0,    "",    "Most events to show; 0 is all")
#define ARGS_CREATE_FIELDS(F) \
    F(str,  config,          _,          REQ,    1,  LIMIT_PATH,    0,    "",    "File in the format of vm.cfg; - is standard input") \
    F(bool, paused,          _,          OPT,    0,  1,             0,    "",    "Leave it paused after the start")
#define ARGS_SHUTDOWN_FIELDS(F) \
    F(str,  name,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Guest") \
    F(bool, all,             _,          OPT,    0,  1,             0,    "",    "Every running guest") \
    F(bool, wait,            _,          OPT,    0,  1,             0,    "",    "Wait for the end; the verbs of two words do unless --no-wait")
#define ARGS_CONSOLE_FIELDS(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(bool, force,           _,          OPT,    0,  1,             0,    "",    "Take the console from whoever is at it")
#define ARGS_RESTORE_FIELDS(F) \
    F(str,  file,            _,          REQ,    1,  LIMIT_PATH,    0,    "",    "Guest, or the file of its saved memory") \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host; empty: the roomiest") \
    F(bool, paused,          _,          OPT,    0,  1,             0,    "",    "Leave it paused")
#define ARGS_MEMORY_FIELDS(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(u32,  mib,             _,          REQ,    1,  1u << 24,      0,    "MiB", "Memory")
#define ARGS_VCPUS_FIELDS(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(u32,  vcpus,           _,          REQ,    1,  512,           0,    "",    "Virtual CPUs")
#define ARGS_VNC_FIELDS(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(u32,  port,            _,          OPT,    0,  65535,         0,    "",    "Of this machine, for viewers; 0: any that is free")
#define ARGS_MIGRATE_FIELDS(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Target; empty: the roomiest other host") \
    F(bool, live,            _,          OPT,    0,  1,             0,    "",    "The guest runs while it is copied") \
    F(u32,  resource,        _,          OPT,    0,  1000000,       0,    "MiB/s", "Bandwidth limit; 0 is none")
#define ARGS_EVACUATE_FIELDS(F) \
    F(str,  name,     _, REQ, 1, LIMIT_NAME,     0, "", "Host") \
    F(bool, dry_run,  _, OPT, 0, 1,              0, "", "Show where each guest would go, and move none") \
    F(u32,  parallel, _, OPT, 1, LIMIT_PARALLEL, 2, "", "Migrations at a time") \
    F(bool, force,    _, OPT, 0, 1,              0, "", "Although not every guest has a place to go to")
#define ARGS_MAINTENANCE_FIELDS(F) \
    F(str,  mode,     _, REQ, 2, 3,              0, "", "on or off") \
    F(str,  name,     _, REQ, 1, LIMIT_NAME,     0, "", "Host") \
    F(bool, evacuate, _, OPT, 0, 1,              1, "", "Migrate its guests away; off leaves them") \
    F(u32,  parallel, _, OPT, 1, LIMIT_PARALLEL, 2, "", "Migrations at a time") \
    F(bool, move_back, _, OPT, 0, 1,             0, "", "With off: the guests that were moved away come back") \
    F(bool, dry_run,  _, OPT, 0, 1,              0, "", "Show which guests would go where, and change nothing")
#define ARGS_FENCE_FIELDS(F) \
    F(str,  name,     _, REQ, 1, LIMIT_NAME,     0, "", "Host that is off") \
    F(str,  reason,   _, REQ, 1, LIMIT_DETAIL,   0, "", "How that is known") \
    F(bool, yes,      _, OPT, 0, 1,              0, "", "Although it is up; its name is not asked for")
#define ARGS_BALANCE_FIELDS(F) \
    F(u32,  threshold, _, OPT, 1, 100,           20, "%", "Hosts may differ by so much in how full their memory is") \
    F(bool, dry_run,  _, OPT, 0, 1,              0, "", "Show which guests would move, and move none")
#define ARGS_STOP_FIELDS(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host") \
    F(str,  guests,          _,          OPT,    0,  15,            0,    "",    "What becomes of its guests: migrate, shutdown, release (HA guests start elsewhere at once) or leave") \
    F(u32,  parallel,        _,          OPT,    1,  LIMIT_PARALLEL, 2,   "",    "Migrations at a time")
#define ARGS_SHELL_FIELDS(F) \
    F(str,  shell,           _,          REQ,    1,  15,            0,    "",    "bash")
#define ARGS_HELP_FIELDS(F) \
    F(bool, man,             _,          OPT,    0,  1,             0,    "",    "The whole manual page, as roff")
/* clang-format on */

SCHEMA_STRUCT(args_name, ARGS_NAME_FIELDS)
SCHEMA_STRUCT(args_id, ARGS_ID_FIELDS)
SCHEMA_STRUCT(args_host, ARGS_HOST_FIELDS)
SCHEMA_STRUCT(args_events, ARGS_EVENTS_FIELDS)
SCHEMA_STRUCT(args_create, ARGS_CREATE_FIELDS)
SCHEMA_STRUCT(args_shutdown, ARGS_SHUTDOWN_FIELDS)
SCHEMA_STRUCT(args_console, ARGS_CONSOLE_FIELDS)
SCHEMA_STRUCT(args_restore, ARGS_RESTORE_FIELDS)
SCHEMA_STRUCT(args_memory, ARGS_MEMORY_FIELDS)
SCHEMA_STRUCT(args_vcpus, ARGS_VCPUS_FIELDS)
SCHEMA_STRUCT(args_vnc, ARGS_VNC_FIELDS)
SCHEMA_STRUCT(args_migrate, ARGS_MIGRATE_FIELDS)
SCHEMA_STRUCT(args_evacuate, ARGS_EVACUATE_FIELDS)
SCHEMA_STRUCT(args_maintenance, ARGS_MAINTENANCE_FIELDS)
SCHEMA_STRUCT(args_fence, ARGS_FENCE_FIELDS)
SCHEMA_STRUCT(args_balance, ARGS_BALANCE_FIELDS)
SCHEMA_STRUCT(args_stop, ARGS_STOP_FIELDS)
SCHEMA_STRUCT(args_shell, ARGS_SHELL_FIELDS)
SCHEMA_STRUCT(args_help, ARGS_HELP_FIELDS)

extern const struct schema schema_args_none, schema_args_name, schema_args_id, schema_args_host,
    schema_args_events, schema_args_create, schema_args_shutdown, schema_args_migrate,
    schema_args_evacuate, schema_args_maintenance, schema_args_fence, schema_args_balance,
    schema_args_stop, schema_args_shell, schema_args_help;

enum verb_flag {
    VERB_REST = 1,     /* Takes any number of further words. */
    VERB_OLD = 2,      /* A spelling of the older system. */
    VERB_HIDDEN = 4,   /* Not in help, manual or completion. */
    VERB_LOCAL = 8,    /* Takes --local. */
    VERB_REQUEST = 16, /* Takes --request-id. */
    VERB_WAITS = 32    /* Takes --no-wait. */
};

struct parsed;

struct verb {
    const char *title; /* Words as typed, single spaces. */
    const char *summary;
    const struct schema *args;     /* Never NULL; may have no fields. */
    const struct command *command; /* Set for a command. */
    const struct api_query *query; /* Set for a query. */
    int (*run)(struct cli *cli, const struct parsed *p);
    unsigned flags;
    const char *extra;  /* An OPT field that may also be given by position, or NULL. */
    const char *shorts; /* Pairs of a letter and a field: "w wait a all", or NULL. */
    const char *rest;   /* What the further words are called: "NAME=VALUE". */
};

/* Number i of the verbs, in the order in which help lists them; false past the end. */
bool verb_at(size_t i, struct verb *ret);

/* The verb whose title is exactly these words. */
bool verb_find(const char *title, struct verb *ret);

/* Whether some verb's title begins with these words and goes on. */
bool verb_begins(const char *words);

/* The nouns in order, ended by NULL, each with a line of what it is. */
struct noun {
    const char *name;
    const char *summary;
};
extern const struct noun nouns[];

/* The most positional words a verb takes, rest aside. */
#define VERB_POSITIONALS_MAX 6

/* The fields given by position, at most VERB_POSITIONALS_MAX; how many. */
size_t verb_positionals(const struct verb *v, const struct field *ret[VERB_POSITIONALS_MAX]);

/* Whether it takes --config FILE, a vm.cfg to begin with. */
bool verb_takes_config(const struct verb *v);

/* "quorate guest migrate NAME [HOST] [--option value]..." into out. */
void verb_usage(const struct verb *v, struct buf *out);

#endif
