/* Transcripts: stories in plain text, one a file (tests/ *.t), that are run against the state
 * machine.
 *
 *   # a comment
 *   given pool h1 h2 h3                 a pool of hosts that are up, 1024 MiB each
 *   given guest web1 on h1 [MIB]        a running guest
 *   at 5000 / at +500                   wall time of the entries that follow
 *   via h2                              host through which they come
 *   when guest_migrate name=web1 host=h2        apply a command; config.memory_mib=64, disk=/a work
 * too again                               the last command once more: the same request then ok it
 * was accepted then STATE guest web1 is stopped    it was rejected; the sentence contains the rest
 *   then guest web1 state=running op=$op        fields of a row, as text; op=- is the empty text
 *   then op $op phase=ended
 *   then no guest web1
 *   then event guest.started web1 code=0        among the events of the last command
 *   then no event guest.started
 *   then count guests=1 running=1
 *   then reserved h1 512
 *   let e = guest web1 run_epoch        keep a value for $e; $op is the last operation begun */

#ifndef FSM_TESTS_STORY_H
#define FSM_TESTS_STORY_H

#include "core/buf.h"

#include "fsm/fsm.h"

/* Run the file; every entry applied is appended to *entries. On failure a sentence with file and
 * line is in *e. */
struct story_log {
    struct buf *entries; /* n of them. */
    size_t n;
};
int story_run(const char *path, struct fsm *f, struct story_log *log, struct err *e);
void story_log_done(struct story_log *log);

#endif
