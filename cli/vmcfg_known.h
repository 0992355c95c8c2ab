/* The keys of vm.cfg that xm and xl knew and that have no effect here: each with why. */

#ifndef CLI_VMCFG_KNOWN_H
#define CLI_VMCFG_KNOWN_H

/* What a value must look like, although it has no effect: a wrong one is a mistake all the same. */
enum vmcfg_kind {
    VMCFG_SWITCH, /* 0 or 1. */
    VMCFG_NUMBER,
    VMCFG_TEXT, /* One value. */
    VMCFG_LIST,
    VMCFG_ANY,
};

struct vmcfg_known {
    const char *name;
    enum vmcfg_kind kind;
    const char *why; /* After "has no meaning here: ". */
};

/* NULL if neither xm nor xl knew it. */
const struct vmcfg_known *vmcfg_known(const char *key);

#endif
