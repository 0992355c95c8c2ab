/* The driver interface: what quorate asks of a hypervisor, and what it hears from it.
 *
 * A driver runs guests on this one host. It knows nothing of the pool: it is told what to run, with
 * which run epoch, and stamps that on what it runs, so that after any crash of the daemon the next
 * one can tell which copies are whose (adoption). It never decides to start, stop or resume.
 *
 * Every request is asynchronous: the call returns at once, the callback fires exactly once, later,
 * from the loop, never from inside the call; it is the last thing done with the request, whose
 * memory the caller embeds and owns. A request has a deadline (ms from now); at the deadline its
 * callback fires with ERR_TIMEOUT, and what the hypervisor still does is told by events. (A MIGRATE
 * that timed out is being cancelled then; whether that came in time is told by the state, RUNNING,
 * PAUSED or DEPARTED.) Requests for one guest are carried out in order, with two exceptions: a
 * DESTROY waits for nothing and ends what was asked of the same copy before it with ERR_CANCELLED;
 * and nothing waits for the end of a MIGRATE or SAVE. Loop thread only. */

#ifndef HVDRIVER_HVDRIVER_H
#define HVDRIVER_HVDRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/id.h"
#include "core/limits.h"

struct uv_loop_s;
struct hv; /* A driver at work. */
struct hv_req;

struct hv_disk {
    char path[LIMIT_PATH + 1]; /* Absolute, on this host. */
    char device[16];           /* As in vm.cfg: hda, xvda, vda. */
    char format[16];           /* "raw" when empty. */
    bool readonly;
    bool cdrom;
};

struct hv_vif {
    char mac[18];
    char bridge[16]; /* Empty: a card that is connected to nothing. */
    char model[16];  /* Empty: the driver's default. */
    uint32_t slot;   /* Its place in the guest, from 1, which stays when other cards go; 0: as it
                        stands in the list. */
};

/* Everything a driver needs to run a guest; paths are absolute on this host. Must be the same on
 * both ends of a migration but for paths. */
struct hv_spec {
    char name[LIMIT_NAME + 1];
    char
        host[LIMIT_NAME + 1]; /* This host's name, told to the guest by firmware (SMBIOS serial). */
    struct id uuid;
    uint64_t epoch; /* Stamp of this run. */
    char type[4];   /* Xen: "pv", "pvh", "hvm"; empty: the driver's default. */
    uint32_t memory_mib;
    uint32_t maxmem_mib;
    uint32_t vcpus;
    char kernel[LIMIT_PATH + 1];
    char ramdisk[LIMIT_PATH + 1];
    char cmdline[LIMIT_CMDLINE + 1];
    char boot[8];
    struct hv_disk disks[LIMIT_DISKS];
    uint32_t n_disks;
    struct hv_vif vifs[LIMIT_VIFS];
    uint32_t n_vifs;
    bool vnc;
    char vnc_password[64];
    bool paused; /* Do not let it run after the start. */
    /* Go on from what HV_SAVE wrote to this file; the spec but for paths is as it was then. The
     * copy has ARRIVED when the START is done: it never runs by itself. Empty: boot. */
    char restore[LIMIT_PATH + 1];
};

/* A copy of a guest on this host is named by uuid and epoch: during a migration to the same host
 * (never done) or around a restart two may exist for a moment. */
struct hv_key {
    struct id uuid;
    uint64_t epoch;
};

enum hv_state {
    HV_GONE, /* No such copy here. */
    HV_STARTING,
    HV_RUNNING,
    HV_PAUSED,
    HV_INCOMING, /* Target of a migration, not complete. */
    HV_ARRIVED,  /* Target of a migration, complete and paused; has never run here. */
    HV_OUTGOING, /* Source of a migration; runs until the last pass. */
    HV_DEPARTED, /* Source of a migration that completed: paused, its disks released. */
    HV_PANICKED  /* The guest's kernel gave up; paused. */
};

