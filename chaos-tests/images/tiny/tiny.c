/* tiny: a guest without an operating system. A multiboot kernel for QEMU's machine "pc" that boots
 * in a tenth of a second and fits a hundred times on a small machine. It beats (see beat.h), keeps
 * its counter on the disk, answers the power button, and checks its own memory.
 *
 * Command line: dirty=MIB rate=PAGES   write PAGES pages of a MIB large area every 10 ms, and check
 *                                      all of it at every beat
 *               mute=1                 answer no power button (for tests of a shutdown's deadline)
 * Serial line:  R reboots, P panics, H hangs (no more beats, no answers), anything else is echoed.
 */

#include "chaos-tests/images/beat.h"
#include "chaos-tests/images/fwcfg.h"
#include "chaos-tests/images/tiny/hw.h"

enum {
    TICKS_PER_BEAT = 10,
    BEATS_PER_FLUSH = 10,
    AREA_AT = 0x800000, /* 8 MiB: far above this program. */
    PAGE = 4096
};

struct multiboot {
    uint32_t flags, mem_lower, mem_upper_kib, boot_device, cmdline;
};

void start_c(uint32_t magic, const struct multiboot *mb);

__asm__(".section .multiboot, \"a\"\n"
        ".align 4\n .long 0x1badb002, 2, -(0x1badb002 + 2)\n"
        ".text\n .globl _start\n"
        "_start: cli\n mov $stack_top, %esp\n push %ebx\n push %eax\n call start_c\n"
        "1: hlt\n jmp 1b\n"
        ".bss\n .align 16\n .skip 16384\nstack_top:\n.text\n");

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    while (n-- > 0) {
        *t++ = *f++;
    }
    return to;
}

void *memset(void *to, int c, size_t n)
{
    uint8_t *t = to;

    while (n-- > 0) {
        *t++ = (uint8_t)c;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a;
    const uint8_t *y = b;

    for (; n > 0; n--, x++, y++) {
        if (*x != *y) {
            return *x - *y;
        }
    }
    return 0;
}

static bool place(char *text, size_t size)
{
    return fwcfg_read("opt/quorate/run", text, size);
}

static const struct beat_machine machine = {.disk = hw_disk,
                                            .say = hw_say,
                                            .place = place,
                                            .ticks = hw_ticks,
                                            .rtc_s = hw_rtc_s,
                                            .chance = hw_stamp};

/* The area of memory that is written round and round. Page i holds the number of the last write to
 * it, which follows from the number of writes so far: a page that holds another was lost. */
struct area {
    uint32_t pages;
    uint32_t rate;
    uint32_t writes;
};

static volatile uint32_t *page(uint32_t i)
{
    return (volatile uint32_t *)(uintptr_t)(AREA_AT + i * PAGE); // NOLINT: a bare machine's memory
}

static void dirty(struct area *a)
{
    for (uint32_t i = 0; i < a->rate && a->pages != 0; i++) {
        *page(a->writes % a->pages) = a->writes + 1;
        a->writes++;
    }
}

static uint32_t count_stale(const struct area *a)
{
    uint32_t bad = 0;

    for (uint32_t i = 0; i < a->pages && i < a->writes; i++) {
        uint32_t last = a->writes - 1 - (a->writes - 1 - i) % a->pages;

        bad += *page(i) != last + 1;
    }
    return bad;
}

static void listen(bool mute, struct beat *b)
{
    int c = hw_hear();
    char echo[2] = {(char)c, '\0'};

    if (!mute && hw_power_button()) {
        beat_bye(b);
        (void)hw_disk_flush();
        hw_power_off();
    }
    if (c == 'R') {
        hw_reset();
    } else if (c == 'P') {
        hw_say("PANIC\n");
        hw_panic();
    } else if (c == 'H') {
        __asm__ volatile("cli\n hlt");
    } else if (c >= 0) {
        hw_say(echo);
    }
}

void start_c(uint32_t magic, const struct multiboot *mb)
{
    static struct beat b;
    const char *cmdline = "";
    struct area area = {0};
    uint32_t next;
    bool mute;

    (void)magic;
    if ((mb->flags & 4) != 0) {
        cmdline = (const char *)(uintptr_t)mb->cmdline; // NOLINT: the loader's address
    }
    hw_start();
    area.pages = (uint32_t)beat_option(cmdline, "dirty=") * (1024 * 1024 / PAGE);
    area.rate = (uint32_t)beat_option(cmdline, "rate=");
    mute = beat_option(cmdline, "mute=") != 0;
    if ((mb->mem_upper_kib + 1024) * 1024ULL < AREA_AT + (area.pages + 256ULL) * PAGE) {
        area.pages = 0;
    }
    beat_start(&b, &machine, cmdline);
    next = hw_ticks();
    for (;;) {
        while ((int32_t)(hw_ticks() - next) < 0) {
            hw_wait();
            listen(mute, &b);
            dirty(&area);
        }
        next += TICKS_PER_BEAT;
        beat_tick(&b);
        if (b.has_disk && b.last.counter % BEATS_PER_FLUSH == 0) {
            (void)hw_disk_flush();
        }
        if (count_stale(&area) != 0) {
            beat_stale(&b, count_stale(&area), area.pages);
        }
    }
}
