#!/usr/bin/env bash
# First enrollment, told with our own client: token, request, agent, reply, open, and then plain gpg.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set wkd directory "\"$T/wkd\""
conf_set notify auditors '{ "audit@example.org" }'
ok "countersignd -n finds nothing wrong" countersignd -n
countersignctl authority export >"$T/card.asc"

enroll() { # WHO NAME LEVEL
    user "$1"
    token_for "$1@example.org" >"$T/$1/token"
    ok "$1 asks" as "$1" countersign request --token-file "$T/$1/token" --authority-key "$T/card.asc" --address "$1@example.org" \
        --name "$2" --keyset default --submit "maildir:$T/mail/inbox"
    cat "$T"/mail/inbox/new/* >"$T/$1.request"
    ok "the agent answers $1" agent_once
    is "one reply went to $1" "$(count_to "$1@example.org" '^Subject: Reply')" 1
    printf 'secret of %s\n' "$1" >"$T/$1/password"
    chmod 600 "$T/$1/password"
    cp "$T/$1/password" "$T/$1/pin/pin"
    local with=(--password-file "$T/$1/password")
    [ "$3" = low ] && with=()
    ok "$1 opens it" as "$1" countersign open --level "$3" "${with[@]}" --submit "maildir:$T/mail/inbox" "$(reply_to "$1@example.org")"
}

enroll alice 'Alice Example' medium
request=$(cat "$T/alice.request")
is "a deposit went with it, so it is not kept (P5.7)" "$(store_sql 'SELECT count(*) FROM deposit') $(find "$T/mail/inbox" -type f -path '*/cur/*' | wc -l)" "1 0"
like "the request is PGP/MIME" "$request" '^Content-Type: multipart/encrypted'
unlike "neither name nor keyset stand outside the encryption (P2.1)" "$(sed '/BEGIN PGP/,$d' <<<"$request")" 'Alice Example|default'
like "alice's keyset waits for its confirmation" "$(countersignctl user show alice@example.org)" 'unconfirmed'
not "her key is not published before it (P5.4)" test -e "$T/wkd/.well-known/openpgpkey/example.org/hu/kei1q4tipxxu1yj79k9kfukdhfy631xe"
ok "the agent takes the confirmation" agent_once
like "now it is active" "$(countersignctl user show alice@example.org)" 'active'
enroll bob 'Bob Example' low
ok "the agent takes bob's confirmation" agent_once

is "both are in the list" "$(countersignctl --json user list | python3 -c 'import json,sys; print(*sorted(u["address"]+"="+u["state"] for u in json.load(sys.stdin)))')" "alice@example.org=active bob@example.org=active"
ok "now her key is published" test -e "$T/wkd/.well-known/openpgpkey/example.org/hu/kei1q4tipxxu1yj79k9kfukdhfy631xe"
is "both keys are in the Web Key Directory, and the authority's" "$(find "$T/wkd/.well-known/openpgpkey/example.org/hu" -type f | wc -l)" 3
ok "with a policy file" test -f "$T/wkd/.well-known/openpgpkey/example.org/policy"

# What the whole thing is for: plain gpg, in the user's own home.
fetch() { find "$T/wkd" -path '*/hu/*' -type f -exec cat {} + >"$T/all.gpg"; as "$1" gpg --batch --quiet --import "$T/all.gpg"; }
ok "bob gets alice's key" fetch bob
ok "alice gets bob's key" fetch alice
echo "the quarterly figures" >"$T/plain"
ok "bob encrypts to alice without a question (P7.5)" as bob gpg --batch --no-tty --armor --trust-model pgp -r alice@example.org -o "$T/to-alice" -se "$T/plain"
is "alice reads it" "$(as alice gpg --batch --quiet -d "$T/to-alice" 2>"$T/alice.gpg")" "the quarterly figures"
like "and sees bob's signature as good and valid" "$(cat "$T/alice.gpg")" 'Good signature from "Bob Example <bob@example.org>" \[full\]'

# The record.
like "the log has it all" "$(countersignctl log)" 'token-issued'
like "the log has the enrollment" "$(countersignctl log --address alice@example.org)" 'enrolled'
ok "the log is whole" countersignctl log verify
is "alice heard of her token and of her enrollment (P5.6)" "$(count_to alice@example.org '^Subject: (A token was issued|A key was enrolled)')" 2
is "so did the auditor, for both" "$(count_to audit@example.org '^Subject: (A token was issued|A key was enrolled)')" 4
ok "the mailbox is empty" bash -c "! find '$T/mail/inbox/new' '$T/mail/inbox/cur' -type f | grep ."
ok "status is healthy but for the daemon" bash -c "countersignctl status | grep -i 'quarantine'"
like "alice's client lists the keyset" "$(as alice countersign list)" 'alice@example.org.*(active|confirmed|installed|ready)'
ok "opening the same reply again changes nothing" as alice countersign open --level medium --password-file "$T/alice/password" --submit "maildir:$T/mail/inbox" "$(reply_to alice@example.org)"
ok "no mail came of that" agent_once
is "no second reply" "$(count_to alice@example.org '^Subject: Reply')" 1

done_testing
