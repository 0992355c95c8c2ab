/* A simulator of this folder: the node as it runs in production, on virtual time, virtual disks and
 * a virtual network, all from one seed.
 *
 *   sim_world.c    time, hosts, the loop of each
 *   sim_net.c      connections: delay, loss, resets, cuts (also one-way)
 *   sim_disk.c     struct node_io's disk: writes under way are lost or torn by a crash; snapshots
 *   sim_machine.c  a toy machine that knows requests by their number
 *   sim_client.c   proposals and reads at any host, and what must be true of their answers
 *   sim_check.c    what must be true of the hosts
 *   sim_chaos.c    what goes wrong
 *
 * Time is in microseconds. Ties are broken by the order of scheduling. */

#ifndef RAFTLOG_TESTS_SIM_H
#define RAFTLOG_TESTS_SIM_H

#include "core/rng.h"

#include "raftlog/node.h"

#define SIM_HOSTS    8u
#define SIM_REQUESTS 8192u
#define SIM_KEYS     4u
#define SIM_INDEXES  65536u

enum sim_fault { /* What may go wrong in a run. */
    SIM_CRASH = 1 << 0,
    SIM_CUT = 1 << 1,
    SIM_DROP = 1 << 2,
    SIM_SLOW = 1 << 3,
    SIM_PAUSE = 1 << 4,
    SIM_SNAPSHOT = 1 << 5,
    SIM_MEMBER = 1 << 6,
    SIM_TRANSFER = 1 << 7,
    SIM_FULL = 1 << 8,
    SIM_ALL = (1 << 9) - 1
};

/* Mistakes of the simulated surroundings, planted to see the checkers find them. */
enum sim_plant {
    SIM_PLANT_NONE,
    SIM_PLANT_LOSE_SYNCED, /* A crash loses entries that were reported durable. */
    SIM_PLANT_FORGET_VOTE, /* A crash loses the vote. */
    SIM_PLANT_APPLY_OTHER, /* A machine applies other bytes. */
    SIM_PLANT_APPLY_TWICE, /* A machine forgets which requests it knows. */
    SIM_PLANT_DONE_TWICE,  /* A proposal is answered twice. */
    SIM_PLANT_STALE_READ,  /* A read is answered from before it was asked. */
    SIM_PLANT_NO_LIVENESS  /* A cut that is never healed. */
};

struct sim_options {
    uint64_t seed;
    uint32_t hosts; /* 0: 3 or 5. */
    unsigned faults;
    unsigned mutants;
    enum sim_plant plant;
    uint64_t chaos_us; /* How long things go wrong. */
    bool no_reset;     /* Nobody is told that a process died. */
    bool quiet_clients;
    bool small_snapshots;  /* As SIM_SNAPSHOT has them. */
    uint32_t install_ms;   /* As node_options.install_ms; 0: 1500. */
    uint32_t broken_sends; /* The first so many snapshots do not arrive, and the sender knows; */
    uint32_t lost_sends;   /* after these, so many do not, and it does not know. */
};

/* The toy machine: registers, and which requests took effect. */
struct sim_machine {
    uint64_t applied;
    uint64_t digest;
    uint64_t effects;
    uint32_t regs[SIM_KEYS];
    uint8_t known[SIM_REQUESTS / 8];
};

struct sim_entry {
    uint64_t term;
    enum node_entry_type type;
    uint32_t len;
    uint8_t *data;
};

/* A snapshot file. */
struct sim_file {
    struct node_snapshot meta;
    uint8_t conf[NODE_CONF_MAX / 8];
    struct sim_machine machine;
};

struct sim_op {
    struct sim_op *next;
    enum {
        OP_APPEND,
        OP_TRIM,
        OP_RESTORE,
        OP_TAKE
    } kind;
    uint64_t index; /* First entry; first to keep; job. */
    uint32_t n;
    struct sim_entry *entries;
    struct sim_file *file;
};

struct sim_disk {
    uint64_t term, vote;
    uint64_t first; /* Of the log. */
    uint32_t n, cap;
    struct sim_entry *log;
    struct sim_file *snapshot;     /* NULL: none. */
    struct sim_file *received;     /* Complete, not yet taken over. */
    struct sim_op *ops, **ops_end; /* Under way, in order. */
    uint64_t begin_us, end_us;     /* Of the newest write. */
    uint64_t fsync_us;             /* Up to this; half of it at least. */
};

struct sim_host {
    struct sim *sim;
    uint32_t slot;
    bool used; /* Has a member number. */
    bool up;
    uint64_t id;
    uint32_t epoch; /* Counts starts: what was under way before is void. */
    struct node *node;
    struct sim_disk disk;
    struct sim_machine machine;
    uint64_t busy_us;   /* The loop blocks in a synchronous write until then. */
    uint64_t paused_us; /* The process is stopped until then. */
    bool flush_due;
    bool changed;
    bool stopped;
    bool full;
    char address[16];
};

struct sim_link {        /* Of a pair of hosts, and of one direction. */
    bool cut[2];         /* [0]: from the lower slot to the higher. */
    uint64_t last_us[2]; /* In order. */
    uint32_t epoch;
    bool up;
    bool told[2];      /* Whether the side was told that it is up. */
    uint64_t quiet_us; /* Until both were told that it is down. */
};

