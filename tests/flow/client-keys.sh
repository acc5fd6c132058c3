#!/usr/bin/env bash
# Where keys live and who guards them (P7): a key that the user has already, a password given with the request, a GnuPG home of its own, the key file for mail
# programs that keep their own keys, and what a level does to the other keys of a home.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 10000
countersignctl authority export >"$T/card.asc"
sa=$(gpg --show-keys --with-colons "$T/card.asc" 2>/dev/null | awk -F: '/^fpr/{print $10; exit}')
secret() { printf '%s\n' "$2" >"$T/$1" && chmod 600 "$T/$1"; }
secret password 'correct horse'
secret wrong 'wrong horse'
secret other 'quite another one'
asked() { cat "$T/$1/pin/count" 2>/dev/null || echo 0; }
ask() { # WHO [OPTION...]
    token_for "$1@example.org" >"$T/$1.token" && chmod 600 "$T/$1.token"
    as "$1" countersign request --token-file "$T/$1.token" --authority-key "$T/card.asc" --address "$1@example.org" --submit "maildir:$T/mail/inbox" "${@:2}"
}
opens() { as "$1" countersign open --submit "maildir:$T/mail/inbox" "${@:2}" "$(reply_to "$1@example.org")"; }
state_of() { countersignctl --json user show "$1@example.org" | python3 -c 'import json,sys; print(*(k["name"]+"="+k["state"] for k in json.load(sys.stdin)["keysets"]))'; }
level_of() { as "$1" countersign status --json default | python3 -c 'import json,sys; print(json.load(sys.stdin)["level"])'; }
secret_keys() { as "$1" gpg --list-secret-keys --with-colons 2>/dev/null | grep -c ^sec; }
mail_for() { as "$1" gpg --batch --quiet --no-tty --trust-model pgp --armor -r "$1@example.org" -e; }

# ---- request --key: a key of the user's own, with its password (P7.1) ----
user alice
printf 'correct horse' >"$T/alice/pin/pin"
own=$(as alice gpg --batch --quiet --status-fd 1 --pinentry-mode loopback --passphrase 'correct horse' --quick-gen-key 'Alice Example <alice@example.org>' ed25519 sign,cert 0 2>/dev/null | sed -n 's/.*KEY_CREATED . //p')
as alice gpg --batch --quiet --pinentry-mode loopback --passphrase 'correct horse' --quick-add-key "$own" cv25519 encr 0 2>/dev/null
cp "$T/alice/.gnupg/gpg-agent.conf" "$T/agent.conf"
ok "alice asks for her own key" ask alice --key "$own"
agent_once
like "the reply is for that key" "$(countersignctl user show alice@example.org | tr -d ' ')" "$own"
exits "its password is its own, not a level's: --home has no place" 64 opens alice --home "$T/alice/elsewhere"
as alice gpgconf --kill gpg-agent
rm -f "$T/alice/pin/count"
ok "she opens it" opens alice
is "for the confirmation her password is asked" "$(asked alice)" 1
agent_once
is "she is enrolled" "$(state_of alice)" default=active
is "her home has that one key" "$(secret_keys alice)" 1
like "certified by the authority" "$(as alice gpg --list-sigs --with-colons "$own" 2>/dev/null | grep ^sig)" "${sa:24}"
is "its level is her own" "$(level_of alice)" own
ok "gpg-agent.conf is as it was" cmp "$T/agent.conf" "$T/alice/.gnupg/gpg-agent.conf"
echo 'for alice' | mail_for alice >"$T/mail.asc"
is "and she reads with it" "$(as alice gpg --batch --quiet -d "$T/mail.asc" 2>/dev/null)" "for alice"
ok "opened twice nothing changes" opens alice

