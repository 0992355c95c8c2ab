/* The entities of the replicated state: what a pool is made of.
 *
 * Each is one field list, from which struct, encoding, limits, JSON and help follow
 * (core/schema.h). Fields are only ever added at the end of a list, as OPT with a default: rows
 * written before stay as they are, byte for byte. */

#ifndef FSM_ENTITY_H
#define FSM_ENTITY_H

#include "core/schema.h"

/* Values of the enumerations; the names that people see are in entity.c (enum_<name>). Numbers are
 * stored: never change one. */
enum host_state {
    HOST_JOINING, /* Known, its daemon has not reported yet. */
    HOST_UP,      /* Its daemon reported and the master hears it. */
    HOST_DOWN,    /* The master has not heard it for host_timeout_ms. Its guests may still run. */
    HOST_LEAVING  /* Being removed. */
};
enum guest_state {
    GUEST_STOPPED,
    GUEST_STARTING, /* Placed on a host; its agent brings it up. */
    GUEST_RUNNING,
    GUEST_PAUSED,
    GUEST_STOPPING,  /* Asked to shut down, or being destroyed. */
    GUEST_MIGRATING, /* Runs on its host while a copy is being made on another. */
    GUEST_FAILED,    /* Could not be started, or died too often: code and detail say why. */
    GUEST_PENDING,   /* Lost with its host; waits for a place to run again. */
    GUEST_SAVING,    /* Stands still on its host while its memory is written to a file. */
    GUEST_SAVED      /* Its memory is in a file, for one run: docs/protocols/saving.md. */
};
enum guest_want { /* What the operator wants; the agents work towards it. */
    WANT_OFF,
    WANT_RUNNING,
    WANT_PAUSED
};
enum stop_mode {
    STOP_NONE,
    STOP_SHUTDOWN, /* Ask the guest. */
    STOP_DESTROY,  /* At once. */
    STOP_REBOOT    /* Ask the guest; it is started again when it is gone. */
};
enum on_exit { /* on_poweroff, on_reboot, on_crash of vm.cfg. */
    ON_EXIT_DESTROY,
    ON_EXIT_RESTART,
    ON_EXIT_PRESERVE
};
enum exit_reason {
    EXIT_NONE,
    EXIT_POWEROFF, /* The guest shut itself down. */
    EXIT_REBOOT,
    EXIT_CRASH,     /* The guest panicked, or its hypervisor process died. */
    EXIT_DESTROYED, /* We ended it. */
    EXIT_LOST       /* It was gone when its host came back. */
};
enum op_kind {
    OP_START,
    OP_SHUTDOWN,
    OP_DESTROY,
    OP_PAUSE,
    OP_UNPAUSE,
    OP_MIGRATE,
    OP_EVACUATE, /* Of a host: its guests are migrated away, a few at a time. */
    OP_RETURN,   /* Of a host: the guests that an evacuation moved away come back. */
    OP_RESTART,  /* Of the pool: the daemons of its hosts are restarted, one after the other. */
    OP_REBOOT,
    OP_SAVE,
    OP_RESUME,
    OP_ATTACH, /* Of a disk or a network card. */
    OP_DETACH
};
enum op_state {
    OP_RUNNING,
    OP_DONE,
    OP_FAILED,
    OP_CANCELLED
};
/* Phases of an operation never go back. The first four are a migration's (migration/README.md);
 * every other kind is in OP_PHASE_WORK until it ends. */
enum op_phase {
    OP_PHASE_PREPARE,  /* The target makes an incoming copy. */
    OP_PHASE_TRANSFER, /* The source streams; the copy is paused. */
    OP_PHASE_SWITCHED, /* Ownership passed: the target resumes, the source discards. */
    OP_PHASE_ABORTED,  /* Ownership stayed: the source goes on, the target discards. */
    OP_PHASE_WORK,
    OP_PHASE_ENDED
};
enum guarantee {       /* What ends a host's protected guests when its lease ends. */
    GUARANTEE_NONE,    /* Its daemon alone, or nothing is known yet. */
    GUARANTEE_GUARD,   /* The guard, whatever becomes of the daemon. */
    GUARANTEE_WATCHDOG /* The guard, and behind it a watchdog that takes the host. */
};
enum repo_kind {
    REPO_DIR /* A directory that every host sees under the same path. */
};
enum repo_state {
    REPO_NEW,   /* Added, not yet initialised. */
    REPO_READY, /* Initialised: every host links it. */
    REPO_DELETING
};

