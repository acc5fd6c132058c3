#!/usr/bin/env bash
# The three security levels (P7.2): how often does stock gpg ask after `open`? Counted by a pinentry stand-in.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
countersignctl authority export >"$T/card.asc"
asked() { cat "$T/$1/pin/count" 2>/dev/null || echo 0; }
for level in high medium low; do
    user $level
    address=$level@example.org
    token_for "$address" >"$T/$level/token"
    printf 'a long password\n' >"$T/$level/password"
    chmod 600 "$T/$level/password"
    printf 'a long password' >"$T/$level/pin/pin"
    ok "$level: request" as $level countersign request --token-file "$T/$level/token" --authority-key "$T/card.asc" --address "$address" --name "$level" \
        --keyset default --submit "maildir:$T/mail/inbox"
    agent_once
    with=(--password-file "$T/$level/password")
    [ $level = low ] && with=()
    ok "$level: open" as $level countersign open --level $level "${with[@]}" --submit "maildir:$T/mail/inbox" "$(reply_to "$address")"
    echo "for $level" | as $level gpg --batch --quiet --trust-model always -r "$address" --encrypt -o "$T/$level/mail.gpg"
    rm -f "$T/$level/pin/count"
    as $level gpgconf --kill gpg-agent
    for i in 1 2; do
        is "$level: gpg -d number $i" "$(as $level gpg --quiet --no-tty -d "$T/$level/mail.gpg" 2>/dev/null)" "for $level"
    done
done
is "High asks on every use" "$(asked high)" 2
is "Medium asks once" "$(asked medium)" 1
is "Low never asks" "$(asked low)" 0

# Without a password file and without a terminal: --dialog, everything through pinentry.
user dialog
token_for dialog@example.org >"$T/dialog/token"
printf 'by dialog only' >"$T/dialog/pin/pin"
as dialog countersign request --token-file "$T/dialog/token" --authority-key "$T/card.asc" --address dialog@example.org --name D --keyset default --submit "maildir:$T/mail/inbox" >/dev/null
agent_once
ok "--dialog needs no terminal" as dialog setsid countersign open --dialog --submit "maildir:$T/mail/inbox" "$(reply_to dialog@example.org)"
echo "for dialog" | as dialog gpg --batch --quiet --trust-model always -r dialog@example.org --encrypt -o "$T/dialog/mail.gpg"
is "and the key works with the password given there" "$(as dialog gpg --quiet --no-tty -d "$T/dialog/mail.gpg" 2>/dev/null)" "for dialog"

# Changing level and password afterwards.
printf 'another password\n' >"$T/medium/new"
chmod 600 "$T/medium/new"
ok "password: from medium to high, with a new password" as medium countersign password default --level high --old-password-file "$T/medium/password" --password-file "$T/medium/new"
printf 'another password' >"$T/medium/pin/pin"
rm -f "$T/medium/pin/count"
for i in 1 2; do as medium gpg --quiet --no-tty -d "$T/medium/mail.gpg" >/dev/null 2>&1; done
is "now it asks twice" "$(asked medium)" 2
like "list shows the level" "$(as medium countersign list)" 'high'
done_testing
