#!/usr/bin/env bash
# The escrow key's care: check finds what is missing, damaged or sealed to another key; rotate seals everything to a new key, whatever interrupts it; stock gpg opens a deposit.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/generations.sh"

echo 'correct horse' >"$T/pass.authority"
echo 'battery staple' >"$T/pass.escrow"
echo 'tr0ub4dor' >"$T/pass.new"
chmod 600 "$T"/pass.*
authority_new
conf_set limits mails-per-address-day 1000
members alice bob
fields() { python3 -c 'import json,sys; page = json.load(sys.stdin); print(*(page[k] for k in sys.argv[1:]))' "$@"; }
shown() { countersignctl --json escrow show | fields "$@"; }
check() { countersignctl escrow check "$@" 2>&1; }
problems() { countersignctl --json escrow check "$@" 2>"$T/err" | python3 -c 'import json,sys; print(*(p["problem"] for p in json.load(sys.stdin)), sep="; ")'; }
rotate() { countersignctl escrow rotate --escrow-passphrase-file "$T/pass.escrow" "$@" >"$T/out" 2>"$T/err"; }
damage() { sqlite3 "$T/sa/state/countersign.db" "$1"; }

like "nothing is deposited yet" "$(check)" '^0 deposits, all present'
generation alice first "$(token_for alice@example.org)"
generation alice second "$(token_for alice@example.org --additional)"
generation bob default "$(token_for bob@example.org)"
sub_bob=$sub

# ---- show, check ----
old=$(shown fingerprint)
is "show: three deposits, all sealed to it" "$(shown deposits foreign passphrase)" "3 0 set"
is "check: all is well" "$(check)" "3 deposits, all present and sealed to the escrow key."
is "check: they open, too" "$(check --escrow-passphrase-file "$T/pass.escrow")" "3 deposits, all open and are what was certified."
exits "check: a wrong passphrase" 77 countersignctl escrow check --escrow-passphrase-file "$T/pass.new"
is "status knows of them" "$(countersignctl --json status | fields deposits)" 3
is "the user's page names hers" "$(countersignctl --json user show alice@example.org | python3 -c 'import json,sys; print(*(d["keyset"] for d in json.load(sys.stdin)["deposits"]))')" "first second"
damage "UPDATE deposit SET sealed = X'00' WHERE id = 1"
like "check: one that was altered is found" "$(problems)" 'deposit 1 is damaged'
exits "and the exit status says so" 65 countersignctl escrow check
damage "DELETE FROM deposit WHERE id = 1"
is "check: where none is required none is missing" "$(check)" "2 deposits, all present and sealed to the escrow key."
conf_set policy escrow-for '{"alice@example.org=required"}'
is "check: where one is required it is" "$(problems)" "a deposit is required and missing"
conf_set policy escrow-for '{}'

# ---- stock gpg opens one in a disaster ----
store_sql "SELECT hex(sealed) FROM deposit WHERE encryption_fingerprint = '$sub_bob'" | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' >"$T/bob.sealed"
user disaster
mkdir -m 700 "$T/disaster/gnupg"
cp -r "$T/sa/state/escrow/pubring.kbx" "$T/sa/state/escrow/private-keys-v1.d" "$T/disaster/gnupg"
gpg --homedir "$T/disaster/gnupg" --batch --quiet --pinentry-mode loopback --passphrase-file "$T/pass.escrow" -d "$T/bob.sealed" 2>/dev/null | as disaster gpg --batch --quiet --import 2>/dev/null
is "stock gpg opens a deposit, and bob's mail with it" "$(as disaster gpg --batch --quiet -d "$T/bob.default.mail" 2>/dev/null)" "mail to default of bob"
gpgconf --homedir "$T/disaster/gnupg" --kill all 2>/dev/null

