/* Directories of guests in running_pool: whose they are, and their removal (images.h). */

#ifndef CLI_QUORATED_IMAGES_DIR_H
#define CLI_QUORATED_IMAGES_DIR_H

#include "cli/quorated/images.h"

/* Make running_pool/<guest> with its mark, or find it. One with the mark of another guest of this
 * name is moved away. ERR_EXISTS: somebody else's directory, without a mark. */
int images_dir_open(const char *dir, const struct images_order *o, bool *ret_made, struct err *e);

/* Every disk is there. */
int images_dir_made(const char *dir, struct err *e);

#endif
