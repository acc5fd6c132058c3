#!/usr/bin/env bash
# Renewal (P3.7, P4.5): by the client's lines and by a signed mail of any mail program; what is in force stays so until the nonce comes back; what a thief of the signing
# key, or of an old mail, can do with it.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/requests.sh"

authority_new
conf_set limits mails-per-address-day 1000
conf_set limits mails-per-hour 10000
conf_set wkd directory "\"$T/wkd\""
conf_set notify auditors '{"audit@example.org"}'
knowing_user alice bob
enroll_plain alice
enroll_plain bob
is "alice has one active keyset" "$(store_sql "SELECT count(*) FROM keyset WHERE address = 'alice@example.org' AND confirmed > 0")" 1
until_of() { store_sql "SELECT certified_until FROM keyset WHERE address = '$1@example.org' AND superseded = 0 ORDER BY id DESC LIMIT 1"; }
stored() { store_sql "SELECT hex(key), certified_until, encryption_fingerprint FROM keyset WHERE address = '$1@example.org' ORDER BY id"; }
renewals() { store_sql 'SELECT count(*) FROM renewal'; }
published() { find "$T/wkd" -type f -path '*/hu/*' -exec cat {} + | gpg --batch --with-colons --show-keys 2>/dev/null | grep -c "$1"; }

# ---- the client's way ----
before=$(stored alice)
request_lines renew alice@example.org "$alice" | forge - "$T/alice.bin" | sealed_mail alice "$alice" >"$T/renew.eml"
send <"$T/renew.eml"
is "a client's renewal is answered" "$(outcome_for alice)" renewed
is "nothing in force has changed" "$(stored alice)" "$before"
like "alice is told" "$(cat "$(last_to alice@example.org '^Subject: A key was renewed')")" 'certified anew'
ok "and so are the auditors" test -n "$(last_to audit@example.org '^Subject: A key was renewed')"
nonce=$(field_of alice Nonce)
first=$(opened alice | sha256sum)
send <"$T/renew.eml"
is "the same request brings the same reply (P5.3)" "$(opened alice | sha256sum)" "$first"
is "and no second renewal" "$(renewals)" 1
confirmation_lines alice@example.org "$alice" "$nonce" | sealed_mail alice | send
is "a confirmation that is not signed changes nothing" "$(stored alice)" "$before"
confirmation_lines alice@example.org "$alice" "$nonce" | sealed_mail alice "$alice" >"$T/confirm.eml"
send <"$T/confirm.eml"
is "the nonce, signed, puts it in force" "$(store_sql 'SELECT confirmed > 0 AND key IS NULL FROM renewal')" 1
is "it is the certification of the reply" "$(until_of alice)" "$(store_sql 'SELECT certified_until FROM renewal')"
like "the log says it all" "$(countersignctl log --address alice@example.org)" 'confirmed.*renewal=yes'
is "it is published" "$(published "$alice")" 1
after=$(stored alice)
send <"$T/confirm.eml"
is "confirmed twice is confirmed once" "$(stored alice)" "$after"

# ---- new subkeys and a new expiry of the same primary ----
edit_key alice --quick-set-expire "$alice" 2y
old_sub=$sub_alice
revoke_subkey alice 1
edit_key alice --quick-add-key "$alice" cv25519 encr 0
export_public alice
sub_alice=$(encryption_subkey alice "$alice")
request_lines renew alice@example.org "$alice" | forge - "$T/alice.bin" | sealed_mail alice "$alice" | send
is "a new encryption subkey and a new expiry are taken" "$(outcome_for alice)" renewed
is "the reply is sealed to the new subkey" "$(gpg --batch --list-packets <(sed -n '/^-----BEGIN PGP MESSAGE/,/^-----END/p' "$(reply_to alice@example.org)") 2>/dev/null | sed -n 's/.*keyid //p' | head -n 1)" "${sub_alice:24}"
confirm_plain alice
is "an answer with the nonce confirms as well" "$(store_sql "SELECT encryption_fingerprint FROM keyset WHERE address = 'alice@example.org'")" "$sub_alice"
is "the new subkey is published" "$(published "$sub_alice")" 1
# A copy without the revocation does not undo it.
python3 - "$T/alice.bin" "$T/without.bin" <<'PY'
import sys
data, out, at = open(sys.argv[1], 'rb').read(), b'', 0
while at < len(data):
    head = data[at]
    if head & 0x40:
        tag, first = head & 63, data[at + 1]
        length, body = (first, at + 2) if first < 192 else (((first - 192) << 8) + data[at + 2] + 192, at + 3)
    else:
        tag, octets = head >> 2 & 15, 1 << (head & 3)
        length, body = int.from_bytes(data[at + 1:at + 1 + octets], 'big'), at + 1 + octets
    if not (tag == 2 and data[body + 1] == 0x28):
        out += data[at:body + length]
    at = body + length
