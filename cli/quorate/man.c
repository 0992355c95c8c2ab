/* The manual page: the same tables as the help, in roff. */

#include <string.h>

#include "core/util.h"

#include "cli/quorate/args.h"
#include "cli/quorate/help.h"

/* Text in which nothing is roff's: '-' stays a minus that can be copied, a leading '.' or '\'' is
 * no request. */
static void put_escaped(const char *text, size_t len, FILE *out)
{
    if (len > 0 && (*text == '.' || *text == '\'')) {
        (void)fputs("\\&", out);
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\') {
            (void)fputs("\\e", out);
        } else if (text[i] == '-') {
            (void)fputs("\\-", out);
        } else {
            (void)fputc(text[i], out);
        }
    }
}

static void put(const char *text, FILE *out)
{
    put_escaped(text, strlen(text), out);
}

/* Paragraphs, and lines that begin with a space as they are. */
static void put_text(const char *text, FILE *out)
{
    bool kept = false;
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        bool keep = *text == ' ';
        if (keep != kept && len > 0) {
            (void)fputs(keep ? ".nf\n" : ".fi\n", out);
            kept = keep;
        }
        if (len == 0) {
            (void)fputs(".PP\n", out);
        } else {
            put_escaped(text, len, out);
            (void)fputc('\n', out);
        }
        text += text[len] == '\n' ? len + 1 : len;
    }
    if (kept) {
        (void)fputs(".fi\n", out);
    }
}

static void put_option(void *ctx, const struct field *f)
{
    FILE *out = ctx;
    CLEANUP(buf_done) struct buf name = {0};
    buf_printf(&name, "--");
    args_option_name(f, &name);
    buf_printf(&name, " ");
    args_option_value(f, &name);
    (void)fputs(".TP\n.B ", out);
    put_escaped((const char *)name.data, name.len, out);
    (void)fputc('\n', out);
    put(f->help, out);
    (void)fputc('\n', out);
}

static void put_verb(const struct verb *v, FILE *out)
{
    CLEANUP(buf_done) struct buf usage = {0};
    verb_usage(v, &usage);
    (void)fputs(".SS ", out);
    put_escaped((const char *)usage.data, usage.len, out);
    (void)fputc('\n', out);
    put(v->summary, out);
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
        put(g->name, out);
        if (g->value != NULL) {
            (void)fputc(' ', out);
            put(g->value, out);
        }
        (void)fputc('\n', out);
        put(g->help, out);
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
        put(t->summary, out);
        (void)fputc('\n', out);
        put_text(text, out);
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
