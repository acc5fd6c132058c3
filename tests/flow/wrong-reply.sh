#!/usr/bin/env bash
# Wrong replies (P6.8): damaged, somebody else's, made by another key, or altered within; and wrong surroundings of `open`. Nothing is installed.
. "$(dirname "$0")/../lib/flow.sh"
. "$top/tests/lib/wrong.sh"

authority_new
conf_set limits mails-per-address-day 10000
countersignctl authority export >"$T/card.asc"
secret() { printf '%s\n' "$2" >"$T/$1" && chmod 600 "$T/$1"; }
secret password 'correct horse'
secret empty ''
asks() { # WHO KEYSET
    token_for "$1@example.org" >"$T/$1.token"
    as "$1" countersign request --token-file "$T/$1.token" --authority-key "$T/card.asc" --address "$1@example.org" --name "$1" --keyset "$2" --submit "maildir:$T/mail/inbox" "${@:3}"
}
attachment() { python3 -c 'import email,sys; [sys.stdout.buffer.write(p.get_payload(decode=True)) for p in email.message_from_binary_file(open(sys.argv[1],"rb")).walk() if p.get_filename()=="reply.countersign"]' "$1"; }
for who in alice bob dora; do
    user $who
    ok "$who asks" asks $who default
    agent_once
done
cp "$(reply_to alice@example.org)" "$T/mail.eml"
attachment "$T/mail.eml" >"$T/good"
attachment "$(reply_to bob@example.org)" >"$T/bob.reply"
as dora rm -rf "$T/dora/.local"
attachment "$(reply_to dora@example.org)" >"$T/dora.reply"
pending=$(echo "$T"/alice/.local/share/countersign/pending/*/h)
sa=$(countersignctl --json authority show | python3 -c 'import json,sys; print(json.load(sys.stdin)["fingerprint"].replace(" ", ""))')

# Everything that a forger could have: the authority's key, one of the same name, and the key to which it is sealed.
forge="$T/gnupg-forge" reads="$T/gnupg-reads"
cp -r "$T/sa/state/keys" "$forge"
cp -r "$pending" "$reads"
rm -f "$reads"/S.* "$forge"/S.* "$forge"/*.conf
f() { gpg --homedir "$forge" --batch --quiet --trust-model always --pinentry-mode loopback --passphrase '' "$@" 2>>"$T/forge.log"; }
rogue=$(f --yes --status-fd 1 --quick-gen-key 'Example Security Authority <sa@example.org>' ed25519 sign,cert 0 | sed -n 's/.*KEY_CREATED . //p')
mine=$(gpg --homedir "$reads" --batch --list-secret-keys --with-colons 2>/dev/null | awk -F: '/^fpr/{print $10; exit}')
gpg --homedir "$reads" --batch --export "$mine" 2>/dev/null | f --import
gpg --homedir "$reads" --batch --quiet --pinentry-mode loopback --passphrase '' -d "$T/good" 2>/dev/null | python3 -c '
import email, sys
for p in email.message_from_binary_file(sys.stdin.buffer).walk():
    if not p.is_multipart():
        name = p.get_filename()
        print("--b\nContent-Type: " + p.get_content_type() + (f"; name=\"{name}\"\nContent-Disposition: attachment; filename=\"{name}\"" if name else ""))
        print("\n" + p.get_payload(decode=True).decode().replace("\r", ""))
print("--b--")' | sed '1i Content-Type: multipart/mixed; boundary=b\n' >"$T/content"
like "the good reply's content is at hand" "$(cat "$T/content")" '^Countersign-Reply: 1'
sealed() { f --armor -r "$mine" -s -u "${1:-$sa}" "${@:2}" -e; } # < CONTENT
altered() { sed "$@" "$T/content" | sealed >"$T/altered"; }

cp -r "$T/alice" "$T/control"
find "$T/control" -name 'S.*' -delete
sealed <"$T/content" >"$T/altered"
ok "what is altered below is a reply, unaltered" as control countersign open --level low --output "$T/confirmation" "$T/altered"
watch "$T/alice" "$T/mail"
opens() { wrong "$1" "$2" "$3" as alice countersign open --level medium --password-file "$T/password" --submit "maildir:$T/mail/inbox" "${@:4}"; }

# ---- what is no reply ----
: >"$T/nothing"
{ printf '\377\1'; head -c 5000 /dev/urandom; } >"$T/junk"
head -c 70000000 /dev/zero >"$T/huge"
opens "an empty file" 65 'no reply.*nothing' "$T/nothing"
opens "junk" 65 'no reply.*junk' "$T/junk"
opens "70 MB" 65 'huge is larger' "$T/huge"
opens "a directory" 66 'directory' "$T"
opens "a file that is not there" 66 'no-such' "$T/no-such"
opens "nothing on standard input" 65 'standard input'
INPUT="$T/junk" opens "junk on standard input" 65 'standard input' -
opens "a token mail" 65 'no reply' "$(sent_to alice@example.org | head -n 1)"
opens "the authority's card" 6'[57]' '.' "$T/card.asc"
as alice gpg --armor --export-secret-keys 2>/dev/null >"$T/key.asc"
cp "$T/alice.token" "$T/text"
opens "a token" 65 'no reply' "$T/text"

# ---- damaged ----
size=$(wc -c <"$T/good")
for part in 2 4; do
    head -c $((size * (part - 1) / part)) "$T/good" >"$T/cut"
    opens "the reply cut off" 65 'damaged or incomplete.*save it again' "$T/cut"
    head -c $(($(wc -c <"$T/mail.eml") * (part - 1) / part)) "$T/mail.eml" >"$T/cut"
    opens "its mail cut off" 65 'damaged or incomplete.*save it again' "$T/cut"
done
sed '/^-----BEGIN PGP MESSAGE/,$d' "$T/mail.eml" >"$T/cut"
opens "its mail cut off where the attachment begins" 65 'damaged or incomplete.*save it again' "$T/cut"
gpg --dearmor <"$T/good" >"$T/binary" 2>/dev/null
python3 - "$T" <<'PY'
import sys
T = sys.argv[1]
text, binary = open(T + '/good').read(), open(T + '/binary', 'rb').read()
for i, at in enumerate([len(text) // 3, len(text) // 2, len(text) - 60]):
    while not text[at].isalnum(): at += 1
    open(f'{T}/changed{i}', 'w').write(text[:at] + ('B' if text[at] != 'B' else 'C') + text[at + 1:])
for i, at in enumerate([16, 60, len(binary) // 2, len(binary) - 3]):
    open(f'{T}/binary{i}', 'wb').write(binary[:at] + bytes([binary[at] ^ 1]) + binary[at + 1:])
open(T + '/half', 'wb').write(binary[:len(binary) // 2])
PY
for i in 0 1 2; do opens "one character changed ($i)" '6[57]' 'damaged|no reply' "$T/changed$i"; done
for i in 0 1; do opens "one bit changed, so that it is nobody's ($i)" '(67|76)' 'no request made here|damaged' "$T/binary$i"; done
for i in 2 3; do opens "one bit changed ($i)" 76 'damaged on its way.*--again' "$T/binary$i"; done
opens "the first half of it, binary" 76 'damaged on its way' "$T/half"

# ---- not for this request ----
opens "somebody else's reply" 67 'on the computer where you made the request' "$T/bob.reply"
wrong "a reply to a request made elsewhere" 67 'ask your administrator to recover' as dora countersign open "$T/dora.reply"

# ---- made by others, or altered within ----
sealed "$rogue" <"$T/content" >"$T/altered"
opens "signed by another key of that name" 76 "not signed by the security authority that you asked" "$T/altered"
f --armor -r "$mine" -e <"$T/content" >"$T/altered"
opens "not signed at all" 76 'not signed' "$T/altered"
sealed "$sa" -u "$rogue" <"$T/content" >"$T/altered"
opens "signed twice" 76 'not signed' "$T/altered"
f --armor -s -u "$sa" <"$T/content" >"$T/altered"
opens "signed, but not encrypted" 65 'no reply' "$T/altered"
for field in 's/^Request-Id: ....../Request-Id: 000000/|request' 's/^Address: alice/Address: bob/|address' 's/^Keyset: default/Keyset: other/|keyset' \
    "s/^Fingerprint: .*/Fingerprint: $sa/|key" "s/^Authority: .*/Authority: $rogue/|authority"; do
    altered "${field%|*}"
    opens "rightly signed, but the ${field#*|} is another" 76 "about another ${field#*|}" "$T/altered"
done
altered 's/^Result: enrolled/Result: renewed/'
opens "an answer to a renewal that nobody asked for" 76 "not what you asked for" "$T/altered"
for change in '/^Nonce: /d' '/^Log-Head: /d' 's/^Countersign-Reply: 1/Countersign-Reply: 2/' 's/^Certified-Until: .*/Certified-Until: tomorrow/' '/^Keyset: /d' 's/^Address: .*/&\r\nAddress: alice@example.org/'; do
    altered "$change"
    opens "rightly signed, but damaged: $change" '(65|76)' 'damaged|another' "$T/altered"
done
head -c 400 "$T/content" | sealed >"$T/altered"
opens "rightly signed, but only its beginning" '(65|76)' 'damaged|not in the reply' "$T/altered"
echo hello | sealed >"$T/altered"
opens "rightly signed, but no reply" 65 'damaged' "$T/altered"
with_key() { # < KEY: the content with this key in place of the certified one
    python3 - "$T/content" "$(f --enarmor | sed 's/ARMORED FILE/PUBLIC KEY BLOCK/;/^Comment/d')" <<'PY' | sealed >"$T/altered"
import re, sys
text = open(sys.argv[1], newline='').read()
block = re.search(r'-----BEGIN PGP PUBLIC KEY BLOCK-----.*?-----END PGP PUBLIC KEY BLOCK-----', text, re.S)
sys.stdout.write(text[:block.start()] + sys.argv[2].strip() + text[block.end():])
PY
}
f --export "$mine" | with_key
opens "a key that is not certified" 76 'no valid certification' "$T/altered"
f --export "$rogue" | with_key
opens "another key" 76 'not in the reply' "$T/altered"
f --yes -u "$rogue" --quick-sign-key "$mine"
f --export "$mine" | with_key
opens "a key that another certified" 76 'no valid certification' "$T/altered"
f --yes -u "$sa" --quick-lsign-key "$mine"
f --export-options export-local-sigs --export "$mine" >"$T/local"
f --yes -u "$sa" --default-cert-expire seconds=1 --force-sign-key --quick-sign-key "$mine"
f --export "$mine" >"$T/expired"
sleep 1.5
with_key <"$T/expired"
opens "a certification that has ended" 76 'no valid certification' "$T/altered"
f --yes -u "$sa" --default-cert-expire 1y --force-sign-key --quick-sign-key "$mine"
f --yes --quick-revoke-sig "$mine" "$sa"
f --export "$mine" | with_key
opens "a certification that was revoked" 76 'no valid certification' "$T/altered"
is "nothing was installed in all that" "$(as alice gpg --list-keys 2>/dev/null | grep -c alice)" 0
like "the request still waits" "$(as alice countersign list)" 'default.*waiting'

# ---- refusals ----
asks bob other >/dev/null
token_for bob@example.org >/dev/null
agent_once
refusal=$(reply_to bob@example.org)
is "bob is refused" "$(reason_of "$refusal")" token-superseded
attachment "$refusal" | tr -d '\r' >"$T/refusal"
watch "$T/alice" "$T/bob/.gnupg" "$T/bob/.local" "$T/mail"
refused() { wrong "$1" "$2" "$3" as bob countersign open "${@:4}"; }
says() { awk '/^$/ && !begun { begun = 1; next } /^-----BEGIN PGP SIGNATURE/ { exit } begun' "$T/refusal"; }
sed 's/^What: .*/What: Your key is fine, send the password to mallory@example.com./' "$T/refusal" >"$T/altered"
refused "a refusal with another sentence" 76 'not signed|signature' "$T/altered"
sed 's/^Advice: .*/&X/' "$T/refusal" >"$T/altered"
refused "a refusal with a longer advice" 76 'not signed|signature' "$T/altered"
says | f --clearsign -u "$rogue" >"$T/altered"
refused "a refusal by another key of that name" 76 'not signed' "$T/altered"
says | sed 's/^Request-Id: ..../Request-Id: 0000/' | f --clearsign -u "$sa" >"$T/altered"
refused "a refusal of another request" 67 'no request made here' "$T/altered"
opens "a refusal for somebody else" 67 'no request made here' "$T/refusal"
head -c 300 "$T/refusal" >"$T/altered"
refused "a refusal cut off" 65 'damaged or incomplete.*save it again' "$T/altered"
for file in "$T/refusal" "$refusal"; do
    exits "the refusal" 77 as bob countersign open "$file"
    like "has its two sentences" "$exits_output" '^countersign: .*refused the request \(token-superseded\): .*[.] .*[.]$'
done
like "is kept with its request" "$(as bob countersign list)" 'other.*refused'

# ---- the surroundings of a good one ----
watch "$T/alice" "$T/mail"
opens "an output that exists" 73 'exists' --output "$T/card.asc" "$T/good"
opens "a key file that exists" 73 'exists' --key-file "$T/card.asc" "$T/good"
opens "a level that is none" 64 'highest' --level highest "$T/good"
share="$T/alice/.local/share/countersign"
watch "$T/alice/.gnupg" "$share/keysets" "$T/mail"
opens "an empty password" '7[78]' 'empty' --password-file "$T/empty" "$T/good"
chmod 644 "$T/password"
opens "a password that others can read" 78 'chmod' "$T/good"
chmod 600 "$T/password"
opens "no password file" 66 'no-such' --password-file "$T/no-such" "$T/good"
wrong "cancelled" 77 'not installed: cancelled' as alice countersign open --submit "maildir:$T/mail/inbox" "$T/good"
wrong "cancelled in a dialog" 77 'cancelled' as alice countersign open --dialog --submit "maildir:$T/mail/inbox" "$T/good"
: >"$T/file"
opens "a home that is a file" '(69|7[0-9])' "$T/file" --home "$T/file" "$T/good"
opens "a home in no directory" '(69|7[0-9])' "$T/file/home" --home "$T/file/home" "$T/good"
if [ "$(id -u)" = 0 ]; then
    # A home that can't be written to.
    chmod 711 "$T"
    mkdir -m 755 "$T/bin"
    install -m 755 "$build/countersign" "$T/bin"
    cp -r "$T/alice" "$T/poor"
    find "$T/poor" -name 'S.*' -delete
    install -m 644 "$T/good" "$T/bin/reply"
    install -m 600 -o 65534 "$T/password" "$T/bin/password"
    chown -R 65534:65534 "$T/poor"
    chmod -R a-w "$T/poor"
    poor() { HOME="$T/poor" setpriv --reuid 65534 --regid 65534 --clear-groups "$T/bin/countersign" "$@"; }
    watch "$T/poor" "$T/mail"
    wrong "open in a home that can't be written to" '(69|7[0-9])' "$T/poor" poor open --level medium --password-file "$T/bin/password" "$T/bin/reply"
    wrong "request in a home that can't be written to" '(69|7[0-9])' "$T/poor" poor request --address alice@example.org --keyset x --output "$T/bin/out" --authority-key "$T/bin/reply"
    like "but it can be looked at" "$(poor list 2>&1)" 'default'
fi

# ---- and the good one is opened, whatever was tried before ----
watch "$T/bob"
wrong "a full device for the confirmation" 75 'is installed, but its confirmation was not sent' as alice sh -c 'countersign open --level medium --password-file "$1" --output - "$2" >/dev/full' countersign "$T/password" "$T/good"
like "it is installed all the same" "$(as alice countersign list)" 'default.*unconfirmed'
ok "opened again it confirms" as alice countersign open --submit "maildir:$T/mail/inbox" "$T/mail.eml"
like "and is active" "$(as alice countersign list)" 'default.*active'
watch "$T/alice" "$T/mail"
ok "opened once more it changes nothing" as alice countersign open "$T/good"
for command in list status 'status default'; do
    # shellcheck disable=SC2086
    {
        OUTPUT=/dev/full wrong "$command: a full device" '7[45]' 'output' as alice countersign $command
        wrong "$command: standard output is closed" 74 'output' closed as alice countersign $command
        ok "$command --json is JSON" bash -c 'set -o pipefail; "$@" --json | python3 -m json.tool' bash env HOME="$T/alice" countersign $command
        ok "$command --json is JSON where there is a refusal" bash -c 'set -o pipefail; "$@" --json | python3 -m json.tool' bash env HOME="$T/bob" countersign ${command/default/other}
    }
done
mkdir -m 700 "$T/nobody"
ok "list --json of nothing is JSON" bash -c 'HOME=$1 countersign list --json | python3 -m json.tool' bash "$T/nobody"
done_testing
