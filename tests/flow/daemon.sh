#!/usr/bin/env bash
# countersignd lives: ready, quick, reloads, stops; and any of its processes may be killed while mails are in hand (I1, I2, I4, I15).
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"

authority_new
conf_set limits workers 2
conf_set limits mails-per-address-day 1000
conf_set limits mails-per-hour 10000
roles="keyring nursery worker sender intake agent parent"
for role in $roles first stop; do
    person $role-a@example.org
    person $role-b@example.org
done
replied() { [ -n "$(reply_to "$1")" ]; }
refusing() { plain_mail "$1" "$(token_for "$1")" ""; }

# ---- ready, and told by inotify ----
daemon_start
is "it becomes ready" $? 0
enrolling first-a@example.org | deliver
ok "a mail is answered at once, long before the next poll" await 5 replied first-a@example.org
is "and settled" "$(find "$T/mail/inbox/.Done" "$T/mail/inbox/new" -type f 2>/dev/null | grep -c /new/)" 0

# ---- SIGHUP ----
conf_set policy plain-requests off
kill -HUP "$flow_daemon"
read_again() { grep -q 'configuration read again' "$T/agent.log"; }
ok "SIGHUP reads the configuration" await 5 read_again
ok "and it is ready again" await 8 is_ready
refusing first-b@example.org | deliver
ok "the new one holds" await 5 replied first-b@example.org
is "plain requests are refused now" "$(reason_of "$(reply_to first-b@example.org)")" policy
cp "$COUNTERSIGN_CONF" "$T/good.conf"
refusing first-b@example.org >"$T/1.eml"
conf_set policy plain-requests on
echo 'nonsense {' >>"$COUNTERSIGN_CONF"
kept() { grep -q 'keeping the configuration as it was' "$T/agent.log"; }
kill -HUP "$flow_daemon"
ok "a broken configuration is not taken" await 5 kept
ok "it goes on with the former one" await 8 is_ready
clear_sent
COUNTERSIGN_CONF=$T/good.conf deliver <"$T/1.eml"
ok "and answers" await 5 replied first-b@example.org
is "by the former one" "$(reason_of "$(reply_to first-b@example.org)")" policy
cp "$T/good.conf" "$COUNTERSIGN_CONF"
mkdir -p "$T/elsewhere"
conf_set authority state-directory "\"$T/elsewhere\""
kill -HUP "$flow_daemon"
elsewhere() { grep -q 'another state-directory needs a restart' "$T/agent.log"; }
ok "another state directory is not taken: the lock is on this one (I16)" await 5 elsewhere
cp "$T/good.conf" "$COUNTERSIGN_CONF"
conf_set policy plain-requests on
kill -HUP "$flow_daemon"
twice() { [ "$(grep -c 'configuration read again' "$T/agent.log")" = 2 ]; }
ok "the mended one is" await 5 twice
ok "and it is ready" await 8 is_ready

# ---- each process in turn dies while mails are in hand ----
sent_or_leased() { await 5 outbox_empty && return; # a mail in a dead sender's hands is leased for a while
    for id in $(store_sql 'SELECT id FROM outbox WHERE sent = 0 AND failed = 0'); do countersignctl outbox retry "$id" >/dev/null; done
    refusing wake@example.org | deliver
    await 10 outbox_empty
}
for role in $roles; do
    clear_sent
    enrolling $role-a@example.org >"$T/1.eml"
    enrolling $role-b@example.org >"$T/2.eml"
    refusing $role-c@example.org >"$T/3.eml"
    case $role in parent) victim=$flow_daemon ;; agent) victim=$(agent_pid) ;; *) victim=$(role_pid $role) ;; esac
    old=$(descendants "$flow_daemon")
    for i in 1 2 3; do deliver <"$T/$i.eml"; done
    kill -9 "$victim"
    if [ $role = parent ]; then
        wait "$flow_daemon" 2>/dev/null
        gone() { [ -z "$(alive $old)" ]; }
        ok "parent: all its children end by themselves" await 6 gone
        like "parent: what it said before is not believed" "$(countersignctl status)" 'not running'
        rm -f "$T/sa/run/status"
        daemon_start
        is "parent: started again it becomes ready" $? 0
    fi
    ok "$role killed: the mailbox is emptied" await 15 mailbox_empty
    ok "$role killed: everything is sent" sent_or_leased
    ok "$role killed: it is ready again" await 10 is_ready
    for who in a b; do
        is "$role killed: $who is enrolled once" "$(store_sql "SELECT count(*) FROM keyset WHERE address = '$role-$who@example.org'")" 1
        is "$role killed: $who has one reply, byte for byte" "$(sealed_of $role-$who@example.org)" 1
    done
    is "$role killed: the third is refused" "$(reason_of "$(reply_to $role-c@example.org)")" key-missing
