#!/usr/bin/env bash
# What may happen to a connection to an IMAP server: each is said in one sentence, shown by status, costs no processor time, and is over when its cause is;
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

tokens_made 7

daemon_start
requested
mended "no fault"

dovecot_adm kick sa >/dev/null
ok "BYE: it is said" await 5 says 'localhost:[0-9]+ ended the session: Server shutting down; trying'
requested
mended "BYE"

proxy_is between sever
broken "connections are reset" 'localhost:[0-9]+.*(reset|closed|broke)' 4
proxy_is between pass
mended "connections are reset"

proxy_is between refuse
dovecot_adm kick sa >/dev/null
broken "nobody listens" 'localhost:[0-9]+.*refused' 4
proxy_is between pass
mended "nobody listens"

proxy_is between stall
broken "nothing answers" 'localhost:[0-9]+ did not answer within' 4
proxy_is between pass
mended "nothing answers"

# ---- what crashes ----
large=$(head -c 150000 /dev/zero | tr '\0' x | fold -w 70)
proxy_is between 'cut-down 50000'
requested "$large"
ok "cut in the midst of a mail: it is said" await 8 says 'cannot take .*localhost:[0-9]+ .*(closed|reset|broke)'
ok "cut in the midst of a mail: status shows it" await 4 shown "a mail can't be taken: localhost:[0-9]+"
proxy_is between 'half-close 50000'
sleep 1
proxy_is between pass
mended "cut in the midst of a mail"

proxy_is between 'drip 1'
requested "$large"
sleep 0.5
dovecot_kill
proxy_is between pass
broken "the server is killed over a mail" 'localhost:[0-9]+.*(closed|reset|refused)' 4
dovecot_start
mended "the server is killed over a mail"

ok "nothing went to quarantine" test "$(store_sql 'SELECT count(*) FROM quarantine')" = 0
ok "the log is whole" countersignctl log verify
done_testing
