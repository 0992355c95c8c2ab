$ quorate
! usage: quorate [OPTION]... NOUN VERB [NAME] [--FIELD VALUE]...
! 
! The pool as a whole:
!   pool set           Change settings of the pool
!   pool set-master    Name the preferred master
!   pool set-level     Raise the format level of the replicated state
!   pool restart       Restart the daemons of all hosts, one after the other
!   pool status        Show the pool and its master
!   pool settings      Show the settings of the pool
!   pool log stats     Show the log of the host that answers
!   pool init          Make a pool of one host that belongs to none
!   pool transfer      Hand the mastership to another host now
!   pool balance       Move guests so that the hosts are about as full as each other
! 
! The machines of the pool:
!   host add           Add a host to the pool
!   host remove        Remove a host from the pool
!   host set           Change attributes of a host
!   host fence         Declare that a host is off and its guests are not running
!   host maintenance   Let a host take no guests, and move those it has away
!   host evacuate      Move all guests of a host to others, running
!   host list          List the hosts
!   host show          Show a host
!   host stop          Stop the daemon of a host, for an update or before the machine goes down
! 
! Virtual machines:
!   guest create       Create a guest
!   guest start        Start a guest
!   guest shutdown     Ask a guest to shut down
!   guest destroy      End a guest at once
!   guest pause        Pause a guest
!   guest unpause      Let a paused guest go on
!   guest delete       Delete a stopped guest
!   guest set          Change a guest's configuration
!   guest migrate      Move a running guest to another host
!   guest rename       Give a stopped guest another name
!   guest clone        Create a stopped guest like another one, with an identity of its own
!   guest reboot       Ask a guest to shut down, and start it again where it is
!   guest save         Write a guest's memory to a file and stop it there
!   guest resume       Let a saved guest go on where it was
!   guest block-attach Give a guest one more disk
!   guest block-detach Take a disk from a guest
!   guest network-attach Give a guest one more network card
!   guest network-detach Take a network card from a guest
!   guest list         List the guests, or those that are named
!   guest show         Show a guest with its configuration
!   guest block-list   List the disks of a guest
!   guest network-list List the network cards of a guest
!   guest console      Be at the console of a guest, wherever it runs; Ctrl-] leaves it
!   guest suspend      Save a guest's memory in the root repository and stop it there
!   guest restore      As guest resume, also by the file that the guest was saved to
!   guest mem-set      Set a guest's memory; a running guest has it from its next start on
!   guest mem-max      Set the largest memory that a guest may be given, from its next start on
!   guest vcpu-set     Set a guest's virtual CPUs; a running guest has them from its next start on
!   guest vmcfg        Print a guest as a file vm.cfg, without its password
!   guest vnc          Bring the VNC screen of a guest to a port of this machine, wherever it runs
! 
! Storage repositories:
!   repo new           Add a storage repository
!   repo delete        Remove a storage repository
!   repo init          Prepare a repository and link it on every host
!   repo root          Make a repository the cluster root
!   repo list          List the repositories
!   repo show          Show a repository
! 
! Operations: work under way, and what ended:
!   op cancel          Cancel an operation
!   op list            List the operations under way and those that ended last
!   op show            Show an operation
!   op wait            Wait for the end of an operation
! 
! The replicated log:
!   log stats          Show the log of the host that answers
! 
! Why things are as they are:
!   explain guest      Show every host as a place for a guest, and what decided
! 
! And:
!   events             Show what changed, and with --follow what changes
!   version            Show the version of this program
!   help               Explain a verb, a noun or a topic
!   completion         Print the completion script of a shell
! 
! In the words of the older system:
!   block-list         As guest block-list
!   network-list       As guest network-list
!   list               As guest list
!   create             Create and start a guest from a file vm.cfg
!   new                Create a guest from a file vm.cfg, without starting it
!   shutdown           Ask a guest, or with -a all of them, to shut down; -w waits
!   reboot             Ask a guest, or with -a all of them, to reboot; -w waits
!   migrate            Move a guest to another host; without --live it stands still meanwhile
!   save               Save a guest to a file and stop it there
!   suspend            As guest suspend
!   restore            As guest restore
!   mem-set            Set a guest's memory; a running guest has it from its next start on
!   mem-max            Set the largest memory that a guest may be given, from its next start on
!   vcpu-set           Set a guest's virtual CPUs; a running guest has them from its next start on
!   console            As guest console
!   info               Show the host that answers
!   start              Start a guest
!   destroy            End a guest at once
!   pause              Pause a guest
!   unpause            Let a paused guest go on
!   delete             Delete a stopped guest
!   rename             Give a stopped guest another name
!   resume             Let a saved guest go on where it was
!   block-attach       Give a guest one more disk
!   block-detach       Take a disk from a guest
!   network-attach     Give a guest one more network card
!   network-detach     Take a network card from a guest
! 
! Options of all verbs, or of those of their kind:
!   --connect ADDRESS,...       Hosts to ask, each tried in turn (default $QUORATE_CONNECT, or unix:/run/quorate/quorate.sock)
!   --json                      Print results as JSON
!   --local                     Answer from the asked host's own copy, which may be behind
!   --no-wait                   Do not wait for the end of the operation
!   --request-id ID             Send under this id: the same id is never carried out twice
!   --timeout SECONDS           Give up after this time
!   --quiet                     Print only results that were asked for, and errors
!   --no-color                  No colours
!   --help                      Explain the verb
! 
! Topics:
!   connect            Which host is asked
!   request-ids        Why a command is never carried out twice
!   operations         What takes time
!   json               Output for programs
!   vm.cfg             Files that describe a guest
!   exit-codes         What the exit status means
! 
! "quorate help NOUN VERB" and "quorate help TOPIC" say more.
[2]
$ quorate help
usage: quorate [OPTION]... NOUN VERB [NAME] [--FIELD VALUE]...

