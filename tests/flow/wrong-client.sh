#!/usr/bin/env bash
# Wrong inputs to the user's command: one sentence, the exit status that the manual names, nothing changed, and nothing in the authority's mailbox.
. "$(dirname "$0")/../lib/flow.sh"
. "$top/tests/lib/wrong.sh"

authority_new
conf_set limits mails-per-address-day 10000
countersignctl authority export >"$T/card.asc"
# other NAME ADDRESS: an authority of its own in $T/NAME, its card and a token of it for alice
other() {
    countersignctl -c "$T/$1/sa.conf" init --address "$2" --maildir "$T/$1/mail" --state-directory "$T/$1/state" --runtime-directory "$T/$1/run" --no-passphrase >/dev/null 2>&1
    countersignctl -c "$T/$1/sa.conf" authority export >"$T/$1.asc"
    sed -i 's/#domains = .*/domains = {"example.org", "example.net"}/' "$T/$1/sa.conf"
    countersignctl -c "$T/$1/sa.conf" token issue alice@example.org 2>/dev/null | tee -a "$T/tokens" | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' >"$T/$1.token"
}
other foreign sa@example.net
other second sa@example.org
user alice
echo 'correct horse' >"$T/password"
secret() { printf '%s\n' "$2" >"$T/$1" && chmod 600 "$T/$1"; }
secret empty ''
secret wrong 'wrong horse'
token_for alice@example.org >"$T/token"
as alice countersign request --token-file "$T/token" --authority-key "$T/card.asc" --address alice@example.org --name Alice --keyset default --submit "maildir:$T/mail/inbox" >/dev/null
agent_once
as alice countersign open --level medium --password-file "$T/password" --submit "maildir:$T/mail/inbox" "$(reply_to alice@example.org)" >/dev/null
agent_once
like "alice has a keyset" "$(as alice countersign list)" 'default.*active'
# gpg-agent writes a key anew when it is unlocked for the first time.
ok "whose password is right" as alice countersign password --level medium --old-password-file "$T/password" default
token_for alice@example.org >"$T/token"
countersignctl token issue carol@example.org --mail >/dev/null
mail=$(last_to carol@example.org '^Subject: Your token')
agent_once
watch "$T/alice" "$T/mail" "$T/sa"
ask() { wrong "$1" "$2" "$3" as alice countersign request --authority-key "$T/card.asc" --token-file "$T/token" --address alice@example.org --keyset second "${@:4}"; }

# ---- the command line ----
wrong "no command" 64 'help' countersign
wrong "an unknown command" 64 'frobnicate' countersign frobnicate
wrong "a command with control characters" 64 'command' countersign $'x\x1b[2J\ny'
for command in request open list status password; do
    wrong "$command --bogus" 64 '--bogus' as alice countersign $command --bogus
    wrong "$command -z" 64 '-z' as alice countersign $command -z
    wrong "$command with two operands" 64 'too many' as alice countersign $command a b
    exits "$command --help" 0 countersign $command --help
    like "$command --help says how it is used" "$exits_output" "^usage: countersign $command"
    while read -r option value; do
        [ -z "$value" ] && wrong "$command $option=x" 64 "no value" as alice countersign $command "$option=x" && continue
        wrong "$command $option without a value" 64 "$option needs a value" as alice countersign $command "$option"
    done < <(countersign $command --help | sed -nE 's/^  (--[a-z-]+) ?([A-Z]*)  .*/\1 \2/p')
