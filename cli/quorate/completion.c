/* Completion: a small script for bash, which asks this program for the words that may come next. So
 * they follow from the same tables as everything else. */

#include <string.h>

#include "core/util.h"

#include "cli/quorate/help.h"
#include "cli/quorate/request.h"
#include "cli/quorate/run.h"

/* A shell must not hang on a Tab: names are left out when the pool does not answer in this time. */
#define NAMES_MS 200

static const char script[] =
    "# bash completion of quorate: source <(quorate completion bash)\n"
    "_quorate()\n"
    "{\n"
    "    local word=\"${COMP_WORDS[COMP_CWORD]}\"\n"
    "    local IFS=$'\\n'\n"
    "    case \"${COMP_WORDS[COMP_CWORD-1]}\" in\n"
    "    --config | *-file) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
    "    esac\n"
    "    if [[ ${COMP_CWORD} -eq 2 && ( ${COMP_WORDS[1]} == create || ${COMP_WORDS[1]} == new ) "
    "]]; "
    "then\n"
    "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
    "        return\n"
    "    fi\n"
    "    COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" completion-words -- "
    "\"${COMP_WORDS[@]:1:COMP_CWORD-1}\" 2>/dev/null)\" -- \"$word\"))\n"
    "}\n"
    "complete -o default -F _quorate quorate\n";

int run_completion(struct cli *cli, const struct parsed *p)
{
    const struct args_shell *a = p->record;
    if (strcmp(a->shell, "bash") != 0) {
        cli_say(cli, "completion: there is a script for bash only, none for \"%s\"", a->shell);
        return EXIT_STATUS_USAGE;
    }
    (void)fputs(script, cli->out);
    return EXIT_STATUS_OK;
}

/* The word of a title that follows the words so far: "guest" after nothing, "create" after "guest".
 * false: this verb does not go on from there. */
static bool next_word(const struct verb *v, const char *title, char word[64])
{
    size_t len = strlen(title);
    const char *rest = v->title + len;
    if ((v->flags & VERB_HIDDEN) != 0 || strncmp(v->title, title, len) != 0 ||
        (len > 0 && *rest++ != ' ')) {
        return false;
    }
    (void)snprintf(word, 64, "%.*s", (int)strcspn(rest, " "), rest);
    return true;
}

static void next_words(const char *title, FILE *out)
{
    struct verb v;
    struct verb earlier;
    char word[64];
    char said[64];
    for (size_t i = 0; verb_at(i, &v); i++) {
        bool fresh = next_word(&v, title, word);
        for (size_t k = 0; fresh && k < i; k++) {
            fresh = !(verb_at(k, &earlier) && next_word(&earlier, title, said) &&
                      strcmp(said, word) == 0);
        }
        if (fresh) {
            (void)fprintf(out, "%s\n", word);
        }
    }
}

static void put_option(void *ctx, const struct field *f)
{
    CLEANUP(buf_done) struct buf name = {0};
    args_option_name(f, &name);
    (void)fprintf(ctx, "--%.*s\n", (int)name.len, (const char *)name.data);
}

static void put_options(const struct verb *v, FILE *out)
{
    args_each_option(v, put_option, out);
    if (verb_takes_config(v)) {
        (void)fputs("--config\n", out);
    }
    for (const struct global_option *g = global_options; g->name != NULL; g++) {
        if (g->flag == 0 || (g->flag & v->flags) != 0) {
            (void)fprintf(out, "--%s\n", g->name);
        }
    }
}

static void put_name(void *ctx, const void *record)
{
    /* Every row of a list begins with its name. */
    (void)fprintf(ctx, "%s\n", (const char *)record);
}

/* Names from the pool, if it answers at once. */
static void put_names(struct cli *cli, const char *query, struct link *l)
{
    const struct api_query *q = api_query_by_name(query);
    struct err e;
    struct request_query rq = {.query = q,
                               .subject = "",
                               .deadline = cli->clock->mono_ms(cli->clock) + NAMES_MS,
                               .row = put_name,
                               .ctx = cli->out};
    (void)request_rows(l, &rq, &e); /* No names then. */
}

