/* The heartbeat's engine: see beat.h. No library is used but memcpy, memset and memcmp, so that it
 * runs on a bare machine. */

#include "chaos-tests/images/beat.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);

_Static_assert(sizeof(struct beat_record) == 128, "the record is the same in 32 and 64 bits");
_Static_assert(offsetof(struct beat_record, crc) == 124, "the sum stands last");

static uint32_t crc32c(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t crc = ~0u;

    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0x82f63b78u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

void beat_seal(struct beat_record *r)
{
    r->crc = crc32c(r, offsetof(struct beat_record, crc));
}

bool beat_sealed(const struct beat_record *r, uint32_t kind)
{
    return r->kind == kind && r->crc == crc32c(r, offsetof(struct beat_record, crc));
}

uint32_t beat_lane(uint64_t run)
{
    return BEAT_LANE_AT + (uint32_t)run % BEAT_LANES * (1u + BEAT_RING);
}

uint32_t beat_place(uint64_t run, uint64_t counter)
{
    return beat_lane(run) + 1 + (uint32_t)counter % BEAT_RING;
}

/* *n divided by ten; returns the rest. A bare 32-bit machine has no 64-bit division. */
static uint32_t divide_by_ten(uint64_t *n)
{
    uint64_t quotient = 0;
    uint32_t rest = 0;

    for (int shift = 48; shift >= 0; shift -= 16) {
        uint32_t part = rest << 16 | (uint32_t)(*n >> shift & 0xffff);

        quotient = quotient << 16 | part / 10;
        rest = part % 10;
    }
    *n = quotient;
    return rest;
}

static void add_text(struct beat *b, const char *text)
{
    while (*text != '\0' && b->len < sizeof b->line - 1) {
        b->line[b->len++] = *text++;
    }
    b->line[b->len] = '\0';
}

static void add_number(struct beat *b, const char *label, uint64_t n)
{
    char digits[21];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + divide_by_ten(&n));
    } while (n != 0);
    add_text(b, label);
    add_text(b, digits + at);
}

static void say(struct beat *b)
{
    add_text(b, "\n");
    b->machine->say(b->line);
    b->len = 0;
}

/* The value after `key`: up to a space, at most size - 1 bytes. Returns its length. */
static size_t option_text(const char *cmdline, const char *key, char *value, size_t size)
{
    size_t n = 0;

    for (; *cmdline != '\0'; cmdline++) {
        const char *c = cmdline;
        const char *k = key;

        while (*k != '\0' && *c == *k) {
            c++;
            k++;
        }
        if (*k != '\0') {
            continue;
        }
        while (*c != '\0' && *c != ' ' && n < size - 1) {
            value[n++] = *c++;
        }
        break;
    }
    value[n] = '\0';
    return n;
}

static uint64_t number(const char *text)
{
    uint64_t n = 0;

    while (*text >= '0' && *text <= '9') {
        n = n * 10 + (uint64_t)(*text++ - '0');
    }
    return n;
}

uint64_t beat_option(const char *cmdline, const char *key)
{
    char value[24];

    (void)option_text(cmdline, key, value, sizeof value);
    return number(value);
}

/* Take host and epoch from what the machine says; whether they differ from the last beat's. */
static bool look_where(struct beat *b, struct beat_record *r)
{
    char text[BEAT_HOST + 24];
    char host[BEAT_HOST];
    size_t n = 0;
    uint64_t epoch;

    if (!b->machine->place(text, sizeof text)) {
        return false;
    }
    memset(host, 0, sizeof host);
    while (n < sizeof host - 1 && text[n] != '\0' && text[n] != ' ') {
        host[n] = text[n];
        n++;
    }
    if (n == 0 || text[n] != ' ') {
        return false;
    }
    epoch = number(text + n + 1);
    if (epoch == r->epoch && memcmp(host, r->host, sizeof host) == 0) {
        return false;
    }
    memcpy(r->host, host, sizeof host);
    r->epoch = epoch;
    return true;
}

static void write_record(struct beat *b, uint32_t sector, struct beat_record *r, uint32_t kind)
{
    if (!b->has_disk) {
        return;
    }
    r->kind = kind;
    beat_seal(r);
    memset(b->sector, 0, sizeof b->sector);
    memcpy(b->sector, r, sizeof *r);
    if (!b->machine->disk(sector, b->sector, true)) {
        add_text(b, "DISK failed");
        say(b);
    }
}

static bool read_record(struct beat *b, uint32_t sector, struct beat_record *ret)
{
    if (!b->has_disk || !b->machine->disk(sector, b->sector, false)) {
        return false;
    }
    memcpy(ret, b->sector, sizeof *ret);
    return true;
}

static void begin_run(struct beat_record *r, const struct beat_machine *machine)
{
    r->run++;
    r->token = machine->chance();
}

