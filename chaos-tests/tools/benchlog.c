/* benchlog: how many commands a second does a pool carry out, and how long does each take?
 *
 *     benchlog --connect HOST:PORT --depth N --seconds S --guests G [--warm-up S]
 *
 * Keeps N commands under way on one connection for S seconds: each sets the priority of one of the
 * guests bench-0 ... bench-(G-1), which must exist, so that the state does not grow. A command
 * counts when its outcome is there: committed by a majority, applied, and successful. One that is
 * not ends the run with its reason.
 *
 * Prints one JSON object: commits, seconds, commits_per_s, p50_us, p99_us, max_us, command_bytes.
 */

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/clock.h"
#include "core/os_net.h"
#include "core/os_random.h"
#include "core/rpc.h"
#include "core/rpc_frame.h"
#include "core/rpc_msg.h"

#include "fsm/commands.h"

#define CONNECT_MS  5000
#define SILENCE_MS  30000
#define CHUNK_BYTES (256u * 1024u)
/* More than may be under way at once, so that no two requests under way share a place. */
#define PLACES 4096u

struct bench {
    const char *connect;
    uint32_t depth, guests;
    double seconds, warm_up;
    int fd;
    struct rng rng;
    struct buf out;
    size_t out_at;
    struct frame_reader frames;
    uint64_t number, under_way;
    uint64_t begun_ns[PLACES];
    uint64_t measure_from_ns, end_ns, last_ns;
    uint32_t *times_us;
    size_t n_times, cap_times;
    size_t command_bytes;
};

static uint64_t now_ns(void)
{
    return os_clock()->mono_ns(os_clock());
}

static void put_command(struct bench *b)
{
    const struct schema *schema = command_by_number(COMMAND_guest_set)->schema;
    struct cmd_guest_set set;
    struct buf body = {0};
    struct buf params = {0};
    struct id request = id_new(&b->rng);

    schema_init(schema, &set);
    (void)snprintf(set.name, sizeof set.name, "bench-%u", (unsigned)(b->number % b->guests));
    set.priority = (uint32_t)(b->number / b->guests % 1000);
    schema_encode(schema, &set, &body);
    mp_put_map(&params, 3);
    mp_put_str(&params, "name");
    mp_put_str(&params, "guest_set");
    mp_put_str(&params, "body");
    mp_put_bin(&params, body.data, body.len);
    mp_put_str(&params, "request");
    mp_put_bin(&params, request.b, sizeof request.b);
    b->number++;
    b->begun_ns[b->number % PLACES] = now_ns();
    rpc_put_request(&b->out, b->number, "command", params.data, params.len);
    b->under_way++;
    b->command_bytes = body.len + sizeof request.b;
    buf_done(&body);
    buf_done(&params);
}

static void add_time(struct bench *b, uint64_t took_ns)
{
    if (b->n_times == b->cap_times) {
        b->cap_times = b->cap_times == 0 ? 65536 : b->cap_times * 2;
        b->times_us = realloc(b->times_us, b->cap_times * sizeof *b->times_us);
        assert(b->times_us != NULL);
    }
    b->times_us[b->n_times++] = (uint32_t)(took_ns / 1000);
}

/* One answer: measure it, and send the next command in its place. */
static int take_reply(struct bench *b, const uint8_t *payload, size_t len, struct err *e)
{
    struct rpc_msg msg;
    struct outcome outcome;
    uint64_t now = now_ns();

    if (rpc_msg_read(payload, len, &msg, e) != 0) {
        return err_wrap(e, "answer");
    }
    if (msg.kind != RPC_REPLY) {
        return 0;
    }
    if (msg.code != 0) {
        return err_set(e, msg.code, "%s", msg.text);
    }
    if (schema_decode_all(&schema_outcome, msg.body, msg.body_len, &outcome, e) != 0) {
        return err_wrap(e, "outcome");
    }
    if (outcome.code != 0) {
        return err_set(e, -(int)outcome.code, "guest_set: %s: %s", err_text(-(int)outcome.code),
                       outcome.name);
    }
    if (now >= b->measure_from_ns && now <= b->end_ns) {
        add_time(b, now - b->begun_ns[msg.number % PLACES]);
        b->last_ns = now;
    }
    b->under_way--;
    if (now < b->end_ns) {
        put_command(b);
    }
    return 0;
}

