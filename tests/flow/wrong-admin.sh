#!/usr/bin/env bash
# Wrong words, values, files and outputs, for countersignctl and countersignd: one sentence, the exit status that the manual names, and nothing changed.
. "$(dirname "$0")/../lib/flow.sh"
. "$top/tests/lib/wrong.sh"

printf 'open sesame\n' >"$T/pass.authority"
printf 'another one\n' >"$T/pass.escrow"
authority_new
conf_set limits mails-per-address-day 10000
token_for bob@example.org >/dev/null
agent_once
watch "$T/sa" "$T/mail"
state="$T/sa/state" run="$T/sa/run"
own() { sed "$@" "$COUNTERSIGN_CONF" >"$T/own.conf"; }

# ---- the command line ----
for option in --bogus -z --once=yes --authority=; do
    wrong "countersignd $option" 64 "$option|--authority" countersignd $option
done
wrong "countersignd -c without a file" 64 '-c|config' countersignd -c
wrong "countersignd: -n and --once" 64 'exclude' countersignd -n --once
wrong "countersignd: an argument too many" 64 'unexpected' countersignd now
wrong "countersignd: a path for a name" 64 'name' countersignd --authority ../x
wrong "countersignd: no such authority" 66 'none-such.conf' countersignd --authority none-such
wrong "countersignctl without a word" 64 'help' countersignctl
wrong "countersignctl: an unknown command" 64 'frobnicate' countersignctl frobnicate
wrong "countersignctl: a control character" 64 'command' countersignctl $'fro\x1b[31mb\nx'
wrong "countersignctl: an unknown option before it" 64 '--bogus' countersignctl --bogus token list
for noun in token user authority wkd quarantine outbox; do
    wrong "countersignctl $noun alone" 64 "$noun" countersignctl $noun
    wrong "countersignctl $noun with another verb" 64 "$noun" countersignctl $noun frobnicate
done
wrong "countersignctl -c without a file" 64 '-c' countersignctl token list -c
wrong "countersignctl: a path for a name" 64 'name' countersignctl --authority a/b token list
wrong "countersignctl: no such authority" 66 'none-such.conf' countersignctl --authority none-such token list
while read -r words; do
    # shellcheck disable=SC2086
    wrong "countersignctl $words --bogus" 64 '--bogus' countersignctl $words --bogus
done <<'END'
init
token issue
token fill
token list
token void
user list
user show
user prefer
authority show
authority export
authority unlock
unlock
wkd export
log
log verify
status
quarantine list
quarantine show
quarantine release
quarantine drop
outbox list
outbox retry
outbox drop
END
while read -r words; do
    # shellcheck disable=SC2086
    wrong "countersignctl $words: something is missing" 64 'missing|needs|address' countersignctl $words
done <<'END'
init
init --address
token issue
token issue alice@example.org --keyset
token issue alice@example.org --expires
token void
user show
user prefer
user prefer alice@example.org
user list --state
wkd export
log --address
log --since
log verify --head
quarantine show
quarantine release
quarantine drop
outbox drop
authority unlock --passphrase-file
END
while read -r words; do
    # shellcheck disable=SC2086
    wrong "countersignctl $words: one too many" 64 'too many' countersignctl $words
done <<'END'
init x
token list x
token void 1 2
token fill x
user list x
user show alice@example.org bob@example.org
user prefer alice@example.org a b
authority show x
authority export x
unlock x
wkd export a b
log x
log verify x
status x
quarantine list x
quarantine show 1 2
outbox list x
outbox retry 1 2
outbox drop 1 2
END

# ---- values ----
for address in nonsense '@example.org' 'alice@' 'a b@example.org' 'alice@example..org' 'alice@example.org, bob@example.org' "$(printf 'a%.0s' {1..300})@example.org" \
    $'alice\x01@example.org' 'alice@exa mple.org' 'Alice <alice@example.org>' 'alice@[127.0.0.1]' $'al\xffice@example.org'; do
    wrong "no address: $address" 65 'address' countersignctl token issue "$address"
    wrong "nor one to show: $address" 65 'address' countersignctl user show "$address"
done
wrong "a foreign domain" 65 'domain' countersignctl token issue alice@example.net
wrong "a domain below the own" 65 'domain' countersignctl token issue alice@sub.example.org
wrong "a domain that looks like it" 65 'domain' countersignctl token issue 'alice@ехаmple.org'
for span in soon 0 0d -1d 14 14x 99999999999999999999d ''; do
    wrong "no span: '$span'" 64 'span|expires' countersignctl token issue alice@example.org --expires "$span"
done
wrong "log since a bad time" 64 'since' countersignctl log --since 2026-13-45T00:00:00Z
wrong "log of no address" 65 'address' countersignctl log --address nonsense
wrong "a head that is none" 64 'head' countersignctl log verify --head nonsense
for id in nonsense -1 99999999999999999999 1x ''; do
    wrong "no id of a quarantined mail: '$id'" 64 'id|option' countersignctl quarantine show "$id"
