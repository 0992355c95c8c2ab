/* The reader of vm.cfg over a corpus: each file vmcfg/x.cfg is read, and what came of it is
 * compared with vmcfg/x.want (the record as JSON, warnings, or the error). */

#include <string.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/tests/golden.h"
#include "cli/vmcfg.h"
#include "cli/vmcfg_print.h"

struct reading {
    struct cmd_guest_create cmd;
    struct vmcfg_warnings warnings;
    struct err e;
    int rc;
};

static const struct schema *schema(void)
{
    return command_by_number(COMMAND_guest_create)->schema;
}

static struct reading *
read_text(const char *name, const char *data, size_t len, const char *const *overrides, size_t n)
{
    struct reading *r = mem_new(1, sizeof *r);
    schema_init(schema(), &r->cmd);
    struct vmcfg_source source = {
        .name = name, .data = data, .len = len, .overrides = overrides, .n_overrides = n};
    r->rc = vmcfg_read(&source, &r->cmd, &r->warnings, &r->e);
    return r;
}

/* Only the fields that the file changed, so that a new field of guests changes no expectation. */
static void put_changed(const struct schema *s, const void *record, struct buf *out)
{
    void *fresh = mem_new(1, s->size);
    schema_init(s, fresh);
    json_t *now = schema_to_json(s, record);
    json_t *before = schema_to_json(s, fresh);
    const char *key;
    json_t *value;
    json_object_foreach(now, key, value)
    {
        const struct field *f = schema_find(s, key);
        if (f->kind == FIELD_REC) {
            put_changed(f->nested, (const char *)record + f->offset, out);
        } else if (!json_equal(value, json_object_get(before, key))) {
            char *text = json_dumps(value, JSON_ENCODE_ANY);
            buf_printf(out, "%s = %s\n", key, text);
            free(text);
        }
    }
    json_decref(now);
    json_decref(before);
    free(fresh);
}

static void describe(const struct reading *r, struct buf *out)
{
    if (r->rc != 0) {
        buf_printf(out, "%s %s\n", err_name(r->rc), r->e.msg);
    } else {
        put_changed(schema(), &r->cmd, out);
    }
    for (size_t i = 0; i < r->warnings.n; i++) {
        buf_printf(out, "warning: %s\n", r->warnings.text[i]);
    }
}

