#!/usr/bin/env bash
# A wrong configuration, key, passphrase, directory or store, for countersignd and countersignctl: one sentence, the exit status that the manual names, and nothing changed.
. "$(dirname "$0")/../lib/flow.sh"
. "$top/tests/lib/wrong.sh"

printf 'open sesame\n' >"$T/pass.authority"
printf 'another one\n' >"$T/pass.escrow"
authority_new
token_for bob@example.org >/dev/null
agent_once
watch "$T/sa" "$T/mail"
state="$T/sa/state" run="$T/sa/run"
# own SED...: a configuration of one's own in $T/own.conf; both programs are asked to use it
own() { sed "$@" "$COUNTERSIGN_CONF" >"$T/own.conf"; }
both() { # NAME STATUS ERE
    wrong "countersignctl: $1" "$2" "$3" countersignctl -c "$T/own.conf" token list
    wrong "countersignctl, with keys: $1" "$2" "$3" countersignctl -c "$T/own.conf" token issue alice@example.org
    wrong "countersignd: $1" "$2" "$3" countersignd -c "$T/own.conf" --once
}
with_keys() { # NAME STATUS ERE [STATUS OF COUNTERSIGND, to which each fault of the key is one (69)]
    wrong "countersignctl: $1" "$2" "$3" countersignctl -c "$T/own.conf" token issue alice@example.org
    wrong "countersignd: $1" "${4:-69}" "$3" countersignd -c "$T/own.conf" --once
}
verify() { # NAME STATUS ERE: countersignd -n says it in a line on standard output
    exits "countersignd -n: $1" "$2" countersignd -c "$T/own.conf" -n
    like "countersignd -n says so: $1" "$exits_output" "^failed .*($3)"
}

# ---- the configuration ----
both "no configuration" 66 'own.conf'
mkdir "$T/own.conf"
both "a directory for a configuration" 66 'own.conf'
rmdir "$T/own.conf"
: >"$T/own.conf"
both "an empty configuration" 78 'own.conf.*(address|mailbox)'
head -c 4096 /dev/urandom >"$T/own.conf"
both "binary junk" 78 'own.conf'
own '1i nonsense {'
both "a section that is not there" 78 'own.conf:1.*nonsense'
own 's/^authority {/&\n\tcolour = "blue"/'
both "an unknown key" 78 'own.conf:[0-9]+.*colour'
own 's/^authority {/&\n\tname = "x/'
both "a string without an end" 78 'own.conf:[0-9]+'
own '$d;s/^}$//'
both "a section without an end" 78 'own.conf:[0-9]+'
while IFS='|' read -r section key value; do
    own "/^$section {/,/^}/s|^\\(\\s*\\)#\\?$key = .*|\\1$key = $value|"
    both "$section $key = $value" 78 "own.conf.*($key|$value)"
done <<'END'
authority|address|nonsense
authority|state-directory|here
authority|runtime-directory|"../run"
mailbox|url|"ftp:/x"
mailbox|url|"maildir:x"
submit|url|"nonsense"
submit|recipient-delimiter|"++"
submit|bounces|perhaps
submit|timeout|soon
policy|domains|{"a b"}
notify|administrators|{"nobody"}
policy|plain-requests|maybe
policy|escrow|on
policy|escrow-for|{"@example.org=maybe"}
policy|reminders|{"30d", "soon"}
policy|revoked|perhaps
policy|token-by-mail|always
policy|token-expires|0
policy|certify|99999999999999999999d
policy|rsa-bits-min|few
policy|curves|{"ed25518"}
wkd|directory|"pub"
log|level|loud
limits|workers|-1
limits|mail-size|huge
notify|auditors|{"auditor"}
END
own 's/sa@example.org/other@example.org/'
both "an address that the authority was not made with" 78 'other@example.org.*sa@example.org'
own '/^mailbox/,/^}/d'
wrong "countersignd: no mailbox" 78 'mailbox' countersignd -c "$T/own.conf" --once
own "s,$T/mail/inbox,/proc/nothing/inbox,"
wrong "countersignd: a mailbox that can't be" 69 '/proc/nothing' countersignd -c "$T/own.conf" --once
verify "a mailbox that can't be" 69 '/proc/nothing'

