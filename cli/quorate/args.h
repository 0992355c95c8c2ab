/* From argv to a record: the grammar of the command line.
 *
 *     quorate [global options] TITLE [words and options in any order] [-- words]
 *
 * Options are the fields of the verb's record: `--memory-mib 512`, `--memory_mib=512`, and without
 * the unit, `--memory 2GiB`. Fields of a nested record are options under their own names; a list of
 * records is one option per element, in the singular: `--disk path=/a.img,device=hda`. A secret is
 * read from a file, `--vnc-password-file FILE`, so that it is never seen in a list of processes. A
 * bool is `--ha on`, `--ha=off`, `--ha` or `--no-ha`. */

#ifndef CLI_QUORATE_ARGS_H
#define CLI_QUORATE_ARGS_H

#include "cli/quorate/verb.h"

struct parsed {
    bool found; /* Whether there is a verb; without one, words are those of --help. */
    struct verb verb;
    void *record;      /* As verb.args says; defaults where nothing was given. */
    const char **rest; /* The further words of a VERB_REST verb, or those that name no verb. */
    size_t n_rest;
    const char **words; /* Private: owns what rest points into. */
};

/* Read the words. Global options go to cli->opt. ERR_INVALID or ERR_UNKNOWN with what is near; a
 * file that --config names is read here. *ret must be given back with args_done() in any case. */
int args_parse(struct cli *cli, int argc, char **argv, struct parsed *ret, struct err *e);
void args_done(struct parsed *p);

/* An option as typed, without the dashes: what it is in this record. */
struct option_target {
    const struct field *field;
    size_t base;  /* Where the field's own record begins in the verb's record. */
    bool negated; /* --no-x. */
};
bool args_option(const struct schema *s, const char *name, struct option_target *ret);

/* The spelling of a field as an option: "memory", "disk", "vnc-password-file". */
void args_option_name(const struct field *f, struct buf *out);

/* Length of a field's name without the unit at its end: 6 of "memory_mib". */
size_t args_bare_length(const struct field *f);

/* Call fn for every field that is an option of the verb (nested ones too, positional ones not). */
void args_each_option(const struct verb *v,
                      void (*fn)(void *ctx, const struct field *f),
                      void *ctx);

/* The global options, for help and completion; ended by a NULL name. */
struct global_option {
    const char *name;  /* "connect" */
    const char *value; /* "HOST:PORT,...", or NULL. */
    const char *help;
    unsigned flag; /* VERB_* that a verb must have to take it; 0: any. */
};
extern const struct global_option global_options[];
const struct global_option *args_global(const char *name);

/* The value that stands for an option's argument in help: "MIB", "on|off", "TEXT". */
void args_option_value(const struct field *f, struct buf *out);

#endif
