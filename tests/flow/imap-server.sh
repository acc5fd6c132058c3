#!/usr/bin/env bash
# What an IMAP server may do to its clients: each is said in one sentence, shown by status, costs no processor time, and is over when its cause is;
# the mail that came meanwhile is answered once.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/enrollment.sh"
. "$(dirname "$0")/../lib/faults.sh"

dovecot_start
proxy_start between "$imaps_port"
authority_new
agent_servers "imaps://sa@localhost:$between_port/" "maildir:$T/mail/outgoing"
conf_set mailbox timeout 2s
conf_set mailbox idle 2s
conf_set limits reconnect-first 1s
conf_set limits reconnect-most 2s
conf_set limits mails-per-address-day 1000

tokens_made 8

daemon_start
requested
mended "no fault"

# ---- credentials and certificates ----
dovecot_password sa another
refused_before=$(dovecot_refusals sa)
dovecot_adm kick sa >/dev/null
broken "a wrong password" 'localhost:[0-9]+.*refused' 4
sleep 1
refused=$(($(dovecot_refusals sa) - refused_before))
ok "a wrong password: the server was asked $refused times in three seconds" test $refused -ge 1 -a $refused -le 3
dovecot_password sa 'secret of sa'
mended "a wrong password"

dovecot_kill
dovecot_start expired
broken "an expired certificate" 'certificate .*expired on 20' 4
dovecot_kill
dovecot_start good
mended "an expired certificate"

conf_set mailbox url '"imaps://sa@nowhere.invalid/"'
kill -HUP "$flow_daemon"
broken "no such host" 'nowhere\.invalid' 4
conf_set mailbox url "\"imaps://sa@localhost:$between_port/\""
kill -HUP "$flow_daemon"
mended "no such host"

# ---- what the server does to the mailbox ----
rm -f "$(maildir_of sa)"/dovecot-uid* "$(maildir_of sa)"/dovecot.index*
requested
mended "another UIDVALIDITY"

proxy_is between 'corrupt 3000'
dovecot_adm kick sa >/dev/null
broken "a byte is another one" 'localhost:[0-9]+ broke TLS: Decryption has failed(;|$)' 6
proxy_is between pass
mended "a byte is another one"

# ---- a full mailbox, at a server that can't move, so that a mail is there twice for a moment ----
full() { # MESSAGES: no more than these in all folders together
    dovecot_kill
    dovecot_start good "protocol imap {
  mail_plugins = quota
  imap_capability = IMAP4rev1 SASL-IR IDLE UIDPLUS NAMESPACE
}
plugin {
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:messages=$1
}"
}
greeting() { printf 'From: %s@example.org\nTo: sa@example.org\nSubject: hello\nMessage-ID: <%s@example.org>\n\nNothing is asked for.\n' "$1" "$1" | put; }
ignored() { [ "$(mails_of sa Ignored | wc -l)" = "$1" ]; }
full 2
greeting bob
ok "without MOVE mails are moved too" await 8 ignored 1
mark=$(($(wc -l <"$T/agent.log") + 1))
greeting carol
broken "a full mailbox" '[Qq]uota' 2
full 100
mended "a full mailbox"
ok "a full mailbox: the mail is where it belongs" ignored 2

ok "nothing went to quarantine" test "$(store_sql 'SELECT count(*) FROM quarantine')" = 0
ok "the log is whole" countersignctl log verify
done_testing
