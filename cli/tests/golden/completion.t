$ quorate completion bash
| # bash completion of quorate: source <(quorate completion bash)
_quorate()
{
    local word="${COMP_WORDS[COMP_CWORD]}"
    local IFS=$'\n'
    case "${COMP_WORDS[COMP_CWORD-1]}" in
    --config | *-file) COMPREPLY=($(compgen -f -- "$word")); return ;;
    esac
    if [[ ${COMP_CWORD} -eq 2 && ( ${COMP_WORDS[1]} == create || ${COMP_WORDS[1]} == new ) ]]; then
        COMPREPLY=($(compgen -f -- "$word"))
        return
    fi
    COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" completion-words -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "$word"))
}
complete -o default -F _quorate quorate
[0]
$ quorate completion-words --
pool
host
repo
guest
op
log
explain
block-list
network-list
list
events
version
help
completion
create
new
shutdown
reboot
migrate
save
suspend
restore
mem-set
mem-max
vcpu-set
console
info
start
destroy
pause
unpause
delete
rename
resume
block-attach
block-detach
network-attach
network-detach
[0]
$ quorate completion-words -- guest
create
start
shutdown
destroy
pause
unpause
delete
set
migrate
rename
clone
reboot
save
resume
block-attach
block-detach
network-attach
network-detach
list
show
block-list
network-list
console
suspend
restore
mem-set
mem-max
vcpu-set
vmcfg
vnc
[0]
$ quorate completion-words -- guest start
web1
web2
web3
--host
--paused
--force
--connect
--json
--no-wait
--request-id
--timeout
--quiet
--no-color
--help
[0]
$ quorate completion-words -- guest start --host
h1
h2
h3
[0]
$ quorate completion-words -- --connect $S guest migrate web1
h1
h2
h3
--live
--rate
--connect
--json
--no-wait
--request-id
--timeout
--quiet
--no-color
--help
[0]
$ quorate completion-words -- guest create x --on-crash
destroy
restart
preserve
[0]
$ quorate completion-words -- op
cancel
list
show
wait
[0]
$ quorate completion-words --
pool
host
repo
guest
op
log
explain
block-list
network-list
list
events
version
help
completion
create
new
shutdown
reboot
migrate
save
suspend
restore
mem-set
mem-max
vcpu-set
console
info
start
destroy
pause
unpause
delete
rename
resume
block-attach
block-detach
network-attach
network-detach
[0]
# A dead pool holds nobody up.
$ quorate completion-words -- --connect unix:$D/dead guest start
--host
--paused
--force
--connect
--json
--no-wait
--request-id
--timeout
--quiet
--no-color
--help
[0]