The pool as a whole:
  pool set           Change settings of the pool
  pool set-master    Name the preferred master
  pool set-level     Raise the format level of the replicated state
  pool restart       Restart the daemons of all hosts, one after the other
  pool status        Show the pool and its master
  pool settings      Show the settings of the pool
  pool log stats     Show the log of the host that answers
  pool init          Make a pool of one host that belongs to none
  pool transfer      Hand the mastership to another host now
  pool balance       Move guests so that the hosts are about as full as each other

The machines of the pool:
  host add           Add a host to the pool
  host remove        Remove a host from the pool
  host set           Change attributes of a host
  host fence         Declare that a host is off and its guests are not running
  host maintenance   Let a host take no guests, and move those it has away
  host evacuate      Move all guests of a host to others, running
  host list          List the hosts
  host show          Show a host
  host stop          Stop the daemon of a host, for an update or before the machine goes down

Virtual machines:
  guest create       Create a guest
  guest start        Start a guest
  guest shutdown     Ask a guest to shut down
  guest destroy      End a guest at once
  guest pause        Pause a guest
  guest unpause      Let a paused guest go on
  guest delete       Delete a stopped guest
  guest set          Change a guest's configuration
  guest migrate      Move a running guest to another host
  guest rename       Give a stopped guest another name
  guest clone        Create a stopped guest like another one, with an identity of its own
  guest reboot       Ask a guest to shut down, and start it again where it is
  guest save         Write a guest's memory to a file and stop it there
  guest resume       Let a saved guest go on where it was
  guest block-attach Give a guest one more disk
  guest block-detach Take a disk from a guest
  guest network-attach Give a guest one more network card
  guest network-detach Take a network card from a guest
  guest list         List the guests, or those that are named
  guest show         Show a guest with its configuration
  guest block-list   List the disks of a guest
  guest network-list List the network cards of a guest
  guest console      Be at the console of a guest, wherever it runs; Ctrl-] leaves it
  guest suspend      Save a guest's memory in the root repository and stop it there
  guest restore      As guest resume, also by the file that the guest was saved to
  guest mem-set      Set a guest's memory; a running guest has it from its next start on
  guest mem-max      Set the largest memory that a guest may be given, from its next start on
  guest vcpu-set     Set a guest's virtual CPUs; a running guest has them from its next start on
  guest vmcfg        Print a guest as a file vm.cfg, without its password
  guest vnc          Bring the VNC screen of a guest to a port of this machine, wherever it runs

