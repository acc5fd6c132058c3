#!/usr/bin/env bash
# Several mailboxes in one daemon: one that is lost makes no other idle, is named by status, and comes back; and a mail whose outcome was committed but which could
# not be put away is never worked on twice (I3, I17).
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"

authority_new
printf 'mailbox {\n\turl = "maildir:%s/mail/second"\n\tdone-folder = "Done"\n}\n' "$T" >>"$COUNTERSIGN_CONF"
conf_set limits workers 2
conf_set limits reconnect-first 1s
conf_set limits reconnect-most 2s
conf_set limits poll 2s
conf_set limits mails-per-address-day 1000
for n in 1 2 3 4; do person p$n@example.org; done
second() { python3 -c 'import os,sys,time; d=sys.argv[1]; n="%d.%d.test" % (time.time(), time.monotonic_ns()); open(d+"/tmp/"+n,"wb").write(sys.stdin.buffer.read()); os.rename(d+"/tmp/"+n, d+"/new/"+n)' "$T/mail/second"; }
replied() { [ -n "$(reply_to "$1")" ]; }
line_of() { grep -P "^intake\t$1\t" "$T/sa/run/status" | cut -f 3; }
is_state() { [ "$(line_of "$1")" = "$2" ]; }

# ---- both ----
daemon_start
ok "both mailboxes are watched" await 5 is_state 1 ready
ok "countersignd -n tests both" test "$(countersignd -n | grep -c '^ok      mailbox maildir:')" = 2
enrolling p1@example.org | deliver
enrolling p2@example.org | second
ok "a mail in the first is answered" await 5 replied p1@example.org
ok "and one in the second" await 5 replied p2@example.org
ok "status finds nothing wrong" countersignctl status
pids=$(role_pids intake | tr '\n' ' ')

# ---- one away ----
mv "$T/mail/second" "$T/mail/away" && : >"$T/mail/second"
ok "the second is lost" await 8 is_state 1 failing
is "the daemon stays ready" "$(head -n 1 "$T/sa/run/status")" ready
exits "status says so" 1 countersignctl status
like "which mailbox, since when, and when it is tried again" "$exits_output" "maildir:$T/mail/second: .*; since [0-9]+ seconds?, next try in [0-9]+ seconds?"
is "in figures as well" "$(countersignctl status --prometheus | grep -c '^countersign_server_up{.*} 0$')" 1
is "and in JSON" "$(countersignctl --json status | python3 -c 'import json,sys; print(*(s["state"] for s in json.load(sys.stdin)["servers"]))')" "ready failing ready"
enrolling p3@example.org | deliver
ok "the first mailbox is served meanwhile" await 5 replied p3@example.org
sleep 3
is "each reason stands once in the journal, however often it was tried" "$(grep "mailbox maildir:$T/mail/second: " "$T/agent.log" | sed 's/.* mailbox//; s/; trying.*//' | sort | uniq -d)" ""
failed=$(countersignd -n)
like "countersignd -n names the one that fails" "$failed" "^failed  mailbox maildir:$T/mail/second: "
like "and the one that does not" "$failed" "^ok      mailbox maildir:$T/mail/inbox"
rm "$T/mail/second" && mv "$T/mail/away" "$T/mail/second"
enrolling p4@example.org | second
ok "it comes back" await 8 is_state 1 ready
ok "with what came meanwhile" await 5 replied p4@example.org
like "a sentence says so" "$(cat "$T/agent.log")" "mailbox maildir:$T/mail/second can be read again"
ok "status finds nothing wrong" countersignctl status
is "no process was started anew" "$(role_pids intake | tr '\n' ' ')" "$pids"

# ---- both away ----
for box in inbox second; do mv "$T/mail/$box" "$T/mail/$box.away" && : >"$T/mail/$box"; done
unready() { grep -qs "^not ready: mailbox maildir:" "$T/sa/run/status"; }
ok "without any mailbox it is not ready" await 8 unready
for box in inbox second; do rm "$T/mail/$box" && mv "$T/mail/$box.away" "$T/mail/$box"; done
ok "and is again with them" await 8 is_ready
daemon_stop

