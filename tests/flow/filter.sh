#!/usr/bin/env bash
# Tokens filled in by Postfix, for administrators whose mail program only speaks SMTP: the mails of issuers who logged in, and no others.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/servers.sh"

# ---- an authority that the filter's user may open, and Postfix with the sample's services ----
user=$(id -un)
[ "$user" != root ] || user=nobody
authority_new
conf_set policy issuers '{"carol@example.org=carol"}'
install -m 755 "$build/countersignctl" "$S/countersignctl"
[ "$user" = "$(id -un)" ] || chown -R "$user" "$T/sa" "$T/mail"
chmod 711 "$T" && chmod 755 "$T/sa" && chmod 644 "$COUNTERSIGN_CONF"
back_port=$(free_ports 1)
sample() { sed -e '/^submission/,/content_filter=countersign/d' -e '/^#/d' -e "s,10026,$back_port," -e "s,user=[^ ]*,user=$user," "$top/samples/postfix-filter.cf" |
    sed "s,/usr/sbin/countersignctl,$S/countersignctl -c $COUNTERSIGN_CONF,"; }
postfix_services=$(sample)
postfix_submission='-o content_filter=countersign-filter:'
dovecot_start
postfix_start
log=$S/postfix/postfix.log

# ---- what a mail program does: it submits, and keeps what it wrote as sent ----
submit() { # LOGIN TO... < MAIL
    cat >"$T/sent"
    python3 - "$submission_port" "$S/ca/ca.pem" "$@" <"$T/sent" 3<&0 <<'PY'
import os, smtplib, ssl, sys
port, ca, login, *to = sys.argv[1:]
mail = os.fdopen(3, "rb").read()
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False
with smtplib.SMTP("127.0.0.1", int(port)) as s:
    s.starttls(context=context)
    s.login(login, "secret of " + login)
    s.sendmail(login + "@example.org", to, mail.replace(b"\n", b"\r\n"), ["BODY=8BITMIME"])
PY
}
draft() { # FROM TO TEXT [LINES]
    printf 'From: %s\nTo: %s\nSubject: Welcome %s\nMessage-ID: <%s@example.org>\nDate: Mon, 23 Nov 2026 00:00:00 +0000\n%s' "$1" "$2" "$RANDOM$RANDOM" "$RANDOM$RANDOM" "${4:-}"
    printf 'MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n%s\n' "$3"
}
subject() { sed -n "s/^Subject: //p" "$T/sent"; }
has_come() { [ -n "$(mails_with "$1" "^Subject: $2")" ]; }
come() { mails_with "$1" "^Subject: $2" | tail -n 1; }
unchanged() { # NAME WHO: what was sent has come, every byte of it below what servers put on top
    ok "$1: it has come" await 15 has_come "$2" "$(subject)\$"
    ok "$1: every byte" cmp <(tr -d '\r' <"$(come "$2" "$(subject)\$")" | tail -c "$(stat -c %s "$T/sent")") "$T/sent"
}
tokens_in() { grep -ohE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' "$1" | sort -u; }
issued() { countersignctl --json log | python3 -c 'import json,sys; print(sum(e["event"] == "token-issued" for e in json.load(sys.stdin)))'; }
returned() { # PATTERN: the newest mail to carol says so
    await 15 has_come carol 'Undelivered' && grep -q -- "$1" <(tr -d '\r\n' <"$(come carol Undelivered)" | tr -s ' ')
}

draft 'Carol <carol@example.org>' dora@example.org 'Grüße, %TOKEN% ist dein Token.' | submit carol dora@example.org
ok "an issuer's mail arrives" await 15 has_come dora "$(subject)\$"
mail=$(come dora "$(subject)\$")
tokens_in "$mail" >>"$T/tokens"
is "with one token" "$(wc -l <"$T/tokens")" 1
like "in its place" "$(cat "$mail")" 'Grüße, [0-9A-Z-]{29} ist dein Token\.'
like "with the card" "$(cat "$mail")" 'authority-card.asc'
ok "what the mail program keeps has the placeholder" grep -q '%TOKEN%' "$T/sent"
is "and no token" "$(tokens_in "$T/sent")" ""
is "the log says who issued it" "$(store_sql "SELECT issued_by FROM token WHERE address = 'dora@example.org'")" carol@example.org

draft bob@example.org dora@example.org '%TOKEN%' | submit bob dora@example.org
unchanged "who is no issuer" dora
draft carol@example.org dora@example.org '%TOKEN%' | submit bob dora@example.org
unchanged "who claims to be one" dora
draft bob@example.org dora@example.org '%TOKEN%' | submit carol dora@example.org
unchanged "an issuer who writes as somebody else" dora
draft carol@example.org dora@example.org '%TOKEN%' $'From: bob@example.org\n' | submit carol dora@example.org
unchanged "two senders" dora
draft carol@example.org dora@example.org '%TOKEN%' >"$T/sent"
sed 's/$/\r/' "$T/sent" | post carol@example.org dora@example.org
unchanged "without a login" dora
draft carol@example.org dora@example.org $'Zwölf \t \n.\n..\nFrom me\n\n'"$(printf 'x%.0s' $(seq 900))"$'\n=\n%TOKE%' | submit carol dora@example.org bob@example.org
unchanged "a mail without a token" dora
unchanged "to both of its recipients" bob
is "one token was issued in all that" "$(issued)" 1

# ---- refusals come back to who wrote the mail ----
refused() { # NAME PATTERN TO...
    local name=$1 pattern=$2
    shift 2
    rm -f "$(maildir_of carol)"/*/*:2,* "$(maildir_of carol)"/new/* 2>/dev/null
    submit carol "$@"
    ok "$name: comes back and says why" returned "$pattern"
}
draft carol@example.org dora@example.org '> %TOKEN%' | refused "quoted text" 'stands in quoted text' dora@example.org
draft carol@example.org 'dora@example.org, bob@example.org' '%TOKEN%' | refused "several recipients" 'a token is for one person' dora@example.org bob@example.org
draft carol@example.org dora@example.net '%TOKEN%' | refused "somebody else in the header" 'but a token is for one person' dora@example.org
printf 'From: carol@example.org\nTo: dora@example.org\nSubject: Welcome\nMIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n--b\n\n%%TOKEN%%\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n' |
    refused "a signed mail" 'would break the signature' dora@example.org
is "no token was issued" "$(issued)" 1
draft carol@example.org nobody@example.org '%TOKEN%' | refused "an address that is not there" 'Undelivered' nobody@example.org
is "for which one was" "$(issued)" 2
is "what comes back does not bring it along" "$(tokens_in "$(come carol Undelivered)")" ""

# ---- temporary trouble: Postfix keeps the mail ----
as_root mv "$T/sa/state" "$T/sa/away"
draft carol@example.org bob@example.org '%TOKEN%' | submit carol bob@example.org
ok "where the authority is not there, the mail waits" await 15 grep -q 'relay=countersign-filter.*status=deferred' "$log"
as_root mv "$T/sa/away" "$T/sa/state"
ok "and goes out later" await 20 has_come bob "$(subject)\$"
tokens_in "$(come bob "$(subject)\$")" >>"$T/tokens"
is "with its token" "$(wc -l <"$T/tokens")" 2

# ---- nothing of it stays ----
queue_empty() { [ -z "$(as_root find "$S/postfix/spool" -type f -path '*/[0-9A-F]*' ! -path '*/pid/*')" ]; }
ok "Postfix has nothing left" await 10 queue_empty
rm -f "$(maildir_of dora)"/*/* "$(maildir_of bob)"/*/* 2>/dev/null || true
exits "no token is left with Postfix or anybody else" 3 as_root "$top/tests/lib/find_token.py" "$T/tokens" "$S/postfix" "$S/dovecot" "$T/sent"
done_testing
