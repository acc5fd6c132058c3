# generations.sh: people whose encryption keys are deposited, one generation after another. Sourced behind flow.sh.

# Each person knows the authority's key.
members() { # WHO...
    local who
    [ -f "$T/card.asc" ] || countersignctl authority export >"$T/card.asc"
    for who in "$@"; do
        user "$who"
        as "$who" gpg --batch --quiet --import "$T/card.asc" 2>/dev/null
    done
    sa=$(as "$1" gpg --list-keys --with-colons sa@example.org | awk -F: '/^fpr/{print $10; exit}')
}
subkey_of() { as "$1" gpg --quiet --list-keys --with-colons "$2" 2>/dev/null | awk -F: '/^sub/{s = $12 ~ /e/} /^fpr/ && s {print $10; exit}'; }
encrypted_by() { # WHO < LINES: a client's mail
    printf 'From: %s@example.org\nTo: sa@example.org\nSubject: Enrollment request\nMessage-ID: <%s@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=e\n\n--e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--e\nContent-Type: application/octet-stream\n\n' "$1" "$RANDOM$RANDOM"
    as "$1" gpg --batch --quiet --trust-model always --armor -r "$sa" -e 2>/dev/null
    printf -- '\n--e--\n'
}
# request_of WHO KEYSET TOKEN: a new key with a deposit; `key` and `sub` are its fingerprints. $T/WHO.KEYSET.mail is a mail encrypted to it.
request_of() {
    local who=$1
    key=$(gpg_key "$who" "$who Example <$who@example.org>")
    sub=$(subkey_of "$who" "$key" 2>/dev/null)
    as "$who" gpg --batch --quiet --export "$key" >"$T/request.key"
    as "$who" gpg --batch --quiet --pinentry-mode loopback --passphrase '' --export-secret-subkeys "$sub!" >"$T/request.deposit" 2>/dev/null
    echo "mail to $2 of $who" | as "$who" gpg --batch --quiet --trust-model always -r "$sub!" -e >"$T/$who.$2.mail" 2>/dev/null
    printf 'Countersign-Request: 1\nRequest-Id: %s\nKind: enroll\nAddress: %s@example.org\nKeyset: %s\nFingerprint: %s\nAuthority: %s\nCreated: %s\n' \
        "$(tr -dc 0-9A-HJKMNP-TV-Z </dev/urandom | head -c 25)0" "$who" "$2" "$key" "$sa" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" |
        forge "$3" "$T/request.key" "$T/request.deposit" | encrypted_by "$who" >"$T/request.mail"
    rm -f "$T/request.deposit"
}
confirm_last() { # WHO: who has read the reply
    local nonce
    nonce=$(store_sql "SELECT nonce FROM keyset WHERE address = '$1@example.org' ORDER BY id DESC LIMIT 1")
    printf 'From: %s@example.org\nTo: sa@example.org\nSubject: Re: Reply\nMessage-ID: <%s@example.org>\n\nConfirmation: %s\n' "$1" "$RANDOM$RANDOM" "$nonce" | deliver
    agent_once
}
# generation WHO KEYSET TOKEN: enrolled and confirmed.
generation() {
    request_of "$@"
    deliver <"$T/request.mail"
    agent_once
    confirm_last "$1"
}
states_of() { countersignctl --json user show "$1" | python3 -c 'import json,sys; print(*sorted(k["name"] + "=" + k["state"] for k in json.load(sys.stdin)["keysets"]))'; }
# Released deposits of the outstanding token of WHO, opened with TOKEN into $T/opened/FINGERPRINT.
open_releases() { # WHO TOKEN
    rm -rf "$T/opened"
    mkdir -p "$T/opened"
    store_sql "SELECT r.encryption_fingerprint, hex(r.sealed) FROM release r JOIN token t ON t.id = r.token WHERE t.address = '$1@example.org'" | while IFS='|' read -r fpr hex; do
        python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' <<<"$hex" | open_release "$2" "$1@example.org" "$fpr" >"$T/opened/$fpr" 2>/dev/null || rm "$T/opened/$fpr"
    done
    ls "$T/opened" | wc -l
}
