/* Driver xen, on a real Xen: run by the story that has one (chaos-tests/e2e/xen.sh). Elsewhere it
 * says that it is skipped. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hvdriver/tests/conformance/conformance.h"

int main(int argc, char **argv)
{
    if (access("/proc/xen/privcmd", R_OK | W_OK) != 0) {
        (void)printf("skipped: this is no control domain of a Xen (/proc/xen/privcmd)\n");
        return 77;
    }
    return run_conformance(argc, argv, CONF_LIFE | CONF_MOVES | CONF_SAVES);
}
