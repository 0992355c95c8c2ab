#include "core/roff.h"

#include <stdbool.h>
#include <string.h>

void roff_put_n(const char *text, size_t len, FILE *out)
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

void roff_put(const char *text, FILE *out)
{
    roff_put_n(text, strlen(text), out);
}

void roff_put_paragraphs(const char *text, FILE *out)
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
            roff_put_n(text, len, out);
            (void)fputc('\n', out);
        }
        text += text[len] == '\n' ? len + 1 : len;
    }
    if (kept) {
        (void)fputs(".fi\n", out);
    }
}
