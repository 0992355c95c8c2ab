/* What a guest's heartbeats tell, from the consoles of all hosts and from its disks: how often it
 * beat, where, and whether two copies of it ever ran at once. What is read is described in
 * chaos-tests/images/beat.h.
 *
 * A history is filled from any number of consoles and disks, in any order, then judged once. Every
 * finding is a violation; a history without one may still have lost beats or long gaps, which are
 * figures. Lines may be cut anywhere: a guest that is migrated in the middle of a line says its
 * first half on one console and the rest on another. */

#ifndef TOOLS_HISTORY_H
#define TOOLS_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"

#define HISTORY_HOSTS 64

enum finding_kind {
    FINDING_OVERLAP,   /* Two copies ran at once. */
    FINDING_BACK,      /* The counter went back, or a value was said twice. */
    FINDING_MISPLACED, /* It spoke as another host, or one epoch had two hosts. */
    FINDING_STALE,     /* Its memory did not hold what it had written. */
    FINDING_DISK,      /* Its disk failed, was damaged, or lost beats that were said. */
    FINDING_SILENT     /* Fewer beats than were asked for. */
};

struct finding {
    enum finding_kind kind;
    char text[200];
};

/* One complete heartbeat line. */
struct beat_line {
    uint64_t counter;
    uint64_t epoch;
    uint64_t rtc_s;
    uint64_t order; /* In which it was read from its console. */
    uint32_t ticks;
    uint32_t where;  /* Index of the host whose console it is on. */
    uint32_t said;   /* Index of the host that it names. */
    uint32_t source; /* Which console. */
};

/* One run as its lane on a disk tells. */
struct beat_run {
    uint64_t run, epoch, token, first, last;
    char host[64];
    char disk[64];
};

struct history {
    struct beat_line *beats;
    size_t n_beats, cap_beats;
    struct beat_run *runs;
    size_t n_runs, cap_runs;
    struct finding *findings;
    size_t n_findings, cap_findings;
    char hosts[HISTORY_HOSTS][64];
    uint64_t host_beats[HISTORY_HOSTS];
    uint32_t n_hosts;
    uint32_t n_consoles;
    uint64_t boots, byes, moves, fragments;
    uint64_t disk_last; /* Newest beat on any disk; 0 if none was read. */
    /* Figures of history_judge(). */
    uint64_t missing;        /* Counters in between that no console has. */
    uint64_t largest_gap_ms; /* By the guest's own ticks, within a boot. */
    uint64_t largest_gap_at;
    uint64_t epochs;
};

/* A console that is read piece by piece. Zero-initialise, set host. */
struct console {
    const char *host;
    uint32_t number; /* Set by the first history_console(). */
    uint64_t lines;
    size_t len;
    bool overlong;
    char line[256];
};

void history_done(struct history *h);

/* The next bytes of a console. Returns the number of complete heartbeats in them. */
size_t history_console(struct history *h, struct console *c, const char *text, size_t len);

/* A guest's disk. ERR_IO or ERR_CORRUPT (nothing of a heartbeat on it). */
int history_disk(struct history *h, const char *path, struct err *e);

/* Look at everything together. Returns the number of findings. */
size_t history_judge(struct history *h, uint64_t least_beats);

const char *finding_name(enum finding_kind kind);
void history_find(struct history *h, enum finding_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
