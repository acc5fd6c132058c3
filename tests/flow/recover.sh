#!/usr/bin/env bash
# Recovery (P5.5): a token brings all old encryption keys back, generation after generation, to whoever holds it and to nobody else; what is superseded loses its
# certification; a signing key comes back to nobody.
. "$(dirname "$0")/../lib/flow.sh"
. "$(dirname "$0")/../lib/requests.sh"

authority_new
conf_set limits mails-per-address-day 1000
conf_set wkd directory "\"$T/wkd\""
conf_set notify auditors '{"audit@example.org"}'
conf_set notify administrators '{"admin@example.org"}'
knowing_user alice bob
recovery_for() { countersignctl recover "$@" 2>>"$T/ctl.err" | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' | tee -a "$T/tokens" | tail -n 1; }
# A generation: a fresh key in a home of its own, with what was deposited and a mail that only it can read.
generation() { # NUMBER
    user "gen$1"
    as "gen$1" gpg --batch --quiet --import "$T/card.asc" 2>/dev/null
    declare -g "gen$1=$(gpg_key "gen$1" "Alice <alice@example.org>")"
    local key=gen$1
    declare -g "sub$1=$(encryption_subkey "gen$1" "${!key}")"
    local sub=sub$1
    export_public "gen$1"
    export_secret "gen$1" "${!sub}!" >"$T/deposit$1"
    echo "mail number $1" | as "gen$1" gpg --batch --quiet --trust-model always -r "${!key}" -e >"$T/mail$1" 2>/dev/null
}
request_of() { # NUMBER TOKEN [KEYSET]
    local key=gen$1
    request_lines enroll alice@example.org "${!key}" "${3:-default}" | forge "$2" "$T/gen$1.bin" "$T/deposit$1" | sealed_mail "gen$1"
}
# What a reply to alice says, opened with the key of that generation.
opened() { sed -n '/^-----BEGIN PGP MESSAGE/,/^-----END PGP MESSAGE/p' "$(reply_to alice@example.org)" | tr -d '\r' | as "$1" gpg --batch --quiet --trust-model always -d 2>/dev/null; }
confirm() { # NUMBER [KEYSET]
    local key=gen$1
    confirmation_lines alice@example.org "${!key}" "$(field_of "gen$1" Nonce)" "${2:-default}" | sealed_mail "gen$1" "${!key}" >"$T/confirm.eml"
    send <"$T/confirm.eml"
}
result_of() { field_of "gen$1" Result || true; }
parts_of() { opened "$1" | grep -oE 'name="?[0-9A-F]{40}\.deposit' | grep -oE '[0-9A-F]{40}' | sort -u; }
releases() { store_sql 'SELECT count(*) FROM release'; }
published() { find "$T/wkd" -type f -path '*/hu/*' -exec cat {} + | gpg --batch --with-colons --show-keys 2>/dev/null | grep -c "$1"; }
holding() { # FILE PATH...: files that hold the secret of this deposit, as it is or in base64 or hexadecimal digits
    python3 - "$@" <<'PY'
import base64, os, sys
deposit = open(sys.argv[1], 'rb').read()
at = deposit.index(b'\x03\x01\x08\x07') + 7
scalar = deposit[at:at + 30]
forms = [scalar, scalar.hex().encode(), scalar.hex().upper().encode()] + [base64.b64encode(scalar[n:])[:28] for n in range(3)]
for place in sys.argv[2:]:
    for path in [place] if os.path.isfile(place) else [os.path.join(d, f) for d, _, fs in os.walk(place) for f in fs]:
        if os.path.isfile(path) and any(form in open(path, 'rb').read() for form in forms):
            print(path)
PY
}
# Opens what the reply brought and reads with it, in a home that has nothing else.
reads() { # NUMBER TOKEN OLD: with the reply to generation NUMBER the mail to generation OLD
    local sub=sub$3 home=$T/gnupg-$1-$3
    mkdir -m 700 "$home"
    part_of "gen$1" "${!sub}.deposit" | forge --open "$2" alice@example.org "${!sub}" >"$T/back" || return 1
    gpg --homedir "$home" --batch --quiet --import "$T/back" 2>/dev/null
    gpg --homedir "$home" --batch --quiet -d "$T/mail$3" 2>/dev/null
}

# ---- the first generation ----
generation 1
request_of 1 "$(token_for alice@example.org)" >"$T/first.eml"
send <"$T/first.eml"
is "the first generation is enrolled" "$(result_of 1)" enrolled
confirm 1
is "and published" "$(published "$gen1")" 1

# ---- a recovery begins ----
clear_sent
token=$(recovery_for alice@example.org --reason 'a lost laptop')
ok "a recovery token is issued" test -n "$token"
is "the deposit is released under it" "$(releases)" 1
agent_once
notice=$(last_to alice@example.org '^Subject: A recovery was started')
like "alice is told by whom" "$(cat "$notice")" 'root started a recovery'
like "and what that means" "$(cat "$notice")" 'can read the mail'
ok "so are the auditors" test -n "$(last_to audit@example.org '^Subject: A recovery was started')"
is "the token is in neither" "$(grep -laF "$token" "$T"/mail/outgoing/new/* | wc -l)" 0
is "the search for the secret works" "$(holding "$T/deposit1" "$T/deposit1")" "$T/deposit1"
is "the secret is nowhere in clear" "$(holding "$T/deposit1" "$T/sa" "$T/mail")" ""
store_sql 'SELECT hex(sealed) FROM release' | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read().strip()))' >"$T/release"
# What was released begins with random octets, which gpg may take for a packet of no meaning and say nothing.
not "the authority's key does not open what was released" bash -c "gpg --homedir '$T/sa/state/keys' --batch --quiet -d '$T/release' | cmp - '$T/deposit1'"
# Everything that the daemon's user can read, but for the escrow key's home, which is another's (root-recover.sh): does any of it open what was released?
token_key=$(store_sql "SELECT hex(key) FROM token WHERE address = 'alice@example.org' ORDER BY id DESC LIMIT 1")
readable() { find "$T/sa" "$T/mail" "$T/wkd" "$T/agent.log" -type f -not -path '*/state/escrow/*' 2>/dev/null; }
steal() { open_release --search "$token_key" alice@example.org "$sub1" "$T/release" "$@"; }
python3 - "$token" >"$T/seed" <<'PY'
import sys
digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
bits = ''.join(format(digits.index(c), '05b') for c in sys.argv[1].replace('-', '')[:16])
sys.stdout.buffer.write(b'x' * 7 + bytes(int(bits[n:n + 8], 2) for n in range(0, 80, 8)) + b'y' * 9)
PY
is "the search finds S where it lies" "$(steal "$T/seed" "$T/release")" "$T/seed"
ok "there is much to search" test "$(readable | wc -l)" -gt 10
is "nothing that the agent could read opens what it passes on" "$(readable | xargs -d '\n' open_release --search "$token_key" alice@example.org "$sub1" "$T/release")" ""
store_sql 'SELECT hex(sealed) FROM deposit LIMIT 1' | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read().strip()))' >"$T/deposited"
not "nor does the authority's key open the deposit" gpg --homedir "$T/sa/state/keys" --batch --quiet -d "$T/deposited"
cp -a "$T/sa/state/escrow" "$T/gnupg-escrow" && rm -f "$T/gnupg-escrow/gpg.conf"
ok "which the escrow key does" bash -c "gpg --homedir '$T/gnupg-escrow' --batch --quiet --pinentry-mode loopback --passphrase '' -d '$T/deposited' | cmp - '$T/deposit1'"
not "another token does not" bash -c "forge --open '$(token_for bob@example.org)' alice@example.org '$sub1' <'$T/release'"
not "nor the token for another address" bash -c "forge --open '$token' bob@example.org '$sub1' <'$T/release'"
ok "the token does" bash -c "forge --open '$token' alice@example.org '$sub1' <'$T/release' | cmp - '$T/deposit1'"

