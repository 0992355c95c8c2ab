#include "core/util.h"

#include "cli/quorate/help.h"

const struct help_topic help_topics[] = {
    {"connect", "Which host is asked",
     "Any host of the pool can be asked for anything: what only the master may do, the asked host "
     "passes on.\n"
     "\n"
     "--connect takes one address or several with commas between them; without it the variable "
     "QUORATE_CONNECT counts, and without that unix:/run/quorate/quorate.sock.\n"
     "\n"
     "    unix:/run/quorate/quorate.sock    the daemon of this machine\n"
     "    10.0.0.1:7077                     a daemon on the network\n"
     "    [fd00::1]:7077                    the same over IPv6\n"
     "    h1,h2,h3                          the first that answers, at port 7077\n"
     "\n"
     "The addresses are tried in turn. When a host gives no sign of life within a quarter of a "
     "second, does not answer, or dies before its answer is here, the next one is asked too, with "
     "the same request id, and the first answer counts, until the time given by --timeout is over "
     "(30 seconds for a command, 10 for a question). When no host can be reached at all, and "
     "nothing was sent yet, the command fails at once, unless --timeout was given.\n"},
    {"request-ids", "Why a command is never carried out twice",
     "Every command carries an identifier of 128 random bits. The pool keeps the outcome under it: "
     "the same identifier again, through any host, brings the same outcome and changes nothing. "
     "That is how quorate repeats a command whose answer was lost.\n"
     "\n"
     "When it has to give up without an answer, it prints the identifier. The same command line "
     "with --request-id and that identifier then tells what became of it, or carries it out if "
     "it never arrived:\n"
     "\n"
     "    quorate guest start web1 --request-id 7a1f5a62-3f0e-4c47-9df0-3b0a8a1d9c55\n"
     "\n"
     "Outcomes are kept for an hour, whatever clocks do, and for the last 20,000 commands at most "
     "(pool settings: requests_kept_ms, requests_kept). A script that must be exact chooses its "
     "own identifiers, "
     "one for each thing it wants done.\n"},
    {"operations", "What takes time",
     "Starting, stopping, pausing and migrating a guest take time. Such a command begins an "
     "operation, which has a number; quorate waits for its end, and its exit status is that of the "
     "operation. On a terminal a migration shows how far it is.\n"
     "\n"
     "With --no-wait the command ends as soon as the operation has begun. Ctrl-C does the same "
     "later on: the operation goes on without it.\n"
     "\n"
     "    quorate op list           what is under way, and what ended last\n"
     "    quorate op show 57        one of them\n"
     "    quorate op wait 57        wait for its end\n"
     "    quorate op cancel 57      call it off, while that is still possible\n"},
    {"json", "Output for programs",
     "With --json a list is an array of objects, and everything else is one object. Keys are the "
     "names of the fields; a field is always there, also when it is empty. Sizes are in MiB or in "
     "bytes, and the key says so (memory_mib, sent_bytes); durations and moments are in "
     "milliseconds "
     "(_ms), moments since 1970 in UTC. Identifiers and hashes are text, enumerations go by their "
     "names. A number too large for a signed 64-bit integer is text.\n"
     "\n"
     "A command prints its outcome: code (0 is success, others as in \"quorate help exit-codes\"), "
     "index, op, request, and, when it waited, operation with how that ended. Errors go to "
     "standard "
     "error as text, and the exit status tells their kind.\n"
     "\n"
     "New keys may come with any version; none is renamed or removed.\n"},
    {"vm.cfg", "Files that describe a guest",
     "\"quorate create vm.cfg\" and \"quorate guest create NAME --config vm.cfg\" read the older "
     "system's files. They are assignments of strings, numbers and lists, with # before comments. "
     "They are not Python: nothing in them is carried out.\n"
     "\n"
     "    name        its name; NAME on the command line goes before it\n"
     "    uuid        its identity; without it, a new one\n"
     "    memory      in MiB, or with a unit: 512, \"2GiB\"\n"
     "    maxmem      the most memory it may be given later\n"
     "    vcpus       virtual CPUs\n"
     "    kernel      kernel to boot directly; with ramdisk, root and extra\n"
     "    disk        a list, one text a disk: 'file:/path,hda,w', 'phy:/dev/vg/lv,xvda,w',\n"
     "                'tap:aio:/path,xvda,w', 'file:/path.iso,hdc:cdrom,r', or in the newer form\n"
     "                'format=qcow2,vdev=xvda,access=rw,target=/path'\n"
     "    vif         a list, one text a card: 'mac=00:16:3e:01:02:03,bridge=br0,model=e1000'\n"
     "    boot        order: c disk, d CD, n network\n"
     "    vnc         1 for a VNC console; vncpasswd its password. vfb=['type=vnc'] is the same\n"
     "    on_poweroff, on_reboot, on_crash\n"
     "                destroy, restart or preserve\n"
     "    ha          1 for high availability; priority, preferred ('h1,h2'), apart, together as\n"
     "                in guest create\n"
     "\n"
     "Any other key is left out with a warning that names its line. A wrong value is an error that "
     "names line and column. The file may have 64 KiB.\n"
     "\n"
     "Words name=value after the file count as if they stood at its end:\n"
     "\n"
     "    quorate create vm.cfg name=web2 memory=1024\n"},
    {"exit-codes", "What the exit status means", NULL},
    {NULL, NULL, NULL},
};

/* One row of core/err.def, as the topic shows it. */
struct err_row {
    int code;
    const char *name;
};

static const struct err_row rows[] = {
#define E(NAME, NUMBER, EXIT, RETRY, TEXT) {ERR_##NAME, #NAME},
#include "core/err.def"
#undef E
};

static void exit_codes(FILE *out)
{
    static const char *const meanings[] = {
        "done",
        "failed",
        "wrong usage or bad input",
        "not found",
        "refused in this state",
        "not available now; the same command may work later",
        "no room, or over a limit",
        "not allowed",
        "broken: data or program",
    };
    (void)fputs("The exit status tells the kind of an error, the sentence on standard error the "
                "rest.\n\n",
                out);
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        (void)fprintf(out, "    %zu    %s\n", i, meanings[i]);
    }
    (void)fprintf(out, "    %d  interrupted by Ctrl-C; what was begun goes on\n\n",
                  EXIT_STATUS_INTERRUPTED);
    (void)fputs("Codes in JSON (code), with their exit status:\n\n", out);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        (void)fprintf(out, "    %2d  %-12s  exit %d  %s%s\n", -rows[i].code, rows[i].name,
                      err_exit_status(rows[i].code), err_text(rows[i].code),
                      err_may_retry(rows[i].code) ? " (may work when repeated)" : "");
    }
}

void help_topic_text(const struct help_topic *t, FILE *out)
{
    if (t->text == NULL) {
        exit_codes(out);
    } else {
        (void)fputs(t->text, out);
    }
}
