#include "core/util.h"

#include <stdio.h>
#include <string.h>

static void *must(void *p)
{
    if (p == NULL) {
        (void)fputs("event=out_of_memory level=error\n", stderr);
        abort();
    }
    return p;
}

void *mem_new(size_t count, size_t size)
{
    return must(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *mem_grow(void *p, size_t count, size_t size)
{
    return must(reallocarray(p, count == 0 ? 1 : count, size));
}

char *mem_strdup(const char *s)
{
    return must(strdup(s));
}

size_t str_copy(char *to, size_t size, const char *from)
{
    size_t n = strlen(from);
    size_t keep = n < size ? n : size - 1;
    memcpy(to, from, keep);
    memset(to + keep, 0, size - keep);
    return n;
}
