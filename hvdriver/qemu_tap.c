#include "hvdriver/qemu_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/util.h"

static int attach(const char *tap, const char *bridge, struct err *e)
{
    struct ifreq ifr = {0};
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0) {
        return err_sys(e, ERR_IO, errno, "socket");
    }
    (void)str_copy(ifr.ifr_name, sizeof ifr.ifr_name, bridge);
    ifr.ifr_ifindex = (int)if_nametoindex(tap);
    int r = ioctl(s, SIOCBRADDIF, &ifr);
    if (r == 0) {
        ifr = (struct ifreq){0};
        (void)str_copy(ifr.ifr_name, sizeof ifr.ifr_name, tap);
        r = ioctl(s, SIOCGIFFLAGS, &ifr);
        ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
        r = r == 0 ? ioctl(s, SIOCSIFFLAGS, &ifr) : r;
    }
    int errnum = errno;
    (void)close(s);
    if (r != 0) {
        int code = errnum == ENODEV ? ERR_NOT_FOUND : errnum == EPERM ? ERR_DENIED : ERR_IO;
        return err_sys(e, code, errnum, "attach a network card to bridge %s", bridge);
    }
    return 0;
}

int qemu_tap_open(const char *bridge, struct err *e)
{
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return err_sys(e, ERR_UNSUPPORTED, errno, "/dev/net/tun");
    }
    /* virtio-net wants the header; QEMU strips it for other cards. */
    struct ifreq ifr = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)};
    (void)str_copy(ifr.ifr_name, sizeof ifr.ifr_name, "qtap%d");
    if (ioctl(fd, TUNSETIFF, &ifr) != 0) {
        int errnum = errno;
        (void)close(fd);
        return err_sys(e, errnum == EPERM ? ERR_DENIED : ERR_IO, errnum, "make a tap device");
    }
    if (attach(ifr.ifr_name, bridge, e) != 0) {
        (void)close(fd);
        return e->code;
    }
    return fd;
}
