#!/usr/bin/env bash
# Who did what, and how it ended: one entry a command, also where it is interrupted; nothing without a log; the log proved with nothing of ours. And hostile text on a terminal.
. "$(dirname "$0")/../lib/flow.sh"

printf 'correct horse\n' >"$T/pass.authority"
printf 'battery staple\n' >"$T/pass.escrow"
printf 'wrong\n' >"$T/pass.wrong"
authority_new
conf_set authority passphrase-file "\"$T/pass.authority\""
me=$(id -un)
# The newest N entries about commands: by, address, detail.
commands() { countersignctl --json log | python3 -c 'import json,sys
for e in [e for e in json.load(sys.stdin) if e["event"] == "command"][-int(sys.argv[1]):]: print(e["actor"], e["address"], e["detail"])' "$1"; }
count() { store_sql "SELECT count(*) FROM log WHERE event = 'command'"; }
recorded() { # NAME WANTED COMMAND...: exactly one entry
    local name=$1 wanted=$2 before
    shift 2
    before=$(count)
    "$@" >"$T/out" 2>"$T/err" </dev/null
    is "$name: one entry" "$(count)" $((before + 1))
    is "$name: with its outcome" "$(commands 1)" "$wanted"
}
none() { # NAME COMMAND...
    local before=$(count)
    "${@:2}" >/dev/null 2>&1 </dev/null
    is "$1: no entry" "$(count)" "$before"
}

recorded "a token" "$me None command=\"token issue\" outcome=done" token_for alice@example.org
recorded "two tokens, one command" "$me None command=\"token issue\" outcome=done" token_for bob@example.org carol@example.org
is "and an entry for each person" "$(countersignctl --json log | grep -c '"event": "token-issued"')" 3
recorded "one that came to nothing names whom it was for" "$me dora@example.org command=\"token void\" outcome=failed status=67" countersignctl token void dora@example.org
recorded "somebody who says who they are" "erin ($me) None command=\"token void\" outcome=done" countersignctl --as erin token void bob@example.org
recorded "behind the command too" "erin ($me) None command=\"token void\" outcome=done" countersignctl token void carol@example.org --as erin
like "the entry about the person says so too" "$(countersignctl log --address carol@example.org)" "erin \($me\) +token-voided"
[ "$(id -u)" != 0 ] || recorded "under sudo" "frank None command=\"outbox retry\" outcome=done" env SUDO_USER=frank countersignctl outbox retry
recorded "no such mail" "$me None command=\"outbox drop\" outcome=failed status=67" countersignctl outbox drop none
none "what reads" countersignctl user list
none "a wrong command line" countersignctl token issue --nonsense
exits "a name that is none" 64 countersignctl --as 'a b' token list
exits "a mail address is none" 64 countersignctl --as erin@example.org token list

# ---- interrupted, cancelled, killed ----
token_for alice@example.org >/dev/null
printf 'text\n' >"$T/text"
asked() { # ANSWER: `revoke` asks on a terminal, and gets this
    python3 - "$1" <<'PY'
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp('countersignctl', ['countersignctl', 'revoke', 'alice@example.org', '--reason', 'left'])
shown = b''
while b'yes or no: ' not in shown:
    shown += os.read(terminal, 4096)
if sys.argv[1] == 'TERM':
    os.kill(pid, signal.SIGTERM)
elif sys.argv[1] == 'KILL':
    child = int(open(f'/proc/{pid}/task/{pid}/children').read().split()[0])
    os.kill(child, signal.SIGKILL)
else:
    os.write(terminal, sys.argv[1].encode())
while True:
    try:
        if not os.read(terminal, 4096):
            break
    except OSError:
        break
status = os.waitpid(pid, 0)[1]
print(os.waitstatus_to_exitcode(status))
PY
}
before=$(changes)
refused="$me alice@example.org command=\"revoke\" outcome=refused"
for how in $'\x03' TERM KILL; do
    name=$(printf %q "$how")
    recorded "stopped by $name" "$refused" asked "$how"
    like "stopped by $name: by that signal" "$(cat "$T/out")" '^-(2|15|9)$'
done
recorded "answered with no" "$refused status=77" asked $'no\n'
is "nothing has changed" "$(changes)" "$before"
daemon_start
recorded "a wrong passphrase" "$me None command=\"unlock\" outcome=refused status=77" countersignctl unlock --passphrase-file "$T/pass.wrong"
countersignctl unlock --passphrase-file "$T/pass.authority" >/dev/null
daemon_stop

# ---- without a log nothing is done ----
tokens=$(countersignctl --json token list --all)
exits "with a clock that is behind" 75 faketime -f -1h countersignctl outbox retry
like "it says so" "$exits_output" "nothing was done, as the log can't be written"
cp "$T/sa/state/countersign.db" "$T/whole.db"
sqlite3 "$T/sa/state/countersign.db" 'DELETE FROM log WHERE number = (SELECT max(number) FROM log)'
for words in 'token issue gina@example.org' 'token void alice@example.org' 'revoke alice@example.org --reason left --yes' "wkd export $T/wkd" 'outbox retry' 'recover alice@example.org' "backup $T/backup"; do
    # shellcheck disable=SC2086
    exits "$words: not without a log" 65 countersignctl $words
done
exits "nor is such a log exported" 76 countersignctl log export
is "nothing was done" "$(countersignctl --json token list --all)" "$tokens"
not "nothing was written" test -e "$T/wkd" -o -e "$T/backup"
cp "$T/whole.db" "$T/sa/state/countersign.db"

# ---- exported, and proved ----
proof() { python3 "$top/samples/log-verify.py" "$@"; }
countersignctl authority export >"$T/card.asc"
head=$(countersignctl log verify | sed -n 's/^Log-Head: \([0-9]*\) /\1:/p')
token_for hans@example.org >/dev/null
ok "an export" bash -c "countersignctl log export >'$T/log'"
ok "is proved in Python" proof "$T/log" "$T/card.asc"
ok "against an old head" proof "$T/log" "$T/card.asc" "$head"
not "but no other" proof "$T/log" "$T/card.asc" "1:${head#*:}"
countersignctl log export --since 1d >"$T/part"
ok "so is a part of it" proof "$T/part" "$T/card.asc"
for change in '2d' 's/erin/erik/' '3{h;d};4{G}' 's/"number":5,/"number":6,/' 's/alice@/alicia@/' '/^{/{$!{x;d}}' 's/^Log-Head: ./&1/' 's/"time":1/"time":2/'; do
    sed "$change" "$T/log" >"$T/changed"
    cmp -s "$T/log" "$T/changed" && echo "# $change changes nothing"
    not "changed by $change it is not" proof "$T/changed" "$T/card.asc"
done
grep -v hans "$T/log" >"$T/changed"
not "nor without somebody" proof "$T/changed" "$T/card.asc"

# ---- hostile text ----
{
    printf 'From: stranger@example.net\nTo: sa@example.org\nMessage-ID: <hostile@example.net>\n'
    printf 'Subject: \033]0;owned\007\033[2J\033[31mred \302\233 \302\205 \342\200\256gnp.exe \342\201\246x \b\b\b \r over \177\n'
    printf 'X-Long: %s\n' "$(head -c 900 /dev/zero | tr '\0' a)$(printf '\303\274%.0s' $(seq 300))"
    python3 "$top/tests/lib/hostile_message.py" password | sed '/^$/q;d'
    python3 "$top/tests/lib/hostile_message.py" password | sed '1,/^$/d'
} | deliver
agent_once
id=$(countersignctl --json quarantine list | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["id"])')
for format in '' --json; do
    countersignctl $format quarantine show "$id" >"$T/shown"
    like "quarantine show $format: the header is there" "$(cat "$T/shown")" 'Subject: .*red'
    is "quarantine show $format: nothing that a terminal obeys" "$(python3 -c 'import sys, unicodedata
for c in open(sys.argv[1], encoding="utf-8", newline="").read():
    if c != "\n" and (unicodedata.category(c) in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(c) in ("RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI", "FSI", "PDI")): print(ascii(c))' "$T/shown")" ""
done
countersignctl quarantine show "$id" >"$T/shown"
ok "no line is overlong" test "$(awk '{ if (length($0) > max) max = length($0) } END { print max }' "$T/shown")" -le 450
like "and it is said how much is left out" "$(cat "$T/shown")" 'X-Long: a.* \(and [0-9]+ bytes more\)$'
like "the reason is a sentence" "$(countersignctl --json quarantine list)" '"reason": "[a-z][^"]{15,}[^."]"'
recorded "dropped" "$me None command=\"quarantine drop\" outcome=done" countersignctl quarantine drop "$id"
done_testing
