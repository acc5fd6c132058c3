#!/usr/bin/env bash
# The restore drill: ten users enroll, a backup is made while mails are worked on, the machine is lost, the backup is restored with the passphrases alone, and one user is recovered.
. "$(dirname "$0")/../lib/flow.sh"
. "$top/tests/lib/generations.sh"

mkdir -p "$T/sa"
printf 'correct horse\n' >"$T/pass.authority"
printf 'battery staple\n' >"$T/pass.escrow"
printf 'wrong\n' >"$T/pass.wrong"
authority_new
conf_set authority passphrase-file "\"$T/pass.authority\""
conf_set wkd directory "\"$T/wkd\""
conf_set policy revoked '"unpublish"'
conf_set limits mails-per-address-day 1000
tree() { (cd "$T" && find sa wkd "$@" -type f ! -name lock -exec sha256sum {} + 2>/dev/null | sort -k 2); }
published() { find "$T/wkd/.well-known/openpgpkey/example.org/hu" -type f | wc -l; }
json() { python3 -c "import json,sys; v = json.load(sys.stdin); print($1)"; }
people="alice bob carol dora emil fred gina hans ines jack"

# ---- ten users, and a backup while the daemon works ----
countersignctl authority export >"$T/card.asc"
ask() { # WHO: a request of the client, with a deposit
    as "$1" countersign request --token-file "$T/$1.token" --authority-key "$T/card.asc" --address "$1@example.org" --name "$1" --keyset default --submit "maildir:$T/mail/inbox"
}
printf 'correct horse\n' >"$T/password"
chmod 600 "$T/password"
for who in $people; do
    user $who
    token_for $who@example.org >"$T/$who.token"
done
daemon_start
for who in $people; do ask $who >/dev/null 2>&1; done &
asking=$!
await 20 test -n "$(ls "$T"/mail/inbox/{cur,new} 2>/dev/null)"
ok "a backup while mails are worked on" countersignctl backup "$T/early.backup"
wait $asking
replied() { [ -n "$(reply_to $1@example.org)" ]; }
for who in $people; do await 30 replied $who || echo "# no reply to $who"; done
open_reply() { as $1 countersign open --level medium --password-file "$T/password" --submit "maildir:$T/mail/inbox" "$(reply_to $1@example.org)"; }
for who in $people; do open_reply $who >/dev/null 2>&1; done
all_active() { [ "$(countersignctl --json user list | json 'sum(u["state"] == "active" for u in v)')" = 10 ]; }
ok "ten users are enrolled" await 30 all_active
all_published() { [ "$(published)" = 11 ]; }
ok "and published" await 30 all_published
token_for kate@example.org >"$T/kate.token"
ok "a whole backup" countersignctl backup --with-keys "$T/whole.backup"
is "nobody else may read it" "$(stat -c %a "$T/whole.backup")" 600
like "status shows it" "$(countersignctl --json status)" '"last_backup": "20'
not "a backup replaces nothing" countersignctl backup "$T/whole.backup"
ok "it opens" countersignctl backup --verify "$T/whole.backup"
is "with everything in it" "$(countersignctl --json backup --verify "$T/whole.backup" | json 'v["keysets"], v["keys"], v["escrow"]')" "10 True True"
is "the early one without keys" "$(countersignctl --json backup --verify "$T/early.backup" | json 'v["keys"], v["escrow"]')" "False False"

# ---- anybody can open it ----
mkdir "$T/opened"
ok "tar opens it" tar -C "$T/opened" -xf "$T/whole.backup"
user stranger
ok "gpg takes the public key" as stranger gpg --batch --quiet --import "$T/opened/authority.asc"
as stranger gpg --batch --quiet --decrypt "$T/opened/MANIFEST" >"$T/opened/list" 2>/dev/null
is "and proves the manifest" "$?" 0
ok "sha256sum proves the files" bash -c "cd '$T/opened' && sed '1,/^\$/d' list | sha256sum -c --quiet"
rm -rf "$T/opened"

# ---- after the backup: one token is used, one user is revoked, one gets another key ----
user kate
ok "a token of before is used" ask kate
await 30 replied kate
open_reply kate >/dev/null 2>&1
kate_published() { [ "$(published)" = 12 ]; }
ok "and its key published" await 30 kate_published
ok "bob is revoked" countersignctl revoke bob@example.org --reason left --yes
daemon_stop

