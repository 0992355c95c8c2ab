/* Any bytes as a line from QEMU's monitor. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "hvdriver/qmp_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qmp_msg m;
    struct err e;
    if (qmp_msg_parse((const char *)data, size, &m, &e) == 0) {
        assert(m.root != NULL);
        assert(m.kind == QMP_ERROR || m.kind == QMP_EVENT || m.value != NULL);
        assert(strlen(m.name) < sizeof m.name && strlen(m.text) < sizeof m.text);
        qmp_msg_done(&m);
    } else {
        assert(e.code == ERR_TOO_BIG || e.code == ERR_MALFORMED);
    }
    return 0;
}
