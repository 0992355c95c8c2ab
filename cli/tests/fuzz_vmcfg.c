/* Any bytes as a vm.cfg. The first byte says whether the rest is a file or an override. What is
 * accepted must be a record that can be encoded, whose limits hold. */

#include <assert.h>
#include <string.h>

#include "core/util.h"

#include "cli/vmcfg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cmd_guest_create cmd;
    static struct vmcfg_warnings warnings;
    const struct schema *s = command_by_number(COMMAND_guest_create)->schema;
    struct err e = {0};
    if (size == 0) {
        return 0;
    }
    char *text = mem_new(size, 1);
    memcpy(text, data + 1, size - 1); /* NUL-terminated by the one byte more. */
    const char *override = text;
    struct vmcfg_source source = {.name = "vm.cfg", .data = text, .len = size - 1};
    if (data[0] == '=') {
        source = (struct vmcfg_source){
            .name = "vm.cfg", .data = "", .overrides = &override, .n_overrides = 1};
    }
    warnings.n = 0;
    schema_init(s, &cmd);
    if (vmcfg_read(&source, &cmd, &warnings, &e) == 0) {
        if (*cmd.name == '\0') {
            (void)str_copy(cmd.name, sizeof cmd.name, "x");
        }
        if (schema_check(s, &cmd, &e) == 0) {
            struct buf out = {0};
            schema_encode(s, &cmd, &out);
            assert(out.len <= LIMIT_ENTRY);
            buf_done(&out);
        }
    } else {
        assert(e.code < 0 && *e.msg != '\0');
    }
    free(text);
    return 0;
}
