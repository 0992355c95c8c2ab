/* The bytes of a guest's console between `quorate guest console`, the daemon that is asked, and the
 * daemon of the host that runs the guest (docs/protocols/console.md). A connection of its own on
 * the daemon's one port:
 *
 *   asker    CONSOLE_MAGIC, flags (u8), length (u8), name of the guest; then what is typed, raw
 *   daemon   frames: kind (u8), length (u16, little endian), bytes
 *
 * Pure: nothing here reads or writes a socket. */

#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include "core/buf.h"
#include "core/err.h"
#include "core/limits.h"

#define CONSOLE_MAGIC     "QRCON01\n"
#define CONSOLE_MAGIC_LEN 8

/* Longest hello, and most bytes in a frame. */
#define CONSOLE_HELLO_MAX (CONSOLE_MAGIC_LEN + 2 + LIMIT_NAME)
#define CONSOLE_FRAME_MAX 16384u

enum console_flag {
    CONSOLE_FORCE = 1,   /* Take it away from whoever has it. */
    CONSOLE_RELAYED = 2, /* From a daemon: not to be passed on once more. */
    CONSOLE_SCREEN = 4   /* Its VNC server instead: any number at a time, and nothing is dropped. */
};

struct console_hello {
    char guest[LIMIT_NAME + 1];
    unsigned flags;
};

void console_put_hello(struct buf *out, const struct console_hello *h);
/* Its length; 0: more is needed; ERR_MALFORMED. */
int console_get_hello(const uint8_t *data, size_t len, struct console_hello *ret);

enum console_kind {
    CONSOLE_OPEN, /* Connected: the name of the host. Comes first and once. */
    CONSOLE_DATA, /* What the guest says. */
    CONSOLE_END   /* The last one: an ERR_* without sign (u16, little endian), then a sentence. */
};

struct console_frame {
    enum console_kind kind;
    const uint8_t *data; /* Borrowed. Of CONSOLE_END: the sentence, not ended by NUL. */
    size_t len;
    int code; /* Of CONSOLE_END. */
};

/* `len` bytes in as many frames as it takes. */
void console_put_frame(struct buf *out, enum console_kind kind, const void *data, size_t len);
void console_put_end(struct buf *out, const struct err *why);
/* The whole length of the frame; 0: more is needed; ERR_MALFORMED. */
int console_get_frame(const uint8_t *data, size_t len, struct console_frame *ret);

/* Whether the same console may be there again in a moment: the guest moved, restarts, or the
 * connection broke. */
bool console_comes_back(int code);

#endif
