#!/usr/bin/env bash
# A key that revokes itself (P3.8): by any mail, without a token and without an answer; and what pretends to be a revocation changes nothing.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/requests.sh"

authority_new
conf_set limits mails-per-address-day 1000
conf_set wkd directory "\"$T/wkd\""
conf_set notify auditors '{"audit@example.org"}'
knowing_user alice bob carol dora erin frank grace heidi
for who in alice bob carol erin frank grace heidi; do enroll_plain $who; done
plain_mail dora@example.org "$(token_for dora@example.org)" "$T/dora.asc" | send
is "seven keysets are active, one is not confirmed" "$(store_sql 'SELECT count(*), sum(confirmed > 0) FROM keyset')" '8|7'
state_of() { store_sql "SELECT CASE WHEN revoked > 0 THEN 'revoked' WHEN confirmed > 0 THEN 'active' ELSE 'unconfirmed' END FROM keyset WHERE address = '$1@example.org'"; }
# As GnuPG makes one with every key; the colon that it puts in front guards against accidents.
certificate() { sed -n 's/^:*\(-----BEGIN\)/\1/; /^-----BEGIN/,$p' "$T/$1/.gnupg/openpgp-revocs.d/${!1}.rev"; }
binary_certificate() { certificate "$1" | gpg --batch --dearmor; }
published() { # WHO: validity of the key in its WKD entry, as stock gpg sees it
    find "$T/wkd" -type f -path '*/hu/*' -exec cat {} + | gpg --batch --with-colons --show-keys 2>/dev/null | awk -F: -v id="${!1:24}" '/^pub/ && $5 == id {print $2 == "r" ? "revoked" : "valid"}'
}
mail_of() { # FROM SUBJECT FILE [HEADER]: any mail with an attachment
    printf 'From: %s\nTo: sa@example.org\nSubject: %s\nMessage-ID: <%s@example.org>\n%sMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nMy key.\n\n--b\nContent-Type: application/pgp-keys; name="key.asc"\nContent-Disposition: attachment; filename="key.asc"\n\n' \
        "$1" "$2" "$RANDOM$RANDOM" "${4:-}"
    cat "$3"
    printf -- '\n--b--\n'
}
armored() { gpg --batch --enarmor | sed 's/PGP ARMORED FILE/PGP PUBLIC KEY BLOCK/; /^Comment/d'; }

# ---- what is none ----
harmless() { # NAME FILE
    mail_of mallory@example.org 'Revoked' "$2" | send
    is "$1 changes nothing" "$(state_of alice) $(published alice)" 'active valid'
    is "and is not answered" "$(ls "$T/mail/outgoing/new" | wc -l)" 0
}
user mallory
mallory=$(gpg_key mallory 'mallory <mallory@example.org>')
certificate mallory >"$T/mallory.rev"
harmless "a revocation of a key that is not enrolled" "$T/mallory.rev"
binary_certificate alice >"$T/good.bin"
python3 - "$T" "$alice" "$mallory" <<'PY'
import subprocess, sys
place, alice, mallory = sys.argv[1:]
good = open(place + '/good.bin', 'rb').read()
open(place + '/bent.bin', 'wb').write(good[:-1] + bytes([good[-1] ^ 1]))
text = subprocess.run(['gpg', '--batch', '--dearmor', '--output', '-', place + '/mallory.rev'], capture_output=True).stdout
named = text.replace(bytes.fromhex(mallory), bytes.fromhex(alice)).replace(bytes.fromhex(mallory[24:]), bytes.fromhex(alice[24:]))
assert named != text
open(place + '/named.bin', 'wb').write(named)
PY
for kind in bent named; do armored <"$T/$kind.bin" >"$T/$kind.asc"; done
harmless "a revocation with a bit turned" "$T/bent.asc"
harmless "mallory's revocation under alice's name" "$T/named.asc"
{ as alice gpg --batch --export "$alice" | head -c 53 && cat "$T/named.bin" && as alice gpg --batch --export "$alice" | tail -c +54; } | armored >"$T/grafted.asc"
harmless "the same grafted into a copy of her key" "$T/grafted.asc"
harmless "her key as it is" "$T/alice.asc"
revoke_subkey alice 1
export_public alice
harmless "her key with a subkey revoked" "$T/alice.asc"

