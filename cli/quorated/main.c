/* quorated: options, the listening rule, the loop. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/addr.h"
#include "core/config.h"
#include "core/log.h"
#include "core/os_net.h"
#include "core/roff.h"
#include "core/util.h"

#include "cli/quorated/daemon.h"

/* clang-format off */
static const struct config_row rows[] = {
    {"name", CONFIG_TEXT, NULL, 1, LIMIT_NAME, "", "Name of this host, unique in the pool"},
    {"data_dir", CONFIG_TEXT, "/var/lib/quorate", 1, LIMIT_PATH, "", "Log, snapshots and state; must survive anything"},
    {"run_dir", CONFIG_TEXT, "/run/quorate", 1, LIMIT_PATH, "", "Sockets and stamps of running guests; must not survive a reboot"},
    {"log_dir", CONFIG_TEXT, "/var/log/quorate", 1, LIMIT_PATH, "", "What the guests' consoles say"},
    {"prefix", CONFIG_TEXT, "/var/lib/quorate/repos", 1, LIMIT_PATH, "", "Where repositories are linked: PREFIX/OVS is the cluster root"},
    {"listen", CONFIG_TEXT, "127.0.0.1:7077", 1, LIMIT_ADDRESS, "", "Address for the other hosts and for remote clients"},
    {"socket", CONFIG_TEXT, "/run/quorate/quorate.sock", 0, ADDR_PATH_MAX, "", "Unix socket for local clients"},
    {"lab_network", CONFIG_BOOL, "no", 0, 1, "", "Listen beyond this machine although the streams are not yet encrypted: for a lab's closed network only"},
    {"lab_gates", CONFIG_TEXT, "", 0, LIMIT_PATH, "", "A directory of gates at which the agent stands still (docs/lab.md): for tests only, with lab_network"},
    {"driver", CONFIG_TEXT, "qemu", 1, 15, "", "Hypervisor driver"},
    {"emulator", CONFIG_TEXT, "", 0, LIMIT_PATH, "", "Driver qemu: its program"},
    {"guard", CONFIG_TEXT, "", 0, LIMIT_PATH, "", "The program quorate-guard; none: the one beside this one"},
    {"watchdog", CONFIG_TEXT, "", 0, LIMIT_PATH, "", "Device of a hardware watchdog behind the guard, /dev/watchdog: it takes the host when guests do not end with their lease"},
    {"memory_mib", CONFIG_NUMBER, "0", 0, 1u << 24, "MiB", "Memory for guests; 0: what the machine has"},
    {"migrate_address", CONFIG_TEXT, "", 0, LIMIT_ADDRESS, "", "Address for migration streams; none: that of listen"},
    {"image_locking", CONFIG_BOOL, "yes", 0, 1, "", "The hypervisor's own locks on disk images"},
    {"election_ms", CONFIG_NUMBER, "200", 50, 60000, "ms", "A host that hears no master for one to two times as long stands for election"},
    {"heartbeat_ms", CONFIG_NUMBER, "30", 5, 10000, "ms", "How often the master says that it is there"},
    {"snapshot_entries", CONFIG_NUMBER, "50000", 100, 100000000, "", "Log entries between snapshots"},
    {"snapshot_trailing", CONFIG_NUMBER, "10000", 1, 100000000, "", "Log entries kept behind a snapshot"},
    {"log_level", CONFIG_TEXT, "info", 4, 5, "", "error, warn, info or debug"},
};
/* clang-format on */

#define DESCRIPTION                                                                      \
    "The daemon of one host of a pool. It runs in the foreground and writes log lines\n" \
    "to standard error. A host with an empty data directory is blank: make it the\n"     \
    "first of a new pool with 'quorate pool init NAME', or add it to a pool with\n"      \
    "'quorate host add NAME ADDRESS' on one of the pool's hosts.\n"
#define OPTIONS "Options, as flags or as 'option = value' lines of the file (flags win):\n"
#define ENDS                                                       \
    "0 stopped by a signal, 1 stopped by a fault, 2 bad option,\n" \
    "8 could not start (the last line says why).\n"

static void usage(FILE *out)
{
    (void)fputs("usage: quorated --name=HOST [--config=FILE] [--OPTION=VALUE]...\n\n" DESCRIPTION
                "\n" OPTIONS "\n",
                out);
    config_help(rows, ARRAY_LEN(rows), out);
    (void)fputs("  --example-config\n      Print a configuration file with every option\n"
                "  --man\n      Print the manual page\n"
                "  --version\n  --help\n\nExit status: " ENDS,
                out);
}

