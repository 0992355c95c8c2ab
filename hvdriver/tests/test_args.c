/* Command lines of QEMU against golden files: golden/<name>.args, one argument a line. Write them
 * anew with QUORATE_GOLDEN=write. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/util.h"

#include "hvdriver/qemu_args.h"
#include "hvdriver/spec.h"

static struct hv_spec plain(void)
{
    struct hv_spec spec = {.name = "web1", .epoch = 7, .memory_mib = 16, .vcpus = 1};
    memset(spec.uuid.b, 0x42, sizeof spec.uuid.b);
    return spec;
}

static const struct qemu_host here = {.emulator = "qemu-system-x86_64",
                                      .host = "h1",
                                      .dir = "/run/q/copy",
                                      .console_log = "/var/log/q/web1.console",
                                      .image_locking = true};

static void compare(const char *name, const struct hv_spec *spec, const struct qemu_host *host)
{
    char path[300];
    char want[8192] = "";
    struct buf got = {0};
    struct err e;
    if (spec_check(spec, &e) != 0) {
        fail_msg("%s", e.msg);
    }
    char **argv = qemu_args(spec, host);
    for (char **arg = argv; *arg != NULL; arg++) {
        buf_printf(&got, "%s\n", *arg);
    }
    qemu_args_free(argv);
    buf_put_u8(&got, 0);
    (void)snprintf(path, sizeof path, "%s/%s.args", HVDRIVER_GOLDEN, name);
    FILE *f;
    if (getenv("QUORATE_GOLDEN") != NULL) { /* NOLINT(concurrency-mt-unsafe) */
        f = fopen(path, "we");
        assert_non_null(f);
        (void)fputs((const char *)got.data, f);
    } else {
        f = fopen(path, "re");
        assert_non_null(f);
        want[fread(want, 1, sizeof want - 1, f)] = '\0';
        assert_string_equal((const char *)got.data, want);
    }
    (void)fclose(f);
    buf_done(&got);
}

static void a_plain_guest(void **state)
{
    (void)state;
    struct hv_spec spec = plain();
    compare("plain", &spec, &here);
}

static void a_kernel_gets_its_host_and_epoch(void **state)
{
    (void)state;
    struct hv_spec spec = plain();
    (void)str_copy(spec.kernel, sizeof spec.kernel, "/i/kernel");
    (void)str_copy(spec.ramdisk, sizeof spec.ramdisk, "/i/initrd");
    (void)str_copy(spec.cmdline, sizeof spec.cmdline, "console=ttyS0 a,b=c");
    spec.memory_mib = 128;
    spec.vcpus = 2;
    compare("kernel", &spec, &here);
}

static void every_kind_of_disk(void **state)
{
    (void)state;
    struct hv_spec spec = plain();
    struct qemu_host host = here;
    static const struct hv_disk disks[] = {
        {.path = "/d/a,b \"c\".raw", .device = "hda"},
        {.path = "/d/cd.iso", .device = "hdc", .cdrom = true},
        {.path = "/d/v.qcow2", .device = "vda", .format = "qcow2"},
        {.path = "/d/x.vmdk", .device = "xvdb", .format = "vmdk", .readonly = true},
        {.path = "/d/s.raw", .device = "sda", .format = "raw"},
        {.path = "/d/cd2.iso", .device = "xvdd", .cdrom = true}};
    spec.n_disks = ARRAY_LEN(disks);
    memcpy(spec.disks, disks, sizeof disks);
    (void)str_copy(spec.boot, sizeof spec.boot, "cd");
    host.direct[0] = true;
    host.image_locking = false;
    compare("disks", &spec, &host);
}

static void cards_with_and_without_a_bridge(void **state)
{
    (void)state;
    struct hv_spec spec = plain();
    static const struct hv_vif vifs[] = {
        {.mac = "52:54:00:00:00:01", .bridge = "br0"},
        {.mac = "52:54:00:00:00:02", .model = "ne2k_isa"},
        {.mac = "52:54:00:00:00:03", .bridge = "br1", .model = "e1000"}};
    spec.n_vifs = ARRAY_LEN(vifs);
    memcpy(spec.vifs, vifs, sizeof vifs);
    compare("vifs", &spec, &here);
}

static void a_target_with_a_screen(void **state)
{
    (void)state;
    struct hv_spec spec = plain();
    struct qemu_host host = here;
    spec.vnc = true;
    (void)str_copy(spec.vnc_password, sizeof spec.vnc_password, "s3cret");
    host.incoming = true;
    host.kvm = true;
    compare("target", &spec, &host);
}

/* Why: README.md, "Memory". */
static void memory_is_never_a_multiple_of_256_kib(void **state)
{
    (void)state;
    for (uint32_t mib = 1; mib < 100000; mib++) {
        assert_true(qemu_memory_kib(mib) % 256 != 0);
        assert_true(qemu_memory_kib(mib) % 4 == 0);
        assert_true(qemu_memory_kib(mib) >= (uint64_t)mib * 1024);
    }
}

static void a_secret_is_never_an_argument(void **state)
{
    (void)state;
    struct hv_spec spec = plain();
    spec.vnc = true;
    (void)str_copy(spec.vnc_password, sizeof spec.vnc_password, "s3cret");
    char **argv = qemu_args(&spec, &here);
    for (char **arg = argv; *arg != NULL; arg++) {
        assert_null(strstr(*arg, "s3cret"));
    }
    qemu_args_free(argv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_guest),
        cmocka_unit_test(a_kernel_gets_its_host_and_epoch),
        cmocka_unit_test(every_kind_of_disk),
        cmocka_unit_test(cards_with_and_without_a_bridge),
        cmocka_unit_test(a_target_with_a_screen),
        cmocka_unit_test(memory_is_never_a_multiple_of_256_kib),
        cmocka_unit_test(a_secret_is_never_an_argument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
