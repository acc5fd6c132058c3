#!/usr/bin/env bash
# A second OpenPGP implementation (Sequoia's sq) agrees: it verifies our certification, decrypts a reply made for its own key, and its keys enroll.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
countersignctl authority export >"$T/card.asc"
user gpg
as gpg gpg --batch --quiet --import "$T/card.asc" 2>/dev/null
as gpg gpg --armor --export sa@example.org >"$T/sa.asc"

# enrolls SUITE: a key that sq made enrolls by plain mail, and sq opens what comes back.
enrolls() {
    local suite=$1 who=sq-$1@example.org token mail
    sq key generate --userid "Sequoia <$who>" --cipher-suite "$suite" --export "$T/$suite.key" >/dev/null 2>&1
    sq key extract-cert -o "$T/$suite.asc" "$T/$suite.key"
    token=$(token_for "$who")
    plain_mail "$who" "$token" "$T/$suite.asc" | deliver
    agent_once
    mail=$(reply_to "$who")
    is "$suite: it enrolls" "$(reason_of "${mail:-/dev/null}")$([ -n "$mail" ] && echo answered)" answered
    sed -n '/^-----BEGIN PGP MESSAGE/,/^-----END/p' "$mail" | tr -d '\r' >"$T/$suite.msg"
    ok "$suite: sq decrypts the reply and finds the authority's signature good" \
        sq decrypt --recipient-key "$T/$suite.key" --signer-cert "$T/sa.asc" -n 1 -o "$T/$suite.txt" "$T/$suite.msg"
    like "$suite: it is the reply" "$(cat "$T/$suite.txt")" 'Your key is certified'
    store_sql "SELECT hex(key) FROM keyset WHERE address = '$who'" | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read().strip()))' >"$T/$suite.certified"
    like "$suite: sq sees the authority's certification on the user ID" "$(sq inspect --certifications "$T/$suite.certified" 2>&1)" "$(authority_id)"
    like "$suite: with the keyset notation" "$(sq packet dump "$T/$suite.certified" 2>&1)" 'keyset@example.org'
    # gpg, with the authority's key at hand, as the judge of the signature itself.
    rm -rf "$T/judge"; mkdir -m 700 "$T/judge"
    gpg --homedir "$T/judge" --batch --quiet --import "$T/sa.asc" "$T/$suite.certified" 2>/dev/null
    is "$suite: one valid certification by the authority" "$(gpg --homedir "$T/judge" --with-colons --check-signatures "$who" 2>/dev/null | awk -F: '$1=="sig" && $2=="!" && $10 ~ /sa@example.org/' | wc -l)" 1
}
authority_id() { gpg --with-colons --show-keys "$T/sa.asc" 2>/dev/null | awk -F: '/^fpr/{print substr($10, 25); exit}'; }
for suite in cv25519 rsa3k; do enrolls $suite; done

# And the other way round: a key of ours, made by the client, is one that sq takes.
user alice
token_for alice@example.org >"$T/alice/token"
as alice countersign request --token-file "$T/alice/token" --authority-key "$T/card.asc" --address alice@example.org --name 'Alice Example' --keyset default --submit "maildir:$T/mail/inbox" >/dev/null
agent_once
as alice countersign open --level low --submit "maildir:$T/mail/inbox" "$(reply_to alice@example.org)" >/dev/null
as alice gpg --export alice@example.org >"$T/alice.gpg"
echo "from sequoia" | sq encrypt --recipient-cert "$T/alice.gpg" -o "$T/to-alice"
is "sq encrypts to a key that our client made, gpg decrypts" "$(as alice gpg --batch --quiet -d "$T/to-alice" 2>/dev/null)" "from sequoia"
done_testing