extern const struct enum_names enum_host_state, enum_guest_state, enum_guest_want, enum_stop_mode,
    enum_on_exit, enum_exit_reason, enum_op_kind, enum_op_state, enum_op_phase, enum_repo_kind,
    enum_repo_state, enum_guarantee;

/* clang-format off */
/*    kind  name             aux         flags   min max            def   unit   help */
#define DISK_FIELDS(F) \
    F(str,  path,            _,          REQ,    1,  LIMIT_PATH,    0,    "",    "Absolute path, or repository-name:path below its root") \
    F(str,  device,          _,          OPT,    0,  15,            0,    "",    "Name in the guest: hda, xvda, vdb, sda, hdc:cdrom is cdrom=on") \
    F(str,  format,          _,          OPT,    0,  15,            0,    "",    "raw, qcow2 or vmdk; empty is raw") \
    F(bool, readonly,        _,          OPT,    0,  1,             0,    "",    "The guest cannot write") \
    F(bool, cdrom,           _,          OPT,    0,  1,             0,    "",    "A CD drive")

#define VIF_FIELDS(F) \
    F(str,  mac,             _,          OPT,    0,  17,            0,    "",    "aa:bb:cc:dd:ee:ff") \
    F(str,  bridge,          _,          OPT,    0,  15,            0,    "",    "Host bridge; empty: no host side") \
    F(str,  model,           _,          OPT,    0,  15,            0,    "",    "Emulated card") \
    F(u32,  slot,            _,          OPT,    0,  LIMIT_VIFS,    0,    "",    "Its place in the guest, from 1; 0: as it stands in the list")

/* Of a guest whose creator and image say nothing of it. */
#define GUEST_MEMORY_MIB 128u
#define GUEST_VCPUS      1u

/* Migrations that an evacuation has under way at most, whatever is asked. */
#define LIMIT_PARALLEL 16

/* What vm.cfg says of a guest: its hardware and how it boots. A guest that was created has memory and
 * CPUs; before that 0 is "not said". */
#define GUEST_CONFIG_FIELDS(F) \
    F(u32,  memory_mib,      _,          OPT,    8,  1u << 24,      0,    "MiB", "Memory; left out: the image's, else 128") \
    F(u32,  maxmem_mib,      _,          OPT,    0,  1u << 24,      0,    "MiB", "Largest memory it may be given; 0 is memory") \
    F(u32,  vcpus,           _,          OPT,    1,  512,           0,    "",    "Virtual CPUs; left out: the image's, else 1") \
    F(str,  type,            _,          OPT,    0,  3,             0,    "",    "On Xen: pv, pvh or hvm; left out: the image's, else pv") \
    F(str,  kernel,          _,          OPT,    0,  LIMIT_PATH,    0,    "",    "Kernel to boot directly (path as of a disk)") \
    F(str,  ramdisk,         _,          OPT,    0,  LIMIT_PATH,    0,    "",    "Initial RAM disk of that kernel") \
    F(str,  cmdline,         _,          OPT,    0,  LIMIT_CMDLINE, 0,    "",    "Command line of that kernel: root and extra of vm.cfg") \
    F(str,  boot,            _,          OPT,    0,  7,             0,    "",    "Boot order: c disk, d CD, n network") \
    F(list, disks,           disk,       OPT,    0,  LIMIT_DISKS,   0,    "",    "Disks") \
    F(list, vifs,            vif,        OPT,    0,  LIMIT_VIFS,    0,    "",    "Network cards") \
    F(bool, vnc,             _,          OPT,    0,  1,             0,    "",    "A VNC console") \
    F(str,  vnc_password,    _,          SECRET, 0,  63,            0,    "",    "Password of the VNC console") \
    F(enm,  on_poweroff,     on_exit,    OPT,    0,  2,             0,    "",    "When the guest powers off") \
    F(enm,  on_reboot,       on_exit,    OPT,    0,  2,             1,    "",    "When the guest reboots") \
    F(enm,  on_crash,        on_exit,    OPT,    0,  2,             1,    "",    "When the guest crashes")

