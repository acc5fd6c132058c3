#!/usr/bin/env bash
# P4.7 by real mails: keys that are not certified, and why; what policy moves; what of a key is certified and published, and what is left out.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 1000
conf_set wkd directory "\"$T/wkd\""
countersignctl authority export >"$T/card.asc"
user alice
user bob
user carol
gpg_new() { # WHO USER-ID ALGO USAGE: the fingerprint
    as "$1" gpg --batch --quiet --yes --status-fd 1 --pinentry-mode loopback --passphrase '' --quick-gen-key "$2" "$3" "$4" 0 2>/dev/null | sed -n 's/.*KEY_CREATED . //p'
}
gpg_sub() { as "$1" gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-key "$2" "$3" "$4" 0 2>/dev/null; }
outcome_of() {
    local mail
    mail=$(reply_to "$1")
    if [ -z "$mail" ]; then echo silence; elif grep -q '^Reason code' "$mail"; then reason_of "$mail"; else echo enrolled; fi
}
# becomes NAME ADDRESS OUTCOME SENTENCE < MAIL; the sentence is looked for in what the refusal says.
becomes() {
    clear_sent
    deliver
    agent_once
    is "$1" "$(outcome_of "$2")" "$3"
    [ -z "${4:-}" ] || like "$1: says so" "$(sed -n '/^The request could not/,/^Reason code/p' "$(reply_to "$2")" | tr -d '\r' | sed -z 's/=\n//g; s/\n/ /g')" "$4"
}
certified_key() { # out of the opened reply
    python3 - "$T/opened" <<'PY'
import email, sys
for part in email.message_from_file(open(sys.argv[1])).walk():
    if part.get_filename() == 'key.asc':
        sys.stdout.write(part.get_payload(decode=True).decode())
PY
}

# ---- refused, each by a mail of its own with the same token ----
token=$(token_for alice@example.org)
good=$(gpg_key alice 'Alice Example <alice@example.org>')
as alice gpg --export "$good" >"$T/good.bin"

sed 's/^:-----BEGIN/-----BEGIN/' "$T/alice/.gnupg/openpgp-revocs.d/$good.rev" >"$T/revocation"
user thrown
as thrown gpg --batch --quiet --import "$T/good.bin" "$T/revocation" 2>/dev/null
as thrown gpg --armor --export >"$T/revoked.asc"
is "the revoked key is one" "$(gpg --batch --with-colons --show-keys "$T/revoked.asc" 2>/dev/null | awk -F: '/^pub/{print $2}')" r
plain_mail alice@example.org "$token" "$T/revoked.asc" | becomes 'a revoked key' alice@example.org key-unusable 'is revoked'

two=$(gpg_key carol 'Alice Example <alice@example.org>')
gpg_sub carol "$two" cv25519 encr
as carol gpg --armor --export "$two" >"$T/two.asc"
plain_mail alice@example.org "$token" "$T/two.asc" | becomes 'two encryption subkeys' alice@example.org key-unusable '2 encryption subkeys'

mute=$(gpg_new carol 'Alice Example <alice@example.org>' ed25519 cert)
gpg_sub carol "$mute" cv25519 encr
as carol gpg --armor --export "$mute" >"$T/mute.asc"
plain_mail alice@example.org "$token" "$T/mute.asc" | becomes 'a key without the flag to sign' alice@example.org key-unusable "can't sign"

# Of another version than 4, as the client would send it; in a plain mail it is no key of alice's, for nothing in it can be believed.
sa=$(gpg --batch --with-colons --show-keys "$T/card.asc" 2>/dev/null | awk -F: '/^fpr/{print $10; exit}')
as alice gpg --batch --quiet --import "$T/card.asc" 2>/dev/null
for version in 3 5 6; do
    python3 - "$T/good.bin" "$version" >"$T/version.bin" <<'PY'
import sys
key = bytearray(open(sys.argv[1], 'rb').read())
assert key[0] == 0x98 and key[2] == 4   # old format, a length of one byte, then the version
key[2] = int(sys.argv[2])
sys.stdout.buffer.write(key)
PY
    {
        printf 'From: alice@example.org\nTo: sa@example.org\nSubject: Enrollment request\nMIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=e\n\n'
        printf -- '--e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--e\nContent-Type: application/octet-stream\n\n'
        printf 'Countersign-Request: 1\nRequest-Id: 00000000000000000000000000\nKind: enroll\nAddress: alice@example.org\nKeyset: default\nFingerprint: %s\nAuthority: %s\nCreated: %s\n' \
            "$good" "$sa" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" | forge "$token" "$T/version.bin" | as alice gpg --batch --quiet --trust-model always --armor -r "$sa" -e
        printf -- '\n--e--\n'
    } | becomes "a key of version $version" alice@example.org key-unusable
    gpg --enarmor <"$T/version.bin" 2>/dev/null | sed 's/ARMORED FILE/PUBLIC KEY BLOCK/; /^Comment/d' >"$T/version.asc"
    clear_sent
    plain_mail alice@example.org "$token" "$T/version.asc" | deliver
    agent_once
    like "a key of version $version in a plain mail" "$(outcome_of alice@example.org)" '^key-(unusable|missing)$'
done
is "none of them is stored" "$(store_sql 'SELECT count(*) FROM keyset')" 0

# ---- curves and old algorithms, as policy says ----
p256=$(gpg_new carol 'Alice Example <alice@example.org>' nistp256 sign,cert)
gpg_sub carol "$p256" nistp256 encr
as carol gpg --armor --export "$p256" >"$T/p256.asc"
conf_set policy curves '{"ed25519", "cv25519"}'
plain_mail alice@example.org "$token" "$T/p256.asc" | becomes 'a curve that policy leaves out' alice@example.org key-unusable 'nistp256.* does not accept'
conf_set policy curves '{"ed25519", "cv25519", "nistp256"}'
plain_mail alice@example.org "$token" "$T/p256.asc" | becomes 'the same where policy names it' alice@example.org enrolled

