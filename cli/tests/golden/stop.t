# Stopping a host: what becomes of its HA guests must be said where nobody can be asked.
$ quorate host stop h1
! quorate: HA guests on h1: 1. Say what becomes of them with --guests=migrate, shutdown, release or leave
[2]
$ quorate host stop h1 --guests=keep
! quorate: --guests: "keep" is none of migrate, shutdown, release, leave
[2]
$ quorate host stop h2
the daemon of h2 stops
[0]
$ quorate host stop h2 --guests=release --json
{}
[0]
$ quorate host stop h2 --guests=migrate
host maintenance on: done
the daemon of h2 stops
[0]
@ body
mode = on
name = h2
$ quorate host stop h2 --guests=shutdown
the daemon of h2 stops
[0]
# Declaring a living host off: nobody is there to type its name.
$ quorate host fence h2 smoke
! quorate: host h2 is up. Of its 0 guests 0 have HA and are started elsewhere at once; if it is not off, they run twice and destroy their disks
! quorate: host fence: with --yes it is declared off all the same
[2]
$ quorate host fence h2 smoke --yes
host fence h2: done
[0]
