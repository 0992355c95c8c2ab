/* Disks and cards that come and go while the guest runs. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/util.h"

#include "hvdriver/tests/conformance/conformance.h"

static struct hv_disk a_disk(const struct world *w, const char *device)
{
    struct hv_disk d = {0};
    (void)snprintf(d.path, sizeof d.path, "%s/%s.img", w->dir, device);
    (void)str_copy(d.device, sizeof d.device, device);
    int fd = open(d.path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    (void)close(fd);
    return d;
}

/* A guest that may not let go is waited for so long. */
static uint32_t wait_ms(enum hv_op op)
{
    return op == HV_DETACH ? 700 : 0;
}

static int
disk_op(struct world *w, enum hv_op op, const struct hv_key *key, const struct hv_disk *d)
{
    struct hv_req req = {.op = op, .key = *key, .disk = d, .deadline_ms = wait_ms(op)};
    return run_op(w, &w->a, &req);
}

static int card_op(struct world *w, enum hv_op op, const struct hv_key *key, const struct hv_vif *v)
{
    struct hv_req req = {.op = op, .key = *key, .vif = v, .deadline_ms = wait_ms(op)};
    return run_op(w, &w->a, &req);
}

static void a_disk_comes_while_the_guest_runs(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    struct hv_disk d = a_disk(w, "xvdb");
    assert_int_equal(disk_op(w, HV_ATTACH, &key, &d), 0);
    assert_int_equal(disk_op(w, HV_ATTACH, &key, &d), 0); /* It was there. */
    wait_counter(w, &w->a, &key, counter(&w->a, &key));
    struct hv_disk none = d;
    (void)str_copy(none.device, sizeof none.device, "xvdc");
    (void)str_copy(none.path, sizeof none.path, "/nowhere/at/all");
    assert_int_not_equal(disk_op(w, HV_ATTACH, &key, &none), 0);
    assert_int_equal(state_of(&w->a, &key), HV_RUNNING);
    none = a_disk(w, "xvdc"); /* What failed left nothing in the way. */
    assert_int_equal(disk_op(w, HV_ATTACH, &key, &none), 0);
}

static void a_disk_goes_when_the_guest_lets_go(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    struct hv_disk d = a_disk(w, "xvdb");
    assert_int_equal(disk_op(w, HV_DETACH, &key, &d), 0); /* It was never there. */
    assert_int_equal(disk_op(w, HV_ATTACH, &key, &d), 0);
    int rc = disk_op(w, HV_DETACH, &key, &d);
    assert_int_equal(rc, conf_kind->lets_go ? 0 : ERR_TIMEOUT);
    assert_int_equal(state_of(&w->a, &key), HV_RUNNING);
    wait_counter(w, &w->a, &key, counter(&w->a, &key));
}

static void a_card_comes_and_goes(void **state)
{
    struct world *w = *state;
    host_open(w, &w->a, "a");
    struct hv_key key = counting_guest(w);
    struct hv_vif v = {.mac = "00:16:3e:00:00:09", .slot = 3};
    assert_int_equal(card_op(w, HV_DETACH, &key, &v), 0);
    assert_int_equal(card_op(w, HV_ATTACH, &key, &v), 0);
    assert_int_equal(card_op(w, HV_ATTACH, &key, &v), 0);
    wait_counter(w, &w->a, &key, counter(&w->a, &key));
    struct hv_req both = {.op = HV_ATTACH, .key = key};
    assert_int_equal(run_op(w, &w->a, &both), ERR_INVALID);
}

/* A target is made from the spec alone: what came while the guest ran must be where it would be. */
static void a_guest_moves_with_what_it_was_given(void **state)
{
    struct world *w = *state;
    hosts_open(w);
    struct hv_spec spec = a_guest(1, 1);
    struct hv_key key = key_of(&spec);
    (void)str_copy(spec.vifs[0].mac, sizeof spec.vifs[0].mac, "00:16:3e:00:00:01");
    (void)str_copy(spec.vifs[0].model, sizeof spec.vifs[0].model, "e1000");
    spec.vifs[0].slot = 1;
    spec.n_vifs = 1;
    start(w, &w->a, &spec);
    wait_counter(w, &w->a, &key, 2);
    struct hv_disk d = a_disk(w, "xvdd");
    struct hv_vif v = {.mac = "00:16:3e:00:00:09", .slot = 4};
    assert_int_equal(disk_op(w, HV_ATTACH, &key, &d), 0);
    assert_int_equal(card_op(w, HV_ATTACH, &key, &v), 0);
    struct hv_spec target = spec;
    target.epoch = 2;
    target.disks[target.n_disks++] = d;
    target.vifs[target.n_vifs++] = v;
    struct hv_req in = {.op = HV_INCOMING_START, .spec = &target, .address = "127.0.0.1"};
    assert_int_equal(run_op(w, &w->b, &in), 0);
    struct hv_req out = move_to(&in, 1);
    assert_int_equal(run_op(w, &w->a, &out), 0);
    wait_state(w, &w->b, &in.key, HV_ARRIVED);
    uint64_t before = counter(&w->a, &key);
    assert_int_equal(do_op(w, &w->b, HV_UNPAUSE, &in.key), 0);
    wait_counter(w, &w->b, &in.key, before);
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, world_setup, world_teardown)

const struct CMUnitTest conf_device_tests[] = {
    T(a_disk_comes_while_the_guest_runs),
    T(a_disk_goes_when_the_guest_lets_go),
    T(a_card_comes_and_goes),
    T(a_guest_moves_with_what_it_was_given),
};
const size_t n_conf_device_tests = ARRAY_LEN(conf_device_tests);
