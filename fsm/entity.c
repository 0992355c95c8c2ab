#include "fsm/entity.h"

#include "core/util.h"

#define NAMES(ENUM, ...)                                     \
    static const char *const names_##ENUM[] = {__VA_ARGS__}; \
    const struct enum_names enum_##ENUM = {names_##ENUM, ARRAY_LEN(names_##ENUM)};

/* In the order of the values in entity.h. */
NAMES(host_state, "joining", "up", "down", "leaving")
NAMES(guest_state,
      "stopped",
      "starting",
      "running",
      "paused",
      "stopping",
      "migrating",
      "failed",
      "pending",
      "saving",
      "saved")
NAMES(guest_want, "off", "running", "paused")
NAMES(stop_mode, "none", "shutdown", "destroy", "reboot")
NAMES(on_exit, "destroy", "restart", "preserve")
NAMES(exit_reason, "none", "poweroff", "reboot", "crash", "destroyed", "lost")
NAMES(guarantee, "none", "guard", "watchdog")
NAMES(op_kind,
      "start",
      "shutdown",
      "destroy",
      "pause",
      "unpause",
      "migrate",
      "evacuate",
      "return",
      "restart",
      "reboot",
      "save",
      "resume",
      "attach",
      "detach")
NAMES(op_state, "running", "done", "failed", "cancelled")
NAMES(op_phase, "prepare", "transfer", "switched", "aborted", "work", "ended")
NAMES(repo_kind, "dir")
NAMES(repo_state, "new", "ready", "deleting")

#define SCHEMA_RECORD disk
SCHEMA_DEFINE(disk, DISK_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD vif
SCHEMA_DEFINE(vif, VIF_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD guest_config
SCHEMA_DEFINE(guest_config, GUEST_CONFIG_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD pool
SCHEMA_DEFINE(pool, POOL_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD host
SCHEMA_DEFINE(host, HOST_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD guest
SCHEMA_DEFINE(guest, GUEST_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD repo
SCHEMA_DEFINE(repo, REPO_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD op
SCHEMA_DEFINE(op, OP_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD event
SCHEMA_DEFINE(event, EVENT_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD outcome
SCHEMA_DEFINE(outcome, OUTCOME_FIELDS)
#undef SCHEMA_RECORD
