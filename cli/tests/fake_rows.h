/* The canned rows of the fake daemon. */

#ifndef CLI_TESTS_FAKE_ROWS_H
#define CLI_TESTS_FAKE_ROWS_H

#include "cli/api.h"

/* Moments of canned rows: the tests' clock stands at 1,000,000,000,000 ms. */
#define NOW_MS 1000000000000u

void make_guest(unsigned i, struct api_guest *g);
void fake_host_row(unsigned i, struct api_host *h);
void make_op(uint64_t id, struct api_op *o);
void make_pool(struct api_pool *p);
void make_whole_guest(const char *name, struct guest *g);

#endif
