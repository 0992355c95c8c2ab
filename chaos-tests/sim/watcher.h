/* A client that follows the events, over one host after the other, and writes down what it is
 * given. */

#ifndef CHAOS_SIM_WATCHER_H
#define CHAOS_SIM_WATCHER_H

void watcher_begin(void);
void watcher_end(void);
/* The pool is formed: it watches from now on. */
void watcher_start(void);

#endif
