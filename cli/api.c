#include "cli/api.h"

#include <string.h>

#include "core/util.h"

static const char *const names_place_no[] = {
    "fits",      "leaves", "state", "fenced", "maintenance", "evacuating", "can_run", "home",
    "preferred", "repo",   "apart", "memory", "vcpus",       "refused",    "busy"};
const struct enum_names enum_place_no = {names_place_no, ARRAY_LEN(names_place_no)};

#define SCHEMA_RECORD api_hello
SCHEMA_DEFINE(api_hello, API_HELLO_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD api_pool
SCHEMA_DEFINE(api_pool, API_POOL_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD api_host
SCHEMA_DEFINE(api_host, API_HOST_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD api_guest
SCHEMA_DEFINE(api_guest, API_GUEST_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD api_op
SCHEMA_DEFINE(api_op, API_OP_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD api_log
SCHEMA_DEFINE(api_log, API_LOG_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD api_move
SCHEMA_DEFINE(api_move, API_MOVE_FIELDS)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD api_place
SCHEMA_DEFINE(api_place, API_PLACE_FIELDS)
#undef SCHEMA_RECORD

const struct api_query api_queries[] = {
    {"pool.status", &schema_api_pool, false}, {"pool.settings", &schema_pool, false},
    {"host.list", &schema_api_host, false},   {"host.show", &schema_api_host, true},
    {"guest.list", &schema_api_guest, false}, {"guest.show", &schema_guest, true},
    {"repo.list", &schema_repo, false},       {"repo.show", &schema_repo, true},
    {"op.list", &schema_api_op, false},       {"op.show", &schema_api_op, true},
    {"place.list", &schema_api_place, true},  {"move.list", &schema_api_move, true},
    {"back.list", &schema_api_move, true},    {"balance.list", &schema_api_move, true},
    {"log.stats", &schema_api_log, false},    {"disk.list", &schema_disk, true},
    {"vif.list", &schema_vif, true},
};
const size_t n_api_queries = ARRAY_LEN(api_queries);

const struct api_query *api_query_by_name(const char *name)
{
    for (size_t i = 0; i < n_api_queries; i++) {
        if (strcmp(api_queries[i].name, name) == 0) {
            return &api_queries[i];
        }
    }
    return NULL;
}