#define POOL_FIELDS(F) \
    F(id,   id,              _,          REQ,    16, 16,            0,    "",    "Identity of the pool") \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Name") \
    F(u64,  created_ms,      _,          REQ,    0,  UINT64_MAX,    0,    "ms",  "Wall time of pool init") \
    F(u32,  feature_level,   _,          OPT,    1,  1000,          1,    "",    "Format level of the replicated state") \
    F(u64,  next_epoch,      _,          OPT,    1,  UINT64_MAX,    1,    "",    "Run epoch to give out next") \
    F(u64,  next_raft_id,    _,          OPT,    1,  UINT64_MAX,    1,    "",    "Member number to give out next") \
    F(u32,  voters,          _,          OPT,    1,  LIMIT_VOTERS,  5,    "",    "Most hosts that vote (odd)") \
    F(str,  master,          _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Preferred master") \
    F(str,  root,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Cluster root repository") \
    F(bool, ha,              _,          OPT,    0,  1,             1,    "",    "High availability for guests that have it on") \
    F(u32,  host_timeout_ms, _,          OPT,    200, 600000,       2000, "ms",  "Silence after which a host counts as down") \
    F(u32,  start_timeout_ms, _,         OPT,    1000, 3600000,     60000, "ms", "Deadline of a start, shutdown or pause") \
    F(u32,  migrate_timeout_ms, _,       OPT,    1000, 86400000,    600000, "ms", "Deadline of a migration") \
    F(u32,  events_kept,     _,          OPT,    100, 10000000,     20000, "",   "Events that are kept") \
    F(u32,  requests_kept,   _,          OPT,    1000, 1000000,     20000, "",   "Outcomes kept for retried requests") \
    F(u32,  requests_kept_ms, _,         OPT,    60000, 86400000,   3600000, "ms", "Time for which those are kept at most") \
    F(u32,  lease_ms,        _,          OPT,    1000, 60000,       3000, "ms",  "Length of a host lease") \
    F(u32,  lease_renew_ms,  _,          OPT,    1,  60000,         500,  "ms",  "A host renews its lease this often") \
    F(u32,  kill_margin_ms,  _,          OPT,    100, 60000,        500,  "ms",  "Protected guests are killed so long before the lease ends") \
    F(u32,  clock_error_permille, _,     OPT,    1,  100,           10,   "",    "Bound on the error of each clock's rate, in thousandths") \
    F(u32,  lease_bound_ms,  _,          OPT,    1000, 60000,       3000, "ms",  "No lease in force is longer than this") \
    F(u32,  vcpu_percent,    _,          OPT,    0,  10000,         0,    "%",   "Most virtual CPUs a host takes, of its processors; 0: no limit") \
    F(u32,  failures_to_tolerate, _,     OPT,    0,  3,             0,    "",    "Hosts that may be lost so that every protected guest has a place; what breaks that is refused") \
    F(u32,  fence_hosts,     _,          OPT,    0,  LIMIT_HOSTS,   2,    "",    "Most hosts that are fenced by lease without an operator, unless fence_percent allows more") \
    F(u32,  fence_percent,   _,          OPT,    0,  100,           25,   "%",   "The same as a share of the pool; the larger of the two holds") \
    F(u32,  fence_window_ms, _,          OPT,    10000, 86400000,   600000, "ms", "Within so long; a host that was heard again does not count") \
    F(str,  power_command,   _,          OPT,    0,  LIMIT_PATH,    0,    "",    "Program that powers a host off: PROGRAM off HOST TARGET ADDRESS; exit status 0 is the proof; empty: none") \
    F(u32,  power_timeout_ms, _,         OPT,    1000, 300000,      20000, "ms", "It is given up after that") \
    F(u32,  voter_timeout_ms, _,         OPT,    1000, 86400000,    300000, "ms", "A voter that is silent for so long is replaced by a standby") \
    F(u64,  restart,         _,          OPT,    0,  UINT64_MAX,    0,    "",    "Operation that restarts its daemons; 0 is none") \
    F(u32,  guest_priority,  _,          OPT,    0,  1000,          100,  "",    "Priority of new guests that say none") \
    F(u32,  guest_backoff_ms, _,         OPT,    0,  3600000,       0,    "ms",  "restart_backoff_ms of new guests that say none")

#define HOST_FIELDS(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Name") \
    F(u64,  raft_id,         _,          REQ,    1,  UINT64_MAX,    0,    "",    "Member number; a host that lost its data gets a new one") \
    F(str,  address,         _,          REQ,    1,  LIMIT_ADDRESS, 0,    "",    "host:port where its daemon serves hosts and clients") \
    F(enm,  state,           host_state, OPT,    0,  3,             0,    "",    "State") \
    F(u64,  incarnation,     _,          OPT,    0,  UINT64_MAX,    0,    "",    "Starts of its daemon on this data directory") \
    F(str,  driver,          _,          OPT,    0,  15,            0,    "",    "Hypervisor driver") \
    F(u32,  memory_mib,      _,          OPT,    0,  UINT32_MAX,    0,    "MiB", "Memory for guests") \
    F(u32,  cpus,            _,          OPT,    0,  65535,         0,    "",    "Processors") \
    F(str,  migrate_address, _,          OPT,    0,  LIMIT_ADDRESS, 0,    "",    "Address that migration streams connect to (no port)") \
    F(bool, can_master,      _,          OPT,    0,  1,             1,    "",    "May become master") \
    F(bool, can_utility,     _,          OPT,    0,  1,             1,    "",    "Does copying and converting") \
    F(bool, can_run,         _,          OPT,    0,  1,             1,    "",    "Runs guests") \
    F(bool, maintenance,     _,          OPT,    0,  1,             0,    "",    "Takes no new guests") \
    F(u32,  feature_level,   _,          OPT,    1,  1000,          1,    "",    "Highest format level its program knows") \
    F(str,  version,         _,          OPT,    0,  31,            0,    "",    "Version of its program") \
    F(u64,  since_ms,        _,          OPT,    0,  UINT64_MAX,    0,    "ms",  "Log time of the last change of state") \
    F(bool, fenced,          _,          OPT,    0,  1,             0,    "",    "Proved to have let go of its protected guests; until it is heard again") \
    F(u64,  evacuation,      _,          OPT,    0,  UINT64_MAX,    0,    "",    "Operation that moves its guests away; 0 is none") \
    F(u64,  fenced_ms,       _,          OPT,    0,  UINT64_MAX,    0,    "ms",  "Log time at which its lease fenced it; 0: it is not, or by another proof") \
    F(bool, held,            _,          OPT,    0,  1,             0,    "",    "Its lease is over and the fence budget is spent: an operator's host fence frees its guests, or time") \
    F(enm,  guarantee,       guarantee,  OPT,    0,  2,             0,    "",    "What ends its protected guests when its lease ends") \
    F(str,  power_target,    _,          OPT,    0,  LIMIT_NAME,    0,    "",    "What the power-off program calls it") \
    F(u64,  restarted,       _,          OPT,    0,  UINT64_MAX,    0,    "",    "Last rolling restart that is done with it")

#define GUEST_FIELDS(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Name") \
    F(id,   uuid,            _,          REQ,    16, 16,            0,    "",    "Identity") \
    F(enm,  state,           guest_state, OPT,   0,  9,             0,    "",    "State") \
    F(enm,  want,            guest_want, OPT,    0,  2,             0,    "",    "What the operator wants") \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host that owns it; empty when stopped") \
    F(u64,  run_epoch,       _,          OPT,    0,  UINT64_MAX,    0,    "",    "Epoch of the current run; only a copy with this one may run") \
    F(u64,  generation,      _,          OPT,    0,  UINT64_MAX,    0,    "",    "Counts the changes of this row") \
    F(u64,  op,              _,          OPT,    0,  UINT64_MAX,    0,    "",    "Operation under way; 0 is none") \
    F(enm,  stop,            stop_mode,  OPT,    0,  3,             0,    "",    "How it is being stopped") \
    F(enm,  exit,            exit_reason, OPT,   0,  5,             0,    "",    "Why the last run ended") \
    F(u32,  code,            _,          OPT,    0,  1000,          0,    "",    "Why it is failed: an error number, without sign") \
    F(str,  detail,          _,          OPT,    0,  LIMIT_DETAIL,  0,    "",    "What the hypervisor said of it") \
    F(u32,  restarts,        _,          OPT,    0,  UINT32_MAX,    0,    "",    "Restarts since it last ran well") \
    F(bool, ha,              _,          OPT,    0,  1,             0,    "",    "Restart elsewhere when its host is lost") \
    F(u32,  priority,        _,          OPT,    0,  1000,          100,  "",    "Restart order: higher first") \
    F(strs, preferred,       _,          OPT,    0,  8,             0,    "",    "Hosts it may run on; empty: any") \
    F(str,  image,           _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Image it was made from") \
    F(u64,  created_ms,      _,          OPT,    0,  UINT64_MAX,    0,    "ms",  "Log time of its creation") \
    F(u64,  since_ms,        _,          OPT,    0,  UINT64_MAX,    0,    "ms",  "Log time of the last change of state") \
    F(rec,  config,          guest_config, OPT,  0,  0,             0,    "",    "Hardware and boot") \
    F(bool, changed,         _,          OPT,    0,  1,             0,    "",    "Memory or CPUs were set since it started; they come with the next start") \
    F(bool, guarded,         _,          OPT,    0,  1,             0,    "",    "Every copy of this run runs only under its host's guard") \
    F(str,  apart,           _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Never on one host with another guest of this group") \
    F(str,  together,        _,          OPT,    0,  LIMIT_NAME,    0,    "",    "On one host with the guests of this group, where that is possible") \
    F(u32,  restart_limit,   _,          OPT,    0,  1000,          5,    "",    "Restarts in a row, none of which ran well, after which it is failed") \
    F(u32,  restart_window_ms, _,        OPT,    1000, 86400000,    60000, "ms", "A run that lasted so long ran well") \
    F(u32,  restart_backoff_ms, _,       OPT,    0,  3600000,       0,    "ms",  "Wait before the second restart in a row, doubled with each; 0: none") \
    F(u32,  restart_delay_ms, _,         OPT,    0,  3600000,       0,    "ms",  "Wait before it runs elsewhere when its host is lost") \
    F(u64,  not_before_ms,   _,          OPT,    0,  UINT64_MAX,    0,    "ms",  "Pending: log time before which it is not to be started; the master counts from since_ms") \
    F(str,  last_host,       _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Pending: host that it was on") \
    F(str,  moved_from,      _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host that an evacuation moved it away from, to which it can go back") \
    F(str,  dir,             _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Directory of its disks in running_pool; empty: its name") \
    F(str,  saved,           _,          OPT,    0,  LIMIT_PATH,    0,    "",    "File of its saved memory, good for one run")

