#!/usr/bin/env bash
# The forgotten password, as the product tells it (P4.6, P5.5, P7.3, P7.4): the old name is refused without its password, a free one is suggested, and under it
# every old mail is read again, while no signing key comes back.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/losing.sh"

# ---- three generations ----
user alice
echo 's2k-count 65536' >>"$T/alice/.gnupg/gpg-agent.conf"
give alice
ok "the first keyset" enrolls alice laptop forgotten --name 'Alice Example'
give alice --additional
ok "the second" enrolls alice phone forgotten --old-password-file "$T/forgotten" --name 'Alice Example'
give alice --additional
ok "the third" enrolls alice default forgotten --old-password-file "$T/forgotten" --name 'Alice Example'
is "all are enrolled" "$(state_of alice)" "default=active laptop=active phone=active"
is "each with a deposit" "$(store_sql 'SELECT count(*) FROM deposit')" 3
old=$(key_of alice default)

# ---- the password is forgotten ----
recover alice
is "a recovery is on its way" "$(releases)" 3
before=$(in_box)
same() { # NAME [OPTION...]: the same keyset name, whose password nobody knows
    local name=$1
    shift
    exits "the same name, $name: its own exit status" 77 setsid env HOME="$T/alice" PINENTRY_USER_DATA="$T/alice/pin" countersign request --submit "maildir:$T/mail/inbox" \
        --token-file "$T/alice.token" --authority-key "$T/card.asc" --address alice@example.org --name 'Alice Example' --keyset default "$@"
    like "$name: a free name is told" "$exits_output" 'keyset "default" exists here and was not unlocked .*--keyset default-2 is free'
    is "$name: nothing reached the server" "$(in_box)" "$before"
    is "$name: nothing waits" "$(waiting alice)" 0
    is "$name: the keysets are as they were" "$(state_of alice)" "default=active laptop=active phone=active"
}
same "a wrong password" --old-password-file "$T/wrong"
same "an empty one" --old-password-file "$T/empty"
rm -f "$T"/alice/pin/*
same "Cancel"
is "she was asked once" "$(asked alice)" 1
printf '' >"$T/alice/pin/pin"
same "nothing typed"
ok "the password that is right, once remembered, would do" test -n "$old"

# ---- the new name ----
ok "default-2" ask alice --name 'Alice Example' --keyset default-2 --unsigned
agent_once
exits "the reply opens with a new password" 0 opens alice --level high --password-file "$T/password"
like "and brings all three back" "$exits_output" '3 old encryption keys came back'
agent_once
is "the older keysets are superseded" "$(state_of alice)" "default-2=active default=superseded laptop=superseded phone=superseded"
is "here, too" "$(local_of alice)" "default-2=active default=superseded laptop=superseded phone=superseded"
for keyset in laptop phone default; do
    is "old mail to $keyset is read with the new password" "$(reads alice $keyset password)" "mail to $keyset of alice"
    is "and no longer with the old one" "$(reads alice $keyset forgotten)" ""
done
as alice gpgconf --kill gpg-agent
signs() { echo x | as "$1" gpg --batch --quiet --no-tty --pinentry-mode loopback --passphrase-file "$T/$3" --armor -u "$2!" --sign >/dev/null 2>&1; }
not "the old signing key did not come back" signs alice "$old" password
new=$(key_of alice default-2)
ok "the new one signs" signs alice "$new" password
is "nothing is released any more" "$(releases)" 0
is "the deposits stay" "$(store_sql "SELECT count(*) FROM deposit WHERE address = 'alice@example.org'")" 4
exits "opened again nothing changes" 0 opens alice
like "and it says so" "$exits_output" 'installed already; nothing was changed'
ok "a key file holds the old keys, too (P7.6)" opens alice --key-file "$T/alice.asc" --password-file "$T/password"
mkdir -m 700 "$T/gnupg-bird"
gpg --homedir "$T/gnupg-bird" --batch --quiet --import "$T/alice.asc" 2>/dev/null
for keyset in laptop phone default; do
    is "another program reads old mail to $keyset with it" "$(gpg --homedir "$T/gnupg-bird" --batch --quiet --no-tty --pinentry-mode loopback --passphrase-file "$T/password" -d "$T/alice.$keyset.mail" 2>/dev/null)" "mail to $keyset of alice"
done
ok "one command changes the password of all" as alice countersign password default-2 --old-password-file "$T/password" --password-file "$T/forgotten"
is "of the old keys, too" "$(reads alice laptop forgotten)" "mail to laptop of alice"
is "status counts them" "$(as alice countersign status --json default-2 | python3 -c 'import json,sys; print(json.load(sys.stdin)["old_keys"])')" 3
done_testing
