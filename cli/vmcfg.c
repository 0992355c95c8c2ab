#include "cli/vmcfg.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/mp.h"
#include "core/util.h"

#include "cli/vmcfg_known.h"
#include "cli/vmcfg_read.h"

/* --- messages */

/* "vm.cfg:3:10" or "memory=x" of an override, in front of a message. */
static void put_where(const struct vmcfg_reading *r,
                      const struct vmcfg_setting *s,
                      struct vmcfg_place at,
                      char *to,
                      size_t size)
{
    if (s->source >= 0) {
        (void)snprintf(to, size, "%.40s", r->source->overrides[s->source]);
    } else if (at.column == 0) {
        (void)snprintf(to, size, "%.60s:%u", r->source->name, at.line);
    } else {
        (void)snprintf(to, size, "%.60s:%u:%u", r->source->name, at.line, at.column);
    }
}

int vmcfg_wrong(const struct vmcfg_reading *r,
                const struct vmcfg_text *t,
                size_t offset,
                const char *fmt,
                ...)
{
    char text[ERR_MSG_SIZE];
    char where[96];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct vmcfg_place at = t->at;
    at.column += (uint32_t)offset;
    put_where(r, t->setting, at, where, sizeof where);
    return err_set(r->e, ERR_INVALID, "%s: %s: %s", where, t->setting->key, text);
}

void vmcfg_warn(const struct vmcfg_reading *r, const struct vmcfg_setting *s, const char *fmt, ...)
{
    struct vmcfg_warnings *w = r->warnings;
    if (w->n == VMCFG_WARNINGS_MAX) {
        w->dropped++;
        return;
    }
    char text[160];
    char where[96];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    put_where(r, s, (struct vmcfg_place){.line = s->key_at.line}, where, sizeof where);
    (void)snprintf(w->text[w->n], sizeof w->text[0], "%.60s: %.150s", where, text);
    w->n++;
}

int vmcfg_set(const struct vmcfg_reading *r,
              const struct vmcfg_text *t,
              size_t offset,
              const struct field *f,
              const char *value,
              void *record)
{
    struct err e = {0};
    for (const char *p = value; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return vmcfg_wrong(r, t, offset, "a control character in the text");
        }
    }
    if (schema_set_text(f, value, record, &e) == 0) {
        return 0;
    }
    /* The field's own name says nothing to who wrote the key. */
    size_t len = strlen(f->name);
    bool named = strncmp(e.msg, f->name, len) == 0 && strncmp(e.msg + len, ": ", 2) == 0;
    return vmcfg_wrong(r, t, offset, "%s", e.msg + (named ? len + 2 : 0));
}

/* --- the library */

/* Loading it costs a millisecond and eighteen libraries: only who reads a vm.cfg pays that. */
static int load_library(const struct vmcfg_library **ret, struct err *e)
{
    static struct vmcfg_library lib;
    static void *handle;
    if (handle != NULL) {
        *ret = &lib;
        return 0;
    }
    void *h = dlopen(QUORATE_XLUTIL, RTLD_NOW | RTLD_LOCAL);
    if (h == NULL) {
        return err_set(e, ERR_UNSUPPORTED,
                       "reading vm.cfg needs " QUORATE_XLUTIL
                       " (Debian: apt-get install libxen-dev)");
    }
    const struct {
        const char *name;
        void *to; /* A member of lib: a pointer to a function. */
    } symbols[] = {
        {"xlu_cfg_init", &lib.init},
        {"xlu_cfg_readdata", &lib.readdata},
        {"xlu_cfg_destroy", &lib.destroy},
        {"xlu_cfg_get_string", &lib.get_string},
        {"xlu_cfg_get_list", &lib.get_list},
        {"xlu_cfg_get_listitem", &lib.get_listitem},
        {"xlu_disk_parse", &lib.disk_parse},
        {"libxl_device_disk_init", &lib.disk_init},
        {"libxl_device_disk_dispose", &lib.disk_dispose},
    };
    for (size_t i = 0; i < ARRAY_LEN(symbols); i++) {
        void *symbol = dlsym(h, symbols[i].name);
        if (symbol == NULL) {
            (void)dlclose(h);
            return err_set(e, ERR_UNSUPPORTED, QUORATE_XLUTIL " has no %s", symbols[i].name);
        }
        memcpy(symbols[i].to, &symbol, sizeof symbol);
    }
    handle = h;
    *ret = &lib;
    return 0;
}

/* --- keys */

/* One text of the key's value. */
typedef int (*key_fn)(struct vmcfg_reading *r, const struct vmcfg_text *t);

static const struct schema *config_schema(void)
{
    return &schema_guest_config;
}