struct sim_request {
    struct raftlog_proposal p;
    struct sim *sim;
    uint32_t number;
    uint32_t slot;
    uint32_t epoch; /* Of the host that was asked. */
    bool asked;
    bool done;
    int code;
    uint64_t asked_us, done_us;
    uint64_t effect_index; /* Where it took effect, as first seen by any machine. */
    uint8_t bytes[48];
};

struct sim_read {
    struct raftlog_read r;
    struct sim *sim;
    struct sim_host *host;
    uint32_t epoch;
    uint64_t floor; /* What it must see. */
    bool open;
};

#define SIM_READS     512u
#define SIM_ADRIFT_MS 700u /* Of every third request. */

struct sim_event {
    uint64_t at_us;
    uint64_t seq;
    void (*fire)(struct sim *sim, struct sim_event *event);
    struct sim_host *host;
    uint32_t epoch;
    struct sim_host *from;
    struct sim_link *link;
    uint32_t link_epoch;
    uint64_t number;
    bool flag;
    size_t len;
    uint8_t *data;
    struct sim_file *file;
};

struct sim {
    struct sim_options options;
    struct rng rng;
    uint64_t now_us;
    uint64_t seq;
    struct sim_event **heap;
    uint32_t heap_n, heap_cap;
    struct sim_host hosts[SIM_HOSTS];
    struct sim_link links[SIM_HOSTS][SIM_HOSTS]; /* [low][high] */
    uint64_t next_id;
    uint32_t drop_per_mille;
    bool chaos;
    /* What was seen: */
    bool failed;
    char failure[256];
    uint64_t leaders[4096]; /* Of each term. */
    struct {
        uint64_t term;
        uint64_t hash;
    } committed[SIM_INDEXES];
    uint64_t committed_max;
    uint64_t floor; /* The newest index that an answer showed to anybody. */
    struct sim_request *requests;
    uint32_t requests_n;
    struct sim_read reads[SIM_READS];
    /* Counted, so that a test can tell that things happened: */
    uint64_t crashes, elections, installs, taken, changes, acked, reads_done, events, sent, sends;
};

/* --- sim_world.c */
struct sim *sim_new(const struct sim_options *options);
void sim_free(struct sim *sim);
/* The whole life: chaos, healing, final checks. Returns whether all held; sim->failure says what
 * did not. */
bool sim_run(struct sim *sim);
/* Virtual time passes. */
void sim_pass(struct sim *sim, uint64_t us);
/* Until it holds; false if it did not within this time. */
bool sim_until(struct sim *sim, bool (*holds)(struct sim *sim), uint64_t us);
void sim_fail(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct sim_event *sim_schedule(struct sim *sim,
                               uint64_t delay_us,
                               struct sim_host *host,
                               void (*fire)(struct sim *sim, struct sim_event *event));
void sim_host_start(struct sim_host *host);
void sim_host_crash(struct sim_host *host);
void sim_host_pause(struct sim_host *host, uint64_t us);
/* After any input to its node: checks, and its loop goes on. */
void sim_host_touched(struct sim_host *host);
struct sim_host *
sim_leader(struct sim *sim); /* Of the highest term, with an own entry committed. */
struct sim_host *sim_host_of(struct sim *sim, uint64_t id);
uint64_t sim_ms(const struct sim *sim);
uint64_t sim_below(struct sim *sim, uint64_t n);

/* --- sim_net.c */
void sim_net_send(struct sim_host *from, uint64_t to, const void *data, size_t len);
void sim_net_tick(struct sim *sim); /* Every 20 ms: connections are made and given up. */
void sim_net_crashed(struct sim_host *host);
struct sim_link *sim_net_link(struct sim *sim, uint32_t a, uint32_t b);
bool sim_net_cut(struct sim *sim, uint32_t from, uint32_t to);
void sim_net_set_cut(struct sim *sim, uint32_t from, uint32_t to, bool cut);
void sim_net_heal(struct sim *sim);

/* --- sim_disk.c */
void sim_disk_init(struct sim_disk *disk);
void sim_disk_done(struct sim_disk *disk);
void sim_disk_crash(struct sim_host *host);
void sim_disk_io(struct node_io *io); /* Its part of the vtable. */
/* What recovery finds; entries to be freed. */
void sim_disk_recover(struct sim_host *host, struct node_recovered *ret);
void sim_disk_found(struct sim_host *host); /* A pool of hosts 0..n-1. */

/* --- sim_machine.c */
int sim_machine_apply(void *ctx, const struct raftlog_entry *entries, uint32_t n, struct err *e);

/* --- sim_client.c */
void sim_client_act(struct sim *sim);
struct sim_request *sim_client_propose(struct sim_host *host, uint32_t deadline_ms);
void sim_client_read(struct sim_host *host, uint32_t deadline_ms);
void sim_client_crashed(struct sim_host *host);
void sim_client_io(struct node_io *io);
struct sim_request *sim_client_request(struct sim *sim, const void *data, size_t len);

/* --- sim_check.c */
void sim_check_host(struct sim_host *host);
void sim_check_applied(struct sim_host *host, const struct raftlog_entry *entry);
void sim_check_end(struct sim *sim);
bool sim_check_equal(struct sim *sim);
void sim_dump(struct sim *sim); /* What the leader knows, for a person. */

/* --- sim_chaos.c */
void sim_chaos_act(struct sim *sim);
void sim_chaos_heal(struct sim *sim);

#endif
