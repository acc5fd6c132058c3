#!/usr/bin/env bash
# Ctrl-C in the middle of `request` and `open`, at many moments: nothing half-made, nothing sent that is not kept, and the next run completes.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 10000
countersignctl authority export >"$T/card.asc"
echo 'correct horse' >"$T/password"
chmod 600 "$T/password"
interrupt() { as "$1" python3 "$top/tests/lib/interrupt.py" "${@:2}" 2>"$T/said"; } # WHO SECONDS COMMAND...
mails() { find "$T/mail/inbox/new" -type f 2>/dev/null | wc -l; }
# after NAME STATUS: how it may have ended
after() {
    like "$1: ended by itself, or by the signal" "$2" '^(0|75|77|130)$'
    ok "$1: with one sentence at most" test "$(grep -vc '^$' "$T/said")" -le 1
    [ "$2" = 0 ] || [ "$2" = 130 ] || like "$1: and it says so" "$(cat "$T/said")" '^countersign: .*'
}

# How long each takes here, undisturbed.
user first
token_for first@example.org >"$T/token"
request() { countersign request --token-file "$T/$1.token" --authority-key "$T/card.asc" --address "$1@example.org" --name Name --keyset default --submit "maildir:$T/mail/inbox"; }
export -f request
export T
cp "$T/token" "$T/first.token"
begun=$(date +%s%N)
ok "a request" as first bash -c 'request first'
request_ms=$((($(date +%s%N) - begun) / 1000000))
agent_once
begun=$(date +%s%N)
ok "a reply is opened" as first countersign open --level medium --password-file "$T/password" --submit "maildir:$T/mail/inbox" "$(reply_to first@example.org)"
open_ms=$((($(date +%s%N) - begun) / 1000000))
agent_once
echo "# undisturbed: request $request_ms ms, open $open_ms ms"

# ---- request ----
user alice
token_for alice@example.org >"$T/alice.token"
stopped=0
for part in 2 15 30 45 60 75 90; do
    delay=$(python3 -c "print($request_ms * ($part + $RANDOM % 8) / 100000)")
    interrupt alice "$delay" countersign request --token-file "$T/alice.token" --authority-key "$T/card.asc" --address alice@example.org --name Alice --keyset default \
        --submit "maildir:$T/mail/inbox"
    status=$?
    name="request, Ctrl-C after $delay s"
    after "$name" $status
    kept=$(as alice countersign list --json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))')
    is "$name: what was sent is kept, and what is not kept was not sent" "$(mails)" "$kept"
    [ $status = 0 ] || [ $status = 75 ] || is "$name: nothing is left" "$kept" 0
    ok "$name: no gpg-agent is left" await 5 bash -c "! ps -eo args | grep -q \"[g]pg-agent.*$T/alice/.*pending\""
    [ $status = 0 ] || stopped=$((stopped + 1))
    rm -f "$T"/mail/inbox/new/*
    rm -rf "$T"/alice/.local/share/countersign/pending
done
ok "some of them were stopped on their way" test $stopped -ge 1
ok "after all that it goes" as alice bash -c 'request alice'
agent_once
ok "and alice is answered" test -n "$(reply_to alice@example.org)"

# ---- open ----
count=0 stopped=0
for part in 4 18 32 46 70; do
    count=$((count + 1))
    who=person$count
    user $who
    token_for $who@example.org >"$T/$who.token"
    as $who bash -c "request $who" >/dev/null
done
agent_once
count=0
for part in 4 18 32 46 70; do
    count=$((count + 1))
    who=person$count
    reply=$(reply_to $who@example.org)
    delay=$(python3 -c "print($open_ms * ($part + $RANDOM % 8) / 100000)")
    name="open, Ctrl-C after $delay s"
    interrupt $who "$delay" countersign open --level medium --password-file "$T/password" --submit "maildir:$T/mail/inbox" "$reply"
    status=$?
    after "$name" $status
    [ $status = 0 ] || stopped=$((stopped + 1))
    like "$name: it is installed, or waits" "$(as $who countersign list)" 'default.*(waiting|unconfirmed|active)'
    ok "$name: opened again it completes" as $who countersign open --level medium --password-file "$T/password" --submit "maildir:$T/mail/inbox" "$reply"
    like "$name: and is active" "$(as $who countersign list)" 'default.*active'
    is "$name: one keyset, and nothing waits" "$(as $who countersign list --json | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))')$(ls "$T/$who/.local/share/countersign/pending")" 1
    printf 'for %s' $who | as $who gpg --batch --quiet --trust-model always -r $who@example.org -e -o "$T/$who/mail.gpg"
    is "$name: the key has the password" "$(as $who gpg --batch --quiet --pinentry-mode loopback --passphrase-file "$T/password" -d "$T/$who/mail.gpg" 2>/dev/null)" "for $who"
    as $who gpgconf --kill gpg-agent
    not "$name: and no other" as $who gpg --batch --quiet --pinentry-mode loopback --passphrase-file /dev/null -d "$T/$who/mail.gpg"
done
ok "some of them were stopped on their way" test $stopped -ge 1
agent_once
is "all are enrolled and confirmed" "$(countersignctl --json user list | python3 -c 'import json,sys; print(sum(u["state"] == "active" for u in json.load(sys.stdin)))')" $((count + 1))

# ---- waiting for standard input ----
for words in 'open' 'open -' 'request --address alice@example.org -' 'request --again -'; do
    mkfifo "$T/fifo"
    exec 7<>"$T/fifo"
    # shellcheck disable=SC2086
    interrupt alice 0.3 countersign $words <"$T/fifo"
    is "$words: Ctrl-C ends it while it waits for its input" $? 130
    exec 7>&-
    rm "$T/fifo"
done
done_testing