# ---- the machine is lost ----
mv "$T/sa" "$T/lost"
mkdir "$T/sa"
restore() { countersignctl restore --yes --passphrase-file "$T/pass.authority" --escrow-passphrase-file "$T/pass.escrow" "$@"; }
refused() { # NAME STATUS PATTERN COMMAND...
    local before
    before=$(tree)
    exits "$1" "$2" "${@:4}"
    like "$1: says why" "$exits_output" "$3"
    is "$1: changes nothing" "$(tree)" "$before"
    is "$1: leaves nothing" "$(find "$T/sa" -mindepth 1)" ""
}
refused "a wrong passphrase" 77 'passphrase' countersignctl restore --yes "$T/whole.backup" --passphrase-file "$T/pass.wrong"
refused "a wrong passphrase of the escrow key" 77 'passphrase' countersignctl restore --yes "$T/whole.backup" --passphrase-file "$T/pass.authority" --escrow-passphrase-file "$T/pass.wrong"
size=$(stat -c %s "$T/whole.backup")
for part in 0 1 300 $((size / 2)) $((size - 1024)) $((size - 1)); do
    head -c $part "$T/whole.backup" >"$T/cut.backup"
    refused "a backup cut off after $part bytes" 65 'too early|damaged' restore "$T/cut.backup"
done
for place in 700 $((size / 4)) $((size / 3)) $((size / 2)); do
    python3 - "$T/whole.backup" "$T/bad.backup" $place <<'PY'
import sys
data = bytearray(open(sys.argv[1], 'rb').read())
data[int(sys.argv[3])] ^= 1
open(sys.argv[2], 'wb').write(data)
PY
    refused "a backup with another bit at $place" 65 'damaged|manifest' restore "$T/bad.backup"
done
sed 's/^Countersign-Backup: 1$/Countersign-Backup: 2/' "$T/whole.backup" >"$T/new.backup"
refused "a backup of a newer format" 78 'newer Countersign' restore "$T/new.backup"
# The same with hashes that fit: only the signature tells.
python3 - "$T/whole.backup" "$T/forged.backup" <<'PY'
import hashlib, io, sys, tarfile
members = [(m, tarfile.open(sys.argv[1]).extractfile(m).read()) for m in tarfile.open(sys.argv[1]).getmembers()]
content = {m.name: data for m, data in members}
old = content['countersign.conf']
new = old + b'# other\n'
manifest = content['MANIFEST'].replace(hashlib.sha256(old).hexdigest().encode(), hashlib.sha256(new).hexdigest().encode())
out = tarfile.open(sys.argv[2], 'w', format=tarfile.USTAR_FORMAT)
for m, data in members:
    data = {'MANIFEST': manifest, 'countersign.conf': new}.get(m.name, data)
    m.size = len(data)
    out.addfile(m, io.BytesIO(data))
out.close()
PY
refused "a backup that somebody has changed" 76 'not signed by the authority' restore "$T/forged.backup"
refused "one without keys, on a new machine" 78 'with-keys' restore "$T/early.backup"
refused "no backup" 66 'cannot read' restore "$T/none"

refused "places that nobody has confirmed" 69 'terminal' setsid -w countersignctl restore "$T/whole.backup" --passphrase-file "$T/pass.authority"
like "the places are shown" "$exits_output" "state directory: $T/sa/state"

# ---- of another authority with the same address, whole in itself ----
fingerprint=$(countersignctl --json backup --verify "$T/whole.backup" | json 'v["fingerprint"]')
forger=$T/forger/sa.conf
mkdir "$T/forger"
countersignctl -c "$forger" init --address sa@example.org --maildir "$T/forger/mail" --state-directory "$T/forger/state" --runtime-directory "$T/forger/run" --no-passphrase >/dev/null 2>&1
echo 'ssh-ed25519 AAAA' >"$T/forger/state/escrow/authorized_keys"
ok "one without a passphrase" countersignctl -c "$forger" backup --with-keys "$T/none.backup"
unlike "only what belongs to a key home is in it" "$(tar -tf "$T/none.backup")" 'authorized_keys'
sqlite3 "$T/forger/state/countersign.db" "ATTACH '$T/lost/state/countersign.db' AS lost; REPLACE INTO meta SELECT * FROM lost.meta WHERE name IN ('authority-passphrase', 'escrow-passphrase')"
COUNTERSIGN_CONF=$forger conf_set authority passphrase-file "\"$T/pass.authority\""
ok "one whose store says that it has one" countersignctl -c "$forger" backup --with-keys "$T/set.backup"
rm -rf "$T/forger/state"
refused "keys without the passphrase that is given" 77 'not protected' countersignctl restore --yes "$T/none.backup" --passphrase-file "$T/pass.authority"
refused "without the one that their store tells of" 77 'not protected' restore "$T/set.backup"
refused "without a passphrase, and a wrong one" 77 'not protected' countersignctl restore --yes "$T/none.backup" --passphrase-file "$T/pass.wrong"
refused "an escrow key without the passphrase that is given" 77 'not protected' countersignctl restore --yes "$T/none.backup" --no-passphrase --escrow-passphrase-file "$T/pass.escrow"
refused "another fingerprint" 77 'another authority' countersignctl restore --yes "$T/none.backup" --no-passphrase --fingerprint "$fingerprint"
refused "keys that have a passphrase" 77 'have a passphrase' countersignctl restore --yes "$T/whole.backup" --no-passphrase
python3 - "$T/none.backup" "$T/more.backup" <<'PY'
import io, sys, tarfile
source = tarfile.open(sys.argv[1])
out = tarfile.open(sys.argv[2], 'w', format=tarfile.USTAR_FORMAT)
for m in source.getmembers():
    out.addfile(m, source.extractfile(m))
