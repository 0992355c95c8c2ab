/* One table over all heaps: pointer -> block. A block is freed by whoever has it, as in C. */

#include "chaos-tests/sim/heap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chaos-tests/sim/proc.h"
#include "chaos-tests/sim/seam.h"
#include "chaos-tests/sim/store.h"
#include "chaos-tests/sim/vsys.h"

#define FDS_MAX 64
#define TXN_MAX 256

enum kind {
    TXN,
    CURSOR
};

struct lmdb_thing {
    enum kind kind;
    void *p;
};

struct heap {
    uint32_t first; /* Block; 0 none. */
    size_t blocks;
    int fds[FDS_MAX];
    uint32_t n_fds;
    MDB_env *env; /* A daemon has one. */
    struct lmdb_thing things[TXN_MAX];
    uint32_t n_things;
};

struct block {
    void *p; /* NULL: unused. */
    struct heap *owner;
    uint32_t next, prev; /* In the owner's list. */
    uint32_t chain;      /* In the table's. */
};

static struct heap *current;
static struct block *blocks; /* From 1. */
static uint32_t n_blocks, cap_blocks, free_block;
static uint32_t *table;
static uint32_t table_size; /* A power of two. */
static uint32_t live;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t count, size_t size);
void __real_free(void *p);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t count, size_t size);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);

/* --- the table */

static void *must(void *p)
{
    if (p == NULL) {
        abort();
    }
    return p;
}

static uint32_t slot_of(const void *p)
{
    uint64_t x = (uint64_t)(uintptr_t)p >> 4;
    return (uint32_t)((x * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (table_size - 1);
}

static void table_double(void)
{
    table_size = table_size == 0 ? 1u << 14 : table_size * 2;
    __real_free(table);
    table = must(__real_calloc(table_size, sizeof *table));
    for (uint32_t i = 1; i < n_blocks; i++) {
        if (blocks[i].p != NULL) {
            uint32_t slot = slot_of(blocks[i].p);
            blocks[i].chain = table[slot];
            table[slot] = i;
        }
    }
}

static uint32_t block_new(void)
{
    if (free_block != 0) {
        uint32_t i = free_block;
        free_block = blocks[i].next;
        return i;
    }
    if (n_blocks == cap_blocks) {
        cap_blocks = cap_blocks == 0 ? 1u << 14 : cap_blocks * 2;
        blocks = must(__real_realloc(blocks, cap_blocks * sizeof *blocks));
        n_blocks = n_blocks == 0 ? 1 : n_blocks;
    }
    return n_blocks++;
}

static void *book(void *p)
{
    struct heap *h = current;
    if (h == NULL || p == NULL) {
        return p;
    }
    if (live >= table_size / 2) {
        table_double();
    }
    uint32_t i = block_new();
    uint32_t slot = slot_of(p);
    blocks[i] = (struct block){.p = p, .owner = h, .next = h->first, .chain = table[slot]};
    table[slot] = i;
    if (h->first != 0) {
        blocks[h->first].prev = i;
    }
    h->first = i;
    h->blocks++;
    live++;
    return p;
}

/* The heap that had it; NULL: it was on none. */
static struct heap *unbook(void *p)
{
    if (live == 0 || p == NULL) {
        return NULL;
    }
    uint32_t *at = &table[slot_of(p)];
    while (*at != 0 && blocks[*at].p != p) {
        at = &blocks[*at].chain;
    }
    uint32_t i = *at;
    if (i == 0) {
        return NULL;
    }
    struct block *b = &blocks[i];
    struct heap *h = b->owner;
    *at = b->chain;
    if (b->prev != 0) {
        blocks[b->prev].next = b->next;
    } else {
        h->first = b->next;
    }
    if (b->next != 0) {
        blocks[b->next].prev = b->prev;
    }
    h->blocks--;
    live--;
    *b = (struct block){.next = free_block};
    free_block = i;
    return h;
}

/* --- memory */

void *__wrap_malloc(size_t size)
{
    return book(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return book(__real_calloc(count, size));
}

void *__wrap_reallocarray(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    return __wrap_realloc(p, bytes);
}

/* A block stays with its owner, whoever makes it grow. */
void *__wrap_realloc(void *p, size_t size)
{
    struct heap *was = current;
    struct heap *owner = p == NULL ? current : unbook(p);
    void *q = __real_realloc(p, size);
    assert(q != NULL || size == 0);
    current = owner;
    (void)book(q);
    current = was;
    return q;
}

void __wrap_free(void *p)
{
    (void)unbook(p);
    __real_free(p);
}

char *__wrap_strdup(const char *s)
{
    return book(__real_strdup(s));
}

/* --- descriptors */

int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_close(int fd);
int __real_close(int fd);

int __wrap_open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    unsigned mode = (flags & O_CREAT) != 0 ? va_arg(ap, unsigned) : 0;
    va_end(ap);
    int fd = __real_open(path, flags, mode);
    if (fd >= 0 && current != NULL) {
        assert(current->n_fds < FDS_MAX);
        current->fds[current->n_fds++] = fd;
    }
    return fd;
}

int __wrap_close(int fd)
{
    if (vsys_is_virtual(fd)) {
        return vsys_close(fd);
    }
    for (uint32_t i = 0; current != NULL && i < current->n_fds; i++) {
        if (current->fds[i] == fd) {
            current->fds[i] = current->fds[--current->n_fds];
            break;
        }
    }
    return __real_close(fd);
}

/* --- LMDB */

int __real_mdb_env_create(MDB_env **ret);
int __wrap_mdb_env_create(MDB_env **ret);
void __real_mdb_env_close(MDB_env *env);
void __wrap_mdb_env_close(MDB_env *env);
int __real_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **ret);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **ret);
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
void __real_mdb_txn_abort(MDB_txn *txn);
void __wrap_mdb_txn_abort(MDB_txn *txn);
int __real_mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **ret);
int __wrap_mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **ret);
int __real_mdb_env_sync(MDB_env *env, int force);
int __wrap_mdb_env_sync(MDB_env *env, int force);
void __real_mdb_cursor_close(MDB_cursor *cursor);
void __wrap_mdb_cursor_close(MDB_cursor *cursor);

