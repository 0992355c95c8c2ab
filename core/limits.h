/* Every maximum, with its unit and its reason. Decoders check against these before they allocate.
 */

#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

/* Bytes in a name of a pool, host, guest, repository or image: a DNS label. */
#define LIMIT_NAME 63

/* Bytes in a network address "host:port", IPv6 brackets included. */
#define LIMIT_ADDRESS 127

/* Bytes in a path from a user. Well under PATH_MAX, so that prefixes fit. */
#define LIMIT_PATH 511

/* Bytes in a kernel command line: what the x86 boot protocol takes with room to spare. */
#define LIMIT_CMDLINE 1023

/* Bytes of free text carried in a command (a reason, a driver's message). */
#define LIMIT_DETAIL 255

/* Hosts of one pool, and voters among them. */
#define LIMIT_HOSTS  64
#define LIMIT_VOTERS 9

/* Guests of one pool that must still load and list. */
#define LIMIT_GUESTS 100000

/* Devices of one guest. */
#define LIMIT_DISKS 16
#define LIMIT_VIFS  8

/* Storage repositories of one pool. */
#define LIMIT_REPOS 64

/* Bytes of one log entry: the envelope and the largest command. */
#define LIMIT_ENTRY (256ul * 1024u)

/* Bytes of one frame between hosts on the control stream, and on the bulk stream. */
#define LIMIT_FRAME_CONTROL (1024ul * 1024u)
#define LIMIT_FRAME_BULK    (8ul * 1024u * 1024u)

/* Bytes of one RPC request and of one RPC reply. A list of 100,000 guests comes in pages. */
#define LIMIT_RPC_REQUEST (512ul * 1024u)
#define LIMIT_RPC_REPLY   (8ul * 1024u * 1024u)

/* Connected clients, requests under way of one client, and of all. */
#define LIMIT_RPC_CLIENTS         512
#define LIMIT_RPC_INFLIGHT_CLIENT 1024
#define LIMIT_RPC_INFLIGHT        8192

/* Depth of nested arrays and maps in anything we decode. */
#define LIMIT_MP_DEPTH 12

/* Milliseconds a request may ask to wait: an hour. */
#define LIMIT_DEADLINE_MS 3600000u

#endif
