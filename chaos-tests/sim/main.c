#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "chaos-tests/sim/vhost.h"
#include "chaos-tests/sim/vnet.h"
#include "chaos-tests/sim/vsys.h"
#include "chaos-tests/sim/vloop.h"
int main(int argc, char **argv)
{
    char dir[] = "/dev/shm/qsimXXXXXX";
    if (mkdtemp(dir) == NULL || chdir(dir) != 0) return 1;
    proc_log_print = true;
    world_begin(argc > 1 ? strtoull(argv[1], NULL, 10) : 1);
    vsys_begin();
    vnet_begin();
    static struct vhost h[3];
    for (unsigned i = 0; i < 3; i++) { char n[8]; snprintf(n, sizeof n, "h%u", i+1); vhost_init(&h[i], i, n); vhost_start(&h[i]); }
    world_run(5 * NS_PER_S);
    vhost_kill(&h[0], 0);
    world_run(10 * NS_PER_S);
    printf("turns %lu events %lu hash %016lx heap %zu\n", h[0].proc ? h[0].proc->loop->turns : 0, world.fired, world_hash(), h[0].proc ? heap_bytes(h[0].proc->heap) : 0);
    for (unsigned i = 0; i < 3; i++) vhost_done(&h[i]);
    vnet_end(); vsys_end(); world_end();
    (void)!system("rm -rf ../$(basename $PWD)");
    return 0;
}
