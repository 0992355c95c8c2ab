/* Between the parts of the reader of vm.cfg: one reading under way, and the library it uses. */

#ifndef CLI_VMCFG_READ_H
#define CLI_VMCFG_READ_H

#include <libxlutil.h>

#include "cli/vmcfg.h"
#include "cli/vmcfg_scan.h"

/* The functions of libxlutil and libxenlight that are used. */
struct vmcfg_library {
    __typeof__(xlu_cfg_init) *init;
    __typeof__(xlu_cfg_readdata) *readdata;
    __typeof__(xlu_cfg_destroy) *destroy;
    __typeof__(xlu_cfg_get_string) *get_string;
    __typeof__(xlu_cfg_get_list) *get_list;
    __typeof__(xlu_cfg_get_listitem) *get_listitem;
    __typeof__(xlu_disk_parse) *disk_parse;
    __typeof__(libxl_device_disk_init) *disk_init;
    __typeof__(libxl_device_disk_dispose) *disk_dispose;
};

struct vmcfg_reading {
    const struct vmcfg_library *lib;
    const struct vmcfg_source *source;
    const struct vmcfg_scan *scan;
    XLU_Config *cfg;
    char **report; /* What the library has said of late; cleared by vmcfg_forget(). */
    FILE *report_file;
    struct cmd_guest_create *cmd;
    struct vmcfg_warnings *warnings;
    struct err *e;
};

/* One text of the file: a value, or an element of a list. */
struct vmcfg_text {
    const struct vmcfg_setting *setting;
    struct vmcfg_place at;
    const char *s; /* The library's; never NULL. */
};

/* ERR_INVALID "vm.cfg:3:10: key: <formatted>". `offset` characters into the text. */
int vmcfg_wrong(const struct vmcfg_reading *r,
                const struct vmcfg_text *t,
                size_t offset,
                const char *fmt,
                ...) __attribute__((format(printf, 4, 5)));

void vmcfg_warn(const struct vmcfg_reading *r, const struct vmcfg_setting *s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* schema_set_text() that says where the value stands. */
int vmcfg_set(const struct vmcfg_reading *r,
              const struct vmcfg_text *t,
              size_t offset,
              const struct field *f,
              const char *value,
              void *record);

/* vmcfg_source.c: the file and the overrides, checked and scanned, and as the text that the library
 * reads. */
int vmcfg_take(const struct vmcfg_source *source,
               struct vmcfg_scan *scan,
               struct buf *text,
               struct err *e);

/* vmcfg_device.c: each element of disk, vif and vfb. */
int vmcfg_add_disk(struct vmcfg_reading *r, const struct vmcfg_text *t);
int vmcfg_add_vif(struct vmcfg_reading *r, const struct vmcfg_text *t);
int vmcfg_add_vfb(struct vmcfg_reading *r, const struct vmcfg_text *t);

#endif
