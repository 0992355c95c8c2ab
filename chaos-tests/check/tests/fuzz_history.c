/* Whatever the bytes: they are refused, or what was read is judged and drawn without harm, and
 * written and read back the same. */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "chaos-tests/check/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct verdicts v;
    struct hist a;
    struct hist b;
    struct buf once = {0};
    struct buf twice = {0};
    struct buf text = {0};
    struct buf page = {0};
    struct err e = {0};

    hist_init(&a, 1000);
    hist_init(&b, 1000);
    if (len < 15 || memcmp(data, "quorate-history", 15) != 0) { /* The start is found for it. */
        buf_printf(&text, "quorate-history 1\nhosts h1 h2 h3\n");
    }
    buf_put(&text, data, len);
    if (hist_read(&a, (const char *)text.data, text.len, &e) == 0) {
        check_all(&a, &v);
        verdicts_text(&a, &v, &page);
        report_html(&a, &v, &(struct report_options){.title = NULL}, &page);
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
    buf_done(&page);
    return 0;
}
