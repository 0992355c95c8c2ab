/* Driver qemu for the conformance suite (conf_kind), with a real guest, and what the tests of that
 * driver alone share. */

#ifndef HVDRIVER_TESTS_QEMU_KIND_H
#define HVDRIVER_TESTS_QEMU_KIND_H

#include <sys/types.h>

#include "hvdriver/tests/conformance/conformance.h"

/* A sparse file of zeroes in the world's directory; ret_path has room for LIMIT_PATH. */
void make_image(const struct world *w, const char *name, off_t size, char *ret_path);
/* Whether this is on the process's command line. */
bool args_contain(int64_t pid, const char *text);
/* The copy is killed as by -9. */
void process_is_killed(struct hv *hv, const struct hv_key *key);

#endif
