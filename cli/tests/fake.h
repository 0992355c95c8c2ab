/* A daemon for tests of the client: core/rpc's server, in a thread, answering from canned records.
 *
 * It is scripted while nothing is asked of it. What it saw can be read back. */

#ifndef CLI_TESTS_FAKE_H
#define CLI_TESTS_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

struct fake;

/* Listen on "unix:/path". */
struct fake *fake_start(const char *where);
void fake_stop(struct fake *f);

/* One line of script:
 *   guests N      the pool has N guests (default 3)
 *   page N        rows of one answer (default 2)
 *   drop N        the next N calls are cut off without an answer
 *   lose N        the next N commands are carried out, but their answer is lost
 *   fail CODE N   the next N calls are answered with this error: fail NO_QUORUM 2
 *   mute N        the next N calls get no answer, the connection stays
 *   first N       events before number N are no longer kept (default 1)
 *   last N        the newest event (default 5)
 *   cut N         a stream of events is cut off after N of them
 *   blank         the host belongs to no pool
 * false: not understood. */
bool fake_script(struct fake *f, const char *line);

/* Commands that were carried out (a repeated request id is one), and calls of any kind. */
size_t fake_commands(struct fake *f);
size_t fake_calls(struct fake *f);

/* What the last command's record holds beside defaults: "name = web1" lines. Secrets are shown:
 * they are the test's own. */
void fake_last_body(struct fake *f, struct buf *out);

#endif
