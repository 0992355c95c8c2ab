/* Driver xen for the conformance suite, on a real Xen: hosts a and b are two daemons in one control
 * domain, told apart by their run directories. The guest's counter is read out of its memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xenstore.h>

#include "core/util.h"

#include "hvdriver/tests/conformance/conformance.h"

/* guest.c's struct shared. */
#define SHARED_PFN 0x200u

struct shared {
    volatile uint64_t counter;
    volatile uint32_t command;
};

static struct shared *map(struct hv *hv, const struct hv_key *key)
{
    static xenforeignmemory_handle *memory;
    struct hv_info info;
    xen_pfn_t page = SHARED_PFN;
    int why = 0;
    if (memory == NULL) {
        memory = xenforeignmemory_open(NULL, 0);
        assert_non_null(memory);
    }
    if (!hv_lookup(hv, key, &info) || info.domain == 0) {
        return NULL;
    }
    return xenforeignmemory_map(memory, info.domain, PROT_READ | PROT_WRITE, 1, &page, &why);
}

static uint64_t memory_counter(struct hv *hv, const struct hv_key *key)
{
    struct shared *shared = map(hv, key);
    uint64_t counter = shared == NULL ? 0 : shared->counter;
    if (shared != NULL) {
        (void)munmap(shared, XC_PAGE_SIZE);
    }
    return counter;
}

static void memory_says(struct hv *hv, const struct hv_key *key, char what)
{
    struct shared *shared = map(hv, key);
    assert_non_null(shared);
    shared->command = (uint32_t)what;
    (void)munmap(shared, XC_PAGE_SIZE);
}

/* Destroy the domain that bears the copy's stamp: one that is being received is known to xenstore
 * before it is to the driver, and one that is just ending is known for longer. */
static bool destroy_domain(xc_interface *xc, struct xs_handle *xs, const struct hv_key *key)
{
    unsigned n = 0;
    bool done = false;
    char stamp[HV_STAMP_SIZE];
    char path[96];
    (void)hv_stamp(key, stamp);
    CLEANUP(cleanup_free) char **domains = xs_directory(xs, XBT_NULL, "/local/domain", &n);
    for (unsigned i = 0; domains != NULL && i < n && !done; i++) {
        unsigned len = 0;
        (void)snprintf(path, sizeof path, "/local/domain/%s/quorate/stamp", domains[i]);
        CLEANUP(cleanup_free) char *value = xs_read(xs, XBT_NULL, path, &len);
        done = value != NULL && strcmp(value, stamp) == 0 &&
               xc_domain_destroy(xc, (uint32_t)strtoul(domains[i], NULL, 10)) == 0;
    }
    return done;
}

static void domain_is_destroyed(struct hv *hv, const struct hv_key *key)
{
    (void)hv;
    xc_interface *xc = xc_interface_open(NULL, NULL, 0);
    struct xs_handle *xs = xs_open(0);
    bool done = false;
    assert_non_null(xc);
    assert_non_null(xs);
    for (int i = 0; i < 1000 && !done; i++) {
        done = destroy_domain(xc, xs, key);
        (void)usleep(done ? 0 : 10000);
    }
    assert_true(done);
    xs_close(xs);
    (void)xc_interface_close(xc);
}

static void slow(struct hv *hv)
{
    (void)hv; /* slow_rate does it; a start takes its time. */
}

static struct conf_kind xen_kind = {.driver = "xen",
                                    .type = "pvh",
                                    .remembers = true,
                                    .takes_part = true,
                                    .beat_ms = 20,
                                    .patience_ms = 60000,
                                    .counter = memory_counter,
                                    .guest_does = memory_says,
                                    .kill = domain_is_destroyed,
                                    .slow = slow,
                                    .slow_rate = 1u << 16};
const struct conf_kind *conf_kind = &xen_kind;

/* The suite runs on another machine than it is built on: what it needs lies beside it. */
__attribute__((constructor)) static void find_parts(void)
{
    xen_kind.kernel = getenv("XEN_TEST_GUEST");
    xen_kind.emulator = getenv("XEN_TEST_PROGRAM");
    if (xen_kind.kernel == NULL) {
        xen_kind.kernel = "guest_pvh.elf";
    }
}
