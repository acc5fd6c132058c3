#!/usr/bin/env bash
# Tokens and keysets over time: one outstanding token (P1.6), thirty days (P4.4, P5.3), and what confirms and publishes a keyset (P5.4). The clock only goes on.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 1000
conf_set wkd directory "\"$T/web/wkd\""
countersignctl authority export >"$T/card.asc"
user alice
as alice gpg --batch --quiet --import "$T/card.asc" 2>/dev/null
sa=$(as alice gpg --list-keys --with-colons sa@example.org | awk -F: '/^fpr/{print $10; exit}')
outcome_of() {
    local mail
    mail=$(reply_to "$1")
    if [ -z "$mail" ]; then echo silence; elif grep -q '^Reason code' "$mail"; then reason_of "$mail"; else echo enrolled; fi
}
states() { countersignctl --json token list --all | python3 -c 'import json,sys; print(*(t["state"] for t in json.load(sys.stdin) if t["address"] == sys.argv[1]))' "$1"; }
keyset_state() { countersignctl --json user show "$1" | python3 -c 'import json,sys; print(*(k["state"] for k in json.load(sys.stdin)["keysets"]))'; }
key_of() { as alice gpg --list-keys --with-colons "=$1" | awk -F: '/^fpr/{print $10; exit}'; }
person() { # ADDRESS: a key of alice's gpg; its file is $T/ADDRESS.asc
    as alice gpg --armor --export "$(gpg_key alice "$1")" >"$T/$1.asc"
}
opened() { as alice gpg --batch --quiet -d "$(reply_to "$1")" 2>/dev/null; }
nonce_of() { store_sql "SELECT nonce FROM keyset WHERE address = '$1' ORDER BY id DESC LIMIT 1"; }
head_of() { printf 'From: %s\nTo: sa@example.org\nSubject: Re: Reply from the Security Authority\nMessage-ID: <%s@example.org>\nMIME-Version: 1.0\n' "$1" "$RANDOM$RANDOM$RANDOM"; }

# ---- P1.6: one outstanding token per address, and the user is told of each ----
notices() { count_to "$1" "^Subject: $2"; }
person a@example.org
first=$(token_for a@example.org)
second=$(token_for a@example.org)
is "a second token takes the place of the first" "$(states a@example.org)" "outstanding superseded"
agent_once
is "the user is told of both (P5.6)" "$(notices a@example.org 'A token was issued for')" 2
ok "a token is taken back by its address" countersignctl token void a@example.org
is "and is voided" "$(states a@example.org)" "voided superseded"
third=$(token_for a@example.org)
id=$(countersignctl --json token list | python3 -c 'import json,sys; print(next(t["id"] for t in json.load(sys.stdin) if t["address"] == "a@example.org"))')
ok "another by its number" countersignctl token void "$id"
is "and is voided too" "$(states a@example.org)" "voided voided superseded"
exits "neither twice" 67 countersignctl token void "$id"
agent_once
is "the user is told of that" "$(notices a@example.org 'A token was taken back for')" 2
for each in "$first:token-superseded" "$second:token-voided" "$third:token-voided"; do
    clear_sent
    plain_mail a@example.org "${each%%:*}" "$T/a@example.org.asc" | deliver
    agent_once
    is "it works no more: ${each#*:}" "$(outcome_of a@example.org)" "${each#*:}"
done

# ---- P5.4: what confirms, and what does not ----
answer_quoted() { head_of "$1"; printf '\nThanks!\n\nOn Monday, the authority wrote:\n> Your key is certified.\n>\n> Confirmation: %s\n' "$2"; }
answer_html() { # ADDRESS NONCE: HTML alone, the nonce in a quote and broken by markup that mail programs add
    head_of "$1"
    printf 'Content-Type: text/html; charset=utf-8\n\n<html><body><p>Thanks!</p><blockquote type="cite"><p>Your key is certified.<br>Confirmation: <span>%s</span></p></blockquote></body></html>\n' "$2"
}
answer_gmail() {
    head_of "$1"
    printf 'Content-Type: text/html; charset=utf-8\n\n<div dir="ltr">Thanks!</div><br><div class="gmail_quote"><div class="gmail_attr">On Monday the authority wrote:<br></div><blockquote class="gmail_quote"><div>Confirmation:&nbsp;%s</div></blockquote></div>\n' "$2"
}
answer_outlook() { head_of "$1"; printf '\nThanks!\n\n-----Original Message-----\nFrom: sa@example.org\nSubject: Reply\n\nConfirmation: %s\n' "$2"; }
confirmation() { # ADDRESS SIGNER [NONCE]: as the client sends it (F1)
    head_of "$1" | sed 's/^Subject: .*/Subject: Enrollment confirmation/'
    printf 'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=e\n\n--e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--e\nContent-Type: application/octet-stream\n\n'
    printf 'Countersign-Confirmation: 1\nRequest-Id: 00000000000000000000000000\nAddress: %s\nKeyset: default\nFingerprint: %s\nAuthority: %s\nNonce: %s\n' "$1" "$(key_of "$1")" "$sa" "${3:-$(nonce_of "$1")}" |
        as alice gpg --batch --quiet --trust-model always --armor -r "$sa" -s -u "$2!" -e
    printf -- '\n--e--\n'
}
clear_sent
people="b@example.org c@example.org d@example.org e@example.org f@example.org"
for who in $people; do
    person $who
    plain_mail $who "$(token_for $who)" "$T/$who.asc" | deliver
