#include "fsm/commands.h"

#include <string.h>

#include "core/util.h"

static const char *const names_guest_report_what[] = {"started",   "failed",   "exited",
                                                      "paused",    "unpaused", "guarded",
                                                      "unguarded", "restored", "device"};
const struct enum_names enum_guest_report_what = {names_guest_report_what,
                                                  ARRAY_LEN(names_guest_report_what)};

#define SCHEMA_RECORD cmd_pool_init
SCHEMA_DEFINE(cmd_pool_init, CMD_pool_init)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_pool_set
SCHEMA_DEFINE(cmd_pool_set, CMD_pool_set)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_pool_set_master
SCHEMA_DEFINE(cmd_pool_set_master, CMD_pool_set_master)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_pool_set_level
SCHEMA_DEFINE(cmd_pool_set_level, CMD_pool_set_level)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_pool_check
SCHEMA_DEFINE(cmd_pool_check, CMD_pool_check)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_add
SCHEMA_DEFINE(cmd_host_add, CMD_host_add)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_remove
SCHEMA_DEFINE(cmd_host_remove, CMD_host_remove)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_set
SCHEMA_DEFINE(cmd_host_set, CMD_host_set)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_report
SCHEMA_DEFINE(cmd_host_report, CMD_host_report)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_seen
SCHEMA_DEFINE(cmd_host_seen, CMD_host_seen)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_renew
SCHEMA_DEFINE(cmd_host_renew, CMD_host_renew)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_fence
SCHEMA_DEFINE(cmd_host_fence, CMD_host_fence)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_lease_over
SCHEMA_DEFINE(cmd_host_lease_over, CMD_host_lease_over)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_lease_settled
SCHEMA_DEFINE(cmd_lease_settled, CMD_lease_settled)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_maintenance
SCHEMA_DEFINE(cmd_host_maintenance, CMD_host_maintenance)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_repo_new
SCHEMA_DEFINE(cmd_repo_new, CMD_repo_new)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_repo_delete
SCHEMA_DEFINE(cmd_repo_delete, CMD_repo_delete)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_repo_init
SCHEMA_DEFINE(cmd_repo_init, CMD_repo_init)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_repo_root
SCHEMA_DEFINE(cmd_repo_root, CMD_repo_root)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_repo_report
SCHEMA_DEFINE(cmd_repo_report, CMD_repo_report)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_create
SCHEMA_DEFINE(cmd_guest_create, CMD_guest_create)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_start
SCHEMA_DEFINE(cmd_guest_start, CMD_guest_start)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_shutdown
SCHEMA_DEFINE(cmd_guest_shutdown, CMD_guest_shutdown)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_destroy
SCHEMA_DEFINE(cmd_guest_destroy, CMD_guest_destroy)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_pause
SCHEMA_DEFINE(cmd_guest_pause, CMD_guest_pause)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_unpause
SCHEMA_DEFINE(cmd_guest_unpause, CMD_guest_unpause)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_delete
SCHEMA_DEFINE(cmd_guest_delete, CMD_guest_delete)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_set
SCHEMA_DEFINE(cmd_guest_set, CMD_guest_set)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_migrate
SCHEMA_DEFINE(cmd_guest_migrate, CMD_guest_migrate)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_rename
SCHEMA_DEFINE(cmd_guest_rename, CMD_guest_rename)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_clone
SCHEMA_DEFINE(cmd_guest_clone, CMD_guest_clone)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_reboot
SCHEMA_DEFINE(cmd_guest_reboot, CMD_guest_reboot)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_save
SCHEMA_DEFINE(cmd_guest_save, CMD_guest_save)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_resume
SCHEMA_DEFINE(cmd_guest_resume, CMD_guest_resume)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_saved
SCHEMA_DEFINE(cmd_guest_saved, CMD_guest_saved)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_block_attach
SCHEMA_DEFINE(cmd_guest_block_attach, CMD_guest_block_attach)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_block_detach
SCHEMA_DEFINE(cmd_guest_block_detach, CMD_guest_block_detach)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_network_attach
SCHEMA_DEFINE(cmd_guest_network_attach, CMD_guest_network_attach)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_network_detach
SCHEMA_DEFINE(cmd_guest_network_detach, CMD_guest_network_detach)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_guest_report
SCHEMA_DEFINE(cmd_guest_report, CMD_guest_report)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_evacuate
SCHEMA_DEFINE(cmd_host_evacuate, CMD_host_evacuate)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_evacuation_end
SCHEMA_DEFINE(cmd_evacuation_end, CMD_evacuation_end)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_migrate_prepared
SCHEMA_DEFINE(cmd_migrate_prepared, CMD_migrate_prepared)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_migrate_switch
SCHEMA_DEFINE(cmd_migrate_switch, CMD_migrate_switch)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_migrate_abort
SCHEMA_DEFINE(cmd_migrate_abort, CMD_migrate_abort)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_op_cancel
SCHEMA_DEFINE(cmd_op_cancel, CMD_op_cancel)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_op_expire
SCHEMA_DEFINE(cmd_op_expire, CMD_op_expire)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_release
SCHEMA_DEFINE(cmd_host_release, CMD_host_release)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_guarantee
SCHEMA_DEFINE(cmd_host_guarantee, CMD_host_guarantee)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_host_power
SCHEMA_DEFINE(cmd_host_power, CMD_host_power)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_restart_step
SCHEMA_DEFINE(cmd_restart_step, CMD_restart_step)
#undef SCHEMA_RECORD
#define SCHEMA_RECORD cmd_pool_restart
SCHEMA_DEFINE(cmd_pool_restart, CMD_pool_restart)
#undef SCHEMA_RECORD

const struct command commands[] = {
#define C(NUMBER, NAME, WHO, TITLE, SUMMARY) \
    {.number = (NUMBER),                     \
     .name = #NAME,                          \
     .title = (TITLE),                       \
     .summary = (SUMMARY),                   \
     .who = COMMAND_##WHO,                   \
     .schema = &schema_cmd_##NAME},
#include "fsm/commands.def"
#undef C
};
const size_t n_commands = ARRAY_LEN(commands);

const struct command *command_by_number(uint32_t number)
{
    for (size_t i = 0; i < n_commands; i++) {
        if (commands[i].number == number) {
            return &commands[i];
        }
    }
    return NULL;
}

const struct command *command_by_name(const char *name)
{
    for (size_t i = 0; i < n_commands; i++) {
        if (strcmp(commands[i].name, name) == 0 || strcmp(commands[i].title, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}
