/* Entries made of any bytes never make apply fail, and never give a different state on a second
 * store. The first byte: 0 takes the rest as a whole entry, else it chooses a command for the body.
 */

#include <stdlib.h>
#include <string.h>

#include "core/util.h"

#include "fsm/tests/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct fsm *stores[2];
static uint64_t requests;

static void apply(const struct buf *b)
{
    struct fsm_applied_entry done[2];
    for (int i = 0; i < 2; i++) {
        done[i] = world_apply(stores[i], b);
    }
    if (!world_same(stores[0], stores[1]) ||
        memcmp(&done[0].outcome, &done[1].outcome, sizeof done[0].outcome) != 0) {
        abort();
    }
    CLEANUP(buf_done) struct buf text = {0};
    outcome_text(&done[0].outcome, &text);
}

static void apply_text(uint32_t number, const char *json)
{
    static _Alignas(16) uint8_t record[65536];
    struct err e = {0};
    CLEANUP(buf_done) struct buf b = {0};
    json_t *j = json_loads(json, 0, NULL);
    const struct entry head = {.number = number, .request = world_id(++requests), .wall_ms = 1000};
    if (schema_from_json(command_by_number(number)->schema, j, record, &e) != 0) {
        abort();
    }
    json_decref(j);
    world_entry(&b, &head, record);
    apply(&b);
}

static void begin(void)
{
    for (int i = 0; i < 2; i++) {
        (void)fsm_close(stores[i]);
        stores[i] = world_open_new();
    }
    apply_text(COMMAND_pool_init,
               "{\"id\": \"00000000-0000-0000-0000-000000000001\", \"name\": \"p\","
               " \"host\": \"a\", \"address\": \"a:1\"}");
    apply_text(COMMAND_host_add, "{\"name\": \"b\", \"address\": \"b:1\"}");
    apply_text(COMMAND_host_report, "{\"name\": \"a\", \"raft_id\": 1, \"incarnation\": 1,"
                                    " \"memory_mib\": 4096}");
    apply_text(COMMAND_host_report, "{\"name\": \"b\", \"raft_id\": 2, \"incarnation\": 1,"
                                    " \"memory_mib\": 4096}");
    apply_text(COMMAND_guest_create, "{\"name\": \"g\", \"host\": \"a\","
                                     " \"uuid\": \"00000000-0000-0000-0000-000000000002\"}");
    apply_text(COMMAND_guest_report,
               "{\"name\": \"g\", \"host\": \"a\", \"epoch\": 1, \"what\": \"started\"}");
    apply_text(COMMAND_guest_migrate, "{\"name\": \"g\", \"host\": \"b\"}");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    if (stores[0] == NULL || fsm_applied(stores[0]) > 20000) {
        begin();
    }
    CLEANUP(buf_done) struct buf b = {0};
    if (data[0] == 0) {
        buf_put(&b, data + 1, len - 1);
    } else {
        const struct command *c = &commands[data[0] % n_commands];
        const struct entry en = {.number = c->number == COMMAND_pool_check ? 1 : c->number,
                                 .request = world_id(++requests),
                                 .wall_ms = 1000,
                                 .body = data + 1,
                                 .body_len = len - 1};
        entry_encode(&en, &b);
    }
    apply(&b);
    return 0;
}
