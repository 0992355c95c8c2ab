/* An image of the root repository as the hardware of a guest to be created. */

#ifndef CLI_QUORATED_TEMPLATE_H
#define CLI_QUORATED_TEMPLATE_H

#include "fsm/fsm.h"

/* Read seed_pool/<image>/vm.cfg of the root repository as it is linked under `prefix`, and fill in
 * what `c` left at its defaults: memory, vcpus, kernel, disks, ... Files that vm.cfg names without
 * a directory are the image's: a disk becomes "<root>:running_pool/<guest>/<file>" (cloned by the
 * agent before the first start), a kernel or ramdisk "<root>:seed_pool/<image>/<file>".
 * ERR_NOT_FOUND names the images there are; ERR_STATE without a root repository. */
int template_fill(struct fsm_view *v,
                  const char *prefix,
                  struct cmd_guest_create *c,
                  struct err *e);

#endif
