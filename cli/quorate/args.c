#include "cli/quorate/args.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "cli/quorate/args_set.h"
#include "cli/quorate/suggest.h"
#include "cli/vmcfg.h"

#define DEFAULT_CONNECT "unix:/run/quorate/quorate.sock"
#define TITLE_WORDS     3

const struct global_option global_options[] = {
    {"connect", "ADDRESS,...",
     "Hosts to ask, each tried in turn (default $QUORATE_CONNECT, or " DEFAULT_CONNECT ")", 0},
    {"json", NULL, "Print results as JSON", 0},
    {"local", NULL, "Answer from the asked host's own copy, which may be behind", VERB_LOCAL},
    {"no-wait", NULL, "Do not wait for the end of the operation", VERB_WAITS},
    {"request-id", "ID", "Send under this id: the same id is never carried out twice",
     VERB_REQUEST},
    {"timeout", "SECONDS", "Give up after this time", 0},
    {"quiet", NULL, "Print only results that were asked for, and errors", 0},
    {"no-color", NULL, "No colours", 0},
    {"help", NULL, "Explain the verb", 0},
    {NULL, NULL, NULL, 0},
};

const struct global_option *args_global(const char *name)
{
    for (const struct global_option *g = global_options; g->name != NULL; g++) {
        if (strcmp(g->name, name) == 0) {
            return g;
        }
    }
    return NULL;
}

/* An option of the verb as it was typed; `value` is NULL where none was. */
struct typed {
    struct option_target target;
    const char *option; /* With its dashes, for messages. */
    const char *value;
};

/* The walk over argv. */
struct walk {
    struct cli *cli;
    int argc;
    char **argv;
    int at;          /* The word to look at next. */
    bool only_words; /* After "--". */
    char title[96];
    size_t n_title;
    struct parsed *p;
    const char *config;
    struct typed *typed;
    size_t n_typed;
    const char **words; /* Those after the title. */
    size_t n_words;
    unsigned globals; /* VERB_* of the global options that were given. */
    struct err *e;
};

static int parse_seconds(const char *text, uint32_t *ret_ms, struct err *e)
{
    assert(text != NULL);
    char *end = NULL;
    errno = 0;
    double v = isdigit((unsigned char)*text) ? strtod(text, &end) : -1;
    if (v <= 0 || errno != 0 || (*end != '\0' && strcmp(end, "s") != 0) ||
        v > LIMIT_DEADLINE_MS / 1000.0) {
        return err_set(e, ERR_INVALID, "--timeout: \"%.40s\" is not a number of seconds up to %u",
                       text, LIMIT_DEADLINE_MS / 1000);
    }
    *ret_ms = (uint32_t)(v * 1000.0);
    if (*ret_ms == 0) {
        *ret_ms = 1;
    }
    return 0;
}

static int set_global(struct walk *w, const struct global_option *g, const char *value)
{
    struct options *o = &w->cli->opt;
    w->globals |= g->flag;
    if (strcmp(g->name, "connect") == 0) {
        o->connect = value;
    } else if (strcmp(g->name, "json") == 0) {
        o->json = true;
    } else if (strcmp(g->name, "local") == 0) {
        o->local = true;
    } else if (strcmp(g->name, "no-wait") == 0) {
        o->no_wait = true;
    } else if (strcmp(g->name, "quiet") == 0) {
        o->quiet = true;
    } else if (strcmp(g->name, "no-color") == 0) {
        o->no_color = true;
    } else if (strcmp(g->name, "help") == 0) {
        o->help = true;
    } else if (strcmp(g->name, "timeout") == 0) {
        return parse_seconds(value, &o->timeout_ms, w->e);
    } else {
        if (id_parse(value, &o->request) != 0 || id_is_none(&o->request)) {
            return err_set(w->e, ERR_INVALID,
                           "--request-id: \"%.60s\" is not an identifier of 32 hex digits", value);
        }
        o->has_request = true;
    }
    return 0;
}

/* The value of an option that must have one: after '=', or the next word. */
static int need_value(struct walk *w, const char *option, const char *inlined, const char **ret)
{
    if (inlined != NULL) {
        *ret = inlined;
        return 0;
    }
    if (w->at >= w->argc) {
        return err_set(w->e, ERR_INVALID, "%.80s needs a value", option);
    }
    *ret = w->argv[w->at++];
    return 0;
}

static int global_option(struct walk *w, const struct global_option *g, const char *value)
{
    char option[32];
    (void)snprintf(option, sizeof option, "--%s", g->name);
    if (g->value == NULL && value != NULL) {
        return err_set(w->e, ERR_INVALID, "%s takes no value", option);
    }
    if (g->value != NULL) {
        int rc = need_value(w, option, value, &value);
        if (rc != 0) {
            return rc;
        }
    }
    return set_global(w, g, value);
}

static void suggest_field(void *ctx, const struct field *f)
{
    CLEANUP(buf_done) struct buf name = {0};
    args_option_name(f, &name);
    buf_put_u8(&name, 0);
    suggest_word(ctx, (const char *)name.data);
}

