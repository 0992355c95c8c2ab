/* How fast the checkers are: operations a second of both linearizability checkers, records a second
 * of all. Built on demand: ninja check_bench_check. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/util.h"

#include "chaos-tests/check/tests/gen.h"

static double cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct hist h;
    uint32_t steps = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 3000000;

    hist_init(&h, 0);
    gen_history(&h, &(struct gen_options){
                        .seed = 1, .hosts = 5, .clients = 16, .subjects = 40, .steps = steps});
    (void)printf("%zu records of %zu bytes\n", h.n_recs, sizeof(struct rec));
    for (const struct checker *c = checkers; c->name != NULL; c++) {
        struct checked one;
        double begun = cpu_s();
        check_one(c, &h, &one);
        double took = cpu_s() - begun;
        (void)printf("%-13s %-9s %9llu judged in %6.3f s: %10.0f/s, %10.0f records/s\n", c->name,
                     verdict_name(one.verdict), (unsigned long long)one.judged, took,
                     (double)one.judged / took, (double)h.n_recs / took);
    }
    hist_done(&h);
    return 0;
}
