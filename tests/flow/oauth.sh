#!/usr/bin/env bash
# Access tokens instead of passwords, at Dovecot and at Postfix: both ways to present them, tokens that have expired, commands that print none.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/enrollment.sh"

dovecot_start
postfix_start
imaps=$imaps_port submissions=$submissions_port
authority_new
agent_servers "imaps://sa@localhost:$imaps_port/" "submissions://sa@localhost:$submissions_port"
for section in mailbox submit; do
    conf_set $section password-file '""'
    conf_set $section token-command "\"cat $T/sa/access; echo >>$T/asked\""
done
conf_set limits reconnect-most 3s
access() { "$top/tests/lib/jwt.py" "$@" >"$T/sa/access"; }

# ---- a command that hangs: looked at last, for it is given thirty seconds ----
mkdir "$T/hang"
cp "$COUNTERSIGN_CONF" "$T/hang/good"
conf_set mailbox token-command '"sleep 99"'
cp "$COUNTERSIGN_CONF" "$T/hang/sa.conf"
cp "$T/hang/good" "$COUNTERSIGN_CONF"
access sa 3600
(time -p countersignd -c "$T/hang/sa.conf" -n) >"$T/hang/out" 2>"$T/hang/err" &
hanging=$!

# ---- both mechanisms ----
for mechanism in oauthbearer xoauth2; do
    conf_set mailbox sasl $mechanism
    conf_set submit sasl $mechanism
    ok "$mechanism: countersignd -n finds nothing wrong" countersignd -n
    ok "$mechanism: Dovecot took it" grep -q "Login: user=<sa>, method=${mechanism^^}" "$S/dovecot/dovecot.log"
done
conf_set mailbox sasl auto
conf_set submit sasl auto
conf_set mailbox url "\"imap://sa@localhost:$imap_port/\""
conf_set submit url "\"submission://sa@localhost:$submission_port\""
daemon_start
is "with STARTTLS, and the choice left to the agent, the daemon is ready" $? 0
enroll_plain alice
ok "Postfix took the token" grep -q "sasl_method=OAUTHBEARER, sasl_username=sa" "$S/postfix/postfix.log"
daemon_stop
mailbox_settled Done 1
exits "the token is in no log" 1 grep -rqF "$(cut -c 40-80 "$T/sa/access")" "$T/agent.log" "$T/sa/state"

# ---- expired ----
faults() { countersignd -n 2>&1 | grep ^failed; }
access sa -60
said=$(faults)
is "an expired token fails, in a line for each server" "$(wc -l <<<"$said")" 2
like "Dovecot refused it" "$said" "mailbox .* refused: localhost:$imap_port: "
like "so did Postfix" "$said" "submission .* refused: localhost:$submission_port: 535 "
conf_set limits reconnect-first 1s
conf_set limits reconnect-most 20s
before=$(dovecot_refusals sa)
countersignd 2>>"$T/agent.log" &
flow_daemon=$!
refused() { countersignctl status | grep -qE "refused: localhost:$imap_port"; }
ok "status says so" await 10 refused
sleep 4
is "the server is not asked again and again" "$(($(dovecot_refusals sa) - before))" 1
daemon_stop
conf_set limits reconnect-most 3s
countersignd 2>>"$T/agent.log" &
flow_daemon=$!
ok "it is still refused" await 10 refused
access sa 3600
ok "a fresh token mends it" await 10 countersignctl status
daemon_stop

# ---- commands that print no token ----
command() { # NAME ERE COMMAND
    conf_set mailbox token-command "\"$3\""
    conf_set submit token-command "\"$3\""
    said=$(faults)
    is "$1: a line for each server" "$(grep -cE "localhost:[0-9]+: .*$2" <<<"$said")" 2
    is "$1: and no more" "$(wc -l <<<"$said")" 2
}
command "a command that fails" 'exit status 3: no browser here$' "echo no browser here >&2; echo nor here >&2; exit 3"
command "a command that prints nothing" 'printed nothing$' true
command "a command that is not there" 'exit status 127: ' "$T/nowhere"
command "a command that prints what is no token" 'control character' "printf 'a\\\\001b'"

wait $hanging
said=$(grep ^failed "$T/hang/out")
like "a command that hangs is given thirty seconds" "$said" "^failed  mailbox .*localhost:$imaps_port: the token-command did not end within 30 s$"
is "and one sentence" "$(wc -l <<<"$said")" 1
like "not more" "$(cat "$T/hang/err")" '^real 3[0-3]\.'
is "nothing is left of it" "$(pgrep -fx 'sleep 99' | wc -l)" 0
done_testing
