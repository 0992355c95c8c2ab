# What cannot be understood: what, where, and what to do.
$ quorate gest list
! quorate: unknown command "gest"; did you mean "guest"?
! Try "quorate help".
[2]
$ quorate guest lits
! quorate: unknown command "guest lits"; did you mean "guest list"?
! Try "quorate help guest".
[2]
$ quorate guest
! quorate: guest: a verb is missing
! Try "quorate help guest".
[2]
$ quorate lst
! quorate: unknown command "lst"; did you mean "list"?
! Try "quorate help".
[2]
$ quorate frobnicate
! quorate: unknown command "frobnicate"
! Try "quorate help".
[2]
$ quorate guest create web9 --memry 512
! quorate: guest create: unknown option --memry; did you mean --memory?
! Try "quorate help guest create".
[2]
$ quorate guest create web9 --memory lots
! quorate: --memory: "lots" is not a number such as 512 or 2GiB
! Try "quorate help guest create".
[2]
$ quorate guest create web9 --memory 4
! quorate: --memory: must be 8 to 16777216 MiB
! Try "quorate help guest create".
[2]
$ quorate guest create web9 --memory
! quorate: --memory needs a value
! Try "quorate help guest create".
[2]
$ quorate guest create web9 --vcpus=100000
! quorate: --vcpus: must be 1 to 512
! Try "quorate help guest create".
[2]
$ quorate guest create web9 --memory 1 --memory 2
! quorate: --memory is given twice
! Try "quorate help guest create".
[2]
$ quorate guest create web9 --memory-mib 512 --memory 2
! quorate: --memory is given twice
! Try "quorate help guest create".
[2]
$ quorate guest create web9 --on-crash explode
! quorate: --on-crash: "explode" is none of destroy, restart, preserve
! Try "quorate help guest create".
[2]
$ quorate guest create
! quorate: guest create: name is missing (usage: quorate guest create NAME [OPTION]...)
! Try "quorate help guest create".
[2]
$ quorate guest create ''
! quorate: name is empty
! Try "quorate help guest create".
[2]
$ quorate guest create aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
! quorate: name is too long: 76 bytes, at most 63
! Try "quorate help guest create".
[2]
$ quorate guest create web9 web10
! quorate: guest create: unexpected word "web10"
! Try "quorate help guest create".
[2]
$ quorate guest create web9 --disk /a.img,devise=hda
! quorate: --disk: unknown key "devise"; there are path, device, format, readonly, cdrom
! Try "quorate help guest create".
[2]
$ quorate guest create web9 --disk device=hda
! quorate: --disk: path: must have 1 to 511 bytes
! Try "quorate help guest create".
[2]
$ quorate guest create web9 --ha=perhaps
! quorate: --ha: "perhaps" is neither on nor off
! Try "quorate help guest create".
[2]
$ quorate guest create web9 --uuid 1
! quorate: guest create: unknown option --uuid
! Try "quorate help guest create".
[2]
$ quorate guest start web1 --local
! quorate: guest start does not take --local
! Try "quorate help guest start".
[2]
$ quorate guest list --no-wait
! quorate: guest list does not take --no-wait
! Try "quorate help guest list".
[2]
$ quorate guest list --request-id 0123
! quorate: --request-id: "0123" is not an identifier of 32 hex digits
! Try "quorate help guest list".
[2]
$ quorate guest start web1 --request-id 0123
! quorate: --request-id: "0123" is not an identifier of 32 hex digits
! Try "quorate help guest start".
[2]
$ quorate guest start web1 --timeout never
! quorate: --timeout: "never" is not a number of seconds up to 3600
! Try "quorate help guest start".
[2]
$ quorate guest start web1 --timeout
! quorate: --timeout needs a value
! Try "quorate help guest start".
[2]
$ quorate guest start web1 --json=yes
! quorate: --json takes no value
! Try "quorate help guest start".
[2]
$ quorate guest start -z web1
! quorate: unknown option -z
! Try "quorate help guest start".
[2]
$ quorate op show seven
! quorate: id: "seven" is not a number
! Try "quorate help op show".
[2]
$ quorate op show 0
! quorate: id: must be 1 to 18446744073709551615
! Try "quorate help op show".
[2]
$ quorate shutdown
! quorate: shutdown: give a guest, or --all for all of them
[2]
$ quorate shutdown -a web1
! quorate: shutdown: give a guest or --all, not both
[2]
$ quorate --connect '' guest list
! quorate: --connect: an address is empty
[2]
$ quorate --connect h1:1,,h2:2 guest list
! quorate: --connect: an address is empty
[2]
$ quorate --connect no:port guest list
! quorate: --connect: "no:port": expected HOST:PORT, [IPV6]:PORT or unix:/PATH with a port from 0 to 65535
[2]
$ quorate --connect unix:relative guest list
! quorate: --connect: "unix:relative": the path of a socket must be absolute
[2]
$ quorate --connect a:1,b:2 pool init lab
! quorate: pool init founds the pool on one host: give --connect with its address only
[2]
$ quorate completion fish
! quorate: completion: there is a script for bash only, none for "fish"
[2]
$ quorate guest report web1
! quorate: unknown command "guest report"; did you mean "guest reboot"?
! Try "quorate help guest".
[2]
$ quorate guest start "aÿb"
! quorate: name is not UTF-8
! Try "quorate help guest start".
[2]
