#include "hvdriver/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"

/* More than any machine has; keeps sums of memory far from overflow. */
#define MEMORY_MAX_MIB (16u * 1024u * 1024u)
#define VCPUS_MAX      255u

int spec_device(const char *device, enum spec_bus *ret_bus, uint32_t *ret_unit)
{
    static const struct {
        const char *prefix;
        enum spec_bus bus;
        uint32_t units;
    } kinds[] = {{"hd", SPEC_IDE, 4},
                 {"sd", SPEC_SCSI, 16},
                 {"xvd", SPEC_VIRTIO, 20},
                 {"vd", SPEC_VIRTIO, 20}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t n = strlen(kinds[i].prefix);
        if (strncmp(device, kinds[i].prefix, n) != 0) {
            continue;
        }
        char letter = device[n];
        if (letter < 'a' || (uint32_t)(letter - 'a') >= kinds[i].units || device[n + 1] != '\0') {
            return ERR_INVALID;
        }
        *ret_bus = kinds[i].bus;
        *ret_unit = (uint32_t)(letter - 'a');
        return 0;
    }
    return ERR_INVALID;
}

/* Names become parts of file names and of lists separated by commas. */
static bool name_is_plain(const char *name)
{
    return *name != '\0' && *name != '.' && *name != '-' &&
           name[strspn(
               name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] == '\0';
}

static bool mac_is_valid(const char *mac)
{
    for (int i = 0; i < 17; i++) {
        bool hex = mac[i] != '\0' && strchr("0123456789abcdefABCDEF", mac[i]) != NULL;
        if (i % 3 == 2 ? mac[i] != ':' : !hex) {
            return false;
        }
    }
    return mac[17] == '\0';
}

static int check_disks(const struct hv_spec *spec, struct err *e)
{
    for (uint32_t i = 0; i < spec->n_disks; i++) {
        const struct hv_disk *d = &spec->disks[i];
        enum spec_bus bus;
        uint32_t unit;
        if (spec_device(d->device, &bus, &unit) != 0) {
            return err_set(e, ERR_INVALID, "disk device \"%s\": use hda to hdd, sda, vda or xvda",
                           d->device);
        }
        for (uint32_t j = 0; j < i; j++) {
            enum spec_bus other_bus = (enum spec_bus)0;
            uint32_t other = 0;
            (void)spec_device(spec->disks[j].device, &other_bus, &other);
            if (other_bus == bus && other == unit) {
                return err_set(e, ERR_INVALID, "disk device %s is given twice", d->device);
            }
        }
        if (d->path[0] != '/') {
            return err_set(e, ERR_INVALID, "disk %s: the path \"%s\" is not absolute", d->device,
                           d->path);
        }
        if (bus == SPEC_IDE && d->readonly && !d->cdrom) {
            return err_set(e, ERR_INVALID, "disk %s: an IDE disk cannot be read-only; use vda",
                           d->device);
        }
        static const char *const formats[] = {"", "raw", "qcow2", "vmdk", "vpc", "vhdx"};
        bool known = false;
        for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
            known = known || strcmp(d->format, formats[f]) == 0;
        }
        if (!known) {
            return err_set(e, ERR_INVALID, "disk %s: unknown format \"%s\"", d->device, d->format);
        }
    }
    return 0;
}

static int check_vifs(const struct hv_spec *spec, struct err *e)
{
    static const char *const models[] = {"", "virtio-net-pci", "e1000", "rtl8139", "ne2k_isa"};
    uint32_t isa = 0;
    for (uint32_t i = 0; i < spec->n_vifs; i++) {
        const struct hv_vif *v = &spec->vifs[i];
        if (!mac_is_valid(v->mac)) {
            return err_set(e, ERR_INVALID, "network card %u: \"%s\" is not a MAC address", i,
                           v->mac);
        }
        if (v->bridge[0] != '\0' && !name_is_plain(v->bridge)) {
            return err_set(e, ERR_INVALID, "network card %u: \"%s\" is not a bridge's name", i,
                           v->bridge);
        }
        bool known = false;
        for (size_t m = 0; m < ARRAY_LEN(models); m++) {
            known = known || strcmp(v->model, models[m]) == 0;
        }
        if (!known) {
            return err_set(e, ERR_INVALID, "network card %u: unknown model \"%s\"", i, v->model);
        }
        isa += strcmp(v->model, "ne2k_isa") == 0 ? 1 : 0;
    }
    if (isa > 1) {
        return err_set(e, ERR_INVALID, "at most one network card can be of model ne2k_isa");
    }
    return 0;
}

