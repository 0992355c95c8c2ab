/* What a hypervisor host offers, and how a QEMU that was found is: asked once, when the driver is
 * opened, and therefore by blocking calls with a deadline. */

#ifndef HVDRIVER_QEMU_PROBE_H
#define HVDRIVER_QEMU_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

/* Ask the monitor at `path`; until deadline_ms (core clock). 0, or why it did not answer. */
int qemu_probe(const char *path,
               uint64_t deadline_ms,
               char status[32],
               char migration[32],
               struct err *e);

/* Why the emulator could not be run, `errnum` of posix_spawn(): ERR_UNSUPPORTED with what to do, or
 * ERR_IO. */
int qemu_not_run(const char *emulator, int errnum, struct err *e);

/* Version of the emulator ("7.2.22"), at most 63 bytes. 0, or ERR_UNSUPPORTED naming the package.
 */
int qemu_probe_version(const char *emulator, char version[64], struct err *e);

/* Whether KVM can run ordinary guests here. The device alone says nothing: there are kernels whose
 * /dev/kvm opens, makes a machine, and then emulates it badly. */
bool qemu_probe_kvm(void);

#endif
