#include "core/mark.h"

uint64_t *mark_counts;