int spec_check(const struct hv_spec *spec, struct err *e)
{
    if (!name_is_plain(spec->name)) {
        return err_set(e, ERR_INVALID, "\"%s\" is not a guest's name", spec->name);
    }
    if (id_is_none(&spec->uuid) || spec->epoch == 0) {
        return err_set(e, ERR_INVALID, "guest %s has no uuid or no run epoch", spec->name);
    }
    if (spec->memory_mib == 0 || spec->memory_mib > MEMORY_MAX_MIB) {
        return err_set(e, ERR_INVALID, "memory of %u MiB: give 1 to %u", spec->memory_mib,
                       MEMORY_MAX_MIB);
    }
    if (spec->vcpus == 0 || spec->vcpus > VCPUS_MAX) {
        return err_set(e, ERR_INVALID, "%u vcpus: give 1 to %u", spec->vcpus, VCPUS_MAX);
    }
    if (spec->n_disks > LIMIT_DISKS || spec->n_vifs > LIMIT_VIFS) {
        return err_set(e, ERR_TOO_BIG, "%u disks and %u network cards: at most %d and %d",
                       spec->n_disks, spec->n_vifs, LIMIT_DISKS, LIMIT_VIFS);
    }
    if (spec->boot[strspn(spec->boot, "acdn")] != '\0') {
        return err_set(e, ERR_INVALID, "boot order \"%s\": use letters of a, c, d, n", spec->boot);
    }
    if (spec->kernel[0] == '\0' && (spec->ramdisk[0] != '\0' || spec->cmdline[0] != '\0')) {
        return err_set(e, ERR_INVALID, "a ramdisk or a command line needs a kernel");
    }
    if (spec->restore[0] != '\0' && spec->restore[0] != '/') {
        return err_set(e, ERR_INVALID, "a saved memory has an absolute path");
    }
    if (check_disks(spec, e) != 0) {
        return e->code;
    }
    return check_vifs(spec, e);
}

static int check_file(const char *what, const char *path, bool writable, struct err *e)
{
    /* O_NONBLOCK: what is named may be a pipe that nobody writes. */
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        int code = errno == ENOENT || errno == ENOTDIR                   ? ERR_NOT_FOUND
                   : errno == EACCES || errno == EPERM || errno == EROFS ? ERR_DENIED
                                                                         : ERR_IO;
        return code != ERR_NOT_FOUND
                   ? err_sys(e, code, errno, "%s %s", what, path)
                   : err_set(e, code,
                             "%s %s: No such file on this host: put it there, or name another",
                             what, path);
    }
    struct stat st;
    bool plain = fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
    (void)close(fd);
    if (!plain) {
        return err_set(e, ERR_INVALID, "%s %s is neither a file nor a block device", what, path);
    }
    return 0;
}

int spec_check_files(const struct hv_spec *spec, struct err *e)
{
    if (spec->kernel[0] != '\0' && check_file("kernel", spec->kernel, /*writable=*/false, e) != 0) {
        return e->code;
    }
    if (spec->ramdisk[0] != '\0' &&
        check_file("ramdisk", spec->ramdisk, /*writable=*/false, e) != 0) {
        return e->code;
    }
    if (spec->restore[0] != '\0' &&
        check_file("saved memory", spec->restore, /*writable=*/false, e) != 0) {
        return e->code;
    }
    for (uint32_t i = 0; i < spec->n_disks; i++) {
        const struct hv_disk *d = &spec->disks[i];
        if (check_file(d->cdrom ? "cdrom" : "disk", d->path, !d->readonly && !d->cdrom, e) != 0) {
            return e->code;
        }
    }
    return 0;
}
