# The older system's words.
$ quorate start web1
guest web1 is running on h2 (operation 57, 1.3s)
[0]
$ quorate pause web1
guest web1 is running on h2 (operation 57, 1.3s)
[0]
$ quorate unpause web1
guest web1 is running on h2 (operation 57, 1.3s)
[0]
$ quorate destroy web1
guest web1 is running on h2 (operation 57, 1.3s)
[0]
$ quorate delete web1
guest delete web1: done
[0]
$ quorate shutdown web1
guest shutdown web1: begun (operation 57)
[0]
$ quorate shutdown -w web1
guest web1 is running on h2 (operation 57, 1.3s)
[0]
$ quorate shutdown -aw
guest shutdown web1: begun (operation 57)
guest web1 is running on h2 (operation 57, 1.3s)
[0]
$ quorate migrate --live web1 h2
guest web1 runs on h2 now, it stood still for 13ms: 7 last pass, 4 commit, 2 resume (operation 58, 1.3s)
! migrate web1 h1 -> h2 0%, prepare
! migrate web1 h1 -> h2 12%, transfer, 15.3 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms
! migrate web1 h1 -> h2 56%, transfer, 71.6 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms
! migrate web1 h1 -> h2 99%, switched, 126 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms
[0]
$ quorate create /no/such/vm.cfg
! quorate: /no/such/vm.cfg: No such file or directory
[3]
$ quorate create
! quorate: create: config is missing (usage: quorate create CONFIG [NAME=VALUE]... [OPTION]...)
! Try "quorate help create".
[2]