Storage repositories:
  repo new           Add a storage repository
  repo delete        Remove a storage repository
  repo init          Prepare a repository and link it on every host
  repo root          Make a repository the cluster root
  repo list          List the repositories
  repo show          Show a repository

Operations: work under way, and what ended:
  op cancel          Cancel an operation
  op list            List the operations under way and those that ended last
  op show            Show an operation
  op wait            Wait for the end of an operation

The replicated log:
  log stats          Show the log of the host that answers

Why things are as they are:
  explain guest      Show every host as a place for a guest, and what decided

And:
  events             Show what changed, and with --follow what changes
  version            Show the version of this program
  help               Explain a verb, a noun or a topic
  completion         Print the completion script of a shell

In the words of the older system:
  block-list         As guest block-list
  network-list       As guest network-list
  list               As guest list
  create             Create and start a guest from a file vm.cfg
  new                Create a guest from a file vm.cfg, without starting it
  shutdown           Ask a guest, or with -a all of them, to shut down; -w waits
  reboot             Ask a guest, or with -a all of them, to reboot; -w waits
  migrate            Move a guest to another host; without --live it stands still meanwhile
  save               Save a guest to a file and stop it there
  suspend            As guest suspend
  restore            As guest restore
  mem-set            Set a guest's memory; a running guest has it from its next start on
  mem-max            Set the largest memory that a guest may be given, from its next start on
  vcpu-set           Set a guest's virtual CPUs; a running guest has them from its next start on
  console            As guest console
  info               Show the host that answers
  start              Start a guest
  destroy            End a guest at once
  pause              Pause a guest
  unpause            Let a paused guest go on
  delete             Delete a stopped guest
  rename             Give a stopped guest another name
  resume             Let a saved guest go on where it was
  block-attach       Give a guest one more disk
  block-detach       Take a disk from a guest
  network-attach     Give a guest one more network card
  network-detach     Take a network card from a guest

Options of all verbs, or of those of their kind:
  --connect ADDRESS,...       Hosts to ask, each tried in turn (default $QUORATE_CONNECT, or unix:/run/quorate/quorate.sock)
  --json                      Print results as JSON
  --local                     Answer from the asked host's own copy, which may be behind
  --no-wait                   Do not wait for the end of the operation
  --request-id ID             Send under this id: the same id is never carried out twice
  --timeout SECONDS           Give up after this time
  --quiet                     Print only results that were asked for, and errors
  --no-color                  No colours
  --help                      Explain the verb

Topics:
  connect            Which host is asked
  request-ids        Why a command is never carried out twice
  operations         What takes time
  json               Output for programs
  vm.cfg             Files that describe a guest
  exit-codes         What the exit status means

"quorate help NOUN VERB" and "quorate help TOPIC" say more.
[0]
$ quorate help guest
Virtual machines:
  guest create       Create a guest
  guest start        Start a guest
  guest shutdown     Ask a guest to shut down
  guest destroy      End a guest at once
  guest pause        Pause a guest
  guest unpause      Let a paused guest go on
  guest delete       Delete a stopped guest
  guest set          Change a guest's configuration
  guest migrate      Move a running guest to another host
  guest rename       Give a stopped guest another name
  guest clone        Create a stopped guest like another one, with an identity of its own
  guest reboot       Ask a guest to shut down, and start it again where it is
  guest save         Write a guest's memory to a file and stop it there
  guest resume       Let a saved guest go on where it was
  guest block-attach Give a guest one more disk
  guest block-detach Take a disk from a guest
  guest network-attach Give a guest one more network card
  guest network-detach Take a network card from a guest
  guest list         List the guests, or those that are named
  guest show         Show a guest with its configuration
  guest block-list   List the disks of a guest
  guest network-list List the network cards of a guest
  guest console      Be at the console of a guest, wherever it runs; Ctrl-] leaves it
  guest suspend      Save a guest's memory in the root repository and stop it there
  guest restore      As guest resume, also by the file that the guest was saved to
  guest mem-set      Set a guest's memory; a running guest has it from its next start on
  guest mem-max      Set the largest memory that a guest may be given, from its next start on
  guest vcpu-set     Set a guest's virtual CPUs; a running guest has them from its next start on
  guest vmcfg        Print a guest as a file vm.cfg, without its password
  guest vnc          Bring the VNC screen of a guest to a port of this machine, wherever it runs
