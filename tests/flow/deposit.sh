#!/usr/bin/env bash
# Deposits (P2.2, P4.8): a good one is sealed to the escrow key and nowhere else; each bad one is refused with its code, is kept nowhere, and the token works afterwards.
. "$(dirname "$0")/../lib/flow.sh"

authority_new
conf_set limits mails-per-address-day 1000
conf_set limits mails-per-hour 10000
countersignctl authority export >"$T/card.asc"
for who in alice bob; do
    user $who
    as $who gpg --batch --quiet --import "$T/card.asc" 2>/dev/null
done
sa=$(as alice gpg --list-keys --with-colons sa@example.org | awk -F: '/^fpr/{print $10; exit}')
secret_of() { # WHO WHAT [MODE]: exported without a password
    as "$1" gpg --batch --quiet --pinentry-mode loopback --passphrase '' "${3:---export-secret-subkeys}" "$2" 2>/dev/null
}
subkey_of() { as "$1" gpg --list-keys --with-colons "$2" | awk -F: '/^sub/{s = $12 ~ /e/} /^fpr/ && s {print $10; exit}'; }
for who in alice bob; do
    declare "$who=$(gpg_key $who "$who Example <$who@example.org>")"
    as $who gpg --export "${!who}" >"$T/$who.bin"
    declare "sub_$who=$(subkey_of $who "${!who}")"