# ---- and is completed ----
generation 2
plain_mail alice@example.org "$token" "$T/gen2.asc" | send
is "a plain mail can't take the deposits back" "$(reason_of "$(reply_to alice@example.org)")" client-required
is "the token that it showed to all is void, and nothing is released" "$(store_sql "SELECT voided > 0 FROM token WHERE address = 'alice@example.org' ORDER BY id DESC LIMIT 1") $(releases)" "1 0"
like "alice is told to start again" "$(cat "$(last_to alice@example.org '^Subject: A token was taken back')")" 'no longer works'
ok "and the administrators" test -n "$(last_to admin@example.org '^Subject: A recovery has to be started again')"
like "the log says so" "$(countersignctl log --address alice@example.org)" 'token-voided.*sent in clear'
request_of 2 "$token" | send
is "whoever read it gets nothing by it" "$(reason_of "$(reply_to alice@example.org)")" token-voided
token=$(recovery_for alice@example.org)
like "the first keyset is still active" "$(countersignctl --json user show alice@example.org)" '"state": "active"'
request_of 2 "$token" >"$T/second.eml"
deliver <"$T/second.eml"
clear_sent
strace -f -qq -y -xx -s 1000000 -e trace=write,writev,pwrite64,pwritev,sendto,sendmsg -o "$T/trace" countersignd --once 2>>"$T/agent.log"
"$top/tests/lib/traced_writes.py" "$T/deposit2" "$T/trace" >"$T/written"
like "the new deposit's secret is written to its own home" "$(cat "$T/written")" "^file $T/sa/run/[^ ]*private-keys-v1.d/"
is "and to no file outside of the runtime directory" "$(grep '^file ' "$T/written" | grep -v "^file $T/sa/run/")" ""
is "the recovered secret, which it passes on, to nothing at all" "$("$top/tests/lib/traced_writes.py" "$T/deposit1" "$T/trace")" ""
is "with the client it is recovered, under the same keyset name" "$(result_of 2)" recovered
like "alice is told" "$(cat "$(last_to alice@example.org '^Subject: A recovery was completed')")" '1 old encryption key came back'
is "the reply brings the first generation's encryption key" "$(parts_of gen2)" "$sub1"
is "with it the old mail can be read" "$(reads 2 "$token" 1)" "mail number 1"
is "it holds no other secret" "$(gpg --batch --list-packets "$T/back" 2>/dev/null | grep -c 'secret sub key packet') $(gpg --batch --list-packets "$T/back" 2>/dev/null | grep -c 'gnu-dummy')" "1 1"
send <"$T/second.eml"
is "the same request brings the same parts once more" "$(parts_of gen2)" "$sub1"
is "they are kept until it is confirmed" "$(releases)" 1
confirm 2
is "and not longer" "$(releases)" 0
is "nor is the reply that held them" "$(store_sql "SELECT length(reply) FROM keyset WHERE address = 'alice@example.org' AND superseded = 0")" 0
is "the new key is published" "$(published "$gen2")" 1
is "the old one is not any more" "$(published "$gen1")" 0
store_sql "SELECT hex(key) FROM keyset WHERE fingerprint = '$gen1'" | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read().strip()))' >"$T/withdrawn"
mkdir -m 700 "$T/gnupg-check"
gpg --homedir "$T/gnupg-check" --batch --quiet --import "$T/card.asc" "$T/withdrawn" 2>/dev/null
like "its certification is withdrawn, says gpg" "$(gpg --homedir "$T/gnupg-check" --batch --check-sigs --with-colons "$gen1" 2>/dev/null)" "^rev:!:.*:${sa:24}:"
like "and the log says recovered" "$(countersignctl log --address alice@example.org)" "recovered.*deposit=$sub2"

