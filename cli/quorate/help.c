#include "cli/quorate/help.h"

#include <inttypes.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorate/args.h"
#include "cli/quorate/run.h"
#include "cli/quorate/suggest.h"

#define WIDTH 78

/* One paragraph, broken at spaces. */
static void put_paragraph(const char *text, size_t len, FILE *out)
{
    size_t column = 0;
    while (len > 0) {
        size_t word = 0;
        while (word < len && text[word] != ' ') {
            word++;
        }
        if (column > 0 && column + 1 + word > WIDTH) {
            (void)fputc('\n', out);
            column = 0;
        } else if (column > 0) {
            (void)fputc(' ', out);
            column++;
        }
        (void)fwrite(text, 1, word, out);
        column += word;
        text += word;
        len -= word;
        while (len > 0 && *text == ' ') {
            text++;
            len--;
        }
    }
    (void)fputc('\n', out);
}

/* Lines that begin with a space stay as they are. */
static void put_text(const char *text, FILE *out)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        if (len == 0 || *text == ' ') {
            (void)fwrite(text, 1, len, out);
            (void)fputc('\n', out);
        } else {
            put_paragraph(text, len, out);
        }
        text += text[len] == '\n' ? len + 1 : len;
    }
}

static bool has_noun(const struct verb *v, const char *noun)
{
    size_t len = strlen(noun);
    return strncmp(v->title, noun, len) == 0 && v->title[len] == ' ';
}

static void list_verbs_of(const char *noun, FILE *out)
{
    struct verb v;
    for (size_t i = 0; verb_at(i, &v); i++) {
        if (has_noun(&v, noun) && (v.flags & VERB_HIDDEN) == 0) {
            (void)fprintf(out, "  %-18s %s\n", v.title, v.summary);
        }
    }
}

static bool is_single(const struct verb *v)
{
    return strchr(v->title, ' ') == NULL && (v->flags & VERB_HIDDEN) == 0;
}

static void list_single_verbs(bool old, FILE *out)
{
    struct verb v;
    for (size_t i = 0; verb_at(i, &v); i++) {
        if (is_single(&v) && ((v.flags & VERB_OLD) != 0) == old) {
            (void)fprintf(out, "  %-18s %s\n", v.title, v.summary);
        }
    }
}

static void list_globals(unsigned flags, FILE *out)
{
    for (const struct global_option *g = global_options; g->name != NULL; g++) {
        if (g->flag == 0 || (g->flag & flags) != 0) {
            CLEANUP(buf_done) struct buf name = {0};
            buf_printf(&name, "--%s%s%s", g->name, g->value == NULL ? "" : " ",
                       g->value == NULL ? "" : g->value);
            (void)fprintf(out, "  %-27.*s %s\n", (int)name.len, (const char *)name.data, g->help);
        }
    }
}

static void list_topics(FILE *out)
{
    for (const struct help_topic *t = help_topics; t->name != NULL; t++) {
        (void)fprintf(out, "  %-18s %s\n", t->name, t->summary);
    }
}

void help_overview(FILE *out)
{
    (void)fputs("usage: quorate [OPTION]... NOUN VERB [NAME] [--FIELD VALUE]...\n", out);
    for (const struct noun *n = nouns; n->name != NULL; n++) {
        (void)fprintf(out, "\n%s:\n", n->summary);
        list_verbs_of(n->name, out);
    }
    (void)fputs("\nAnd:\n", out);
    list_single_verbs(false, out);
    (void)fputs("\nIn the words of the older system:\n", out);
    list_single_verbs(true, out);
    (void)fputs("\nOptions of all verbs, or of those of their kind:\n", out);
    list_globals(VERB_LOCAL | VERB_REQUEST | VERB_WAITS, out);
    (void)fputs("\nTopics:\n", out);
    list_topics(out);
    (void)fputs("\n\"quorate help NOUN VERB\" and \"quorate help TOPIC\" say more.\n", out);
}

/* "512" limits are worth a word only where they are not those of the type. */
static void put_limits(const struct field *f, FILE *out)
{
    bool number = f->kind == FIELD_U32 || f->kind == FIELD_U64;
    if (f->kind == FIELD_BOOL && f->flags == FIELD_OPT) {
        (void)fprintf(out, " (default %s)", f->def != 0 ? "on" : "off");
    } else if (f->kind == FIELD_ENM && f->flags == FIELD_OPT) {
        (void)fprintf(out, " (default %s)", f->names->names[f->def]);
    } else if (number && f->max < UINT32_MAX) {
        (void)fprintf(out, " (%" PRIu64 " to %" PRIu64, f->min, f->max);
        if (f->flags == FIELD_OPT && f->def >= f->min && f->def != 0) {
            (void)fprintf(out, ", default %" PRIu64, f->def);
        }
        (void)fputc(')', out);
    } else if (f->kind == FIELD_LIST || f->kind == FIELD_STRS) {
        (void)fprintf(out, " (up to %" PRIu64 ")", f->max);
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
    (void)fprintf(out, "  %-27.*s %s", (int)name.len, (const char *)name.data, f->help);
    put_limits(f, out);
    (void)fputc('\n', out);
    if (f->kind == FIELD_LIST) {
        for (size_t i = 0; i < f->nested->n; i++) {
            const struct field *k = &f->nested->fields[i];
            (void)fprintf(out, "  %-27s   %s=: %s\n", "", k->name, k->help);
        }
    }
}

static void put_words(const struct verb *v, FILE *out)
{
    const struct field *f[VERB_POSITIONALS_MAX];
    size_t n = verb_positionals(v, f);
    for (size_t i = 0; i < n; i++) {
        CLEANUP(buf_done) struct buf name = {0};
        for (const char *c = f[i]->name; *c != '\0'; c++) {
            buf_put_u8(&name, (uint8_t)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c));
        }
        (void)fprintf(out, "  %-27.*s %s", (int)name.len, (const char *)name.data, f[i]->help);
        put_limits(f[i], out);
        (void)fputc('\n', out);
    }
}

