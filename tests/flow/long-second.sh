#!/usr/bin/env bash
# It is not for Dovecot and Postfix alone: enrollment through Cyrus and Exim, with folders beside and below the INBOX, TLS at once and STARTTLS; and what only these
# two do: a BYE on maintenance, greylisting, delivery reports of another make.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/servers2.sh"
. "$(dirname "$0")/../lib/enrollment.sh"

authority_new
conf_set submit retry-first 1s
conf_set submit retry-most 2s
conf_set limits reconnect-most 2s
conf_set mailbox idle 2s
logged() { grep -qE -- "$1" "$T/agent.log"; }
status_says() { countersignctl status | grep -qE -- "$1"; }

# ---- folders beside the INBOX, TLS from the start ----
cyrus_start 'altnamespace: yes' 'unixhierarchysep: yes'
lmtp_port=$cyrus_lmtp
exim_start
submissions=$exim_submissions imaps=$cyrus_imaps
agent_servers "imaps://sa@localhost:$cyrus_imaps/" "submissions://sa@localhost:$exim_submissions"
exits "countersignd -n finds nothing wrong" 0 countersignd -n
unlike "it misses nothing at Cyrus" "$exits_output" 'without|IDLE|MOVE|UIDPLUS'
daemon_start
is "the daemon is ready" $? 0
enroll_client alice
enroll_plain bob
mailbox_settled Done 3

# ---- the IMAP server goes down for maintenance, and crashes ----
echo 'Closed for maintenance' >"$T/shutdown"
install -m 644 "$T/shutdown" "$S/cyrus/conf/msg/shutdown"
ok "Cyrus says BYE, and the journal says why" await 15 logged 'localhost:[0-9]+.*Closed for maintenance'
ok "so does status" await 5 status_says 'Closed for maintenance'
rm -f "$S/cyrus/conf/msg/shutdown"
ok "afterwards it is connected again" await 10 countersignctl status
cyrus_kill
ok "a crash is told too" await 10 status_says "localhost:$cyrus_imaps"
cyrus_start 'altnamespace: yes' 'unixhierarchysep: yes'
ok "and mended" await 10 countersignctl status
enroll_plain carol

# ---- Exim puts off what it has not seen before ----
touch "$S/exim/greylist"
exits "a token mail that is put off was not sent" 69 countersignctl token issue dora@example.org --mail
like "and the administrator sees why" "$exits_output" 'not sent: .*451 4.7.1 Greylisted'
deliver_direct() { plain_mail dora@example.org "$(token_for dora@example.org)" "$1" | mail_program give "$exim_smtp" dora@example.org sa@example.org; }
user dora
gpg_key dora 'Dora Example <dora@example.org>' >"$T/dora/fpr"
as dora gpg --batch --armor --export "$(cat "$T/dora/fpr")" >"$T/dora/key.asc"
ok "a request comes in" deliver_direct "$T/dora/key.asc"
put_off() { countersignctl outbox list | grep -q 'Greylisted'; }
ok "its reply is put off with 451, and the outbox knows why" await 10 put_off
is "it has not failed" "$(store_sql 'SELECT count(*) FROM outbox WHERE failed != 0')" 0
rm "$S/exim/greylist"
ok "it goes out when Exim takes it" await 15 outbox_empty
like "and arrives" "$(arrives dora '^Subject: Reply')" .
is "once" "$(count_to dora@example.org '^Subject: Reply')" 1

# ---- reports as Exim writes them ----
bounced() { countersignctl outbox list --all | grep -E "bounced +$1@example.org .*User unknown"; }
token_for erin@example.org >/dev/null
ok "a mail to nobody comes back, and is known by its envelope sender" await 15 bounced erin
like "that is in the log" "$(countersignctl log --address erin@example.org)" 'mail-bounced'
conf_set submit recipient-delimiter '""'
kill -HUP "$flow_daemon"
await 5 logged 'configuration read again'
token_for frank@example.org >/dev/null
ok "without a recipient delimiter it is known by the mail it quotes" await 15 bounced frank
ok "the authority's INBOX is empty" await 10 folder_holds INBOX 0
unlike "no report was answered" "$(cat "$S"/exim/log/mainlog)" '=> .*mailer-daemon'
daemon_stop

# ---- folders below the INBOX, one with a name that is not ASCII; STARTTLS, PLAIN and LOGIN ----
cyrus_kill
rm -rf "$S/cyrus"
cyrus_start 'altnamespace: no' 'unixhierarchysep: no'
conf_set mailbox url "\"imap://sa@localhost:$cyrus_imap/INBOX\""
conf_set mailbox sasl plain
conf_set mailbox done-folder '"Geprüft"'
conf_set submit sasl login
conf_set submit url "\"submission://sa@localhost:$exim_submission\""
conf_set submit recipient-delimiter '"+"'
exits "countersignd -n finds nothing wrong with STARTTLS" 0 countersignd -n
daemon_start
is "the daemon is ready" $? 0
rm -rf "$T"/mail/outgoing/new/*
enroll_client dora
mailbox_settled 'INBOX.Gepr&APw-ft' 2
ok "Exim took LOGIN" grep -q 'A=login:sa ' "$S/exim/log/mainlog"
daemon_stop
ok "the log is whole" countersignctl log verify
done_testing
