/* Files that hold what is expected, beside the tests. With QUORATE_UPDATE=1 in the environment they
 * are written anew instead of compared: read the difference before it is committed. */

#ifndef CLI_TESTS_GOLDEN_H
#define CLI_TESTS_GOLDEN_H

#include <stddef.h>

#include "core/buf.h"

/* The whole file below cli/tests, NUL-terminated behind its end; fails the test if there is none.
 */
void golden_read(const char *path, struct buf *out);

/* Compare with the file below cli/tests, or write it. */
void golden_check(const char *path, const void *data, size_t len);

/* Call fn for every file of a directory below cli/tests whose name ends so, in order; how many. */
size_t golden_each(const char *dir,
                   const char *ending,
                   void (*fn)(void *ctx, const char *path),
                   void *ctx);

#endif
