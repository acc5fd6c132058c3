#!/usr/bin/env bash
# samples/demo tells the truth: it runs with the built programs, and leaves what it speaks of.
. "$(dirname "$0")/../lib/flow.sh"

D=$T/demo
export COUNTERSIGN_CONF="$D/authority/sa.conf"
run_demo() { BUILD=$build timeout 120 "$top/samples/demo" "$D" >"$T/told" 2>&1; }
ok "it runs to its end" run_demo
is "both people are enrolled, alice under her second name" "$(countersignctl --json user list | python3 -c 'import json,sys; print(*sorted(u["address"]+" "+u["keyset"]+"="+u["state"] for u in json.load(sys.stdin)))')" \
    "alice@example.org default-2=active alice@example.org default=superseded bob@example.org default=active"
is "three keys are published" "$(find "$D/webroot" -path '*/hu/*' -type f | wc -l)" 3
ok "and the card" test -s "$D/webroot/.well-known/countersign/example.org/authority-card.asc"
like "bob believes alice's key by the authority's word alone" "$(HOME="$D/bob" gpg --batch --trust-model pgp --list-keys alice@example.org 2>/dev/null)" 'full *\] Alice Example'
like "what bob wrote is encrypted" "$(cat "$D/to-alice.asc")" 'BEGIN PGP MESSAGE'
like "what alice read was shown" "$(sed -n '/alice\$ gpg/,$p' "$T/told")" '^    The quarterly figures are attached\.$'
told() { sed -n "/$1/,/$2/p" "$T/told"; }
is "before she forgot her password and after" "$(grep -c '^    The quarterly figures are attached\.$' "$T/told")" 2
like "the name whose password is wrong was refused, and a free one told" "$(tr '\n' ' ' <"$T/told")" 'keyset default-2 is free +\(exit status 77\)'
like "bob's reply was shown as he sees it" "$(told 'Your key is certified' 'Bob answers')" '^    Confirmation: [0-9A-Z]{5}-'
unlike "and decoded" "$(told 'Your key is certified' 'Bob answers')" '=[0-9A-F]{2}|=$'
like "commands are shown as people type them" "$(cat "$T/told")" '^  alice\$ countersign request '
unlike "without what the script needs for itself" "$(head -n -1 "$T/told")" 'sh -c|\$ as |/dev/shm/cs-flow|error|not found'
ok "the log is whole" countersignctl log verify
runtime=$(sed -n 's/^[[:space:]]*runtime-directory = "\(.*\)"/\1/p' "$COUNTERSIGN_CONF")
grep -qE 'countersign-[0-9A-F-]+$' <<<"$runtime" && rm -rf "$runtime"
done_testing