done
is "nothing is in quarantine" "$(store_sql 'SELECT count(*) FROM quarantine')" 0
ok "the log is whole" countersignctl log verify

# ---- SIGTERM ----
old=$(descendants "$flow_daemon")
is "an agent runs" "$(ps -o comm= -p $(tr '\n' ',' <<<"$old" | sed 's/,$//') | grep -c gpg-agent)" 1
enrolling stop-a@example.org >"$T/1.eml"
enrolling stop-b@example.org >"$T/2.eml"
for i in 1 2; do deliver <"$T/$i.eml"; done
began=$(date +%s%N)
kill "$flow_daemon"
wait "$flow_daemon"
is "SIGTERM: exit status" $? 0
flow_daemon=
ok "SIGTERM: within five seconds" test $((($(date +%s%N) - began) / 1000000)) -lt 5000
is "SIGTERM: nothing of it is left" "$(alive $old)" ""
not "SIGTERM: nor the word that it is ready" test -e "$T/sa/run/status"
is "SIGTERM: no throw-away home is left" "$(find "$T/sa/run" -name 'keyhome-*' -newer "$T/1.eml" | wc -l)" 0
is "SIGTERM: each mail is in the mailbox or in the store" "$(($(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l) + $(store_sql "SELECT count(*) FROM keyset WHERE address LIKE 'stop-%'")))" 2
exits "--once finishes what was left" 0 agent_once
for who in a b; do
    is "stop-$who is enrolled once" "$(store_sql "SELECT count(*) FROM keyset WHERE address = 'stop-$who@example.org'")" 1
    is "stop-$who has one reply" "$(sealed_of stop-$who@example.org)" 1
done
is "the mailbox is empty" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 0
ok "the log is whole" countersignctl log verify

# ---- --once and --deliver: right and wrong ----
exits "--once with nothing to do" 0 agent_once
exits "--deliver without a mail" 65 countersignd --deliver </dev/null
like "says so" "$exits_output" 'no mail on standard input'
sed 's|maildir:[^"]*inbox|imap://example.org/inbox|' "$COUNTERSIGN_CONF" >"$T/imap.conf"
refusing first-b@example.org >"$T/1.eml"
exits "--deliver without a Maildir in the configuration" 78 countersignd -c "$T/imap.conf" --deliver <"$T/1.eml"
exits "--once without a configuration" 66 countersignd -c "$T/none.conf" --once
exits "--once and --deliver" 64 countersignd --once --deliver
mv "$T/mail/inbox" "$T/mail/away" && : >"$T/mail/inbox"
exits "--deliver where there can be no Maildir: the mail server shall try again" 75 countersignd --deliver <"$T/1.eml"
exits "--once where there can be no Maildir" 69 agent_once
rm "$T/mail/inbox" && mv "$T/mail/away" "$T/mail/inbox"
mv "$T/sa/state/keys" "$T/sa/state/away"
deliver <"$T/1.eml"
not "--once without the authority's key" agent_once
is "leaves the mail where it is" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 1
rm -rf "$T/sa/state/keys" && mv "$T/sa/state/away" "$T/sa/state/keys"
exits "and with it answers" 0 agent_once
is "the mailbox is empty at last" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 0

# ---- one instance (I16) ----
for i in $(seq 20); do
    countersignd 2>"$T/start.$i" &
    echo $! >"$T/pid.$i"
done
decided() { [ "$(alive $(cat "$T"/pid.*) | wc -l)" = 1 ]; }
ok "of twenty starts at once one goes on" await 15 decided
flow_daemon=$(alive $(cat "$T"/pid.*))
refused=0
for i in $(seq 20); do
    pid=$(cat "$T/pid.$i")
    [ "$pid" = "$flow_daemon" ] && continue
    wait "$pid"
    [ $? = 75 ] && grep -q 'another countersignd runs' "$T/start.$i" && refused=$((refused + 1))
done
is "nineteen exit with 75 and say why" "$refused" 19
ok "the one becomes ready" await 10 is_ready
daemon_stop
done_testing
