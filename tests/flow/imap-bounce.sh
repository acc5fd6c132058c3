#!/usr/bin/env bash
# A mail to an address that Postfix can't deliver to comes back by Dovecot and is found to be ours: by the address it comes back to, or without that by what is in it.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/enrollment.sh"

dovecot_start
postfix_start
authority_new
agent_servers "imaps://sa@localhost:$imaps_port/" "submission://sa@localhost:$submission_port"
conf_set notify administrators '{"carol@example.org"}'
listed() { countersignctl outbox list --all | grep -qE "bounced +$1@.*5\.1\.1"; }
events() { countersignctl --json log --address "$1" | python3 -c 'import json,sys; print(*(e["event"] for e in json.load(sys.stdin)))'; }
alarms() { mails_with carol '^Subject: A mail came back' | wc -l; }
alarmed() { [ "$(alarms)" -ge 1 ]; }
daemon_start

token_for nobody1@example.org >/dev/null
ok "a mail to somebody unknown is known to have come back" await 15 listed nobody1
like "it came back to an address of its own" "$(grep 'to=<sa+b-' "$S/postfix/postfix.log" | head -n 1)" 'status=sent'
like "the log says so" "$(events nobody1@example.org)" 'mail-bounced'
like "outbox list says why" "$(countersignctl outbox list --all | grep nobody1@)" "User doesn't exist"
ok "the report is out of the mailbox" await 5 imap_empty
ok "the administrator is told" await 10 alarmed

conf_set submit recipient-delimiter '""'
kill -HUP "$flow_daemon"
reread() { grep -q 'configuration read again' "$T/agent.log"; }
await 5 reread
await 5 is_ready
before=$(grep -c 'to=<sa+b-' "$S/postfix/postfix.log")
token_for nobody2@example.org >/dev/null
ok "without a delimiter too" await 15 listed nobody2
is "by what is in it" "$(grep -c 'to=<sa+b-' "$S/postfix/postfix.log")" "$before"
ok "and the report is out of the mailbox" await 5 imap_empty

conf_set submit bounces off
kill -HUP "$flow_daemon"
twice() { [ "$(grep -c 'configuration read again' "$T/agent.log")" = 2 ]; }
await 5 twice
await 5 is_ready
token_for nobody3@example.org >/dev/null
gone() { grep -q 'to=<nobody3@.*status=bounced' "$S/postfix/postfix.log"; }
ok "with bounces off such a mail is lost" await 15 gone
sleep 1
like "it had no sender" "$(grep -B 30 'to=<nobody3@' "$S/postfix/postfix.log" | grep 'from=<>' | tail -n 1)" 'queue active'
not "and nothing of it comes back" listed nobody3
is "nobody was told again on the same day" "$(alarms)" 1
is "no report was answered, and none is in quarantine" "$(store_sql 'SELECT count(*) FROM quarantine') $(mails_of alice | wc -l)" "0 0"
ok "the log is whole" countersignctl log verify
done_testing
