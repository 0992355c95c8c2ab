/* The manual page: the same tables as the help, in roff. */

#include <stdlib.h>

#include "core/roff.h"
#include "core/util.h"

#include "cli/quorate/args.h"
#include "cli/quorate/help.h"

static void put_option(void *ctx, const struct field *f)
{
    FILE *out = ctx;
    CLEANUP(buf_done) struct buf name = {0};
    buf_printf(&name, "--");
    args_option_name(f, &name);
    buf_printf(&name, " ");
    args_option_value(f, &name);
    (void)fputs(".TP\n.B ", out);
    roff_put_n((const char *)name.data, name.len, out);
    (void)fputc('\n', out);
    roff_put(f->help, out);
    (void)fputc('\n', out);
}

static void put_verb(const struct verb *v, FILE *out)
{
    CLEANUP(buf_done) struct buf usage = {0};
    verb_usage(v, &usage);
    (void)fputs(".SS ", out);
    roff_put_n((const char *)usage.data, usage.len, out);
    (void)fputc('\n', out);
    roff_put(v->summary, out);
    (void)fputs(".\n", out);
    args_each_option(v, put_option, out);
}

static void put_verbs(FILE *out)
{
    struct verb v;
    for (size_t i = 0; verb_at(i, &v); i++) {
        if ((v.flags & (VERB_HIDDEN | VERB_OLD)) == 0) {
            put_verb(&v, out);
        }
    }
    (void)fputs(".SH OLDER SPELLINGS\nThe words of the older system mean the same as here.\n", out);
    for (size_t i = 0; verb_at(i, &v); i++) {
        if ((v.flags & VERB_OLD) != 0) {
            put_verb(&v, out);
        }
    }
}

static void put_globals(FILE *out)
{
    (void)fputs(".SH OPTIONS\nThese may stand anywhere.\n", out);
    for (const struct global_option *g = global_options; g->name != NULL; g++) {
        (void)fputs(".TP\n.B \\-\\-", out);
        roff_put(g->name, out);
        if (g->value != NULL) {
            (void)fputc(' ', out);
            roff_put(g->value, out);
        }
        (void)fputc('\n', out);
        roff_put(g->help, out);
        (void)fputc('\n', out);
    }
}

static void put_topics(FILE *out)
{
    for (const struct help_topic *t = help_topics; t->name != NULL; t++) {
        char *text = NULL;
        size_t len = 0;
        FILE *mem = open_memstream(&text, &len);
        if (mem == NULL) {
            continue;
        }
        help_topic_text(t, mem);
        (void)fclose(mem); /* To memory. */
        (void)fputs(".SH ", out);
        roff_put(t->summary, out);
        (void)fputc('\n', out);
        roff_put_paragraphs(text, out);
        free(text);
    }
}

void help_man(FILE *out)
{
    (void)fputs(".\\\" Made by \"quorate help --man\".\n"
                ".TH QUORATE 1 \"\" \"quorate " QUORATE_VERSION "\" \"quorate\"\n"
                ".SH NAME\n"
                "quorate \\- operate a pool of hypervisor hosts\n"
                ".SH SYNOPSIS\n"
                ".B quorate\n"
                "[\\fIoption\\fR]... \\fInoun verb\\fR [\\fIname\\fR] "
                "[\\fB\\-\\-\\fIfield value\\fR]...\n"
                ".SH DESCRIPTION\n"
                "quorate asks a daemon, quorated, of any host of a pool, to show or to change the "
                "pool: its hosts, guests, repositories and operations.\n",
                out);
    put_globals(out);
    (void)fputs(".SH COMMANDS\n", out);
    put_verbs(out);
    put_topics(out);
    (void)fputs(".SH ENVIRONMENT\n.TP\n.B QUORATE_CONNECT\nAddresses to ask, as \\-\\-connect.\n"
                ".SH SEE ALSO\n.BR quorated (8)\n",
                out);
}
