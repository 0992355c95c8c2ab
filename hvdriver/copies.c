/* The table of copies, their names in the file system, and what is told of them. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"

#include "hvdriver/driver.h"

int hv_key_compare(const struct hv_key *a, const struct hv_key *b)
{
    int order = memcmp(a->uuid.b, b->uuid.b, sizeof a->uuid.b);
    if (order != 0) {
        return order;
    }
    return a->epoch < b->epoch ? -1 : a->epoch > b->epoch ? 1 : 0;
}

/* Index of the first copy whose key is not less than `key`. */
static uint32_t position(const struct hv *hv, const struct hv_key *key)
{
    uint32_t low = 0;
    uint32_t high = hv->n_copies;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (hv_key_compare(&hv->copies[mid]->info.key, key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

struct hv_copy *hv_copy_find(struct hv *hv, const struct hv_key *key)
{
    uint32_t i = position(hv, key);
    if (i < hv->n_copies && hv_key_compare(&hv->copies[i]->info.key, key) == 0) {
        return hv->copies[i];
    }
    return NULL;
}

void hv_copy_add(struct hv *hv, struct hv_copy *copy)
{
    assert(hv_copy_find(hv, &copy->info.key) == NULL);
    uint32_t i = position(hv, &copy->info.key);
    if (hv->n_copies == hv->cap_copies) {
        hv->cap_copies = hv->cap_copies == 0 ? 16 : hv->cap_copies * 2;
        hv->copies = mem_grow(hv->copies, hv->cap_copies, sizeof(struct hv_copy *));
    }
    memmove(hv->copies + i + 1, hv->copies + i, (hv->n_copies - i) * sizeof(struct hv_copy *));
    hv->copies[i] = copy;
    hv->n_copies++;
}

void hv_copy_remove(struct hv *hv, struct hv_copy *copy)
{
    uint32_t i = position(hv, &copy->info.key);
    assert(i < hv->n_copies && hv->copies[i] == copy);
    hv->n_copies--;
    memmove(hv->copies + i, hv->copies + i + 1, (hv->n_copies - i) * sizeof(struct hv_copy *));
}

bool hv_list(struct hv *hv, uint32_t i, struct hv_info *ret)
{
    if (i >= hv->n_copies) {
        return false;
    }
    *ret = hv->copies[i]->info;
    return true;
}

bool hv_lookup(struct hv *hv, const struct hv_key *key, struct hv_info *ret)
{
    const struct hv_copy *copy = hv_copy_find(hv, key);
    if (copy == NULL) {
        return false;
    }
    *ret = copy->info;
    return true;
}

const char *hv_stamp(const struct hv_key *key, char out[HV_STAMP_SIZE])
{
    char uuid[ID_TEXT_SIZE];
    (void)snprintf(out, HV_STAMP_SIZE, "%s.%" PRIu64, id_text(&key->uuid, uuid), key->epoch);
    return out;
}

int hv_stamp_parse(const char *text, struct hv_key *ret)
{
    char uuid[ID_TEXT_SIZE];
    if (strlen(text) < sizeof uuid || text[ID_TEXT_SIZE - 1] != '.') {
        return ERR_INVALID;
    }
    (void)str_copy(uuid, sizeof uuid, text);
    struct hv_key key;
    char again[HV_STAMP_SIZE];
    if (id_parse(uuid, &key.uuid) != 0) {
        return ERR_INVALID;
    }
    key.epoch = strtoull(text + ID_TEXT_SIZE, NULL, 10);
    if (strcmp(hv_stamp(&key, again), text) != 0) {
        return ERR_INVALID;
    }
    *ret = key;
    return 0;
}

void hv_make_key(char out[HV_KEY_SIZE])
{
    uint8_t bytes[HV_KEY_SIZE / 2];
    int r = uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL);
    assert(r == 0); /* The kernel's source of chance does not fail once it is up. */
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

const char *hv_state_name(enum hv_state state)
{
    static const char *const names[] = {
        [HV_GONE] = "gone",         [HV_STARTING] = "starting", [HV_RUNNING] = "running",
        [HV_PAUSED] = "paused",     [HV_INCOMING] = "incoming", [HV_ARRIVED] = "arrived",
        [HV_OUTGOING] = "outgoing", [HV_DEPARTED] = "departed", [HV_PANICKED] = "panicked"};
    return (size_t)state < ARRAY_LEN(names) ? names[state] : "unknown";
}

const char *hv_exit_name(enum hv_exit exit)
{
    static const char *const names[] = {
        [HV_EXIT_UNKNOWN] = "unknown",     [HV_EXIT_POWEROFF] = "poweroff",
        [HV_EXIT_REBOOT] = "reboot",       [HV_EXIT_CRASH] = "crash",
        [HV_EXIT_DESTROYED] = "destroyed", [HV_EXIT_INCOMING] = "incoming"};
    return (size_t)exit < ARRAY_LEN(names) ? names[exit] : "unknown";
}

bool hv_state_allows(enum hv_op op, enum hv_state state)
{
    switch (op) {
    case HV_SHUTDOWN: return state == HV_RUNNING || state == HV_OUTGOING;
    case HV_PAUSE: return state == HV_RUNNING || state == HV_PAUSED;
    /* Never while INCOMING: QEMU would take it as leave to run by itself when complete. */
    case HV_UNPAUSE:
        return state == HV_RUNNING || state == HV_PAUSED || state == HV_ARRIVED ||
               state == HV_DEPARTED;
    case HV_ATTACH:
    case HV_DETACH: return state == HV_RUNNING || state == HV_PAUSED;
    case HV_RESET: return state == HV_RUNNING || state == HV_PANICKED;
    case HV_SAVE:
    case HV_MIGRATE: return state == HV_RUNNING || state == HV_PAUSED;
    case HV_RESTAMP: return state == HV_ARRIVED;
    case HV_DESTROY:
    case HV_MIGRATE_CANCEL: return true;
    case HV_START:
    case HV_INCOMING_START: return false;
    }
    return false;
}

static void tell(struct hv *hv, struct hv_event *event, const char *detail)
{
    if (hv->closing || hv->event == NULL) {
        return;
    }
    (void)str_copy(event->detail, sizeof event->detail, detail == NULL ? "" : detail);
    hv->event(hv->ctx, event);
}

void hv_set_state(struct hv *hv, struct hv_copy *copy, enum hv_state state, const char *detail)
{
    if (copy->info.state == state) {
        return;
    }
    copy->info.state = state;
    struct hv_event event = {.kind = HV_EVENT_STATE, .key = copy->info.key, .state = state};
    tell(hv, &event, detail);
}

void hv_tell_exit(struct hv *hv, const struct hv_key *key, enum hv_exit why, const char *detail)
{
    struct hv_event event = {.kind = HV_EVENT_EXIT, .key = *key, .state = HV_GONE, .exit = why};
    tell(hv, &event, detail);
}

void hv_tell_progress(struct hv *hv, const struct hv_key *key, const struct hv_progress *p)
{
    struct hv_event event = {
        .kind = HV_EVENT_PROGRESS, .key = *key, .state = HV_OUTGOING, .progress = *p};
    tell(hv, &event, NULL);
}
