#!/usr/bin/env bash
# Every clause of P4 and every reason code of P8.2 that this version has, each provoked by a real mail: the code, its two sentences, whom they reach, that
# nothing was stored, and that the token still works.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 1000
conf_set limits mails-per-hour 10000
countersignctl authority export >"$T/card.asc"
for who in alice bob carol; do
    user $who
    as $who gpg --batch --quiet --import "$T/card.asc" 2>/dev/null
done
sa=$(as alice gpg --list-keys --with-colons sa@example.org | awk -F: '/^fpr/{print $10; exit}')
alice=$(gpg_key alice 'Alice Example <alice@example.org>')
bob=$(gpg_key bob 'Bob Example <bob@example.org>')
as alice gpg --armor --export "$alice" >"$T/alice.asc"
as alice gpg --export "$alice" >"$T/alice.bin"
as bob gpg --armor --export "$bob" >"$T/bob.asc"

keysets() { store_sql 'SELECT count(*) FROM keyset'; }
outstanding() { countersignctl --json token list | python3 -c 'import json,sys; print(sum(1 for t in json.load(sys.stdin) if t["address"]=="'"$1"'"))'; }
# The two sentences of a refusal, as text and as fields: what was wrong TAB what to do.
sentences() {
    python3 - "$1" <<'PY'
import email, email.policy, sys
text, fields = '', ''
for part in email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default).walk():
    if part.get_content_type() == 'text/plain' and not text:
        text = part.get_content()
    if part.get_filename() == 'reply.countersign':
        fields = part.get_content().decode()
print('\t'.join(text.split('\n\n')[1].split('\n')))
said = dict(line.split(': ', 1) for line in fields.splitlines() if ': ' in line)
print(said['What'] + '\t' + said['Advice'])
PY
}
# Some name the particular field, key or size in place of the first sentence: it is then one sentence of its own, the same in both places.
particulars='deposit-mismatch policy request-malformed too-large keyset-not-allowed key-missing key-ambiguous key-unusable name-mismatch'
particular() { # SAID WANTED: what was said, with a fit first sentence put back to the table's
    awk -F '\t' -v what="${2%%$'\t'*}" 'NR == 1 {first = $1} {print ($1 == first && $1 ~ /^[A-Z].*\.$/ ? what : $1) "\t" $2 (NF > 2 ? "\t" $3 : "")}' <<<"$1"
}
# refused NAME CODE ADDRESS STILL < MAIL : STILL is how many outstanding tokens the address has afterwards
refused() {
    local name=$1 code=$2 address=$3 still=$4 mail stored said wanted
    cat >"$T/mail.eml"
    agent_once
    clear_sent
    stored=$(keysets)
    deliver <"$T/mail.eml"
    agent_once
    mail=$(reply_to "$address")
    is "$code: $name" "$([ -n "$mail" ] && reason_of "$mail")" "$code"
    [ -n "$mail" ] || return
    said=$(sentences "$mail")
    wanted=$(print_reasons | grep "^$code"$'\t' | cut -f 2-)
    case " $particulars " in *" $code "*) said=$(particular "$said" "$wanted") ;; esac
    is "$code: $name: the two sentences of the table, in the text and in the attachment" "$said" "$wanted"$'\n'"$wanted"
    is "$code: $name: to the token's address alone" "$(grep -hs '^Delivered-To:' "$T"/mail/outgoing/new/* | sort -u)" "Delivered-To: $address"
    is "$code: $name: nothing stored" "$(keysets)" "$stored"
    is "$code: $name: tokens still outstanding" "$(outstanding "$address")" "$still"
}
silent() { # NAME < MAIL
    cat >"$T/mail.eml"
    agent_once
    clear_sent
    deliver <"$T/mail.eml"
    agent_once
    is "silence: $1" "$(ls "$T/mail/outgoing/new" | wc -l)" 0
}
encrypted() { # FROM < INSIDE : a client's mail; the sender signs when SIGN is set
    local who=${1%@*}
    printf 'From: %s\nTo: sa@example.org\nSubject: Enrollment request\nMessage-ID: <%s@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=e\n\n--e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--e\nContent-Type: application/octet-stream\n\n' "$1" "$RANDOM$RANDOM"
    as "$who" gpg --batch --quiet --trust-model always --armor -r "$sa" ${SIGN:+-s -u "$SIGN"} -e
    printf -- '\n--e--\n'
}
lines() { # ADDRESS FINGERPRINT [CREATED] [AUTHORITY] [KEYSET]
    printf 'Countersign-Request: 1\nRequest-Id: 00000000000000000000000000\nKind: enroll\nAddress: %s\nKeyset: %s\nFingerprint: %s\nAuthority: %s\nCreated: %s\n' \
        "$1" "${5:-default}" "$2" "${4:-$sa}" "${3:-$(date -u +%Y-%m-%dT%H:%M:%SZ)}"
}

