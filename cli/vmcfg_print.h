/* A guest as vm.cfg: what vmcfg_read() reads back to the same guest. Pure. */

#ifndef CLI_VMCFG_PRINT_H
#define CLI_VMCFG_PRINT_H

#include <stdbool.h>

#include "core/buf.h"

#include "fsm/commands.h"

/* Append the text, without a NUL. Only what differs from a guest of which nothing is said. The
 * password of VNC is a comment unless `secrets`. What vm.cfg has no word for (start, image, host)
 * is left out; a value that vm.cfg cannot hold, such as a bridge with a comma, becomes a comment.
 */
void vmcfg_print(const struct cmd_guest_create *guest, bool secrets, struct buf *out);

#endif
