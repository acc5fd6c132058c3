#!/usr/bin/env bash
# What mails that are sent again and again can cause: each kind of answer has its own cap (P6.7), notices are not silenced (P5.6), an alarm goes once a day,
# and the log does not grow with them.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 2
conf_set notify administrators '{"admin@example.org"}'
conf_set notify auditors '{"auditor@example.org"}'
user alice
key() { as alice gpg --armor --export "$(gpg_key alice "$1")" >"$2"; }
key a@example.org "$T/a.asc"
key a@example.org "$T/other.asc"
again() { # MAIL TIMES: one worker at a time takes all of them
    local i
    for i in $(seq "$2"); do deliver <"$1"; done
    agent_once
}
kinds() { store_sql "SELECT count(*) FROM outbox WHERE kind = '$1' AND recipient = '$2'"; }
entries() { countersignctl --json log --address "$1" | python3 -c 'import json,sys; print(sum(1 for e in json.load(sys.stdin) if e["event"] == sys.argv[1]))' "$2"; }
log_size() { store_sql 'SELECT count(*) FROM log'; }
counter() { store_sql "SELECT value FROM counter WHERE name = '$1'"; }

# ---- a request sent again ----
token=$(token_for a@example.org)
plain_mail a@example.org "$token" "$T/a.asc" >"$T/a.eml"
again "$T/a.eml" 1
is "enrolled" "$(entries a@example.org enrolled)" 1
before=$(log_size)
again "$T/a.eml" 6
is "its reply is repeated twice a day" "$(kinds repeat a@example.org)" 2
is "so it is in the log" "$(entries a@example.org repeated)" 2
is "and once that more were left out" "$(entries a@example.org mail-left-out)" 1
is "the log grew by these three" "$(($(log_size) - before))" 3
is "four are counted" "$(counter capped)" 4
is "the administrators are told once" "$(count_to admin@example.org '^Subject: .*too many mails')" 1
like "the outbox says what it was" "$(countersignctl --json outbox list --all)" '"kind": *"repeat"'

# ---- a used token with another key ----
clear_sent
before=$(log_size)
plain_mail a@example.org "$token" "$T/other.asc" >"$T/other.eml"
again "$T/other.eml" 6
is "repeats have not used up the refusals" "$(kinds refusal a@example.org)" 2
is "a@ is told once that the token was tried again" "$(count_to a@example.org '^Subject: A used token was tried again')" 1
is "so are auditors" "$(count_to auditor@example.org '^Subject: A used token was tried again')" 1
is "and administrators" "$(count_to admin@example.org '^Subject: A used token was tried again')" 1
is "the log has two alarms" "$(entries a@example.org alarm)" 2
is "and one entry about the rest" "$(($(log_size) - before))" 3
is "all six were refused" "$(counter refused)" 6

# ---- now whoever holds a second token ----
clear_sent
token=$(token_for a@example.org --additional)
agent_once
is "the notice about a new token is sent all the same" "$(count_to a@example.org '^Subject: A token was issued for')" 1
plain_mail a@example.org "$token" "$T/other.asc" "Keyset: other" >"$T/second.eml"
again "$T/second.eml" 1
is "so is that about a key" "$(count_to a@example.org '^Subject: A key was enrolled for')" 1
is "with its reply" "$(count_to a@example.org '^Subject: Reply')" 1

# ---- notices have a cap too, which only administrators can reach ----
clear_sent
most=8
made=$(kinds notice a@example.org)
for i in $(seq $((most - made + 1))); do token_for a@example.org >/dev/null; done
agent_once
is "four times as many notices as refusals" "$(kinds notice a@example.org)" $most
is "the one above is in the log" "$(countersignctl --json log --address a@example.org | python3 -c 'import json,sys; print(*(e["detail"] for e in json.load(sys.stdin) if e["event"] == "mail-left-out"))')" \
    "kind=repeat kind=refusal kind=notice"
is "auditors have their copies of all" "$(count_to auditor@example.org '^Subject: A token was issued for')" $((most - made + 1))

# ---- junk ----
clear_sent
printf 'From: a@example.org\nTo: sa@example.org\nSubject: x\nMIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=e\n\n--e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--e\nContent-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n--e--\n' >"$T/junk.eml"
before=$(log_size)
again "$T/junk.eml" 3
is "what can't be opened is in quarantine" "$(store_sql 'SELECT count(*) FROM quarantine')" 3
is "one alarm about it" "$(count_to admin@example.org '^Subject: .*in quarantine')" 1
is "none of it in the log" "$(($(log_size) - before))" 0
ok "the log is whole" countersignctl log verify
done_testing
