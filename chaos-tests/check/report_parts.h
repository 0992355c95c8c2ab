/* What the pages of a report are made of. Private to report_*.c. */

#ifndef CHECK_REPORT_PARTS_H
#define CHECK_REPORT_PARTS_H

#include "chaos-tests/check/report.h"

#define SHOWN_GUESTS   8    /* Rows of guests in the picture; others are only counted. */
#define SHOWN_SEGMENTS 6000 /* Of one kind; a picture of more is a smear, and slow. */
#define CALL_ROWS      12

/* Beside the states of a copy: it would execute, but its host is frozen. */
#define SEG_COPY_FROZEN 4

enum segment_kind {
    SEG_POWER,
    SEG_LEADS,
    SEG_LEASE,
    SEG_CUT,
    SEG_COPY,
    SEG_CALL,
    SEG_FAULT,
    SEG_MOVE,
    SEG_KINDS
};

/* Something that held at a host from one moment to another. */
struct segment {
    enum segment_kind kind;
    uint16_t host, peer; /* peer: of a move, its target; of a call, what was asked. */
    uint64_t from_us, to_us;
    uint32_t row;     /* Of a copy: its guest's row; of a call: its row among the calls. */
    uint32_t state;   /* Power, copy state, call result, phase of a move. */
    uint64_t number;  /* Epoch, term, set of hosts, call. */
    hist_t_name name; /* Guest, subject, fault. */
    uint32_t rec;     /* Where it began. */
    bool open;        /* Still being collected. */
};

struct scene {
    const struct hist *h;
    const struct verdicts *v;
    struct segment *seg;
    size_t n, cap;
    size_t of_kind[SEG_KINDS]; /* How many there would be. */
    uint64_t end_us;
    hist_t_name guests[SHOWN_GUESTS];
    uint32_t n_guests, all_guests;
    uint32_t call_rows; /* So many calls are under way at once, at most CALL_ROWS. */
};

/* Collect. */
void scene_init(struct scene *s, const struct hist *h, const struct verdicts *v);
void scene_done(struct scene *s);

/* One picture of [from, to]; `id` names it for the script. */
void picture(const struct scene *s,
             const char *id,
             uint64_t from_us,
             uint64_t to_us,
             struct buf *out);

/* Bars of how long things took. */
void histograms(const struct scene *s, struct buf *out);

/* Text with what HTML would take for its own replaced. */
void put_text(struct buf *out, const char *text);

/* "3.250 ms", "12.5 s". Returns out. */
const char *span_text(uint64_t us, char out[32]);

extern const char report_css[];
extern const char picture_css[];
extern const char report_js[];

#endif
