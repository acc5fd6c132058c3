#!/usr/bin/env bash
# What a double-click or a mail program's key runs: the commands as they stand in the samples, on real replies.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
countersignctl authority export >"$T/card.asc"
asks() {
    user "$1"
    token_for "$1@example.org" >"$T/token" && chmod 600 "$T/token"
    as "$1" countersign request --token-file "$T/token" --authority-key "$T/card.asc" --address "$1@example.org" --submit "maildir:$T/mail/inbox" >/dev/null
    agent_once
    printf 'correct horse' >"$T/$1/pin/pin"
    echo ok >"$T/$1/pin/confirm"
}
attachment() { python3 -c 'import email,sys; [sys.stdout.buffer.write(p.get_payload(decode=True)) for p in email.message_from_binary_file(open(sys.argv[1],"rb")).walk() if p.get_filename()=="reply.countersign"]' "$1"; }
state() { as "$1" countersign list --json | python3 -c 'import json,sys; print(*(k["state"] + "/" + (k["level"] or "") for k in json.load(sys.stdin)))'; }

# The desktop entry: the one file takes the place of %f, without a shell.
asks alice
attachment "$(reply_to alice@example.org)" >"$T/my reply.countersign"
read -ra command < <(sed -n 's/^Exec=//p' "$top/samples/countersign.desktop")
is "the desktop entry takes one file" "${command[-1]}" %f
command[-1]="$T/my reply.countersign"
ok "a double-click opens it, without a terminal" as alice setsid "${command[@]}"
is "alice's keyset is installed, at the level that OK means" "$(state alice)" active/medium
like "she was told what she can do now" "$(cat "$T/alice/pin/log")" '^SETDESC .*is ready'
ok "a second one, too" as alice setsid "${command[@]}"
like "and told that nothing was changed" "$(cat "$T/alice/pin/log")" '^SETDESC .*installed already'
exits "what is no reply" 65 as alice setsid countersign open --dialog "$T/init.out"
like "is told in a window" "$(tail -n 4 "$T/alice/pin/log")" '^SETDESC .*init.out'

# mailcap: the first line whose test holds; %s is the file, which the program's shell sees.
line() { grep -v '^#' "$top/samples/mailcap" | sed -n "$1p"; }
part() { line "$1" | tr ';' '\n' | sed 's/^ *//' | sed -n "$2"; }
asks bob
attachment "$(reply_to bob@example.org)" >"$T/reply.countersign"
test_of() { DISPLAY=$1 bash -c "$(part 1 's/^test=//p')"; }
ok "mailcap: with a display the first line counts" test_of :0
not "without one it does not" test_of ''
ok "the first line opens it" as bob setsid bash -c "$(part 1 2p | sed "s|%s|$T/reply.countersign|")"
is "bob's keyset is installed" "$(state bob)" active/medium
asks carol
attachment "$(reply_to carol@example.org)" >"$T/reply.countersign"
like "mailcap: the second line wants a terminal" "$(line 2)" '; needsterminal;'
ok "and opens it there" as carol "$top/tests/lib/terminal.py" high -- bash -c "$(part 2 2p | sed "s|%s|$T/reply.countersign|")"
is "carol's keyset is installed" "$(state carol)" active/high

# mutt, aerc: the whole mail comes on standard input, the terminal is there for questions.
asks dora
cp "$(reply_to dora@example.org)" "$T/mail.eml"
command=$(sed -n 's/^macro .*<pipe-message>\(countersign open\)<enter>.*/\1/p' "$top/samples/mutt")
is "aerc pipes to the same command as mutt" "$(sed -n 's/^C = :pipe -m \(.*\)<Enter>$/\1/p' "$top/samples/aerc" | sort -u)" "$command"
ok "the mail piped from a terminal is opened" as dora "$top/tests/lib/terminal.py" low -- bash -c "$command <'$T/mail.eml'"
is "dora's keyset is installed" "$(state dora)" active/low
done_testing
