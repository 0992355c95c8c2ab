#include "hvdriver/qmp_msg.h"

#include <string.h>

#include "core/util.h"

#define DEPTH_MAX  16u
#define VALUES_MAX 4096u

void qmp_clean_text(char *to, size_t size, const char *from)
{
    size_t n = 0;
    bool blank = true; /* Drops leading blanks. */
    for (; *from != '\0' && n + 1 < size; from++) {
        unsigned char c = (unsigned char)*from;
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            if (!blank) {
                to[n++] = ' ';
            }
            blank = true;
            continue;
        }
        to[n++] = c < 0x20 || c > 0x7e ? '?' : (char)c;
        blank = false;
    }
    while (n > 0 && to[n - 1] == ' ') {
        n--;
    }
    memset(to + n, 0, size - n);
}

/* Count brackets and commas outside of strings: a bound of what the parser will allocate. */
static int check_shape(const char *line, size_t len, struct err *e)
{
    size_t depth = 0;
    size_t values = 0;
    bool in_string = false;
    if (len > QMP_LINE_MAX) {
        return err_set(e, ERR_TOO_BIG, "a line of %zu bytes", len);
    }
    for (size_t i = 0; i < len; i++) {
        char c = line[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
            values++;
        } else if (c == '}' || c == ']') {
            depth -= depth > 0 ? 1 : 0;
        } else if (c == ',') {
            values++;
        }
        if (depth > DEPTH_MAX || values > VALUES_MAX) {
            return err_set(e, ERR_TOO_BIG, "values nested too deep or too many");
        }
    }
    return 0;
}

static int decode_event(struct qmp_msg *m, json_t *event)
{
    m->kind = QMP_EVENT;
    m->value = json_object_get(m->root, "data");
    const char *name = json_string_value(event);
    if (name == NULL || (m->value != NULL && !json_is_object(m->value))) {
        return ERR_MALFORMED;
    }
    return str_copy(m->name, sizeof m->name, name) < sizeof m->name ? 0 : ERR_MALFORMED;
}

static int decode(struct qmp_msg *m)
{
    json_t *id = json_object_get(m->root, "id");
    json_t *event = json_object_get(m->root, "event");
    json_t *error = json_object_get(m->root, "error");
    m->id = json_is_integer(id) ? json_integer_value(id) : -1;
    if (event != NULL) {
        return decode_event(m, event);
    }
    if (error != NULL) {
        m->kind = QMP_ERROR;
        const char *text = json_string_value(json_object_get(error, "desc"));
        if (text == NULL) {
            return ERR_MALFORMED;
        }
        qmp_clean_text(m->text, sizeof m->text, text);
        return 0;
    }
    m->value = json_object_get(m->root, "return");
    if (m->value != NULL) {
        m->kind = QMP_RETURN;
        return 0;
    }
    m->kind = QMP_GREETING;
    m->value = json_object_get(m->root, "QMP");
    return json_is_object(m->value) ? 0 : ERR_MALFORMED;
}

int qmp_msg_parse(const char *line, size_t len, struct qmp_msg *ret, struct err *e)
{
    if (check_shape(line, len, e) != 0) {
        return e->code;
    }
    struct qmp_msg m = {0};
    m.root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(m.root) || decode(&m) != 0) {
        json_decref(m.root);
        return err_set(e, ERR_MALFORMED, "not a line of QMP");
    }
    *ret = m;
    return 0;
}

void qmp_msg_done(struct qmp_msg *msg)
{
    json_decref(msg->root);
    msg->root = NULL;
    msg->value = NULL;
}