token=$(token_for bob@example.org)
old=$(gpg_new carol 'Bob Example <bob@example.org>' dsa2048 sign,cert)
gpg_sub carol "$old" elg2048 encr
as carol gpg --armor --export "$old" >"$T/dsa.asc"
is "the old key has an Elgamal subkey" "$(gpg --batch --with-colons --show-keys "$T/dsa.asc" 2>/dev/null | awk -F: '/^sub/{print $4}')" 16
plain_mail bob@example.org "$token" "$T/dsa.asc" | becomes 'DSA and Elgamal' bob@example.org key-unusable 'uses dsa, which this authority does not accept'
conf_set policy dsa-elgamal on
plain_mail bob@example.org "$token" "$T/dsa.asc" | becomes 'DSA and Elgamal where policy allows them' bob@example.org enrolled
conf_set policy dsa-elgamal off
like "which stock gpg opens" "$(as carol gpg --batch --quiet -d "$(reply_to bob@example.org)" 2>/dev/null)" 'Your key is certified'

# ---- what is left out of what is certified and published ----
person=$(gpg_key alice 'Dora Example <dora@example.org>')
as alice gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-uid "$person" 'Dora At Home <dora@home.example>' 2>/dev/null
printf '\377\330\377\340\0\020JFIF\0\001\001\0\0\001\0\001\0\0\377\331' >"$T/photo.jpg"
printf 'addphoto\n%s\ny\nsave\n' "$T/photo.jpg" | as alice gpg --no-tty --quiet --pinentry-mode loopback --passphrase '' --command-fd 0 --edit-key "$person" >/dev/null 2>&1
gpg_sub alice "$person" ed25519 auth
as alice gpg --export "$person" >"$T/dora.bin"
bob=$(gpg_key bob 'Bob Example <bob@example.org>')
as bob gpg --batch --quiet --import "$T/dora.bin" 2>/dev/null
as bob gpg --batch --quiet --yes --pinentry-mode loopback --passphrase '' --quick-sign-key "$person" >/dev/null 2>&1
as bob gpg --armor --export-options export-attributes --export "$person" >"$T/dora.asc"
sent=$(gpg --batch --with-colons --list-packets "$T/dora.asc" 2>/dev/null)
is "the key sent has another user ID, a photograph and foreign certifications" \
    "$(grep -c '^:user ID packet' <<<"$sent") $(grep -c '^:attribute packet' <<<"$sent") $(grep -c "^:signature packet.*keyid ${bob: -16}" <<<"$sent")" "2 1 3"
token=$(token_for dora@example.org)
plain_mail dora@example.org "$token" "$T/dora.asc" | becomes 'a key with much on it' dora@example.org enrolled
as alice gpg --batch --quiet -d "$(reply_to dora@example.org)" 2>/dev/null >"$T/opened"
nonce=$(grep -o 'Confirmation: [0-9A-Z-]*' "$T/opened" | head -n 1)
printf 'From: dora@example.org\nTo: sa@example.org\nSubject: Re\n\n%s\n' "$nonce" | deliver
agent_once
published() { find "$T/wkd" -type f -path '*/hu/*' | while read -r f; do gpg --batch --with-colons --show-keys "$f" 2>/dev/null | grep -q "^fpr.*$1" && echo "$f"; done; }
certified_key >"$T/certified.asc"
for place in "$T/certified.asc" "$(published "$person")"; do
    what=published
    [ "$place" = "$T/certified.asc" ] && what="in the reply"
    left=$(gpg --batch --list-packets "$place" 2>/dev/null)
    is "$what: one user ID, no photograph" "$(grep -c '^:user ID packet' <<<"$left") $(grep -c '^:attribute packet' <<<"$left")" "1 0"
    like "$what: the address's" "$left" 'user ID packet: "Dora Example <dora@example.org>"'
    is "$what: no certification by others" "$(grep -c "^:signature packet.*keyid ${bob: -16}" <<<"$left")" 0
    is "$what: one by the authority" "$(grep -c "^:signature packet.*keyid ${sa: -16}" <<<"$left")" 1
    is "$what: one encryption subkey" "$(gpg --batch --with-colons --show-keys "$place" 2>/dev/null | awk -F: '/^sub/ && $12 ~ /e/' | wc -l)" 1
done

# ---- further addresses (--also) ----
pair=$(gpg_key carol 'Erin Example <erin@example.org>')
as carol gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-uid "$pair" 'Erin Example <e.example@example.org>' 2>/dev/null
as carol gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-uid "$pair" 'Erin Example <erin@home.example>' 2>/dev/null
as carol gpg --armor --export "$pair" >"$T/erin.asc"
token=$(token_for --also e.example@example.org erin@example.org)
plain_mail erin@example.org "$token" "$T/erin.asc" | becomes 'a key with a further address named at issue' erin@example.org enrolled
as carol gpg --batch --quiet -d "$(reply_to erin@example.org)" 2>/dev/null >"$T/opened"
certified_key >"$T/certified.asc"
signed=$(gpg --batch --list-packets "$T/certified.asc" 2>/dev/null | grep -E "^:user ID|^:signature packet.*keyid ${sa: -16}" | sed 's/^:user ID packet: //; s/^:signature.*/certified/')
is "both user IDs are certified, and no third" "$(tr '\n' ' ' <<<"$signed" | sed 's/ $//' | grep -oE '"[^"]*"( certified)?' | sort | tr '\n' ';')" \
    '"Erin Example <e.example@example.org>" certified;"Erin Example <erin@example.org>" certified;'
done_testing
