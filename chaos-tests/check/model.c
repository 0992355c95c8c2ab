#include "chaos-tests/check/model.h"

#include <inttypes.h>
#include <stdio.h>

static bool refusal_fits(const struct call *c, uint64_t now)
{
    switch (-(int)c->code) {
    case ERR_NOT_FOUND: return now == 0;
    case ERR_EXISTS: return now != 0;
    case ERR_STALE: return c->op != CALL_CAS || now != c->expect;
    default: return true; /* Of the many codes only these speak of the value. */
    }
}

bool model_step(const struct call *c, uint64_t now, uint64_t *ret_next)
{
    *ret_next = now;
    if (c->op == CALL_OTHER) {
        return true;
    }
    if (c->result == RESULT_REFUSED) {
        return refusal_fits(c, now);
    }
    *ret_next = model_forced(c, now);
    switch (c->op) {
    case CALL_READ:
    case CALL_LOCAL: return c->value == now;
    case CALL_CREATE: return now == 0;
    case CALL_DELETE:
    case CALL_SET: return now != 0;
    case CALL_CAS: return now == c->expect;
    case CALL_OTHER: break;
    }
    return true;
}

uint64_t model_forced(const struct call *c, uint64_t now)
{
    if (c->result != RESULT_OK) {
        return now;
    }
    switch (c->op) {
    case CALL_READ:
    case CALL_LOCAL:
    case CALL_OTHER: break;
    case CALL_DELETE: return 0;
    case CALL_CREATE:
    case CALL_SET:
    case CALL_CAS: return c->arg;
    }
    return now;
}

const char *call_op_name(enum call_op op)
{
    static const char *const names[] = {"read", "local read", "create", "delete",
                                        "set",  "cas",        "command"};

    return names[op];
}

const char *call_answer_text(const struct call *c, char out[48])
{
    bool read = c->op == CALL_READ || c->op == CALL_LOCAL;

    if (c->result == RESULT_REFUSED) {
        (void)snprintf(out, 48, "refused (%s)", err_name(-(int)c->code));
    } else if (c->result != RESULT_OK) {
        (void)snprintf(out, 48, "nothing");
    } else if (read) {
        (void)snprintf(out, 48, "%" PRIu64, c->value);
    } else {
        (void)snprintf(out, 48, "ok");
    }
    return out;
}
