/* What a Xen host tells a guest through xenstore. */

#ifndef XENSTORE_H
#define XENSTORE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether this is a guest of Xen. */
bool xenstore_is_there(void);

/* The value of a key, relative to the guest's own folder; false when there is none or it does not
 * fit. Waits for the answer of the host. */
bool xenstore_read(const char *key, char *text, size_t size);

#endif
