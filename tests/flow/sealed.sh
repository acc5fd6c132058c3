#!/usr/bin/env bash
# Plain requests that stock gpg encrypted or signed (P3.1, P2.4): PGP/MIME and in line by hand, and what an active keyset's signature is worth.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 1000
countersignctl authority export >"$T/card.asc"
for who in alice bob; do
    user $who
    as $who gpg --batch --quiet --import "$T/card.asc" 2>/dev/null
done
sa=$(as alice gpg --list-keys --with-colons sa@example.org | awk -F: '/^fpr/{print $10; exit}')
daemon_start || true

mailbox_empty() { [ -z "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f)" ]; }
# Notices may wait for the sender's next round.
settled() { mailbox_empty && [ "$(store_sql "SELECT count(*) FROM outbox WHERE sent = 0 AND failed = 0 AND kind IN ('reply', 'refusal')")" = 0 ]; }
# becomes ADDRESS OUTCOME NAME < MAIL: "enrolled KEYSET", a reason code, or silence. An active keyset of the name is told by its state, not by mail.
becomes() {
    local mail outcome
    clear_sent
    deliver
    await 20 settled
    mail=$(reply_to "$1")
    if [ -z "$mail" ]; then
        outcome=silence
    elif grep -q '^Reason code' "$mail"; then
        outcome=$(reason_of "$mail")
    else
        outcome="enrolled $(store_sql "SELECT name FROM keyset WHERE address = '$1' ORDER BY id DESC LIMIT 1")"
    fi
    is "$3" "$outcome" "$2"
}
person() { # ADDRESS, for bob's gpg: its key file is $T/ADDRESS.asc
    as bob gpg --armor --export "$(gpg_key bob "Some Person <$1>")" >"$T/$1.asc"
    token=$(token_for "$1")
}
head_of() { printf 'From: Some Person <%s>\nTo: sa@example.org\nSubject: %s\nMessage-ID: <%s@example.org>\nDate: Mon, 23 Nov 2026 00:00:00 +0000\nMIME-Version: 1.0\n' "$1" "${2:-...}" "$RANDOM$RANDOM$RANDOM"; }
seal() { as bob gpg --batch --quiet --no-tty --trust-model always --armor -r "$sa" "$@" -e; } # on standard input and output
# A multipart entity as a mail program encrypts it; with token and lines inside and a key attached.
entity() { # TOKEN KEYFILE [LINES]
    printf 'Content-Type: multipart/mixed; boundary="in"; protected-headers="v1"\nFrom: x\nSubject: My key\n\n--in\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n'
    printf 'My token is %s=\n-%s\n%s\n\n' "${1%-*}" "${1##*-}" "${3:-}"
    printf -- '--in\nContent-Type: application/pgp-keys; name="key.asc"\nContent-Disposition: attachment; filename="key.asc"\n\n'
    cat "$2"
    printf -- '\n--in--\n'
}
in_clear() { # ADDRESS < ENTITY
    head_of "$1"
    sed '/^From: x$/d; /^Subject: My key$/d'
}
mime_encrypted() { # ADDRESS < ARMOR
    head_of "$1"
    printf 'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\n boundary="out"\n\nThis is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\n--out\nContent-Type: application/pgp-encrypted\nContent-Description: PGP/MIME version identification\n\nVersion: 1\n\n--out\nContent-Type: application/octet-stream; name="encrypted.asc"\nContent-Disposition: inline; filename="encrypted.asc"\n\n'
    cat
    printf -- '\n--out--\n'
}
mime_signed() { # ADDRESS KEY SUBJECT < ENTITY
    sed 's/\r*$/\r/' >"$T/part"
    as bob gpg --batch --quiet --no-tty --armor -u "$2" --detach-sign -o - "$T/part" >"$T/part.sig"
    head_of "$1" "$3"
    printf 'Content-Type: multipart/signed; micalg=pgp-sha512;\n protocol="application/pgp-signature"; boundary="sig"\n\n--sig\n'
    tr -d '\r' <"$T/part"
    printf -- '\n--sig\nContent-Type: application/pgp-signature; name="signature.asc"\n\n'
    cat "$T/part.sig"
    printf -- '\n--sig--\n'
}
text_mail() { # ADDRESS [SUBJECT] < TEXT
    head_of "$1" "${2:-}"
    printf 'Content-Type: text/plain; charset=utf-8\n\n'
    cat
}
with_attached() { # ADDRESS KEYFILE < TEXT
    head_of "$1"
    printf 'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain; charset=utf-8\n\n'
    cat
    printf -- '\n--b\nContent-Type: application/pgp-keys; name="key.asc"\nContent-Disposition: attachment; filename="key.asc"\n\n'
    cat "$2"
    printf -- '\n--b--\n'
}