#define REPO_FIELDS(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Name") \
    F(id,   id,              _,          REQ,    16, 16,            0,    "",    "Identity") \
    F(enm,  kind,            repo_kind,  OPT,    0,  0,             0,    "",    "Kind") \
    F(str,  source,          _,          REQ,    1,  LIMIT_PATH,    0,    "",    "Directory, export or device") \
    F(enm,  state,           repo_state, OPT,    0,  2,             0,    "",    "State") \
    F(bool, root,            _,          OPT,    0,  1,             0,    "",    "The cluster root") \
    F(strs, ready_on,        _,          OPT,    0,  LIMIT_HOSTS,   0,    "",    "Hosts that have it at hand") \
    F(str,  detail,          _,          OPT,    0,  LIMIT_DETAIL,  0,    "",    "The last trouble a host had with it")

#define OP_FIELDS(F) \
    F(u64,  id,              _,          REQ,    1,  UINT64_MAX,    0,    "",    "Number: the log index that began it") \
    F(enm,  kind,            op_kind,    OPT,    0,  13,            0,    "",    "Kind") \
    F(str,  subject,         _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest; of an evacuation: host") \
    F(enm,  phase,           op_phase,   OPT,    0,  5,             0,    "",    "Phase; never goes back") \
    F(enm,  state,           op_state,   OPT,    0,  3,             0,    "",    "State") \
    F(str,  src,             _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Source host") \
    F(str,  dst,             _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Target host") \
    F(u64,  src_epoch,       _,          OPT,    0,  UINT64_MAX,    0,    "",    "Run epoch at the source") \
    F(u64,  dst_epoch,       _,          OPT,    0,  UINT64_MAX,    0,    "",    "Run epoch at the target") \
    F(str,  address,         _,          OPT,    0,  LIMIT_ADDRESS, 0,    "",    "Where the incoming copy listens") \
    F(str,  key,             _,          SECRET, 0,  127,           0,    "",    "One-time key of the stream; gone when the operation ends") \
    F(bool, live,            _,          OPT,    0,  1,             1,    "",    "The guest runs while it is copied") \
    F(u32,  rate_mib_per_s,  _,          OPT,    0,  1000000,       0,    "MiB/s", "Bandwidth limit; 0 is none") \
    F(u64,  created_ms,      _,          OPT,    0,  UINT64_MAX,    0,    "ms",  "Log time of its begin") \
    F(u64,  deadline_ms,     _,          OPT,    0,  UINT64_MAX,    0,    "ms",  "Log time after which the master ends it; 0 is none") \
    F(u64,  ended_ms,        _,          OPT,    0,  UINT64_MAX,    0,    "ms",  "Log time of its end") \
    F(u32,  code,            _,          OPT,    0,  1000,          0,    "",    "Why it failed: an error number, without sign") \
    F(str,  detail,          _,          OPT,    0,  LIMIT_DETAIL,  0,    "",    "What went wrong, in words") \
    F(str,  user,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Who asked") \
    F(id,   request,         _,          OPT,    16, 16,            0,    "",    "Request that began it") \
    F(u64,  parent,          _,          OPT,    0,  UINT64_MAX,    0,    "",    "Migration: the evacuation that it is part of") \
    F(u32,  parallel,        _,          OPT,    0,  LIMIT_PARALLEL, 0,   "",    "Evacuation: most migrations at a time") \
    F(u32,  moved,           _,          OPT,    0,  UINT32_MAX,    0,    "",    "Evacuation: guests that were moved") \
    F(u32,  failed,          _,          OPT,    0,  UINT32_MAX,    0,    "",    "Evacuation: migrations that failed since one went well") \
    F(str,  path,            _,          OPT,    0,  LIMIT_PATH,    0,    "",    "Save: the file") \
    F(list, disks,           disk,       OPT,    0,  1,             0,    "",    "Attach, detach: the disk") \
    F(list, vifs,            vif,        OPT,    0,  1,             0,    "",    "Attach, detach: the network card") \
    F(bool, force,           _,          OPT,    0,  1,             0,    "",    "Detach: although the guest does not let go of it")