done
wrong "a user who is not there" 67 'nobody@example.org' countersignctl user show nobody@example.org
wrong "a token that is not there" 67 'token' countersignctl token void nobody@example.org
wrong "a token id that is not there" 67 'token' countersignctl token void 4711
wrong "a state that is none" 64 'state' countersignctl user list --state happy
wrong "a keyset that is not there" 67 'keyset' countersignctl user prefer bob@example.org default
wrong "a keyset name that is none" 65 'keyset' countersignctl token issue alice@example.org --keyset '../x'
wrong "a mail not in quarantine" 67 'mail' countersignctl quarantine show 99
wrong "a mail not in the outbox" 67 'mail' countersignctl outbox drop 99
wrong "a mail not in the outbox, to retry" 67 'mail' countersignctl outbox retry 99

# ---- what is delivered, drafted, written ----
watch "$T/sa" "$T/mail"
wrong "countersignd --deliver: nothing on standard input" 65 'no mail' countersignd --deliver
own "/^mailbox/,/^}/s,url = .*,url = \"maildir:/proc/nothing\","
INPUT="$T/init.out" wrong "countersignd --deliver: no such Maildir, so that the mail server tries again" 75 '/proc/nothing' countersignd -c "$T/own.conf" --deliver
{ printf 'From: sa@example.org\nTo: dora@example.org\nSubject: x\n\n'; head -c 70000000 /dev/zero; } >"$T/huge"
INPUT="$T/huge" wrong "countersignd --deliver: 70 MB" 65 'larger' countersignd --deliver
INPUT="$T" wrong "countersignd --deliver: a directory on standard input" 66 'standard input' countersignd --deliver
for words in 'token fill' 'sendmail -t'; do
    # shellcheck disable=SC2086
    {
        INPUT="$T/huge" wrong "$words: 70 MB" 65 'larger' countersignctl $words
        INPUT="$T" wrong "$words: a directory" 66 'standard input' countersignctl $words
        wrong "$words: nothing" '6[45]' '.' countersignctl $words
    }
done
rm "$T/huge"
head -c 5000 /dev/urandom >"$T/junk"
INPUT="$T/junk" wrong "token fill: binary junk" 65 'draft|mail|TOKEN' countersignctl token fill
printf 'From: sa@example.org\nTo: dora@example.org\nSubject: x\n\nNo token here.\n' >"$T/draft"
INPUT="$T/draft" wrong "token fill: no placeholder" 65 'TOKEN' countersignctl token fill
printf 'From: sa@example.org\nTo: dora@example.net\nSubject: x\n\n%%TOKEN%%\n' >"$T/draft"
INPUT="$T/draft" wrong "token fill: a foreign domain" 65 'domain' countersignctl token fill
INPUT="$T/draft" wrong "sendmail: a foreign domain" 65 'domain' countersignctl sendmail -t
printf 'From: sa@example.org\nSubject: x\n\n%%TOKEN%%\n' >"$T/draft"
INPUT="$T/draft" wrong "token fill: no recipient" 65 'To|person|recipient' countersignctl token fill
INPUT="$T/draft" wrong "sendmail: no recipient" '6[45]' 'To|person|recipient' countersignctl sendmail -t

watch "$T/mail" "$T/sa/sa.conf" "$state/keys"
issued() { countersignctl --json token list | grep -c '"outstanding"'; }
was=$(issued)
printf 'From: sa@example.org\nTo: dora@example.org\nSubject: x\n\n%%TOKEN%%\n' >"$T/draft"
for words in 'authority export' 'authority show' 'token list' 'user list' 'user show bob@example.org' 'log' 'log verify' '--json outbox list' '--json quarantine list' 'token issue alice@example.org' 'token fill'; do
    # shellcheck disable=SC2086
    {
        INPUT="$T/draft" OUTPUT=/dev/full wrong "$words: a full device" '7[45]' 'output|written' countersignctl $words
        INPUT="$T/draft" wrong "$words: standard output is closed" 74 'output|written' closed countersignctl $words
    }
done
is "no token is outstanding of all those that nobody saw" "$(issued)" "$was"
printf 'x' >"$T/there"
watch "$T/sa" "$T/mail" "$T/there"
wrong "a slip where there is a file" 73 'there' countersignctl token issue alice@example.org --slip "$T/there"
wrong "a slip in no directory" '7[34]' 'no-dir' countersignctl token issue alice@example.org --slip "$T/no-dir/slip"
wrong "a slip in a directory" 73 "$T" countersignctl token issue alice@example.org --slip "$T/sa"
wrong "a Web Key Directory where there is a file" 73 'there' countersignctl wkd export "$T/there"
wrong "a Web Key Directory below a file" 73 'there' countersignctl wkd export "$T/there/wkd"

