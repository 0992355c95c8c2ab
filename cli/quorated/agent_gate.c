/* Gates, for tests alone: the agent stands still before an act for as long as the file
 * GATES/HOST.ACT is there, and says that it does by the file GATES/HOST.ACT.GUEST. So a test can
 * break something at a named step of a protocol whose steps take a millisecond each. A gate holds
 * nothing but the act: what is wanted is decided anew at every look, so a gate can also be passed
 * by because another act is due by then. */

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/quorated/agent_in.h"

bool agent_gate_is_closed(const struct agent *a, enum agent_act act, const char *guest)
{
    char path[LIMIT_PATH + 2 * LIMIT_NAME + 32];
    int n = snprintf(path, sizeof path, "%s/%s.%s", a->opt.gates, a->opt.host, agent_act_name(act));
    if (n < 0 || (size_t)n >= sizeof path - LIMIT_NAME - 1 || access(path, F_OK) != 0) {
        return false;
    }
    (void)snprintf(path + n, sizeof path - (size_t)n, ".%s", guest);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)close(fd);
    }
    return true;
}
