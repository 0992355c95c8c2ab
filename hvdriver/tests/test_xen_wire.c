/* What driver xen and quorate-xen say to each other: both ways, and what is refused. */
/* cmocka.h needs the first three before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/xen_wire.h"

static void fill(char *to, size_t size, char c)
{
    memset(to, c, size - 1);
    to[size - 1] = '\0';
}

/* Every field at its limit, with what JSON must escape. */
static void make_largest(struct hv_spec *s)
{
    memset(s, 0, sizeof *s);
    memset(s->uuid.b, 7, sizeof s->uuid.b);
    s->epoch = UINT32_MAX;
    s->memory_mib = UINT32_MAX;
    s->maxmem_mib = 1;
    s->vcpus = 512;
    s->n_disks = LIMIT_DISKS;
    s->n_vifs = LIMIT_VIFS;
    s->vnc = true;
    s->paused = true;
    fill(s->name, sizeof s->name, '"');
    fill(s->host, sizeof s->host, '\\');
    fill(s->type, sizeof s->type, 'v');
    fill(s->kernel, sizeof s->kernel, '\n');
    fill(s->ramdisk, sizeof s->ramdisk, '\x01');
    fill(s->cmdline, sizeof s->cmdline, '\x1f');
    fill(s->restore, sizeof s->restore, '\x03');
    fill(s->boot, sizeof s->boot, 'c');
    fill(s->vnc_password, sizeof s->vnc_password, '"');
    for (uint32_t i = 0; i < LIMIT_DISKS; i++) {
        fill(s->disks[i].path, sizeof s->disks[i].path, '\x02');
        fill(s->disks[i].device, sizeof s->disks[i].device, 'x');
        fill(s->disks[i].format, sizeof s->disks[i].format, 'r');
        s->disks[i].readonly = i % 2 == 0;
        s->disks[i].cdrom = i % 3 == 0;
    }
    for (uint32_t i = 0; i < LIMIT_VIFS; i++) {
        fill(s->vifs[i].mac, sizeof s->vifs[i].mac, 'a');
        fill(s->vifs[i].bridge, sizeof s->vifs[i].bridge, 'b');
        fill(s->vifs[i].model, sizeof s->vifs[i].model, 'm');
        s->vifs[i].slot = LIMIT_VIFS - i;
    }
}

struct heard {
    uint32_t n;
    struct hv_spec spec;
};

static int take_spec(void *ctx, const json_t *msg, struct err *e)
{
    struct heard *h = ctx;
    h->n++;
    return xen_spec_unpack(msg, &h->spec, e);
}

static void a_spec_at_all_limits_arrives_as_it_was(void **state)
{
    (void)state;
    struct hv_spec *spec = mem_new(1, sizeof *spec);
    struct heard *heard = mem_new(1, sizeof *heard);
    struct xen_reader reader = {0};
    struct err e = {0};
    size_t len = 0;
    make_largest(spec);
    char *line = xen_line(xen_spec_pack(spec), &len);
    assert_true(len <= XEN_LINE_MAX);
    /* In pieces, as a socket may give them. */
    for (size_t at = 0; at < len; at += 1000) {
        size_t n = min_u64(1000, len - at);
        assert_int_equal(xen_reader_feed(&reader, line + at, n, take_spec, heard, &e), 0);
    }
    assert_int_equal(heard->n, 1);
    assert_memory_equal(&heard->spec, spec, sizeof *spec);
    xen_reader_done(&reader);
    free(line);
    free(heard);
    free(spec);
}

static void a_copy_arrives_as_it_was(void **state)
{
    (void)state;
    struct hv_info info = {.key = {.epoch = 9},
                           .name = "web1",
                           .state = HV_ARRIVED,
                           .memory_mib = 128,
                           .vcpus = 2,
                           .vnc_display = -1,
                           .started_ms = 1700000000000u,
                           .domain = 77,
                           .console = "/dev/pts/3",
                           .log = "/log/guest-web1.log"};
    memset(info.key.uuid.b, 3, sizeof info.key.uuid.b);
    struct hv_info back;
    struct err e = {0};
    const char *detail = NULL;
    json_t *msg = xen_copy_pack(&info, "why");
    assert_int_equal(xen_copy_unpack(msg, &back, &detail, &e), 0);
    assert_string_equal(detail, "why");
    assert_memory_equal(&back, &info, sizeof info);
    json_decref(msg);
}

static int refuse_copy(void *ctx, const json_t *msg, struct err *e)
{
    struct hv_info info;
    const char *detail = NULL;
    (void)ctx;
    return xen_copy_unpack(msg, &info, &detail, e);
}

static int feed_text(const char *text)
{
    struct xen_reader reader = {0};
    struct err e = {0};
    int rc = xen_reader_feed(&reader, text, strlen(text), refuse_copy, NULL, &e);
    assert_true(rc == 0 || e.msg[0] != '\0');
    xen_reader_done(&reader);
    return rc;
}

static int feed_copy(const char *uuid, const char *epoch, const char *state, const char *memory)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"uuid\":\"%s\",\"epoch\":%s,\"name\":\"a\",\"state\":\"%s\","
                   "\"detail\":\"\",\"memory\":%s,\"vcpus\":1,\"started\":0,\"domain\":1,"
                   "\"vnc\":0,\"console\":\"\",\"log\":\"\"}\n",
                   uuid, epoch, state, memory);
    return feed_text(text);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    assert_int_equal(feed_text("{\"copy\"\n"), ERR_MALFORMED);
    assert_int_equal(feed_text("[]\n"), ERR_MALFORMED);
    assert_int_equal(feed_text("{}\n"), ERR_MALFORMED);
    const char *uuid = "01010101-0101-0101-0101-010101010101";
    assert_int_equal(feed_copy(uuid, "1", "running", "16"), 0);
    assert_int_equal(feed_copy(uuid, "0", "running", "16"), ERR_MALFORMED);
    assert_int_equal(feed_copy(uuid, "-1", "running", "16"), ERR_MALFORMED);
    assert_int_equal(feed_copy("x", "1", "running", "16"), ERR_MALFORMED);
    assert_int_equal(feed_copy(uuid, "1", "flying", "16"), ERR_MALFORMED);
    assert_int_equal(feed_copy(uuid, "1", "running", "4294967296"), ERR_MALFORMED);
}

static void a_line_without_an_end_is_refused(void **state)
{
    (void)state;
    char *text = mem_new(XEN_LINE_MAX + 2, 1);
    memset(text, ' ', XEN_LINE_MAX + 1);
    assert_int_equal(feed_text(text), ERR_TOO_BIG);
    free(text);
}

static void words_of_requests_lead_back(void **state)
{
    (void)state;
    for (int op = HV_START; op <= HV_RESTAMP; op++) {
        assert_int_equal(xen_op_parse(xen_op_name((enum hv_op)op)), op);
    }
    assert_int_equal(xen_op_parse("dance"), -1);
    assert_int_equal(xen_exit_parse("none"), -1);
    assert_int_equal(xen_exit_parse(hv_exit_name(HV_EXIT_REBOOT)), HV_EXIT_REBOOT);
    assert_int_equal(xen_state_parse(hv_state_name(HV_DEPARTED)), HV_DEPARTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spec_at_all_limits_arrives_as_it_was),
        cmocka_unit_test(a_copy_arrives_as_it_was),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_line_without_an_end_is_refused),
        cmocka_unit_test(words_of_requests_lead_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
