/* cmocka wants these before its own header. */

#ifndef CHAOS_SIM_TESTS_CM_H
#define CHAOS_SIM_TESTS_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
