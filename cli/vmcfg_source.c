/* From what is given to one text: the file, and the overrides after it. */

#include <string.h>

#include "core/buf.h"
#include "core/util.h"

#include "cli/vmcfg_read.h"

/* The text with newlines of one kind, checked: neither NUL nor broken UTF-8. */
static int take_text(const struct vmcfg_source *s, struct buf *out, struct err *e)
{
    if (s->len > VMCFG_MAX) {
        return err_set(e, ERR_TOO_BIG, "%.60s: larger than %u bytes", s->name, VMCFG_MAX);
    }
    size_t bom = s->len >= 3 && memcmp(s->data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    uint32_t line = 1;
    for (size_t i = bom; i < s->len;) {
        size_t n = i;
        while (n < s->len && s->data[n] != '\n') {
            n++;
        }
        size_t len = n - i;
        if (n < s->len && len > 0 && s->data[n - 1] == '\r') {
            len--;
        }
        if (len > 0 && memchr(s->data + i, '\0', len) != NULL) {
            return err_set(e, ERR_INVALID, "%.60s:%u: a NUL byte; is this a text?", s->name, line);
        }
        if (!utf8_valid(s->data + i, len)) {
            return err_set(e, ERR_INVALID, "%.60s:%u: not UTF-8 text", s->name, line);
        }
        buf_put(out, s->data + i, len);
        buf_put_u8(out, '\n');
        i = n + 1;
        line++;
    }
    return 0;
}

/* "memory=512" as a line of the file. A value that is no text in quotes and no list is quoted. */
static int take_override(const char *text, struct buf *out, struct err *e)
{
    size_t len = strlen(text);
    const char *equals = strchr(text, '=');
    if (len > VMCFG_OVERRIDE_MAX) {
        return err_set(e, ERR_TOO_BIG, "%.40s...: longer than %u bytes", text, VMCFG_OVERRIDE_MAX);
    }
    if (equals == NULL || equals == text) {
        return err_set(e, ERR_INVALID, "\"%.60s\" is not NAME=VALUE", text);
    }
    if (!utf8_valid(text, len) || strpbrk(text, "\r\n") != NULL) {
        return err_set(e, ERR_INVALID, "%.*s: not one line of UTF-8 text", (int)(equals - text),
                       text);
    }
    const char *value = equals + 1;
    if (*value != '\0' && strchr("'\"[", *value) != NULL) {
        buf_printf(out, "%s\n", text);
        return 0;
    }
    buf_put(out, text, (size_t)(equals + 1 - text));
    buf_put_u8(out, '"');
    for (const char *p = value; *p != '\0'; p++) {
        buf_printf(out, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    }
    buf_printf(out, "\"\n");
    return 0;
}

int vmcfg_take(const struct vmcfg_source *source,
               struct vmcfg_scan *scan,
               struct buf *text,
               struct err *e)
{
    int rc = take_text(source, text, e);
    if (rc == 0) {
        rc = vmcfg_scan_text(scan, source->name, -1, text, e);
    }
    for (size_t i = 0; i < source->n_overrides && rc == 0; i++) {
        CLEANUP(buf_done) struct buf line = {0};
        size_t before = scan->n;
        rc = take_override(source->overrides[i], &line, e);
        if (rc == 0) {
            rc = vmcfg_scan_text(scan, source->overrides[i], (int32_t)i, &line, e);
        }
        if (rc == 0 && scan->n != before + 1) {
            rc = err_set(e, ERR_INVALID, "\"%.60s\" is not NAME=VALUE", source->overrides[i]);
        }
        buf_put(text, line.data, line.len);
    }
    return rc;
}
