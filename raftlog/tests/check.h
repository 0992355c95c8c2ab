/* cmocka, after the headers that it needs. */

#ifndef RAFTLOG_TESTS_CHECK_H
#define RAFTLOG_TESTS_CHECK_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#endif