# ---- encrypted, not signed or signed by the new key itself ----
person a1@example.org
entity "$token" "$T/a1@example.org.asc" 'Keyset: laptop' | seal | mime_encrypted a1@example.org | becomes a1@example.org 'enrolled laptop' "PGP/MIME, all of it inside"
person a2@example.org
entity "$token" "$T/a2@example.org.asc" | sed 's/$/\r/' | seal -s -u a2@example.org | mime_encrypted a2@example.org | becomes a2@example.org 'enrolled default' "PGP/MIME, signed by the new key"
like "which is answered encrypted, as it must be" "$(cat "$(reply_to a2@example.org)")" '^Content-Type: multipart/encrypted'
person a3@example.org
{ printf 'Hello,\n\nmy token is %s\nKeyset: work\n\n' "$token"; cat "$T/a3@example.org.asc"; } | seal | text_mail a3@example.org | becomes a3@example.org 'enrolled work' "in line by hand, token and key in the text"
person a4@example.org
printf 'my token is %s\nKeyset: work\n' "$token" | seal | with_attached a4@example.org "$T/a4@example.org.asc" | becomes a4@example.org 'enrolled work' "in line by hand, the key attached in clear"
person a5@example.org
printf '%s\n' "$token" | seal -s -u a5@example.org | { printf 'My token, encrypted:\n\n'; cat; printf '\n-- \nSome Person\n'; } | with_attached a5@example.org "$T/a5@example.org.asc" |
    becomes a5@example.org 'enrolled default' "in line, signed, with text around"
person a6@example.org
{ printf '%s\n\n' "$token"; cat "$T/a6@example.org.asc"; } | seal | mime_encrypted a6@example.org | becomes a6@example.org 'enrolled default' "PGP/MIME around mere text"
person a7@example.org
entity "$token" "$T/a7@example.org.asc" >"$T/part"
{ printf 'Content-Type: multipart/signed; micalg=pgp-sha512; protocol="application/pgp-signature"; boundary="sig"\n\n--sig\n'; cat "$T/part"; printf -- '\n--sig\nContent-Type: application/pgp-signature\n\n'; sed 's/$/\r/' "$T/part" | as bob gpg --batch --quiet -u a7@example.org --armor --detach-sign; printf -- '\n--sig--\n'; } |
    seal | mime_encrypted a7@example.org | becomes a7@example.org 'enrolled default' "signed, then encrypted around it (RFC 3156 6.1)"
person a8@example.org
printf 'Content-Type: text/html; charset=utf-8\n\n<html><body><p>My token: <b>%s</b></p><pre>%s</pre></body></html>\n' "$token" "$(cat "$T/a8@example.org.asc")" | seal | mime_encrypted a8@example.org |
    becomes a8@example.org 'enrolled default' "PGP/MIME around HTML"
person c1@example.org
{ cat "$T/c1@example.org.asc"; } | seal | { printf 'Token: %s\n\n' "$token"; cat; } | text_mail c1@example.org | becomes c1@example.org 'enrolled default' "the token in clear, the key encrypted"
person c2@example.org
{ printf 'Keyset: work\n\n'; cat "$T/c2@example.org.asc"; } | seal | { cat; printf '\nOn Monday, the authority wrote:\n> Token: %s\n' "$token"; } | text_mail c2@example.org |
    becomes c2@example.org 'enrolled work' "the answer encrypted by hand, what it answers quoted in clear"
person a9@example.org
entity "$token" "$T/a9@example.org.asc" | as bob gpg --batch --quiet --trust-model always --armor -r a9@example.org -e | mime_encrypted a9@example.org | becomes a9@example.org silence "encrypted to somebody else"
entity "$token" "$T/a9@example.org.asc" | as bob gpg --batch --quiet --trust-model always --armor -R "$sa" -r a9@example.org -e | mime_encrypted a9@example.org |
    becomes a9@example.org 'enrolled default' "encrypted to the authority, hidden, and to the sender"
conf_set policy plain-requests encrypted
daemon_stop; daemon_start
person b1@example.org
entity "$token" "$T/b1@example.org.asc" | in_clear b1@example.org | becomes b1@example.org policy "policy wants encryption: in clear"
printf 'see the attached\n' | seal | with_attached b1@example.org "$T/b1@example.org.asc" | sed "s/^Subject: .*/Subject: $token/" | becomes b1@example.org policy "policy wants encryption: the token outside of it"
entity "$token" "$T/b1@example.org.asc" | seal | mime_encrypted b1@example.org | becomes b1@example.org 'enrolled default' "policy wants encryption: encrypted"
conf_set policy plain-requests on
daemon_stop; daemon_start

# ---- the reply answered encrypted, as mail programs do by themselves (P5.4) ----
nonce=$(as bob gpg --batch --quiet -d "$(reply_to b1@example.org)" 2>/dev/null | grep -o 'Confirmation: [0-9A-Z-]*' | head -n 1)
clear_sent
printf 'Content-Type: text/plain; charset=utf-8; protected-headers="v1"\nSubject: Re: Reply from the Security Authority\n\nOn Monday, the authority wrote:\n> Your key is certified.\n> %s\n\nThanks.\n' "$nonce" |
    seal -s -u b1@example.org | mime_encrypted b1@example.org | deliver
