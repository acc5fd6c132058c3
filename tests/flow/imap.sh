#!/usr/bin/env bash
# Enrollment through Dovecot and Postfix, with TLS both ways: the agent is told by IDLE, and its mails go out by submission.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/enrollment.sh"

dovecot_start
postfix_start
imaps=$imaps_port submissions=$submissions_port
authority_new
agent_servers "imaps://sa@localhost:$imaps_port/" "submissions://sa@localhost:$submissions_port"
checked() { countersignd -n 2>&1; }
logged() { grep -qE "$1" "$T/agent.log"; }
mechanism() { sed -n "s/.*imap-login: Info: Login: user=<sa>, method=\([A-Z0-9-]*\).*/\1/p" "$S/dovecot/dovecot.log" | tail -n 1; }

# ---- what countersignd -n says ----
exits "countersignd -n finds nothing wrong" 0 countersignd -n
like "it tried the mailbox" "$exits_output" '^ok +mailbox imaps://sa@localhost'
like "and the submission server" "$exits_output" '^ok +submission submissions://sa@localhost'
wrong() { # NAME STATUS ERE SECTION KEY VALUE: with that setting -n fails, in one line
    cp "$COUNTERSIGN_CONF" "$T/good.conf"
    conf_set "$4" "$5" "$6"
    exits "$1: countersignd -n fails" "$2" countersignd -n
    like "$1: and says why" "$(grep ^failed <<<"$exits_output")" "$3"
    is "$1: in one line" "$(grep -c ^failed <<<"$exits_output")" 1
    cp "$T/good.conf" "$COUNTERSIGN_CONF"
}
printf 'wrong\n' >"$T/sa/wrong"
chmod 600 "$T/sa/wrong"
read -r nobodys <<<"$(free_ports 1)"
wrong "nobody listens for IMAP" 69 "localhost:$nobodys.*refused" mailbox url "\"imaps://sa@localhost:$nobodys/\""
wrong "nobody listens for submission" 69 "localhost:$nobodys.*refused" submit url "\"submissions://sa@localhost:$nobodys\""
wrong "no such host" 69 'nowhere.invalid' mailbox url '"imaps://sa@nowhere.invalid/"'
wrong "a wrong password for IMAP" 77 "localhost:$imaps_port.*(refused|denied)" mailbox password-file "\"$T/sa/wrong\""
wrong "a wrong password for submission" 77 "localhost:$submissions_port.*(refused|denied)" submit password-file "\"$T/sa/wrong\""
wrong "TLS from the start at the port for STARTTLS" 69 "localhost:$imap_port" mailbox url "\"imaps://sa@localhost:$imap_port/\""
wrong "no such CA file" 69 "$T/nowhere.pem" mailbox ca-file "\"$T/nowhere.pem\""
wrong "another CA" 69 "localhost:$imaps_port.*vouched" mailbox ca-file "\"$S/ca/other.pem\""
wrong "no password file" 78 "$T/nowhere" mailbox password-file "\"$T/nowhere\""
dovecot_kill
dovecot_start good 'auth_mechanisms = plain login'
conf_set mailbox sasl scram-sha-256
like "a mechanism that the server has not: countersignd -n says so" "$(checked)" "^failed  mailbox .*localhost:$imaps_port offers no.*scram-sha-256"
conf_set mailbox sasl auto
dovecot_kill
dovecot_start

conf_set limits reconnect-most 2s

# ---- all of it, with TLS from the start ----
before=$(grep -c 'method=SCRAM' "$S/dovecot/dovecot.log")
daemon_start
is "the daemon is ready" $? 0
enroll_client alice
enroll_plain bob
is "it logged in to IMAP without showing the password" "$(mechanism)" SCRAM-SHA-256
like "and to Postfix" "$(grep 'client=.*sasl_username=sa' "$S/postfix/postfix.log" | tail -n 1)" 'sasl_method=SCRAM-SHA-256'
is "one login to IMAP was enough" "$(grep -c 'method=SCRAM' "$S/dovecot/dovecot.log")" $((before + 1))
exits "status finds nothing wrong" 0 countersignctl status
mailbox_settled Done 3
daemon_stop

# ---- again with STARTTLS and other mechanisms ----
conf_set mailbox url "\"imap://sa@localhost:$imap_port/\""
conf_set mailbox sasl plain
conf_set submit url "\"submission://sa@localhost:$submission_port\""
conf_set submit sasl plain
daemon_start
is "with STARTTLS it is ready too" $? 0
enroll_client carol
is "PLAIN it was" "$(mechanism)" PLAIN
mailbox_settled Done 5

# ---- the mail server away for a moment ----
postfix_stop
token_for dora@example.org >"$T/dora.token"
waits() { countersignctl status | grep -qE "submission://sa@localhost:$submission_port: .*refused"; }
ok "without Postfix a notice waits, and status says for what" await 10 waits
postfix_start
like "it goes out when Postfix is there again" "$(arrives dora '^Subject: A token was issued')" .
is "once" "$(count_to dora@example.org '^Subject: A token was issued')" 1
ok "status finds nothing wrong" await 10 countersignctl status
daemon_stop
unlike "no password is in any log" "$(cat "$T/agent.log")" 'secret of'
ok "the log is whole" countersignctl log verify
done_testing