static int unknown_option(struct walk *w, const char *name)
{
    struct suggest s;
    suggest_init(&s, name);
    for (const struct global_option *g = global_options; g->name != NULL; g++) {
        suggest_word(&s, g->name);
    }
    if (w->p->found) {
        args_each_option(&w->p->verb, suggest_field, &s);
        if (verb_takes_config(&w->p->verb)) {
            suggest_word(&s, "config");
        }
    }
    const char *best = suggest_best(&s);
    const char *title = w->p->found ? w->p->verb.title : "";
    return err_set(w->e, ERR_UNKNOWN, "%s%sunknown option --%.60s%s%s%s", title,
                   *title == '\0' ? "" : ": ", name, best == NULL ? "" : "; did you mean --",
                   best == NULL ? "" : best, best == NULL ? "" : "?");
}

/* A bool takes the next word only if that is "on" or "off". */
static const char *bool_value(struct walk *w, const char *inlined)
{
    if (inlined == NULL && w->at < w->argc &&
        (strcmp(w->argv[w->at], "on") == 0 || strcmp(w->argv[w->at], "off") == 0)) {
        return w->argv[w->at++];
    }
    return inlined;
}

static int verb_option(struct walk *w, const char *option, const char *name, const char *value)
{
    if (w->p->found && verb_takes_config(&w->p->verb) && strcmp(name, "config") == 0) {
        if (w->config != NULL) {
            return err_set(w->e, ERR_INVALID, "--config is given twice");
        }
        return need_value(w, "--config", value, &w->config);
    }
    struct typed *t = &w->typed[w->n_typed];
    t->option = option;
    if (!w->p->found || !args_option(w->p->verb.args, name, &t->target)) {
        return unknown_option(w, name);
    }
    const struct field *f = t->target.field;
    for (size_t i = 0; i < w->n_typed; i++) {
        if (w->typed[i].target.field == f && f->kind != FIELD_LIST) {
            return err_set(w->e, ERR_INVALID, "--%.60s is given twice", name);
        }
    }
    w->n_typed++;
    if (f->kind == FIELD_BOOL) {
        t->value = bool_value(w, value);
        if (t->target.negated && t->value != NULL) {
            return err_set(w->e, ERR_INVALID, "--%.60s takes no value", name);
        }
        return 0;
    }
    return need_value(w, option, value, &t->value);
}

static int long_option(struct walk *w, const char *word)
{
    const char *equals = strchr(word + 2, '=');
    size_t len = equals == NULL ? strlen(word + 2) : (size_t)(equals - word - 2);
    char name[64];
    if (len >= sizeof name) {
        return err_set(w->e, ERR_UNKNOWN, "unknown option %.60s...", word);
    }
    memcpy(name, word + 2, len);
    name[len] = '\0';
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    const char *value = equals == NULL ? NULL : equals + 1;
    const struct global_option *g = args_global(name);
    return g != NULL ? global_option(w, g, value) : verb_option(w, word, name, value);
}

