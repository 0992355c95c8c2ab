/* The virtual event loop: libuv's loop, timers, prepare, check and idle handles, and work in the
 * background, with the types of <uv.h> and on the world's time. One loop per simulated process.
 *
 * A turn is libuv's own: input, check, closing, timers, pending, idle, prepare, in the order of
 * libuv 1.44, with "wait for input" as the place where the turn is left until something happens.
 * Time stands still inside a turn; when it is over the loop is busy for a while, which is what the
 * turn cost. */

#ifndef CHAOS_SIM_VLOOP_H
#define CHAOS_SIM_VLOOP_H

#include <stdbool.h>
#include <uv.h>

#include "chaos-tests/sim/proc.h"

/* Something that a loop has to do once: where input is delivered, or in its "pending" phase. */
struct vready {
    void (*run)(struct vready *r);
    struct vready *next, **prev; /* prev NULL: not queued. */
};

struct vready_list {
    struct vready *first, **last;
};

struct vloop {
    struct proc *proc;
    uv_loop_t *uv;
    struct vevent wake;
    uint64_t busy_until_ns;
    bool begun; /* The first turn has begun. */
    bool in_turn;
    bool ended;
    bool disk_due;
    uint64_t slept_ns; /* Since when it waits. */
    uint64_t idle_ns;
    uint64_t turns;

    uv_timer_t **timers; /* A heap, from 1. */
    uint32_t n_timers, cap_timers;
    uint64_t timer_numbers;
    void *prepare[2], *check[2], *idle[2]; /* Lists through the handles' `queue`. */
    struct vready_list input, pending;
    uv_handle_t *closing;
    uint32_t active;         /* Handles that keep the loop alive. */
    uint32_t requests;       /* The same for requests and what is held. */
    struct vstream *streams; /* All of it, for their end. */
    struct vwork *works;
};

/* Flags in a handle. */
#define VH_ACTIVE  1u
#define VH_REF     2u
#define VH_CLOSING 4u
#define VH_CLOSED  8u

struct vloop *vloop_of(const uv_loop_t *loop);

/* The process has run its main() up to uv_run(): from now on the loop turns. */
void vloop_begin(struct proc *p);
void vloop_drop(struct proc *p);
/* It was paused or goes on, its clock has another rate, or somebody called into it from outside:
 * when it turns next has changed. */
void vloop_replan(struct proc *p);
/* The disk has something to say. */
void vloop_wake_disk(struct proc *p);
/* Keep the loop alive, or no longer. */
void vloop_hold(struct proc *p, bool hold);
/* Call it from the loop, in the next turn. */
void vloop_later(struct proc *p, void (*fn)(void *ctx), void *ctx);

void vready_add(struct vloop *l, struct vready_list *list, struct vready *r);
void vready_remove(struct vready_list *list, struct vready *r);

void vhandle_init(uv_loop_t *loop, uv_handle_t *h, uv_handle_type type);
void vhandle_start(uv_handle_t *h);
void vhandle_stop(uv_handle_t *h);

/* vuv_stream.c: a closing stream's last callbacks; the end of a loop's streams. */
void vstream_finish(uv_handle_t *h);
void vstream_stop(uv_handle_t *h);
void vstream_drop_all(struct vloop *l);
/* vuv_work.c */
void vwork_drop_all(struct vloop *l);

#endif
