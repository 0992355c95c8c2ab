/* The heartbeat of the lab's guests: what it says, what it leaves on the disk, and its engine.
 *
 * Ten times a second a guest says a line on its console and writes a record to its disk. Both carry
 * the counter, the run epoch and the host, so that someone who looks afterwards can tell whether
 * two copies ever ran at once (chaos-tests/tools/hbcheck.c does). The engine is the same in every
 * guest and knows no operating system; it is also compiled into hbcheck's tests.
 *
 * A *run* is the time from a boot, or from a change of host or epoch, to the next one. Runs are
 * numbered on the disk. The disk, in sectors of 512 bytes:
 *
 *     0      head: the newest beat
 *     1      the first overlap a guest found itself: the beat it was about to write
 *     2      ... and the head it found, which it had not written
 *     8 ...  BEAT_LANES lanes of 1 + BEAT_RING sectors. Run r has lane r % BEAT_LANES: first the
 *            first beat of the run, then the beat with counter n at place n % BEAT_RING. It is
 *            written before the head: a boot that finds one more than the head says takes it.
 *
 * Two copies that run at once are found three ways. Their runs have different numbers when one was
 * started or moved while the other went on; then each leaves its own lane, and the counters of the
 * older run reach into those of the younger. Copies of one run number overwrite each other's head;
 * each reads the head before it writes, sees a beat that is not its own last one, says OVERLAP and
 * leaves sectors 1 and 2. And the same counter is on the consoles of two hosts.
 *
 * Console lines, each ended by \n:
 *     BOOT counter=N run=R clean=0|1 epoch=E host=H   after a boot; N is the last beat on the disk
 *     HB N epoch=E host=H t=T rtc=S                   T: ticks of 10 ms since boot; S: seconds, UTC
 *     MOVED counter=N run=R epoch=E host=H            it finds itself on another host or epoch
 *     BYE counter=N                                   before it powers off, disk marked clean
 *     OVERLAP counter=N other=M epoch=E host=H        the head on the disk is somebody else's
 *     STALE N of P at counter=C                       memory did not hold what was written to it
 *     NODISK, DISK damaged, DISK failed */

#ifndef BEAT_H
#define BEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BEAT_SECTOR  512u
#define BEAT_LANES   16u
#define BEAT_RING    500u
#define BEAT_LANE_AT 8u
/* Sectors that an image must have: a little under 4 MiB. */
#define BEAT_SECTORS (BEAT_LANE_AT + BEAT_LANES * (1u + BEAT_RING))

#define BEAT_HOST 64u

enum beat_kind {
    BEAT_HEAD = 0x31485251,   /* "QRH1" */
    BEAT_FIRST = 0x31465251,  /* "QRF1" */
    BEAT_RECORD = 0x31525251, /* "QRR1" */
    BEAT_OVERLAP = 0x314f5251 /* "QRO1" */
};

/* One sector holds one of these; little endian, the rest of the sector is zero. */
struct beat_record {
    uint64_t counter;
    uint64_t epoch;
    uint64_t run;
    uint64_t token; /* Drawn by chance at each run: tells copies of one run apart. */
    uint64_t rtc_s; /* Wall clock of the machine, seconds, UTC. */
    uint32_t kind;
    uint32_t ticks; /* Of 10 ms since boot. */
    uint32_t boots;
    uint32_t clean; /* Head: the guest said goodbye after this beat. */
    char host[BEAT_HOST];
    uint32_t spare;
    uint32_t crc; /* CRC-32C of everything before it. */
};

/* What a guest needs of the machine it runs on. All are called from the engine, none may block for
 * longer than a disk takes. */
struct beat_machine {
    /* Read or write one sector; false when that failed. */
    bool (*disk)(uint32_t sector, void *data, bool write);
    void (*say)(const char *text);
    /* "HOST EPOCH" as the machine says now; false when it says nothing. Asked at every beat: after
     * a live migration the answer is the new machine's. */
    bool (*place)(char *text, size_t size);
    uint32_t (*ticks)(void);
    uint64_t (*rtc_s)(void);
    uint64_t (*chance)(void);
};

struct beat {
    const struct beat_machine *machine;
    bool has_disk;
    struct beat_record last; /* The newest beat, as it stands in the head. */
    /* private */
    uint64_t lane_token; /* Token of the run whose lane has been begun. */
    char line[192];
    size_t len;
    uint8_t sector[BEAT_SECTOR];
};

/* Read the disk and say BOOT. `cmdline` names host and epoch (quorate.host=, quorate.epoch=) for a
 * machine that says no place. */
void beat_start(struct beat *b, const struct beat_machine *machine, const char *cmdline);

/* One beat: disk first, then console, so that a counter that was said is never said again. */
void beat_tick(struct beat *b);

/* Mark the disk clean and say BYE. */
void beat_bye(struct beat *b);

/* Say STALE. */
void beat_stale(struct beat *b, uint32_t bad, uint32_t pages);

/* Value of the decimal number after `key` in a command line, 0 if it is not there. */
uint64_t beat_option(const char *cmdline, const char *key);

/* Set and check the sum of a record. */
void beat_seal(struct beat_record *r);
bool beat_sealed(const struct beat_record *r, uint32_t kind);

/* First sector of the lane of a run, and the sector of a beat in it. */
uint32_t beat_lane(uint64_t run);
uint32_t beat_place(uint64_t run, uint64_t counter);

#endif