# ---- the third generation has both ----
token=$(recovery_for alice@example.org)
generation 3
request_of 3 "$token" later | send
is "another recovery, under another name" "$(result_of 3)" recovered
is "brings both generations" "$(parts_of gen3)" "$(printf '%s\n' "$sub1" "$sub2" | sort)"
is "the first mail can be read" "$(reads 3 "$token" 1)" "mail number 1"
is "the second, too" "$(reads 3 "$token" 2)" "mail number 2"
confirm 3 later
is "one keyset is live" "$(store_sql "SELECT count(*) FROM keyset WHERE address = 'alice@example.org' AND superseded = 0 AND revoked = 0")" 1

# ---- recoveries that end otherwise ----
old=$(recovery_for alice@example.org)
token=$(recovery_for alice@example.org)
generation 4
request_of 4 "$old" | send
is "of two the first is superseded" "$(reason_of "$(reply_to alice@example.org)")" token-superseded
is "and what it released is gone" "$(releases)" 3
countersignctl token void alice@example.org >/dev/null
is "taken back: nothing is released any more" "$(releases)" 0
request_of 4 "$token" | send
is "and the token is refused" "$(reason_of "$(reply_to alice@example.org)")" token-voided
plain_mail bob@example.org "$(token_for bob@example.org)" "$T/bob.asc" | send
token=$(recovery_for bob@example.org)
ok "without a deposit a recovery token is issued all the same" test -n "$token"
plain_mail bob@example.org "$token" "$T/bob.asc" | send
ok "and a plain mail may use it" test -n "$(reply_to bob@example.org)"
is "which supersedes what was there" "$(store_sql "SELECT count(*) FROM keyset WHERE address = 'bob@example.org' AND superseded = 0")" 1
for n in 1 2 3; do is "no secret of generation $n is in clear anywhere" "$(holding "$T/deposit$n" "$T/sa" "$T/mail")" ""; done
ok "the log is whole" countersignctl log verify
done_testing
