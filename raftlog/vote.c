#include "raftlog/vote.h"

#include "core/buf.h"
#include "core/util.h"

#define RECORD_SIZE 16u

int vote_open(struct vote *v, struct disk *disk, struct err *e)
{
    CLEANUP(buf_done) struct buf b = {0};
    *v = (struct vote){0};
    int rc = slots_open(&v->slots, disk, "vote", &b, e);
    if (rc == 0 && b.len != RECORD_SIZE) {
        rc = err_set(e, ERR_CORRUPT, "vote: record of %zu bytes, not %u", b.len, RECORD_SIZE);
    }
    if (rc == 0) {
        v->term = load_u64(b.data);
        v->vote = load_u64(b.data + 8);
    }
    return rc;
}

int vote_save(struct vote *v, uint64_t term, uint64_t vote, struct err *e)
{
    if (term < v->term || (term == v->term && v->vote != 0 && vote != v->vote)) {
        return err_set(e, ERR_INTERNAL,
                       "vote: term %llu vote %llu must not follow term %llu vote %llu",
                       (unsigned long long)term, (unsigned long long)vote,
                       (unsigned long long)v->term, (unsigned long long)v->vote);
    }
    uint8_t record[RECORD_SIZE];
    store_u64(record, term);
    store_u64(record + 8, vote);
    int rc = slots_save(&v->slots, record, sizeof record, e);
    if (rc == 0) {
        v->term = term;
        v->vote = vote;
    }
    return rc;
}

void vote_done(struct vote *v)
{
    slots_done(&v->slots);
}
