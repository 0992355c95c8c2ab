# The pool on those hosts: founding it, joining, the repository, the images, the first guest.
# shellcheck shell=bash

# found_pool: once; later calls see that h1 belongs to a pool.
found_pool() {
    local rc=0
    on_host h1 --local pool status --json >/dev/null 2>&1 || rc=$?
    case $rc in
        0) return ;;
        4)
            on_host h1 pool init lab >/dev/null
            # Machines that a processor of another one pretends to be take seconds for an election.
            ! on_machines || on_host h1 pool set --lease 12000 >/dev/null
            ;;
        *) die "h1 does not say whether it has a pool (exit status $rc); see $(host_dir h1)/log" ;;
    esac
}

has_host() { on_pool host list --json | rows | jq -es --arg h "$1" 'any(.[]; .name == $h)'; }

join_hosts() {
    local h
    for h in $(host_names); do
        [[ $h == h1 ]] || has_host "$h" >/dev/null 2>&1 ||
            on_pool host add "$h" "$(host_address "$h"):7077" >/dev/null
    done
}

# Every host up, and as many voters as the pool wants: the largest odd number up to five.
pool_is_whole() {
    local n voters
    n=$(conf_get hosts)
    voters=$((n >= 5 ? 5 : n % 2 == 1 ? n : n - 1))
    on_pool host list --json | rows | jq -es --argjson n "$n" --argjson v "$voters" \
        'length == $n and all(.state == "up") and ([.[] | select(.role == "voter")] | length) == $v
         and ([.[] | select(.master)] | length) == 1' >/dev/null
}

repo_field() { on_pool repo list --json | rows | jq -r 'select(.name == "lab") | .'"$1"; }

repo_ready_everywhere() {
    (($(repo_field 'ready_on | length') == $(conf_get hosts)))
}

make_repo() {
    mkdir -p "$LAB_DIR/repo"
    [[ -n $(repo_field name) ]] || on_pool repo new lab "$LAB_DIR/repo" >/dev/null
    [[ $(repo_field state) != new ]] || on_pool repo init lab >/dev/null
    [[ $(repo_field root) == true ]] || on_pool repo root lab >/dev/null
    wait_until 30 "every host has the repository" repo_ready_everywhere
}

# The images that fit the driver, and the one that demo is made from.
image_dir() {
    if on_machines; then
        printf '%s/images\n' "$(machine_parts)"
    else
        printf '%s/images\n' "$LAB_CACHE"
    fi
}

demo_image() { on_machines && printf 'xen\n' || printf 'tiny\n'; }

# An image is a folder of the root repository's seed_pool. One that changed is replaced as a whole.
put_images() {
    local from to
    for from in "$(image_dir)"/*/; do
        to=$LAB_DIR/repo/seed_pool/$(basename "$from")
        [[ -e $to && ! $from/vm.cfg -nt $to/vm.cfg ]] && continue
        mkdir -p "$LAB_DIR/repo/seed_pool"
        rm -rf "$to.new"
        cp -a --sparse=always "$from" "$to.new"
        rm -rf "$to"
        mv "$to.new" "$to"
    done
}

guest_field() { on_pool guest list --json | rows | jq -r --arg g "$1" 'select(.name == $g) | .'"$2"; }

guest_is() { [[ $(guest_field "$1" state) == "$2" ]]; }

make_demo() {
    if [[ -z $(guest_field demo name) ]]; then
        on_pool guest create demo --image "$(demo_image)" >/dev/null
    elif guest_is demo stopped; then
        on_pool guest start demo >/dev/null
    fi
    wait_until 60 "the guest demo runs" guest_is demo running
}

show_pool() {
    on_pool pool status
    echo
    on_pool host list
    echo
    on_pool guest list
}

# A host other than the one that demo runs on.
other_host() {
    local h at
    at=$(guest_field demo host)
    for h in $(host_names); do
        [[ $h == "$at" ]] || { printf '%s\n' "$h"; return; }
    done
}

say_what_next() {
    local master
    master=$(on_pool pool status --json | rows | jq -r .master)
    cat <<TEXT

Try next (in a shell with: eval "\$(./lab env${LAB_DIR_OPTION:+ $LAB_DIR_OPTION})"):
    quorate guest migrate demo $(other_host)
    ./lab kill $master${LAB_DIR_OPTION:+ $LAB_DIR_OPTION}; quorate host list
    quorate events --follow
TEXT
}

pool_up() {
    local h
    for h in $(host_names); do
        power_on "$h"
    done
    for h in $(host_names); do
        daemon_start "$h"
    done
    for h in $(host_names); do
        wait_until 20 "$h answers" host_answers "$h" ||
            die "see $(host_dir "$h")/log/quorated.log"
    done
    found_pool
    wait_until 20 "the pool has a master" on_pool pool status
    join_hosts
    wait_until 60 "all hosts are up and vote" pool_is_whole
    make_repo
    put_images
}