done
secret_of alice "$sub_alice!" >"$T/good.deposit"
secret_of bob "$sub_bob!" >"$T/bob.deposit"
keysets() { store_sql 'SELECT count(*) FROM keyset'; }
deposits() { store_sql 'SELECT count(*) FROM deposit'; }
key_files() { (cd "$T/sa/state/keys/private-keys-v1.d" && sha256sum ./* && ls -l --time-style=full-iso); }
lines() { # ADDRESS FINGERPRINT
    printf 'Countersign-Request: 1\nRequest-Id: %s\nKind: enroll\nAddress: %s\nKeyset: default\nFingerprint: %s\nAuthority: %s\nCreated: %s\n' \
        00000000000000000000000000 "$1" "$2" "$sa" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
}
encrypted() {
    printf 'From: alice@example.org\nTo: sa@example.org\nSubject: Enrollment request\nMessage-ID: <%s@example.org>\nMIME-Version: 1.0\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=e\n\n--e\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--e\nContent-Type: application/octet-stream\n\n' "$RANDOM$RANDOM"
    as alice gpg --batch --quiet --trust-model always --armor -r "$sa" -e
    printf -- '\n--e--\n'
}
request() { lines alice@example.org "$alice" | forge "$token" "$T/alice.bin" ${1:+"$1"} | encrypted; }
send() {
    clear_sent
    deliver
    agent_once
}
refused() { # NAME CODE DEPOSIT
    request "$3" | send
    is "$1: $2" "$(reason_of "$(reply_to alice@example.org)" 2>/dev/null)" "$2"
    is "$1: nothing is stored" "$(keysets) $(deposits)" "0 0"
    is "$1: the token is still outstanding" "$(store_sql "SELECT count(*) FROM token WHERE used = 0 AND voided = 0 AND superseded = 0")" 1
}
before=$(key_files)
token=$(token_for alice@example.org)

# ---- hostile deposits ----
refused "another key's subkey" deposit-mismatch "$T/bob.deposit"
secret_of alice "$alice" --export-secret-keys >"$T/whole.deposit"
refused "the primary's secret inside" key-secret "$T/whole.deposit"
as alice gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-add-key "$alice" ed25519 sign 0 2>/dev/null
secret_of alice "$alice" >"$T/signing.deposit"
refused "a signing subkey's secret inside" key-secret "$T/signing.deposit"
cp "$T/good.deposit" "$T/mangled.deposit"
size=$(stat -c %s "$T/good.deposit")
python3 - "$T" "$sub_alice" <<'PY'
import sys
place = sys.argv[1]
good = open(place + '/good.deposit', 'rb').read()
def packets(data):
    at = 0
    while at < len(data):
        start, head = at, data[at]
        if head & 0x40:
            tag, first = head & 63, data[at + 1]
            if first < 192: length, at = first, at + 2
            elif first < 224: length, at = ((first - 192) << 8) + data[at + 2] + 192, at + 3
            else: length, at = int.from_bytes(data[at + 2:at + 6], 'big'), at + 6
        else:
            tag, octets = head >> 2 & 15, 1 << (head & 3)
            length, at = int.from_bytes(data[at + 1:at + 1 + octets], 'big'), at + 1 + octets
        yield tag, start, at, at + length
        at += length
sub = next(p for p in packets(good) if p[0] == 7)
def changed(at, by=1):
    return good[:at] + bytes([good[at] ^ by]) + good[at + 1:]
# A cv25519 subkey: version, time, algorithm, curve OID, the point (an MPI), KDF parameters, then the secret scalar (an MPI) and two octets of checksum.
secret = bytearray(good)
end = sub[3]
secret[end - 3] ^= 1                                             # the scalar, with a checksum that fits
total = 0
body = good[sub[2]:end]
oid = body[6]
point = 7 + oid
bits = int.from_bytes(body[point:point + 2], 'big')
kdf = point + 2 + (bits + 7) // 8
usage = kdf + 1 + body[kdf]
mpi = bytes(secret[sub[2] + usage + 1:end - 2])
secret[end - 2:end] = (sum(mpi) & 0xffff).to_bytes(2, 'big')
open(place + '/mangled.deposit', 'wb').write(secret)
open(place + '/altered.deposit', 'wb').write(changed(sub[2] + point + 10))
open(place + '/short.deposit', 'wb').write(good[:-7])
open(place + '/trailing.deposit', 'wb').write(good + good[sub[1]:])
open(place + '/junk.deposit', 'wb').write(good + b'\xff' * 20)
open(place + '/random.deposit', 'wb').write(bytes(range(256)) * 3)
PY
refused 'a scalar that is not that of the public key' deposit-mismatch "$T/mangled.deposit"
refused 'altered public parameters' deposit-mismatch "$T/altered.deposit"
refused 'the end cut off' deposit-mismatch "$T/short.deposit"
refused 'two subkeys' deposit-mismatch "$T/trailing.deposit"
refused 'junk behind it' deposit-mismatch "$T/junk.deposit"
refused 'no OpenPGP at all' deposit-mismatch "$T/random.deposit"
as alice gpg --batch --quiet --trust-model always -r "$sa" -e <"$T/good.deposit" >"$T/twice.deposit" 2>/dev/null
refused 'encrypted twice' deposit-mismatch "$T/twice.deposit"
user locked
as locked gpg --batch --quiet --import "$T/whole.deposit" 2>/dev/null
as locked gpg --batch --quiet --pinentry-mode loopback --passphrase secret --change-passphrase "$alice" 2>/dev/null
as locked gpg --batch --quiet --pinentry-mode loopback --passphrase secret --export-secret-subkeys "$sub_alice!" >"$T/locked.deposit" 2>/dev/null
refused 'protected by a password' deposit-mismatch "$T/locked.deposit"
head -c 20000 /dev/urandom >"$T/huge.deposit"
refused 'huge' too-large "$T/huge.deposit"
lines alice@example.org "$alice" | forge "$token" "$T/alice.bin" | { cat; printf 'Deposit: 0\n'; } | encrypted | send
is "empty: request-malformed" "$(reason_of "$(reply_to alice@example.org)")" request-malformed
is "empty: nothing is stored" "$(keysets) $(deposits)" "0 0"

# ---- policy ----
conf_set policy escrow '"off"'
refused 'where policy wants none' deposit-unwanted "$T/good.deposit"
conf_set policy escrow '"required"'
refused 'none where policy requires one' deposit-required ''
as alice gpg --armor --export "$alice" >"$T/alice.asc"
plain_mail alice@example.org "$token" "$T/alice.asc" | send
is "a plain mail where policy requires a deposit: client-required" "$(reason_of "$(reply_to alice@example.org)")" client-required
conf_set policy escrow '"off"'
conf_set policy escrow-for '{"alice@example.org=required"}'
refused 'a rule for the address goes first' deposit-required ''
conf_set policy escrow '"offered"'

# ---- an escrow key out of order is no fault of the request (I15) ----
behind() { sqlite3 "$T/sa/state/countersign.db" "$1"; }
behind "CREATE TABLE kept AS SELECT * FROM meta WHERE name = 'escrow-key'; DELETE FROM meta WHERE name = 'escrow-key'"
request "$T/good.deposit" >"$T/waits.eml"
send <"$T/waits.eml"
is "without the escrow key the request waits" "$(find "$T/mail/inbox/new" "$T/mail/inbox/cur" -type f | wc -l)" 1
is "is not refused" "$(reply_to alice@example.org)" ""
is "and not counted as at fault" "$(store_sql 'SELECT max(count) FROM attempt')" 0
behind "INSERT INTO meta SELECT * FROM kept; DROP TABLE kept"
rm "$T"/mail/inbox/new/* "$T"/mail/inbox/cur/* 2>/dev/null

# ---- a good one, with every write of every process of the agent looked at ----
clear_sent
request "$T/good.deposit" | deliver
strace -f -qq -y -xx -s 1000000 -e trace=write,writev,pwrite64,pwritev,sendto,sendmsg -o "$T/trace" countersignd --once 2>>"$T/agent.log"
"$top/tests/lib/traced_writes.py" "$T/good.deposit" "$T/trace" >"$T/written"
like "the trace sees the secret where it has to be: in the deposit's own home" "$(cat "$T/written")" "^file $T/sa/run/[^ ]*private-keys-v1.d/"
is "and in no file outside of the runtime directory" "$(grep '^file ' "$T/written" | grep -v "^file $T/sa/run/")" ""
not "a good one: the same token enrolls" grep -qs '^Reason code' "$(reply_to alice@example.org)"
is "one keyset, one deposit" "$(keysets) $(deposits)" "1 1"
is "the authority's private-keys-v1.d is byte for byte the same" "$(key_files)" "$before"
escrow=$(store_sql "SELECT value FROM meta WHERE name = 'escrow-fingerprint'")
is "it is sealed to the escrow key" "$(store_sql "SELECT escrow FROM deposit")" "$escrow"
store_sql "SELECT hex(sealed) FROM deposit" | xargs python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))' >"$T/sealed"
mkdir -m 700 "$T/gnupg-disaster"
cp -a "$T/sa/state/escrow/private-keys-v1.d" "$T/sa/state/escrow/pubring.kbx" "$T/gnupg-disaster"
gpg --homedir "$T/gnupg-disaster" --batch --quiet -d <"$T/sealed" >"$T/opened" 2>/dev/null
ok "in a disaster stock gpg opens it with the escrow key" cmp "$T/opened" "$T/good.deposit"
not "the authority's key does not" gpg --homedir "$T/sa/state/keys" --batch --quiet -d "$T/sealed"
like "the log says so" "$(countersignctl log --address alice@example.org)" "deposit=$sub_alice"
# The secret scalar is the last of the deposit but for two octets of checksum and what binds the subkey.
holding() { # PATH...: files that hold the secret, as it is or in base64 or hexadecimal digits
    python3 - "$T/good.deposit" "$size" "$@" <<'PY'
import base64, os, sys
deposit = open(sys.argv[1], 'rb').read()
at = deposit.index(b'\x03\x01\x08\x07') + 7  # behind the KDF parameters, the usage octet and the MPI's length
scalar = deposit[at:at + 30]
forms = [scalar, scalar.hex().encode(), scalar.hex().upper().encode()] + [base64.b64encode(scalar[n:])[:28] for n in range(3)]
for place in sys.argv[3:]:
    for path in [place] if os.path.isfile(place) else [os.path.join(d, f) for d, _, fs in os.walk(place) for f in fs]:
        if os.path.isfile(path) and any(form in open(path, 'rb').read() for form in forms):
            print(path)
PY
}
is "the search finds the secret where it is" "$(holding "$T/good.deposit" "$T/bob.deposit")" "$T/good.deposit"
is "nothing of a deposit is left below the authority's directories" "$(holding "$T/sa" "$T/mail")" ""
is "no deposit home is left" "$(find "$T/sa/run" -mindepth 1 -type d | wc -l)" 0
is "nothing is in quarantine" "$(store_sql 'SELECT count(*) FROM quarantine')" 0
ok "the log is whole" countersignctl log verify
done_testing
