/* cmocka with the headers that it wants before it, in an order that the formatter leaves alone. */

#ifndef CHAOS_SIM_TESTS_CM_H
#define CHAOS_SIM_TESTS_CM_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#endif
