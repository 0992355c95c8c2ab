/* QEMU's fw_cfg device by its ports: what the machine that a guest runs on says of itself *now*.
 * Its content belongs to the QEMU process and is not migrated, which is what makes it a witness.
 * Both guests include this. */

#ifndef FWCFG_H
#define FWCFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chaos-tests/images/ports.h"

#define FWCFG_PORT_SELECT 0x510
#define FWCFG_PORT_DATA   0x511
#define FWCFG_SIGNATURE   0x00
#define FWCFG_DIRECTORY   0x19

static uint32_t fwcfg_be32(void)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        v = v << 8 | port_in8(FWCFG_PORT_DATA);
    }
    return v;
}

/* Content of the file `name`, as text. false when this machine has no such file. */
static bool fwcfg_read(const char *name, char *text, size_t size)
{
    static const char signature[] = "QEMU";
    uint32_t files;

    port_out16(FWCFG_PORT_SELECT, FWCFG_SIGNATURE);
    for (int i = 0; i < 4; i++) {
        if (port_in8(FWCFG_PORT_DATA) != (uint8_t)signature[i]) {
            return false;
        }
    }
    port_out16(FWCFG_PORT_SELECT, FWCFG_DIRECTORY);
    files = fwcfg_be32();
    for (uint32_t f = 0; f < files && f < 256; f++) {
        uint32_t length = fwcfg_be32();
        uint32_t key = fwcfg_be32() >> 16;
        const char *want = name;
        bool same = true;
        bool ended = false;

        for (int i = 0; i < 56; i++) {
            char c = (char)port_in8(FWCFG_PORT_DATA);

            same = same && (ended || c == *want);
            ended = ended || c == '\0';
            want += ended ? 0 : 1;
        }
        if (!same) {
            continue;
        }
        length = length < size - 1 ? length : (uint32_t)size - 1;
        port_out16(FWCFG_PORT_SELECT, (uint16_t)key);
        for (uint32_t i = 0; i < length; i++) {
            text[i] = (char)port_in8(FWCFG_PORT_DATA);
        }
        text[length] = '\0';
        return true;
    }
    return false;
}

#endif