enum hv_exit {
    HV_EXIT_UNKNOWN,  /* It is gone and left no word (process killed, host restarted). */
    HV_EXIT_POWEROFF, /* The guest powered itself off. */
    HV_EXIT_REBOOT,   /* The guest asked for a reboot (drivers run it as an exit). */
    HV_EXIT_CRASH,
    HV_EXIT_DESTROYED, /* On our request. */
    HV_EXIT_INCOMING   /* An incoming copy that could not be completed. */
};

/* What is heard without asking. Fires from the loop. */
enum hv_event_kind {
    HV_EVENT_STATE,   /* The copy's state is now `state`. */
    HV_EVENT_EXIT,    /* The copy is gone: `exit`, with `detail`. All its resources are released. */
    HV_EVENT_PROGRESS /* An outgoing migration: `progress`. About twice a second. */
};

struct hv_progress {
    uint64_t total_bytes;
    uint64_t sent_bytes;
    uint64_t remaining_bytes;
    uint64_t rate_bytes_per_s;
    uint64_t dirty_bytes_per_s;
    uint32_t passes;
    uint32_t percent;
    uint32_t downtime_ms; /* Measured when complete, else expected; 0 unknown. */
};

struct hv_event {
    enum hv_event_kind kind;
    struct hv_key key;
    enum hv_state state;
    enum hv_exit exit;
    struct hv_progress progress;
    char detail[LIMIT_DETAIL + 1];
};

typedef void (*hv_event_fn)(void *ctx, const struct hv_event *event);

/* One copy, as enumerated by hv_list() and hv_lookup(). */
struct hv_info {
    struct hv_key key;
    char name[LIMIT_NAME + 1];
    enum hv_state state;
    uint32_t memory_mib;
    uint32_t vcpus;
    int32_t vnc_display;          /* -1: none. */
    uint64_t started_ms;          /* Wall time. */
    int64_t pid;                  /* Of its process; 0 if it has none. */
    uint32_t domain;              /* Xen's number of it, at this moment; 0 if it has none. */
    char console[LIMIT_PATH + 1]; /* Unix socket or terminal of its console; "" if none. */
    char log[LIMIT_PATH + 1];     /* File that keeps what the console said; "" if none. */
};

struct hv_host_info {
    char driver[16];
    char version[64]; /* Of the hypervisor. */
    uint32_t memory_mib;
    uint32_t cpus;
    bool can_migrate;
    bool can_pause;
    bool survives_daemon; /* Guests go on when the daemon dies. */
};

enum hv_op {
    HV_START,    /* in.spec. Done when it runs (or is paused, as the spec says). */
    HV_SHUTDOWN, /* in.key. Asks the guest (power button); done when asked. The exit is an event. */
    HV_DESTROY,  /* in.key. Done when it is gone and everything is released; also if it was. */
    HV_PAUSE,    /* in.key. Done when it stands still. */
    HV_UNPAUSE,  /* in.key. Done when it runs. Also lets a copy that ARRIVED or DEPARTED run: the
                    caller has the right to (it owns the epoch). */
    HV_RESET,    /* in.key. Hard reset. */
    HV_INCOMING_START, /* in.spec. Make a copy that receives; done when it listens: out.address,
                       out.key. It never runs by itself, also not when complete. */
    HV_MIGRATE, /* in.key, in.address, in.secret, in.rate. Stream to that address. Done with 0
                   when the other end has everything and says so (state DEPARTED: paused for
                   good until HV_UNPAUSE or HV_DESTROY), or with an error when nothing was
                   given away (the guest runs on here). */
    HV_MIGRATE_CANCEL, /* in.key. Done when the migration has ended, either way: look at state. */
    HV_SAVE,           /* in.key, in.path. Write the guest's memory to this new file (a missing last
                          directory is made); it stands still from the beginning. Done with 0 when the
                          file is whole and synced (state DEPARTED, as after a MIGRATE), or with an
                          error when there is none and the guest is as before: ERR_EXISTS when
                          something of that name is there. Ended by HV_MIGRATE_CANCEL. */
    HV_ATTACH, /* in.key, in.disk or in.vif. Done when the guest has it, also if it had. What the
                  hypervisor cannot do while the guest runs is ERR_UNSUPPORTED. */
    HV_DETACH, /* in.key, in.disk or in.vif, in.force. Done when the guest has let go of it,
                  also if it was gone; ERR_TIMEOUT when it does not, and with force it is
                  taken from it, or ERR_UNSUPPORTED. */
    HV_RESTAMP /* in.key, in.epoch. A copy that ARRIVED gets the epoch under which it will run
                  (a target is started under its own, so normally not needed). */
};

