/* Any bytes as a vm.cfg. The first byte says whether the rest is a file or an override. What is
 * accepted must be a record that can be encoded, whose limits hold, and which is printed as a file
 * that reads back to it. */

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "cli/vmcfg.h"
#include "cli/vmcfg_print.h"

/* What was read is printed as a file that reads back to what is printed the same. */
static void check_printed(const struct cmd_guest_create *guest)
{
    static struct vmcfg_warnings warnings;
    static struct cmd_guest_create again;
    struct buf text = {0};
    struct buf second = {0};
    struct err e = {0};
    vmcfg_print(guest, /*secrets=*/true, &text);
    schema_init(command_by_number(COMMAND_guest_create)->schema, &again);
    struct vmcfg_source source = {
        .name = "vm.cfg", .data = text.len == 0 ? "" : (const char *)text.data, .len = text.len};
    warnings.n = 0;
    if (vmcfg_read(&source, &again, &warnings, &e) != 0) {
        (void)fprintf(stderr, "%s\n%.*s\n", e.msg, (int)text.len, source.data);
        abort();
    }
    vmcfg_print(&again, /*secrets=*/true, &second);
    assert(warnings.n == 0 && second.len == text.len);
    assert(text.len == 0 || memcmp(text.data, second.data, text.len) == 0);
    buf_done(&text);
    buf_done(&second);
}

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
        check_printed(&cmd);
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
