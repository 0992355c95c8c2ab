/* LMDB trusts its file: a flipped bit in the head of a page makes it read wild memory or abort, and
 * one in a branch page makes a lookup miss a row that a walk would find. So before it opens a file,
 * all of it is checked here: every page is used exactly once (by one tree, or as free), every node
 * lies within its page and overlaps no other, every key stands between its neighbours and between
 * the separators above it, every counter is right. What is left are the bytes of values, and those
 * have the hash of the rows (kv.c).
 *
 * The layout is that of LMDB 0.9 for 64-bit little-endian machines (lmdb/mdb.c, "Page structures");
 * format version 1 is checked, so a file of another layout is refused and not misread. */

#include "fsm/kv_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/util.h"

#define PAGE_HEAD     16u
#define NODE_HEAD     8u
#define META_SIZE     136u
#define DB_SIZE       48u
#define META_MAGIC    0xBEEFC0DEu
#define META_VERSION  1u
#define NO_PAGE       UINT64_MAX
#define PAGE_MAX      65536u
#define DEPTH_MAX     32u
#define FLAG_BRANCH   0x01u
#define FLAG_LEAF     0x02u
#define FLAG_OVERFLOW 0x04u
#define FLAG_META     0x08u
#define NODE_BIG      0x01u /* The value is on overflow pages. */
#define NODE_DB       0x02u /* The value is a tree. */
#define DB_INTEGERKEY 0x08u
#define SUB_DBS       8u

enum tree {
    TREE_FREE, /* Keys: transactions; values: lists of free pages. */
    TREE_MAIN, /* Values: trees. */
    TREE_ROWS
};

struct file {
    const uint8_t *map;
    uint64_t pages; /* In the file. */
    uint64_t psize;
    uint64_t last; /* Last page that may be in use. */
    uint8_t *used; /* A bit a page. */
    uint64_t n_used;
    const uint8_t *subs[SUB_DBS]; /* Trees found in the main tree. */
    size_t n_subs;
};

struct bytes {
    const uint8_t *p; /* NULL: none. */
    size_t n;
};

/* One walk through a tree, in the order of keys. */
struct walk {
    struct file *f;
    enum tree tree;
    struct bytes before; /* Last key seen on a leaf. */
    struct bytes floor;  /* No key that follows may be less: the separator above it. */
    uint64_t branches, leaves, overflows, entries;
};

static uint32_t load_u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static const uint8_t *page_at(const struct file *f, uint64_t number)
{
    return f->map + number * f->psize;
}