# ---- somebody else ----
if [ "$(id -u)" = 0 ]; then
    stranger() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
    chmod 711 "$T" "$T/sa"
    mkdir -m 755 "$T/bin"
    cp "$build/countersignctl" "$build/countersignd" "$T/bin"
    chmod 755 "$T/bin/"*
    wrong "countersignctl: a stranger can't read the configuration" 66 'sa.conf' stranger "$T/bin/countersignctl" token list
    wrong "countersignd: a stranger can't read the configuration" 66 'sa.conf' stranger "$T/bin/countersignd" --once
    chmod 644 "$COUNTERSIGN_CONF"
    watch "$T/sa" "$T/mail"
    wrong "countersignctl: a stranger can't open the store" '(66|77|78)' "$state" stranger "$T/bin/countersignctl" token list
    wrong "countersignctl: a stranger can't use the key" '(66|77|78)' "$state|$run" stranger "$T/bin/countersignctl" token issue alice@example.org
    wrong "countersignd: a stranger can't run it" '(66|77|78)' "$state|$run" stranger "$T/bin/countersignd" --once
    INPUT="$T/init.out" wrong "countersignd --deliver: a stranger can't deliver" 75 'inbox' stranger "$T/bin/countersignd" --deliver
    chmod 640 "$COUNTERSIGN_CONF"
fi

# ---- init ----
watch "$T/sa" "$T/mail"
wrong "init again" 73 'never overwrites' countersignctl init --address sa@example.org --no-passphrase
try() { countersignctl -c "$T/try/sa.conf" init --address sa@example.org --state-directory "$T/try/state" --runtime-directory "$T/try/run" "$@"; }
wrong_init() { # NAME STATUS ERE OPTIONS...
    local name=$1 status=$2 pattern=$3
    shift 3
    wrong "init: $name" "$status" "$pattern" countersignctl -c "$T/try/sa.conf" init --address sa@example.org --state-directory "$T/try/state" --runtime-directory "$T/try/run" "$@"
    not "init: $name: nothing is left" test -e "$T/try"
}
wrong_init "a passphrase file that is not there" 66 'none' --authority-passphrase-file "$T/none" --escrow-passphrase-file "$T/pass.escrow"
cp "$T/pass.authority" "$T/pass.open"
chmod 644 "$T/pass.open"
wrong_init "a passphrase that others can read" 78 'chmod' --authority-passphrase-file "$T/pass.open" --escrow-passphrase-file "$T/pass.escrow"
wrong_init "a name that can't be" 65 'name' --no-passphrase --name 'a <b>'
wrong_init "a Maildir that can't be" '7[0-9]' 'there' --no-passphrase --maildir "$T/there/mail"
wrong_init "a state directory that can't be" '7[0-9]' 'there' --no-passphrase --state-directory "$T/there/state"
wrong_init "an escrow home that can't be" '7[0-9]' 'there' --no-passphrase --escrow-home "$T/there/escrow"

# Killed in the middle, init never overwrites, and what it left is told.
nobody_at_it() { ! pgrep -f "^countersignctl .*$T/try"; } # the children of the killed one end by themselves
for delay in 0.05 0.2 0.4; do
    (exec timeout -s KILL "$delay" countersignctl -c "$T/try/sa.conf" init --address sa@example.org --state-directory "$T/try/state" --runtime-directory "$T/try/run" \
        --no-passphrase) >/dev/null 2>&1
    if [ -e "$T/try/state" ]; then
        await 10 nobody_at_it
        watch "$T/try"
        wrong "init, after one that was killed" 73 'exists already' countersignctl -c "$T/try/sa.conf" init --address sa@example.org --state-directory "$T/try/state" --runtime-directory "$T/try/run" --no-passphrase
    fi
    for home in keys escrow; do gpgconf --homedir "$T/try/state/$home" --kill all 2>/dev/null; done
    rm -rf "$T/try"
done
ok "and where that is removed, it works" try --no-passphrase

# ---- help and JSON ----
for program in countersignd countersignctl countersign; do
    for option in --help --version; do
        exits "$program $option" 0 "$program" $option
        like "$program $option says it" "$exits_output" "$program"
    done
done
while read -r words; do
    # shellcheck disable=SC2086
    exits "countersignctl $words --help" 0 countersignctl $words --help
    like "countersignctl $words --help shows it" "$exits_output" "countersignctl.* $words|  $words"
done <<'END'
init
token issue
token fill
token list
token void
sendmail
user list
user show
user prefer
authority show
authority export
authority unlock
unlock
wkd export
log
log verify
status
quarantine list
quarantine show
quarantine release
quarantine drop
outbox list
outbox retry
outbox drop
END
while read -r words; do
    # shellcheck disable=SC2086
    ok "countersignctl --json $words is JSON" bash -c "countersignctl --json $words | python3 -m json.tool"
done <<'END'
token issue alice@example.org
token issue alice@example.org dora@example.org
token list
token list --all
user list
user show alice@example.org
authority show
log
log verify
status
quarantine list
outbox list
outbox list --all
END
done_testing