more = tarfile.TarInfo('escrow/authorized_keys')
more.size = 4
out.addfile(more, io.BytesIO(b'ssh\n'))
out.close()
PY
refused "a file that no key home has" 65 'authorized_keys, which is no part' countersignctl restore --yes "$T/more.backup" --no-passphrase
is "nothing is made where the forger wants it" "$(find "$T/forger" -name authorized_keys -o -name 'state*')" ""

# ---- restored, and on hold ----
ok "restored with the passphrases alone" restore "$T/whole.backup" --fingerprint "$fingerprint"
not "it replaces nothing" restore "$T/whole.backup"
ok "the log is whole" countersignctl log verify
is "all keysets are there" "$(countersignctl --json user list | json 'sum(u["state"] == "active" for u in v)')" 10
is "no token is left outstanding" "$(countersignctl --json token list)" "[]"
like "the token that was used is voided" "$(countersignctl log --address kate@example.org)" 'token-voided.*reason=restored'
like "status says that it is on hold" "$(countersignctl status)" 'on hold until .countersignctl restore --confirm'
for words in 'token issue lisa@example.org' 'recover alice@example.org' "wkd export $T/export"; do
    # shellcheck disable=SC2086
    exits "$words: not on hold" 69 countersignctl $words
    like "$words: says so" "$exits_output" 'restore --confirm'
done
before=$(find "$T/wkd" -type f -exec sha256sum {} + | sort)
clear_sent
printf 'From: lisa@example.org\nTo: sa@example.org\nMessage-ID: <held@example.org>\nSubject: hello\n\nhello\n' | deliver
daemon_start
sleep 3
is "no mail is sent" "$(ls "$T/mail/outgoing/new" | wc -l)" 0
is "nothing is published" "$(find "$T/wkd" -type f -exec sha256sum {} + | sort)" "$before"
ok "no mail is worked on" test -n "$(grep -lr held@example.org "$T/mail/inbox/new" "$T/mail/inbox/cur")"

# ---- confirmed ----
countersignctl --json restore --confirm --yes >"$T/differences" 2>"$T/confirm.err"
is "the hold is ended" "$?" 0
is "bob stays revoked" "$(json '[d["action"] for d in v if d["address"] == "bob@example.org"]' <"$T/differences")" "['revoke it']"
is "kate's key, of which nothing is known, is unpublished" "$(json '[d["action"] for d in v if d["address"] == "kate@example.org"]' <"$T/differences")" "['unpublish it']"
is "nobody else differs" "$(json 'len(v)' <"$T/differences")" 2
is "bob is revoked in the store" "$(countersignctl --json user show bob@example.org | json 'v["state"]')" revoked
is "the others are published as before" "$(published)" 10
worked() { [ -z "$(grep -lr held@example.org "$T/mail/inbox/new" "$T/mail/inbox/cur" 2>/dev/null)" ]; }
ok "mails are worked on again" await 10 worked
unlike "status says nothing of a hold" "$(countersignctl status)" 'on hold'
exits "there is nothing more to confirm" 65 countersignctl restore --confirm --yes

# ---- and one user is recovered ----
rm -rf "$T/alice/.gnupg" "$T/alice/.local"
user alice
countersignctl recover alice@example.org --escrow-passphrase-file "$T/pass.escrow" 2>>"$T/ctl.err" | grep -oE '([0-9A-Z]{5}-){4}[0-9A-Z]{5}' | tee -a "$T/tokens" >"$T/alice.token"
ok "a recovery is started" test -s "$T/alice.token"
clear_sent
ok "alice asks with it" ask alice
await 30 replied alice
ok "and opens the reply" open_reply alice
recovered() { countersignctl --json user show alice@example.org | grep -q '"state": "active"'; }
ok "she is enrolled again" await 20 recovered
daemon_stop
ok "the log is whole to the end" countersignctl log verify
done_testing
