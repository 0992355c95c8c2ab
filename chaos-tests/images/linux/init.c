/* The only program of the linux guests: loads the modules of its devices, beats as beat.h says, and
 * powers off when the power button is pressed or, on Xen, when the host asks for it: then the
 * kernel runs it a second time as /sbin/poweroff. Linked statically; no other file is in the
 * system.
 *
 * Command line: dirty=MIB rate=PAGES as for tiny. Serial line: R reboots, P panics, H hangs. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "chaos-tests/images/beat.h"
#include "chaos-tests/images/fwcfg.h"
#include "chaos-tests/images/linux/xenstore.h"

enum {
    BEAT_MS = 100,
    PAGE = 4096,
    BUTTONS = 8,
    /* What is listened to: the console, a request to end, the buttons. */
    LISTEN_CONSOLE = 0,
    LISTEN_END,
    LISTEN_BUTTONS,
    LISTEN_MAX = LISTEN_BUTTONS + BUTTONS,
    /* The disk of a Xen guest comes a moment after its driver. */
    DISK_WAIT_MS = 10000
};

static int disk_fd = -1;
static uint8_t *sector_buffer; /* Aligned: the disk is opened with O_DIRECT. */
static struct timespec booted;
static bool on_xen;

static bool disk(uint32_t sector, void *data, bool write)
{
    off_t at = (off_t)sector * BEAT_SECTOR;
    ssize_t n;

    if (disk_fd < 0) {
        return false;
    }
    if (write) {
        memcpy(sector_buffer, data, BEAT_SECTOR);
        n = pwrite(disk_fd, sector_buffer, BEAT_SECTOR, at);
    } else {
        n = pread(disk_fd, sector_buffer, BEAT_SECTOR, at);
        memcpy(data, sector_buffer, BEAT_SECTOR);
    }
    return n == BEAT_SECTOR;
}

static void say(const char *text)
{
    ssize_t n = write(STDOUT_FILENO, text, strlen(text));

    (void)n; /* Nobody could be told. */
}

static bool place(char *text, size_t size)
{
    return on_xen ? xenstore_read("quorate/run", text, size)
                  : fwcfg_read("opt/quorate/run", text, size);
}

static uint32_t ticks(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((now.tv_sec - booted.tv_sec) * 100 +
                      (now.tv_nsec - booted.tv_nsec) / 10000000);
}

static uint64_t rtc_s(void)
{
    return (uint64_t)time(NULL);
}

/* The kernel's generator may not be seeded yet; the time stamp differs between any two boots. */
static uint64_t chance(void)
{
    return __builtin_ia32_rdtsc();
}

static const struct beat_machine machine =
    {.disk = disk, .say = say, .place = place, .ticks = ticks, .rtc_s = rtc_s, .chance = chance};

/* The order matters: a module must be in before the ones that use it. One that is built in, or that
 * this kernel does not have, is passed over. */
static void load_modules(void)
{
    static const char *const names[] = {"virtio_ring",
                                        "virtio",
                                        "virtio_pci_modern_dev",
                                        "virtio_pci_legacy_dev",
                                        "virtio_pci",
                                        "virtio_blk",
                                        "button",
                                        "evdev",
                                        "xen-blkfront"};
    char path[64];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int fd;

        (void)snprintf(path, sizeof path, "/lib/%s.ko", names[i]);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        if (syscall(SYS_finit_module, fd, "", 0) != 0 && errno != EEXIST) {
            printf("MODULE %s: %s\n", names[i], strerror(errno));
        }
        (void)close(fd);
    }
}

static int open_buttons(struct pollfd fds[BUTTONS])
{
    char path[32];
    int n = 0;

    for (int i = 0; i < BUTTONS; i++) {
        int fd;

        (void)snprintf(path, sizeof path, "/dev/input/event%d", i);
        fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0) {
            fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
    }
    return n;
}

static bool power_pressed(struct pollfd *fds, int n)
{
    struct input_event event;
    bool pressed = false;

    for (int i = 0; i < n; i++) {
        while (read(fds[i].fd, &event, sizeof event) == (ssize_t)sizeof event) {
            pressed =
                pressed || (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1);
        }
    }
    return pressed;
}

static void command(char c)
{
    if (c == 'R') {
        (void)reboot(RB_AUTOBOOT);
    } else if (c == 'P') {
        int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

        if (fd >= 0 && write(fd, "c", 1) != 1) {
            say("PANIC failed\n");
        }
    } else if (c == 'H') {
        for (;;) {
            (void)pause();
        }
    }
}

