# daemon.sh: what flows need to look at countersignd's processes. Sourced after flow.sh.
descendants() { # PID: it and everything below it
    local child
    echo "$1"
    for child in $(pgrep -P "$1"); do descendants "$child"; done
}
role_pids() { # ROLE
    local pid
    for pid in $(pgrep -P "$flow_daemon"); do
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "--role $1 " && echo "$pid"
    done
}
role_pid() { role_pids "$1" | head -n 1; }
agent_pid() { pgrep -x -P "$(role_pid keyring)" gpg-agent; }
is_ready() { grep -qs '^ready' "$T/sa/run/status"; }
alive() { # PID...: those that still run
    local pid
    for pid in "$@"; do
        [ -d "/proc/$pid" ] && ! grep -qs '^State:.Z' "/proc/$pid/status" && echo "$pid"
    done
}
mailbox_empty() { [ "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" = 0 ]; }
outbox_empty() { [ "$(store_sql 'SELECT count(*) FROM outbox WHERE sent = 0 AND failed = 0')" = 0 ]; }
# Processor time of a process tree with its dead children, in ticks of 10 ms.
ticks_of() {
    local pid
    for pid in $(descendants "$1"); do sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null; done | awk '{ n += $12 + $13 + $14 + $15 } END { print n + 0 }'
}
# person ADDRESS: makes a key of that address in the home of the user `people`, its public half in $T/ADDRESS.asc.
person() {
    local fpr
    [ -d "$T/people" ] || user people
    fpr=$(gpg_key people "$1" 2>/dev/null)
    as people gpg --batch --armor --export "$fpr" >"$T/$1.asc"
}
enrolling() { plain_mail "$1" "$(token_for "$1")" "$T/$1.asc"; }
sealed_of() { for f in $(sent_to "$1"); do grep -q 'BEGIN PGP MESSAGE' "$f" && sed -n '/^-----BEGIN PGP MESSAGE/,/^-----END/p' "$f" | tr -d '\r' | sha256sum; done | sort -u | wc -l; }
