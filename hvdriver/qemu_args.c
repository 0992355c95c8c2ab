#include "hvdriver/qemu_args.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/spec.h"

struct args {
    char **v;
    size_t n;
    size_t cap;
};

static void add_taken(struct args *a, char *text)
{
    if (a->n + 1 >= a->cap) {
        a->cap = a->cap == 0 ? 64 : a->cap * 2;
        a->v = mem_grow(a->v, a->cap, sizeof *a->v);
    }
    a->v[a->n++] = text;
    a->v[a->n] = NULL;
}

static void add(struct args *a, const char *text)
{
    add_taken(a, mem_strdup(text));
}

static void add_fmt(struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add_fmt(struct args *a, const char *fmt, ...)
{
    char text[2 * LIMIT_PATH + 2 * LIMIT_CMDLINE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    add(a, text);
}

/* A value within a list of options: a comma is written twice. */
static const char *escape(char *to, size_t size, const char *from)
{
    size_t n = 0;
    for (; *from != '\0' && n + 2 < size; from++) {
        to[n++] = *from;
        if (*from == ',') {
            to[n++] = ',';
        }
    }
    to[n] = '\0';
    return to;
}

/* QEMU 7.2 under TCG silently loses writes of the guest when a migration takes more than a few
 * passes over memory whose size is a multiple of 256 KiB: the fast path for 64 aligned pages
 * forgets to reset the translation buffers. Memory that ends off such a boundary takes the path
 * that does not. Both ends of a migration must have the same size, so this holds for KVM too. */
uint64_t qemu_memory_kib(uint32_t memory_mib)
{
    return (uint64_t)memory_mib * 1024 + 8;
}

static void add_machine(struct args *a, const struct hv_spec *spec, const struct qemu_host *h)
{
    char uuid[ID_TEXT_SIZE];
    char name[2 * LIMIT_PATH];
    add(a, h->emulator);
    add(a, "-name");
    add_fmt(a, "guest=%s", spec->name);
    /* By this path a later daemon knows the process as this copy. */
    add(a, "-pidfile");
    add_fmt(a, "%s/pid", h->dir);
    add(a, "-nodefaults");
    add(a, "-no-user-config");
    /* A fixed version: guests must move between hosts with different releases of QEMU. */
    add(a, "-machine");
    add(a, "pc-i440fx-7.2");
    add(a, "-accel");
    /* A guest this small is a bare program: it needs no translation buffer of hundreds of MiB. */
    add_fmt(a, h->kvm ? "kvm" : "tcg,tb-size=%u", spec->memory_mib < 64 ? 2u : 32u);
    add(a, "-m");
    add_fmt(a, "%" PRIu64 "k", qemu_memory_kib(spec->memory_mib));
    add(a, "-smp");
    add_fmt(a, "%u", spec->vcpus);
    add(a, "-uuid");
    add(a, id_text(&spec->uuid, uuid));
    /* Where a guest can read on which host, and in which run, it is. */
    add(a, "-smbios");
    add_fmt(a, "type=1,serial=%s", escape(name, sizeof name, h->host));
    add(a, "-fw_cfg");
    add_fmt(a, "name=opt/quorate/run,string=%s %" PRIu64, escape(name, sizeof name, h->host),
            spec->epoch);
    /* A panic keeps the guest, a reboot ends this run: what comes next is not the driver's choice.
     */
    add(a, "-action");
    add(a, "panic=pause,reboot=shutdown");
    add(a, "-device");
    add(a, "pvpanic");
    /* It runs when we say so. */
    add(a, "-S");
}

static void add_boot(struct args *a, const struct hv_spec *spec, const struct qemu_host *h)
{
    if (spec->kernel[0] != '\0') {
        add(a, "-kernel");
        add(a, spec->kernel);
        add(a, "-append");
        /* After a migration this still names the source: it is in the guest's memory. */
        add_fmt(a, "%s%squorate.host=%s quorate.epoch=%" PRIu64, spec->cmdline,
                spec->cmdline[0] == '\0' ? "" : " ", h->host, spec->epoch);
    }
    if (spec->ramdisk[0] != '\0') {
        add(a, "-initrd");
        add(a, spec->ramdisk);
    }
    if (spec->boot[0] != '\0') {
        add(a, "-boot");
        add_fmt(a, "order=%s", spec->boot);
    }
    if (h->incoming) {
        add(a, "-incoming");
        add(a, "defer");
    }
}

static void add_monitors(struct args *a, const struct qemu_host *h)
{
    char log[2 * LIMIT_PATH];
    add(a, "-chardev");
    add_fmt(a, "socket,id=qmp,fd=%d,server=on,wait=off", QEMU_FD_QMP);
    add(a, "-mon");
    add(a, "chardev=qmp,mode=control");
    add(a, "-chardev");
    add_fmt(a, "socket,id=spare,fd=%d,server=on,wait=off", QEMU_FD_SPARE);
    add(a, "-mon");
    add(a, "chardev=spare,mode=control");
    add(a, "-chardev");
    add_fmt(a, "socket,id=console,fd=%d,server=on,wait=off,logfile=%s,logappend=on",
            QEMU_FD_CONSOLE, escape(log, sizeof log, h->console_log));
    add(a, "-serial");
    add(a, "chardev:console");
}

static void add_display(struct args *a, const struct hv_spec *spec, const struct qemu_host *h)
{
    char dir[2 * LIMIT_PATH];
    add(a, "-display");
    add(a, "none");
    if (!spec->vnc) {
        return;
    }
    add(a, "-device");
    add(a, "VGA,bus=pci.0,addr=0x2");
    const char *password = "";
    if (spec->vnc_password[0] != '\0') {
        add(a, "-object");
        add_fmt(a, "secret,id=vnc,format=raw,file=%s/" QEMU_VNC_SECRET,
                escape(dir, sizeof dir, h->dir));
        password = ",password-secret=vnc";
    }
    add(a, "-vnc");
    add_fmt(a, "127.0.0.1:0,to=999%s", password);
}

#define ADDR_SCSI  3u
#define ADDR_DISKS 4u
#define ADDR_VIFS  20u
#define ADDR_MORE  28u
#define UNITS      16u

uint32_t qemu_disk_addr(uint32_t unit)
{
    return unit < UNITS ? ADDR_DISKS + unit : ADDR_MORE + unit - UNITS;
}

uint32_t qemu_vif_addr(uint32_t slot)
{
    return ADDR_VIFS + slot;
}

json_t *qemu_block_node(const struct hv_disk *d, bool locking, bool direct)
{
    char node[32];
    (void)snprintf(node, sizeof node, "disk-%s", d->device);
    bool readonly = d->readonly || d->cdrom;
    json_t *file = json_pack("{s:s, s:s, s:s, s:{s:b}}", "driver", "file", "filename", d->path,
                             "locking", locking ? "on" : "off", "cache", "direct", (int)direct);
    return json_pack("{s:s, s:s, s:b, s:o}", "node-name", node, "driver",
                     d->format[0] == '\0' ? "raw" : d->format, "read-only", (int)readonly, "file",
                     file);
}

/* JSON: a path may hold any byte but NUL, and a list of options may not. */
static void
add_block_node(struct args *a, uint32_t i, const struct hv_disk *d, const struct qemu_host *h)
{
    json_t *root = qemu_block_node(d, h->image_locking, h->direct[i]);
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    add(a, "-blockdev");
    add_taken(a, mem_strdup(text == NULL ? "" : text)); /* Not UTF-8: QEMU refuses it. */
    free(text);
}

static bool add_scsi_once(struct args *a, bool have)
{
    if (!have) {
        add(a, "-device");
        add_fmt(a, "virtio-scsi-pci,id=scsi0,bus=pci.0,addr=0x%x", ADDR_SCSI);
    }
    return true;
}

static void add_disks(struct args *a, const struct hv_spec *spec, const struct qemu_host *h)
{
    bool scsi = false;
    for (uint32_t i = 0; i < spec->n_disks; i++) {
        const struct hv_disk *d = &spec->disks[i];
        enum spec_bus bus = SPEC_VIRTIO;
        uint32_t unit = 0;
        (void)spec_device(d->device, &bus, &unit); /* Checked before. */
        add_block_node(a, i, d, h);
        const char *kind = d->cdrom ? "cd" : "hd";
        if (bus == SPEC_IDE) {
            /* Named, because QEMU would choose another place. */
            add(a, "-device");
            add_fmt(a, "ide-%s,id=%s,drive=disk-%s,bus=ide.%u,unit=%u", kind, d->device, d->device,
                    unit / 2, unit % 2);
        } else if (bus == SPEC_SCSI || d->cdrom) {
            /* There is no paravirtual cdrom but the SCSI one. */
            scsi = add_scsi_once(a, scsi);
            add(a, "-device");
            add_fmt(a, "scsi-%s,id=%s,drive=disk-%s,bus=scsi0.0,scsi-id=%u", kind, d->device,
                    d->device, bus == SPEC_SCSI ? unit : 32 + unit);
        } else {
            add(a, "-device");
            add_fmt(a, "virtio-blk-pci,id=%s,drive=disk-%s,bus=pci.0,addr=0x%x", d->device,
                    d->device, qemu_disk_addr(unit));
        }
    }
}

static void add_vif(struct args *a, const struct hv_vif *v, uint32_t slot, bool rom, int *fd)
{
    const char *model = v->model[0] == '\0' ? "virtio-net-pci" : v->model;
    add(a, "-netdev");
    if (v->bridge[0] != '\0') {
        add_fmt(a, "tap,id=net%u,fd=%d", slot, (*fd)++);
    } else {
        add_fmt(a, "hubport,id=net%u,hubid=%u", slot, slot);
    }
    add(a, "-device");
    if (strcmp(model, "ne2k_isa") == 0) {
        add_fmt(a, "%s,id=card%u,netdev=net%u,mac=%s,iobase=0x300,irq=9", model, slot, slot,
                v->mac);
        return;
    }
    /* No ROM: a guest that should boot from the network says so in its boot order. */
    add_fmt(a, "%s,id=card%u,netdev=net%u,mac=%s,bus=pci.0,addr=0x%x%s", model, slot, slot, v->mac,
            qemu_vif_addr(slot), rom ? "" : ",romfile=");
}

static void add_vifs(struct args *a, const struct hv_spec *spec)
{
    int fd = QEMU_FD_TAPS;
    bool rom = strchr(spec->boot, 'n') != NULL;
    for (uint32_t i = 0; i < spec->n_vifs; i++) {
        const struct hv_vif *v = &spec->vifs[i];
        add_vif(a, v, v->slot == 0 ? i : v->slot - 1, rom, &fd);
    }
}

char **qemu_args(const struct hv_spec *spec, const struct qemu_host *host)
{
    struct args a = {0};
    add_machine(&a, spec, host);
    add_monitors(&a, host);
    add_display(&a, spec, host);
    add_boot(&a, spec, host);
    add_disks(&a, spec, host);
    add_vifs(&a, spec);
    return a.v;
}

void qemu_args_free(char **argv)
{
    for (char **p = argv; p != NULL && *p != NULL; p++) {
        free(*p);
    }
    free(argv);
}