/* Until the next beat: buttons, requests and the console. */
static void wait_and_listen(struct beat *b, struct pollfd *fds, int n, const struct timespec *until)
{
    for (;;) {
        struct timespec now;
        long left;
        char c;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        left = (until->tv_sec - now.tv_sec) * 1000 + (until->tv_nsec - now.tv_nsec) / 1000000;
        if (left <= 0) {
            return;
        }
        if (poll(fds, (nfds_t)n, (int)left) <= 0) {
            continue;
        }
        if ((fds[LISTEN_END].revents & POLLIN) != 0 ||
            power_pressed(fds + LISTEN_BUTTONS, n - LISTEN_BUTTONS)) {
            beat_bye(b);
            (void)fsync(disk_fd);
            (void)reboot(RB_POWER_OFF);
        }
        if ((fds[LISTEN_CONSOLE].revents & POLLIN) != 0 && read(STDIN_FILENO, &c, 1) == 1) {
            command(c);
        }
    }
}

/* As tiny's area: page i must hold the number of the last write to it. */
struct area {
    uint32_t *memory;
    uint32_t pages, rate, writes;
};

static void dirty_and_check(struct area *a, struct beat *b)
{
    uint32_t bad = 0;

    for (uint32_t i = 0; i < a->pages && i < a->writes; i++) {
        uint32_t last = a->writes - 1 - (a->writes - 1 - i) % a->pages;

        bad += a->memory[i * (PAGE / 4)] != last + 1;
    }
    if (bad != 0) {
        beat_stale(b, bad, a->pages);
    }
    for (uint32_t i = 0; i < a->rate * 10 && a->pages != 0; i++) {
        a->memory[a->writes % a->pages * (PAGE / 4)] = a->writes + 1;
        a->writes++;
    }
}

static void open_disk(void)
{
    static const char *const names[] = {"/dev/vda", "/dev/sda", "/dev/xvda"};

    for (int ms = 0; ms < DISK_WAIT_MS; ms++) {
        for (size_t i = 0; i < sizeof names / sizeof names[0] && disk_fd < 0; i++) {
            disk_fd = open(names[i], O_RDWR | O_DIRECT | O_CLOEXEC);
        }
        if (disk_fd >= 0 || !on_xen) {
            return;
        }
        (void)poll(NULL, 0, 1);
    }
}

/* A descriptor that can be read when this process was asked to end. */
static int open_end(void)
{
    sigset_t end;

    (void)sigemptyset(&end);
    (void)sigaddset(&end, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &end, NULL);
    return signalfd(-1, &end, SFD_CLOEXEC);
}

static void start(char *cmdline, size_t size)
{
    ssize_t n = -1;
    int fd;

    (void)mount("dev", "/dev", "devtmpfs", 0, NULL);
    (void)mount("proc", "/proc", "proc", 0, NULL);
    fd = open("/dev/console", O_RDWR | O_CLOEXEC);
    (void)dup2(fd, STDIN_FILENO);
    (void)dup2(fd, STDOUT_FILENO);
    (void)dup2(fd, STDERR_FILENO);
    load_modules();
    (void)ioperm(FWCFG_PORT_SELECT, 2, 1);
    fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, cmdline, size - 1);
        (void)close(fd);
    }
    cmdline[n > 0 ? n : 0] = '\0';
    cmdline[strcspn(cmdline, "\n")] = '\0';
    on_xen = xenstore_is_there();
    open_disk();
    sector_buffer = aligned_alloc(PAGE, PAGE);
    (void)clock_gettime(CLOCK_MONOTONIC, &booted);
}

int main(int argc, char **argv)
{
    static struct beat b;
    struct pollfd fds[LISTEN_MAX] = {[LISTEN_CONSOLE] = {.fd = STDIN_FILENO, .events = POLLIN},
                                     [LISTEN_END] = {.fd = -1, .events = POLLIN}};
    struct area area = {0};
    struct timespec next;
    char cmdline[2048];
    int n;

    if (argc > 0 && strcmp(argv[0], "/sbin/poweroff") == 0) {
        return kill(1, SIGTERM) == 0 ? 0 : 1;
    }
    fds[LISTEN_END].fd = open_end();
    start(cmdline, sizeof cmdline);
    n = LISTEN_BUTTONS + open_buttons(fds + LISTEN_BUTTONS);
    area.pages = (uint32_t)beat_option(cmdline, "dirty=") * (1024 * 1024 / PAGE);
    area.rate = (uint32_t)beat_option(cmdline, "rate=");
    if (area.pages != 0) {
        area.memory = mmap(NULL, (size_t)area.pages * PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        area.pages = area.memory == MAP_FAILED ? 0 : area.pages;
    }
    beat_start(&b, &machine, cmdline);
    next = booted;
    for (;;) {
        next.tv_nsec += BEAT_MS * 1000000L;
        next.tv_sec += next.tv_nsec / 1000000000L;
        next.tv_nsec %= 1000000000L;
        wait_and_listen(&b, fds, n, &next);
        beat_tick(&b);
        dirty_and_check(&area, &b);
    }
}
