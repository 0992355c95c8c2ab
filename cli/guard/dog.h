/* The hardware watchdog behind the guard: it takes the whole host when the guard cannot end its
 * guests in time, because it hangs, or they will not die (docs/protocols/leases.md).
 *
 *   closed ──arm: something is guarded under a lease──▶ armed ──nothing is guarded──▶ closed
 *                                                       fed while now + timeout <= end of the lease
 *
 * D1  The device is never open without something in the table: a host that guards nothing is never
 *     reset, whatever becomes of the guard.
 * D2  It is fed at t only if t + timeout <= end: so it fires at the end of the lease at the latest
 *     when nobody feeds it any more, and the copies that were to be dead by then are.
 * D3  It is closed by its magic character only when no copy is left. A guard that dies closes it
 *     without: the host is reset unless another guard opens and feeds it in time.
 *
 * A device that any close would stop (no help when the guard dies), or whose timeout does not fit
 * into the lease, is not used: the host has the guard alone, and says so. */

#ifndef CLI_GUARD_DOG_H
#define CLI_GUARD_DOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The system calls that it makes, as in the manual. */
struct dog_calls {
    int (*open)(const char *path, int flags);
    int (*ioctl)(int fd, unsigned long request, void *arg);
    long (*write)(int fd, const void *data, size_t len);
    int (*close)(int fd);
};
extern const struct dog_calls dog_real_calls;

struct dog {
    const struct dog_calls *calls;
    const char *path; /* ""; there is none. */
    int fd;           /* -1: closed. */
    uint32_t timeout_ms;
    uint64_t fed_ms;
    bool refused; /* It cannot be used; not tried again. */
    int error;    /* errno of that, or ENOTSUP. */
};

void dog_init(struct dog *d, const struct dog_calls *calls, const char *path);

/* As things are at now_ms: the lease ends at end_ms, and `guarded` copies are in the table. Opens,
 * feeds or closes the device. True when what it is good for has changed (dog_guarantees()). */
bool dog_tick(struct dog *d, uint64_t end_ms, uint32_t guarded, uint64_t now_ms);

/* When it must be looked at again; 0: whenever something happens. */
uint64_t dog_next_ms(const struct dog *d, uint64_t end_ms);

/* It is armed, or was and can be again. */
bool dog_guarantees(const struct dog *d);

#endif
