/* Whatever the bytes: they are refused, or what was read is written and read back the same. */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "chaos-tests/check/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct scenario a = {0};
    struct scenario b = {0};
    struct buf once = {0};
    struct buf twice = {0};
    struct buf text = {0};
    struct err e = {0};

    buf_printf(&text, "quorate-scenario 1\n");
    buf_put(&text, data, len);
    if (scenario_read(&a, (const char *)text.data, text.len, &e) == 0) {
        scenario_write(&a, &once);
        assert(scenario_read(&b, (const char *)once.data, once.len, &e) == 0);
        scenario_write(&b, &twice);
        assert(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    } else {
        assert(e.code != 0 && e.msg[0] != '\0');
    }
    scenario_done(&a);
    scenario_done(&b);
    buf_done(&once);
    buf_done(&twice);
    buf_done(&text);
    return 0;
}
