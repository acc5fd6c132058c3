#!/usr/bin/env bash
# countersignctl revoke (P1.6, P5.4, P5.6): the certification is withdrawn for gpg and sq to see, the token is void, everybody hears of it, the deposits stay, and nobody is locked out.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/generations.sh"

authority_new
conf_set notify auditors '{"auditor@example.org"}'
conf_set wkd directory "\"$T/wkd\""
conf_set limits mails-per-address-day 1000
members alice bob dora
revoke() { countersignctl revoke "$@" >"$T/out" 2>"$T/err" </dev/null; }
# What stock gpg makes of a published key: "certified" or "withdrawn", for one that knows the authority.
verdict() { # FILE FINGERPRINT
    rm -rf "$T/look"
    mkdir -m 700 "$T/look"
    gpg --homedir "$T/look" --batch --quiet --import "$T/card.asc" 2>/dev/null
    gpg --homedir "$T/look" --batch --quiet --import-options no-self-sigs-only --import "$1" 2>/dev/null
    gpg --homedir "$T/look" --batch --quiet --with-colons --check-sigs "$2" 2>/dev/null | awk -F: -v sa="${sa:24}" '$5 == sa && $1 == "sig" {c = 1} $5 == sa && $1 == "rev" && $2 == "!" {r = 1} END {print r ? "withdrawn" : c ? "certified" : "nothing"}'
}

# ---- before the user has enrolled ----
token=$(token_for dora@example.org)
revoke dora@example.org --reason left
is "a token alone can be revoked" "$?" 0
like "and that is said" "$(cat "$T/out")" 'dora@example.org.*token voided'
request_of dora default "$token"
clear_sent
deliver <"$T/request.mail"
agent_once
is "that token is answered as taken back" "$(reason_of "$(reply_to dora@example.org)")" token-voided
generation dora default "$(token_for dora@example.org)"
is "enabled again, she enrolls" "$(states_of dora@example.org)" "default=active"
exits "nothing to revoke" 67 countersignctl revoke bob@example.org --reason left

# ---- usage ----
before=$(changes)
exits "without a reason" 64 countersignctl revoke dora@example.org
exits "a reason with somebody's address" 64 countersignctl revoke dora@example.org --reason 'says bob@example.org'
exits "no such keyset" 67 countersignctl revoke dora@example.org --keyset other --reason left
exits "asked on a terminal, no" 77 "$top/tests/lib/terminal.py" no -- countersignctl revoke dora@example.org --reason left
is "nothing has changed" "$(changes)" "$before"

# ---- one of two ----
generation alice work "$(token_for alice@example.org)"
work=$key
generation alice laptop "$(token_for alice@example.org --additional)"
laptop=$key
countersignctl user prefer alice@example.org work >/dev/null
agent_once
entry=$T/wkd/.well-known/openpgpkey/example.org/hu/kei1q4tipxxu1yj79k9kfukdhfy631xe # of alice
is "published: certified" "$(verdict "$entry" "$work")" certified
clear_sent
token_for alice@example.org --additional >/dev/null
revoke alice@example.org --keyset WORK --reason compromised
is "one of two keysets is revoked" "$? $(states_of alice@example.org)" "0 laptop=active work=revoked"
is "what was outstanding is void" "$(countersignctl --json token list | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))')" 0
is "at once the other is published" "$(verdict "$entry" "$laptop")" certified
is "and the revoked one as such" "$(verdict "$entry" "$work")" withdrawn
{ as alice gpg --export "$sa"; cat "$entry"; } >"$T/ring" 2>/dev/null
authentic() { sq-wot -k "$T/ring" -r "$sa" authenticate 'alice Example <alice@example.org>' "$1"; }
ok "sq-wot believes the other" authentic "$laptop"
not "and the revoked one no longer" authentic "$work"
is "sq sees one certification withdrawn" "$(sq packet dump "$entry" 2>/dev/null | grep -c 'Type: CertificationRevocation')" 1
agent_once
for who in alice@example.org auditor@example.org; do
    like "$who is told" "$(cat "$(last_to "$who" '^Subject: A key was revoked')")" 'Reason given: compromised'
done
like "the log says by whom and why" "$(countersignctl log --address alice@example.org)" "$(id -un).*revoked.*keyset=.work. fingerprint=$work reason=.compromised."
is "its deposit stays" "$(store_sql "SELECT count(*) FROM deposit WHERE address = 'alice@example.org'")" 2
exits "it can't be revoked twice" 67 countersignctl revoke alice@example.org --keyset work --reason left

revoke alice@example.org --keyset laptop --reason compromised
not "compromised, with no other key of the address: nothing is published" test -e "$entry"
generation alice laptop "$(token_for alice@example.org)"
is "behind a new one both are, as revoked" "$(verdict "$entry" "$key") $(verdict "$entry" "$laptop") $(verdict "$entry" "$work")" "certified withdrawn withdrawn"

# ---- somebody leaves ----
conf_set policy revoked '"unpublish"'
exits "asked on a terminal, yes" 0 "$top/tests/lib/terminal.py" yes -- countersignctl revoke alice@example.org --reason left
is "all is revoked" "$(states_of alice@example.org)" "laptop=revoked laptop=revoked work=revoked"
not "and where policy says so nothing is published" test -e "$entry"
is "the deposits stay" "$(store_sql "SELECT count(*) FROM deposit WHERE address = 'alice@example.org'")" 3
token=$(countersignctl recover alice@example.org 2>/dev/null | tee -a "$T/tokens")
is "for the organisation to recover" "$(open_releases alice "$token")" 3
generation alice work "$token"
is "and she may come back, under the same name" "$(states_of alice@example.org)" "laptop=revoked laptop=revoked work=active work=revoked"
is "published again" "$(verdict "$entry" "$key")" certified

# ---- while the daemon runs ----
generation bob default "$(token_for bob@example.org)"
daemon_start
revoke bob@example.org --reason 'left the company' --json
is "with the daemon at work, too" "$? $(states_of bob@example.org)" "0 default=revoked"
is "as JSON" "$(python3 -c 'import json,sys; print(*(r["status"] for r in json.load(sys.stdin)))' <"$T/out")" revoked
daemon_stop
done_testing