await 20 settled
like "the answer may be encrypted" "$(countersignctl user show b1@example.org)" active

# ---- P2.4: b1 has an active keyset; a second one wants its signature ----
make_second() { # a second key for the same address
    second=$(gpg_key bob "Some Person <b1@example.org>")
    as bob gpg --armor --export "$second" >"$T/second.asc"
}
current=$(as bob gpg --list-keys --with-colons b1@example.org | awk -F: '/^fpr/{print $10; exit}')
make_second
token=$(token_for b1@example.org)
entity "$token" "$T/second.asc" 'Keyset: one' | in_clear b1@example.org | becomes b1@example.org keyset-exists "active: no signature"
entity "$token" "$T/second.asc" 'Keyset: one' | mime_signed b1@example.org "$second!" 'My key' | becomes b1@example.org signature-invalid "active: signed by the new key only"
entity "$token" "$T/second.asc" 'Keyset: one' | mime_signed b1@example.org "$current!" 'My key' | sed 's/Keyset: one/Keyset: two/' | becomes b1@example.org signature-invalid "active: altered after signing"
entity "$token" "$T/second.asc" 'Keyset: one' | mime_signed b1@example.org "$current!" "My key" | { sed '/^Content-Type: multipart\/signed/{s/^/Content-Type: multipart\/mixed; boundary="list"\n\n--list\n/}'; printf -- '\n--list\nContent-Type: text/plain\n\nfooter of a list\n--list--\n'; } |
    becomes b1@example.org keyset-exists "active: a list's footer stands beside what was signed"
entity "$token" "$T/second.asc" 'Keyset: one' | mime_signed b1@example.org "$current!" 'My key' | becomes b1@example.org 'enrolled one' "active: signed by the current key (PGP/MIME)"
make_second
token=$(token_for b1@example.org)
{ printf 'My token: %s\nKeyset: two\n\n' "$token"; cat "$T/second.asc"; } >"$T/text"
as bob gpg --batch --quiet --armor -u "$second!" --clearsign -o - "$T/text" | text_mail b1@example.org | becomes b1@example.org signature-invalid "active: in line, by the new key only"
as bob gpg --batch --quiet --armor -u "$current!" --clearsign -o - "$T/text" | { cat; printf '\nfooter of a list\n'; } | text_mail b1@example.org | becomes b1@example.org keyset-exists "active: in line, with a footer that nobody signed"
as bob gpg --batch --quiet --armor -u "$current!" --clearsign -o - "$T/text" | sed 's/Keyset: two/Keyset: ten/' | text_mail b1@example.org | becomes b1@example.org signature-invalid "active: in line, altered"
as bob gpg --batch --quiet --armor -u "$current!" --clearsign -o - "$T/text" | text_mail b1@example.org | becomes b1@example.org 'enrolled two' "active: signed in line by the current key"
make_second
token=$(token_for b1@example.org)
entity "$token" "$T/second.asc" 'Keyset: three' | seal | mime_encrypted b1@example.org | becomes b1@example.org keyset-exists "active: encrypted only"
entity "$token" "$T/second.asc" 'Keyset: three' | seal -s -u "$second!" | mime_encrypted b1@example.org | becomes b1@example.org signature-invalid "active: encrypted and signed by the new key"
entity "$token" "$T/second.asc" 'Keyset: three' | seal -s -u "$current!" | mime_encrypted b1@example.org | becomes b1@example.org 'enrolled three' "active: encrypted and signed by the current key"
make_second
token=$(token_for b1@example.org)
entity "$token" "$T/second.asc" 'Keyset: four' | sed 's/\r*$/\r/' >"$T/part"
{ printf 'Content-Type: multipart/signed; micalg=pgp-sha512; protocol="application/pgp-signature"; boundary="sig"\n\n--sig\n'; tr -d '\r' <"$T/part"; printf -- '\n--sig\nContent-Type: application/pgp-signature\n\n'; as bob gpg --batch --quiet -u "$current!" --armor --detach-sign -o - "$T/part"; printf -- '\n--sig--\n'; } |
    seal | mime_encrypted b1@example.org | becomes b1@example.org 'enrolled four' "active: signed inside the encryption (RFC 3156 6.1)"
make_second
token=$(token_for b1@example.org)
{ printf 'My token: %s\nKeyset: five\n\n' "$token"; cat "$T/second.asc"; } | as bob gpg --batch --quiet --armor -u "$current!" --clearsign | seal | text_mail b1@example.org |
    becomes b1@example.org 'enrolled five' "active: cleartext signature inside an encryption by hand"
make_second
token=$(token_for --additional b1@example.org)
entity "$token" "$T/second.asc" 'Keyset: six' | in_clear b1@example.org | becomes b1@example.org 'enrolled six' "active: a token issued with --additional needs none"
done_testing
