/* Disks and network cards that come and go while the guest runs.
 *
 * libxl asks the guest to let go and waits ten seconds. A disk that the guest keeps stays then, as
 * it must be (the request has failed before); a card is taken, libxl knows no other way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/xen/worker.h"

/* One at a time, for each copy: libxl may be at it for longer than the driver waited. */
struct device_work {
    bool is_disk;
    bool comes;
    struct hv_disk disk;
    struct hv_vif vif;
    libxl_device_disk its_disk;
    libxl_device_nic its_nic;
};

static void work_free(struct dom *d)
{
    struct device_work *work = d->device;
    d->device = NULL;
    disks_let_go(d); /* Its backend has opened the loop device by now. */
    libxl_device_disk_dispose(&work->its_disk);
    libxl_device_nic_dispose(&work->its_nic);
    free(work);
}

/* ---- what the copy has, by its spec: a reset makes it from that ---- */

static void forget_disk(struct hv_spec *s, const char *device)
{
    for (uint32_t i = 0; i < s->n_disks; i++) {
        if (strcmp(s->disks[i].device, device) == 0) {
            s->n_disks--;
            memmove(&s->disks[i], &s->disks[i + 1], (s->n_disks - i) * sizeof s->disks[0]);
            return;
        }
    }
}

static void forget_vif(struct hv_spec *s, const struct hv_vif *v)
{
    for (uint32_t i = 0; i < s->n_vifs; i++) {
        if (s->vifs[i].slot == v->slot && strcmp(s->vifs[i].mac, v->mac) == 0) {
            s->n_vifs--;
            memmove(&s->vifs[i], &s->vifs[i + 1], (s->n_vifs - i) * sizeof s->vifs[0]);
            return;
        }
    }
}

static void remember(struct dom *d, const struct device_work *work)
{
    struct hv_spec *s = &d->spec;
    struct err e;
    if (work->is_disk) {
        forget_disk(s, work->disk.device);
        if (work->comes && s->n_disks < LIMIT_DISKS) {
            s->disks[s->n_disks++] = work->disk;
        }
    } else {
        forget_vif(s, &work->vif);
        if (work->comes && s->n_vifs < LIMIT_VIFS) {
            s->vifs[s->n_vifs++] = work->vif;
        }
    }
    if (store_save(d, &e) != 0) {
        (void)fprintf(stderr, "guest %s: %s\n", s->name, e.msg);
    }
}

/* ---- the end ---- */

static void ended(struct dom *d, uint64_t id, int rc)
{
    struct device_work *work = d->device;
    const char *what = work->is_disk ? work->disk.device : work->vif.mac;
    char saying[64];
    struct err e = {0};
    (void)snprintf(saying, sizeof saying, "%s %s", work->comes ? "attach" : "detach", what);
    if (rc == ERROR_TIMEDOUT && !work->comes) {
        (void)err_set(&e, ERR_TIMEOUT, "the guest does not let go of %s", what);
    } else if (rc != 0) {
        (void)complain(d->w, rc, saying, &e);
    } else if (!d->gone && !d->destroying) {
        remember(d, work);
    }
    work_free(d);
    answer(d->w, id, &e, NULL);
}

/* ---- a disk ---- */

static int attach_disk(struct dom *d, struct device_work *work, uint64_t id, struct err *e)
{
    struct call *c = NULL;
    libxl_device_disk there;
    libxl_device_disk_init(&there);
    bool is_there = libxl_vdev_to_device_disk(d->w->ctx, d->domid, work->disk.device, &there) == 0;
    libxl_device_disk_dispose(&there);
    if (is_there) {
        ended(d, id, 0);
        return 0;
    }
    if (config_disk(d, &work->disk, &work->its_disk, e) != 0) {
        return e->code;
    }
    libxl_asyncop_how how = call_begin(d, id, ended, &c);
    call_begun(c, libxl_device_disk_add(d->w->ctx, d->domid, &work->its_disk, &how));
    return 0;
}

