/* The fields of every command, and their records. One list a command; see commands.def.
 *
 * What is chosen by chance or by policy (ids, hosts, addresses) is chosen before a command is
 * proposed and carried in it. A field `generation` that is not 0 is a precondition: the guest's row
 * must still be at that generation, or the command is rejected as STALE. */

#ifndef FSM_COMMANDS_H
#define FSM_COMMANDS_H

#include "fsm/entity.h"

enum guest_report_what {
    REPORT_STARTED, /* Runs (again), with this epoch. Also a crashed daemon's word on adoption. */
    REPORT_FAILED,  /* Could not be started: code and detail. */
    REPORT_EXITED,  /* Gone: reason. */
    REPORT_PAUSED,
    REPORT_UNPAUSED,
    REPORT_GUARDED,   /* Its copy is under the guard. */
    REPORT_UNGUARDED, /* It will be taken from there once this is applied. */
    REPORT_RESTORED,  /* Its copy has the saved memory and stands still. */
    REPORT_DEVICE     /* The device of the operation under way is there, or gone. */
};
extern const struct enum_names enum_guest_report_what;

/* clang-format off */
/*    kind  name             aux         flags   min max            def   unit   help */
#define CMD_pool_init(F) \
    F(id,   id,              _,          AUTO,   16, 16,            0,    "",    "Identity of the pool") \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Name of the pool") \
    F(str,  host,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Name of its first host") \
    F(str,  address,         _,          REQ,    1,  LIMIT_ADDRESS, 0,    "",    "Address of its first host")
#define CMD_pool_set(F) \
    F(str,  name,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "New name") \
    F(u32,  voters,          _,          OPT,    0,  LIMIT_VOTERS,  0,    "",    "Most hosts that vote (odd)") \
    F(str,  ha,              _,          OPT,    0,  3,             0,    "",    "on or off") \
    F(u32,  host_timeout_ms, _,          OPT,    0,  600000,        0,    "ms",  "Silence after which a host counts as down") \
    F(u32,  start_timeout_ms, _,         OPT,    0,  3600000,       0,    "ms",  "Deadline of a start, shutdown or pause") \
    F(u32,  migrate_timeout_ms, _,       OPT,    0,  86400000,      0,    "ms",  "Deadline of a migration") \
    F(u32,  events_kept,     _,          OPT,    0,  10000000,      0,    "",    "Events that are kept") \
    F(u32,  requests_kept,   _,          OPT,    0,  1000000,       0,    "",    "Outcomes kept for retried requests") \
    F(u32,  lease_ms,        _,          OPT,    0,  60000,         0,    "ms",  "Length of a host lease") \
    F(u32,  lease_renew_ms,  _,          OPT,    0,  60000,         0,    "ms",  "A host renews its lease this often") \
    F(u32,  kill_margin_ms,  _,          OPT,    0,  60000,         0,    "ms",  "Protected guests are killed so long before the lease ends") \
    F(u32,  clock_error_permille, _,     OPT,    0,  100,           0,    "",    "Bound on the error of each clock's rate, in thousandths") \
    F(u32,  vcpu_percent,    _,          OPT,    0,  10001,         10001, "%",  "Most virtual CPUs a host takes, of its processors; 0: no limit") \
    F(u32,  failures_to_tolerate, _,     OPT,    0,  4,             4,    "",    "Hosts that may be lost so that every protected guest has a place; what breaks that is refused") \
    F(bool, force,           _,          OPT,    0,  1,             0,    "",    "HA on although a guest that has it could run on one host only") \
    F(u32,  fence_hosts,     _,          OPT,    0,  65,            65,   "",    "Most hosts that are fenced by lease without an operator, unless fence_percent allows more") \
    F(u32,  fence_percent,   _,          OPT,    0,  101,           101,  "%",   "The same as a share of the pool; the larger of the two holds") \
    F(u32,  fence_window_ms, _,          OPT,    0,  86400000,      0,    "ms",  "Within so long; a host that was heard again does not count") \
    F(str,  power_command,   _,          OPT,    0,  LIMIT_PATH,    0,    "",    "Program that powers a host off: PROGRAM off HOST TARGET ADDRESS; exit status 0 is the proof; none for none") \
    F(u32,  power_timeout_ms, _,         OPT,    0,  300000,        0,    "ms",  "It is given up after that") \
    F(u32,  voter_timeout_ms, _,         OPT,    0,  86400000,      0,    "ms",  "A voter that is silent for so long is replaced by a standby") \
    F(u32,  guest_priority,  _,          OPT,    0,  1001,          1001, "",    "Priority of new guests that say none") \
    F(u32,  guest_backoff_ms, _,         OPT,    0,  3600001,       3600001, "ms", "restart_backoff_ms of new guests that say none")