static void thing_add(enum kind kind, void *p)
{
    struct heap *h = current;
    if (h != NULL) {
        assert(h->n_things < TXN_MAX);
        h->things[h->n_things++] = (struct lmdb_thing){.kind = kind, .p = p};
    }
}

static void thing_remove(const void *p)
{
    struct heap *h = current;
    for (uint32_t i = h == NULL ? 0 : h->n_things; i > 0; i--) {
        if (h->things[i - 1].p == p) {
            memmove(&h->things[i - 1], &h->things[i], (h->n_things - i) * sizeof h->things[0]);
            h->n_things--;
            return;
        }
    }
}

int __wrap_mdb_env_create(MDB_env **ret)
{
    int r = __real_mdb_env_create(ret);
    if (r == 0 && current != NULL) {
        assert(current->env == NULL);
        current->env = *ret;
    }
    return r;
}

void __wrap_mdb_env_close(MDB_env *env)
{
    if (current != NULL && current->env == env) {
        current->env = NULL;
    }
    __real_mdb_env_close(env);
}

int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **ret)
{
    int r = __real_mdb_txn_begin(env, parent, flags, ret);
    if (r == 0) {
        thing_add(TXN, *ret);
    }
    if ((flags & MDB_RDONLY) == 0 && proc_now != NULL) {
        proc_now->machine->store_synced = false;
    }
    return r;
}

int __wrap_mdb_env_sync(MDB_env *env, int force)
{
    seam_call(SEAM_DISK);
    int r = store_fails() ? EIO : __real_mdb_env_sync(env, force);
    store_was_synced(r == 0);
    return r;
}

int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    seam_call(SEAM_DISK);
    thing_remove(txn);
    if (store_fails()) {
        __real_mdb_txn_abort(txn);
        return EIO;
    }
    return __real_mdb_txn_commit(txn);
}

void __wrap_mdb_txn_abort(MDB_txn *txn)
{
    thing_remove(txn);
    __real_mdb_txn_abort(txn);
}

int __wrap_mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **ret)
{
    int r = __real_mdb_cursor_open(txn, dbi, ret);
    if (r == 0) {
        thing_add(CURSOR, *ret);
    }
    return r;
}

void __wrap_mdb_cursor_close(MDB_cursor *cursor)
{
    thing_remove(cursor);
    __real_mdb_cursor_close(cursor);
}

/* --- heaps */

struct heap *heap_new(void)
{
    return must(__real_calloc(1, sizeof(struct heap)));
}

struct heap *heap_switch(struct heap *h)
{
    struct heap *was = current;
    current = h;
    return was;
}

size_t heap_bytes(const struct heap *h)
{
    size_t sum = 0;
    for (uint32_t i = h->first; i != 0; i = blocks[i].next) {
        sum += malloc_usable_size(blocks[i].p);
    }
    return sum;
}

void heap_drop(struct heap *h)
{
    if (h == NULL) {
        return;
    }
    struct heap *was = heap_switch(NULL);
    /* Newest first: cursors before their transactions. Aborting is what death leaves of one. */
    while (h->n_things > 0) {
        struct lmdb_thing *t = &h->things[--h->n_things];
        if (t->kind == CURSOR) {
            __real_mdb_cursor_close(t->p);
        } else {
            __real_mdb_txn_abort(t->p);
        }
    }
    if (h->env != NULL) {
        __real_mdb_env_close(h->env);
    }
    for (uint32_t i = 0; i < h->n_fds; i++) {
        (void)__real_close(h->fds[i]);
    }
    while (h->first != 0) {
        void *p = blocks[h->first].p;
        (void)unbook(p);
        __real_free(p);
    }
    __real_free(h);
    (void)heap_switch(was == h ? NULL : was);
}
