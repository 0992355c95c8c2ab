# Building the programs and the guests' images.
# shellcheck shell=bash

# Processes that a compile may use at once: as many as the machine has, QUORATE_JOBS if set.
jobs_here() { printf '%s\n' "${QUORATE_JOBS:-$(nproc)}"; }

# build_preset PRESET DIR [TARGET...]: configure once, then build what changed.
build_preset() {
    local preset=$1 dir=$2 launcher=()
    shift 2
    ! have ccache || launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    if [[ ! -e $dir/build.ninja ]]; then
        cmake -C "$LAB_ROOT/.ci/presets/$preset.cmake" -S "$LAB_ROOT" -B "$dir" -G Ninja \
            "${launcher[@]}" >"$dir.configure.log" 2>&1 ||
            { cat "$dir.configure.log" >&2; die "configuring $dir failed"; }
        rm -f "$dir.configure.log"
    fi
    ninja -C "$dir" -j "$(jobs_here)" "$@" | compiler_output
}

# Only what a person must see of a build: everything if it failed.
compiler_output() { grep -vE '^(ninja: Entering|ninja: no work|\[[0-9]+/[0-9]+\] )' || true; }

build_release() {
    mkdir -p "$LAB_ROOT/build"
    build_preset release "$LAB_ROOT/build" "$@"
}

build_images() { "$LAB_ROOT/chaos-tests/images/build" "$LAB_CACHE/images"; }
