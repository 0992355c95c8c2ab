/* The files of a migration's TLS in a copy's directory, keys/: the one-time key, and on the
 * target's side the group for the key exchange. They are there until QEMU has read them. */

#ifndef HVDRIVER_QEMU_KEYS_H
#define HVDRIVER_QEMU_KEYS_H

#include <stdbool.h>

#include "core/err.h"
#include "core/limits.h"

#define QEMU_KEY_USER  "quorate"
#define QEMU_KEYS_PATH (LIMIT_PATH + 128)

/* `dir` is the copy's directory. ERR_IO. */
int qemu_keys_write(const char *dir, const char *key, bool target, struct err *e);
/* Also what is there in part, or not at all. */
void qemu_keys_remove(const char *dir);

#endif