# ---- rotate ----
exits "rotate: not by who can't open them" 77 countersignctl escrow rotate --to-home "$T/new" --to-passphrase-file "$T/pass.new" --escrow-passphrase-file "$T/pass.new"
is "and nothing has changed" "$(shown fingerprint foreign) $(ls -d "$T/new" 2>/dev/null)" "$old 0 "
mkdir "$T/taken"
exits "rotate: not into a directory that is there" 73 rotate --to-home "$T/taken" --to-passphrase-file "$T/pass.new"
exits "rotate: one new key at a time" 64 rotate --to-home "$T/new" --to-key "$T/card.asc"
generation alice third "$(token_for alice@example.org --additional)"
exits "rotate" 0 rotate --to-home "$T/new" --to-passphrase-file "$T/pass.new"
new=$(shown fingerprint)
not "there is another key" test "$old" = "$new"
is "everything is sealed to it" "$(shown deposits foreign)" "3 0"
like "the old home is kept, and that is said" "$(cat "$T/err")" 'old home is kept'
ok "it is" test -s "$T/sa/state/escrow/pubring.kbx"
like "and what to do" "$(cat "$T/err")" 'set escrow-home'
is "the log has each step" "$(countersignctl --json log | python3 -c 'import json,sys; print(*(e["event"] for e in json.load(sys.stdin) if "escrow" in e["event"] or "resealed" in e["event"]))')" "escrow-key-changed deposit-resealed deposit-resealed deposit-resealed"
exits "the old home opens nothing any more" 65 countersignctl escrow check --escrow-passphrase-file "$T/pass.escrow"
conf_set authority escrow-home "\"$T/new\""
is "the new one does" "$(check --escrow-passphrase-file "$T/pass.new")" "3 deposits, all open and are what was certified."
generation bob second "$(token_for bob@example.org --additional)"
is "the daemon seals to it" "$(store_sql "SELECT escrow FROM deposit ORDER BY id DESC LIMIT 1")" "$new"
token=$(countersignctl recover bob@example.org --escrow-passphrase-file "$T/pass.new" 2>/dev/null | tee -a "$T/tokens")
is "and a recovery opens what was sealed before, and since" "$(open_releases bob "$token")" 2

# ---- to a key made elsewhere; interrupted in the middle ----
user vault
offline=$(gpg_key vault 'Escrow <escrow@example.org>')
as vault gpg --armor --export "$offline" >"$T/offline.asc"
as vault gpg --batch --quiet --pinentry-mode loopback --passphrase '' --armor --export-secret-keys "$offline" >"$T/secret.asc" 2>/dev/null
rotate_on() { countersignctl escrow rotate --escrow-passphrase-file "$T/pass.new" "$@" >"$T/out" 2>"$T/err"; }
exits "rotate: not to a file with a secret in it" 65 rotate_on --to-key "$T/secret.asc"
is "nothing has changed" "$(shown fingerprint foreign)" "$new 0"
(exec countersignctl escrow rotate --escrow-passphrase-file "$T/pass.new" --to-key "$T/offline.asc" >"$T/out" 2>"$T/err") &
rotating=$!
changed() { [ "$(store_sql "SELECT value FROM meta WHERE name = 'escrow-fingerprint'")" = "$offline" ]; }
await 20 changed
kill -9 "$rotating" 2>/dev/null
wait "$rotating" 2>/dev/null
is "killed: the new key is on record, every deposit is whole" "$(shown fingerprint deposits)" "$offline 4"
exits "killed: run again it ends" 0 rotate_on
is "everything is sealed to the key elsewhere" "$(shown deposits foreign passphrase)" "4 0 elsewhere"
as vault gpgconf --kill all
is "whose home opens it, from wherever it is" "$(check --escrow-home "$T/vault/.gnupg")" "4 deposits, all open and are what was certified."
damage "UPDATE deposit SET escrow = '$old' WHERE id = 2"
like "status warns of one that another key opens" "$(countersignctl status)" 'escrow rotate.*not finished'
exits "rotate: a damaged one is named" 65 countersignctl escrow rotate --escrow-home "$T/vault/.gnupg"
like "by its number" "$(cat "$T/err"; countersignctl escrow rotate --escrow-home "$T/vault/.gnupg" 2>&1)" 'deposit 2'
is "no key home is left in memory" "$(find /dev/shm -maxdepth 1 -user "$(id -un)" -name 'keyhome-*' -newer "$T/card.asc" | wc -l)" 0
done_testing
