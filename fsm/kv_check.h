/* Whether a file of LMDB is sound, before LMDB opens it. */

#ifndef FSM_KV_CHECK_H
#define FSM_KV_CHECK_H

#include "core/err.h"

/* 0 for a sound file and for one that is missing; ERR_CORRUPT; ERR_IO. */
int kv_check_file(const char *path, struct err *e);

#endif
