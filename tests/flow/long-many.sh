#!/usr/bin/env bash
# Many enrollments in one daemon: each request is answered exactly once, and nothing grows.
. "$(dirname "$0")/../lib/flow.sh"

people=${PEOPLE:-200}
authority_new
conf_set limits workers 2
daemon_start || true
user people
resident() { ps -o rss= --ppid "$flow_daemon" | awk '{ s += $1 } END { print s }'; }
descriptors() { for pid in $(pgrep -P "$flow_daemon"); do ls "/proc/$pid/fd"; done | wc -l; }
enrolled() { [ "$(store_sql 'SELECT count(*) FROM keyset')" -ge "$1" ]; }
quiet() { [ -z "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f)" ] && [ "$(store_sql 'SELECT count(*) FROM outbox WHERE sent = 0 AND failed = 0')" = 0 ]; }
enroll() { # FROM TO
    local n key
    for n in $(seq "$1" "$2"); do
        key=$(gpg_key people "person$n@example.org")
        as people gpg --batch --quiet --armor --export "$key" >"$T/key.asc"
        plain_mail "person$n@example.org" "$(token_for "person$n@example.org")" "$T/key.asc" | deliver
    done
    await 120 enrolled "$2"
    await 120 quiet
}
warm=$((people / 4))
enroll 1 "$warm"
memory=$(resident)
open_files=$(descriptors)
enroll $((warm + 1)) "$people"
is "each is enrolled once" "$(store_sql 'SELECT count(*), count(DISTINCT address) FROM keyset')" "$people|$people"
is "each has one reply" "$(grep -ls '^Subject: Reply' "$T"/mail/outgoing/new/* | xargs sed -n 's/^Delivered-To: //p' | sort | uniq -c | awk '$1 == 1' | wc -l)" "$people"
is "nothing is in quarantine" "$(store_sql 'SELECT count(*) FROM quarantine')" 0
ok "memory is flat: $memory KiB after $warm, $(resident) after $people" test "$(resident)" -le $((memory * 11 / 10))
is "so are descriptors" "$(descriptors)" "$open_files"
ok "the log is whole" countersignctl log verify
done_testing
