/* The warden: what the daemon knows of its guard and tells it (docs/protocols/leases.md).
 *
 * Keeps the list of copies that shall be guarded, the guard's answer for each, and the end of the
 * lease; finds or starts the guard, and when the guard dies starts another one and tells it
 * everything again. A daemon that starts adopts what a guard that outlived the last one knows.
 * Loop thread; callbacks come from the loop, never from inside these calls. Times are milliseconds
 * of struct clock's mono_ms. */

#ifndef CLI_QUORATED_WARDEN_H
#define CLI_QUORATED_WARDEN_H

#include <stdbool.h>

#include "core/clock.h"

#include "cli/guard/wire.h"
#include "fsm/entity.h"

struct warden;

/* How long the first guard may take to be there. */
#define WARDEN_PATIENCE_MS 2000u

enum warden_word {
    WARDEN_NONE,  /* Not guarded, and not asked for. */
    WARDEN_ASKED, /* The guard has not answered yet. */
    WARDEN_HELD   /* In the guard's table: it dies when the lease does. */
};

struct warden_options {
    struct uv_loop_s *loop;
    struct clock *clock;
    const char *path;     /* The guard's socket; texts are borrowed. */
    const char *program;  /* quorate-guard. */
    const char *watchdog; /* Its device; NULL or "": none. */
    /* What is known of this copy changed; NULL: of all, or of the guard itself. */
    void (*changed)(void *ctx, const struct guard_copy *copy);
    void *ctx;
};

struct warden *warden_new(const struct warden_options *options);

/* Say no more; the guard goes on. `closed` fires from the loop. What was known can be looked at
 * until warden_free(). */
void warden_close(struct warden *w, void (*closed)(void *ctx), void *ctx);

/* After `closed`. NULL is accepted; returns NULL. */
struct warden *warden_free(struct warden *w);

/* Look for a guard, or for one again; called now and then for as long as leases are wanted. */
void warden_tick(struct warden *w);

/* There is a guard, and it was told everything. */
bool warden_ready(const struct warden *w);

/* What this host has to end its guests with. */
enum guarantee warden_guarantee(const struct warden *w);

/* Whether any copy is guarded, or shall be. */
bool warden_is_busy(const struct warden *w);

/* The lease ends then, as far as this daemon and the guard know; 0: there never was one. */
uint64_t warden_end_ms(const struct warden *w);

/* The lease was renewed; only ever to a later end. The guests are killed margin_ms before it. */
void warden_renew(struct warden *w, uint64_t end_ms, uint32_t margin_ms);

/* Whether the host's guarded copies must not run: the time to kill them has come, or there has
 * been no guard for as long as the margin is. */
bool warden_is_over(const struct warden *w);

enum warden_word warden_look(const struct warden *w, const struct id *guest, uint64_t epoch);

/* Whether the guard killed this copy, as far as is remembered. */
bool warden_killed(const struct warden *w, const struct id *guest, uint64_t epoch);

/* Guard this copy, or not any more. Adding what is there already does nothing. Refused, it is
 * WARDEN_NONE again, and a log line says why. A copy of pid 0 has no process that could be
 * killed (driver sim): it is the daemon that ends it. */
void warden_add(struct warden *w, const struct guard_copy *copy);
void warden_drop(struct warden *w, const struct id *guest, uint64_t epoch);

#endif