[0]
$ quorate help guest create
usage: quorate guest create NAME [OPTION]...

Create a guest.

Words:
  NAME                        Name of the guest

Options:
  --image TEXT                Image of the root repository to make it from
  --host TEXT                 Host to start it on; empty: the roomiest
  --start on|off              Start it (default on)
  --paused on|off             Leave it paused after the start (default off)
  --ha on|off                 Restart elsewhere when its host is lost (default off)
  --priority N                Restart order: higher first; left out: the pool's guest_priority (0 to 1001, default 1001)
  --preferred NAME,...        Hosts it may run on (up to 8)
  --memory MiB                Memory; left out: the image's, else 128 (8 to 16777216)
  --maxmem MiB                Largest memory it may be given; 0 is memory (0 to 16777216)
  --vcpus N                   Virtual CPUs; left out: the image's, else 1 (1 to 512)
  --type TEXT                 On Xen: pv, pvh or hvm; left out: the image's, else pv
  --kernel TEXT               Kernel to boot directly (path as of a disk)
  --ramdisk TEXT              Initial RAM disk of that kernel
  --cmdline TEXT              Command line of that kernel: root and extra of vm.cfg
  --boot TEXT                 Boot order: c disk, d CD, n network
  --disk KEY=VALUE,...        Disks (up to 16)
                                path=: Absolute path, or repository-name:path below its root
                                device=: Name in the guest: hda, xvda, vdb, sda, hdc:cdrom is cdrom=on
                                format=: raw, qcow2 or vmdk; empty is raw
                                readonly=: The guest cannot write
                                cdrom=: A CD drive
  --vif KEY=VALUE,...         Network cards (up to 8)
                                mac=: aa:bb:cc:dd:ee:ff
                                bridge=: Host bridge; empty: no host side
                                model=: Emulated card
                                slot=: Its place in the guest, from 1; 0: as it stands in the list
  --vnc on|off                A VNC console (default off)
  --vnc-password-file FILE    Password of the VNC console
  --on-poweroff destroy|restart|preserve When the guest powers off (default destroy)
  --on-reboot destroy|restart|preserve When the guest reboots (default restart)
  --on-crash destroy|restart|preserve When the guest crashes (default restart)
  --apart TEXT                Never on one host with another guest of this group
  --together TEXT             On one host with the guests of this group, where that is possible
  --force on|off              Although a protected guest may then have no place when hosts are lost, or this one could run on one host only (default off)
  --restart-backoff ms        Wait before the second restart in a row, doubled with each; 0: none; left out: the pool's guest_backoff_ms (0 to 3600001, default 3600001)
  --config FILE               Read a file vm.cfg first (quorate help vm.cfg)

Other options:
  --connect ADDRESS,...       Hosts to ask, each tried in turn (default $QUORATE_CONNECT, or unix:/run/quorate/quorate.sock)
  --json                      Print results as JSON
  --no-wait                   Do not wait for the end of the operation
  --request-id ID             Send under this id: the same id is never carried out twice
  --timeout SECONDS           Give up after this time
  --quiet                     Print only results that were asked for, and errors
  --no-color                  No colours
  --help                      Explain the verb
[0]
$ quorate guest migrate --help
usage: quorate guest migrate NAME [HOST] [OPTION]...

Move a running guest to another host.

Words:
  NAME                        Guest
  HOST                        Target; empty: the roomiest other host

Options:
  --live on|off               The guest runs while it is copied (default on)
  --rate MiB/s                Bandwidth limit; 0 is none (0 to 1000000)

