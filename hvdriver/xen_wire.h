/* What driver xen and quorate-xen, the program that drives Xen for it, say to each other over a
 * unix socket: one JSON object a line, at most XEN_LINE_MAX bytes.
 *
 *     driver   {"id": 7, "do": "start", "uuid": .., "epoch": .., "spec": {..}}     and other
 * requests program  {"id": 7, "code": 0, "msg": "", "address": "", "secret": ""}        their end
 *              {"hello": true, "version": .., "memory": MiB, "cpus": n,
 *               "copies": [COPY..], "lost": [{"uuid", "epoch", "exit", "detail"}..]}  first of all
 *              {"hello": false, "code": .., "msg": ".."}                           it cannot serve
 *              {"copy": COPY}                        a copy is new, or something of it has changed
 *              {"exit": "poweroff", "uuid", "epoch", "detail"}   a copy is gone; "none": nobody is
 * told
 *              {"progress": {..}, "uuid", "epoch"}
 *
 * A COPY is {"uuid", "epoch", "name", "state", "detail", "memory", "vcpus", "started", "domain",
 * "vnc", "console", "log"}. The program knows and says the state; the driver believes it. Pure. */

#ifndef HVDRIVER_XEN_WIRE_H
#define HVDRIVER_XEN_WIRE_H

#include <jansson.h>

#include "hvdriver/hvdriver.h"

/* A spec with all its texts at their limits, escaped, is smaller. */
#define XEN_LINE_MAX 262144u

/* Copies in one hello; a host has no room for more. */
#define XEN_COPIES_MAX 1024u

/* The word of a request: "start"; and back: -1 for none of them. */
const char *xen_op_name(enum hv_op op);
int xen_op_parse(const char *name);

/* A new object; and back into a spec that the caller owns: 0 or ERR_MALFORMED. */
json_t *xen_spec_pack(const struct hv_spec *spec);
int xen_spec_unpack(const json_t *from, struct hv_spec *ret, struct err *e);

/* One device of it, the same way. */
json_t *xen_disk_pack(const struct hv_disk *disk);
int xen_disk_unpack(const json_t *from, struct hv_disk *ret, struct err *e);
json_t *xen_vif_pack(const struct hv_vif *vif);
int xen_vif_unpack(const json_t *from, struct hv_vif *ret, struct err *e);

/* "uuid" and "epoch" of an object: into it, and out of it (0 or ERR_MALFORMED). */
void xen_key_pack(json_t *to, const struct hv_key *key);
int xen_key_unpack(const json_t *from, struct hv_key *ret, struct err *e);

json_t *xen_copy_pack(const struct hv_info *info, const char *detail);
/* ret_detail is borrowed from the object. */
int xen_copy_unpack(const json_t *from,
                    struct hv_info *ret,
                    const char **ret_detail,
                    struct err *e);

json_t *xen_progress_pack(const struct hv_progress *p);
int xen_progress_unpack(const json_t *from, struct hv_progress *ret, struct err *e);

/* A text or number of an object; "" or 0 if it is not there or of another type. */
const char *xen_text(const json_t *from, const char *name);
uint64_t xen_number(const json_t *from, const char *name);

/* The state or exit of this name; -1 for none. "none" is no exit. */
int xen_state_parse(const char *name);
int xen_exit_parse(const char *name);

/* Bytes that arrived, cut into lines. */
struct xen_reader {
    char *bytes;
    size_t len;
    size_t cap;
};
void xen_reader_done(struct xen_reader *r);

/* Take `n` bytes and hand over each whole line, decoded, to `fn` (borrowed); stops at the first
 * failure, of `fn` too. 0, ERR_TOO_BIG, ERR_MALFORMED, or what `fn` returned. */
int xen_reader_feed(struct xen_reader *r,
                    const char *bytes,
                    size_t n,
                    int (*fn)(void *ctx, const json_t *msg, struct err *e),
                    void *ctx,
                    struct err *e);

/* The object as a line, to be freed; its reference is taken. ret_len without the NUL. */
char *xen_line(json_t *msg, size_t *ret_len);

#endif