static void detach_disk(struct dom *d, struct device_work *work, uint64_t id, bool force)
{
    struct call *c = NULL;
    libxl_device_disk *disk = &work->its_disk;
    if (libxl_vdev_to_device_disk(d->w->ctx, d->domid, work->disk.device, disk) != 0) {
        ended(d, id, 0); /* It is not there. */
        return;
    }
    libxl_asyncop_how how = call_begin(d, id, ended, &c);
    call_begun(c, force ? libxl_device_disk_destroy(d->w->ctx, d->domid, disk, &how)
                        : libxl_device_disk_safe_remove(d->w->ctx, d->domid, disk, &how));
}

/* ---- a card ---- */

static void attach_vif(struct dom *d, struct device_work *work, uint64_t id)
{
    struct call *c = NULL;
    libxl_device_nic there;
    libxl_device_nic_init(&there);
    bool is_there = libxl_mac_to_device_nic(d->w->ctx, d->domid, work->vif.mac, &there) == 0;
    libxl_device_nic_dispose(&there);
    if (is_there || work->vif.bridge[0] == '\0') { /* On no bridge there is none (config.c). */
        ended(d, id, 0);
        return;
    }
    config_nic(&d->spec, &work->vif, &work->its_nic);
    libxl_asyncop_how how = call_begin(d, id, ended, &c);
    call_begun(c, libxl_device_nic_add(d->w->ctx, d->domid, &work->its_nic, &how));
}

static void detach_vif(struct dom *d, struct device_work *work, uint64_t id, bool force)
{
    struct call *c = NULL;
    libxl_device_nic *nic = &work->its_nic;
    if (libxl_mac_to_device_nic(d->w->ctx, d->domid, work->vif.mac, nic) != 0) {
        ended(d, id, 0);
        return;
    }
    libxl_asyncop_how how = call_begin(d, id, ended, &c);
    call_begun(c, force ? libxl_device_nic_destroy(d->w->ctx, d->domid, nic, &how)
                        : libxl_device_nic_remove(d->w->ctx, d->domid, nic, &how));
}

/* ---- what is asked ---- */

static int work_new(struct dom *d, const json_t *msg, struct err *e)
{
    const json_t *disk = json_object_get(msg, "disk");
    if (d->device != NULL) {
        return err_set(e, ERR_STATE, "guest %s: the device before this one is still on its way",
                       d->spec.name);
    }
    struct device_work *work = mem_new(1, sizeof *work);
    libxl_device_disk_init(&work->its_disk);
    libxl_device_nic_init(&work->its_nic);
    work->is_disk = disk != NULL;
    d->device = work;
    int rc = disk != NULL ? xen_disk_unpack(disk, &work->disk, e)
                          : xen_vif_unpack(json_object_get(msg, "vif"), &work->vif, e);
    if (rc == 0 && !work->is_disk && work->vif.mac[0] == '\0') {
        rc = err_set(e, ERR_INVALID, "a card that comes or goes needs its address");
    }
    if (rc != 0) {
        work_free(d);
    }
    return rc;
}

void device_attach(struct dom *d, const json_t *msg, uint64_t id)
{
    struct err e = {0};
    int rc = work_new(d, msg, &e);
    if (rc == 0) {
        d->device->comes = true;
        if (!d->device->is_disk) {
            attach_vif(d, d->device, id);
            return;
        }
        rc = attach_disk(d, d->device, id, &e);
        if (rc != 0) {
            work_free(d);
        }
    }
    if (rc != 0) {
        answer(d->w, id, &e, NULL);
    }
}

void device_detach(struct dom *d, const json_t *msg, uint64_t id)
{
    struct err e = {0};
    bool force = json_is_true(json_object_get(msg, "force"));
    if (work_new(d, msg, &e) != 0) {
        answer(d->w, id, &e, NULL);
    } else if (d->device->is_disk) {
        detach_disk(d, d->device, id, force);
    } else {
        detach_vif(d, d->device, id, force);
    }
}