static int set_config(struct vmcfg_reading *r, const struct vmcfg_text *t, const char *field)
{
    const struct field *f = schema_find(config_schema(), field);
    assert(f != NULL);
    return vmcfg_set(r, t, 0, f, t->s, &r->cmd->config);
}

/* 0 is "not said" in a record, but in a file it is said. */
static int set_amount(struct vmcfg_reading *r, const struct vmcfg_text *t, const char *field)
{
    if (*t->s != '\0' && t->s[strspn(t->s, "0")] == '\0') {
        return vmcfg_wrong(r, t, 0, "must be more than 0");
    }
    return set_config(r, t, field);
}

static int set_memory(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    return set_amount(r, t, "memory_mib");
}

static int set_vcpus(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    return set_amount(r, t, "vcpus");
}

static int set_maxmem(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    return set_config(r, t, "maxmem_mib");
}

/* Keys whose field has their name. */
static int set_same(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    return set_config(r, t, t->setting->key);
}

static int set_vncpasswd(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    return set_config(r, t, "vnc_password");
}

static int set_command(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    const struct schema *s = command_by_number(COMMAND_guest_create)->schema;
    const struct field *f = schema_find(s, t->setting->key);
    assert(f != NULL);
    if (*t->s == '\0') {
        return vmcfg_wrong(r, t, 0, "is empty");
    }
    return vmcfg_set(r, t, 0, f, t->s, r->cmd);
}

/* What the older manager's files call ha. */
static int set_ovm_ha(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    const struct schema *s = command_by_number(COMMAND_guest_create)->schema;
    return vmcfg_set(r, t, 0, schema_find(s, "ha"), t->s, r->cmd);
}

static int set_boot(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    size_t good = strspn(t->s, "acdn");
    if (t->s[good] != '\0') {
        return vmcfg_wrong(r, t, good,
                           "\"%c\" is no boot device: c is the disk, d the CD, n the network",
                           t->s[good]);
    }
    return set_same(r, t);
}

/* xl's type, and what xm called it: builder. */
static int set_type(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    static const char *const same[][2] = {{"pv", "pv"},      {"pvh", "pvh"},  {"hvm", "hvm"},
                                          {"generic", "pv"}, {"linux", "pv"}, {"HVM", "hvm"}};
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        if (strcmp(same[i][0], t->s) == 0) {
            struct vmcfg_text use = *t;
            use.s = same[i][1];
            return set_config(r, &use, "type");
        }
    }
    return vmcfg_wrong(r, t, 0, "\"%.20s\" is no type of guest: pv, pvh or hvm", t->s);
}

/* The files of fully virtualised guests name Xen's firmware here, which is no kernel: xl leaves it
 * out, too. */
static int set_kernel(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    const char *slash = strrchr(t->s, '/');
    if (strcmp(slash == NULL ? t->s : slash + 1, "hvmloader") != 0) {
        return set_same(r, t);
    }
    vmcfg_warn(r, t->setting, "kernel: hvmloader is no kernel but firmware, and is left out");
    return 0;
}

/* What xl knows beyond ours, and the nearest that is ours. */
static int set_on_exit(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    static const char *const near[][2] = {{"coredump-destroy", "destroy"},
                                          {"coredump-restart", "restart"},
                                          {"rename-restart", "restart"},
                                          {"soft-reset", "restart"}};
    struct vmcfg_text use = *t;
    for (size_t i = 0; i < ARRAY_LEN(near); i++) {
        if (strcmp(near[i][0], t->s) == 0) {
            use.s = near[i][1];
            vmcfg_warn(r, t->setting, "%s: %s is taken as %s", t->setting->key, t->s, use.s);
        }
    }
    return set_same(r, &use);
}

/* root and extra become one command line; both are looked at when either is met. */
static int set_cmdline(struct vmcfg_reading *r, const struct vmcfg_text *t)
{
    const char *root = NULL;
    const char *extra = NULL;
    const char *whole = NULL;
    if (r->lib->get_string(r->cfg, "root", &root, 1) != 0) {
        root = NULL;
    }
    if (r->lib->get_string(r->cfg, "extra", &extra, 1) != 0) {
        extra = NULL;
    }
    CLEANUP(buf_done) struct buf line = {0};
    if (r->lib->get_string(r->cfg, "cmdline", &whole, 1) == 0 && whole != NULL) {
        buf_printf(&line, "%s", whole); /* As in xl: it goes before the other two. */
    } else {
        if (root != NULL && *root != '\0') {
            buf_printf(&line, "root=%s", root);
        }
        if (extra != NULL && *extra != '\0') {
            buf_printf(&line, "%s%s", line.len == 0 ? "" : " ", extra);
        }
    }
    buf_put_u8(&line, 0);
    struct vmcfg_text use = *t;
    use.s = (const char *)line.data;
    return set_config(r, &use, "cmdline");
}

