#!/usr/bin/env bash
# What stands still or lacks: gpg-agent stopped, passphrase missing or wrong, the store locked; and mails that break the parser (I9, I15). The daemon waits
# without being busy, nothing is lost, no token is used, and it recovers by itself.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"

echo 'correct horse' >"$T/pass.authority"
echo 'battery staple' >"$T/pass.escrow"
authority_new
conf_set limits workers 2
conf_set limits gpg-time 2s
conf_set limits busy 1s
conf_set limits mails-per-address-day 1000
conf_set limits mail-size 64M
conf_set limits parser-memory 128M
conf_set notify administrators '{"admin@example.org"}'
for who in stopped locked wrong busy after; do
    person $who@example.org
    enrolling $who@example.org >"$T/$who.eml" # a locked authority issues no tokens
done
plain_mail last@example.org "$(token_for last@example.org)" "" >"$T/last.eml"
replied() { [ -n "$(reply_to "$1")" ]; }
outstanding() { store_sql "SELECT count(*) FROM token WHERE used + superseded + voided = 0 AND address = '$1'"; }
uncounted() { [ "$(attempts)" = 0 ]; }
attempts() { store_sql 'SELECT coalesce(sum(count), 0) FROM attempt'; }
enrolled() { [ "$(store_sql "SELECT count(*) FROM keyset WHERE address = '$1'")" = 1 ]; }
logged() { grep -q "$1" "$T/agent.log"; }
idle() { # NAME : over three seconds the whole tree uses less than 60 ms
    local before=$(ticks_of "$flow_daemon")
    sleep 3
    local used=$(($(ticks_of "$flow_daemon") - before))
    ok "$1: not busy ($used ticks of 10 ms in 3 s)" test $used -le "${2:-6}"
}

# ---- all is well ----
daemon_start
is "with its passphrase file it is ready" $? 0
idle "nothing to do"

# ---- gpg-agent stands still ----
agent=$(agent_pid)
kill -STOP "$agent"
deliver <"$T/stopped.eml"
ok "a stopped gpg-agent: the mail is deferred" await 8 logged 'deferred a mail'
is "the token is not used" "$(outstanding stopped@example.org)" 1
is "the mail is where it was" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 1
idle "a stopped gpg-agent and a deferred mail" 12
ok "that counts against nobody" await 8 uncounted
kill -CONT "$agent"
ok "it goes on: the mail is answered" await 30 replied stopped@example.org
ok "by the same agent" test "$(agent_pid)" = "$agent"
is "it is enrolled" "$(store_sql "SELECT count(*) FROM keyset WHERE address = 'stopped@example.org'")" 1

# ---- stopping while gpg-agent stands still ----
agent=$(agent_pid)
kill -STOP "$agent"
deliver <"$T/last.eml"
old=$(descendants "$flow_daemon")
began=$(date +%s%N)
kill "$flow_daemon"
wait "$flow_daemon"
is "SIGTERM all the same: exit status" $? 0
flow_daemon=
ok "within five seconds" test $((($(date +%s%N) - began) / 1000000)) -lt 5000
gone() { [ -z "$(alive $old)" ]; }
ok "and nothing is left, the stopped agent included" await 2 gone

# ---- the store is locked by another ----
daemon_start
deferred() { grep -c 'deferred a mail' "$T/agent.log"; }
await 10 mailbox_empty
was=$(deferred)
enrolling busy@example.org >"$T/1.eml"
coproc sqlite3 "$T/sa/state/countersign.db"
locker=$COPROC_PID
echo 'BEGIN EXCLUSIVE;' >&"${COPROC[1]}"
echo 'SELECT 1;' >&"${COPROC[1]}"
read -r -t 5 held <&"${COPROC[0]}"
is "another process has locked the store" "$held" 1
deliver <"$T/1.eml"
again() { [ "$(deferred)" -gt "$was" ]; }
ok "the mail is deferred" await 8 again
is "and is where it was" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 1
echo '.quit' >&"${COPROC[1]}"
wait "$locker" 2>/dev/null
ok "once the store is free it is answered" await 20 replied busy@example.org
ok "and enrolled" enrolled busy@example.org
is "that counted against nobody" "$(attempts)" 0

# ---- mails that break the parser ----
clear_sent
poison() { # BYTES: a mail that does not fit into the parser's memory; as it holds a token only its headers are kept (P5.7)
    printf 'From: mallory@example.org\nTo: sa@example.org\nSubject: poison %s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n%s\n' "$1" "$held"
    head -c "$1" /dev/zero | tr '\0' 'x' | fold -w 70
    printf -- '\n--b--\n'
}
quarantined() { [ "$(store_sql 'SELECT count(*) FROM quarantine')" = "$1" ]; }
held=$(token_for mallory@example.org)
poison 30000000 | deliver
poison 30000001 | deliver
deliver <"$T/after.eml"
ok "a good mail behind poison is answered" await 8 replied after@example.org
ok "the poison ends in quarantine" await 30 quarantined 2
ok "the mailbox is empty" await 5 mailbox_empty
alarms() { count_to admin@example.org '^Subject: .*quarantine'; }
alarmed() { [ "$(alarms)" = 1 ]; }
ok "an administrator is told" await 5 alarmed
is "once" "$(alarms)" 1
list=$(countersignctl quarantine list)
like "quarantine list says why" "$list" 'ran out of time or memory'
like "and how often it was tried" "$list" '3 times'
is "of mails that held a token only headers are kept" "$(store_sql 'SELECT coalesce(sum(length(mail)), 0) FROM quarantine')" 0
like "quarantine show tells which mail" "$(countersignctl quarantine show 1)" 'poison 3000000'
is "mallory hears of the token alone" "$(count_to mallory@example.org '^Subject: Reply')" 0
is "nothing is counted any more" "$(attempts)" 0
like "the parser was stopped, not the others" "$(grep -c 'killed by signal' "$T/agent.log")" '^0$'
daemon_stop

# ---- no passphrase, a wrong one, and by hand ----
conf_set authority passphrase-file '""'
is_waiting() { grep -qs '^not ready: keyring: .*passphrase' "$T/sa/run/status"; }
countersignd 2>>"$T/agent.log" &
flow_daemon=$!
ok "without the passphrase it runs, and says what it waits for" await 10 is_waiting
is "it runs" "$(alive "$flow_daemon")" "$flow_daemon"
deliver <"$T/locked.eml"
idle "locked, with a mail waiting" 20
is "the mail waits" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 1
is "the token too" "$(outstanding locked@example.org)" 1
echo 'wrong' >"$T/wrong"
chmod 600 "$T/wrong"
exits "unlock with a wrong passphrase" 77 countersignctl unlock --passphrase-file "$T/wrong"
ok "it is still locked" is_waiting
exits "unlock with the right one" 0 countersignctl unlock --passphrase-file "$T/pass.authority"
ok "makes it ready" await 10 is_ready
ok "and the mail is answered" await 20 replied locked@example.org
daemon_stop
conf_set authority passphrase-file "\"$T/wrong\""
is_wrong() { grep -qs '^not ready: keyring: .*wrong' "$T/sa/run/status"; }
countersignd 2>>"$T/agent.log" &
flow_daemon=$!
ok "with a wrong passphrase file it runs, and says so" await 10 is_wrong
idle "with a wrong passphrase" 20
deliver <"$T/wrong.eml"
cat "$T/pass.authority" >"$T/wrong"
ok "the file mended, it becomes ready by itself" await 30 is_ready
ok "and answers" await 20 replied wrong@example.org
daemon_stop
ok "the log is whole" countersignctl log verify
done_testing
