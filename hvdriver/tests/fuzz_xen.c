/* Bytes that quorate-xen might say: nothing of them may do harm. */
#include <stddef.h>
#include <stdint.h>

#include "hvdriver/xen_wire.h"

static int take(void *ctx, const json_t *msg, struct err *e)
{
    struct hv_info info;
    struct hv_spec spec;
    struct hv_progress progress;
    const char *detail = NULL;
    (void)ctx;
    (void)xen_copy_unpack(msg, &info, &detail, e);
    (void)xen_copy_unpack(json_object_get(msg, "copy"), &info, &detail, e);
    (void)xen_spec_unpack(msg, &spec, e);
    (void)xen_progress_unpack(json_object_get(msg, "progress"), &progress, e);
    (void)xen_op_parse(xen_text(msg, "do"));
    (void)xen_exit_parse(xen_text(msg, "exit"));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xen_reader reader = {0};
    struct err e = {0};
    size_t half = size / 2;
    if (xen_reader_feed(&reader, (const char *)data, half, take, NULL, &e) == 0) {
        (void)xen_reader_feed(&reader, (const char *)data + half, size - half, take, NULL, &e);
    }
    xen_reader_done(&reader);
    return 0;
}
