/* Whatever the bytes: they are refused, or what was read is judged without harm, and written and
 * read back the same. */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "chaos-tests/check/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct verdicts v;
    struct hist a;
    struct hist b;
    struct buf once = {0};
    struct buf twice = {0};
    struct buf text = {0};
    struct err e = {0};

    hist_init(&a, 1000);
    hist_init(&b, 1000);
    buf_printf(&text, "quorate-history 1\nhosts h1 h2 h3\n");
    buf_put(&text, data, len);
    if (hist_read(&a, (const char *)text.data, text.len, &e) == 0) {
        check_all(&a, &v);
        hist_write(&a, &once);
        assert(hist_read(&b, (const char *)once.data, once.len, &e) == 0);
        hist_write(&b, &twice);
        assert(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    } else {
        assert(e.code != 0 && e.msg[0] != '\0');
    }
    hist_done(&a);
    hist_done(&b);
    buf_done(&once);
    buf_done(&twice);
    buf_done(&text);
    return 0;
}
