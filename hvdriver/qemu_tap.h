/* Network cards of guests on the host's side. */

#ifndef HVDRIVER_QEMU_TAP_H
#define HVDRIVER_QEMU_TAP_H

#include "core/err.h"

/* A tap device attached to the bridge, up. It lives as long as the descriptor is open somewhere, so
 * that it goes with QEMU and cannot be left over. Returns the descriptor or ERR_*. */
int qemu_tap_open(const char *bridge, struct err *e);

#endif