# ---- what is one ----
certificate alice >"$T/alice.rev"
signed_mail alice "$alice" Renew >"$T/renew.eml"
as alice gpg --batch --quiet --import "$T/alice.rev" 2>/dev/null
export_public alice
mail_of alice@example.org 'My key is revoked' "$T/alice.asc" >"$T/revoked.eml"
send <"$T/revoked.eml"
is "a revoked key, attached: revoked" "$(state_of alice)" revoked
is "it is not answered" "$(reply_to alice@example.org)" ""
like "but alice is told" "$(cat "$(last_to alice@example.org '^Subject: A key was revoked by its owner')")" 'If this was not you'
ok "and the auditors" test -n "$(last_to audit@example.org '^Subject: A key was revoked by its owner')"
is "it is published as revoked" "$(published alice)" revoked
entry=$(find "$T/wkd" -type f -path '*/hu/*' -exec grep -laF "alice@example.org" {} +)
like "sq sees it, too" "$(sq inspect "$entry" 2>/dev/null)" '[Rr]evoked'
like "the log says so" "$(countersignctl log --address alice@example.org)" self-revoked
send <"$T/revoked.eml"
is "sent again it causes nothing" "$(ls "$T/mail/outgoing/new" | wc -l)" 0
send <"$T/renew.eml"
is "it can't be renewed" "$(reply_to alice@example.org)" ""
token=$(token_for alice@example.org)
plain_mail alice@example.org "$token" "$T/alice.asc" | send
is "nor enrolled again" "$(reason_of "$(reply_to alice@example.org)")" key-unusable
fresh=$(gpg_key alice 'alice <alice@example.org>')
old=$alice
alice=$fresh
export_public alice
plain_mail alice@example.org "$token" "$T/alice.asc" | send
confirm_plain alice
is "another key is published in front of it" "$(find "$T/wkd" -type f -path '*/hu/*' -exec grep -laF "alice@example.org" {} + | xargs cat | gpg --batch --with-colons --show-keys 2>/dev/null | awk -F: '/^pub/{print $5 ":" $2}' | tr '\n' ' ' | sed 's/:[^r ]* /: /')" "${fresh:24}: ${old:24}:r "

# ---- other ways ----
{ printf 'From: somebody@example.net\nTo: sa@example.org\nSubject: lost\nAuto-Submitted: auto-generated\n\nI lost my key.\n\n'; certificate bob; } | send
is "the certificate alone, in the text, from anywhere: revoked" "$(state_of bob)" revoked
is "published as revoked" "$(published bob)" revoked
conf_set policy revoked '"unpublish"'
certificate carol >"$T/carol.rev"
{ printf 'Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\nlost\n\n--b\nContent-Type: application/octet-stream; name=revoke.asc\nContent-Disposition: attachment; filename=revoke.asc\n\n'; cat "$T/carol.rev"; printf -- '\n--b--\n'; } | sealed_mail carol | send
is "encrypted: revoked" "$(state_of carol)" revoked
is "unpublished, where policy says so" "$(published carol)" ""
{ certificate grace; certificate heidi; } >"$T/both.rev"
mail_of mallory@example.org 'Two keys' "$T/both.rev" | send
is "two keys in one mail: both revoked" "$(state_of grace) $(state_of heidi)" 'revoked revoked'
for who in grace heidi; do ok "and $who is told" test -n "$(last_to $who@example.org '^Subject: A key was revoked by its owner')"; done
certificate dora >"$T/dora.rev"
mail_of dora@example.org 'Renew' "$T/dora.rev" | send
is "before it was confirmed: revoked" "$(state_of dora)" revoked
certificate frank >"$T/frank.rev"
quoted=$(store_sql "SELECT nonce FROM keyset WHERE address = 'frank@example.org'")
mail_of frank@example.org 'Re: Reply from the Security Authority' "$T/frank.rev" | sed "s/^My key\.$/Stolen.\n\n> Confirmation: $quoted/" | send
is "in answer to a reply, whose nonce it quotes: revoked" "$(state_of frank)" revoked
conf_set policy revoked '"publish"'
countersignctl wkd export "$T/export" >/dev/null
is "and never published" "$(find "$T/export" -type f -exec grep -laF "dora@example.org" {} + | wc -l)" 0
certificate erin >"$T/erin.rev"
as erin gpg --batch --quiet --import "$T/erin.rev" 2>/dev/null
export_public erin
request_lines renew erin@example.org "$erin" | forge - "$T/erin.bin" | sealed_mail erin | send
is "in the client's lines, though nobody signed them: revoked" "$(state_of erin)" revoked
is "nothing is in quarantine" "$(store_sql 'SELECT count(*) FROM quarantine')" 0
ok "the log is whole" countersignctl log verify
done_testing
