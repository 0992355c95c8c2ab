/* Any bytes as what a console's asker and its daemon send each other. What is read is within its
 * bytes, and written again it is the same. */

#include <assert.h>
#include <string.h>

#include "cli/console.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frames(const uint8_t *data, size_t size)
{
    while (size > 0) {
        struct console_frame f;
        struct buf again = {0};
        int n = console_get_frame(data, size, &f);
        if (n <= 0) {
            assert(n == 0 || n == ERR_MALFORMED);
            return;
        }
        assert((size_t)n <= size && f.len <= CONSOLE_FRAME_MAX && f.data + f.len == data + n);
        if (f.kind != CONSOLE_END) {
            console_put_frame(&again, f.kind, f.data, f.len);
            assert(again.len == (size_t)n && memcmp(again.data, data, again.len) == 0);
        }
        buf_done(&again);
        data += n;
        size -= (size_t)n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct console_hello h;
    struct buf again = {0};
    int n = console_get_hello(data, size, &h);
    if (n > 0) {
        assert((size_t)n <= size && n <= CONSOLE_HELLO_MAX);
        console_put_hello(&again, &h);
        assert(again.len == (size_t)n && memcmp(again.data, data, again.len) == 0);
    }
    buf_done(&again);
    frames(data, size);
    return 0;
}
