/* A guest without an operating system, for the tests of driver xen: a PVH program that boots in no
 * time, counts fifty times a second, and takes part in shutdowns and moves as a guest should: it
 * reads control/shutdown in xenstore, acknowledges it, and powers off or suspends.
 *
 * The test reads the counter out of its memory and leaves commands there: Q powers off, R reboots,
 * P panics. */
#include <stdint.h>

/* The page that the test looks at: kind.c. */
#define SHARED_AT 0x200000u

struct shared {
    volatile uint64_t counter;
    volatile uint32_t command;
};

#define DOMID_SELF 0x7ff0u
#define BEAT_NS    20000000ull

enum {
    OP_MEMORY = 12,
    OP_VCPU = 24,
    OP_SCHED = 29,
    OP_EVENT_CHANNEL = 32,
    OP_HVM = 34
};

enum {
    SHUTDOWN_POWEROFF = 0,
    SHUTDOWN_REBOOT = 1,
    SHUTDOWN_SUSPEND = 2,
    SHUTDOWN_CRASH = 3
};

/* The note by which Xen finds the 32-bit entry (XEN_ELFNOTE_PHYS32_ENTRY). */
__asm__(".section .note.Xen, \"a\", @note\n"
        ".align 4\n.long 4, 4, 18\n.asciz \"Xen\"\n.long _start\n"
        ".text\n.globl _start\n"
        "_start: cli\n cld\n mov $stack_top, %esp\n call run\n"
        "1: hlt\n jmp 1b\n"
        ".bss\n.align 16\n.skip 8192\nstack_top:\n.text\n");

struct hvm_param {
    uint16_t domid;
    uint16_t pad;
    uint32_t index;
    uint64_t value;
};

struct to_physmap {
    uint16_t domid;
    uint16_t size;
    uint32_t space;
    uint32_t idx;
    uint32_t gpfn;
};

struct poll {
    uint32_t ports;
    uint32_t nr_ports;
    uint64_t timeout;
};

/* xen/include/public/vcpu.h: how long this processor ran, waited, slept and was off, in ns. */
struct runstate {
    int32_t state;
    uint64_t entered;
    uint64_t time[4];
};

/* xen/include/public/io/xs_wire.h */
struct store_ring {
    char req[1024];
    char rsp[1024];
    volatile uint32_t req_cons, req_prod;
    volatile uint32_t rsp_cons, rsp_prod;
};

struct store_msg {
    uint32_t type, req_id, tx_id, len;
};

enum {
    XS_READ = 2,
    XS_WRITE = 11
};

static uint8_t hypercalls[4096] __attribute__((aligned(4096)));
static uint8_t shared_info[4096] __attribute__((aligned(4096)));
static struct store_ring *ring;
static uint32_t store_port;
static uint64_t began_ns;

void run(void);

static uint32_t call3(uint32_t number, uint32_t a, uint32_t b, const void *c)
{
    uint32_t r;
    uint32_t at = (uint32_t)hypercalls + number * 32;
    __asm__ volatile("call *%1"
                     : "=a"(r), "+r"(at), "+b"(a), "+c"(b), "+d"(c)
                     :
                     : "memory", "esi", "edi");
    return r;
}

static uint32_t call2(uint32_t number, uint32_t a, const void *b)
{
    return call3(number, a, (uint32_t)b, 0);
}

static void cpuid(uint32_t leaf, uint32_t *a, uint32_t *b)
{
    uint32_t c;
    uint32_t d;
    __asm__ volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(c), "=d"(d) : "a"(leaf));
}

static void find_hypercalls(void)
{
    for (uint32_t base = 0x40000000; base < 0x40010000; base += 0x100) {
        uint32_t a;
        uint32_t b;
        cpuid(base, &a, &b);
        if (b == 0x566e6558) { /* "XenV" */
            cpuid(base + 2, &a, &b);
            __asm__ volatile("wrmsr" : : "c"(b), "a"((uint32_t)hypercalls), "d"(0) : "memory");
            return;
        }
    }
}

static uint64_t param(uint32_t index)
{
    struct hvm_param p = {.domid = DOMID_SELF, .index = index};
    (void)call2(OP_HVM, 1, &p);
    return p.value;
}