/* Which list a field takes its values from, by the field's name and the verb's noun. */
static const char *list_of(const struct verb *v, const struct field *f)
{
    if (strcmp(f->name, "host") == 0 || strcmp(f->name, "preferred") == 0) {
        return "host.list";
    }
    if (strcmp(f->name, "name") != 0) {
        return NULL;
    }
    bool makes = v->command != NULL &&
                 (v->command->number == COMMAND_guest_create ||
                  v->command->number == COMMAND_host_add || v->command->number == COMMAND_repo_new);
    if (makes || strncmp(v->title, "pool", 4) == 0) {
        return NULL;
    }
    return strncmp(v->title, "host ", 5) == 0   ? "host.list"
           : strncmp(v->title, "repo ", 5) == 0 ? "repo.list"
                                                : "guest.list";
}

static void put_values(struct cli *cli, const struct verb *v, const struct field *f)
{
    if (f->kind == FIELD_BOOL) {
        (void)fputs("on\noff\n", cli->out);
        return;
    }
    for (size_t i = 0; f->kind == FIELD_ENM && i < f->names->n; i++) {
        (void)fprintf(cli->out, "%s\n", f->names->names[i]);
    }
    const char *query = list_of(v, f);
    struct link l;
    struct err e;
    if (query != NULL && link_init(&l, cli, &e) == 0) {
        cli->opt.local = true; /* Fast, and new enough for this. */
        put_names(cli, query, &l);
        link_done(&l);
    }
}

/* Where the cursor stands, from the words before it. */
struct place {
    struct verb verb;
    bool found;
    char title[96];
    size_t n_words;            /* After the title. */
    const struct field *value; /* The option whose value comes next. */
};

static const struct field *option_before(const struct place *at, const char *word)
{
    struct option_target t;
    if (!at->found || word[1] != '-' || strchr(word, '=') != NULL ||
        !args_option(at->verb.args, word + 2, &t) || t.field->kind == FIELD_BOOL) {
        return NULL;
    }
    return t.field;
}

/* An option at word i: how many words it takes, and the field if its value is still to come. */
static size_t option_words(struct cli *cli, const struct parsed *p, struct place *at, size_t i)
{
    const char *word = p->rest[i];
    bool last = i + 1 == p->n_rest;
    const struct global_option *g = word[1] == '-' ? args_global(word + 2) : NULL;
    if (g != NULL) {
        bool takes = g->value != NULL && !last;
        if (takes && strcmp(g->name, "connect") == 0) {
            cli->opt.connect = p->rest[i + 1];
        }
        return takes ? 2 : 1;
    }
    const struct field *f = option_before(at, word);
    at->value = last ? f : NULL;
    return f != NULL && !last ? 2 : 1;
}

static void read_place(struct cli *cli, const struct parsed *p, struct place *at)
{
    for (size_t i = 0; i < p->n_rest;) {
        const char *word = p->rest[i];
        if (word[0] == '-') {
            i += option_words(cli, p, at, i);
            continue;
        }
        i++;
        if (at->found) {
            at->n_words++;
            continue;
        }
        size_t len = strlen(at->title);
        (void)snprintf(at->title + len, sizeof at->title - len, "%s%s", len == 0 ? "" : " ", word);
        at->found = verb_find(at->title, &at->verb);
    }
}

int run_completion_words(struct cli *cli, const struct parsed *p)
{
    struct place at = {.found = false};
    read_place(cli, p, &at);
    if (!at.found) {
        next_words(at.title, cli->out);
        return EXIT_STATUS_OK;
    }
    if (at.value != NULL) {
        put_values(cli, &at.verb, at.value);
        return EXIT_STATUS_OK;
    }
    const struct field *f[VERB_POSITIONALS_MAX];
    size_t n = verb_positionals(&at.verb, f);
    if (at.n_words < n) {
        put_values(cli, &at.verb, f[at.n_words]);
    }
    if (strcmp(at.verb.title, "help") == 0) {
        for (const struct help_topic *t = help_topics; t->name != NULL; t++) {
            (void)fprintf(cli->out, "%s\n", t->name);
        }
    }
    put_options(&at.verb, cli->out);
    return EXIT_STATUS_OK;
}
