#include "chaos-tests/sim/marks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *how_often;
} marks[] = {
#define K(name, how_often, text) {#name, #how_often},
#include "core/marks.def"
#undef K
};

const char *mark_name(enum mark m)
{
    return marks[m].name;
}

bool mark_find(const char *name, enum mark *ret)
{
    for (size_t i = 0; i < MARKS; i++) {
        if (strcmp(marks[i].name, name) == 0) {
            *ret = (enum mark)i;
            return true;
        }
    }
    return false;
}

void marks_print(const uint64_t counts[MARKS])
{
    uint32_t never = 0;
    for (size_t i = 0; i < MARKS; i++) {
        (void)printf("mark %s %s %" PRIu64 "\n", marks[i].how_often, marks[i].name, counts[i]);
        never += counts[i] == 0;
    }
    (void)printf("%d marks, %u never hit%s", MARKS, never, never == 0 ? "\n" : ":");
    for (size_t i = 0; i < MARKS && never > 0; i++) {
        if (counts[i] == 0) {
            (void)printf(" %s%s", marks[i].name, --never == 0 ? "\n" : "");
        }
    }
}