/* "-w" and "-aw": letters of the verb's `shorts`, or -h and -q. */
static int short_options(struct walk *w, const char *word)
{
    for (const char *c = word + 1; *c != '\0'; c++) {
        if (*c == 'h' || *c == 'q') {
            (void)set_global(w, args_global(*c == 'h' ? "help" : "quiet"), NULL);
            continue;
        }
        const char *s = w->p->found ? w->p->verb.shorts : NULL;
        while (s != NULL && *s != *c) {
            s = strchr(s + 2, ' ');
            s = s == NULL ? NULL : s + 1;
        }
        if (s == NULL) {
            return err_set(w->e, ERR_UNKNOWN, "unknown option -%c", *c);
        }
        size_t len = strcspn(s + 2, " ");
        char name[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)len, s + 2);
        int rc = verb_option(w, word, name, NULL);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* Take a word into the title while it makes one. */
static void title_word(struct walk *w, const char *word)
{
    char longer[sizeof w->title];
    int n = snprintf(longer, sizeof longer, "%s%s%s", w->title, w->n_title == 0 ? "" : " ", word);
    w->words[w->n_words++] = word;
    if (n < 0 || (size_t)n >= sizeof longer || w->n_title == TITLE_WORDS) {
        return;
    }
    (void)str_copy(w->title, sizeof w->title, longer);
    w->n_title++;
    w->p->found = verb_find(w->title, &w->p->verb);
    if (w->p->found) {
        w->n_words = 0; /* They were the title. */
    }
}

static int walk_words(struct walk *w)
{
    while (w->at < w->argc) {
        const char *word = w->argv[w->at++];
        int rc = 0;
        if (w->only_words || word[0] != '-' || word[1] == '\0') {
            if (w->p->found) {
                w->words[w->n_words++] = word;
            } else {
                title_word(w, word);
            }
        } else if (strcmp(word, "--") == 0) {
            w->only_words = true;
        } else if (word[1] == '-') {
            rc = long_option(w, word);
        } else {
            rc = short_options(w, word);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* No verb: say which of the words is at fault and what is near. */
static int no_verb(struct walk *w)
{
    if (w->n_words == 0) {
        return err_set(w->e, ERR_INVALID, "nothing to do");
    }
    bool noun = verb_begins(w->words[0]);
    struct suggest s;
    char typed[96];
    (void)snprintf(typed, sizeof typed, "%.40s%s%.40s", w->words[0],
                   noun && w->n_words > 1 ? " " : "", noun && w->n_words > 1 ? w->words[1] : "");
    suggest_init(&s, typed);
    struct verb v;
    for (size_t i = 0; verb_at(i, &v); i++) {
        suggest_word(&s, v.title);
    }
    for (const struct noun *n = nouns; n->name != NULL; n++) {
        suggest_word(&s, n->name);
    }
    const char *best = suggest_best(&s);
    if (noun && w->n_words == 1) {
        return err_set(w->e, ERR_UNKNOWN, "%s: a verb is missing", w->words[0]);
    }
    return err_set(w->e, ERR_UNKNOWN, "unknown command \"%.80s\"%s%s%s", typed,
                   best == NULL ? "" : "; did you mean \"", best == NULL ? "" : best,
                   best == NULL ? "" : "\"?");
}

static int check_globals(struct walk *w)
{
    for (const struct global_option *g = global_options; g->name != NULL; g++) {
        if ((w->globals & g->flag & ~w->p->verb.flags) != 0) {
            return err_set(w->e, ERR_INVALID, "%s does not take --%s", w->p->verb.title, g->name);
        }
    }
    return 0;
}

static bool was_typed(const struct walk *w, const struct field *f)
{
    for (size_t i = 0; i < w->n_typed; i++) {
        if (w->typed[i].target.field == f) {
            return true;
        }
    }
    return false;
}

/* Words fill, in order, the positional fields that no option set. */
static int set_words(struct walk *w)
{
    const struct field *f[VERB_POSITIONALS_MAX];
    size_t n = verb_positionals(&w->p->verb, f);
    size_t word = 0;
    for (size_t i = 0; i < n && word < w->n_words; i++) {
        if (!was_typed(w, f[i])) {
            int rc = args_set_text(f[i], w->words[word++], w->p->record, w->e);
            if (rc != 0) {
                return rc;
            }
        }
    }
    w->p->rest = w->words + word;
    w->p->n_rest = w->n_words - word;
    if (w->p->n_rest > 0 && (w->p->verb.flags & VERB_REST) == 0) {
        return err_set(w->e, ERR_INVALID, "%s: unexpected word \"%.60s\"", w->p->verb.title,
                       w->p->rest[0]);
    }
    for (size_t i = 0; i < n; i++) {
        if (f[i]->flags == FIELD_REQ && args_is_empty(f[i], w->p->record)) {
            CLEANUP(buf_done) struct buf usage = {0};
            verb_usage(&w->p->verb, &usage);
            return err_set(w->e, ERR_INVALID, "%s: %s is missing (usage: %.*s)", w->p->verb.title,
                           f[i]->name, (int)usage.len, (const char *)usage.data);
        }
    }
    return 0;
}

static int load_config(struct walk *w)
{
    struct vmcfg_warnings warnings = {0};
    int rc = vmcfg_read_file(w->config, NULL, 0, w->p->record, &warnings, w->e);
    for (size_t i = 0; i < warnings.n; i++) {
        cli_say(w->cli, "warning: %s", warnings.text[i]);
    }
    return rc;
}

/* The record: its defaults, then the file, then options, then words. */
static int fill(struct walk *w)
{
    const struct schema *s = w->p->verb.args;
    w->p->record = mem_new(1, s->size);
    schema_init(s, w->p->record);
    int rc = w->config == NULL ? 0 : load_config(w);
    for (size_t i = 0; i < w->n_typed && rc == 0; i++) {
        const struct typed *t = &w->typed[i];
        rc = args_set_option(&t->target, t->option, t->value, w->p->record, w->e);
    }
    return rc != 0 ? rc : set_words(w);
}

int args_parse(struct cli *cli, int argc, char **argv, struct parsed *ret, struct err *e)
{
    *ret = (struct parsed){.rest = NULL};
    bool given = cli->connect != NULL && *cli->connect != '\0';
    cli->opt = (struct options){.connect = given ? cli->connect : DEFAULT_CONNECT};
    struct walk w = {.cli = cli, .argc = argc, .argv = argv, .at = 1, .p = ret, .e = e};
    CLEANUP(cleanup_free) struct typed *typed = mem_new((size_t)argc + 1, sizeof *typed);
    ret->words = mem_new((size_t)argc + 1, sizeof *ret->words);
    w.typed = typed;
    w.words = ret->words;
    int rc = walk_words(&w);
    ret->rest = w.words;
    ret->n_rest = w.n_words;
    if (rc != 0 || cli->opt.help) {
        return rc;
    }
    if (!ret->found) {
        return no_verb(&w);
    }
    rc = check_globals(&w);
    return rc != 0 ? rc : fill(&w);
}

void args_done(struct parsed *p)
{
    free(p->record);
    free(p->words);
    *p = (struct parsed){.rest = NULL};
}