/* Claim pages; false if one is out of bounds or has another owner. */
static bool claim(struct file *f, uint64_t number, uint64_t n, bool in_file)
{
    uint64_t end = in_file && f->pages <= f->last ? f->pages : f->last + 1;
    if (number < 2 || n == 0 || number >= end || n > end - number) {
        return false;
    }
    for (uint64_t i = number; i < number + n; i++) {
        if ((f->used[i / 8] & (1u << (i % 8))) != 0) {
            return false;
        }
        f->used[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    f->n_used += n;
    return true;
}

static int compare(const struct walk *w, struct bytes a, struct bytes b)
{
    if (w->tree == TREE_FREE) {
        uint64_t x = load_u64(a.p);
        uint64_t y = load_u64(b.p);
        return x < y ? -1 : x > y ? 1 : 0;
    }
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n);
    return order != 0 ? order : a.n < b.n ? -1 : a.n > b.n ? 1 : 0;
}

static size_t keys_of(const uint8_t *page)
{
    return (load_u16(page + 12) - PAGE_HEAD) / 2;
}

static const uint8_t *node_of(const uint8_t *page, size_t i)
{
    return page + load_u16(page + PAGE_HEAD + 2 * i);
}

static bool is_leaf(const uint8_t *page)
{
    return load_u16(page + 10) == FLAG_LEAF;
}

static uint64_t data_size(const uint8_t *node)
{
    return load_u16(node) | (uint64_t)load_u16(node + 2) << 16;
}

static struct bytes key_of(const uint8_t *node)
{
    return (struct bytes){node + NODE_HEAD, load_u16(node + 6)};
}

static uint64_t child_of(const uint8_t *node)
{
    return data_size(node) | (uint64_t)load_u16(node + 4) << 32;
}

/* Bytes of the node in its page, or 0 if it cannot be. */
static uint64_t node_size(const struct walk *w, const uint8_t *page, uint64_t offset)
{
    if (offset % 2 != 0 || offset + NODE_HEAD > w->f->psize) {
        return 0;
    }
    const uint8_t *node = page + offset;
    uint32_t flags = load_u16(node + 4);
    uint64_t key = load_u16(node + 6);
    uint64_t size = NODE_HEAD + key;
    if (is_leaf(page)) {
        size += (flags & NODE_BIG) != 0 ? sizeof(uint64_t) : data_size(node);
        if ((flags & ~NODE_BIG) != (w->tree == TREE_MAIN ? NODE_DB : 0u)) {
            return 0;
        }
    }
    if (w->tree == TREE_FREE && key != sizeof(uint64_t) && (is_leaf(page) || key != 0)) {
        return 0;
    }
    size += size % 2;
    return size <= w->f->psize - offset ? size : 0;
}

/* Head, and that the nodes fill the page's upper part without overlap. */
static bool page_sound(const struct walk *w, const uint8_t *page, uint64_t number)
{
    uint32_t flags = load_u16(page + 10);
    uint32_t lower = load_u16(page + 12);
    uint32_t upper = load_u16(page + 14);
    uint8_t taken[PAGE_MAX / 16] = {0}; /* A bit for each two bytes. */
    uint64_t sum = 0;
    if (load_u64(page) != number || (flags != FLAG_BRANCH && flags != FLAG_LEAF) ||
        lower < PAGE_HEAD || lower % 2 != 0 || lower > upper || upper > w->f->psize) {
        return false;
    }
    for (size_t i = 0; i < keys_of(page); i++) {
        uint64_t offset = load_u16(page + PAGE_HEAD + 2 * i);
        uint64_t size = offset < upper ? 0 : node_size(w, page, offset);
        if (size == 0) {
            return false;
        }
        for (uint64_t at = offset / 2; at < (offset + size) / 2; at++) {
            if ((taken[at / 8] & (1u << (at % 8))) != 0) {
                return false;
            }
            taken[at / 8] |= (uint8_t)(1u << (at % 8));
        }
        sum += size;
    }
    return sum == w->f->psize - upper && keys_of(page) >= (flags == FLAG_BRANCH ? 2 : 1);
}

/* The pages of a value that does not fit its leaf. */
static const uint8_t *overflow(struct walk *w, const uint8_t *node)
{
    struct file *f = w->f;
    struct bytes key = key_of(node);
    uint64_t number = load_u64(key.p + key.n);
    if (number >= f->pages) {
        return NULL;
    }
    const uint8_t *page = page_at(f, number);
    uint64_t n = load_u32(page + 12);
    if (load_u64(page) != number || load_u16(page + 10) != FLAG_OVERFLOW ||
        n != (PAGE_HEAD + data_size(node) - 1) / f->psize + 1 || !claim(f, number, n, true)) {
        return NULL;
    }
    w->overflows += n;
    return page + PAGE_HEAD;
}

/* A list of free pages: count, then numbers in descending order. */
static bool free_list(struct file *f, const uint8_t *p, uint64_t size)
{
    if (size < 8 || size % 8 != 0 || load_u64(p) != size / 8 - 1) {
        return false;
    }
    for (uint64_t i = 1; i < size / 8; i++) {
        if (!claim(f, load_u64(p + 8 * i), 1, false) ||
            (i > 1 && load_u64(p + 8 * i) >= load_u64(p + 8 * (i - 1)))) {
            return false;
        }
    }
    return true;
}

static bool leaf_node(struct walk *w, const uint8_t *node)
{
    struct bytes key = key_of(node);
    const uint8_t *data = key.p + key.n;
    if ((w->before.p != NULL && compare(w, w->before, key) >= 0) ||
        (w->floor.p != NULL && compare(w, w->floor, key) > 0)) {
        return false;
    }
    w->before = key;
    w->entries++;
    if ((load_u16(node + 4) & NODE_BIG) != 0) {
        data = overflow(w, node);
        if (data == NULL) {
            return false;
        }
    }
    if (w->tree == TREE_FREE) {
        return free_list(w->f, data, data_size(node));
    }
    if (w->tree == TREE_MAIN) {
        if (data_size(node) != DB_SIZE || w->f->n_subs == SUB_DBS) {
            return false;
        }
        w->f->subs[w->f->n_subs++] = data;
    }
    return true;
}

static bool leaf_page(struct walk *w, const uint8_t *page)
{
    w->leaves++;
    for (size_t i = 0; i < keys_of(page); i++) {
        if (!leaf_node(w, node_of(page, i))) {
            return false;
        }
    }
    return true;
}

/* The separator in front of a child: all before it are less, all behind it are not. */
static bool separator(struct walk *w, const uint8_t *node)
{
    struct bytes key = key_of(node);
    if ((w->tree == TREE_FREE && key.n == 0) || w->before.p == NULL ||
        compare(w, w->before, key) >= 0 || (w->floor.p != NULL && compare(w, w->floor, key) > 0)) {
        return false;
    }
    w->floor = key;
    return true;
}

static const uint8_t *enter(struct walk *w, uint64_t number)
{
    if (!claim(w->f, number, 1, true)) {
        return NULL;
    }
    const uint8_t *page = page_at(w->f, number);
    return page_sound(w, page, number) ? page : NULL;
}

/* Depth first, without recursion: a damaged file must not eat our stack. */
static bool walk_pages(struct walk *w, uint64_t root, unsigned depth)
{
    const uint8_t *pages[DEPTH_MAX];
    size_t next[DEPTH_MAX];
    unsigned level = 0;
    pages[0] = enter(w, root);
    next[0] = 0;
    for (;;) {
        const uint8_t *page = pages[level];
        if (page == NULL || is_leaf(page) != (level + 1 == depth)) {
            return false;
        }
        if (is_leaf(page) && !leaf_page(w, page)) {
            return false;
        }
        while (is_leaf(pages[level]) || next[level] == keys_of(pages[level])) {
            if (level == 0) {
                return true;
            }
            level--;
        }
        const uint8_t *node = node_of(pages[level], next[level]);
        if (next[level] > 0 && !separator(w, node)) {
            return false;
        }
        w->branches += next[level] == 0 ? 1 : 0;
        next[level]++;
        level++;
        pages[level] = enter(w, child_of(node));
        next[level] = 0;
    }
}

static bool walk_tree(struct file *f, const uint8_t *db, enum tree tree)
{
    struct walk w = {.f = f, .tree = tree};
    unsigned depth = load_u16(db + 6);
    uint64_t root = load_u64(db + 40);
    if (depth == 0 || root == NO_PAGE) {
        return depth == 0 && root == NO_PAGE && load_u64(db + 32) == 0;
    }
    return depth <= DEPTH_MAX && walk_pages(&w, root, depth) && w.branches == load_u64(db + 8) &&
           w.leaves == load_u64(db + 16) && w.overflows == load_u64(db + 24) &&
           w.entries == load_u64(db + 32);
}

static bool meta_sound(const struct file *f, uint64_t number)
{
    const uint8_t *page = page_at(f, number);
    const uint8_t *meta = page + PAGE_HEAD;
    uint64_t psize = load_u32(meta + 24);
    return load_u64(page) == number && load_u16(page + 10) == FLAG_META &&
           load_u32(meta) == META_MAGIC && load_u32(meta + 4) == META_VERSION &&
           psize == f->psize && (load_u16(meta + 28) & 0x3fffu) == DB_INTEGERKEY &&
           load_u32(meta + 24 + DB_SIZE) == 0 && load_u16(meta + 28 + DB_SIZE) == 0;
}

static bool pages_sound(struct file *f)
{
    if (!meta_sound(f, 0) || !meta_sound(f, 1)) {
        return false;
    }
    const uint8_t *meta = page_at(f, 0) + PAGE_HEAD;
    const uint8_t *other = page_at(f, 1) + PAGE_HEAD;
    uint64_t txn = load_u64(meta + 128);
    uint64_t other_txn = load_u64(other + 128);
    if (other_txn > txn) {
        meta = other;
    }
    /* The two take turns; a greater distance is a damaged number. Both are 0 in a new file. */
    uint64_t apart = txn > other_txn ? txn - other_txn : other_txn - txn;
    f->last = load_u64(meta + 120);
    if (apart > 1 || f->last < 1 || f->last > f->pages + (UINT64_C(1) << 20)) {
        return false;
    }
    f->used = mem_new(f->last / 8 + 1, 1);
    bool ok = walk_tree(f, meta + 24, TREE_FREE) && walk_tree(f, meta + 24 + DB_SIZE, TREE_MAIN);
    for (size_t i = 0; ok && i < f->n_subs; i++) {
        ok = load_u32(f->subs[i]) == 0 && load_u16(f->subs[i] + 4) == 0 &&
             walk_tree(f, f->subs[i], TREE_ROWS);
    }
    free(f->used);
    return ok && f->n_used + 2 == f->last + 1; /* None is lost. */
}

int kv_check_file(const char *path, struct err *e)
{
    struct stat st = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : err_sys(e, ERR_IO, errno, "open %s", path);
    }
    if (fstat(fd, &st) != 0 || st.st_size == 0) { /* LMDB would take it for a new store. */
        (void)close(fd);
        return err_set(e, ERR_CORRUPT, "store: %s is empty", path);
    }
    size_t size = (size_t)st.st_size;
    void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    int saved = errno;
    (void)close(fd);
    if (map == MAP_FAILED) {
        return err_sys(e, ERR_IO, saved, "map %s", path);
    }
    struct file f = {.map = map};
    f.psize = size < PAGE_HEAD + META_SIZE ? 0 : load_u32(f.map + PAGE_HEAD + 24);
    bool ok = f.psize >= 512 && f.psize <= PAGE_MAX / 2 && (f.psize & (f.psize - 1)) == 0;
    f.pages = ok ? size / f.psize : 0;
    ok = f.pages >= 2 && pages_sound(&f);
    (void)munmap(map, size);
    return ok ? 0 : err_set(e, ERR_CORRUPT, "store: %s is damaged", path);
}
