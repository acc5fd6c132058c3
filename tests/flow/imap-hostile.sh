#!/usr/bin/env bash
# An IMAP server that fails each time at the same place: its folders take no mail, or it hangs up as soon as it was looked at. Neither makes the agent storm it,
# nor fill its log.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/enrollment.sh"
. "$(dirname "$0")/../lib/faults.sh"

mails=400
port=$(free_ports 1)
ca_make "$S/ca"
fake_is imap full
in_background "$top/tests/lib/fake_imap.py" "$port" "$S/imap" $mails
await 5 listens "$port"
authority_new
agent_servers "imap://sa@127.0.0.1:$port/" "maildir:$T/mail/outgoing"
conf_set mailbox tls off
conf_set limits reconnect-most 8s
times() { heard imap | grep -cE "$1"; }
all_tried() { [ "$(heard imap | grep -oE 'MOVE [0-9]+' | sort -u | wc -l)" = $mails ]; }

# ---- full ----
daemon_start
ok "full: each mail is tried once" await 30 all_tried
before=$(times MOVE) used=$(ticks_of "$flow_daemon")
sleep 4
tries=$(($(times MOVE) - before)) used=$(($(ticks_of "$flow_daemon") - used))
ok "full: then one stands for all ($tries tries in 4 s)" test $tries -le 3
ok "full: no processor time ($used ticks of 10 ms in 4 s)" test $used -le 20
ok "full: status shows it" shown "a mail can't be put away: .*OVERQUOTA"
is "full: it is said once" "$(said 'cannot put away')" 1
fake_is imap fine
emptied() { [ "$(heard imap | grep -oE 'MOVE [0-9]+' | tail -n "$mails" | sort -u | wc -l)" = $mails ] && fine; }
ok "full: when it is over all are put away" await 20 emptied

# ---- bye ----
fake_is imap bye
mark=$(($(wc -l <"$T/agent.log") + 1))
before=$(times LOGIN)
daemon_stop
countersignd 2>>"$T/agent.log" &
flow_daemon=$!
sleep 12
logins=$(($(times LOGIN) - before))
ok "it hangs up after each look: $logins logins in 12 s" test $logins -ge 3 -a $logins -le 6
ok "it hangs up after each look: status shows it" shown 'ended the session: no'
is "it hangs up after each look: it is said once" "$(said 'ended the session')" 1
fake_is imap fine
ok "when it has lasted a while status finds nothing wrong" await 20 fine
done_testing
