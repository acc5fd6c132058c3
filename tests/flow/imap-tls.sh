#!/usr/bin/env bash
# Servers that can't be believed: each is refused before anything secret was said to it, for IMAP and for submission, with TLS from the start and by STARTTLS.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/servers.sh"
. "$(dirname "$0")/../lib/enrollment.sh"

fake_start imap imap ''
fake_start smtp smtp ''
authority_new
agent_servers "imaps://sa@localhost:$imap_port/" "submissions://sa@localhost:$smtp_port"

like_server() { # WORDS: both
    fake_is imap "$1"
    fake_is smtp "$1"
    rm -f "$S/imap/heard" "$S/smtp/heard"
}
with() { echo "cert=$S/ca/$1.pem key=$S/ca/$1.key"; }
said() { grep -E '^failed' <<<"$checked"; }
# nothing_said SERVER: neither LOGIN nor AUTH, nor the password or what of it SCRAM or PLAIN would show
nothing_said() {
    heard "$1" | grep -qiE 'LOGIN|AUTH|secret|c2Vj|biws|c2E' && return 1
    heard "$1" | grep -q connected
}
refused() { # NAME ERE WORDS: both servers are refused with that sentence
    local server
    like_server "$3"
    checked=$(countersignd -n 2>&1) && tap_result 1 "$1: refused" || tap_result 0 "$1: refused"
    for server in imap smtp; do
        local port=${server}_port
        like "$1, $server: says why" "$(said)" "localhost:${!port}.*($2)"
        ok "$1, $server: nothing was said to it" nothing_said "$server"
    done
}
log_in() { # NAME SERVER: this is how it looks when it is believed
    like "$1: that server hears a login" "$(heard "$2")" '(AUTHENTICATE|LOGIN|AUTH) '
}

for way in at-once starttls; do
    [ $way = at-once ] || { conf_set mailbox url "\"imap://sa@localhost:$imap_port/\""; conf_set submit url "\"submission://sa@localhost:$smtp_port\""; }
    like_server "tls=$way $(with good)"
    countersignd -n >/dev/null 2>&1
    log_in "$way, a good certificate" imap
    log_in "$way, a good certificate" smtp
    refused "$way, expired" 'expired on 20' "tls=$way $(with expired)"
    refused "$way, not valid yet" 'valid (only )?from 20|not valid (yet|before)|from 20' "tls=$way $(with not-yet)"
    refused "$way, for another name" 'other\.example\.org' "tls=$way $(with wrong-name)"
    refused "$way, of an unknown authority" 'vouched for by nobody' "tls=$way $(with unknown-ca)"
    refused "$way, self-signed" 'vouched for by nobody|self-signed' "tls=$way $(with self-signed)"
    refused "$way, TLS 1.1" 'TLS 1\.2' "tls=$way $(with good) most=1.1"
    unlike "$way, TLS 1.1: the server was asked" "$(heard imap)" 'encrypted'
done
refused "STARTTLS taken out" 'STARTTLS' "tls=off"
refused "words put behind the answer to STARTTLS" 'STARTTLS|TLS' "tls=starttls inject $(with good)"

# The pin is another reason to refuse.
conf_set mailbox tls-pin '"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="'
conf_set submit tls-pin '"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="'
refused "another key than the pinned one" 'pin' "tls=starttls $(with good)"
pin=$(openssl x509 -in "$S/ca/good.pem" -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64)
conf_set mailbox tls-pin "\"$pin\""
like_server "tls=starttls $(with good)"
countersignd -n >/dev/null 2>&1
log_in "the pinned key" imap
is "no fake broke" "$(cat "$S"/*/errors 2>/dev/null)" ""

# A daemon with such a server: one sentence, no haste.
conf_set mailbox tls-pin '""'
conf_set limits reconnect-first 1s
like_server "tls=starttls $(with expired)"
countersignd 2>>"$T/agent.log" &
flow_daemon=$!
told() { grep -q 'expired on' "$T/agent.log"; }
ok "the daemon says so too" await 5 told
sleep 3
like "status shows it" "$(countersignctl status)" "localhost:$imap_port.*expired on"
tries=$(heard imap | grep -c connected)
ok "it tries again with pauses ($tries times)" test "$tries" -le 4
ok "nothing was ever said" nothing_said imap
is "it lives" "$(alive "$flow_daemon")" "$flow_daemon"
done_testing
