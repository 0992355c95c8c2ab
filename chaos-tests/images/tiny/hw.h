/* The PC that tiny runs on, as far as it uses it: serial line, timer, clock, one IDE disk,
 * the ACPI power button. QEMU's machine "pc". */

#ifndef TINY_HW_H
#define TINY_HW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chaos-tests/images/ports.h"

/* Segments, interrupts, the timer at 100 Hz, COM1, the power button. Interrupts are on after it. */
void hw_start(void);

/* Ticks of 10 ms since hw_start(). */
uint32_t hw_ticks(void);

/* Stand still until the next tick. */
void hw_wait(void);

/* Seconds since 1970 by the clock chip. */
uint64_t hw_rtc_s(void);

/* The processor's time stamp: differs between any two boots. */
uint64_t hw_stamp(void);

void hw_say(const char *text);

/* A byte from the serial line, or -1. */
int hw_hear(void);

/* Sector of the first IDE disk. false: none, or an error. A write has reached the disk's cache;
 * hw_disk_flush() takes it further. */
bool hw_disk(uint32_t sector, void *data, bool write);
bool hw_disk_flush(void);

/* Whether the power button was pressed since the last look. */
bool hw_power_button(void);

/* These end this run of the machine. */
void hw_power_off(void);
void hw_reset(void);
void hw_panic(void);

#endif