# ---- committed, and not put away ----
stuck() { # the done folder can't be written to: as root only a file in its place helps
    mv "$T/mail/inbox/.Done" "$T/mail/done.away" 2>/dev/null
    : >"$T/mail/inbox/.Done"
}
unstuck() {
    rm "$T/mail/inbox/.Done"
    [ ! -e "$T/mail/done.away" ] || mv "$T/mail/done.away" "$T/mail/inbox/.Done"
}
confirming() { printf 'From: %s\nTo: sa@example.org\nSubject: Re: Reply\nMessage-ID: <%s@example.org>\n\nConfirmation: %s\n' "$1" "$RANDOM$RANDOM" "$(store_sql "SELECT nonce FROM keyset WHERE address = '$1'")"; }
confirmed() { [ "$(store_sql "SELECT count(*) FROM log WHERE event = 'confirmed'")" = "$1" ]; }
stuck
daemon_start
confirming p1@example.org | deliver
ok "a mail is worked on though it can't be put away" await 5 confirmed 1
untidy() { grep -q 'cannot put away' "$T/agent.log"; }
ok "the journal says so" await 5 untidy
confirming p2@example.org | deliver
ok "others are worked on meanwhile" await 5 confirmed 2
sleep 2
is "it is said once" "$(grep -c 'cannot put away' "$T/agent.log")" 1
is "and none is worked on again" "$(grep -c 'ignored a mail\|worked on before' "$T/agent.log")" 0
kill -9 "$(role_pids intake | head -n 1)" "$(role_pids intake | tail -n 1)"
again() { [ "$(grep -c 'worked on before, and is only put away' "$T/agent.log")" -ge 2 ]; }
ok "offered again after its process died, they are known" await 10 again
unstuck
ok "and put away once that works" await 30 mailbox_empty
is "nothing happened twice" "$(store_sql "SELECT count(*) FROM log WHERE event = 'confirmed'")" 2
daemon_stop

# ---- killed between commit and settle ----
clear_sent
plain_mail p5@example.org "$(token_for p5@example.org)" "" >"$T/refused.eml"
daemon_start
workers=$(role_pids worker)
intakes=$(role_pids intake)
kill -STOP $workers
deliver <"$T/refused.eml"
sleep 0.5 # until intake has offered it to a worker
kill -STOP $intakes
kill -CONT $workers
ok "a request is refused, and intake does not hear of it" await 10 replied p5@example.org
kill -KILL $intakes
ok "the mail is put away" await 10 mailbox_empty
is "as one that is known" "$(grep -c 'worked on before, and is only put away' "$T/agent.log")" 3
daemon_stop
is "without another answer" "$(count_to p5@example.org '^Subject: Reply')" 1

# ---- --once ----
mkdir -p "$T/mail/inbox/.Ignored" && mv "$T/mail/inbox/.Ignored" "$T/mail/ignored.away" && : >"$T/mail/inbox/.Ignored"
printf 'From: p6@example.org\nTo: sa@example.org\nSubject: none\n\nNothing.\n' | deliver
exits "--once says that something is left" 75 agent_once
rm "$T/mail/inbox/.Ignored" && mv "$T/mail/ignored.away" "$T/mail/inbox/.Ignored"
exits "the next run puts it away" 0 agent_once
is "the mailbox is empty" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 0
mv "$T/mail/second" "$T/mail/away" && : >"$T/mail/second"
exits "--once with one of two mailboxes away" 69 agent_once
rm "$T/mail/second" && mv "$T/mail/away" "$T/mail/second"
deliver <"$T/refused.eml"
agent_once
is "the same bytes sent anew are a mail of their own (P5.3)" "$(count_to p5@example.org '^Subject: Reply')" 2
ok "the log is whole" countersignctl log verify
is "nothing is in quarantine" "$(store_sql 'SELECT count(*) FROM quarantine')" 0
done_testing
