/* A spec as libxl wants it. */
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/xen/worker.h"

/* libxl frees what it is given by free(). */
static char *text(const char *s)
{
    return s[0] == '\0' ? NULL : mem_strdup(s);
}

libxl_domain_type config_type(const struct hv_spec *spec)
{
    return strcmp(spec->type, "hvm") == 0   ? LIBXL_DOMAIN_TYPE_HVM
           : strcmp(spec->type, "pvh") == 0 ? LIBXL_DOMAIN_TYPE_PVH
                                            : LIBXL_DOMAIN_TYPE_PV;
}

static int check_type(const struct worker *w, const struct hv_spec *spec, struct err *e)
{
    bool contained = config_type(spec) != LIBXL_DOMAIN_TYPE_PV;
    if (contained && (!w->phys.cap_hvm || (!w->phys.cap_hap && !w->phys.cap_shadow))) {
        return err_set(
            e, ERR_UNSUPPORTED,
            "guest %s is of type %s, which this host cannot run: its processor or its Xen "
            "lacks hardware virtualisation",
            spec->name, spec->type);
    }
    if (!contained && !w->phys.cap_pv) {
        return err_set(e, ERR_UNSUPPORTED,
                       "guest %s is of type pv, which the Xen of this host was built without",
                       spec->name);
    }
    if (config_type(spec) != LIBXL_DOMAIN_TYPE_HVM && spec->kernel[0] == '\0') {
        return err_set(e, ERR_INVALID, "guest %s has no kernel: give one, or type \"hvm\"",
                       spec->name);
    }
    return 0;
}

/* ---- who it is ---- */

static bool name_is_taken(const struct dom *d, const char *name)
{
    uint32_t other = 0;
    return libxl_name_to_domid(d->w->ctx, name, &other) == 0;
}

/* Two copies of a guest on one host (one of them arriving, or about to end) need two names. */
static char *name_for(const struct dom *d)
{
    char name[LIMIT_NAME + 24];
    (void)snprintf(name, sizeof name, "%s", d->spec.name);
    if (name_is_taken(d, name)) {
        (void)snprintf(name, sizeof name, "%s.%llu", d->spec.name,
                       (unsigned long long)d->spec.epoch);
    }
    return mem_strdup(name);
}

/* Written by libxl with the domain itself: there is never one without them. The guest reads
 * quorate/run, to know where and under which epoch it runs. */
static char **marks(const struct dom *d)
{
    const struct hv_spec *s = &d->spec;
    char stamp[HV_STAMP_SIZE];
    char run[LIMIT_NAME + 24];
    char **list = mem_new(9, sizeof *list);
    (void)snprintf(run, sizeof run, "%s %llu", s->host, (unsigned long long)s->epoch);
    const char *pairs[] = {"quorate/stamp", hv_stamp(&d->info.key, stamp),
                           "quorate/dir",   d->w->run_dir,
                           "quorate/state", d->info.state == HV_INCOMING ? "incoming" : "starting",
                           "quorate/run",   run};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        list[i] = mem_strdup(pairs[i]);
    }
    return list;
}

static void make_identity(const struct dom *d, libxl_domain_create_info *c)
{
    libxl_domain_create_info_init(c);
    c->type = config_type(&d->spec);
    c->name = name_for(d);
    memcpy(c->uuid.uuid, d->spec.uuid.b, sizeof d->spec.uuid.b);
    c->xsdata = marks(d);
    libxl_defbool_set(&c->run_hotplug_scripts, true);
}

/* ---- what it has ---- */

static void make_build(const struct dom *d, libxl_domain_build_info *b)
{
    const struct hv_spec *s = &d->spec;
    uint32_t most = s->maxmem_mib > s->memory_mib ? s->maxmem_mib : s->memory_mib;
    libxl_domain_build_info_init(b);
    libxl_domain_build_info_init_type(b, config_type(s));
    b->max_memkb = (uint64_t)most * 1024;
    b->target_memkb = (uint64_t)s->memory_mib * 1024;
    b->max_vcpus = (int)s->vcpus;
    (void)libxl_cpu_bitmap_alloc(d->w->ctx, &b->avail_vcpus, (int)s->vcpus);
    for (int i = 0; i < (int)s->vcpus; i++) {
        libxl_bitmap_set(&b->avail_vcpus, i);
    }
    b->kernel = text(s->kernel);
    b->ramdisk = text(s->ramdisk);
    b->cmdline = text(s->cmdline);
    if (config_type(s) == LIBXL_DOMAIN_TYPE_HVM) {
        b->device_model_version = LIBXL_DEVICE_MODEL_VERSION_QEMU_XEN;
        b->u.hvm.boot = text(s->boot);
        b->u.hvm.serial = mem_strdup("pty");
        libxl_defbool_set(&b->u.hvm.vnc.enable, s->vnc);
        if (s->vnc) {
            b->u.hvm.vnc.listen = mem_strdup("127.0.0.1");
            b->u.hvm.vnc.passwd = text(s->vnc_password);
            libxl_defbool_set(&b->u.hvm.vnc.findunused, true);
        }
    }
}

