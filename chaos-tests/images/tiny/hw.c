/* See hw.h. Port numbers are those of QEMU's machine "pc" (i440FX, PIIX4). */

#include "chaos-tests/images/tiny/hw.h"

enum {
    PIC1 = 0x20,
    PIC2 = 0xa0,
    PIT_DATA = 0x40,
    PIT_CONTROL = 0x43,
    PIT_DIVISOR = 11932, /* Of 1.193182 MHz: 100 Hz. */
    KEYBOARD = 0x64,
    CMOS_INDEX = 0x70,
    CMOS_DATA = 0x71,
    IDE_DATA = 0x1f0,
    IDE_COUNT = 0x1f2,
    IDE_LBA = 0x1f3,
    IDE_DRIVE = 0x1f6,
    IDE_COMMAND = 0x1f7,
    IDE_CONTROL = 0x3f6,
    IDE_PATIENCE = 6000, /* Ticks. */
    COM1 = 0x3f8,
    PVPANIC = 0x505,
    PM1_STATUS = 0x600,
    PM1_ENABLE = 0x602,
    PM1_CONTROL = 0x604,
    POWER_BUTTON = 1 << 8,
    VECTOR_TIMER = 32
};

struct gate {
    uint16_t low, selector, attributes, high;
};

struct table {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

static struct gate gates[256];
static const uint64_t segments[] = {0, 0x00cf9b000000ffffULL, 0x00cf93000000ffffULL};
static volatile uint32_t ticks;

void on_timer(void);
void enter_timer(void);
void enter_other(void);

__asm__(".text\n"
        "enter_timer: pusha\n cld\n call on_timer\n popa\n iret\n"
        "enter_other: iret\n");

/* Turning write protection off and on again makes QEMU's translator drop its cache of pages that
 * are known dirty. Without that, QEMU 7.2 misses writes in a migration of several passes. The
 * driver's odd memory size is the cure; this keeps the witness honest where it is missing. */
void on_timer(void)
{
    uint32_t cr0;

    ticks++;
    __asm__ volatile("mov %%cr0, %0\n xor $0x10000, %0\n mov %0, %%cr0" : "=r"(cr0));
    port_out8(PIC1, 0x20);
}

static void set_gate(size_t vector, void (*entry)(void))
{
    uint32_t at = (uint32_t)(uintptr_t)entry;

    gates[vector] = (struct gate){(uint16_t)at, 8, 0x8e00, (uint16_t)(at >> 16)};
}

static void load_tables(void)
{
    struct table gdt = {sizeof segments - 1, (uint32_t)(uintptr_t)segments};
    struct table idt = {sizeof gates - 1, (uint32_t)(uintptr_t)gates};

    for (size_t i = 0; i < 256; i++) {
        set_gate(i, enter_other);
    }
    set_gate(VECTOR_TIMER, enter_timer);
    __asm__ volatile("lgdt %0\n ljmp $8, $1f\n"
                     "1: mov $16, %%eax\n mov %%ax, %%ds\n mov %%ax, %%es\n mov %%ax, %%ss\n"
                     "lidt %1"
                     :
                     : "m"(gdt), "m"(idt)
                     : "eax", "memory");
}

void hw_start(void)
{
    static const uint8_t pic[][2] = {
        {PIC1, 0x11},  {PIC2, 0x11},  {PIC1 + 1, 32}, {PIC2 + 1, 40},   {PIC1 + 1, 4},
        {PIC2 + 1, 2}, {PIC1 + 1, 1}, {PIC2 + 1, 1},  {PIC1 + 1, 0xfe}, {PIC2 + 1, 0xff}};

    load_tables();
    for (size_t i = 0; i < sizeof pic / sizeof pic[0]; i++) {
        port_out8(pic[i][0], pic[i][1]);
    }
    port_out8(PIT_CONTROL, 0x34);
    port_out8(PIT_DATA, PIT_DIVISOR & 0xff);
    port_out8(PIT_DATA, PIT_DIVISOR >> 8);
    port_out8(COM1 + 1, 0);
    port_out8(COM1 + 2, 7);
    port_out8(COM1 + 3, 3);
    port_out8(COM1 + 4, 3);
    port_out16(PM1_ENABLE, POWER_BUTTON);
    __asm__ volatile("sti");
}

uint32_t hw_ticks(void)
{
    return ticks;
}

void hw_wait(void)
{
    __asm__ volatile("hlt");
}

uint64_t hw_stamp(void)
{
    uint64_t v;

    __asm__ volatile("rdtsc" : "=A"(v));
    return v;
}

static uint32_t cmos(uint8_t index)
{
    uint8_t v;

    port_out8(CMOS_INDEX, index);
    v = port_in8(CMOS_DATA);
    return (uint32_t)(v >> 4) * 10 + (v & 15u); /* Two decimal digits. */
}

static uint64_t days_since_1970(uint32_t year, uint32_t month, uint32_t day)
{
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint64_t days = (uint64_t)(year - 1970) * 365 + (year - 1969) / 4;

    month = month >= 1 && month <= 12 ? month : 1;
    days += before[month - 1] + day - 1u;
    return days + (year % 4 == 0 && month > 2 ? 1 : 0);
}

uint64_t hw_rtc_s(void)
{
    uint32_t second, minute, hour, day, month, year;

    do { /* Two equal seconds around the rest: nothing rolled over in between. */
        second = cmos(0);
        minute = cmos(2);
        hour = cmos(4);
        day = cmos(7);
        month = cmos(8);
        year = cmos(9) + 2000;
    } while (second != cmos(0));
    return days_since_1970(year, month, day) * 86400 + hour * 3600ULL + minute * 60ULL + second;
}

void hw_say(const char *text)
{
    for (; *text != '\0'; text++) {
        while ((port_in8(COM1 + 5) & 0x20) == 0) {
        }
        port_out8(COM1, (uint8_t)*text);
    }
}

int hw_hear(void)
{
    return (port_in8(COM1 + 5) & 1) != 0 ? port_in8(COM1) : -1;
}

/* Wait until the drive is no longer busy and, if asked, has data to give or take. It gets a minute,
 * by the clock: on a busy host a disk may take its time, and a drive that still has an answer to
 * give ignores the next commands without a word. Whoever gives up therefore resets it. */
static bool ide_ready(bool with_data)
{
    uint32_t start = hw_ticks();

    while (hw_ticks() - start < IDE_PATIENCE) {
        uint8_t status = port_in8(IDE_COMMAND);

        if (status == 0xff || status == 0) {
            return false; /* No drive. */
        }
        if ((status & 0x80) == 0 && (!with_data || (status & 0x29) != 0)) {
            return (status & 0x21) == 0;
        }
    }
    port_out8(IDE_CONTROL, 6);
    port_out8(IDE_CONTROL, 2);
    return false;
}

bool hw_disk(uint32_t sector, void *data, bool write)
{
    uint16_t *word = data;

    port_out8(IDE_CONTROL, 2); /* No interrupts: it is asked. */
    port_out8(IDE_DRIVE, (uint8_t)(0xe0 | sector >> 24));
    if (!ide_ready(/*with_data=*/false)) {
        return false;
    }
    port_out8(IDE_COUNT, 1);
    port_out8(IDE_LBA, (uint8_t)sector);
    port_out8(IDE_LBA + 1, (uint8_t)(sector >> 8));
    port_out8(IDE_LBA + 2, (uint8_t)(sector >> 16));
    port_out8(IDE_COMMAND, write ? 0x30 : 0x20);
    if (!ide_ready(/*with_data=*/true)) {
        return false;
    }
    for (int i = 0; i < 256; i++) {
        if (write) {
            port_out16(IDE_DATA, word[i]);
        } else {
            word[i] = port_in16(IDE_DATA);
        }
    }
    return !write || ide_ready(/*with_data=*/false);
}

bool hw_disk_flush(void)
{
    port_out8(IDE_COMMAND, 0xe7);
    return ide_ready(/*with_data=*/false);
}

bool hw_power_button(void)
{
    if ((port_in16(PM1_STATUS) & POWER_BUTTON) == 0) {
        return false;
    }
    port_out16(PM1_STATUS, POWER_BUTTON);
    return true;
}

void hw_power_off(void)
{
    port_out16(PM1_CONTROL, 0x2000);
}

void hw_reset(void)
{
    port_out8(KEYBOARD, 0xfe);
}

void hw_panic(void)
{
    port_out8(PVPANIC, 1);
}