# ---- tokens ----
token=$(token_for --expires 1s alice@example.org)
sleep 2
plain_mail alice@example.org "$token" "$T/alice.asc" | refused 'past its time' token-expired alice@example.org 0
old=$(token_for alice@example.org)
token=$(token_for alice@example.org)
plain_mail alice@example.org "$old" "$T/alice.asc" | refused 'a newer one was issued' token-superseded alice@example.org 1
plain_mail alice@example.org "$token and $old" "$T/alice.asc" | refused 'two in one text' token-ambiguous alice@example.org 1
countersignctl token void alice@example.org >/dev/null
plain_mail alice@example.org "$token" "$T/alice.asc" | refused 'taken back' token-voided alice@example.org 0
token=$(token_for alice@example.org)
plain_mail alice@example.org "${token:0:20}$(tr '0-9A-Z' '1-9A-Z0' <<<"${token:20:9}")" "$T/alice.asc" | refused 'mistyped' token-unreadable alice@example.org 1
plain_mail alice@example.org "${token:0:20}$(tr '0-9A-Z' '1-9A-Z0' <<<"${token:20:9}")" "$T/alice.asc" | silent 'mistyped once more on the same day (P6.6)'
plain_mail bob@example.org "${token:0:20}$(tr '0-9A-Z' '1-9A-Z0' <<<"${token:20:9}")" "$T/alice.asc" | silent 'mistyped by somebody without a token (P6.6)'

# ---- who asks ----
plain_mail bob@example.org "$token" "$T/bob.asc" | refused 'another sender' address-mismatch alice@example.org 1
{ printf 'From: bob@example.org\n'; plain_mail alice@example.org "$token" "$T/alice.asc"; } | refused 'two From fields' address-mismatch alice@example.org 1
plain_mail 'alice@example.org, bob@example.org' "$token" "$T/alice.asc" | refused 'two addresses in From' address-mismatch alice@example.org 1
lines bob@example.org "$alice" | forge "$token" "$T/alice.bin" | encrypted alice@example.org | refused 'a client that states another address' address-mismatch alice@example.org 1
lines alice@example.org "$alice" 2020-01-01T00:00:00Z | forge "$token" "$T/alice.bin" | encrypted alice@example.org | refused 'made before the token' stale alice@example.org 1
lines alice@example.org "$alice" 2100-01-01T00:00:00Z | forge "$token" "$T/alice.bin" | encrypted alice@example.org | refused 'made in the future' stale alice@example.org 1
lines alice@example.org "$alice" "" "$alice" | forge "$token" "$T/alice.bin" | encrypted alice@example.org | refused 'for another authority' request-malformed alice@example.org 1
{ lines alice@example.org "$alice"; echo 'Favourite-Colour: blue'; } | forge "$token" "$T/alice.bin" | encrypted alice@example.org | refused 'an unknown field' request-malformed alice@example.org 1
{ lines alice@example.org "$alice"; echo 'Keyset: twice'; } | forge "$token" "$T/alice.bin" | encrypted alice@example.org | refused 'a field twice' request-malformed alice@example.org 1
lines alice@example.org "$alice" | sed '/^Created/d' | forge "$token" "$T/alice.bin" | encrypted alice@example.org | refused 'a field missing' request-malformed alice@example.org 1
lines alice@example.org "$bob" | forge "$token" "$T/alice.bin" | encrypted alice@example.org | refused 'a fingerprint that is not the key' request-malformed alice@example.org 1
lines alice@example.org "$alice" | forge "$token" "$T/alice.bin" | sed 's/^Keyset: .*/Keyset: changed/' | encrypted alice@example.org | silent 'a field changed after signing'

# ---- the keyset name ----
plain_mail alice@example.org "$token" "$T/alice.asc" 'Keyset: ../../etc/passwd' | refused 'a name with slashes' keyset-name-invalid alice@example.org 1
token=$(token_for --keyset laptop alice@example.org)
plain_mail alice@example.org "$token" "$T/alice.asc" 'Keyset: work' | refused 'another name than the token allows' keyset-not-allowed alice@example.org 1
token=$(token_for alice@example.org)

