/* Any bytes: the reader never reads beyond them, and what mp_valid() accepts can be read to its
 * end. */

#include <stdlib.h>

#include "core/mp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct mp_reader r;
    mp_reader_init(&r, data, len);
    bool valid = mp_valid(data, len);
    while (mp_peek(&r) != MP_END && mp_skip(&r, NULL, NULL) == 0) {
    }
    if (valid && !mp_at_end(&r)) {
        abort();
    }
    mp_reader_init(&r, data, len);
    for (;;) { /* Into arrays and maps as well. */
        uint32_t n;
        if (mp_get_array(&r, &n) != 0 && mp_get_map(&r, &n) != 0 && mp_skip(&r, NULL, NULL) != 0) {
            break;
        }
    }
    return 0;
}
