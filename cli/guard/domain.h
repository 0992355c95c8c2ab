/* Domains of Xen as the guard sees them: asked for, stopped and ended by hypercalls of its own,
 * without a library and without Xen's tools, which may hang when they are needed. The hypercalls
 * are Xen's domctls (xen/domctl.h, whose version is compiled in), made through Linux's
 * /dev/xen/privcmd. */

#ifndef CLI_GUARD_DOMAIN_H
#define CLI_GUARD_DOMAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/id.h"

struct domains {
    int fd; /* -1: no domain can be guarded; `error` says why (errno). */
    int error;
    void *page; /* For what a hypercall reads and writes. */
};

/* Everything that is needed later; changes nothing. ENOENT: this host runs no Xen. EACCES: its Xen
 * speaks another version of the interface. */
void domains_open(struct domains *d);

/* Whether that number is this guest's domain, and not dying: numbers are used again. */
bool domain_is_there(const struct domains *d, uint32_t domain, const struct id *guest);

/* It stands still from now on, whatever it and its control domain do. */
void domain_stop(const struct domains *d, uint32_t domain, const struct id *guest);

/* End it; may have to be asked again, as long as it is there. */
void domain_end(const struct domains *d, uint32_t domain, const struct id *guest);

#endif