static void count_option(void *ctx, const struct field *f)
{
    (void)f;
    ++*(size_t *)ctx;
}

static void put_shorts(const struct verb *v, FILE *out)
{
    for (const char *s = v->shorts; s != NULL && *s != '\0';) {
        size_t len = strcspn(s + 2, " ");
        (void)fprintf(out, "  -%c                          As --%.*s\n", *s, (int)len, s + 2);
        s += 2 + len;
        s += *s == ' ' ? 1 : 0;
    }
}

static void put_options(const struct verb *v, FILE *out)
{
    args_each_option(v, put_option, out);
    put_shorts(v, out);
    if (verb_takes_config(v)) {
        (void)fputs(
            "  --config FILE               Read a file vm.cfg first (quorate help vm.cfg)\n", out);
    }
}

int help_verb(const struct verb *v, FILE *out)
{
    CLEANUP(buf_done) struct buf usage = {0};
    verb_usage(v, &usage);
    (void)fprintf(out, "usage: %.*s\n\n%s.\n", (int)usage.len, (const char *)usage.data,
                  v->summary);
    const struct field *f[VERB_POSITIONALS_MAX];
    if (verb_positionals(v, f) > 0) {
        (void)fputs("\nWords:\n", out);
        put_words(v, out);
    }
    size_t options = 0;
    args_each_option(v, count_option, &options);
    if (options > 0) {
        (void)fputs("\nOptions:\n", out);
        put_options(v, out);
    }
    (void)fputs("\nOther options:\n", out);
    list_globals(v->flags, out);
    return EXIT_STATUS_OK;
}

static const struct help_topic *find_topic(const char *name)
{
    for (const struct help_topic *t = help_topics; t->name != NULL; t++) {
        if (strcmp(t->name, name) == 0) {
            return t;
        }
    }
    return NULL;
}

static const struct noun *find_noun(const char *name)
{
    for (const struct noun *n = nouns; n->name != NULL; n++) {
        if (strcmp(n->name, name) == 0) {
            return n;
        }
    }
    return NULL;
}

static void topic_page(const struct help_topic *t, FILE *out)
{
    char *text = NULL;
    size_t len = 0;
    FILE *mem = open_memstream(&text, &len);
    if (mem == NULL) {
        return;
    }
    help_topic_text(t, mem);
    (void)fclose(mem); /* To memory. */
    (void)fprintf(out, "%s\n\n", t->summary);
    put_text(text, out);
    free(text);
}

static int unknown_topic(struct cli *cli, const char *words)
{
    struct suggest s;
    suggest_init(&s, words);
    struct verb v;
    for (size_t i = 0; verb_at(i, &v); i++) {
        suggest_word(&s, v.title);
    }
    for (const struct noun *n = nouns; n->name != NULL; n++) {
        suggest_word(&s, n->name);
    }
    for (const struct help_topic *t = help_topics; t->name != NULL; t++) {
        suggest_word(&s, t->name);
    }
    const char *best = suggest_best(&s);
    cli_say(cli, "no help on \"%.80s\"%s%s%s", words, best == NULL ? "" : "; did you mean \"",
            best == NULL ? "" : best, best == NULL ? "" : "\"?");
    (void)fputs("Try \"quorate help\".\n", cli->err);
    return EXIT_STATUS_USAGE;
}

int help_words(struct cli *cli, const char *const *words, size_t n)
{
    if (n == 0) {
        help_overview(cli->out);
        return EXIT_STATUS_OK;
    }
    CLEANUP(buf_done) struct buf title = {0};
    for (size_t i = 0; i < n; i++) {
        buf_printf(&title, "%s%s", i == 0 ? "" : " ", words[i]);
    }
    buf_put_u8(&title, 0);
    const char *name = (const char *)title.data;
    struct verb v;
    if (verb_find(name, &v)) {
        return help_verb(&v, cli->out);
    }
    const struct noun *noun = find_noun(name);
    if (noun != NULL) {
        (void)fprintf(cli->out, "%s:\n", noun->summary);
        list_verbs_of(noun->name, cli->out);
        return EXIT_STATUS_OK;
    }
    const struct help_topic *t = find_topic(name);
    if (t != NULL) {
        topic_page(t, cli->out);
        return EXIT_STATUS_OK;
    }
    return unknown_topic(cli, name);
}

int run_help(struct cli *cli, const struct parsed *p)
{
    const struct args_help *a = p->record;
    if (a->man) {
        help_man(cli->out);
        return EXIT_STATUS_OK;
    }
    return help_words(cli, p->rest, p->n_rest);
}

int run_version(struct cli *cli, const struct parsed *p)
{
    (void)p;
    (void)fprintf(cli->out, cli->opt.json ? "{\"version\": \"%s\"}\n" : "quorate %s\n",
                  QUORATE_VERSION);
    return EXIT_STATUS_OK;
}
