/* Configuration files: any bytes are read to the end or refused, and what was read can be asked
 * for. */

#include "core/buf.h"
#include "core/config.h"
#include "core/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct config_row rows[] = {
    {"name", CONFIG_TEXT, "x", 1, 8, "", ""},
    {"memory_mib", CONFIG_NUMBER, "0", 0, 4096, "MiB", ""},
    {"lab_network", CONFIG_BOOL, "no", 0, 1, "", ""},
};

/* Bytes from 0x80 on stand for "NAME = ", so that names need not be guessed. */
static void expand(const uint8_t *data, size_t size, struct buf *out)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] >= 0x80 && data[i] < 0x80 + ARRAY_LEN(rows)) {
            buf_printf(out, "\n%s = ", rows[data[i] - 0x80].key);
        } else {
            buf_put_u8(out, data[i]);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = {0};
    CLEANUP(buf_done) struct buf text = {0};
    expand(data, size, &text);
    struct config *c = config_new(rows, ARRAY_LEN(rows));
    if (config_parse(c, "fuzz", (const char *)text.data, text.len, &e) == 0) {
        (void)config_number(c, "memory_mib");
        (void)config_bool(c, "lab_network");
        if (config_text(c, "name") == NULL) {
            __builtin_trap();
        }
    } else if (e.msg[0] == '\0') {
        __builtin_trap();
    }
    (void)config_free(c);
    return 0;
}
