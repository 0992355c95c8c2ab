/* Consoles of guests, from any host: docs/protocols/console.md.
 *
 * A session is one asker at one console. The host that runs the guest connects it to the console's
 * socket; any other passes the bytes on to that host. One asker has a console at a time. */

#ifndef CLI_QUORATED_CONSOLES_H
#define CLI_QUORATED_CONSOLES_H

#include "cli/quorated/daemon.h"

struct consoles;

struct consoles *consoles_new(struct daemon *d);

/* Take a connection that began with CONSOLE_MAGIC, and what was read of it. */
void consoles_accept(struct consoles *c, int fd, const void *read_ahead, size_t len);

/* Deadlines: who says nothing, and who does not read what the guest says. */
void consoles_tick(struct consoles *c, uint64_t now_ms);

/* End all sessions; `closed` fires from the loop, or at once if there never was one. */
void consoles_close(struct consoles *c, void (*closed)(void *ctx), void *ctx);

/* After `closed`. NULL is accepted; returns NULL. */
struct consoles *consoles_free(struct consoles *c);

#endif