#define CMD_pool_set_master(F) \
    F(str,  host,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host that shall be master")
#define CMD_pool_set_level(F) \
    F(u32,  level,           _,          REQ,    1,  1000,          0,    "",    "Level that every host supports")
#define CMD_pool_check(F) \
    F(u64,  index,           _,          REQ,    1,  UINT64_MAX,    0,    "",    "Log index at which the hash was taken") \
    F(str,  hash,            _,          REQ,    32, 32,            0,    "",    "State hash there")
#define CMD_host_add(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Name of the new host") \
    F(str,  address,         _,          REQ,    1,  LIMIT_ADDRESS, 0,    "",    "host:port where its daemon listens")
#define CMD_host_remove(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host to remove") \
    F(bool, force,           _,          OPT,    0,  1,             0,    "",    "Although it does not answer")
#define CMD_host_set(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host to change") \
    F(str,  can_master,      _,          OPT,    0,  3,             0,    "",    "on or off: may become master") \
    F(str,  can_utility,     _,          OPT,    0,  3,             0,    "",    "on or off: does copying and converting") \
    F(str,  can_run,         _,          OPT,    0,  3,             0,    "",    "on or off: runs guests") \
    F(str,  address,         _,          OPT,    0,  LIMIT_ADDRESS, 0,    "",    "New address") \
    F(str,  power_target,    _,          OPT,    0,  LIMIT_NAME,    0,    "",    "What the power-off program calls it; none for nothing")
#define CMD_host_report(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host") \
    F(u64,  raft_id,         _,          REQ,    1,  UINT64_MAX,    0,    "",    "Its member number") \
    F(u64,  incarnation,     _,          REQ,    1,  UINT64_MAX,    0,    "",    "Starts of its daemon") \
    F(str,  driver,          _,          OPT,    0,  15,            0,    "",    "Hypervisor driver") \
    F(u32,  memory_mib,      _,          OPT,    0,  UINT32_MAX,    0,    "MiB", "Memory for guests") \
    F(u32,  cpus,            _,          OPT,    0,  65535,         0,    "",    "Processors") \
    F(str,  migrate_address, _,          OPT,    0,  LIMIT_ADDRESS, 0,    "",    "Address for migration streams") \
    F(u32,  feature_level,   _,          OPT,    1,  1000,          1,    "",    "Highest format level it knows") \
    F(str,  version,         _,          OPT,    0,  31,            0,    "",    "Version of its program")
#define CMD_host_seen(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host") \
    F(u64,  raft_id,         _,          REQ,    1,  UINT64_MAX,    0,    "",    "Its member number") \
    F(bool, up,              _,          OPT,    0,  1,             0,    "",    "Heard again")
#define CMD_host_renew(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host") \
    F(u64,  old_raft_id,     _,          REQ,    1,  UINT64_MAX,    0,    "",    "Member number that is given up")
#define CMD_host_fence(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host that is off") \
    F(str,  reason,          _,          REQ,    1,  LIMIT_DETAIL,  0,    "",    "How that is known")
#define CMD_host_lease_over(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host") \
    F(u64,  term,            _,          REQ,    1,  UINT64_MAX,    0,    "",    "Of the master that waited; the entry must stand under it")
#define CMD_lease_settled(F) \
    F(u32,  lease_ms,        _,          REQ,    1000, 60000,       0,    "ms",  "Setting since which the master waited") \
    F(u64,  term,            _,          REQ,    1,  UINT64_MAX,    0,    "",    "Of the master that waited; the entry must stand under it")
#define CMD_host_maintenance(F) \
    F(str,  mode,            _,          REQ,    2,  3,             0,    "",    "on or off") \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host") \
    F(bool, evacuate,        _,          OPT,    0,  1,             1,    "",    "Migrate its guests away; off leaves them") \
    F(u32,  parallel,        _,          OPT,    1,  LIMIT_PARALLEL, 2,   "",    "Migrations at a time") \
    F(bool, move_back,       _,          OPT,    0,  1,             0,    "",    "With off: the guests that were moved away come back")
#define CMD_host_evacuate(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host") \
    F(u32,  parallel,        _,          OPT,    1,  LIMIT_PARALLEL, 2,   "",    "Migrations at a time") \
    F(bool, force,           _,          OPT,    0,  1,             0,    "",    "Although not every guest has a place to go to")
#define CMD_evacuation_end(F) \
    F(u64,  id,              _,          REQ,    1,  UINT64_MAX,    0,    "",    "Operation") \
    F(u32,  code,            _,          OPT,    0,  1000,          0,    "",    "0: the host is empty; else why it cannot be emptied") \
    F(str,  detail,          _,          OPT,    0,  LIMIT_DETAIL,  0,    "",    "The same in words")
#define CMD_repo_new(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Name") \
    F(id,   id,              _,          AUTO,   16, 16,            0,    "",    "Identity") \
    F(enm,  kind,            repo_kind,  OPT,    0,  0,             0,    "",    "Kind") \
    F(str,  source,          _,          REQ,    1,  LIMIT_PATH,    0,    "",    "Directory that every host sees under this path")
#define CMD_repo_delete(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Repository")
#define CMD_repo_init(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Repository")
#define CMD_repo_root(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Repository")
#define CMD_repo_report(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Repository") \
    F(str,  host,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host that reports") \
    F(bool, ready,           _,          OPT,    0,  1,             0,    "",    "At hand there") \
    F(str,  detail,          _,          OPT,    0,  LIMIT_DETAIL,  0,    "",    "Trouble, in words")
#define CMD_guest_create(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Name of the guest") \
    F(id,   uuid,            _,          AUTO,   16, 16,            0,    "",    "Identity") \
    F(str,  image,           _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Image of the root repository to make it from") \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host to start it on; empty: the roomiest") \
    F(bool, start,           _,          OPT,    0,  1,             1,    "",    "Start it") \
    F(bool, paused,          _,          OPT,    0,  1,             0,    "",    "Leave it paused after the start") \
    F(bool, ha,              _,          OPT,    0,  1,             0,    "",    "Restart elsewhere when its host is lost") \
    F(u32,  priority,        _,          OPT,    0,  1001,          1001, "",    "Restart order: higher first; left out: the pool's guest_priority") \
    F(strs, preferred,       _,          OPT,    0,  8,             0,    "",    "Hosts it may run on") \
    F(rec,  config,          guest_config, OPT,  0,  0,             0,    "",    "Hardware and boot") \
    F(str,  apart,           _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Never on one host with another guest of this group") \
    F(str,  together,        _,          OPT,    0,  LIMIT_NAME,    0,    "",    "On one host with the guests of this group, where that is possible") \
    F(bool, force,           _,          OPT,    0,  1,             0,    "",    "Although a protected guest may then have no place when hosts are lost, or this one could run on one host only") \
    F(u32,  restart_backoff_ms, _,       OPT,    0,  3600001,       3600001, "ms", "Wait before the second restart in a row, doubled with each; 0: none; left out: the pool's guest_backoff_ms")
#define CMD_guest_start(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host; empty: the roomiest") \
    F(bool, paused,          _,          OPT,    0,  1,             0,    "",    "Leave it paused") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition") \
    F(bool, again,           _,          AUTO,   0,  1,             0,    "",    "The pool's own restart of a pending guest: as wanted, and its restarts count on") \
    F(bool, force,           _,          OPT,    0,  1,             0,    "",    "Although a protected guest may then have no place when hosts are lost")
#define CMD_guest_shutdown(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition")
#define CMD_guest_destroy(F) CMD_guest_shutdown(F)
#define CMD_guest_pause(F) CMD_guest_shutdown(F)
#define CMD_guest_unpause(F) CMD_guest_shutdown(F)
#define CMD_guest_delete(F) CMD_guest_shutdown(F)
#define CMD_guest_set(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(u32,  memory_mib,      _,          OPT,    0,  1u << 24,      0,    "MiB", "Memory, from the next start on") \
    F(u32,  maxmem_mib,      _,          OPT,    0,  1u << 24,      0,    "MiB", "Largest memory, from the next start on") \
    F(u32,  vcpus,           _,          OPT,    0,  512,           0,    "",    "Virtual CPUs, from the next start on") \
    F(str,  ha,              _,          OPT,    0,  3,             0,    "",    "on or off") \
    F(u32,  priority,        _,          OPT,    0,  1001,          1001, "",    "Restart order: higher first") \
    F(str,  preferred,       _,          OPT,    0,  LIMIT_DETAIL,  0,    "",    "Hosts it may run on, with commas; any for all") \
    F(str,  on_poweroff,     _,          OPT,    0,  15,            0,    "",    "destroy, restart or preserve") \
    F(str,  on_reboot,       _,          OPT,    0,  15,            0,    "",    "destroy, restart or preserve") \
    F(str,  on_crash,        _,          OPT,    0,  15,            0,    "",    "destroy, restart or preserve") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition") \
    F(str,  apart,           _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Never on one host with another guest of this group; none for no group") \
    F(str,  together,        _,          OPT,    0,  LIMIT_NAME,    0,    "",    "On one host with the guests of this group, where that is possible; none for no group") \
    F(u32,  restart_limit,   _,          OPT,    0,  1001,          1001, "",    "Restarts in a row, none of which ran well, after which it is failed") \
    F(u32,  restart_window_ms, _,        OPT,    0,  86400000,      0,    "ms",  "A run that lasted so long ran well") \
    F(u32,  restart_backoff_ms, _,       OPT,    0,  3600001,       3600001, "ms", "Wait before the second restart in a row, doubled with each; 0: none") \
    F(u32,  restart_delay_ms, _,         OPT,    0,  3600001,       3600001, "ms", "Wait before it runs elsewhere when its host is lost") \
    F(bool, force,           _,          OPT,    0,  1,             0,    "",    "HA on although it could run on one host only")
#define CMD_guest_migrate(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Target; empty: the roomiest other host") \
    F(bool, live,            _,          OPT,    0,  1,             1,    "",    "The guest runs while it is copied") \
    F(u32,  rate_mib_per_s,  _,          OPT,    0,  1000000,       0,    "MiB/s", "Bandwidth limit; 0 is none") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition") \
    F(u64,  parent,          _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Evacuation that it is part of, which must be under way")
#define CMD_guest_rename(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  to,              _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Its new name") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition")
#define CMD_guest_clone(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  to,              _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Name of the new guest") \
    F(bool, fresh,           _,          OPT,    0,  1,             0,    "",    "Make the disks of its image anew; data of the guest is never shared") \
    F(id,   uuid,            _,          AUTO,   16, 16,            0,    "",    "Identity of the new guest") \
    F(strs, macs,            _,          AUTO,   0,  LIMIT_VIFS,    0,    "",    "MAC addresses of its network cards") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition")
#define CMD_guest_reboot(F) CMD_guest_shutdown(F)
#define CMD_guest_save(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  file,            _,          OPT,    0,  LIMIT_PATH,    0,    "",    "New file: /PATH or REPOSITORY:PATH; left out: one in the root repository") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition")
#define CMD_guest_resume(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host; empty: the roomiest") \
    F(bool, paused,          _,          OPT,    0,  1,             0,    "",    "Leave it paused") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition") \
    F(bool, force,           _,          OPT,    0,  1,             0,    "",    "Although a protected guest may then have no place when hosts are lost")
#define CMD_guest_saved(F) \
    F(u64,  op,              _,          REQ,    1,  UINT64_MAX,    0,    "",    "Operation") \
    F(str,  host,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Its host, whose copy stands still")
#define CMD_guest_block_attach(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  path,            _,          REQ,    1,  LIMIT_PATH,    0,    "",    "File or block device: /PATH or REPOSITORY:PATH") \
    F(str,  device,          _,          REQ,    1,  15,            0,    "",    "Name in the guest: xvdb, vdb") \
    F(str,  format,          _,          OPT,    0,  15,            0,    "",    "raw, qcow2 or vmdk; empty is raw") \
    F(bool, readonly,        _,          OPT,    0,  1,             0,    "",    "The guest cannot write") \
    F(bool, cdrom,           _,          OPT,    0,  1,             0,    "",    "A CD drive") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition")
#define CMD_guest_block_detach(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  device,          _,          REQ,    1,  15,            0,    "",    "Its name in the guest") \
    F(bool, force,           _,          OPT,    0,  1,             0,    "",    "Although the guest does not let go of it, which may cost it data") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition")
#define CMD_guest_network_attach(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  mac,             _,          OPT,    0,  17,            0,    "",    "aa:bb:cc:dd:ee:ff; left out: one of its own") \
    F(str,  bridge,          _,          OPT,    0,  15,            0,    "",    "Host bridge; empty: no host side") \
    F(str,  model,           _,          OPT,    0,  15,            0,    "",    "Emulated card") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition")
#define CMD_guest_network_detach(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  mac,             _,          REQ,    1,  17,            0,    "",    "Its MAC address") \
    F(bool, force,           _,          OPT,    0,  1,             0,    "",    "Although the guest does not let go of it") \
    F(u64,  generation,      _,          AUTO,   0,  UINT64_MAX,    0,    "",    "Precondition")
#define CMD_guest_report(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  host,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host that reports") \
    F(u64,  epoch,           _,          REQ,    1,  UINT64_MAX,    0,    "",    "Run epoch the report is about") \
    F(enm,  what,            guest_report_what, REQ, 0, 8,          0,    "",    "What happened") \
    F(enm,  exit,            exit_reason, OPT,   0,  5,             0,    "",    "Why it exited") \
    F(u32,  code,            _,          OPT,    0,  1000,          0,    "",    "Error number without sign") \
    F(str,  detail,          _,          OPT,    0,  LIMIT_DETAIL,  0,    "",    "What the hypervisor said")
#define CMD_migrate_prepared(F) \
    F(u64,  op,              _,          REQ,    1,  UINT64_MAX,    0,    "",    "Operation") \
    F(str,  host,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Target host") \
    F(str,  address,         _,          REQ,    1,  LIMIT_ADDRESS, 0,    "",    "Where the incoming copy listens") \
    F(str,  key,             _,          SECRET, 0,  127,           0,    "",    "One-time key of the stream")
#define CMD_migrate_switch(F) \
    F(u64,  op,              _,          REQ,    1,  UINT64_MAX,    0,    "",    "Operation") \
    F(str,  host,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Source host, whose copy is paused and complete at the target")
#define CMD_migrate_abort(F) \
    F(u64,  op,              _,          REQ,    1,  UINT64_MAX,    0,    "",    "Operation") \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host that gave up") \
    F(u32,  code,            _,          OPT,    0,  1000,          0,    "",    "Why: an error number without sign") \
    F(str,  detail,          _,          OPT,    0,  LIMIT_DETAIL,  0,    "",    "Why, in words")
#define CMD_op_cancel(F) \
    F(u64,  id,              _,          REQ,    1,  UINT64_MAX,    0,    "",    "Operation")
#define CMD_op_expire(F) \
    F(u64,  id,              _,          REQ,    1,  UINT64_MAX,    0,    "",    "Operation")
#define CMD_host_release(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host") \
    F(u64,  raft_id,         _,          REQ,    1,  UINT64_MAX,    0,    "",    "Its member number") \
    F(u64,  incarnation,     _,          REQ,    1,  UINT64_MAX,    0,    "",    "Of the daemon that let go; a later one may have begun anew")
#define CMD_pool_restart(F) \
    F(str,  guests,          _,          OPT,    0,  15,            0,    "",    "leave: they run on meanwhile; migrate: they are moved away before and come back; left out: leave") \
    F(u32,  parallel,        _,          OPT,    1,  LIMIT_PARALLEL, 2,   "",    "Migrations at a time")
#define CMD_restart_step(F) \
    F(u64,  id,              _,          REQ,    1,  UINT64_MAX,    0,    "",    "Operation") \
    F(str,  host,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host") \
    F(bool, begin,           _,          OPT,    0,  1,             0,    "",    "Its turn begins; else it is done")
#define CMD_host_power(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host") \
    F(u64,  raft_id,         _,          REQ,    1,  UINT64_MAX,    0,    "",    "Its member number") \
    F(u64,  incarnation,     _,          OPT,    0,  UINT64_MAX,    0,    "",    "Of its daemon when the program began; a later one lives") \
    F(bool, off,             _,          OPT,    0,  1,             0,    "",    "The program said that it is off") \
    F(str,  detail,          _,          OPT,    0,  LIMIT_DETAIL,  0,    "",    "What it printed")
#define CMD_host_guarantee(F) \
    F(str,  name,            _,          REQ,    1,  LIMIT_NAME,    0,    "",    "Host") \
    F(u64,  raft_id,         _,          REQ,    1,  UINT64_MAX,    0,    "",    "Its member number") \
    F(u64,  incarnation,     _,          REQ,    1,  UINT64_MAX,    0,    "",    "Of the daemon that says so") \
    F(enm,  guarantee,       guarantee,  OPT,    0,  2,             0,    "",    "What it has")
/* clang-format on */

/* struct cmd_guest_create and schema_cmd_guest_create, and so on. */
#define C(NUMBER, NAME, WHO, TITLE, SUMMARY) \
    SCHEMA_STRUCT(cmd_##NAME, CMD_##NAME)    \
    extern const struct schema schema_cmd_##NAME;
#include "fsm/commands.def"
#undef C

/* The numbers: COMMAND_guest_create is 30. */
enum command_number {
#define C(NUMBER, NAME, WHO, TITLE, SUMMARY) COMMAND_##NAME = (NUMBER),
#include "fsm/commands.def"
#undef C
};

enum command_who {
    COMMAND_USER,
    COMMAND_AGENT,
    COMMAND_MASTER
};

struct command {
    uint32_t number;
    enum command_who who;
    const char *name;  /* "guest_create": its name on the wire. */
    const char *title; /* "guest create": as typed. */
    const char *summary;
    const struct schema *schema;
};

/* Every command, in the order of commands.def. */
extern const struct command commands[];
extern const size_t n_commands;

const struct command *command_by_number(uint32_t number);
const struct command *command_by_name(const char *name); /* "guest_create" or "guest create". */

/* The field that is wrong whatever the state, NULL if none: for who must know before there is a log
 * to carry the command. */
const char *cmd_pool_init_wrong(const struct cmd_pool_init *c);

#endif
