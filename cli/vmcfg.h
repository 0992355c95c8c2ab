/* Reading vm.cfg: the older system's description of a guest.
 *
 *     name   = "web1"
 *     memory = 512                       # MiB
 *     disk   = ['file:/OVS/running_pool/web1/system.img,hda,w',
 *               'file:/OVS/iso_pool/install.iso,hdc:cdrom,r']
 *     vif    = ['mac=00:16:3e:01:02:03, bridge=xenbr0']
 *
 * The text is read by libxlutil, as xl reads it: assignments of strings, numbers and lists, nothing
 * is ever executed. In front of it stands a scanner of our own (vmcfg_scan.h), which bounds what
 * libxlutil gets to see, and knows the line and the column of each value, which libxlutil does not.
 * The library is loaded on the first use, not at the start of a program that only links this. */

#ifndef CLI_VMCFG_H
#define CLI_VMCFG_H

#include <stddef.h>

#include "core/err.h"

#include "fsm/commands.h"

/* Bytes of a file, and of one override. */
#define VMCFG_MAX          65536u
#define VMCFG_OVERRIDE_MAX 2048u

/* What was read past. More warnings than fit are counted only. */
#define VMCFG_WARNINGS_MAX 32
struct vmcfg_warnings {
    size_t n;                           /* In text. */
    size_t dropped;                     /* Those that did not fit. */
    char text[VMCFG_WARNINGS_MAX][224]; /* "vm.cfg:3: unknown key x is left out" */
};

struct vmcfg_source {
    const char *name; /* In messages: "vm.cfg". */
    const char *data;
    size_t len;
    /* "name=value" from a command line, which count as if they stood at the end of the file. A
     * value without quotes or brackets is taken as it is. */
    const char *const *overrides;
    size_t n_overrides;
};

/* Fill *ret: fields that the text does not set keep what they hold, so the caller calls
 * schema_init() before. Not every REQ field need be set (a vm.cfg may have no name). ERR_INVALID,
 * ERR_UNKNOWN, ERR_TOO_BIG with "vm.cfg:3:10: what is wrong"; ERR_UNSUPPORTED when libxlutil is not
 * there. */
int vmcfg_read(const struct vmcfg_source *source,
               struct cmd_guest_create *ret,
               struct vmcfg_warnings *warnings,
               struct err *e);

/* The same for a file; "-" is standard input. ERR_NOT_FOUND, ERR_DENIED, ERR_IO, ERR_TOO_BIG. */
int vmcfg_read_file(const char *path,
                    const char *const *overrides,
                    size_t n_overrides,
                    struct cmd_guest_create *ret,
                    struct vmcfg_warnings *warnings,
                    struct err *e);

#endif