open(sys.argv[2], 'wb').write(out)
PY
request_lines renew alice@example.org "$alice" | forge - "$T/without.bin" | sealed_mail alice "$alice" | send
like "a copy without the subkey's revocation does not bring it back" "$(part_of alice key.asc | gpg --batch --with-colons --show-keys 2>/dev/null)" "^sub:r:.*:${old_sub:24}:"

# Of two that wait, the one that is confirmed is in force; the other was made before it and would take the revoked subkey back.
pending() { # FIRST SECOND: two renewals, of which the first brings a new subkey and the second does not, or the other way round
    local how
    previous=$sub_alice
    cp "$T/alice.bin" "$T/previous.bin"
    revoke_subkey alice "$subkeys"
    edit_key alice --quick-add-key "$alice" cv25519 encr 0
    subkeys=$((subkeys + 1))
    export_public alice
    sub_alice=$(encryption_subkey alice "$alice")
    for how in "$@"; do
        request_lines renew alice@example.org "$alice" | forge - "$T/$how.bin" | sealed_mail alice "$alice" | send
        declare -g "nonce_$how=$(field_of alice Nonce)"
    done
}
answer() { printf 'From: alice@example.org\nTo: sa@example.org\nSubject: Re: Reply\n\nConfirmation: %s\n' "$1" | send; }
in_use() { store_sql "SELECT encryption_fingerprint FROM keyset WHERE address = 'alice@example.org'"; }
subkeys=2
for order in 'alice previous' 'previous alice'; do
    pending $order
    answer "$nonce_alice"
    is "of $order: the new subkey is in force" "$(in_use)" "$sub_alice"
    answer "$nonce_previous"
    is "of $order: the other one does not take the old one back" "$(in_use) $(published "$sub_alice")" "$sub_alice 1"
done

# ---- deposits by policy ----
conf_set policy escrow '"required"'
request_lines renew alice@example.org "$alice" | forge - "$T/alice.bin" | sealed_mail alice "$alice" | send
is "the same encryption subkey needs no deposit" "$(outcome_for alice)" renewed
revoke_subkey alice "$subkeys"
edit_key alice --quick-add-key "$alice" cv25519 encr 0
export_public alice
sub_alice=$(encryption_subkey alice "$alice")
request_lines renew alice@example.org "$alice" | forge - "$T/alice.bin" | sealed_mail alice "$alice" | send
is "a new one does" "$(outcome_for alice)" deposit-required
signed_mail alice "$alice" 'Renew my key' key="$T/alice.asc" | send
is "which no mail program can hand in" "$(outcome_for alice)" client-required
export_secret alice "$sub_alice!" >"$T/deposit"
request_lines renew alice@example.org "$alice" | forge - "$T/alice.bin" "$T/deposit" | sealed_mail alice "$alice" | send
is "with it the renewal is answered" "$(outcome_for alice)" renewed
is "and the deposit is kept" "$(store_sql "SELECT encryption_fingerprint FROM deposit")" "$sub_alice"
confirm_plain alice
conf_set policy escrow '"offered"'