static void encode(const struct cmd_guest_create *guest, struct buf *out)
{
    CLEANUP(cleanup_free) struct cmd_guest_create *copy = mem_new(1, sizeof *copy);
    *copy = *guest;
    if (*copy->name == '\0') {
        (void)str_copy(copy->name, sizeof copy->name, "x"); /* An encoding must have one. */
    }
    struct err e = {0};
    if (schema_check(schema(), copy, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    schema_encode(schema(), copy, out);
}

/* Print the guest, read that, print it again: the same guest, the same text, no warning. */
static void check_printed(const char *name, const struct cmd_guest_create *guest)
{
    CLEANUP(buf_done) struct buf text = {0};
    CLEANUP(buf_done) struct buf again = {0};
    CLEANUP(buf_done) struct buf before = {0};
    CLEANUP(buf_done) struct buf after = {0};
    vmcfg_print(guest, /*secrets=*/true, &text);
    struct reading *r = read_text(name, (const char *)text.data, text.len, NULL, 0);
    if (r->rc != 0 || r->warnings.n != 0) {
        fail_msg("%s: %s\n%.*s", name, r->rc != 0 ? r->e.msg : r->warnings.text[0], (int)text.len,
                 (const char *)text.data);
    }
    vmcfg_print(&r->cmd, /*secrets=*/true, &again);
    if (text.len != again.len || (text.len > 0 && memcmp(text.data, again.data, text.len) != 0)) {
        fail_msg("%s: printed\n%.*sand then\n%.*s", name, (int)text.len, (const char *)text.data,
                 (int)again.len, (const char *)again.data);
    }
    encode(guest, &before);
    encode(&r->cmd, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.data, after.data, before.len);
    free(r);
}

static void check_file(void *ctx, const char *path)
{
    (void)ctx;
    CLEANUP(buf_done) struct buf text = {0};
    CLEANUP(buf_done) struct buf got = {0};
    CLEANUP(buf_done) struct buf want = {0};
    golden_read(path, &text);
    struct reading *r =
        read_text(strrchr(path, '/') + 1, (const char *)text.data, text.len, NULL, 0);
    /* What the name says must hold whatever the expectation says. */
    if ((r->rc == 0) != (strstr(path, "/good-") != NULL)) {
        fail_msg("%s: %s", path, r->rc == 0 ? "is read" : r->e.msg);
    }
    if (r->rc == 0) {
        check_printed(strrchr(path, '/') + 1, &r->cmd);
    }
    describe(r, &got);
    buf_printf(&want, "%.*s.want", (int)(strlen(path) - strlen(".cfg")), path);
    buf_put_u8(&want, 0);
    golden_check((const char *)want.data, got.data, got.len);
    free(r);
}

static void every_file_of_the_corpus_reads_as_expected(void **state)
{
    (void)state;
    assert_true(golden_each("vmcfg", ".cfg", check_file, NULL) >= 60);
}

static void overrides_stand_at_the_end_of_the_file(void **state)
{
    (void)state;
    const char *text = "name = 'a'\nmemory = 64\ndisk = ['file:/a.img,hda,w']\n";
    const char *const overrides[] = {"name=b \"c\" \\", "memory=2GiB",
                                     "disk=['file:/b.img,hda,r']"};
    struct reading *r = read_text("vm.cfg", text, strlen(text), overrides, 3);
    assert_int_equal(r->rc, 0);
    assert_string_equal(r->cmd.name, "b \"c\" \\");
    assert_int_equal(r->cmd.config.memory_mib, 2048);
    assert_int_equal(r->cmd.config.disks_n, 1);
    assert_string_equal(r->cmd.config.disks[0].path, "/b.img");
    assert_true(r->cmd.config.disks[0].readonly);
    free(r);
}

static void check_override(const char *override, int code, const char *message)
{
    struct reading *r = read_text("vm.cfg", "", 0, &override, 1);
    assert_int_equal(r->rc, code);
    if (strstr(r->e.msg, message) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", r->e.msg, message);
    }
    free(r);
}

static void a_wrong_override_is_named(void **state)
{
    (void)state;
    check_override("memory=much", ERR_INVALID, "memory=much: memory: ");
    check_override("memory", ERR_INVALID, "is not NAME=VALUE");
    check_override("=3", ERR_INVALID, "is not NAME=VALUE");
    check_override("name=\"a\";memory=3", ERR_INVALID, "is not NAME=VALUE");
    check_override("name=a\nmemory=3", ERR_INVALID, "not one line");
    check_override("name='a", ERR_INVALID, "without its closing");
    check_override("disk=[", ERR_INVALID, "without its closing ]");
    check_override("name=\xff", ERR_INVALID, "not one line of UTF-8");
}

static void the_bounds_hold(void **state)
{
    (void)state;
    size_t len = VMCFG_MAX + 1;
    char *text = mem_new(len, 1);
    memset(text, '\n', len);
    struct reading *r = read_text("vm.cfg", text, len, NULL, 0);
    assert_int_equal(r->rc, ERR_TOO_BIG);
    free(r);
    r = read_text("vm.cfg", text, len - 1, NULL, 0);
    assert_int_equal(r->rc, 0);
    free(r);
    memset(text, '[', len);
    memcpy(text, "a=", 2);
    r = read_text("vm.cfg", text, len - 1, NULL, 0);
    assert_int_equal(r->rc, ERR_INVALID);
    assert_non_null(strstr(r->e.msg, "vm.cfg:1:6: lists more than 3 deep"));
    free(r);
    memset(text, 'x', len);
    memcpy(text, "a='", 3);
    r = read_text("vm.cfg", text, len - 1, NULL, 0);
    assert_non_null(strstr(r->e.msg, "text of more than 2048 bytes"));
    free(r);
    for (size_t i = 0; i < len - 4; i += 4) {
        memcpy(text + i, "a=1\n", 4);
    }
    r = read_text("vm.cfg", text, len - 1, NULL, 0);
    assert_non_null(strstr(r->e.msg, "vm.cfg:257:1: more than 256 assignments"));
    free(r);
    free(text);
}

static void more_warnings_than_fit_are_counted(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf text = {0};
    for (int i = 0; i < 40; i++) {
        buf_printf(&text, "unknown%d = 1\n", i);
    }
    struct reading *r = read_text("vm.cfg", (const char *)text.data, text.len, NULL, 0);
    assert_int_equal(r->rc, 0);
    assert_int_equal(r->warnings.n, VMCFG_WARNINGS_MAX);
    assert_int_equal(r->warnings.dropped, 40 - VMCFG_WARNINGS_MAX);
    assert_string_equal(r->warnings.text[31], "vm.cfg:32: unknown key unknown31 is left out");
    free(r);
}

static void more_disks_and_cards_than_there_may_be_are_refused(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf text = {0};
    buf_printf(&text, "disk = [");
    for (int i = 0; i <= LIMIT_DISKS; i++) {
        buf_printf(&text, "'file:/d%d.img,xvd%c,w',", i, 'a' + i);
    }
    buf_printf(&text, "]\n");
    struct reading *r = read_text("vm.cfg", (const char *)text.data, text.len, NULL, 0);
    assert_int_equal(r->rc, ERR_INVALID);
    assert_non_null(strstr(r->e.msg, "more than 16 disks"));
    free(r);
}

static void a_missing_file_says_so(void **state)
{
    (void)state;
    struct reading r = {.rc = 0};
    schema_init(schema(), &r.cmd);
    r.rc = vmcfg_read_file("/no/such/vm.cfg", NULL, 0, &r.cmd, &r.warnings, &r.e);
    assert_int_equal(r.rc, ERR_NOT_FOUND);
    assert_non_null(strstr(r.e.msg, "/no/such/vm.cfg: No such file"));
    r.rc = vmcfg_read_file("/", NULL, 0, &r.cmd, &r.warnings, &r.e);
    assert_int_equal(r.rc, ERR_IO);
}

static void a_printed_guest_is_vm_cfg(void **state)
{
    (void)state;
    const char *text =
        "name = \"it's \\\\ \"\nmemory = 64\nvnc = 1\nvncpasswd = 'p'\non_reboot = 'destroy'\n"
        "ha = 1\npreferred = 'a,b'\nroot = '/dev/xvda'\nextra = 'quiet'\n"
        "disk = ['file:/a.img,hda,w', 'file:/b.iso,hdc:cdrom,r']\n"
        "vif = ['', 'bridge=br0,mac=00:16:3e:00:00:01']\n";
    struct reading *r = read_text("vm.cfg", text, strlen(text), NULL, 0);
    assert_int_equal(r->rc, 0);
    CLEANUP(buf_done) struct buf out = {0};
    vmcfg_print(&r->cmd, /*secrets=*/false, &out);
    buf_put_u8(&out, 0);
    assert_string_equal((const char *)out.data,
                        "name = 'it\\'s \\\\ '\n"
                        "memory = 64\n"
                        "cmdline = 'root=/dev/xvda quiet'\n"
                        "# vncpasswd is not shown\n"
                        "on_reboot = 'destroy'\n"
                        "preferred = 'a,b'\n"
                        "vnc = 1\n"
                        "ha = 1\n"
                        "disk = [\n"
                        "    'format=raw,vdev=hda,access=rw,target=/a.img',\n"
                        "    'format=raw,vdev=hdc,access=ro,devtype=cdrom,target=/b.iso',\n"
                        "]\n"
                        "vif = [\n"
                        "    '',\n"
                        "    'mac=00:16:3e:00:00:01,bridge=br0',\n"
                        "]\n");
    free(r);
}

/* As a text between commas can be. */
static void make_part(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        *p = *p == ',' || *p == ' ' ? '_' : *p;
    }
}

/* What vm.cfg has no word for, and texts that it cannot hold, go; the rest must come back. */
static void make_printable(struct cmd_guest_create *g)
{
    CLEANUP(cleanup_free) struct cmd_guest_create *fresh = mem_new(1, sizeof *fresh);
    schema_init(schema(), fresh);
    memcpy(g->image, fresh->image, sizeof g->image);
    memcpy(g->host, fresh->host, sizeof g->host);
    g->start = fresh->start;
    g->paused = fresh->paused;
    g->force = fresh->force;
    g->restart_backoff_ms = fresh->restart_backoff_ms;
    struct guest_config *c = &g->config;
    (void)str_copy(c->type, sizeof c->type, "hvm");
    (void)str_copy(c->boot, sizeof c->boot, "dc");
    for (uint32_t i = 0; i < c->disks_n; i++) {
        struct disk *d = &c->disks[i];
        (void)str_copy(d->format, sizeof d->format, i % 2 == 0 ? "raw" : "qcow2");
        (void)snprintf(d->device, sizeof d->device, "xvd%c", 'a' + (int)i);
        d->readonly = d->readonly || d->cdrom; /* libxlutil knows no CD that is written to. */
    }
    for (uint32_t i = 0; i < c->vifs_n; i++) {
        struct vif *v = &c->vifs[i];
        v->slot = 0;
        make_part(v->bridge);
        make_part(v->model);
        (void)snprintf(v->mac, sizeof v->mac, "00:16:3e:00:00:%02x", i & 0xffu);
    }
}

static void any_guest_comes_back_from_its_file(void **state)
{
    (void)state;
    CLEANUP(cleanup_free) struct cmd_guest_create *guest = mem_new(1, sizeof *guest);
    struct rng rng;
    rng_seed(&rng, 5);
    for (int i = 0; i < 500; i++) {
        schema_init(schema(), guest);
        schema_random(schema(), &rng, guest);
        make_printable(guest);
        check_printed("random", guest);
    }
}

/* A file that prints itself with more settings than its guest has would be a hole. */
static void a_text_that_a_line_cannot_hold_is_a_comment(void **state)
{
    (void)state;
    CLEANUP(cleanup_free) struct cmd_guest_create *guest = mem_new(1, sizeof *guest);
    schema_init(schema(), guest);
    (void)str_copy(guest->name, sizeof guest->name, "a\nmemory = 64");
    guest->config.disks_n = 1;
    schema_init(&schema_disk, &guest->config.disks[0]);
    (void)str_copy(guest->config.disks[0].device, sizeof guest->config.disks[0].device, "a,ro");
    guest->config.vifs_n = 1;
    schema_init(&schema_vif, &guest->config.vifs[0]);
    (void)str_copy(guest->config.vifs[0].bridge, sizeof guest->config.vifs[0].bridge, "b,mac=1");
    CLEANUP(buf_done) struct buf out = {0};
    vmcfg_print(guest, /*secrets=*/true, &out);
    buf_put_u8(&out, 0);
    assert_string_equal((const char *)out.data,
                        "# name has a text that vm.cfg cannot hold\n"
                        "disk = [\n"
                        "    # a disk that vm.cfg cannot hold\n"
                        "]\n"
                        "vif = [\n"
                        "    # bridge of this card is left out: vm.cfg cannot hold it\n"
                        "    '',\n"
                        "]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_of_the_corpus_reads_as_expected),
        cmocka_unit_test(a_printed_guest_is_vm_cfg),
        cmocka_unit_test(any_guest_comes_back_from_its_file),
        cmocka_unit_test(a_text_that_a_line_cannot_hold_is_a_comment),
        cmocka_unit_test(overrides_stand_at_the_end_of_the_file),
        cmocka_unit_test(a_wrong_override_is_named),
        cmocka_unit_test(the_bounds_hold),
        cmocka_unit_test(more_warnings_than_fit_are_counted),
        cmocka_unit_test(more_disks_and_cards_than_there_may_be_are_refused),
        cmocka_unit_test(a_missing_file_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
