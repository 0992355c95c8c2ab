/* clang-format off */
/* The interface between `quorate` and `quorated`: methods, and the rows that queries answer with.
 * Both programs link this table; any other client needs only it, core/rpc.h and the field lists.
 *
 * Methods (params and results are maps; * marks what must be given):
 *
 *   hello    {}                                    -> api_hello
 *   command  {name*: str, body*: bin, request*: bin16, deadline_ms: uint}
 *            -> outcome (fsm/entity.h). `name` is a command of fsm/commands.def, `body` its record's
 *            encoding. What is left empty and must not be chosen by the state machine (uuid, host,
 *            MAC addresses, the hardware of an image) is filled in by the daemon before proposing.
 *            The same request id gives the same outcome, through any host.
 *   query    {name*: str, subject: str, after: str, limit: uint, local: bool, deadline_ms: uint}
 *            -> {index: uint, rows: [row, ...], next: str}. `next` is not empty when there is more:
 *            pass it as `after`. Linearizable unless local. Names and rows: api_queries.
 *   wait     {op*: uint, deadline_ms: uint}        -> api_op, when it has ended (or as it stands when
 *            the deadline passes). Notices `progress` (api_op) come meanwhile, twice a second at most.
 *   events   {after: uint, follow: bool, limit: uint} -> {last: uint}, after notices `event` (event
 *            of fsm/entity.h). With follow it goes on until the client hangs up. `last` is the number
 *            of the newest event there is, shown or not. Events that are no longer kept are left
 *            out: the client sees it by their numbers, which have no gaps. limit 0: all.
 *   found    {name*: str, request: bin16}          -> outcome: makes a pool of this blank host.
 *   stop     {host*: str, name: str}               -> {}: this daemon ends; `host` must be its name.
 *            `name` is "release" to end its protected guests first, so that they start elsewhere at
 *            once, or left out to leave them running.
 *   transfer {host: str}                           -> {}: hand the mastership over now.
 */
/* clang-format on */

#ifndef CLI_API_H
#define CLI_API_H

#include "fsm/fsm.h"

/* Why a host cannot take a guest (cli/quorated/placement.h has the rules). */
enum place_no {
    PLACE_FITS,
    PLACE_LEAVES,
    PLACE_STATE,
    PLACE_FENCED,
    PLACE_MAINTENANCE,
    PLACE_EVACUATING,
    PLACE_CAN_RUN,
    PLACE_HOME,
    PLACE_PREFERRED,
    PLACE_REPO,
    PLACE_APART,
    PLACE_MEMORY,
    PLACE_VCPUS,
    PLACE_REFUSED,
    PLACE_BUSY
};
extern const struct enum_names enum_place_no;