# ---- request --level: the password at once; open --home: a GnuPG home of its own ----
user bob
ok "bob chooses level and password with the request" ask bob --level high --password-file "$T/password"
pending=$(echo "$T"/bob/.local/share/countersign/pending/*/h)
signs() { echo x | gpg --homedir "$pending" --batch --quiet --no-tty --pinentry-mode loopback --passphrase "$1" --armor --sign; }
not "the waiting key can't be used without it" signs ''
not "nor with a wrong one" signs 'wrong horse'
gpgconf --homedir "$pending" --kill gpg-agent
ok "but with it" signs 'correct horse'
gpgconf --homedir "$pending" --kill gpg-agent
agent_once
exits "low is no longer to be had" 64 opens bob --level low --password-file "$T/password" --home "$T/bob/mine"
exits "a wrong password opens nothing" 77 opens bob --password-file "$T/wrong" --home "$T/bob/mine"
is "and leaves nothing in either home" "$(secret_keys bob; gpg --homedir "$T/bob/mine" --list-secret-keys 2>/dev/null | wc -l)" "0
0"
cp "$T/bob/.gnupg/gpg-agent.conf" "$T/agent.conf"
rm -rf "$T/bob/mine"
ok "the right one opens it, into a home of its own" opens bob --password-file "$T/password" --home "$T/bob/mine"
is "where the key is" "$(gpg --homedir "$T/bob/mine" --list-secret-keys --with-colons 2>/dev/null | grep -c ^sec)" 1
is "which is private" "$(stat -c %a "$T/bob/mine")" 700
is "the usual home has none" "$(secret_keys bob)" 0
ok "and its level is what it was" cmp "$T/agent.conf" "$T/bob/.gnupg/gpg-agent.conf"
like "the level counts in the new one" "$(cat "$T/bob/mine/gpg-agent.conf")" '^default-cache-ttl 0$'
agent_once
is "he is enrolled" "$(state_of bob)" default=active
like "status names the home" "$(as bob countersign status default)" "GnuPG home: +$T/bob/mine"
ok "and changes its password there" as bob countersign password default --old-password-file "$T/password" --password-file "$T/other"

# ---- open --key-file (P7.6), with a password and for a key that has none ----
ok "bob's reply opened again makes a key file" opens bob --key-file "$T/bob.asc" --password-file "$T/other"
is "only he can read it" "$(stat -c %a "$T/bob.asc")" 600
takes() { # WHO FILE PASSWORD: a home that knows nothing but this file signs with it
    rm -rf "$T/gnupg-$1" && mkdir -m 700 "$T/gnupg-$1"
    gpg --homedir "$T/gnupg-$1" --batch --quiet --import "$2" 2>/dev/null &&
        echo x | gpg --homedir "$T/gnupg-$1" --batch --quiet --no-tty --pinentry-mode loopback --passphrase "$3" --sign >/dev/null 2>&1
    local status=$?
    gpgconf --homedir "$T/gnupg-$1" --kill all
    return $status
}
not "gpg takes it, but not with a wrong password" takes wrong "$T/bob.asc" 'wrong horse'
is "(the key is there)" "$(gpg --homedir "$T/gnupg-wrong" --list-secret-keys --with-colons 2>/dev/null | grep -c ^ssb)" 1
not "nor with none" takes none "$T/bob.asc" ''
ok "gpg takes it with the keyset's password" takes right "$T/bob.asc" 'quite another one'
user carol
mkdir "$T/carol/.thunderbird"
ok "carol asks" ask carol
agent_once
exits "she opens it with a key file: low, but the file gets a password" 0 opens carol --level low --key-file "$T/carol.asc" --password-file "$T/password"
like "Thunderbird's steps are told" "$exits_output" 'Import an existing OpenPGP key.*carol.asc'
not "without it the file is of no use" takes none "$T/carol.asc" ''
ok "gpg takes it with that password" takes right "$T/carol.asc" 'correct horse'
echo 'for carol' | mail_for carol >"$T/mail.asc"
is "and the key itself has none" "$(as carol gpg --batch --quiet -d "$T/mail.asc" 2>/dev/null)/$(asked carol)" "for carol/0"
exits "a file that is there is not overwritten" 73 opens carol --key-file "$T/carol.asc" --password-file "$T/password"

# ---- a level counts for the whole home: others are named, former values come back (P7.2) ----
user dora
printf '# mine\ndefault-cache-ttl 1234\n  max-cache-ttl 5678\nenable-ssh-support\n' >>"$T/dora/.gnupg/gpg-agent.conf"
cp "$T/dora/.gnupg/gpg-agent.conf" "$T/agent.conf"
old=$(gpg_key dora 'Dora, Private <dora@example.com>')
ok "dora asks" ask dora
agent_once
as_window() { as dora setsid countersign open --dialog --level high --password-file "$T/password" --submit "maildir:$T/mail/inbox" "$(reply_to dora@example.org)"; }
exits "in a dialog she is asked first, and cancels" 77 as_window
like "the question names the home's other key" "$(sed 's/%0A/ /g' "$T/dora/pin/log")" "^SETDESC .*${old:24} Dora, Private <dora@example.com>"
ok "nothing was changed" cmp "$T/agent.conf" "$T/dora/.gnupg/gpg-agent.conf"
is "nor installed" "$(secret_keys dora)" 1
exits "she opens it at level high" 0 opens dora --level high --password-file "$T/password"
like "the home's other key is named" "$exits_output" "${old:24} Dora, Private <dora@example.com>"
unlike "her own new key is no other" "$exits_output" 'dora@example.org>'
conf=$(cat "$T/dora/.gnupg/gpg-agent.conf")
like "the level is set" "$conf" '^max-cache-ttl 0$'
for line in '# before: default-cache-ttl 1234' '# before:   max-cache-ttl 5678' enable-ssh-support '# mine'; do
    ok "kept: $line" grep -qxF -- "$line" <<<"$conf"
done
ok "from high to medium" as dora countersign password default --level medium --old-password-file "$T/password"
is "the times are those of medium, once" "$(grep -cE '^(default|max)-cache-ttl 28800$' "$T/dora/.gnupg/gpg-agent.conf")" 2
ok "to low" as dora countersign password default --level low --old-password-file "$T/password"
is "and gpg-agent.conf says what it said, each line once" "$(sort "$T/dora/.gnupg/gpg-agent.conf")" "$(sort "$T/agent.conf")"
done_testing
