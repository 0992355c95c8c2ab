/* A guest without an operating system, for the driver's tests: a multiboot program that boots in a
 * tenth of a second and says "HB <n>" on COM1 fifty times a second.
 *
 * Serial line: Q powers off, R reboots, P panics. The power button powers off.
 * Command line: dirty=<MiB> rate=<pages per 10 ms> writes an area of memory round and round, and
 * says "STALE" when a page does not hold what was written to it last. */
#include <stdint.h>

enum {
    COM1 = 0x3f8,
    PAGE = 4096,
    AREA_AT = 0x400000
};

__asm__(".section .multiboot, \"a\"\n"
        ".align 4\n.long 0x1badb002, 2, -(0x1badb002 + 2)\n"
        ".text\n.globl _start\n"
        "_start: cli\n mov $stack_top, %esp\n push %ebx\n push %eax\n call run\n"
        "1: hlt\n jmp 1b\n"
        ".globl on_tick\non_tick: pusha\n cld\n call tick\n popa\n iret\n"
        ".globl on_other\non_other: iret\n"
        ".bss\n.align 16\n.skip 8192\nstack_top:\n.text\n");

struct multiboot {
    uint32_t flags, mem_lower, mem_upper_kib, boot_device;
    const char *cmdline;
};

struct gate {
    uint16_t low, selector, attributes, high;
};

struct __attribute__((packed)) table {
    uint16_t limit;
    uint32_t base;
};

void on_tick(void);
void on_other(void);
void tick(void);
void run(uint32_t magic, const struct multiboot *mb);

static volatile uint32_t ticks;
static struct gate idt[256];
static const uint64_t gdt[3] = {0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull};

static inline void out8(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

void tick(void)
{
    ticks++;
    out8(0x20, 0x20);
}

static void say(const char *text)
{
    for (; *text != '\0'; text++) {
        while ((in8(COM1 + 5) & 0x20) == 0) {
        }
        out8(COM1, (uint8_t)*text);
    }
}

static void say_number(uint32_t n)
{
    char digits[12];
    int i = 11;
    digits[i] = '\0';
    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    say(digits + i);
}

static void set_gate(int i, void (*handler)(void))
{
    uint32_t at = (uint32_t)handler;
    idt[i] = (struct gate){(uint16_t)at, 8, 0x8e00, (uint16_t)(at >> 16)};
}

static void set_up(void)
{
    struct table g = {sizeof gdt - 1, (uint32_t)gdt};
    __asm__ volatile("lgdt %0\n ljmp $8, $1f\n1: mov $16, %%ax\n mov %%ax, %%ds\n mov %%ax, %%es\n"
                     " mov %%ax, %%ss"
                     :
                     : "m"(g)
                     : "eax");
    for (int i = 0; i < 256; i++) {
        set_gate(i, on_other);
    }
    set_gate(32, on_tick);
    struct table t = {sizeof idt - 1, (uint32_t)idt};
    __asm__ volatile("lidt %0" : : "m"(t));
    /* Interrupt controllers: vectors 32 and 40, only the timer. Timer: 100 a second. */
    static const uint8_t pic[][2] = {
        {0x20, 0x11}, {0xa0, 0x11},        {0x21, 32},        {0xa1, 40},   {0x21, 4},
        {0xa1, 2},    {0x21, 1},           {0xa1, 1},         {0x21, 0xfe}, {0xa1, 0xff},
        {0x43, 0x34}, {0x40, 11932 & 255}, {0x40, 11932 >> 8}};
    for (uint32_t i = 0; i < sizeof pic / sizeof pic[0]; i++) {
        out8(pic[i][0], pic[i][1]);
    }
    out8(COM1 + 1, 0);
    out8(COM1 + 2, 7);
    out8(COM1 + 3, 3);
    out16(0x602, 0x100); /* Without this QEMU does not press the button. */
    __asm__ volatile("sti");
}

static uint32_t option(const char *cmdline, const char *name)
{
    for (; *cmdline != '\0'; cmdline++) {
        const char *a = cmdline;
        const char *b = name;
        while (*b != '\0' && *a == *b) {
            a++;
            b++;
        }
        if (*b == '\0') {
            uint32_t n = 0;
            while (*a >= '0' && *a <= '9') {
                n = n * 10 + (uint32_t)(*a++ - '0');
            }
            return n;
        }
    }
    return 0;
}

static void power_off(void)
{
    say("BYE\n");
    out16(0x604, 0x2000);
}

static void listen(void)
{
    if ((in16(0x600) & 0x100) != 0) {
        power_off();
    }
    if ((in8(COM1 + 5) & 1) == 0) {
        return;
    }
    switch (in8(COM1)) {
    case 'Q': power_off(); break;
    case 'R': out8(0x64, 0xfe); break;
    case 'P': out8(0x505, 1); break;
    }
}

static volatile uint32_t *page(uint32_t i)
{
    return (volatile uint32_t *)(AREA_AT + i * PAGE);
}

/* Page i was last written by the greatest w with w % pages == i, w < writes. */
static void check(uint32_t pages, uint32_t writes)
{
    for (uint32_t i = 0; i < pages && writes >= pages; i++) {
        if (*page(i) != writes - 1 - (writes - 1 - i) % pages) {
            say("STALE\n");
            return;
        }
    }
}

void run(uint32_t magic, const struct multiboot *mb)
{
    (void)magic;
    const char *cmdline = (mb->flags & 4) != 0 ? mb->cmdline : "";
    uint32_t pages = option(cmdline, "dirty=") * (1024 * 1024 / PAGE);
    uint32_t rate = pages == 0 ? 0 : option(cmdline, "rate=");
    uint32_t writes = 0;
    set_up();
    uint32_t next = ticks;
    for (uint32_t n = 1;; n++) {
        next += 2;
        say("HB ");
        say_number(n);
        say("\n");
        while ((int32_t)(ticks - next) < 0) {
            __asm__ volatile("hlt");
            listen();
            for (uint32_t i = 0; i < rate; i++, writes++) {
                *page(writes % pages) = writes;
            }
        }
        check(pages, writes);
    }
}