# ---- passphrase and key ----
own ''
cp "$T/pass.authority" "$T/pass.own"
own "s,pass.authority,pass.own,"
echo wrong >"$T/pass.own"
with_keys "a wrong passphrase" 77 'passphrase'
verify "a wrong passphrase" 77 'passphrase'
: >"$T/pass.own"
with_keys "an empty passphrase file" 78 'pass.own'
cp "$T/pass.authority" "$T/pass.own"
chmod 644 "$T/pass.own"
with_keys "a passphrase that others can read" 78 'pass.own.*chmod'
verify "a passphrase that others can read" 78 'pass.own.*chmod'
rm "$T/pass.own"
with_keys "no passphrase file" 66 'pass.own'
mkdir "$T/pass.own"
with_keys "a directory for a passphrase file" '6[56]' 'pass.own'
rmdir "$T/pass.own"
own '/passphrase-file/d'
wrong "countersignctl: no passphrase at all" 69 'locked|unlock' countersignctl -c "$T/own.conf" token issue alice@example.org
wrong "countersignctl unlock without a daemon" 69 'countersignd|running' countersignctl unlock --passphrase-file "$T/pass.authority"
own ''
mv "$state/keys" "$T/keys"
with_keys "the key home is gone" 69 'keys'
verify "the key home is gone" 69 'keys'
mkdir -m 700 "$state/keys"
watch "$state/countersign.db" "$T/mail"
with_keys "an empty key home" 69 'key'
rm -r "$state/keys"
watch "$T/sa" "$T/mail"
: >"$state/keys"
with_keys "a file for a key home" 69 'keys'
rm "$state/keys"
cp -r "$T/keys" "$state/keys"
rm -f "$state"/keys/private-keys-v1.d/*.key
with_keys "a key home without the secret key" 69 'key'
rm -rf "$state/keys"
cp -r "$T/keys" "$state/keys"
for f in "$state"/keys/private-keys-v1.d/*.key; do echo junk >"$f"; done
with_keys "a secret key of junk" 69 'key'
rm -rf "$state/keys"
mv "$T/keys" "$state/keys"

# ---- runtime and state ----
disk=$(mktemp -d /var/tmp/cs-wrong-XXXXXX)
own "s,runtime-directory = .*,runtime-directory = \"$disk/run\","
watch "$T/sa" "$T/mail" "$disk"
with_keys "a runtime directory on a disk" 78 'tmpfs' 78
verify "a runtime directory on a disk" 78 'tmpfs'
rmdir "$disk"
: >"$T/file"
own "s,runtime-directory = .*,runtime-directory = \"$T/file\","
watch "$T/sa" "$T/mail" "$T/file"
with_keys "a file for a runtime directory" 78 'file' 78
own "s,runtime-directory = .*,runtime-directory = \"$T/file/run\","
with_keys "a runtime directory below a file" 78 'file' 78
watch "$T/sa" "$T/mail"
own "s,state-directory = .*,state-directory = \"$T/gone\","
both "no state directory" 78 'gone.*init'
mkdir -m 700 "$T/gone"
both "an empty state directory" 66 'store at .*gone'
rmdir "$T/gone"

# ---- the store ----
cp -r "$state" "$T/copy"
own "s,state-directory = .*,state-directory = \"$T/copy\","
watch "$T/copy" "$T/mail"
store="$T/copy/countersign.db"
bad_store() { both "$@"; verify "$@"; cp "$state/countersign.db" "$store"; rm -f "$store"-*; }
: >"$store"
bad_store "an empty store" 65 'copy/countersign.db'
echo 'Dear diary' >"$store"
bad_store "a store that is no database" 65 'copy/countersign.db'
head -c 100000 /dev/urandom >"$store"
bad_store "a store of junk" 65 'copy/countersign.db'
truncate -s 5000 "$store"
bad_store "a truncated store" 65 'copy/countersign.db'
truncate -s 50 "$store"
bad_store "a store cut within its header" 65 'copy/countersign.db'
rm "$store" && mkdir "$store"
both "a directory for a store" '6[56]' 'copy/countersign.db'
rmdir "$store"
sqlite3 "$store" 'CREATE TABLE t (x); INSERT INTO t VALUES (1)'
bad_store "another program's database" 65 'copy/countersign.db'
sqlite3 "$store" 'PRAGMA user_version = 99'
bad_store "a store of a newer version" 78 'newer'
sqlite3 "$store" "DELETE FROM meta WHERE name = 'pin'"
bad_store "a store without the pin" 65 'pin'
rm -rf "$T/copy"

# ---- somebody else's files ----
if [ "$(id -u)" = 0 ]; then
    chmod 711 "$T"
    cp -r "$state" "$T/copy"
    chown 65534:65534 "$T/copy"
    own "s,state-directory = .*,state-directory = \"$T/copy\",; s,runtime-directory = .*,runtime-directory = \"$T/run2\","
    chmod 644 "$T/own.conf"
    watch "$T/copy" "$T/mail"
    both "root's files in a stranger's state directory" '(66|69|73|77|78)' 'copy'
    rm -rf "$T/copy" "$T/run2"
fi
done_testing
