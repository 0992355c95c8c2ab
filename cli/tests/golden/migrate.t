$ quorate guest migrate web1 h2
guest web1 runs on h2 now, it stood still for 13ms: 7 last pass, 4 commit, 2 resume (operation 58, 1.3s)
! migrate web1 h1 -> h2 0%, prepare
! migrate web1 h1 -> h2 12%, transfer, 15.3 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms
! migrate web1 h1 -> h2 56%, transfer, 71.6 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms
! migrate web1 h1 -> h2 99%, switched, 126 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms
[0]
$ quorate guest migrate web1 h2 --quiet
[0]
$ quorate guest migrate web1 --no-wait
guest migrate web1: begun (operation 58)
[0]
@ tty 120
$ quorate guest migrate web1 h2
guest web1 runs on h2 now, it stood still for 13ms: 7 last pass, 4 commit, 2 resume (operation 58, 1.3s)
! <CR>migrate web1 h1 -> h2 [------------] 0%, prepare<EL><CR>migrate web1 h1 -> h2 [#-----------] 12%, transfer, 15.3 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms<EL><CR>migrate web1 h1 -> h2 [#-----------] 14%, transfer, 17.9 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms<EL><CR>migrate web1 h1 -> h2 [######------] 56%, transfer, 71.6 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms<EL><CR>migrate web1 h1 -> h2 [###########-] 99%, switched, 126 MiB sent, 234 MiB/s, dirty 12 MiB/s, downtime 7ms<EL><CR><EL>\
[0]
@ tty 60
$ quorate guest migrate web1 h2
guest web1 runs on h2 now, it stood still for 13ms: 7 last pass, 4 commit, 2 resume (operation 58, 1.3s)
! <CR>migrate web1 h1 -> h2 0%, prepare<EL><CR>migrate web1 h1 -> h2 12%, transfer, 15.3 MiB sent, 234 MiB<EL><CR>migrate web1 h1 -> h2 14%, transfer, 17.9 MiB sent, 234 MiB<EL><CR>migrate web1 h1 -> h2 56%, transfer, 71.6 MiB sent, 234 MiB<EL><CR>migrate web1 h1 -> h2 99%, switched, 126 MiB sent, 234 MiB/<EL><CR><EL>\
[0]
