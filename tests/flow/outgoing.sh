#!/usr/bin/env bash
# What leaves and what stays: submission through sendmail and what comes of it (P6.1), the caps (P6.7), and where each mail goes after its outcome (P5.7).
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 1000
conf_set notify administrators '{"admin@example.org"}'
conf_set notify auditors '{"auditor@example.org"}'
countersignctl authority export >"$T/card.asc"
user alice
as alice gpg --batch --quiet --import "$T/card.asc" 2>/dev/null
person() { as alice gpg --armor --export "$(gpg_key alice "$1")" >"$T/$1.asc"; }
clear_outbox() { agent_once; clear_sent; rm -f "$T"/sm/*; }
column() { store_sql "SELECT $1 FROM outbox WHERE recipient = '$2' ORDER BY number DESC LIMIT 1"; }
listed() { countersignctl --json outbox list --all | python3 -c 'import json,sys; row=[r for r in json.load(sys.stdin) if r["id"] == sys.argv[1]][0]; print(row["state"], row["attempts"], row["last_error"])' "$1"; }

# ---- P5.7: where a mail goes ----
kept() { # how many lie in done, ignored, inbox
    echo "$(find "$T/mail/inbox/.Done" -type f ! -name maildirfolder 2>/dev/null | wc -l) $(find "$T/mail/inbox/.Ignored" -type f ! -name maildirfolder 2>/dev/null | wc -l) $(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)"
}
goes() { # NAME "DONE IGNORED INBOX" NEWEST-EVENT < MAIL
    rm -f "$T"/mail/inbox/.Done/*/* "$T"/mail/inbox/.Ignored/*/*
    clear_sent
    deliver
    agent_once
    is "$1" "$(kept)" "$2"
    is "$1: the newest entry of the log" "$(countersignctl --json log | python3 -c 'import json,sys; print(json.load(sys.stdin)[-1]["event"])')" "$3"
}
note() { printf 'From: %s\nTo: sa@example.org\nSubject: Hello\nMessage-ID: <%s@example.org>\n\n%s\n' "$1" "$RANDOM$RANDOM" "$2"; }
person a@example.org
token=$(token_for a@example.org)
agent_once
plain_mail a@example.org "$token" "" | goes 'refused, with a token: deleted' '0 0 0' refused
as alice gpg --armor --export-secret-keys --batch --pinentry-mode loopback --passphrase '' a@example.org >"$T/secret.asc"
plain_mail a@example.org "$token" "$T/secret.asc" | goes 'a secret key: deleted' '0 0 0' refused
plain_mail a@example.org "$token" "$T/a@example.org.asc" >"$T/a.eml"
{ printf 'Auto-Submitted: auto-replied\n'; cat "$T/a.eml"; } | goes 'a token in an automatic mail: deleted' '0 0 0' refused
note carol@example.org 'How are you?' | goes 'a mail without a token: ignored' '0 1 0' refused
goes 'enrolled, with a token: deleted' '0 0 0' enrolled <"$T/a.eml"
goes 'the same again: deleted' '0 0 0' repeated <"$T/a.eml"
note a@example.org "Confirmation: $(store_sql 'SELECT nonce FROM keyset')" >"$T/answer.eml"
goes 'a confirmation: done' '1 0 0' confirmed <"$T/answer.eml"
goes 'a confirmation too many: ignored' '0 1 0' confirmed <"$T/answer.eml"
user client
printf %s "$(token_for client@example.org)" >"$T/t"
agent_once
as client countersign request --token-file "$T/t" --authority-key "$T/card.asc" --address client@example.org --name Client --keyset default --no-deposit --output "$T/client.eml" >/dev/null 2>>"$T/client.err"
rm "$T/t"
goes "a client's request, which holds neither token nor deposit: done" '1 0 0' enrolled <"$T/client.eml"
{
    printf 'From: bob@example.org\nTo: sa@example.org\nSubject: Enrollment request\nMIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=e\n\n--e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--e\nContent-Type: application/octet-stream\n\n'
    printf 'Countersign-Request: 1\nnonsense\n' | as alice gpg --batch --quiet --trust-model always --armor -r sa@example.org -e
    printf -- '\n--e--\n'
} | goes 'a request that nobody can read: deleted' '0 0 0' enrolled
like "and in quarantine instead" "$(countersignctl quarantine list)" "can't be read"
conf_set mailbox done-folder '""'
conf_set mailbox ignored-folder '""'
note a@example.org 'Nothing' | goes 'no ignored folder: deleted' '0 0 0' enrolled
person d@example.org
plain_mail d@example.org "$(token_for d@example.org)" "$T/d@example.org.asc" | deliver
agent_once
note d@example.org "Confirmation: $(store_sql 'SELECT nonce FROM keyset ORDER BY id DESC LIMIT 1')" | goes 'no done folder: deleted' '0 0 0' confirmed

# ---- P6.1: through sendmail ----
mkdir "$T/sm"
cat >"$T/sendmail" <<STAND_IN
#!/bin/sh
# Keeps what it is given; ends as \$T/sm.exit says.
n=\$(mktemp "$T/sm/XXXXXX")
for word in "\$@"; do printf '%s\n' "\$word"; done >"\$n.argv"
cat >"\$n.mail"
rm "\$n"
status=\$(cat "$T/sm.exit")
[ "\$status" = 0 ] || echo "550 5.1.1 no such user here" >&2
exit "\$status"
STAND_IN
chmod 700 "$T/sendmail"
conf_set submit url "\"sendmail:$T/sendmail\""
to() { grep -lx -- "$1" "$T"/sm/*.argv 2>/dev/null | xargs -r ls -t; } # newest first
argv() { tr '\n' ' ' <"$(to "$1" | head -n 1)"; }
mail_of() { local f; f=$(to "$1" | head -n 1); echo "${f%.argv}.mail"; }
refuse_one() { # ADDRESS: a refusal to it
    plain_mail "$1" "$token" "" | deliver
    agent_once
}
who=b@example.org
echo 0 >"$T/sm.exit"
token=$(token_for $who)
clear_outbox
echo 75 >"$T/sm.exit"
before=$(date +%s)
refuse_one $who
id=$(column id $who)
like "not now (75): the mail waits, and why is listed" "$(listed "$id")" '^waiting 1 .*no such user here.*75'
ok "it is due later" test "$(column due $who)" -gt "$((before + 30))"
ok "and it was tried" test -s "$(mail_of $who)"
is "with the authority as sender, and the address behind --" "$(argv $who)" "-i -f sa@example.org -- $who "
cp "$(mail_of $who)" "$T/tried"
store_sql "SELECT hex(mail) FROM outbox WHERE id = '$id'" | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' | tr -d '\r' >"$T/stored"
ok "the outbox's bytes arrive unchanged" cmp "$T/stored" "$T/tried"
rm -f "$T"/sm/*
agent_once
is "before it is due it is not tried again" "$(to $who)" ""
echo 0 >"$T/sm.exit"
ok "the administrator hurries it" countersignctl outbox retry "$id"
agent_once
like "then it is sent" "$(listed "$id")" '^sent 2'
ok "every byte as at first (P5.3)" cmp "$T/tried" "$(mail_of $who)"
echo 67 >"$T/sm.exit"
rm -f "$T"/sm/*
refuse_one $who
failed=$(column id $who)
like "never (67): the mail failed, and why is listed" "$(listed "$failed")" '^failed 1 .*no such user here.*67'
echo 0 >"$T/sm.exit"
rm -f "$T"/sm/*
agent_once
is "it is not tried again" "$(to $who)" ""
like "the administrator is told" "$(store_sql "SELECT mail FROM outbox WHERE recipient = 'admin@example.org'")" 'A mail could not be sent'
conf_set submit recipient-delimiter '"+"'
refuse_one $who
is "with a recipient delimiter the sender names the mail" "$(argv $who)" "-i -f sa+b-$(column id $who)@example.org -- $who "
conf_set submit bounces off
rm -f "$T"/sm/*
refuse_one $who
is "bounces = off: a null sender" "$(argv $who)" "-i -f <> -- $who "
conf_set submit bounces on

# What comes back marks the mail.
returned() { # MESSAGE-ID STATUS TYPE [BODY]
    printf 'Return-Path: <>\nFrom: MAILER-DAEMON@example.org\nTo: sa@example.org\nSubject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="r"\n\n'
    printf -- '--r\nContent-Type: text/plain\n\nI am sorry to have to inform you.\n\n--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; %s\nAction: failed\nStatus: %s\nDiagnostic-Code: smtp; 550 mailbox unavailable\n\n' "$who" "$2"
    printf -- '--r\nContent-Type: %s\n\nFrom: sa@example.org\nTo: %s\nSubject: Reply from the Security Authority\nMessage-ID: %s\n\n%s\n--r--\n' "$3" "$who" "$1" "${4:-}"
}
for kind in text/rfc822-headers message/rfc822; do
    rm -f "$T"/sm/*
    refuse_one $who
    id=$(column id $who)
    like "it was sent" "$(listed "$id")" '^sent'
    returned '<nothing-of-ours@example.org>' 5.1.1 $kind | deliver
    agent_once
    like "what somebody else's report says does not matter ($kind)" "$(listed "$id")" '^sent'
    rm -f "$T"/sm/*
    returned "<$(store_sql "SELECT message_id FROM outbox WHERE id = '$id'")>" 5.1.1 $kind body >"$T/returned.eml"
    deliver <"$T/returned.eml"
    agent_once
    like "a delivery report that comes back marks it ($kind)" "$(listed "$id")" '^bounced 1 5\.1\.1 550 mailbox unavailable'
    is "and nobody hears of it but the administrators ($kind)" "$(grep -Lx -- admin@example.org "$T"/sm/*.argv 2>/dev/null)" ""
done

# ---- P6.7: caps ----
conf_set submit url "\"maildir:$T/mail/outgoing\""
conf_set limits mails-per-address-day 2
person e@example.org
token=$(token_for e@example.org)
agent_once
clear_sent
for i in 1 2 3; do refuse_one e@example.org; done
is "two refusals a day, the third left out" "$(count_to e@example.org '^Subject: Reply')" 2
is "one alarm to the administrators" "$(count_to admin@example.org '^Subject: .*too many mails')" 1
is "the log says what was left out" "$(countersignctl --json log --address e@example.org | python3 -c 'import json,sys; print(*(e["event"] + " " + e["detail"] for e in json.load(sys.stdin) if e["event"] == "mail-left-out"), sep=";")')" \
    "mail-left-out kind=refusal"
plain_mail e@example.org "$token" "$T/e@example.org.asc" >"$T/e.eml"
deliver <"$T/e.eml"
agent_once
not "an accepted enrollment is never left out" grep -qs '^Reason code' "$(reply_to e@example.org)"
is "it has its reply" "$(count_to e@example.org '^Subject: Reply')" 3
is "and the auditor a copy of the notice" "$(count_to auditor@example.org '^Subject: A key was enrolled for e@')" 1
for i in 1 2 3; do
    deliver <"$T/e.eml"
    agent_once
done
is "two repeats a day, the third left out" "$(count_to e@example.org '^Subject: Reply')" 5
conf_set limits mails-per-address-day 1000
made=$(store_sql "SELECT count(*) FROM outbox WHERE kind IN ('refusal', 'repeat')")
conf_set limits mails-per-hour $((made + 2))
clear_sent
for who in f g h; do
    token=$(token_for $who@example.org)
    agent_once
    refuse_one $who@example.org
done
is "so many an hour, to whomever: two more" "$(($(store_sql "SELECT count(*) FROM outbox WHERE kind IN ('refusal', 'repeat')") - made))" 2
is "two had notice and refusal, the third its notice, which no total stops" \
    "$(for who in f g h; do count_to $who@example.org; done | tr '\n' ' ')" "2 2 1 "
is "no second alarm on the same day" "$(count_to admin@example.org '^Subject: .*too many mails')" 0
ok "the log is whole" countersignctl log verify
done_testing
