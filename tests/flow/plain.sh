#!/usr/bin/env bash
# Mails as real programs write them, end to end: the vector's bytes, a real token in the placeholder's place, the agent, the outcome beside it.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 1000
card=$T/card.asc
countersignctl authority export >"$card"
user alice
as alice gpg --batch --quiet --import "$top/tests/vectors/programs/alice-secret.asc" 2>/dev/null
as alice gpg --batch --quiet --import "$card" 2>/dev/null
daemon_start || exit 1
coproc PUT { python3 "$top/tests/lib/put_token.py" 2>&1; }

mailbox_empty() { [ -z "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f)" ]; }
# Notices may wait for the sender's next round.
settled() { mailbox_empty && [ "$(store_sql "SELECT count(*) FROM outbox WHERE sent = 0 AND failed = 0 AND kind IN ('reply', 'refusal')")" = 0 ]; }

# Each enrollment is unconfirmed, so that the next one may take its place under the same name; each token supersedes the one before.
try() { # FILE WANTED: "enrolled", or a reason code, or "silence"
    local name token outcome mail put
    name=$(basename "$1" .eml)
    token=$(token_for alice@example.org)
    clear_sent
    printf '%s\t%s\t%s\n' "$token" "$1" "$T/mail.eml" >&"${PUT[1]}"
    read -r put <&"${PUT[0]}"
    deliver <"$T/mail.eml"
    ok "$name: the agent is done with it" await 20 settled
    mail=$(reply_to alice@example.org)
    if [ -z "$mail" ]; then
        outcome=silence
    elif grep -q '^Reason code: ' "$mail"; then
        outcome=$(reason_of "$mail")
    else
        outcome=enrolled
    fi
    is "$name: $2" "$outcome" "$2"
    [ "$2" = silence ] || is "$name: a real token stood in it" "$put" yes
    [ "$outcome" != enrolled ] || ! grep -q 'multipart/encrypted' "$mail" || printf '%s\n' "$mail" >"$T/last-reply"
}

for vector in "$top"/tests/vectors/programs/*.eml "$top"/tests/vectors/mail/*.eml; do
    outcome=$(sed -n 's/^outcome: //p' "${vector%.eml}.expect" 2>/dev/null)
    [ -n "$outcome" ] && try "$vector" "$outcome"
done
# What the mail program shows of the last one made for the key whose secret is at hand.
try "$top/tests/vectors/programs/neomutt.eml" enrolled
shown=$(as alice gpg --batch --quiet -d "$(cat "$T/last-reply")" 2>"$T/gpg.err")
like "the reply is PGP/MIME that stock gpg opens" "$shown" 'Your key is certified'
like "with the authority's good signature" "$(cat "$T/gpg.err")" 'Good signature'
like "the keyset that the mail named" "$shown" 'Keyset: +work'
like "and the certified key" "$shown" 'BEGIN PGP PUBLIC KEY BLOCK'
nonce=$(grep -oE 'Confirmation: [0-9A-Z-]+' <<<"$shown" | head -n 1)
printf 'From: Alice Example <alice@example.org>\nTo: sa@example.org\nSubject: Re: Reply from the Security Authority\n\nOn Monday, the authority wrote:\n> %s\n' "$nonce" | deliver
ok "the agent is done with the answer" await 20 settled
like "answering it confirms the keyset (P5.4)" "$(countersignctl user show alice@example.org)" 'active'
# From now on a token alone is not enough for this address (P2.4).
try "$top/tests/vectors/programs/mutt.eml" keyset-name-in-use
done_testing
