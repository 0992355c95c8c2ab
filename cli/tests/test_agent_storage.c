/* Disks made from images, directories of guests that are no more, and repositories on a host. */

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/tests/cm.h"
#include "core/util.h"

#include "cli/quorated/agent_spec.h"
#include "cli/quorated/images.h"
#include "cli/quorated/mounts.h"

static char top[64];
static struct fsm *fsm;
static uint64_t applied;
static const struct id repo_id = {.b = {1, 2, 3, 4}};

static char *at(const char *rest)
{
    static char paths[8][400];
    static unsigned next;
    char *to = paths[next++ % 8];
    (void)snprintf(to, sizeof paths[0], "%s/%s", top, rest);
    return to;
}

static bool exists(const char *rest)
{
    return access(at(rest), F_OK) == 0;
}

static void put(const char *rest, const char *text)
{
    FILE *f = fopen(at(rest), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static const char *content(const char *rest)
{
    static char text[256];
    FILE *f = fopen(at(rest), "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    assert_int_equal(fclose(f), 0);
    return text;
}

static uint32_t apply(uint32_t number, const void *record)
{
    CLEANUP(buf_done) struct buf body = {0};
    CLEANUP(buf_done) struct buf bytes = {0};
    struct entry en = {.number = number, .wall_ms = 1000000 + applied};
    struct fsm_applied_entry done;
    struct err e;
    store_u64(en.request.b, ++applied);
    schema_encode(command_by_number(number)->schema, record, &body);
    en.body = body.data;
    en.body_len = body.len;
    entry_encode(&en, &bytes);
    assert_int_equal(fsm_begin(fsm, &e), 0);
    assert_int_equal(
        fsm_apply(fsm, &(struct fsm_input){applied, /*term=*/1, bytes.data, bytes.len}, &done, &e),
        0);
    assert_int_equal(fsm_commit(fsm, &e), 0);
    return done.outcome.code;
}

static void make_pool(void)
{
    struct cmd_pool_init init;
    struct cmd_host_report report;
    struct cmd_repo_new new;
    struct cmd_repo_init ready;
    schema_init(command_by_number(COMMAND_pool_init)->schema, &init);
    schema_init(command_by_number(COMMAND_host_report)->schema, &report);
    schema_init(command_by_number(COMMAND_repo_new)->schema, &new);
    schema_init(command_by_number(COMMAND_repo_init)->schema, &ready);
    init.id.b[0] = 1;
    (void)str_copy(init.name, sizeof init.name, "pool");
    (void)str_copy(init.host, sizeof init.host, "h1");
    (void)str_copy(init.address, sizeof init.address, "127.0.0.1:7001");
    assert_int_equal(apply(COMMAND_pool_init, &init), 0);
    (void)str_copy(report.name, sizeof report.name, "h1");
    report.raft_id = 1;
    report.incarnation = 1;
    report.memory_mib = 4096;
    assert_int_equal(apply(COMMAND_host_report, &report), 0);
    new.id = repo_id;
    (void)str_copy(new.name, sizeof new.name, "store");
    (void)str_copy(new.source, sizeof new.source, at("store"));
    assert_int_equal(apply(COMMAND_repo_new, &new), 0);
    (void)str_copy(ready.name, sizeof ready.name, "store");
    assert_int_equal(apply(COMMAND_repo_init, &ready), 0);
}

static struct mounts_task task(bool fresh)
{
    struct mounts_task t = {.id = repo_id, .root = true, .fresh = fresh, .init = fresh};
    (void)str_copy(t.name, sizeof t.name, "store");
    (void)str_copy(t.source, sizeof t.source, at("store"));
    return t;
}

static int set_up(void **unused)
{
    (void)unused;
    struct err e;
    bool rebuilt;
    applied = 0;
    (void)str_copy(top, sizeof top, "/tmp/quorate-storage-XXXXXX");
    assert_non_null(mkdtemp(top));
    assert_int_equal(mkdir(at("store"), 0755), 0);
    struct fsm_options o = {.dir = at("fsm"), .boot_id = "test", .map_bytes = 64u << 20};
    assert_int_equal(fsm_open(&fsm, &o, &rebuilt, &e), 0);
    make_pool();
    struct mounts_task t = task(/*fresh=*/true);
    mounts_pass_now(at("prefix"), &t, 1);
    assert_true(t.ready);
    assert_int_equal(mkdir(at("store/seed_pool/tiny"), 0755), 0);
    put("store/seed_pool/tiny/system.img", "the image");
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **unused)
{
    (void)unused;
    fsm = fsm_close(fsm);
    (void)nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static struct guest *guest(const char *name)
{
    static struct guest g;
    struct fsm_view *v = fsm_view_open(fsm);
    assert_int_equal(fsm_get_guest(v, name, &g), 0);
    (void)fsm_view_close(v);
    return &g;
}

static struct guest *create(const char *name, uint8_t uuid)
{
    static struct cmd_guest_create c;
    schema_init(command_by_number(COMMAND_guest_create)->schema, &c);
    c.uuid.b[0] = uuid;
    (void)str_copy(c.name, sizeof c.name, name);
    (void)str_copy(c.host, sizeof c.host, "h1");
    (void)str_copy(c.image, sizeof c.image, "tiny");
    (void)snprintf(c.config.disks[0].path, sizeof c.config.disks[0].path,
                   "store:running_pool/%s/system.img", name);
    c.config.disks_n = 1;
    assert_int_equal(apply(COMMAND_guest_create, &c), 0);
    return guest(name);
}

static void delete (const char *name)
{
    struct cmd_guest_report r;
    struct cmd_guest_delete c;
    schema_init(command_by_number(COMMAND_guest_report)->schema, &r);
    schema_init(command_by_number(COMMAND_guest_delete)->schema, &c);
    (void)str_copy(r.name, sizeof r.name, name);
    (void)str_copy(r.host, sizeof r.host, "h1");
    r.epoch = guest(name)->run_epoch;
    r.what = REPORT_FAILED;
    r.code = 1;
    assert_int_equal(apply(COMMAND_guest_report, &r), 0);
    (void)str_copy(c.name, sizeof c.name, name);
    assert_int_equal(apply(COMMAND_guest_delete, &c), 0);
}

static int make(const struct guest *g, uint64_t epoch, struct err *e)
{
    static struct images_order o;
    struct fsm_view *v = fsm_view_open(fsm);
    int rc = images_order(v, at("prefix"), g, epoch, &o, e);
    (void)fsm_view_close(v);
    return rc != 0 ? rc : images_make_now(&o, NULL, e);
}

static uint32_t sweep(void)
{
    struct fsm_view *v = fsm_view_open(fsm);
    uint32_t n = images_sweep_now(v, at("prefix"));
    (void)fsm_view_close(v);
    return n;
}

/* --- images */

static void a_disk_is_made_once_and_never_overwritten(void **unused)
{
    (void)unused;
    struct err e;
    struct guest *g = create("web1", 1);
    assert_int_equal(make(g, g->run_epoch, &e), 0);
    assert_string_equal(content("store/running_pool/web1/system.img"), "the image");
    put("store/running_pool/web1/system.img", "its own data");
    assert_int_equal(make(g, g->run_epoch + 1, &e), 0);
    assert_string_equal(content("store/running_pool/web1/system.img"), "its own data");
}

static void holes_stay_holes(void **unused)
{
    (void)unused;
    struct err e;
    struct stat st;
    int fd = open(at("store/seed_pool/tiny/system.img"), O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "end", 3, 64 << 20), 3);
    assert_int_equal(close(fd), 0);
    struct guest *g = create("web1", 1);
    assert_int_equal(make(g, g->run_epoch, &e), 0);
    assert_int_equal(stat(at("store/running_pool/web1/system.img"), &st), 0);
    assert_int_equal(st.st_size, (64 << 20) + 3);
    assert_true(st.st_blocks * 512 < 1 << 20);
}

static void what_a_crash_left_half_made_is_made_anew(void **unused)
{
    (void)unused;
    struct err e;
    struct guest *g = create("web1", 1);
    assert_int_equal(make(g, g->run_epoch, &e), 0);
    assert_int_equal(unlink(at("store/running_pool/web1/.made")), 0);
    assert_int_equal(unlink(at("store/running_pool/web1/system.img")), 0);
    put("store/running_pool/web1/system.img.new-1", "hal");
    assert_int_equal(make(g, g->run_epoch + 1, &e), 0);
    assert_string_equal(content("store/running_pool/web1/system.img"), "the image");
    assert_false(exists("store/running_pool/web1/system.img.new-1"));
}

static void a_disk_that_got_lost_is_not_replaced_by_a_fresh_one(void **unused)
{
    (void)unused;
    struct err e;
    struct guest *g = create("web1", 1);
    assert_int_equal(make(g, g->run_epoch, &e), 0);
    assert_int_equal(unlink(at("store/running_pool/web1/system.img")), 0);
    assert_int_equal(make(g, g->run_epoch + 1, &e), ERR_NOT_FOUND);
    assert_false(exists("store/running_pool/web1/system.img"));
}

static void a_missing_image_and_a_strange_directory_are_told(void **unused)
{
    (void)unused;
    struct err e;
    struct guest *g = create("web1", 1);
    assert_int_equal(mkdir(at("store/running_pool/web1"), 0755), 0);
    assert_int_equal(make(g, g->run_epoch, &e), ERR_EXISTS);
    assert_int_equal(rmdir(at("store/running_pool/web1")), 0);
    assert_int_equal(unlink(at("store/seed_pool/tiny/system.img")), 0);
    assert_int_equal(make(g, g->run_epoch, &e), ERR_NOT_FOUND);
    assert_non_null(strstr(e.msg, "seed_pool/tiny/system.img"));
}

static void a_cancelled_copy_leaves_no_disk(void **unused)
{
    (void)unused;
    static struct images_order o;
    struct err e;
    bool cancelled = true;
    struct guest *g = create("web1", 1);
    struct fsm_view *v = fsm_view_open(fsm);
    assert_int_equal(images_order(v, at("prefix"), g, g->run_epoch, &o, &e), 0);
    (void)fsm_view_close(v);
    int rc = images_make_now(&o, &cancelled, &e);
    /* A file system that shares blocks is done before it can be cancelled. */
    assert_true(rc == ERR_CANCELLED || rc == 0);
    assert_int_equal(exists("store/running_pool/web1/system.img"), rc == 0);
}

/* --- guests that are no more */

static void the_directory_of_a_deleted_guest_goes_and_only_that(void **unused)
{
    (void)unused;
    struct err e;
    struct guest *g = create("web1", 1);
    assert_int_equal(make(g, g->run_epoch, &e), 0);
    g = create("web2", 2);
    assert_int_equal(make(g, g->run_epoch, &e), 0);
    assert_int_equal(mkdir(at("store/running_pool/mine"), 0755), 0);
    assert_int_equal(sweep(), 0);
    delete ("web1");
    assert_int_equal(sweep(), 1);
    assert_false(exists("store/running_pool/web1"));
    assert_true(exists("store/running_pool/web2/system.img"));
    assert_true(exists("store/running_pool/mine"));
}

static void an_old_view_does_not_remove_what_came_after_it(void **unused)
{
    (void)unused;
    struct err e;
    struct fsm_view *old = fsm_view_open(fsm);
    struct guest *g = create("web1", 1);
    assert_int_equal(make(g, g->run_epoch, &e), 0);
    assert_int_equal(images_sweep_now(old, at("prefix")), 0);
    assert_true(exists("store/running_pool/web1/system.img"));
    (void)fsm_view_close(old);
}

static void a_new_guest_does_not_get_the_disks_of_an_old_one(void **unused)
{
    (void)unused;
    struct err e;
    struct guest *g = create("web1", 1);
    assert_int_equal(make(g, g->run_epoch, &e), 0);
    put("store/running_pool/web1/system.img", "old data");
    delete ("web1");
    g = create("web1", 2);
    assert_int_equal(make(g, g->run_epoch, &e), 0);
    assert_string_equal(content("store/running_pool/web1/system.img"), "the image");
    assert_int_equal(sweep(), 0);
    assert_true(exists("store/running_pool/web1/system.img"));
}

/* --- paths and repositories */

static void paths_lead_into_the_repository_and_nowhere_else(void **unused)
{
    (void)unused;
    static const char *const bad[] = {
        "", "x", ":x", "store:", "store:../x", "store:a/../b", "/a/../b", "nothere:x"};
    char path[LIMIT_PATH + 1];
    struct err e;
    struct fsm_view *v = fsm_view_open(fsm);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_not_equal(agent_path(v, "/p", bad[i], path, &e), 0);
    }
    assert_int_equal(agent_path(v, "/p", "/dev/x..y", path, &e), 0);
    assert_string_equal(path, "/dev/x..y");
    assert_int_equal(agent_path(v, "/p", "store:iso_pool/a.iso", path, &e), 0);
    assert_string_equal(path, "/p/mount/01020304-0000-0000-0000-000000000000/iso_pool/a.iso");
    (void)fsm_view_close(v);
}

static void a_repository_is_linked_with_its_pools_and_the_root(void **unused)
{
    (void)unused;
    assert_true(exists("prefix/mount/01020304-0000-0000-0000-000000000000/running_pool"));
    assert_true(exists("prefix/OVS/sharedDisk"));
    mounts_pass_now(at("prefix"), NULL, 0);
    assert_false(exists("prefix/mount/01020304-0000-0000-0000-000000000000"));
    assert_false(exists("prefix/OVS"));
    assert_true(exists("store/running_pool"));
}

static void a_directory_without_the_mark_is_not_the_repository(void **unused)
{
    (void)unused;
    assert_int_equal(unlink(at("store/.quorate-repository")), 0);
    struct mounts_task t = task(/*fresh=*/false);
    mounts_pass_now(at("prefix"), &t, 1);
    assert_false(t.ready);
    assert_false(t.waiting);
    assert_non_null(strstr(t.detail, "not mounted"));
    assert_false(exists("store/.quorate-repository"));
    put("store/.quorate-repository", "99999999-0000-0000-0000-000000000000");
    t = task(/*fresh=*/true);
    mounts_pass_now(at("prefix"), &t, 1);
    assert_false(t.ready);
    assert_non_null(strstr(t.detail, "99999999"));
}

int main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_disk_is_made_once_and_never_overwritten),
        T(holes_stay_holes),
        T(what_a_crash_left_half_made_is_made_anew),
        T(a_disk_that_got_lost_is_not_replaced_by_a_fresh_one),
        T(a_missing_image_and_a_strange_directory_are_told),
        T(a_cancelled_copy_leaves_no_disk),
        T(the_directory_of_a_deleted_guest_goes_and_only_that),
        T(an_old_view_does_not_remove_what_came_after_it),
        T(a_new_guest_does_not_get_the_disks_of_an_old_one),
        T(paths_lead_into_the_repository_and_nowhere_else),
        T(a_repository_is_linked_with_its_pools_and_the_root),
        T(a_directory_without_the_mark_is_not_the_repository),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
