/* A snapshot that comes in to a member on a real disk, frame by frame. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"

#include "raftlog/node_impl.h"
#include "raftlog/rl.h"
#include "raftlog/tests/check.h"
#include "raftlog/tests/simdisk.h"

static const struct id pool = {{1, 2, 3}};
static char dir[] = "/tmp/raftlog-snap-in-XXXXXX";
static uint64_t applied;

static uint64_t get_applied(void *ctx)
{
    (void)ctx;
    return applied;
}

static int apply(void *ctx, const struct raftlog_entry *entries, uint32_t n, struct err *e)
{
    (void)ctx;
    (void)e;
    applied = entries[n - 1].index;
    return 0;
}

static void ignore(void *ctx)
{
    (void)ctx;
}

static void fatal(void *ctx, const struct err *e)
{
    (void)ctx;
    fail_msg("%s", e->msg);
}

/* A member of a pool of one, so that it has a log and a node. */
static struct raftlog *member_new(uv_loop_t *loop)
{
    struct raftlog *rl = NULL;
    struct err e = {0};
    struct err refused = {0};
    struct raftlog_options o = {.dir = dir,
                                .name = "h1",
                                .listen = "127.0.0.1:1",
                                .ballast_bytes = 4096,
                                .machine = {.applied = get_applied, .apply = apply},
                                .changed = ignore,
                                .fatal = fatal};
    assert_int_equal(raftlog_open(&rl, loop, &o, &refused, &e), 0);
    assert_int_equal(raftlog_bootstrap(rl, &pool, &e), 0);
    while (rl->node == NULL) {
        (void)uv_run(loop, UV_RUN_ONCE);
    }
    return rl;
}

/* The frames that bring a snapshot of this index: the offer, and all of it in one chunk. */
static void frames_of(uint64_t index, struct buf *offer, struct buf *chunk)
{
    struct err e = {0};
    struct disk *d = NULL;
    struct disk_file *f = NULL;
    struct snap_writer *w = NULL;
    struct snap_meta m = {.index = index, .term = 1, .conf_index = 1};
    CLEANUP(buf_done) struct buf conf = {0};
    char name[DISK_NAME_SIZE];
    static uint8_t bytes[SNAPSEND_CHUNK];
    size_t n = 0;
    struct simdisk *sd = simdisk_new(&(struct simdisk_options){.seed = 1});
    assert_int_equal(node_founding_conf(1, "127.0.0.1:1", &conf, &e), 0);
    memcpy(m.conf, conf.data, conf.len);
    m.conf_len = (uint32_t)conf.len;
    assert_int_equal(simdisk_take(sd, &d, &e), 0);
    assert_int_equal(snap_create(&w, d, &pool, &m, &e), 0);
    assert_int_equal(snap_write(w, "state", 5, &e), 0);
    assert_int_equal(snap_finish(w, &m, &e), 0);
    snap_name(name, 1, index);
    assert_int_equal(disk_open(d, name, DISK_READ, &f, &e), 0);
    assert_int_equal(disk_read(f, 0, bytes, sizeof bytes, &n, &e), 0);
    disk_close(f);
    simdisk_free(sd);
    struct snap_msg msg = {
        .kind = SNAP_OFFER,
        .index = index,
        .term = 1,
        .offer = {.index = index, .term = 1, .file_bytes = m.file_bytes, .sum = m.sum}};
    snap_msg_encode(&msg, offer);
    msg = (struct snap_msg){.kind = SNAP_CHUNK, .index = index, .term = 1, .data = bytes, .len = n};
    snap_msg_encode(&msg, chunk);
}

static uint64_t received(const struct raftlog *rl)
{
    return rl->node->install.received.s.index;
}

static void receive(uv_loop_t *loop, struct raftlog *rl, uint64_t from, uint64_t index)
{
    CLEANUP(buf_done) struct buf offer = {0};
    CLEANUP(buf_done) struct buf chunk = {0};
    frames_of(index, &offer, &chunk);
    rl_snap_frame(rl, from, offer.data, offer.len);
    rl_snap_frame(rl, from, chunk.data, chunk.len);
    for (int i = 0; i < 1000 && received(rl) != index; i++) {
        (void)uv_run(loop, UV_RUN_ONCE);
    }
    assert_int_equal(received(rl), index);
}

/* The leader that sent it died before it said that this is to be the member's truth. */
static void a_file_that_nobody_asks_for_gives_way_to_the_next_leaders(void **state)
{
    (void)state;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    struct raftlog *rl = member_new(&loop);
    receive(&loop, rl, 2, 1000);
    receive(&loop, rl, 2, 1000); /* Again the same: it is there. */
    receive(&loop, rl, 3, 2000);
    receive(&loop, rl, 2, 1500);
    raftlog_close(rl, ignore, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[sizeof dir + 16];
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command); /* NOLINT: the path is ours. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_nobody_asks_for_gives_way_to_the_next_leaders),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
