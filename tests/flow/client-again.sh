#!/usr/bin/env bash
# Asking again (P5.3, P7.1): the same token gives the same bytes and the same reply, a new one a new request for the same key; old requests are offered for
# removal; and what list and status say of all that.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 10000
countersignctl authority export >"$T/card.asc"
for who in alice bob; do user $who; done
give() { token_for "$1@example.org" >"$T/$1.token" && chmod 600 "$T/$1.token"; }
ask() { as "$1" countersign request --submit "maildir:$T/mail/inbox" "${@:2}"; }
first() { ask "$1" --token-file "$T/$1.token" --authority-key "$T/card.asc" --address "$1@example.org" "${@:2}"; }
terminal() { as "$1" "$top/tests/lib/terminal.py" "${@:2}"; }
opens() { as "$1" countersign open --submit "maildir:$T/mail/inbox" --level low "$(reply_to "$1@example.org")"; }
in_box() { find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | xargs -r ls -tr; }
armor() { sed -n '/^-----BEGIN PGP MESSAGE/,/^-----END PGP MESSAGE/p' "$1" | tr -d '\r'; }
kinds() { for mail in $(in_box); do armor "$mail" | sha256sum; done | sort -u | wc -l; }
json() { # WHO COMMAND PYTHON: what the program printed is `j`
    as "$1" countersign $2 --json | python3 -c "import json,sys; j = json.load(sys.stdin); print($3)"
}
fingerprint() { json "$1" list 'j[0]["fingerprint"]' | tr -d ' '; }
key_of() { countersignctl --json user show "$1@example.org" | python3 -c 'import json,sys; print(*(k["fingerprint"].replace(" ", "") + "=" + k["state"] for k in json.load(sys.stdin)["keysets"]))'; }

# ---- the same token ----
give alice
ok "alice asks" first alice --name 'Alice Example'
ok "again, without a word about the token" ask alice --again
ok "again, with the same token" ask alice --again --token-file "$T/alice.token"
ok "again, on a terminal, with an empty answer" terminal alice '' -- countersign request --again --submit "maildir:$T/mail/inbox"
is "four mails" "$(in_box | wc -l)" 4
is "each a mail of its own" "$(for mail in $(in_box); do grep -i '^Message-ID:' "$mail"; done | sort -u | wc -l)" 4
is "all with the same bytes" "$(kinds)" 1
is "one request waits" "$(json alice list 'len(j), j[0]["state"], j[0]["keyset"], j[0]["address"]')" "1 waiting default alice@example.org"
key=$(fingerprint alice)
agent_once
is "four replies" "$(count_to alice@example.org '^Subject: Reply')" 4
is "all with the same bytes, too" "$(for mail in $(sent_to alice@example.org | xargs grep -l '^Subject: Reply'); do armor "$mail" | sha256sum; done | sort -u | wc -l)" 1
ok "any of them opens" opens alice
agent_once
is "her key is enrolled" "$(key_of alice)" "$key=active"
exits "now nothing waits to be asked for again" 67 ask alice --again
unlike "nobody was alarmed" "$(countersignctl log)" 'alarm'

# ---- a new token: the first request was lost, and its token superseded ----
give bob
ok "bob asks" first bob
armor "$(in_box | tail -n 1)" >"$T/lost"
ok "(a request was there to be lost)" test -s "$T/lost"
in_box | xargs rm
key=$(fingerprint bob)
give bob
new=$(cat "$T/bob.token")
ok "again, with a new token typed on a terminal, at the second try" terminal bob "${new%?}" "$new" -- countersign request --again --submit "maildir:$T/mail/inbox"
is "one request" "$(in_box | wc -l)" 1
not "which is another one" cmp -s "$T/lost" <(armor "$(in_box)")
is "for the same key" "$(fingerprint bob)" "$key"
give bob
agent_once
is "refused where that token is superseded in turn" "$(reason_of "$(reply_to bob@example.org)")" token-superseded
exits "the refusal" 77 opens bob
is "is in status" "$(json bob status 'len(j["keysets"]), j["requests"][0]["state"], "replaced by a newer one" in j["requests"][0]["refusal"], j["authorities"][0]["address"]')" "0 refused True sa@example.org"
like "for people, too" "$(as bob countersign status default)" 'Because: .*replaced by a newer one'
ok "and again with the newest" ask bob --again --token-file "$T/bob.token"
is "it waits" "$(json bob 'status default' 'j["state"], j["keyset"], j["refusal"]')" "waiting default None"
agent_once
ok "its reply opens" opens bob
agent_once
is "his key is enrolled" "$(key_of bob)" "$key=active"
is "list has it all" "$(json bob list '[(k["keyset"], k["address"], k["state"], k["level"], k["fingerprint"].replace(" ", "")) for k in j]')" "[('default', 'bob@example.org', 'active', 'low', '$key')]"
is "status has it all" "$(json bob 'status default' 'j["keyset"], j["address"], j["state"], j["level"], j["authority"], j["home"]')" "default bob@example.org active low sa@example.org $T/bob/.gnupg"
like "certified for about a year" "$(json bob 'status default' 'j["certified_until"]')" "^$(($(date +%Y) + 1))-|^$(date +%Y)-1[12]-"
like "list for people" "$(as bob countersign list)" '^default +bob@example.org +active +low +20..-..-..'

# ---- requests that were never answered ----
user carol
give carol
for name in one two; do ok "carol asks for \"$name\"" first carol --keyset $name; done
long_ago() { sed -i "s/^Created: .*/Created: $(date -u -d '-31 days' +%Y-%m-%dT%H:%M:%SZ)/" "$1"; }
for record in "$T"/carol/.local/share/countersign/pending/*/record; do
    grep -q '^Created: 20' "$record" || echo "Bail out! no time in $record"
    grep -q '^Keyset: one' "$record" && long_ago "$record"
done
is "one of them is old" "$(json carol list '*sorted(k["keyset"] + "=" + k["state"] for k in j)')" "one=unanswered two=waiting"
exits "several wait: --again asks which" 64 ask carol --again
third() { terminal carol "$@" carol -- countersign request --token-file "$T/carol.token" --authority-key "$T/card.asc" --address carol@example.org --keyset three --output "$T/three"; }
exits "the next request offers to give it up: no" 0 third n
like "only the old one is offered" "$(grep 'Give it up' <<<"$exits_output")" 'keyset "one" of carol@example.org waits for a reply since'
is "just once" "$(grep -c 'Give it up' <<<"$exits_output")" 1
is "it is kept" "$(json carol list '*sorted(k["keyset"] for k in j)')" "one three two"
rm "$T/three"
sed -i 's/^Keyset: three/Keyset: four/' "$T"/carol/.local/share/countersign/pending/*/record
exits "offered again: yes" 0 third y
is "it is gone, the others stay" "$(json carol list '*sorted(k["keyset"] for k in j)')" "four three two"
is "with its key home" "$(ls "$T/carol/.local/share/countersign/pending" | wc -l)" 3
done_testing
