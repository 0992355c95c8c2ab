#include "raftlog/slots.h"

#include <stdio.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/log.h"
#include "core/mark.h"
#include "core/mutant.h"

#include "raftlog/disk.h"

/* Head of a copy: magic (8), CRC-32C of all that follows it (4), format (4), sequence (8), length
 * (4), then the record. Little endian. */
#define HEAD_SIZE   28u
#define FORMAT      1u
#define CRC_AT      8u
#define FORMAT_AT   12u
#define SEQUENCE_AT 16u
#define LENGTH_AT   24u

static const char magic[9] = "QRSLOT1\n";

enum copy_state {
    COPY_MISSING,
    COPY_BAD,
    COPY_NEWER, /* Intact, but of a format that this program does not know. */
    COPY_GOOD
};

struct copy {
    enum copy_state state;
    uint64_t sequence;
    size_t len;
    uint8_t bytes[HEAD_SIZE + SLOTS_MAX];
};

static void file_name(const struct slots *s, int which, char out[DISK_NAME_SIZE])
{
    (void)snprintf(out, DISK_NAME_SIZE, "%s-%c", s->name, 'a' + which);
}

static void copy_judge(struct copy *c, size_t size)
{
    const uint8_t *p = c->bytes;
    c->state = COPY_BAD;
    if (size < HEAD_SIZE || memcmp(p, magic, 8) != 0) {
        return;
    }
    c->len = load_u32(p + LENGTH_AT);
    c->sequence = load_u64(p + SEQUENCE_AT);
    if (c->len > size - HEAD_SIZE ||
        load_u32(p + CRC_AT) != crc32c(0, p + FORMAT_AT, HEAD_SIZE - FORMAT_AT + c->len)) {
        return;
    }
    c->state = load_u32(p + FORMAT_AT) == FORMAT ? COPY_GOOD : COPY_NEWER;
}

static int copy_read(struct slots *s, int which, struct copy *c, struct err *e)
{
    char name[DISK_NAME_SIZE];
    struct disk_file *f = NULL;
    size_t n = 0;
    file_name(s, which, name);
    struct err missing = {0};
    int rc = disk_open(s->disk, name, DISK_READ, &f, &missing);
    if (rc == ERR_NOT_FOUND) {
        c->state = COPY_MISSING;
        return 0;
    }
    if (rc != 0) {
        *e = missing;
    }
    rc = rc == 0 ? disk_read(f, 0, c->bytes, sizeof c->bytes, &n, e) : rc;
    disk_close(f);
    if (rc == 0) {
        copy_judge(c, n);
    }
    return rc;
}

/* Written in place, over what may be a longer record: a torn write leaves this copy bad and the
 * other one good. */
static int copy_write(struct slots *s, int which, struct err *e)
{
    char name[DISK_NAME_SIZE];
    struct disk_file *f = NULL;
    file_name(s, which, name);
    struct err missing = {0};
    int rc = disk_open(s->disk, name, DISK_WRITE, &f, &missing);
    bool made = rc == ERR_NOT_FOUND;
    if (made) {
        rc = disk_open(s->disk, name, DISK_CREATE, &f, e);
    } else if (rc != 0) {
        *e = missing;
    }
    rc = rc == 0 ? disk_write(f, 0, s->scratch.data, s->scratch.len, e) : rc;
    rc = rc == 0 && !MUTANT(vote_not_synced) ? disk_sync(f, e) : rc;
    disk_close(f);
    return rc == 0 && made ? disk_sync_dir(s->disk, e) : rc;
}

int slots_save(struct slots *s, const void *data, size_t len, struct err *e)
{
    if (len > SLOTS_MAX) {
        return err_set(e, ERR_TOO_BIG, "%s: record of %zu bytes, the limit is %u", s->name, len,
                       SLOTS_MAX);
    }
    s->sequence++;
    buf_clear(&s->scratch);
    buf_put(&s->scratch, magic, 8);
    buf_put_u32(&s->scratch, 0);
    buf_put_u32(&s->scratch, FORMAT);
    buf_put_u64(&s->scratch, s->sequence);
    buf_put_u32(&s->scratch, (uint32_t)len);
    buf_put(&s->scratch, data, len);
    store_u32(s->scratch.data + CRC_AT,
              crc32c(0, s->scratch.data + FORMAT_AT, s->scratch.len - FORMAT_AT));
    int rc = copy_write(s, 0, e);
    rc = rc == 0 ? copy_write(s, 1, e) : rc;
    return rc == 0 ? 0 : err_wrap(e, "save %s", s->name);
}

static int judge_both(struct slots *s, const struct copy c[2], struct err *e)
{
    if (c[0].state == COPY_MISSING && c[1].state == COPY_MISSING) {
        return err_set(e, ERR_NOT_FOUND, "%s-a and %s-b are missing", s->name, s->name);
    }
    if (c[0].state == COPY_NEWER || c[1].state == COPY_NEWER) {
        return err_set(e, ERR_VERSION, "%s-%c was written by a newer program", s->name,
                       c[0].state == COPY_NEWER ? 'a' : 'b');
    }
    if (c[0].state != COPY_GOOD && c[1].state != COPY_GOOD) {
        return err_set(e, ERR_CORRUPT, "%s-a and %s-b are both damaged or missing", s->name,
                       s->name);
    }
    return 0;
}

int slots_open(struct slots *s, struct disk *disk, const char *name, struct buf *ret, struct err *e)
{
    struct copy c[2] = {{.state = COPY_MISSING}, {.state = COPY_MISSING}};
    *s = (struct slots){.disk = disk, .name = name};
    buf_clear(ret);
    int rc = copy_read(s, 0, &c[0], e);
    rc = rc == 0 ? copy_read(s, 1, &c[1], e) : rc;
    rc = rc == 0 ? judge_both(s, c, e) : rc;
    if (rc != 0) {
        return rc;
    }
    bool second =
        c[1].state == COPY_GOOD && (c[0].state != COPY_GOOD || c[1].sequence > c[0].sequence);
    int best = second ? 1 : 0;
    s->sequence = c[best].sequence;
    buf_put(ret, c[best].bytes + HEAD_SIZE, c[best].len);
    const struct copy *other = &c[1 - best];
    if (other->state != COPY_GOOD || other->sequence != s->sequence) {
        MARK_IF(slot_older, other->state == COPY_GOOD);
        if (other->state != COPY_GOOD) { /* An older one is what a power cut leaves. */
            char file[DISK_NAME_SIZE];
            file_name(s, 1 - best, file);
            MARK(slot_repaired);
            log_line(LOG_WARN, "copy_repaired", "file", file, "why",
                     other->state == COPY_MISSING ? "it is missing" : "it is damaged", NULL);
        }
        rc = slots_save(s, ret->data, ret->len, e);
    }
    return rc;
}

void slots_done(struct slots *s)
{
    buf_done(&s->scratch);
}
