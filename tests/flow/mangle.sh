#!/usr/bin/env bash
# Mail systems mangle (P2.6): one real request, reply, refusal and confirmation, in every shape that mails are known to arrive in, are still accepted.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 10000
conf_set limits mails-per-hour 10000
conf_set limits workers 2
countersignctl authority export >"$T/card.asc"
user alice
mangle() { python3 "$top/tests/lib/mangle.py" "$@"; }
request() { # OUTPUT
    token_for alice@example.org >"$T/token"
    as alice countersign request --token-file "$T/token" --authority-key "$T/card.asc" --address alice@example.org --name 'Alice Example' \
        --keyset default --output "$1"
}
# open_as WHO FILE: what that person's client says.
open_as() { as "$1" countersign open --level low --output "$T/confirmation.$RANDOM$RANDOM" "$2" 2>&1; }
# without ERE FILES...: the names of those whose opening, again, by alice, did not say so
without() {
    local wanted=$1 file
    shift
    for file; do grep -qE "$wanted" <<<"$(open_as alice "$file")" || basename "$file"; done
}
names() { find "$1" -type f | sed 's|.*/||; s|\.eml$||' | sort; }
answered() { grep -hi '^In-Reply-To: <' "$T"/mail/outgoing/new/* | sed 's/.*<//; s/@mangled.*//' | tr -d '\r' | sort; }
spoil() { python3 -c 'import re,sys; t=sys.stdin.read(); at=t.index("\n\n", t.index("BEGIN PGP MESSAGE"))+70; sys.stdout.write(t[:at]+("A" if t[at]!="A" else "B")+t[at+1:])'; }

# The request, at the agent. The first to be looked at enrolls, the others get the same sealed reply (P5.3).
ok "a real request" request "$T/request.eml"
ok "in all its ways" mangle "$T/request.eml" "$T/requests" "$top"/tests/vectors/mail/encrypted*.eml
ok "which are hundreds" test "$(names "$T/requests/mails" | wc -l)" -gt 250
for mail in "$T"/requests/mails/*; do deliver <"$mail"; done
tr -d '\r' <"$T/request.eml" | spoil | sed 's/^Message-ID:.*/Message-ID: <spoiled@mangled.example.org>/I' | deliver
ok "the agent sees them all" agent_once
is "each is answered, and not the one that was spoiled" "$(diff <(names "$T/requests/mails") <(answered))" ""
is "nothing is refused" "$(grep -ls '^Reason code' "$T"/mail/outgoing/new/* | wc -l)" 0
is "the sealed reply is one" "$(for f in $(sent_to alice@example.org); do grep -q '^Subject: Reply' "$f" && sed -n '/BEGIN PGP MESSAGE/,/END PGP/p' "$f" | sha256sum; done | sort -u | wc -l)" 1
is "one keyset came of it" "$(store_sql 'SELECT count(*) FROM keyset')" 1
is "the spoiled one is kept to look at" "$(countersignctl --json quarantine list | grep -o '"id"' | wc -l)" 1

# The reply, at the client. Each shape and each saved attachment is opened on a computer where nothing was opened before.
reply=$(reply_to alice@example.org)
ok "the reply in all its ways" mangle "$reply" "$T/replies" "$top"/tests/vectors/mail/*encrypted*.eml
for file in "$T"/replies/saved/* "$T"/replies/mails/*-7bit.eml; do
    rm -rf "$T/fresh"
    cp -a "$T/alice" "$T/fresh"
    like "opened: $(basename "$file" .eml)" "$(open_as fresh "$file")" 'is ready'
done
tr -d '\r' <"$reply" | spoil >"$T/spoiled"
unlike "a spoiled one is not" "$(open_as alice "$T/spoiled")" 'is ready|installed'
like "alice opens hers" "$(as alice countersign open --level low --output "$T/confirmation.eml" "$reply" 2>&1)" 'is ready'
is "each of them is the reply that was opened" "$(without 'is installed already' "$T"/replies/mails/* "$T"/replies/saved/*)" ""

# The confirmation, at the agent.
ok "the confirmation in all its ways" mangle "$T/confirmation.eml" "$T/confirmations"
deliver <"$T/confirmations/mails/html-lines-base64-list-forwarded.eml"
ok "a mangled one is taken" agent_once
like "and confirms (P5.4)" "$(countersignctl user show alice@example.org)" 'active'

# A refusal, at the client: its signature is in clear, so that what alters the text spoils it.
user carol
token_for carol@example.org >"$T/token"
ok "carol's request" as carol countersign request --token-file "$T/token" --authority-key "$T/card.asc" --address carol@example.org --name 'Carol Example' \
    --keyset default --output "$T/carol.eml"
ok "her token is taken back" countersignctl token void carol@example.org
deliver <"$T/carol.eml"
ok "the agent refuses" agent_once
ok "the refusal in its ways" mangle "$(reply_to carol@example.org)" "$T/refusals"
rm -f "$T"/refusals/*/*+{indented,double-spaced,left-over}.* "$T"/refusals/mails/{inline,html,alternative}*-{forwarded,list-forwarded}*.eml
lost=
for file in "$T"/refusals/mails/*-7bit.eml "$T"/refusals/mails/countersign-*.eml "$T"/refusals/mails/*+*.eml "$T"/refusals/saved/*; do
    grep -q 'refused the request (token-voided)' <<<"$(open_as carol "$file")" || lost+=" $(basename "$file")"
done
is "every one is shown as what it is" "$lost" ""
sed 's/token-voided/token-used/' "$T/refusals/saved/saved.countersign" >"$T/forged"
unlike "an altered one is not" "$(open_as carol "$T/forged")" 'refused the request'
done_testing