#define EVENT_FIELDS(F) \
    F(u64,  seq,             _,          REQ,    1,  UINT64_MAX,    0,    "",    "Number, without gaps") \
    F(u64,  index,           _,          REQ,    1,  UINT64_MAX,    0,    "",    "Log index that made it") \
    F(u64,  time_ms,         _,          REQ,    0,  UINT64_MAX,    0,    "ms",  "Log time") \
    F(str,  kind,            _,          REQ,    1,  31,            0,    "",    "guest.started, host.down, op.ended, ...") \
    F(str,  subject,         _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Name of the guest, host, repository or pool") \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host concerned") \
    F(u64,  op,              _,          OPT,    0,  UINT64_MAX,    0,    "",    "Operation concerned") \
    F(u64,  epoch,           _,          OPT,    0,  UINT64_MAX,    0,    "",    "Run epoch concerned") \
    F(u32,  code,            _,          OPT,    0,  1000,          0,    "",    "Error number, without sign") \
    F(str,  detail,          _,          OPT,    0,  LIMIT_DETAIL,  0,    "",    "What changed") \
    F(str,  user,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Who asked")

/* What came of a command. `code` is 0 or the number of an ERR_* without sign; the sentence for
 * people is made at the edge (outcome_text()). a and b are numbers that belong to the code: needed
 * and free MiB for NO_ROOM, expected and found generation for STALE, state for STATE. */
#define OUTCOME_FIELDS(F) \
    F(u32,  code,            _,          OPT,    0,  1000,          0,    "",    "0, or an error number without sign") \
    F(u64,  index,           _,          REQ,    1,  UINT64_MAX,    0,    "",    "Log index of the command") \
    F(u64,  op,              _,          OPT,    0,  UINT64_MAX,    0,    "",    "Operation it began") \
    F(str,  what,            _,          OPT,    0,  31,            0,    "",    "Kind of thing concerned: guest, host, field") \
    F(str,  name,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Its name") \
    F(str,  detail,          _,          OPT,    0,  LIMIT_DETAIL,  0,    "",    "A name or value that belongs to the code") \
    F(u64,  a,               _,          OPT,    0,  UINT64_MAX,    0,    "",    "First number") \
    F(u64,  b,               _,          OPT,    0,  UINT64_MAX,    0,    "",    "Second number")
/* clang-format on */

SCHEMA_STRUCT(disk, DISK_FIELDS)
SCHEMA_STRUCT(vif, VIF_FIELDS)
SCHEMA_STRUCT(guest_config, GUEST_CONFIG_FIELDS)
SCHEMA_STRUCT(pool, POOL_FIELDS)
SCHEMA_STRUCT(host, HOST_FIELDS)
SCHEMA_STRUCT(guest, GUEST_FIELDS)
SCHEMA_STRUCT(repo, REPO_FIELDS)
SCHEMA_STRUCT(op, OP_FIELDS)
SCHEMA_STRUCT(event, EVENT_FIELDS)
SCHEMA_STRUCT(outcome, OUTCOME_FIELDS)

extern const struct schema schema_disk, schema_vif, schema_guest_config, schema_pool, schema_host,
    schema_guest, schema_repo, schema_op, schema_event, schema_outcome;

/* One sentence for people, made from the outcome of the command `name`: "guest web1 not found". */
void outcome_text(const struct outcome *o, struct buf *out);

#endif
