/* The rows of the state: their keys, and typed reading for views and commands alike.
 *
 *   'C'                     counters and log time (struct sys)
 *   'P'                     the pool
 *   'H' name                hosts            'S' name          repositories
 *   'G' name                guests           'O' number        operations
 *   'E' number              events           'R' id            outcome of a request
 *
 * Indexes; each row is written and deleted together with the one it points to:
 *
 *   'g' host NUL guest      guests that a host owns: their memory in MiB, their virtual CPUs
 *   'p' name                guests that are PENDING: empty
 *   't' host NUL guest      guests on their way to a host: likewise
 *   'a' group NUL guest     guests that are to be apart from each other: empty
 *   'w' group NUL guest     guests that are to be with each other: empty
 *   'k' repo NUL guest      guests that use a repository: empty
 *   'u' uuid                name of the guest
 *   'f' directory           name of the guest whose disks it has under a former name
 *   'o' number              operations that have not ended: empty
 *   'd' number number       operations that ended, by the index of their end: empty
 *   'r' number              requests by log index: age_ms then, id
 *
 * Numbers in keys are big endian, so that the order of keys is the order of numbers. */

#ifndef FSM_ROWS_H
#define FSM_ROWS_H

#include "fsm/entity.h"
#include "fsm/kv.h"

/* clang-format off */
#define SYS_FIELDS(F) \
    F(u64, now_ms,      _, OPT, 0, UINT64_MAX, 0, "ms", "Log time") \
    F(u64, claim_ms,    _, OPT, 0, UINT64_MAX, 0, "ms", "A time too far ahead that a host claimed") \
    F(str, claim_host,  _, OPT, 0, LIMIT_NAME, 0, "",   "That host") \
    F(u64, age_ms,      _, OPT, 0, UINT64_MAX, 0, "ms", "Log time without its jumps") \
    F(u64, event_first, _, OPT, 0, UINT64_MAX, 0, "",   "Oldest event that is kept") \
    F(u64, event_last,  _, OPT, 0, UINT64_MAX, 0, "",   "Newest event") \
    F(u64, hosts,       _, OPT, 0, UINT64_MAX, 0, "",   "Hosts") \
    F(u64, guests,      _, OPT, 0, UINT64_MAX, 0, "",   "Guests") \
    F(u64, running,     _, OPT, 0, UINT64_MAX, 0, "",   "Guests that run") \
    F(u64, repos,       _, OPT, 0, UINT64_MAX, 0, "",   "Repositories") \
    F(u64, ops_open,    _, OPT, 0, UINT64_MAX, 0, "",   "Operations under way") \
    F(u64, ops_ended,   _, OPT, 0, UINT64_MAX, 0, "",   "Operations that ended and are kept") \
    F(u64, requests,    _, OPT, 0, UINT64_MAX, 0, "",   "Outcomes of requests that are kept")
/* clang-format on */
SCHEMA_STRUCT(sys, SYS_FIELDS)
extern const struct schema schema_sys;

struct key {
    uint8_t b[2 + 2 * (LIMIT_NAME + 1)];
    size_t n;
};

struct key key_table(char table);
struct key key_name(char table, const char *name);
struct key key_number(char table, uint64_t number);
struct key key_numbers(char table, uint64_t a, uint64_t b);
struct key key_pair(char table, const char *a, const char *b);
struct key key_id(char table, const struct id *id);

/* The number that ends a key. */
uint64_t key_last_number(const struct kv_row *row);

/* One row: 0, ERR_NOT_FOUND, ERR_CORRUPT (in a write transaction, which then fails). */
int rows_get(struct kv_txn *t, const struct key *k, const struct schema *s, void *ret);

/* The first row of the table whose key is greater: 0, ERR_NOT_FOUND, ERR_CORRUPT. */
int rows_after(struct kv_txn *t, const struct key *k, const struct schema *s, void *ret);

/* The first row whose key begins with the first `prefix` bytes of k and is greater than k, or with
 * `from` not less. */
int rows_seek_after(struct kv_txn *t, const struct key *k, size_t prefix, struct kv_row *ret);
int rows_seek_from(struct kv_txn *t, const struct key *k, size_t prefix, struct kv_row *ret);

/* What is promised on a host: to guests that it owns or that are on their way to it. */
struct promised {
    uint64_t memory_mib;
    uint64_t vcpus;
};
struct promised rows_promised(struct kv_txn *t, const char *host);
uint64_t rows_reserved_mib(struct kv_txn *t, const char *host); /* The memory of it. */
/* Whether the host owns the guest, or it is on its way there. */
bool rows_concerns(struct kv_txn *t, const char *guest, const char *host);
/* Guests that a host owns; reads none of them. */
uint32_t rows_guests_on(struct kv_txn *t, const char *host);

/* See fsm_fence_budget(). */
struct fence_budget;
struct fence_budget rows_fence_budget(struct kv_txn *t, const struct pool *pool, uint64_t now_ms);

/* A row that comes from outside: its table must be known, and its value of that table. ERR_CORRUPT;
 * ERR_VERSION for a pool whose feature level this program does not know. */
int rows_check(const struct kv_row *row, struct err *e);

#endif
