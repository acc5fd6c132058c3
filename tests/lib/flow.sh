# flow.sh: a whole authority on Maildirs in a directory of its own, and what flows do with it. Sourced after nothing else.
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

umask 077
shopt -s lastpipe # `mail | refused …` counts in this shell
T=$(mktemp -d "/dev/shm/cs-flow-XXXXXX")
export PATH="$build:$PATH"
export COUNTERSIGN_CONF="$T/sa/sa.conf"
unset GNUPGHOME XDG_DATA_HOME XDG_CONFIG_HOME XDG_RUNTIME_DIR DISPLAY
flow_daemon=
flow_end() {
    [ -z "$flow_daemon" ] || daemon_stop
    local home
    find "$T" -type d \( -name keys -o -name escrow -o -name '.gnupg' -o -name h -o -name 'gnupg*' \) 2>/dev/null | while read -r home; do
        gpgconf --homedir "$home" --kill all 2>/dev/null
    done
    [ -n "${KEEP:-}" ] && echo "# kept: $T" || rm -rf "$T"
}
trap flow_end EXIT

# authority_new [CONF LINES]: sa@example.org, no passphrase unless passphrases lie in $T/pass.*
authority_new() {
    local args=(--no-passphrase)
    [ -f "$T/pass.authority" ] && args=(--authority-passphrase-file "$T/pass.authority" --escrow-passphrase-file "$T/pass.escrow")
    mkdir -p "$T/sa"
    countersignctl -c "$COUNTERSIGN_CONF" init --address sa@example.org --name 'Example Security Authority' --maildir "$T/mail" \
        --state-directory "$T/sa/state" --runtime-directory "$T/sa/run" "${args[@]}" >"$T/init.out" 2>"$T/init.err" ||
        { cat "$T/init.err"; echo "Bail out! init failed"; exit 1; }
}
# conf_set SECTION KEY VALUE: appends a section that sets one key (sections may be repeated: the last word counts) or replaces it in place
conf_set() {
    python3 - "$COUNTERSIGN_CONF" "$@" <<'PY'
import re, sys
path, section, key, value = sys.argv[1:5]
text = open(path).read()
start = re.search(r'^%s\b[^{\n]*\{' % re.escape(section), text, re.M).end()
depth, end = 1, start
while depth:
    depth += {'{': 1, '}': -1}.get(text[end], 0)
    end += 1
body = text[start:end - 1]
body = re.sub(r'(?m)^\s*#?\s*%s\s*=.*\n' % re.escape(key), '', body)
text = text[:start] + '\n\t%s = %s\n' % (key, value) + body + text[end - 1:]
open(path, 'w').write(text)
PY
}
agent_once() { countersignd --once 2>>"$T/agent.log"; }
daemon_start() {
    countersignd 2>>"$T/agent.log" &
    flow_daemon=$!
    local i
    for i in $(seq 100); do
        grep -qs '^ready' "$T/sa/run/status" && return 0
        sleep 0.1
    done
    echo "# the daemon did not become ready"; tail -5 "$T/agent.log" | sed 's/^/# /'
    return 1
}
daemon_stop() {
    kill "$flow_daemon" 2>/dev/null
    wait "$flow_daemon" 2>/dev/null
    flow_daemon=
}
token_for() { countersignctl token issue "$@" 2>>"$T/ctl.err" | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' | tee -a "$T/tokens" | tail -n 1; }
# Mails that went out to an address, oldest first; `last_to` the newest, optionally with this in its header.
sent_to() { grep -lsx -- "Delivered-To: $1" "$T"/mail/outgoing/new/* | xargs -r ls -tr 2>/dev/null; }
last_to() { sent_to "$1" | while read -r f; do sed '/^\r*$/q' "$f" | grep -qiE -- "${2:-.}" && echo "$f"; done | tail -n 1; }
reply_to() { last_to "$1" '^Subject: Reply from the Security Authority'; }
count_to() { sent_to "$1" | while read -r f; do sed '/^\r*$/q' "$f" | grep -qiE -- "${2:-.}" && echo "$f"; done | wc -l; }
clear_sent() { rm -f "$T"/mail/outgoing/new/*; }
# The reason code of a refusal mail.
reason_of() { sed -n 's/^Reason code: \([a-z-]*\).*/\1/p' "$1" | head -n 1; }
# The log but for the entries about commands themselves: what was changed.
changes() { store_sql "SELECT number, hex(hash) FROM log WHERE event <> 'command'"; }
store_sql() { sqlite3 "file:$T/sa/state/countersign.db?mode=ro" "$1"; }
# A person: user NAME makes $T/NAME with its own HOME; as NAME COMMAND... runs there.
user() { mkdir -p -m 700 "$T/$1/.gnupg"; printf 'pinentry-program %s\nno-grab\n' "$top/tests/lib/pinentry" >"$T/$1/.gnupg/gpg-agent.conf"; mkdir -p "$T/$1/pin"; }
as() {
    local who=$1
    shift
    HOME="$T/$who" GNUPGHOME= PINENTRY_USER_DATA="$T/$who/pin" env -u GNUPGHOME "$@"
}
# A key made by stock gpg for a user: fingerprint on standard output.
gpg_key() { # WHO USER-ID [ALGO]
    local fpr enc=cv25519
    fpr=$(as "$1" gpg --batch --quiet --yes --status-fd 1 --pinentry-mode loopback --passphrase '' --quick-gen-key "$2" "${3:-ed25519}" sign,cert 0 2>/dev/null | sed -n 's/.*KEY_CREATED . //p')
    case ${3:-ed25519} in rsa*) enc=$3 ;; esac
    as "$1" gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-key "$fpr" "$enc" encr 0 2>/dev/null
    echo "$fpr"
}
# A plain mail with token, key file and further lines on standard output.
plain_mail() { # FROM TOKEN KEYFILE [LINES]
    printf 'From: %s\nTo: sa@example.org\nSubject: My key\nMessage-ID: <%s@example.org>\nDate: Mon, 23 Nov 2026 00:00:00 +0000\nMIME-Version: 1.0\n' "$1" "$RANDOM$RANDOM$RANDOM"
    printf 'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain; charset=utf-8\n\n%s\n%s\n\n' "$2" "${4:-}"
    [ -z "$3" ] || { printf -- '--b\nContent-Type: application/pgp-keys; name="key.asc"\nContent-Disposition: attachment; filename="key.asc"\n\n'; cat "$3"; }
    printf -- '\n--b--\n'
}
deliver() { countersignd --deliver 2>>"$T/agent.log"; }
# No token is left in anything that was written (P5.7): store, mailbox with all its folders, logs, a copy of the state directory, what clients keep. What went out
# to users is theirs. Each flow that issued tokens ends with this.
tokens_gone() {
    [ -s "$T/tokens" ] || return 0
    local token kept=() place
    token=$(head -n 1 "$T/tokens")
    mkdir -p "$T/planted"
    printf 'Token: %s\n' "$token" >"$T/planted/plain"
    printf 'Token: %s\n' "$token" | base64 >"$T/planted/base64"
    tr -d '-' <<<"$token" | tr A-Z a-z | sed 's/^\(.\{9\}\)/\1=\n/' >"$T/planted/quoted-printable"
    is "the search sees planted tokens" "$("$top/tests/lib/find_token.py" "$T/tokens" "$T/planted" | wc -l)" 3
    cp -a "$T/sa" "$T/backup"
    for place in "$T/sa" "$T/backup" "$T/mail/inbox" "$T/wkd" "$T"/*/.local "$T"/*/.gnupg; do [ -e "$place" ] && kept+=("$place"); done
    mkdir -p "$T/logs"
    cp "$T"/*.log "$T"/*.err "$T/logs" 2>/dev/null
    exits "no token is left in anything that was written" 3 "$top/tests/lib/find_token.py" "$T/tokens" "${kept[@]}" "$T/logs"
}
done_testing() {
    tokens_gone
    tap_done
}
# Waits until a command succeeds, at most N seconds.
await() { # SECONDS COMMAND...
    local i n=$1
    shift
    for i in $(seq $((n * 10))); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    return 1
}
