/* Configurations, in the encoding of the core's library: version, number of members, and for each
 * its number, address and role; little endian, padded with zeros to eight bytes. Its own decoder
 * trusts the bytes, so nothing reaches it that did not pass conf_decode(). */

#include <string.h>

#include "core/buf.h"
#include "core/util.h"

#include "raftlog/core_step.h"

#define CONF_VERSION 1

/* Roles on the wire, as the library numbers them. */
enum {
    WIRE_STANDBY,
    WIRE_VOTER,
    WIRE_SPARE
};

static int role_decode(uint8_t wire, enum raftlog_role *ret)
{
    switch (wire) {
    case WIRE_STANDBY: *ret = RAFTLOG_STANDBY; return 0;
    case WIRE_VOTER: *ret = RAFTLOG_VOTER; return 0;
    case WIRE_SPARE: *ret = RAFTLOG_SPARE; return 0;
    default: return ERR_MALFORMED;
    }
}

static uint8_t role_encode(enum raftlog_role role)
{
    switch (role) {
    case RAFTLOG_STANDBY: return WIRE_STANDBY;
    case RAFTLOG_VOTER: return WIRE_VOTER;
    case RAFTLOG_SPARE:
    case RAFTLOG_NONE: break;
    }
    return WIRE_SPARE;
}

static int member_decode(const uint8_t **p, const uint8_t *end, struct conf_member *ret)
{
    if (end - *p < 8) {
        return ERR_MALFORMED;
    }
    memset(ret, 0, sizeof *ret);
    ret->id = load_u64(*p);
    *p += 8;
    size_t len = strnlen((const char *)*p, (size_t)(end - *p));
    if (len == 0 || len > LIMIT_ADDRESS || (size_t)(end - *p) < len + 2) {
        return ERR_MALFORMED;
    }
    memcpy(ret->address, *p, len);
    *p += len + 1;
    int rc = role_decode(**p, &ret->role);
    (*p)++;
    return rc;
}

/* No number or address twice: the core refuses that. */
static bool member_is_new(const struct conf *conf, const struct conf_member *m)
{
    for (uint32_t i = 0; i < conf->n; i++) {
        if (conf->members[i].id == m->id || strcmp(conf->members[i].address, m->address) == 0) {
            return false;
        }
    }
    return m->id != 0;
}

int conf_decode(const void *data, size_t len, struct conf *ret)
{
    const uint8_t *p = data;
    const uint8_t *end = p + len;

    ret->n = 0;
    if (len < 9 || len > NODE_CONF_MAX || len % 8 != 0 || *p != CONF_VERSION) {
        return ERR_MALFORMED;
    }
    uint64_t n = load_u64(p + 1);
    if (n == 0 || n > LIMIT_HOSTS) {
        return ERR_MALFORMED;
    }
    p += 9;
    for (uint64_t i = 0; i < n; i++) {
        struct conf_member m;
        if (member_decode(&p, end, &m) != 0 || !member_is_new(ret, &m)) {
            return ERR_MALFORMED;
        }
        ret->members[ret->n++] = m;
    }
    if (end - p >= 8) {
        return ERR_MALFORMED;
    }
    for (; p < end; p++) {
        if (*p != 0) {
            return ERR_MALFORMED;
        }
    }
    return 0;
}

void conf_encode(const struct conf *conf, struct buf *ret)
{
    size_t start = ret->len;

    buf_put_u8(ret, CONF_VERSION);
    buf_put_u64(ret, conf->n);
    for (uint32_t i = 0; i < conf->n; i++) {
        const struct conf_member *m = &conf->members[i];
        buf_put_u64(ret, m->id);
        buf_put(ret, m->address, strlen(m->address) + 1);
        buf_put_u8(ret, role_encode(m->role));
    }
    while ((ret->len - start) % 8 != 0) {
        buf_put_u8(ret, 0);
    }
}

const struct conf_member *conf_find(const struct conf *conf, uint64_t id)
{
    for (uint32_t i = 0; i < conf->n; i++) {
        if (conf->members[i].id == id) {
            return &conf->members[i];
        }
    }
    return NULL;
}

uint32_t conf_voters(const struct conf *conf)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < conf->n; i++) {
        n += conf->members[i].role == RAFTLOG_VOTER;
    }
    return n;
}