# ---- any mail program ----
try() { # NAME WANTED < MAIL
    send
    is "$1: $2" "$(outcome_for bob)" "$2"
}
in_force=$(stored bob)
signed_mail bob "$bob" 'Renew' | try 'PGP/MIME, without a key' renewed
signed_mail bob "$bob" 'please renew my key' clear | try 'a cleartext signature' renewed
signed_mail bob "$bob" 'AW: Renew!' to="$sa" | try 'encrypted, and signed inside' renewed
signed_mail bob "$bob" 'Renew' key="$T/bob.asc" >"$T/mail.eml"
try 'with a copy of the key' renewed <"$T/mail.eml"
first=$(opened bob | sha256sum)
count=$(renewals)
sed 's/^Message-ID: .*/Message-ID: <another@example.org>/' "$T/mail.eml" | try 'the same under another Message-ID' renewed
is "is the same renewal: the stored reply again" "$(opened bob | sha256sum) $(renewals)" "$first $count"
# Whoever has seen one may alter what the signature does not cover: it is still the same.
bent() { # KIND MAIL: with a line in the armor, an unhashed subpacket, or one recipient less
    python3 - "$@" <<'PY'
import base64, re, sys
kind, path = sys.argv[1:]
mail = open(path, encoding='ascii').read()
block = re.search(r'-----BEGIN PGP (SIGNATURE|MESSAGE)-----\n\n(.*?)(\n=.{4})?\n-----END', mail, re.S)
data = base64.b64decode(block[2])
packets, at = [], 0
while at < len(data):
    head, first = data[at], data[at + 1]
    if head & 0x40:
        size, body = (first, at + 2) if first < 192 else ((first - 192 << 8) + data[at + 2] + 192, at + 3) if first < 224 else (len(data), at)
    else:
        size, body = int.from_bytes(data[at + 1:at + 1 + (1 << (head & 3))], 'big'), at + 1 + (1 << (head & 3))
    packets.append((head >> 2 & 15 if not head & 0x40 else head & 63, data[at:body + size], data[body:body + size]))
    at = body + size
if kind == 'subpacket':
    [(_, _, body)] = packets
    at = 6 + int.from_bytes(body[4:6], 'big')
    size = int.from_bytes(body[at:at + 2], 'big')
    body = body[:at] + (size + 3).to_bytes(2, 'big') + body[at + 2:at + 2 + size] + b'\x02\x64x' + body[at + 2 + size:]
    data = b'\x88' + bytes([len(body)]) + body
elif kind == 'recipient':
    assert [tag for tag, _, _ in packets[:2]] == [1, 1]
    data = b''.join(whole for _, whole, _ in packets[:1] + packets[2:])
text = base64.b64encode(data).decode()
if kind == 'armor':
    mail = mail.replace('-----\n\n' + block[2], '-----\nComment: other\n\n' + block[2])
else:
    mail = mail.replace(block[2] + (block[3] or ''), '\n'.join(text[i:i + 64] for i in range(0, len(text), 64)))
sys.stdout.write(mail)
PY
}
answers() { grep -lx 'Delivered-To: bob@example.org' "$T"/mail/outgoing/new/* | xargs grep -l 'BEGIN PGP MESSAGE' | wc -l; }
signed_mail bob "$bob" 'Renew' >"$T/mime.eml"
signed_mail bob "$bob" 'Renew' clear text='Please, again.' >"$T/clear.eml"
printf 'encrypt-to %s\n' "$bob" >"$T/bob/.gnupg/gpg.conf"
signed_mail bob "$bob" 'Renew' to="$sa" >"$T/sealed.eml"
rm "$T/bob/.gnupg/gpg.conf"
for kind in mime clear sealed; do deliver <"$T/$kind.eml"; done
agent_once
count=$(renewals)
clear_sent
for kind in armor subpacket; do
    for mail in mime clear; do bent $kind "$T/$mail.eml" >"$T/bent.eml"; deliver <"$T/bent.eml"; done
done
sed 's/^Please, again\.$/& /' "$T/clear.eml" | deliver
bent recipient "$T/sealed.eml" >"$T/bent.eml"
deliver <"$T/bent.eml"
agent_once
is "what a signature does not cover makes no other renewal: six stored replies again" "$(renewals) $(answers)" "$count 6"
signed_mail bob "$bob" 'Renew' unsigned | try 'not signed' silence
signed_mail bob "$bob" 'Renewed interest' | try 'another word' silence
signed_mail bob "$bob" 'My key' | try 'no word of it' silence
signed_mail bob "$bob" 'Renew' | sed 's/^Please\./Please!/' | try 'changed after signing' silence
signed_mail bob "$bob" 'Renew' beside="$T/bob.asc" | try 'a key beside what was signed' silence
signed_mail alice "$alice" 'Renew' | sed 's/^From: alice/From: bob/' | try "signed by somebody else's key" silence
{ printf 'Auto-Submitted: auto-replied\n'; signed_mail bob "$bob" 'Renew'; } | try 'a robot' silence
conf_set policy plain-requests '"off"'
signed_mail bob "$bob" 'Renew' | try 'where policy wants the client' policy
conf_set policy plain-requests '"on"'
signed_mail bob "$bob" 'Renew' key="$T/alice.asc" | try 'with the key of somebody else: for the key as it is' renewed

# ---- a thief of the signing key ----
thief=$(gpg_key bob 'bob <bob@example.org>')
as bob gpg --batch --export "$thief" >"$T/thief.bin"
as bob gpg --batch --armor --export "$thief" >"$T/thief.asc"
request_lines renew bob@example.org "$thief" | forge - "$T/thief.bin" | sealed_mail bob "$bob" | try 'to another primary key' keyset-unknown
signed_mail bob "$bob" 'Renew' key="$T/thief.asc" | try 'to another primary key, by mail' keyset-unknown
request_lines renew bob@example.org "$bob" | forge - "$T/thief.bin" | sealed_mail bob "$bob" | try "another key under this one's fingerprint" request-malformed
request_lines renew bob@example.org "$thief" | forge - "$T/thief.bin" | sealed_mail bob "$thief" | try 'signed by a key that is not enrolled' silence
request_lines renew bob@example.org "$bob" work | forge - "$T/bob.bin" | sealed_mail bob "$bob" | try 'another keyset than its own' keyset-unknown
request_lines renew alice@example.org "$alice" | forge - "$T/alice.bin" | sealed_mail bob "$bob" | send
is "nor can bob renew alice's" "$(reply_to alice@example.org)" ""
is "all that has changed nothing in force" "$(stored bob)" "$in_force"

# ---- an old mail ----
request_lines renew bob@example.org "$bob" default "" 2020-01-01T00:00:00Z | forge - "$T/bob.bin" | sealed_mail bob "$bob" | try 'made years ago' stale
request_lines renew bob@example.org "$bob" default "" 2100-01-01T00:00:00Z | forge - "$T/bob.bin" | sealed_mail bob "$bob" | try 'made in the future' stale
request_lines renew bob@example.org "$bob" default AAAAAAAAAAAAAAAAAAAAAAAAAA | forge - "$T/bob.bin" | sealed_mail bob "$bob" >"$T/captured.eml"
try 'captured on its way' renewed <"$T/captured.eml"
request_lines renew bob@example.org "$bob" default AAAAAAAAAAAAAAAAAAAAAAAAAA 2026-11-23T00:00:00Z | forge - "$T/bob.bin" | sealed_mail bob "$bob" | try 'other content under a Request-Id that was seen' silence
count=$(renewals)
clear_sent
deliver <"$T/captured.eml"
faketime -f +40d countersignd --once 2>>"$T/agent.log"
is "forty days later it is not answered" "$(outcome_for bob)" silence
is "and nothing has changed" "$(renewals) $(stored bob)" "$count $in_force"

# ---- eight copies, four workers ----
conf_set limits workers 4
count=$(renewals)
request_lines renew bob@example.org "$bob" | forge - "$T/bob.bin" | sealed_mail bob "$bob" >"$T/mail.eml"
clear_sent
for _ in 1 2 3 4 5 6 7 8; do deliver <"$T/mail.eml"; done
agent_once
is "are one renewal" "$(renewals)" $((count + 1))
sealed() { sed -n '/^-----BEGIN PGP MESSAGE/,/^-----END/p' "$1" | tr -d '\r' | sha256sum; }
is "with one reply" "$(grep -lx 'Delivered-To: bob@example.org' "$T"/mail/outgoing/new/* | xargs grep -l 'BEGIN PGP MESSAGE' | while read -r f; do sealed "$f"; done | sort | uniq -c | awk '{print $1}')" 8
is "and one notice" "$(count_to bob@example.org '^Subject: A key was renewed')" 1

# ---- who may not ----
knowing_user carol
plain_mail carol@example.org "$(token_for carol@example.org)" "$T/carol.asc" | send
signed_mail carol "$carol" Renew | send
is "not confirmed yet: keyset-unknown" "$(outcome_for carol)" keyset-unknown
ok "the log is whole" countersignctl log verify
done_testing