static void manual(FILE *out)
{
    (void)fputs(".\\\" Made by \"quorated --man\".\n"
                ".TH QUORATED 8 \"\" \"quorate " QUORATE_VERSION "\" \"quorate\"\n"
                ".SH NAME\nquorated \\- the daemon of one host of a pool of hypervisor hosts\n"
                ".SH SYNOPSIS\n.B quorated\n\\-\\-name=\\fIHOST\\fR [\\-\\-config=\\fIFILE\\fR] "
                "[\\-\\-\\fIOPTION\\fR=\\fIVALUE\\fR]...\n.SH DESCRIPTION\n",
                out);
    roff_put_paragraphs(DESCRIPTION, out);
    (void)fputs(".SH OPTIONS\n", out);
    roff_put_paragraphs(OPTIONS, out);
    config_man(rows, ARRAY_LEN(rows), out);
    (void)fputs(".TP\n.B \\-\\-example\\-config\nPrint a configuration file with every option\n"
                ".TP\n.B \\-\\-man\nPrint this page\n.TP\n.B \\-\\-version\n.TQ\n.B \\-\\-help\n"
                ".SH SIGNALS\n"
                "SIGTERM and SIGINT end the daemon in good order: it hands the mastership over "
                "first. Its guests go on, and the next daemon on this host finds them again.\n"
                ".SH EXIT STATUS\n",
                out);
    roff_put_paragraphs(ENDS, out);
    (void)fputs(".SH SEE ALSO\n.BR quorate (1)\n", out);
}

static int fail(const struct err *e)
{
    log_line(LOG_ERROR, "not_started", "code", err_name(e->code), "err", e->msg, NULL);
    return e->code == ERR_INVALID || e->code == ERR_UNKNOWN ? 2 : 8;
}

static int read_file(struct config *c, const char *path, struct err *e)
{
    static char text[CONFIG_FILE_MAX + 1];
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return err_sys(e, ERR_INVALID, errno, "read %s", path);
    }
    size_t n = fread(text, 1, sizeof text, f);
    bool bad = ferror(f) != 0;
    (void)fclose(f);
    return bad ? err_set(e, ERR_IO, "read %s failed", path) : config_parse(c, path, text, n, e);
}

/* --config=FILE comes first, wherever it stands; the rest are options of the table. */
static int read_all(struct config *c, int argc, char **argv, struct err *e)
{
    const char **rest = mem_new((size_t)argc, sizeof *rest);
    int n = 0;
    int rc = 0;
    for (int i = 1; rc == 0 && i < argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0) {
            rc = read_file(c, argv[i] + 9, e);
        } else {
            rest[n++] = argv[i];
        }
    }
    rc = rc == 0 ? config_arguments(c, n, rest, e) : rc;
    free(rest);
    return rc == 0 ? config_complete(c, e) : rc;
}

/* Until streams are encrypted, nobody outside this machine may reach them by accident. */
static int check_listen(const struct config *c, struct err *e)
{
    struct addr a;
    int rc = addr_parse(config_text(c, "listen"), &a, e);
    if (rc != 0) {
        return err_wrap(e, "listen");
    }
    return os_net_may_listen(&a, config_bool(c, "lab_network"), e);
}

/* The guard's program lies beside ours as a rule. */
static const char *guard_program(const struct config *c)
{
    static char path[LIMIT_PATH + 32];
    const char *given = config_text(c, "guard");
    if (given[0] != '\0') {
        return given;
    }
    ssize_t n = readlink("/proc/self/exe", path, LIMIT_PATH);
    path[n < 0 ? 0 : n] = '\0';
    char *slash = strrchr(path, '/');
    char *name = slash == NULL ? path : slash + 1;
    (void)str_copy(name, sizeof path - (size_t)(name - path), "quorate-guard");
    return path;
}

/* A watchdog that nothing stops once it is open would reset a host that has nothing to protect any
 * more: the kernel says so in /sys. */
