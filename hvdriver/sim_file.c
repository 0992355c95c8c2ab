/* The file of a simulated guest. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/util.h"

#include "hvdriver/sim.h"

#define BEAT_MS        10u
#define FILE_MAX_BYTES 4096u

uint64_t sim_now(void)
{
    return os_clock()->mono_ms(os_clock());
}

uint64_t sim_copy_counter(const struct sim_copy *c)
{
    uint64_t now = sim_now();
    uint64_t ran = c->since_ms != 0 && now > c->since_ms ? (now - c->since_ms) / BEAT_MS : 0;
    return c->counter + ran;
}

static void file_path(const struct hv *hv, const char *stamp, const char *end, char *out)
{
    (void)snprintf(out, LIMIT_PATH + HV_STAMP_SIZE + 8, "%s/%s%s", hv->run_dir, stamp, end);
}

static int write_whole(const char *path, const char *text, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_sys(e, ERR_IO, errno, "file %s", path);
    }
    size_t len = strlen(text);
    ssize_t n = write(fd, text, len);
    int errnum = n < 0 ? errno : EIO;
    (void)close(fd);
    if (n != (ssize_t)len) {
        return err_sys(e, ERR_IO, errnum, "file %s", path);
    }
    return 0;
}

int sim_save(const struct sim_copy *c, struct err *e)
{
    const struct hv_info *i = &c->base.info;
    char uuid[ID_TEXT_SIZE];
    json_t *root =
        json_pack("{s:s, s:s, s:I, s:s, s:i, s:i, s:I, s:I, s:I, s:I}", "name", i->name, "uuid",
                  id_text(&i->key.uuid, uuid), "epoch", (json_int_t)i->key.epoch, "state",
                  hv_state_name(i->state), "memory_mib", (int)i->memory_mib, "vcpus", (int)i->vcpus,
                  "started_ms", (json_int_t)i->started_ms, "counter", (json_int_t)c->counter,
                  "since_ms", (json_int_t)c->since_ms, "shutdown_ms", (json_int_t)c->shutdown_ms);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
    json_decref(root);
    if (text == NULL) {
        return err_set(e, ERR_NO_MEMORY, "stamp of guest %s", i->name);
    }
    char path[LIMIT_PATH + HV_STAMP_SIZE + 8];
    char temp[LIMIT_PATH + HV_STAMP_SIZE + 8];
    file_path(c->hv, c->file, ".sim", path);
    file_path(c->hv, c->file, ".new", temp);
    int rc = write_whole(temp, text, e);
    free(text);
    if (rc == 0 && rename(temp, path) != 0) {
        rc = err_sys(e, ERR_IO, errno, "file %s", path);
    }
    return rc;
}

void sim_remove(const struct sim_copy *c)
{
    char path[LIMIT_PATH + HV_STAMP_SIZE + 8];
    file_path(c->hv, c->file, ".sim", path);
    (void)unlink(path); /* It may be gone: somebody cut the host's power. */
}

static int state_of(const char *name, enum hv_state *ret)
{
    for (int s = HV_STARTING; s <= HV_PANICKED; s++) {
        if (strcmp(hv_state_name((enum hv_state)s), name) == 0) {
            *ret = (enum hv_state)s;
            return 0;
        }
    }
    return ERR_CORRUPT;
}

static int decode(json_t *root, struct sim_copy *c)
{
    const char *name;
    const char *uuid;
    const char *state;
    json_int_t epoch, memory, vcpus, started, counter, since, shutdown;
    if (json_unpack(root, "{s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I !}", "name", &name,
                    "uuid", &uuid, "epoch", &epoch, "state", &state, "memory_mib", &memory, "vcpus",
                    &vcpus, "started_ms", &started, "counter", &counter, "since_ms", &since,
                    "shutdown_ms", &shutdown) != 0) {
        return ERR_CORRUPT;
    }
    struct hv_info *i = &c->base.info;
    if (id_parse(uuid, &i->key.uuid) != 0 || state_of(state, &i->state) != 0 || epoch <= 0 ||
        memory <= 0 || vcpus <= 0 || str_copy(i->name, sizeof i->name, name) >= sizeof i->name) {
        return ERR_CORRUPT;
    }
    i->key.epoch = (uint64_t)epoch;
    i->memory_mib = (uint32_t)memory;
    i->vcpus = (uint32_t)vcpus;
    i->started_ms = (uint64_t)started;
    i->vnc_display = -1;
    c->counter = (uint64_t)counter;
    c->since_ms = (uint64_t)since;
    c->shutdown_ms = (uint64_t)shutdown;
    return 0;
}

int sim_load(struct hv *hv, const char *stamp, struct sim_copy *ret, struct err *e)
{
    char path[LIMIT_PATH + HV_STAMP_SIZE + 8];
    char text[FILE_MAX_BYTES];
    file_path(hv, stamp, ".sim", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    int errnum = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (n < 0) {
        return err_sys(e, ERR_IO, errnum, "file %s", path);
    }
    ret->hv = hv;
    (void)str_copy(ret->file, sizeof ret->file, stamp);
    json_t *root = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    int rc = root == NULL ? ERR_CORRUPT : decode(root, ret);
    json_decref(root);
    return rc == 0 ? 0 : err_set(e, rc, "file %s is not the stamp of a guest", path);
}