# ---- the key ----
plain_mail alice@example.org "$token" "" | refused 'no key' key-missing alice@example.org 1
plain_mail alice@example.org "$token" "$T/bob.asc" | refused 'the key of somebody else' key-missing alice@example.org 1
second=$(as carol gpg --batch --quiet --status-fd 1 --pinentry-mode loopback --passphrase '' --quick-gen-key 'Alice Example <alice@example.org>' ed25519 sign,cert 0 2>/dev/null | sed -n 's/.*KEY_CREATED . //p')
as carol gpg --armor --export "$second" >"$T/second.asc"
cat "$T/alice.asc" "$T/second.asc" >"$T/both.asc"
plain_mail alice@example.org "$token" "$T/both.asc" | refused 'two keys of the same address' key-ambiguous alice@example.org 1
plain_mail alice@example.org "$token" "$T/second.asc" | refused 'no encryption subkey' key-unusable alice@example.org 1
as alice gpg --armor --export-secret-keys --batch --pinentry-mode loopback --passphrase '' "$alice" >"$T/secret.asc"
plain_mail alice@example.org "$token" "$T/secret.asc" | refused 'a secret key' key-secret alice@example.org 1
ok "key-secret: the key is kept nowhere" bash -c "! grep -rqF \"\$(sed -n 4p '$T/secret.asc')\" '$T/sa' '$T/mail'"
as carol gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-gen-key 'Weak <carol@example.org>' rsa1024 sign,cert 0 2>/dev/null
weak=$(as carol gpg --list-keys --with-colons 'Weak' | awk -F: '/^fpr/{print $10; exit}')
as carol gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-key "$weak" rsa1024 encr 0 2>/dev/null
as carol gpg --armor --export "$weak" >"$T/weak.asc"
other=$(token_for carol@example.org)
plain_mail carol@example.org "$other" "$T/weak.asc" | refused 'RSA with 1024 bits' key-unusable carol@example.org 1
as carol gpg --batch --quiet --pinentry-mode loopback --passphrase '' --faked-system-time 20200101T000000 --quick-gen-key 'Old <carol@example.org>' ed25519 sign,cert 1d 2>/dev/null
as carol gpg --armor --export '=Old <carol@example.org>' >"$T/old.asc"
plain_mail carol@example.org "$other" "$T/old.asc" | refused 'an expired key' key-unusable carol@example.org 1
named=$(token_for --name 'Carol Example' carol@example.org)
wrong=$(gpg_key carol 'Mallory <carol@example.org>')
as carol gpg --armor --export "$wrong" >"$T/wrong.asc"
plain_mail carol@example.org "$named" "$T/wrong.asc" | refused 'another name than recorded' name-mismatch carol@example.org 1
misnamed=$(gpg_key carol 'carol@example.net Carol <carol@example.org>')
as carol gpg --armor --export "$misnamed" >"$T/misnamed.asc"
plain_mail carol@example.org "$named" "$T/misnamed.asc" | refused 'a name with an @ in it' key-unusable carol@example.org 1
like "key-unusable: it says what is wrong with the name" "$(cat "$(reply_to carol@example.org)")" "name in the key's user ID"
head -c 300 /dev/urandom >"$T/deposit"
lines alice@example.org "$alice" | forge "$token" "$T/alice.bin" "$T/deposit" | encrypted alice@example.org | refused 'a deposit that is none' deposit-mismatch alice@example.org 1
conf_set policy escrow '"required"'
lines alice@example.org "$alice" | forge "$token" "$T/alice.bin" | encrypted alice@example.org | refused 'no deposit where one is required' deposit-required alice@example.org 1
plain_mail alice@example.org "$token" "$T/alice.asc" | refused 'plain mail where a deposit is required' client-required alice@example.org 1
conf_set policy escrow '"off"'
lines alice@example.org "$alice" | forge "$token" "$T/alice.bin" "$T/deposit" | encrypted alice@example.org | refused 'a deposit' deposit-unwanted alice@example.org 1
conf_set policy escrow '"offered"'
head -c 40000 /dev/urandom >"$T/big"
lines alice@example.org "$alice" | forge "$token" "$T/big" | encrypted alice@example.org | refused 'a key of 40 kB' too-large alice@example.org 1
{ plain_mail alice@example.org "$token" "$T/alice.asc" | sed '$d'; printf -- '--b\nContent-Type: image/jpeg\nContent-Transfer-Encoding: base64\n\n'; head -c 400000 /dev/urandom | base64; printf -- '--b--\n'; } | refused 'a photograph' too-large alice@example.org 1
conf_set policy plain-requests encrypted
plain_mail alice@example.org "$token" "$T/alice.asc" | refused 'in clear where policy wants encryption' policy alice@example.org 1
conf_set policy plain-requests off
plain_mail alice@example.org "$token" "$T/alice.asc" | refused 'plain mail where policy wants the client' policy alice@example.org 1
conf_set policy plain-requests on

