# vm.cfg in both spellings.
@ file vm.cfg name = 'web9'\nmemory = 64\nbuilder = 'hvm'\nvncpasswd = 'hush'\ndisk = ['file:/a.img,hda,w']\n
$ quorate create $D/vm.cfg
guest web1 is running on h2 (operation 57, 1.3s)
[0]
@ body
name = web9
memory_mib = 64
type = hvm
disks 1:
path = /a.img
device = hda
format = raw
vnc_password = hush
$ quorate create $D/vm.cfg name=web8 memory=1GiB vcpus=2
guest web1 is running on h2 (operation 57, 1.3s)
[0]
@ body
name = web8
memory_mib = 1024
vcpus = 2
type = hvm
disks 1:
path = /a.img
device = hda
format = raw
vnc_password = hush
$ quorate new $D/vm.cfg --quiet
[0]
@ body
name = web9
start = off
memory_mib = 64
type = hvm
disks 1:
path = /a.img
device = hda
format = raw
vnc_password = hush
$ quorate guest create --config $D/vm.cfg --no-wait
guest create web9: begun (operation 57)
[0]
$ quorate guest create web7 --config $D/vm.cfg --memory 96 --no-wait
guest create web7: begun (operation 57)
[0]
@ body
name = web7
memory_mib = 96
type = hvm
disks 1:
path = /a.img
device = hda
format = raw
vnc_password = hush
$ quorate create $D/vm.cfg memory=much
! quorate: memory=much: memory: "much" is not a number such as 512 or 2GiB
[2]
$ quorate create $D/vm.cfg memory
! quorate: "memory" is not NAME=VALUE
[2]
@ file bad.cfg name = 'x'\nmemory = lots\n
$ quorate create $D/bad.cfg
! quorate: bad.cfg:2:10: "lots" is no value; text stands in quotes, and Python code is not carried out
[2]
$ quorate guest create web7 --config $D/bad.cfg
! quorate: bad.cfg:2:10: "lots" is no value; text stands in quotes, and Python code is not carried out
! Try "quorate help guest create".
[2]
@ file noname.cfg memory = 64\n
$ quorate create $D/noname.cfg
! quorate: /D/noname.cfg: the guest has no name; add name=... after the file
[2]
$ quorate guest create --config $D/noname.cfg
! quorate: guest create: name is missing (usage: quorate guest create NAME [OPTION]...)
! Try "quorate help guest create".
[2]
# Units, switches, elements of lists, a secret from a file.
@ file secret hush\n
$ quorate guest create web6 --no-wait --memory=2GiB --maxmem_mib 4096 --no-start --paused --ha on --vnc --vnc-password-file $D/secret --disk shared:web6.img,device=hda --disk path=/x.iso,device=hdc,cdrom,readonly=on --vif bridge=br0,model=e1000 --preferred h1,h2 --on-crash preserve
guest create web6: begun (operation 57)
[0]
@ body
name = web6
start = off
paused = on
ha = on
preferred = h1,h2
memory_mib = 2048
maxmem_mib = 4096
disks 1:
path = shared:web6.img
device = hda
disks 2:
path = /x.iso
device = hdc
readonly = on
cdrom = on
vifs 1:
bridge = br0
model = e1000
vnc = on
vnc_password = hush
on_crash = preserve
$ quorate guest create web6 --vnc-password-file $D/none
! quorate: --vnc-password-file: cannot read /D/none: No such file or directory
! Try "quorate help guest create".
[3]
$ quorate guest start --paused web1 --no-wait
guest start web1: begun (operation 57)
[0]
@ body
name = web1
paused = on
$ quorate guest migrate web1 h2 --no-live --rate 10 --no-wait
guest migrate web1: begun (operation 58)
[0]
@ body
name = web1
host = h2
live = off
rate_mib_per_s = 10
$ quorate migrate web1 h2 --no-wait
guest migrate web1: begun (operation 58)
[0]
@ body
name = web1
host = h2
live = off
$ quorate migrate -l --resource=20 web1 h2 --no-wait
guest migrate web1: begun (operation 58)
[0]
@ body
name = web1
host = h2
rate_mib_per_s = 20
$ quorate guest start --no-wait -- -odd-
guest start -odd-: begun (operation 57)
[0]