struct hv_req {
    /* in */
    enum hv_op op;
    struct hv_key key;               /* All but START and INCOMING_START. */
    const struct hv_spec *spec;      /* Borrowed until the callback. */
    char address[LIMIT_ADDRESS + 1]; /* MIGRATE: where to; INCOMING_START: own address to listen on,
                                        port chosen by the driver. */
    char secret[128];                /* MIGRATE: the one-time key. */
    char path[LIMIT_PATH + 1];       /* SAVE: absolute. */
    const struct hv_disk *disk;      /* ATTACH, DETACH: this disk, or */
    const struct hv_vif *vif;        /* this card, with its slot; borrowed until the callback. */
    bool force;                      /* DETACH. */
    uint64_t rate_bytes_per_s;       /* MIGRATE: 0 is no limit. */
    bool live;                       /* MIGRATE: false pauses the guest first. */
    uint64_t epoch;                  /* RESTAMP. */
    uint32_t deadline_ms; /* From now; 0 is the default: 30 s; LIMIT_DEADLINE_MS for MIGRATE, SAVE
                             and a START from a file. */
    void (*done)(struct hv_req *req);
    void *data; /* The caller's. */
    /* out */
    struct err err;                      /* err.code 0 on success. */
    enum hv_state state;                 /* Of the copy when it was done. */
    char ret_address[LIMIT_ADDRESS + 1]; /* INCOMING_START: "host:port". */
    char ret_secret[128];                /* INCOMING_START: the one-time key. */
    /* private */
    struct hv_req *next;
    uint64_t due_ms;
    bool begun;
};

struct hv_options {
    const char *driver;  /* "qemu", "sim", "xen". */
    const char *run_dir; /* Sockets, pid files, stamps; survives the daemon, not the host. */
    const char *log_dir; /* Console logs of guests. */
    const char *host;    /* This host's name. */
    uint32_t memory_mib; /* Memory for guests; 0: what the machine has. */
    bool image_locking; /* The hypervisor's own image locks; off only in tests of our protection. */
    hv_event_fn event;
    void *ctx; /* Of `event`. */
    /* The program that runs or drives guests. NULL: qemu-system-x86_64 in PATH; for xen,
     * quorate-xen beside this program. */
    const char *emulator;
};

/* Open a driver: finds what already runs here (adoption) before it returns; those copies are in
 * hv_list() at once, in the state they are in. ERR_UNSUPPORTED (driver not in this program, or
 * hypervisor missing: the message says what to install), ERR_IO, ERR_LOCKED. */
int hv_open(struct hv **ret,
            struct uv_loop_s *loop,
            const struct hv_options *options,
            struct err *e);

/* Let go of everything but the guests. Callbacks under way fire with ERR_CANCELLED from the loop
 * before `closed` does. */
void hv_close(struct hv *hv, void (*closed)(void *ctx), void *ctx);

/* Begin a request. Bad input (a path that does not exist, a size out of range) is also told through
 * the callback. */
void hv_submit(struct hv *hv, struct hv_req *req);

/* What this host offers. */
void hv_host_info(struct hv *hv, struct hv_host_info *ret);

/* Copies on this host now: index 0, 1, ... in order of uuid and epoch. false at the end. */
bool hv_list(struct hv *hv, uint32_t i, struct hv_info *ret);
/* One copy: false if it is not here. */
bool hv_lookup(struct hv *hv, const struct hv_key *key, struct hv_info *ret);

/* Names of the drivers in this program, ended by NULL. */
const char *const *hv_drivers(void);

const char *hv_state_name(enum hv_state state);
const char *hv_exit_name(enum hv_exit exit);

#endif
