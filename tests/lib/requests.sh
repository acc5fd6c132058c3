# requests.sh: requests that the real client would not make, and what mail programs sign. Sourced after flow.sh; wants $sa, the authority's fingerprint.
request_lines() { # KIND ADDRESS FINGERPRINT [KEYSET [REQUEST-ID [CREATED]]]
    printf 'Countersign-Request: 1\nRequest-Id: %s\nKind: %s\nAddress: %s\nKeyset: %s\nFingerprint: %s\nAuthority: %s\nCreated: %s\n' \
        "${5:-$(request_id)}" "$1" "$2" "${4:-default}" "$3" "$sa" "${6:-$(date -u +%Y-%m-%dT%H:%M:%SZ)}"
}
request_id() { tr -dc '0-9A-HJKMNP-TV-Z' </dev/urandom | head -c 26; }
confirmation_lines() { # ADDRESS FINGERPRINT NONCE [KEYSET]
    printf 'Countersign-Confirmation: 1\nRequest-Id: %s\nAddress: %s\nKeyset: %s\nFingerprint: %s\nAuthority: %s\nNonce: %s\n' \
        00000000000000000000000000 "$1" "${4:-default}" "$2" "$sa" "$3"
}
sealed_mail() { # WHO [SIGNER] < INSIDE : a client's mail, encrypted to the authority and, where SIGNER is given, signed
    local who=$1
    printf 'From: %s@example.org\nTo: sa@example.org\nSubject: Enrollment request\nMessage-ID: <%s@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=e\n\n--e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--e\nContent-Type: application/octet-stream\n\n' \
        "$who" "$RANDOM$RANDOM$RANDOM"
    as "$who" gpg --batch --quiet --trust-model always --armor -r "$sa" ${2:+-s -u "$2"} -e 2>/dev/null
    printf -- '\n--e--\n'
}
signed_mail() { # WHO SIGNER SUBJECT [OPTION...]: as signed_mail.py says
    local who=$1
    shift
    as "$who" python3 "$top/tests/lib/signed_mail.py" "$who@example.org" "$@"
}
# A user of stock gpg who knows the authority: key $WHO, its encryption subkey $sub_WHO, its public half in $T/WHO.asc and $T/WHO.bin.
knowing_user() { # WHO...
    local who
    [ -s "$T/card.asc" ] || countersignctl authority export >"$T/card.asc"
    for who in "$@"; do
        user "$who"
        as "$who" gpg --batch --quiet --import "$T/card.asc" 2>/dev/null
        declare -g "$who=$(gpg_key "$who" "$who <$who@example.org>")"
        declare -g "sub_$who=$(encryption_subkey "$who" "${!who}")"
        export_public "$who"
    done
    sa=$(as "$1" gpg --list-keys --with-colons sa@example.org 2>/dev/null | awk -F: '/^fpr/{print $10; exit}')
}
export_public() {
    as "$1" gpg --batch --armor --export "${!1}" >"$T/$1.asc"
    as "$1" gpg --batch --export "${!1}" >"$T/$1.bin"
}
# The newest encryption subkey.
encryption_subkey() { as "$1" gpg --list-keys --with-colons "$2" 2>/dev/null | awk -F: '/^(pub|sub)/{s = $1 == "sub" && $12 ~ /e/} /^fpr/ && s {f = $10} END {print f}'; }
export_secret() { # WHO WHAT [MODE]: without a password
    as "$1" gpg --batch --quiet --pinentry-mode loopback --passphrase '' "${3:---export-secret-subkeys}" "$2" 2>/dev/null
}
edit_key() { # WHO ARGUMENT...: a change of a key, without a password
    local who=$1
    shift
    as "$who" gpg --batch --quiet --yes --pinentry-mode loopback --passphrase '' "$@" 2>/dev/null
}
revoke_subkey() { # WHO NUMBER
    printf 'key %s\nrevkey\ny\n2\n\ny\nsave\n' "$2" | as "$1" gpg --batch --quiet --command-fd 0 --pinentry-mode loopback --passphrase '' --edit-key "${!1}" >/dev/null 2>&1
}
send() { # < MAIL : delivered and worked on; what was sent before is put away
    clear_sent
    deliver
    agent_once
}
# What the authority's newest reply to WHO says when opened.
opened() { # WHO
    local mail
    mail=$(reply_to "$1@example.org")
    [ -n "$mail" ] || return 1
    sed -n '/^-----BEGIN PGP MESSAGE/,/^-----END PGP MESSAGE/p' "$mail" | tr -d '\r' | as "$1" gpg --batch --quiet --trust-model always -d 2>/dev/null
}
part_of() { # WHO FILE-NAME: a part of the opened reply
    opened "$1" | python3 -c 'import email, sys
for part in email.message_from_bytes(sys.stdin.buffer.read()).walk():
    if part.get_filename() == sys.argv[1]:
        sys.stdout.buffer.write(part.get_payload(decode=True))' "$2"
}
field_of() { part_of "$1" reply.txt | tr -d '\r' | sed -n "s/^$2: //p"; } # WHO FIELD
outcome_for() { # WHO: the result, the reason code of a refusal, or silence
    local mail result
    mail=$(reply_to "$1@example.org")
    [ -n "$mail" ] || { echo silence; return; }
    result=$(field_of "$1" Result)
    echo "${result:-$(reason_of "$mail")}"
}
confirm_plain() { # WHO: by an answer with the nonce of the newest reply
    local nonce
    nonce=$(field_of "$1" Nonce)
    printf 'From: %s@example.org\nTo: sa@example.org\nSubject: Re: Reply\n\nConfirmation: %s\n' "$1" "$nonce" | send
}
# Enrolled and confirmed by mail.
enroll_plain() { # WHO
    plain_mail "$1@example.org" "$(token_for "$1@example.org")" "$T/$1.asc" | send
    confirm_plain "$1"
}