/* clang-format off */
/*    kind  name             aux         flags   min max            def   unit   help */
#define API_HELLO_FIELDS(F) \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "This host") \
    F(str,  pool,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Its pool; empty: none yet") \
    F(str,  version,         _,          OPT,    0,  31,            0,    "",    "Version of its program") \
    F(str,  driver,          _,          OPT,    0,  15,            0,    "",    "Hypervisor driver") \
    F(bool, blank,           _,          OPT,    0,  1,             0,    "",    "Belongs to no pool")
#define API_POOL_FIELDS(F) \
    F(str,  name,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Name") \
    F(id,   id,              _,          OPT,    16, 16,            0,    "",    "Identity") \
    F(str,  master,          _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host that is master; empty: none known") \
    F(u64,  index,           _,          OPT,    0,  UINT64_MAX,    0,    "",    "Log index of this answer") \
    F(u64,  term,            _,          OPT,    0,  UINT64_MAX,    0,    "",    "Term of the log") \
    F(u32,  hosts,           _,          OPT,    0,  LIMIT_HOSTS,   0,    "",    "Hosts") \
    F(u32,  hosts_up,        _,          OPT,    0,  LIMIT_HOSTS,   0,    "",    "Hosts that are up") \
    F(u32,  voters,          _,          OPT,    0,  LIMIT_VOTERS,  0,    "",    "Hosts that vote") \
    F(u32,  guests,          _,          OPT,    0,  LIMIT_GUESTS,  0,    "",    "Guests") \
    F(u32,  running,         _,          OPT,    0,  LIMIT_GUESTS,  0,    "",    "Guests that run") \
    F(u32,  ops_open,        _,          OPT,    0,  UINT32_MAX,    0,    "",    "Operations under way") \
    F(bool, ha,              _,          OPT,    0,  1,             0,    "",    "High availability on") \
    F(str,  root,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Cluster root repository") \
    F(str,  preferred_master, _,         OPT,    0,  LIMIT_NAME,    0,    "",    "Preferred master") \
    F(str,  state_hash,      _,          OPT,    0,  32,            0,    "",    "Hash of the state at that index on the host that answers") \
    F(str,  answered_by,     _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host that answered") \
    F(u32,  failures_to_tolerate, _,     OPT,    0,  3,             0,    "",    "Hosts that shall be allowed to be lost") \
    F(u32,  tolerates,       _,          OPT,    0,  3,             0,    "",    "Hosts, whichever, that may be lost now so that every protected guest has a place; as far as it was looked for") \
    F(str,  costliest,       _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host whose loss would hurt most") \
    F(u64,  costliest_mib,   _,          OPT,    0,  UINT64_MAX,    0,    "MiB", "Memory of protected guests that would have to move then") \
    F(u32,  costliest_without_place, _,  OPT,    0,  LIMIT_GUESTS,  0,    "",    "Protected guests that would have no place then") \
    F(u32,  fence_limit,     _,          OPT,    0,  UINT32_MAX,    0,    "",    "Hosts that leases may fence now without an operator (settings fence_*)") \
    F(u32,  fences,          _,          OPT,    0,  LIMIT_HOSTS,   0,    "",    "Hosts that they have fenced, not heard again since") \
    F(u32,  hosts_held,      _,          OPT,    0,  LIMIT_HOSTS,   0,    "",    "Hosts whose lease is over and whose guests wait for the fence budget, or for an operator's host fence")
#define API_HOST_FIELDS(F) \
    F(str,  name,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Name") \
    F(enm,  state,           host_state, OPT,    0,  3,             0,    "",    "State") \
    F(bool, master,          _,          OPT,    0,  1,             0,    "",    "Is master") \
    F(str,  role,            _,          OPT,    0,  15,            0,    "",    "voter, standby, spare or none") \
    F(u64,  applied_index,   _,          OPT,    0,  UINT64_MAX,    0,    "",    "Log index it has applied") \
    F(str,  state_hash,      _,          OPT,    0,  32,            0,    "",    "Hash of its state there") \
    F(str,  address,         _,          OPT,    0,  LIMIT_ADDRESS, 0,    "",    "Address") \
    F(str,  driver,          _,          OPT,    0,  15,            0,    "",    "Hypervisor driver") \
    F(u32,  cpus,            _,          OPT,    0,  65535,         0,    "",    "Processors") \
    F(u32,  memory_mib,      _,          OPT,    0,  UINT32_MAX,    0,    "MiB", "Memory for guests") \
    F(u32,  reserved_mib,    _,          OPT,    0,  UINT32_MAX,    0,    "MiB", "Promised to guests") \
    F(u32,  guests,          _,          OPT,    0,  LIMIT_GUESTS,  0,    "",    "Guests it owns") \
    F(bool, maintenance,     _,          OPT,    0,  1,             0,    "",    "Takes no new guests") \
    F(bool, can_master,      _,          OPT,    0,  1,             0,    "",    "May become master") \
    F(bool, can_utility,     _,          OPT,    0,  1,             0,    "",    "Does copying and converting") \
    F(bool, can_run,         _,          OPT,    0,  1,             0,    "",    "Runs guests") \
    F(u64,  raft_id,         _,          OPT,    0,  UINT64_MAX,    0,    "",    "Member number") \
    F(u64,  incarnation,     _,          OPT,    0,  UINT64_MAX,    0,    "",    "Starts of its daemon") \
    F(str,  version,         _,          OPT,    0,  31,            0,    "",    "Version of its program") \
    F(u64,  evacuation,      _,          OPT,    0,  UINT64_MAX,    0,    "",    "Operation that moves its guests away") \
    F(bool, fenced,          _,          OPT,    0,  1,             0,    "",    "Proved to have let go of its protected guests, and not heard again") \
    F(bool, held,            _,          OPT,    0,  1,             0,    "",    "Its lease is over and the fence budget is spent: host fence frees its guests, or time") \
    F(enm,  guarantee,       guarantee,  OPT,    0,  2,             0,    "",    "What ends its protected guests when its lease ends: the guard, a watchdog behind it, or none but the daemon")
#define API_GUEST_FIELDS(F) \
    F(str,  name,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Name") \
    F(id,   uuid,            _,          OPT,    16, 16,            0,    "",    "Identity") \
    F(enm,  state,           guest_state, OPT,   0,  9,             0,    "",    "State") \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host") \
    F(u32,  vcpus,           _,          OPT,    0,  512,           0,    "",    "Virtual CPUs") \
    F(u32,  memory_mib,      _,          OPT,    0,  1u << 24,      0,    "MiB", "Memory") \
    F(bool, ha,              _,          OPT,    0,  1,             0,    "",    "Restart elsewhere when its host is lost") \
    F(u64,  run_epoch,       _,          OPT,    0,  UINT64_MAX,    0,    "",    "Epoch of the current run") \
    F(u64,  op,              _,          OPT,    0,  UINT64_MAX,    0,    "",    "Operation under way") \
    F(u32,  priority,        _,          OPT,    0,  1000,          0,    "",    "Restart order") \
    F(u64,  since_ms,        _,          OPT,    0,  UINT64_MAX,    0,    "ms",  "Since when it is in this state") \
    F(str,  image,           _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Image it was made from") \
    F(str,  reason,          _,          OPT,    0,  ERR_MSG_SIZE,  0,    "",    "Why it is failed or stopped, in words") \
    F(str,  saved,           _,          OPT,    0,  LIMIT_PATH,    0,    "",    "File of its saved memory")
#define API_OP_FIELDS(F) \
    F(u64,  id,              _,          OPT,    0,  UINT64_MAX,    0,    "",    "Number") \
    F(enm,  kind,            op_kind,    OPT,    0,  13,            0,    "",    "Kind") \
    F(str,  subject,         _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Guest; of an evacuation: host") \
    F(enm,  phase,           op_phase,   OPT,    0,  5,             0,    "",    "Phase") \
    F(u32,  progress,        _,          OPT,    0,  100,           0,    "%",   "Done") \
    F(enm,  state,           op_state,   OPT,    0,  3,             0,    "",    "State") \
    F(str,  src,             _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Source host") \
    F(str,  dst,             _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Target host") \
    F(u64,  created_ms,      _,          OPT,    0,  UINT64_MAX,    0,    "ms",  "Begin") \
    F(u64,  ended_ms,        _,          OPT,    0,  UINT64_MAX,    0,    "ms",  "End") \
    F(u64,  total_bytes,     _,          OPT,    0,  UINT64_MAX,    0,    "",    "Migration: memory of the guest") \
    F(u64,  sent_bytes,      _,          OPT,    0,  UINT64_MAX,    0,    "",    "Migration: bytes sent") \
    F(u64,  remaining_bytes, _,          OPT,    0,  UINT64_MAX,    0,    "",    "Migration: bytes still to send") \
    F(u64,  rate_bytes_per_s, _,         OPT,    0,  UINT64_MAX,    0,    "",    "Migration: rate") \
    F(u64,  dirty_bytes_per_s, _,        OPT,    0,  UINT64_MAX,    0,    "",    "Migration: rate at which the guest changes memory") \
    F(u32,  downtime_ms,     _,          OPT,    0,  UINT32_MAX,    0,    "ms",  "Migration: expected or measured stand-still for the last pass") \
    F(u32,  commit_ms,       _,          OPT,    0,  UINT32_MAX,    0,    "ms",  "Migration: stand-still from there until the log had decided; 0: not known") \
    F(u32,  resume_ms,       _,          OPT,    0,  UINT32_MAX,    0,    "ms",  "Migration: stand-still from there until it ran at the target; 0: not known") \
    F(u32,  code,            _,          OPT,    0,  1000,          0,    "",    "Why it failed: error number") \
    F(str,  reason,          _,          OPT,    0,  ERR_MSG_SIZE,  0,    "",    "Why it failed, in words") \
    F(str,  user,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Who asked") \
    F(u64,  parent,          _,          OPT,    0,  UINT64_MAX,    0,    "",    "Migration: the evacuation that it is part of") \
    F(u32,  moved,           _,          OPT,    0,  UINT32_MAX,    0,    "",    "Evacuation: guests that were moved")
#define API_LOG_FIELDS(F) \
    F(u64,  term,            _,          OPT,    0,  UINT64_MAX,    0,    "",    "Term") \
    F(u64,  first_index,     _,          OPT,    0,  UINT64_MAX,    0,    "",    "Oldest entry in the log") \
    F(u64,  last_index,      _,          OPT,    0,  UINT64_MAX,    0,    "",    "Newest entry") \
    F(u64,  commit_index,    _,          OPT,    0,  UINT64_MAX,    0,    "",    "Committed") \
    F(u64,  applied_index,   _,          OPT,    0,  UINT64_MAX,    0,    "",    "Applied") \
    F(u64,  snapshot_index,  _,          OPT,    0,  UINT64_MAX,    0,    "",    "Newest snapshot") \
    F(u64,  log_bytes,       _,          OPT,    0,  UINT64_MAX,    0,    "",    "Log on disk") \
    F(u64,  elections,       _,          OPT,    0,  UINT64_MAX,    0,    "",    "Times this host stood for election since its start") \
    F(bool, disk_full,       _,          OPT,    0,  1,             0,    "",    "No room to accept more") \
    F(u64,  longest_turn_us, _,          OPT,    0,  UINT64_MAX,    0,    "us",  "Longest loop turn since the last look")
#define API_MOVE_FIELDS(F) \
    F(str,  guest,           _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Guest") \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Where it would go; empty: it cannot be moved") \
    F(u32,  memory_mib,      _,          OPT,    0,  UINT32_MAX,    0,    "MiB", "Its memory") \
    F(str,  reason,          _,          OPT,    0,  ERR_MSG_SIZE,  0,    "",    "Why it cannot") \
    F(str,  from,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Where it is")
#define API_PLACE_FIELDS(F) \
    F(str,  host,            _,          OPT,    0,  LIMIT_NAME,    0,    "",    "Host") \
    F(u64,  score,           _,          OPT,    0,  UINT64_MAX,    0,    "",    "Memory that would be left, and one; 2^40 for each guest to be together with; 0: no candidate") \
    F(u64,  free_mib,        _,          OPT,    0,  UINT64_MAX,    0,    "MiB", "Memory that is free, without the guest") \
    F(u64,  entry,           _,          OPT,    0,  UINT64_MAX,    0,    "",    "Log entry, and operation, that put the guest there; 0: not known any more") \
    F(enm,  verdict,         place_no,   OPT,    0,  14,            0,    "",    "Whether it could take the guest, or what stands against it") \
    F(u32,  needed_mib,      _,          OPT,    0,  UINT32_MAX,    0,    "MiB", "Memory that the guest needs") \
    F(u32,  together,        _,          OPT,    0,  LIMIT_GUESTS,  0,    "",    "Guests there that it is to be together with") \
    F(bool, best,            _,          OPT,    0,  1,             0,    "",    "Would be chosen now") \
    F(bool, here,            _,          OPT,    0,  1,             0,    "",    "Has the guest") \
    F(str,  reason,          _,          OPT,    0,  ERR_MSG_SIZE,  0,    "",    "The same in words")
/* clang-format on */

SCHEMA_STRUCT(api_hello, API_HELLO_FIELDS)
SCHEMA_STRUCT(api_pool, API_POOL_FIELDS)
SCHEMA_STRUCT(api_host, API_HOST_FIELDS)
SCHEMA_STRUCT(api_guest, API_GUEST_FIELDS)
SCHEMA_STRUCT(api_op, API_OP_FIELDS)
SCHEMA_STRUCT(api_log, API_LOG_FIELDS)
SCHEMA_STRUCT(api_place, API_PLACE_FIELDS) // NOLINT(clang-analyzer-optin.performance.Padding)
SCHEMA_STRUCT(api_move, API_MOVE_FIELDS)

extern const struct schema schema_api_hello, schema_api_pool, schema_api_host, schema_api_guest,
    schema_api_op, schema_api_log, schema_api_place, schema_api_move;

struct api_query {
    const char *name; /* "guest.list". */
    const struct schema *row;
    bool takes_subject; /* A name (or number) must be given: show queries. */
};

/* pool.status (api_pool, one row), host.list, host.show (api_host), guest.list (api_guest),
 * guest.show (guest: the whole entity), repo.list, repo.show (repo), op.list (open ones and the
 * last that ended), op.show (api_op), log.stats (api_log, always of the host that answers),
 * pool.settings (pool), place.list (api_place: each host as a place for the guest that is named),
 * move.list (api_move: where the guests of the host that is named would go), back.list (api_move:
 * which guests that an evacuation moved away from it would come back), balance.list (api_move:
 * which guests would move so that no two hosts differ by more than so many percent), disk.list and
 * vif.list (disk, vif: of the guest that is named). */
extern const struct api_query api_queries[];
extern const size_t n_api_queries;
const struct api_query *api_query_by_name(const char *name);

#endif