Other options:
  --connect ADDRESS,...       Hosts to ask, each tried in turn (default $QUORATE_CONNECT, or unix:/run/quorate/quorate.sock)
  --json                      Print results as JSON
  --no-wait                   Do not wait for the end of the operation
  --request-id ID             Send under this id: the same id is never carried out twice
  --timeout SECONDS           Give up after this time
  --quiet                     Print only results that were asked for, and errors
  --no-color                  No colours
  --help                      Explain the verb
[0]
$ quorate --help op
Operations: work under way, and what ended:
  op cancel          Cancel an operation
  op list            List the operations under way and those that ended last
  op show            Show an operation
  op wait            Wait for the end of an operation
[0]
$ quorate help exit-codes
What the exit status means

The exit status tells the kind of an error, the sentence on standard error the
rest.

    0    done
    1    failed
    2    wrong usage or bad input
    3    not found
    4    refused in this state
    5    not available now; the same command may work later
    6    no room, or over a limit
    7    not allowed
    8    broken: data or program
    130  interrupted by Ctrl-C; what was begun goes on

Codes in JSON (code), with their exit status:

     1  INVALID       exit 2  invalid value
     2  UNKNOWN       exit 2  unknown name
     3  NOT_FOUND     exit 3  not found
     4  EXISTS        exit 4  already exists
     5  STATE         exit 4  not possible in this state
     6  NO_ROOM       exit 6  not enough room
     7  IN_USE        exit 4  in use
     8  TOO_BIG       exit 6  over the limit
     9  MALFORMED     exit 2  malformed data
    10  CORRUPT       exit 8  damaged data
    11  VERSION       exit 8  unsupported version
    12  NOT_LEADER    exit 5  this host is not the master (may work when repeated)
    13  NO_QUORUM     exit 5  no majority of hosts is reachable (may work when repeated)
    14  TIMEOUT       exit 5  timed out (may work when repeated)
    15  UNSURE        exit 5  the outcome is not known (may work when repeated)
    16  BUSY          exit 5  too much is being asked at once (may work when repeated)
    17  CANCELLED     exit 1  cancelled
    18  CLOSED        exit 5  connection closed (may work when repeated)
    19  IO            exit 8  input/output error
    20  NO_SPACE      exit 6  no space left on the disk
    21  NO_MEMORY     exit 8  out of memory
    22  DENIED        exit 7  not allowed
    23  UNSUPPORTED   exit 4  not supported here
    24  REFUSED       exit 8  data directory refused
    25  HYPERVISOR    exit 1  the hypervisor reported an error
    26  LOCKED        exit 4  locked by another process
    27  STALE         exit 4  overtaken by a newer change
    28  DIVERGED      exit 8  this replica differs from the others
    29  EOF           exit 5  end of data (may work when repeated)
    30  COMPACTED     exit 4  no longer kept
    31  INTERNAL      exit 8  internal error
    32  NOT_READY     exit 5  not ready yet (may work when repeated)
    33  NO_POOL       exit 4  this host belongs to no pool
    34  PENDING       exit 0  still under way
    35  LOST          exit 1  lost with its host
    36  CRASHED       exit 1  crashed
[0]
$ quorate help request-ids
Why a command is never carried out twice

Every command carries an identifier of 128 random bits. The pool keeps the
outcome under it: the same identifier again, through any host, brings the same
outcome and changes nothing. That is how quorate repeats a command whose
answer was lost.

When it has to give up without an answer, it prints the identifier. The same
command line with --request-id and that identifier then tells what became of
it, or carries it out if it never arrived:

    quorate guest start web1 --request-id 7a1f5a62-3f0e-4c47-9df0-3b0a8a1d9c55

Outcomes are kept for an hour, whatever clocks do, and for the last 20,000
commands at most (pool settings: requests_kept_ms, requests_kept). A script
that must be exact chooses its own identifiers, one for each thing it wants
done.
[0]
$ quorate help gest
! quorate: no help on "gest"; did you mean "guest"?
! Try "quorate help".
[2]
$ quorate help topics of all kinds
! quorate: no help on "topics of all kinds"
! Try "quorate help".
[2]
$ quorate version
quorate 0.1.0
[0]
$ quorate version --json
{"version": "0.1.0"}
[0]
