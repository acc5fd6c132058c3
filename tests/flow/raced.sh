#!/usr/bin/env bash
# What happens between a worker's checks and its transaction counts: the escrow key changes under a deposit, a keyset is revoked under its renewal.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/daemon.sh"
. "$(dirname "$0")/../lib/generations.sh"
. "$(dirname "$0")/../lib/requests.sh"
. "$(dirname "$0")/../lib/hold.sh"

authority_new
conf_set log level '"debug"'
conf_set limits workers 1
members alice
raced() { grep -c 'looking again: .*raced' "$T/agent.log"; }

# ---- a deposit, while the escrow key changes ----
generation alice first "$(token_for alice@example.org)"
first=$key
as alice gpg --batch --quiet --export "$first" >"$T/first.key"
request_of alice second "$(token_for alice@example.org --additional)"
hold_worker <"$T/request.mail"
is "a deposit is sealed, and about to be kept" "$?" 0
is "meanwhile the escrow key changes" "$(countersignctl --json escrow rotate --to-home "$T/new" --no-passphrase 2>/dev/null | python3 -c 'import json,sys; print(json.load(sys.stdin)["resealed"])')" 1
hold_end
is "the worker looks again" "$(raced)" 1
is "and seals to the new one: nothing is left that only the old one opens" "$(countersignctl --json escrow show | python3 -c 'import json,sys; page = json.load(sys.stdin); print(page["deposits"], page["foreign"])')" "2 0"
is "which opens both" "$(countersignctl escrow check --escrow-home "$T/new")" "2 deposits, all open and are what was certified."

# ---- a renewal, while its keyset is revoked ----
clear_sent
request_lines renew alice@example.org "$first" first | forge - "$T/first.key" | sealed_mail alice "$first" >"$T/renew.mail"
hold_worker <"$T/renew.mail"
is "a renewal is certified, and about to be kept" "$?" 0
exits "meanwhile the keyset is revoked" 0 countersignctl revoke alice@example.org --keyset first --reason compromised
hold_end
is "the worker looks again" "$(raced)" 2
is "nothing is renewed" "$(store_sql 'SELECT count(*) FROM renewal') $(states_of alice@example.org)" "0 first=revoked second=unconfirmed"
is "and no certified key goes out" "$(sent_to alice@example.org | xargs -r grep -l 'BEGIN PGP MESSAGE' | wc -l)" 0
ok "the log is whole" countersignctl log verify
done_testing