static uint64_t now_in_state(struct runstate *ret)
{
    (void)call3(OP_VCPU, 4, 0, ret);
    return ret->entered;
}

/* What another domain than the one we began as must be told again. */
static void connect(void)
{
    struct to_physmap map = {.domid = DOMID_SELF, .gpfn = (uint32_t)shared_info >> 12};
    struct hvm_param callback = {.domid = DOMID_SELF, .index = 0, .value = (2ull << 56) | 0x30};
    (void)call2(OP_MEMORY, 7, &map);
    /* Its being set is what tells Xen's tools that somebody reads control/shutdown. */
    (void)call2(OP_HVM, 0, &callback);
    ring = (struct store_ring *)(uint32_t)(param(1) << 12);
    store_port = (uint32_t)param(2);
    struct runstate now_in;
    began_ns =
        now_in_state(&now_in) - (now_in.time[0] + now_in.time[1] + now_in.time[2] + now_in.time[3]);
}

/* Xen's time, to a few ms, from how long we have been in which state. The processor's counter is
 * not read: that of an emulated machine is not what is tested here. */
static uint64_t now(void)
{
    struct runstate r;
    (void)now_in_state(&r);
    return began_ns + r.time[0] + r.time[1] + r.time[2] + r.time[3];
}

static void wait_beat(void)
{
    uint64_t end = now() + BEAT_NS;
    while (now() < end) {
        struct poll p = {.timeout = end};
        (void)call2(OP_SCHED, 3, &p);
    }
}

static uint32_t shutdown(uint32_t reason)
{
    return call2(OP_SCHED, 2, &reason);
}

/* ---- xenstore ---- */

static void notify(void)
{
    uint32_t port = store_port;
    (void)call2(OP_EVENT_CHANNEL, 4, &port);
}

static void put(const void *from, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        ring->req[ring->req_prod & 1023] = ((const char *)from)[i];
        __asm__ volatile("" : : : "memory");
        ring->req_prod++;
    }
}

static char get(void)
{
    while (ring->rsp_prod == ring->rsp_cons) {
        wait_beat();
    }
    char c = ring->rsp[ring->rsp_cons & 1023];
    __asm__ volatile("" : : : "memory");
    ring->rsp_cons++;
    return c;
}

/* Ask; the first bytes of the answer's body go to `to`, ended by NUL. */
static void ask(uint32_t type, const char *body, uint32_t len, char to[16])
{
    struct store_msg msg = {.type = type, .len = len};
    put(&msg, sizeof msg);
    put(body, len);
    notify();
    for (uint32_t i = 0; i < sizeof msg; i++) {
        ((char *)&msg)[i] = get();
    }
    for (uint32_t i = 0; i < msg.len; i++) {
        char c = get();
        if (i < 15) {
            to[i] = c;
        }
    }
    to[msg.len < 15 ? msg.len : 15] = '\0';
    notify();
    if (msg.type != type) {
        to[0] = '\0';
    }
}

static int equal(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

static const char control[] = "control/shutdown";

static void look(void)
{
    char wish[16];
    char answer[16];
    ask(XS_READ, control, sizeof control, wish);
    if (wish[0] == '\0') {
        return;
    }
    ask(XS_WRITE, control, sizeof control, answer); /* Emptied: we have seen it. */
    if (equal(wish, "poweroff")) {
        (void)shutdown(SHUTDOWN_POWEROFF);
    } else if (equal(wish, "reboot")) {
        (void)shutdown(SHUTDOWN_REBOOT);
    } else if (equal(wish, "suspend")) {
        (void)shutdown(SHUTDOWN_SUSPEND);
        connect();
    }
}

static void obey(uint32_t command)
{
    switch (command) {
    case 'Q': (void)shutdown(SHUTDOWN_POWEROFF); break;
    case 'R': (void)shutdown(SHUTDOWN_REBOOT); break;
    case 'P': (void)shutdown(SHUTDOWN_CRASH); break;
    }
}

void run(void)
{
    struct shared *shared = (struct shared *)SHARED_AT;
    find_hypercalls();
    connect();
    shared->counter = 0;
    shared->command = 0;
    for (;;) {
        shared->counter++;
        obey(shared->command);
        if (shared->counter % 5 == 0) {
            look();
        }
        wait_beat();
    }
}