int config_disk(struct dom *d, const struct hv_disk *from, libxl_device_disk *to, struct err *e)
{
    char device[LIMIT_PATH + 1];
    bool raw = from->format[0] == '\0' || strcmp(from->format, "raw") == 0;
    to->vdev = mem_strdup(from->device);
    to->readwrite = !from->readonly && !from->cdrom;
    to->removable = 1; /* It may be detached while the guest runs. */
    to->is_cdrom = from->cdrom;
    if (!raw) {
        bool known = libxl_disk_format_from_string(from->format, &to->format) == 0;
        to->backend = LIBXL_DISK_BACKEND_QDISK;
        to->pdev_path = mem_strdup(from->path);
        return known ? 0
                     : err_set(e, ERR_UNSUPPORTED, "disk %s: Xen knows no format \"%s\"",
                               from->path, from->format);
    }
    to->format = LIBXL_DISK_FORMAT_RAW;
    to->backend = LIBXL_DISK_BACKEND_PHY;
    if (from->cdrom && config_type(&d->spec) == LIBXL_DOMAIN_TYPE_HVM) {
        to->backend = LIBXL_DISK_BACKEND_UNKNOWN; /* The device model's. */
        to->pdev_path = mem_strdup(from->path);
        return 0;
    }
    if (disk_attach(d, from, device, sizeof device, e) != 0) {
        return e->code;
    }
    to->pdev_path = mem_strdup(device);
    return 0;
}

static int make_disks(struct dom *d, libxl_domain_config *c, struct err *e)
{
    int rc = 0;
    c->disks = mem_new(d->spec.n_disks + 1, sizeof *c->disks);
    for (uint32_t i = 0; i < d->spec.n_disks && rc == 0; i++) {
        c->num_disks++;
        libxl_device_disk_init(&c->disks[i]);
        rc = config_disk(d, &d->spec.disks[i], &c->disks[i], e);
    }
    return rc;
}

/* "aa:bb:cc:dd:ee:ff", which spec_check() has looked at. */
static void put_mac(const char *from, libxl_mac to)
{
    for (size_t i = 0; i < 6; i++) {
        to[i] = (uint8_t)strtoul(from + i * 3, NULL, 16);
    }
}

void config_nic(const struct hv_spec *s, const struct hv_vif *from, libxl_device_nic *to)
{
    if (from->slot > 0) { /* The guest knows its card by this number, also after a move. */
        to->devid = (libxl_devid)from->slot - 1;
    }
    to->bridge = text(from->bridge);
    to->nictype = LIBXL_NIC_TYPE_VIF;
    if (config_type(s) == LIBXL_DOMAIN_TYPE_HVM) {
        to->model = text(from->model);
        to->nictype = LIBXL_NIC_TYPE_VIF_IOEMU;
    }
    if (from->mac[0] != '\0') { /* Else libxl makes one. */
        put_mac(from->mac, to->mac);
    }
}

static void make_nics(const struct dom *d, libxl_domain_config *c)
{
    c->nics = mem_new(d->spec.n_vifs + 1, sizeof *c->nics);
    for (uint32_t i = 0; i < d->spec.n_vifs; i++) {
        /* Connected to nothing: a backend without a bridge would fail. */
        if (d->spec.vifs[i].bridge[0] != '\0') {
            libxl_device_nic_init(&c->nics[c->num_nics]);
            config_nic(&d->spec, &d->spec.vifs[i], &c->nics[c->num_nics++]);
        }
    }
}

/* A paravirtual guest's screen is a device of its own. */
static void make_screen(const struct dom *d, libxl_domain_config *c)
{
    if (!d->spec.vnc || config_type(&d->spec) == LIBXL_DOMAIN_TYPE_HVM) {
        return;
    }
    c->vfbs = mem_new(1, sizeof *c->vfbs);
    c->vkbs = mem_new(1, sizeof *c->vkbs);
    c->num_vfbs = 1;
    c->num_vkbs = 1;
    libxl_device_vfb_init(c->vfbs);
    libxl_device_vkb_init(c->vkbs);
    libxl_defbool_set(&c->vfbs->vnc.enable, true);
    libxl_defbool_set(&c->vfbs->vnc.findunused, true);
    c->vfbs->vnc.listen = mem_strdup("127.0.0.1");
    c->vfbs->vnc.passwd = text(d->spec.vnc_password);
}

int config_make(struct dom *d, libxl_domain_config *ret, struct err *e)
{
    libxl_domain_config_init(ret);
    make_identity(d, &ret->c_info);
    make_build(d, &ret->b_info);
    make_screen(d, ret);
    /* What a guest's end means is decided by the pool. */
    ret->on_poweroff = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE;
    ret->on_reboot = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE;
    ret->on_crash = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE;
    ret->on_watchdog = LIBXL_ACTION_ON_SHUTDOWN_PRESERVE;
    int rc = check_type(d->w, &d->spec, e);
    rc = rc == 0 ? make_disks(d, ret, e) : rc;
    make_nics(d, ret);
    if (rc != 0) {
        disks_let_go(d);
        libxl_domain_config_dispose(ret);
    }
    return rc;
}
