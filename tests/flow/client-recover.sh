#!/usr/bin/env bash
# The forgotten password, as the product tells it (P4.6, P5.5, P7.3, P7.4): the old name is refused without its password, a free one is suggested, and under it
# every old mail is read again, while no signing key comes back; then the other ways to lose keys, where the same name is free.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 10000
countersignctl authority export >"$T/card.asc"
secret() { printf '%s\n' "$2" >"$T/$1" && chmod 600 "$T/$1"; }
secret forgotten 'tip of my tongue'
secret password 'correct horse'
secret wrong 'wrong horse'
: >"$T/empty" && chmod 600 "$T/empty"
give() { token_for "$1@example.org" "${@:2}" >"$T/$1.token" && chmod 600 "$T/$1.token"; }
recover() { countersignctl recover "$1@example.org" 2>>"$T/ctl.err" | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' | tee -a "$T/tokens" | tail -n 1 >"$T/$1.token" && chmod 600 "$T/$1.token"; }
ask() { as "$1" countersign request --submit "maildir:$T/mail/inbox" --token-file "$T/$1.token" --authority-key "$T/card.asc" --address "$1@example.org" "${@:2}"; }
opens() { as "$1" countersign open --submit "maildir:$T/mail/inbox" "${@:2}" "$(reply_to "$1@example.org")"; }
in_box() { find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l; }
waiting() { ls "$T/$1/.local/share/countersign/pending" | wc -l; }
asked() { cat "$T/$1/pin/count" 2>/dev/null || echo 0; }
state_of() { countersignctl --json user show "$1@example.org" | python3 -c 'import json,sys; print(*sorted(k["name"]+"="+k["state"] for k in json.load(sys.stdin)["keysets"]))'; }
local_of() { as "$1" countersign list --json | python3 -c 'import json,sys; print(*sorted(k["keyset"]+"="+k["state"] for k in json.load(sys.stdin)))'; }
newest() { as "$1" gpg --list-keys --with-colons "$1@example.org" 2>/dev/null | awk -F: '/^pub/{t = $6} /^fpr/ && t {if (t >= last) {last = t; f = $10}; t = ""} END {print f}'; }
key_of() { as "$1" countersign status --json "$2" | python3 -c 'import json,sys; print(json.load(sys.stdin)["fingerprint"].replace(" ", ""))'; }
# enrolls WHO KEYSET PASSWORD-FILE: a generation, and a mail that was encrypted to it
enrolls() {
    ask "$1" --keyset "$2" "${@:4}" >/dev/null && agent_once && opens "$1" --level high --password-file "$T/$3" >/dev/null && agent_once || return 1
    as "$1" gpg --batch --quiet --trust-model always --armor -er "$(key_of "$1" "$2")" <<<"mail to $2 of $1" >"$T/$1.$2.mail"
}
reads() { # WHO KEYSET PASSWORD-FILE: the mail of that generation, by this password
    as "$1" gpgconf --kill gpg-agent
    as "$1" gpg --batch --quiet --no-tty --pinentry-mode loopback --passphrase-file "$T/$3" -d "$T/$1.$2.mail" 2>/dev/null
}
releases() { store_sql 'SELECT count(*) FROM release'; }

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

# ---- other ways to lose keys: the same name is free, and no old password is asked ----
lost() { # WHO HOW: then the same name again
    rm -f "$T/$1"/pin/*
    recover "$1"
    exits "$1: $2: the same name" 0 ask "$1" --keyset default --name "$1 Example"
    like "$1: it is said that the keys are gone" "$exits_output" 'The keys of the keyset "default" are gone or corrupt: its name is free'
    is "$1: no password was asked" "$(asked "$1")" 0
    agent_once
    ok "$1: the reply opens" opens "$1" --level high --password-file "$T/password"
    agent_once
    is "$1: enrolled" "$(state_of "$1")" "default=active default=superseded"
    is "$1: old mail is read" "$(reads "$1" default password)" "mail to default of $1"
}
for who in bob carol dora; do
    user $who
    give $who
    enrolls $who default forgotten --name "$who Example" || echo "Bail out! $who is not enrolled"
    as $who gpgconf --kill gpg-agent
done
rm -rf "$T/bob/.gnupg"
user bob
lost bob "the GnuPG home is gone"
rm "$T"/carol/.gnupg/private-keys-v1.d/*.key
lost carol "the key files are gone"
for file in "$T"/dora/.gnupg/private-keys-v1.d/*.key; do head -c 300 /dev/urandom >"$file"; done
lost dora "the key files are corrupt"

# ---- a computer that knows nothing ----
user erin
give erin
ok "erin enrolls" enrolls erin default forgotten --name 'Erin Example'
as erin gpgconf --kill gpg-agent
mv "$T/erin" "$T/erin.lost"
user erin
recover erin
ok "on a new computer" ask erin --name 'Erin Example'
agent_once
ok "the reply opens" opens erin --level low
agent_once
is "old mail is read" "$(as erin gpg --batch --quiet -d "$T/erin.default.mail" 2>/dev/null)" "mail to default of erin"

# ---- all of it on a terminal, and the reply opened by somebody impatient ----
terminal() { as "$1" "$top/tests/lib/terminal.py" "${@:2}"; }
user frank
echo 's2k-count 65536' >>"$T/frank/.gnupg/gpg-agent.conf"
give frank
ok "frank enrolls" enrolls frank default forgotten --name 'Frank Example'
recover frank
rm -f "$T"/frank/pin/*
typed() { terminal frank "$@" -- countersign request --submit "maildir:$T/mail/inbox" --token-file "$T/frank.token" --authority-key "$T/card.asc"; }
exits "frank types the same name, and cancels" 77 typed '' default
like "and is told another" "$exits_output" 'keyset default-2 is free'
exits "which he types, without a signature" 0 typed '' default-2 n ''
agent_once
reply=$(reply_to frank@example.org)
mkdir -m 700 "$T/frank/run"
export XDG_RUNTIME_DIR="$T/frank/run"
for n in 1 2 3 4 5 6 7 8; do
    as frank timeout -s KILL "0.$n" countersign open --submit "maildir:$T/mail/inbox" --level medium --password-file "$T/password" "$reply" >/dev/null 2>&1
done
ok "killed on its way, opened again it completes" as frank countersign open --submit "maildir:$T/mail/inbox" --level medium --password-file "$T/password" "$reply"
agent_once
is "he is enrolled" "$(state_of frank)" "default-2=active default=superseded"
is "nothing waits" "$(waiting frank)" 0
is "his old mail is read" "$(reads frank default password)" "mail to default of frank"
ok "no agent of a throw-away home is left" await 5 bash -c "! ps -eo args | grep -q '[g]pg-agent --homedir $T/frank/run/.*--supervised'"
left() { find "$T/frank/run" -mindepth 1 -maxdepth 1 | wc -l; }
mkdir "$T/frank/run/countersign.killed"
find "$T/frank/run" -exec touch -d '2 hours ago' {} +
give frank --additional
ok "he asks once more" ask frank --name 'Frank Example' --keyset third --level low --unsigned
agent_once
ok "and opens the reply" opens frank
is "what killed ones had left is gone" "$(left)" 0
unset XDG_RUNTIME_DIR
done_testing
