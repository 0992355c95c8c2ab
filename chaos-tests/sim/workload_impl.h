/* Between the files of the workload. */

#ifndef CHAOS_SIM_WORKLOAD_IMPL_H
#define CHAOS_SIM_WORKLOAD_IMPL_H

#include "core/id.h"
#include "core/limits.h"

#include "chaos-tests/sim/lab.h"
#include "chaos-tests/sim/vclient.h"
#include "chaos-tests/sim/workload.h"
#include "fsm/fsm.h"

struct command;

/* What is known of a guest that some client wanted to make. Names are used once. */
enum promise {
    ASKED,   /* Nobody knows whether it exists. */
    PROMISED /* A create was acknowledged. */
};

struct wanted {
    char name[LIMIT_NAME + 1];
    enum promise made;
    bool deleting; /* Somebody asked for its end. */
    bool deleted;  /* And was told that it is done. */
    bool unsure;   /* Somebody gave up asking something of it: that may still be done. */
};

/* One command of a client, over all its tries. */
struct ask {
    bool under_way;
    uint32_t number; /* Of the command; 0: the method `found`. */
    struct id request;
    uint8_t *body; /* World's memory. */
    size_t body_len;
    uint32_t tries;
    uint32_t host;  /* Of the next try. */
    int32_t guest;  /* In the list of wanted ones; -1: none. */
    uint64_t call;  /* Number of the try. */
    uint64_t value; /* What the guest's register becomes: its priority. */
};

struct worker {
    struct vclient c;
    uint32_t number;
    struct rng pace;    /* When it asks. */
    struct vevent next; /* It asks the next thing. */
    struct rng rng;     /* What it asks, and how it tries again: each ask has one of its own. */
    uint64_t seed;      /* Of that. */
    uv_timer_t think;   /* It tries again. */
    struct ask ask;
    uint64_t value; /* For the next ask_record(). */
    /* Asks only what it is told to, and until it has an outcome, which it hands on; NULL: a client.
     */
    void (*told)(struct worker *w, const struct outcome *o);
};

struct workload {
    struct worker workers[LAB_CLIENTS_MAX];
    uint32_t n;
    struct wanted *guests;
    uint32_t n_guests, cap_guests;
    bool running;
    struct rng pace; /* Stretches in which clients work, and in which they rest. */
    bool resting;
    uint64_t pace_ns; /* The stretch at hand ends then. */
    uint32_t forming; /* Steps done: the founding, each other host, the settings. */
};

extern struct workload wl;

/* One that asks from this place behind the first client's, and its end. */
void worker_init(struct worker *w, uint32_t number, const char *name);
void worker_done(struct worker *w);

/* workload_ask.c: choose what to ask next. */
void choose_ask(struct worker *w);
/* Make the ask of this record. */
void ask_record(struct worker *w, uint32_t number, const void *record, int32_t guest);
/* It begins with new connections: how long it waits on a dead one is its own affair. */
void workload_hang_up(struct worker *w);
/* Have a client ask this now, outside of its own work. It must be idle. */
void workload_ask(struct worker *w, uint32_t number, const void *record);

#endif
