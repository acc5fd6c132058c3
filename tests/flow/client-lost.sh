#!/usr/bin/env bash
# Other ways to lose keys (P5.5, P7.3): where they are gone or corrupt the same name is free, and no old password is asked; a new computer; all of it on a
# terminal, and a reply whose opening is killed on its way.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/losing.sh"

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
    echo 's2k-count 65536' >>"$T/$who/.gnupg/gpg-agent.conf"
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
