#!/bin/bash
# The first session of README.md, as a reader would paste it: every command succeeds and says what the
# page says it says. Numbers, and how wide a table is, may differ; "..." on a line of its own stands
# for anything. With UPDATE=1 the page gets what was really said (write the "..." in again).
# shellcheck source=chaos-tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

page=$LAB_ROOT/README.md
work=$(mktemp -d /tmp/ql.XXXXXX)
export QUORATE_LAB_DIR=$work/lab
trap '"$LAB_ROOT/lab" down >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

awk '/^```console$/ {on = 1; next} /^```$/ {if (on) exit} on' "$page" >"$work/session"
[[ -s $work/session ]] || fail "README.md has no session"

# One shell runs it all, with a mark before what each command says.
{
    printf 'cd %q || exit\n' "$LAB_ROOT"
    n=0
    while IFS= read -r line; do
        [[ $line == '$ '* ]] || continue
        n=$((n + 1))
        printf 'printf "\\001%%d\\n" %d\n%s\n' "$n" "${line#'$ '}"
        # shellcheck disable=SC2016 # The shell that runs the session expands it.
        printf 'rc=$?; ((rc == 0)) || { printf "\\001failed with status %%d\\n" "$rc"; exit 1; }\n'
    done <"$work/session"
} >"$work/script"
env -u QUORATE_CONNECT bash "$work/script" >"$work/said" 2>&1 || true

# What each command said: the session again, with the real output.
awk -v said="$work/said" '
    BEGIN {
        while ((getline line < said) > 0) {
            if (substr(line, 1, 1) == "\001") {n = substr(line, 2); continue}
            out[n] = out[n] line "\n"
        }
    }
    /^\$ / {print; printf "%s", out[++i]}' "$work/session" >"$work/real"
if grep -a $'^\001failed' "$work/said"; then
    tail -n 20 "$work/said"
    fail "a command of README.md failed"
fi
if [[ -n ${UPDATE:-} ]]; then
    awk -v real="$work/real" '
        /^```console$/ && !done {print; while ((getline line < real) > 0) print line; on = 1; done = 1; next}
        /^```$/ {on = 0}
        !on' "$page" >"$work/page"
    cp "$work/page" "$page"
    tell "README.md has what was said"
    exit 0
fi

# plain FILE: what is compared.
plain() {
    sed -E 's/\b[0-9a-f]{8,}\b/HASH/g; s/[0-9]+(\.[0-9]+)?(ms|s)\b/TIME/g; s/[0-9]+(\.[0-9]+)?/N/g
        s/[[:space:]]+/ /g; s/ $//; s/-{3,}/-/g
        # Shares of a stand-still come by themselves, and may come too late to be told.
        s/: N last pass, N commit, N resume//' "$1"
}

plain "$work/session" >"$work/want"
plain "$work/real" >"$work/got"
awk -v got="$work/got" '
    function take() {return have = (getline line < got) > 0}
    BEGIN {take()}
    $0 == "..." {any = 1; next}
    {
        while (any && have && line != $0) take()
        any = 0
        if (!have || line != $0) {printf "README.md: \"%s\"\nreally:    \"%s\"\n", $0, have ? line : "(the end)"; exit 1}
        take()
    }
    END {if (have && !any) {printf "really, and not in README.md: \"%s\"\n", line; exit 1}}' "$work/want" ||
    fail "the session of README.md does not say what really is said"
tell "ok: $(grep -c '^\$ ' "$work/session") commands do what README.md says"