/* After a torn head: the newest beat in any lane stands in for it. */
static void find_newest(struct beat *b, struct beat_record *ret)
{
    struct beat_record r;

    memset(ret, 0, sizeof *ret);
    for (uint32_t s = BEAT_LANE_AT; s < BEAT_SECTORS; s++) {
        if (read_record(b, s, &r) && beat_sealed(&r, BEAT_RECORD) && r.counter > ret->counter) {
            *ret = r;
        }
    }
}

/* The guest died between the record of a beat and its head: that beat counts, or the next run would
 * write it once more. It may be the first one of a run, after a move. */
static void take_headless(struct beat *b, struct beat_record *head)
{
    struct beat_record r;

    for (uint64_t run = head->run; run <= head->run + 1; run++) {
        if (read_record(b, beat_place(run, head->counter + 1), &r) &&
            beat_sealed(&r, BEAT_RECORD) && r.run == run && r.counter == head->counter + 1) {
            *head = r;
            return;
        }
    }
}

static bool all_zero(const struct beat_record *r)
{
    static const struct beat_record zero;

    return memcmp(r, &zero, sizeof zero) == 0;
}

void beat_start(struct beat *b, const struct beat_machine *machine, const char *cmdline)
{
    struct beat_record *r = &b->last;
    uint32_t clean;

    memset(b, 0, sizeof *b);
    b->machine = machine;
    b->has_disk = true;
    b->has_disk = read_record(b, 0, r);
    if (!b->has_disk) {
        memset(r, 0, sizeof *r);
        add_text(b, "NODISK");
        say(b);
    } else if (!beat_sealed(r, BEAT_HEAD) && !all_zero(r)) {
        add_text(b, "DISK damaged");
        say(b);
        find_newest(b, r);
    } else {
        take_headless(b, r);
    }
    memset(r->host, 0, sizeof r->host);
    (void)option_text(cmdline, "quorate.host=", r->host, sizeof r->host);
    r->epoch = beat_option(cmdline, "quorate.epoch=");
    (void)look_where(b, r);
    clean = r->clean;
    r->clean = 0;
    r->boots++;
    begin_run(r, machine);
    add_number(b, "BOOT counter=", r->counter);
    add_number(b, " run=", r->run);
    add_number(b, " clean=", clean);
    add_number(b, " epoch=", r->epoch);
    add_text(b, " host=");
    add_text(b, r->host);
    say(b);
    write_record(b, 0, r, BEAT_HEAD);
}

/* The head must be what this guest wrote last. If not, another copy is at work: say so, and leave
 * both sides of the first such sight on the disk. */
static void look_for_another(struct beat *b)
{
    struct beat_record found;
    struct beat_record mine = b->last;
    struct beat_record before;

    if (!read_record(b, 0, &found)) {
        return;
    }
    if (found.counter == mine.counter && found.token == mine.token) {
        return;
    }
    add_number(b, "OVERLAP counter=", mine.counter);
    add_number(b, " other=", found.counter);
    add_number(b, " epoch=", found.epoch);
    add_text(b, " host=");
    found.host[BEAT_HOST - 1] = '\0';
    add_text(b, found.host);
    say(b);
    if (read_record(b, 1, &before) && !beat_sealed(&before, BEAT_OVERLAP)) {
        write_record(b, 1, &mine, BEAT_OVERLAP);
        write_record(b, 2, &found, BEAT_OVERLAP);
    }
}

void beat_tick(struct beat *b)
{
    struct beat_record *r = &b->last;
    bool moved;

    look_for_another(b);
    moved = look_where(b, r);
    if (moved) {
        begin_run(r, b->machine);
        add_number(b, "MOVED counter=", r->counter);
        add_number(b, " run=", r->run);
        add_number(b, " epoch=", r->epoch);
        add_text(b, " host=");
        add_text(b, r->host);
        say(b);
    }
    r->counter++;
    r->ticks = b->machine->ticks();
    r->rtc_s = b->machine->rtc_s();
    if (b->has_disk) {
        if (b->lane_token != r->token) {
            write_record(b, beat_lane(r->run), r, BEAT_FIRST);
            b->lane_token = r->token;
        }
        write_record(b, beat_place(r->run, r->counter), r, BEAT_RECORD);
        write_record(b, 0, r, BEAT_HEAD);
    }
    add_number(b, "HB ", r->counter);
    add_number(b, " epoch=", r->epoch);
    add_text(b, " host=");
    add_text(b, r->host);
    add_number(b, " t=", r->ticks);
    add_number(b, " rtc=", r->rtc_s);
    say(b);
}

void beat_bye(struct beat *b)
{
    b->last.clean = 1;
    write_record(b, 0, &b->last, BEAT_HEAD);
    add_number(b, "BYE counter=", b->last.counter);
    say(b);
}

void beat_stale(struct beat *b, uint32_t bad, uint32_t pages)
{
    add_number(b, "STALE ", bad);
    add_number(b, " of ", pages);
    add_number(b, " at counter=", b->last.counter);
    say(b);
}
