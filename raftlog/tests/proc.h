/* A member in a process of its own, with a toy machine, told what to do over a socket: so that it
 * can be killed. */

#ifndef RAFTLOG_TESTS_PROC_H
#define RAFTLOG_TESTS_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_SNAPSHOT_ENTRIES 300u

struct proc {
    char name[8];
    char dir[128];
    char address[32];
    int reserved; /* Socket that keeps the port ours between lives. */
    pid_t pid;    /* 0: not running. */
    int fd;
    uint64_t asked;
};

/* What it answers to "status". */
struct proc_status {
    bool blank, leading, failed;
    uint64_t raft_id, leader, term, commit, applied, last, first, snapshot, members, incarnation;
    uint64_t elections;
    uint64_t count; /* Of the machine: requests applied, each counted once. */
    uint64_t hash;
    bool refused; /* Its directory was set aside when it started. */
    bool disk_full;
};

void proc_init(struct proc *m, const char *name, const char *parent_dir);
void proc_done(struct proc *m);

/* Start the process; it opens its directory. The child never returns. */
void proc_start(struct proc *m);

/* kill -9 and wait for it. */
void proc_kill(struct proc *m);

/* Ask it to close and wait until it is gone. */
void proc_close(struct proc *m);

/* Ask: "bootstrap", "add ID ADDRESS", "role ID ROLE", "remove ID", "transfer ID": returns the code.
 * "read MS", "load N DEPTH MS": returns the code when it is through. */
int proc_ask(struct proc *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same in two halves, so that several can work at once. proc_reply() returns the code and
 * *ret_value, which load sets to the number of proposals that were done. */
uint64_t proc_begin(struct proc *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
int proc_reply(struct proc *m, uint64_t number, uint64_t *ret_value);

/* Look; false when it is dead. */
bool proc_look(struct proc *m, struct proc_status *ret);

/* The role of a member as this one sees it; -1: it is not in the configuration. */
int proc_role(struct proc *m, uint64_t raft_id);

#endif