static const char *watchdog_device(const struct config *c)
{
    const char *device = config_text(c, "watchdog");
    const char *slash = strrchr(device, '/');
    const char *name = slash == NULL ? device : slash + 1;
    char path[2 * LIMIT_PATH];
    char word[4] = "";
    /* /dev/watchdog is the first of /dev/watchdog0, 1, ... */
    (void)snprintf(path, sizeof path, "/sys/class/watchdog/%s%s/nowayout", name,
                   strcmp(name, "watchdog") == 0 ? "0" : "");
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        (void)!fgets(word, sizeof word, f);
        (void)fclose(f);
    }
    if (word[0] == '1') {
        log_line(LOG_WARN, "watchdog_refused", "device", device, "err",
                 "it cannot be stopped again (nowayout)", NULL);
        return "";
    }
    return device;
}

static struct daemon_options options_of(const struct config *c)
{
    return (struct daemon_options){
        .name = config_text(c, "name"),
        .data_dir = config_text(c, "data_dir"),
        .run_dir = config_text(c, "run_dir"),
        .log_dir = config_text(c, "log_dir"),
        .listen = config_text(c, "listen"),
        .socket = config_text(c, "socket"),
        .driver = config_text(c, "driver"),
        .prefix = config_text(c, "prefix"),
        .migrate_address = config_text(c, "migrate_address"),
        .emulator = config_text(c, "emulator"),
        .guard = guard_program(c),
        .watchdog = watchdog_device(c),
        .lab_gates = config_text(c, "lab_gates"),
        .memory_mib = (uint32_t)config_number(c, "memory_mib"),
        .election_ms = (uint32_t)config_number(c, "election_ms"),
        .heartbeat_ms = (uint32_t)config_number(c, "heartbeat_ms"),
        .snapshot_entries = config_number(c, "snapshot_entries"),
        .snapshot_trailing = config_number(c, "snapshot_trailing"),
        .image_locking = config_bool(c, "image_locking"),
    };
}

static int configure(struct config *c, int argc, char **argv, struct err *e)
{
    enum log_level level;
    int rc = read_all(c, argc, argv, e);
    rc = rc == 0 ? check_listen(c, e) : rc;
    if (rc == 0 && log_parse_level(config_text(c, "log_level"), &level) != 0) {
        rc = err_set(e, ERR_INVALID, "log_level: %s is none of error, warn, info, debug",
                     config_text(c, "log_level"));
    }
    if (rc == 0 && config_text(c, "lab_gates")[0] != '\0' && !config_bool(c, "lab_network")) {
        rc = err_set(e, ERR_INVALID, "lab_gates: for tests only, together with --lab-network=yes");
    }
    if (rc == 0 && config_number(c, "heartbeat_ms") * 3 > config_number(c, "election_ms")) {
        rc = err_set(e, ERR_INVALID,
                     "heartbeat_ms: must be at most a third of election_ms, or one lost message "
                     "makes an election");
    }
    if (rc == 0) {
        log_set_level(level);
        log_set_host(config_text(c, "name"));
    }
    return rc;
}

static int run(struct config *c)
{
    static struct daemon d;
    struct err e = {0};
    struct daemon_options o = options_of(c);
    if (daemon_start(&d, &o, &e) != 0) {
        return fail(&e);
    }
    log_line(LOG_INFO, "started", "version", QUORATE_VERSION, "listen", o.listen, "driver",
             o.driver, NULL);
    (void)uv_run(&d.loop,
                 UV_RUN_DEFAULT); /* Not 0 when handles are left: nothing to do about it. */
    (void)uv_loop_close(&d.loop);
    log_line(LOG_INFO, "stopped", NULL);
    if (d.broken.code == ERR_REFUSED || d.restart) {
        return -1;
    }
    return d.exit_status;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            (void)puts("quorated " QUORATE_VERSION);
            return 0;
        }
        if (strcmp(argv[i], "--man") == 0) {
            manual(stdout);
            return 0;
        }
        if (strcmp(argv[i], "--example-config") == 0) {
            config_example(rows, ARRAY_LEN(rows), stdout);
            return 0;
        }
    }
    static char self[LIMIT_PATH + 1];
    ssize_t n = readlink("/proc/self/exe", self, LIMIT_PATH);
    self[n < 0 ? 0 : n] = '\0';
    (void)signal(SIGPIPE, SIG_IGN);
    struct err e = {0};
    struct config *c = config_new(rows, ARRAY_LEN(rows));
    int status = configure(c, argc, argv, &e) != 0 ? fail(&e) : run(c);
    (void)config_free(c);
    if (status < 0) {
        /* The directory is condemned, and starting anew sets it aside and begins blank; or it is to
         * restart, as the program that is installed now. */
        (void)execv(self, argv);
        return 8;
    }
    return status;
}
