/* Domains of Xen as the guard sees them: see domain.h. */
#include "cli/guard/domain.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/domctl.h>
#include <xen/sys/privcmd.h>
#include <xen/xen.h>

#define PAGE 4096u

/* 0 or an errno. What is asked for and what is answered stand in d->page. */
static int call(const struct domains *d, uint32_t what, uint32_t domain)
{
    struct xen_domctl *c = d->page;
    privcmd_hypercall_t call = {.op = __HYPERVISOR_domctl, .arg = {(uintptr_t)d->page}};
    memset(c, 0, sizeof *c);
    c->cmd = what;
    c->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
    c->domain = (domid_t)domain;
    return ioctl(d->fd, IOCTL_PRIVCMD_HYPERCALL, &call) < 0 ? errno : 0;
}

void domains_open(struct domains *d)
{
    *d = (struct domains){.fd = open("/dev/xen/privcmd", O_RDWR | O_CLOEXEC)};
    int memory = d->fd < 0 ? -1 : open("/dev/xen/hypercall", O_RDWR | O_CLOEXEC);
    d->page =
        memory < 0 ? MAP_FAILED : mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    d->error = d->page == MAP_FAILED ? errno : call(d, XEN_DOMCTL_getdomaininfo, 0);
    if (memory >= 0) {
        (void)close(memory);
    }
    if (d->error != 0 && d->fd >= 0) {
        (void)close(d->fd);
        d->fd = -1;
    }
}

bool domain_is_there(const struct domains *d, uint32_t domain, const struct id *guest)
{
    if (d->fd < 0 || call(d, XEN_DOMCTL_getdomaininfo, domain) != 0) {
        return false;
    }
    const struct xen_domctl_getdomaininfo *info =
        &((const struct xen_domctl *)d->page)->u.getdomaininfo;
    return info->domain == domain && (info->flags & XEN_DOMINF_dying) == 0 &&
           memcmp(info->handle, guest->b, sizeof guest->b) == 0;
}

void domain_stop(const struct domains *d, uint32_t domain, const struct id *guest)
{
    if (domain_is_there(d, domain, guest)) {
        (void)call(d, XEN_DOMCTL_pausedomain, domain);
    }
}

void domain_end(const struct domains *d, uint32_t domain, const struct id *guest)
{
    if (domain_is_there(d, domain, guest)) {
        (void)call(d, XEN_DOMCTL_destroydomain, domain);
    }
}
