/* labhost: one host of the lab, as far as a process can be one.
 *
 *     labhost power PID-FILE NETNS
 *
 * makes a process whose descendants, however they detach themselves, live and die with it: pid 1 of
 * a PID namespace of its own, in the network namespace NETNS, with its own /proc. It does nothing
 * but reap. Killing it is the power cut of that host: the kernel kills everything inside.
 *
 *     labhost run HOST-PID PID-FILE PROGRAM ARG...
 *
 * starts a program on the host whose pid 1 is HOST-PID; that process inherits it. Standard input,
 * output and error are the caller's.
 *
 * Both write the process id, as the caller sees it, to PID-FILE before they exit with 0.
 * (nsenter(1) is no help for the second: it stays as the program's parent, stops when the program
 * is stopped, and then nobody reaps it.) */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
    (void)fprintf(stderr, "labhost: %s: %s\n", what,
                  strerror(errno)); // NOLINT(concurrency-mt-unsafe)
    return 1;
}

static int enter_network(const char *name)
{
    char path[256];
    int fd;

    (void)snprintf(path, sizeof path, "/run/netns/%s", name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) {
        return fail(path);
    }
    (void)close(fd);
    return 0;
}

/* The life of a host: detach from the caller, and reap whatever is left to it. */
static int be_host(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t all;

    (void)setsid();
    (void)chdir("/");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) {
        return fail("mount /proc");
    }
    for (int fd = 0; fd <= 2 && null >= 0; fd++) {
        (void)dup2(null, fd);
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (;;) {
        int number;

        (void)sigwait(&all, &number);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
}

static int write_pid(const char *path, pid_t pid)
{
    FILE *f = fopen(path, "we");

    if (f == NULL || fprintf(f, "%d\n", (int)pid) < 0 || fclose(f) != 0) {
        return fail(path);
    }
    return 0;
}

/* Into one namespace of the host. For "pid" that means the children to come. */
static int enter(const char *host_pid, const char *kind)
{
    char path[64];
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%s/ns/%s", host_pid, kind);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, 0) != 0) {
        return fail(path);
    }
    (void)close(fd);
    return 0;
}

static int power(const char *pid_file, const char *netns)
{
    pid_t pid;

    if (enter_network(netns) != 0) {
        return 1;
    }
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) {
        return fail("unshare");
    }
    pid = fork();
    if (pid < 0) {
        return fail("fork");
    }
    return pid == 0 ? be_host() : write_pid(pid_file, pid);
}

/* In the namespaces: start the program as a grandchild of the caller, and stay until the caller has
 * looked at it. A process whose parent is outside would be inherited by the machine's pid 1, and a
 * dead one would keep the host from ending for as long as that one does not reap. */
static int be_parent(int ready, int go_on, char **words)
{
    char byte = 0;
    pid_t pid;

    pid = fork();
    if (pid < 0) {
        return fail("fork");
    }
    if (pid == 0) {
        (void)setsid();
        (void)execv(words[0], words);
        _exit(fail(words[0]));
    }
    if (write(ready, &byte, 1) != 1 || read(go_on, &byte, 1) < 0) {
        return fail("pipe");
    }
    return 0;
}

/* The only child of a process. */
static pid_t child_of(pid_t parent)
{
    char path[64];
    char line[32] = "";
    FILE *f;

    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    f = fopen(path, "re");
    if (f != NULL) {
        if (fgets(line, sizeof line, f) == NULL) {
            line[0] = '\0';
        }
        (void)fclose(f);
    }
    return (pid_t)strtol(line, NULL, 10);
}

static int run(const char *host_pid, const char *pid_file, char **words)
{
    int ready[2];
    int go_on[2];
    char byte;
    pid_t pid;
    int rc;

    if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(go_on, O_CLOEXEC) != 0) {
        return fail("pipe");
    }
    if (enter(host_pid, "pid") != 0 || enter(host_pid, "net") != 0) {
        return 1;
    }
    pid = fork();
    if (pid < 0) {
        return fail("fork");
    }
    if (pid == 0) {
        (void)close(go_on[1]);
        /* Here and not before: the caller needs the /proc that knows its own numbers. */
        return enter(host_pid, "mnt") != 0 ? 1 : be_parent(ready[1], go_on[0], words);
    }
    (void)close(ready[1]);
    rc = read(ready[0], &byte, 1) == 1 ? write_pid(pid_file, child_of(pid)) : fail("the host");
    (void)close(go_on[1]);
    (void)waitpid(pid, NULL, 0);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "power") == 0) {
        return power(argv[2], argv[3]);
    }
    if (argc >= 5 && strcmp(argv[1], "run") == 0) {
        return run(argv[2], argv[3], argv + 4);
    }
    (void)fputs("usage: labhost power PID-FILE NETNS\n"
                "       labhost run HOST-PID PID-FILE PROGRAM ARG...\n",
                stderr);
    return 2;
}