done
agent_once
for who in $people; do is "$who has enrolled" "$(outcome_of $who)" enrolled; done
printed=$(opened b@example.org | grep -o 'Confirmation: [0-9A-Z-]*' | cut -c15-)
is "the reply shows the nonce that is stored" "$printed" "$(nonce_of b@example.org)"
other=$(key_of c@example.org)
unconfirmed() { # NAME < MAIL
    clear_sent
    deliver
    agent_once
    is "confirms nothing: $1" "$(keyset_state b@example.org) $(ls "$T/mail/outgoing/new" | wc -l)" "unconfirmed 0"
}
answer_quoted c@example.org "$printed" | unconfirmed 'the nonce from another address'
{ printf 'Auto-Submitted: auto-replied\n'; answer_quoted b@example.org "$printed"; } | unconfirmed 'an automatic answer'
{ printf 'Return-Path: <>\n'; answer_quoted b@example.org "$printed"; } | unconfirmed 'an empty envelope sender'
answer_quoted b@example.org "$(tr '0-9A-Z' '1-9A-Z0' <<<"$printed" | tr 'ILOU' 'JMPV')" | unconfirmed 'another nonce'
answer_quoted b@example.org "${printed%??}" | unconfirmed 'half a nonce'
confirmation b@example.org "$other" | unconfirmed "a client's confirmation that another key signed"
confirmation b@example.org "$(key_of b@example.org)" "$(nonce_of c@example.org)" | unconfirmed "a client's confirmation with the nonce of somebody else"
is "nothing is published but the authority's key" "$(find "$T/web/wkd" -path '*/hu/*' -type f | wc -l)" 1

confirmation b@example.org "$(key_of b@example.org)" | deliver
clear_sent
answer_html c@example.org "$(nonce_of c@example.org)" | deliver
answer_gmail d@example.org "$(nonce_of d@example.org)" | deliver
answer_outlook e@example.org "$(nonce_of e@example.org)" | deliver
agent_once
is "confirms: the client, signed by the key itself" "$(keyset_state b@example.org)" active
is "confirms: an HTML mail with the nonce in a quote" "$(keyset_state c@example.org)" active
is "confirms: a web mailer's HTML quote" "$(keyset_state d@example.org)" active
is "confirms: below -----Original Message-----" "$(keyset_state e@example.org)" active

# ---- P5.4: published, and again until that succeeds ----
published() { # ADDRESS: the fingerprints in its entry
    local hash
    hash=$(gpg --batch --with-colons --with-wkd-hash --show-keys "$T/$1.asc" 2>/dev/null | sed -n 's/.*:\([a-z0-9]\{32\}@example\.org\):.*/\1/p' | head -n 1)
    [ -n "$hash" ] || hash=$(as alice gpg --with-wkd-hash --list-keys "=$1" 2>/dev/null | grep -oE '[a-z0-9]{32}@' | head -n 1)
    find "$T/web/wkd" -path "*/hu/${hash%@*}" -type f -exec gpg --batch --with-colons --show-keys {} + 2>/dev/null | awk -F: '/^pub/{p=1} /^fpr/&&p{print $10; p=0}'
}
is "those are published" "$(published c@example.org)" "$(key_of c@example.org)"
is "f is not" "$(published f@example.org)" ""
mv "$T/web" "$T/away"
echo 'a file in the way' >"$T/web"
answer_quoted f@example.org "$(nonce_of f@example.org)" | deliver
agent_once
is "where the web root can't be written, the keyset is active all the same" "$(keyset_state f@example.org)" active
like "status says that it is due" "$(countersignctl status)" 'be published'
rm "$T/web"
mv "$T/away" "$T/web"
agent_once
is "and once that is mended, it is published" "$(published f@example.org)" "$(key_of f@example.org)"

# ---- P5.4: one key per address: the one confirmed last, or the one preferred ----
second=$(gpg_key alice 'C Example <c@example.org>')
as alice gpg --armor --export "$second" >"$T/c2.asc"
plain_mail c@example.org "$(token_for --additional c@example.org)" "$T/c2.asc" 'Keyset: laptop' | deliver
agent_once
answer_quoted c@example.org "$(nonce_of c@example.org)" | deliver
agent_once
is "confirmed last: the second one is published" "$(published c@example.org)" "$second"
ok "the first one is preferred" countersignctl user prefer c@example.org default
agent_once
is "and published" "$(published c@example.org)" "$(awk -F: '/^fpr/{print $10; exit}' < <(gpg --batch --with-colons --show-keys "$T/c@example.org.asc" 2>/dev/null))"

# ---- thirty days (P4.4, P5.3) ----
person g@example.org
used=$(token_for g@example.org)
plain_mail g@example.org "$used" "$T/g@example.org.asc" >"$T/used.eml"
deliver <"$T/used.eml"
agent_once
person h@example.org
expired=$(token_for --expires 1s h@example.org)
later() { # SPAN: the agent once, so much later
    clear_sent
    faketime -f "+$1" countersignd --once 2>>"$T/agent.log"
}
thirty() { # SPAN USED EXPIRED SUPERSEDED VOIDED
    deliver <"$T/used.eml"
    plain_mail h@example.org "$expired" "$T/h@example.org.asc" | deliver
    later "$1"
    is "$1 later: the same request with the token used" "$(outcome_of g@example.org)" "$2"
    is "$1 later: a token expired" "$(outcome_of h@example.org)" "$3"
    plain_mail a@example.org "$first" "$T/a@example.org.asc" | deliver
    later "$1"
    is "$1 later: a token superseded" "$(outcome_of a@example.org)" "$4"
    plain_mail a@example.org "$third" "$T/a@example.org.asc" | deliver
    later "$1"
    is "$1 later: a token voided" "$(outcome_of a@example.org)" "$5"
}
thirty 29d enrolled token-expired token-superseded token-voided
thirty 31d silence silence silence silence
is "nothing is left in the mailbox" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 0
done_testing
