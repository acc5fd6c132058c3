# wrong.sh: what a wrong input may do, and what not. Source it behind flow.sh.
# wrong NAME STATUS ERE COMMAND...  the command exits with STATUS (an ERE) and says one sentence, in one line that begins with its own name and that the ERE is
#                                   in; what `watch` names stays as it was. Standard input is $INPUT (none: empty), standard output $OUTPUT.
# watch PATH...                     what must not change from here on. `as WHO` may stand before the command.
wrong_jargon='gpgme|assuan|GPG_ERR|gpg-error|sqlite|SQL|libetpan|errno|NULL|0x[0-9a-f]{4}|\(null\)|assert|nursery|keyring process|lf_|EOF$|Unknown error|Success'
wrong_watched=()
watch() { wrong_watched=("$@"); }
# A store but for the entries that say that a command came to nothing.
wrong_store() { sqlite3 "file:$1?mode=ro" .dump 2>&1 | grep -avE "^INSERT INTO (log VALUES\(.*,'command',|meta VALUES\('log-head',|person )" | sha256sum; }
# Names, kinds, modes and contents, but for sockets, locks and what gpg rewrites on reading.
wrong_tree() {
    local store
    find "${wrong_watched[@]}" -name countersign.db 2>/dev/null | while read -r store; do wrong_store "$store"; done
    find "${wrong_watched[@]}" \( -name 'S.*' -o -name '.#lk*' -o -name '*.lock' -o -name lock -o -name random_seed -o -name '*~' -o -path "$T/*/pin" \) -prune \
        -o \( -type d -empty -o -name trustdb.gpg -size -4 -o -name pubring.kbx -size -2 \) -o -printf '%y %m %p %l\n' \( -type f ! -name countersign.db -exec sha256sum {} + -o -true \) 2>/dev/null | sort
}
closed() { "$@" >&-; }
wrong() {
    local name=$1 status=$2 pattern=$3 before after got said program faults=()
    shift 3
    for program in "$@" countersign; do [[ $program =~ countersign(d|ctl)?$ ]] && break; done
    program=${program##*/}
    before=$(wrong_tree)
    "$@" <"${INPUT:-/dev/null}" >"${OUTPUT:-$T/said.out}" 2>"$T/said"
    got=$?
    # With --once the daemon speaks through its journal, and says when it was ready.
    sed -i -E '/: ready$/d; s,^[0-9TZ:-]{20} (countersignd)(/[a-z]+)?\[[0-9]+\]: ,\1: ,' "$T/said"
    said=$(cat "$T/said")
    after=$(wrong_tree)
    [ -z "${TRANSCRIPT:-}" ] || printf '%-40s %3s  %s\n' "$name" "$got" "$said" >>"$TRANSCRIPT"
    [[ $got =~ ^($status)$ ]] || faults+=("exit status $got, wanted $status")
    [ "$(wc -l <"$T/said")" = 1 ] || faults+=("not one line")
    [[ $said == "$program: "* ]] || faults+=("does not begin with its name")
    [ "${#said}" -gt 24 ] && [ "${#said}" -lt 600 ] || faults+=("${#said} characters")
    grep -qE -- "$pattern" <<<"$said" || faults+=("no /$pattern/")
    ! grep -qE -- "$wrong_jargon" <<<"$said" || faults+=("jargon")
    ! grep -qP '[\x00-\x08\x0b-\x1f\x7f]|[a-z]\.$' <<<"$said" || faults+=("control characters, or a full stop at the end")
    [ "$after" = "$before" ] || faults+=("something changed: $(diff <(echo "$before") <(echo "$after") | grep '^[<>]' | head -n 4)")
    [ ${#faults[@]} = 0 ] && tap_result 0 "$name" && return
    tap_result 1 "$name"
    printf '#   %s\n' "$*" "${faults[@]}"
    tap_show "$said"
}
