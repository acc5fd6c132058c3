#!/usr/bin/env bash
# What somebody tries who can send any mail, and may even hold a token, but not the key: signatures borrowed from other mails, addresses that the token does
# not name, messages made to break gpg.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 1000
user alice
user mallory
alice=$(gpg_key alice 'alice@example.org')
mallory=$(gpg_key mallory 'alice@example.org')
as alice gpg --batch --armor --export "$alice" >"$T/alice.asc"
as mallory gpg --batch --armor --export "$mallory" >"$T/mallory.asc"
as mallory gpg --batch --export "$mallory" | base64 -w0 >"$T/mallory.b64"
plain_mail alice@example.org "$(token_for alice@example.org)" "$T/alice.asc" | deliver
agent_once
nonce=$(as alice gpg --batch --quiet -d "$(reply_to alice@example.org)" 2>/dev/null | grep -oE 'Confirmation: [0-9A-Z-]+' | head -n 1)
printf 'From: alice@example.org\nTo: sa@example.org\nSubject: Re\n\n> %s\n' "$nonce" | deliver
agent_once
like "alice has an active keyset" "$(countersignctl user show alice@example.org)" 'active'
token=$(token_for alice@example.org)
agent_once

# signed PART SUBJECT [WHO] [HEADERS] [SIGNATURE-EXTRA]: PART as WHO (alice) really signed it, in a mail that anybody may have made
signed() {
    local who=${3:-alice}
    printf 'From: %s@example.org\nTo: sa@example.org\nSubject: %s\nMessage-ID: <%s@example.org>\n%bMIME-Version: 1.0\nContent-Type: multipart/signed; boundary="s"; micalg=pgp-sha256; protocol="application/pgp-signature"\n\n--s\n' "$who" "$2" "$RANDOM$RANDOM" "${4:-}"
    cat "$1"
    printf '\r\n--s\nContent-Type: application/pgp-signature\n\n'
    as "$who" gpg --batch --armor --detach-sign --digest-algo SHA256 <"$1"
    printf '%b\n--s--\n' "${5:-}"
}
# mallory's key must not get in; every try is answered with the reason, to alice
denied() { # NAME < MAIL
    clear_sent
    deliver
    agent_once
    like "$1: refused" "$(reason_of "$(reply_to alice@example.org)")" "^(${WANTED:-signature-invalid})$"
    is "$1: only alice's key is stored" "$(store_sql "SELECT count(*) FROM keyset WHERE fingerprint = '$mallory'")" 0
    is "$1: her keyset stays" "$(store_sql 'SELECT count(*) FROM keyset WHERE superseded = 0 AND revoked = 0')" 1
}
printf 'Content-Type: text/plain\r\n\r\nSee you on Tuesday.\r\n' >"$T/tuesday"
printf 'Content-Type: text/plain\r\n\r\nToken: %s\r\nKeyset: third\r\n' "$token" >"$T/token-only"
signed "$T/tuesday" "$token" alice "Autocrypt: addr=alice@example.org; keydata=$(cat "$T/mallory.b64")\n" >"$T/a1"
denied "an old signed mail, token in the subject, key by Autocrypt" <"$T/a1"
signed "$T/token-only" hello alice "Autocrypt: addr=alice@example.org; keydata=$(cat "$T/mallory.b64")\n" >"$T/a2"
denied "the token signed, the key by Autocrypt" <"$T/a2"
signed "$T/token-only" hello alice "" "\n$(sed 's/$/\\n/' "$T/mallory.asc" | tr -d '\n')" >"$T/a3"
WANTED='signature-invalid|keyset-exists' denied "the key behind the signature in the signature's part" <"$T/a3"
# The positive control: everything inside what alice signed.
{ printf 'Content-Type: multipart/mixed; boundary="i"\r\n\r\n--i\r\nContent-Type: text/plain\r\n\r\nToken: %s\r\nKeyset: second\r\n\r\n--i\r\nContent-Type: application/pgp-keys\r\n\r\n' "$token"; sed 's/$/\r/' "$T/alice.asc"; printf -- '--i--\r\n'; } >"$T/whole"
clear_sent
signed "$T/whole" hello | deliver
agent_once
is "signed over token and key: it enrolls" "$(store_sql "SELECT count(*) FROM keyset WHERE name = 'second'")" 1

# A further address that an earlier token named is not certified again by a token that does not.
user carol
carol=$(gpg_key carol 'carol@example.org')
as carol gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-uid "$carol" 'boss@example.org' 2>/dev/null
as carol gpg --batch --armor --export "$carol" >"$T/carol.asc"
plain_mail carol@example.org "$(token_for --also boss@example.org carol@example.org)" "$T/carol.asc" | deliver
agent_once
nonce=$(as carol gpg --batch --quiet -d "$(reply_to carol@example.org)" 2>/dev/null | grep -oE 'Confirmation: [0-9A-Z-]+' | head -n 1)
printf 'From: carol@example.org\nTo: sa@example.org\nSubject: Re\n\n> %s\n' "$nonce" | deliver
agent_once
token=$(token_for carol@example.org)
printf 'Content-Type: multipart/mixed; boundary="i"\r\n\r\n--i\r\nContent-Type: text/plain\r\n\r\nToken: %s\r\nKeyset: again\r\n\r\n--i\r\nContent-Type: application/pgp-keys\r\n\r\n' "$token" >"$T/again"
sed 's/$/\r/' "$T/carol.asc" >>"$T/again"
printf -- '--i--\r\n' >>"$T/again"
signed "$T/again" hello carol | deliver
agent_once
user_ids() { sqlite3 "file:$T/sa/state/countersign.db?mode=ro" "SELECT hex(key) FROM keyset WHERE address = 'carol@example.org' AND name = '$1'" | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read().strip()))' | gpg --batch --with-colons --show-keys 2>/dev/null | awk -F: '/^uid/{print $10}' | sort | tr '\n' ' '; }
is "the first token named two addresses" "$(user_ids default)" "boss@example.org carol@example.org "
is "the second certifies its own alone" "$(user_ids again)" "carol@example.org "

# Messages made to break gpg or its agent: refused before gpg sees them; a good request behind them is answered.
before=$(store_sql 'SELECT count(*) FROM quarantine')
for kind in short-point many compressed password unprotected; do "$top/tests/lib/hostile_message.py" $kind | deliver; done
user bob
bob=$(gpg_key bob 'bob@example.org')
as bob gpg --batch --armor --export "$bob" >"$T/bob.asc"
plain_mail bob@example.org "$(token_for bob@example.org)" "$T/bob.asc" | deliver
agent_once
is "all five are in quarantine" "$(($(store_sql 'SELECT count(*) FROM quarantine') - before))" 5
is "none reached gpg: each was dealt with at once" "$(grep -c 'deferred' "$T/agent.log")" 0
is "and bob is enrolled" "$(store_sql "SELECT count(*) FROM keyset WHERE address = 'bob@example.org'")" 1
done_testing