static const struct key {
    const char *name;
    bool is_list;
    key_fn set;
} keys[] = {
    {"name", false, set_command},
    {"uuid", false, set_command},
    {"memory", false, set_memory},
    {"maxmem", false, set_maxmem},
    {"vcpus", false, set_vcpus},
    {"type", false, set_type},
    {"builder", false, set_type},
    {"kernel", false, set_kernel},
    {"ramdisk", false, set_same},
    {"root", false, set_cmdline},
    {"extra", false, set_cmdline},
    {"cmdline", false, set_cmdline},
    {"boot", false, set_boot},
    {"disk", true, vmcfg_add_disk},
    {"vif", true, vmcfg_add_vif},
    {"vnc", false, set_same},
    {"vncpasswd", false, set_vncpasswd},
    {"vfb", true, vmcfg_add_vfb},
    {"on_poweroff", false, set_on_exit},
    {"on_reboot", false, set_on_exit},
    {"on_crash", false, set_on_exit},
    {"ha", false, set_command},
    {"OVM_high_availability", false, set_ovm_ha},
    {"priority", false, set_command},
    {"preferred", false, set_command},
    {"apart", false, set_command},
    {"together", false, set_command},
};

static const struct key *find_key(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

/* --- one reading */

/* Elements of a list that was begun by one setting and gone on with by "+=". */
static int read_list(struct vmcfg_reading *r,
                     const struct vmcfg_setting *s,
                     const struct key *key,
                     XLU_ConfigList *list,
                     uint32_t *index)
{
    for (uint32_t i = 0; i < s->n; i++, ++*index) {
        struct vmcfg_text t = {.setting = s, .at = r->scan->elements[s->first + i]};
        t.s = r->lib->get_listitem(list, (int)*index);
        if (t.s == NULL) {
            return vmcfg_wrong(r, &t, 0, "must be a list of texts");
        }
        int rc = key->set(r, &t);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int not_this_kind(struct vmcfg_reading *r, const struct vmcfg_setting *s, bool list)
{
    struct vmcfg_text t = {.setting = s, .at = s->value_at, .s = ""};
    return vmcfg_wrong(r, &t, 0,
                       list ? "must be a list: ['...', '...']" : "must be one value, not a list");
}

static bool fits(enum vmcfg_kind kind, const char *value)
{
    if (kind == VMCFG_SWITCH) {
        return *value == '\0' || strcmp(value, "0") == 0 || strcmp(value, "1") == 0;
    }
    return kind != VMCFG_NUMBER || value[strspn(value, "0123456789")] == '\0';
}

/* A key without effect: its value is looked at all the same. */
static int read_known(struct vmcfg_reading *r, const struct vmcfg_setting *s)
{
    const struct vmcfg_known *k = vmcfg_known(s->key);
    if (k == NULL) {
        char small[VMCFG_KEY_MAX + 1];
        (void)str_copy(small, sizeof small, s->key);
        for (char *p = small; *p != '\0'; p++) {
            *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
        }
        bool meant = strcmp(small, s->key) != 0 && find_key(small) != NULL;
        vmcfg_warn(r, s, "unknown key %s is left out%s%s%s", s->key, meant ? " (is " : "",
                   meant ? small : "", meant ? " meant?)" : "");
        return 0;
    }
    struct vmcfg_text t = {.setting = s, .at = s->value_at, .s = ""};
    if (k->kind != VMCFG_ANY && s->is_list != (k->kind == VMCFG_LIST)) {
        return not_this_kind(r, s, k->kind == VMCFG_LIST);
    }
    if (!s->is_list && r->lib->get_string(r->cfg, s->name, &t.s, 1) == 0 && t.s != NULL &&
        !fits(k->kind, t.s)) {
        return vmcfg_wrong(r, &t, 0, "\"%.40s\" is not %s", t.s,
                           k->kind == VMCFG_SWITCH ? "0 or 1" : "a number");
    }
    vmcfg_warn(r, s, "%s has no meaning here: %s", s->key, k->why);
    return 0;
}

/* The setting at which a key is read: the last that sets it anew, else the first that adds to it.
 * Those before it do not count, those after it add to it. */
static size_t base_of(const struct vmcfg_scan *scan, const char *key)
{
    size_t base = scan->n;
    for (size_t i = 0; i < scan->n; i++) {
        const struct vmcfg_setting *s = &scan->settings[i];
        if (strcmp(s->key, key) == 0 && (!s->add || base == scan->n)) {
            base = i;
        }
    }
    return base;
}

/* A list, over the setting that began it and those that added to it. */
static int read_list_key(struct vmcfg_reading *r, size_t i, const struct key *key)
{
    const struct vmcfg_setting *s = &r->scan->settings[i];
    XLU_ConfigList *list = NULL;
    int n = 0;
    if (r->lib->get_list(r->cfg, key->name, &list, &n, 1) != 0) {
        return not_this_kind(r, s, key->is_list);
    }
    uint32_t index = 0;
    for (size_t k = i; k < r->scan->n; k++) {
        const struct vmcfg_setting *part = &r->scan->settings[k];
        if (strcmp(part->key, key->name) != 0) {
            continue;
        }
        int rc = read_list(r, part, key, list, &index);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int read_setting(struct vmcfg_reading *r, size_t i)
{
    const struct vmcfg_setting *s = &r->scan->settings[i];
    const struct key *key = find_key(s->key);
    size_t base = base_of(r->scan, s->key);
    if (i != base) {
        if (i < base && r->scan->settings[base].source < 0) {
            vmcfg_warn(r, s, "%s is set again later, which counts", s->key);
        }
        return 0;
    }
    if (key == NULL) {
        return read_known(r, s);
    }
    if (key->is_list) {
        return read_list_key(r, i, key);
    }
    struct vmcfg_text t = {.setting = s, .at = s->value_at};
    if (r->lib->get_string(r->cfg, s->name, &t.s, 1) != 0 || t.s == NULL) {
        return not_this_kind(r, s, key->is_list);
    }
    return key->set(r, &t);
}

static int read_settings(struct vmcfg_reading *r)
{
    for (size_t i = 0; i < r->scan->n; i++) {
        int rc = read_setting(r, i);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* What the library says of a text that our scanner let pass: its first line, which names the line.
 */
static int library_refused(struct vmcfg_reading *r)
{
    (void)fflush(r->report_file);
    const char *report = *r->report == NULL ? "" : *r->report;
    return err_set(r->e, ERR_INVALID, "%.*s", (int)strcspn(report, "\n"),
                   *report == '\0' ? "vm.cfg cannot be read" : report);
}

static int read_scanned(struct vmcfg_reading *r, const struct buf *text)
{
    char *report = NULL;
    size_t report_len = 0;
    r->report_file = open_memstream(&report, &report_len);
    if (r->report_file == NULL) {
        return err_sys(r->e, ERR_NO_MEMORY, errno, "read %s", r->source->name);
    }
    r->report = &report;
    assert(r->lib != NULL);
    int rc;
    r->cfg = r->lib->init(r->report_file, r->source->name);
    if (r->cfg == NULL) {
        rc = err_set(r->e, ERR_NO_MEMORY, "read %s", r->source->name);
    } else if (r->lib->readdata(r->cfg, (const char *)text->data, (int)text->len) != 0) {
        rc = library_refused(r);
    } else {
        rc = read_settings(r);
    }
    if (r->cfg != NULL) {
        r->lib->destroy(r->cfg);
    }
    (void)fclose(r->report_file); /* To memory. */
    free(report);
    r->report = NULL;
    return rc;
}

/* --- the whole */

int vmcfg_read(const struct vmcfg_source *source,
               struct cmd_guest_create *ret,
               struct vmcfg_warnings *warnings,
               struct err *e)
{
    CLEANUP(cleanup_free) struct vmcfg_scan *scan = mem_new(1, sizeof *scan);
    CLEANUP(buf_done) struct buf text = {0};
    (void)buf_reserve(&text, 1); /* Never NULL, also for an empty file. */
    struct vmcfg_reading r = {
        .source = source, .scan = scan, .cmd = ret, .warnings = warnings, .e = e};
    int rc = vmcfg_take(source, scan, &text, e);
    if (rc == 0) {
        rc = load_library(&r.lib, e);
    }
    return rc != 0 ? rc : read_scanned(&r, &text);
}

int vmcfg_read_file(const char *path,
                    const char *const *overrides,
                    size_t n_overrides,
                    struct cmd_guest_create *ret,
                    struct vmcfg_warnings *warnings,
                    struct err *e)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "re");
    if (f == NULL) {
        return err_sys(e, errno == EACCES ? ERR_DENIED : ERR_NOT_FOUND, errno, "%.200s", path);
    }
    CLEANUP(buf_done) struct buf text = {0};
    uint8_t *to = buf_reserve(&text, VMCFG_MAX + 1);
    size_t len = fread(to, 1, VMCFG_MAX + 1, f);
    int bad = ferror(f) != 0 ? errno : 0;
    if (!is_stdin) {
        (void)fclose(f); /* Only read from. */
    }
    if (bad != 0) {
        return err_sys(e, ERR_IO, bad, "%.200s", path);
    }
    const char *slash = strrchr(path, '/');
    struct vmcfg_source source = {.name = is_stdin        ? "standard input"
                                          : slash == NULL ? path
                                                          : slash + 1,
                                  .data = (const char *)to,
                                  .len = len,
                                  .overrides = overrides,
                                  .n_overrides = n_overrides};
    return vmcfg_read(&source, ret, warnings, e);
}