# ---- after all that the same token enrolls ----
clear_sent
plain_mail alice@example.org "$token" "$T/alice.asc" >"$T/good.eml"
deliver <"$T/good.eml"
agent_once
not "and after all that, the token enrolls" grep -qs '^Reason code' "$(reply_to alice@example.org)"
is "one keyset is stored" "$(keysets)" 1
plain_mail alice@example.org "$token" "$T/second.asc" | refused 'a used token with another key' token-used alice@example.org 0
like "that is an alarm in the log" "$(countersignctl log --address alice@example.org)" 'alarm'
token=$(token_for bob@example.org)
as bob gpg --batch --quiet --import "$T/secret.asc" 2>/dev/null
as bob gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-uid "$alice" 'Bob Example <bob@example.org>' 2>/dev/null
as bob gpg --armor --export "$alice" >"$T/stolen.asc"
plain_mail bob@example.org "$token" "$T/stolen.asc" | refused "alice's key with bob's name on it" key-other-person bob@example.org 1

# ---- an address with an active keyset (P2.4, P4.6) ----
nonce=$(store_sql 'SELECT nonce FROM keyset LIMIT 1')
printf 'From: alice@example.org\nTo: sa@example.org\nSubject: Re\n\nConfirmation: %s\n' "$nonce" | deliver
agent_once
like "the keyset is active" "$(countersignctl user show alice@example.org)" active
token=$(token_for alice@example.org)
new=$(gpg_key alice 'Alice Example <alice@example.org>' rsa2048)
as alice gpg --export "$new" >"$T/new.bin"
lines alice@example.org "$new" | forge "$token" "$T/new.bin" | encrypted alice@example.org | refused 'the name of an active keyset' keyset-name-in-use alice@example.org 1
lines alice@example.org "$new" "" "" second | forge "$token" "$T/new.bin" | encrypted alice@example.org | refused 'a further keyset without a signature' keyset-exists alice@example.org 1
lines alice@example.org "$new" "" "" second | forge "$token" "$T/new.bin" | SIGN=$new encrypted alice@example.org | refused 'a further keyset, signed by a key that is not enrolled' signature-invalid alice@example.org 1
clear_sent
lines alice@example.org "$new" "" "" second | forge "$token" "$T/new.bin" | SIGN=$alice encrypted alice@example.org | deliver
agent_once
not "signed by the active keyset's key it enrolls" grep -qs '^Reason code' "$(reply_to alice@example.org)"
is "as a second keyset" "$(keysets)" 2

# ---- silence (P4.2, P6.6) ----
token=$(token_for carol@example.org)
plain_mail carol@example.org "" "$T/wrong.asc" | silent 'no token'
plain_mail alice@example.org "00000-00000-00000-00000-00000" "$T/alice.asc" | silent 'an invented token'
{ printf 'Auto-Submitted: auto-replied\n'; plain_mail carol@example.org "$token" "$T/wrong.asc"; } | silent 'a robot with a valid token (P4.2)'
{ printf 'Return-Path: <>\n'; plain_mail carol@example.org "$token" "$T/wrong.asc"; } | silent 'an empty envelope sender'
plain_mail sa@example.org "$token" "$T/wrong.asc" | silent 'from the authority itself'
like "the valid token in an automatic mail is counted" "$(countersignctl status)" 'utomatic'
# ---- what carried a secret is kept nowhere, whatever else the mail wanted (P5.7); the search at the end of the flow looks for the tokens ----
key_line=$(sed -n 4p "$T/secret.asc")
plain_mail carol@example.org "" "$T/secret.asc" | silent 'a secret key without a token'
{ printf 'From: carol@example.org\nTo: sa@example.org\nSubject: Re\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=m\n\n'
    for i in $(seq 150); do printf -- '--m\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n%s\n' "$(base64 <<<"Token: $token")"; done
    printf -- '--m--\n'; } | silent 'a token in one of too many parts'
like "that mail is in quarantine" "$(countersignctl quarantine list)" 'parts'
"$top/tests/lib/hostile_message.py" password | sed "s/^Subject: x/Subject: $token/" | silent 'a token beside an encryption that can not be opened'
printf 'From: alice@example.org\nTo: sa@example.org\nSubject: Re\n\nConfirmation: %s\n\n> Your token is %s\n' "$nonce" "$token" | silent 'a confirmation that quotes a token'
for place in "$T/sa" "$T/mail/inbox"; do
    is "the secret key is not kept below $(basename "$place")" "$(grep -rlaF "$key_line" "$place")" ""
done
is "the search for it works" "$(grep -rlaF "$key_line" "$T/secret.asc")" "$T/secret.asc"
is "nothing is left in the mailbox" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 0
done_testing
