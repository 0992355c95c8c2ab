/* The conformance suite: what every driver must do, as one list of tests. A test program says which
 * driver it is about (struct conf_kind) and runs conf_tests[]. */

#ifndef HVDRIVER_TESTS_CONFORMANCE_H
#define HVDRIVER_TESTS_CONFORMANCE_H

/* cmocka.h needs the first three before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <uv.h>
/* clang-format on */

#include "hvdriver/driver.h"

/* What the suite must know of a driver, and how it gets at its guests from behind. */
struct conf_kind {
    const char *driver;
    const char *kernel;   /* A guest that counts, or any file. */
    const char *model;    /* A network card the guest understands; "" for none. */
    const char *type;     /* Of guests; NULL: the driver's default. */
    const char *emulator; /* NULL: the driver's default. */
    bool processes;       /* A copy is a process: info.pid. */
    bool remembers;       /* Why a guest ended is known also when no daemon watched. */
    uint32_t patience_ms; /* For whatever is waited for; 0: 10 s. */
    bool takes_part;      /* The guest takes part in its moves and saves: it must run. */
    bool lets_go;         /* The guest lets go of a device when it is asked to. */
    /* The guest's counter, and how often it counts. */
    uint32_t beat_ms;
    uint64_t (*counter)(struct hv *hv, const struct hv_key *key);
    /* The guest powers itself off ('Q'), reboots ('R'), panics ('P'). */
    void (*guest_does)(struct hv *hv, const struct hv_key *key, char what);
    /* The copy is killed as by -9. */
    void (*kill)(struct hv *hv, const struct hv_key *key);
    /* Makes starts and migrations slow enough to be interrupted. */
    void (*slow)(struct hv *hv);
    uint64_t slow_rate;
};

extern const struct conf_kind *conf_kind;

/* One host: a driver with its directories, all on one loop. */
struct host {
    struct hv *hv;
    char dir[64];
    struct hv_event events[256];
    uint32_t n_events;
};

struct world {
    char dir[32];
    uv_loop_t loop;
    struct host a;
    struct host b;
};

int world_setup(void **state);
/* Destroys what is left, closes, and checks that nothing is left over. */
int world_teardown(void **state);

void host_open(struct world *w, struct host *h, const char *name);
int host_try_open(struct world *w, struct host *h, const char *name, struct err *e);
void hosts_open(struct world *w); /* Both. */
void host_close(struct world *w, struct host *h);

/* A guest of 16 MiB that counts; the same number gives the same uuid. */
struct hv_spec a_guest(int number, uint64_t epoch);
struct hv_key key_of(const struct hv_spec *spec);

/* Do it and wait for its end; returns err.code. */
int run_op(struct world *w, struct host *h, struct hv_req *req);
int do_op(struct world *w, struct host *h, enum hv_op op, const struct hv_key *key);
void start(struct world *w, struct host *h, const struct hv_spec *spec);
/* Submit only; `done_flag` of the request says when: see is_done(). */
void submit(struct host *h, struct hv_req *req);
bool is_done(const struct hv_req *req);
void wait_done(struct world *w, struct hv_req *req);

enum hv_state state_of(struct host *h, const struct hv_key *key);
/* Run the loop until it is so; fails the test when its patience is over. */
void wait_state(struct world *w, struct host *h, const struct hv_key *key, enum hv_state state);
enum hv_exit wait_exit(struct world *w, struct host *h, const struct hv_key *key);
void wait_counter(struct world *w, struct host *h, const struct hv_key *key, uint64_t above);
/* It counts on, or from the beginning. */
void wait_counter_changes(struct world *w, struct host *h, const struct hv_key *key);
uint64_t counter(struct host *h, const struct hv_key *key);
/* Whether such an event was heard. */
bool heard_state(struct host *h, const struct hv_key *key, enum hv_state state);
void run_for(struct world *w, uint32_t ms);
/* As long as no guest that runs stands still. */
void run_a_while(struct world *w);
void run_once(struct world *w);

/* Guest 1, under epoch 1 on host a, which is open: started; and, the other, counting too. */
struct hv_key running_guest(struct world *w);
struct hv_key counting_guest(struct world *w);

/* Host h waits for guest 1 under this epoch: the request that made it so. */
struct hv_req incoming(struct world *w, struct host *h, uint64_t epoch);
/* A live migration, to be submitted, of the copy under this epoch to where `in` waits. */
struct hv_req move_to(const struct hv_req *in, uint64_t epoch);
/* Begin a slow one from a to b of guest 1, from epoch 1 to 2; returns when it is OUTGOING. `req`
 * ends later. */
void begin_slow_migration(struct world *w, struct hv_req *req);

/* Another process with the driver of host `name`: does `job` ("start", "incoming", "migrate"), says
 * so, and lives until it is killed with -9. ret_line: what it said, 256 bytes. */
pid_t child_start(struct world *w,
                  const char *name,
                  const char *job,
                  const char *arg,
                  char *ret_line);
void child_kill(pid_t pid);
/* main() of a test program calls this first. */
void child_main(int argc, char **argv);

/* main() of a driver's test program: these suites; returns how many tests failed. */
enum {
    CONF_LIFE = 1,
    CONF_MOVES = 2,
    CONF_SAVES = 4,
    CONF_DEVICES = 8
};
int run_conformance(int argc, char **argv, unsigned suites);

extern const struct CMUnitTest conf_life_tests[];
extern const size_t n_conf_life_tests;
extern const struct CMUnitTest conf_migration_tests[];
extern const size_t n_conf_migration_tests;
extern const struct CMUnitTest conf_saving_tests[];
extern const size_t n_conf_saving_tests;
extern const struct CMUnitTest conf_device_tests[];
extern const size_t n_conf_device_tests;

#endif
