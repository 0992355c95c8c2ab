/* Driver sim from inside: guests that are nothing but files.
 *
 * A guest is the file <run_dir>/<uuid>.<epoch>.sim: what it is, its state, and its counter, which
 * grows by one every 10 ms while it runs (so it needs nobody to count). The files outlive the
 * daemon, as real guests do, and a host's power cut is the deletion of run_dir. A migration is a
 * TCP stream between two drivers that carries the counter and is as careful as a real one. */

#ifndef HVDRIVER_SIM_H
#define HVDRIVER_SIM_H

#include "hvdriver/driver.h"

/* How long things take. */
struct sim_times {
    uint32_t start_ms;
    uint32_t destroy_ms;
    uint32_t pause_ms;    /* Also unpause, reset, restamp. */
    uint32_t shutdown_ms; /* From the power button to the power off. */
    uint32_t migrate_ms;  /* At least; longer if a rate limit asks for it. */
};

/* For tests and the failure lab; loop thread only. */
struct sim_times *sim_times(struct hv *hv);
/* The next request of this kind fails with `code`; with ERR_TIMEOUT it never ends. 0 takes it back.
 */
void sim_fail_next(struct hv *hv, enum hv_op op, int code);
/* The guest does it by itself, as soon as the loop runs. False: no such copy runs here. */
bool sim_guest_poweroff(struct hv *hv, const struct hv_key *key);
bool sim_guest_reboot(struct hv *hv, const struct hv_key *key);
bool sim_guest_panic(struct hv *hv, const struct hv_key *key);
/* The copy vanishes without a word, as a process killed with -9. */
bool sim_kill(struct hv *hv, const struct hv_key *key);
/* The counter now; 0 if there is no such copy. */
uint64_t sim_counter(struct hv *hv, const struct hv_key *key);

/* ---- between the files of the driver ---- */

struct sim_stream;

struct sim_copy {
    struct hv_copy base;
    struct hv *hv;
    /* In the file. */
    uint64_t counter;         /* At since_ms. */
    uint64_t since_ms;        /* When it began to run; 0: stands still. Clock of this boot. */
    uint64_t shutdown_ms;     /* When it will power itself off; 0: not asked. Clock of this boot. */
    char file[HV_STAMP_SIZE]; /* Stamp in the name of the file: a restamp does not change it. */
    /* In memory. */
    uv_timer_t timer; /* The request under way. */
    uv_timer_t life;  /* What the guest will do by itself. */
    uv_timer_t saving;
    uint32_t handles;
    struct hv_req *req; /* Under way, but for MIGRATE. */
    struct hv_req *migrate;
    struct hv_req *cancel; /* Waits for the end of the migration. */
    bool was_running;      /* Before the migration. */
    bool start_paused;
    char save_path[LIMIT_PATH + 1]; /* Of the SAVE under way, which is `migrate`. */
    struct sim_stream *stream;
};

struct sim {
    struct sim_times times;
    int fail[HV_RESTAMP + 1]; /* By op; RESTAMP is the last. */
};

uint64_t sim_now(void);
uint64_t sim_copy_counter(const struct sim_copy *c);

/* Write the file. 0 or ERR_*. */
int sim_save(const struct sim_copy *c, struct err *e);
/* Read it; `stamp` is its name without ".sim". 0, ERR_CORRUPT or ERR_IO. */
int sim_load(struct hv *hv, const char *stamp, struct sim_copy *ret, struct err *e);
void sim_remove(const struct sim_copy *c);

/* Change the state, in memory and in the file; its counter stands still or goes on accordingly.
 * When the file cannot be written nothing changes. */
int sim_set(struct sim_copy *c, enum hv_state state, struct err *e);
/* The copy ends: out of the table, file removed, told. Requests under way fail. */
void sim_end(struct sim_copy *c, enum hv_exit why, const char *detail);

/* SAVE: ends in sim_migrated(). And the counter in such a file: 0, ERR_IO or ERR_CORRUPT. */
void sim_memory_save(struct sim_copy *c, struct hv_req *req);
int sim_memory_read(const char *path, uint64_t *ret_counter, struct err *e);

/* Listen for one migration, for an INCOMING copy: fills the address and key of `req`. Ends in
 * sim_received(). */
int sim_stream_listen(struct sim_copy *c, struct hv_req *req, struct err *e);
/* Send the copy: ends in sim_migrated(). */
int sim_stream_send(struct sim_copy *c, const struct hv_req *req, struct err *e);
/* Stop receiving or sending, if so. No callback. */
void sim_stream_stop(struct sim_copy *c);
/* The end of a migration at its source: 0 or why not. */
void sim_migrated(struct sim_copy *c, const struct err *e);
/* The end of a migration at its target: it has everything and may say so, or the copy is no more
 * (then false is returned). */
bool sim_received(struct sim_copy *c, uint64_t counter, const struct err *e);

#endif