done
wrong "list with an operand" 64 'too many' as alice countersign list x
wrong "password without a keyset" 64 'which keyset' as alice countersign password
wrong "status of a keyset that is not there" 67 'no keyset "nonesuch"' as alice countersign status nonesuch
wrong "status of no name" 64 'name' as alice countersign status '../x'
wrong "status of no address" 65 'address' as alice countersign status --address nonsense default
wrong "status of another address" 67 'no keyset' as alice countersign status --address bob@example.org default
wrong "password of a keyset that is not there" 67 'no keyset' as alice countersign password nonesuch
wrong "password with a level that is none" 64 'highest' as alice countersign password --level highest default
wrong "password: the old one is wrong" 77 'password|passphrase' as alice countersign password --old-password-file "$T/wrong" --password-file "$T/password" default
wrong "password: the old one is empty" '7[78]' 'empty' as alice countersign password --old-password-file "$T/empty" --password-file "$T/password" default
wrong "password: the new one is empty" '7[78]' 'empty' as alice countersign password --old-password-file "$T/password" --password-file "$T/empty" default
wrong "password: no such file" 66 'no-such' as alice countersign password --old-password-file "$T/no-such" default
wrong "password: cancelled" 77 'stays as it was: cancel' as alice countersign password default
chmod 644 "$T/password"
wrong "password: a file that others can read" 78 'chmod' as alice countersign password --old-password-file "$T/password" default
chmod 600 "$T/password"

# ---- request: what it is given ----
ask "an address that is none" 65 'nonsense' --address nonsense
ask "an authority that is none" 65 'nonsense' --authority nonsense
ask "a keyset name that is none" 64 'name' --keyset '../x'
ask "a keyset name of 33 letters" 64 'name' --keyset "$(printf 'k%.0s' {1..33})"
ask "a name that can't be" 65 'name' --name 'a <b>'
ask "a level that is none" 64 'highest' --level highest
ask "--level with --key" 64 'level' --level high --key 0123456789012345678901234567890123456789
ask "a key that is not there" 67 'no secret key' --key 0123456789012345678901234567890123456789
ask "a key that is no fingerprint" '6[4-7]' 'key' --key nonsense
ask "a way of sending that is none" '(64|65|69|78)' 'ftp' --submit 'ftp:x'
ask "a sendmail that is not there" 69 'no-sendmail' --submit "sendmail:/no-sendmail"
ask "an output that exists" 73 'exists' --output "$T/card.asc"
ask "an output in no directory" '7[34]' 'nowhere' --unsigned --output "$T/nowhere/mail"
ask "a device for an output" 73 '/dev/full exists' --unsigned --output /dev/full
exits "a full standard output may be over some day: the request is kept" 75 sh -c 'exec "$@" >/dev/full' sh env HOME="$T/alice" \
    countersign request --authority-key "$T/card.asc" --token-file "$T/token" --address alice@example.org --keyset second --unsigned --output -
like "and says so" "$exits_output" '^countersign: cannot write.*is kept.*--again'
rm -r "$T"/alice/.local/share/countersign/pending
as alice countersign list >/dev/null
wrong "no address" 64 'address' as bob countersign request --authority-key "$T/card.asc" --token-file "$T/token" --submit "maildir:$T/mail/inbox"
wrong "no authority" '6[49]' 'authority' as alice countersign request --token-file "$T/token" --authority sa@nowhere.invalid --address alice@example.org
wrong "no token" 64 'token' as alice countersign request --authority-key "$T/card.asc" --address alice@example.org
for file in "$T/no-such" "$T"; do
    ask "a token file that is not there: $file" 66 "$file" --token-file "$file"
    ask "an authority key that is not there: $file" 66 "$file" --authority-key "$file"
    wrong "a token mail that is not there: $file" 66 "$file" as alice countersign request --address alice@example.org "$file"
done
: >"$T/nothing"
head -c 5000 /dev/urandom >"$T/junk"
chmod 600 "$T/nothing" "$T/junk"
head -c 70000000 /dev/zero >"$T/huge"
chmod 600 "$T/huge"
chmod 644 "$T/token"
ask "a token file that others can read" 78 'chmod'
chmod 600 "$T/token"
ask "an empty token file" '(65|78)' 'nothing' --token-file "$T/nothing"
ask "a token file of junk" 65 'junk' --token-file "$T/junk"
ask "a token file of 70 MB" 65 'huge' --token-file "$T/huge"
for file in nothing junk huge password; do
    ask "an authority key of $file" 65 "$file" --authority-key "$T/$file"
    wrong "a token mail of $file" 65 "$file|no token" as alice countersign request --address alice@example.org --authority-key "$T/card.asc" "$T/$file"
    INPUT="$T/$file" wrong "a token mail of $file on standard input" 65 '.' as alice countersign request --address alice@example.org --authority-key "$T/card.asc" -
