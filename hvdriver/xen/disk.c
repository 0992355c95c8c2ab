/* Files as block devices. Xen's block backend wants a device: a file gets a loop device, set to go
 * by itself when the last one closes it. So nothing is left over, whoever dies when. */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/xen/worker.h"

/* Others may take the free one before we do. */
#define TRIES 16

static int loop_try(int file, const struct hv_disk *disk, char *ret_path, size_t size)
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
    if (control >= 0) {
        (void)close(control);
    }
    if (number < 0) {
        return -1;
    }
    (void)snprintf(ret_path, size, "/dev/loop%d", number);
    bool readonly = disk->readonly || disk->cdrom;
    int fd = open(ret_path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    struct loop_config config = {.fd = (uint32_t)file};
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
    config.info.lo_flags |= readonly ? LO_FLAGS_READ_ONLY : 0u;
    (void)str_copy((char *)config.info.lo_file_name, LO_NAME_SIZE, disk->path);
    if (fd < 0 || ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
        return fd;
    }
    if (errno == EINVAL) { /* Not every file system can do without the page cache. */
        config.info.lo_flags &= ~(uint32_t)LO_FLAGS_DIRECT_IO;
        if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
            return fd;
        }
    }
    int why = errno;
    (void)close(fd);
    errno = why;
    return -1;
}

int disk_attach(struct dom *d,
                const struct hv_disk *disk,
                char *ret_path,
                size_t size,
                struct err *e)
{
    struct stat st;
    bool readonly = disk->readonly || disk->cdrom;
    int file = open(disk->path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
    if (file < 0 || fstat(file, &st) != 0) {
        int why = errno;
        if (file >= 0) {
            (void)close(file);
        }
        return err_sys(e, ERR_IO, why, "disk %s", disk->path);
    }
    if (S_ISBLK(st.st_mode)) {
        (void)close(file);
        (void)str_copy(ret_path, size, disk->path);
        return 0;
    }
    int fd = -1;
    errno = EBUSY;
    for (int i = 0; i < TRIES && fd < 0 && errno == EBUSY; i++) {
        fd = loop_try(file, disk, ret_path, size);
    }
    int why = errno;
    (void)close(file);
    if (fd < 0) {
        return err_sys(e, ERR_IO, why, "disk %s: make a loop device", disk->path);
    }
    d->disks[d->n_disks++] = fd;
    return 0;
}

void disks_let_go(struct dom *d)
{
    while (d->n_disks > 0) {
        (void)close(d->disks[--d->n_disks]);
    }
}
