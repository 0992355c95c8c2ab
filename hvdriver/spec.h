/* Checks of a spec that hold for every driver. */

#ifndef HVDRIVER_SPEC_H
#define HVDRIVER_SPEC_H

#include "hvdriver/hvdriver.h"

/* Whether sizes, names and devices make sense. Pure. 0, ERR_INVALID or ERR_TOO_BIG. */
int spec_check(const struct hv_spec *spec, struct err *e);

/* Whether the files are there and may be read (and written, where a disk is not read-only). Touches
 * storage, which may be slow. 0, ERR_NOT_FOUND, ERR_DENIED, ERR_IO. */
int spec_check_files(const struct hv_spec *spec, struct err *e);

/* Split "hda", "sdb", "xvdc", "vdd" into bus and unit. 0 or ERR_INVALID. */
enum spec_bus {
    SPEC_IDE,
    SPEC_SCSI,
    SPEC_VIRTIO
};
int spec_device(const char *device, enum spec_bus *ret_bus, uint32_t *ret_unit);

#endif
