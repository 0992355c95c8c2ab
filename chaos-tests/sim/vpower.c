/* No simulated pool has a power-off program: in place of cli/quorated/power_run.c. */

#include <stdlib.h>

#include "cli/quorated/power_run.h"

struct power_run *power_run_start(const struct power_run_options *options)
{
    (void)options;
    abort();
}

struct power_run *power_run_cancel(struct power_run *r)
{
    (void)r;
    return NULL;
}