static int read_replies(struct bench *b, struct err *e)
{
    static uint8_t chunk[CHUNK_BYTES];
    const uint8_t *payload;
    size_t len;
    ssize_t n = read(b->fd, chunk, sizeof chunk);
    int r;

    if (n == 0) {
        return err_set(e, ERR_CLOSED, "the host hung up");
    }
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : err_sys(e, ERR_IO, errno, "read");
    }
    frame_feed(&b->frames, chunk, (size_t)n);
    while ((r = frame_next(&b->frames, &payload, &len)) > 0) {
        int rc = take_reply(b, payload, len, e);
        if (rc != 0) {
            return rc;
        }
    }
    return r < 0 ? err_set(e, ERR_MALFORMED, "a frame is too long") : 0;
}

static int write_commands(struct bench *b, struct err *e)
{
    ssize_t n = write(b->fd, b->out.data + b->out_at, b->out.len - b->out_at);

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : err_sys(e, ERR_IO, errno, "write");
    }
    b->out_at += (size_t)n;
    if (b->out_at == b->out.len) {
        buf_clear(&b->out);
        b->out_at = 0;
    }
    return 0;
}

static int run(struct bench *b, struct err *e)
{
    struct addr a;
    uint64_t begin;
    int rc = addr_parse(b->connect, &a, e);

    rc = rc == 0 ? os_net_connect(&a, CONNECT_MS, &b->fd, e) : rc;
    if (rc != 0) {
        return rc;
    }
    rng_seed_os(&b->rng);
    frame_reader_init(&b->frames, LIMIT_RPC_REPLY);
    buf_put(&b->out, RPC_MAGIC, RPC_MAGIC_LEN);
    begin = now_ns();
    b->measure_from_ns = begin + (uint64_t)(b->warm_up * 1e9);
    b->end_ns = b->measure_from_ns + (uint64_t)(b->seconds * 1e9);
    for (uint32_t i = 0; i < b->depth; i++) {
        put_command(b);
    }
    while (rc == 0 && b->under_way > 0) {
        struct pollfd p = {.fd = b->fd, .events = POLLIN};

        if (b->out.len > b->out_at) {
            rc = write_commands(b, e);
            p.events |= b->out.len > b->out_at ? POLLOUT : 0;
        }
        if (rc == 0 && poll(&p, 1, SILENCE_MS) == 0) {
            rc = err_set(e, ERR_TIMEOUT, "no answer for %d s", SILENCE_MS / 1000);
        }
        if (rc == 0 && (p.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            rc = read_replies(b, e);
        }
    }
    (void)close(b->fd);
    return rc;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void print_result(struct bench *b)
{
    double seconds = (double)(b->last_ns - b->measure_from_ns) / 1e9;
    size_t n = b->n_times;

    qsort(b->times_us, n, sizeof *b->times_us, compare_u32);
    printf("{\"commits\": %zu, \"seconds\": %.3f, \"commits_per_s\": %.1f, \"p50_us\": %" PRIu32
           ", \"p99_us\": %" PRIu32 ", \"max_us\": %" PRIu32 ", \"command_bytes\": %zu}\n",
           n, seconds, (double)n / seconds, b->times_us[n / 2], b->times_us[n * 99 / 100],
           b->times_us[n - 1], b->command_bytes);
}

static bool take_option(struct bench *b, int option, const char *arg)
{
    switch (option) {
    case 'c': b->connect = arg; return true;
    case 'd': b->depth = (uint32_t)strtoul(arg, NULL, 10); return true;
    case 'g': b->guests = (uint32_t)strtoul(arg, NULL, 10); return true;
    case 's': b->seconds = strtod(arg, NULL); return true;
    case 'w': b->warm_up = strtod(arg, NULL); return true;
    default: return false;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"connect", required_argument, NULL, 'c'}, {"depth", required_argument, NULL, 'd'},
        {"guests", required_argument, NULL, 'g'},  {"seconds", required_argument, NULL, 's'},
        {"warm-up", required_argument, NULL, 'w'}, {NULL, 0, NULL, 0}};
    static struct bench b = {.depth = 1, .guests = 1, .seconds = 3, .warm_up = 0.5};
    struct err e = {0};
    bool ok = true;
    int c;

    // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread.
    while (ok && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        ok = take_option(&b, c, optarg);
    }
    if (!ok || optind != argc || b.connect == NULL || b.guests == 0 || b.depth == 0 ||
        b.depth > LIMIT_RPC_INFLIGHT_CLIENT || b.seconds <= 0) {
        (void)fputs("usage: benchlog --connect HOST:PORT --depth N --seconds S --guests G\n",
                    stderr);
        return 2;
    }
    if (run(&b, &e) != 0) {
        (void)fprintf(stderr, "benchlog: %s: %s\n", err_name(e.code), e.msg);
        return err_exit_status(e.code);
    }
    if (b.n_times == 0) {
        (void)fputs("benchlog: no command was answered in the time\n", stderr);
        return 1;
    }
    print_result(&b);
    return 0;
}
