#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/fault.h"
int main(int argc, char **argv)
{
    uint64_t from = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    uint64_t secs = argc > 3 ? strtoull(argv[3], NULL, 10) : 60;
    uint32_t hosts = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 3;
    int bad = 0;
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    for (uint64_t seed = from; seed < from + n; seed++) {
        char dir[] = "/dev/shm/qsimXXXXXX";
        if (mkdtemp(dir) == NULL || chdir(dir) != 0) return 1;
        struct lab_options o = {.seed = seed, .hosts = hosts, .clients = 4, .safety_s = secs, .faults = getenv("FAULTS") ? strtoull(getenv("FAULTS"), NULL, 0) : UINT64_MAX, .print = n == 1 && getenv("QUIET") == NULL};
        bool ok = lab_run(&o);
        char text[512]; faults_text(text, sizeof text);
        printf("%llu %s t=%.1f healed=%.1f rested=%.1f events=%llu asked=%llu acked=%llu refused=%llu unsure=%llu migr=%llu applied=%llu struck=%llu hash=%016llx [%s] %s %s\n", (unsigned long long)seed, ok ? "ok" : "FAILED", (double)world.now_ns / 1e9, (double)lab.healed_ns / 1e9, (double)lab.rested_ns / 1e9, (unsigned long long)world.fired, (unsigned long long)lab.asked,(unsigned long long)lab.acked,(unsigned long long)lab.refused,(unsigned long long)lab.unsure,(unsigned long long)lab.migrations,(unsigned long long)lab.applied,(unsigned long long)lab.faults_struck,(unsigned long long)world_hash(), text, lab.checker ? lab.checker : "", lab.failure);
        bad += !ok;
        lab_end();
        char cmd[100]; snprintf(cmd, sizeof cmd, "rm -rf %s", dir); (void)!system(cmd);
    }
    return bad != 0;
}