done
sed 's/^iQ[A-Za-z0-9]/iQ!/' "$T/card.asc" >"$T/bad.asc"
sed "s/sa@example.org/sb@example.org/" "$T/card.asc" >"$T/bad.asc"
ask "a card that was changed" 76 'bad.asc.*sign' --authority-key "$T/bad.asc"
{ sed -n '/BEGIN PGP PUBLIC/,/END PGP PUBLIC/p' "$T/second.asc"; sed -n '/BEGIN PGP SIGNED/,$p' "$T/card.asc"; } >"$T/bad.asc"
ask "the card of another key" 76 'bad.asc.*(sign|key)' --authority-key "$T/bad.asc"
head -c 900 "$T/card.asc" >"$T/bad.asc"
ask "a card cut in half" 65 'bad.asc' --authority-key "$T/bad.asc"
as alice gpg --armor --export alice@example.org >"$T/alice.asc"
ask "one's own key for the authority's" 76 'not made for the authority alice@example.org' --authority-key "$T/alice.asc"
ask "the key of another authority than named" 65 'sa@example.org' --authority other@example.org

# ---- tokens, mistyped in each way ----
token=$(cat "$T/token")
mistyped() { secret typed "$2" && ask "a token $1" 65 'token|typ|symbol' --token-file "$T/typed"; }
mistyped "with a symbol too few" "${token%?}"
mistyped "with a symbol too many" "${token}Z"
mistyped "with a letter that tokens never have" "U${token:1}"
mistyped "of nothing but hyphens" '-----'
mistyped "in the middle of a sentence" "my token is $token"
swap() { local t=${token//-/} i=$1 out; out=${t:0:i}${t:i+1:1}${t:i:1}${t:i+2}; [ "$out" != "$t" ] && echo "$out"; }
for i in 0 7 15 23; do
    swapped=$(swap $i) && mistyped "with the neighbours $i and $((i + 1)) swapped" "$swapped"
done
symbols=0123456789ABCDEFGHJKMNPQRSTVWXYZ
for i in 0 6 12 18 25 28; do
    at=${token:i:1}
    [ "$at" = - ] && continue
    rest=${symbols%%"$at"*}
    mistyped "with another symbol at $i" "${token:0:i}${symbols:(${#rest} + 5) % 32:1}${token:i+1}"
done
for form in "$(tr 'A-Z' 'a-z' <<<"$token")" "${token//-/ }" "${token//-/}" "  $token  "; do
    secret typed "$form"
    ok "but written so it is understood: '${form//[0-9A-Za-z]/x}'" as alice countersign request --authority-key "$T/card.asc" --token-file "$T/typed" --address alice@example.org --keyset second --unsigned --output "$T/understood"
    rm -rf "$T"/alice/.local/share/countersign/pending
    rm "$T/understood"
done
as alice countersign list >/dev/null
chmod 600 "$T/second.token" "$T/foreign.token"
ask "a token of another authority (P1.3)" 76 'not made for the authority sa@example.org' --token-file "$T/second.token"
ask "a second authority for the domain (P2.8)" 77 'replace-authority' --token-file "$T/second.token" --authority-key "$T/second.asc"
for fpr in "$T/card.asc" "$T/second.asc"; do
    like "which shows both fingerprints" "$(cat "$T/said")" "$(gpg --with-colons --show-keys "$fpr" 2>/dev/null | awk -F: '/^fpr/{print $10; exit}')"
done
# A token mail of a foreign domain's authority (P2.8): who can send a mail can write one.
{
    printf 'From: sa@example.net\nTo: alice@example.org\nSubject: Your token\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n%s\n\n--b\n' "$(cat "$T/foreign.token")"
    printf 'Content-Type: application/pgp-keys; name="authority-card.asc"\nContent-Disposition: attachment; filename="authority-card.asc"\n\n'
    cat "$T/foreign.asc"
    printf -- '\n--b--\n'
} >"$T/foreign.eml"
mail_of() { as alice countersign request --address alice@example.org --keyset second "$@"; }
wrong "a token mail of a foreign domain" 77 'accept-domain example.net' as alice countersign request --address alice@example.org --keyset second "$T/foreign.eml"
wrong "a token mail of a foreign domain, another accepted" 77 'sa@example.net' as alice countersign request --address alice@example.org --keyset second --accept-domain example.com "$T/foreign.eml"
ok "accepted it is used" mail_of --accept-domain example.net --unsigned --output "$T/accepted" "$T/foreign.eml"
rm -rf "$T"/alice/.local/share/countersign/pending "$T/accepted"
as alice countersign list >/dev/null
cat "$T/card.asc" >"$T/two.asc"
sed "s/--b--/--b/" "$T/foreign.eml" >"$T/two.eml"
{ printf 'Content-Type: application/pgp-keys\n\n'; cat "$T/card.asc"; printf -- '\n--b--\n'; } >>"$T/two.eml"
wrong "a token mail with two cards" 65 'two authorities' as alice countersign request --address alice@example.org --keyset second "$T/two.eml"
wrong "a mail without a token" 65 'no token' as alice countersign request --authority-key "$T/card.asc" --address alice@example.org --keyset second "$T"/mail/outgoing/new/"$(ls "$T/mail/outgoing/new" | head -n 1)"
sed "s/[0-9A-Z]\{5\}\(-[0-9A-Z]\{5\}\)\{4\}/00000-&/" "$mail" | tr -d '\r' | sed -E 's/([0-9A-Z]{5}-){5}[0-9A-Z]{5}/00000-11111-22222-33333-44444/' >"$T/damaged.eml"
wrong "a mail whose token is damaged" 65 'token' as alice countersign request --address alice@example.org --keyset second "$T/damaged.eml"

# ---- a name in use (P7.3): nothing leaves, and a free name is told ----
again() { wrong "a name in use, the password $1" 77 '(default|DEFAULT)-2 is free' as alice countersign request --authority-key "$T/card.asc" --token-file "$T/token" --address alice@example.org --keyset "${3:-default}" "${@:4}"; }
again wrong 77 default --old-password-file "$T/wrong"
again empty 77 default --old-password-file "$T/empty"
again cancelled 77 default
again 'wrong, the name in capitals' 77 DEFAULT --old-password-file "$T/wrong"
echo wrong >"$T/alice/pin/pin"
again 'wrong, by pinentry' 77
: >"$T/alice/pin/pin"
again 'empty, by pinentry' 77
rm -f "$T/alice/pin/pin"
is "nothing reached the mailbox" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 0
ok "the right password, and it goes" as alice countersign request --authority-key "$T/card.asc" --token-file "$T/token" --address alice@example.org --keyset default --old-password-file "$T/password" --output "$T/good"
wrong "a request for it waits already" 73 'waits since.*--again' as alice countersign request --authority-key "$T/card.asc" --token-file "$T/token" --address alice@example.org --keyset default --old-password-file "$T/password"
wrong "--again for what does not wait" 67 'waits' as alice countersign request --again --keyset nonesuch
wrong "--again with a token of another authority" 76 'not made for' as alice countersign request --again --token-file "$T/second.token"
secret typo "${token%?}"
wrong "--again with a mistyped token" 65 'token|typ' as alice countersign request --again --token-file "$T/typo"
done_testing
